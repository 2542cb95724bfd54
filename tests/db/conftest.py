"""Pools over each kind of database, tables of a test's own, and a server that can be cut off."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.db.drivers.postgres import driver as postgres
from sanic_ms.db.drivers.postgres import pipeline as postgres_pipeline
from sanic_ms.values import DatabaseURL

MakePool = Callable[..., Awaitable[ConnectionPool]]
MakeTable = Callable[..., Awaitable[str]]

TYPES = {
    "postgresql": {
        "json": "JSONB",
        "uuid": "UUID",
        "datetime": "TIMESTAMP",
        "instant": "TIMESTAMPTZ",
        "blob": "BYTEA",
        "serial": "SERIAL PRIMARY KEY",
    },
    "mysql": {
        "json": "JSON",
        "uuid": "UUID",
        "datetime": "DATETIME(6)",
        "instant": "TIMESTAMP(6) NULL",
        "blob": "LONGBLOB",
        "serial": "INTEGER PRIMARY KEY AUTO_INCREMENT",
    },
    "sqlite": {
        "json": "JSON",
        "uuid": "UUID",
        "datetime": "DATETIME",
        "instant": "TIMESTAMP",
        "blob": "BLOB",
        "serial": "INTEGER PRIMARY KEY",
    },
}


@pytest.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    """Starts pools; they are stopped at the end."""
    pools: list[ConnectionPool] = []

    async def make(url: str, **options: object) -> ConnectionPool:
        # What a busy machine is slow at is no failure; who tests a limit sets it.
        limits = {"acquire_timeout": 60.0, "connect_timeout": 60.0}
        pool = ConnectionPool(url, **{**limits, **options})  # type: ignore[arg-type]
        await pool.start()
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        await pool.stop()


@pytest.fixture
async def pool(any_database_url: str, make_pool: MakePool) -> ConnectionPool:
    """A pool over each kind of database in turn."""
    return await make_pool(any_database_url, max_size=4, stop_timeout=0.5)


@pytest.fixture
async def make_table(pool: ConnectionPool) -> AsyncIterator[MakeTable]:
    """Creates tables with names of their own; ``{json}`` … stand for the database's types."""
    tables: list[str] = []

    async def make(columns: str = "id INTEGER PRIMARY KEY, name VARCHAR(100)") -> str:
        table = f"t_{uuid.uuid4().hex[:12]}"
        types = TYPES[pool.statements.dialect]
        await pool.execute(f"CREATE TABLE {table} ({columns.format(**types)})")
        tables.append(table)
        return table

    yield make
    for table in tables:
        await pool.execute(f"DROP TABLE IF EXISTS {table}")


@pytest.fixture
async def table(make_table: MakeTable) -> str:
    """A table ``(id INTEGER PRIMARY KEY, name VARCHAR(100))``."""
    return await make_table()


@pytest.fixture
def settled() -> Callable[[ConnectionPool], Awaitable[None]]:
    """Waits until every connection of a pool is idle again, or gone."""

    async def wait(pool: ConnectionPool) -> None:
        async with asyncio.timeout(60):
            while pool.stats().idle != pool.stats().size:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.005)

    return wait


class Proxy:
    """A TCP relay in front of a database server, which can be shut, broken and frozen."""

    def __init__(self, target: DatabaseURL) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0

    @property
    def url(self) -> str:
        """The database's URL through this relay."""
        target = self._target
        return DatabaseURL(
            target.scheme, target.database, "127.0.0.1", self.port, target.user, target.password
        ).url

    async def up(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse new connections and reset those that there are: the server has died."""
        assert self._server is not None
        self._server.close()
        self.reset_connections()
        await asyncio.sleep(0)

    def reset_connections(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            with contextlib.suppress(Exception):
                writer.transport.abort()

    def freeze(self) -> None:
        """Carry nothing any more, and say nothing: the network has gone."""
        self._open.clear()

    def thaw(self) -> None:
        """Carry again."""
        self._open.set()

    async def end(self) -> None:
        """Close all of it."""
        self.thaw()
        await self.down()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            back, upstream = await asyncio.open_connection(self._target.host, self._target.port)
            self._writers.add(upstream)
            await asyncio.gather(self._carry(reader, upstream), self._carry(back, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, upstream):
                if end is not None:
                    self._writers.discard(end)
                    end.close()
            self._tasks.discard(task)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._open.wait()
            sink.write(data)
            await sink.drain()
        sink.close()


@pytest.fixture(params=["postgresql", "mysql"])
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[Proxy]:
    """A relay in front of each database server in turn."""
    fixture = "postgres_url" if request.param == "postgresql" else "mysql_url"
    relay = Proxy(DatabaseURL.parse(request.getfixturevalue(fixture)))
    await relay.up()
    yield relay
    await relay.end()


@pytest.fixture(params=["compiled", "python"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which pipelines the pools of a test get; the name of it."""
    name: str = request.param
    if name == "python":
        monkeypatch.setattr(postgres_pipeline, "_core", None)
        monkeypatch.setattr(postgres, "_core", None)
    elif postgres_pipeline._core is None:
        pytest.skip("it was not compiled")
    return name
