"""Contract checks: a service that lies in every way is caught in each, a true one passes."""

from __future__ import annotations

import asyncio
import enum
import sys
import time
import uuid
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import peewee as pw
import pytest
from msgspec import Meta
from sanic import HTTPResponse, Request
from sanic.response import json, text

from sanic_ms import Page, Pagination, Service, doc
from sanic_ms.exception import BadRequest, MissingDependency
from sanic_ms.http import Body, Header
from sanic_ms.testing import ContractBroken, check_contract, contract_operations


class Item(msgspec.Struct):
    """What the routes read and answer."""

    name: Annotated[str, Meta(max_length=5)]
    size: Annotated[int, Meta(ge=0, le=9)] = 1


def make(name: str) -> Service:
    """A service with nothing."""
    app = Service(f"{name}_{uuid.uuid4().hex}", configure_logging=False)
    # The same document each time, whatever the service's own name: the requests come out of it.
    app.configure(docs=False, health=False, metrics=False, api_title=name)
    return app


def liar() -> Service:
    """Each route breaks its document in one way, which its name says."""
    app = make("liar")

    @app.get("/undocumented-status")
    async def undocumented_status(request: Request) -> Item:
        return json({"code": 10418}, status=418)  # type: ignore[return-value]

    @app.get("/wrong-body")
    async def wrong_body(request: Request) -> Item:
        return json({"code": 0, "data": {"name": 3}})  # type: ignore[return-value]

    @app.get("/wrong-media-type")
    async def wrong_media_type(request: Request) -> Item:
        return text("hello")  # type: ignore[return-value]

    @app.get("/fails/<n:int>")
    async def fails(request: Request, n: int) -> int:
        return [1][n]

    @app.post("/takes-anything")
    async def takes_anything(request: Request, body: Item) -> Item:
        return body

    @app.post("/takes-nothing")
    async def takes_nothing(request: Request, body: Item) -> Item:
        raise BadRequest("no")

    @app.get("/other-method")
    async def other_method(request: Request) -> Item:
        return Item("a")

    @app.delete("/other-method")
    @doc.exclude()
    async def hidden(request: Request) -> Item:
        return Item("a")

    @app.get("/true")
    async def true(request: Request) -> Item:
        return Item("a")

    @app.on_request
    async def answer_early(request: Request) -> HTTPResponse | None:
        if request.path != "/takes-anything" or request.method != "POST":
            return None
        return json({"code": 0, "data": {"name": "a", "size": 1}})

    return app


LIES = {
    "undocumented_status": ("status_code_conformance", 418),
    "wrong_body": ("response_schema_conformance", 200),
    "wrong_media_type": ("content_type_conformance", 200),
    "fails": ("not_a_server_error", 500),
    "takes_anything": ("negative_data_rejection", 200),
    "takes_nothing": ("positive_data_acceptance", 400),
    "other_method": ("unsupported_method", 200),
}


def test_every_lie_is_found() -> None:
    """Each by its own check, with the request, the answer and what the document says."""
    app = liar()
    operations = app.openapi()["paths"]
    names = {
        f"{method.upper()} {path}": operation["operationId"]
        for path, item in operations.items()
        for method, operation in item.items()
    }
    with pytest.raises(ContractBroken) as info:
        check_contract(app, examples=3)
    report = info.value.report
    assert report.is_complete
    assert set(report.requests) == set(names)
    assert all(report.requests.values())
    found = {(names[breach.operation], breach.kind): breach for breach in report.breaches}
    assert {(name, kind) for name, (kind, _) in LIES.items()} <= set(found)
    assert {name for name, _ in found} == set(LIES)
    for name, (kind, status) in LIES.items():
        breach = found[name, kind]
        assert breach.request.startswith("curl -X ")
        assert breach.answer.startswith(str(status))
        assert breach.said
        assert breach.request in str(info.value)
    assert "Received: 418\n" in str(info.value)
    assert "Documented: 200" in str(info.value)


class Colour(enum.Enum):
    """An enum by value."""

    RED = "red"
    BLUE = "blue"


class Person(pw.Model):
    """A model with limits of every kind."""

    name = pw.CharField(max_length=5)
    small = pw.SmallIntegerField(null=True)
    born = pw.DateField(null=True)
    rank = pw.CharField(choices=[("a", "A"), ("b", "B")], default="a")
    cost = pw.DecimalField(default=Decimal("1.5"))


class Cat(msgspec.Struct, tag="cat"):
    """One of two."""

    lives: Annotated[int, Meta(ge=1, le=9)]


class Dog(msgspec.Struct, tag="dog"):
    """The other one."""

    name: str


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """Nested, tagged, listed, and null."""

    item: Item
    pet: Cat | Dog | None = None
    colours: Annotated[list[Colour], Meta(max_length=3)] = []
    price: Annotated[float, Meta(gt=0, lt=1000)] = 1.0
    day: date | None = None
    key: uuid.UUID | None = None
    sizes: dict[str, Annotated[int, Meta(ge=0)]] = {}
    kind: Literal["a", "b", 3] = "a"


def truthful() -> Service:
    """A service with routes of many kinds, which does nothing but what the framework does."""
    app = make("truthful")

    @app.post("/orders")
    async def create_order(request: Request, body: Order) -> Order:
        return body

    @app.post("/people")
    @doc.consumes(Person, include=["rank", "cost"])
    @doc.produces({"name": str, "cost": Decimal})
    async def create_person(request: Request) -> Any:
        return request["data"]  # type: ignore[index]

    @app.patch("/people")
    @doc.consumes(Person, partial=True, exclude=["small"])
    @doc.produces({"name": doc.String(required=False), "rank": doc.String(required=False)})
    async def change_person(request: Request) -> Any:
        return request["data"]  # type: ignore[index]

    @app.put("/people")
    async def replace_person(
        request: Request, body: Annotated[Person, Body(only=["id", "name", "cost"])]
    ) -> Person:
        return {**body, "small": None, "born": None, "rank": "a"}  # type: ignore

    @app.get("/search")
    async def search(
        request: Request,
        page: Page,
        x_tenant: Annotated[str, Header()],
        low: Annotated[int, Meta(ge=0, le=9)] = 3,
        any_number: int | None = None,
        day: date | None = None,
        ok: bool = True,
        cost: Decimal = Decimal(1),
        size: Literal["s", "l"] = "s",
    ) -> tuple[list[int], Pagination]:
        return [low], page.of(1)

    @app.get("/parts/<a:int>/<b>/<c:uuid>")
    async def get_part(
        request: Request, a: int, b: Annotated[str, Meta(max_length=3)], c: uuid.UUID
    ) -> str:
        return b

    @app.get("/retyped/<n>")
    async def retyped(request: Request, n: Annotated[int, Meta(ge=1)]) -> int:
        return n

    @app.delete("/retyped/<other>")
    @doc.produces(None, status=204)
    async def delete(request: Request, other: int) -> None:
        return None

    @app.post("/form")
    @doc.consumes(
        {"name": doc.String(max_length=3), "n": int},
        content_type="application/x-www-form-urlencoded",
    )
    @doc.produces({"name": str})
    async def form(request: Request) -> Any:
        return request["data"]  # type: ignore[index]

    @app.get("/text")
    @doc.produces(str, content_type="text/plain", raw=True)
    async def plain_text(request: Request) -> HTTPResponse:
        return text("hello")

    return app


def test_what_the_framework_does_by_itself_is_what_it_documents() -> None:
    """Bodies, parameters of every part, forms, alternatives, empty answers and raw ones."""
    report = check_contract(truthful, examples=4)
    assert report.is_complete
    assert report.breaches == []
    assert min(report.requests.values()) > 0


def test_the_same_seed_makes_the_same_requests() -> None:
    """Counted, and seen by the service; only what is chosen is called, with the given headers."""
    app = make("seen")
    seen: list[tuple[str, str, bytes]] = []

    @app.post("/items")
    async def create_item(request: Request, body: Item) -> Item:
        return body

    @app.get("/left-out")
    async def left_out(request: Request) -> Item:
        return Item("a")

    @app.on_request
    async def note(request: Request) -> None:
        if request.path == "/items":  # schemathesis also probes the server by a path of its own
            seen.append((request.method, request.raw_url.decode(), request.body))
        assert request.headers["authorization"] == "Bearer x"

    runs = []
    for only, exclude in (("create_item", ()), ((), "GET /left-out")):
        seen.clear()
        report = check_contract(
            app, only=only, exclude=exclude, headers={"Authorization": "Bearer x"}, examples=3
        )
        assert list(report.requests) == ["POST /items"]
        runs.append(list(seen))
    assert runs[0] == runs[1]
    assert len(runs[0]) == report.requests["POST /items"]


def test_operations_can_be_a_test_each() -> None:
    """By name, in the document's order, without starting anything."""
    app = liar()
    assert contract_operations(app, exclude=["fails", "POST /takes-nothing"]) == [
        "GET /other-method",
        "POST /takes-anything",
        "GET /true",
        "GET /undocumented-status",
        "GET /wrong-body",
        "GET /wrong-media-type",
    ]
    check_contract(app, only="GET /true", examples=1)
    for wrong in (None, liar):
        with pytest.raises(TypeError, match=r"contract_operations\(.*\): give the Service itself"):
            contract_operations(wrong)  # type: ignore[arg-type]


def test_what_was_not_tried_in_time_is_no_success() -> None:
    """The time limit ends the check, and what had no turn is named."""
    app = make("late")

    @app.get("/late")
    async def late(request: Request) -> Item:
        return Item("a")

    with pytest.raises(ContractBroken, match=r"not tried: the 1e-06 s were over: GET /late"):
        check_contract(app, seconds=1e-6)


def test_the_time_limit_holds_within_an_operation() -> None:
    """What is asked of the one operation would take minutes; what was found by then counts."""
    app = make("slow")

    @app.get("/slow")
    async def slow(request: Request, n: int = 0) -> int:
        await asyncio.sleep(0.05)
        return n

    begin = time.monotonic()
    report = check_contract(app, examples=10_000, seconds=2)
    assert time.monotonic() - begin < 60
    assert report.is_complete is False
    assert report.requests["GET /slow"] > 0
    assert report.breaches == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"only": "nothing"},
            r"no operation is called 'nothing' \(there are .*undocumented_status",
        ),
        ({"exclude": ["GET /nothing"]}, "no operation is called 'GET /nothing'"),
        ({"only": "true", "exclude": "true"}, "there is no operation to check"),
        ({"examples": 0}, "examples=0 and seconds=60.0 have to be positive"),
        ({"seconds": -1}, "examples=20 and seconds=-1 have to be positive"),
    ],
)
def test_a_wrong_argument_is_said_at_once(options: Any, message: str) -> None:
    """Before the service is started."""
    with pytest.raises(ValueError, match=message):
        check_contract(liar, **options)


def test_a_service_without_routes_is_said_at_once() -> None:
    """A check of nothing would always pass."""
    with pytest.raises(ValueError, match="no route is documented"):
        check_contract(make("empty"))


def test_a_missing_library_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """schemathesis is no dependency of a service."""
    monkeypatch.setitem(sys.modules, "schemathesis", None)
    with pytest.raises(MissingDependency, match=r'pip install "sanic-ms\[testing\]"'):
        check_contract(liar)
