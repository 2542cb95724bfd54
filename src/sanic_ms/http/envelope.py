"""The one form of every answer: how success and error look, and how the document draws them.

An application changes it in one place: ``ENVELOPE=off``, ``ENVELOPE=problem``, or an instance of
its own subclass, ``Service("name", envelope=MyEnvelope())``.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any

import msgspec
from sanic.request import Request

from sanic_ms.exception import HTTPError, ValidationError
from sanic_ms.http.translation import ErrorText, Translate
from sanic_ms.shapes import ENCODER

__all__ = [
    "Envelope",
    "PlainEnvelope",
    "ProblemEnvelope",
    "around_data",
    "named_envelope",
    "translation_of",
]

log = logging.getLogger("sanic_ms.http")

_BEFORE, _AFTER = b'{"code":0,"data":', b"}"

_FIELD_ERRORS: dict[str, Any] = {
    "type": "array",
    "description": "every field that is not valid",
    "items": {
        "type": "object",
        "properties": {
            "field": {"type": "string", "description": "path of the field: items[2].price"},
            "message": {"type": "string"},
            "type": {"type": "string", "description": "a word for a program: missing, too_long"},
        },
        "required": ["field", "message", "type"],
    },
}

_PAGINATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "page": {"type": "integer"},
        "page_size": {"type": "integer"},
        "total": {"type": "integer", "description": "rows in the whole list"},
        "pages": {"type": "integer", "description": "pages in the whole list"},
    },
    "required": ["page", "page_size", "total", "pages"],
}


class Envelope:
    """``{"code": 0, "data": …}``, and ``{"code": 10404, "message": …, "error": …}`` for errors.

    Subclass it to give answers a form of your own: override `success`, `success_page` and `error`,
    and with them `success_schema` and `error_schema`, which the document shows. Override
    `translate` to give the texts of errors in another language.
    """

    content_type = "application/json"
    error_content_type = "application/json"

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if inspect.iscoroutinefunction(cls.translate):
            raise TypeError(f"{cls.__qualname__}.translate: write `def`, not `async def`")

    def translate(self, error: ErrorText, request: Request | None) -> str:
        """One text of an error's response, in the caller's language. Default: as it is.

        It is called for the message and the sentence of each error that is answered, and for each
        entry of ``errors``, before `error` writes them. Where it raises, that is logged and the
        texts are sent as they are.

        Args:
            error: The text, and what identifies it.
            request: The request. One whose head could not be read has the method ``NONE`` and no
                headers. None where there is none: a connection was turned away.
        """
        return error.message

    def success(self, data: Any) -> bytes:
        """The body of an answer with data."""
        return b"%b%b%b" % (_BEFORE, ENCODER.encode(data), _AFTER)

    def success_page(self, data: Any, pagination: Any) -> bytes:
        """The body of an answer with rows and the pagination beside them."""
        rows, page = ENCODER.encode(data), ENCODER.encode(pagination)
        return b'{"code":0,"data":' + rows + b',"pagination":' + page + b"}"

    def error(self, exc: HTTPError, trace_id: str | None = None) -> bytes:
        """The body of an error's answer.

        Args:
            exc: The error. Only its ``code``, ``message``, ``error``, ``errors`` and ``context``
                may show.
            trace_id: The request's trace, where it has one.
        """
        body: dict[str, Any] = {"code": exc.code, "message": exc.message}
        if exc.error is not None:
            body["error"] = exc.error
        return _encode_error(body, exc, trace_id)

    def success_schema(self, data: dict[str, Any] | None, paginated: bool) -> dict[str, Any]:
        """JSON Schema of `success` around the schema of the data (None: nothing is said of it)."""
        properties: dict[str, Any] = {
            "code": {"type": "integer", "const": 0},
            "data": {} if data is None else data,
        }
        required = ["code", "data"]
        if paginated:
            properties["pagination"] = _PAGINATION
            required.append("pagination")
        return {"type": "object", "properties": properties, "required": required}

    def error_schema(self, validation: bool) -> dict[str, Any]:
        """JSON Schema of `error`; with ``validation`` that of a `ValidationError`."""
        properties: dict[str, Any] = {
            "code": {"type": "integer", "description": "10000 + status, or the application's own"},
            "message": {"type": "string"},
            "error": {"description": "what went wrong"},
            "trace_id": {"type": "string"},
        }
        required = ["code", "message"]
        if validation:
            properties["errors"] = _FIELD_ERRORS
            required.append("errors")
        return {"type": "object", "properties": properties, "required": required}


class PlainEnvelope(Envelope):
    """No envelope: the data is the body. Errors keep their form. (``ENVELOPE=off``)

    A page is ``{"data": …, "pagination": …}``, as it has to stand somewhere.
    """

    def success(self, data: Any) -> bytes:
        return ENCODER.encode(data)

    def success_page(self, data: Any, pagination: Any) -> bytes:
        return ENCODER.encode({"data": data, "pagination": pagination})

    def success_schema(self, data: dict[str, Any] | None, paginated: bool) -> dict[str, Any]:
        schema = {} if data is None else data
        if not paginated:
            return schema
        return {
            "type": "object",
            "properties": {"data": schema, "pagination": _PAGINATION},
            "required": ["data", "pagination"],
        }


class ProblemEnvelope(PlainEnvelope):
    """Data as it is, errors as RFC 9457 problem details. (``ENVELOPE=problem``)

    ``title`` is the error's message, ``detail`` its error where that is text; ``code``, ``errors``
    and ``trace_id`` are extension members.
    """

    error_content_type = "application/problem+json"

    def error(self, exc: HTTPError, trace_id: str | None = None) -> bytes:
        body: dict[str, Any] = {"title": exc.message, "status": exc.status, "code": exc.code}
        if isinstance(exc.error, str):
            body["detail"] = exc.error
        elif exc.error is not None:
            body["error"] = exc.error
        return _encode_error(body, exc, trace_id)

    def error_schema(self, validation: bool) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "integer"},
            "detail": {"type": "string"},
            "error": {"description": "what went wrong, where it is more than a sentence"},
            "trace_id": {"type": "string"},
        }
        required = ["title", "status", "code"]
        if validation:
            properties["errors"] = _FIELD_ERRORS
            required.append("errors")
        return {"type": "object", "properties": properties, "required": required}


def _encode_error(body: dict[str, Any], exc: HTTPError, trace_id: str | None) -> bytes:
    if isinstance(exc, ValidationError):
        body["errors"] = [
            {"field": entry.field, "message": entry.message, "type": entry.type}
            for entry in exc.errors
        ]
    if exc.context is not None:
        body["context"] = exc.context
    if trace_id is not None:
        body["trace_id"] = trace_id
    try:
        return ENCODER.encode(body)
    except (TypeError, ValueError, msgspec.MsgspecError):
        # Whatever stands in the error, the caller still gets an answer: text that came in as bytes
        # which are no UTF-8 with marks in their place, objects not at all.
        log.warning("an error of %s cannot be written as JSON", type(exc).__name__)
        return ENCODER.encode(_printable(body))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value if isinstance(value, int | float) else None


def around_data(envelope: Envelope) -> tuple[bytes, bytes] | None:
    """What stands before and after the data in the body of a success; None where a subclass writes
    it in a way of its own."""
    success = getattr(envelope.success, "__func__", None)
    if success is _PLAIN:
        return b"", b""
    return (_BEFORE, _AFTER) if success is _USUAL else None


_USUAL, _PLAIN = Envelope.success, PlainEnvelope.success


def translation_of(envelope: Envelope) -> Translate | None:
    """The envelope's `translate`; None where that gives each text as it is."""
    translate = envelope.translate
    return None if getattr(translate, "__func__", None) is Envelope.translate else translate


def named_envelope(name: str) -> Envelope:
    """The envelope of the setting ``ENVELOPE``: ``default``, ``off`` or ``problem``.

    Raises:
        KeyError: there is none of that name.
    """
    return {"default": Envelope, "off": PlainEnvelope, "problem": ProblemEnvelope}[name]()
