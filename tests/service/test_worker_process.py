"""What `app.worker_process` takes, and where it works."""

from __future__ import annotations

import socket
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sanic_ms import Service
from sanic_ms.config import load_settings
from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.server.process.function_process import arguments_of
from sanic_ms.service.announcement import summarize
from sanic_ms.testing import TestClient


def nothing() -> None:
    """Takes nothing."""


def takes_app(app: Any) -> None:
    """Takes the application."""


def takes_more(app: Any, queue: str) -> None:
    """Takes what nobody gives."""


async def generate() -> AsyncIterator[int]:
    """Gives several things."""
    yield 1


@pytest.fixture
def app() -> Service:
    """A service that does not run."""
    return Service(f"service_{uuid.uuid4().hex}", configure_logging=False)


def test_it_is_a_decorator_too(app: Service) -> None:
    """The function stays what it is; its name is the process' unless another is given."""
    assert app.worker_process(nothing) is nothing
    assert app.worker_process(takes_app, name="consumer") is takes_app
    assert app.launch.functions == {"nothing": nothing, "consumer": takes_app}
    with pytest.raises(LifecycleError, match="two processes named 'consumer'"):
        app.worker_process(nothing, name="consumer")


@pytest.mark.parametrize(
    "function",
    [None, "consume", generate, takes_more],
    ids=["none", "text", "generator", "arguments"],
)
def test_what_cannot_run_there(app: Service, function: Any) -> None:
    """An error where the call stands."""
    with pytest.raises(TypeError, match=r"app\.worker_process"):
        app.worker_process(function)
    with pytest.raises(TypeError, match="give a text"):
        app.worker_process(nothing, name="")
    assert app.launch.functions == {}


def test_arguments() -> None:
    """None, or the application; what has a default keeps it."""
    app = object()
    assert arguments_of(nothing, app) == ()
    assert arguments_of(takes_app, app) == (app,)
    assert arguments_of(lambda count=3: count, app) == ()
    with pytest.raises(TypeError, match="takes nothing or the application"):
        arguments_of(takes_more, app)


async def test_it_is_too_late_while_the_service_runs(app: Service) -> None:
    """The master has started its processes. In tests there are none, and the service runs."""
    app.worker_process(nothing)
    async with TestClient(app):
        with pytest.raises(LifecycleError, match="runs already"):
            app.worker_process(takes_app)


async def test_other_runners_refuse(app: Service) -> None:
    """A service that would silently lack its processes does not start."""
    app.worker_process(nothing)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server: Any = await app.create_server(sock=listener, return_asyncio_server=True)
        await server.startup()
        with pytest.raises(LifecycleError, match=r"only app.run\(\) and sanic-ms run start"):
            await server.before_start()
        server.server.close()
        await server.server.wait_closed()
    with pytest.raises(SystemExit):
        app.run(single_process=True)
    with pytest.raises(ConfigError, match="needs processes"):
        app.launch._serve({"workers": 1, "auto_reload": False, "single_process": True})


def test_the_summary_names_them(tmp_path: Any) -> None:
    """Where there are any."""
    loaded = load_settings(directory=tmp_path, env={})
    facts = summarize(loaded, workers=1, traces="none", processes=["consumer", "mailer"])
    assert facts["processes"] == "consumer, mailer"
    assert "processes" not in summarize(loaded, workers=1, traces="none")
