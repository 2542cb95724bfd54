"""Handlers that wait for nothing are called without a task, and nobody can tell by the answers."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import re
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from sanic.exceptions import SanicException
from sanic.response import HTTPResponse, ResponseStream, json, text

from sanic_ms import Service
from sanic_ms.exception import NotFound
from sanic_ms.loggers import logger

Connect = Callable[..., Awaitable[Any]]
_TRACE = re.compile(rb'"trace_id":"[0-9a-f]{32}"')
_numbers = itertools.count()
_note: ContextVar[str] = ContextVar("note", default="nothing")


def make(**settings: Any) -> Service:
    """A service without routes of its own."""
    app = Service(f"tasks-{next(_numbers)}", configure_logging=False)
    own = {"sync_handlers": "loop", **settings}  # without a task, and not in a thread
    app.configure(docs=False, access_log=False, health=False, metrics=False, **own)
    return app


def has_task() -> bool:
    """Whether it is called in a task."""
    return asyncio.current_task() is not None


def get(path: str, *lines: str) -> bytes:
    """A request."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: a", *lines, "", "")).encode()


async def answered(transport: Any, raw: bytes) -> bytes:
    """What comes back for it, when all has come to rest."""
    transport.written.clear()
    # A connection that serves has no task of its own: this one must not look like its handler's.
    asyncio.get_running_loop().call_soon(transport.protocol.data_received, raw)
    for _ in range(80):
        await asyncio.sleep(0)
    return bytes(transport.written)


async def test_who_has_a_task(in_memory: Connect) -> None:
    """A handler that may wait; a plain function whose result has to be waited for has none, and
    what it leads to has."""
    app = make()
    app.provide(list, [])

    @app.get("/straight")
    async def straight(request: Any) -> bool:
        return has_task()

    @app.get("/typed/<id:int>")
    async def typed(request: Any, id: int, least: int = 0) -> bool:
        return has_task()

    @app.get("/plain")
    def plain(request: Any) -> bool:
        return has_task()

    async def later(request: Any) -> bool:
        await asyncio.sleep(0)
        return has_task()

    @app.get("/waits")
    async def waits(request: Any) -> bool:
        return await later(request)

    @app.get("/logged")
    @logger
    async def logged(request: Any) -> bool:
        return has_task()

    @app.get("/logged_waits")
    @logger
    async def logged_waits(request: Any) -> bool:
        return await later(request)

    @app.get("/service")
    async def service(request: Any, found: list) -> bool:  # type: ignore[type-arg]
        return has_task()

    @app.get("/leads")
    def leads(request: Any) -> Any:
        return later(request)

    transport = await in_memory(app)
    expected = {"straight": False, "typed/7?least=1": False, "plain": False, "waits": True}
    expected |= {"logged": False, "logged_waits": True, "service": True, "leads": True}
    for path, has in expected.items():
        for _ in range(2):
            answer = await answered(transport, get(f"/{path}"))
            assert answer.endswith(b'"data":%s}' % (b"true" if has else b"false")), path


OUTCOMES: dict[str, Callable[[Any], Any]] = {
    "data": lambda request: {"name": "é"},
    "nothing": lambda request: None,
    "page": lambda request: ([1, 2], {"page": 1}),
    "response": lambda request: json({"a": 1}, status=201, headers={"x-a": "b"}),
    "closing": lambda request: text("bye", headers={"connection": "close"}),
    "empty": lambda request: HTTPResponse(status=204),
    "large": lambda request: HTTPResponse(b"x" * 100_000),
    "stream": lambda request: ResponseStream(write),
    "unfit": lambda request: object(),
    "not_found": lambda request: fail(NotFound(error="no such thing")),
    "teapot": lambda request: fail(SanicException("short", status_code=418)),
    "broken": lambda request: fail(RuntimeError("on purpose")),
    "cancelled": lambda request: fail(asyncio.CancelledError()),
    "exit": lambda request: fail(StopIteration(1)),
    "leaves": lambda request: fail(SystemExit(1)),
    "closes": lambda request: fail(GeneratorExit()),
}


async def write(response: Any) -> None:
    """The body of a stream."""
    await response.write("one")
    await response.write("two")


def fail(exc: BaseException) -> Any:
    """Raises it."""
    raise exc


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_answer_is_the_same(
    name: str, method: str, in_memory: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Byte for byte, and what is logged as well, whether the handler waits or not; the connection
    is left in the same state."""
    outcome = OUTCOMES[name]
    app = make()

    @app.route("/once", methods=["GET", "HEAD"])
    async def once(request: Any) -> Any:
        return outcome(request)

    @app.route("/task", methods=["GET", "HEAD"])
    async def task(request: Any) -> Any:
        await asyncio.sleep(0)
        return outcome(request)

    found = []
    for path in ("/once", "/task"):
        caplog.clear()
        transport = await in_memory(app)
        first = await answered(transport, get(path).replace(b"GET", method.encode()))
        over = transport.over
        again = b"" if over else await answered(transport, get(path))
        logged = [(record.name, record.levelname) for record in caplog.records]
        bytes_sent = _TRACE.sub(b"", first), over, _TRACE.sub(b"", again)
        found.append((bytes_sent, logged))
    assert first
    assert found[0] == found[1]


async def test_context_variables_do_not_reach_the_next_request(in_memory: Connect) -> None:
    """Of the same connection, nor the connection itself."""
    app = make()

    @app.get("/")
    async def handler(request: Any) -> str:
        before = _note.get()
        _note.set("of a request before")
        return before

    transport = await in_memory(app)
    for _ in range(2):
        assert b'"nothing"' in await answered(transport, get("/"))
    assert _note.get() == "nothing"


@pytest.mark.parametrize("path", ["/once", "/task", "/stream", "/fails"])
async def test_context_variables_do_not_reach_a_request_that_waits_behind(
    path: str, in_memory: Connect
) -> None:
    """A request that was sent before the answer to the last one is no part of that one."""
    app = make()

    def note() -> str:
        before = _note.get()
        _note.set("of a request before")
        return before

    @app.get("/once")
    async def once(request: Any) -> str:
        return note()

    @app.get("/task")
    async def task(request: Any) -> str:
        await asyncio.sleep(0)
        return note()

    @app.get("/stream")
    async def stream(request: Any) -> None:
        response = await request.respond(content_type="text/plain")
        await response.send(note())

    @app.get("/fails")
    async def fails(request: Any) -> None:
        raise NotFound(error=note())

    transport = await in_memory(app)
    answer = await answered(transport, get(path) + get("/missing") + get(path))
    assert answer.count(b"nothing") == 2


async def test_reading_goes_on_in_no_request_s_context(in_memory: Connect) -> None:
    """asyncio's own event loop would call the connection in it for ever after."""
    app = make()
    found: list[str] = []

    @app.post("/", stream=True)
    async def handler(request: Any) -> HTTPResponse:
        _note.set("mine")
        async for _ in request.stream:
            pass
        return text("")

    transport = await in_memory(app)
    transport.resume_reading = lambda: found.append(_note.get())
    size = 1_000_000
    head = get("/", f"Content-Length: {size}").replace(b"GET", b"POST")
    transport.protocol.data_received(head)
    transport.protocol.data_received(b"x" * (size - 1))
    await answered(transport, b"x")
    assert found == ["nothing"]


async def test_a_task_that_the_handler_starts_belongs_to_its_request(in_memory: Connect) -> None:
    """It sees the request's context, and goes on after the answer."""
    app = make()
    seen: list[str] = []
    tasks: list[Any] = []

    async def later() -> None:
        seen.append(_note.get())

    @app.get("/")
    async def handler(request: Any) -> None:
        _note.set("mine")
        tasks.append(asyncio.create_task(later()))

    transport = await in_memory(app)
    await answered(transport, get("/"))
    assert seen == ["mine"]


async def test_pipelined_requests_are_answered_in_order(in_memory: Connect) -> None:
    """One after the other, those with a task and those without, however many come at once."""
    app = make()

    @app.get("/once/<id:int>")
    async def once(request: Any, id: int) -> int:
        return id

    @app.get("/task/<id:int>")
    async def task(request: Any, id: int) -> int:
        await asyncio.sleep(0)
        return id

    transport = await in_memory(app)
    many = sys.getrecursionlimit() + 100
    raw = b"".join(get(f"/{'once' if id % 3 else 'task'}/{id}") for id in range(many))
    transport.protocol.data_received(raw)
    async with asyncio.timeout(60):
        while transport.writes < many:  # noqa: ASYNC110  # there is no event: it is a count
            await asyncio.sleep(0)
    bodies = [line for line in bytes(transport.written).split(b"\r\n") if b'"data"' in line]
    numbers = [int(line.partition(b'"data":')[2].partition(b"}")[0]) for line in bodies]
    assert numbers == list(range(many))


async def test_a_coroutine_is_never_left_unawaited(in_memory: Connect) -> None:
    """A plain function that gives a coroutine is called once a request, and that one awaited."""
    app = make()
    made: list[Any] = []

    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    @app.get("/")
    def handler(request: Any) -> Any:
        made.append(work())
        return made[-1]

    transport = await in_memory(app)
    for count in (1, 2):
        assert b'"data":7' in await answered(transport, get("/"))
        assert len(made) == count
    assert {inspect.getcoroutinestate(coroutine) for coroutine in made} == {"CORO_CLOSED"}


async def test_who_wraps_an_endpoint_is_asked_first(in_memory: Connect) -> None:
    """What a library puts around compiled handlers, with `functools.wraps`, is not passed by."""
    app = make()

    @app.get("/")
    async def root(request: Any) -> str:
        return "secret"

    @app.get("/<id:int>")
    async def one(request: Any, id: int) -> str:
        return "secret"

    def guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(handler)
        async def guard(request: Any, **path: Any) -> Any:
            raise SanicException("not for you", status_code=403)

        return guard

    transport = await in_memory(app)
    for route in app.router.routes:
        route.handler = guarded(route.handler)
    for path in ("/", "/7"):
        assert b" 403 " in await answered(transport, get(path)), path
