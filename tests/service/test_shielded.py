"""A client that leaves: its handler is cancelled, or goes on where it is shielded."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import uuid
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.paths import take_full_path

from sanic_ms import Service, doc
from sanic_ms.resilience import current_deadline
from sanic_ms.testing.logs import Logs, recorded_logs
from sanic_ms.testing.running import RunningService

LIMIT = 30.0

WAYS = pytest.mark.parametrize("way", ["fast path", "full path", "Sanic's server"])


class Work:
    """A handler under observation."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.outcome: str | None = None
        self.request: weakref.ref[Any] | None = None
        self.failure: BaseException | None = None

    async def handle(self, request: Any) -> Any:
        """Wait until told to go on."""
        self.request = weakref.ref(request)
        self.begun.set()
        try:
            await self.go_on.wait()
            if self.failure is not None:
                raise self.failure
            self.outcome = "done"
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            if self.failure is not None:
                raise self.failure from None
            raise
        finally:
            self.ended.set()
        return {"outcome": self.outcome}


def make(way: str, work: Work, *, shielded: bool, **settings: Any) -> Service:
    """A service with one route, ``/work``."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    if way == "Sanic's server":
        settings["server_protocol"] = "sanic"
    app.configure(access_log=False, **settings)
    if way == "full path":
        take_full_path(app)

    async def handler(request: Any) -> Any:
        return await work.handle(request)

    app.add_route(doc.shielded(handler) if shielded else handler, "/work")
    return app


@contextlib.asynccontextmanager
async def serving(app: Service) -> AsyncIterator[tuple[RunningService, int]]:
    """The service on a port, in the loop of the test."""
    running = RunningService(app, where={"host": "127.0.0.1"})
    await running.start()
    server = await running.listen("127.0.0.1")
    try:
        yield running, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await running.stop()


async def ask(port: int, *headers: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = "".join(f"{line}\r\n" for line in ("Host: x", *headers))
    writer.write(f"GET /work HTTP/1.1\r\n{lines}\r\n".encode())
    return reader, writer


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


async def wait(event: asyncio.Event) -> None:
    """Wait for an event."""
    async with asyncio.timeout(LIMIT):
        await event.wait()


async def leave(writer: asyncio.StreamWriter, running: RunningService) -> None:
    """Close the client's side, and wait until the server knows."""
    writer.close()
    await until(lambda: not running.connections)


@WAYS
async def test_a_client_that_leaves_cancels_its_handler(way: str) -> None:
    """Unless the route says otherwise. Nothing is logged, and nothing is left."""
    work = Work()
    app = make(way, work, shielded=False)
    async with serving(app) as (running, port):
        with recorded_logs(app) as logs:
            _, writer = await ask(port)
            await wait(work.begun)
            await leave(writer, running)
            await wait(work.ended)
        assert work.outcome == "cancelled"
        assert not errors(logs)


@WAYS
async def test_what_a_cancelled_handler_raises_is_logged(way: str) -> None:
    """A mistake in its cleaning up is one of the service, although nobody gets a response."""
    work = Work()
    work.failure = ValueError("not closed")
    app = make(way, work, shielded=False)
    async with serving(app) as (running, port):
        with recorded_logs(app) as logs:
            _, writer = await ask(port)
            await wait(work.begun)
            await leave(writer, running)
            await wait(work.ended)
            await until(lambda: errors(logs))
        assert "not closed" in logs.find("GET /work: ValueError")["exception"]["message"]


@WAYS
async def test_a_shielded_handler_goes_on(way: str) -> None:
    """To its end. Nothing is logged, and no task and no request is left."""
    work = Work()
    app = make(way, work, shielded=True)
    async with serving(app) as (running, port):
        before = asyncio.all_tasks()
        with recorded_logs(app) as logs:
            _, writer = await ask(port)
            await wait(work.begun)
            await leave(writer, running)
            await asyncio.sleep(0.02)
            assert not work.ended.is_set()
            assert len([*app.tasks]) == 1
            work.go_on.set()
            await wait(work.ended)
        assert work.outcome == "done"
        assert not errors(logs)
        await until(lambda: asyncio.all_tasks() == before)
        await until(lambda: not [*app.tasks])
        del writer, _
        await until(lambda: gc.collect() and work.request is not None and work.request() is None)


@WAYS
async def test_a_client_that_stays_gets_the_response(way: str) -> None:
    """As without the shield: the result, an error of the handler's, and the next request."""
    work = Work()
    work.go_on.set()
    app = make(way, work, shielded=True)
    async with serving(app) as (_, port):
        reader, writer = await ask(port)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert b'"done"' in await reader.readuntil(b"}}")
        work.failure = ValueError("no stock")
        with recorded_logs(app) as logs:
            writer.write(b"GET /work HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b" 500 " in await reader.read()
        assert "ValueError" in logs.find("GET /work")["message"]
        writer.close()


@WAYS
async def test_what_it_raises_is_logged(way: str) -> None:
    """Once, with the handler's name and the traceback: nobody gets a response."""
    work = Work()
    work.failure = ValueError("no stock")
    app = make(way, work, shielded=True)
    async with serving(app) as (running, port):
        with recorded_logs(app) as logs:
            _, writer = await ask(port)
            await wait(work.begun)
            await leave(writer, running)
            work.go_on.set()
            await wait(work.ended)
            await until(lambda: errors(logs))
        (line,) = errors(logs)
        assert "handler" in line["message"]
        assert "failed" in line["message"]
        assert "ValueError: no stock" in line["exception"]["stack"]


@WAYS
@pytest.mark.parametrize("leaves", [False, True])
async def test_an_exit_does_not_end_the_process(way: str, leaves: bool) -> None:
    """It is an error of one handler, as without the shield; the next request is served."""
    work = Work()
    work.failure = SystemExit(3)
    app = make(way, work, shielded=True)
    async with serving(app) as (running, port):
        with recorded_logs(app) as logs:
            reader, writer = await ask(port, "Connection: close")
            await wait(work.begun)
            if leaves:
                await leave(writer, running)
            work.go_on.set()
            if not leaves:
                assert b" 500 " in await reader.read()
                writer.close()
            await until(lambda: errors(logs))
        assert "SystemExit(3)" in errors(logs)[0]["exception"]["stack"]
        work.failure = None
        reader, writer = await ask(port, "Connection: close")
        assert b" 200 " in await reader.read()
        writer.close()


@WAYS
@pytest.mark.parametrize("leaves", [False, True])
async def test_the_deadline_counts(way: str, leaves: bool) -> None:
    """With the client there, and without: the work is cancelled."""
    work = Work()
    app = make(way, work, shielded=True)
    async with serving(app) as (running, port):
        reader, writer = await ask(port, "X-Request-Timeout-Ms: 300", "Connection: close")
        await wait(work.begun)
        if leaves:
            await leave(writer, running)
            assert not work.ended.is_set()
        else:
            assert b" 504 " in await reader.read()
            assert work.ended.is_set()
        await wait(work.ended)
        writer.close()
    assert work.outcome == "cancelled"


@pytest.mark.parametrize("way", ["fast path", "full path"])
async def test_the_response_timeout_counts(way: str) -> None:
    """It is the server's last word, for clients that are there."""
    work = Work()
    app = make(way, work, shielded=True, response_timeout=0.1)
    async with serving(app) as (_, port):
        reader, writer = await ask(port, "Connection: close")
        assert b" 503 " in await reader.read()
        assert work.outcome == "cancelled"
        writer.close()


async def test_a_deadline_of_a_shielded_handler_is_not_lifted() -> None:
    """What it calls after its client has left is still bound by it."""
    work = Work()
    seen: list[Any] = []
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)

    @app.get("/work")
    @doc.shielded
    @doc.deadline(60)
    async def handler(request: Any) -> Any:
        result = await work.handle(request)
        seen.append(current_deadline())
        return result

    async with serving(app) as (running, port):
        _, writer = await ask(port)
        await wait(work.begun)
        await leave(writer, running)
        await asyncio.sleep(0.02)
        work.go_on.set()
        await until(lambda: seen)
    assert seen[0] is not None


async def test_many_clients_that_leave() -> None:
    """Handlers that are shielded and others, at once: none is lost, and no task stays."""
    ended: list[str] = []
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(access_log=False)

    async def handler(request: Any) -> Any:
        try:
            await asyncio.sleep(0.3)
            ended.append("done")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def shielded(request: Any) -> Any:
        await handler(request)

    app.add_route(handler, "/plain")
    app.add_route(doc.shielded(shielded), "/work")
    async with serving(app) as (running, port):
        before = asyncio.all_tasks()
        writers = [(await ask(port))[1] for _ in range(100)]
        await asyncio.sleep(0.1)
        for writer in writers:
            writer.close()
        await until(lambda: len(ended) == 100)
        await until(lambda: asyncio.all_tasks() == before)
        assert not running.connections
    assert ended == ["done"] * 100


def test_it_is_declared_without_brackets() -> None:
    """On a handler; a class is told apart from a handler as by the other decorators."""

    async def handler(request: Any) -> Any: ...

    assert doc.shielded(handler) is handler
    with pytest.raises(TypeError, match="shielded"):
        doc.shielded(None)  # type: ignore[type-var]


def errors(logs: Logs) -> list[dict[str, Any]]:
    """The lines that an operator looks at."""
    return [line for line in logs if line["level"] in ("ERROR", "WARNING", "CRITICAL")]
