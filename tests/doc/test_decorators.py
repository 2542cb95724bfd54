"""What the decorators write down, and what they refuse."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import sanic.exceptions

import sanic_ms.doc as doc
from sanic_ms import Service
from sanic_ms.exception import Conflict, Forbidden, NotFound
from sanic_ms.values.route import ResponseSpec, RouteSpec, route_spec

F = TypeVar("F", bound=Callable[..., Any])


class City:
    id = int


def decorated(*decorators: Callable[[Any], Any]) -> RouteSpec:
    """The spec of a handler with the decorators in the order in which one reads them."""

    async def handler(request: Any) -> None: ...

    for decorate in reversed(decorators):
        assert decorate(handler) is handler
    return route_spec(handler)


def test_the_handler_stays_itself_and_the_order_does_not_matter() -> None:
    """A route's decorator registers the function; what stands above it counts all the same."""
    registered: list[Any] = []

    def route(handler: F) -> F:
        registered.append(handler)
        return handler

    @doc.summary("above")
    @route
    @doc.produces(City)
    async def handler(request: Any) -> None: ...

    assert route_spec(registered[0]).summary == "above"
    assert route_spec(registered[0]).produces is City


def test_a_wrapper_shares_the_declarations() -> None:
    """functools.wraps copies the attribute."""

    @doc.summary("inner")
    def inner(request: Any) -> None: ...

    @functools.wraps(inner)
    def outer(request: Any) -> None: ...

    doc.tag("later")(outer)
    assert route_spec(inner) is route_spec(outer)
    assert route_spec(inner).tags == ["later"]


def test_everything_at_once() -> None:
    """Each decorator has its place in the spec."""
    spec = decorated(
        doc.summary("Create"),
        doc.description("More."),
        doc.tag("one", "two"),
        doc.tag("three", "one"),
        doc.deprecated(),
        doc.security("bearer", {"oauth": ["read"]}),
        doc.security("basic"),
        doc.consumes({"a": int}, content_type="multipart/form-data", required=False),
        doc.consumes({"page": int}, location="query"),
        doc.consumes({"size": int}, location="query"),
        doc.consumes({"x_id": str}, location="header"),
        doc.consumes({"id": int}, location="path"),
        doc.produces(City, status=201, description="made"),
        doc.response(409, description="taken"),
        doc.exclude(),
    )
    assert spec == RouteSpec(
        summary="Create",
        description="More.",
        body={"a": int},
        query={"page": int, "size": int},
        path={"id": int},
        headers={"x_id": str},
        content_type="multipart/form-data",
        body_required=False,
        produces=City,
        produces_status=201,
        responses={201: ResponseSpec(City, "made"), 409: ResponseSpec(None, "taken")},
        tags=["one", "two", "three"],
        deprecated=True,
        security=[{"bearer": []}, {"oauth": ["read"]}, {"basic": []}],
        hidden=True,
    )


def test_security_without_names_opens_the_route() -> None:
    """Whatever the document asks for of all routes."""
    assert decorated(doc.security()).security == []
    assert decorated().security is None


def test_saying_the_same_twice_is_no_contradiction() -> None:
    """Only what differs is refused."""
    spec = decorated(doc.summary("a"), doc.summary("a"), doc.consumes(City), doc.consumes(City))
    assert spec.summary == "a"
    assert decorated(doc.produces({}), doc.produces({})).produces == {}


@pytest.mark.parametrize(
    "decorators",
    [
        (doc.summary("a"), doc.summary("b")),
        (doc.description("a"), doc.description("b")),
        (doc.consumes({"a": int}), doc.consumes({"b": int})),
        (doc.consumes({"a": int, "b": int}), doc.consumes({"a": int})),
        (doc.consumes({}), doc.consumes(City)),
        (doc.consumes({"a": int}, location="query"), doc.consumes({"a": str}, location="query")),
        (doc.consumes(City, location="query"), doc.consumes({"a": str}, location="query")),
        (doc.produces(City), doc.produces(int)),
        (doc.produces(City), doc.produces(City, status=201)),
        (doc.response(404, description="a"), doc.response(404, description="b")),
    ],
)
def test_contradictions_are_refused_with_the_handlers_name(decorators: Any) -> None:
    """At import, and the text says which handler."""
    with pytest.raises(TypeError, match=r"handler: "):
        decorated(*decorators)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: doc.consumes(3), "doc.consumes: 3 is not a shape"),
        (lambda: doc.consumes(None), "what the route reads"),
        (lambda: doc.consumes({"a": int}, City), "several shapes add up where each is a dict"),
        (lambda: doc.consumes({"a": int}, {"a": str}), "'a' is declared twice"),
        (lambda: doc.consumes({"a": int}, 3), "doc.consumes: 3 is not a shape"),
        (lambda: doc.route("a", consumes=3), "doc.consumes: 3 is not a shape"),
        (lambda: doc.route(produces=int, produces_content_type=["a/b", "c/d"]), "one media type"),
        (lambda: doc.consumes(City, location="cookie"), "location='cookie'"),  # type: ignore[arg-type]
        (lambda: doc.produces("City"), "doc.produces: 'City' is not a shape; it is text"),
        (lambda: doc.produces({"a": {"b": 1}}), "at a.b"),
        (lambda: doc.produces(City, status=404), "doc.response"),
        (lambda: doc.response(200, [int, str]), "one element"),
        (lambda: doc.summary(3), "not text"),  # type: ignore[arg-type]
        (lambda: doc.tag(), "at least one"),
        (lambda: doc.tag(3), "not text"),  # type: ignore[arg-type]
        (lambda: doc.security(3), "name of a scheme"),  # type: ignore[arg-type]
        (lambda: doc.deprecated(lambda request: None), "with brackets"),  # type: ignore[arg-type]
        (lambda: doc.exclude(lambda request: None), "with brackets"),  # type: ignore[arg-type]
        (lambda: doc.summary("a")(City), "decorate its methods"),
        (lambda: doc.summary("a")(3), "decorates a handler"),  # type: ignore[type-var]
        (lambda: doc.deadline(2)(Service("doc-on-an-application")), "decorates a handler"),
        (lambda: doc.depends(print)(Service("depends-on-an-application")), "write app.depends"),
    ],
)
def test_wrong_use_is_refused_at_import(make: Callable[[], Any], message: str) -> None:
    """The text says what to write."""
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize("status", [99, 600, "200", None, True])
def test_a_status_is_a_number_of_http(status: Any) -> None:
    """100 to 599."""
    with pytest.raises(ValueError, match="not an HTTP status"):
        doc.response(status)


class OutOfStock(Conflict):
    code = 20001


def test_raises_adds_up() -> None:
    """In the order in which one reads it, each class once."""
    spec = decorated(doc.raises(OutOfStock, NotFound), doc.raises(NotFound, Forbidden))
    assert spec.raises == [OutOfStock, NotFound, Forbidden]


@pytest.mark.parametrize(
    ("errors", "text"),
    [
        ((), "at least one class"),
        ((OutOfStock(),), "give the class, OutOfStock"),
        ((ValueError(),), "give the class, ValueError"),
        ((404,), "with classes"),
        (("NotFound",), "with classes"),
        ((None,), "with classes"),
        ((lambda request: None,), "with classes"),
        ((ValueError,), "doc.response"),
        ((sanic.exceptions.NotFound,), "doc.response"),
        ((NotFound, int), "doc.raises(int)"),
    ],
    ids=[
        "nothing",
        "instance",
        "other instance",
        "status",
        "text",
        "None",
        "handler",
        "ValueError",
        "sanic",
        "int",
    ],
)
def test_raises_refuses_what_is_no_error_class(errors: Any, text: str) -> None:
    """At import, with what to write instead."""
    with pytest.raises(TypeError, match=re.escape(text)):
        doc.raises(*errors)


def test_raises_does_not_decorate_a_class() -> None:
    """As the other decorators: its methods have declarations of their own."""
    with pytest.raises(TypeError, match="decorate its methods"):
        doc.raises(NotFound)(City)


def test_several_dict_shapes_add_up_to_one() -> None:
    """In one declaration, for the body as for the query."""
    spec = decorated(
        doc.consumes({"a": int}, {"b": str}, {"a": int}),
        doc.consumes({"page": int}, {"size": int}, location="query"),
    )
    assert spec.body == {"a": int, "b": str}
    assert spec.query == {"page": int, "size": int}


def test_one_decorator_for_several_declarations() -> None:
    """``doc.route`` says the same as the others; what is left out stays unsaid."""
    together = decorated(
        doc.route(
            "one line", "more", {"a": int}, City,
            consumes_content_type=["application/vnd.shop+json"],
            produces_content_type="application/vnd.shop+json",
        )
    )  # fmt: skip
    apart = decorated(
        doc.summary("one line"),
        doc.description("more"),
        doc.consumes({"a": int}, content_type="application/vnd.shop+json"),
        doc.produces(City, content_type="application/vnd.shop+json"),
    )
    assert together == apart
    assert decorated(doc.route(), doc.summary("x")) == decorated(doc.summary("x"))


def test_a_deadline_is_seconds_above_none() -> None:
    """Or None for no deadline at all; a second one contradicts the first."""

    async def handler(request: Any) -> Any: ...

    assert doc.deadline(1)(handler) is handler
    assert route_spec(handler).deadline == 1.0
    with pytest.raises(TypeError, match="deadline is declared twice"):
        doc.deadline(None)(handler)

    async def other(request: Any) -> Any: ...

    assert route_spec(doc.deadline(None)(other)).deadline == math.inf
    for wrong in ("1", True, [1]):
        with pytest.raises(TypeError, match="give seconds, or None"):
            doc.deadline(wrong)  # type: ignore[arg-type]
    for number in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="above 0"):
            doc.deadline(number)


def test_a_shield_has_no_brackets() -> None:
    """It stands on the handler, above or below the route's decorator, and changes nothing else."""

    async def handler(request: Any) -> Any: ...

    assert doc.shielded(handler) is handler
    assert route_spec(handler).shielded
    assert not route_spec(test_a_shield_has_no_brackets).shielded
    with pytest.raises(TypeError, match=r"@doc.shielded decorates a handler"):
        doc.shielded(None)  # type: ignore[type-var]
