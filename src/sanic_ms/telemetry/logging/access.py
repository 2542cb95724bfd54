"""The access log: one line for each answer, made so that the event loop has the least to do."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable
from typing import Any

import msgspec

from sanic_ms.telemetry.logging.line import Line, milliseconds, take
from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.tracing.export.log import SPAN_LOGGER
from sanic_ms.values.route import template_of

__all__ = ["Access", "AccessLog", "access_log", "take_any"]

_INFO = 20
_REQUEST_ID = re.compile(rb"\r\nx-request-id:[ \t]*([^\r\n]{1,128})", re.IGNORECASE)


class Access(msgspec.Struct, gc=False):
    """One answer, as the server saw it. Everything else is worked out by the thread that writes.

    Attributes:
        created: Seconds since the epoch.
        target: The request's target as it came.
        route: Sanic's route, None where none was found.
        status: The status, or a word for what happened instead of an answer.
        size: Bytes of the body, or a word where they are not known.
        duration: Seconds.
        client: The client's address; empty on a unix socket.
        request_id: The id where one is known.
        head: The request's head where it may hold an id that nobody has asked for, else None.
        ids: Those of trace and span, None outside of a trace.
    """

    created: float
    method: str
    target: bytes
    route: Any
    status: int | str
    size: int | str
    duration: float
    client: str
    request_id: Any = None
    head: bytes | None = None
    ids: tuple[str, str] | None = None

    def line(self, *, short: bool = False) -> Line:
        """The line; ``short`` is for a person, with the usual things in the message."""
        fields = self.fields()
        message = f"{self.method} {fields['path']} {self.status}"
        if short:
            message += f" {self.size} {fields['duration_ms']:g}ms"
            fields = {name: fields[name] for name in ("client_ip", "query") if name in fields}
        request_id = self.known_id()
        return Line(
            self.created, "INFO", _INFO, "sanic.access", message, self.ids, request_id, fields
        )

    def fields(self) -> dict[str, Any]:
        """What the line has beside the usual fields, without secrets."""
        path, route, duration, query = self.told()
        fields = {
            "method": self.method,
            "path": path,
            "route": route,
            "status": self.status,
            "bytes": self.size,
            "duration_ms": duration,
            "client_ip": self.client or None,
            "query": query,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def told(self) -> tuple[str, str | None, float, str | None]:
        """Path, template of the route, milliseconds and query, as the line has them."""
        path, _, query = self.target.decode("ascii", "backslashreplace").partition("?")
        return (
            redactor.path(path),
            None if self.route is None else _template(self.route),
            milliseconds(self.duration),
            redactor.query(query) if query else None,
        )

    def known_id(self) -> Any:
        """The request's id, None where there is none yet."""
        if self.request_id is None and self.head is not None:
            found = _REQUEST_ID.search(self.head)
            return found and found[1].decode(errors="backslashreplace").strip()
        return self.request_id

    def __str__(self) -> str:
        return self.line(short=True).message


_templates: dict[str, str] = {}  # by the route's path; a route itself has no hash


def _template(route: Any) -> str:
    known = _templates.get(route.path)
    if known is None:
        if len(_templates) >= 4096:
            _templates.clear()
        known = _templates[route.path] = template_of(route)
    return known


class AccessLog:
    """Which answers are logged, and the fast path to the writer.

    Attributes:
        ratio: The share of the answers that is logged, 0 to 1. Those with a status of 500 and above
            and slow ones are logged in any case.
        slow: Seconds from which an answer is slow.
        forwarded: Whether a proxy may say who the client is.
        put: Takes an `Access`; None where the application has its own logging, and each answer
            becomes a record of the logger ``sanic.access``.
    """

    __slots__ = ("forwarded", "put", "ratio", "slow")

    put: Callable[[Access], None] | None

    def __init__(self) -> None:
        self.use()

    def use(
        self,
        *,
        ratio: float = 1.0,
        slow: float = 1.0,
        forwarded: bool = True,
        put: Callable[[Access], None] | None = None,
    ) -> None:
        """Set all of it; what is not given gets its default."""
        self.ratio = ratio
        self.slow = slow
        self.forwarded = forwarded
        self.put = put

    def wants(self, status: int | str, duration: float) -> bool:
        """Whether an answer is logged."""
        return (
            self.ratio >= 1
            or (isinstance(status, int) and status >= 500)
            or duration >= self.slow
            or random.random() < self.ratio
        )


access_log = AccessLog()
"""The one of this process."""


def take_any(record: logging.LogRecord) -> Line | Access | str:
    """What a record tells: an `Access` where it is of the access log, the whole line where it is a
    span, else a `Line`."""
    if record.name == "sanic.access":
        args = record.args
        if isinstance(args, tuple) and args and isinstance(args[0], Access):
            return args[0]
        if hasattr(record, "request") and hasattr(record, "byte"):
            return _of_sanic(record)
    if record.name == SPAN_LOGGER:
        return record.getMessage()
    return take(record)


def _of_sanic(record: Any) -> Line:
    """The line of a record that Sanic's own protocol or a web socket has made."""
    method, _, url = record.request.replace("\N{ELECTRIC PLUG}", "").strip().rpartition(" ")
    url, _, query = url.partition("?")
    path = re.sub(r"^\w+://[^/]*", "", url) or "/"
    what = record.getMessage() or method
    line = take(record)
    line.message = " ".join(filter(None, (what, path, str(record.status))))
    client = str(record.host).rpartition(":")[0]
    duration = str(record.duration).strip().removesuffix("ms")
    line.extra = {
        "method": method or "WEBSOCKET",
        "path": redactor.path(path),
        "status": record.status,
        "bytes" if isinstance(record.byte, int) else "detail": record.byte,
        **({"duration_ms": float(duration)} if duration else {}),
        **({"client_ip": client} if client else {}),
        **({"query": redactor.query(query)} if query else {}),
    }
    return line
