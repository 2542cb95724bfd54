"""The current request and the running service, for packages below HTTP.

A pool, a client or a cache takes the request as an argument, and reads only what stands here.
Where no request is given, the one that the current task serves is used.

The running service is set once, in the context in which a server accepts connections; requests,
listeners and tasks inherit it. No request sets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Protocol, TypeVar, cast, overload

from sanic_ms.exception import LifecycleError

__all__ = ["RequestContext", "current_request", "current_service", "service_context"]

T = TypeVar("T")


class RequestContext(Protocol):
    """The part of a request that every package may read."""

    @property
    def id(self) -> Any:
        """The request's id: that of ``X-Request-ID``, or one made here."""

    def get(self, key: str, default: Any = None) -> Any:
        """An item that was put on the request (``request["span"] = …``), or ``default``."""


class _CurrentRequest:
    """The request that the current task serves: a context variable, and at first one of its own."""

    def __init__(self) -> None:
        self._variable: ContextVar[Any] = ContextVar("sanic_ms_current_request")

    def follow(self, variable: ContextVar[Any]) -> None:
        """Be another variable: that of a web framework, which sets it for each request anyhow."""
        self._variable = variable

    def get(self, default: RequestContext | None = None) -> RequestContext | None:
        """The request, or ``default`` outside of one."""
        request: RequestContext | None = self._variable.get(default)
        return request

    def set(self, request: RequestContext) -> Token[Any]:
        """Make a request the current one, and give what `reset` takes."""
        return self._variable.set(request)

    def reset(self, token: Token[Any]) -> None:
        """Make the one current that was so before."""
        token.var.reset(token)


current_request = _CurrentRequest()


_service: ContextVar[Any] = ContextVar("sanic_ms_current_service")


@overload
def current_service() -> Any: ...
@overload
def current_service(kind: type[T]) -> T: ...
def current_service(kind: type[Any] | None = None) -> Any:
    """The service that this code runs in: in requests, listeners, background tasks, jobs, commands
    and tests, and in threads that `asyncio.to_thread` starts there.

    Args:
        kind: The class that it must have, for type checkers: ``current_service(Service).db``.
            Default: any.

    Raises:
        LifecycleError: no service runs here, or it is not a ``kind``.
    """
    service = _service.get(None)
    if service is None:
        request: Any = current_request.get()  # of a server that is not started by the service
        service = getattr(request, "app", None)
    if service is None:
        raise LifecycleError(
            "no service runs here: current_service() is for requests, listeners, background tasks, "
            "jobs, commands and tests (async with TestClient(app): …)"
        )
    if kind is not None and not isinstance(service, kind):
        raise LifecycleError(
            f"current_service({kind.__name__}): the running service is a {type(service).__name__}"
        )
    return cast(Any, service)


@contextmanager
def service_context(service: Any) -> Iterator[None]:
    """Make a service the current one in the block, and in the tasks that are begun there.

    Args:
        service: The service. Blocks may be nested, for several services in one process.
    """
    token = _service.set(service)
    try:
        yield
    finally:
        _service.reset(token)
