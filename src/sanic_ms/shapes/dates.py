"""How an answer writes a moment or a day: a number since 1970, or text of a format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

__all__ = ["DateWriter"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"unix": timedelta(seconds=1), "unix_ms": timedelta(milliseconds=1)}
_EXAMPLE = datetime(2024, 5, 17, 10, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DateWriter:
    """Writes the moments, or the days, of one field.

    Args:
        format: ``"unix"`` (whole seconds), ``"unix_ms"`` (whole milliseconds), or one of
            `datetime.strftime`.
    """

    format: str

    @property
    def is_number(self) -> bool:
        """Whether it writes a number and not text."""
        return self.format in _UNITS

    @property
    def example(self) -> int | str:
        """What it writes of the 17th of May in 2024."""
        written: int | str = self(_EXAMPLE)
        return written

    def __call__(self, value: Any) -> Any:
        """What is written of a moment, of a day, or of the text of one in ISO 8601.

        A moment without a zone counts as UTC where a number is made of it. None stays, and so does
        a number that is to be one.

        Raises:
            TypeError: it is nothing of that.
            ValueError: the text is no ISO 8601.
        """
        if value is None:
            return None
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if not isinstance(value, date):
            if self.is_number and isinstance(value, (int, float)):
                return int(value)
            raise TypeError(f"{value!r} is no date that could be written as {self.format!r}")
        if not self.is_number:
            return value.strftime(self.format)
        if not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return (value - _EPOCH) // _UNITS[self.format]
