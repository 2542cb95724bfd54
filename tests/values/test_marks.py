"""Marks on functions, and what a module has marked."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from sanic_ms.values.marks import mark, marked_in, marks_of


@dataclass(frozen=True)
class NamedMark:
    """A kind of mark for these tests."""

    name: str

    def register(self, service: Any, function: Any) -> None:
        """Nothing to do."""


def fresh() -> Any:
    """A function without marks."""

    def function() -> str:
        return "done"

    return function


def module_of(**attributes: Any) -> ModuleType:
    """A module that defines what it is given."""
    module = ModuleType("shop.jobs")
    for name, value in attributes.items():
        value.__module__ = module.__name__
        setattr(module, name, value)
    return module


def test_marking_gives_the_function_itself() -> None:
    """It can be called as before, and has all its marks in order."""
    function = fresh()
    first, second = NamedMark("first"), NamedMark("second")
    assert mark(function, first) is function
    assert mark(function, second) is function
    assert function() == "done"
    assert marks_of(function) == (first, second)


def test_a_decorator_above_keeps_the_mark() -> None:
    """What is registered is the outermost function, with every decorator that wraps."""
    inner = mark(fresh(), NamedMark("inner"))

    @functools.wraps(inner)
    def outer() -> str:
        return f"wrapped {inner()}"

    assert [found for found, _ in marked_in(module_of(outer=outer))] == [outer]
    mark(outer, NamedMark("outer"))
    assert marks_of(inner) == (NamedMark("inner"),)


def test_a_module_has_what_it_defines() -> None:
    """Marked functions that it imports belong to the module that defines them."""
    own = mark(fresh(), NamedMark("own"))
    module = module_of(own=own)
    imported = mark(fresh(), NamedMark("imported"))
    imported.__module__ = "shop.others"
    vars(module)["imported"] = imported
    assert list(marked_in(module)) == [(own, NamedMark("own"))]


def test_objects_that_have_every_attribute_have_no_marks() -> None:
    """Mocks, proxies and values without attributes in a module are passed over."""
    module = ModuleType("shop.jobs")
    vars(module).update(mock=MagicMock(), number=1, nothing=None, kind=int)
    assert list(marked_in(module)) == []


def test_a_class_has_only_marks_of_its_own() -> None:
    """A subclass of a marked class is not marked."""
    base = mark(type("Base", (), {}), NamedMark("base"))
    assert marks_of(base) == (NamedMark("base"),)
    assert marks_of(type("Child", (base,), {})) == ()


@pytest.mark.parametrize("value", [1, None, "job", len])
def test_what_takes_no_attribute_cannot_be_marked(value: Any) -> None:
    """A clear error at the decorator."""
    with pytest.raises(TypeError, match="cannot be marked: give a function or a class"):
        mark(value, NamedMark("x"))
