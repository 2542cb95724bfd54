"""Bodies: every kind of shape, and every kind of bad body, each with a clear answer."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec
import pytest
from peewee import AutoField, CharField, IntegerField, Model

from sanic_ms import doc
from sanic_ms.http import Body
from sanic_ms.http.routes import compile_routes
from sanic_ms.shapes import select

if TYPE_CHECKING:
    from tests.http.conftest import CompiledApp


class User(Model):
    """A Peewee model with limits, a default and a field that may be null."""

    id = AutoField()
    name = CharField(max_length=5)
    age = IntegerField(default=3)
    phone = CharField(null=True)


USER = select(User, include=["age"])


class Address(msgspec.Struct, forbid_unknown_fields=True):
    """A nested object."""

    city: str
    number: int


class Order(msgspec.Struct):
    """Nested objects and lists."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    address: Address
    items: list[Address] = []
    due: date | None = None


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    y: int = 0


class Named(TypedDict):
    """A typed dictionary."""

    name: str


def echo(app: CompiledApp, shape: Any, **options: Any) -> None:
    """A route that answers with the body that it was given."""

    @app.post("/")
    @doc.consumes(shape, **options)
    async def handler(request: Any) -> Any:
        return request["data"]


@pytest.mark.parametrize(
    ("shape", "sent", "data"),
    [
        (USER, {"name": "ann"}, {"name": "ann", "age": 3}),
        (USER, {"name": "ann", "phone": None}, {"name": "ann", "age": 3, "phone": None}),
        (Point, {"x": 1}, {"x": 1, "y": 0}),
        (Named, {"name": "x"}, {"name": "x"}),
        ({"id": int}, {"id": 1}, {"id": 1}),
        ({"tags": [str]}, {"tags": ["a"]}, {"tags": ["a"]}),
        ([{"id": int}], [{"id": 1}], [{"id": 1}]),
    ],
    ids=["peewee", "peewee null", "dataclass", "typed dict", "plain", "plain list", "list"],
)
async def test_every_kind_of_shape_is_read(
    app: CompiledApp, shape: Any, sent: Any, data: dict[str, Any]
) -> None:
    """A body that fits reaches the handler, with the defaults of the shape filled in."""
    echo(app, shape)
    answer = await app.call("post", "/", json=sent)
    assert answer.status == 200
    body = answer.json["data"]
    assert (data.items() <= body.items()) if isinstance(data, dict) else body == data


async def test_a_pydantic_model_is_read_and_all_its_errors_shown(app: CompiledApp) -> None:
    """Its own validators run, and its paths come out like ours."""
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Account", name=(str, ...), tags=(list[int], []))

    async def handler(request: Any, body: Any) -> Any:
        return {"kind": type(body).__name__, "name": body.name}

    handler.__annotations__["body"] = model
    app.add_route(handler, "/", methods=["POST"])

    good = await app.call("post", "/", json={"name": "ann"})
    assert good.json["data"] == {"kind": "Account", "name": "ann"}
    bad = await app.call("post", "/", json={"tags": [1, "x"]})
    assert bad.status == 422
    assert {entry["field"] for entry in bad.json["errors"]} == {"name", "tags[1]"}


async def test_a_typed_handler_gets_an_instance(app: CompiledApp) -> None:
    """The annotation says what the body becomes."""

    @app.post("/")
    async def handler(request: Any, body: Order) -> dict[str, str]:
        assert isinstance(body, Order)
        return {"city": body.address.city}

    sent = {"name": "x", "address": {"city": "rome", "number": 1}}
    assert (await app.call("post", "/", json=sent)).json["data"] == {"city": "rome"}


async def test_all_wrong_fields_are_named_at_once_with_their_paths(app: CompiledApp) -> None:
    """Nested objects, list items, missing and unknown fields: one answer has them all."""
    echo(app, Order)
    sent = {
        "name": "",
        "address": {"city": 3, "street": "x"},
        "items": [{"city": "a", "number": 1}, {"city": "b", "number": "x"}, 7],
        "due": "tomorrow",
    }
    answer = await app.call("post", "/", json=sent)
    assert answer.status == 422
    assert answer.json["code"] == 10422
    assert {entry["field"]: entry["message"] for entry in answer.json["errors"]} == {
        "name": "expected str of length >= 1",
        "address.city": "expected str, got int",
        "address.number": "is required",
        "address.street": "is not a known field",
        "items[1].number": "expected int, got str",
        "items[2]": "expected object, got int",
        "due": "invalid RFC3339 encoded date",
    }


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"city": "x", "number": 3.0}, 200),
        ({"city": "x", "number": -0.0}, 200),
        ({"city": "x", "number": 3.5}, 422),
        ({"city": "x", "number": 1e300}, 422),
        ({"city": 1.0, "number": 3.0}, 422),
        ({"number": 3.0}, 422),
    ],
)
async def test_a_whole_number_may_be_written_with_a_point(
    app: CompiledApp, sent: Any, status: int
) -> None:
    """``3.0`` is an integer to JSON Schema, which is what the document is written in."""
    echo(app, Address)
    answer = await app.call("post", "/", json=sent)
    assert answer.status == status
    if status == 200:
        assert repr(answer.json["data"]["number"]) == str(int(sent["number"]))
    else:
        wrong = [entry["field"] for entry in answer.json["errors"]]
        whole = sent["number"] == 3.0
        assert wrong == (["city"] if whole else ["number"])


async def test_a_wrong_root_is_called_body(app: CompiledApp) -> None:
    """A list where an object is wanted has no field to name."""
    echo(app, User)
    answer = await app.call("post", "/", json=[1])
    assert answer.json["errors"] == [
        {"field": "body", "message": "expected object, got array", "type": "object_type"}
    ]


async def test_the_number_of_listed_errors_is_bounded(app: CompiledApp) -> None:
    """A hundred thousand wrong items do not make an answer of megabytes."""
    echo(app, [int])
    answer = await app.call("post", "/", json=["x"] * 100_000)
    assert answer.status == 422
    assert len(answer.json["errors"]) == 100


class Node(msgspec.Struct):
    """A type that leads back to itself."""

    v: int
    next: Node | None = None
    kids: list[Node] = []


async def test_a_hostile_body_costs_a_bounded_walk(
    app: CompiledApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deep times wide: the wrong value at the far end is named by msgspec, not searched for."""
    converted = 0
    convert = msgspec.convert

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal converted
        converted += 1
        return convert(*args, **kwargs)

    monkeypatch.setattr(msgspec, "convert", counting)
    echo(app, Node)
    wide = b'{"v":1,"kids":[' + b'{"v":1},' * 20_000 + b'{"v":"x"}]}'
    body = b'{"v":1,"next":' * 100 + wide + b"}" * 100
    answer = await app.call("post", "/", content=body)
    assert answer.status == 422
    (error,) = answer.json["errors"]
    assert error["field"].endswith("kids[20000].v")
    assert converted < 100


async def test_a_wide_body_is_walked_up_to_a_limit(app: CompiledApp) -> None:
    """Good values without end do not keep the service busy; the wrong one is named all the same."""
    echo(app, [{"v": int}])
    body = b"[" + b'{"v":1},' * 50_000 + b'{"v":"x"}]'
    answer = await app.call("post", "/", content=body)
    assert answer.json["errors"] == [
        {"field": "body[50000].v", "message": "expected int, got str", "type": "int_type"}
    ]


async def test_the_values_that_are_looked_at_are_counted(app: CompiledApp) -> None:
    """The array is one, each item is one; behind the 10,000th only the first error is found."""
    echo(app, [int])

    async def wrong(*places: int) -> list[str]:
        items = ["1"] * 12_000
        for place in places:
            items[place] = '"x"'
        answer = await app.call("post", "/", content=f"[{','.join(items)}]")
        return [error["field"] for error in answer.json["errors"]]

    assert await wrong(0, 9_998) == ["body[0]", "body[9998]"]
    assert await wrong(0, 9_999) == ["body[0]"]
    assert await wrong(9_999, 10_000) == ["body[9999]"]


@pytest.mark.parametrize(("depth", "found"), [(39, ["v", "kids"]), (40, ["v"])])
async def test_below_a_depth_only_the_first_error_is_found(
    app: CompiledApp, depth: int, found: list[str]
) -> None:
    """An object within 40 others is not taken apart."""
    echo(app, Node)
    body = b'{"v":1,"next":' * depth + b'{"v":"x","kids":"y"}' + b"}" * depth
    answer = await app.call("post", "/", content=body)
    fields = [error["field"] for error in answer.json["errors"]]
    assert fields == [f"{'next.' * depth}{name}" for name in found]


@pytest.mark.parametrize("depth", [50, 250, 400, 900])
async def test_a_wrong_value_deep_inside_is_never_the_services_fault(
    app: CompiledApp, depth: int
) -> None:
    """Named where it can be, and too deep otherwise."""
    echo(app, Node)
    body = b'{"v":1,"next":' * depth + b'{"v":"x"}' + b"}" * depth
    assert (await app.call("post", "/", content=body)).status in (400, 422)


BAD_BODIES = {
    "nothing": (b"", 400, "the body is empty"),
    "only spaces": (b"  ", 400, "the body is empty"),
    "not JSON": (b"hello", 400, "the body is not JSON"),
    "cut off": (b'{"name":"a', 400, "the body is not JSON"),
    "two values": (b'{"name":"a"} {}', 400, "the body is not JSON"),
    "trailing comma": (b'{"name":"a",}', 400, "the body is not JSON"),
    "broken UTF-8": (b'{"name":"\xff\xfe"}', 400, "not UTF-8"),
    "UTF-16": ('{"name":"a"}'.encode("utf-16"), 400, "body is not"),
    "NaN": (b'{"name":"a","age":NaN}', 400, "the body is not JSON"),
    "Infinity": (b'{"name":"a","age":-Infinity}', 400, "the body is not JSON"),
    "nested 10,000 deep": (b'{"name":' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "too deep"),
    "deep where ignored": (
        b'{"name":"a","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        400,
        "too deep",
    ),
    "a key twice": (b'{"name":"a","name":"b"}', 400, "'name' twice"),
    "a key twice, escaped": (b'{"name":"a","n\\u0061me":"b"}', 400, "'name' twice"),
    "a key twice, nested": (b'{"name":"a","x":{"y":1,"y":2}}', 400, "'y' twice"),
    "a key twice beside a huge number": (
        b'{"name":"a","name":"b","z":' + b"1" * 5_000 + b"}",
        400,
        "'name' twice",
    ),
    "broken UTF-8 in an unknown field": (b'{"name":"a","z":"\xff"}', 400, "not UTF-8"),
    "a number too large": (b'{"name":"a","age":1e400}', 400, "not JSON"),
    "a lone surrogate": (b'{"name":"\\ud800"}', 400, "not JSON"),
}


@pytest.mark.parametrize("case", BAD_BODIES, ids=str)
async def test_a_bad_body_gets_a_clear_answer_and_the_service_goes_on(
    app: CompiledApp, case: str
) -> None:
    """Each is a 4xx in the envelope, and the next request is served."""
    body, status, text = BAD_BODIES[case]
    echo(app, USER)
    headers = {"content-type": "application/json"}
    answer = await app.call("post", "/", content=body, headers=headers)
    assert (answer.status, answer.json["code"]) == (status, 10000 + status)
    assert text in answer.json["error"]
    good = await app.call("post", "/", content=b'{"name":"ann"}', headers=headers)
    assert good.status == 200


async def test_request_json_is_as_strict(app: CompiledApp) -> None:
    """A handler that reads the body itself is not served worse."""

    @app.post("/")
    async def handler(request: Any) -> Any:
        return request.json

    assert (await app.call("post", "/", content=b'{"a":1,"a":2}')).status == 400
    assert (await app.call("post", "/", content=b"")).json["data"] is None
    assert (await app.call("post", "/", content=b'{"a":"b:c"}')).json["data"] == {"a": "b:c"}


async def test_a_megabyte_is_read(app: CompiledApp) -> None:
    """Large is not wrong."""
    echo(app, {"text": str, "items": [str]})
    sent = {"text": "x" * 500_000, "items": ["y:" * 50] * 5_000}
    answer = await app.call("post", "/", json=sent)
    assert answer.json["data"] == sent


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/vnd.shop+json", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
        ("", 415),
    ],
)
async def test_the_content_type_must_fit(app: CompiledApp, content_type: str, status: int) -> None:
    """JSON and its relatives are read; a form that some web page sends across is not."""
    echo(app, {"id": int})
    answer = await app.call(
        "post", "/", content=b'{"id":1}', headers={"content-type": content_type}
    )
    assert answer.status == status
    if status == 415:
        assert "application/json" in answer.json["error"]


async def test_a_body_without_a_content_type_is_taken_as_declared(app: CompiledApp) -> None:
    """Simple clients leave it out; a browser never does."""
    echo(app, {"id": int})
    assert (await app.call("post", "/", content=b'{"id":1}')).status == 200


async def test_a_form_is_read_with_text_for_numbers(app: CompiledApp) -> None:
    """`content_type=` says that the route reads a form."""
    echo(app, {"id": int, "tags": [str]}, content_type="application/x-www-form-urlencoded")
    answer = await app.call("post", "/", data={"id": "7", "tags": ["a", "b"]})
    assert answer.json["data"] == {"id": 7, "tags": ["a", "b"]}
    wrong = await app.call("post", "/", data={"id": "x", "tags": ["a", "b"]})
    assert wrong.json["errors"] == [
        {"field": "id", "message": "expected int, got str", "type": "int_type"}
    ]


async def test_an_empty_field_of_a_form_is_the_empty_text(app: CompiledApp) -> None:
    """As in the query string: a browser sends every field, filled in or not."""
    echo(app, {"name": str, "number": int}, content_type="application/x-www-form-urlencoded")
    answer = await app.call("post", "/", data={"name": "", "number": "3"})
    assert answer.json["data"] == {"name": "", "number": 3}
    answer = await app.call("post", "/", data={"name": "", "number": ""})
    assert [entry["field"] for entry in answer.json["errors"]] == ["number"]


async def test_a_form_list_with_one_value_is_a_list(app: CompiledApp) -> None:
    """One box ticked is a list of one."""
    echo(app, {"tags": [str]}, content_type="application/x-www-form-urlencoded")
    assert (await app.call("post", "/", data={"tags": "a"})).json["data"] == {"tags": ["a"]}


async def test_a_pydantic_model_inside_a_struct_is_named_with_its_path(app: CompiledApp) -> None:
    """And the other fields are looked at too."""
    pydantic = pytest.importorskip("pydantic")
    inner = pydantic.create_model("Inner", name=(str, ...))
    outer = msgspec.defstruct("Outer", [("p", inner), ("q", int)])
    echo(app, outer)
    answer = await app.call("post", "/", json={"p": {"name": 3}, "q": "x"})
    assert {entry["field"] for entry in answer.json["errors"]} == {"p.name", "q"}


async def test_dataclass_defaults_are_kept_inside_lists(app: CompiledApp) -> None:
    """What the body left out is there when the object is sent on."""
    echo(app, list[Point])
    answer = await app.call("post", "/", json=[{"x": 1}])
    assert answer.json["data"] == [{"x": 1, "y": 0}]


async def test_a_positional_struct_with_a_repeated_key_inside_is_refused(app: CompiledApp) -> None:
    """An array has no keys to count."""
    row = msgspec.defstruct("Row", [("a", dict[str, int]), ("b", int)], array_like=True)
    echo(app, row)
    headers = {"content-type": "application/json"}
    answer = await app.call("post", "/", content=b'[{"k":1,"k":2},1]', headers=headers)
    assert answer.status == 400


async def test_an_optional_body_may_be_left_out(app: CompiledApp) -> None:
    """A parameter with a default takes it."""

    @app.post("/")
    async def handler(request: Any, body: Point | None = None) -> Any:
        return {"sent": body is not None}

    assert (await app.call("post", "/")).json["data"] == {"sent": False}
    assert (await app.call("post", "/", json={"x": 1})).json["data"] == {"sent": True}


async def test_a_declared_body_may_be_optional(app: CompiledApp) -> None:
    """`required=False`: without one, `request["data"]` is None."""
    echo(app, {"id": int}, required=False)
    assert (await app.call("post", "/")).json["data"] is None
    assert (await app.call("post", "/", json={"id": 1})).json["data"] == {"id": 1}
    assert (await app.call("post", "/", json={"id": "x"})).status == 422


async def test_a_json_body_is_there_without_being_declared(app: CompiledApp) -> None:
    """``request["data"]`` is the JSON that came, read as strictly as ever; the caller's mistakes
    are answered as such."""

    @app.route("/", methods=["POST", "PUT", "PATCH"])
    async def handler(request: Any) -> Any:
        assert ("data" in request) is (request.get("data") is not None)
        return request["data"]

    for method in ("post", "put", "patch"):
        answer = await app.call(method, "/", json={"id": 1, "more": [None]})
        assert answer.json["data"] == {"id": 1, "more": [None]}
    sent = {"content": b"[1]", "headers": {"content-type": "application/vnd.shop+json; a=b"}}
    assert (await app.call("post", "/", **sent)).json["data"] == [1]
    assert (await app.call("post", "/")).status == 400
    assert (await app.call("post", "/", content=b'{"a": 1, "a": 2}')).status == 400
    form = {"content": b"a=1", "headers": {"content-type": "application/x-www-form-urlencoded"}}
    answer = await app.call("post", "/", **form)
    assert (answer.status, answer.json["error"]) == (
        415,
        "send the body as application/json, not as application/x-www-form-urlencoded",
    )


async def test_data_of_a_request_that_has_no_body_is_the_programs_mistake(
    app: CompiledApp,
) -> None:
    """The log has the reason; the caller sees only that the service is at fault."""

    @app.get("/")
    async def handler(request: Any) -> Any:
        with pytest.raises(KeyError, match="no body came"):
            request["data"]
        assert "data" not in request
        return request.get("data", "none")

    assert (await app.call("get", "/")).json["data"] == "none"


async def test_a_middleware_sees_the_body_that_the_route_validates_later(
    app: CompiledApp,
) -> None:
    """What it looked at does not stand in the way of the route's own shape."""
    seen: list[Any] = []

    @app.on_request
    async def look(request: Any) -> None:
        seen.append(request["data"])

    echo(app, {"id": int, "size": doc.Integer(default=3)})
    assert (await app.call("post", "/", json={"id": 1})).json["data"] == {"id": 1, "size": 3}
    assert (await app.call("post", "/", json={"id": "x"})).status == 422
    assert seen == [{"id": 1}, {"id": "x"}]


def test_a_media_type_that_nobody_reads_is_refused_at_start(app: CompiledApp) -> None:
    """A shape in XML would never be validated."""
    echo(app, {"id": int}, content_type="application/xml")
    with pytest.raises(TypeError, match="application/xml"):
        app.finalize()


class Account(Model):
    """Columns that look like the server's own, with and without a default."""

    name = CharField(max_length=5)
    total = IntegerField()
    role = CharField(default="user")


async def test_a_route_says_what_it_takes_of_a_model(app: CompiledApp) -> None:
    """With the decorator, and with the marker of a typed handler; other columns are unknown."""

    @app.post("/usual")
    @doc.consumes(Account)
    async def usual(request: Any) -> Any:
        return request["data"]

    @app.post("/only")
    @doc.consumes([Account], only=["name"])
    async def only(request: Any) -> Any:
        return request["data"]

    @app.patch("/typed")
    async def typed(
        request: Any, body: Annotated[Account, Body(exclude=["total"], partial=True)]
    ) -> Any:
        return body

    sent = {"id": 9, "name": "a", "total": 1, "role": "root"}
    assert (await app.call("post", "/usual", json=sent)).json["data"] == {"name": "a", "total": 1}
    assert (await app.call("post", "/only", json=[sent])).json["data"] == [{"name": "a"}]
    assert (await app.call("patch", "/typed", json=sent)).json["data"] == {"name": "a"}
    assert (await app.call("patch", "/typed", json={})).json["data"] == {}
    wrong = await app.call("patch", "/typed", json={"name": "too long"})
    assert wrong.json["errors"][0]["type"] == "too_long"
    wrong = await app.call("post", "/usual", json={"role": "root"})
    assert [entry["field"] for entry in wrong.json["errors"]] == ["name", "total"]


def test_a_body_that_takes_what_looks_like_the_servers_is_a_warning_at_start(
    app: CompiledApp, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each handler, with its name and place; a named column is meant."""

    @doc.consumes(Account)
    async def exposed(request: Any) -> None: ...

    @doc.consumes(Account, include=["total", "role"])
    async def meant(request: Any) -> None: ...

    async def typed(request: Any, body: Annotated[Account, Body(partial=True)]) -> None: ...

    app.add_route(exposed, "/a", methods=["POST", "PUT"])
    app.add_route(exposed, "/b", methods=["POST"], name="again")
    app.add_route(meant, "/c", methods=["POST"])
    app.add_route(typed, "/d", methods=["PATCH"])
    with caplog.at_level("WARNING", "sanic_ms.http"):
        app.finalize()
        compile_routes(app, envelope=app.ctx.envelope, container=app.ctx.container)
    lines = [record.getMessage() for record in caplog.records if record.name == "sanic_ms.http"]
    assert [line.partition(".<locals>.")[2].partition(" (")[0] for line in lines] == [
        "exposed",
        "typed",
    ]
    assert "the body Account takes total from the client" in lines[0]


def test_a_choice_that_cannot_be_made_stops_the_start(app: CompiledApp) -> None:
    """With the handler's name: an unknown column, and options for a shape that has none."""

    @doc.consumes(Account, only=["nmae"])
    async def misspelt(request: Any) -> None: ...

    app.add_route(misspelt, "/", methods=["POST"])
    with pytest.raises(TypeError, match=r"misspelt \(.*: Account has no 'nmae' to choose"):
        app.finalize()

    async def typed(request: Any, body: Annotated[dict[str, int], Body(partial=True)]) -> None: ...

    other = type(app)()
    other.add_route(typed, "/", methods=["POST"])
    with pytest.raises(TypeError, match=r"typed \(.*: the body 'body': only=, exclude="):
        other.finalize()


@dataclasses.dataclass
class Part:
    """With a plain default, which msgspec leaves on the class."""

    size: int
    colour: str = "red"


@dataclasses.dataclass
class Whole:
    """Of parts, of which some are deeper inside."""

    part: Part
    parts: list[Part]
    named: dict[str, list[Part]]
    title: str = "none"


async def test_a_dataclass_that_is_sent_on_is_whole(app: CompiledApp) -> None:
    """With the defaults of what stands in it, in lists and dicts as well."""
    echo(app, Whole)
    part = {"size": 1}
    whole = {"part": part, "parts": [part, part], "named": {"a": [part]}}
    complete = {"size": 1, "colour": "red"}
    assert (await app.call("post", "/", json=whole)).json["data"] == {
        "part": complete,
        "parts": [complete, complete],
        "named": {"a": [complete]},
        "title": "none",
    }
