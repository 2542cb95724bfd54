"""Routes with parameters are found as Sanic's router finds them, or left to it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sanic import Sanic
from sanic.exceptions import SanicException

from sanic_ms.server.http1.patterns import Patterns

_names = (f"patterns-{n}" for n in itertools.count())

TEMPLATES = [
    "/",
    "/a",
    "/a/b",
    "/a/7",
    "/a/<x:int>",
    "/a/<x:str>",
    "/a/<x>/b",
    "/a/<x:int>/b",
    "/a/<x:int>/<y:str>",
    "/a/b/<y:int>",
    "/a/<x:float>",
    "/a/<x:uuid>",
    "/a/<x:ymd>",
    "/a/<x:alpha>",
    "/a/<x:slug>/c",
    "/a/<x:ext>",
    "/a/<x:strorempty>",
    "/a/<x:[a-c]{1,2}>",
    "/a/<x:path>",
    "/b/<x:path>/c",
    "/<x:int>",
    "/<x:str>/b",
    "/b/<x:int>/",
    "/b/<x:int>/c/<y>/d",
]
SEGMENTS = ["a", "b", "c", "d", "7", "-7", "+7", "07", "1_0", "1.5", "nan", "", ".", "..", "%61"]
SEGMENTS += ["2024-02-30", "2024-02-28", "x.js", "a-b", "~", "A", "0b1", "6f9619ff8b86d011b42d00c0"]
SEGMENTS += ["6f9619ff-8b86-d011-b42d-00c04fc964ff"]
METHODS = ["GET", "POST", "DELETE"]


async def handler(request: Any, **params: Any) -> None:
    """Never called."""


def make(routes: list[tuple[str, str]], **options: Any) -> Sanic[Any, Any]:
    """An application with these methods and templates, as far as they are possible together."""
    app: Sanic[Any, Any] = Sanic(next(_names), configure_logging=False)
    for number, (method, template) in enumerate(dict.fromkeys(routes)):
        app.add_route(handler, template, methods=[method], name=f"r{number}", **options)
    app.router.finalize()
    return app


def routed(app: Sanic[Any, Any], method: str, path: str) -> tuple[Any, Any] | None:
    """What Sanic's router says."""
    try:
        route, _, params = app.router.get(path, method, None)
    except SanicException:
        return None
    return route, params


@given(
    st.lists(st.tuples(st.sampled_from(METHODS), st.sampled_from(TEMPLATES)), min_size=1),
    st.lists(
        st.tuples(st.sampled_from(METHODS), st.lists(st.sampled_from(SEGMENTS), max_size=5)),
        min_size=1,
        max_size=20,
    ),
)
def test_a_match_is_what_the_router_finds(
    routes: list[tuple[str, str]], requests: list[tuple[str, list[str]]]
) -> None:
    """Whatever routes there are together, and whatever is asked for."""
    app = make(routes)
    patterns = Patterns(app.router.routes)
    for method, segments in requests:
        path = "/" + "/".join(segments)
        match = patterns.match(f"{method} {path}?q=/a/1".encode())
        if match is not None:
            pattern, params = match
            assert (pattern.route, params) == routed(app, method, path)
            assert pattern.method == method


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("/items/<id:int>", "/items/7", {"id": 7}),
        ("/items/<id:int>", "/items/7?a=/b", {"id": 7}),
        ("/items/<id>", "/items/a%20b", {"id": "a%20b"}),
        ("/items/<id:int>/tags/<tag:slug>", "/items/7/tags/a-b", {"id": 7, "tag": "a-b"}),
        ("/v1/items/<day:ymd>", "/v1/items/2024-02-29", None),
    ],
)
def test_the_usual_routes_are_found(template: str, path: str, params: Any) -> None:
    """Without the router: it is here to be faster, and so must not leave everything to it."""
    match = Patterns(make([("GET", template)]).router.routes).match(f"GET {path}".encode())
    assert match is not None
    assert params is None or match[1] == params


@pytest.mark.parametrize(
    "line",
    [
        b"GET /items/x",
        b"GET /items/7/",
        b"GET /items",
        b"POST /items/7",
        b"get /items/7",
        b"GET  /items/7",
        b"GET items/7",
        b"GET *",
        b"GET /items/7#a",
        b"GET /items/\xc3\xa4",
        b"GET /items/7 8",
        b"GET http://a/items/7",
        b"GET /items/" + b"7" * 9000,
        b"",
    ],
)
def test_what_is_odd_is_left_to_others(line: bytes) -> None:
    """The router, or the rules for a request line, have the last word."""
    assert Patterns(make([("GET", "/items/<id:int>")]).router.routes).match(line) is None


@pytest.mark.parametrize("options", [{"strict_slashes": True}, {"unquote": True}, {"host": "a"}])
def test_routes_with_options_are_left_to_the_router(options: dict[str, Any]) -> None:
    """They say more about a path than its parts."""
    patterns = Patterns(make([("GET", "/items/<id:int>")], **options).router.routes)
    assert patterns.match(b"GET /items/7") is None


def test_where_one_route_wants_its_path_decoded_all_are_left_to_the_router() -> None:
    """Sanic then decodes the paths of others as well, by an order of its own."""
    app = make([("GET", "/items/<name>")])
    app.router.reset()  # type: ignore[no-untyped-call]
    app.add_route(handler, "/first/of/all/<name>", name="decoded", unquote=True)
    app.router.finalize()
    assert routed(app, "GET", "/items/%61") == (app.router.routes[0], {"name": "a"})
    assert Patterns(app.router.routes).match(b"GET /items/%61") is None
