"""The answer of another service as a caller reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Any, Final, TypeVar, overload

import msgspec

from sanic_ms.client.base import ServiceRequest, ServiceResponse
from sanic_ms.client.errors import remote_error
from sanic_ms.exception import LifecycleError, ServiceCallError
from sanic_ms.values import CursorPagination, OffsetPagination, Pagination

__all__ = ["Response"]

T = TypeVar("T")

_REDIRECTS: Final = frozenset([301, 302, 303, 307, 308])
"""The statuses that say where to ask instead (RFC 9110, 15.4). A 304 is none of them."""


class _State(Enum):
    """What has happened to the body."""

    FRESH = "not touched"
    STARTED = "read before"
    CLOSED = "given back unread"


class Response:
    """An answer. Read it while the ``async with`` that gave it lasts, or after an ``await``.

    Attributes:
        status: The HTTP status.
        headers: The headers; keys in any case.
        service: The name of the service that answered.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_max_size",
        "_request",
        "_state",
        "headers",
        "service",
        "status",
    )

    def __init__(self, answer: ServiceResponse, request: ServiceRequest, max_size: int) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.service = request.service
        self._answer = answer
        self._request = request
        self._max_size = max_size
        self._state = _State.FRESH
        self._body: bytes | None = None

    def __repr__(self) -> str:
        return f"<Response {self.status} of {self.service} to {self._request}>"

    @property
    def ok(self) -> bool:
        """The status is below 400."""
        return self.status < 400

    @property
    def content_type(self) -> str:
        """The media type, lower-case and without parameters; ``""`` where there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def body(self) -> bytes:
        """The document untouched.

        Raises:
            LifecycleError: it has not been read yet; ``await response.read()`` first.
        """
        if self._body is None:
            raise LifecycleError(f"{self!r} is not read yet; write await response.read()")
        return self._body

    @property
    def pagination(self) -> Pagination | OffsetPagination | CursorPagination | None:
        """The envelope's pagination; None where there is none. Known once the answer was read.

        Its class is that of the page which the route takes: `Page`, `Offset` or `Cursor`.

        Raises:
            LifecycleError: the answer has not been read yet.
            ServiceCallError: there is one, and it is not of our form.
        """
        if not self.body:
            return None
        try:
            found = msgspec.json.decode(self.body, type=_Paged).pagination
            return None if found is None else msgspec.convert(found, _pagination_of(found))
        except (ValueError, RecursionError) as exc:
            raise self._not_understood(f"a pagination that does not fit: {exc}") from exc

    async def read(self) -> bytes:
        """The body, whole and decompressed. Reading again gives the same bytes.

        Raises:
            ServiceCallError: it is larger than the call's ``max_size``, or the connection broke.
            ServiceTimeout: it did not arrive in time.
            LifecycleError: it was streamed, or given back unread.
        """
        if self._body is None:
            announced = self._begin()
            pieces = []
            size = 0
            while size != announced and (piece := await self._answer.receive()):
                size += len(piece)
                if size > self._max_size:
                    raise self._too_large()
                pieces.append(piece)
            self._body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._body

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces as they arrive, decompressed; the limits are those of `read`.

        Raises:
            ServiceCallError, ServiceTimeout, LifecycleError: as `read`.
        """
        if self._body is not None:
            if self._body:
                yield self._body
            return
        self._begin()
        size = 0
        while piece := await self._answer.receive():
            size += len(piece)
            if size > self._max_size:
                raise self._too_large()
            yield piece

    async def text(self) -> str:
        """The body as text, in the charset that it names or UTF-8; wrong bytes become U+FFFD.

        Raises:
            ServiceCallError, ServiceTimeout: as `read`.
        """
        body = await self.read()
        _, _, parameters = self.headers.get("Content-Type", "").partition("charset=")
        charset = parameters.partition(";")[0].strip(" \"'") or "utf-8"
        try:
            return body.decode(charset, errors="replace")
        except LookupError:
            return body.decode(errors="replace")

    @overload
    async def json(self) -> Any: ...
    @overload
    async def json(self, *, type: type[T]) -> T: ...
    async def json(self, *, type: Any = Any) -> Any:
        """The data of the answer: ``data`` of an envelope, any other JSON document as it is.

        Args:
            type: Decode to this: a Struct, a dataclass, ``list[City]`` … Default: plain data.

        An empty body (204, HEAD) is None.

        Raises:
            HTTPError: the service answered with an error status: the class of that status
                (`NotFound` …), with the code, message and error that the service gave.
            ServiceCallError: no JSON, broken JSON, a redirect, any other status below 200 or from
                300 to 399 (a 304 has no data), data that ``type`` does not fit, or what `read`
                raises.
            ServiceTimeout: as `read`.
        """
        body = self._body if self._body is not None else await self.read()
        if not 200 <= self.status < 300:
            raise self._error(body)
        if type is Any:
            document = self._decoded(body)
            if _is_envelope(document):
                return document["data"]
            return document
        return self._typed(body, type)

    async def raw_json(self) -> Any:
        """The JSON document untouched, envelope included, whatever the status.

        Raises:
            ServiceCallError: it is not JSON, or what `read` raises.
            ServiceTimeout: as `read`.
        """
        return self._decoded(await self.read())

    async def raise_for_status(self) -> None:
        """Raise what `json` would for an error status; do nothing for any other.

        Raises:
            HTTPError, ServiceCallError, ServiceTimeout: as `json`.
        """
        if self.status >= 400:
            raise self._error(await self.read())

    def close(self) -> None:
        """Give the connection back. What was not read by now is lost. Twice is once."""
        if self._body is None and self._state is _State.FRESH:
            self._state = _State.CLOSED
        self._answer.close()

    def _begin(self) -> int:
        """Claim the body. Gives its length where the headers say it, else -1."""
        if self._state is not _State.FRESH:
            raise LifecycleError(
                f"{self!r} was {self._state.value}; read it once, inside the async with of its call"
            )
        self._state = _State.STARTED
        announced = self.headers.get("Content-Length", "")
        # Without a body (HEAD, 304) it is the length of that which another call would get.
        without_body = self._request.method == "HEAD" or self.status == 304
        if without_body or not announced.isdecimal():
            return -1
        size = int(announced)
        if size > self._max_size:
            raise self._too_large()
        # The length is that on the wire; what comes out of decompression has another.
        return -1 if "Content-Encoding" in self.headers else size

    def _error(self, body: bytes) -> Exception:
        if self.status in _REDIRECTS:
            return self._not_understood(
                f"a redirect ({self.status}), which is followed only with allow_redirects=True"
            )
        return remote_error(
            self.status, self.headers, body, service=self.service, call=str(self._request)
        )

    def _decoded(self, body: bytes, type: Any = Any) -> Any:
        if not body:
            return None
        content_type = self.content_type
        if (
            content_type != "application/json"
            and content_type
            and not content_type.endswith(("+json", "/json"))
        ):
            raise self._not_understood(f"{content_type[:80]}, not JSON")
        try:
            return msgspec.json.decode(body, type=type)
        except msgspec.ValidationError:
            raise
        except (ValueError, RecursionError) as exc:
            raise self._not_understood("broken JSON") from exc

    def _typed(self, body: bytes, type: Any) -> Any:
        try:
            try:
                envelope = self._decoded(body, _Envelope)
            except msgspec.ValidationError:
                envelope = None  # Another document: a list, or an object with a code of its own.
            if envelope is not None and envelope.code == 0 and envelope.data is not msgspec.UNSET:
                return msgspec.json.decode(envelope.data, type=type)
            return self._decoded(body, type) if body else msgspec.convert(None, type)
        except msgspec.ValidationError as exc:
            raise self._not_understood(f"data that does not fit {_name(type)}: {exc}") from exc

    def _too_large(self) -> ServiceCallError:
        self._answer.close()
        return self._not_understood(f"more than {self._max_size} bytes (max_size)")

    def _not_understood(self, what: str) -> ServiceCallError:
        return ServiceCallError(
            f"{self.service} answered {self._request} with {what}", service=self.service
        )


class _Envelope(msgspec.Struct):
    code: int
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Paged(msgspec.Struct):
    pagination: dict[str, Any] | None = None


def _pagination_of(
    found: dict[str, Any],
) -> type[Pagination] | type[OffsetPagination] | type[CursorPagination]:
    """The kind of a pagination, by the key that only this kind has."""
    if "offset" in found:
        return OffsetPagination
    return CursorPagination if "next" in found else Pagination


def _is_envelope(document: Any) -> bool:
    return (
        type(document) is dict
        and type(code := document.get("code")) is int
        and code == 0
        and "data" in document
    )


def _name(kind: object) -> str:
    return kind.__qualname__ if isinstance(kind, type) else str(kind)
