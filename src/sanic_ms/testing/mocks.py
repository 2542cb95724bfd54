"""`MockServices`: the answers of other services, in place of the network.

It is a `Transport` below the real client: discovery, headers, limits, time limits, decoding and
errors are those of production.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from multidict import CIMultiDict
from yarl import URL

from sanic_ms.client.base import Closed, ServiceRequest, ServiceResponse, Transport
from sanic_ms.utils.jsonable import to_plain

__all__ = ["Mock", "MockServices", "ServiceCall", "UnansweredCall"]

_UNSET = msgspec.UNSET
_TEMPLATE = re.compile(r"\{\w+\}")
_SHOWN = 300


class UnansweredCall(AssertionError):
    """The service called another one, and no mock answers that call."""


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """A call that the service under test made.

    Attributes:
        service: The name of the client that made it.
        method: Upper-case.
        path: As it was called, below the base URL and without the query; percent-encoded.
        url: Scheme, host and path.
        query: Pairs, decoded, in order.
        headers: Those that the client sent.
        body: The body, or None where it was not bytes or text (a form, a file).
    """

    service: str
    method: str
    path: str
    url: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def json(self) -> Any:
        """The body as JSON; None where there is none.

        Raises:
            ValueError: it is not JSON.
        """
        return msgspec.json.decode(self.body) if self.body else None

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query)
        shown = f"{self.method} {self.path}{'?' if query else ''}{query} to {self.service}"
        if self.body:
            shown += f" with {self.body[:_SHOWN].decode(errors='replace')}"
        return shown


@dataclass(eq=False, slots=True)
class Mock:
    """One registered answer. Made by `MockServices.add` and its short forms.

    Attributes:
        calls: The calls that it answered.
    """

    method: str
    path: str | re.Pattern[str]
    params: list[tuple[str, str]] | None
    json: Any
    service: str | None
    status: int
    headers: CIMultiDict[str]
    body: bytes
    exception: BaseException | type[BaseException] | None
    delay: float
    times: int | None
    calls: list[ServiceCall] = field(default_factory=list)
    _pattern: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.path, re.Pattern):
            self._pattern = self.path
        elif _TEMPLATE.search(self.path):
            pieces = map(re.escape, _TEMPLATE.split(self.path))
            self._pattern = re.compile("[^/]+".join(pieces))

    @property
    def is_exhausted(self) -> bool:
        """Whether it has answered as often as it may."""
        return self.times is not None and len(self.calls) >= self.times

    @property
    def is_used(self) -> bool:
        """Whether it has answered as often as it should: ``times``, or once."""
        return len(self.calls) >= (1 if self.times is None else self.times)

    def matches(self, call: ServiceCall) -> bool:
        """Whether it is the answer to a call, never mind how often it was given."""
        return (
            self.method == call.method
            and (self.service is None or self.service == call.service)
            and self._matches_path(call)
            and (self.params is None or sorted(self.params) == sorted(call.query))
            and (self.json is _UNSET or self._matches_json(call))
        )

    def _matches_path(self, call: ServiceCall) -> bool:
        ways = (call.path, unquote(call.path), call.url)
        if self._pattern is None:
            return self.path in ways
        return any(self._pattern.fullmatch(way) for way in ways)

    def _matches_json(self, call: ServiceCall) -> bool:
        try:
            return bool(call.json == self.json)
        except ValueError:
            return False

    def __str__(self) -> str:
        path = self.path.pattern if isinstance(self.path, re.Pattern) else self.path
        shown = f"{self.method} {path}"
        if self.params is not None:
            shown += f" params={dict(self.params)}"
        if self.json is not _UNSET:
            shown += f" json={self.json!r}"
        if self.service is not None:
            shown += f" service={self.service!r}"
        often = f"{len(self.calls)}" if self.times is None else f"{len(self.calls)} of {self.times}"
        return f"{shown} (answered {often})"


class MockServices(Transport):
    """Answers for the calls that a service makes to others; any thread may use it.

    Several mocks may fit one call. Those with ``times`` come first, in the order in which they were
    registered, until they are used up; then the one without ``times`` that was registered last. So
    a sequence is written in order, and a test may replace what its ``setUp`` registered.

    Attributes:
        calls: Every call that came, in order.
        unanswered: Those that no mock answered.
    """

    def __init__(self) -> None:
        self.mocks: list[Mock] = []
        self.calls: list[ServiceCall] = []
        self.unanswered: list[ServiceCall] = []
        self._lock = threading.Lock()

    # --- registering -----------------------------------------------------------------------------

    def add(
        self,
        method: str,
        path: str | re.Pattern[str],
        *,
        payload: Any = _UNSET,
        status: int = 200,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = None,
        exception: BaseException | type[BaseException] | None = None,
        delay: float = 0.0,
        times: int | None = None,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        json: Any = _UNSET,
        service: str | None = None,
    ) -> Mock:
        """Register an answer.

        Args:
            method: ``"GET"`` …
            path: Below the service's base URL: ``"/cities/1"``; ``{name}`` stands for one segment;
                a compiled pattern must match the whole path. A query may stand in it. A whole URL
                (``"http://host:port/cities/1"``) tells services without a name apart.
            payload: The answer's body as JSON: anything that `sanic_ms.utils.jsonify` takes.
            status: The answer's status. Default 200.
            body: The answer's body as it is. Not together with ``payload``.
            headers: The answer's headers.
            content_type: Default ``application/json`` for a payload, else ``text/plain`` for text
                and ``application/octet-stream`` for bytes.
            exception: Raised in place of an answer. What a broken network raises (`OSError`,
                `TimeoutError`, aiohttp's errors) reaches the caller as in production: as
                `ServiceCallError` or `ServiceTimeout`.
            delay: Seconds before the answer; the call's own time limit counts.
            times: How often it answers. Default: any number.
            params: Answers only calls with just this query. Default: with any.
            json: Answers only calls with this JSON body. Default: with any.
            service: Answers only calls of the client of this name. Default: of any.

        Raises:
            TypeError, ValueError: the arguments do not fit together.
        """
        if not isinstance(method, str):
            raise TypeError(f"method {method!r}: give a text")
        if not isinstance(path, (str, re.Pattern)):
            raise TypeError(f"path {path!r}: give a text that begins with '/', or a pattern")
        for name, value, kinds, what in (
            ("status", status, int, "a whole number"),
            ("times", times, int | None, "a whole number"),
            ("delay", delay, int | float, "seconds"),
            ("body", body, bytes | str | None, "bytes or text (payload= takes the rest)"),
            ("headers", headers, Mapping | None, "a mapping"),
            ("content_type", content_type, str | None, "a text"),
            ("params", params, Mapping | list | tuple | None, "a mapping, or pairs"),
            ("service", service, str | None, "the name of a client"),
        ):
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise TypeError(f"{name}={value!r}: give {what}")
        if exception is not None and not _can_be_raised(exception):
            raise TypeError(f"exception={exception!r}: give an exception, or a class of one")
        if payload is not _UNSET and body is not None:
            raise TypeError("give payload= or body=, not both")
        if times is not None and times < 1:
            raise ValueError(f"times={times}: at least 1")
        if not 0 <= delay < float("inf"):
            raise ValueError(f"delay={delay}: seconds, not below 0")
        if not 100 <= status <= 599:
            raise ValueError(f"status={status} is no HTTP status")
        if isinstance(path, str):
            path, question, query = path.partition("?")
            if not path.startswith(("/", "http://", "https://")):
                raise ValueError(f"path {path!r}: begin it with '/', or with http://")
            if question:
                if params is not None:
                    raise TypeError("give the query in the path or as params=, not both")
                params = parse_qsl(query, keep_blank_values=True)
        content, default_type = _content(payload, body)
        all_headers = CIMultiDict(headers or {})
        if content or content_type:
            all_headers.setdefault("Content-Type", content_type or default_type)
        all_headers.setdefault("Content-Length", str(len(content)))
        mock = Mock(
            method.upper(),
            path,
            None if params is None else _pairs(params),
            json if json is _UNSET else _plain(json),
            service,
            status,
            all_headers,
            content,
            exception,
            delay,
            times,
        )
        with self._lock:
            self.mocks.append(mock)
        return mock

    def get(self, path: str | re.Pattern[str], **answer: Any) -> Mock:
        """`add` for GET."""
        return self.add("GET", path, **answer)

    def post(self, path: str | re.Pattern[str], **answer: Any) -> Mock:
        """`add` for POST."""
        return self.add("POST", path, **answer)

    def put(self, path: str | re.Pattern[str], **answer: Any) -> Mock:
        """`add` for PUT."""
        return self.add("PUT", path, **answer)

    def patch(self, path: str | re.Pattern[str], **answer: Any) -> Mock:
        """`add` for PATCH."""
        return self.add("PATCH", path, **answer)

    def delete(self, path: str | re.Pattern[str], **answer: Any) -> Mock:
        """`add` for DELETE."""
        return self.add("DELETE", path, **answer)

    def head(self, path: str | re.Pattern[str], **answer: Any) -> Mock:
        """`add` for HEAD."""
        return self.add("HEAD", path, **answer)

    def options(self, path: str | re.Pattern[str], **answer: Any) -> Mock:
        """`add` for OPTIONS."""
        return self.add("OPTIONS", path, **answer)

    # --- asserting -------------------------------------------------------------------------------

    def assert_all_used(self) -> None:
        """Every mock has answered: once, or as often as its ``times``.

        Raises:
            AssertionError: names those that have not.
        """
        unused = [self._shown(mock) for mock in self.mocks if not mock.is_used]
        if unused:
            raise AssertionError("mocks that were not used:\n  " + "\n  ".join(unused))

    def assert_all_answered(self) -> None:
        """Every call since the last such question was answered.

        Raises:
            UnansweredCall: names those that were not, and the registered mocks.
        """
        with self._lock:
            unanswered, self.unanswered = self.unanswered, []
        if unanswered:
            raise UnansweredCall(self._told(unanswered))

    @contextmanager
    def checked(self) -> Iterator[None]:
        """`assert_all_answered` at the end of a block, also when the block fails otherwise."""
        try:
            yield
        finally:
            self.assert_all_answered()

    def _told(self, calls: Sequence[ServiceCall]) -> str:
        mocks = [f"\n  {self._shown(mock)}" for mock in self.mocks] or [" none"]
        return f"no mock answers {'; '.join(map(str, calls))}\nregistered:{''.join(mocks)}"

    def _shown(self, mock: Mock) -> str:
        """A mock, and whether the client that it is bound to has called at all.

        A client may be made at any moment and with any name, so that a wrong name is not known
        before.
        """
        callers = sorted({call.service for call in self.calls})
        if mock.service is None or not callers or mock.service in callers:
            return str(mock)
        return f"{mock}: no client of that name called, but {', '.join(callers)}"

    # --- as a transport --------------------------------------------------------------------------

    async def send(self, request: ServiceRequest) -> ServiceResponse:
        call = _recorded(request)
        with self._lock:
            self.calls.append(call)
            mock = self._choose(call)
            if mock is not None:
                mock.calls.append(call)
            else:
                self.unanswered.append(call)
        if mock is None:
            # No error of a service: what the application does about those must not hide it.
            raise UnansweredCall(self._told([call]))
        if mock.delay:
            async with asyncio.timeout(request.timeout.total):
                await asyncio.sleep(mock.delay)
        if mock.exception is not None:
            raise mock.exception
        return _MockAnswer(mock, without_body=request.method == "HEAD")

    def close(self) -> Awaitable[None]:
        return Closed()

    def _choose(self, call: ServiceCall) -> Mock | None:
        fitting = [mock for mock in self.mocks if not mock.is_exhausted and mock.matches(call)]
        limited = [mock for mock in fitting if mock.times is not None]
        return limited[0] if limited else fitting[-1] if fitting else None


class _MockAnswer(ServiceResponse):
    """The answer of a mock, as the client reads it."""

    def __init__(self, mock: Mock, *, without_body: bool) -> None:
        self.status = mock.status
        self.headers = mock.headers
        self._rest = b"" if without_body else mock.body

    async def receive(self) -> bytes:
        piece, self._rest = self._rest, b""
        return piece

    def close(self) -> None:
        self._rest = b""


def _recorded(request: ServiceRequest) -> ServiceCall:
    url = URL(request.url, encoded=True)
    query = list(url.query.items())
    if request.params is not None:
        query += _pairs(request.params)
    body = request.body
    if isinstance(body, str):
        body = body.encode()
    return ServiceCall(
        request.service,
        request.method,
        request.path,
        request.url.partition("?")[0],
        query,
        request.headers.copy(),
        bytes(body) if isinstance(body, (bytes, bytearray, memoryview)) else None,
    )


def _pairs(params: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> list[tuple[str, str]]:
    items = params.items() if isinstance(params, Mapping) else params
    pairs: list[tuple[str, str]] = []
    for name, value in items:
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs += [(name, str(entry)) for entry in values]
    return pairs


def _can_be_raised(value: object) -> bool:
    return isinstance(value, BaseException) or (
        isinstance(value, type) and issubclass(value, BaseException)
    )


def _content(payload: Any, body: bytes | str | None) -> tuple[bytes, str]:
    if payload is not _UNSET:
        return msgspec.json.encode(payload, enc_hook=to_plain), "application/json"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return body or b"", "application/octet-stream"


def _plain(value: Any) -> Any:
    """As the value looks when it has been JSON."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=to_plain))
