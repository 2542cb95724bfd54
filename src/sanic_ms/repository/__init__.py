"""Tables as objects: create, read, update, delete and page through rows without writing SQL.

`Repository` is for a Peewee model or a SQLAlchemy table, over any database of a pool. `fetch_page`
gives a page of any query, and `Loader` makes one statement of the reads of a request.
"""

from sanic_ms.repository.loader import Loader
from sanic_ms.repository.pages import fetch_page
from sanic_ms.repository.repository import Repository

__all__ = ["Loader", "Repository", "fetch_page"]
