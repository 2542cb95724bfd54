"""The cases: what is asked, what must be answered, and what has to be there for it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers.shared import PEOPLE, PLAIN, keys_of

__all__ = ["CASES", "Case", "Probe", "person", "pick"]


@dataclass(frozen=True)
class Probe:
    """One request and the answer that it must get.

    `expected` is a JSON document, or a text for an answer that is no JSON. With `refused` the
    answer must be an error of the client's (4xx); what it says is the peer's own.
    """

    path: str
    expected: Any = None
    method: str = "GET"
    body: bytes | None = None
    refused: bool = False


@dataclass(frozen=True)
class Case:
    """One row of the results."""

    name: str
    title: str
    paths: tuple[str, ...]
    probes: Callable[[], list[Probe]]
    method: str = "GET"
    body: bytes | None = None
    needs: frozenset[str] = field(default_factory=frozenset)  # "postgres", "sqlite", "backends"
    connections: int = 64
    idle: int = 0  # connections that are held open beside those of the load
    writes: bool = False  # the table is made anew for each measurement, and its updates counted
    peers: frozenset[str] = frozenset()  # whom it is for; empty: all


def person(id: int) -> dict[str, Any]:
    """The row of that key in the table ``people``."""
    return {
        "id": id,
        "name": f"person {id}",
        "email": f"person{id}@example.org",
        "age": 20 + id % 60,
        "city_id": 1 + id % 100,
    }


def _shuffled(prefix: str) -> tuple[str, ...]:
    """The path of every key once, in an order that no cache can guess but is always the same."""
    keys = list(range(1, PEOPLE + 1))
    random.Random(7).shuffle(keys)
    return tuple(f"{prefix}/{key}" for key in keys)


# Keys of every number of digits, the first and the last among them.
_KEYS = (1, 20, 321, 4711, PEOPLE)

NEW_PERSON = {
    "name": "Ann Example",
    "age": 34,
    "score": 4.5,
    "active": True,
    "email": "ann@example.org",
    "tags": ["red", "green", "blue"],
}
# One mistake in each field, so that a peer that does not check a field is found.
WRONG: dict[str, list[Any]] = {
    "name": ["", "x" * 65, 7, None],
    "age": ["old", -1, 151, 1.5],
    "score": ["high", None],
    "active": ["perhaps", None],
    "email": ["nobody", "a b@example.org", 7],
    "tags": ["red", [1], None],
}


def _body(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _post_probes() -> list[Probe]:
    def post(body: bytes, **more: Any) -> Probe:
        return Probe("/people", method="POST", body=body, **more)

    probes = [post(_body(NEW_PERSON), expected=NEW_PERSON)]
    for name, values in WRONG.items():
        probes += [post(_body({**NEW_PERSON, name: value}), refused=True) for value in values]
        missing = {key: value for key, value in NEW_PERSON.items() if key != name}
        probes.append(post(_body(missing), refused=True))
    return [*probes, post(b'{"name":', refused=True), post(b"[]", refused=True)]


def _by_key(prefix: str, expected: Callable[[int], Any]) -> Callable[[], list[Probe]]:
    return lambda: [Probe(f"{prefix}/{key}", expected(key)) for key in _KEYS]


def _item(id: int) -> dict[str, Any]:
    return {"id": id, "name": f"item {id}"}


def _rows(id: int) -> list[dict[str, Any]]:
    return [person(key) for key in range(id + 1, min(id + 20, PEOPLE) + 1)]


def _fan(id: int) -> dict[str, Any]:
    return {
        "id": id,
        "city": {"id": id, "name": f"city {id}"},
        "role": {"id": id, "name": f"role {id}"},
    }


_MESSAGE = {"message": PLAIN}
_JSON_PROBES: Callable[[], list[Probe]] = lambda: [Probe("/json", _MESSAGE)]  # noqa: E731
_POSTGRES = frozenset({"postgres"})
_LOGGED = frozenset({"sanic-ms", "sanic-ms-logger"})

_ALL = [
    Case("plain", "plain text", ("/plain",), lambda: [Probe("/plain", PLAIN)]),
    Case("json", "JSON", ("/json",), _JSON_PROBES),
    Case("path", "path parameter", _shuffled("/items"), _by_key("/items", _item)),
    Case(
        "post",
        "validated POST of six fields",
        ("/people",),
        _post_probes,
        method="POST",
        body=_body(NEW_PERSON),
    ),
    Case(
        "row",
        "one row by key, PostgreSQL",
        _shuffled("/row"),
        _by_key("/row", person),
        needs=_POSTGRES,
    ),
    Case(
        "rows",
        "20 rows in one query, PostgreSQL",
        _shuffled("/rows"),
        _by_key("/rows", _rows),
        needs=_POSTGRES,
    ),
    Case(
        "queries",
        "20 queries in one request, PostgreSQL",
        _shuffled("/queries"),
        _by_key("/queries", lambda id: [person(key) for key in keys_of(id)]),
        needs=_POSTGRES,
    ),
    Case(
        "update",
        "an update in a transaction, PostgreSQL",
        _shuffled("/update"),
        lambda: [
            Probe(f"/update/{key}", {"id": key, "visits": visits}, method="PUT")
            for key in _KEYS
            for visits in (1, 2)
        ],
        method="PUT",
        needs=_POSTGRES,
        writes=True,
    ),
    Case(
        "sqlite",
        "one row by key, SQLite",
        _shuffled("/lite"),
        _by_key("/lite", person),
        needs=frozenset({"sqlite"}),
    ),
    Case(
        "fan",
        "two calls to other services",
        _shuffled("/fan"),
        _by_key("/fan", _fan),
        needs=frozenset({"backends"}),
    ),
    Case(
        "calls",
        "a handler that calls three functions, with @logger and without",
        _shuffled("/calls"),
        _by_key("/calls", lambda id: {"id": id + 6, "name": f"item {id}"}),
        peers=_LOGGED,
    ),
    Case(
        "layers",
        "one row by key, PostgreSQL, through three functions, with @logger and without",
        _shuffled("/layers"),
        _by_key("/layers", person),
        needs=_POSTGRES,
        peers=_LOGGED,
    ),
    Case(
        "connections",
        "10,000 connections, 200 of them active",
        ("/json",),
        _JSON_PROBES,
        connections=200,
        idle=9_800,
    ),
]

CASES: dict[str, Case] = {case.name: case for case in _ALL}


def pick(text: str) -> list[Case]:
    """The cases that a comma-separated list names, in the order of the table; all for none.

    Raises:
        ValueError: a name is unknown. The message lists those that are known.
    """
    names = {name.strip() for name in text.split(",") if name.strip()} or set(CASES)
    if unknown := sorted(names - set(CASES)):
        raise ValueError(f"no case {', '.join(unknown)}: there are {', '.join(CASES)}")
    return [case for case in _ALL if case.name in names]
