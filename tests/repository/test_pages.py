"""Lists: order, total, pages by number and behind a cursor."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import peewee
import pytest
import sqlalchemy as sa
from tests.repository.conftest import counted

from sanic_ms import Cursor, CursorPagination, Offset, OffsetPagination, Page, Pagination
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import BadRequest, DataError, StatementError
from sanic_ms.repository import Repository, fetch_page
from sanic_ms.repository.cursors import _checksum, decode_cursor, encode_cursor

People = Repository[dict[str, Any]]
AGES = [30, 10, None, 20, 10, None, 30, 10]


@pytest.fixture
async def eight(people: People) -> People:
    """Eight rows with the names a to h, ids 1 to 8, and `AGES`."""
    await people.create_many(
        {"id": number, "name": "abcdefgh"[number - 1], "age": age, "city_id": number % 2}
        for number, age in enumerate(AGES, 1)
    )
    return people


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


async def walk(
    people: People, limit: int, order_by: Any = (), where: Any = None
) -> list[list[int]]:
    """The ids of every page behind the other."""
    pages, cursor = [], None
    for _ in range(100):
        rows, pagination = await people.page(Cursor(cursor, limit), where, order_by=order_by)
        pages.append(ids(rows))
        assert isinstance(pagination, CursorPagination)
        assert pagination.limit == limit
        cursor = pagination.next
        if cursor is None:
            return pages
    raise AssertionError("there is no end")


async def test_list_gives_rows_and_total(eight: People, pool: ConnectionPool) -> None:
    """In one statement, and right past the last row as well."""
    with counted(pool) as texts:
        assert (ids((await eight.list())[0]), (await eight.list())[1]) == ([*range(1, 9)], 8)
        assert (await eight.list(limit=3))[1] == 8
        assert ids((await eight.list(limit=3, offset=6))[0]) == [7, 8]
        assert await eight.list(limit=3, offset=100) == ([], 8)
        assert ids((await eight.list(offset=5))[0]) == [6, 7, 8]
        assert await eight.list(limit=0) == ([], 8)
        assert await eight.list({"name": "x"}, limit=2) == ([], 0)
    assert len(texts) == 8
    rows, _ = await eight.list(limit=1)
    assert rows == [await eight.get(1)]
    for limit, offset in ((-1, 0), (None, -1)):
        with pytest.raises(ValueError, match="numbers from 0"):
            await eight.list(limit=limit, offset=offset)


async def test_list_where(eight: People, column: Callable[[str], Any]) -> None:
    """By values, by an expression, and by values of a query in place of the table."""
    assert ids((await eight.list({"age": 10}))[0]) == [2, 5, 8]
    assert await eight.list({"age": [10, None], "city": 1}, limit=2) == (
        [await eight.get(3), await eight.get(5)], 2)  # fmt: skip
    rows, total = await eight.list(column("age") > 10, order_by="-age", limit=2)
    assert (ids(rows), total) == ([7, 1], 3)


async def test_list_from_a_query(
    eight: People, pool: ConnectionPool, model: Any, table: str
) -> None:
    """A join in place of the table, with conditions of either kind on it."""
    if isinstance(model, sa.Table):
        other = model.alias("other")
        query: Any = (
            sa.select(model.c.id, model.c.name, other.c.name.label("friend"))
            .select_from(model.join(other, other.c.id == model.c.id + 1))
        )  # fmt: skip
        condition = model.c.age == 10
    else:
        friend = model.alias("other")
        query = model.select(model.id, model.name, friend.name.alias("friend")).join(
            friend, on=(friend.id == model.id + 1)
        )
        condition = model.age == 10
    rows, total = await eight.list(from_=query, order_by="-id", limit=2)
    assert rows == [{"id": 7, "name": "g", "friend": "h"}, {"id": 6, "name": "f", "friend": "g"}]
    assert total == 7
    for where in (condition, {"age": 10}):
        rows, total = await eight.list(where, from_=query, limit=1, offset=1)
        assert (rows, total) == ([{"id": 5, "name": "e", "friend": "f"}], 2)
    rows, total = await eight.list({"age": [10, None]}, from_=query)
    assert (ids(rows), total) == ([2, 3, 5, 6], 4)
    rows, following = await eight.page(
        Cursor(limit=2), {"age": None}, from_=query, order_by="-name"
    )
    assert (ids(rows), following.next) == ([6, 3], None)


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("name", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("-name", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("city_id", [2, 4, 6, 8, 1, 3, 5, 7]),
        ("-city", [7, 5, 3, 1, 8, 6, 4, 2]),
        (["-city_id", "id"], [1, 3, 5, 7, 2, 4, 6, 8]),
        (" city_id , -name", [8, 6, 4, 2, 7, 5, 3, 1]),
    ],
)
async def test_order(eight: People, order_by: Any, expected: list[int]) -> None:
    """By columns, descending with ``-``; the primary key decides between equal rows, in the
    direction of the last column."""
    assert ids((await eight.list(order_by=order_by))[0]) == expected
    assert ids((await eight.list(order_by=order_by, limit=8))[0]) == expected
    assert [*itertools.chain(*await walk(eight, 3, order_by))] == expected


async def test_an_order_of_unknown_columns_is_a_mistake(eight: People) -> None:
    """A column is one of the table's, so that no text of a client becomes SQL."""
    for order in ("nme", "name desc", 'name"', "-", "name,,age", "name,name", ["name", "-name"]):
        with pytest.raises(ValueError, match=r"has no column|empty or comes twice"):
            await eight.list(order_by=order)
    with pytest.raises(TypeError, match="order_by"):
        await eight.list(order_by=[5])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "order_by", ["age", "-age", "age,-id", "-age,id", "-age,city_id", "age,-city_id,name"]
)
@pytest.mark.parametrize("limit", [1, 2, 3, 8, 50])
async def test_pages_behind_a_cursor_are_the_list(eight: People, order_by: str, limit: int) -> None:
    """With NULLs, several columns, and mixed directions: every row once, in the list's order."""
    rows, _ = await eight.list(order_by=order_by)
    pages = await walk(eight, limit, order_by)
    assert [*itertools.chain(*pages)] == ids(rows)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-8 // limit)


async def test_a_cursor_keeps_to_the_condition(eight: People, column: Callable[[str], Any]) -> None:
    """The condition counts on every page, however it was spelled."""
    for where in ({"city_id": 0}, column("city") == 0):
        assert await walk(eight, 3, "-name", where) == [[8, 6, 4], [2]]


async def test_pages_by_number(eight: People, pool: ConnectionPool) -> None:
    """The pagination says how many rows and pages there are, past the last page too."""
    with counted(pool) as texts:
        rows, page = await eight.page(Page(2, 3), order_by="name")
        assert (ids(rows), page) == ([4, 5, 6], Pagination(2, 3, 8, 3))
        assert await eight.page(Page(9, 3)) == ([], Pagination(9, 3, 8, 3))
        rows, offset = await eight.page(Offset(6, 5), {"age": [10, 30]})
        assert (rows, offset) == ([], OffsetPagination(6, 5, 5))
        rows, offset = await eight.page(Offset(4, 5), {"age": [10, 30]})
        assert (ids(rows), offset) == ([8], OffsetPagination(4, 5, 5))
    assert len(texts) == 4
    with pytest.raises(TypeError, match="a Page, an Offset or a Cursor"):
        await eight.page(2)  # type: ignore[call-overload]


async def test_a_cursor_that_was_changed_is_400(eight: People) -> None:
    """So is one of another order, and anything that is none."""
    _, page = await eight.page(Cursor(limit=3), order_by="-age")
    assert page.next is not None
    position = len(page.next) - 2
    changed = page.next[:position] + ("A" if page.next[position] != "A" else "B") + page.next[-1]
    for cursor in (
        "",
        "x",
        "%%%",
        "ä",
        "AAAA",
        "A" * 4000,
        page.next[:-4],
        changed,
        "=" + page.next,
    ):
        with pytest.raises(BadRequest, match="not one of this list") as caught:
            await eight.page(Cursor(cursor, 3), order_by="-age")
        assert caught.value.status == 400
    for order_by in ("age", "name", "-age,name"):
        with pytest.raises(BadRequest):
            await eight.page(Cursor(page.next, 3), order_by=order_by)


@pytest.mark.parametrize(
    "value", ["ann", "a\0b", 10**30, -(10**30), 1.5, "NaN", b"x", Decimal("1e900"), UUID(int=1),
              datetime.max.replace(tzinfo=UTC), timedelta(days=9), True]
)  # fmt: skip
async def test_a_made_up_cursor_is_400_or_a_place(
    eight: People, pool: ConnectionPool, value: Any
) -> None:
    """A cursor with a right checksum and a value of another type is never an error of ours."""
    cursor = encode_cursor("id", [value])
    try:
        rows, _ = await eight.page(Cursor(cursor, 3))
    except BadRequest:
        pass
    else:
        assert {*ids(rows)} <= {*range(1, 9)}
    with pytest.raises(BadRequest):
        await eight.page(Cursor(encode_cursor("id", [1, 2]), 3))
    assert ids((await eight.page(Cursor(limit=1)))[0]) == [1]


async def test_an_error_of_the_condition_is_not_the_cursors(
    eight: People, pool: ConnectionPool
) -> None:
    """A wrong value of the program stays an error of the program, with a cursor too."""
    if pool.statements.dialect != "postgresql":
        pytest.skip("the database takes any value there")
    cursor = encode_cursor("id", [3])
    with pytest.raises(DataError):
        await eight.page(Cursor(cursor, 3), {"age": "old"})
    with pytest.raises(DataError):
        await eight.page(Cursor(None, 3), {"age": "old"})


def test_a_cursor_that_nests_deeply_is_400() -> None:
    """What somebody makes up with a right checksum is refused, whatever it holds."""
    for payload in (
        b"[" * 2500 + b"]" * 500,
        b"[[[1, 2, 3]]]",
        b'[[["x"], "y"]]',
        b'{"a": 1}',
        b"1",
    ):
        data = _checksum("id", payload) + payload
        with pytest.raises(BadRequest):
            decode_cursor("id", base64.urlsafe_b64encode(data).rstrip(b"=").decode(), 1)


def test_cursors_keep_values() -> None:
    """Every type that has an order comes back as it was, in text that a URL takes as it is."""
    moment = datetime(2024, 5, 6, 7, 8, 9, 5, UTC)
    values = [None, True, 1, 2**70, "ä✓", 1.5, Decimal("1.10"), moment, moment.date(),
              moment.time(), timedelta(-1, microseconds=3), UUID(int=7), b"\x00\xff"]  # fmt: skip
    cursor = encode_cursor("x", values)
    back = decode_cursor("x", cursor, len(values))
    assert back == values
    assert [type(value) for value in back] == [type(value) for value in values]
    assert set(cursor) <= set(base64.urlsafe_b64encode(bytes(range(256))).decode()) | set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )
    with pytest.raises(BadRequest):
        decode_cursor("x", cursor, len(values) - 1)
    with pytest.raises(ValueError, match="of the type dict"):
        encode_cursor("x", [{}])
    with pytest.raises(ValueError, match="too long"):
        encode_cursor("x", ["y" * 4000])


async def test_no_row_comes_twice_or_is_missing_while_rows_are_inserted(people: People) -> None:
    """Whoever inserts meanwhile: each row that was there comes once, and in order."""
    if people._pool.statements.dialect == "sqlite":
        await people._pool.execute("PRAGMA busy_timeout = 60000")
    await people.create_many({"name": f"old {n}", "age": n % 7} for n in range(200))
    stop = asyncio.Event()

    async def insert() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            await people.create({"name": f"new {number}", "age": number % 7})
            await asyncio.sleep(0)

    writer = asyncio.create_task(insert())
    try:
        for order_by in ("-id", "age", "-age,id"):
            seen, cursor, ages = [], None, []
            while True:
                rows, page = await people.page(Cursor(cursor, 10), order_by=order_by)
                seen += [row["name"] for row in rows]
                ages += [(row["age"], row["id"]) for row in rows]
                if page.next is None:
                    break
                cursor = page.next
                if len(seen) > 2000:  # the inserts are faster than the walk
                    stop.set()
                    await writer
            assert len(seen) == len(set(seen))
            assert {name for name in seen if name.startswith("old")} == {
                f"old {n}" for n in range(200)
            }
            if order_by == "age":
                assert ages == sorted(ages)
    finally:
        stop.set()
        await writer


async def test_fetch_page_of_any_query(
    eight: People, pool: ConnectionPool, table: str, model: Any
) -> None:
    """SQL text with its values, or a query of a library; by number and behind a cursor."""
    text = f"SELECT id, name, age FROM {table} WHERE city_id = $1"
    rows, page = await fetch_page(pool, Page(1, 3), text, 0, order_by="-name")
    assert (ids(rows), page) == ([8, 6, 4], Pagination(1, 3, 4, 2))
    assert rows[0] == {"id": 8, "name": "h", "age": 10}
    assert await fetch_page(pool, Offset(50, 3), text, 0) == ([], OffsetPagination(50, 3, 4))
    rows, behind = await fetch_page(pool, Cursor(None, 3), text, 0, order_by="-name")
    rows, end = await fetch_page(pool, Cursor(behind.next, 3), text, 0, order_by="-name")
    assert (ids(rows), end.next) == ([2], None)
    query: Any = sa.select(model) if isinstance(model, sa.Table) else model.select()
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(3):
        async with pool.acquire() as db:
            rows, end = await fetch_page(db, Cursor(cursor, 3), query, order_by="age")
        seen += ids(rows)
        cursor = end.next
    assert (seen, cursor) == (ids((await eight.list(order_by="age"))[0]), None)
    assert rows[-1] == await eight.get(seen[-1])  # with the values that the library's types say


@pytest.mark.parametrize("page", [Page(), Offset(1, 3), Cursor(None, 3)])
async def test_fetch_page_takes_the_values_of_the_text(
    eight: People, pool: ConnectionPool, table: str, page: Any
) -> None:
    """One that is missing is not taken from the page, which is the client's. A comment at the end
    ends there."""
    text = f"SELECT id, name FROM {table} WHERE id > $1 AND id < $2 -- the middle"
    for args in ((), (2,), (2, 5, 6)):
        with pytest.raises(StatementError, match=f"takes 2 arguments and got {len(args)}"):
            await fetch_page(pool, page, text, *args)
    rows, _ = await fetch_page(pool, page, text, 2, 5)
    assert {row["id"] for row in rows} <= {3, 4}
    with pytest.raises(TypeError, match="order_by=5: names of columns"):
        await fetch_page(pool, page, text, 2, 5, order_by=5)  # type: ignore[call-overload]


async def test_a_column_object_is_no_name(people: People, column: Callable[[str], Any]) -> None:
    """The error says what is."""
    wrong: list[Any] = [column("name"), column("name").desc(), 5, None]
    for order_by in wrong:
        with pytest.raises(TypeError, match="names of columns"):
            await people.list(order_by=order_by)
    with pytest.raises(TypeError, match="the name of a column, or a tuple of names"):
        await people.get("a", by=column("name"))


async def test_fetch_page_of_a_grouped_query(
    eight: People, pool: ConnectionPool, table: str
) -> None:
    """The total is that of the rows; the key is whatever is unique in them."""
    text = f"SELECT age, count(*) AS people FROM {table} WHERE age IS NOT NULL GROUP BY age"
    rows, page = await fetch_page(pool, Page(1, 2), text, order_by="-people", key="age")
    assert (rows, page.total) == ([{"age": 10, "people": 3}, {"age": 30, "people": 2}], 3)
    rows, behind = await fetch_page(
        pool, Cursor(None, 1), text, order_by="-people", key="age", nullable=False
    )
    rows, _ = await fetch_page(
        pool, Cursor(behind.next, 5), text, order_by="-people", key="age", nullable=False
    )
    assert [row["age"] for row in rows] == [30, 20]


async def test_fetch_page_by_a_column_that_is_not_there(
    eight: People, pool: ConnectionPool, table: str
) -> None:
    """It is an error of the statement, and a name is never more than a name."""
    for order_by in ("nme", 'id" DESC; DROP TABLE x --', "id`"):
        with pytest.raises((StatementError, ValueError)):
            await fetch_page(
                pool, Cursor(None, 3), f"SELECT id, name FROM {table}", order_by=order_by
            )
    assert await eight.count() == 8


async def test_a_table_without_a_key_has_no_cursors(pool: ConnectionPool, table: str) -> None:
    """Two rows may be equal there, so that a place would not be one."""

    class View(peewee.Model):
        name = peewee.CharField()

        class Meta:
            table_name = table
            primary_key = False

    view = Repository(View, pool)
    assert await view.page(Page()) == ([], Pagination(1, 20, 0, 0))
    with pytest.raises(ValueError, match="no primary key"):
        await view.page(Cursor(), order_by="name")


async def test_a_float_is_no_place_on_mysql(people: People, pool: ConnectionPool) -> None:
    """A single-precision column equals no number there: rows would come twice."""
    if pool.statements.dialect == "mysql":
        with pytest.raises(ValueError, match="equals no number"):
            await people.page(Cursor(), order_by="rating")
    else:
        await people.create_many({"name": f"n{n}", "rating": n / 10} for n in range(5))
        pages = await walk(people, 2, "-rating")
        assert [len(page) for page in pages] == [2, 2, 1]


async def test_a_row_behind_itself_is_an_error() -> None:
    """Where a database rounds what it gives, as SQLite a decimal, a walk ends."""
    pool = ConnectionPool("sqlite://:memory:")
    await pool.start()
    try:
        await pool.execute("CREATE TABLE shares (id INTEGER PRIMARY KEY, share NUMERIC(10, 5))")
        await pool.execute("INSERT INTO shares VALUES (1, 6.0 / 7), (2, 2)")
        text = "SELECT id, share FROM shares"
        _, first = await fetch_page(pool, Cursor(None, 1), text, order_by="share")
        with pytest.raises(ValueError, match=r"comes after itself.*share,id"):
            await fetch_page(pool, Cursor(first.next, 1), text, order_by="share")
    finally:
        await pool.stop()
