"""What to say when a migration raises: where, at which statement, and what of it stays."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee

from sanic_ms.exception import MigrationFailed

__all__ = ["NOT_TRANSACTIONAL", "described", "explained", "place"]

NOT_TRANSACTIONAL = "MySQL cannot roll back changes of tables"
_READS = re.compile(r"\s*(SELECT|SHOW|DESCRIBE|PRAGMA|SAVEPOINT|RELEASE|ROLLBACK)\b", re.IGNORECASE)
_LONGEST_STATEMENT = 300


def place(file: str | Path, exc: BaseException) -> str:
    """``file:line`` of the deepest frame in a file; the file alone if none is."""
    line = _line(file, exc)
    return str(file) if line is None else f"{file}:{line}"


def _line(file: str | Path, exc: BaseException) -> int | None:
    path = Path(file).resolve()
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        if Path(frame.filename).resolve() == path:
            return frame.lineno
    return None


def _origin(file: str | Path, exc: BaseException) -> BaseException:
    """The exception that the file raised: where the connection is lost, the rollback fails as
    well, and its exception hides the first one."""
    current: BaseException | None = exc
    while current is not None:
        if _line(file, current) is not None:
            return current
        current = current.__context__
    return exc


def described(exc: BaseException) -> str:
    """An exception as one line: its kind and text."""
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


@contextlib.contextmanager
def explained(
    database: Any, file: str | Path, record: type[peewee.Model], *, kept: str | None
) -> Iterator[None]:
    """Turn what the block raises into `MigrationFailed`.

    Args:
        database: Where the block's statements run; they are watched.
        file: The file of the migration.
        record: The model of the table that notes applied migrations; statements about it are
            not the migration's own.
        kept: Why what the block has changed is not rolled back; None if it is.
    """
    ran: list[str] = []
    failed: list[str] = []
    table = record._meta.table_name

    def watch(event: peewee.QueryEvent) -> None:
        if event.exception is not None:
            failed.append(event.sql)
        elif not _READS.match(event.sql) and table not in event.sql:
            ran.append(event.sql)

    database.query_hooks.append(watch)
    try:
        yield
    except Exception as exc:
        origin = _origin(file, exc)
        text = f"{place(file, origin)}: {described(origin)}"
        if failed and isinstance(origin, peewee.PeeweeException):
            text += f"; the statement was: {_shortened(failed[-1])}"
        raise MigrationFailed(f"{text}. {_aftermath(ran, kept)}") from exc
    finally:
        database.query_hooks.remove(watch)


def _aftermath(ran: list[str], kept: str | None) -> str:
    again = "It is not recorded and will be tried again."
    if not ran:
        return f"Nothing of it was changed. {again}"
    if kept is None:
        return f"It was rolled back. {again}"
    statements = "; ".join(map(_shortened, ran))
    return (
        f"What it had changed stays ({kept}), and must be undone by hand or allowed for in the "
        f"file: {statements}. {again}"
    )


def _shortened(sql: str) -> str:
    line = " ".join(sql.split())
    if len(line) <= _LONGEST_STATEMENT:
        return line
    return f"{line[: _LONGEST_STATEMENT - 1]}…"
