"""``db``: the service's database for migrations in classes, opened when it is first used."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import peewee

from sanic_ms.config import load_settings
from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.migrations.lock import LOCK_TIMEOUT, migration_lock
from sanic_ms.models.database import connect, peewee_database
from sanic_ms.values import DatabaseURL

__all__ = ["LazyDatabase", "db", "db_manager"]


class LazyDatabase:
    """A Peewee database that reads its settings and connects when it is first used.

    Attributes that it does not have itself are those of the Peewee database (``execute_sql``,
    ``get_tables`` …).

    Args:
        url: The database. Default: the setting ``DB_URL`` of the working directory's settings.
    """

    def __init__(self, url: str | DatabaseURL | None = None) -> None:
        self._url = url
        self._database: peewee.Database | None = None
        self._making = threading.Lock()
        # Connections are each thread's own, and so is what is held on them.
        self._thread = threading.local()

    def configure(self, url: str | DatabaseURL | None) -> None:
        """Use another database from now on; None means that of the settings again.

        Raises:
            LifecycleError: it is in use by this thread.
        """
        if self._depth:
            raise LifecycleError("db.configure() was called inside db.transaction()")
        with self._making:
            if self._database is not None and not self._database.is_closed():
                self._database.close()
            self._url, self._database = url, None

    @property
    def database(self) -> peewee.Database:
        """The Peewee database itself, made on first use; not connected by that.

        Raises:
            ConfigError: the settings name no database, or are wrong.
        """
        with self._making:
            if self._database is None:
                self._url = self._url or _url_of_settings()
                self._database = peewee_database(self._url)
            return self._database

    @contextlib.contextmanager
    def transaction(self, *, lock_timeout: float = LOCK_TIMEOUT) -> Iterator[peewee.Database]:
        """A transaction, held by one process at a time: committed at the end, rolled back if
        the block raises. Inside another one it is a savepoint.

        On MySQL changes of tables are committed at once, whatever happens later.

        Args:
            lock_timeout: Seconds to wait for another process that migrates. Default 60.

        Raises:
            MigrationError: another process migrates longer than that.
            DatabaseUnavailable: the database cannot be reached.
        """
        with self.locked(lock_timeout=lock_timeout) as database:
            # MySQL forgets savepoints when it commits on its own.
            if database.in_transaction() and isinstance(database, peewee.MySQLDatabase):
                yield database
            else:
                with database.atomic():
                    yield database

    @contextlib.contextmanager
    def locked(self, *, lock_timeout: float = LOCK_TIMEOUT) -> Iterator[peewee.Database]:
        """Be connected and hold the migration lock for the block; inside another, just go on."""
        database = self.database
        if self._depth:
            yield database
            return
        assert self._url is not None  # `database` has set it
        opened = database.is_closed()
        connect(database, self._url)
        try:
            with migration_lock(database, lock_timeout):
                self._thread.depth = 1
                try:
                    yield database
                finally:
                    self._thread.depth = 0
        finally:
            # A database in memory lives as long as its connection.
            if opened and database.database != ":memory:":
                with contextlib.suppress(peewee.PeeweeException):
                    database.close()

    def __getattr__(self, name: str) -> Any:
        # Tools that look at every object of a module must not open a database by that.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.database, name)

    @property
    def _depth(self) -> int:
        return getattr(self._thread, "depth", 0)


def _url_of_settings() -> str:
    url = load_settings().settings.db_url
    if url is None:
        raise ConfigError("migrations need a database: set DB_URL, such as sqlite:///app.db")
    return url


db = LazyDatabase()
db_manager = db
"""`db` by its name in the first generation."""
