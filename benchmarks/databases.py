"""What a case needs beside the server: a database of its own, or the two other services."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from benchmarks.cases import person
from benchmarks.collector import spans_of
from benchmarks.machine import Cores
from benchmarks.peers import PYTHON, ROOT
from benchmarks.peers.shared import PEOPLE
from benchmarks.process import free_port, running

__all__ = ["Missing", "Surroundings", "surroundings"]

T = TypeVar("T")

_COLUMNS = "id integer PRIMARY KEY, name text, email text, age integer, city_id integer"
_ROWS = [tuple(person(id).values()) for id in range(1, PEOPLE + 1)]


class Missing(Exception):
    """Something that a case needs does not answer. The message says what and where."""


class Surroundings:
    """What is there for a server, told by its environment.

    Args:
        environment: What the server is told.
        postgres: The address of the database, empty where there is none.
        cores: Where it may run.
    """

    def __init__(self, environment: dict[str, str], postgres: str, cores: Cores) -> None:
        self.environment = environment
        self._postgres = postgres
        self._cores = cores

    def keep_away(self) -> None:
        """Move PostgreSQL's processes that serve our database off the server's core.

        Those of other databases are left alone. It takes the right to do so (root, or PostgreSQL's
        user), and a server on this machine; without that the kernel decides, and this does nothing.
        """
        if not self._postgres:
            return
        for pid in _run(_backend_pids(self._postgres)):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(pid, self._cores.others)

    def spans(self) -> int:
        """How many spans the collector of traces has got so far, from everybody."""
        return spans_of(self.environment["BENCH_COLLECTOR"])

    def reset(self) -> None:
        """Bring the table back to its first state, so that every round finds the same."""
        if self._postgres:
            _run(_fill(self._postgres))

    def visits(self) -> int:
        """How many updates the database has seen since the last reset."""
        return _run(_visits(self._postgres)) if self._postgres else 0


@contextlib.contextmanager
def surroundings(needs: frozenset[str], cores: Cores, postgres: str) -> Iterator[Surroundings]:
    """Make what the case needs, and take it away at the end.

    Args:
        needs: Of ``"postgres"``, ``"sqlite"`` and ``"backends"``.
        postgres: The URL of a database of a PostgreSQL server in which databases may be made.

    Raises:
        Missing: the PostgreSQL server does not answer, or allows no new database.
    """
    environment: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        url = ""
        if "postgres" in needs:
            url = environment["BENCH_POSTGRES"] = stack.enter_context(_postgres(postgres))
        if "sqlite" in needs:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            environment["BENCH_SQLITE"] = _sqlite(Path(folder) / "bench.db")
        if "backends" in needs:
            for name in ("BENCH_CITIES", "BENCH_ROLES"):
                environment[name] = stack.enter_context(_service("backend", cores))
        environment["BENCH_COLLECTOR"] = stack.enter_context(_service("collector", cores))
        yield Surroundings(environment, url, cores)


@contextlib.contextmanager
def _service(module: str, cores: Cores) -> Iterator[str]:
    """One of our own small services, away from the server's core; gives its address."""
    port = free_port()
    command = [PYTHON, "-m", f"benchmarks.{module}", str(port)]
    core = min(cores.others)
    with running(command, port=port, core=core, environment={}, folder=ROOT):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _postgres(url: str) -> Iterator[str]:
    """A new database with the table, dropped at the end."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    new = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    try:
        _run(_admin(url, f"CREATE DATABASE {name}"))
    except (OSError, asyncpg.PostgresError) as exc:
        raise Missing(f"PostgreSQL at {urlsplit(url).hostname} ({exc}); give --postgres") from exc
    try:
        # A commit waits for no disk: the disk is not what is compared.
        _run(_admin(url, f"ALTER DATABASE {name} SET synchronous_commit = off"))
        _run(_fill(new))
        yield new
    finally:
        _run(_admin(url, f"DROP DATABASE {name} WITH (FORCE)"))


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def _admin(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        await connection.execute(
            "DROP TABLE IF EXISTS people;"
            # Room in each page, so that updates stay within it and do not touch the index.
            f"CREATE TABLE people ({_COLUMNS}, visits integer NOT NULL DEFAULT 0)"
            " WITH (fillfactor = 50)"
        )
        names = ["id", "name", "email", "age", "city_id"]
        await connection.copy_records_to_table("people", records=_ROWS, columns=names)
        await connection.execute("VACUUM ANALYZE people")
    finally:
        await connection.close()


async def _visits(url: str) -> int:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return int(await connection.fetchval("SELECT sum(visits) FROM people"))
    finally:
        await connection.close()


async def _backend_pids(url: str) -> list[int]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        found = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND inet_server_addr() = inet_client_addr()"
        )
        return [record["pid"] for record in found]
    finally:
        await connection.close()


def _sqlite(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute(f"CREATE TABLE people ({_COLUMNS})")
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", _ROWS)
    return str(path)
