"""From a database URL to Peewee's own, synchronous database: for migrations, never for requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import peewee

from sanic_ms._extras import require
from sanic_ms.exception import ConfigError, DatabaseUnavailable
from sanic_ms.values import DatabaseURL

__all__ = ["complete", "connect", "peewee_database"]

CONNECT_TIMEOUT = 10
BUSY_TIMEOUT = 10
# Texts, and names in quotes, between which a question mark is the place of a value.
_SQLITE_MARK = re.compile(r"""'(?:''|[^'])*'|"(?:""|[^"])*"|(\?)""")


# Peewee's own choice, TIMESTAMP, forgets the zone: asyncpg then refuses the aware datetimes that
# `utcnow` gives.
_POSTGRESQL_TYPES = {"DATETIME": "TIMESTAMPTZ"}
# Peewee's own choice, DATETIME and TIME, rounds to whole seconds.
_MYSQL_TYPES = {"DATETIME": "DATETIME(6)", "TIME": "TIME(6)"}


class _ScriptSqlite(peewee.SqliteDatabase):
    @property
    def context_class(self) -> Any:
        """Writes UUIDs as the pool does."""
        return _dialects().UUIDContext

    @property
    def json_methods(self) -> Any:
        """Writes JSON as the pool does."""
        return _dialects().SqliteJSON

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Writes moments as the pool does."""
        return super().execute_sql(sql, params and _sqlite_values(params))  # type: ignore[no-untyped-call]


class _Postgresql(peewee.PostgresqlDatabase):
    def _initialize_connection(self, conn: Any) -> None:
        # A datetime without a zone means UTC here as in the other two databases.
        conn.execute("SET TIME ZONE 'UTC'")


class _MySQL(peewee.MySQLDatabase):
    @property
    def context_class(self) -> Any:
        """Writes UUIDs as the pool does."""
        return _dialects().UUIDContext

    @property
    def json_methods(self) -> Any:
        """Writes JSON as the pool does."""
        return _dialects().MySQLJSON

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Writes moments as the pool does: the driver leaves the zone out without a conversion."""
        return super().execute_sql(sql, params and _mysql_values(params))  # type: ignore[no-untyped-call]

    def execute(self, query: Any, **context_options: Any) -> Any:
        """Connect before the query is written: MySQL and MariaDB write JSON differently."""
        self.connection()  # type: ignore[no-untyped-call]
        return super().execute(query, **context_options)  # type: ignore[no-untyped-call]

    def _initialize_connection(self, conn: Any) -> None:
        self.mariadb = "mariadb" in conn.get_server_info().lower()
        with conn.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")


def _sqlite_values(values: Sequence[Any]) -> list[Any]:
    from sanic_ms.db.drivers.sqlite.values import moment_text  # imports the pool as well

    return [moment_text(value) if isinstance(value, datetime) else value for value in values]


def _mysql_values(values: Sequence[Any]) -> list[Any]:
    from sanic_ms.db.drivers.values import in_utc  # imports the pool as well

    return [
        in_utc(value).replace(tzinfo=None) if isinstance(value, datetime) else value
        for value in values
    ]


def _dialects() -> Any:
    from sanic_ms.db.builders import peewee_dialects  # imports the pool as well

    return peewee_dialects


def peewee_database(url: str | DatabaseURL) -> peewee.Database:
    """A Peewee database for a URL; it connects when it is first used.

    Four things differ from Peewee's own defaults, so that one model means the same everywhere:
    a ``DateTimeField`` keeps its zone on PostgreSQL (``TIMESTAMPTZ``) and its microseconds on MySQL
    (``DATETIME(6)``, ``TIME(6)`` alike), the session's time zone is UTC, and transactions on SQLite
    begin ``IMMEDIATE``. A UUID and a moment that the database keeps as text are written as the pool
    writes them.

    Options of the URL that the synchronous driver does not know, such as those of the pool's
    driver, are left out.

    Args:
        url: As `DatabaseURL.parse` reads it.

    Raises:
        ValueError: it is not a database URL.
        ConfigError: a file for TLS that it names cannot be used, or its driver is another
            package's.
        MissingDependency: the driver is not installed; the text names the pip command.
    """
    parsed = DatabaseURL.parse(url)
    if parsed.scheme == "sqlite":
        return _ScriptSqlite(
            parsed.database, timeout=BUSY_TIMEOUT, lock_type="IMMEDIATE", pragmas=()
        )
    if parsed.scheme == "postgresql":
        return _postgresql(parsed)
    if parsed.scheme == "mysql":
        return _mysql(parsed)
    raise ConfigError(
        f"{parsed.masked}: migrations and models know postgresql, mysql and sqlite databases"
    )


def connect(database: peewee.Database, url: str | DatabaseURL) -> None:
    """Open a connection now; nothing happens if one is open.

    Raises:
        DatabaseUnavailable: it cannot be reached, or refuses the login. The text names the URL
            without its password.
    """
    try:
        database.connect(reuse_if_open=True)
    except peewee.PeeweeException as exc:
        parsed = DatabaseURL.parse(url)
        text = " ".join(str(exc).split())
        if parsed.scheme == "sqlite" and not Path(parsed.database).absolute().parent.is_dir():
            text = f"there is no folder {Path(parsed.database).absolute().parent}"
        if _is_missing(exc):
            text += " (sanic-ms db create makes it)"
        raise DatabaseUnavailable(f"cannot open {parsed.masked}: {text}") from exc


def _is_missing(exc: peewee.PeeweeException) -> bool:
    """Whether the server answers and has no such database."""
    # psycopg gives no code for what it is told while it connects: it keeps the server's words.
    text = str(exc)
    return exc.args[:1] == (1049,) or ('database "' in text and "does not exist" in text)


def complete(database: Any, sql: str, values: Sequence[Any]) -> str:
    """A statement with its values in it, quoted as the driver would: for people to read or run.

    Args:
        database: A connected one that `peewee_database` made; it is not changed.
        sql: A statement with the database's marks (``database.param``).
        values: One for each mark.

    Raises:
        ValueError: there are more values than marks.
    """
    connection = database.connection()
    if isinstance(database, peewee.SqliteDatabase):
        return _complete_sqlite(connection, sql, values)
    if isinstance(database, peewee.MySQLDatabase):
        return str(connection.cursor().mogrify(sql, _mysql_values(values)))
    from psycopg import ClientCursor

    return str(ClientCursor(connection).mogrify(sql, values))


def _complete_sqlite(connection: Any, sql: str, values: Sequence[Any]) -> str:
    written = _sqlite_values(values)
    given = (connection.execute("SELECT quote(?)", (value,)).fetchone()[0] for value in written)
    text = _SQLITE_MARK.sub(lambda match: str(next(given)) if match[1] else match[0], sql)
    if next(given, None) is not None:
        raise ValueError(f"more values than places for them: {sql}")
    return text


def _postgresql(url: DatabaseURL) -> peewee.Database:
    require("psycopg", "postgres", purpose="migrations of postgresql:// databases")
    from psycopg.pq import Conninfo  # after the check that names the pip command

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT}
    options |= {key: value for key, value in url.options.items() if key in known}
    given = {"host": url.host, "port": url.port, "user": url.user, "password": url.password}
    options |= {key: value for key, value in given.items() if value is not None}
    return _Postgresql(url.database, prefer_psycopg3=True, field_types=_POSTGRESQL_TYPES, **options)


def _mysql(url: DatabaseURL) -> peewee.Database:
    require("pymysql", "mysql", purpose="migrations of mysql:// databases")
    from sanic_ms.db.drivers.mysql.tls import tls_context  # imports the pool as well

    # PyMySQL's own options would leave `ssl=1` out, ask for a pass phrase on the terminal, and not
    # hold the server to its certificate.
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "ssl": tls_context(url)}
    if "charset" in url.options:
        options["charset"] = url.options["charset"]
    if url.host.startswith("/"):
        options["unix_socket"] = url.host
    else:
        options |= {"host": url.host, "port": url.port}
    given = {"user": url.user, "password": url.password}
    options |= {key: value for key, value in given.items() if value is not None}
    return _MySQL(url.database, field_types=_MYSQL_TYPES, **options)
