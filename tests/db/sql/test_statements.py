"""Statements and rows: the same on every database."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import (
    CheckViolation,
    DatabaseError,
    DataError,
    ForeignKeyViolation,
    IntegrityError,
    NotNullViolation,
    StatementError,
    UniqueViolation,
)

MakeTable = Callable[..., Awaitable[str]]


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


async def test_the_methods(pool: ConnectionPool, table: str) -> None:
    """Rows are plain dicts, a missing row is None, and a write counts its rows."""
    async with pool.acquire() as db:
        assert await db.execute(f"INSERT INTO {table} VALUES ($1, $2)", 1, "ann") == 1
        assert await db.execute(f"INSERT INTO {table} VALUES ($1, $2), (3, 'cy')", 2, "bob") == 2
        row = await db.fetchrow(f"SELECT id, name FROM {table} WHERE id = $1", 1)
        assert row == {"id": 1, "name": "ann"}
        assert type(row) is dict
        assert await db.fetchrow(f"SELECT id FROM {table} WHERE id = $1", 99) is None
        assert await db.fetchval(f"SELECT name FROM {table} WHERE id = $1", 2) == "bob"
        assert await db.fetchval(f"SELECT id, name FROM {table} WHERE id = 2", column=1) == "bob"
        assert await db.fetchval(f"SELECT name FROM {table} WHERE id = $1", 99) is None
        assert await db.fetch(f"SELECT id FROM {table} WHERE id > $1 ORDER BY id", 1) == [
            {"id": 2},
            {"id": 3},
        ]
        assert await db.fetch(f"SELECT id FROM {table} WHERE id > 99") == []
        assert await db.execute(f"UPDATE {table} SET name = $1 WHERE id > $2", "x", 1) == 2
        assert await db.execute(f"DELETE FROM {table} WHERE id = $1", 99) == 0
        assert await db.execute(f"SELECT id FROM {table}") == 0


async def test_the_methods_of_the_pool_itself(pool: ConnectionPool, table: str) -> None:
    """For a single statement the pool does the acquiring."""
    assert await pool.execute(f"INSERT INTO {table} VALUES ($1, $2)", 1, "ann") == 1
    await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", [(2, "bob")])
    assert await pool.fetchval(f"SELECT name FROM {table} WHERE id = $1", 2) == "bob"
    assert await pool.fetchrow(f"SELECT id FROM {table} WHERE id = $1", 1) == {"id": 1}
    assert len(await pool.fetch(f"SELECT * FROM {table}")) == 2
    assert [row["id"] async for row in pool.iterate(f"SELECT id FROM {table} ORDER BY id")] == [
        1,
        2,
    ]


async def test_fetching_from_a_statement_without_rows(pool: ConnectionPool, table: str) -> None:
    """It is executed, and there is nothing to fetch."""
    sql = f"INSERT INTO {table} VALUES ($1, 'x')"
    assert await pool.fetch(sql, 1) == []
    assert await pool.fetchrow(sql, 2) is None
    assert await pool.fetchval(sql, 3) is None
    assert await pool.fetchrow(f"DELETE FROM {table} WHERE id = 3") is None
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 2


async def test_a_name_that_columns_share(pool: ConnectionPool) -> None:
    """The last of them is kept."""
    row = await pool.fetchrow("SELECT 1 AS a, 2 AS a, 3 AS b", timeout=5)
    assert row == {"a": 2, "b": 3}


async def test_an_update_counts_the_rows_that_it_matched(pool: ConnectionPool, table: str) -> None:
    """Also those that had the value already: MySQL alone would leave them out."""
    await pool.execute(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
    assert await pool.execute(f"UPDATE {table} SET name = 'a'") == 2


async def test_with_returning(pool: ConnectionPool, make_table: Any) -> None:
    """A row that an INSERT returns is stored when the call returns."""
    table = await make_table("id {serial}, name VARCHAR(10)")
    sql = f"INSERT INTO {table} (name) VALUES ($1) RETURNING id, name"
    first = await pool.fetchrow(sql, "a")
    assert first is not None
    assert first["name"] == "a"
    second = await pool.fetchval(sql, "b")
    assert second == first["id"] + 1
    assert len(await pool.fetch(sql, "c")) == 1
    assert await pool.execute(sql, "d") == 1
    assert [row["name"] async for row in pool.iterate(sql, "e")] == ["e"]
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 5


async def test_numbers_repeat_and_come_in_any_order(pool: ConnectionPool, table: str) -> None:
    """``$1`` is the first argument wherever it stands, and no quote or comment hides it."""
    sql = f"INSERT INTO {table} (name, id) /* $3 */ VALUES ($2, $1) -- $4"
    await pool.execute(sql, 7, "it's $1")
    found = await pool.fetchrow(
        f"SELECT id FROM {table} WHERE id = $1 AND name = $2 AND id = $1 AND name <> '$3'",
        7,
        "it's $1",
    )
    assert found == {"id": 7}


HOSTILE = ["'; DROP TABLE x; --", "\\", "\\'", '"', "%s %d %%", "?", "$1", "\n\r\t", "é漢🙂", ""]


async def test_values_are_bound_and_never_pasted(pool: ConnectionPool, make_table: Any) -> None:
    """Whatever a text holds, it comes back as it went in, also through the cursor."""
    table = await make_table("id INTEGER PRIMARY KEY, name VARCHAR(100)")
    await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", list(enumerate(HOSTILE)))
    for number, text in enumerate(HOSTILE):
        sql = f"SELECT id FROM {table} WHERE name = $1"
        assert await pool.fetchval(sql, text) == number
        assert [row["id"] async for row in pool.iterate(sql, text)] == [number]


async def test_types_come_back(pool: ConnectionPool, make_table: Any) -> None:
    """JSON, UUID, Decimal, dates with and without a zone, bytes, booleans, numbers."""
    table = await make_table(
        "id INTEGER PRIMARY KEY, j {json}, u {uuid}, d DECIMAL(20, 4), dt {datetime}, ts {instant},"
        " da DATE, b {blob}, f DOUBLE PRECISION, ok BOOLEAN, big BIGINT, s TEXT"
    )
    paris = timezone(timedelta(hours=2))
    values: dict[str, Any] = {
        "id": 1,
        "j": {"a": [1, 2.5, None, True], "é": {"x": "'"}},
        "u": UUID("12345678-1234-5678-1234-567812345678"),
        "d": Decimal("1234567.8901"),
        "dt": datetime(2024, 2, 29, 12, 34, 56, 789012),
        "ts": datetime(2024, 2, 29, 12, 34, 56, 789012, tzinfo=paris),
        "da": date(2024, 2, 29),
        "b": bytes(range(256)),
        "f": 1.5e300,
        "ok": True,
        "big": 2**62,
        "s": "text",
    }
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    sql = f"INSERT INTO {table} VALUES ({marks})"
    await pool.execute(sql, *values.values())
    for row in (
        await pool.fetchrow(f"SELECT * FROM {table} WHERE id = $1", 1),
        await pool.fetchrow(f"SELECT * FROM {table}"),
        *[row async for row in pool.iterate(f"SELECT * FROM {table} WHERE id = $1", 1)],
    ):
        # A moment without a zone is one in UTC, and says so when it comes back.
        assert row == {**values, "dt": values["dt"].replace(tzinfo=UTC)}
        assert row["ts"].utcoffset() == row["dt"].utcoffset() == timedelta(0)
        assert row["ok"] is True
    assert await pool.fetchval(f"SELECT u FROM {table}") == values["u"]
    assert await pool.fetchval(f"SELECT j FROM {table} WHERE id = $1", 1) == values["j"]


async def test_nulls_come_back(pool: ConnectionPool, make_table: Any) -> None:
    """None is NULL in a column of any type."""
    table = await make_table("id INTEGER, j {json}, u {uuid}, ts {instant}, b {blob}, ok BOOLEAN")
    await pool.execute(
        f"INSERT INTO {table} VALUES ($1, $2, $3, $4, $5, $6)", None, None, None, None, None, None
    )
    row = await pool.fetchrow(f"SELECT * FROM {table}")
    assert row is not None
    assert set(row.values()) == {None}
    assert len(row) == 6


@pytest.mark.parametrize("value", [{}, [], [1, "a"], "text", 5, {"deep": [[[{}]]]}])
async def test_any_json_value(pool: ConnectionPool, make_table: Any, value: Any) -> None:
    """A JSON column gives back objects and lists as they were. A bare text or number is JSON only
    where it is written so, as on SQLite and MySQL an argument is the column's text."""
    table = await make_table("j {json}")
    if not isinstance(value, dict | list) and pool.statements.dialect != "postgresql":
        value_sent: Any = f'"{value}"' if isinstance(value, str) else value
    else:
        value_sent = value
    if pool.statements.dialect == "mysql" and isinstance(value_sent, int):
        value_sent = str(value_sent)
    await pool.execute(f"INSERT INTO {table} VALUES ($1)", value_sent)
    assert await pool.fetchval(f"SELECT j FROM {table}") == value


async def test_enums_are_their_values(pool: ConnectionPool, table: str) -> None:
    """An enum is stored as its value, and an IntEnum as its number."""
    dialect = pool.statements.dialect
    if dialect == "postgresql":
        pytest.skip("asyncpg binds by the column's type and takes str and int subclasses alone")
    await pool.execute(f"INSERT INTO {table} VALUES ($1, $2)", Level.HIGH, Colour.RED)
    assert await pool.fetchrow(f"SELECT * FROM {table}") == {"id": 3, "name": "red"}


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**70])
async def test_a_value_that_cannot_be_stored(pool: ConnectionPool, table: str, value: Any) -> None:
    """The error is the caller's, and the connection stays good."""
    with pytest.raises(DataError) as caught:
        await pool.execute(f"INSERT INTO {table} (id) VALUES ($1)", value)
    assert caught.value.status == 500
    assert caught.value.statement == (f"INSERT INTO {table} (id) VALUES ($1)")
    assert caught.value.out_of_range == ((value,) if isinstance(value, int) else ())
    assert await pool.fetchval("SELECT 1") == 1


async def test_executemany_is_all_or_nothing(pool: ConnectionPool, table: str) -> None:
    """Outside of a transaction it is one by itself."""
    rows = [(number, str(number)) for number in range(3000)]
    await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", iter(rows))
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 3000
    with pytest.raises(UniqueViolation):
        await pool.executemany(
            f"INSERT INTO {table} VALUES ($1, $2)", [(n, "new") for n in range(5000, 1000, -1)]
        )
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 3000
    await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", [])


async def test_executemany_inside_a_transaction_is_a_part_of_it(
    pool: ConnectionPool, table: str
) -> None:
    """What a transaction undoes includes the rows of executemany()."""

    async def fail() -> None:
        async with pool.transaction() as db:
            await db.executemany(f"INSERT INTO {table} VALUES ($1, $2)", [(1, "a"), (2, "b")])
            assert await db.fetchval(f"SELECT count(*) FROM {table}") == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_executemany_with_nulls_and_long_values(
    pool: ConnectionPool, make_table: Any
) -> None:
    """Rows whose values are of different types and sizes are stored as they are."""
    table = await make_table("id INTEGER PRIMARY KEY, b {blob}")
    rows = [(1, None), (2, b"\x00'\\\xff"), (3, b"x" * 100_000), (4, None)]
    await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", rows)
    found = await pool.fetch(f"SELECT * FROM {table} ORDER BY id")
    assert [(row["id"], row["b"]) for row in found] == rows


async def test_executemany_checks_each_row(pool: ConnectionPool, table: str) -> None:
    """A row with too few arguments stores none of them, and so does one that fails to come."""
    with pytest.raises(StatementError, match="takes 2 arguments and got 1"):
        await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", [(1, "a"), (2,)])

    def failing() -> Iterator[tuple[int, str]]:
        yield (1, "a")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", failing())
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    with pytest.raises(StatementError, match="SQL text"):
        await pool.executemany(object(), [])  # type: ignore[arg-type]


async def test_errors_of_the_statement(pool: ConnectionPool, table: str) -> None:
    """Wrong SQL is a StatementError: the database's text is for the log alone."""
    for sql in ("SELECT * FROM no_such_table", "SELEC 1", f"SELECT nope FROM {table}"):
        with pytest.raises(StatementError) as caught:
            await pool.fetch(sql)
        assert caught.value.error is None
        assert caught.value.detail
    for column in (5, None):
        with pytest.raises(StatementError, match=f"column={column}: the row has 2 columns"):
            await pool.fetchval("SELECT 1, 2", column=column)  # type: ignore[arg-type]
    for call in (pool.fetch, pool.fetchrow, pool.fetchval, pool.execute):
        with pytest.raises(ValueError, match="timeout=nan"):
            await call("SELECT 1", timeout=math.nan)
    assert await pool.fetchval("SELECT 1") == 1


async def test_constraints_have_errors_of_their_own(pool: ConnectionPool, make_table: Any) -> None:
    """Each kind of constraint is told apart, and is a conflict."""
    parent = await make_table("id INTEGER PRIMARY KEY")
    child = await make_table(
        "id INTEGER PRIMARY KEY, n INTEGER NOT NULL, u INTEGER UNIQUE, c INTEGER CHECK (c > 0),"
        f" p INTEGER, FOREIGN KEY (p) REFERENCES {parent} (id)"
    )
    insert = f"INSERT INTO {child} (id, n, u, c, p) VALUES ($1, $2, $3, $4, $5)"
    await pool.execute(f"INSERT INTO {parent} VALUES (1)")
    await pool.execute(insert, 1, 1, 1, 1, 1)
    for args, kind, status in (
        ((1, 1, 2, 1, 1), UniqueViolation, 409),
        ((2, 1, 1, 1, 1), UniqueViolation, 409),
        ((2, None, 2, 1, 1), NotNullViolation, 500),
        ((2, 1, 2, -1, 1), CheckViolation, 500),
        ((2, 1, 2, 1, 99), ForeignKeyViolation, 409),
    ):
        with pytest.raises(IntegrityError) as caught:
            await pool.execute(insert, *args)
        assert type(caught.value) is kind
        assert caught.value.status == status
        assert caught.value.statement == insert
    with pytest.raises(ForeignKeyViolation):
        await pool.execute(f"DELETE FROM {parent}")
    await pool.execute(f"DROP TABLE {child}")


async def test_a_wide_and_a_long_result(pool: ConnectionPool, table: str) -> None:
    """Many rows and many columns come whole."""
    await pool.executemany(
        f"INSERT INTO {table} VALUES ($1, $2)", [(n, "x" * 50) for n in range(10_000)]
    )
    rows = await pool.fetch(f"SELECT * FROM {table} ORDER BY id")
    assert [row["id"] for row in rows] == list(range(10_000))
    wide = await pool.fetchrow("SELECT " + ", ".join(f"{n} AS c{n}" for n in range(500)))
    assert wide == {f"c{n}": n for n in range(500)}


async def test_a_table_that_changes_under_a_statement(
    pool: ConnectionPool, make_table: Any
) -> None:
    """A migration while the service runs: the next statement sees the new shape."""
    table = await make_table("id INTEGER PRIMARY KEY")
    await pool.execute(f"INSERT INTO {table} VALUES (1)")
    sql = f"SELECT * FROM {table} WHERE id = $1"
    for _ in range(3):
        assert await pool.fetchrow(sql, 1) == {"id": 1}
    await pool.execute(f"ALTER TABLE {table} ADD COLUMN name VARCHAR(10)")
    assert await pool.fetchrow(sql, 1) == {"id": 1, "name": None}
    assert await pool.fetch(sql, 1) == [{"id": 1, "name": None}]


async def test_many_different_statements(pool: ConnectionPool) -> None:
    """More statements than are kept prepared: none is confused with another."""
    async with pool.acquire() as db:
        for number in range(600):
            assert await db.fetchval(f"SELECT {number} + $1 * 0", 1) == number
        for number in range(0, 600, 50):
            assert await db.fetchval(f"SELECT {number} + $1 * 0", 1) == number


async def test_no_limit_in_time(pool: ConnectionPool) -> None:
    """``math.inf`` as timeout is none."""
    assert await pool.fetchval("SELECT 1", timeout=math.inf) == 1


async def test_concurrent_statements_get_their_own_answers(pool: ConnectionPool) -> None:
    """Two hundred tasks over four connections: no answer reaches another."""

    async def ask(number: int) -> bool:
        async with pool.acquire() as db:
            first = await db.fetchval("SELECT $1 + 0", number)
            await asyncio.sleep(0)
            row = await db.fetchrow("SELECT $1 + 0 AS a, $2 + 0 AS b", number, first)
            return row == {"a": number, "b": number}

    assert all(await asyncio.gather(*(ask(number) for number in range(200))))
    assert pool.stats().size <= 4


async def test_an_error_is_of_the_framework(pool: ConnectionPool) -> None:
    """Nothing of a driver leaks, and the driver's own error is the cause."""
    with pytest.raises(DatabaseError) as caught:
        await pool.execute("THIS IS NOT SQL")
    assert caught.value.__cause__ is not None
    assert type(caught.value).__module__ == "sanic_ms.exception"


async def test_instants_are_utc(pool: ConnectionPool, make_table: Any) -> None:
    """What the database itself calls now is now, whatever zone the server lives in."""
    table = await make_table("id INTEGER, ts {instant}")
    await pool.execute(f"INSERT INTO {table} VALUES (1, CURRENT_TIMESTAMP)")
    found = await pool.fetchval(f"SELECT ts FROM {table}")
    assert abs(datetime.now(UTC) - found) < timedelta(minutes=1)


async def test_a_moment_for_a_date_is_its_date_in_utc(
    pool: ConnectionPool, make_table: MakeTable
) -> None:
    """One rule on every database: a datetime with a zone is an instant, one without is in UTC."""
    table = await make_table("id INTEGER PRIMARY KEY, day DATE")
    new_york = timezone(timedelta(hours=-5))
    for number, value in enumerate(
        (
            datetime(2024, 1, 1, 23, 30, tzinfo=new_york),
            datetime(2024, 1, 2, 0, 30, tzinfo=UTC),
            datetime(2024, 1, 2, 23, 30),
            date(2024, 1, 2),
        )
    ):
        await pool.execute(f"INSERT INTO {table} VALUES ($1, $2)", number, value)
    rows = await pool.fetch(f"SELECT day FROM {table} ORDER BY id")
    assert rows == [{"day": date(2024, 1, 2)}] * 4
    count = f"SELECT count(*) FROM {table} WHERE day = $1"
    for value in (date(2024, 1, 2), datetime(2024, 1, 1, 23, 30, tzinfo=new_york)):
        if pool.statements.dialect == "mysql" and isinstance(value, datetime):
            continue  # it compares moments there
        assert await pool.fetchval(count, value) == 4
    await pool.executemany(
        f"INSERT INTO {table} VALUES ($1, $2)",
        [(9, datetime(2024, 1, 1, 23, 30, tzinfo=new_york)), (10, date(2024, 1, 2))],
    )
    assert await pool.fetchval(count, date(2024, 1, 2)) == 6


async def test_a_fraction_finds_no_whole_number(pool: ConnectionPool, table: str) -> None:
    """A comparison with ``1.9`` never means 1: it finds no row, or is a DataError."""
    await pool.execute(f"INSERT INTO {table} (id) VALUES (1), (2)")
    for value in (1.9, Decimal("1.9"), 1.0000001):
        try:
            assert await pool.fetch(f"SELECT id FROM {table} WHERE id = $1", value) == []
        except DataError:
            assert pool.statements.dialect != "sqlite"
    for whole in (1.0, Decimal("1.0")):
        assert await pool.fetch(f"SELECT id FROM {table} WHERE id = $1", whole) == [{"id": 1}]


@pytest.mark.parametrize("value", [math.nan, math.inf, Decimal("NaN"), Decimal("-Infinity")])
async def test_numbers_that_are_not_finite(
    pool: ConnectionPool, make_table: MakeTable, value: Any
) -> None:
    """MySQL would store 0: it is a DataError there. No database gives another number back."""
    table = await make_table("id INTEGER PRIMARY KEY, n NUMERIC(20, 2)")
    try:
        await pool.execute(f"INSERT INTO {table} VALUES (1, $1)", value)
    except DataError:
        assert await pool.fetch(f"SELECT * FROM {table}") == []
    else:
        assert pool.statements.dialect != "mysql"
        found = await pool.fetchval(f"SELECT n FROM {table}")
        assert found is None or not math.isfinite(found)


async def test_json_that_python_cannot_hold(pool: ConnectionPool, make_table: MakeTable) -> None:
    """``1e400`` in a row is a DataError, or, on SQLite, the text as it stands there: never an
    exception of another library."""
    if pool.statements.dialect == "postgresql":
        table = await make_table("id INTEGER PRIMARY KEY, j JSON")
    else:
        table = await make_table("id INTEGER PRIMARY KEY, j {json}")
    for number, text in enumerate(("[1e400]", "[" * 20_000 + "]" * 20_000)):
        try:
            await pool.execute(f"INSERT INTO {table} (id, j) VALUES ({number}, '{text}')")
            found = await pool.fetchval(f"SELECT j FROM {table} WHERE id = $1", number)
        except DatabaseError:
            continue
        assert pool.statements.dialect == "sqlite"
        assert found == text
    assert await pool.fetchval("SELECT 1") == 1


async def test_insert_gives_the_key(pool: ConnectionPool, make_table: MakeTable) -> None:
    """The number that the database gave, on every database: of the pool, of a connection, in a
    transaction, for SQL text and for queries; of several rows, the first one's."""
    table = await make_table("id {serial}, name VARCHAR(20) UNIQUE")
    insert = f"INSERT INTO {table} (name) VALUES ($1)"
    first = await pool.insert(insert, "ann")
    assert await pool.insert(f"{insert};  ", "bob") == first + 1
    assert await pool.insert(f"{insert} -- a comment", "cy") == first + 2
    async with pool.acquire() as db:
        assert await db.insert(insert, "dan") == first + 3
    async with pool.transaction() as db:
        assert await db.insert(insert, "eve") == first + 4
    peewee = pytest.importorskip("peewee")
    model: Any = type(
        "Person",
        (peewee.Model,),
        {
            "name": peewee.CharField(),
            "Meta": type("Meta", (), {"table_name": table}),
        },
    )
    assert await pool.insert(model.insert(name="fay")) == first + 5
    several = f"INSERT INTO {table} (name) VALUES ($1), ($2)"
    assert await pool.insert(several, "gus", "hal") == first + 6
    rows = await pool.fetch(f"SELECT id, name FROM {table} ORDER BY id")
    assert [row["name"][0] for row in rows] == list("abcdefgh")
    assert [row["id"] for row in rows] == list(range(first, first + 8))
    with pytest.raises(UniqueViolation):
        await pool.insert(insert, "ann")
    for wrong in (f"DELETE FROM {table}", f"SELECT id FROM {table}"):
        with pytest.raises(StatementError, match="takes an INSERT"):
            await pool.insert(wrong)
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 8


async def test_insert_without_a_row_or_with_another_key(
    pool: ConnectionPool, make_table: MakeTable
) -> None:
    """None where nothing was inserted. The key is any column; one that is not there is an error."""
    table = await make_table("id {serial}, name VARCHAR(20) UNIQUE")
    mysql = pool.statements.dialect == "mysql"
    once = (
        f"INSERT IGNORE INTO {table} (name) VALUES ($1)"
        if mysql
        else f"INSERT INTO {table} (name) VALUES ($1) ON CONFLICT DO NOTHING"
    )
    assert await pool.insert(once, "ann") is not None
    assert await pool.insert(once, "ann") is None
    if mysql:
        return
    assert await pool.insert(once, "bob", key="name") == "bob"
    assert await pool.insert(f"{once} RETURNING name", "cy") == "cy"
    for key in ("nothing", "", 'a"b', "a]b"):
        with pytest.raises(StatementError):
            await pool.insert(once, "dan", key=key)
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 3
