"""Routes listed with their policy, and those without one found."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from sanic import Blueprint
from sanic.views import HTTPMethodView

from sanic_ms import Service, doc
from sanic_ms.exception import LifecycleError
from sanic_ms.http import list_routes, routes_without_policy

pytestmark = pytest.mark.usefixtures("empty_folder")


def make(**settings: Any) -> Service:
    """A service with a route of every kind."""
    schemes = {name: {"type": "apiKey", "in": "header", "name": name} for name in ("key", "mfa")}
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False, security_schemes=schemes)
    app.configure(**settings)
    users = Blueprint(f"users_{uuid.uuid4().hex}", url_prefix="/users", version=1)

    @users.get("/<id:int>")
    @doc.security("bearer", {"key": ["read", "write"]})
    async def get_user(request: Any, id: int) -> Any: ...

    @users.post("/")
    async def create_user(request: Any) -> Any: ...

    class Items(HTTPMethodView):
        @doc.security({"bearer": [], "mfa": []})
        async def get(self, request: Any) -> Any: ...

        async def put(self, request: Any) -> Any: ...

    @app.websocket("/ws")
    @doc.security()
    async def socket(request: Any, ws: Any) -> None: ...

    app.blueprint(users)
    app.add_route(Items.as_view(), "/items")
    app.static("/files", Path(__file__).parent)
    return app


@pytest.mark.parametrize("compiled", [False, True])
def test_every_route_is_listed_with_its_policy(compiled: bool) -> None:
    """Of every kind, compiled or not; handlers are those that were written, with their line."""
    app = make(docs=False, health=False, metrics=False)
    if compiled:
        app.compile()
    found = {
        (",".join(entry.methods), entry.path): (entry.handler.rpartition(".")[2], entry.policy)
        for entry in list_routes(app)
        if not entry.path.startswith("/files")
    }
    items: dict[Any, Any] = {("GET,PUT", "/items"): ("view", None)}
    if compiled:  # a class view is read when it is compiled
        items = {("GET", "/items"): ("get", "bearer and mfa"), ("PUT", "/items"): ("put", None)}
    assert found == {
        ("GET", "/v1/users/<id:int>"): ("get_user", "bearer or key(read, write)"),
        ("POST", "/v1/users"): ("create_user", None),
        ("GET", "/ws"): ("socket", "open"),
        **items,
    }


def test_the_source_is_where_the_handler_stands() -> None:
    """File and line, also under decorators."""
    sources = {entry.path: entry.source for entry in list_routes(make())}
    file, _, line = sources["/v1/users"].rpartition(":")
    assert Path(file) == Path(__file__)
    assert "users.post" in Path(file).read_text().splitlines()[int(line) - 1]


def test_a_team_can_test_that_every_route_has_a_policy() -> None:
    """What the framework mounts and static files count as open."""
    app = make()
    app.compile()
    assert [(entry.methods, entry.path) for entry in routes_without_policy(app)] == [
        (("PUT",), "/items"),
        (("POST",), "/v1/users"),
    ]


def test_deny_by_default_refuses_to_start_without_policies() -> None:
    """One line that names the routes and what to do."""
    with pytest.raises(LifecycleError, match=r"PUT /items, POST /v1/users; .*@doc\.security"):
        make(deny_by_default=True).compile()


def test_deny_by_default_starts_where_every_route_has_one() -> None:
    """Also with preflights, docs, health and an admin token."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(
        deny_by_default=True, cors_origins=["https://a.example"], admin_token="0123456789abcdef"
    )

    @app.get("/")
    @doc.security()
    async def index(request: Any) -> Any: ...

    app.compile()
    assert routes_without_policy(app) == []
