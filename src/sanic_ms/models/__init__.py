"""What the definition of models needs beside Peewee itself.

Models are plain ``peewee.Model`` classes with no database bound to them: the pool executes their
queries, and migrations bind nothing but the copies that stand in the migration files.
"""

from sanic_ms.models.clock import utcnow
from sanic_ms.models.database import peewee_database
from sanic_ms.models.discovery import find_models
from sanic_ms.models.stamps import on_update

__all__ = ["find_models", "on_update", "peewee_database", "utcnow"]
