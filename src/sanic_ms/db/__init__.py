"""Databases: one pool type over PostgreSQL, MySQL and SQLite, chosen by the URL."""

from sanic_ms.db.base import Isolation, Row
from sanic_ms.db.connection import Connection
from sanic_ms.db.pool import ConnectionPool
from sanic_ms.db.rows import RowIterator
from sanic_ms.db.sessions import PoolStats
from sanic_ms.db.transaction import Transaction

__all__ = [
    "Connection",
    "ConnectionPool",
    "Isolation",
    "PoolStats",
    "Row",
    "RowIterator",
    "Transaction",
]
