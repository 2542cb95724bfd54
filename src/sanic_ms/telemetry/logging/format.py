"""The two forms of a log line: JSON for machines, one line of text for people."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import time
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

import msgspec

from sanic_ms.telemetry.logging.access import Access, take_any
from sanic_ms.telemetry.logging.called import Called, CallSite
from sanic_ms.telemetry.logging.line import Line, milliseconds
from sanic_ms.telemetry.logging.writer import renew_after_fork
from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.stacks import format_exception
from sanic_ms.telemetry.tracing.attributes import is_plain_path

__all__ = ["JSONFormatter", "LineFormatter", "TextFormatter", "make_formatter"]

_LONGEST_STACK = 32_000
_MOST_KEPT = 4096  # functions, and kinds of answers, whose lines are remembered

# Control characters, and those that change the direction or the end of a line on a screen.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# JSON escapes the first of them itself.
_BEYOND_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(match: re.Match[str]) -> str:
    letter = match[0]
    code = ord(letter)
    return _SHORT.get(letter) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


class LineFormatter(logging.Formatter):
    """What both forms have in common; it can be used with any handler of the standard library.

    Args:
        service: The name of the service, for the lines.
    """

    def __init__(self, service: str = "") -> None:
        super().__init__()
        self.service = service
        self._second = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record. A span is JSON already, and that alone is its line."""
        taken = take_any(record)
        return taken if isinstance(taken, str) else self.render(taken)

    def render(self, line: Line | Access | Called) -> str:
        """The text of what a `QueuedHandler` has taken."""
        raise NotImplementedError

    def _stack(self, line: Line) -> str:
        """The stack of an exception, or the one that was asked for; "" where there is none."""
        stack = ""
        if line.exception is not None:
            stack = format_exception(*line.exception[1:]).rstrip("\n")
        if line.stack:
            stack = f"{stack}\n{line.stack}" if stack else line.stack
        if len(stack) > _LONGEST_STACK:  # its end says what happened
            stack = f"…{stack[-_LONGEST_STACK:]}"
        return redactor.text(stack)


class JSONFormatter(LineFormatter):
    """One JSON object a line, as Elasticsearch and its like take it.

    ``@timestamp`` (RFC 3339, UTC, milliseconds), ``level``, ``logger``, ``message``, ``service``,
    ``host``, ``pid``; where known ``trace_id``, ``span_id``, ``request_id`` and ``exception``
    (``type``, ``message``, ``stack``); then what was given as ``extra``. An extra field with one of
    these names gets ``extra.`` before it.
    """

    def __init__(self, service: str = "") -> None:
        super().__init__(service)
        self._host = socket.gethostname()
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        self._moment = (-1, "")
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Everything that belongs to one process."""
        self._pid = os.getpid()  # a system call: not for each line
        self._calls: dict[CallSite, tuple[str, ...]] = {}
        self._answers: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def ids(self, ids: tuple[str, str], request_id: Any) -> str:
        """The part that all lines of one request have in common, for `call`."""
        trace_id, span_id = ids  # digits, with nothing to escape, as a UUID is
        if request_id is None:
            return f'"trace_id":"{trace_id}","span_id":"{span_id}"'
        if type(request_id) is UUID:
            written = self._encoder.encode(request_id).decode()
        else:
            written = self._encode(_written_id(request_id))
        return f'"trace_id":"{trace_id}","span_id":"{span_id}","request_id":{written}'

    def call(self, site: CallSite, created: float, duration: float, ids: str) -> str:
        """The text of a `Called` that went well and has no arguments, without the object: what
        `render` would give.

        Args:
            created: Seconds since the epoch.
            duration: Seconds.
            ids: What `ids` gave.
        """
        try:
            start, middle, end, last = self._calls[site]
        except KeyError:
            start, middle, end, last = self._learn(site)
        moment, text = self._moment
        if moment != int(created * 1000):
            text = self._time(created)
        said, exact = _milliseconds(round(duration * 1_000_000))
        return f'{{"@timestamp":"{text}{start}{said}{middle}{ids}{end}{exact}{last}'

    def _learn(self, site: CallSite) -> tuple[str, ...]:
        """The parts of a call's line that never change, cut out of one made as any other."""
        ids, ms = ("trace", "span"), 8191.131
        text = self.render(Called(site, 0.0, ms / 1000, "ok", ids=ids, request_id="request"))
        before, _, after = text.partition(self.ids(ids, "request"))
        start, _, middle = before.rpartition(f"{ms:g}")
        end, _, last = after.rpartition(f"{ms}")
        if len(self._calls) >= _MOST_KEPT:  # functions that are made again and again
            self._calls.clear()
        start = start.removeprefix(f'{{"@timestamp":"{self._time(0.0)}')
        known = self._calls[site] = start, middle, end, last
        return known

    def render(self, line: Line | Access | Called) -> str:
        if type(line) is Called:
            site = line.site
            fields = self._usual(
                line.created, site.level, site.logger, line.message(), line.ids, line.request_id
            )
            fields.update(line.fields())
            if self.service and "category" not in fields:
                fields["category"] = self.service
            return self._encode(fields)
        if type(line) is Access:
            return self._answer(line)
        assert isinstance(line, Line)
        message = redactor.text(line.message)
        fields = self._usual(
            line.created, line.level, line.logger, message, line.ids, line.request_id
        )
        if line.exception is not None:
            kind, error, _ = line.exception
            fields["exception"] = {
                "type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
                "message": redactor.value("", error),
                "stack": self._stack(line),
            }
        elif line.stack:
            fields["stack"] = self._stack(line)
        if line.extra:
            for name, value in line.extra.items():
                key = f"extra.{name}" if name in fields or name in _RESERVED else name
                fields[key] = redactor.value(name, value) if type(value) is str else value
        return self._encode(fields)

    def _answer(self, line: Access) -> str:
        """The text of an access line: what is its own, between the parts that never change."""
        route = line.route
        kind = line.method, None if route is None else route.path, line.status
        try:
            start, middle, before_path, after = self._answers[kind]
        except KeyError:
            start, middle, before_path, after = self._learn_answer(kind, line)
        target, query = line.target, None
        if is_plain_path(target):
            path = target.decode()
        else:
            shown, _, _, query = line.told()
            path = self._encode(shown)[1:-1]
        ids, request_id = line.ids, line.known_id()
        if ids is not None:
            middle += self.ids(ids, request_id) + ","
        elif request_id is not None:
            middle += f'"request_id":{self._encode(_written_id(request_id))},'
        moment, time = self._moment
        if moment != int(line.created * 1000):
            time = self._time(line.created)
        end = _AccessEnd(line.size, milliseconds(line.duration), line.client or None, query)
        return (
            f'{{"@timestamp":"{time}{start}{path}{middle}{before_path}{path}{after}'
            f"{self._encode(end)[1:]}"
        )

    def _learn_answer(self, kind: Any, line: Access) -> tuple[str, ...]:
        """The parts of an access line that never change, cut out of one made as any other."""
        path, ids = "/5a4e1c0a-path", ("trace", "span")
        text = self._access(
            Access(
                0.0, line.method, path.encode(), line.route, line.status, 0, 0.0, "",
                request_id="request", ids=ids,
            )
        )  # fmt: skip
        rest = text.removeprefix(f'{{"@timestamp":"{self._time(0.0)}')
        rest = rest.removesuffix(self._encode(_AccessEnd(0, 0.0))[1:])
        start, _, rest = rest.partition(path)
        middle, _, rest = rest.partition(f"{self.ids(ids, 'request')},")
        before_path, _, after = rest.partition(path)
        if len(self._answers) >= _MOST_KEPT:
            self._answers.clear()
        known = self._answers[kind] = start, middle, before_path, after
        return known

    def _access(self, line: Access) -> str:
        path, route, duration, query = line.told()
        trace_id, span_id = line.ids or (None, None)
        return self._encode(
            _AccessLine(
                self._time(line.created),
                "INFO",
                "sanic.access",
                f"{line.method} {path} {line.status}",
                self.service,
                self._host,
                self._pid,
                trace_id,
                span_id,
                _written_id(line.known_id()),
                line.method,
                path,
                route,
                line.status,
                line.size,
                duration,
                line.client or None,
                query,
            )
        )

    def _usual(
        self,
        created: float,
        level: str,
        logger: str,
        message: str,
        ids: tuple[str, str] | None,
        request_id: Any,
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "@timestamp": self._time(created),
            "level": level,
            "logger": logger,
            "message": message,
            "service": self.service,
            "host": self._host,
            "pid": self._pid,
        }
        _add_ids(fields, ids, request_id)
        return fields

    def _encode(self, fields: Any) -> str:
        try:
            text = self._encoder.encode(fields).decode()
        except (ValueError, OverflowError):
            plain = msgspec.to_builtins(fields) if isinstance(fields, msgspec.Struct) else fields
            text = self._encoder.encode(_whole(plain)).decode()
        return text if text.isascii() and "\x7f" not in text else _BEYOND_JSON.sub(_json, text)

    def _time(self, created: float) -> str:
        moment = int(created * 1000)
        known, text = self._moment
        if known != moment:
            second = moment // 1000
            known, whole = self._second
            if known != second:
                whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
                self._second = second, whole
            text = f"{whole}.{moment % 1000:03d}Z"
            self._moment = moment, text
        return text


@lru_cache(512)  # most calls are short: their durations come again, and floats are slow to write
def _milliseconds(microseconds: int) -> tuple[str, str]:
    """As the message of a call's line has them, and as its field."""
    ms = microseconds / 1000
    exact = repr(ms)
    # Six digits at most, which is what `g` gives as well.
    return exact.removesuffix(".0") if ms < 1000 else f"{ms:g}", exact


def _add_ids(fields: dict[str, Any], ids: tuple[str, str] | None, request_id: Any) -> None:
    if ids is not None:
        fields["trace_id"], fields["span_id"] = ids
    if request_id is not None:
        fields["request_id"] = _written_id(request_id)


def _written_id(request_id: Any) -> Any:
    # msgspec writes a UUID four times as fast as `str` does.
    if request_id is None or type(request_id) is UUID:
        return request_id
    return str(request_id)[:128]


# Made and written in half the time of a table. The names and their order are those of
# `Access.fields` behind the usual ones; a test holds them together.
class _AccessLine(msgspec.Struct, omit_defaults=True, gc=False, rename={"timestamp": "@timestamp"}):
    timestamp: str
    level: str
    logger: str
    message: str
    service: str
    host: str
    pid: int
    trace_id: str | None = None
    span_id: str | None = None
    request_id: Any = None
    method: str = ""
    path: str = ""
    route: str | None = None
    status: int | str = ""
    bytes: int | str = ""
    duration_ms: float = -1.0
    client_ip: str | None = None
    query: str | None = None


class _AccessEnd(msgspec.Struct, omit_defaults=True, gc=False):
    """The last of these, which each line has of its own."""

    bytes: int | str
    duration_ms: float
    client_ip: str | None = None
    query: str | None = None


_RESERVED = frozenset(("trace_id", "span_id", "request_id", "exception", "stack"))


def _json(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _whole(value: Any) -> Any:
    """The value as JSON can hold it: unpaired surrogates escaped, numbers over 64 bits as text."""
    if isinstance(value, dict):
        return {_whole(key): _whole(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return str(value) if isinstance(value, int) and value.bit_length() > 63 else value


_COLOURS = {10: "34", 20: "32", 30: "33", 40: "31", 50: "1;31"}


class TextFormatter(LineFormatter):
    """One line for a person: time (local), level, logger, message, ``name=value`` of the extras.

    Control characters are escaped, so that nothing that came from outside begins a line of its own
    or paints the screen. The lines of a stack follow, each with a bar before it.

    Args:
        service: Not shown; one terminal shows one service, or ``sanic-ms up`` names each.
        colour: Whether to colour level and names.
    """

    def __init__(self, service: str = "", *, colour: bool = False) -> None:
        super().__init__(service)
        self.colour = colour

    def render(self, line: Line | Access | Called) -> str:
        if type(line) is Access:
            line = line.line(short=True)
        elif type(line) is Called:
            line = line.line()
        assert isinstance(line, Line)
        level = f"{line.level:<7}"
        name = line.logger
        grey, end = "", ""
        if self.colour:
            grey, end = "\x1b[90m", "\x1b[0m"
            level = f"\x1b[{_COLOURS.get(line.number // 10 * 10, '35')}m{level}{end}"
        message = _CONTROL.sub(_escaped, redactor.text(line.message))
        parts = [f"{grey}{self._time(line.created)}{end} {level} {grey}{name}:{end} {message}"]
        for key, value in (line.extra or {}).items():
            text = str(redactor.value(key, value))
            if not text or " " in text or '"' in text:
                text = repr(text)
            parts.append(f"{grey}{_CONTROL.sub(_escaped, key)}={end}{_CONTROL.sub(_escaped, text)}")
        text = " ".join(parts)
        stack = self._stack(line)
        if stack:
            rows = (_CONTROL.sub(_escaped, row) for row in stack.split("\n"))
            text += "".join(f"\n  {grey}|{end} {row}" for row in rows)
        return text

    def _time(self, created: float) -> str:
        second = int(created)
        known, text = self._second
        if known != second:
            text = time.strftime("%H:%M:%S", time.localtime(second))
            self._second = second, text
        return f"{text}.{int(created * 1000) % 1000:03d}"


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def make_formatter(
    form: Literal["auto", "json", "text"] = "auto", service: str = ""
) -> LineFormatter:
    """The formatter that a setting names.

    Args:
        form: ``auto`` is text on a terminal and JSON elsewhere. On a terminal text has colours
            unless the environment variable ``NO_COLOR`` is set.
        service: The name of the service.
    """
    # `sanic-ms up` reads our output and shows it on its own terminal.
    terminal = _is_terminal(sys.stdout) or bool(os.environ.get("SANIC_MS_TERMINAL"))
    if form == "json" or (form == "auto" and not terminal):
        return JSONFormatter(service)
    return TextFormatter(service, colour=terminal and not os.environ.get("NO_COLOR"))
