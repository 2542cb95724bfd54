"""Peewee models as shapes."""

from __future__ import annotations

import datetime
import decimal
import enum
import subprocess
import sys
import uuid
from typing import Any

import msgspec
import peewee as pw
import pytest
from playhouse.fields import EnumField
from playhouse.postgres_ext import ArrayField, HStoreField, IntervalField, TSVectorField
from playhouse.sqlite_ext import JSONField as SqliteJSONField

import sanic_ms.doc as doc
from sanic_ms.shapes import dec_hook, defaults_of, enc_hook, projector, select, to_type


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class CityApi:
    id = doc.Integer("city id")
    name = doc.String("city name")


class Country(pw.Model):
    code = pw.CharField(max_length=2, primary_key=True)


class User(pw.Model):
    """Somebody."""

    id = pw.AutoField()
    name = pw.CharField(max_length=8, verbose_name="user's name")
    age = pw.SmallIntegerField(help_text="in years", verbose_name="age")
    city_id = pw.IntegerField(verbose_name="city", help_text=CityApi)  # type: ignore[call-overload]
    country = pw.ForeignKeyField(Country, null=True)
    boss = pw.ForeignKeyField("self", null=True)
    kind = pw.CharField(choices=[("a", "A"), ("b", "B")], default="a")
    level = pw.IntegerField(choices=[1, 2], null=True)  # type: ignore[call-overload]
    created = pw.DateTimeField(default=datetime.datetime.now)
    renamed = pw.IntegerField(column_name="wire_name", default=0)


WITH_DEFAULTS = ["kind", "created", "renamed"]


class Everything(pw.Model):
    """Each of Peewee's fields."""

    any_ = pw.AnyField()
    array = ArrayField(pw.IntegerField, dimensions=2, index=False)
    bare = pw.BareField()
    big = pw.BigIntegerField()
    binary_uuid = pw.BinaryUUIDField()
    bits = pw.BitField()
    big_bits = pw.BigBitField()
    blob = pw.BlobField()
    boolean = pw.BooleanField()
    char = pw.CharField(max_length=3)
    colour = EnumField(Colour)
    date = pw.DateField()
    datetime = pw.DateTimeField()
    decimal = pw.DecimalField()
    double = pw.DoubleField()
    fixed = pw.FixedCharField(max_length=2)  # type: ignore[call-overload]
    float = pw.FloatField()
    hstore = HStoreField(index=False)
    integer = pw.IntegerField()
    interval = IntervalField()
    ip = pw.IPField()
    json = pw.JSONField()
    sqlite_json = SqliteJSONField()
    small = pw.SmallIntegerField()
    text = pw.TextField()
    time = pw.TimeField()
    timestamp = pw.TimestampField()
    tsvector = TSVectorField(null=True)
    uuid = pw.UUIDField()


ALL = select(Everything, include=["bits", "big_bits", "timestamp"])

EVERYTHING: dict[str, tuple[Any, Any]] = {
    "any_": ([1], [1]),
    "array": ([[1], [2]], [[1], [2]]),
    "bare": ("x", "x"),
    "big": (2**40, 2**40),
    "binary_uuid": (str(uuid.UUID(int=1)), uuid.UUID(int=1)),
    "bits": (3, 3),
    "big_bits": ("eA==", b"x"),
    "blob": ("eA==", b"x"),
    "boolean": (True, True),
    "char": ("abc", "abc"),
    "colour": ("red", "red"),
    "date": ("2024-05-17", datetime.date(2024, 5, 17)),
    "datetime": ("2024-05-17T10:00:00", datetime.datetime(2024, 5, 17, 10)),
    "decimal": ("1.5", decimal.Decimal("1.5")),
    "double": (0.5, 0.5),
    "fixed": ("ab", "ab"),
    "float": (0.5, 0.5),
    "hstore": ({"a": None}, {"a": None}),
    "integer": (1, 1),
    "interval": ("P1D", datetime.timedelta(days=1)),
    "ip": ("10.0.255.1", "10.0.255.1"),
    "json": ({"a": [1]}, {"a": [1]}),
    "sqlite_json": ({"a": [1]}, {"a": [1]}),
    "small": (1, 1),
    "text": ("long", "long"),
    "time": ("10:00:00", datetime.time(10)),
    "timestamp": (
        "2024-05-17T10:00:00Z",
        datetime.datetime(2024, 5, 17, 10, tzinfo=datetime.UTC),
    ),
    "tsvector": (None, None),
    "uuid": (str(uuid.UUID(int=1)), uuid.UUID(int=1)),
}


def decode(shape: Any, data: Any) -> Any:
    text = msgspec.json.encode(data)
    return msgspec.json.decode(text, type=to_type(shape, "input"), dec_hook=dec_hook)


def schema(shape: Any, direction: Any) -> dict[str, Any]:
    components = msgspec.json.schema(to_type(shape, direction))
    found: dict[str, Any] = components["$defs"][to_type(shape, direction).__name__]
    return found


def test_every_field_reads_its_own_kind_of_value() -> None:
    """JSON in, the Python value that a statement can bind out."""
    sent = {name: value for name, (value, _) in EVERYTHING.items()}
    assert decode(ALL, sent) == {name: value for name, (_, value) in EVERYTHING.items()}


@pytest.mark.parametrize("name", sorted(set(EVERYTHING) - {"any_", "bare", "json", "sqlite_json"}))
def test_every_field_refuses_another_kind_of_value(name: str) -> None:
    """Each column has a type, and the message names the key."""
    sent = {key: value for key, (value, _) in EVERYTHING.items()}
    sent[name] = {"wrong": [1.5]}
    with pytest.raises(msgspec.ValidationError, match=name):
        decode(ALL, sent)


def test_requests_leave_out_what_the_database_makes() -> None:
    """A primary key is not read, even where it is sent, unless the route names it."""
    data = {"id": 9, "name": "x", "age": 1, "city_id": 2, "is_admin": True}
    assert decode(User, data) == {"name": "x", "age": 1, "city_id": 2}
    assert decode(select(User, include=["id"]), data)["id"] == 9
    assert decode(Country, {"code": "de"}) == {}
    assert decode(select(Country, only=["code"]), {"code": "de"}) == {"code": "de"}


def test_columns_with_null_or_a_default_may_be_left_out() -> None:
    """`defaults_of` has what stands in for them; null is taken where the column takes it."""
    assert defaults_of(User) == {"country_id": None, "boss_id": None, "level": None}
    shape = select(User, include=WITH_DEFAULTS)
    defaults = defaults_of(shape)
    assert defaults.pop("created")().year >= 2024
    assert defaults == {
        "country_id": None,
        "boss_id": None,
        "kind": "a",
        "level": None,
        "wire_name": 0,
    }
    base = {"name": "x", "age": 1, "city_id": 2}
    assert decode(User, {**base, "boss_id": None})["boss_id"] is None
    with pytest.raises(msgspec.ValidationError, match="kind"):
        decode(shape, {**base, "kind": None})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "x" * 9),
        ("age", 40_000),
        ("age", True),
        ("kind", "c"),
        ("level", 3),
        ("city_id", {"id": 1}),
        ("country_id", 1),
        ("boss_id", "x"),
    ],
)
def test_limits_of_columns_hold(key: str, value: Any) -> None:
    """Length, range, choices and the type that a foreign key refers to."""
    with pytest.raises(msgspec.ValidationError, match=key):
        decode(select(User, include=["kind"]), {"name": "x", "age": 1, "city_id": 2, key: value})


def test_answers_show_the_object_of_help_text() -> None:
    """``help_text=CityApi``: a CityApi in answers, the column's integer in requests."""
    out, into = schema(User, "output"), schema(select(User, include=WITH_DEFAULTS), "input")
    assert out["properties"]["city_id"]["$ref"] == "#/$defs/CityApi"
    assert into["properties"]["city_id"]["type"] == "integer"
    assert out["properties"]["city_id"]["title"] == "city"
    assert into["properties"]["age"]["description"] == "in years"
    assert into["properties"]["name"]["title"] == "user's name"
    assert into["properties"]["kind"]["default"] == "a"
    assert into["properties"]["created"]["format"] == "date-time"
    assert set(out["required"]) == set(out["properties"]) == set(User._meta.columns)
    assert into["description"] == "Somebody."


def test_help_text_may_lead_back_to_the_model() -> None:
    """Two models that show one another are a cycle in the document, and no endless loop."""

    class Left(pw.Model):
        name = pw.CharField()

    class Right(pw.Model):
        left_id = pw.IntegerField(help_text=Left)  # type: ignore[call-overload]

    Left._meta.add_field("right_id", pw.IntegerField(help_text=Right, null=True))  # type: ignore[call-overload]
    found = msgspec.json.schema(to_type(Left, "output"))
    assert set(found["$defs"]) == {"Left", "Right"}
    project = projector(Left)
    assert project is not None
    row = {"id": 1, "right_id": {"id": 2, "x": 1, "left_id": {"id": 1, "x": 2}}}
    assert project(row) == {"id": 1, "right_id": {"id": 2, "left_id": {"id": 1}}}


def test_a_composite_key_and_relations_to_many_are_no_columns() -> None:
    """What has no column of its own has no key."""

    class Tag(pw.Model):
        name = pw.CharField()

    class Post(pw.Model):
        tags = pw.ManyToManyField(Tag)

    class Pair(pw.Model):
        left = pw.IntegerField()
        right = pw.ForeignKeyField(Tag)

        class Meta:
            primary_key = pw.CompositeKey("left", "right")

    assert set(schema(Pair, "input")["properties"]) == {"left", "right_id"}
    assert set(schema(Post, "output")["properties"]) == {"id"}


def test_a_foreign_key_that_nobody_resolved_is_named() -> None:
    """The message says which model is missing, and what to do."""

    class Orphan(pw.Model):
        parent = pw.DeferredForeignKey("NeverDefined")

    with pytest.raises(TypeError, match=r"Orphan\.parent refers to the model 'neverdefined'"):
        to_type(Orphan, "input")


def test_two_models_of_one_name_are_two_types() -> None:
    """A function that makes a class may run twice."""

    def make(column: str) -> Any:
        class Thing(pw.Model):
            pass

        Thing._meta.add_field(column, pw.CharField())
        return Thing

    first, second = to_type(make("a"), "input"), to_type(make("b"), "input")
    assert first.__qualname__ != second.__qualname__
    components = msgspec.json.schema_components([first, second])[1]
    assert {tuple(component["properties"]) for component in components.values()} == {("a",), ("b",)}


def test_a_subclass_has_the_fields_of_its_base() -> None:
    """Own field classes are known by what they derive from."""

    class Password(pw.CharField):
        field_type = "PASSWORD"

    class Base(pw.Model):
        secret = Password(max_length=4)

    class Derived(Base):
        more = pw.IntegerField()

    assert decode(Derived, {"secret": "abcd", "more": 1}) == {"secret": "abcd", "more": 1}
    with pytest.raises(msgspec.ValidationError, match="secret"):
        decode(Derived, {"secret": "abcde", "more": 1})


def test_a_timestamp_defaults_to_a_moment_in_utc() -> None:
    """Data of a timestamp is a moment, as rows have it, and so is what stands in for it."""
    moment = defaults_of(ALL)["timestamp"]()
    assert moment.tzinfo is datetime.UTC
    assert abs(moment - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(seconds=60)


@pytest.mark.parametrize("address", ["1.2.3", "1.2.3.4.", "256.0.0.1", "a.b.c.d", "1.2.3.4/8", ""])
def test_an_address_is_one(address: str) -> None:
    """An `IPField` takes an IPv4 address; the column holds its number."""
    ip = select(Everything, only=["ip"])
    assert decode(ip, {"ip": "255.0.10.1"}) == {"ip": "255.0.10.1"}
    with pytest.raises(msgspec.ValidationError):
        decode(ip, {"ip": address})


def test_choices_that_have_no_literal_are_shown() -> None:
    """Numbers with a point cannot be held by msgspec; the document still has them."""

    class Price(pw.Model):
        step = pw.DecimalField(choices=[(decimal.Decimal("0.5"), "half")])

    assert schema(Price, "input")["properties"]["step"]["enum"] == ["0.5"]


def test_an_instance_is_written_as_its_columns() -> None:
    """An instance, and a model inside another type, use column names too."""
    user = User(name="x", renamed=3, country="de")
    assert enc_hook(user)["wire_name"] == 3
    assert enc_hook(user)["country_id"] == "de"

    class Order(msgspec.Struct):
        user: User

    order = decode(Order, {"user": {"name": "x", "age": 1, "city_id": 2, "wire_name": 7}})
    assert isinstance(order.user, User)
    assert (order.user.name, order.user.renamed) == ("x", 0)  # the model's own default


def test_shapes_do_not_import_peewee() -> None:
    """A service without a database does not pay for it; pydantic and Sanic stay out too."""
    code = (
        "import sys, sanic_ms.shapes, sanic_ms.doc\n"
        "assert not {'peewee', 'pydantic', 'sanic'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("digits", "places", "limit"), [(5, 2, 999.99), (3, 0, 999.0), (2, 2, 0.99), (1, 0, 9.0)]
)
def test_the_schema_of_a_decimal_column_has_both_limits(
    digits: int, places: int, limit: float
) -> None:
    """For those who send numbers; the pattern is for those who send text."""

    class Priced(pw.Model):
        price = pw.DecimalField(max_digits=digits, decimal_places=places)

    found = schema(Priced, "input")["properties"]["price"]
    assert (found["minimum"], found["maximum"]) == (-limit, limit)
    assert "pattern" in found


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("AUTO", int), ("BIGAUTO", int), ("BIGINT", int), ("INT", int), ("SMALLINT", int),
        ("BLOB", bytes), ("BOOL", bool), ("CHAR", str), ("CITEXT", str), ("TEXT", str),
        ("VARCHAR", str), ("DATE", datetime.date), ("DATETIME", datetime.datetime),
        ("TIME", datetime.time), ("DECIMAL", decimal.Decimal), ("DOUBLE", float),
        ("FLOAT", float), ("UUID", uuid.UUID), ("UUIDB", uuid.UUID),
    ],
)  # fmt: skip
def test_a_field_of_another_library_has_the_type_of_its_column(column: str, kind: Any) -> None:
    """One that stands on Peewee's bare field says no more."""
    field = type("Foreign", (pw.Field,), {"field_type": column})()
    model = type("Foreigner", (pw.Model,), {"value": field, "__module__": __name__})
    info: Any = msgspec.inspect.type_info(to_type(model, "output"))
    (found,) = (one.type for one in info.fields if one.encode_name == "value")
    while isinstance(found, msgspec.inspect.Metadata):
        found = found.type
    assert type(found) is type(msgspec.inspect.type_info(kind))
