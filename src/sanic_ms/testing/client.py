"""`TestClient`: calls to a service in the same process, without a port.

Every request goes as bytes through the service's own protocol, over a connection in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from sanic import Blueprint

from sanic_ms.context import service_context
from sanic_ms.exception import LifecycleError
from sanic_ms.service import Service
from sanic_ms.testing.exclusive import claim, release
from sanic_ms.testing.factory import made
from sanic_ms.testing.handlers import find_handler
from sanic_ms.testing.memory import connect_in_memory
from sanic_ms.testing.mocks import MockServices
from sanic_ms.testing.response import TestResponse
from sanic_ms.testing.running import RunningService
from sanic_ms.utils.jsonable import to_plain

__all__ = ["TestClient"]

BASE_URL = "http://localhost"
TIMEOUT = 30.0


class TestClient:
    """Calls to one service. The service runs as long as the client is open.

    ::

        async with TestClient(app) as client:
            answer = await client.get("/users/1")
            answer = await client.create_user(data={"name": "Ann"})

    A client that was not entered refuses calls: nothing would stop the service behind them.

    Calls that the service makes to others go to ``mock``; one that no mock answers fails the test:
    the call to this client raises `UnansweredCall`. Cookies are kept from call to call.

    Args:
        app: The service, or a function that makes one.
        mock: The answers of other services. Default: none yet; register them on `client.mock`.
        blueprint: Where `client.<handler>` looks; default everywhere.
        headers: Headers of every call.
        address: What the service takes for the client's address.
        timeout: Seconds that an answer may take. Default 30.
    """

    __test__ = False  # pytest must not take it for tests

    def __init__(
        self,
        app: Service | Callable[[], Service],
        *,
        mock: MockServices | None = None,
        blueprint: str | Blueprint | None = None,
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        timeout: float = TIMEOUT,
    ) -> None:
        self._made = ExitStack()
        self.app = self._made.enter_context(made(app))
        self.mock = MockServices() if mock is None else mock
        self.blueprint = blueprint
        self.headers = dict(headers or {})
        self.address = address
        self.timeout = timeout
        self.running = RunningService(self.app, transport=self.mock)
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._current: AbstractContextManager[None] = contextlib.nullcontext()

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the service; entering the client does it, and leaving it is `close`.

        A service runs once at a time: where another thread runs the same one, this waits for it.

        Raises:
            LifecycleError: it runs already, or a part of it does not start.
            ConfigError: a setting is wrong.
        """
        claim(self.app)
        self._is_closed = False
        try:
            self.app.cache.isolate()
            await self.running.start()
        except BaseException:
            release(self.app)
            raise
        self._session = aiohttp.ClientSession(
            BASE_URL,
            connector=_MemoryConnector(self.running, self.address),
            cookie_jar=aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=BASE_URL),
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            headers={"User-Agent": "sanic-ms test", **self.headers},
            json_serialize=_to_json_text,
        )

    async def close(self) -> None:
        """Close the connections and stop the service. Again: does nothing."""
        session, self._session = self._session, None
        self._is_closed = True
        try:
            if session is not None:
                await self._stop(session)
        finally:
            self._made.close()

    async def _stop(self, session: aiohttp.ClientSession) -> None:
        try:
            await session.close()
            await asyncio.sleep(0)  # the service sees that they are closed
            await self.running.stop()
        finally:
            release(self.app)

    async def __aenter__(self) -> Self:
        if not self.running.is_running:
            await self.start()
        self._current = service_context(self.app)  # for what the test calls directly
        self._current.__enter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ValueError):  # a fixture may be left in another context
            self._current.__exit__(None, None, None)
        await self.close()
        if exc is None:
            self.mock.assert_all_answered()

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the next call will send."""
        if self._session is None:
            return {}
        return {cookie.key: cookie.value for cookie in self._session.cookie_jar}

    # --- by path ---------------------------------------------------------------------------------

    def request(self, method: str, path: str, **options: Any) -> Awaitable[TestResponse]:
        """A call, answered whole.

        Args:
            method: ``"GET"`` …
            path: Begins with ``/``; a query may stand in it.
            options: ``params`` (the query: a mapping or pairs), ``json`` (anything that
                `sanic_ms.utils.jsonify` takes), ``data`` (bytes, text, a form as a dict,
                `aiohttp.FormData` for files), ``headers``, ``cookies``, ``allow_redirects``
                (default False) and whatever else aiohttp takes.

        Raises:
            UnansweredCall: the service called another service, and no mock answers that.
            LifecycleError: the client was not entered, or is closed.
            RuntimeError: the test is not ``async def``.
            TypeError, ValueError: the path is no text, or does not begin with ``/``.
            TimeoutError: no answer within the client's timeout.
        """
        if not isinstance(path, str):
            raise TypeError(f"path {path!r}: give a text that begins with '/'")
        if not path.startswith("/"):
            raise ValueError(f"path {path[:80]!r}: begin it with '/'")
        _check_async(f"{method} {path}")
        return self._request(method, path, options)

    def get(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """`request` with GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """`request` with POST."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """`request` with PUT."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """`request` with PATCH."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """`request` with DELETE."""
        return self.request("DELETE", path, **options)

    def head(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """`request` with HEAD."""
        return self.request("HEAD", path, **options)

    def options(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """`request` with OPTIONS."""
        return self.request("OPTIONS", path, **options)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is read piece by piece: ``response.content.iter_any()``.

        The arguments are those of `request`.
        """
        session = await self._opened()
        options.setdefault("allow_redirects", False)
        async with session.request(method, path, **options) as response:
            yield response

    @asynccontextmanager
    async def websocket(
        self, path: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A web socket: ``send_str``, ``receive_str``, ``send_json``, ``receive_json``, ``close``.

        Args:
            path: Begins with ``/``.
            options: What aiohttp's ``ws_connect`` takes: ``headers``, ``protocols`` …

        Raises:
            aiohttp.WSServerHandshakeError: the service refuses it; ``status`` says how.
        """
        session = await self._opened()
        async with session.ws_connect(path, **options) as socket:
            yield socket

    # --- by handler ------------------------------------------------------------------------------

    def call(
        self,
        handler: str,
        /,
        *,
        data: Any = None,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
        path: Any = None,
        **values: Any,
    ) -> Awaitable[TestResponse]:
        """Call a handler by its name: ``client.create_user(…)`` is ``call("create_user", …)``.

        Args:
            handler: Its name, or ``blueprint.name`` where several blueprints have one.
            data: The body. Text and bytes are sent as they are, everything else in the media type
                that the handler declares: JSON, unless it reads a form.
            params: The query: a mapping or pairs.
            headers: Headers to add.
            method: Where the handler answers several.
            path: A mapping of path parameters, for those that are named like an argument here. Any
                other value is that of the path parameter ``path``.
            values: The path parameters.

        Raises:
            AttributeError: there is no such handler; the text lists those that there are.
            TypeError: a path parameter is missing, or unknown.
            UnansweredCall: as for `request`.
        """
        _check_async(handler)
        if path is not None:
            values |= path if isinstance(path, Mapping) else {"path": path}
        return self._call(handler, data, params, headers, method, values)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[TestResponse]]:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        find_handler(self.app, name, self.blueprint)  # the error belongs to this line
        return lambda **options: self.call(name, **options)

    async def _call(
        self,
        name: str,
        data: Any,
        params: Any,
        headers: Mapping[str, str] | None,
        method: str | None,
        values: dict[str, Any],
    ) -> TestResponse:
        handler = find_handler(self.app, name, self.blueprint)
        verb = handler.method(method)
        content_type = handler.spec(verb).content_type
        options: dict[str, Any] = {"params": params, "headers": dict(headers or {})}
        if isinstance(data, (bytes, str)):
            options["data"] = data
            if not any(key.lower() == "content-type" for key in options["headers"]):
                options["headers"]["Content-Type"] = content_type
        elif data is not None:
            is_json = "json" in content_type
            options["json" if is_json else "data"] = data
        return await self._request(verb, handler.path(values), options)

    # --- below -----------------------------------------------------------------------------------

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> TestResponse:
        session = await self._opened()
        options.setdefault("allow_redirects", False)
        with self.mock.checked():
            async with session.request(method, path, **options) as response:
                return await TestResponse.read(response)

    async def _opened(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise LifecycleError(f"the client of {self.app.name} is closed: the test is over")
        if self._session is None:
            await self._begin()
        if self.running.loop is not asyncio.get_running_loop():
            raise LifecycleError(
                f"{self.app.name} runs on another event loop: use one client in one test"
            )
        assert self._session is not None
        return self._session

    async def _begin(self) -> None:
        """A call comes before the start."""
        raise LifecycleError(
            f"{self.app.name} does not run yet: write `async with TestClient(app) as client:`, or "
            "`await client.start()` and in the end `await client.close()`"
        )


class _MemoryConnector(aiohttp.BaseConnector):
    """Connects aiohttp's client to a service in this process, whatever the URL's host."""

    def __init__(self, running: RunningService, address: str) -> None:
        super().__init__(limit=0)
        self._running = running
        self._address = address
        self._port = 50000

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        self._port += 1
        protocol = self._factory()
        connect_in_memory(
            protocol,
            self._running.protocol(),
            context=self._running.context,
            client_address=(self._address, self._port),
        )
        return protocol


def _check_async(what: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            f"{what}: this client is awaited, so the test is `async def` (or an APITestCase, "
            "whose client works in plain methods too)"
        ) from None


def _to_json_text(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=to_plain).decode()
