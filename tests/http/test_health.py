"""Health over HTTP: what probes get, how seldom the parts are asked, who sees the details."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sanic import Sanic

from sanic_ms.exception import ConfigError
from sanic_ms.http.admin import AdminToken
from sanic_ms.http.health import HealthChecks, mount_health
from sanic_ms.lifecycle import Component, Health, Lifecycle

TOKEN = "0123456789abcdef"


class Part(Component):
    """Says what it is told to say, and counts how often it is asked."""

    name = "part"

    def __init__(self, status: Any = "up", detail: str = "") -> None:
        self.health = Health(status, detail)
        self.asked = 0
        self.gate: asyncio.Event | None = None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def check(self) -> Health:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        return self.health


@pytest.fixture
def app() -> Iterator[Sanic[Any, Any]]:
    """A bare application."""
    Sanic.test_mode = True
    made: Sanic[Any, Any] = Sanic(f"health_{uuid.uuid4().hex}", configure_logging=False)
    yield made
    Sanic.unregister_app(made)


async def running(*parts: Part) -> HealthChecks:
    """The checks of a service that has started."""
    lifecycle = Lifecycle()
    for part in parts:
        lifecycle.add(part)
    await lifecycle.start()
    checks = HealthChecks(lifecycle)
    checks.started = True
    return checks


async def get(app: Sanic[Any, Any], path: str, **headers: str) -> Any:
    """One request."""
    _, answer = await app.asgi_client.get(path, headers=headers)
    return answer


@pytest.mark.parametrize(
    ("status", "code"), [("up", 200), ("degraded", 200), ("down", 503)], ids=str
)
async def test_readiness_is_that_of_the_worst_part(
    app: Sanic[Any, Any], status: str, code: int
) -> None:
    """Degraded works with a loss and stays ready; one part that is down takes the service out."""
    mount_health(app, await running(Part(), Part(status)))
    answer = await get(app, "/health/ready")
    assert (answer.status, answer.json) == (code, {"status": status.upper()})
    assert answer.headers["cache-control"] == "no-store"


async def test_liveness_asks_nobody(app: Sanic[Any, Any]) -> None:
    """Nor does startup: a process is not killed for a database that is down."""
    part = Part("down")
    mount_health(app, await running(part))
    assert (await get(app, "/health/live")).status == 200
    assert (await get(app, "/health/startup")).status == 200
    assert part.asked == 0


async def test_before_the_start_is_done_only_liveness_is_good(app: Sanic[Any, Any]) -> None:
    """A service whose listeners still run gets no requests, and is not killed."""
    checks = await running(part := Part())
    checks.started = False
    mount_health(app, checks)
    codes = [(await get(app, f"/health/{name}")).status for name in ("live", "ready", "startup")]
    assert codes == [200, 503, 503]
    assert part.asked == 0


async def test_a_service_that_stops_is_not_ready_and_asks_nobody(app: Sanic[Any, Any]) -> None:
    """While it stops its parts go away one by one; that is no news."""
    lifecycle = Lifecycle()
    lifecycle.add(part := Part())
    await lifecycle.start()
    checks = HealthChecks(lifecycle)
    checks.started = True
    mount_health(app, checks)
    await lifecycle.leave()
    for _ in range(2):
        answer = await get(app, "/health/ready")
        assert (answer.status, answer.json) == (503, {"status": "OUT_OF_SERVICE"})
        checks.close()
    assert part.asked == 0


async def test_the_parts_are_asked_once_however_many_ask_us() -> None:
    """Single flight, and for a second afterwards the same answer."""
    checks = await running(part := Part())
    part.gate = asyncio.Event()
    asking = [asyncio.create_task(checks.parts()) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    part.gate.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [await checks.parts()] * 49
    for _ in range(100):
        await checks.parts()
    assert part.asked == 1


async def test_an_old_answer_is_asked_for_again() -> None:
    """What a part said is the answer for ``max_age`` seconds and not for ever."""
    lifecycle = Lifecycle()
    lifecycle.add(part := Part())
    checks = HealthChecks(lifecycle, max_age=0.0)
    await checks.parts()
    part.health = Health("down")
    statuses = [(await checks.parts())["part"].status for _ in range(3)]
    assert statuses[-1] == "down"
    assert part.asked > 1


async def test_details_are_for_those_who_may_see_them(app: Sanic[Any, Any]) -> None:
    """Each part with its latency and its error, passwords out, for who shows the token."""
    part = Part("down", "postgresql://app:hunter2@db/users does not answer")
    checks = await running(part)
    mount_health(app, checks, detailed=AdminToken(TOKEN).shown_by)
    assert (await get(app, "/health/ready")).json == {"status": "DOWN"}
    wrong = await get(app, "/health/ready", authorization=f"Bearer {TOKEN}x")
    assert wrong.json == {"status": "DOWN"}
    told = (await get(app, "/health/ready", authorization=f"Bearer {TOKEN}")).json
    details = told["components"]["part"]["details"]
    assert details.pop("latency_ms") >= 0
    assert details == {"error": "postgresql://app:***@db/users does not answer"}
    assert told["status"] == told["components"]["part"]["status"] == "DOWN"


async def test_a_path_that_is_taken_is_named(app: Sanic[Any, Any]) -> None:
    """Neither route wins by chance."""

    @app.get("/health/ready")
    async def own(request: Any) -> Any: ...

    with pytest.raises(ConfigError, match=r"HEALTH_READY_PATH='/health/ready'.*HEALTH=false"):
        mount_health(app, await running())


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN}", True),
        ("Basic " + base64.b64encode(f"anyone:{TOKEN}".encode()).decode(), True),
        ("Basic " + base64.b64encode(b"anyone:wrong").decode(), False),
        ("Basic !!!", False),
        (f"Digest {TOKEN}", False),
        (TOKEN, False),
        ("Bearer", False),
        ("Bearer \udcff", False),
        ("", False),
    ],
    ids=lambda value: str(value).encode("ascii", "backslashreplace").decode(),
)
def test_the_token_is_shown_as_bearer_or_password(header: str, right: bool) -> None:
    """Nothing else is it, and nothing that a client sends makes the comparison fail."""
    request: Any = SimpleNamespace(headers={"authorization": header})
    assert AdminToken(TOKEN).shown_by(request) is right
    assert AdminToken(None).shown_by(request) is False
