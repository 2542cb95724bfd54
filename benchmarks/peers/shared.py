"""What the servers of all peers have in common: where things are, statements, sample documents.

Only what costs nothing at a request stands here: each server does its own work.
"""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

# Told by the runner. An address that a case does not need is empty.
PORT = int(os.environ.get("BENCH_PORT", "8000"))
POSTGRES = os.environ.get("BENCH_POSTGRES", "")
SQLITE = os.environ.get("BENCH_SQLITE", "")  # the path of the file
CITIES = os.environ.get("BENCH_CITIES", "")  # http://host:port
ROLES = os.environ.get("BENCH_ROLES", "")
COLLECTOR = os.environ.get("BENCH_COLLECTOR", "")  # of traces, for ours

POOL_SIZE = 10
KEEP_ALIVE = 300  # seconds, longer than any case

PLAIN = "Hello, World!"

ROW = "SELECT id, name, email, age, city_id FROM people WHERE id = $1"
ROWS = "SELECT id, name, email, age, city_id FROM people WHERE id > $1 ORDER BY id LIMIT 20"
UPDATE = "UPDATE people SET visits = visits + 1 WHERE id = $1 RETURNING id, visits"
LITE_ROW = "SELECT id, name, email, age, city_id FROM people WHERE id = ?"

PEOPLE = 10_000
COLUMNS = ("id", "name", "email", "age", "city_id")


class Message(TypedDict):
    message: str


class Item(TypedDict):
    id: int
    name: str


class Person(TypedDict):
    id: int
    name: str
    email: str
    age: int
    city_id: int


class Visits(TypedDict):
    id: int
    visits: int


class Fan(TypedDict):
    id: int
    city: Item
    role: Item


EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"


class NewPerson(msgspec.Struct):
    """The body of the validated POST, for those who validate with msgspec."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    age: Annotated[int, msgspec.Meta(ge=0, le=150)]
    score: float
    active: bool
    email: Annotated[str, msgspec.Meta(pattern=EMAIL)]
    tags: list[str]


def keys_of(id: int) -> list[int]:
    """The twenty keys that the queries of one request look up."""
    return [(id * 7919 + number * 1237) % PEOPLE + 1 for number in range(20)]
