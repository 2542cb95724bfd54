"""The statement behind a database error, noted on it for the log and for the response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseError, DataError, DeadlineExceeded, StatementError

__all__ = ["note_statement"]

_LONGEST: Final = 2000  # characters of a statement's text that are noted


def note_statement(exc: BaseException, statement: Statement, args: Sequence[Any] = ()) -> None:
    """Note on a `DatabaseError` which statement has failed, and which of its integers did not fit;
    on a `StatementError` how placeholders are written, where the statement has other ones.

    Where the deadline of the request was over, the `QueryTimeout` that led to that has the note.
    Any other exception, and one that has its statement already, stays as it is.

    Args:
        exc: What the statement has raised.
        statement: The statement; the strings and numbers in its text are left out of the note.
        args: Its arguments.
    """
    if isinstance(exc, DeadlineExceeded) and exc.__cause__ is not None:
        exc = exc.__cause__
    if not isinstance(exc, DatabaseError) or exc.statement is not None:
        return
    shown = " ".join(statement.shown.split())
    exc.statement = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    if isinstance(exc, StatementError):
        exc.detail += statement.hint
    if isinstance(exc, DataError) and exc.bits is not None:
        exc.out_of_range = _out_of_range(exc, exc.bits, statement, args)


def _out_of_range(
    exc: DataError, bits: int, statement: Statement, args: Sequence[Any]
) -> tuple[int, ...]:
    """The integers that do not fit: of the argument or the column at fault where one is known, else
    all that are too large."""
    if exc.argument is not None:
        args = args[exc.argument - 1 : exc.argument]
    elif (
        exc.column is not None
        and (targets := statement.targets) is not None
        and all(isinstance(column, str) for _, column in targets.columns)
    ):
        meant = [number for number, column in targets.columns if column == exc.column]
        values = [args[number - 1] for number in meant if number <= len(args)]
        # Whatever its size, as the type of the column is not known: it may be a TINYINT.
        return tuple(value for value in values if isinstance(value, int))
    limit = 1 << (bits - 1)
    return tuple(value for value in args if isinstance(value, int) and not -limit <= value < limit)
