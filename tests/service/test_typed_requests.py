"""What the types of a service and its requests promise, at run time."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from peewee import AutoField, CharField, Model
from pydantic import BaseModel
from sanic.response import HTTPResponse, text
from tests.calls import WAYS, asking, call

from sanic_ms import Request, Service, Settings, doc
from sanic_ms.exception import ConfigError


class ShopSettings(Settings, frozen=True, kw_only=True):
    basket_limit: int = 50


class Shop(Service[ShopSettings]):
    """A service whose class names its settings."""


class SmallShop(Shop):
    """A class that inherits them."""


class NewUser(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=2)]
    age: int = 3


@dataclass
class Point:
    x: int
    y: int = 0


class Named(TypedDict):
    name: str


class Pet(BaseModel):
    name: str


class Row(Model):
    id = AutoField()
    name = CharField()


class Basket(msgspec.Struct):
    limit: int


def basket_of(request: Request[Shop]) -> Basket:
    """The basket of a request's service."""
    return Basket(request.app.settings.basket_limit)


def name() -> str:
    """A service's name that no other test has."""
    return f"typed_{uuid.uuid4().hex}"


def make(**options: Any) -> Service:
    """A service without its own logging."""
    return Service(name(), configure_logging=False, **options)


# --- services ------------------------------------------------------------------------------------


def test_the_class_of_a_service_names_its_settings() -> None:
    """`settings=` is needed where nothing else names them, and wins where both do."""
    assert type(Shop(name()).settings) is ShopSettings
    assert type(SmallShop(name()).settings) is ShopSettings
    assert type(Service(name()).settings) is Settings
    assert type(Service[ShopSettings](name(), settings=ShopSettings).settings) is ShopSettings

    class More(ShopSettings, frozen=True, kw_only=True):
        more: int = 1

    assert type(Shop(name(), settings=More).settings) is More


def test_settings_of_another_class_than_the_type_says_are_an_error() -> None:
    """``Service[ShopSettings]("x")`` cannot be known when it is made, and is not silent."""
    app = Service[ShopSettings](name())
    with pytest.raises(ConfigError, match=r"Service\[ShopSettings\]\(…\) has settings of Settings"):
        _ = app.settings


def test_attributes_that_are_missing_are_named() -> None:
    """Nothing answers for an attribute that no one has set."""
    app: Any = make()
    with pytest.raises(AttributeError, match="clinet"):
        _ = app.clinet


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_a_body_is_read_as_an_instance_of_a_type(way: str) -> None:
    """With defaults and rules, on a route that declares no body; every kind of class."""
    app = make()
    kinds = {"struct": NewUser, "dataclass": Point, "typed_dict": Named, "pydantic": Pet}

    @app.post("/<kind:str>")
    async def read(request: Request, kind: str) -> str:
        return repr(request.data(kinds[kind]))

    @app.post("/list")
    async def read_list(request: Request) -> str:
        return repr(request.data(list[NewUser]))

    async with asking(app, way) as ask:

        async def sent(path: str, body: Any) -> Any:
            return (await ask("post", path, json=body)).json["data"]

        assert await sent("/struct", {"name": "ann"}) == "NewUser(name='ann', age=3)"
        assert await sent("/dataclass", {"x": 1}) == "Point(x=1, y=0)"
        assert await sent("/typed_dict", {"name": "ann", "more": 1}) == "{'name': 'ann'}"
        assert await sent("/pydantic", {"name": "rex"}) == "Pet(name='rex')"
        assert await sent("/list", [{"name": "ann"}]) == "[NewUser(name='ann', age=3)]"


@pytest.mark.parametrize("way", WAYS)
async def test_bad_bodies_are_answered_as_those_of_declared_ones(way: str) -> None:
    """Statuses, messages and fields are the same, whoever asks for the body."""
    app = make()

    @app.post("/asked")
    async def asked(request: Request) -> int:
        return request.data(NewUser).age

    @app.post("/declared")
    @doc.consumes(NewUser)
    async def declared(request: Request) -> int:
        return request.data(NewUser).age

    json = {"content-type": "application/json"}
    bad = [
        (b"", json, 400),
        (b"{", json, 400),
        (b'{"name": "ann", "name": "bob"}', json, 400),
        (b"name=ann", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b'{"name": "a", "age": "x"}', json, 422),
    ]
    async with asking(app, way) as ask:
        for body, headers, status in bad:
            option = "content" if way == "ASGI" else "data"
            first, second = [
                await ask("post", path, headers=headers, **{option: body})
                for path in ("/asked", "/declared")
            ]
            assert first.status == second.status == status
            texts = [{**answer.json, "trace_id": None} for answer in (first, second)]
            assert texts[0] == texts[1]


async def test_the_declared_body_is_not_read_again() -> None:
    """``request.data(T)`` is ``request["data"]`` where that is a ``T``, changes included."""
    app = make()

    @app.post("/")
    @doc.consumes(NewUser)
    async def read(request: Request) -> list[bool]:
        return [
            request.data(NewUser) is request["data"],
            request.data(Point) is request["data"],
        ]

    body = {"name": "ann", "x": 1}
    assert (await call(app, "post", "/", json=body)).json["data"] == [True, False]


async def test_forms_are_read_where_the_handler_says_so() -> None:
    """By the media type, as `doc.consumes` has it."""
    app = make()

    @app.post("/")
    async def read(request: Request) -> NewUser:
        return request.data(NewUser, content_type="application/x-www-form-urlencoded")

    answer = await call(app, "post", "/", data={"name": "ann", "age": "7"})
    assert answer.json["data"] == {"name": "ann", "age": 7}


@pytest.mark.parametrize(
    "kind",
    [Row, {"id": int}, None, NewUser("ann"), 3],
    ids=["model", "dict", "none", "instance", "number"],
)
async def test_what_gives_no_instance_is_a_mistake_of_the_program(kind: Any) -> None:
    """A Peewee model's body is a dict. It is a 500, and never the client's fault."""
    app = make()

    @app.post("/")
    async def read(request: Request) -> Any:
        return request.data(kind)

    assert (await call(app, "post", "/", json={"id": 1, "name": "ann"})).status == 500
    assert (await call(app, "post", "/", json={})).status == 500


async def test_a_streamed_body_is_read_before(caplog: pytest.LogCaptureFixture) -> None:
    """Where it was not, that is a mistake of the program, too."""
    app = make()

    @app.post("/early", stream=True)
    async def early(request: Request) -> HTTPResponse:
        return text(request.data(NewUser).name)

    @app.post("/late", stream=True)
    async def late(request: Request) -> HTTPResponse:
        await request.receive_body()
        return text(request.data(NewUser).name)

    async with asking(app, "fast path") as ask:
        assert (await ask("post", "/late", json={"name": "ann"})).text == "ann"
        assert (await ask("post", "/early", json={"name": "ann"})).status == 500
    assert "the body is not read yet: await request.receive_body() before" in caplog.text


async def test_a_provider_may_name_the_service_of_its_request() -> None:
    """``Request[Shop]`` is a request for injection, as for type checkers."""
    app = Shop(name(), configure_logging=False)

    app.provide(Basket, basket_of, scope="request")

    @app.get("/")
    async def show(request: Request[Shop], basket: Basket) -> int:
        return basket.limit

    assert (await call(app, "get", "/")).json["data"] == 50
