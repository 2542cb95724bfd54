"""An object of an answer whose columns stand beside those of the row: what a JOIN selects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from sanic_ms.shapes.member import Row

__all__ = ["JoinedColumns"]


@dataclass(frozen=True, slots=True)
class JoinedColumns:
    """Gathers the columns of a row whose names begin alike: of ``city_id`` and ``city_name`` it
    makes ``{"id": …, "name": …}``.

    Args:
        prefix: The beginning, which the keys of the object do not have.
        is_nullable: Whether an object of nothing but None is None: a LEFT JOIN that found nothing.
    """

    prefix: str
    is_nullable: bool = False

    def __call__(self, row: Row) -> Any:
        """The object, and `msgspec.UNSET` where the row has no such column."""
        prefix, start = self.prefix, len(self.prefix)
        columns = {
            key[start:]: value
            for key, value in row.items()
            if isinstance(key, str) and key.startswith(prefix)
        }
        if not columns:
            return msgspec.UNSET
        if self.is_nullable and all(value is None for value in columns.values()):
            return None
        return columns
