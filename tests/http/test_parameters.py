"""Path, query and header parameters."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from sanic import Request

from sanic_ms import (
    Cursor,
    CursorPagination,
    Offset,
    OffsetPagination,
    Page,
    Pagination,
    doc,
)
from sanic_ms.context import current_request
from sanic_ms.http import Cookie, Header, Path, Query
from sanic_ms.http.described_routes import describe_routes

if TYPE_CHECKING:
    from tests.http.conftest import CompiledApp


class Colour(Enum):
    """An enum by value."""

    RED = "red"


class Filter(msgspec.Struct):
    """An object of query parameters."""

    low: Annotated[int, msgspec.Meta(ge=0)] = 0
    tags: list[str] = []


async def test_text_becomes_the_annotated_type(app: CompiledApp) -> None:
    """Numbers, booleans, dates, ids, enums, literals and lists of them."""

    @app.get("/<day>")
    async def handler(
        request: Any,
        day: date,
        number: int,
        ratio: float,
        flag: bool,
        key: UUID,
        colour: Colour,
        mode: Literal["a", "b"],
        tags: list[int],
        note: str | None = None,
    ) -> Any:
        assert isinstance(day, date)
        assert flag is True
        assert colour is Colour.RED
        return [number, ratio, str(key), mode, tags, note]

    key = "7b7f0a3e-6f3f-4c6e-9d0a-3d4f6ab0c111"
    query = f"number=3&ratio=0.5&flag=true&key={key}&colour=red&mode=b&tags=1&tags=2"
    answer = await app.call("get", f"/2026-11-21?{query}")
    assert answer.json["data"] == [3, 0.5, key, "b", [1, 2], None]


async def test_every_wrong_parameter_is_named(app: CompiledApp) -> None:
    """Across path, query, header and body, in one answer."""

    @app.post("/<day>")
    async def handler(
        request: Any, day: date, low: int, x_shop: Annotated[int, Header()], body: Filter
    ) -> None: ...

    answer = await app.call("post", "/monday?low=x", json={"low": -1})
    assert answer.status == 422
    assert {entry["field"] for entry in answer.json["errors"]} == {
        "day",
        "low",
        "header x-shop",
    } | {"low"}
    assert len(answer.json["errors"]) == 4


async def test_a_parameter_that_came_twice_is_refused(app: CompiledApp) -> None:
    """Which one is meant would be a guess."""

    @app.get("/")
    async def handler(request: Any, low: int) -> Any:
        return low

    answer = await app.call("get", "/?low=1&low=2")
    assert answer.json["errors"] == [
        {"field": "low", "message": "is given 2 times and takes one value", "type": "repeated"}
    ]


@pytest.mark.parametrize(("query", "data"), [("", None), ("?name=", ""), ("?name=x", "x")])
async def test_empty_is_not_absent(app: CompiledApp, query: str, data: str | None) -> None:
    """`?name=` is the empty text."""

    @app.get("/")
    async def handler(request: Any, name: str | None = None) -> Any:
        return name

    assert (await app.call("get", f"/{query}")).json["data"] == data


async def test_an_object_collects_query_parameters(app: CompiledApp) -> None:
    """By annotation, or by decorator as `request["query"]`."""

    @app.get("/typed")
    async def typed(request: Any, filter: Annotated[Filter, Query()]) -> Any:
        return [filter.low, filter.tags]

    @app.get("/declared")
    @doc.consumes({"low": int}, location="query")
    async def declared(request: Any) -> Any:
        return request["query"]

    assert (await app.call("get", "/typed?low=2&tags=a&tags=b")).json["data"] == [2, ["a", "b"]]
    assert (await app.call("get", "/typed?tags=a")).json["data"] == [0, ["a"]]
    wrong = await app.call("get", "/typed?low=-1")
    assert wrong.json["errors"] == [
        {"field": "low", "message": "expected int >= 0", "type": "too_small"}
    ]
    assert (await app.call("get", "/declared?low=7")).json["data"] == {"low": 7}


async def test_a_declared_default_is_filled_in(app: CompiledApp) -> None:
    """Also where the object is a plain dict of parameters."""

    @app.get("/")
    @doc.consumes({"low": doc.Integer(default=3)}, location="query")
    async def handler(request: Any) -> Any:
        return request["query"]

    assert (await app.call("get", "/")).json["data"] == {"low": 3}
    assert (await app.call("get", "/?low=7")).json["data"] == {"low": 7}


async def test_an_object_of_parameters_may_have_a_default(app: CompiledApp) -> None:
    """Of its own, None, or another page than the usual one."""

    @app.get("/own")
    async def own(request: Any, f: Annotated[Filter, Query()] = Filter(low=9)) -> Any:  # noqa: B008
        return f.low

    @app.get("/none")
    async def none(request: Any, f: Annotated[Filter | None, Query()] = None) -> Any:
        return None if f is None else f.low

    @app.get("/page")
    async def paged(request: Any, page: Page = Page(page_size=50)) -> Any:  # noqa: B008
        return page.page_size

    assert (await app.call("get", "/own")).json["data"] == 9
    assert (await app.call("get", "/own?low=1")).json["data"] == 1
    assert (await app.call("get", "/none")).json["data"] is None
    assert (await app.call("get", "/none?low=1")).json["data"] == 1
    assert (await app.call("get", "/page")).json["data"] == 50
    assert (await app.call("get", "/page?page_size=5")).json["data"] == 5


async def test_a_pydantic_model_may_hold_the_query(app: CompiledApp) -> None:
    """Its fields are the parameters."""
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Search", q=(str, ...), tags=(list[str], []))

    async def handler(request: Any, f: Any) -> Any:
        return [f.q, f.tags]

    handler.__annotations__["f"] = Annotated[model, Query()]
    app.add_route(handler, "/")
    assert (await app.call("get", "/?q=x&tags=a")).json["data"] == ["x", ["a"]]
    assert (await app.call("get", "/")).json["errors"][0]["field"] == "q"


async def test_path_parameters_may_be_renamed_and_retyped(app: CompiledApp) -> None:
    """`Path("id")` under another name; the router's cast does not bind the handler."""

    @app.get("/a/<id:int>")
    async def renamed(request: Any, user_id: Annotated[int, Path("id")]) -> Any:
        return user_id

    @app.get("/b/<id:int>")
    async def text(request: Any, id: str) -> Any:
        return id

    assert (await app.call("get", "/a/3")).json["data"] == 3
    assert (await app.call("get", "/b/3")).json["data"] == "3"


async def test_integers_of_the_path_reach_the_parameters_that_name_them(app: CompiledApp) -> None:
    """Whether the router gives integers as a handler takes them, or they are read again: under
    exchanged names, beside others, and with bounds."""

    @app.get("/straight/<a:int>/<b:int>")
    async def straight(request: Any, b: int, a: Annotated[int, msgspec.Meta(le=9)]) -> Any:
        return [a, b]

    @app.get("/exchanged/<a:int>/<b:int>")
    async def exchanged(
        request: Any, a: Annotated[int, Path("b")], b: Annotated[int, Path("a")]
    ) -> Any:
        return [a, b]

    assert (await app.call("get", "/straight/1/2")).json["data"] == [1, 2]
    assert (await app.call("get", "/straight/10/2")).status == 422
    assert (await app.call("get", "/exchanged/1/2")).json["data"] == [2, 1]


def test_a_handler_that_holds_the_path_to_more_than_its_pattern_says_so(app: CompiledApp) -> None:
    """The document shows a 422 for it; what the pattern alone refuses is a 404."""

    async def plain(request: Request, id: int) -> None: ...

    async def bounded(request: Request, id: Annotated[int, msgspec.Meta(ge=1)]) -> None: ...

    app.add_route(plain, "/a/<id:int>", name="same")
    app.add_route(plain, "/b/<id>", name="retyped")
    app.add_route(bounded, "/c/<id:int>", name="bounded")
    app.finalize()
    found = {route.name: route.validates_path for route in describe_routes(app)}
    assert found == {"same": False, "retyped": True, "bounded": True}


async def test_the_word_null_is_text(app: CompiledApp) -> None:
    """A parameter that may be left out is not left out by a word; only its absence is None."""

    async def handler(request: Request, name: str | None = None, day: date | None = None) -> Any:
        return [name, day]

    app.add_route(handler, "/")
    assert (await app.call("get", "/?name=null")).json["data"] == ["null", None]
    assert (await app.call("get", "/")).json["data"] == [None, None]
    assert (await app.call("get", "/?day=null")).status == 422


async def test_an_integer_has_64_bits(app: CompiledApp) -> None:
    """What is behind a service holds no larger one; bounds of the annotation's own count alone."""

    async def handler(
        request: Request, n: int, m: int | None = None, big: Annotated[int, msgspec.Meta(ge=0)] = 0
    ) -> Any:
        return [n, m, big]

    app.add_route(handler, "/")
    highest, lowest = 2**63 - 1, -(2**63)
    answer = await app.call("get", f"/?n={highest}&m={lowest}&big={2**70}")
    assert answer.json["data"] == [highest, lowest, 2**70]
    answer = await app.call("get", f"/?n={highest + 1}&m={lowest - 1}")
    assert (answer.status, len(answer.json["errors"])) == (422, 2)


@pytest.mark.parametrize("unquote", [False, True])
async def test_a_typed_part_of_the_path_is_decoded_once(app: CompiledApp, unquote: bool) -> None:
    """Also where Sanic does so, by the wish of this route or another; an untyped one is Sanic's."""

    async def typed(request: Request, name: str) -> Any:
        return name

    async def untyped(request: Request, name) -> Any:  # type: ignore[no-untyped-def]
        return name

    app.add_route(typed, "/typed/<name>", name="typed", unquote=unquote)
    app.add_route(untyped, "/untyped/<name>", name="untyped")
    for sent, shown in (("%C3%B3", "ó"), ("100%2525", "100%25"), ("plain", "plain")):
        assert (await app.call("get", f"/typed/{sent}")).json["data"] == shown
        assert (await app.call("get", f"/untyped/{sent}")).json["data"] == sent


@pytest.mark.parametrize("first", [True, False])
async def test_a_route_that_decodes_its_path_changes_no_other(
    app: CompiledApp, first: bool
) -> None:
    """Typed parameters of the others are decoded, untyped ones are not, and those of the route
    itself are both; in whatever order the routes are added."""

    async def typed(request: Request, name: str, n: int) -> Any:
        return [name, n]

    async def untyped(request: Request, name, n) -> Any:  # type: ignore[no-untyped-def]
        return [name, n, request.match_info]

    def add_decoded() -> None:
        app.add_route(typed, "/d/typed/<name>/<n:int>", name="d_typed", unquote=True)
        app.add_route(untyped, "/d/untyped/<name>/<n:int>", name="d_untyped", unquote=True)
        app.add_route(untyped, r"/d/regex/<name:[^/]+>/<n:int>", name="d_regex", unquote=True)
        app.add_route(untyped, "/d/stream/<name>/<n:int>", name="d_stream", unquote=True)

    if first:
        add_decoded()
    app.add_route(typed, "/e/typed/<name>/<n:int>", name="e_typed")
    app.add_route(untyped, "/e/untyped/<name>/<n:int>", name="e_untyped")
    app.add_route(typed, "/<name>/<n:int>", name="short")
    if not first:
        add_decoded()
    sent, text = "100%2525%C3%B3", "100%25ó"
    for path, expected in {
        f"/e/typed/{sent}/7": [text, 7],
        f"/{sent}/7": [text, 7],
        f"/d/typed/{sent}/7": [text, 7],
        f"/e/untyped/{sent}/7": [sent, 7, {"name": sent, "n": 7}],
        f"/d/untyped/{sent}/7": [text, 7, {"name": text, "n": 7}],
        f"/d/regex/{sent}/7": [text, "7", {"name": text, "n": "7"}],  # Sanic casts none there
        f"/d/stream/{sent}/7": [text, 7, {"name": text, "n": 7}],
    }.items():
        assert (await app.call("get", path)).json["data"] == expected, path


async def test_items_of_a_list_are_named_with_the_parameter(app: CompiledApp) -> None:
    """`ids[1]`, and no "got str" where everything is text."""

    @app.get("/")
    async def handler(request: Any, ids: list[int], dry: bool = False) -> Any:
        return ids

    answer = await app.call("get", "/?ids=1&ids=x&dry=perhaps")
    assert answer.json["errors"] == [
        {"field": "ids[1]", "message": "expected int", "type": "int_type"},
        {"field": "dry", "message": "expected true or false", "type": "bool_type"},
    ]


class Session(msgspec.Struct):
    x_a: str


@pytest.mark.parametrize(
    "parameter",
    [
        Annotated[str, Header("x-a")],
        Annotated[str | None, Header("x-a")],
        Annotated[int, Header("x-a")],
        Annotated[Literal["a", "b"], Header("x-a")],
        Annotated[list[str], Header("x-a")],
        Annotated[Session, Header()],
        Annotated[str, Cookie("x_a")],
        Annotated[list[str], Cookie("x_a")],
        Annotated[Session, Cookie()],
    ],
)
async def test_a_header_or_cookie_that_is_not_utf8_is_the_callers_fault(
    app: CompiledApp, parameter: Any
) -> None:
    """Of each type: no half of a surrogate reaches the handler, and text in UTF-8 does."""

    @app.get("/")
    async def handler(request: Any, value: Any) -> Any:
        return value

    handler.__annotations__["value"] = parameter

    headers = {"x-a": b"\xff", "cookie": b"x_a=\xff"}
    answer = await app.call("get", "/", headers=headers)
    assert (answer.status, answer.json["errors"][0]["type"]) == (422, "not_utf8")
    answer = await app.call("get", "/", headers={"x-a": "é".encode(), "cookie": "x_a=é".encode()})
    assert "not_utf8" not in str(answer.json)


async def test_the_current_request_is_known_below(app: CompiledApp) -> None:
    """Clients and pools find it where it is not passed."""

    @app.get("/")
    async def handler(request: Any) -> Any:
        return current_request.get() is request

    assert (await app.call("get", "/")).json["data"] is True


class City(msgspec.Struct):
    id: int


async def test_a_page_comes_from_the_query_and_stands_beside_the_data(app: CompiledApp) -> None:
    """`Page` in, `(rows, pagination)` out; a dict does as well, as in the first generation."""

    @app.get("/")
    async def handler(request: Any, page: Page) -> tuple[list[int], Pagination]:
        return [page.offset], page.of(45)

    @app.get("/old")
    async def old(request: Any) -> Any:
        return [1], {"total": 1}

    @app.get("/both")
    async def both(request: Any) -> tuple[list[City], Pagination]:
        return [{"id": 1, "name": "x"}], {"total": 1}  # type: ignore[return-value,list-item]

    answer = await app.call("get", "/?page=2&page_size=10")
    assert answer.json == {
        "code": 0,
        "data": [10],
        "pagination": {"page": 2, "page_size": 10, "total": 45, "pages": 5},
    }
    assert (await app.call("get", "/old")).json == {
        "code": 0,
        "data": [1],
        "pagination": {"total": 1},
    }
    assert (await app.call("get", "/both")).json == {
        "code": 0,
        "data": [{"id": 1}],
        "pagination": {"total": 1},
    }
    wrong = await app.call("get", "/?page=0&page_size=101")
    assert [entry["field"] for entry in wrong.json["errors"]] == ["page", "page_size"]


async def test_services_are_injected(app: CompiledApp) -> None:
    """By type, from the container."""

    class Greeter:
        def greet(self) -> str:
            return "hello"

    async def handler(request, greeter: Greeter):  # type: ignore[no-untyped-def]
        return greeter.greet()

    app.ctx.container.provide(Greeter)
    handler.__annotations__["greeter"] = Greeter
    app.add_route(handler, "/")
    assert (await app.call("get", "/")).json["data"] == "hello"


async def test_an_offset_and_a_cursor_are_pages_too(app: CompiledApp) -> None:
    """Each is read from the query, and has a pagination of its own beside the data."""

    @app.get("/rows")
    async def by_row(request: Any, part: Offset) -> tuple[list[int], OffsetPagination]:
        return [part.offset, part.limit], part.of(45)

    @app.get("/feed")
    async def behind(request: Any, place: Cursor) -> tuple[list[City], CursorPagination]:
        return [{"id": 1, "name": "x"}], place.of((place.cursor and None) or "abc")  # type: ignore

    @app.get("/plain")
    async def plain(request: Any, place: Cursor = Cursor(limit=7)) -> Any:  # noqa: B008
        return [place.limit], place.of(None)

    answer = await app.call("get", "/rows?offset=40&limit=5")
    assert answer.json == {
        "code": 0,
        "data": [40, 5],
        "pagination": {"offset": 40, "limit": 5, "total": 45},
    }
    answer = await app.call("get", "/feed")
    assert answer.json == {
        "code": 0,
        "data": [{"id": 1}],
        "pagination": {"limit": 20, "next": "abc"},
    }
    assert (await app.call("get", "/plain")).json["pagination"] == {"limit": 7, "next": None}
    for wrong in (
        "/rows?offset=-1",
        "/rows?limit=101",
        "/feed?limit=0",
        f"/feed?cursor={'x' * 4097}",
    ):
        assert (await app.call("get", wrong)).status == 422
