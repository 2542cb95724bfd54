"""The error that another service's answer stands for. No input or output here.

An error keeps what the other service said: its status chooses the class, and code, message and
error are carried over. An answer that is neither our envelope nor problem details (RFC 9457) gives
an error of its status that says nothing but which call failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sanic_ms.exception import (
    FieldError,
    HTTPError,
    ServiceCallError,
    ValidationError,
    error_for_status,
)

__all__ = ["remote_error"]

_MAX_DOCUMENT = 65_536
"""Bytes: an error's document above this is not an explanation, and is not handed on."""

_MAX_RETRY_AFTER = 40


def remote_error(
    status: int, headers: Mapping[str, str], body: bytes, *, service: str, call: str
) -> HTTPError:
    """The exception for an answer with an error status.

    Args:
        status: The status of the answer; outside 400–599 the answer counts as not understood.
        headers: Its headers. Only ``Retry-After`` is carried over.
        body: Its body, whole.
        service: Who answered.
        call: Method and path, for texts.
    """
    if not 400 <= status <= 599:
        return ServiceCallError(f"{service} answered {call} with status {status}", service=service)
    document = _document(body)
    # Problem details name the same things differently; a status of their own is only advisory.
    message = _text(document.get("message")) or _text(document.get("title"))
    error = document.get("error", document.get("detail"))
    code = document.get("code")
    if type(code) is not int or code == 0:
        code = None
    if error is None and message is None:
        error = f"{service} answered {call} with status {status}"
    fields = _fields(document.get("errors"))
    kind = error_for_status(status)
    kept = _kept_headers(headers)
    exc: HTTPError
    if issubclass(kind, ValidationError):
        exc = ValidationError(fields, error, code, message, headers=kept)
    else:
        # A class of the tree may stand for a neighbouring status (499 has none of its own).
        exc = kind(error, code, message, status=status, headers=kept)
    exc.add_note(f"This is how {service} answered {call}.")
    return exc


def _document(body: bytes) -> dict[str, Any]:
    if len(body) > _MAX_DOCUMENT:
        return {}
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _fields(entries: object) -> list[FieldError]:
    """The wrong fields, whether written as our envelope or as RFC 9457 suggests (``pointer``)."""
    if not isinstance(entries, list):
        return []
    found = []
    for entry in entries:
        if isinstance(entry, dict):
            field = entry.get("field") or entry.get("pointer") or entry.get("name")
            message = entry.get("message") or entry.get("detail") or entry.get("reason")
            kind = _text(entry.get("type")) or "invalid"
            found.append(FieldError(str(field or "body"), str(message or "not valid"), kind))
    return found


def _kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    value = headers.get("Retry-After", "")
    if value and len(value) <= _MAX_RETRY_AFTER and value.isascii() and value.isprintable():
        return {"Retry-After": value}
    return {}
