"""SQL functions that the other databases have and SQLite has not: ``date_part``, ``date_trunc``,
and ``regexp`` behind its operator of that name. Peewee writes them, and SQL text may, too.

Moments are those of the columns: text, in UTC where it does not say otherwise.
"""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, date, datetime, time
from typing import Any, Final

import msgspec

__all__ = ["add_functions"]

_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")
_LOWEST: Final = {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0}


def add_functions(raw: sqlite3.Connection) -> None:
    """Have a connection know these functions."""
    raw.create_function("date_part", 2, _date_part, deterministic=True)
    raw.create_function("date_trunc", 2, _date_trunc, deterministic=True)
    raw.create_function("regexp", 2, _regexp, deterministic=True)
    # By the name that Peewee calls it: there is no such function elsewhere.
    raw.create_function("_pw_json_contains", 2, _json_contains, deterministic=True)


def _moment(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.combine(date(1970, 1, 1), time.fromisoformat(text))
        except ValueError:
            return None
    try:
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None


def _date_part(part: str, text: Any) -> int | None:
    """A part of a date, a time or a moment, as a whole number."""
    if part not in _PARTS:
        raise ValueError(f"date_part has no {part!r}: {', '.join(_PARTS)}")
    moment = _moment(text)
    number: int | None = None if moment is None else getattr(moment, part)
    return number


def _date_trunc(part: str, text: Any) -> str | None:
    """The beginning of the year, month … of a moment."""
    if part not in _PARTS:
        raise ValueError(f"date_trunc has no {part!r}: {', '.join(_PARTS)}")
    moment = _moment(text)
    if moment is None:
        return None
    kept = _PARTS[: _PARTS.index(part) + 1]
    lowest = {name: value for name, value in _LOWEST.items() if name not in kept}
    return moment.replace(**lowest).isoformat(" ", "microseconds")  # type: ignore[arg-type]


def _regexp(pattern: Any, text: Any) -> bool | None:
    """Whether a part of a text matches; ``text REGEXP pattern``."""
    if pattern is None or text is None:
        return None
    return re.search(str(pattern), str(text)) is not None


def _json_contains(document: Any, part: Any) -> bool | None:
    """Whether a JSON document contains another one, as PostgreSQL's ``@>`` does."""
    if document is None or part is None:
        return None
    try:
        return _contains(msgspec.json.decode(document), msgspec.json.decode(part))
    except (msgspec.DecodeError, TypeError, RecursionError):
        return None


def _contains(document: Any, part: Any) -> bool:
    if isinstance(document, list) and not isinstance(part, dict | list):
        return any(_equal(item, part) for item in document)
    return _within(document, part)


def _within(document: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(document, dict) and all(
            name in document and _within(document[name], value) for name, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(document, list) and all(
            any(_within(item, wanted) for item in document) for wanted in part
        )
    return _equal(document, part)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
