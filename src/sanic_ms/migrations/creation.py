"""Making the database itself, before there is anything to migrate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import peewee

from sanic_ms.exception import ConfigError, DatabaseUnavailable
from sanic_ms.migrations.runner import opened
from sanic_ms.values import DatabaseURL

__all__ = ["create_database", "server_of"]

# What every server has, to be connected to while others are made and dropped.
_ALWAYS_THERE = {"postgresql": "postgres", "mysql": "information_schema", "sqlite": ""}
_EXISTS = {
    "postgresql": "SELECT 1 FROM pg_database WHERE datname = %s",
    "mysql": "SELECT 1 FROM schemata WHERE schema_name = %s",
}


def server_of(url: DatabaseURL) -> DatabaseURL:
    """The same server, with the database that it always has: not a table of one's own is there."""
    return replace(url, database=_ALWAYS_THERE.get(url.scheme, ""))


def create_database(url: str | DatabaseURL) -> bool:
    """Make the database that a URL names: a file of SQLite, else with ``CREATE DATABASE``.

    On PostgreSQL it has the encoding and the locale of the server's template, on MySQL utf8mb4.

    Args:
        url: As `DatabaseURL.parse` reads it. Its user must be allowed to make databases, and on
            PostgreSQL to connect to the database ``postgres``.

    Returns:
        Whether it was made; False where it was there.

    Raises:
        ConfigError: the URL names no database.
        DatabaseUnavailable: the server cannot be reached, or refuses it. One line, without the
            password.
        ValueError: it is not a database URL.
    """
    parsed = DatabaseURL.parse(url)
    if not parsed.database:
        raise ConfigError(f"{parsed.masked} names no database")
    if parsed.scheme == "sqlite":
        return _create_file(parsed)
    with opened(server_of(parsed)) as database:
        if _exists(database, parsed):
            return False
        execute: Any = database.execute_sql
        quote = database.quote[0]
        name = parsed.database.replace(quote, quote * 2)
        encoding = " CHARACTER SET utf8mb4" if parsed.scheme == "mysql" else ""
        try:
            execute(f"CREATE DATABASE {quote}{name}{quote}{encoding}")
        except peewee.PeeweeException as exc:
            if _exists(database, parsed):  # another process was quicker
                return False
            text = " ".join(str(exc).split())
            raise DatabaseUnavailable(f"cannot create {parsed.masked}: {text}") from exc
    return True


def _exists(database: peewee.Database, url: DatabaseURL) -> bool:
    execute: Any = database.execute_sql
    return execute(_EXISTS[url.scheme], (url.database,)).fetchone() is not None


def _create_file(url: DatabaseURL) -> bool:
    path = Path(url.database)
    if url.database == ":memory:" or path.exists():
        return False
    with opened(url) as database:
        execute: Any = database.execute_sql
        execute("VACUUM")  # SQLite makes its file with the first write
    return True
