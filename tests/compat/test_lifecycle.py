"""Listeners, signals, background tasks, web sockets: the same on Sanic and on a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop
from sanic import Blueprint, HTTPResponse, Request, Sanic, Websocket, text
from sanic.exceptions import SanicException, ServiceUnavailable
from sanic.signals import Event
from tests.compat.comparison import Comparison, Differs, ask
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


async def test_listeners(compare: Comparison) -> None:
    """Listeners of servers, by every spelling, of applications and blueprints, in their order."""

    def build(app: Any) -> None:
        events = app.ctx.events
        books = Blueprint("books")

        @app.before_server_start
        async def one(app: Any, loop: Any) -> None:
            events.append("before start, with loop")

        @app.before_server_start
        def two(app: Any) -> None:
            events.append("before start, sync")

        @app.listener("before_server_start", priority=9)
        async def urgent(app: Any) -> None:
            events.append("before start, urgent")

        @app.after_server_start
        async def three(app: Any) -> None:
            events.append("after start")

        @app.before_server_stop
        async def four(app: Any) -> None:
            events.append("before stop")

        @app.before_server_stop
        async def five(app: Any) -> None:
            events.append("before stop again")

        @app.after_server_stop
        async def six(app: Any) -> None:
            events.append("after stop")

        app.register_listener(lambda app, loop: events.append("registered"), "after_server_start")

        @books.before_server_start
        async def of_books(app: Any) -> None:
            events.append("before start, blueprint")

        @books.listener("after_server_stop")
        async def of_books_stop(app: Any) -> None:
            events.append("after stop, blueprint")

        @books.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return text("handler")

        app.blueprint(books)

    await compare(build, ask("GET", "/"))


async def test_signals_of_requests(compare: Comparison) -> None:
    """Sanic's signals of a request's life come in the same order, with the same context."""
    names = [
        Event.HTTP_LIFECYCLE_BEGIN,
        Event.HTTP_LIFECYCLE_READ_HEAD,
        Event.HTTP_LIFECYCLE_REQUEST,
        Event.HTTP_LIFECYCLE_HANDLE,
        Event.HTTP_LIFECYCLE_READ_BODY,
        Event.HTTP_LIFECYCLE_EXCEPTION,
        Event.HTTP_LIFECYCLE_RESPONSE,
        Event.HTTP_LIFECYCLE_SEND,
        Event.HTTP_LIFECYCLE_COMPLETE,
        Event.HTTP_ROUTING_BEFORE,
        Event.HTTP_ROUTING_AFTER,
        Event.HTTP_HANDLER_BEFORE,
        Event.HTTP_HANDLER_AFTER,
        Event.HTTP_MIDDLEWARE_BEFORE,
        Event.HTTP_MIDDLEWARE_AFTER,
    ]

    def build(app: Any) -> None:
        for name in names:

            async def note(event: str = name.value, **context: Any) -> None:
                app.ctx.events.append((event, sorted(context)))

            app.add_signal(note, name)

        @app.on_request
        async def before(request: Request) -> None: ...

        @app.post("/")
        async def handler(request: Request) -> HTTPResponse:
            return text("handler")

        @app.get("/wrong")
        async def wrong(request: Request) -> HTTPResponse:
            raise SanicException("wrong", status_code=400)

    await compare(
        build,
        ask("POST", "/", body="abc"),
        ask("GET", "/wrong", differs=Differs.ERROR),
        ask("GET", "/nowhere", differs=Differs.ERROR),
    )


async def test_signals_of_servers(compare: Comparison) -> None:
    """``server.init.*``, ``server.shutdown.*`` and ``server.exception.report``."""

    def build(app: Any) -> None:
        for name in ("server.init.before", "server.init.after", "server.shutdown.before"):

            @app.signal(name)
            async def note(event: str = name, **context: Any) -> None:
                app.ctx.events.append(event)

        @app.report_exception
        async def report(app: Any, exception: Exception) -> None:
            app.ctx.events.append(f"reported {exception}")

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            raise RuntimeError("bug")

    await compare(build, ask("GET", "/", differs=Differs.ERROR))


async def test_custom_signals(compare: Comparison) -> None:
    """Signals of one's own: parameters, conditions, ``dispatch`` with and without ``inline``."""

    def build(app: Any) -> None:
        events = app.ctx.events
        books = Blueprint("books")

        @app.signal("shop.book.<action>")
        async def changed(action: str, **context: Any) -> None:
            events.append((action, context))

        @app.signal("shop.sale.done", condition={"large": True})
        async def large(**context: Any) -> None:
            events.append("large")

        @books.signal("shop.shelf.full")
        async def full(**context: Any) -> str:
            events.append("full")
            return "given"

        async def added(**context: Any) -> None:
            events.append("added")

        app.add_signal(added, "shop.added.here")
        app.blueprint(books)

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            await app.dispatch("shop.book.sold", context={"number": 7}, inline=True)
            await app.dispatch("shop.sale.done", condition={"large": True}, inline=True)
            await app.dispatch("shop.sale.done", condition={"large": False}, inline=True)
            await app.dispatch("shop.added.here", inline=True)
            task = await app.dispatch("shop.book.bought", context={})
            await asyncio.wait_for(task, 30)
            return text(str(await app.dispatch("shop.shelf.full", inline=True)))

    await compare(build, ask("GET", "/"))


async def test_waiting_for_events(compare: Comparison) -> None:
    """``app.event`` and ``bp.event`` wait for a signal, and give its context."""

    def build(app: Any) -> None:
        @app.signal("shop.bell.rings")
        async def rings(**context: Any) -> None: ...

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            waiting = asyncio.ensure_future(app.event("shop.bell.rings", timeout=5))
            for _ in range(5):  # rounds of the loop, until it waits
                await asyncio.sleep(0)
            await app.dispatch("shop.bell.rings", context={"loud": True}, inline=True)
            return text(str(await waiting))

        @app.get("/never")
        async def never(request: Request) -> HTTPResponse:
            return text(str(await app.event("shop.bell.rings", timeout=0.01)))

    await compare(build, ask("GET", "/"), ask("GET", "/never", differs=Differs.ERROR))


async def test_background_tasks(compare: Comparison) -> None:
    """``add_task``: functions, coroutines, names, before the start and while served."""

    def build(app: Any) -> None:
        events = app.ctx.events

        async def with_app(app: Any) -> None:
            events.append(f"with {app.name}")

        async def without() -> None:
            events.append("without")

        app.add_task(with_app)
        app.add_task(without())

        @app.after_server_start
        async def later(app: Any) -> None:
            app.add_task(without)

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            task = app.add_task(with_app(app), name="named")
            await task
            return text(f"{task.get_name()} {app.get_task('named') is task}")

    await compare(build, ask("GET", "/"))


async def test_named_tasks(compare: Comparison) -> None:
    """``get_task``, ``cancel_task``, ``purge_tasks`` and ``tasks``."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            app.add_task(asyncio.Event().wait(), name="forever")
            await asyncio.sleep(0)
            task = app.get_task("forever")
            named = [one.get_name() for one in app.tasks]
            await app.cancel_task("forever", raise_exception=False)
            app.purge_tasks()
            left = app.get_task("forever", raise_exception=False)
            try:
                app.get_task("unknown")
            except SanicException as exc:
                wrong = str(exc)
            return text(f"{named} {task.cancelled()} {left} {wrong}")

    await compare(build, ask("GET", "/"))


async def test_tasks_at_the_stop(compare: Comparison) -> None:
    """What still runs at the stop is cancelled."""

    def build(app: Any) -> None:
        async def forever(app: Any) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                app.ctx.events.append("ended")

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            app.add_task(forever, name="forever")
            await asyncio.sleep(0)
            return text(app.get_task("forever").get_name())

        @app.after_server_stop
        async def cancel(app: Any) -> None:
            if app.get_task("forever", raise_exception=False) is not None:  # on Sanic
                await app.cancel_task("forever")

    await compare(build, ask("GET", "/"))


async def test_amending(compare: Comparison) -> None:
    """Routes, middleware and listeners are added while the server starts, in ``app.amend()``."""

    def build(app: Any) -> None:
        @app.before_server_start
        async def add(app: Any) -> None:
            with app.amend():

                @app.get("/late")
                async def late(request: Request) -> HTTPResponse:
                    return text("late")

                @app.on_response
                async def mark(request: Request, response: HTTPResponse) -> None:
                    response.headers["x-late"] = "yes"

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return text("handler")

    await compare(build, ask("GET", "/"), ask("GET", "/late"))


async def test_registration_after_the_start_fails(compare: Comparison) -> None:
    """Outside of ``app.amend()`` a served application takes no routes."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            try:
                app.add_route(handler, "/late", name="late")
            except Exception as exc:
                return text(f"{type(exc).__name__} {exc}")
            return text("taken")

    await compare(build, ask("GET", "/"))


async def test_deferred_blueprints(compare: Comparison) -> None:
    """What a blueprint gets after it was registered reaches the application."""

    def build(app: Any) -> None:
        books = Blueprint("books", url_prefix="/books")

        @books.get("/early")
        async def early(request: Request) -> HTTPResponse:
            return text("early")

        app.blueprint(books)

        @books.get("/late")
        async def late(request: Request) -> HTTPResponse:
            return text("late")

    await compare(build, ask("GET", "/books/early"), ask("GET", "/books/late"))


async def test_cancelled_requests(compare: Comparison) -> None:
    """A handler whose client goes is cancelled."""

    def build(app: Any) -> None:
        app.ctx.begun, app.ctx.over = asyncio.Event(), asyncio.Event()

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            app.ctx.begun.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                app.ctx.events.append("cancelled")
                raise
            finally:
                app.ctx.over.set()
            return text("")

    async def leave(app: Any, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ask("GET", "/").raw)
        await asyncio.wait_for(app.ctx.begun.wait(), 60)
        writer.close()
        await asyncio.wait_for(app.ctx.over.wait(), 60)

    await compare(build, while_served=leave)


async def test_response_timeouts(compare: Comparison) -> None:
    """``RESPONSE_TIMEOUT``: 503, which the application may handle."""

    def build(app: Any) -> None:
        app.config.RESPONSE_TIMEOUT = 0.2

        @app.exception(ServiceUnavailable)
        async def late(request: Request, exc: Exception) -> HTTPResponse:
            return text(f"late {type(exc).__name__}", status=503)

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            await asyncio.sleep(60)
            return text("")

    await compare(build, ask("GET", "/"))


async def _messages(socket: Any) -> AsyncIterator[Any]:
    while True:
        try:
            yield await asyncio.wait_for(socket.recv(), 60)
        except ConnectionClosed:
            return


@pytest.mark.parametrize("kind", ["route", "added", "blueprint", "old-style"])
async def test_websockets(compare: Comparison, kind: str) -> None:
    """Web sockets of an application and of a blueprint: text, bytes, parameters, the close."""

    def build(app: Any) -> None:
        async def echo(request: Request, socket: Websocket, name: str) -> None:
            await socket.send(f"{name} {request.args.get('q')} {socket.subprotocol}")
            async for message in socket:
                if message == "close":
                    await socket.close(4001, "bye")
                    return
                await socket.send(message)
            app.ctx.events.append("over")

        async def old(request: Request, socket: Any, name: str) -> None:
            await socket.send(f"{name} {request.args.get('q')} {socket.subprotocol}")
            while True:
                message = await socket.recv()
                await socket.send(message)

        if kind == "route":
            app.websocket("/ws/<name>", subprotocols=["chat"])(echo)
        elif kind == "added":
            app.add_websocket_route(echo, "/ws/<name>", subprotocols=["chat"])
        elif kind == "old-style":
            app.websocket("/ws/<name>", subprotocols=["chat"])(old)
        else:
            books = Blueprint("books")
            books.websocket("/ws/<name>", subprotocols=["chat"])(echo)
            app.blueprint(books)

    async def talk(app: Any, port: int) -> list[Any]:
        found: list[Any] = []
        url = f"ws://127.0.0.1:{port}/ws/name?q=1"
        async with connect(url, subprotocols=["chat"], compression=None) as client:  # type: ignore[list-item]
            for message in ("text", b"bytes", "x" * 70_000):
                await client.send(message)
            found = [await client.recv() for _ in range(4)]
            if kind != "old-style":
                await client.send("close")
                found += [message async for message in _messages(client)]
                found += [client.close_code, client.close_reason]
        return found

    await compare(build, while_served=talk)


async def test_websockets_and_plain_requests(compare: Comparison) -> None:
    """Middleware and errors before a handshake; a plain request to a web socket."""

    def build(app: Any) -> None:
        @app.on_request
        async def check(request: Request) -> HTTPResponse | None:
            return text("no", status=403) if "no" in request.args else None

        @app.websocket("/ws")
        async def handler(request: Request, socket: Websocket) -> None:
            await socket.send("hello")

    async def talk(app: Any, port: int) -> list[Any]:
        found: list[Any] = []
        for query in ("", "?no"):
            try:
                async with connect(f"ws://127.0.0.1:{port}/ws{query}") as client:
                    found.append(await client.recv())
            except InvalidStatus as exc:
                found.append(exc.response.status_code)
        return found

    await compare(build, while_served=talk)


def test_applications_are_found_by_name() -> None:
    """`Sanic.get_app` finds a service, and tells what it does not find."""
    from sanic_ms import Service

    app = Service("shop", configure_logging=False)
    assert Sanic.get_app() is app
    assert Sanic.get_app("shop") is app
    with pytest.raises(SanicException, match="Sanic app name 'other' not found"):
        Sanic.get_app("other")


@pytest.mark.parametrize("answer", ["answers", "fails"])
def test_a_handler_that_goes_on_when_its_client_has_left(
    compare: Comparison, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that swallows its cancellation and answers leaves no error in the log; one that
    fails then does."""
    caplog.set_level("ERROR")

    def build(app: Any) -> None:
        app.ctx.begun, app.ctx.over = asyncio.Event(), asyncio.Event()

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            app.ctx.begun.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                app.ctx.over.set()
                if answer == "fails":
                    raise RuntimeError("a bug") from None
            return text("late")

    async def leave(app: Any, port: int) -> None:
        caplog.clear()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ask("GET", "/").raw)
        await asyncio.wait_for(app.ctx.begun.wait(), 60)
        writer.close()
        await asyncio.wait_for(app.ctx.over.wait(), 60)

    # In this loop a write to a client that has left fails; asyncio's says nothing.
    uvloop.run(compare(build, while_served=leave))
    assert ("a bug" in caplog.text) == (answer == "fails")
