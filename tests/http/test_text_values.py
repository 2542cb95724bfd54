"""Values that come as text: empty ones, what no text becomes, and text that is not UTF-8."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

from sanic_ms import doc
from sanic_ms.http import Header, Query
from sanic_ms.http.described_routes import describe_routes
from sanic_ms.http.text_values import require_readable

if TYPE_CHECKING:
    from tests.http.conftest import CompiledApp

FORM = "application/x-www-form-urlencoded"


class Filter(msgspec.Struct):
    """Fields that may be None, and one that may not."""

    low: int | None = 5
    name: str | None = None
    days: list[date] | None = None
    high: int = 9


class Inner(msgspec.Struct):
    """An object."""

    x: int


@pytest.mark.parametrize(
    ("query", "data"),
    [("?q=", None), ("", 7), ("?q=3", 3), ("?q", None), ("?q=&q=", 422), ("?q=%20", 422)],
)
async def test_an_empty_number_that_may_be_none_is_none(
    app: CompiledApp, query: str, data: Any
) -> None:
    """A form in a browser sends every field; one that is left out has its default."""

    @app.get("/")
    async def handler(request: Any, q: int | None = 7) -> Any:
        return q

    answer = await app.call("get", f"/{query}")
    assert (answer.status if data == 422 else answer.json["data"]) == data


async def test_an_empty_text_stays_text_and_a_number_that_must_be_there_is_wrong(
    app: CompiledApp,
) -> None:
    """Empty is None only where that is a value and the empty text is none."""

    @app.get("/")
    async def handler(request: Any, text: str | None, number: int = 1) -> Any:
        return [text, number]

    assert (await app.call("get", "/?text=")).json["data"] == ["", 1]
    answer = await app.call("get", "/?text=&number=")
    assert [entry["field"] for entry in answer.json["errors"]] == ["number"]


async def test_an_object_of_parameters_and_a_form_know_the_empty_value(app: CompiledApp) -> None:
    """As a parameter of its own does, in lists too."""

    async def query(request: Any, f: Annotated[Filter, Query()]) -> Any:
        return [f.low, f.name, f.days, f.high]

    @doc.consumes(Filter, content_type=FORM)
    async def form(request: Any) -> Any:
        f = request["data"]
        return [f.low, f.name, f.days, f.high]

    app.add_route(query, "/query")
    app.add_route(form, "/form", methods=["POST"])
    answer = await app.call("get", "/query?low=&name=&days=")
    assert answer.json["data"] == [None, "", None, 9]
    assert (await app.call("get", "/query")).json["data"] == [5, None, None, 9]
    sent = {"low": "", "name": "", "days": ""}
    assert (await app.call("post", "/form", data=sent)).json["data"] == [None, "", None, 9]
    answer = await app.call("get", "/query?low=&high=")
    assert [entry["field"] for entry in answer.json["errors"]] == ["high"]


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[dict, Query()],
        Annotated[dict[str, int], Query()],
        Annotated[dict | None, Query()],
        Annotated[list[Inner], Query()],
        Annotated[list[list[int]], Query()],
        Annotated[dict, Header()],
    ],
)
def test_a_parameter_that_no_text_becomes_stops_the_start(
    app: CompiledApp, annotation: Any
) -> None:
    """One line with the handler and the way out, instead of a route that answers 422 for ever."""

    async def handler(request, filters):  # type: ignore[no-untyped-def]
        return None

    handler.__annotations__["filters"] = annotation
    app.add_route(handler, "/")
    with pytest.raises(TypeError, match=r"handler \(.*: the parameter 'filters' comes from the "):
        app.finalize()


@pytest.mark.parametrize("default", [None, {}])
def test_nor_does_a_default_help(app: CompiledApp, default: Any) -> None:
    """The parameter could be left out and never given."""

    async def handler(request, filters=default):  # type: ignore[no-untyped-def]
        return None

    handler.__annotations__["filters"] = Annotated[dict, Query()]
    app.add_route(handler, "/")
    with pytest.raises(TypeError, match="no text becomes an object: declare a Struct"):
        app.finalize()


def test_a_field_that_no_text_becomes_stops_the_start_where_it_must_be_there(
    app: CompiledApp,
) -> None:
    """A shape that is shared with a body may have more fields, as long as they may be left out."""
    wrong = msgspec.defstruct("Wrong", [("inner", Inner)])
    right = msgspec.defstruct("Right", [("inner", Inner | None, None), ("x", int, 1)])

    async def handler(request, f):  # type: ignore[no-untyped-def]
        return None

    handler.__annotations__["f"] = Annotated[right, Query()]
    app.add_route(handler, "/right")
    app.finalize()
    other = type(app)()
    handler.__annotations__["f"] = Annotated[wrong, Query()]
    other.add_route(handler, "/wrong")
    with pytest.raises(TypeError, match="the field 'inner' of a Wrong object comes from the query"):
        other.finalize()


def test_a_declared_query_has_fields(app: CompiledApp) -> None:
    """`@doc.consumes(dict, location="query")` says nothing that could be read."""

    @app.get("/")
    @doc.consumes(dict, location="query")
    async def handler(request: Any) -> None: ...

    with pytest.raises(TypeError, match="the object of parameters comes from the query"):
        app.finalize()


@pytest.mark.parametrize("kind", [list, set, tuple, frozenset])
async def test_a_bare_list_is_a_parameter_of_the_query(app: CompiledApp, kind: Any) -> None:
    """As a list of something is; its items are text."""

    async def handler(request, ids, more=None):  # type: ignore[no-untyped-def]
        return [sorted(ids), more]

    handler.__annotations__.update(ids=kind, more=list | None)
    app.add_route(handler, "/")
    answer = await app.call("get", "/?ids=1&ids=b&more=x")
    assert answer.json["data"] == [["1", "b"], ["x"]]
    assert (await app.call("get", "/")).json["errors"][0]["field"] == "ids"
    (route,) = describe_routes(app)
    assert (route.body, set(route.query_types)) == (None, {"ids", "more"})


@pytest.mark.parametrize("unquote", [False, True])
@pytest.mark.parametrize("sent", ["%E9", "caf%E9", "%C3", "%FF%FE"])
async def test_a_path_that_is_not_utf8_is_refused(
    app: CompiledApp, sent: str, unquote: bool
) -> None:
    """As a body is, also where Sanic decodes the path. The mark itself is a letter like others."""

    async def handler(request: Any, name: str) -> Any:
        return name

    app.add_route(handler, "/<name>", unquote=unquote)
    answer = await app.call("get", f"/{sent}")
    assert (answer.status, answer.json["error"]) == (400, "the path is not UTF-8")
    assert (await app.call("get", "/%EF%BF%BD%C3%A9")).json["data"] == "\ufffdé"


@pytest.mark.parametrize("unquote", [False, True])
async def test_a_declared_path_is_decoded_as_a_typed_part_is(
    app: CompiledApp, unquote: bool
) -> None:
    """`request["path"]` holds the text itself, and its limits count letters."""

    @doc.consumes({"name": doc.String(max_length=4)}, location="path")
    async def handler(request, name):  # type: ignore[no-untyped-def]
        return request["path"]

    app.add_route(handler, "/<name>", unquote=unquote)
    assert (await app.call("get", "/caf%C3%A9")).json["data"] == {"name": "café"}
    assert (await app.call("get", "/a%2525")).json["data"] == {"name": "a%25"}
    assert (await app.call("get", "/cafe%20")).status == 422
    assert (await app.call("get", "/%E9")).status == 400


async def test_a_query_or_form_that_is_not_utf8_is_refused(app: CompiledApp) -> None:
    """As a body in JSON is; a route that reads no parameter does not look."""

    async def query(request: Any, name: str) -> Any:
        return name

    @doc.consumes({"name": str}, content_type=FORM)
    async def form(request: Any) -> Any:
        return request["data"]

    async def nothing(request: Any) -> Any:
        return "well"

    app.add_route(query, "/query")
    app.add_route(form, "/form", methods=["POST"])
    app.add_route(nothing, "/nothing")
    for sent in ("?name=%E9", "?name=x&other=%E9", "?%E9=1&name=x"):
        answer = await app.call("get", f"/query{sent}")
        assert (answer.status, answer.json["error"]) == (400, "the query string is not UTF-8")
    assert (await app.call("get", "/query?name=%C3%A9")).json["data"] == "é"
    assert (await app.call("get", "/nothing?name=%E9")).status == 200
    headers = {"content-type": FORM}
    answer = await app.call("post", "/form", content=b"name=%E9", headers=headers)
    assert (answer.status, answer.json["error"]) == (400, f"the body is not {FORM}")
    answer = await app.call("post", "/form", content=b"name=%C3%A9", headers=headers)
    assert answer.json["data"] == {"name": "é"}


class Point(msgspec.Struct):
    """An object, which no text becomes."""

    x: int


@pytest.mark.parametrize(
    ("annotation", "readable"),
    [
        (int, True),
        (int | None, True),
        (Annotated[int, msgspec.Meta(ge=0)], True),
        (Annotated[int, msgspec.Meta(ge=0)] | None, True),
        (list[int], True),
        (set[str] | None, True),
        (tuple[int, str], True),
        (tuple[int, ...], True),
        (int | Point, True),
        (Point, False),
        (Point | None, False),
        (dict[str, int], False),
        (list[Point], False),
        (list[list[int]], False),
        (list[tuple[int, int]], False),
        (list[Annotated[list[int], msgspec.Meta(max_length=1)]], False),
        (tuple[int, Point], False),
        (Annotated[Point, "x"], False),
    ],
    ids=str,
)
def test_what_text_can_become_is_taken(annotation: Any, readable: bool) -> None:
    """A value, or values one level deep; of a union one member is enough, and None is none. Else
    the start says what to declare."""
    if readable:
        require_readable(annotation, "'a' of handler", "query")
        return
    with pytest.raises(TypeError, match=r"'a' of handler comes from the query, which holds text"):
        require_readable(annotation, "'a' of handler", "query")
