"""Handlers of web sockets, with what they raise."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from sanic_ms.values.handlers import guard_websocket


class Socket:
    """A socket that counts how often it was told."""

    failed = 0

    def handler_failed(self) -> None:
        self.failed += 1


class Foreign:
    """The socket of another server."""


def registered(handler: Any) -> Any:
    """What Sanic makes of a handler: a partial of a method of its own."""

    async def method(handler: Any, request: Any, *args: Any, subprotocols: Any = None) -> Any:
        return await handler(request, *args)

    partial = functools.partial(method, handler, subprotocols=["chat"])
    partial.__name__ = handler.__name__  # type: ignore[attr-defined]
    partial.is_websocket = True  # type: ignore[attr-defined]
    return partial


class Surprise(BaseException):
    """Nothing that a server expects."""


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (KeyError("x"), KeyError),
        (asyncio.CancelledError(), asyncio.CancelledError),
        (Surprise(), RuntimeError),
    ],
    ids=["error", "cancelled", "other"],
)
async def test_a_socket_is_told_that_its_handler_failed(
    raised: BaseException, expected: type[BaseException]
) -> None:
    """Once, whatever was raised; that arrives, and what no server expects as an error with it as
    the cause. A socket of another server knows no such thing."""

    async def chat(request: Any, ws: Any) -> None:
        raise raised

    guarded = guard_websocket(registered(chat))
    for socket in (Socket(), Foreign()):
        with pytest.raises(expected) as caught:
            await guarded(object(), socket)
        assert raised in (caught.value, caught.value.__cause__)
        assert getattr(socket, "failed", 1) == 1


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_handler_that_ends_well_is_as_it_was(is_async: bool) -> None:
    """Also one that is no coroutine function: its result is given, and the socket is told
    nothing."""

    async def waits(request: Any, ws: Any, room: str) -> str:
        return room

    def answers(request: Any, ws: Any, room: str) -> str:
        return room

    socket = Socket()
    guarded = guard_websocket(registered(waits if is_async else answers))
    assert await guarded(object(), socket, "blue") == "blue"
    assert socket.failed == 0


def test_a_guarded_handler_says_what_the_unguarded_one_did() -> None:
    """Sanic looks at the attributes of what was registered; the same handler is guarded once."""

    async def chat(request: Any, ws: Any) -> None: ...

    plain = registered(chat)
    guarded: Any = guard_websocket(plain)
    assert guarded is not plain
    assert (guarded.__name__, guarded.is_websocket) == ("chat", True)
    assert (guarded.func, guarded.keywords) == (plain.func, plain.keywords)
    assert guarded.args[0].__name__ == "chat"
    assert guard_websocket(guarded) is guarded
    assert guard_websocket(chat) is chat
