"""How calls are written: the methods of HTTP, and what each of them gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypedDict, TypeVar, Unpack, overload

from sanic_ms.client.response import Response
from sanic_ms.client.timeouts import Timeout

__all__ = ["Call", "CallOptions", "Verbs"]

T = TypeVar("T")


class CallOptions(TypedDict, total=False):
    """What any call takes besides method and path.

    Attributes:
        params: Query parameters: a mapping, or pairs where a name comes twice. They are added to
            a query that stands in the path.
        json: The body as JSON; anything that `sanic_ms.utils.jsonify` takes. None: no body.
        data: The body as it is: bytes, text, a form as a dict, or anything that aiohttp takes.
            Not together with ``json``.
        headers: Headers to add; they win over those of the client.
        timeout: Seconds for the whole call, or a `Timeout`. Default: the client's.
        allow_redirects: Follow redirects. Default False.
        max_size: Bytes of body, decompressed, above which the answer is refused. Default: the
            client's.
    """

    params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None
    json: Any
    data: Any
    headers: Mapping[str, str] | None
    timeout: float | Timeout | None
    allow_redirects: bool
    max_size: int | None


class Call:
    """A call that is about to be made. Use it once, in one of two ways.

    ``async with call as response:`` gives the answer when its head is there; the body is read when
    it is asked for, and the connection is given back at the end of the block.
    ``response = await call`` reads the body as well and gives the connection back at once.
    """

    __slots__ = ("_coroutine", "_response")

    def __init__(self, coroutine: Coroutine[Any, Any, Response]) -> None:
        self._coroutine = coroutine
        self._response: Response | None = None

    def __await__(self) -> Generator[Any, None, Response]:
        return self._whole().__await__()

    async def __aenter__(self) -> Response:
        self._response = await self._coroutine
        return self._response

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._response is not None:
            self._response.close()

    def close(self) -> None:
        """Drop a call that will not be made."""
        self._coroutine.close()

    async def _whole(self) -> Response:
        response = await self._coroutine
        try:
            await response.read()
        finally:
            response.close()
        return response


class Verbs(ABC):
    """The methods of HTTP, over one `request`."""

    __slots__ = ()

    @abstractmethod
    def request(self, method: str, path: str, **options: Unpack[CallOptions]) -> Call:
        """A call with any method.

        Args:
            method: ``"GET"`` …, in any case.
            path: Begins with one ``/``; it is appended to the service's base URL.
            options: See `CallOptions`.

        The errors below are raised when the call is awaited or entered.

        Raises:
            ServiceCallError: no answer came that could be understood (502).
            ServiceTimeout: no answer in time (504).
            DeadlineExceeded: the deadline of the request that is served was over before (504).
            ConfigError: the settings do not say where the service is.
            LifecycleError: the client is closed.
            ValueError, TypeError: a path, header or option that cannot be sent.
        """

    def get(self, path: str, **options: Unpack[CallOptions]) -> Call:
        """`request` with GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Unpack[CallOptions]) -> Call:
        """`request` with POST."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Unpack[CallOptions]) -> Call:
        """`request` with PUT."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Unpack[CallOptions]) -> Call:
        """`request` with PATCH."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Unpack[CallOptions]) -> Call:
        """`request` with DELETE."""
        return self.request("DELETE", path, **options)

    def head(self, path: str, **options: Unpack[CallOptions]) -> Call:
        """`request` with HEAD."""
        return self.request("HEAD", path, **options)

    def options(self, path: str, **options: Unpack[CallOptions]) -> Call:
        """`request` with OPTIONS."""
        return self.request("OPTIONS", path, **options)

    @overload
    async def get_json(self, path: str, **options: Unpack[CallOptions]) -> Any: ...
    @overload
    async def get_json(self, path: str, *, type: type[T], **options: Unpack[CallOptions]) -> T: ...
    async def get_json(self, path: str, *, type: Any = Any, **options: Unpack[CallOptions]) -> Any:
        """GET a path and give its data, as `Response.json` does.

        Args:
            path: Begins with one ``/``.
            type: Decode to this. Default: plain data.
            options: See `CallOptions`.

        Raises:
            HTTPError: what `request` and `Response.json` raise.
        """
        response = await self.request("GET", path, **options)
        return await response.json(type=type)
