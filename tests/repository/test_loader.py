"""`Loader`: the reads of one request as one statement."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.repository.conftest import counted

from sanic_ms.context import current_request
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import DataError, NotFound, SanicMSError
from sanic_ms.repository import Loader, Repository

People = Repository[dict[str, Any]]


@pytest.fixture
async def three(people: People) -> People:
    """Rows with the ids 1 to 3."""
    await people.create_many({"id": n, "name": f"n{n}", "age": 9} for n in (1, 2, 3))
    return people


def name(row: dict[str, Any] | None) -> str | None:
    return None if row is None else row["name"]


async def test_a_hundred_reads_are_one_statement(three: People, pool: ConnectionPool) -> None:
    """Each caller gets the row of its key, and a row of its own; None for a missing one."""
    loader = Loader(three)
    keys = [n % 5 for n in range(100)]
    with counted(pool) as texts:
        rows = await asyncio.gather(*(loader.get(key) for key in keys))
    assert [name(row) for row in rows] == [f"n{key}" if 1 <= key <= 3 else None for key in keys]
    assert len(texts) == 1
    assert len({id(row) for row in rows if row is not None}) == 60


async def test_later_reads_are_read_anew(three: People, pool: ConnectionPool) -> None:
    """Nothing is kept, so that a change is seen."""
    loader = Loader(three)
    with counted(pool) as texts:
        assert name(await loader.get(1)) == "n1"
        await three.update(1, {"name": "new"})
        assert name(await loader.get(1)) == "new"
        assert await loader.get(None) is None
    assert sum("IN (" in text for text in texts) == 2


async def test_by_another_column_and_required(three: People) -> None:
    """As `Repository.get` has them."""
    loader = Loader(three, by="name")
    one, none = await asyncio.gather(loader.get("n2"), loader.get("x"))
    assert ((one or {})["id"], none) == (2, None)
    for key in ("x", None):
        with pytest.raises(NotFound):
            await loader.get(key, required=True)


async def test_an_error_reaches_every_caller(three: People, pool: ConnectionPool) -> None:
    """Of the callers of that statement, and of no later one."""
    loader = Loader(three)
    await pool.stop()
    failed = await asyncio.gather(*(loader.get(n) for n in (1, 2)), return_exceptions=True)
    assert [isinstance(entry, SanicMSError) for entry in failed] == [True, True]
    await pool.start()
    if not str(pool.url and pool.url.url).endswith(":memory:"):
        assert name(await loader.get(1)) == "n1"


async def test_a_wrong_key_fails_those_beside_it(three: People, pool: ConnectionPool) -> None:
    """One statement has one outcome: a key that the column cannot hold is a mistake of all."""
    if pool.statements.dialect != "postgresql":
        pytest.skip("the database takes any value there")
    done = await asyncio.gather(
        *(Loader(three).get(1), Loader(three).get("x")), return_exceptions=True
    )
    assert name(done[0]) == "n1"  # type: ignore[arg-type]
    loader = Loader(three)
    done = await asyncio.gather(loader.get(1), loader.get("x"), return_exceptions=True)
    assert [type(entry) for entry in done] == [DataError, DataError]


class SlowPeople:
    """A repository whose `get_many` waits for a word."""

    def __init__(self) -> None:
        self.word = asyncio.Event()
        self.asked: list[list[Any]] = []
        self.cancelled = False

    async def get_many(self, keys: list[Any], *, by: Any = None) -> list[Any]:
        self.asked.append(keys)
        try:
            await self.word.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return keys


async def test_a_cancelled_caller_leaves_the_others_alone() -> None:
    """Before the statement and during it; the last one stops it."""
    slow = SlowPeople()
    loader: Loader[int] = Loader(slow)  # type: ignore[arg-type]
    tasks = [asyncio.ensure_future(loader.get(n)) for n in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()  # it waits, and the statement has not begun
    for _ in range(3):
        await asyncio.sleep(0)
    assert slow.asked == [[1, 2, 3]]
    tasks[1].cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not slow.cancelled
    slow.word.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(entry) for entry in done[:2]] == [asyncio.CancelledError] * 2
    assert done[2:] == [2, 3]

    slow.word.clear()
    tasks = [asyncio.ensure_future(loader.get(n)) for n in range(2)]
    for _ in range(4):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert slow.cancelled


async def test_all_cancelled_before_the_statement_begins() -> None:
    """Nothing is sent."""
    slow = SlowPeople()
    loader: Loader[int] = Loader(slow)  # type: ignore[arg-type]
    task = asyncio.ensure_future(loader.get(1))
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(4):
        await asyncio.sleep(0)
    assert (task.cancelled(), slow.asked) == (True, [])


async def test_requests_do_not_share_a_statement() -> None:
    """Settings of a session, such as its tenant, are those of one request."""
    slow = SlowPeople()
    slow.word.set()
    loader: Loader[int] = Loader(slow)  # type: ignore[arg-type]

    async def serve(request: Any, key: int) -> int | None:
        current_request.set(request)
        return await loader.get(key)

    one, two = object(), object()
    requests = [one, one, two, two, one]
    done = await asyncio.gather(*(serve(request, n) for n, request in enumerate(requests)))
    assert done == [0, 1, 2, 3, 4]
    assert slow.asked == [[0, 1], [2, 3], [4]]


async def test_inside_a_transaction(three: People, pool: ConnectionPool) -> None:
    """What the transaction has written is read, on its one connection."""
    async with pool.transaction() as tx:
        mine = three.using(tx)
        await mine.update(1, {"name": "mine"})
        loader = Loader(mine)
        rows = await asyncio.gather(*(loader.get(n) for n in (1, 2, 1)))
    assert [name(row) for row in rows] == ["mine", "n2", "mine"]
