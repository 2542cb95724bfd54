"""`LiveServer`: the service on a real port, in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from sanic_ms.client.base import Transport
from sanic_ms.exception import LifecycleError
from sanic_ms.service import Service
from sanic_ms.testing.exclusive import claim, release
from sanic_ms.testing.running import RunningService

__all__ = ["LiveServer"]

_LIMIT = 60.0


class LiveServer:
    """A service that listens on a free port of 127.0.0.1, for whatever speaks HTTP.

    ::

        with LiveServer(app) as server:
            urllib.request.urlopen(f"{server.url}/users/1")

    Args:
        app: The service.
        transport: Carries the service's calls to others, usually `MockServices`; None: the network.
    """

    def __init__(self, app: Service, *, transport: Transport | None = None) -> None:
        self.app = app
        self.host = "127.0.0.1"
        self.port = 0
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Start the service and wait until it listens.

        Raises:
            LifecycleError: it runs already, or does not start.
        """
        if self._thread is not None:
            raise LifecycleError(f"{self.app.name} is served already")
        claim(self.app)
        self._ready.clear()
        self._failure = None
        self.port = 0
        self._thread = threading.Thread(target=self._run, name=f"live {self.app.name}", daemon=True)
        self._thread.start()
        if not self._ready.wait(_LIMIT):
            raise LifecycleError(f"{self.app.name} did not start within {_LIMIT:g} s")
        if not self.port:
            self._thread.join()
            self._thread = None
            release(self.app)
            self._raise_failure()

    def stop(self) -> None:
        """Stop the service and wait for its end. Again: does nothing."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(_LIMIT)
        release(self.app)
        if thread.is_alive():
            raise LifecycleError(f"{self.app.name} did not stop within {_LIMIT:g} s")
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._serve())
        except BaseException as exc:
            self._failure = exc
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        address = {"host": self.host}
        running = RunningService(self.app, transport=self._transport, where=address)
        await running.start()
        try:
            server = await running.listen(self.host)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stopping.wait()
            server.close()
        finally:
            await running.stop()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
