"""The database of the models that have none.

Peewee asks ``model._meta.database`` when an expression is built (`Event.at.year`), when a query is
executed, and in between. A model that the pool serves has no database, and which one its query will
be written for is known only when a pool gets it. `install` therefore gives such models one object
in place of None: it answers with nodes that wait for the pool's database, and it executes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import peewee

from sanic_ms.db.builders import peewee_dialects as dialects
from sanic_ms.exception import StatementError

__all__ = ["UNBOUND", "UnboundDatabase", "install"]


class UnboundDatabase(peewee.Database):
    """A database that builds expressions and executes nothing."""

    context_class = dialects.PoolContext
    json_methods = dialects.DeferredJSONMethods

    def __repr__(self) -> str:
        return "<no database: queries are given to a pool>"

    def get_binary_type(self) -> Any:
        """The drivers take bytes."""
        return bytes

    def extract_date(self, date_part: str, date_field: Any) -> Any:
        """A part of a date or time."""
        return dialects.moment_part(date_part, date_field)

    def truncate_date(self, date_part: str, date_field: Any) -> Any:
        """The beginning of a year, month …"""
        return dialects.truncated(date_part, date_field)

    def to_timestamp(self, date_field: Any) -> Any:
        """The seconds since 1970."""
        return dialects.seconds_of(date_field)

    def from_timestamp(self, date_field: Any) -> Any:
        """The moment of so many seconds."""
        return dialects.moment_of(date_field)

    def random(self) -> Any:
        """A random number."""
        return dialects.DialectNode(lambda database: database.random())

    def default_values_insert(self, ctx: Any) -> Any:
        """A row of defaults alone."""
        return dialects.written_for(ctx).default_values_insert(ctx)

    def get_noop_select(self, ctx: Any) -> Any:
        """A query without rows."""
        return dialects.written_for(ctx).get_noop_select(ctx)

    def execute(self, query: Any, **context_options: Any) -> NoReturn:
        """Refuse.

        Raises:
            StatementError: always.
        """
        raise _refusal(query)

    def execute_sql(self, sql: str, params: Any = None) -> NoReturn:
        """Refuse, as `execute` does."""
        raise _refusal(sql)

    def connect(self, *args: Any, **options: Any) -> NoReturn:
        """Refuse, as `execute` does."""
        raise _refusal()

    connection = cursor = begin = commit = rollback = connect
    atomic = transaction = savepoint = manual_commit = batch_commit = connect
    table_exists = get_tables = get_indexes = get_columns = connect


def _refusal(query: Any = None) -> StatementError:
    model = getattr(query, "model", None)
    name = "this model" if model is None else f"the model {model.__name__}"
    return StatementError(
        f"{name} has no database of its own, so Peewee cannot execute anything: give the query to "
        "the pool, `await request.app.db.fetchrow(query)` (or fetch, fetchval, execute, insert). "
        "In a script, bind the models: `with peewee_database(url).bind_ctx([...]):`"
    )


UNBOUND: Final = UnboundDatabase(None)

_lock = threading.Lock()


def install() -> None:
    """Give `UNBOUND` to every model that has no database, and to those that are defined later. A
    model that is bound keeps its database, and one that is bound later gets it. A second call does
    nothing."""
    if isinstance(vars(peewee.Metadata).get("database"), property):
        return
    with _lock:
        peewee.Metadata.database = property(_database, _set_database)
        for model in _models(peewee.Model):
            if model._meta.database is UNBOUND:
                for hook in model._meta._db_hooks:  # JSON and BLOB fields
                    hook(UNBOUND)


def _database(meta: Any) -> Any:
    database = vars(meta).get("database")
    return UNBOUND if database is None else database


def _set_database(meta: Any, database: Any) -> None:
    vars(meta)["database"] = database


def _models(base: Any) -> Iterator[Any]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)
