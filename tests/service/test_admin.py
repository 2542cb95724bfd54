"""``ADMIN_PORT``: what operators see, on a port of its own."""

from __future__ import annotations

import socket
import uuid
from typing import Any

import httpx
import pytest
from sanic import Sanic
from tests.calls import call
from tests.ports import free_port

from sanic_ms import Component, Service
from sanic_ms.exception import ConfigError, LifecycleError

TOKEN = "0123456789abcdef"
PRIVATE = ("/metrics", "/docs", "/openapi/spec.json")


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return free_port()


class Watcher(Component):
    """Asks the admin port while the service starts and stops."""

    name = "watcher"

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.seen: list[int] = []

    async def start(self) -> None:
        await self._look()

    async def stop(self) -> None:
        await self._look()

    async def _look(self) -> None:
        async with httpx.AsyncClient(base_url=self.url) as client:
            for path in ("/health/live", "/health/ready"):
                self.seen.append((await client.get(path)).status_code)


def make(**settings: Any) -> Service:
    """A service that asks its own admin port: GET /ask?path=…"""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)

    @app.get("/ask")
    async def ask(request: Any) -> Any:
        token = request.args.get("token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"http://127.0.0.1:{app.settings.admin_port}{request.args.get('path')}"
        async with httpx.AsyncClient() as client:
            answer = await client.get(url, headers=headers)
        return [answer.status_code, answer.text, dict(answer.headers)]

    return app


async def ask(app: Service, path: str, token: str = "") -> Any:
    """What the admin port answers."""
    return (await call(app, "get", "/ask", params={"path": path, "token": token})).json["data"]


async def test_what_is_for_operators_is_on_its_port_alone(port: int) -> None:
    """Callers of the service find neither metrics nor docs, and health without details; the
    service's routes are not on the other port."""
    app = make(admin_port=port)
    for path in PRIVATE:
        assert (await call(app, "get", path)).status == 404
        assert (await ask(app, path))[0] == 200
    assert (await call(app, "get", "/health/ready")).json == {"status": "UP"}
    status, body, headers = await ask(app, "/health/ready")
    assert (status, '"components"' in body) == (200, True)
    assert headers["x-content-type-options"] == "nosniff"
    status, body, _ = await ask(app, "/ask")
    assert (status, '"code":10404' in body) == (404, True)
    assert Sanic.get_app(app.name) is app
    assert f"{app.name}-admin" not in Sanic._app_registry


async def test_the_token_is_asked_for_there_too(port: int) -> None:
    """To reach the port is not enough where there is a token."""
    app = make(admin_port=port, admin_token=TOKEN)
    for path in PRIVATE:
        assert [(await ask(app, path))[0], (await ask(app, path, TOKEN))[0]] == [401, 200]
    assert '"components"' not in (await ask(app, "/health/ready"))[1]
    assert '"components"' in (await ask(app, "/health/ready", TOKEN))[1]


async def test_it_answers_while_the_service_starts_and_stops(port: int) -> None:
    """A probe learns that the process lives and is not ready; afterwards the port is free."""
    app = make(admin_port=port)
    app.add(watcher := Watcher(port))
    for _ in range(2):
        assert (await call(app, "get", "/health/ready")).status == 200
    assert watcher.seen == [200, 503] * 4
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


async def test_several_processes_share_the_port(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of a service's workers listens, and one that is gone does not take the port with it."""
    monkeypatch.setenv("SANIC_WORKER_NAME", "Sanic-Server-1-0")
    first, second = (make(admin_port=port, metrics=False) for _ in range(2))
    first.compile()
    second.compile()
    await first.lifecycle.start()
    second.prepare(single_process=True)
    await second.lifecycle.start()
    await first.lifecycle.stop()
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/health/live")).status_code == 200
    await second.lifecycle.stop()


async def test_a_port_that_is_taken_is_named(port: int) -> None:
    """By the process that starts the workers, and by a service that is started otherwise."""
    app = make(admin_port=port)
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(
            LifecycleError, match=f"port {port} on 127.0.0.1 is in use: .*ADMIN_PORT"
        ):
            app.prepare(single_process=True)
        app.compile()
        with pytest.raises(
            LifecycleError, match=f"port {port} on 127.0.0.1 is in use: .*ADMIN_PORT"
        ):
            await app.lifecycle.start()


async def test_an_address_that_is_none_is_a_wrong_setting() -> None:
    """Another moment mends nothing."""
    app = make(admin_port=9100, admin_host="192.0.2.1")
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:9100 \(ADMIN_PORT\): "):
        app.prepare(single_process=True)


def test_the_two_ports_differ() -> None:
    """The second would find the first in use."""
    with pytest.raises(ConfigError, match="ADMIN_PORT and PORT are both 8000"):
        _ = make(admin_port=8000).settings
