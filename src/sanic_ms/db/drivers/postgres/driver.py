"""PostgreSQL, by asyncpg: the address of a database, and how a session is opened."""

from __future__ import annotations

import asyncio

from asyncpg import exceptions as pg

from sanic_ms.db.base import Driver, Reads
from sanic_ms.db.drivers.postgres.connection import connect
from sanic_ms.db.drivers.postgres.errors import translate
from sanic_ms.db.drivers.postgres.pipeline import PostgresLane, _core
from sanic_ms.db.drivers.postgres.session import PostgresSession
from sanic_ms.db.drivers.postgres.values import set_codecs
from sanic_ms.db.metrics import PoolMetrics
from sanic_ms.db.sessions import Sessions
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.db.sql.statement import StatementCache
from sanic_ms.exception import DatabaseUnavailable
from sanic_ms.values import DatabaseURL

__all__ = ["PostgresDriver", "make_driver"]


def make_driver(url: DatabaseURL) -> PostgresDriver:
    """The driver of a ``postgresql://`` URL."""
    return PostgresDriver(url)


class PostgresDriver(Driver):
    """One PostgreSQL database.

    Args:
        url: Options are asyncpg's (``sslmode`` …); any other is a setting of the server
            (``application_name``). ``statement_cache_size=0`` turns named prepared statements off,
            for a pgbouncer in transaction mode.
    """

    dialect: Dialect = "postgresql"
    has_settings = True

    def __init__(self, url: DatabaseURL) -> None:
        options = dict(url.options)
        self._keep_prepared = options.pop("statement_cache_size", "") != "0"
        self._dsn = DatabaseURL(
            url.scheme, url.database, url.host, url.port, url.user, url.password, options
        ).url
        self.pipelines = self._keep_prepared
        self._lanes: list[PostgresLane] = []

    async def connect(self, timeout: float) -> PostgresSession:
        """Open a session."""
        raw = None
        try:
            async with asyncio.timeout(timeout):
                raw = await connect(self._dsn, self.deadlines, timeout)
                await set_codecs(raw)
        except TimeoutError as exc:
            if raw is not None:
                raw.terminate()
            raise DatabaseUnavailable(f"no connection within {timeout:g} s") from exc
        except pg.InvalidCatalogNameError as exc:
            raise DatabaseUnavailable(
                f"{exc} (sanic-ms db create makes it; or correct the name)",
                sqlstate=exc.sqlstate,
            ) from exc
        except Exception as exc:
            error = translate(exc)
            if error is None:
                raise
            raise DatabaseUnavailable(error.detail, sqlstate=error.sqlstate) from exc
        return PostgresSession(raw, self._lanes, keep_prepared=self._keep_prepared)

    def reads(
        self, sessions: Sessions, statements: StatementCache, metrics: PoolMetrics | None
    ) -> Reads | None:
        """The compiled way of plain reads."""
        made: Reads | None = None
        if _core is not None:
            made = _core.Reads(sessions.sharing, sessions, statements, metrics, PostgresSession)
        return made
