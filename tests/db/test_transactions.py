"""Transactions and savepoints: the same on every database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.exception import (
    DatabaseError,
    LifecycleError,
    ReadOnlyViolation,
    StatementError,
    TransactionConflict,
    UniqueViolation,
)

Settled = Callable[[ConnectionPool], Awaitable[None]]


async def count(pool: ConnectionPool, table: str) -> int:
    found: int = await pool.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def insert(db: Connection, table: str, number: int) -> None:
    await db.execute(f"INSERT INTO {table} VALUES ($1, $2)", number, "x")


async def test_commits_at_its_end(pool: ConnectionPool, table: str, settled: Settled) -> None:
    """What was done in the block is there after it."""
    async with pool.transaction() as db:
        await insert(db, table, 1)
    assert await count(pool, table) == 1
    await settled(pool)
    assert pool.stats().idle == pool.stats().size


async def test_rolls_back_on_an_error(pool: ConnectionPool, table: str) -> None:
    """An exception undoes all of it, and passes unchanged."""

    async def fail() -> None:
        async with pool.transaction() as db:
            await insert(db, table, 1)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await fail()
    assert await count(pool, table) == 0


async def test_rolls_back_when_a_statement_failed(pool: ConnectionPool, table: str) -> None:
    """The database's error is what the caller gets, and the connection is good for more."""

    async def fail() -> None:
        async with pool.transaction() as db:
            await insert(db, table, 1)
            await insert(db, table, 1)

    with pytest.raises(UniqueViolation):
        await fail()
    assert await count(pool, table) == 0


async def test_nested_transactions_are_savepoints(pool: ConnectionPool, table: str) -> None:
    """The inner one is undone alone; the outer one undoes both."""
    async with pool.transaction() as db:
        await insert(db, table, 1)
        with contextlib.suppress(UniqueViolation):
            async with db.transaction():
                await insert(db, table, 2)
                async with db.transaction():
                    await insert(db, table, 3)
                await insert(db, table, 1)
        async with db.transaction() as same:
            assert same is db
            await insert(db, table, 4)
    rows = await pool.fetch(f"SELECT id FROM {table} ORDER BY id")
    assert [row["id"] for row in rows] == [1, 4]


async def test_the_outer_one_undoes_the_inner_ones(pool: ConnectionPool, table: str) -> None:
    """A savepoint that was released is not yet stored."""

    async def fail() -> None:
        async with pool.transaction() as db:
            async with db.transaction():
                await insert(db, table, 1)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await count(pool, table) == 0


async def test_a_transaction_on_an_acquired_connection(pool: ConnectionPool, table: str) -> None:
    """Several transactions, one after the other, on one connection."""
    async with pool.acquire() as db:
        for number in range(3):
            async with db.transaction():
                await insert(db, table, number)
        assert await db.fetchval(f"SELECT count(*) FROM {table}") == 3


async def test_others_do_not_see_what_is_not_committed(pool: ConnectionPool, table: str) -> None:
    """Isolation: another connection reads the state before."""
    async with pool.transaction() as db:
        await insert(db, table, 1)
        assert await count(pool, table) == 0
    assert await count(pool, table) == 1


async def test_read_only(pool: ConnectionPool, table: str) -> None:
    """A read-only transaction reads, refuses to write, and leaves no trace on the connection."""

    async def write() -> None:
        async with pool.transaction(readonly=True) as db:
            assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0
            await insert(db, table, 1)

    with pytest.raises(ReadOnlyViolation):
        await write()
    for number in range(4):
        await pool.execute(f"INSERT INTO {table} VALUES ($1, 'x')", number)
    assert await count(pool, table) == 4


@pytest.mark.parametrize(
    "isolation", ["read_uncommitted", "read_committed", "repeatable_read", "Serializable"]
)
async def test_isolation(pool: ConnectionPool, table: str, isolation: str) -> None:
    """Each level of the standard is accepted, in any case, and with a snapshot that stays."""
    async with pool.transaction(isolation=isolation) as db:
        assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0
        if isolation == "repeatable_read" and pool.statements.dialect != "sqlite":
            await pool.execute(f"INSERT INTO {table} VALUES (1, 'x')")
            assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0
    if pool.statements.dialect == "postgresql":
        async with pool.transaction(isolation=isolation) as db:
            level = await db.fetchval("SHOW transaction_isolation")
            assert level == isolation.lower().replace("_", " ")


async def test_the_next_transaction_has_the_usual_isolation(pool: ConnectionPool) -> None:
    """Options are those of one transaction alone."""
    if pool.statements.dialect != "postgresql":
        pytest.skip("the level is asked for in PostgreSQL's way")
    async with pool.transaction(isolation="serializable", readonly=True, deferrable=True):
        pass
    async with pool.transaction() as db:
        assert await db.fetchval("SHOW transaction_isolation") == "read committed"
        assert await db.fetchval("SHOW transaction_read_only") == "off"


async def test_a_wrong_isolation(pool: ConnectionPool) -> None:
    """The message names what is allowed."""
    with pytest.raises(ValueError, match="read_uncommitted, read_committed, repeatable_read"):
        pool.transaction(isolation="chaos")


async def test_options_inside_a_transaction_are_refused(pool: ConnectionPool) -> None:
    """A savepoint has no isolation of its own: saying so would promise what is not."""
    async with pool.transaction() as db:
        with pytest.raises(LifecycleError, match="outermost"):
            await db.transaction(readonly=True).begin()


async def test_cancelled_inside(pool: ConnectionPool, table: str, settled: Settled) -> None:
    """Cancellation rolls back, and the connection is good for more."""
    inside = asyncio.Event()

    async def work() -> None:
        async with pool.transaction() as db:
            await insert(db, table, 1)
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(pool, table) == 0
    await settled(pool)


async def test_a_timeout_around_a_savepoint(pool: ConnectionPool, table: str) -> None:
    """The inner one is undone when its block is cancelled from outside; the outer one goes on."""
    async with pool.transaction() as db:
        await insert(db, table, 1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05), db.transaction():
                await insert(db, table, 2)
                await asyncio.sleep(60)
        await insert(db, table, 3)
    rows = await pool.fetch(f"SELECT id FROM {table} ORDER BY id")
    assert [row["id"] for row in rows] == [1, 3]


async def test_cancelled_anywhere_a_transaction_is_whole(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """Two rows a transaction, cancelled at random moments, its commit included: there are never
    odd ones, and one that ended without an error is stored."""
    done: list[int] = []

    async def work(number: int) -> None:
        async with pool.transaction() as db:
            await insert(db, table, 2 * number)
            await insert(db, table, 2 * number + 1)
        done.append(number)

    for number in range(60):
        task = asyncio.create_task(work(number))
        await asyncio.sleep(number * 0.00005)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    rows = await pool.fetch(f"SELECT id FROM {table}")
    found = {row["id"] for row in rows}
    assert {number // 2 * 2 for number in found} | {
        number // 2 * 2 + 1 for number in found
    } == found
    assert {2 * number for number in done} <= found
    await settled(pool)


async def test_a_commit_that_has_begun_is_carried_through(
    pool: ConnectionPool, table: str, monkeypatch: pytest.MonkeyPatch, settled: Settled
) -> None:
    """A cancellation during COMMIT is raised after it, and the rows are there."""
    begun = asyncio.Event()

    async def work() -> None:
        async with pool.transaction() as db:
            await insert(db, table, 1)
            session = db.session
            commit = type(session).commit

            async def announced(self: object, timeout: float | None) -> None:
                begun.set()
                await asyncio.sleep(0.02)
                await commit(session, timeout)

            monkeypatch.setattr(type(session), "commit", announced)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    assert await count(pool, table) == 1
    await settled(pool)


async def test_a_deadlock_is_a_conflict(pool: ConnectionPool, table: str) -> None:
    """One of two that wait for each other is told to try again, and nothing of it is stored."""
    if pool.statements.dialect == "sqlite":
        pytest.skip("SQLite has one writer: there is no deadlock")
    await pool.execute(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'a')")
    both = asyncio.Barrier(2)

    async def work(first: int, second: int) -> None:
        async with pool.transaction() as db:
            await db.execute(f"UPDATE {table} SET name = 'b' WHERE id = $1", first)
            await both.wait()
            await db.execute(f"UPDATE {table} SET name = 'b' WHERE id = $1", second)

    results = await asyncio.gather(work(1, 2), work(2, 1), return_exceptions=True)
    (failure,) = [result for result in results if result is not None]
    assert isinstance(failure, TransactionConflict)
    assert failure.headers["Retry-After"]
    assert failure.status == 503


async def test_a_transaction_that_the_database_ended_stores_nothing_more(
    pool: ConnectionPool, table: str
) -> None:
    """After a deadlock is caught inside of the block, MySQL would run what follows outside of any
    transaction: it is refused instead."""
    if pool.statements.dialect == "sqlite":
        pytest.skip("SQLite has one writer: there is no deadlock")
    await pool.execute(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'a')")
    both = asyncio.Barrier(2)

    async def work(first: int, second: int) -> bool:
        async with pool.transaction() as db:
            await db.execute(f"UPDATE {table} SET name = 'b' WHERE id = $1", first)
            await both.wait()
            try:
                await db.execute(f"UPDATE {table} SET name = 'b' WHERE id = $1", second)
            except TransactionConflict:
                with pytest.raises(DatabaseError):
                    await insert(db, table, 100 + first)
                return True
        return False

    results = await asyncio.gather(work(1, 2), work(2, 1), return_exceptions=True)
    assert [result for result in results if result is False] == [False]
    (failure,) = [result for result in results if result is not False]
    assert isinstance(failure, TransactionConflict | StatementError)
    assert await pool.fetchval(f"SELECT count(*) FROM {table} WHERE id >= 100") == 0


async def test_illegal_moves_are_named(pool: ConnectionPool) -> None:
    """Each transaction() is for one block, and blocks end in their order."""
    async with pool.acquire() as db:
        transaction = db.transaction()
        with pytest.raises(LifecycleError, match="not begun"):
            await transaction.commit()
        async with transaction:
            with pytest.raises(LifecycleError, match="is open"):
                await transaction.begin()
        with pytest.raises(LifecycleError, match="committed"):
            await transaction.begin()
        with pytest.raises(LifecycleError, match="committed"):
            await transaction.rollback()
        outer, inner = db.transaction(), db.transaction()
        await outer.begin()
        await inner.begin()
        with pytest.raises(LifecycleError, match="began inside of it"):
            await outer.commit()
        await inner.rollback()
        await outer.commit()
        outer, inner = db.transaction(), db.transaction()
        await outer.begin()
        await inner.begin()
        await outer.rollback()
        with pytest.raises(LifecycleError, match="rolled back"):
            await inner.commit()
    with pytest.raises(LifecycleError, match="async with"):
        await pool.transaction()


async def test_a_generator_that_is_left_open(
    pool: ConnectionPool, table: str, caplog: pytest.LogCaptureFixture, settled: Settled
) -> None:
    """One that holds a transaction open longer than its connection: rolled back, with a warning."""

    async def rows(db: Connection) -> AsyncIterator[int]:
        async with db.transaction():
            await insert(db, table, 1)
            yield 1
            yield 2

    async with pool.acquire() as db:
        generator = rows(db)
        assert await anext(generator) == 1
    assert "released inside of an open transaction" in caplog.text
    await generator.aclose()  # type: ignore[attr-defined]
    await settled(pool)
    assert await count(pool, table) == 0


async def test_an_error_is_not_hidden_by_an_inner_one(pool: ConnectionPool, table: str) -> None:
    """An exception that passes an open inner one undoes both, and is what the caller gets."""

    async def work() -> None:
        async with pool.transaction() as db:
            await insert(db, table, 1)
            await db.transaction().begin()
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await work()
    assert await count(pool, table) == 0


async def test_a_generator_that_outlives_an_outer_transaction(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """The outer block cannot end while one inside of it is open: the message says how."""

    async def rows(db: Connection) -> AsyncIterator[int]:
        async with db.transaction():
            yield 1
            yield 2

    async def misuse() -> None:
        async with pool.transaction() as db:
            await insert(db, table, 1)
            generator = rows(db)
            await anext(generator)
            open_ones.append(generator)

    open_ones: list[AsyncIterator[int]] = []
    with pytest.raises(LifecycleError, match="aclosing"):
        await misuse()
    await open_ones[0].aclose()  # type: ignore[attr-defined]
    await settled(pool)
    assert await count(pool, table) == 0


async def test_begin_written_by_hand_does_not_leak(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """A transaction that a statement began is rolled back at the release."""
    async with pool.acquire() as db:
        await db.execute("BEGIN")
        await insert(db, table, 1)
    await settled(pool)
    assert await count(pool, table) == 0


async def test_executemany_joins_a_transaction_begun_by_hand(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """It ends no transaction that it has not begun."""
    async with pool.acquire() as db:
        await db.execute("BEGIN")
        await db.executemany(f"INSERT INTO {table} VALUES ($1, $2)", [(1, "a"), (2, "b")])
    await settled(pool)
    assert await count(pool, table) == 0


async def test_an_error_caught_inside(pool: ConnectionPool, table: str) -> None:
    """PostgreSQL undoes a transaction in which a statement failed, and says so at its commit; the
    others go on. With a savepoint around what may fail, all go on."""

    async def work() -> None:
        async with pool.transaction() as db:
            await insert(db, table, 1)
            with contextlib.suppress(UniqueViolation):
                await insert(db, table, 1)

    if pool.statements.dialect == "postgresql":
        with pytest.raises(StatementError, match="savepoint"):
            await work()
        assert await count(pool, table) == 0
    else:
        await work()
        assert await count(pool, table) == 1
