"""What to do for a request line: resolved once by Sanic's router, then looked up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sanic import Sanic
from sanic.exceptions import SanicException
from sanic.request import Request
from sanic_routing.route import Route

from sanic_ms.server.http1.middleware import SIGNALS, HandlerChain
from sanic_ms.server.http1.patterns import Patterns
from sanic_ms.server.http1.response import BODILESS, ResponseHeads
from sanic_ms.telemetry.instrumentation import Instrumentation, RouteInstrumentation
from sanic_ms.values.handlers import guard_websocket
from sanic_ms.values.route import (
    BODY_MAY_BE_THERE,
    DIRECT,
    Begin,
    Direct,
    compiled_route,
    deadline_of,
    endpoint_of,
    template_of,
)

__all__ = ["EVENTS", "Plan", "Routes", "is_logged", "listeners", "watch_for"]

EVENTS = (
    "http.lifecycle.begin",
    "http.lifecycle.complete",
    "http.lifecycle.read_head",
    "http.lifecycle.request",
    "http.lifecycle.read_body",
    "http.lifecycle.send",
    "http.lifecycle.handle",
    "http.lifecycle.response",
    "http.routing.before",
    "http.routing.after",
    "http.handler.before",
    "http.handler.after",
    "http.middleware.before",
    "http.middleware.after",
)
_OF_ERRORS = ("server.exception.report", "http.lifecycle.exception")
_ON_FAST_PATH = SIGNALS | {"http.lifecycle.complete"}  # that one is about the connection
_MAX_PLANS = 4096


def listeners(app: Sanic[Any, Any]) -> frozenset[str]:
    """The events of a request's life that somebody registered a signal for."""
    return _handled(app, EVENTS)


def _handled(app: Sanic[Any, Any], events: tuple[str, ...]) -> frozenset[str]:
    names = {signal.name for signal in app.signal_router.routes}
    return frozenset(event for event in events if event in names or _is_handled(app, event))


def _is_handled(app: Sanic[Any, Any], event: str) -> bool:
    """Whether a signal with a parameter in its name takes an event.

    The router alone does not tell: it finds ``http.lifecycle.response`` for its neighbours as well.
    """
    try:
        group, *_ = app.signal_router.get(event)
    except Exception:  # sanic_routing.NotFound, or a router that was not finalized
        return False
    return any(signal.ctx.trigger for signal in group.routes)


def is_logged(route: Route | None) -> bool:
    """Whether the access log has the answers of a route: not if it has ``ctx_access_log=False``."""
    return route is None or getattr(route.ctx, "access_log", True)


def watch_for(
    app: Sanic[Any, Any], observer: Instrumentation, request: Request
) -> RouteInstrumentation:
    """What counts and traces a request. The router remembers what it finds, so that handling the
    request does not look it up a second time."""
    try:
        host = request.headers.get("host")
        route, _, _ = app.router.get(request.path, request.method, host)
    except Exception:  # no such route, or not even a URL
        return observer.unmatched(request.method)
    return _watch_of(observer, request.method, route)


def _watch_of(observer: Instrumentation, method: str, route: Route) -> RouteInstrumentation:
    """``ctx_trace_sample`` of a route is the share of its requests that are traced."""
    share = getattr(route.ctx, "trace_sample", None)
    return observer.route(method, template_of(route), sample=share)


class Plan:
    """How one method and path are served.

    Attributes:
        method: As text.
        target_at: Where the target begins in the request line.
        route, handler, params: As Sanic's router resolved them.
        at_once: What is called in the handler's place, and without a task (see `Direct`); None: it
            needs one.
        begin, answer: What is called in its place in a task; None: the handler itself.
        is_direct: Whether they are there, so that the body comes as bytes.
        status, content_type: Of the usual answer then.
        finish: ``await finish(request, response)`` calls what acts on each response, or is None.
        takes_errors: Whether the response to an exception may be sent on the fast path.
        has_body: Whether that is sent with its body.
        ignores_body: Whether the route was declared to read no body (Sanic's default for GET).
        streams: Whether the handler reads a body while it comes; one that is there already is its
            ``request.body``.
        judged: Whether a request of this plan was found good by both parsers.
        logged: Whether its answers are in the access log.
        meter, spans: What counts and traces its requests; None where nobody does.
        timed: The plan of the same requests with a header that says how long the caller waits;
            None: they take the full path.
    """

    __slots__ = (
        "_head",
        "_heads",
        "answer",
        "at_once",
        "begin",
        "content_type",
        "finish",
        "handler",
        "has_body",
        "ignores_body",
        "is_direct",
        "judged",
        "logged",
        "meter",
        "method",
        "params",
        "route",
        "spans",
        "status",
        "streams",
        "takes_errors",
        "target_at",
        "timed",
    )

    def __init__(
        self,
        method: str,
        route: Route,
        handler: Callable[..., Any],
        params: dict[str, Any],
        watch: RouteInstrumentation | None,
    ) -> None:
        self.meter = watch.meter if watch is not None else None
        self.spans = watch.spans if watch is not None else None
        self.judged = False
        self.method = method
        self.target_at = len(method) + 1
        self.route = route
        self.handler = handler
        self.params = params
        self.at_once: Callable[[Request, dict[str, Any]], Any] | None = None
        self.begin: Callable[[Request, dict[str, Any]], Awaitable[Any]] | None = None
        self.answer: Callable[[Request, Any], Any] | None = None
        self.finish: Callable[[Request, Any], Awaitable[Any]] | None = None
        self.takes_errors = False
        self.status, self.content_type = 200, None
        direct = _direct_of(handler)
        self.is_direct = direct is not None
        if direct is not None:
            _, self.begin, self.answer, self.at_once, self.status, self.content_type, _ = direct
        self.timed: Plan | None = None
        self.has_body = method != "HEAD" and self.status not in BODILESS
        self._heads: ResponseHeads | None = None
        self._head = b""
        self.ignores_body = bool(route.extra.ignore_body)
        self.logged = is_logged(route)
        self.streams = hasattr(handler, "is_stream")

    def keep_deadline(self, begin: Begin) -> None:
        """Call the handler by a function that keeps its deadline, in a task."""
        self.begin, self.at_once = begin, None

    def surround(self, chain: HandlerChain) -> None:
        """Call a chain, which calls the handler, in its place."""
        self.at_once = chain.serve_inline if chain.is_inline else None
        self.begin, self.answer = chain.serve, _as_it_is
        self.finish = chain.finish if chain.has_finish else None

    def head(self, heads: ResponseHeads) -> bytes:
        """The head of the usual answer, as `ResponseHeads.usual` makes it: most answers of a route
        have the same."""
        if heads is not self._heads:
            self._head = heads.usual(self.status, self.content_type)
            self._heads = heads
        return self._head


def _direct_of(handler: Any) -> Direct | None:
    direct: Direct | None = getattr(handler, DIRECT, None)
    return direct if direct is not None and direct.endpoint is handler else None


def _as_it_is(request: Request, value: Any) -> Any:
    """`Plan.answer` of a chain, which gives the response itself."""
    return value


class Routes:
    """The plans of one application.

    Streams, web sockets, routing by host and the signals that come before a route is known have no
    plan: they go through ``app.handle_request``.

    Args:
        app: The application.
        observer: What counts and traces its requests, if anything does.
        plain: False where nothing may have a plan.
    """

    __slots__ = (
        "_app",
        "_may_be_plain",
        "_observer",
        "_patterns",
        "_plain",
        "_router_source",
        "_signal_source",
        "_takes_errors",
        "heard",
        "plans",
    )

    def __init__(
        self, app: Sanic[Any, Any], observer: Instrumentation | None = None, *, plain: bool = True
    ) -> None:
        self._app = app
        self._observer = observer
        self._may_be_plain = plain
        self._router_source: object = None
        self._signal_source: object = None
        self._plain = self._takes_errors = False
        self.heard: frozenset[str] = frozenset()
        self.plans: dict[bytes, Plan] = {}
        self._patterns = Patterns(())
        self.refresh()

    def refresh(self) -> None:
        """Forget everything if routes or signals changed (``with app.amend()``) since."""
        router, signals = self._app.router.find_route, self._app.signal_router.find_route
        if router is not self._router_source or signals is not self._signal_source:
            self._router_source, self._signal_source = router, signals
            self.plans.clear()
            for route in self._app.router.routes:
                if compiled_route(route) is None:  # else it is guarded already
                    route.handler = guard_websocket(route.handler)
            self._patterns = Patterns(self._app.router.routes)
            self.heard = listeners(self._app)
            self._takes_errors = type(
                self._app
            ).handle_exception is Sanic.handle_exception and not _handled(self._app, _OF_ERRORS)
            by_host = any(route.requirements for route in self._app.router.routes)
            handle = type(self._app).handle_request
            own = handle is not Sanic.handle_request and not hasattr(handle, "observes_only")
            self._plain = self._may_be_plain and not (self.heard - _ON_FAST_PATH or by_host or own)

    def plan(self, key: bytes, method: str, path: str) -> Plan | None:
        """The plan for a method and path, remembered under ``key``; None: take the full path.

        Args:
            key: The request line without version and query.
        """
        if not self._plain:
            return None
        try:
            route, handler, params = self._app.router.get(path, method, None)
        except SanicException:  # 404 and 405 are the application's to answer
            return None
        plan = self._make(method, route, handler, params)
        if plan is not None:
            if len(self.plans) >= _MAX_PLANS:
                self.plans.clear()
            self.plans[key] = plan
        return plan

    def match(self, line: bytes) -> tuple[Plan, dict[str, Any]] | None:
        """The plan and the parameters for a route that has parameters; None: ask for `plan`.

        Args:
            line: The request line without version; it need not have been checked.
        """
        if not self._plain:
            return None
        match = self._patterns.match(line)
        if match is None:
            return None
        pattern, params = match
        plan: Plan | None = pattern.plan
        if plan is None:
            route = pattern.route
            plan = pattern.plan = self._make(pattern.method, route, endpoint_of(route), {})
            if plan is None:
                return None
        return plan, params

    def _make(
        self, method: str, route: Route, handler: Callable[..., Any], params: dict[str, Any]
    ) -> Plan | None:
        extra = route.extra
        if (
            handler is None
            or not hasattr(extra, "request_middleware")  # a route that was not finalized
            or getattr(handler, "is_stream", None) not in (None, BODY_MAY_BE_THERE)
            or hasattr(handler, "is_websocket")
        ):
            return None
        watch = None
        if self._observer is not None:
            watch = _watch_of(self._observer, method, route)
        plan = Plan(method, route, handler, params, watch)
        plan.takes_errors = self._takes_errors
        before = extra.request_middleware
        after = extra.response_middleware or self._app.response_middleware
        signals = self.heard & SIGNALS
        is_timed = deadline_of(route, method) is not None
        timed = getattr(handler, DIRECT).timed if plan.is_direct else None
        if before or after or signals:
            # The deadline counts for them too, and a form may have to be received after them: that
            # is for the full path. So are requests with a deadline of their own: `timed` is None.
            if is_timed or plan.streams:
                return None
            plan.surround(
                HandlerChain(self._app, handler, _direct_of(handler), before, after, signals)
            )
            return plan
        if timed is not None:
            plan.timed = Plan(method, route, handler, params, watch)
            plan.timed.takes_errors = self._takes_errors
            plan.timed.keep_deadline(timed(has_timeout=True))
        if is_timed:
            if timed is None:
                return None
            plan.keep_deadline(timed(has_timeout=False))
        return plan

    def watch(self, request: Request) -> RouteInstrumentation | None:
        """What counts and traces a request that takes the full path."""
        if self._observer is None:
            return None
        return watch_for(self._app, self._observer, request)
