"""The texts of an error's response in another language: what `Envelope.translate` is given."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sanic.request import Request

from sanic_ms.exception import FieldError, HTTPError, ValidationError

__all__ = ["ErrorText", "Translate", "translated"]

log = logging.getLogger("sanic_ms.http")

Translate = Callable[["ErrorText", Request | None], str]


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorText:
    """One text of an error's response.

    Attributes:
        message: The text, in English.
        part: Where it stands: ``"message"``, the short name of the error; ``"error"``, the sentence
            that says what went wrong; ``"field"``, the message of an entry of ``errors``.
        type: A word that stays when the text changes. Of an entry its ``type``: ``too_long``. Of
            the message the name of the error's class in small letters: ``not_found``; of the
            sentence the same with ``_detail`` behind it.
        code: The error's code.
        status: The HTTP status.
        field: Of an entry the path of the field; else None.
        params: The values that the text mentions: ``{"limit": 3}``. See ``docs/errors.md``.
        exception: The error itself, with the attributes of the application's own class.
    """

    message: str
    part: Literal["message", "error", "field"]
    type: str
    code: int
    status: int
    exception: HTTPError
    field: str | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def translated(error: HTTPError, translate: Translate, request: Request | None) -> HTTPError:
    """A copy of an error with its texts translated.

    Args:
        error: The error; it is not changed.
        translate: `Envelope.translate`.
        request: The request; None where none could be read.

    Where a translation raises, or gives what is no text, that is logged and the error itself
    comes back.
    """
    try:
        return _translated(error, translate, request)
    except Exception:
        log.exception("Envelope.translate failed for %s; its texts are sent as they are", error)
        return error


def _translated(error: HTTPError, translate: Translate, request: Request | None) -> HTTPError:
    word = _word(type(error).__name__)
    entries = error.errors if isinstance(error, ValidationError) else ()
    params = {"count": len(entries)} if entries else {}

    def text(part: Literal["message", "error"], message: str, type_: str) -> str:
        source = ErrorText(message, part, type_, error.code, error.status, error, params=params)
        return _checked(translate(source, request))

    def entry(wrong: FieldError) -> FieldError:
        source = ErrorText(
            wrong.message,
            "field",
            wrong.type,
            error.code,
            error.status,
            error,
            wrong.field,
            wrong.params or {},
        )
        return wrong._replace(message=_checked(translate(source, request)))

    made = copy.copy(error)
    made.message = text("message", error.message, word)
    if isinstance(error.error, str):
        made.error = text("error", error.error, f"{word}_detail")
    if isinstance(made, ValidationError):
        made.errors = tuple(map(entry, entries))
    return made


def _checked(text: Any) -> str:
    if isinstance(text, str):
        return text
    if inspect.iscoroutine(text):
        text.close()
    raise TypeError(f"Envelope.translate returned {text!r}, which is no text")


def _word(name: str) -> str:
    """``URITooLong`` as ``uri_too_long``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
