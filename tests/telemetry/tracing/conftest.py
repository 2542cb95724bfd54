"""Requests to begin spans with, and where those end."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from multidict import CIMultiDict
from tests.telemetry.collected import Collected

T = TypeVar("T")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


class Transport:
    """A connection, with or without TLS."""

    def __init__(self, secure: bool = False) -> None:
        self.secure = secure

    def get_extra_info(self, name: str) -> Any:
        return object() if self.secure and name == "sslcontext" else None


class FakeRequest:
    """What a server span reads of a request."""

    def __init__(
        self, *lines: str, raw_url: bytes = b"/users/7", asgi: bool = False, secure: bool = False
    ) -> None:
        pairs = [tuple(line.split(":", 1)) for line in lines]
        self.headers: CIMultiDict[str] = CIMultiDict((name, text.strip()) for name, text in pairs)
        head = b"\r\n".join(
            [b"GET %b HTTP/1.1" % raw_url, b"Host: a", *(x.encode() for x in lines)]
        )
        self.head = b"" if asgi else head
        self.raw_url = raw_url
        self.transport = Transport(secure)


@pytest.fixture
def spans() -> Collected:
    """The spans that ended."""
    return Collected()


@pytest.fixture
def apart() -> Callable[..., Any]:
    """Call a function in a context of its own, as the task of a request has one."""

    def run(call: Callable[..., T], *args: Any) -> T:
        return contextvars.Context().run(call, *args)

    return run
