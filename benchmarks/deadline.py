"""How soon the work of a request ends behind its deadline: on three services and in PostgreSQL.

A calls B, B calls C, and C runs ``SELECT pg_sleep(5)``. A client gives A 300 ms, in the header
``X-Request-Timeout-Ms``. Each service is a process of its own with the usual settings. Shown are
the milliseconds from the moment before the client sends:

client      the 504 of A is there
a, b, c     the handler has ended, whatever it was waiting for
postgresql  ``pg_stat_activity`` shows the statement no more; it is asked all the time

Of several rounds the median and the worst are shown. The clock is that of the machine, which all
processes share.

Bias: everything runs on one machine, and the client and the question to PostgreSQL take their share
of it. The services have served a request before.

Usage: python -m benchmarks.deadline [--rounds 20] [--milliseconds 300] [postgresql://…]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

__all__ = ["Hops", "Round", "running_hops"]

NAMES = ("a", "b", "c")

SERVER = """\
import os
import time

from sanic_ms import Service
from sanic_ms.client import Client

app = Service(os.environ["HOP"])
ended = []


@app.before_server_start
async def connect(app):
    if "next" in app.settings.services:
        app.next = Client("next", app=app)


@app.get("/work")
async def work(request):
    seconds = float(request.args.get("s"))
    outcome = "done"
    try:
        if hasattr(app, "next"):
            response = await app.next.get("/work", params={"s": seconds})
            return await response.json()
        return await app.db.fetchval("SELECT pg_sleep($1)::text", seconds)
    except BaseException as exc:
        outcome = type(exc).__name__
        raise
    finally:
        ended.append({"at": time.monotonic(), "outcome": outcome})


@app.get("/ended")
async def tell(request):
    told, ended[:] = [*ended], []
    return told
"""


@dataclass(frozen=True)
class Round:
    """One request to A.

    Attributes:
        status: Of A's response.
        took: Seconds until each of ``client``, ``a``, ``b``, ``c`` and ``postgresql`` had ended.
        outcomes: How the handlers have ended: ``"done"``, or the class of an exception.
    """

    status: int
    took: dict[str, float]
    outcomes: dict[str, str]


class Hops:
    """The three services, and the database of the last one.

    Args:
        ports: Where they listen.
        database: Its URL.
    """

    def __init__(self, ports: dict[str, int], database: str) -> None:
        self._ports = ports
        self._database = database

    async def call(self, *, milliseconds: int, seconds: float) -> Round:
        """Send one request, and wait until its work has ended everywhere.

        Args:
            milliseconds: What the client gives A.
            seconds: How long the statement would run.
        """
        connection = await asyncpg.connect(self._database)
        try:
            for name in NAMES:
                await self.get(name, "/ended")
            started = time.monotonic()
            call = asyncio.create_task(self.get("a", f"/work?s={seconds}", milliseconds))
            was_seen = False
            while True:
                is_seen = await connection.fetchval(_IS_RUNNING)
                if not is_seen and (was_seen or call.done()):
                    break
                was_seen = was_seen or is_seen
            took = {"postgresql": time.monotonic() - started}
            status, _, at = await call
            took["client"] = at - started
            outcomes = {}
            for name in NAMES:
                (entry,) = await self._ended(name)
                took[name] = entry["at"] - started
                outcomes[name] = entry["outcome"]
            return Round(status, took, outcomes)
        finally:
            await connection.close()

    async def _ended(self, name: str) -> list[Any]:
        while True:
            _, body, _ = await self.get(name, "/ended")
            if entries := body["data"]:
                return list(entries)
            await asyncio.sleep(0.01)

    async def get(
        self, name: str, path: str, milliseconds: int | None = None
    ) -> tuple[int, Any, float]:
        """One request.

        Args:
            name: The service.
            path: The path.
            milliseconds: What the caller says that it waits; None: it says nothing.

        Returns:
            The status, the body, and the moment at which both were there.
        """
        url = f"http://127.0.0.1:{self._ports[name]}{path}"
        return await asyncio.to_thread(_get, url, milliseconds)


_IS_RUNNING = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep%'
"""


def _get(url: str, milliseconds: int | None) -> tuple[int, Any, float]:
    headers = {} if milliseconds is None else {"X-Request-Timeout-Ms": str(milliseconds)}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return response.status, json.load(response), time.monotonic()
    except urllib.error.HTTPError as exc:
        return exc.code, json.load(exc), time.monotonic()


@contextlib.contextmanager
def running_hops(database: str) -> Iterator[Hops]:
    """Run the three services.

    Args:
        database: URL of a database that nobody else uses.

    Raises:
        RuntimeError: one does not start; the text has what it wrote.
    """
    ports = dict(zip(NAMES, _free_ports(len(NAMES)), strict=True))
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        Path(folder, "server.py").write_text(SERVER)
        try:
            for name, following in zip(NAMES, (*NAMES[1:], None), strict=True):
                if following is None:
                    said = {"DB_URL": database}
                else:
                    said = {"SERVICES": f"next=http://127.0.0.1:{ports[following]}"}
                log = stack.enter_context(Path(folder, f"{name}.log").open("wb"))
                process = subprocess.Popen(
                    [sys.executable, "-m", "sanic_ms", "run"],
                    cwd=folder,
                    env={**os.environ, "HOP": name, "PORT": str(ports[name]), **said},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                started.append(process)
            for name, process in zip(NAMES, started, strict=True):
                _wait_for(process, ports[name], Path(folder, f"{name}.log"))
            yield Hops(ports, database)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(60)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + 90
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"a service does not start:\n{log.read_text()}")
        time.sleep(0.05)


async def _measure(hops: Hops, rounds: int, milliseconds: int) -> list[Round]:
    await hops.call(milliseconds=60_000, seconds=0.05)
    await hops.call(milliseconds=milliseconds, seconds=5)
    return [await hops.call(milliseconds=milliseconds, seconds=5) for _ in range(rounds)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--milliseconds", type=int, default=300)
    parser.add_argument(
        "database", nargs="?", default="postgresql://postgres@127.0.0.1:5432/postgres"
    )
    given = parser.parse_args(arguments)
    with running_hops(given.database) as hops:
        results = asyncio.run(_measure(hops, given.rounds, given.milliseconds))
    print(f"{given.rounds} requests with {given.milliseconds} ms")  # noqa: T201
    for place in ("client", *NAMES, "postgresql"):
        times = [1000 * result.took[place] for result in results]
        shown = f"median {statistics.median(times):6.1f} ms, worst {max(times):6.1f} ms"
        ends = sorted({result.outcomes[place] for result in results} if place in NAMES else [])
        print(f"{place:<10} {shown}  {', '.join(ends)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
