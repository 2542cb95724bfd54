"""What a handler returns besides its data: ``return data, 201``, ``return data, 201, headers``."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from sanic_ms.exception import HTTPError, UnprocessableEntity, error_for_status

__all__ = ["has_status", "is_tuple", "returned_error"]


def has_status(value: tuple[Any, ...]) -> bool:
    """Whether a tuple of two or three is data and a status (200 to 599), or these and headers."""
    status = value[1]
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        return False
    return len(value) == 2 or isinstance(value[2], Mapping)


def is_tuple(shape: Any) -> bool:
    """Whether a shape says that the data itself is a tuple."""
    kind = typing.get_origin(shape) or shape
    return isinstance(kind, type) and issubclass(kind, tuple)


def returned_error(status: int, data: Any, headers: Mapping[str, str]) -> HTTPError:
    """The error that a handler means with a status from 400 up: the data is what went wrong."""
    cls = UnprocessableEntity if status == 422 else error_for_status(status)
    return cls(data, status=status, headers=headers)
