"""The deadline of a request: what its headers and its route say, and what becomes of its work.

A caller says how long it waits, in one of three headers. A route may say how long its work may
take (`doc.deadline`), and the setting ``REQUEST_DEADLINE`` says so for all routes. The shortest
counts.
"""

from __future__ import annotations

import functools
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, TypeVar

from sanic import Sanic
from sanic.http.constants import Stage
from sanic.request import Request as SanicRequest
from sanic_routing.route import Route

from sanic_ms.exception import DeadlineExceeded
from sanic_ms.http.declarations import declared_spec
from sanic_ms.http.websockets import websocket_handler
from sanic_ms.resilience import Deadline
from sanic_ms.shapes.annotations import where
from sanic_ms.values.route import DIRECT, Begin, Direct, RouteSpec, deadline_of

__all__ = [
    "RequestDeadline",
    "caller_timeout",
    "handle_in_time",
    "has_deadlines",
    "in_time",
    "request_deadline",
    "route_deadlines",
    "with_deadline",
]

log = logging.getLogger("sanic_ms.http")

E = TypeVar("E", bound=Callable[..., Any])

# Eight digits of hours are 11,000 years: no number of seconds that could not be added to the clock.
_MILLISECONDS = re.compile(r"[0-9]{1,10}")
_GRPC = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class RequestDeadline(Deadline):
    """The deadline of a request, which counts until its response begins.

    Args:
        at: The moment, by `time.monotonic`.
        has_begun: Whether the response has begun.
    """

    __slots__ = ("_has_begun", "_lifted")

    def __init__(self, at: float, has_begun: Callable[[], bool]) -> None:
        super().__init__(at)
        self._has_begun = has_begun
        self._lifted: bool | None = None  # None: as the response says

    @property
    def lifted(self) -> bool:
        """Whether the response has begun."""
        return self._has_begun() if self._lifted is None else self._lifted

    def hold(self) -> None:
        """Count whatever is sent from now on, unless it is lifted already: the response is an
        error's, or one that reaches nobody."""
        if not self.lifted:
            self._lifted = False

    def lift(self) -> None:
        """Do not count any more, unless it is held: the handler is done."""
        if self._lifted is None:
            self._lifted = True


def caller_timeout(request: SanicRequest) -> float | None:
    """The seconds that the caller of a request waits; None: it does not say.

    Read are ``X-Request-Timeout-Ms``, ``X-Envoy-Expected-Rq-Timeout-Ms`` and ``grpc-timeout``
    (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Of several values the shortest
    counts. A value that cannot be read is left out: a proxy or a caller of another make is no
    reason to fail its requests.
    """
    headers = request.headers
    found = []
    for name, read in _READERS:
        if name in headers:
            for value in headers.getall(name):
                seconds = read(value.strip())
                if seconds is None:
                    log.debug("%s: ignored, not a timeout: %r", name, value[:64])
                else:
                    found.append(seconds)
    return min(found) if found else None


def _read_milliseconds(value: str) -> float | None:
    return int(value) / 1000 if _MILLISECONDS.fullmatch(value) else None


def _read_grpc(value: str) -> float | None:
    match = _GRPC.fullmatch(value)
    return int(match[1]) * _UNITS[match[2]] if match else None


_READERS: tuple[tuple[str, Callable[[str], float | None]], ...] = (
    ("x-request-timeout-ms", _read_milliseconds),
    ("grpc-timeout", _read_grpc),
    ("x-envoy-expected-rq-timeout-ms", _read_milliseconds),
)


def route_deadlines(
    route: Route, specs: Mapping[str, RouteSpec], default: float | None
) -> dict[str, float]:
    """The seconds that each method of a route has.

    Args:
        route: The route.
        specs: What its handler declares, by method; empty where that is called as it is: a web
            socket, a streaming handler, a static file.
        default: The deadline of a method that declares none.

    Raises:
        TypeError: a web socket declares a deadline, or a handler that is called as it is declares
            that it is shielded.
    """
    if not specs:
        is_websocket = hasattr(route.handler, "is_websocket")
        handler = (websocket_handler(route.handler) if is_websocket else None) or route.handler
        spec = declared_spec(handler)
        if spec.shielded or (is_websocket and spec.deadline is not None):
            kind = "web socket" if is_websocket else "streaming handler"
            name = "shielded" if spec.shielded else "deadline"
            raise TypeError(f"{where(handler)}: a {kind} cannot have @doc.{name}")
        specs = {} if is_websocket else dict.fromkeys(route.methods, spec)
    deadlines = {method: _own_seconds(spec, default) for method, spec in specs.items()}
    return {method: seconds for method, seconds in deadlines.items() if seconds is not None}


def with_deadline(endpoint: E, spec: RouteSpec, default: float | None) -> E:
    """An endpoint that keeps its deadline on the fast path as well.

    Args:
        endpoint: The endpoint of a handler.
        spec: What the handler declares.
        default: The deadline of a handler that declares none.
    """
    direct: Direct | None = getattr(endpoint, DIRECT, None)
    if direct is not None:
        seconds = _own_seconds(spec, default)
        direct = direct._replace(timed=functools.partial(in_time, direct.begin, seconds))
        setattr(endpoint, DIRECT, direct)
    return endpoint


def _own_seconds(spec: RouteSpec, default: float | None) -> float | None:
    seconds = default if spec.deadline is None else spec.deadline
    return None if seconds is None or math.isinf(seconds) else seconds


def has_deadlines(app: Sanic[Any, Any]) -> bool:
    """Whether any route of an application has a deadline that no header asks for."""
    return any(
        deadline_of(route, method) is not None
        for route in app.router.routes
        for method in route.methods
    )


def request_deadline(
    app: Sanic[Any, Any], request: SanicRequest, timeout: float | None
) -> RequestDeadline | None:
    """The deadline of a request that has just arrived; None: it has none.

    A web socket has none: it is meant to stay.

    Args:
        app: The application.
        request: The request.
        timeout: The seconds that its caller waits; see `caller_timeout`.
    """
    seconds = timeout
    route = _find_route(app, request)
    if route is not None:
        request.route = route  # where it is over already, nobody else looks it up
        if hasattr(route.handler, "is_websocket"):
            return None
        own = deadline_of(route, request.method)
        if own is not None and (seconds is None or own < seconds):
            seconds = own
    return None if seconds is None else _full_path_deadline(seconds, request)


def _full_path_deadline(seconds: float, request: SanicRequest) -> RequestDeadline:
    stream: Any = request.stream

    def has_begun() -> bool:
        # A pool or a client has noticed it first, and that is being answered: to cancel this would
        # answer and log it a second time.
        is_answered = isinstance(getattr(request, "failure", None), DeadlineExceeded)
        return is_answered or stream.stage is not Stage.HANDLER

    return RequestDeadline(monotonic() + seconds, has_begun)


def _fast_path_deadline(seconds: float, request: Any) -> RequestDeadline:
    connection = request.connection

    def has_begun() -> bool:
        exchange = connection.exchange  # there is none before somebody asks for the stream
        return exchange is not None and exchange.request is request and bool(exchange.started)

    return RequestDeadline(monotonic() + seconds, has_begun)


def in_time(begin: Begin, seconds: float | None, *, has_timeout: bool) -> Begin:
    """`Direct.begin` for the fast path, where the handler is all that there is of a request, with
    a deadline: at that it is cancelled, and raises `DeadlineExceeded`.

    Args:
        begin: Calls the handler.
        seconds: The route's deadline; None: it has none.
        has_timeout: Whether the requests have a header that may say how long the caller waits.
    """

    async def begin_in_time(request: Any, path: dict[str, Any]) -> Any:
        timeout = caller_timeout(request) if has_timeout else None
        limits = [limit for limit in (timeout, seconds) if limit is not None]
        if not limits:
            return await begin(request, path)
        deadline = _fast_path_deadline(min(limits), request)
        try:
            async with deadline:
                value = await begin(request, path)
        except DeadlineExceeded:
            deadline.hold()
            raise
        deadline.lift()
        return value

    return begin_in_time


def _find_route(app: Sanic[Any, Any], request: SanicRequest) -> Route | None:
    """The route of a request. The router remembers it, and so finds it once."""
    try:
        host = request.headers.getone("host", None)
        route, _, _ = app.router.get(request.path, request.method, host)
    except Exception:  # no such route, or not even a URL: the application answers that
        return None
    return route


async def handle_in_time(
    app: Sanic[Any, Any],
    request: SanicRequest,
    deadline: RequestDeadline,
    handle: Callable[[Any], Awaitable[None]],
) -> None:
    """Handle a request; at its deadline its work is cancelled, and the response is 504.

    Args:
        app: The application, which answers the error.
        request: The request.
        deadline: Its deadline. One that is over already: nothing is called.
        handle: `Sanic.handle_request`, which lets no exception out but a cancellation.
    """
    try:
        async with deadline:
            await handle(request)
    except DeadlineExceeded as exc:
        deadline.hold()
        await app.handle_exception(request, exc, run_middleware=False)
