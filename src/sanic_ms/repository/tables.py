"""From a model of either library to its `Table`."""

from __future__ import annotations

import functools
import sys
from typing import Any

from sanic_ms.repository.table import Table

__all__ = ["table_of"]


@functools.lru_cache(maxsize=4096)
def table_of(model: Any) -> Table:
    """The table that a model describes: a Peewee model, a SQLAlchemy ``Table``, or a class of
    SQLAlchemy's ORM that has one.

    Raises:
        TypeError: it is none of these.
    """
    peewee, sqlalchemy = sys.modules.get("peewee"), sys.modules.get("sqlalchemy")
    if peewee is not None and isinstance(model, type) and issubclass(model, peewee.Model):
        from sanic_ms.repository.peewee_table import PeeweeTable  # imports the library

        return PeeweeTable(model)
    table = getattr(model, "__table__", model)
    if sqlalchemy is not None and isinstance(table, sqlalchemy.Table):
        from sanic_ms.repository.sqlalchemy_table import SQLAlchemyTable  # the same

        return SQLAlchemyTable(table)
    raise TypeError(f"a repository is for a Peewee model or a SQLAlchemy Table, not {model!r}")
