"""Functions that run with a commit: before it, after it, and not at all after a rollback."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db import transaction_hooks as hooks_module
from sanic_ms.exception import (
    DatabaseUnavailable,
    LifecycleError,
    TransactionConflict,
    UniqueViolation,
)

MakePool = Callable[..., Awaitable[ConnectionPool]]


async def ids(pool: ConnectionPool, table: str) -> list[int]:
    return [row["id"] for row in await pool.fetch(f"SELECT id FROM {table} ORDER BY id")]


def inserting(table: str, number: int) -> Callable[[Connection], Awaitable[object]]:
    async def insert(db: Connection) -> None:
        await db.execute(f"INSERT INTO {table} VALUES ($1, $2)", number, "x")

    return insert


def noting(seen: list[str], what: str) -> Callable[[], None]:
    def note() -> None:
        seen.append(what)

    return note


def noting_before(seen: list[str], what: str) -> Callable[[Connection], Awaitable[object]]:
    async def note(db: Connection) -> None:
        seen.append(what)

    return note


async def test_before_commit_is_a_part_of_the_transaction(pool: ConnectionPool, table: str) -> None:
    """What it writes on its connection is not seen before the commit, and stored by it."""
    async with pool.transaction() as db:
        db.before_commit(inserting(table, 2))
        await inserting(table, 1)(db)
        assert await ids(pool, table) == []
    assert await ids(pool, table) == [1, 2]


async def test_the_order_is_that_of_registration(pool: ConnectionPool, table: str) -> None:
    """All before the commit in order, savepoints included, then all after it in order."""
    seen: list[str] = []
    async with pool.transaction() as db:
        db.after_commit(noting(seen, "after 1"))
        db.before_commit(noting_before(seen, "before 1"))
        async with db.transaction():
            db.before_commit(noting_before(seen, "before 2"))
            db.after_commit(noting(seen, "after 2"))
        db.before_commit(noting_before(seen, "before 3"))
        db.after_commit(noting(seen, "after 3"))
        assert seen == []
    assert seen == [f"{when} {number}" for when in ("before", "after") for number in (1, 2, 3)]


async def test_an_outer_transaction_keeps_the_order_while_an_inner_one_is_open(
    pool: ConnectionPool,
) -> None:
    """Registration counts, and not which transaction a function belongs to."""
    seen: list[str] = []
    async with pool.acquire() as db:
        outer = db.transaction()
        await outer.begin()
        inner = db.transaction()
        await inner.begin()
        inner.after_commit(noting(seen, "inner"))
        outer.after_commit(noting(seen, "outer"))
        await inner.commit()
        assert seen == []
        await outer.commit()
    assert seen == ["inner", "outer"]


async def test_an_error_before_the_commit_rolls_back(pool: ConnectionPool, table: str) -> None:
    """The commit raises it; the functions behind it, and those after the commit, do not run."""
    seen: list[str] = []

    async def fail(db: Connection) -> None:
        raise KeyError("mine")

    async def work() -> None:
        async with pool.transaction() as db:
            await inserting(table, 1)(db)
            db.before_commit(inserting(table, 2))
            db.before_commit(fail)
            db.before_commit(noting_before(seen, "before"))
            db.after_commit(noting(seen, "after"))

    with pytest.raises(KeyError, match="mine"):
        await work()
    assert await ids(pool, table) == []
    assert seen == []


async def test_a_failed_statement_before_the_commit_rolls_back(
    pool: ConnectionPool, table: str
) -> None:
    """The database's error is what the caller gets, with commit() called by hand as well."""
    async with pool.acquire() as db:
        transaction = db.transaction()
        await transaction.begin()
        await inserting(table, 1)(db)
        db.before_commit(inserting(table, 1))
        with pytest.raises(UniqueViolation):
            await transaction.commit()
        assert transaction.state.value == "rolled back"
        with pytest.raises(LifecycleError, match="it is rolled back"):
            await transaction.commit()
        assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_functions_may_register_further_ones(pool: ConnectionPool, table: str) -> None:
    """They run in the same commit, behind those that are registered already."""
    seen: list[str] = []

    async def first(db: Connection) -> None:
        seen.append("first")
        db.before_commit(noting_before(seen, "third"))
        db.after_commit(noting(seen, "after"))
        async with db.transaction():
            await inserting(table, 1)(db)

    async with pool.transaction() as db:
        db.before_commit(first)
        db.before_commit(noting_before(seen, "second"))
    assert seen == ["first", "second", "third", "after"]
    assert await ids(pool, table) == [1]


async def test_registering_without_end_is_an_error(pool: ConnectionPool, table: str) -> None:
    """A function that registers itself again is stopped, and the transaction rolled back; many
    that were registered outside of the commit are none."""
    count = 0

    async def again(db: Connection) -> None:
        nonlocal count
        count += 1
        db.before_commit(again)

    async def work() -> None:
        async with pool.transaction() as db:
            await inserting(table, 1)(db)
            db.before_commit(again)

    with pytest.raises(LifecycleError, match=r"more than 1000 in turn.*again \("):
        await work()
    assert count == 1001
    assert await ids(pool, table) == []
    seen: list[str] = []
    async with pool.transaction() as db:
        for _ in range(1500):
            db.before_commit(noting_before(seen, "x"))
    assert len(seen) == 1500


async def test_a_savepoint_that_is_rolled_back_takes_its_functions_with_it(
    pool: ConnectionPool, table: str
) -> None:
    """Those of released savepoints inside of it too; those of its surroundings stay."""
    seen: list[str] = []
    async with pool.transaction() as db:
        db.after_commit(noting(seen, "outer"))
        with contextlib.suppress(ValueError):
            async with db.transaction():
                db.before_commit(inserting(table, 1))
                db.after_commit(noting(seen, "dropped"))
                async with db.transaction():
                    db.after_commit(noting(seen, "dropped with the one around it"))
                raise ValueError
        async with db.transaction():
            db.after_commit(noting(seen, "inner"))
    assert seen == ["outer", "inner"]
    assert await ids(pool, table) == []


async def test_a_savepoint_left_open_inside_of_one_that_is_rolled_back(
    pool: ConnectionPool,
) -> None:
    """Its functions are dropped with it."""
    seen: list[str] = []
    async with pool.transaction() as db:
        middle = db.transaction()
        await middle.begin()
        inner = db.transaction()
        await inner.begin()
        inner.after_commit(noting(seen, "dropped"))
        await middle.rollback()
    assert seen == []


async def test_after_a_rollback_nothing_runs(pool: ConnectionPool, table: str) -> None:
    """Neither before nor after: by an exception, by hand, or by a cancellation."""
    seen: list[str] = []

    async def fail(exc: BaseException) -> None:
        async with pool.transaction() as db:
            await inserting(table, 1)(db)
            db.before_commit(noting_before(seen, "before"))
            db.after_commit(noting(seen, "after"))
            raise exc

    for exc in (KeyError("mine"), asyncio.CancelledError()):
        with pytest.raises(type(exc)):
            await fail(exc)
    async with pool.acquire() as db:
        transaction = db.transaction()
        await transaction.begin()
        transaction.before_commit(noting_before(seen, "before"))
        transaction.after_commit(noting(seen, "after"))
        await transaction.rollback()
    assert seen == []
    assert await ids(pool, table) == []


async def test_cancelled_before_the_commit_it_rolls_back(pool: ConnectionPool, table: str) -> None:
    """A function of before_commit is cancelled like any statement of the block."""
    seen: list[str] = []
    begun = asyncio.Event()

    async def wait(db: Connection) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def work() -> None:
        async with pool.transaction() as db:
            await inserting(table, 1)(db)
            db.before_commit(wait)
            db.after_commit(noting(seen, "after"))

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ids(pool, table) == []
    assert seen == []


async def test_a_commit_that_was_carried_through_has_its_functions(
    pool: ConnectionPool, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled during COMMIT, the rows are stored: what must follow that follows, and then the
    cancellation is raised."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def after() -> None:
        await asyncio.sleep(0)
        seen.append("after")

    async def work() -> None:
        async with pool.transaction() as db:
            await inserting(table, 1)(db)
            db.after_commit(after)
            session = db.session
            commit = type(session).commit

            async def announced(self: object, timeout: float | None) -> None:
                begun.set()
                await go_on.wait()
                await commit(session, timeout)

            monkeypatch.setattr(type(session), "commit", announced)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    assert await ids(pool, table) == [1]
    assert seen == ["after"]


async def test_cancelled_after_the_commit_the_functions_end(pool: ConnectionPool) -> None:
    """A cancellation waits for the functions that run, and for those behind them."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def slow() -> None:
        begun.set()
        await go_on.wait()
        seen.append("slow")

    async def work() -> None:
        async with pool.transaction() as db:
            db.after_commit(slow)
            db.after_commit(noting(seen, "next"))

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["slow", "next"]


async def test_a_function_that_does_not_end_is_cancelled_and_logged(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the caller was cancelled, within a limit."""
    monkeypatch.setattr(hooks_module, "_GRACE", 0.01)
    begun = asyncio.Event()
    seen: list[str] = []

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def work() -> None:
        async with pool.transaction() as db:
            db.after_commit(endless)
            db.after_commit(noting(seen, "next"))

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert seen == []
    assert "endless (" in caplog.text
    assert "1 registered behind it did not run; the transaction is committed" in caplog.text


async def test_an_error_after_the_commit_is_logged_and_hides_nothing(
    pool: ConnectionPool, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the function and its place; the block goes on, and so do the other functions."""
    seen: list[str] = []

    def fail(what: str) -> None:
        raise KeyError(what)

    async def fails_later() -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    with caplog.at_level(logging.ERROR, "sanic_ms.db"):
        async with pool.transaction() as db:
            await inserting(table, 1)(db)
            db.after_commit(functools.partial(fail, "mine"))
            db.after_commit(fails_later)
            db.after_commit(noting(seen, "last"))
    assert seen == ["last"]
    assert await ids(pool, table) == [1]
    first, second = (record.getMessage() for record in caplog.records)
    assert "fail (" in first
    assert f"{__file__}:" in first
    assert "failed after the commit; the transaction is committed" in first
    assert caplog.records[0].exc_info is not None
    assert "fails_later (" in second


async def test_after_the_commit_the_connection_is_back(
    any_database_url: str, make_pool: MakePool
) -> None:
    """A function may use a pool of one connection, and sees what was stored; the connection of the
    transaction says that it is gone."""
    pool = await make_pool(any_database_url, max_size=1, acquire_timeout=1.0)
    seen: list[object] = []

    async with pool.transaction() as db:

        async def after() -> None:
            seen.append(await pool.fetchval("SELECT 1 + $1", 1))
            with pytest.raises(LifecycleError, match="released"):
                await db.fetchval("SELECT 1")
            async with pool.transaction() as another:
                another.after_commit(lambda: seen.append("another"))
            seen.append("done")

        db.after_commit(after)
    assert seen == [2, "another", "done"]


async def test_on_an_acquired_connection(pool: ConnectionPool, table: str) -> None:
    """They run at the end of the transaction's block, each transaction its own, once."""
    seen: list[str] = []
    async with pool.acquire() as db:
        for number in range(2):
            async with db.transaction():
                db.before_commit(inserting(table, number))
                db.after_commit(noting(seen, str(number)))
            assert seen == [str(done) for done in range(number + 1)]
        async with db.transaction():
            pass
        transaction = db.transaction()
        await transaction.begin()
        transaction.after_commit(noting(seen, "by hand"))
        await transaction.commit()
    assert seen == ["0", "1", "by hand"]
    assert await ids(pool, table) == [0, 1]


async def test_outside_of_an_open_transaction_it_is_an_error(pool: ConnectionPool) -> None:
    """Before, after, and when the connection was released; in a function after the commit too."""
    errors: list[str] = []

    async with pool.acquire() as db:
        with pytest.raises(LifecycleError, match="none is open on this connection"):
            db.before_commit(noting_before([], "x"))
        with pytest.raises(LifecycleError, match="none is open on this connection"):
            db.after_commit(noting([], "x"))
        transaction = db.transaction()
        with pytest.raises(LifecycleError, match="this one is not begun"):
            transaction.after_commit(noting([], "x"))

        def late() -> None:
            try:
                transaction.after_commit(noting([], "x"))
            except LifecycleError as exc:
                errors.append(str(exc))

        async with transaction:
            db.after_commit(late)
        assert errors == ["after_commit() is for an open transaction: this one is committed"]
        with pytest.raises(LifecycleError, match="this one is committed"):
            transaction.before_commit(noting_before([], "x"))
    for register in (db.after_commit, transaction.after_commit):
        with pytest.raises(LifecycleError, match="released"):
            register(noting([], "x"))


async def test_what_is_no_function_is_an_error(pool: ConnectionPool, table: str) -> None:
    """At once, where it can be seen; a sync function before the commit, at the commit."""

    async def after() -> None:
        """Never called."""

    async with pool.transaction() as db:
        for wrong in (after(), None, "name"):
            with pytest.raises(TypeError, match="give the function itself"):
                db.after_commit(wrong)  # type: ignore[type-var]
        with pytest.raises(TypeError, match="give the function itself"):
            db.before_commit(None)  # type: ignore[type-var]

    async def work() -> None:
        async with pool.transaction() as db:
            await inserting(table, 1)(db)
            db.before_commit(lambda db: 7)  # type: ignore[type-var]

    with pytest.raises(TypeError, match=r"takes an async function, and .*<lambda> \(.*gave 7"):
        await work()
    assert await ids(pool, table) == []


async def test_a_function_cannot_end_its_transaction(pool: ConnectionPool, table: str) -> None:
    """Committing or rolling back inside of before_commit is refused, and rolls back."""
    for name in ("commit", "rollback"):
        async with pool.acquire() as db:
            transaction = db.transaction()
            await transaction.begin()
            await inserting(table, 1)(db)

            async def end(db: Connection, call: str = name) -> None:
                await getattr(db.transactions[0], call)()

            transaction.before_commit(end)
            with pytest.raises(LifecycleError, match="cannot end it"):
                await transaction.commit()
    assert await ids(pool, table) == []


async def test_a_savepoint_that_a_function_leaves_open(pool: ConnectionPool, table: str) -> None:
    """Is refused and rolled back, as at the end of any block."""

    async def leave_open(db: Connection) -> None:
        await inserting(table, 1)(db)
        await db.transaction().begin()

    async with pool.acquire() as db:
        with pytest.raises(LifecycleError, match="still open"):
            async with db.transaction():
                db.before_commit(leave_open)
        assert db.transactions == []
    assert await ids(pool, table) == []


async def test_they_can_be_decorators(pool: ConnectionPool, table: str) -> None:
    """Both give the function back."""
    seen: list[str] = []
    async with pool.transaction() as db:

        @db.before_commit
        async def before(db: Connection) -> None:
            await inserting(table, 1)(db)

        @db.after_commit
        def after() -> None:
            seen.append("after")

    after()
    assert seen == ["after", "after"]
    assert await ids(pool, table) == [1]


async def test_a_transaction_that_the_database_ended_runs_none(
    pool: ConnectionPool, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has nothing to be a part of: the conflict is what the caller gets."""
    seen: list[str] = []

    async def work() -> None:
        async with pool.transaction() as db:
            db.before_commit(noting_before(seen, "before"))
            db.after_commit(noting(seen, "after"))
            db.session.aborted = True

    with pytest.raises(TransactionConflict, match="nothing was stored"):
        await work()
    assert seen == []


async def test_a_connection_lost_during_the_commit(
    proxy: object, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is not known, which the error says: nothing is told to others."""
    pool = await make_pool(proxy.url, max_size=1)  # type: ignore[attr-defined]
    seen: list[str] = []

    async def work() -> None:
        async with pool.transaction() as db:
            await db.fetchval("SELECT 1")
            db.before_commit(noting_before(seen, "before"))
            db.after_commit(noting(seen, "after"))
            session = db.session
            commit = type(session).commit

            async def cut(self: object, timeout: float | None) -> None:
                proxy.freeze()  # type: ignore[attr-defined]
                asyncio.get_running_loop().call_later(
                    0.05,
                    proxy.reset_connections,  # type: ignore[attr-defined]
                )
                await commit(session, timeout)

            monkeypatch.setattr(type(session), "commit", cut)

    with pytest.raises(
        DatabaseUnavailable, match="not known whether the transaction was committed"
    ):
        await work()
    assert seen == ["before"]


async def test_many_transactions_at_once_keep_their_functions_apart(
    pool: ConnectionPool, table: str
) -> None:
    """Each runs its own, and those that fail run none."""
    seen: list[str] = []

    async def work(number: int) -> None:
        async with pool.transaction() as db:
            db.before_commit(inserting(table, number))
            db.after_commit(noting(seen, str(number)))
            await asyncio.sleep(0)
            if number % 3 == 0:
                raise KeyError

    await asyncio.gather(*map(work, range(20)), return_exceptions=True)
    expected = [number for number in range(20) if number % 3]
    assert await ids(pool, table) == expected
    assert sorted(map(int, seen)) == expected


async def test_many_savepoints_and_functions_take_linear_time(pool: ConnectionPool) -> None:
    """A savepoint looks at what was registered in it, and not at all that was before."""
    looked_at = 0

    class Counting(list[Any]):
        def __getitem__(self, key: Any) -> Any:
            nonlocal looked_at
            found = super().__getitem__(key)
            looked_at += len(found) if isinstance(key, slice) else 0
            return found

    seen: list[str] = []
    async with pool.transaction() as db:
        db.after_commit(noting(seen, "first"))
        hooks = db.transactions[0]._hooks
        assert hooks is not None
        hooks.after = Counting(hooks.after)
        for number in range(60):
            with contextlib.suppress(KeyError):
                async with db.transaction():
                    db.after_commit(noting(seen, str(number)))
                    if number % 2:
                        raise KeyError
    assert seen == ["first", *map(str, range(0, 60, 2))]
    assert looked_at == 60


async def test_savepoints_in_functions_before_the_commit(pool: ConnectionPool, table: str) -> None:
    """What is registered there is dropped with them as anywhere, and nothing runs twice."""
    seen: list[str] = []

    async def work(db: Connection) -> None:
        seen.append("work")
        with contextlib.suppress(KeyError):
            async with db.transaction():
                db.before_commit(noting_before(seen, "dropped"))
                db.after_commit(noting(seen, "dropped"))
                raise KeyError
        async with db.transaction():
            db.before_commit(noting_before(seen, "inner"))
            db.after_commit(noting(seen, "after"))

    async with pool.transaction() as db:
        db.before_commit(work)
        db.before_commit(noting_before(seen, "next"))
    assert seen == ["work", "next", "inner", "after"]
