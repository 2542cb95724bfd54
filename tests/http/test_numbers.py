"""Numbers that nothing behind a service holds are refused as errors of their fields."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypedDict

import msgspec
import peewee as pw
import pytest

from sanic_ms import doc
from sanic_ms.http import Query
from sanic_ms.openapi.schemas import Schemas

if TYPE_CHECKING:
    from tests.http.conftest import CompiledApp


class Price(pw.Model):
    """A column with five digits before the point."""

    amount = pw.DecimalField(max_digits=7, decimal_places=2)


class Struct(msgspec.Struct, rename="camel"):
    """A field with a name of its own on the wire."""

    the_amount: Decimal
    limit: Decimal = Decimal("Infinity")


@dataclasses.dataclass
class Data:
    """A dataclass."""

    amount: Decimal | None = None


class Typed(TypedDict):
    """A typed dictionary."""

    amount: Decimal


class Named(NamedTuple):
    """An array by position."""

    amount: Decimal


class Plain:
    """A class whose attributes are fields."""

    amount = Decimal


class Nested(msgspec.Struct):
    """All at once, and itself."""

    prices: list[Price] = []
    by_name: dict[str, Data] = {}
    pair: tuple[int, Decimal] = (0, Decimal(0))
    set_: set[Decimal] = set()
    plain: Plain | None = None
    named: Named | None = None
    next: Nested | None = None


UNUSABLE = ["NaN", "sNaN", "-NaN", "Infinity", "-inf", "1e1000000", "1e-1000000", "-1E+1000"]


def body(app: CompiledApp, shape: Any, **options: Any) -> None:
    """A route that answers with the body as it was read."""

    @app.post("/")
    @doc.consumes(shape, **options)
    async def handler(request: Any) -> Any:
        return repr(request["data"])


@pytest.mark.parametrize("text", UNUSABLE)
@pytest.mark.parametrize(
    ("shape", "sent", "field"),
    [
        (Price, {"amount": "@"}, "amount"),
        (Struct, {"theAmount": "@"}, "theAmount"),
        (Data, {"amount": "@"}, "amount"),
        (Typed, {"amount": "@"}, "amount"),
        ({"a": {"amount": Decimal}}, {"a": {"amount": "@"}}, "a.amount"),
        ([Decimal], ["1", "@"], "body[1]"),
        (Decimal, "@", "body"),
        (Nested, {"prices": [{"amount": "1"}, {"amount": "@"}]}, "prices[1].amount"),
        (Nested, {"by_name": {"x": {"amount": "@"}}}, "by_name.x.amount"),
        (Nested, {"pair": [1, "@"]}, "pair[1]"),
        (Nested, {"set_": ["@"]}, "set_[0]"),
        (Nested, {"plain": {"amount": "@"}}, "plain.amount"),
        (Nested, {"named": ["@"]}, "named[0]"),
        (Nested, {"next": {"next": {"pair": [1, "@"]}}}, "next.next.pair[1]"),
    ],
)
async def test_a_decimal_of_a_body_is_a_number_that_a_database_holds(
    app: CompiledApp, shape: Any, sent: Any, field: str, text: str
) -> None:
    """In every kind of shape and at every depth; the entry of `errors` names the place."""
    body(app, shape)
    content = msgspec.json.encode(sent)
    answer = await app.call("post", "/", content=content.replace(b"@", text.encode()))
    assert answer.status == 422, answer.json
    (entry,) = answer.json["errors"]
    assert entry["field"] == field
    assert entry["type"] == ("finite_number" if "n" in text.lower() else "out_of_range")
    good = await app.call("post", "/", content=content.replace(b"@", b"12345.67"))
    assert good.status == 200, good.json
    assert "Decimal('12345.67')" in good.json["data"] or shape is Nested


@pytest.mark.parametrize("number", ["1e1000000", "-1e1000", "1e400"])
async def test_a_number_without_quotes_is_held_to_the_same(app: CompiledApp, number: str) -> None:
    """JSON has huge exponents too; a limit of the type's own default is not the caller's."""
    body(app, Struct)
    answer = await app.call("post", "/", content=f'{{"theAmount":{number}}}'.encode())
    if number == "1e400":
        assert answer.json["data"].startswith("Struct(the_amount=Decimal('1E+400')")
    else:
        assert [entry["field"] for entry in answer.json["errors"]] == ["theAmount"]


async def test_wrong_numbers_are_listed_beside_other_errors(app: CompiledApp) -> None:
    """One answer names all that is wrong."""
    body(app, {"a": Decimal, "b": int, "c": Decimal, "d": str})
    sent = {"a": "NaN", "b": "x", "c": "1e9999999"}
    answer = await app.call("post", "/", json=sent)
    assert {entry["field"]: entry["type"] for entry in answer.json["errors"]} == {
        "a": "finite_number",
        "b": "int_type",
        "c": "out_of_range",
        "d": "missing",
    }


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("99999.99", 200),
        ("-99999.99", 200),
        ("99999.994", 200),
        ("99999.995", 422),
        ("100000", 422),
        ("-100000", 422),
        ("1e5", 422),
        (99999.99, 200),
        (100000, 422),
        ("0.000000001", 200),
    ],
)
async def test_a_decimal_column_holds_so_many_digits(
    app: CompiledApp, sent: Any, status: int
) -> None:
    """Digits after the point are rounded by the database; those before it do not fit."""
    body(app, Price)
    answer = await app.call("post", "/", json={"amount": sent})
    assert answer.status == status
    if status == 422:
        assert answer.json["errors"] == [
            {
                "field": "amount",
                "message": "expected a number with at most 5 digits before the point",
                "type": "too_large",
            }
        ]


class First:
    """One of two objects."""

    first = Decimal


class Second:
    """The other one."""

    second: list[Price]


@pytest.mark.parametrize(
    ("shape", "sent", "field"),
    [
        (First | Second, {"first": "@"}, "first"),
        (First | Second, {"second": [{"amount": "1"}, {"amount": "@"}]}, "second[1].amount"),
        (Decimal | list[Decimal], "@", "body"),
        (Decimal | list[Decimal], ["1", "@"], "body[1]"),
        (Decimal | list[Decimal] | dict[str, Decimal], {"a": "@"}, "a"),
        ({"any": int | Decimal | list[Decimal]}, {"any": ["@"]}, "any[0]"),
    ],
)
async def test_every_member_of_a_union_is_looked_into(
    app: CompiledApp, shape: Any, sent: Any, field: str
) -> None:
    """Not only the first one that may hold a number."""
    body(app, shape)
    content = msgspec.json.encode(sent)
    answer = await app.call("post", "/", content=content.replace(b"@", b"NaN"))
    assert answer.status == 422, answer.json
    assert [entry["field"] for entry in answer.json["errors"]] == [field]
    assert (await app.call("post", "/", content=content.replace(b"@", b"12.5"))).status == 200


@pytest.mark.parametrize(
    ("digits", "message"), [(1, "at most 1 digit before"), (2, "at most 2 digits before")]
)
async def test_the_message_counts_the_digits(app: CompiledApp, digits: int, message: str) -> None:
    """One is a digit."""

    class Narrow(pw.Model):
        amount = pw.DecimalField(max_digits=digits + 2, decimal_places=2)

    body(app, Narrow)
    answer = await app.call("post", "/", json={"amount": "1000"})
    assert message in answer.json["errors"][0]["message"]


def test_the_document_says_what_a_decimal_column_holds() -> None:
    """Text by its pattern, numbers by their limits."""
    schemas = Schemas()
    column = schemas.resolve(schemas.of(Price, "input"))["properties"]["amount"]
    assert column["type"] == ["string", "number"]
    assert (column["minimum"], column["maximum"]) == (-99999.99, 99999.99)
    assert column["pattern"] == r"^[+-]?(0*[0-9]{1,5}(\.[0-9]*)?|0*\.[0-9]+)$"
    answered = schemas.resolve(schemas.of(Price, "output"))["properties"]["amount"]
    assert "pattern" not in answered


@pytest.mark.parametrize("kind", [Decimal, float])
@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity"])
async def test_a_parameter_is_a_finite_number(app: CompiledApp, kind: Any, text: str) -> None:
    """Alone, in a list, and as the field of an object."""

    fields = msgspec.defstruct("Filter", [("x", kind | None, None)])

    async def one(request, x):  # type: ignore[no-untyped-def]
        return str(x)

    async def many(request, x):  # type: ignore[no-untyped-def]
        return [str(item) for item in x]

    async def filtered(request, f):  # type: ignore[no-untyped-def]
        return str(f.x)

    one.__annotations__["x"] = kind
    many.__annotations__["x"] = list[kind]
    filtered.__annotations__["f"] = Annotated[fields, Query()]
    for handler in (one, many, filtered):
        app.add_route(handler, f"/{handler.__name__}")
    for path, field in (("one", "x"), ("many", "x[1]"), ("filtered", "x")):
        first = "x=1&" if path == "many" else ""
        answer = await app.call("get", f"/{path}?{first}x={text}")
        assert answer.json["errors"] == [
            {"field": field, "message": "expected a finite number", "type": "finite_number"}
        ]
        assert (await app.call("get", f"/{path}?x=1.5")).status == 200


async def test_a_field_of_a_form_is_a_finite_number(app: CompiledApp) -> None:
    """Text stands for numbers there as well."""
    body(app, {"x": float, "y": Decimal}, content_type="application/x-www-form-urlencoded")
    answer = await app.call("post", "/", data={"x": "nan", "y": "1e1000000"})
    assert [entry["field"] for entry in answer.json["errors"]] == ["x", "y"]
    assert (await app.call("post", "/", data={"x": "1", "y": "2"})).status == 200


async def test_a_number_behind_many_others_is_refused_too(app: CompiledApp) -> None:
    """The search for the place is bounded, the refusal is not."""
    body(app, [Decimal])
    content = b"[" + b"1," * 50_000 + b'"NaN"]'
    answer = await app.call("post", "/", content=content)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "body[50000]")


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"n": 1.0, "m": 2, "any": 2.0}, []),
        ({"n": 1.0, "m": "x", "any": 2.0}, ["m"]),
        ({"m": "x", "n": 1.0, "any": 2.0}, ["m"]),
        ({"n": 1.5, "m": 1.0, "any": 2.0}, ["n"]),
        ({"n": 1.0, "m": 1, "any": 2.0, "list": [1, 2.0, "x"]}, ["list[2]"]),
    ],
)
async def test_a_whole_number_with_a_point_is_right_alone_and_beside_errors(
    app: CompiledApp, sent: Any, wrong: list[str]
) -> None:
    """1.0 in the place of an integer is one; in the place of anything it stays what it is."""
    body(app, {"n": int, "m": int, "any": Any, "list": doc.List(int, required=False)})
    answer = await app.call("post", "/", json=sent)
    if wrong:
        assert [entry["field"] for entry in answer.json["errors"]] == wrong
    else:
        assert answer.json["data"] == "{'n': 1, 'm': 2, 'any': 2.0}"


async def test_a_number_without_a_hash_is_refused(app: CompiledApp) -> None:
    """Python has none for sNaN, so that making a set of it fails; bodies are above."""

    @app.get("/")
    async def numbers(request: Any, x: set[Decimal]) -> Any:
        return len(x)

    expected = {"message": "expected a finite number", "type": "finite_number"}
    answer = await app.call("get", "/?x=1&x=sNaN")
    assert answer.json["errors"] == [{"field": "x", **expected}]


@pytest.mark.parametrize("kind", [list[int], list[int | Decimal]])
async def test_whole_numbers_of_a_large_body_are_read_too(app: CompiledApp, kind: Any) -> None:
    """A body larger than what is walked along its type; all of it is read as one number is."""
    shape = msgspec.defstruct("Large", [("n", int), ("items", kind), ("price", Decimal)])
    body(app, shape)
    content = b'{"n":1.0,"items":[' + b"2.0," * 20_000 + b'3],"price":1.5}'
    answer = await app.call("post", "/", content=content)
    assert answer.status == 200, answer.json["errors"][:3]
    assert answer.json["data"].startswith("Large(n=1, items=[2, 2, ")
    assert answer.json["data"].endswith("2, 3], price=Decimal('1.5'))")


async def test_a_type_whose_metadata_has_no_hash_is_looked_at_as_well(app: CompiledApp) -> None:
    """Annotated takes anything."""
    amount = Annotated[Decimal, {"unit": "EUR"}]
    body(app, msgspec.defstruct("Bill", [("amount", amount), ("n", int)]))
    answer = await app.call("post", "/", json={"amount": "NaN", "n": "x"})
    assert [entry["field"] for entry in answer.json["errors"]] == ["amount", "n"]
    answer = await app.call("post", "/", json={"amount": 1.5, "n": 1.0})
    assert answer.json["data"] == "Bill(amount=Decimal('1.5'), n=1)"


@pytest.mark.parametrize("number", ["1e1000000", "-1e999999999", "1e-1000000", "1e400"])
async def test_a_number_of_any_size_is_no_failure_of_the_service(
    app: CompiledApp, number: str
) -> None:
    """In the place of an integer or a float, beside a decimal that keeps all of its digits."""
    body(app, {"n": int, "ratio": float, "amount": Decimal})
    content = f'{{"n":{number},"ratio":1.5,"amount":1.10}}'.encode()
    answer = await app.call("post", "/", content=content)
    if number == "1e-1000000":  # which is 0 to every reader
        assert answer.json["data"] == "{'n': 0, 'ratio': 1.5, 'amount': Decimal('1.10')}"
    else:
        wrong = [(entry["field"], entry["type"]) for entry in answer.json["errors"]]
        assert wrong == [("n", "int_type")]
    content = f'{{"n":1.0,"ratio":{number},"amount":1.10}}'.encode()
    answer = await app.call("post", "/", content=content)
    if number == "1e-1000000":
        assert answer.json["data"] == "{'n': 1, 'ratio': 0.0, 'amount': Decimal('1.10')}"
    else:
        assert [entry["field"] for entry in answer.json["errors"]] == ["ratio"]
