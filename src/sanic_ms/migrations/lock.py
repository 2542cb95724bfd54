"""One migration at a time for each database, however many processes start at once."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import peewee

from sanic_ms.exception import MigrationError

__all__ = ["LOCK_TIMEOUT", "migration_lock"]

log = logging.getLogger("sanic_ms.migrations")

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that migrates."""

_POLL = 0.1
_NAME = "sanic_ms.migrations"
# PostgreSQL numbers its advisory locks; each database has numbers of its own.
_NUMBER = int.from_bytes(hashlib.sha256(_NAME.encode()).digest()[:8], signed=True)


@contextlib.contextmanager
def migration_lock(database: peewee.Database, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold the lock of a database for the block; the database is connected already.

    PostgreSQL: an advisory lock of the session. MySQL: ``GET_LOCK``. SQLite: an exclusive
    transaction on the empty file ``<database>-migrate`` beside the database, which stays there.
    All three are given back by the system when the process dies. Holding it twice in one process
    is not possible, not even in one thread.

    Args:
        database: An open Peewee database.
        timeout: Seconds to wait for another holder. Default 60; 0 asks once.

    Raises:
        MigrationError: another process holds the lock longer than that.
    """
    if isinstance(database, peewee.SqliteDatabase):
        lock = _sqlite(database, timeout)
    elif isinstance(database, peewee.MySQLDatabase):
        lock = _mysql(database, timeout)
    else:
        lock = _postgresql(database, timeout)
    with lock:
        yield


def _busy(timeout: float) -> MigrationError:
    return MigrationError(
        f"another process has been migrating this database for {timeout:g} s: wait until it is "
        "done, or end it"
    )


def _answer(database: Any, sql: str, *values: object) -> Any:
    return database.execute_sql(sql, values).fetchone()[0]


@contextlib.contextmanager
def _postgresql(database: peewee.Database, timeout: float) -> Iterator[None]:
    # Asked again and again instead of waiting inside the server: CREATE INDEX CONCURRENTLY waits
    # for every session that is in a statement, and so would wait for those that wait for it.
    deadline = time.monotonic() + timeout
    while not _answer(database, "SELECT pg_try_advisory_lock(%s)", _NUMBER):
        if time.monotonic() >= deadline:
            raise _busy(timeout)
        time.sleep(_POLL)
    try:
        yield
    finally:
        # A lost connection has given the lock back already.
        with contextlib.suppress(peewee.PeeweeException):
            _answer(database, "SELECT pg_advisory_unlock(%s)", _NUMBER)


@contextlib.contextmanager
def _mysql(database: peewee.Database, timeout: float) -> Iterator[None]:
    # The server's locks are for all its databases, and names have at most 64 characters.
    name = f"{_NAME}.{hashlib.sha256(str(database.database).encode()).hexdigest()[:32]}"
    if _answer(database, "SELECT GET_LOCK(%s, %s)", name, timeout) != 1:
        raise _busy(timeout)
    try:
        yield
    finally:
        with contextlib.suppress(peewee.PeeweeException):
            _answer(database, "SELECT RELEASE_LOCK(%s)", name)


@contextlib.contextmanager
def _sqlite(database: peewee.Database, timeout: float) -> Iterator[None]:
    if database.database == ":memory:":  # nobody else can see it
        yield
        return
    # A file of its own: a transaction on the database itself would keep the migrations out too.
    # It is never removed, because a process that waits for it would then hold a file that a third
    # one does not see.
    holder = sqlite3.connect(f"{database.database}-migrate", timeout=timeout, isolation_level=None)
    with contextlib.closing(holder):
        try:
            holder.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise _busy(timeout) from exc
            raise MigrationError(f"cannot lock {database.database}-migrate: {exc}") from exc
        yield
