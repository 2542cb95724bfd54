"""From a statement of any kind to what a pool runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from sanic_ms.db.builders.query import BuiltQuery
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.exception import StatementError

__all__ = ["build", "prepare_peewee"]


def build(
    statement: object, args: Sequence[Any], dialect: Dialect, *, mariadb: bool = False
) -> BuiltQuery:
    """What a pool runs for a statement of any kind.

    Args:
        statement: SQL text, a Peewee query, or a SQLAlchemy Core statement.
        args: The values of a text.
        dialect: Of the pool's database.
        mariadb: It is MariaDB, whose JSON differs from MySQL's.

    Raises:
        StatementError: it is nothing of these, cannot be written for this database, or came with
            values beside its own.
    """
    if isinstance(statement, str):
        return BuiltQuery(str(statement), args)
    built: BuiltQuery | None = None
    peewee = sys.modules.get("peewee")
    sqlalchemy = sys.modules.get("sqlalchemy")
    if peewee is not None and isinstance(statement, peewee.BaseQuery):
        from sanic_ms.db.builders.peewee_query import compile_peewee  # imports the library

        built = compile_peewee(statement, dialect, mariadb=mariadb)
    elif sqlalchemy is not None and isinstance(statement, sqlalchemy.ClauseElement):
        from sanic_ms.db.builders.sqlalchemy_query import compile_sqlalchemy  # the same

        built = compile_sqlalchemy(statement, dialect)
    if built is None:
        raise StatementError(
            "a statement is SQL text, a Peewee query or a SQLAlchemy Core statement, not "
            f"{type(statement).__module__}.{type(statement).__qualname__}"
        )
    if args:
        raise StatementError(
            "a query brings its own values: give no arguments beside it, or write SQL text"
        )
    return built


def prepare_peewee() -> None:
    """Where Peewee is in use, have models without a database answer what Peewee asks it. A second
    call does nothing."""
    if "peewee" in sys.modules:
        from sanic_ms.db.builders.peewee_unbound import install  # imports the library

        install()
