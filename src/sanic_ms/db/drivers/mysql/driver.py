"""MySQL and MariaDB, by asyncmy: the address of a database, and how a session is opened."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Final

from sanic_ms._extras import require
from sanic_ms.db.base import Driver
from sanic_ms.db.drivers.mysql.tls import FILES, tls_context
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.exception import DatabaseUnavailable
from sanic_ms.values import DatabaseURL

require("asyncmy", "mysql", purpose="mysql:// databases")

from asyncmy import connection as asyncmy_connection  # noqa: E402
from asyncmy import errors as my  # noqa: E402
from asyncmy.constants.CLIENT import FOUND_ROWS  # noqa: E402

from sanic_ms.db.drivers.mysql.errors import translate  # noqa: E402
from sanic_ms.db.drivers.mysql.session import SESSION_START, MySQLSession  # noqa: E402

__all__ = ["MySQLDriver", "make_driver"]

log = logging.getLogger("sanic_ms.db")

_NO_SUCH_THREAD: Final = 1094

_OPTIONS = {"ssl", *FILES}


def make_driver(url: DatabaseURL) -> MySQLDriver:
    """The driver of a ``mysql://`` URL.

    Raises:
        ConfigError, ValueError: an option of the URL is unknown or wrong.
    """
    return MySQLDriver(url)


class MySQLDriver(Driver):
    """One MySQL or MariaDB database.

    Args:
        url: Its options: ``ssl=1`` (encrypted, with the server's certificate checked against the
            system's authorities), ``ssl=unverified`` (encrypted, not checked), ``ssl=0``,
            ``ssl_ca``, ``ssl_cert``, ``ssl_key`` (files; one of them means ``ssl=1``).
    """

    dialect: Dialect = "mysql"

    def __init__(self, url: DatabaseURL) -> None:
        unknown = set(url.options) - _OPTIONS
        if unknown:
            raise ValueError(
                f"unknown options of a mysql URL: {', '.join(sorted(unknown))} "
                f"(allowed: {', '.join(sorted(_OPTIONS))})"
            )
        self._url = url
        self._ssl = tls_context(url)
        self.role: str | None = None  # of a new session
        self._role_is_known = False
        self._given_up: deque[int] = deque()
        self._killing: asyncio.Task[None] | None = None
        # Columns of each table that hold JSON, on MariaDB, with all the names that were looked at.
        self._json_columns: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = {}
        self._integer_columns: dict[tuple[str, str], frozenset[str | int]] = {}

    async def connect(self, timeout: float) -> MySQLSession:
        """Open a session."""
        raw = await self._connect(timeout)
        self.is_mariadb = "MariaDB" in raw.server_version
        session = MySQLSession(self, raw, self._url.database)
        if not self._role_is_known:
            self.role = await session.current_role()
            self._role_is_known = True
        return session

    async def _connect(self, timeout: float) -> Any:
        url = self._url
        try:
            async with asyncio.timeout(timeout):
                return await asyncmy_connection.connect(
                    host=url.host,
                    port=url.port,
                    unix_socket=url.host if url.host.startswith("/") else None,
                    user=url.user,
                    # asyncmy would encode text as Latin-1.
                    password=(url.password or "").encode(),
                    database=url.database,
                    charset="utf8mb4",
                    autocommit=True,
                    init_command=SESSION_START,
                    # An UPDATE counts the rows that it matched, as on the other databases.
                    client_flag=FOUND_ROWS,
                    connect_timeout=max(timeout, 1.0),
                    ssl=self._ssl,
                )
        except TimeoutError as exc:
            raise DatabaseUnavailable(f"no connection within {timeout:g} s") from exc
        except Exception as exc:
            error = translate(exc)
            if error is None:
                raise
            detail = error.detail
            if "(1049)" in detail:
                detail += " (sanic-ms db create makes it; or correct the name)"
            raise DatabaseUnavailable(detail, sqlstate=error.sqlstate) from exc

    async def close(self) -> None:
        """Wait for the last connections to be killed, but not for long."""
        if self._killing is not None:
            await asyncio.wait([self._killing], timeout=1.0)
            self._killing.cancel()
        await super().close()

    def kill(self, thread_id: int) -> None:
        """Have the server end a connection of ours that was given up, in the background. One other
        connection does it for all that come together."""
        self._given_up.append(thread_id)
        if self._killing is None or self._killing.done():
            self._killing = asyncio.ensure_future(self._kill())

    async def _kill(self) -> None:
        raw = None
        try:
            raw = await self._connect(5.0)
            while self._given_up:
                async with asyncio.timeout(5.0):
                    try:
                        await raw.query(f"KILL {self._given_up.popleft()}")
                    except my.MySQLError as exc:
                        if not raw.connected or exc.args[0] != _NO_SUCH_THREAD:
                            raise
        except (DatabaseUnavailable, my.MySQLError, OSError, TimeoutError) as exc:
            # With the server gone, they are gone as well.
            log.debug("given-up MySQL connections were not killed: %s", exc)
            self._given_up.clear()
        finally:
            if raw is not None:
                raw.close()

    async def json_columns(self, table: tuple[str, str], names: set[str]) -> frozenset[str]:
        """Which columns of a MariaDB table were declared as JSON: they are LONGTEXT with a check,
        and the protocol does not tell. Asked once for each table, by a connection of its own."""
        known = self._json_columns.get(table)
        if known is not None and names <= known[1]:
            return known[0]
        raw = await self._connect(5.0)
        try:
            statement = await raw.prepare(
                "SELECT c.COLUMN_NAME, k.CHECK_CLAUSE IS NOT NULL"
                " FROM information_schema.COLUMNS c"
                " LEFT JOIN information_schema.CHECK_CONSTRAINTS k"
                " ON k.CONSTRAINT_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME"
                " AND k.CHECK_CLAUSE = CONCAT('json_valid(`', c.COLUMN_NAME, '`)')"
                " WHERE c.TABLE_SCHEMA = ? AND c.TABLE_NAME = ?"
            )
            rows = (await statement.execute(table)).rows or ()
        finally:
            raw.close()
        found = frozenset(name for name, is_json in rows if is_json)
        self._json_columns[table] = (found, frozenset(name for name, _ in rows) | names)
        return found

    async def integer_columns(
        self, table: tuple[str | None, str], *, anew: bool = False
    ) -> frozenset[str | int]:
        """Which columns of a table are integers, by their names and by their places from 0; none of
        one that is not there, or temporary. Asked once for each table, by a connection of its own.

        Args:
            table: The database, None for that of the URL, and the table.
            anew: Ask again: the table may have changed.
        """
        place = (table[0] or self._url.database, table[1])
        known = self._integer_columns.get(place)
        if known is not None and not anew:
            return known
        raw = await self._connect(5.0)
        try:
            statement = await raw.prepare(
                "SELECT COLUMN_NAME, ORDINAL_POSITION - 1 FROM information_schema.COLUMNS"
                " WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND DATA_TYPE IN"
                " ('tinyint', 'smallint', 'mediumint', 'int', 'bigint')"
            )
            rows = (await statement.execute(place)).rows or ()
        finally:
            raw.close()
        found = frozenset(
            column if n == 0 else int(column) for row in rows for n, column in enumerate(row)
        )
        self._integer_columns[place] = found
        return found
