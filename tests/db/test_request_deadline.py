"""The deadline of the current request limits what is done on a pool, and leaves it in order."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from tests.db.test_cancellation import slow_statement
from tests.db.test_metrics import shown

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db.reading import in_time
from sanic_ms.db.request_deadline import check_deadline, raise_timed_out, time_left, within_deadline
from sanic_ms.exception import (
    DatabaseError,
    DatabaseUnavailable,
    DeadlineExceeded,
    PoolExhausted,
    QueryTimeout,
    StatementError,
    TransactionConflict,
)
from sanic_ms.resilience import Deadline, current_deadline, deadline_scope
from sanic_ms.telemetry.metrics import Registry

MakePool = Callable[..., Awaitable[ConnectionPool]]
MakeTable = Callable[..., Awaitable[str]]
Settled = Callable[[ConnectionPool], Awaitable[None]]
Work = Callable[[ConnectionPool, str], Awaitable[object]]


async def _iterate(pool: ConnectionPool, sql: str) -> None:
    async for _ in pool.iterate(sql, 1):
        pass


async def _in_transaction(pool: ConnectionPool, sql: str) -> None:
    async with pool.transaction() as db:
        await db.fetchrow(sql, 1)


async def _on_connection(pool: ConnectionPool, sql: str) -> None:
    async with pool.acquire() as db:
        await db.fetch(sql, 1, timeout=math.inf)


STATEMENTS: dict[str, Work] = {
    "fetch": lambda pool, sql: pool.fetch(sql, 1),
    "fetchrow": lambda pool, sql: pool.fetchrow(sql, 1),
    "fetchval": lambda pool, sql: pool.fetchval(sql, 1, timeout=60),
    "execute": lambda pool, sql: pool.execute(sql, 1),
    "iterate": _iterate,
    "transaction": _in_transaction,
    "without a timeout": _on_connection,
}


@pytest.fixture
async def observer(pool: ConnectionPool, any_database_url: str) -> AsyncIterator[ConnectionPool]:
    """Another pool of the same database, to look at it from outside."""
    other = pool
    if pool.statements.dialect != "sqlite":
        other = ConnectionPool(any_database_url, max_size=1)
        await other.start()
    yield other
    if other is not pool:
        await other.stop()


def running(pool: ConnectionPool) -> str:
    """How many of `slow_statement` the server runs."""
    return {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
        "query LIKE '%SELECT pg_sleep(60), $1%' AND datname = current_database() "
        "AND pid <> pg_backend_pid()",
        "mysql": "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sl%'",
        "sqlite": "SELECT 0",
    }[pool.statements.dialect]


async def none_runs(pool: ConnectionPool) -> None:
    """Wait until the server runs none of them."""
    async with asyncio.timeout(20):
        while await pool.fetchval(running(pool)):  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.005)


# --- statements -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_statement_ends_with_the_deadline(
    pool: ConnectionPool, observer: ConnectionPool, settled: Settled, name: str
) -> None:
    """504 at its moment, the statement is cancelled in the database, and all connections of the
    pool are free again and work."""
    begin = time.monotonic()
    with deadline_scope(Deadline.after(0.2)), pytest.raises(DeadlineExceeded) as caught:
        await STATEMENTS[name](pool, slow_statement(pool))
    assert 0.19 < time.monotonic() - begin < 20
    assert caught.value.status == 504
    cause = caught.value.__cause__
    assert isinstance(cause, QueryTimeout)
    assert cause.statement is not None
    assert cause.statement.startswith(slow_statement(pool)[:13])
    await none_runs(observer)
    await settled(pool)
    async with asyncio.timeout(60):
        lent = [await pool.acquire() for _ in range(pool.max_size)]
    assert [await db.fetchval("SELECT $1 + 0", n) for n, db in enumerate(lent)] == [
        *range(len(lent))
    ]
    for db in lent:
        await pool.release(db)


async def test_many_rows_end_with_the_deadline(
    pool: ConnectionPool, observer: ConnectionPool, table: str, settled: Settled
) -> None:
    """executemany() is cancelled like any other, and stores nothing."""
    slow = {
        "postgresql": f"INSERT INTO {table} SELECT $1::integer, pg_sleep(60)",
        "mysql": f"INSERT INTO {table} VALUES ($1 + sleep(60), 'x')",
        "sqlite": f"INSERT INTO {table} WITH RECURSIVE c(n) AS (SELECT $1 UNION ALL SELECT n + 1 "
        "FROM c WHERE n < 500000000) SELECT max(n), 'x' FROM c",
    }[pool.statements.dialect]
    begin = time.monotonic()
    with deadline_scope(Deadline.after(0.2)), pytest.raises(DeadlineExceeded) as caught:
        await pool.executemany(slow, [(1,), (2,)])
    assert 0.19 < time.monotonic() - begin < 20
    assert isinstance(caught.value.__cause__, QueryTimeout)
    await settled(pool)
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_shorter_timeout_is_what_it_was(pool: ConnectionPool, settled: Settled) -> None:
    """Where the statement's own limit ends it, the error is that of the statement."""
    with deadline_scope(Deadline.after(60)):
        with pytest.raises(QueryTimeout):
            await pool.fetch(slow_statement(pool), 1, timeout=0.1)
        assert await pool.fetchval("SELECT 40 + $1", 2) == 42
    await settled(pool)


async def test_the_connection_goes_on_after_the_deadline(
    pool: ConnectionPool, settled: Settled
) -> None:
    """As after a timeout: PostgreSQL and SQLite cancel the statement, MySQL closes the
    connection."""
    async with pool.acquire() as db:
        with deadline_scope(Deadline.after(0.1)), pytest.raises(DeadlineExceeded):
            await db.fetch(slow_statement(pool), 1)
        if pool.statements.dialect == "mysql":
            with pytest.raises(DatabaseUnavailable):
                await db.fetchval("SELECT 40 + $1", 2)
        else:
            assert await db.fetchval("SELECT 40 + $1", 2) == 42
    await settled(pool)


async def test_each_part_of_a_cursor_has_what_remains(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """A loop over rows does not go on after the deadline; leaving it frees the connection."""
    await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", [(n, "x") for n in range(50)])
    seen = 0
    deadline = Deadline.after(0.3)
    with pytest.raises(DeadlineExceeded), deadline_scope(deadline):  # noqa: PT012
        async for _ in pool.iterate(f"SELECT id FROM {table} ORDER BY id", prefetch=10):
            seen += 1
            if seen == 15:
                await asyncio.sleep(deadline.remaining + 0.01)
    assert seen == 20
    await settled(pool)
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 50


# --- a deadline that is over ----------------------------------------------------------------------


async def _acquire(pool: ConnectionPool, sql: str) -> None:
    async with pool.acquire():
        raise AssertionError("a connection was lent")


async def _transaction(pool: ConnectionPool, sql: str) -> None:
    async with pool.transaction():
        raise AssertionError("a transaction was begun")


OVER: dict[str, Work] = {
    **STATEMENTS,
    "executemany": lambda pool, sql: pool.executemany(sql, [(1,), (1,)]),
    "acquire": _acquire,
    "open transaction": _transaction,
}


@pytest.mark.parametrize("name", OVER)
async def test_nothing_is_lent_or_sent_after_the_deadline(
    pool: ConnectionPool, table: str, name: str
) -> None:
    """No connection is taken, nor opened."""
    work = OVER[name]
    for _ in range(3):  # the statement is prepared, and may be pipelined
        await pool.fetchval(f"SELECT count(*) FROM {table} WHERE id <> $1", 1)
    before = pool.stats()
    with deadline_scope(Deadline.after(-1)), pytest.raises(DeadlineExceeded) as caught:
        await work(pool, f"SELECT count(*) FROM {table} WHERE id <> $1")
    assert caught.value.__cause__ is None
    assert pool.stats() == before


@pytest.mark.parametrize(
    "name", ["fetch", "fetchval", "execute", "executemany", "iterate", "savepoint"]
)
async def test_nothing_is_sent_on_a_lent_connection(
    pool: ConnectionPool, table: str, name: str, settled: Settled
) -> None:
    """Whatever is asked of it after the deadline is refused before the database sees it; the
    connection itself is in order."""
    insert = f"INSERT INTO {table} VALUES ($1, 'x')"

    async def savepoint(db: Connection) -> None:
        async with db.transaction():
            raise AssertionError("it was begun")

    async def iterate(db: Connection) -> None:
        async for _ in db.iterate(f"SELECT id FROM {table}"):
            raise AssertionError("it gave a row")

    work: dict[str, Callable[[Connection], Awaitable[object]]] = {
        "fetch": lambda db: db.fetch(insert, 1),
        "fetchval": lambda db: db.fetchrow(insert, 1),
        "execute": lambda db: db.execute(insert, 1),
        "executemany": lambda db: db.executemany(insert, [(1,)]),
        "iterate": iterate,
        "savepoint": savepoint,
    }
    async with pool.acquire() as db:
        with deadline_scope(Deadline.after(-1)), pytest.raises(DeadlineExceeded):
            await work[name](db)
        assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0
    await settled(pool)


# --- waiting for a connection ---------------------------------------------------------------------


async def test_waiting_for_a_connection_ends_with_the_deadline(
    any_database_url: str, make_pool: MakePool
) -> None:
    """504 and not 503; a place in the queue is given up, and the next caller is served."""
    pool = await make_pool(any_database_url, max_size=1)
    async with pool.acquire():
        begin = time.monotonic()
        with deadline_scope(Deadline.after(0.1)), pytest.raises(DeadlineExceeded):
            await pool.fetchval("SELECT 1")
        assert 0.09 < time.monotonic() - begin < 20
        assert pool.stats() == (1, 0, 0)
    assert await pool.fetchval("SELECT 1") == 1
    assert pool.stats() == (1, 1, 0)


async def test_the_limit_of_the_pool_may_come_first(
    any_database_url: str, make_pool: MakePool
) -> None:
    """The earlier of the two ends it, with its own error."""
    pool = await make_pool(any_database_url, max_size=1, acquire_timeout=0.05)
    async with pool.acquire():
        with deadline_scope(Deadline.after(60)), pytest.raises(PoolExhausted):
            await pool.fetchval("SELECT 1")


async def test_a_pool_that_checks_itself_has_no_deadline(pool: ConnectionPool) -> None:
    """The check has a limit of its own, and its result is that of other callers too."""
    with deadline_scope(Deadline.after(-1)):
        assert (await pool.check()).status == "up"


async def test_writers_of_sqlite_wait_until_the_deadline(
    sqlite_url: str, make_pool: MakePool
) -> None:
    """For the one write lock, by a statement or a transaction; it is not lost."""
    pool = await make_pool(f"{sqlite_url}?busy_timeout=60", max_size=3)
    await pool.execute("CREATE TABLE w (id INTEGER)")
    async with pool.transaction() as db:
        await db.execute("INSERT INTO w VALUES (1)")
        with deadline_scope(Deadline.after(0.1)), pytest.raises(DeadlineExceeded, match="lock"):
            await pool.execute("INSERT INTO w VALUES (2)")
        with deadline_scope(Deadline.after(0.1)), pytest.raises(DeadlineExceeded, match="lock"):
            async with pool.transaction():
                pass
    with deadline_scope(Deadline.after(60)):
        await pool.execute("INSERT INTO w VALUES (3)")
    assert await pool.fetch("SELECT id FROM w ORDER BY id") == [{"id": 1}, {"id": 3}]


async def test_the_write_lock_has_its_own_limit(sqlite_url: str, make_pool: MakePool) -> None:
    """A busy timeout before the deadline is a conflict, as ever."""
    pool = await make_pool(f"{sqlite_url}?busy_timeout=0.05", max_size=2)
    await pool.execute("CREATE TABLE w (id INTEGER)")
    async with pool.transaction() as db:
        await db.execute("INSERT INTO w VALUES (1)")
        with deadline_scope(Deadline.after(60)), pytest.raises(TransactionConflict):
            await pool.execute("INSERT INTO w VALUES (2)")


# --- transactions ---------------------------------------------------------------------------------


async def test_a_transaction_is_rolled_back(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """By a statement that the deadline has ended; the roll-back itself has none."""
    with deadline_scope(Deadline.after(0.2)), pytest.raises(DeadlineExceeded):  # noqa: PT012
        async with pool.transaction() as db:
            await db.execute(f"INSERT INTO {table} VALUES (1, 'x')")
            await db.fetch(slow_statement(pool), 1)
    await settled(pool)
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    await pool.execute(f"INSERT INTO {table} VALUES (1, 'y')")


@pytest.mark.parametrize("inner", [False, True], ids=["transaction", "savepoint"])
async def test_a_commit_does_not_begin_after_the_deadline(
    pool: ConnectionPool, table: str, settled: Settled, inner: bool
) -> None:
    """It is rolled back, at once and on the connection, which stays as it is. The functions of
    after_commit do not run."""
    deadline = Deadline.after(0.2)
    ran = []
    async with pool.acquire() as db:
        with deadline_scope(deadline), pytest.raises(DeadlineExceeded):  # noqa: PT012
            async with db.transaction():
                db.after_commit(lambda: ran.append(1))
                await db.execute(f"INSERT INTO {table} VALUES (1, 'x')")
                if inner:
                    async with db.transaction():
                        await db.execute(f"INSERT INTO {table} VALUES (2, 'x')")
                        await asyncio.sleep(deadline.remaining + 0.001)
                else:
                    await asyncio.sleep(deadline.remaining + 0.001)
        assert not db.session.in_transaction()
        assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert ran == []
    await settled(pool)


async def test_functions_of_before_commit_have_the_deadline(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """One that takes until it is over is the last that is done: nothing is stored."""
    deadline = Deadline.after(0.1)

    async def slow(db: Connection) -> None:
        await asyncio.sleep(deadline.remaining + 0.001)

    with deadline_scope(deadline), pytest.raises(DeadlineExceeded):  # noqa: PT012
        async with pool.transaction() as db:
            await db.execute(f"INSERT INTO {table} VALUES (1, 'x')")
            db.before_commit(slow)
    await settled(pool)
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_commit_in_flight_is_not_cut(postgres_url: str, make_pool: MakePool) -> None:
    """A constraint that is checked by the commit, with a trigger that takes longer than what
    remains: it is stored. The functions of after_commit have the deadline."""
    pool = await make_pool(postgres_url, max_size=2)
    await pool.execute("CREATE TABLE late (id INTEGER)")
    await pool.execute(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END'"
    )
    await pool.execute(
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION late()"
    )
    deadlines: list[Deadline | None] = []
    deadline = Deadline.after(0.2)
    with deadline_scope(deadline):
        async with pool.transaction() as db:
            await db.execute("INSERT INTO late VALUES (1)")
            db.after_commit(lambda: deadlines.append(current_deadline()))
    assert deadline.expired
    assert await pool.fetchval("SELECT count(*) FROM late") == 1
    assert deadlines == [deadline]


async def test_many_rows_are_stored_whole_or_not_at_all(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """executemany() that meets the deadline between two of its parts leaves none of them."""
    if pool.statements.dialect == "postgresql":
        pytest.skip("it is one statement, and the server may be done when it hears of its end")
    deadline = Deadline.after(0.2)

    def rows() -> Iterator[tuple[int, str]]:
        for number in range(5000):
            if number == 3000:
                time.sleep(deadline.remaining + 0.001)
            yield number, "x"

    with deadline_scope(deadline), pytest.raises(DeadlineExceeded):
        await pool.executemany(f"INSERT INTO {table} VALUES ($1, $2)", rows())
    await settled(pool)
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_the_pools_own_work_has_no_deadline(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """A connection that has to be reset at its release is, and not thrown away, also when the
    deadline is over by then."""
    pool = await make_pool(postgres_url, max_size=1)
    async with pool.acquire() as db:
        process = await db.fetchval("SELECT pg_backend_pid()")
        deadline = Deadline.after(0.2)
        with deadline_scope(deadline):
            await db.execute("SET application_name = 'changed'")
            await asyncio.sleep(deadline.remaining + 0.001)
            await pool.release(db)
    await settled(pool)
    assert await pool.fetchval("SELECT pg_backend_pid()") == process
    assert await pool.fetchval("SHOW application_name") != "changed"


# --- reads of several callers on one connection ---------------------------------------------------


async def test_a_pipelined_read_ends_with_the_deadline(
    way: str, postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """One that is slow and the quick ones behind it: each caller has its own deadline."""
    pool = await make_pool(postgres_url, max_size=2)
    slow = (
        "WITH RECURSIVE c(n) AS (SELECT $1::bigint UNION ALL SELECT n + 1 FROM c "
        "WHERE n < 500000000) SELECT max(n) AS n FROM c"
    )
    quick = "SELECT $1::integer AS n"
    for _ in range(3):
        await pool.fetchval(quick, 1)

    async def ask(sql: str, seconds: float) -> object:
        with deadline_scope(Deadline.after(seconds)):
            return await pool.fetchval(sql, 7)

    begin = time.monotonic()
    answers = await asyncio.gather(
        *(ask(quick, 60) for _ in range(20)), ask(slow, 0.3), *(ask(quick, 60) for _ in range(20)),
        return_exceptions=True,
    )  # fmt: skip
    assert time.monotonic() - begin < 20
    assert isinstance(answers[20], DeadlineExceeded)
    assert answers[:20] + answers[21:] == [7] * 40
    await settled(pool)
    assert (
        await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 "
            "AND pid <> pg_backend_pid()",
            "WITH RECURSIVE c(n)%",
            timeout=60,
        )
        == 0
    )


async def test_a_read_behind_others_does_not_wait_for_them(
    way: str, postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Where those before it are answered, one after the other, and its turn does not come before
    its deadline. Its answer is nobody's, and those behind it get their own."""
    pool = await make_pool(postgres_url, max_size=1)
    # About ten milliseconds of work each, so that the connection is never silent for long.
    work = "SELECT count(*) + $1 AS n FROM generate_series(1, 100000)"
    for _ in range(3):
        await pool.fetchval(work, 1)
    first = [asyncio.create_task(pool.fetchval(work, number)) for number in range(40)]
    await asyncio.sleep(0)
    begin = time.monotonic()
    with deadline_scope(Deadline.after(0.04)):
        late = asyncio.create_task(pool.fetchval(work, 99))
    last = [asyncio.create_task(pool.fetchval(work, number)) for number in range(40, 50)]
    with pytest.raises(DeadlineExceeded):
        await late
    assert time.monotonic() - begin < 20
    assert not all(task.done() for task in first)
    assert await asyncio.gather(*first, *last) == [100000 + number for number in range(50)]
    await settled(pool)


async def test_an_answer_is_awaited_until_the_deadline(sqlite_url: str) -> None:
    """One that comes in time is given, with its own errors; one that does not is cancelled and
    counted."""
    registry = Registry()
    pool = ConnectionPool(sqlite_url)
    pool.measure(registry)
    await pool.start()
    try:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        answer.set_result(7)
        assert await in_time(pool, "SELECT 1", Deadline.after(60), answer) == 7
        broken: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        broken.set_exception(TimeoutError("its own"))
        with pytest.raises(TimeoutError, match="its own"):
            await in_time(pool, "SELECT 1", Deadline.after(60), broken)
        assert shown(registry, "db_query_duration_seconds") == {}
        never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with pytest.raises(DeadlineExceeded):
            await in_time(pool, "SELECT 1", Deadline.after(0.01), never)
        assert never.cancelled()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert shown(registry, "db_query_duration_seconds") == {("SELECT", "deadline_exceeded"): 1}
    finally:
        await pool.stop()


async def test_a_caller_that_is_cancelled_is_just_that(
    sqlite_url: str, make_pool: MakePool
) -> None:
    """Before the deadline, and in the very moment of it."""
    pool = await make_pool(sqlite_url)
    for seconds in (60, 0.05):
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        tasks: list[asyncio.Task[int]] = []
        # It is called before the task is woken, which awaits the answer after this.
        answer.add_done_callback(lambda _, tasks=tasks: tasks[0].cancel())  # type: ignore[misc]
        tasks.append(
            asyncio.create_task(in_time(pool, "SELECT 1", Deadline.after(seconds), answer))
        )
        await asyncio.sleep(0)
        if seconds == 60:
            answer.set_result(1)
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert pool.lending is not None
        assert not pool.lending.readers.remove(tasks[0])
        assert tasks[0].cancelling() == 1


# --- telling it apart -----------------------------------------------------------------------------


async def test_metrics_tell_it_apart(any_database_url: str) -> None:
    """Statements that the deadline has ended have an outcome of their own."""
    registry = Registry()
    pool = ConnectionPool(any_database_url, name="main", max_size=2)
    pool.measure(registry)
    await pool.start()
    try:
        with deadline_scope(Deadline.after(0.05)), pytest.raises(DeadlineExceeded):
            await pool.fetch(slow_statement(pool), 1)
        with pytest.raises(QueryTimeout):
            await pool.fetch(slow_statement(pool), 1, timeout=0.05)
    finally:
        await pool.stop()
    operation = "WITH" if any_database_url.startswith("sqlite") else "SELECT"
    assert shown(registry, "db_query_duration_seconds") == {
        (operation, "deadline_exceeded"): 1,
        (operation, "error"): 1,
    }


def test_the_time_of_a_statement() -> None:
    """Its own limit, or what remains if that is less; no limit is less than any."""
    deadline = Deadline.after(60)
    assert time_left(deadline, 1.5) == 1.5
    assert 59 < time_left(deadline, None) <= 60
    assert 59 < time_left(deadline, 61) <= 60
    assert within_deadline(3) == 3
    assert within_deadline(None) is None
    assert check_deadline() is None
    with deadline_scope(deadline):
        assert within_deadline(1.5) == 1.5
        assert check_deadline() is deadline
    with deadline_scope(Deadline.after(0)):
        with pytest.raises(DeadlineExceeded):
            within_deadline(1)
        with pytest.raises(DeadlineExceeded):
            check_deadline()


@pytest.mark.parametrize("error", [QueryTimeout("slow"), StatementError("wrong")])
@pytest.mark.parametrize("seconds", [None, 60, 0.001, -1])
def test_which_error_is_raised(error: DatabaseError, seconds: float | None) -> None:
    """A timeout within a moment of the deadline is due to that; no other error is."""
    cause = OSError()
    deadline = None if seconds is None else Deadline.after(seconds)
    with deadline_scope(deadline), pytest.raises((DatabaseError, DeadlineExceeded)) as caught:
        raise_timed_out(error, cause)
    if isinstance(error, QueryTimeout) and seconds is not None and seconds < 1:
        assert isinstance(caught.value, DeadlineExceeded)
        assert caught.value.__cause__ is error
    else:
        assert caught.value is error
    assert error.__cause__ is cause
