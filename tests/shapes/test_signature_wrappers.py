"""What the source of a decorator shows of the parameters that it hands in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from sanic_ms.shapes.annotations import where
from sanic_ms.shapes.signature import UnfilledParameter, read_signature
from sanic_ms.shapes.wrappers import HandedIn, handed_in, objects_of, peel

Handler = Callable[..., Any]
EXTRA = {"a": 1}
NAME = "a"


def call(function: Handler, *args: Any, **kwargs: Any) -> Any:
    """Calls it."""
    return function(*args, **kwargs)


def helper(kwargs: dict[str, Any], name: str) -> None:
    """Changes the keywords."""
    kwargs[name] = 1


def handler(request: Any, a: int, b: int, *, c: int = 0) -> None:
    """A handler with three parameters."""


def wrapped(make: Callable[[Handler], Handler], function: Handler = handler) -> Handler:
    """The handler in a decorator."""
    return functools.update_wrapper(make(function), function)


def read(*decorators: Callable[[Handler], Handler], first: int = 1) -> HandedIn:
    """What decorators hand in, the outermost last."""
    function: Handler = handler
    for decorator in decorators:
        function = wrapped(decorator, function)
    layers = peel(function, first)
    assert layers.function is handler
    return handed_in(layers.around, _taken())


def _taken() -> list[Any]:
    import inspect

    return list(inspect.signature(handler).parameters.values())[1:]


# --- decorators: each says in its name what it hands in -------------------------------------------


def nothing_passed_on(f: Handler) -> Handler:
    """All of it, as it comes."""

    def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return f(request, *args, **kwargs)

    return wrapper


def nothing_positional_alone(f: Handler) -> Handler:
    """The request among the others."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        request, *rest = args
        return f(request, *rest, **kwargs)

    return wrapper


def nothing_sliced(f: Handler) -> Handler:
    """Taken apart."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return f(args[0], *list(args)[1:], **dict(kwargs))

    return wrapper


def nothing_read(f: Handler) -> Handler:
    """What it reads, or gives to others, it does not hand in."""

    def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        request.log(a=kwargs["a"], b=kwargs.get("b"))
        request.log("a", kwargs.pop)
        return f(request, *args, **kwargs)

    return wrapper


def nothing_renamed(f: Handler) -> Handler:
    """Its own parameters, under their names."""

    def wrapper(request: Any, a: int, *, b: int, **kwargs: Any) -> Any:
        return f(request, a, b=b, **kwargs)

    return wrapper


def nothing_filtered(f: Handler) -> Handler:
    """A copy of what it was given."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        known = {key: value for key, value in kwargs.items() if value}
        return f(request, **known)

    return wrapper


def nothing_elsewhere(f: Handler) -> Handler:
    """It calls something else with them."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        call(print, a=1)
        return f(request, **kwargs)

    return wrapper


def nothing_changed(f: Handler) -> Handler:
    """It changes what it was given."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        kwargs["a"] = str(kwargs["a"])
        return f(request, b=kwargs.pop("b") + 1, **kwargs)

    return wrapper


def nothing_changed_itself(f: Handler) -> Handler:
    """It changes parameters of its own."""

    def wrapper(request: Any, a: int, *, b: int, **kwargs: Any) -> Any:
        return f(request, a + 1, b=b + 1, **kwargs)

    return wrapper


def a_read_afterwards(f: Handler) -> Handler:
    """It reads what it has put there."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        kwargs["a"] = 1
        request.log(kwargs["a"])
        return f(request, **kwargs)

    return wrapper


def a_optional(f: Handler) -> Handler:
    """It may be given, and need not be."""

    def wrapper(request: Any, *, a: int = 0, **kwargs: Any) -> Any:
        return f(request, a=a or 1, **kwargs)

    return wrapper


def a_keyword(f: Handler) -> Handler:
    """By its name."""

    def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return f(request, *args, a=1, **kwargs)

    return wrapper


def a_position(f: Handler) -> Handler:
    """By its position."""

    def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return f(request, 1, *args, **kwargs)

    return wrapper


def a_in_one_branch(f: Handler) -> Handler:
    """In one of two calls."""

    def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        if request:
            return f(request, 1, *args, **kwargs)
        return f(request, *args, **kwargs)

    return wrapper


def a_item(f: Handler) -> Handler:
    """As an item."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        kwargs[NAME] = 1
        return f(request, **kwargs)

    return wrapper


def a_default(f: Handler) -> Handler:
    """As a default."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("a", 1)
        return f(request, **kwargs)

    return wrapper


def a_update(f: Handler) -> Handler:
    """By an update, with a dict and with keywords."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        kwargs.update({"a": 1}, **EXTRA)
        return f(request, **kwargs)

    return wrapper


def a_merged(f: Handler) -> Handler:
    """In another dict."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        every = kwargs | ({"a": 1} if request else {})
        return f(request, **every)

    return wrapper


def a_added(f: Handler) -> Handler:
    """Added to the dict."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        kwargs |= dict(kwargs, a=1)
        return f(request, **kwargs)

    return wrapper


def a_copied(f: Handler) -> Handler:
    """In a copy."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        every: dict[str, Any] = kwargs.copy()
        every["a"] = 1
        return f(request, **every)

    return wrapper


def a_constant(f: Handler) -> Handler:
    """Out of a dict of the module."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        return f(request, **kwargs, **EXTRA)

    return wrapper


def a_helped(f: Handler) -> Handler:
    """By a helper."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        helper(kwargs, name="a")
        return f(request, **kwargs)

    return wrapper


def a_called(f: Handler) -> Handler:
    """By a function that calls."""

    def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return call(f, request, 1, *args, **kwargs)

    return wrapper


def a_nested(f: Handler) -> Handler:
    """In a function of its own."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        def inner() -> Any:
            return f(request, a=1, **kwargs)

        return inner()

    return wrapper


def a_narrow(f: Handler) -> Handler:
    """It takes nothing else."""

    def wrapper(request: Any, b: int, c: int = 0) -> Any:
        return f(request, 1, b, c=c)

    return wrapper


def a_lambda(f: Handler) -> Handler:
    """In an expression."""
    return lambda request, **kwargs: f(request, a=1, **kwargs)


def a_partial(f: Handler) -> Handler:
    """Bound."""
    return functools.partial(f, a=1)


def b_renamed(f: Handler) -> Handler:
    """A parameter of its own under another name."""

    def wrapper(request: Any, a: int, key: int, **kwargs: Any) -> Any:
        return f(request, a, key, **kwargs)

    return wrapper


def others_update(f: Handler) -> Handler:
    """Names that are not in the source."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        kwargs.update(request.found())
        return f(request, **kwargs)

    return wrapper


def others_positional(f: Handler) -> Handler:
    """A number that is not in the source."""

    def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        every = args + tuple(request.found())
        return f(request, *every, **kwargs)

    return wrapper


def others_rebound(f: Handler) -> Handler:
    """Under the old name."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        args = (*args, 1)
        return f(*args, **kwargs)

    return wrapper


def others_loop(f: Handler) -> Handler:
    """Names of a loop."""

    def wrapper(request: Any, **kwargs: Any) -> Any:
        for name in request.names:
            kwargs[name] = 1
        return f(request, **kwargs)

    return wrapper


DECORATORS = {
    name: value
    for name, value in globals().items()
    if name.partition("_")[0] in ("nothing", "a", "b", "others") and callable(value)
}


@pytest.mark.parametrize("name", DECORATORS)
def test_what_a_decorator_hands_in(name: str) -> None:
    """As its name says."""
    found = read(DECORATORS[name])
    kind = name.partition("_")[0]
    assert found.others is (kind == "others")
    assert found.names == ({kind} & {"a", "b"})


@pytest.mark.parametrize("name", DECORATORS)
def test_decorators_that_hand_in_nothing_change_nothing(name: str) -> None:
    """Neither around another one nor in it."""
    alone = read(DECORATORS[name])
    around = read(nothing_passed_on, DECORATORS[name], nothing_positional_alone)
    assert around == alone


def test_positions_of_several_decorators_add_up() -> None:
    """The innermost comes first."""
    assert read(a_position, a_position).names == {"a", "b"}


def test_the_request_is_not_the_first_of_a_method_or_a_web_socket() -> None:
    """Positions count from the first parameter after it."""

    def inject(f: Handler) -> Handler:
        def wrapper(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            return f(self, request, 1, *args, **kwargs)

        return wrapper

    class View:
        def method(self, request: Any, user: dict[str, Any], low: int = 0) -> None: ...

    function = wrapped(inject, View.method)
    names = [e.name for e in read_signature(function, frozenset(), is_method=True).parameters]
    assert names == ["low"]
    bound = wrapped(a_position, View().method)
    assert [e.name for e in read_signature(bound, frozenset()).parameters] == ["low"]


def test_decorators_of_a_view_count_for_its_methods() -> None:
    """They are around what the router calls."""

    def method(self: Any, request: Any, user: dict[str, Any], low: int = 0) -> None: ...

    def view(*args: Any, **kwargs: Any) -> Any: ...

    signature = read_signature(
        method, frozenset(), is_method=True, around=wrapped(a_position, view)
    )
    assert [entry.name for entry in signature.parameters] == ["low"]
    assert "'user' is left to the decorator" in signature.shared
    assert read_signature(method, frozenset({"user"}), is_method=True).shared == ""


def test_a_chain_that_leads_back_to_itself_ends() -> None:
    """`__wrapped__` may be anything."""

    def function(request: Any) -> None: ...

    function.__wrapped__ = function  # type: ignore[attr-defined]
    assert list(objects_of(function)) == [function]
    assert peel(function).around == ()


def test_what_is_written_in_c_is_taken_as_it_is() -> None:
    """It has no source, and may have no signature."""
    assert read_signature(print, frozenset()).parameters == ()
    assert read_signature(functools.partial(dict.fromkeys), frozenset()).parameters == ()
    assert where(print) == "print"


def test_positional_only_parameters_are_not_filled() -> None:
    """The framework passes by name: without a default that is found at the start."""

    def fine(request: Any, low: int = 3, /) -> None: ...

    def wrong(request: Any, low: int, /) -> None: ...

    assert read_signature(fine, frozenset()).parameters == ()
    with pytest.raises(UnfilledParameter, match="'low' is passed by its name"):
        read_signature(wrong, frozenset())


def test_a_local_name_is_found_where_the_handler_uses_it() -> None:
    """In its closure; one that is not there is an error that says so."""

    class Local:
        pass

    def used(request: Any, body: Local) -> Any:
        return Local

    def unused(request: Any, body: Local) -> None: ...

    (parameter,) = read_signature(used, frozenset()).parameters
    assert parameter.annotation is Local
    with pytest.raises(UnfilledParameter, match=r"unused .*'Local' of 'body'.*a function's body"):
        read_signature(unused, frozenset())
