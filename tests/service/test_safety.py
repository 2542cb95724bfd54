"""What is safe by default: health, and who sees what."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.calls import call, call_asgi

from sanic_ms import Service
from sanic_ms.exception import ConfigError

TOKEN = "0123456789abcdef"
HEALTH = ("/health/live", "/health/ready", "/health/startup")


def make(**settings: Any) -> Service:
    """A service with a name of its own."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)
    return app


async def test_health_is_served_and_not_documented() -> None:
    """Three paths, each a setting; HEALTH=false takes them away."""
    app = make(health_live_path="/alive")
    assert (await call(app, "get", "/alive")).json == {"status": "UP"}
    assert (await call(app, "get", "/health/startup")).status == 200
    assert (await call(app, "get", "/health/live")).status == 404
    assert app.openapi()["paths"] == {}
    off = make(health=False)
    assert [(await call(off, "get", path)).status for path in HEALTH] == [404, 404, 404]


async def test_a_service_that_stopped_and_starts_again_is_ready_again() -> None:
    """Also on another event loop."""
    app = make()
    for _ in range(2):
        assert (await call(app, "get", "/health/ready")).json == {"status": "UP"}
        assert app._health.started is False


async def test_health_answers_while_the_pool_is_exhausted(sqlite_url: str) -> None:
    """Liveness at once, and readiness says degraded: requests wait, the database may be well."""
    app = make(db_url=sqlite_url, db_pool_max=1, db_acquire_timeout=5, health_details="always")
    found: list[Any] = []

    @app.get("/")
    async def handler(request: Any) -> Any:
        async with app.db.acquire():
            waiting = asyncio.create_task(app.db.fetchval("SELECT 1"))
            await asyncio.sleep(0)
            health = await app._health.parts()
            found.append(health["default"].status)
        return await waiting

    assert (await call(app, "get", "/")).json["data"] == 1
    assert found == ["degraded"]


@pytest.mark.parametrize("details", ["always", "protected", "never"])
async def test_health_details_say_who_sees_the_parts(sqlite_url: str, details: str) -> None:
    """Everybody, whoever shows ADMIN_TOKEN, nobody."""
    app = make(db_url=sqlite_url, health_details=details, admin_token=TOKEN)
    shown = {"Authorization": f"Bearer {TOKEN}"}
    seen = [
        "components" in (await call(app, "get", "/health/ready", headers=headers)).json
        for headers in ({}, shown)
    ]
    assert (
        seen
        == {
            "always": [True, True],
            "protected": [False, True],
            "never": [False, False],
        }[details]
    )


async def test_the_admin_token_protects_the_docs() -> None:
    """401 in the envelope, with both ways to show it; open without a token."""
    app = make(admin_token=TOKEN)
    refused = await call(app, "get", "/openapi/spec.json")
    assert (refused.status, refused.json["code"]) == (401, 10401)
    assert "Bearer" in refused.headers["www-authenticate"]
    shown = {"Authorization": f"Bearer {TOKEN}"}
    for path in ("/openapi/spec.json", "/docs", "/docs/init.js"):
        assert (await call(app, "get", path)).status == 401
        assert (await call(app, "get", path, headers=shown)).status == 200
    assert (await call(make(), "get", "/docs")).status == 200


def test_a_short_admin_token_is_refused() -> None:
    """Whoever can guess it sees everything; the message does not show it."""
    with pytest.raises(ConfigError, match=r"ADMIN_TOKEN=\*\*\*.*at least 16"):
        _ = make(admin_token="hunter2").settings


async def test_a_start_says_which_migrations_are_not_applied(
    tmp_path: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning with the command; nothing where there are none, or no folder of them."""
    app = make(db_url=sqlite_url)

    async def start() -> list[str]:
        with caplog.at_level(logging.WARNING, "sanic_ms.service"):
            assert (await call_asgi(app, "get", "/health/ready")).status == 200
            for thread in threading.enumerate():
                if thread.name == "unapplied":
                    thread.join(20)
        return [record.getMessage() for record in caplog.records]

    assert await start() == []
    (tmp_path / "migrations").mkdir()
    assert await start() == []
    (tmp_path / "migrations" / "0001_items.py").write_text("def up(migrator, db):\n    pass\n")
    assert await start() == [
        "migrations of the database default: 1 pending (0001_items): run sanic-ms db up"
    ]


PRODUCTION = [
    ({"docs": True}, "/docs, /openapi/spec.json and /metrics answer anybody", 200),
    ({}, "/metrics answers anybody", 404),
    ({"docs": True, "metrics": False}, "/docs and /openapi/spec.json answer anybody", 200),
    ({"metrics": False}, "", 404),
    ({"docs": True, "admin_token": TOKEN}, "", 401),
    ({"docs": True, "admin_port": 9}, "", 404),
]


@pytest.mark.parametrize(("settings", "warning", "status"), PRODUCTION)
async def test_production_warns_of_what_answers_anybody(
    settings: dict[str, Any], warning: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """API docs are off there unless they are asked for. What is on, and is neither protected nor on
    a port of its own, is named in one line with the settings that close it."""
    app = make(environment="production", **settings)
    app._admin.warn_of_open()
    assert [record.getMessage().partition(": set ")[0] for record in caplog.records] == (
        [f"ENVIRONMENT=production: {warning}"] if warning else []
    )
    if "admin_port" not in settings:
        assert (await call(app, "get", "/docs")).status == status
        assert (await call(app, "get", "/openapi/spec.json")).status == status


@pytest.mark.parametrize("environment", ["development", "test", "staging"])
async def test_elsewhere_docs_are_on_and_nothing_is_warned_of(
    environment: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A developer reads them."""
    app = make(environment=environment)
    app._admin.warn_of_open()
    assert caplog.records == []
    assert (await call(app, "get", "/docs")).status == 200
