"""Answers of a whole service: the names on the wire, and what becomes of one that lacks a field."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import msgspec
import pytest
from sanic import Request
from sanic.views import HTTPMethodView
from tests.calls import call, call_asgi
from tests.paths import take_full_path

from sanic_ms import Page, Pagination, Service
from sanic_ms.testing import TestClient

ROW = {"first_name": "Ann", "id": 1}
WIRE = {"firstName": "Ann", "id": 1}
SHORT = {"id": 2, "password": "secret"}


class Out(msgspec.Struct, rename="camel"):
    first_name: str
    id: int


class Plain(msgspec.Struct):
    name: str
    id: int
    note: str = ""


class View(HTTPMethodView):
    async def get(self, request: Request) -> Out:
        return dict(SHORT)  # type: ignore[return-value]


def make(*, full: bool = False, **settings: Any) -> Service:
    """A service whose answers are named otherwise in Python, and some that lack a field."""
    app = Service(f"output_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)
    row, rows = dict(ROW), [dict(ROW), dict(ROW)]
    app.ctx.data = [row, rows]

    if full:
        take_full_path(app)

    @app.get("/one")
    async def one(request: Request) -> Out:
        return row  # type: ignore[return-value]

    @app.get("/many")
    def many(request: Request) -> list[Out]:
        return rows  # type: ignore[return-value]

    @app.get("/page")
    async def page(request: Request, page: Page) -> tuple[list[Out], Pagination]:
        return rows, page.of(2)  # type: ignore[return-value]

    @app.get("/instance")
    async def instance(request: Request) -> Out:
        return Out("Ann", 1)

    @app.get("/short/<id:int>")
    async def short(request: Request, id: int) -> Out:
        return dict(SHORT)  # type: ignore[return-value]

    @app.get("/short")
    async def many_short(request: Request) -> list[Out]:
        return [row, dict(SHORT)]  # type: ignore[list-item]

    @app.get("/short/page")
    async def page_short(request: Request, page: Page) -> tuple[list[Out], Pagination]:
        return [dict(SHORT)], page.of(1)  # type: ignore[list-item]

    @app.get("/plain")
    async def plain(request: Request) -> Plain:
        return {"name": "Ann", "id": 1}  # type: ignore[return-value]

    @app.get("/plain/short")
    async def plain_short(request: Request) -> Plain:
        return {"name": "Ann", "note": "x"}  # type: ignore[return-value]

    app.add_route(View.as_view(), "/view")
    return app


@pytest.fixture(params=[False, True], ids=["fast", "full"])
def full(request: pytest.FixtureRequest) -> bool:
    """Whether requests take the full path."""
    return bool(request.param)


async def test_rows_are_answered_under_their_names_on_the_wire(full: bool) -> None:
    """One, many, a page, an instance; the handler's rows are as they were."""
    app = make(full=full)
    async with TestClient(app) as client:
        assert (await client.get("/one")).json == {"code": 0, "data": WIRE}
        assert (await client.get("/many")).json["data"] == [WIRE, WIRE]
        assert (await client.get("/page")).json["data"] == [WIRE, WIRE]
        assert (await client.get("/instance")).json["data"] == WIRE
        assert (await client.get("/plain")).json["data"] == {"name": "Ann", "id": 1}
    assert app.ctx.data == [ROW, [ROW, ROW]]


@pytest.mark.parametrize("environment", ["development", "test"])
@pytest.mark.parametrize(
    ("path", "route", "field"),
    [
        ("/short/7", "/short/{id}", "firstName is missing, which Out requires"),
        ("/short", "/short", "[1].firstName is missing, which Out requires"),
        ("/short/page", "/short/page", "[0].firstName is missing, which Out requires"),
        ("/plain/short", "/plain/short", "id is missing, which Plain requires"),
        ("/view", "/view", "firstName is missing, which Out requires"),
    ],
)
async def test_a_response_without_a_required_field_is_an_error_while_it_is_written(
    environment: str,
    path: str,
    route: str,
    field: str,
    full: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """500, and one ERROR line with the route, the handler, the field and the shape."""
    answer = await call(make(full=full, environment=environment), "get", path)
    assert answer.status == 500
    assert answer.json["error"].startswith(f"{route}: the response of ")
    assert field in answer.json["error"]
    (line,) = [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    assert route in line.getMessage()
    assert field in line.getMessage()
    assert "secret" not in answer.text
    assert "secret" not in line.getMessage()


@pytest.mark.parametrize("environment", ["staging", "production"])
async def test_in_production_it_is_sent_as_it_is_and_counted(
    environment: str, full: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """One WARNING a route, whatever follows; undeclared keys stay away all the same."""
    app = make(full=full, environment=environment)
    async with TestClient(app) as client:
        for _ in range(3):
            assert (await client.get("/short/7")).json == {"code": 0, "data": {"id": 2}}
        assert (await client.get("/short")).json["data"] == [WIRE, {"id": 2}]
        assert (await client.get("/short/page")).json["data"] == [{"id": 2}]
        assert (await client.get("/view")).json["data"] == {"id": 2}
        shown = {"name": "Ann", "note": "x"}
        assert (await client.get("/plain/short")).json["data"] == shown
        assert (await client.get("/one")).json["data"] == WIRE
        metrics = (await client.get("/metrics")).text
    name = "http_server_response_mismatch_total"
    assert f'{name}{{route="/short/{{id}}"}} 3.0\n' in metrics
    assert f'{name}{{route="/short"}} 1.0\n' in metrics
    assert f'{name}{{route="/one"}}' not in metrics
    lines = [entry for entry in caplog.records if "lacks a field" in entry.getMessage()]
    assert len(lines) == 5
    assert {entry.levelname for entry in lines} == {"WARNING"}
    assert not [entry for entry in caplog.records if entry.levelno >= logging.ERROR]


async def test_under_an_asgi_server_it_is_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """The endpoint does it, whatever serves."""
    assert (await call_asgi(make(), "get", "/one")).json["data"] == WIRE
    assert (await call_asgi(make(), "get", "/short/7")).status == 500
    answer = await call_asgi(make(environment="production"), "get", "/short/7")
    assert answer.json["data"] == {"id": 2}


async def test_it_is_not_counted_where_there_are_no_metrics() -> None:
    """And the response is sent."""
    app = make(environment="production", metrics=False)
    assert (await call(app, "get", "/short/7")).json["data"] == {"id": 2}
