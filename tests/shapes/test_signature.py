"""Where a handler's parameters come from."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import msgspec
import pytest

from sanic_ms.shapes.signature import Body, Header, Path, Query, read_signature, where
from sanic_ms.values.page import Page, Pagination


class Item(msgspec.Struct):
    """A body."""

    name: str


class Repository:
    """A service."""


NONE: frozenset[str] = frozenset()


def sources(handler: Callable[..., Any], *path: str) -> dict[str, str]:
    """Parameter -> source."""
    signature = read_signature(
        handler, frozenset(path), is_service=lambda annotation: annotation is Repository
    )
    return {entry.name: entry.source for entry in signature.parameters}


def test_parameters_are_told_apart_by_name_and_type() -> None:
    """In the path by name; services and the page by type; scalars from the query; objects are the
    body."""

    async def handler(
        request: Any,
        id: int,
        day: date,
        tags: list[str],
        mode: Literal["a", "b"] | None,
        page: Page,
        item: Item,
        repository: Repository,
        key: UUID | None = None,
    ) -> None: ...

    assert sources(handler, "id") == {
        "id": "path",
        "day": "query",
        "tags": "query",
        "mode": "query",
        "page": "page",
        "item": "body",
        "repository": "service",
        "key": "query",
    }


def test_markers_say_otherwise() -> None:
    """A header has dashes on the wire; a name may be given; a class works like an instance."""

    async def handler(
        request: Any,
        user_agent: Annotated[str, Header],
        low: Annotated[int, Query("min-age")],
        number: Annotated[int, Path("id")],
        count: Annotated[int, Body()],
    ) -> None: ...

    signature = read_signature(handler, frozenset({"id"}))
    assert [(e.name, e.source, e.wire_name) for e in signature.parameters] == [
        ("user_agent", "header", "user-agent"),
        ("low", "query", "min-age"),
        ("number", "path", "id"),
        ("count", "body", "count"),
    ]
    assert signature.parameters[0].annotation is str


def test_meta_stays_with_the_type() -> None:
    """Only the marker is taken out of an Annotated."""

    async def handler(request: Any, low: Annotated[int, msgspec.Meta(ge=0), Query]) -> None: ...

    (parameter,) = read_signature(handler, NONE).parameters
    assert msgspec.convert(3, parameter.annotation) == 3
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(-1, parameter.annotation)


def test_a_plain_sanic_handler_asks_for_nothing() -> None:
    """Path parameters without annotation are passed by Sanic; defaults and stars are left alone."""

    async def handler(request, id, found=None, *args, **kwargs):  # type: ignore[no-untyped-def]
        ...

    assert sources(handler, "id") == {}


def test_a_decorator_is_seen_through_and_may_give_parameters() -> None:
    """What a wrapping decorator passes itself has no annotation for us to fill."""

    def with_user(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return await function(request, "ann", *args, **kwargs)

        return wrapper

    @with_user
    async def handler(request, user, low: int = 0):  # type: ignore[no-untyped-def]
        ...

    assert sources(handler) == {"low": "query"}


def test_what_nothing_gives_is_an_error_with_the_place() -> None:
    """The start fails and points at the handler."""

    async def lost(request, thing):  # type: ignore[no-untyped-def]
        ...

    with pytest.raises(TypeError, match=r"lost .*test_signature\.py:\d+.*'thing'"):
        read_signature(lost, NONE)


def test_two_bodies_are_an_error() -> None:
    """A request has one."""

    async def greedy(request: Any, a: Item, b: Item) -> None: ...

    with pytest.raises(TypeError, match="a and b are both bodies"):
        read_signature(greedy, NONE)


def test_a_path_marker_must_name_a_path_parameter() -> None:
    """A typing error in it is found at start."""

    async def handler(request: Any, number: Annotated[int, Path("idd")]) -> None: ...

    with pytest.raises(TypeError, match="no parameter 'idd'"):
        read_signature(handler, frozenset({"id"}))


def test_an_annotation_that_cannot_be_resolved_is_named() -> None:
    """The request's own annotation may be for type checkers only; the others are needed."""

    async def fine(request: OnlyForTypeCheckers, low: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    async def wrong(request: Any, low: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert sources(fine) == {"low": "query"}
    with pytest.raises(TypeError, match="'Missing' of 'low'"):
        read_signature(wrong, NONE)


def test_the_return_annotation_is_the_answers_shape() -> None:
    """`tuple[rows, Pagination]` is a page; None says nothing."""

    async def rows(request: Any) -> tuple[list[Item], Pagination]: ...  # type: ignore[empty-body]

    async def nothing(request: Any) -> None: ...

    signature = read_signature(rows, NONE)
    assert (signature.returns, signature.paginated) == (list[Item], True)
    assert read_signature(nothing, NONE).returns is None


def test_methods_of_class_views_skip_self() -> None:
    """`self` is passed by the view."""

    class View:
        async def get(self, request: Any, low: int) -> None: ...

    (parameter,) = read_signature(View.get, NONE, is_method=True).parameters
    assert parameter.name == "low"


def test_a_path_parameter_that_the_handler_does_not_take_is_an_error() -> None:
    """It would fail at every request."""

    async def forgetful(request: Any) -> None: ...

    async def positional(request: Any, id: int, /) -> None: ...

    async def anything(request: Any, **kwargs: Any) -> None: ...

    with pytest.raises(TypeError, match="the path has 'id', which the handler does not take"):
        read_signature(forgetful, frozenset({"id"}))
    with pytest.raises(TypeError, match="does not take"):
        read_signature(positional, frozenset({"id"}))
    assert read_signature(anything, frozenset({"id"})).parameters == ()


def test_partials_and_objects_are_read_like_functions() -> None:
    """Their annotations stand on what is behind them. What a partial binds is no parameter of the
    request, as it is on Sanic."""

    async def base(request: Any, k: int, low: int = 3) -> None: ...

    class Handler:
        async def __call__(self, request: Any, low: int = 3) -> None: ...

    assert sources(functools.partial(base, k=5)) == {"low": "query"}
    assert sources(Handler()) == {"low": "query"}


def test_markers_inside_optional_and_new_types_are_seen() -> None:
    """`Optional[Annotated[str, Header()]]` is a header; a NewType of int is a number."""
    number = NewType("number", int)

    async def handler(
        request: Any, agent: Annotated[str, Header()] | None = None, id: Any = 0
    ) -> None: ...

    handler.__annotations__["id"] = number
    assert sources(handler) == {"agent": "header", "id": "query"}


def test_messages_point_at_a_handler_by_name_and_place() -> None:
    """As it is found in an editor; what has no code, or no name, is shown as it is."""

    @functools.cache
    def decorated() -> None: ...

    line = decorated.__wrapped__.__code__.co_firstlineno
    name = "test_messages_point_at_a_handler_by_name_and_place.<locals>.decorated"
    assert where(decorated) == f"{name} ({__file__}:{line})"
    assert where(len) == "len"
    partial = functools.partial(int, "1")
    assert where(partial) == repr(partial)


def test_annotations_that_cannot_be_resolved_are_warnings() -> None:
    """Of a parameter that is passed all the same, and of data that are not cut down, each with its
    place and text; a response of Sanic is no data. Where all are known, there is no line."""

    async def unknown(request: Any, id: Missing) -> Row: ...  # type: ignore[name-defined]  # noqa: F821

    async def answers(request: Any, id) -> response.JSONResponse: ...  # type: ignore  # noqa: F821

    async def known(request: Any, id: int) -> Item:
        return Item(str(id))

    async def bare(request, id): ...  # type: ignore[no-untyped-def]

    parameter, data = read_signature(unknown, frozenset(("id",))).warnings
    assert parameter.startswith(f"{where(unknown)}: the annotation 'Missing' of 'id' cannot")
    assert parameter.endswith("; it is passed as without an annotation")
    assert data.startswith(f"{where(unknown)}: the annotation 'Row' of 'return' cannot")
    assert data.endswith("; the data that it returns is not cut down to it")
    for handler in (answers, known, bare):
        assert read_signature(handler, frozenset(("id",))).warnings == ()
