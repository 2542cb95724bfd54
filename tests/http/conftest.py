"""A small application for the tests of the http room: compiled routes and the envelope, no more."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest
from sanic import Sanic

from sanic_ms.container import Container
from sanic_ms.http.envelope import Envelope
from sanic_ms.http.errors import EnvelopeErrorHandler
from sanic_ms.http.request import Request
from sanic_ms.http.routes import compile_routes


class Answer(Protocol):
    """What the test client gives."""

    status: int
    body: bytes
    json: Any
    headers: dict[str, str]


Call = Callable[..., Awaitable[Answer]]


class CompiledApp(Sanic[Any, Any]):
    """Sanic with the http package, without the rest of a service."""

    def __init__(self, envelope: Envelope | None = None) -> None:
        envelope = envelope or Envelope()
        super().__init__(
            f"app_{uuid.uuid4().hex}",
            request_class=Request,
            error_handler=EnvelopeErrorHandler(envelope),
            configure_logging=False,
        )
        self.ctx.envelope = envelope
        self.ctx.container = Container()

    def finalize(self) -> None:
        """Compile, as a service does."""
        compile_routes(self, envelope=self.ctx.envelope, container=self.ctx.container)
        super().finalize()

    async def call(self, method: str, path: str, **keywords: Any) -> Answer:
        """One request through the whole application, in this process."""
        _, answer = await getattr(self.asgi_client, method)(path, **keywords)
        return answer  # type: ignore[no-any-return]


@pytest.fixture
def app() -> CompiledApp:
    """A fresh application."""
    Sanic.test_mode = True
    return CompiledApp()


@pytest.fixture
def app_with(app: CompiledApp) -> Callable[[Envelope], CompiledApp]:
    """A fresh application with an envelope of one's own."""
    return CompiledApp
