"""What a handler may return and depend on: the same on the fast path, the full path and ASGI."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from sanic import Request
from tests.calls import WAYS, Ask, asking

from sanic_ms import Service, doc
from sanic_ms.exception import Unauthorized, ValidationError


class City(msgspec.Struct):
    """A shape."""

    id: int


class User:
    """Of the caller; made of the request alone."""

    def __init__(self, name: str) -> None:
        self.name = name


class Draft:
    """Made of the body."""

    def __init__(self, data: Any) -> None:
        self.data = data


async def authenticate(request: Request) -> User:
    """401 without a token."""
    if request.token is None:
        raise Unauthorized("a token is missing")
    return User(request.token)


def draft(request: Request) -> Draft:
    """Asks for the body before it is its turn."""
    assert "data" in request  # type: ignore[operator]
    assert request.get("query") == {"limit": 5}  # type: ignore[attr-defined]
    return Draft(request["data"])  # type: ignore[index]


class Careless:
    """Looks at the body and does not mind what is wrong with it."""


def careless(request: Request) -> Careless:
    """Keeps the error to itself."""
    with pytest.raises(ValidationError):
        request["data"]  # type: ignore[index]
    return Careless()


def make_app() -> Service:
    """All of it."""
    app = Service(f"habits-{uuid.uuid4().hex}")
    app.provide(User, authenticate, scope="request")
    app.provide(Draft, draft, scope="request")
    app.provide(Careless, careless, scope="request")

    @app.post("/typed")
    async def typed(request: Request, user: User, city: City, limit: int) -> Any:
        return [user.name, city.id, limit]

    @app.post("/declared")
    @doc.consumes(City)
    @doc.consumes({"limit": int}, location="query")
    async def declared(request: Any, user: User) -> Any:
        return [user.name, request["data"].id, request["query"]["limit"]]

    @app.post("/drafts")
    @doc.consumes({"id": int})
    @doc.consumes({"limit": int}, location="query")
    async def drafts(request: Any, user: User, draft: Draft) -> Any:
        assert draft.data is request["data"]
        del request["data"]
        return [draft.data, request["data"] == request.json]

    @app.post("/careless")
    @doc.consumes({"id": int})
    async def of_careless(request: Any, careless: Careless) -> None: ...

    @app.get("/pair")
    async def pair(request: Request, status: int = 201) -> Any:
        return {"id": 1}, status

    @app.get("/unannotated")
    async def unannotated(request, limit=10):  # type: ignore[no-untyped-def]
        return limit

    @app.get("/waiting")
    async def waiting(request: Request) -> tuple[City, int]:
        await once()
        return City(1), HTTPStatus.ACCEPTED

    @app.get("/headers")
    def headers(request: Request) -> Any:
        return [1], 202, {"X-Shop": "open"}

    @app.get("/shaped")
    @doc.produces({"id": int})
    async def shaped(request: Request) -> Any:
        return {"id": 1, "password": "p"}, 201

    @app.get("/error")
    async def error(request: Request) -> Any:
        return {"id": "is taken"}, 409, {"X-Shop": "closed"}

    @app.get("/unprocessable")
    async def unprocessable(request: Request) -> Any:
        return "no", 422

    @app.get("/numbers")
    async def numbers(request: Request) -> tuple[int, int]:
        return 640, 480

    @app.get("/others")
    async def others(request: Request) -> Any:
        return [("a", True), (1, 2)]

    @app.get("/no-status/<kind>")
    async def no_status(request: Request, kind: str) -> Any:
        return {"bool": (1, True), "large": (1, 1000), "three": (1, 201, 3)}[kind]

    @app.get("/coroutine")
    async def coroutine(request: Request) -> Any:
        return once()

    @app.get("/coroutine-in-data")
    async def coroutine_in_data(request: Request) -> Any:
        return {"rows": [once()]}

    @app.get("/coroutine-of-shape")
    async def coroutine_of_shape(request: Request) -> list[City]:
        await once()
        return once()  # type: ignore[return-value]

    return app


async def once() -> None:
    """Waits for nothing."""


@pytest.fixture(params=WAYS)
async def ask(request: pytest.FixtureRequest) -> AsyncIterator[Ask]:
    """Sends requests to the service, in each way."""
    async with asking(make_app(), request.param) as send:
        name = "content" if request.param == "ASGI" else "data"

        async def ask(method: str, path: str, body: bytes = b"", **options: Any) -> Any:
            headers = {"Content-Type": "application/json", **options.get("headers", {})}
            return await send(method, path, **{**options, name: body, "headers": headers})

        yield ask


@pytest.mark.parametrize("path", ["/typed", "/declared", "/drafts"])
async def test_services_come_before_the_body(ask: Ask, path: str) -> None:
    """An anonymous caller is told 401, and nothing of what is wrong with the rest."""
    for content in (b"", b"{", b'{"id": "x"}', b'{"id": 1}'):
        assert (await ask("post", path, body=content)).status == 401
    token = {"Authorization": "Bearer ann"}
    assert (await ask("post", path, body=b"{", headers=token)).status == 400
    answer = await ask("post", f"{path}?limit=x", body=b'{"id": "x"}', headers=token)
    assert answer.status == 422
    assert sorted(entry["field"] for entry in answer.json["errors"]) == ["id", "limit"]


async def test_a_service_may_read_what_the_route_declares(ask: Ask) -> None:
    """It is validated when a service asks, once, and the handler has the same."""
    token = {"Authorization": "Bearer ann"}
    answer = await ask("post", "/drafts?limit=5", body=b'{"id": 1, "x": 2}', headers=token)
    assert answer.json["data"] == [{"id": 1}, True]
    answer = await ask("post", "/drafts?limit=5", body=b'{"id": "x"}', headers=token)
    assert answer.status == 422


@pytest.mark.parametrize("way", WAYS)
async def test_middleware_still_finds_what_came(way: str) -> None:
    """After a service has refused, nothing is validated any more: the response stays a 401."""
    app = make_app()

    @app.on_response
    async def look(request: Any, response: Any) -> None:
        response.headers["X-Data"] = str(request.get("data"))

    async with asking(app, way) as send:
        answer = await send("post", "/declared", json={"id": "x"})
    assert (answer.status, answer.headers["x-data"]) == (401, "{'id': 'x'}")


async def test_a_service_cannot_hide_that_the_body_is_wrong(ask: Ask) -> None:
    """The handler is not called with what was not validated."""
    assert (await ask("post", "/careless", body=b'{"id": "x"}')).status == 422


async def test_data_with_a_status(ask: Ask) -> None:
    """``return data, 201``: the status is the answer's, and the data is in the envelope."""
    answer = await ask("get", "/pair")
    assert (answer.status, answer.json) == (201, {"code": 0, "data": {"id": 1}})
    assert answer.headers["content-type"] == "application/json"
    answer = await ask("get", "/pair?status=204")
    assert (answer.status, answer.body) == (204, b"")
    assert (await ask("get", "/waiting")).status == 202
    answer = await ask("get", "/headers")
    assert (answer.status, answer.json["data"], answer.headers["x-shop"]) == (202, [1], "open")
    answer = await ask("get", "/shaped")
    assert (answer.status, answer.json["data"]) == (201, {"id": 1})


async def test_a_status_of_an_error_is_an_error(ask: Ask) -> None:
    """The data is what went wrong: no envelope says success beside a status of 400 or more."""
    answer = await ask("get", "/error")
    body = {"code": 10409, "message": "Conflict", "error": {"id": "is taken"}}
    assert (answer.status, answer.headers["x-shop"]) == (409, "closed")
    assert body.items() <= answer.json.items()
    assert (await ask("get", "/unprocessable")).json["code"] == 10422


async def test_other_tuples_are_data(ask: Ask) -> None:
    """A pair that is annotated as plain values, and what is no status."""
    assert (await ask("get", "/numbers")).json["data"] == [640, 480]
    assert (await ask("get", "/others")).json["data"] == [["a", True], [1, 2]]
    assert (await ask("get", "/no-status/bool")).json["data"] == [1, True]
    assert (await ask("get", "/no-status/large")).json["data"] == [1, 1000]
    assert (await ask("get", "/no-status/three")).json["data"] == [1, 201, 3]


@pytest.mark.parametrize("path", ["/coroutine", "/coroutine-in-data", "/coroutine-of-shape"])
async def test_a_forgotten_await_is_named(
    ask: Ask, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line of the log has the handler, and what was called without ``await``."""
    assert (await ask("get", path)).status == 500
    assert "once() was called and not awaited" in caplog.text
    assert "write await before the call" in caplog.text
    assert "test_habits.py" in caplog.text


def test_the_document_has_types_of_defaults_and_shapes_beside_a_status() -> None:
    """``limit=10`` is an integer; ``-> tuple[City, int]`` is a City, ``tuple[int, int]`` a pair."""
    paths = make_app().openapi()["paths"]
    (entry,) = paths["/typed"]["post"]["parameters"]
    assert (entry["name"], entry["in"], entry["schema"]["type"]) == ("limit", "query", "integer")
    (entry,) = paths["/unannotated"]["get"]["parameters"]
    assert (entry["name"], entry["in"]) == ("limit", "query")
    assert (entry["schema"]["type"], entry["schema"]["default"]) == ("integer", 10)

    def data_of(path: str) -> Any:
        content = paths[path]["get"]["responses"]["200"]["content"]["application/json"]
        return content["schema"]["properties"]["data"]

    assert data_of("/waiting") == {"$ref": "#/components/schemas/City"}
    assert data_of("/numbers")["type"] == "array"
