"""Changing the tables of a database: numbered files, or classes with ``migrate_*`` methods."""

from sanic_ms.migrations.creation import create_database
from sanic_ms.migrations.lazy import LazyDatabase, db, db_manager
from sanic_ms.migrations.model import MigrationModel
from sanic_ms.migrations.record import info
from sanic_ms.migrations.runner import MigrationEntry, migrate, rollback, status

__all__ = [
    "LazyDatabase",
    "MigrationEntry",
    "MigrationModel",
    "create_database",
    "db",
    "db_manager",
    "info",
    "migrate",
    "rollback",
    "status",
]
