"""`jsonify`: records, models and values as plain data."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import json
import pathlib
import sqlite3
import subprocess
import sys
import uuid
from collections import abc
from types import MappingProxyType
from typing import Any

import asyncpg
import msgspec
import peewee
import pydantic
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.utils import jsonify


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    at: datetime.date


class Struct(msgspec.Struct):
    id: int
    inner: Point


class Pydantic(pydantic.BaseModel):
    id: int
    at: datetime.datetime
    amount: decimal.Decimal


class Text(str):
    pass


class Number(int):
    pass


class Share(float):
    pass


class User(peewee.Model):
    name = peewee.CharField()
    born = peewee.DateField()


class Pet(peewee.Model):
    owner = peewee.ForeignKeyField(User)


DAY = datetime.date(2024, 5, 1)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**70, 2**70),
        (DAY, "2024-05-01"),
        (datetime.datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00"),
        (datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC), "2024-05-01T00:00:00Z"),
        (datetime.time(12, 30), "12:30:00"),
        (datetime.timedelta(seconds=90), "PT90S"),
        (decimal.Decimal("1.10"), "1.10"),
        (ID, str(ID)),
        (b"ab", "YWI="),
        (bytearray(b"ab"), "YWI="),
        (memoryview(b"ab"), "YWI="),
        (Color.RED, "red"),
        (float("nan"), None),
        (float("-inf"), None),
        ((1, (2,)), [1, [2]]),
        ({1}, [1]),
        (frozenset([1]), [1]),
        (collections.deque([1]), [1]),
        (range(3), [0, 1, 2]),
        ((n for n in (1, 2)), [1, 2]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.keys(), ["a"]),
        ({1: 2, ID: 3, DAY: 4}, {"1": 2, str(ID): 3, "2024-05-01": 4}),
        (MappingProxyType({"a": DAY}), {"a": "2024-05-01"}),
        (collections.ChainMap({"a": 1}), {"a": 1}),
        (Text("a"), "a"),
        (Number(3), 3),
        (Share(1.5), 1.5),
        ({Text("a"): Number(1)}, {"a": 1}),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
        (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        (pathlib.PurePosixPath("/a"), "/a"),
        (Point(1, DAY), {"x": 1, "at": "2024-05-01"}),
        (Struct(1, Point(2, DAY)), {"id": 1, "inner": {"x": 2, "at": "2024-05-01"}}),
        ([], []),
        ({}, {}),
    ],
)
def test_values_have_one_plain_form(value: Any, expected: Any) -> None:
    """What comes out is exactly what a reader of the JSON gets."""
    plain = jsonify(value)
    assert plain == expected
    assert type(plain) is type(expected)
    json.dumps(plain, allow_nan=False)


def test_peewee_models_are_their_columns() -> None:
    """A model instance is a dict of its fields; a foreign key is the key."""
    user = User(id=1, name="Ann", born=DAY)
    assert jsonify([user]) == [{"id": 1, "name": "Ann", "born": "2024-05-01"}]
    assert jsonify(Pet(id=2, owner=user)) == {"id": 2, "owner": 1}


def test_pydantic_models_are_their_json() -> None:
    """A pydantic model writes itself."""
    model = Pydantic(id=1, at=datetime.datetime(2024, 5, 1), amount=decimal.Decimal("1.10"))
    assert jsonify({"m": model}) == {"m": {"id": 1, "at": "2024-05-01T00:00:00", "amount": "1.10"}}


def test_sqlite_rows_become_dicts() -> None:
    """A `sqlite3.Row` is a mapping in all but name."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    rows = connection.execute("SELECT 1 AS id, 'Ann' AS name, x'ff' AS raw").fetchall()
    assert jsonify(rows) == [{"id": 1, "name": "Ann", "raw": "/w=="}]
    connection.close()


def test_sqlalchemy_rows_become_dicts() -> None:
    """A row of SQLAlchemy Core has its columns' names."""
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT 1 AS id, 'Ann' AS name")).fetchall()
    engine.dispose()
    assert jsonify(rows) == [{"id": 1, "name": "Ann"}]


async def test_asyncpg_records_become_dicts(postgres_url: str) -> None:
    """A record with dates, decimals, JSON-like and network columns."""
    connection = await asyncpg.connect(postgres_url)
    try:
        rows = await connection.fetch(
            "SELECT 1 AS id, 1.10::numeric AS amount, '2024-05-01'::date AS day, "
            "ARRAY[1, 2] AS many, '10.0.0.1'::inet AS host, NULL AS nothing"
        )
    finally:
        await connection.close()
    assert jsonify(rows) == [
        {
            "id": 1,
            "amount": "1.10",
            "day": "2024-05-01",
            "many": [1, 2],
            "host": "10.0.0.1",
            "nothing": None,
        }
    ]


@pytest.mark.parametrize(
    "value", [object(), jsonify, {None: 1}, {True: 1}, {(1, 2): 3}, [1j], User]
)
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    """The text names the type."""
    with pytest.raises(TypeError, match=r"JSON|keys"):
        jsonify(value)


def test_a_query_is_not_run_by_accident() -> None:
    """A Peewee query would ask the database when iterated; it is refused instead."""
    with pytest.raises(TypeError, match="peewee"):
        jsonify(User.select())


def test_broken_text_is_a_value_error() -> None:
    """Half a surrogate pair is no Unicode."""
    with pytest.raises(ValueError, match="surrogates"):
        jsonify("\ud800")


def test_a_cycle_ends() -> None:
    """A list inside itself is an error and not a hang."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(RecursionError):
        jsonify(cycle)


def test_the_result_is_a_copy() -> None:
    """Changing it changes nothing else."""
    value = {"a": [1]}
    jsonify(value)["a"].append(2)
    assert value == {"a": [1]}


def test_an_object_that_answers_to_everything_is_not_mistaken() -> None:
    """Duck typing asks the class: a proxy with every attribute is no model."""

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            return lambda **_: name

    with pytest.raises(TypeError, match="Proxy has no JSON form"):
        jsonify(Proxy())


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain)
def test_plain_data_stays_as_it_is(value: Any) -> None:
    """JSON-ready data passes unchanged."""
    assert jsonify(value) == value


def test_the_import_is_light() -> None:
    """Neither Peewee, nor pydantic, nor aiohttp is imported to recognise their objects."""
    code = (
        "import sys, sanic_ms.utils\n"
        "print([m for m in ('peewee', 'pydantic', 'aiohttp', 'sanic') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_mappings_of_any_library_are_dicts() -> None:
    """Whatever calls itself a mapping is one."""

    class Headers(abc.Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return {"a": 1}[key]

        def __iter__(self) -> abc.Iterator[str]:
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    assert jsonify(Headers()) == {"a": 1}
