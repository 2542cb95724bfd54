"""Which columns of a model a request gives: those that are not the server's, or those named."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import msgspec
import peewee as pw
import pytest

from sanic_ms import doc
from sanic_ms.shapes import dec_hook, defaults_of, exposed_columns, select, to_type


class Country(pw.Model):
    """A key of its own."""

    code = pw.CharField(max_length=2, primary_key=True)
    name = pw.CharField()


class Account(pw.Model):
    """Columns of every origin."""

    id = pw.UUIDField(primary_key=True, default=uuid.uuid4)
    name = pw.CharField()
    note = pw.TextField(null=True)
    country = pw.ForeignKeyField(Country)
    total = pw.IntegerField()
    role = pw.CharField(default="user")
    is_admin = pw.BooleanField(default=False)
    created_at = pw.DateTimeField(default=datetime.datetime.now)
    changed = pw.DateTimeField(constraints=[pw.SQL("DEFAULT now()")])
    number = pw.IntegerField(constraints=[pw.SQL(" generated always as identity")])
    checked = pw.IntegerField(constraints=[pw.Check("checked > 0")])
    secret = doc.read_only(pw.CharField())


class Heir(Account):
    """A model that inherits its columns."""


class Api:
    """A class of fields."""

    id = doc.Integer("id", read_only=True)
    name = doc.String("name")
    size = doc.Integer("size", default=1)


def keys(shape: Any) -> tuple[list[str], list[str]]:
    """The keys that a request may give, and those that it must."""
    type_ = to_type(shape, "input")
    return list(type_.__annotations__), sorted(type_.__required_keys__)


TAKEN = ["name", "note", "country_id", "total", "checked"]
MUST = ["checked", "country_id", "name", "total"]


@pytest.mark.parametrize(
    ("shape", "taken", "must"),
    [
        (Account, TAKEN, MUST),
        (Heir, TAKEN, MUST),
        (select(Account), TAKEN, MUST),
        (select(Account, only=["total", "name"]), ["name", "total"], ["name", "total"]),
        (select(Account, only=["country"]), ["country_id"], ["country_id"]),
        (select(Account, only=["country_id"]), ["country_id"], ["country_id"]),
        (select(Account, only=["id", "role"]), ["id", "role"], []),
        (
            select(Account, exclude=["total", "country", "checked"]),
            ["name", "note"],
            ["name"],
        ),
        (select(Account, include=["role"]), [*TAKEN[:4], "role", "checked"], MUST),
        (select(Account, partial=True), TAKEN, []),
        (select(Account, partial=True, only=["role"]), ["role"], []),
        (Api, ["name", "size"], ["name"]),
        (select(Api, exclude=["size"]), ["name"], ["name"]),
        (select(Api, partial=True), ["name", "size"], []),
        ({"id": doc.Integer(read_only=True), "x": int}, ["x"], ["x"]),
    ],
)
def test_a_request_gives_what_is_not_the_servers(
    shape: Any, taken: list[str], must: list[str]
) -> None:
    """Keys and columns with a default, of the model or of the database, have to be named; columns
    are named by either of their names."""
    assert keys(shape) == (taken, must)


def test_what_is_not_taken_is_not_there() -> None:
    """Sent values are dropped, and nothing is put in their place: an update would store it."""
    sent = {
        "name": "a",
        "country_id": "de",
        "total": 1,
        "checked": 1,
        "role": "root",
        "secret": "x",
    }
    data = msgspec.convert(sent, to_type(Account, "input"), dec_hook=dec_hook)
    assert data == {"name": "a", "country_id": "de", "total": 1, "checked": 1}
    assert defaults_of(Account) == {"note": None}
    assert defaults_of(select(Account, include=["role"])) == {"note": None, "role": "user"}
    assert defaults_of(select(Account, include=["role"], partial=True)) == {}
    assert "secret" in to_type(Account, "output").__annotations__
    assert "id" in to_type(Api, "output").__annotations__


def test_a_list_of_objects_is_chosen_from_as_well() -> None:
    """The options count for each item."""
    (shape,) = select([Account], only=(name for name in ["name"]))
    assert keys(shape) == (["name"], ["name"])
    assert to_type(select([Account], only=["name"]), "input") == list[to_type(shape, "input")]  # type: ignore[misc]
    assert keys({"a": shape}) == (["a"], ["a"])


def test_the_same_choice_is_the_same_type() -> None:
    """Equal selections share a component of the document; a PATCH has a name of its own."""
    first = to_type(select(Account, only=["name"]), "input")
    assert to_type(select(Account, only=("name",)), "input") is first
    assert first.__name__ == "AccountInput"
    assert to_type(select(Account, partial=True), "input").__name__ == "AccountPatch"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"only": ["name"], "exclude": ["total"]}, "only= names all that is taken"),
        ({"include": ["role"], "exclude": ["role"]}, "'role' stands in exclude= and in include="),
        ({"only": "name"}, r"only='name': write a list of names, only=\['name'\]"),
        ({"exclude": [1]}, r"exclude=\[1\]: write a list of names"),
    ],
)
def test_options_that_contradict_each_other_are_refused_at_once(
    options: dict[str, Any], text: str
) -> None:
    """The decorator raises, and so does the marker at start."""
    with pytest.raises(TypeError, match=text):
        select(Account, **options)
    with pytest.raises(TypeError, match=f"doc.consumes: {text}"):
        doc.consumes(Account, **options)


@pytest.mark.parametrize("shape", [{"a": int}, list[int], Account | None, [{"a": int}], int | str])
def test_a_shape_without_columns_has_nothing_to_choose_from(shape: Any) -> None:
    """Such a shape is written with the keys that the route takes."""
    with pytest.raises(TypeError, match="choose among the columns of a Peewee model"):
        select(shape, partial=True)


def test_a_class_that_says_its_own_keys_has_nothing_to_choose_from() -> None:
    """Seen at start: at import a class may not know all of its annotations."""
    struct = msgspec.defstruct("Named", [("name", str)])
    with pytest.raises(TypeError, match="Named is no Peewee model and no class of fields"):
        to_type(select(struct, partial=True), "input")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"only": ["nmae"]}, "Account has no 'nmae' to choose; it has id, name, note, country_id,"),
        ({"exclude": ["nmae"]}, "Account has no 'nmae' to choose"),
        ({"include": ["secret"]}, "Account.secret is read-only: a request cannot give it"),
        ({"only": ["secret"]}, "Account.secret is read-only"),
    ],
)
def test_names_are_checked_at_start(options: dict[str, Any], text: str) -> None:
    """When all models know each other."""
    with pytest.raises(TypeError, match=text):
        to_type(select(Account, **options), "input")


@pytest.mark.parametrize(
    ("shape", "exposed"),
    [
        (Account, {"Account": ["total"]}),
        ([Account], {"Account": ["total"]}),
        ({"a": Account, "b": int}, {"Account": ["total"]}),
        (select(Account, include=["role"]), {"Account": ["total"]}),
        (select(Account, include=["total"]), {}),
        (select(Account, exclude=["total"]), {}),
        (select(Account, only=["total", "role"]), {}),
        (select(Account, partial=True), {"Account": ["total"]}),
        (Country, {}),
        (Api, {}),
        (int, {}),
        (None, {}),
        (Account | None, {}),
    ],
)
def test_columns_that_look_like_the_servers_are_found(
    shape: Any, exposed: dict[str, list[str]]
) -> None:
    """Those that are taken without being named."""
    assert exposed_columns(shape) == exposed


def test_names_that_look_like_the_servers() -> None:
    """Rights, times, sums and secrets; the words of usual data are none."""
    names = [
        "role",
        "role_id",
        "roles",
        "is_admin",
        "admin",
        "is_staff",
        "is_superuser",
        "permissions",
        "created",
        "created_at",
        "create_time",
        "updated_on",
        "deleted_at",
        "modified_by",
        "balance",
        "total",
        "password_hash",
        "owner_id",
        "tenant_id",
        "last_login",
        "date_joined",
        "is_verified",
    ]
    usual = [
        "name",
        "email",
        "title",
        "age",
        "city_id",
        "password",
        "status",
        "kind",
        "year",
        "description",
        "user_id",
    ]
    fields = {name: pw.CharField() for name in (*names, *usual)}
    model = type("Model", (pw.Model,), fields)
    assert exposed_columns(model) == {"Model": names}
