"""A worker process: how it is told things, and how it tells how it is.

Master and worker talk over one pipe. The worker says ``ready``, ``alive`` every second, ``renew``
when it wants to be replaced, ``halt`` when the application wants everything to stop, ``done`` when
its function has returned, and ``failed`` with a reason; the master says ``stop``. The end of the
pipe says that the other is dead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from sanic.exceptions import SanicException

from sanic_ms.exception import ConfigError, MissingDependency, SanicMSError
from sanic_ms.server.process.listen_socket import ListenSocket
from sanic_ms.telemetry.stacks import describe

__all__ = ["FAILED", "WRONG", "Job", "Life", "Link", "Recycling", "exit_code_of", "work"]

log = logging.getLogger("sanic_ms.server")

# Exit codes of a process that could not serve.
FAILED = 1  # it was tried
WRONG = 2  # settings or the application's code are


def exit_code_of(exc: BaseException) -> int:
    """The exit code of a process that ends with this error."""
    return WRONG if isinstance(exc, (ConfigError, MissingDependency)) else FAILED


@dataclass(frozen=True, slots=True)
class Recycling:
    """After what a worker is replaced by a fresh one; 0 is never.

    Attributes:
        requests: Requests that it has served.
        memory: Bytes of memory that it holds (resident).
    """

    requests: int = 0
    memory: int = 0

    def reason(self, requests: int, memory: int) -> str:
        """Why a worker with these figures is to be replaced; empty if it is not."""
        if self.requests and requests >= self.requests:
            return f"it has served {requests} requests"
        if self.memory and memory >= self.memory:
            return f"it holds {memory / 1e6:.0f} MB"
        return ""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker process is given; all of it can be pickled.

    Attributes:
        place: Where to listen.
        load: Gives the application, in the worker. A service: its ``launch`` serves.
        settings: What the master's application was configured with in code.
        keywords: Those of ``run``.
        shared: The attributes of ``app.shared_ctx``.
        function: The name of the application's function that runs there; empty: it serves.
    """

    load: Callable[[], Any]
    place: ListenSocket
    settings: dict[str, Any] = field(default_factory=dict)
    keywords: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    recycling: Recycling = Recycling()
    function: str = ""


class Life(Protocol):
    """What runs in a worker process, as the master's orders reach it.

    Attributes:
        shared: Whether other processes go on when this one stops.
        ticks: Called once a second.
    """

    shared: bool
    ticks: list[Callable[[], None]]

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun."""

    def stop(self, *, quick: bool = False) -> None:
        """Begin to stop."""

    def requests(self) -> int:
        """How many requests it has served."""


class Link:
    """The worker's end of the pipe."""

    def __init__(self, connection: Connection, recycling: Recycling) -> None:
        self._connection = connection
        self._recycling = recycling
        self._lock = threading.Lock()
        self._server: Life | None = None
        self._order: tuple[bool, bool] | None = None  # to stop: last, quick
        self._renewing = False
        self._fresh = True
        threading.Thread(target=self._listen, name="master", daemon=True).start()

    def tell(self, word: str, text: str = "") -> None:
        """Say something to the master, if it lives."""
        with contextlib.suppress(OSError), self._lock:
            self._connection.send((word, text))

    def attach(self, server: Life) -> None:
        """From now on this is what the master's orders reach."""
        server.shared = True
        server.ticks.append(lambda: self._tick(server))
        with self._lock:
            self._server = server
            order = self._order
        if order is not None:
            self._stop(server, *order)

    def _tick(self, server: Life) -> None:
        # A master that is stopped reads nothing: to write into a full pipe would stop us as well.
        if _is_writable(self._connection):
            self.tell("alive")
        if self._fresh:
            self._fresh = False
            if 0 < self._recycling.memory <= (least := _resident()):
                log.warning(
                    "WORKER_MAX_MEMORY is ignored: a worker holds %d bytes when it starts", least
                )
                self._recycling = replace(self._recycling, memory=0)
        if not self._renewing and not server.stopping:
            reason = self._recycling.reason(server.requests(), _resident())
            if reason:
                self._renewing = True
                self.tell("renew", reason)

    def _listen(self) -> None:
        """Wait for orders; a thread, so that a blocked loop does not outlive its master."""
        while True:
            try:
                _, last, quick = self._connection.recv()
            except (OSError, EOFError):
                log.warning("the master process is gone: worker %d stops", os.getpid())
                last, quick = True, False
            with self._lock:
                server, self._order = self._server, (last, quick)
            if server is None:
                os._exit(0)  # nothing is served yet
            self._stop(server, last, quick)
            if last:
                return

    @staticmethod
    def _stop(server: Life, last: bool, quick: bool) -> None:
        server.shared = not last
        server.stop(quick=quick)


def work(job: Job, number: int, connection: Connection) -> None:
    """What a worker process does; started by `Supervisor`."""
    # Ctrl+C at a terminal reaches everybody there; the master passes it on as an order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # The names by which Sanic's log lines and others' code know a worker.
    os.environ["SANIC_WORKER_NAME"] = f"Sanic-{job.function or 'Server'}-{number}-0"
    os.environ["SANIC_WORKER_PROCESS"] = "true"
    link = Link(connection, job.recycling)
    try:
        job.load().launch.serve_as_worker(job, link)
    except SystemExit as exc:
        if exc.code not in (0, None):
            link.tell("failed", str(exc.code))
        raise
    except Exception as exc:
        if isinstance(exc, (SanicMSError, SanicException)):
            link.tell("failed", str(exc))
        else:
            log.exception("worker %d failed", os.getpid())
            link.tell("failed", describe(exc))
        raise SystemExit(exit_code_of(exc)) from None


def _is_writable(connection: Connection) -> bool:
    """Whether a short message can be sent at once."""
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLOUT)
    except OSError:
        return False
    return any(event & select.POLLOUT for _, event in poll.poll(0))


def _resident() -> int:
    """The memory that this process holds, in bytes; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
