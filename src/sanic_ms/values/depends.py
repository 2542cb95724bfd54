"""`Depends`: the function that gives a parameter, or that runs before a handler."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Depends", "add_dependencies", "as_dependencies", "dependencies_of"]

_ATTRIBUTE = "__sanic_ms_depends__"


class Depends:
    """``Annotated[User, Depends(current_user)]``: the function whose value a parameter gets.

    Two are equal if they name the same function and are cached alike.

    Args:
        dependency: A function (sync, async, or one that yields), a class, or an object that can be
            called. Its parameters are filled like those of a handler. Default: the annotated type.
        cache: Whether it is called once for each request, however many ask for it. Default True;
            False calls it for each parameter.

    Raises:
        TypeError: it cannot be called.
    """

    __slots__ = ("_key", "cache", "dependency")

    def __init__(self, dependency: Callable[..., Any] | None = None, *, cache: bool = True) -> None:
        if dependency is not None and not callable(dependency):
            raise TypeError(f"Depends({dependency!r}): give a function, without calling it")
        self.dependency = dependency
        self.cache = cache
        self._key = _identity(dependency)

    def of(self, annotation: Any) -> Depends:
        """The same for a parameter of a type: where no function is named, the type is called.

        Raises:
            TypeError: neither is there a function, nor can the type be called.
        """
        if self.dependency is not None:
            return self
        if not isinstance(annotation, type) or annotation is Any:
            raise TypeError(f"Depends() on {annotation!r}: name the function, Depends(function)")
        return Depends(annotation, cache=self.cache)

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        call: Any = self.dependency
        if call is None:
            return ""
        while hasattr(call, "func"):  # of a partial
            call = call.func
        return getattr(call, "__qualname__", None) or type(call).__qualname__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Depends) and (self._key, self.cache) == (other._key, other.cache)

    def __hash__(self) -> int:
        return hash((self._key, self.cache))

    def __deepcopy__(self, memo: Any) -> Depends:
        return self  # a copied blueprint keeps the functions, and not copies of their objects

    def __repr__(self) -> str:
        return f"Depends({self.name}{'' if self.cache else ', cache=False'})"


class _Identity:
    """An object that has no hash, such as a dataclass with ``__call__``: equal to itself alone."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def _identity(dependency: Any) -> Any:
    try:
        hash(dependency)
    except TypeError:
        return _Identity(dependency)
    return dependency


def as_dependencies(place: str, functions: tuple[Any, ...]) -> list[Depends]:
    """Functions that run before handlers, each as a `Depends`.

    Args:
        place: What they were given to, for the message: ``"doc.depends"``.
        functions: Functions, or `Depends` of functions.

    Raises:
        TypeError: there is none, or one cannot be called.
    """
    if not functions:
        raise TypeError(f"{place}(): give at least one function")
    found = [entry if isinstance(entry, Depends) else Depends(entry) for entry in functions]
    if any(entry.dependency is None for entry in found):
        raise TypeError(f"{place}(Depends()): name the function")
    return found


def add_dependencies(target: Any, added: list[Depends]) -> None:
    """Let functions run before all handlers of a class view or blueprint; those that were added
    last run first, as decorators are read from the top down."""
    holder = target if inspect.isclass(target) else target.ctx
    setattr(holder, _ATTRIBUTE, (*added, *vars(holder).get(_ATTRIBUTE, ())))
    if holder is not target:
        _blueprints.add(target.name)


def dependencies_of(target: Any) -> Iterator[Depends]:
    """The functions that run before all handlers of a class view, with those of its base classes,
    or of a blueprint; None has none.

    Raises:
        TypeError: a blueprint is a copy that has lost those of its original.
    """
    if target is None:
        return
    if inspect.isclass(target):
        for entry in reversed(target.__mro__):
            yield from vars(entry).get(_ATTRIBUTE, ())
        return
    own = vars(target.ctx).get(_ATTRIBUTE)
    if own is None and target.copied_from in _blueprints:
        raise TypeError(
            f"the blueprint {target.name!r} is a copy of {target.copied_from!r}, without its "
            "doc.depends: write copy(…, with_ctx=True), or declare it on the copy"
        )
    yield from own or ()


# The names of blueprints with dependencies. Sanic gives a copy of a blueprint an empty ``ctx``: the
# guard of the original would silently be missing.
_blueprints: set[str] = set()
