"""The life of one serving process: start, serve, stop.

Sanic's own runner installs its signal handlers after it has begun to serve, binds a unix socket
twice, and resets connections when it stops; so this one takes its place. It calls the same hooks of
the application in the same order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from ssl import SSLContext
from types import FrameType
from typing import Any

from sanic import Sanic
from sanic.application.constants import ServerStage
from sanic.application.ext import setup_ext
from sanic.logging.setup import setup_logging

from sanic_ms.awake import AwakeClock, AwakeTimer
from sanic_ms.server.http1.limits import Limits
from sanic_ms.server.http1.protocol import HttpProtocol, served
from sanic_ms.server.http1.state import drain
from sanic_ms.server.process.garbage import spared
from sanic_ms.server.process.listen_socket import ListenSocket
from sanic_ms.server.process.shutdown import cancel_tasks, finish_requests, finish_tasks
from sanic_ms.server.process.tls_listener import TlsListener
from sanic_ms.server.process.watchdog import Watchdog
from sanic_ms.stop_signals import StopSignals

__all__ = ["Server", "StopTimes"]

log = logging.getLogger("sanic_ms.server")

_HANDSHAKE = 0.1  # seconds for connections that had begun when the listener closes
_ROUNDS = 0.05  # seconds
_HANDSHAKES = 1.0  # seconds for TLS handshakes that had begun
_LOOKS = 100  # at its queue, every 10 ms, until it is empty


@dataclass(frozen=True, slots=True)
class StopTimes:
    """How long a stop may take, in seconds; those in which the process is stopped do not count.

    Attributes:
        delay: Between the announcement of the stop and the closing of the listener: load balancers
            go on sending until they have noticed.
        grace: For requests in flight and background tasks, from there on.
        last: For everything else: cancelled handlers, listeners, pools, exporters. When all three
            have passed the process ends, whatever it does.
    """

    delay: float = 0.0
    grace: float = 15.0
    last: float = 15.0


class Server:
    """One process that serves one application.

    Args:
        app: The application.
        place: The socket. It is closed at the end.
        protocol: The class that speaks HTTP.
        tls: For HTTPS.
        handshake_timeout: Seconds that a TLS handshake may take.
        times: How long a stop may take.
        signals: Those that stop it. A second one ends the process at once.
        leave: Awaited when a stop is announced: readiness turns false there.
        ready: Called once requests are served.
        blocked: Seconds after which what blocks the event loop is named in the log; 0 is never.
    """

    def __init__(
        self,
        app: Sanic[Any, Any],
        place: ListenSocket,
        *,
        protocol: Callable[..., asyncio.Protocol] = HttpProtocol,
        tls: SSLContext | None = None,
        handshake_timeout: float = 10.0,
        times: StopTimes | None = None,
        signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
        leave: Callable[[], Awaitable[None]] | None = None,
        ready: Callable[[], None] | None = None,
        blocked: float = 0.0,
    ) -> None:
        self.app = app
        self.place = place
        self.connections: set[Any] = set()
        # Whether other processes accept from the same socket, and go on when this one stops.
        self.shared = False
        # Called once a second while requests are served.
        self.ticks: list[Callable[[], None]] = []
        self._protocol = protocol
        self._tls = tls
        self._handshake_timeout = handshake_timeout
        self._times = times or StopTimes()
        in_main = threading.current_thread() is threading.main_thread()
        self._signals = tuple(signals) if in_main else ()
        self._leave = leave
        self._ready = ready
        self._blocked = blocked
        self._watchdog: Watchdog | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: asyncio.Event = asyncio.Event()
        self._counted = {"requests_count": 0}  # by Sanic's protocol
        self._told = 0  # signals that came
        self._stop_signals = StopSignals()
        self._quick = False
        self._listener: Any = None
        self._kill: AwakeTimer | None = None

    # --- from outside ----------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until `stop`, or a signal.

        Raises:
            Exception: what kept the application from starting.
        """
        with self._handled_signals():
            try:
                self._run()
            finally:
                self.place.close(unlink=not self.shared)
                if self._kill is not None:
                    self._kill.cancel()

    def stop(self, *, quick: bool = False) -> None:
        """Begin to stop; from any thread, and from a signal handler. Twice is once.

        Args:
            quick: Do not wait for load balancers and for connections that are about to come; the
                requests in flight are finished all the same.
        """
        self._quick = self._quick or quick
        if not quick:
            self._limit()
        if self._loop is None:
            self._asked.set()
        else:
            with contextlib.suppress(RuntimeError):  # it is over already
                self._loop.call_soon_threadsafe(self._asked.set)

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun."""
        return self._asked.is_set()

    def requests(self) -> int:
        """How many requests it has served."""
        return self._counted["requests_count"] + served(self.app)

    # --- signals ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[None]:
        # Not the loop's own signal handlers: these work before it runs and while it is blocked.
        before = [signal.signal(number, self._on_signal) for number in self._signals]
        try:
            yield
        finally:
            for number, handler in zip(self._signals, before, strict=True):
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stop_signals.is_echo(number):
            return
        self._told += 1
        if self._told > 1:
            self._end_now(f"a second signal ({signal.Signals(number).name})")
        self.stop()

    def _end_now(self, reason: str) -> None:
        # The log may be what is stuck, or what the signal came into.
        line = f"{self.app.name}: forced exit: {reason}\n"
        with contextlib.suppress(OSError):
            os.write(2, line.encode())
        os._exit(1)

    # --- the life --------------------------------------------------------------------------------

    def _run(self) -> None:
        app = self.app
        app.setup_loop()
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            setup_logging(app.state.is_debug, app.config.NO_COLOR, app.config.LOG_EXTRA)
            if app.debug:
                loop.set_debug(True)
            app.asgi = False
            if app.state.server_info:
                app.state.server_info[0].stage = ServerStage.SERVING
            setup_ext(app)
            self._watchdog = Watchdog(loop, self._blocked)
            loop.run_until_complete(self._live(loop))
        finally:
            if self._watchdog is not None:
                self._watchdog.stop()
            asyncio.set_event_loop(None)
            loop.close()

    async def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        try:
            if not await self._start():
                log.info("%s was stopped before it had started", self.app.name)
                return
            try:
                # The collector belongs to the process, and so is left alone where that does not
                # serve only.
                with spared() if self._signals else contextlib.nullcontext():
                    await self._open()
                    await self._asked.wait()
            except BaseException:
                self._quick = True  # nobody is to be waited for
                raise
            finally:
                self._limit()
                await self._stop()
        finally:
            await self._tidy(loop)

    async def _start(self) -> bool:
        """Start the application, unless a stop comes first."""
        starting = asyncio.ensure_future(self._start_app())
        asked = asyncio.ensure_future(self._asked.wait())
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not starting.done():
            self._limit()
            starting.cancel()
            await asyncio.wait({starting})
            if starting.cancelled():
                return False
        await starting
        return True

    async def _start_app(self) -> None:
        await self.app._startup()  # type: ignore[no-untyped-call]
        await self.app._server_event("init", "before")

    async def _open(self) -> None:
        await self._listen()
        await self.app._server_event("init", "after")
        self.app.set_serving(True)
        self._beat()
        if self._watchdog is not None:
            self._watchdog.start()
        if self._ready is not None and not self._asked.is_set():
            self._ready()

    def _beat(self) -> None:
        assert self._loop is not None
        for tick in self.ticks:
            tick()
        self._loop.call_later(1.0, self._beat)

    async def _listen(self) -> None:
        app = self.app
        settings: dict[str, Any] = {}
        if hasattr(self._protocol, "websocket_handshake"):
            settings = {
                "websocket_max_size": app.config.WEBSOCKET_MAX_SIZE,
                "websocket_ping_interval": app.config.WEBSOCKET_PING_INTERVAL,
                "websocket_ping_timeout": app.config.WEBSOCKET_PING_TIMEOUT,
            }
        factory = partial(
            self._protocol,
            loop=self._loop,
            connections=self.connections,
            app=app,
            state=self._counted,
            unix=str(self.place.unix) if self.place.unix else None,
            **settings,
        )
        assert self._loop is not None
        bound, backlog = self.place.share().socket, self.place.backlog
        if self._tls is None:
            self._listener = await self._loop.create_server(factory, sock=bound, backlog=backlog)
        else:
            self._listener = TlsListener(
                factory,
                bound,
                self._tls,
                backlog=backlog,
                timeout=self._handshake_timeout,
                connections=self.connections,
                most=Limits.of(app.config).most_connections,
                name=app.name,
            )

    async def _stop(self) -> None:
        times = self._times
        app = self.app
        log.info("%s is stopping", app.name)
        if self._leave is not None:
            await self._leave()
        if times.delay and not self._quick:
            await asyncio.sleep(times.delay)
        await self._tell("before")
        drain(app)
        await self._close_listener()
        clock = AwakeClock()
        await finish_requests(self.connections, times.grace, clock=clock)
        await finish_tasks(lambda: app.tasks, times.grace, clock)
        await cancel_tasks(app.tasks)
        app.purge_tasks()
        app.set_serving(False)
        await self._tell("after")
        log.info("%s has stopped", app.name)

    async def _tell(self, action: str) -> None:
        """Call the application's listeners for the stop; one that fails does not end it."""
        try:
            await self.app._server_event("shutdown", action)
        except Exception:
            log.exception("a listener failed in the stop of %s", self.app.name)

    async def _close_listener(self) -> None:
        """Accept whoever has connected, and then nobody."""
        if self._listener is None:
            return
        if self.shared and not self._quick:
            await asyncio.sleep(_HANDSHAKE)  # in which the others may be told to stop as well
        if not self.shared and not self._quick:
            self.place.refuse_new()
            await asyncio.sleep(_HANDSHAKE)
            for _ in range(_LOOKS):
                if not self.place.has_waiting():
                    break
                await asyncio.sleep(0.01)
        self._listener.close()
        # All copies go, and not when the process ends: with the last one the kernel refuses who
        # comes, or hands him to the next service on this port. Until then it is silent.
        self.place.close(unlink=not self.shared)
        # What the loop has accepted becomes a connection of ours in its next rounds.
        await asyncio.sleep(_ROUNDS)
        if isinstance(self._listener, TlsListener):
            await self._listener.finish(_HANDSHAKES)

    def _limit(self) -> None:
        """From now on a stop has so long; then the process ends."""
        if self._kill is None and self._signals:
            times = self._times
            seconds = times.delay + times.grace + times.last
            # A thread: the loop may be what is stuck.
            end = partial(self._end_now, f"the stop took more than {seconds:g} s")
            self._kill = AwakeTimer(seconds, end)

    async def _tidy(self, loop: asyncio.AbstractEventLoop) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await cancel_tasks(task for task in left if task is not None)
        await loop.shutdown_asyncgens()
        # It waits for threads that may never end; the limit on the stop ends them.
        await loop.shutdown_default_executor()
