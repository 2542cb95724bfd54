"""SQL functions that SQLite has only here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import StatementError

MakePool = Callable[..., Awaitable[ConnectionPool]]


@pytest.fixture
async def sqlite(make_pool: MakePool) -> ConnectionPool:
    """A pool over a database in memory."""
    return await make_pool("sqlite://:memory:")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("date_part('year', '2024-02-29 23:59:58.123456+00:00')", 2024),
        ("date_part('day', '2024-02-29 23:59:58-05:00')", 1),  # in UTC
        ("date_part('hour', '01:02:03')", 1),
        ("date_part('month', '2024-02-29')", 2),
        ("date_part('second', '2024-02-29T23:59:58Z')", 58),
        ("date_part('year', NULL)", None),
        ("date_part('year', 'no date')", None),
        ("date_part('year', 5)", None),
        ("date_trunc('year', '2024-02-29 23:59:58+00:00')", "2024-01-01 00:00:00.000000+00:00"),
        ("date_trunc('minute', '2024-02-29 23:59:58')", "2024-02-29 23:59:00.000000"),
        ("date_trunc('day', NULL)", None),
        ("'Ann' REGEXP '^A.n$'", 1),
        ("'Ann' REGEXP '^a'", 0),
        ("NULL REGEXP '^a'", None),
        ("5 REGEXP '5'", 1),
        ("""_pw_json_contains('{"a": [1, 2], "b": {"c": 3}}', '{"b": {}, "a": [2]}')""", 1),
        ("""_pw_json_contains('{"a": 1}', '{"a": true}')""", 0),
        ("""_pw_json_contains('[1, 2]', '2')""", 1),
        ("""_pw_json_contains('[[1]]', '1')""", 0),
        ("""_pw_json_contains('no json', '1')""", None),
        ("_pw_json_contains(NULL, '1')", None),
    ],
)
async def test_what_they_give(sqlite: ConnectionPool, expression: str, expected: Any) -> None:
    """What PostgreSQL's functions of these names give; NULL for what is no date and no JSON."""
    assert await sqlite.fetchval(f"SELECT {expression}") == expected


@pytest.mark.parametrize(
    "expression",
    ["date_part('week', '2024-02-29')", "date_trunc('era', '2024-02-29')", "'a' REGEXP '('"],
)
async def test_what_they_refuse(sqlite: ConnectionPool, expression: str) -> None:
    """A part that is none, and a pattern that is none, are mistakes in the statement."""
    with pytest.raises(StatementError):
        await sqlite.fetchval(f"SELECT {expression}")
    assert await sqlite.fetchval("SELECT 1") == 1
