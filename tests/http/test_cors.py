"""Preflights on the routes of an application."""

from __future__ import annotations

from typing import Any

import pytest
from sanic import Sanic
from sanic.response import json
from tests.http.conftest import Answer, CompiledApp

from sanic_ms.http.cors import clear_preflights, mount_preflights
from sanic_ms.values.cors import Cors
from sanic_ms.values.route import route_spec

SHOP = "https://shop.example"
PREFLIGHT = {"Origin": SHOP, "Access-Control-Request-Method": "PUT"}
CORS = Cors(origins=frozenset((SHOP,)), methods=("GET", "PUT", "DELETE"), headers=("X-A",))


class ShopApp(CompiledApp):
    """Mounts them as a service does, and once more, which does nothing."""

    def finalize(self) -> None:
        mount_preflights(self, CORS)
        mount_preflights(self, CORS)
        super().finalize()
        clear_preflights(self)


@pytest.fixture
def shop() -> CompiledApp:
    """Two methods of one path, a path that answers OPTIONS itself, and a middleware that asks for
    credentials."""
    Sanic.test_mode = True
    app = ShopApp()
    app.ctx.calls = []

    @app.get("/items/<id:int>", name="get_item")
    async def get_item(request: Any, id: int) -> Any:
        return id

    @app.put("/items/<id:int>", name="put_item")
    async def put_item(request: Any, id: int) -> Any:
        return id

    @app.route("/own/<id:int>", methods=["GET", "OPTIONS"])
    async def own(request: Any, id: int) -> Any:
        app.ctx.calls.append((request.method, id))
        return id

    @app.on_request
    async def login(request: Any) -> Any:
        if "x-login" not in request.headers:
            return json(None, 401)
        return None

    return app


def permissions(answer: Answer) -> dict[str, str]:
    """The headers of CORS."""
    start = "access-control-"
    return {
        name[len(start) :]: value
        for name, value in answer.headers.items()
        if name.lower().startswith(start)
    }


async def test_a_preflight_is_answered_before_any_middleware(shop: CompiledApp) -> None:
    """With the methods of the path that may be used, whichever route they are of; another origin
    gets no permission. What is no preflight is told the methods."""
    answer = await shop.call("options", "/items/7", headers=PREFLIGHT)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["allow"] == "GET, OPTIONS, PUT"
    assert permissions(answer) == {
        "allow-methods": "GET, PUT",
        "allow-headers": "X-A",
        "max-age": "600",
    }
    other = await shop.call(
        "options", "/items/7", headers={**PREFLIGHT, "Origin": "https://evil.example"}
    )
    assert (other.status, permissions(other)) == (204, {})
    for left_out in PREFLIGHT:
        headers = {name: value for name, value in PREFLIGHT.items() if name != left_out}
        plain = await shop.call("options", "/items/7", headers=headers)
        assert (plain.status, permissions(plain)) == (204, {})
        assert plain.headers["allow"] == "GET, OPTIONS, PUT"
    refused = await shop.call("get", "/items/7")
    assert refused.status == 401


async def test_a_handler_for_options_has_what_is_no_preflight(shop: CompiledApp) -> None:
    """A preflight does not reach it, and other methods do; its middleware stays."""
    login = {"X-Login": "1"}
    answer = await shop.call("options", "/own/7", headers={**PREFLIGHT, **login})
    assert (answer.status, shop.ctx.calls) == (204, [])
    assert permissions(answer)["allow-methods"] == "GET"
    for left_out in PREFLIGHT:
        headers = {name: value for name, value in PREFLIGHT.items() if name != left_out}
        answer = await shop.call("options", "/own/7", headers={**headers, **login})
        assert (answer.status, answer.json["data"]) == (200, 7)
    await shop.call("get", "/own/7", headers={**PREFLIGHT, **login})
    assert shop.ctx.calls == [("OPTIONS", 7), ("OPTIONS", 7), ("GET", 7)]
    assert (await shop.call("options", "/own/7")).status == 401


async def test_preflights_are_no_part_of_the_document(shop: CompiledApp) -> None:
    """Their routes are hidden and need no credentials, one for each path, however often they are
    mounted. A path of another host is another path."""

    for host in ("a.example", "b.example"):

        @shop.get("/hosts", host=host, name=host.partition(".")[0])
        async def elsewhere(request: Any) -> Any:
            return request.host

    await shop.call("get", "/items/7")
    mounted = [route for route in shop.router.routes if getattr(route.ctx, "preflight", False)]
    hosts = [route.requirements.get("host") or "" for route in mounted]
    assert sorted(hosts) == ["", "a.example", "b.example"]
    assert all(route.methods == {"OPTIONS"} for route in mounted)
    specs = [route_spec(route.handler) for route in mounted]
    assert [(spec.hidden, spec.security) for spec in specs] == [(True, [])] * 3
