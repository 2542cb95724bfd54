"""The pool: its life, its bounds, its fairness, and what it refuses."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sanic_ms.context import current_request
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import (
    ConfigError,
    DatabaseUnavailable,
    LifecycleError,
    PoolExhausted,
    StatementError,
    TransactionConflict,
)
from sanic_ms.lifecycle import Lifecycle
from sanic_ms.values import DatabaseURL

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]


async def test_constructing_connects_to_nothing() -> None:
    """A pool of a database that does not exist can be made, and stopped."""
    pool = ConnectionPool("postgresql://nobody@127.0.0.1:1/none")
    assert pool.stats() == (0, 0, 0)
    await pool.stop()
    assert (await pool.check()).status == "down"


async def test_is_a_component(any_database_url: str) -> None:
    """It starts and stops in a Lifecycle and answers its check."""
    pool = ConnectionPool(any_database_url, name="main", min_size=2, max_size=3)
    life = Lifecycle()
    life.add(pool)
    await life.start()
    assert pool.stats().size == 2
    health = await life.check()
    assert health["main"].status == "up"
    await life.stop()
    assert pool.stats() == (0, 0, 0)
    assert (await pool.check()).status == "down"


async def test_the_first_generation_spelling(postgres_url: str) -> None:
    """``await ConnectionPool(loop=loop).init(DB_CONFIG)``, ``await acquire()`` and ``release``."""
    url = DatabaseURL.parse(postgres_url)
    config = {
        "host": url.host,
        "user": url.user,
        "password": url.password,
        "port": url.port,
        "database": url.database,
    }
    pool = await ConnectionPool(loop=asyncio.get_running_loop()).init(config)
    try:
        connection = await pool.acquire(None)
        assert await connection.fetchval("SELECT 1") == 1
        await pool.release(connection)
        await pool.release(connection)
        assert pool.stats().idle == 1
    finally:
        await pool.close()


async def test_the_request_is_passed_along(sqlite_url: str, make_pool: MakePool) -> None:
    """Whoever takes the connection later can see which request it works for."""

    class Request:
        id = "r1"

        def get(self, key: str, default: Any = None) -> Any:
            return default

    pool = await make_pool(sqlite_url)
    request = Request()
    async with pool.acquire(request) as db:
        assert db.request is request
    async with pool.transaction(request) as db:
        assert db.request is request
    async with pool.acquire() as db:
        assert db.request is None
        current_request.set(request)
        assert db.request is request


@pytest.mark.parametrize(
    "options",
    [
        {"min_size": 5, "max_size": 2},
        {"max_size": 0},
        {"min_size": -1},
        {"max_waiters": -1},
        {"acquire_timeout": 0},
        {"statement_timeout": -1},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    """A wrong option is named when the pool is made."""
    with pytest.raises(ValueError, match=next(iter(options))):
        ConnectionPool("sqlite://", **options)


def test_a_wrong_url_never_shows_its_password() -> None:
    """The message is fit for any log."""
    with pytest.raises(ValueError, match="kind of database") as caught:
        ConnectionPool("oracle://scott:tiger@host/x")
    assert "tiger" not in str(caught.value)


@pytest.mark.parametrize("option", ["sqlite://:memory:?nope=1", "mysql://root@127.0.0.1/x?nope=1"])
async def test_a_wrong_option_of_the_url(option: str) -> None:
    """It stops the start, and what is allowed is listed."""
    with pytest.raises(ConfigError, match=r"nope.*allowed"):
        await ConnectionPool(option).start()


async def test_use_before_the_start() -> None:
    """The message says what to do first."""
    pool = ConnectionPool("sqlite://")
    with pytest.raises(LifecycleError, match=r"await pool\.start"):
        await pool.fetchval("SELECT 1")
    with pytest.raises(LifecycleError, match="DB_URL"):
        await ConnectionPool().start()


async def test_use_after_the_stop(pool: ConnectionPool) -> None:
    """A stopped pool refuses, its stop can be repeated, and it can start again."""
    await pool.stop()
    await pool.stop()
    with pytest.raises(LifecycleError, match="stopped"):
        await pool.fetchval("SELECT 1")
    await pool.start()
    assert await pool.fetchval("SELECT 1") == 1
    with pytest.raises(LifecycleError, match="running"):
        await pool.start()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "Connect"),
        ("mysql://u:secret@127.0.0.1:1/x", "connect"),
        ("sqlite:////no/such/folder/x.db", "folder /no/such/folder does not exist"),
    ],
)
async def test_a_database_that_is_not_there(url: str, reason: str) -> None:
    """The start fails with one line that names the database and never the password."""
    pool = ConnectionPool(url, name="main")
    with pytest.raises(LifecycleError) as caught:
        await pool.start()
    text = str(caught.value)
    assert reason in text
    assert "'main'" in text
    assert "secret" not in text
    assert "\n" not in text
    assert pool.stats() == (0, 0, 0)


async def test_a_database_with_no_such_name(any_database_url: str) -> None:
    """A missing database is named, with what to do."""
    url = DatabaseURL.parse(any_database_url)
    if url.scheme == "sqlite":
        pytest.skip("SQLite makes the file")
    missing = DatabaseURL(url.scheme, "no_such_db", url.host, url.port, url.user, url.password)
    with pytest.raises(LifecycleError, match=r"no_such_db.*create"):
        await ConnectionPool(missing).start()


async def test_the_last_connection_is_lent_first(pool: ConnectionPool) -> None:
    """The one whose caches are warm; a quiet service keeps using one."""
    async with pool.acquire() as first, pool.acquire() as second:
        assert first.session is not second.session
        last = first.session
    for _ in range(5):
        async with pool.acquire() as db:
            assert db.session is last
    assert pool.stats().size == 2


async def test_exhausted(any_database_url: str, make_pool: MakePool) -> None:
    """Waiting has a limit in time and in number: 503 with Retry-After."""
    pool = await make_pool(any_database_url, max_size=1, acquire_timeout=0.05, max_waiters=2)
    async with pool.acquire(timeout=60):
        assert (await pool.check()).status == "degraded"
        results = await asyncio.gather(
            *(pool.fetchval("SELECT 1") for _ in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [PoolExhausted] * 3
        assert sum("max_waiters" in str(result) for result in results) == 1
        for result in results:
            assert isinstance(result, PoolExhausted)
            assert result.status == 503
            assert result.headers == {"Retry-After": "1"}
            assert "1" not in str(result.error)
        with pytest.raises(PoolExhausted, match=r"within 0\.01 s"):
            async with pool.acquire(timeout=0.01):
                pass
    async with pool.acquire(timeout=60) as db:
        assert await db.fetchval("SELECT 1") == 1


async def test_waiting_is_fair(any_database_url: str, make_pool: MakePool) -> None:
    """First come, first served; nobody overtakes."""
    pool = await make_pool(any_database_url, max_size=1)
    order: list[int] = []

    async def work(number: int) -> None:
        async with pool.acquire():
            order.append(number)
            await asyncio.sleep(0)

    async with pool.acquire():
        tasks = [asyncio.create_task(work(number)) for number in range(20)]
        await asyncio.sleep(0.01)
        assert pool.stats().waiting == 20
    await asyncio.gather(*tasks)
    assert order == list(range(20))


async def test_a_cancelled_waiter_leaks_nothing(
    any_database_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Whether it is cancelled while it waits or at the very moment that it is served."""
    pool = await make_pool(any_database_url, max_size=2)
    rng = random.Random(5)

    async def work() -> None:
        async with pool.acquire() as db:
            for _ in range(rng.randrange(3)):
                await asyncio.sleep(0)
            assert db.session is not None

    for _ in range(60):
        tasks = [asyncio.create_task(work()) for _ in range(12)]
        for _ in range(rng.randrange(8)):
            await asyncio.sleep(0)
        for task in rng.sample(tasks, 8):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await settled(pool)
    assert pool.stats().waiting == 0
    assert pool.stats().size <= 2
    async with pool.acquire(), pool.acquire(timeout=60):
        pass


async def test_a_hand_over_to_a_cancelled_waiter_goes_to_the_next(
    any_database_url: str, make_pool: MakePool
) -> None:
    """Served and cancelled in the same turn of the loop: the next one gets it."""
    pool = await make_pool(any_database_url, max_size=1)

    async def work() -> int:
        async with pool.acquire() as db:
            found: int = await db.fetchval("SELECT 1")
            return found

    held = await pool.acquire()
    first, second = asyncio.create_task(work()), asyncio.create_task(work())
    while pool.stats().waiting < 2:  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0)
    pool.give_back(held)
    first.cancel()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_released_connection_is_refused(pool: ConnectionPool) -> None:
    """Whatever is tried on it after its block."""
    async with pool.acquire() as db:
        assert not db.is_released()
    assert db.is_released()
    for use in (
        db.fetch("SELECT 1"),
        db.fetchrow("SELECT 1"),
        db.fetchval("SELECT 1"),
        db.execute("SELECT 1"),
        db.executemany("SELECT $1", [(1,)]),
        db.transaction().begin(),
        anext(db.iterate("SELECT 1")),
    ):
        with pytest.raises(LifecycleError, match="released to the pool"):
            await use
    with pytest.raises(LifecycleError, match="released to the pool"):
        _ = db.raw


async def test_two_tasks_on_one_connection(pool: ConnectionPool, settled: Settled) -> None:
    """The second is refused with the reason; the first has its answer."""
    slow = slow_statement(pool)
    async with pool.acquire() as db:
        task = asyncio.create_task(db.fetch(slow))
        await asyncio.sleep(0)  # it begins
        with pytest.raises(LifecycleError, match="another task uses this connection"):
            await db.fetchval("SELECT 1")
        assert len(await task) == 1
        assert await db.fetchval("SELECT 1") == 1


async def test_released_while_another_task_uses_it(pool: ConnectionPool, settled: Settled) -> None:
    """The other task's answer reaches nobody else."""
    async with pool.acquire() as db:
        task = asyncio.create_task(db.fetch(slow_statement(pool)))
        await asyncio.sleep(0)  # it begins
    for number in range(20):
        assert await pool.fetchval("SELECT $1 + 0", number) == number
    await asyncio.gather(task, return_exceptions=True)
    await settled(pool)


def slow_statement(pool: ConnectionPool, seconds: float = 0.2) -> str:
    """A statement that takes a while (on SQLite: as long as this machine takes for its steps)."""
    return {
        "postgresql": f"SELECT pg_sleep({seconds})",
        "mysql": f"SELECT sleep({seconds})",
        "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < "
        f"{int(seconds * 5_000_000)}) SELECT max(n) FROM c",
    }[pool.statements.dialect]


async def test_entered_twice(pool: ConnectionPool) -> None:
    """An acquire() is for one block."""
    acquiring = pool.acquire()
    async with acquiring:
        with pytest.raises(LifecycleError, match="entered already"):
            await acquiring


async def test_stop_waits_for_connections_in_use(
    any_database_url: str, make_pool: MakePool
) -> None:
    """What is lent comes back first; new callers and those who wait are refused at once."""
    pool = await make_pool(any_database_url, max_size=1, stop_timeout=60)
    async with pool.acquire() as db:
        waiting = asyncio.create_task(pool.fetchval("SELECT 1"))
        await asyncio.sleep(0.01)
        stopping = asyncio.create_task(pool.stop())
        await asyncio.sleep(0.01)
        with pytest.raises(LifecycleError, match="stopping"):
            await waiting
        with pytest.raises(LifecycleError, match="stopping"):
            await pool.fetchval("SELECT 1")
        assert not stopping.done()
        assert await db.fetchval("SELECT 1") == 1
    await asyncio.wait_for(stopping, 30)


async def test_stop_has_a_limit(
    any_database_url: str, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    """After it the connections are closed under whoever has them."""
    pool = await make_pool(any_database_url, max_size=1, stop_timeout=0.05)
    async with pool.acquire() as db:
        await asyncio.wait_for(pool.stop(), 30)
        assert "still in use" in caplog.text
        with pytest.raises(DatabaseUnavailable):
            await db.fetchval("SELECT 1 + $1", 1)
    assert pool.stats() == (0, 0, 0)


async def test_idle_and_old_connections_are_closed(
    any_database_url: str, make_pool: MakePool
) -> None:
    """Down to min_size, and replaced when their time is over."""
    pool = await make_pool(any_database_url, max_size=3, min_size=1, idle_timeout=0.05)
    async with pool.acquire(), pool.acquire(), pool.acquire():
        assert pool.stats().size == 3
    async with asyncio.timeout(60):
        while pool.stats().size > 1:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.01)
    old = await make_pool(any_database_url, max_size=3, max_lifetime=0.05)
    async with old.acquire() as db:
        first = db.session
    async with asyncio.timeout(60):
        while not first.is_closed():  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.01)
    assert await old.fetchval("SELECT 1") == 1


async def test_another_event_loop_is_refused(pool: ConnectionPool) -> None:
    """A pool belongs to the loop that started it."""

    def elsewhere() -> str:
        async def use() -> None:
            await pool.fetchval("SELECT 1")

        try:
            asyncio.run(use())
        except LifecycleError as exc:
            return str(exc)
        return ""

    assert "another event loop" in await asyncio.to_thread(elsewhere)


def _use_in_child(pool: ConnectionPool, answers: Any) -> None:
    async def use() -> None:
        try:
            await pool.fetchval("SELECT 1")
        except LifecycleError as exc:
            answers.put(str(exc))

    # The parent's loop runs in this copy of it, as far as this thread knows.
    asyncio.events._set_running_loop(None)
    asyncio.run(use())


async def test_another_process_is_refused(sqlite_url: str, make_pool: MakePool) -> None:
    """A pool that was started before a fork is refused after it."""
    pool = await make_pool(sqlite_url)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_use_in_child, args=(pool, answers))
    child.start()
    assert "in each worker, after the fork" in await asyncio.to_thread(answers.get)
    child.join()


async def test_a_changed_session_is_reset(pool: ConnectionPool, settled: Settled) -> None:
    """What one user tells the session is not there for the next."""
    dialect = pool.statements.dialect
    set_, get = {
        "postgresql": ("SET statement_timeout = '7s'", "SHOW statement_timeout"),
        "mysql": ("SET @mark = 7", "SELECT @mark"),
        "sqlite": ("PRAGMA cache_size = 7", "PRAGMA cache_size"),
    }[dialect]
    before = await pool.fetchval(get)
    await settled(pool)
    async with pool.acquire() as db:
        await db.execute(set_)
        assert await db.fetchval(get) != before
    await settled(pool)
    assert await pool.fetchval(get) == before


async def test_raw_use_is_reset(pool: ConnectionPool, settled: Settled) -> None:
    """The pool cannot see what is done with the driver's own connection."""
    async with pool.acquire() as db:
        assert db.raw is db.session.raw
        assert db.session.changed
    await settled(pool)
    assert await pool.fetchval("SELECT 1") == 1


async def test_memory_is_one_database(make_pool: MakePool, settled: Settled) -> None:
    """``:memory:`` has one connection, whose data outlive resets and idle times."""
    pool = await make_pool("sqlite://:memory:", max_size=10, idle_timeout=0.02, max_lifetime=0.02)
    await pool.execute("CREATE TABLE t (id INTEGER)")
    await pool.execute("PRAGMA cache_size = 7")
    await settled(pool)
    await asyncio.gather(*(pool.execute("INSERT INTO t VALUES ($1)", n) for n in range(20)))
    for _ in range(3):
        await asyncio.sleep(0.05)
        assert await pool.fetchval("SELECT count(*) FROM t") == 20
        await settled(pool)
    assert pool.stats().size == 1
    async with pool.acquire() as db:
        await asyncio.sleep(0.05)
        assert await db.fetchval("SELECT count(*) FROM t") == 20
        with pytest.raises(PoolExhausted):
            async with pool.acquire(timeout=0.05):
                pass


async def test_sqlite_writers_queue(sqlite_url: str, make_pool: MakePool) -> None:
    """Transactions of one process wait for one another in order; readers do not wait at all."""
    pool = await make_pool(sqlite_url, max_size=20)
    await pool.execute("CREATE TABLE t (n INTEGER)")
    await pool.execute("INSERT INTO t VALUES (0)")

    async def add() -> None:
        async with pool.transaction() as db:
            found = await db.fetchval("SELECT n FROM t")
            await asyncio.sleep(0.001)
            await db.execute("UPDATE t SET n = $1", found + 1)

    await asyncio.gather(*(add() for _ in range(20)))
    assert await pool.fetchval("SELECT n FROM t") == 20


async def test_sqlite_two_writers_at_once(sqlite_url: str, make_pool: MakePool) -> None:
    """Writing on a second connection inside of a transaction would wait for itself: after the busy
    timeout it is told."""
    pool = await make_pool(f"{sqlite_url}?busy_timeout=0.05", max_size=3)
    await pool.execute("CREATE TABLE t (n INTEGER)")
    async with pool.transaction() as db:
        await db.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(TransactionConflict, match="write lock"):
            await pool.execute("INSERT INTO t VALUES (2)")
        assert await pool.fetchval("SELECT count(*) FROM t") == 0
    other = await make_pool(f"{sqlite_url}?busy_timeout=0.05")
    async with pool.transaction():
        with pytest.raises(TransactionConflict, match="locked"):
            await other.execute("INSERT INTO t VALUES (2)")


async def test_two_statements_in_one_text_are_refused_with_arguments(pool: ConnectionPool) -> None:
    """What an injection would need: no database takes it."""
    with pytest.raises(StatementError):
        await pool.execute("SELECT $1; SELECT 2", 1)
