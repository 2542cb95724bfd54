"""What a log line costs: the thread that logs, and the one that writes.

CPU time per line in microseconds, the least of the rounds, which are interleaved. The caller's
share is measured with the writer's thread kept asleep, so that no time of its own is in it.
"whole" is the CPU time of the process for lines that are written to /dev/null.

Bias: nothing else runs in the process, so caches are warm and nobody contends for the
interpreter's lock.

Usage: python benchmarks/logs.py [ROUNDS]
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from time import perf_counter
from types import SimpleNamespace
from typing import Any, TextIO
from uuid import UUID

from sanic.log import access_logger
from sanic.models.server_types import ConnInfo

from sanic_ms.context import current_request
from sanic_ms.http.request import Request
from sanic_ms.loggers import logger
from sanic_ms.server import HttpProtocol
from sanic_ms.server.http1.access_log import log_answer
from sanic_ms.server.http1.request import lazy
from sanic_ms.telemetry.logging import JSONFormatter, QueuedHandler, TextFormatter, access_log
from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.tracing import Provider, ServerSpans

LINES = 5_000


def _nowhere() -> TextIO:
    return open("/dev/null", "w")


class Case:
    """A way to log, and the handler that it goes to."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.handler = QueuedHandler(_nowhere(), limit=LINES * 2)
        self.handler.setFormatter(formatter)
        self.log = logging.Logger("bench")
        self.log.addHandler(self.handler)

    def caller(self, call: Callable[[], object]) -> float:
        """Seconds of one call for the thread that logs."""
        writer = self.handler.writer
        writer._asleep = False
        begin = time.thread_time()
        for _ in range(LINES):
            call()
        spent = time.thread_time() - begin
        writer._wake()
        writer.flush(30)
        return spent / LINES

    def whole(self, call: Callable[[], object]) -> float:
        """Seconds of one call for the process, written."""
        begin = time.process_time()
        for _ in range(LINES):
            call()
        self.handler.writer.flush(30)
        return (time.process_time() - begin) / LINES


def request() -> Any:
    """What is read of a request."""
    route = SimpleNamespace(
        path="users/<id:int>",
        parts=("users", "<id:int>"),
        defined_params={1: SimpleNamespace(name="id")},
    )
    found = lazy(Request)
    assert found is not None
    made = found()
    made.head = b"GET /users/7 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nAccept: */*"
    made.method, made.raw_url, made.route = "GET", b"/users/7", route
    made.body, made.transport, made._id = b"", None, UUID(int=7)
    return made


def connected() -> Any:
    """What is read of a connection."""
    connection = HttpProtocol.__new__(HttpProtocol)
    connection._conn_info = ConnInfo.__new__(ConnInfo)
    connection._conn_info.client_ip = "127.0.0.1"
    return connection


def main(rounds: int) -> None:
    """Print the table."""
    plain = logging.Logger("plain")
    plain.addHandler(logging.StreamHandler(_nowhere()))
    json, text = Case(JSONFormatter("bench")), Case(TextFormatter())
    access_log.use(put=json.handler.writer.put, forwarded=False)
    access_logger.setLevel(logging.INFO)
    asked = request()
    connection = connected()

    def answered() -> None:
        log_answer(connection, asked, 200, 153, perf_counter())

    logging.getLogger(__name__).setLevel(logging.WARNING)

    @logger(tracing=True)
    def quiet() -> None: ...

    @logger(tracing=True)
    async def quiet_async() -> None: ...

    # Where a logger is looked at through the way up to the root, as in a service.
    spoken = logging.getLogger(f"{__name__}.spoken")
    spoken.setLevel(logging.INFO)
    logging.root.addHandler(json.handler)

    def speak(function: Callable[[], Any]) -> Callable[..., Any]:
        function.__module__ = spoken.name
        return logger()(function)

    @speak
    def loud() -> None: ...

    @speak
    async def loud_async() -> None: ...

    def bare() -> None: ...

    async def bare_async() -> None: ...

    def run(function: Callable[[], Any]) -> Callable[[], None]:
        def call() -> None:
            coroutine = function()
            try:
                coroutine.send(None)
            except StopIteration:
                pass

        return call

    cases: dict[str, Callable[[], float]] = {
        "StreamHandler of the library": lambda: Case.whole(
            json, lambda: plain.info("user %s logged in", 7)
        ),
        "json, caller": lambda: json.caller(lambda: json.log.info("user %s logged in", 7)),
        "json, whole": lambda: json.whole(lambda: json.log.info("user %s logged in", 7)),
        "json with extra, caller": lambda: json.caller(
            lambda: json.log.info("logged in", extra={"user": 7, "role": "ann"})
        ),
        "text, whole": lambda: text.whole(lambda: text.log.info("user %s logged in", 7)),
        "access line, caller": lambda: json.caller(
            lambda: log_answer(connection, asked, 200, 153, perf_counter())
        ),
        "access line, whole": lambda: json.whole(
            lambda: log_answer(connection, asked, 200, 153, perf_counter())
        ),
        "redaction of a usual line": lambda: json.caller(
            lambda: redactor.text("user 7 logged in from 10.0.0.4")
        ),
        "a function": lambda: json.caller(bare),
        "the same with @logger, quiet": lambda: json.caller(quiet),
        "a coroutine": lambda: json.caller(run(bare_async)),
        "the same with @logger, quiet ": lambda: json.caller(run(quiet_async)),
        "a function with @logger, caller": lambda: json.caller(loud),
        "a function with @logger, whole": lambda: json.whole(loud),
        "a coroutine with @logger, caller": lambda: json.caller(run(loud_async)),
    }
    best = dict.fromkeys(cases, float("inf"))
    # Within a request that is not recorded, whose ids somebody has asked for, as is usual.
    provider = Provider(lambda span: None, ratio=0.0)
    ServerSpans(provider).route("GET", "/users/<id>").begin(asked).span.is_recording()
    current_request.set(asked)
    for _ in range(rounds):
        for name, case in cases.items():
            best[name] = min(best[name], case())
    for name, seconds in best.items():
        print(f"{name:32} {seconds * 1e6:6.2f} us")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
