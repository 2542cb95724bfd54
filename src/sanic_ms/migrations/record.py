"""``@info``, and the table that remembers which ``migrate_*`` methods have run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date
from datetime import datetime as clock
from typing import Any, TypeVar

import peewee

from sanic_ms.exception import MigrationError

__all__ = [
    "FORMER_TABLE",
    "TABLE",
    "Info",
    "Step",
    "former_versions",
    "info",
    "record_model",
    "steps_of",
]

TABLE = "migrate_record"
FORMER_TABLE = "migration_record"
"""The table of the first generation, which knows methods by the version alone."""
_MARK = "__migration_info__"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Info:
    """What ``@info`` says of a method."""

    version: str
    author: str = ""
    datetime: str = ""

    @property
    def order(self) -> tuple[int, ...]:
        """The version's numbers: 0.10 comes after 0.9, and v2 after v1."""
        return tuple(map(int, re.findall(r"\d+", self.version)))


@dataclass(frozen=True, slots=True)
class Step:
    """A ``migrate_*`` method of a class."""

    name: str
    info: Info


def info(
    version: str | float, author: str = "", datetime: str | date | None = None
) -> Callable[[F], F]:
    """Mark a ``migrate_*`` method, which then runs once in each database.

    Args:
        version: Decides the order: ``"0.1"``, ``"0.2"``, ``"0.10"``; methods of the same version
            run as they stand in the class.
        author, datetime: Who wrote it and when, for the record.

    Raises:
        ValueError: there is no number in the version.
    """
    made = Info(str(version), author, "" if datetime is None else str(datetime))
    if not made.order:
        raise ValueError(f"@info(version={version!r}): a version has a number in it, like '0.1'")

    def mark(function: F) -> F:
        setattr(function, _MARK, made)
        return function

    return mark


def steps_of(cls: type) -> list[Step]:
    """The ``migrate_*`` methods of a class and its bases, in the order in which they run.

    Raises:
        MigrationError: one is not marked with ``@info``.
    """
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        names |= dict.fromkeys(name for name in vars(base) if name.startswith("migrate_"))
    steps = []
    for name in names:
        method = getattr(cls, name)
        found = getattr(method, _MARK, None)
        if found is None and callable(method):
            raise MigrationError(
                f'{cls.__name__}.{name} has no @info: write @info(version="0.1") above it'
            )
        if found is not None:
            steps.append(Step(name, found))
    return sorted(steps, key=lambda step: step.info.order)


def record_model(target: peewee.Database) -> Any:
    """The model of the table ``migrate_record``, bound to a database; the table is made if need be.

    A row stands for one method: its ``table_name``, the ``migration`` class, the method's ``name``,
    and what ``@info`` says.
    """

    class MigrateRecord(peewee.Model):
        table_name = peewee.CharField(max_length=128)
        migration = peewee.CharField(max_length=128)
        name = peewee.CharField(max_length=128)
        version = peewee.CharField(max_length=64)
        author = peewee.CharField(max_length=128)
        datetime = peewee.CharField(max_length=64)
        applied_at = peewee.DateTimeField(default=lambda: clock.now(UTC).replace(tzinfo=None))

        class Meta:
            database = target
            table_name = TABLE
            indexes = ((("table_name", "name"), True),)

    model: Any = MigrateRecord
    if not model.table_exists():
        model.create_table()
    return model


def former_versions(target: peewee.Database, table: str) -> set[str]:
    """The versions of a table's methods that the first generation has run; none where it has left
    no record, or a table of that name is something else."""
    if FORMER_TABLE not in target.get_tables():
        return set()
    columns = {column.name for column in target.get_columns(FORMER_TABLE)}
    if not {"table", "version"} <= columns:
        return set()
    former: Any = peewee.Table(FORMER_TABLE, ["table", "version"]).bind(target)
    return {row["version"] for row in former.select(former.version).where(former.table == table)}
