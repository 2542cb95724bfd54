"""Every request is counted and traced once, under the name of its route, whatever becomes of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sanic.exceptions import SanicException
from sanic.response import text

from sanic_ms import Service
from sanic_ms.exception import NotFound
from sanic_ms.telemetry.instrumentation import Instrumentation
from sanic_ms.telemetry.metrics import RouteMetrics, ServerMetrics
from sanic_ms.telemetry.tracing import Provider, ServerSpans

HOST = b"Host: a\r\n"
_numbers = itertools.count()


class Counted(ServerMetrics):
    """Counts into a list, and knows how many are in flight."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str, int]] = []
        self.in_flight = 0
        self.first = asyncio.Event()

    def route(self, method: str, template: str) -> RouteMetrics:
        return Meter(self, method, template)

    def unmatched(self, method: str) -> RouteMetrics:
        return self.route(method, "unmatched")


class Meter(RouteMetrics):
    def __init__(self, counted: Counted, method: str, template: str) -> None:
        self.counted, self.key = counted, (method, template)

    def begin(self) -> float:
        self.counted.in_flight += 1
        return 1.5

    def end(self, started: float, status: int) -> None:
        assert started == 1.5
        self.counted.in_flight -= 1
        self.counted.ended.append((*self.key, status))
        self.counted.first.set()


class Watched:
    """A service, what was counted of its requests, and their spans."""

    def __init__(self) -> None:
        self.counted = Counted()
        self.spans: list[Any] = []
        self.app = app = Service(f"watched-{next(_numbers)}", configure_logging=False)
        app.configure(docs=False, access_log=False, response_timeout=0.3)
        app._observer = Instrumentation(
            self.counted,
            ServerSpans(Provider(self.spans.append)),
            exclude=["/health/live", "/quiet"],
        )

    @property
    def seen(self) -> tuple[list[tuple[str, str, int]], list[tuple[str, Any]]]:
        """What ended, counted and traced; the spans with their statuses."""
        attributes = "http.response.status_code"
        return self.counted.ended, [(s.name, s.attributes.get(attributes)) for s in self.spans]


@pytest.fixture
def watched() -> Watched:
    """A service with a handler for each way that a request may go."""
    made = Watched()
    app = made.app

    @app.get("/users/<id:int>")
    async def user(request: Any, id: int) -> dict[str, int]:
        assert made.counted.in_flight == 1
        assert request["span"].get_span_context().is_valid
        return {"id": id}

    @app.get("/missing")
    async def missing(request: Any) -> None:
        raise NotFound(error="no such thing")

    @app.get("/broken")
    async def broken(request: Any) -> None:
        raise RuntimeError("on purpose")

    @app.get("/teapot")
    async def teapot(request: Any) -> None:
        raise SanicException("short and stout", status_code=418)

    @app.get("/slow")
    async def slow(request: Any) -> None:
        await asyncio.sleep(60)

    @app.get("/stream")
    async def stream(request: Any) -> None:
        response = await request.respond()
        await response.send("a")
        await response.send("b")

    @app.get("/quiet")
    async def quiet(request: Any) -> dict[str, str]:
        return {}

    @app.post("/body")
    async def body(request: Any, body: dict[str, int]) -> dict[str, int]:
        return body

    @app.exception(ZeroDivisionError)
    async def odd(request: Any, exc: Exception) -> Any:
        return text("divided", status=507)

    @app.get("/odd")
    async def divide(request: Any) -> None:
        raise ZeroDivisionError

    return made


async def settle() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


CASES = [
    (b"GET /users/7 HTTP/1.1\r\n", ("GET", "/users/{id}", 200)),
    (b"GET /users/x HTTP/1.1\r\n", ("GET", "unmatched", 404)),
    (b"DELETE /missing HTTP/1.1\r\n", ("DELETE", "unmatched", 405)),
    (b"GET /missing HTTP/1.1\r\n", ("GET", "/missing", 404)),
    (b"GET /broken HTTP/1.1\r\n", ("GET", "/broken", 500)),
    (b"GET /teapot HTTP/1.1\r\n", ("GET", "/teapot", 418)),
    (b"GET /odd HTTP/1.1\r\n", ("GET", "/odd", 507)),
    (b"GET /stream HTTP/1.1\r\n", ("GET", "/stream", 200)),
    (b"POST /body HTTP/1.1\r\nContent-Length: 1\r\n{", ("POST", "/body", 400)),
]


def span_of(counted: tuple[str, str, int]) -> tuple[str, int]:
    """Name and status of the span that belongs to what was counted."""
    method, template, status = counted
    return (method if template == "unmatched" else f"{method} {template}"), status


@pytest.mark.parametrize(("raw", "expected"), CASES, ids=[str(case[1]) for case in CASES])
@pytest.mark.parametrize("complete", [False, True], ids=["short", "complete"])
async def test_each_request_is_seen_once(
    raw: bytes,
    expected: tuple[str, str, int],
    complete: bool,
    watched: Watched,
    in_memory: Callable[..., Awaitable[Any]],
    answers: Callable[[bytes], list[Any]],
) -> None:
    """By the fast path, and by the complete one that a middleware makes necessary."""
    if complete:

        async def header(request: Any, response: Any) -> None:
            response.headers["x-seen"] = "1"

        watched.app.register_middleware(header, "response")

    line, _, rest = raw.partition(b"\r\n")
    head, _, body = rest.partition(b"\r\n")
    transport = await in_memory(watched.app)
    fields = HOST + (head + b"\r\n" if head else b"")
    for _ in range(2):
        transport.protocol.data_received(line + b"\r\n" + fields + b"\r\n" + body)
        await settle()
    assert [answer.status for answer in answers(bytes(transport.written))] == [expected[2]] * 2
    assert watched.seen == ([expected] * 2, [span_of(expected)] * 2)
    assert watched.counted.in_flight == 0


async def test_a_failure_is_on_its_span(
    watched: Watched, in_memory: Callable[..., Awaitable[Any]]
) -> None:
    """The exception behind a 500 is recorded, its text reaches no client, the trace's id does."""
    transport = await in_memory(watched.app)
    transport.protocol.data_received(b"GET /broken HTTP/1.1\r\n" + HOST + b"\r\n")
    await settle()
    (span,) = watched.spans
    assert span.attributes["error.type"] == "RuntimeError"
    written = bytes(transport.written)
    assert b"on purpose" not in written
    assert b'"trace_id":"' + span.trace_id.encode() + b'"' in written


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ],
)
async def test_a_refused_request_is_seen(
    raw: bytes, status: int, watched: Watched, in_memory: Callable[..., Awaitable[Any]]
) -> None:
    """What the protocol refuses before there is a route counts as unmatched."""
    transport = await in_memory(watched.app)
    transport.protocol.data_received(raw)
    await settle()
    counted, spans = watched.seen
    assert [entry[1:] for entry in counted] == [("unmatched", status)]
    assert spans == [("HTTP", status)]


async def test_a_client_that_leaves_is_seen_as_499(
    watched: Watched, in_memory: Callable[..., Awaitable[Any]]
) -> None:
    """Its handler is cancelled; the request is no longer in flight, and nobody is blamed."""
    transport = await in_memory(watched.app)
    transport.protocol.data_received(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
    await settle()
    assert watched.counted.in_flight == 1
    transport.close()
    await settle()
    assert watched.counted.ended == [("GET", "/slow", 499)]
    assert watched.counted.in_flight == 0


@pytest.mark.parametrize(
    ("path", "status"), [("/odd", 499), ("/broken", 500), ("/missing", 404), ("/users/7", 200)]
)
async def test_a_client_that_is_gone_at_once_is_seen_once(
    path: str, status: int, watched: Watched, in_memory: Callable[..., Awaitable[Any]]
) -> None:
    """Also where the handler has failed already, and the coroutine that handles its exception
    has not begun. The other responses were sent before it went."""
    transport = await in_memory(watched.app)
    transport.protocol.data_received(f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
    transport.protocol.connection_lost(None)
    await settle()
    assert [status for _, _, status in watched.counted.ended] == [status]
    assert watched.counted.in_flight == 0


async def test_a_handler_that_is_late_is_seen_as_503(
    watched: Watched, in_memory: Callable[..., Awaitable[Any]]
) -> None:
    """It counts with the status that the client got."""
    transport = await in_memory(watched.app)
    transport.protocol.data_received(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
    async with asyncio.timeout(20):
        await watched.counted.first.wait()
    assert watched.seen == ([("GET", "/slow", 503)], [("GET /slow", 503)])


async def test_excluded_routes_are_not_seen(
    watched: Watched, in_memory: Callable[..., Awaitable[Any]]
) -> None:
    """Probes all day long are no traffic."""
    transport = await in_memory(watched.app)
    transport.protocol.data_received(b"GET /quiet HTTP/1.1\r\n" + HOST + b"\r\n")
    await settle()
    assert transport.written.startswith(b"HTTP/1.1 200")
    assert watched.seen == ([], [])


@pytest.mark.parametrize("path", ["/users/7", "/users/x", "/missing", "/broken", "/odd"])
async def test_another_server_is_observed_as_well(path: str, watched: Watched) -> None:
    """Under an ASGI server the same is counted and traced."""
    _, answer = await watched.app.asgi_client.get(path)
    expected = next(case[1] for case in CASES if f"GET {path} ".encode() in case[0])
    assert answer.status == expected[2]
    assert watched.seen == ([expected], [span_of(expected)])
    assert watched.counted.in_flight == 0


async def test_one_trace_by_traceparent(
    watched: Watched, in_memory: Callable[..., Awaitable[Any]]
) -> None:
    """A caller's trace goes on, also where the connection's other headers are known."""
    transport = await in_memory(watched.app)
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    line = f"traceparent: 00-{trace}-{parent}-01\r\n".encode()
    for extra in (b"", b"", line, line, b""):
        transport.protocol.data_received(b"GET /users/7 HTTP/1.1\r\n" + HOST + extra + b"\r\n")
        await settle()
    ours = [span.trace_id == trace and span.parent_id == parent for span in watched.spans]
    assert ours == [False, False, True, True, False]
    assert len({span.span_id for span in watched.spans}) == 5
