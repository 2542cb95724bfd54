"""Objects of any class as plain data, and as rows."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import types
from typing import Any, NamedTuple

import attrs
import msgspec
import peewee
import pydantic
import pytest

from sanic_ms.shapes.plain import to_plain, to_row


class City(msgspec.Struct):
    """With a name of its own on the wire."""

    id: int
    name: str = msgspec.field(default="Bonn", name="Name")
    code: str | msgspec.UnsetType = msgspec.UNSET


@dataclasses.dataclass
class Point:
    """Two fields, one of them private."""

    x: int
    _y: int


@attrs.define
class Box:
    """Without a ``__dict__``."""

    size: int
    _secret: int = 2


class Aliased(pydantic.BaseModel):
    """With an alias, and a value that is computed."""

    id: int = pydantic.Field(alias="ID")

    @pydantic.computed_field(alias="Twice")  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        """Of the id."""
        return 2 * self.id


class Numbers(pydantic.RootModel[list[int]]):
    """A model that is a list."""


class Person(peewee.Model):
    """A model with a column of another name."""

    name = peewee.CharField(column_name="full_name")


class Pair(NamedTuple):
    """A row of SQLAlchemy is one, too."""

    a: int
    b: int


class Slots:
    """Attributes that only those know who ask for them."""

    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1


class Free:
    """Any object."""

    def __init__(self) -> None:
        self.a = 1
        self._hidden = 2

    @property
    def double(self) -> int:
        """Of the attribute."""
        return 2 * self.a

    def method(self) -> int:
        """No data."""
        return 0


class Mapped:
    """What `dict` takes."""

    def keys(self) -> list[str]:
        return ["a"]

    def __getitem__(self, key: str) -> str:
        return key


@pytest.mark.parametrize(
    ("obj", "row"),
    [
        ({"a": 1}, {"a": 1}),
        ([1, 2], [1, 2]),
        (City(1), {"id": 1, "name": "Bonn", "Name": "Bonn"}),
        (Point(1, 2), {"x": 1, "_y": 2}),
        (Box(1), {"size": 1, "_secret": 2}),
        (Aliased(ID=1), {"id": 1, "ID": 1, "twice": 2, "Twice": 2}),
        (Numbers([1, 2]), [1, 2]),
        (Person(name="ann"), {"name": "ann", "full_name": "ann"}),
        (Pair(1, 2), {"a": 1, "b": 2}),
        (Mapped(), {"a": "a"}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.deque([1, 2]), [1, 2]),
        ({"a": 1}.values(), [1]),
        (Free(), {"a": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_is_a_row(obj: Any, row: Any) -> None:
    """With its names in Python and those on the wire. A row may be changed; the object stays."""
    made = to_row(obj)
    assert made == row
    assert type(made) is type(row)
    made.clear()
    assert to_row(obj) == row


def test_what_is_asked_for_is_read_too() -> None:
    """Properties and slots, where they are there; no methods."""
    assert to_row(Free(), ["double", "method", "missing", "a"]) == {"a": 1, "double": 2}
    assert to_row(Slots(), ["a"]) == {"a": 1}


@pytest.mark.parametrize(
    "obj", [object(), Free, len, types, Slots(), Free().method], ids=lambda value: str(type(value))
)
def test_what_holds_no_data_is_no_row(obj: Any) -> None:
    """A class, a function, a module; the line says of what type it is."""
    with pytest.raises(TypeError, match=r"cannot be written as JSON: return a dict"):
        to_row(obj)
    with pytest.raises(TypeError, match=type(obj).__qualname__):
        to_plain(obj)


async def test_what_was_not_awaited_says_so() -> None:
    """By the name of the function; no warning of Python's comes on top."""

    async def load() -> int:
        return 1

    for make in (to_plain, to_row):
        with pytest.raises(
            TypeError, match=r"load\(\) was called and not awaited, and a coroutine"
        ):
            make(load())


UTC_PLUS_1 = datetime.timezone(datetime.timedelta(hours=1))


@pytest.mark.parametrize(
    "value",
    [
        "text",
        b"bytes",
        bytearray(b"bytes"),
        datetime.date(2026, 1, 2),
        datetime.time(1, 2, 3, 4, tzinfo=UTC_PLUS_1, fold=1),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC_PLUS_1, fold=1),
        datetime.timedelta(-1, 2, 3),
        7,
        0.5,
    ],
    ids=lambda value: repr(value),
)
def test_an_instance_of_a_subclass_is_a_plain_value(value: Any) -> None:
    """As of a library's own dates: the same value, of the class that is known."""
    kind = type(value)
    own: Any = type("Own", (kind,), {})
    if isinstance(value, datetime.datetime):
        day, time = value.timetuple()[:3], value.timetuple()[3:6]
        made = own(*day, *time, value.microsecond, value.tzinfo, fold=value.fold)
    elif isinstance(value, datetime.date):
        made = own(value.year, value.month, value.day)
    elif isinstance(value, datetime.time):
        made = own.fromisoformat(value.isoformat()).replace(fold=value.fold)
    elif isinstance(value, datetime.timedelta):
        made = own(value.days, value.seconds, value.microseconds)
    else:
        made = own(value)
    assert type(made) is own
    plain = to_plain(made)
    assert plain == value
    assert getattr(plain, "fold", 0) == getattr(value, "fold", 0)
    assert type(plain) is (bytes if kind is bytearray else kind)
