"""Values of models as the source of a migration."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import uuid
from typing import Any

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.migrations.source import NoSource, SourceWriter

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.binary(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(datetime.UTC)),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


def writer() -> SourceWriter:
    """For SQLite."""
    return SourceWriter(peewee.SqliteDatabase(":memory:"))


def read(source: str, imports: set[str]) -> Any:
    """What the source stands for, in a module with its imports and no others."""
    names: dict[str, Any] = {}
    exec("\n".join(sorted(imports)), names)
    return eval(source, names)


@given(VALUES)
def test_a_value_is_what_its_source_says(value: Any) -> None:
    """Whatever is in it; the source imports all that it names."""
    source = writer()
    text = source.value(value)
    found = read(text, source.imports)
    assert repr(found) == repr(value)
    assert type(found) is type(value)


class Level(enum.IntEnum):
    """A number with a name."""

    LOW = 1


class Colour(enum.Enum):
    """A text with a name."""

    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Level.LOW, "1"),
        (Colour.RED, '"red"'),
        ([Colour.RED], '["red"]'),
        ({"a": [1, {"b": None}]}, '{"a": [1, {"b": None}]}'),
        (uuid.UUID(int=1), "uuid.UUID('00000000-0000-0000-0000-000000000001')"),
        (decimal.Decimal("1.50"), "decimal.Decimal('1.50')"),
        (datetime.date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
    ],
)
def test_a_value_is_written_as_one_would(value: Any, text: str) -> None:
    """A member of an enumeration as its value: a migration stays when the class goes."""
    assert writer().value(value) == text


@pytest.mark.parametrize(
    "value",
    [
        object(),
        math.nan,
        math.inf,
        {1, 2},
        (1, 2),
        [object()],
        {"a": object()},
        datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    ],
)
def test_what_has_no_source_says_so(value: Any) -> None:
    """The field is asked what the database would get instead."""
    with pytest.raises(NoSource):
        writer().value(value)
