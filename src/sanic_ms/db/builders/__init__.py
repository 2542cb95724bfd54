"""Peewee queries and SQLAlchemy Core statements: as SQL text with arguments, and their rows back.

Neither library is imported here: an object of either can only exist where the caller has imported
it. Both are compilers and type systems for the pool; they execute nothing.
"""

from sanic_ms.db.builders.build import build, prepare_peewee
from sanic_ms.db.builders.query import BuiltQuery, Conversion

__all__ = ["BuiltQuery", "Conversion", "build", "prepare_peewee"]
