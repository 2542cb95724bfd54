"""A service: a Sanic application with the packages of the framework put together.

Composition happens here and nowhere else.
"""

from __future__ import annotations

import functools
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic

from sanic import Request as SanicRequest
from sanic.handlers import ErrorHandler
from sanic.server.async_server import AsyncioServer
from typing_extensions import TypeVar as DefaultTypeVar

from sanic_ms.commands import CommandSet
from sanic_ms.config import Loaded, Settings
from sanic_ms.config.own_settings import check_settings_class
from sanic_ms.container import Container, Depends
from sanic_ms.context import RequestContext, service_context
from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.http.cors import clear_preflights, mount_preflights
from sanic_ms.http.envelope import Envelope, named_envelope
from sanic_ms.http.errors import EnvelopeErrorHandler
from sanic_ms.http.health import HealthChecks
from sanic_ms.http.policies import require_policies
from sanic_ms.http.request import Request
from sanic_ms.http.routes import compile_routes
from sanic_ms.lifecycle import Component, Lifecycle
from sanic_ms.server import HttpProtocol
from sanic_ms.server.http1.exchange import Exchange
from sanic_ms.server.http1.routes import watch_for
from sanic_ms.service.admin_endpoints import AdminEndpoints, check_paths
from sanic_ms.service.announcement import announce, without_sanics_mode
from sanic_ms.service.components import LateComponents
from sanic_ms.service.configuration import Configuration
from sanic_ms.service.databases import Databases
from sanic_ms.service.deadlines import DeadlineSanic
from sanic_ms.service.document import ServiceDocument
from sanic_ms.service.extending import PluggableSanic
from sanic_ms.service.extensions import ExtendableSanic, Extensions
from sanic_ms.service.inclusion import Inclusion
from sanic_ms.service.injecting import InjectingSanic
from sanic_ms.service.launch import Launch
from sanic_ms.service.logs import ServiceLogs
from sanic_ms.service.metrics import ServiceMetrics
from sanic_ms.service.plugins import Plugins
from sanic_ms.service.registration import Registration
from sanic_ms.service.required_tables import RequiredTables
from sanic_ms.service.settings_type import check_settings_type, settings_type
from sanic_ms.service.stores import StoringSanic
from sanic_ms.service.tasks import BackgroundTasks, TaskKeepingSanic, end_tasks
from sanic_ms.service.typed import TypedSanic
from sanic_ms.telemetry.instrumentation import Instrumentation, failure_of
from sanic_ms.telemetry.logging import flush_logs
from sanic_ms.telemetry.metrics import ServerMetrics
from sanic_ms.telemetry.tracing import Tracing
from sanic_ms.values.response_headers import DefaultHeaders
from sanic_ms.values.table_sets import TableSets

__all__ = ["Service"]

log = logging.getLogger("sanic_ms.service")

SettingsT_co = DefaultTypeVar("SettingsT_co", bound=Settings, default=Settings, covariant=True)


class Service(
    InjectingSanic,
    PluggableSanic,
    StoringSanic,
    TypedSanic,
    ExtendableSanic,
    TaskKeepingSanic,
    DeadlineSanic,
    Generic[SettingsT_co],
):
    """A Sanic application with settings, databases, validation, documents and a life of its parts.

    Making one reads nothing and connects to nothing: settings are read when they are first needed,
    databases are opened when the service starts.

    Args:
        name: The service's name, as others call it.
        settings: The class of the settings; a subclass of `Settings` adds an application's own.
            Default: what ``class Shop(Service[ShopSettings])`` names, or `Settings`.
        envelope: The form of the answers; default what the setting ``ENVELOPE`` names.
        servers: URLs of the service in its document, or server objects as OpenAPI writes them.
        security_schemes: What `doc.security` may name, as OpenAPI writes it: ``{"key": {"type":
            "apiKey", "in": "header", "name": "X-Key"}}``. ``bearer`` and ``basic`` are known.
        security: What routes ask for that say nothing themselves: ``[{"key": []}]``.
        dependencies: Functions that run before every handler; see `depends`.
        keywords: Sanic's own arguments.
    """

    # Sanic's metaclass leaves its applications without one; here `app.region_client = …` is the
    # usual way to keep a client.
    __slots__ = ("__dict__", "__weakref__")

    def __init__(
        self,
        name: str,
        *,
        settings: type[SettingsT_co] | None = None,
        envelope: Envelope | None = None,
        servers: Sequence[str | Mapping[str, Any]] = (),
        security_schemes: Mapping[str, Mapping[str, Any]] | None = None,
        security: Sequence[Mapping[str, Sequence[str]]] = (),
        dependencies: Sequence[Callable[..., Any] | Depends] = (),
        **keywords: Any,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"Service({name!r}): give the service's name, a text")
        if envelope is not None and not isinstance(envelope, Envelope):
            raise TypeError(f"envelope={envelope!r} is not an Envelope (sanic_ms.http.Envelope)")
        settings = settings_type(type(self)) if settings is None else settings
        if settings is not Settings:
            check_settings_class(settings)
        self._document = ServiceDocument(servers, security_schemes, security)
        keywords.setdefault("request_class", Request)
        self._logs = ServiceLogs(keywords)
        self._json_loads = keywords.get("loads")
        super().__init__(name, **keywords)
        self._configuration = Configuration(self.config, settings, keywords, lambda: self.loaded)
        with self._configuration.paused():
            self.config.AUTO_EXTEND = False  # Sanic's runners look at it before settings are read
        self._registration = Registration(self)
        self.commands = CommandSet()
        self.plugins = Plugins(self)
        self._inclusion = Inclusion(self)
        self.lifecycle = Lifecycle()
        self._health = HealthChecks(self.lifecycle)
        self._metrics = ServiceMetrics(self)
        self.metrics = self._metrics.registry
        self.container = Container((Request, RequestContext, SanicRequest, self.request_class))
        self._dependencies: Sequence[Depends] = ()
        if dependencies:
            self.depends(*dependencies)
        self._settings_class = settings
        self._settings_keywords: dict[str, Any] = {}
        self._loaded: Loaded[SettingsT_co] | None = None
        self._envelope = envelope
        self._extensions = Extensions(self, settings)
        self._databases = Databases(lambda: self.loaded, self.metrics)
        self.framework_tables = TableSets()
        self._required_tables = RequiredTables(self)
        self._tracing: Tracing | None = None
        self._observer: Instrumentation | None = None
        self._late = LateComponents(self.lifecycle)
        self._background = BackgroundTasks()
        self._asyncio_server: AsyncioServer | None = None
        self._asyncio_scheme = "http"
        self._mounted = False
        self.launch = Launch(self, self._announce, lambda: self._logs.set_up(self))

    # --- settings ------------------------------------------------------------------------------

    @property
    def settings(self) -> SettingsT_co:
        """The settings, read on first use.

        Raises:
            ConfigError: a value is wrong. One line says which, where it stands and what it may be.
        """
        return self.loaded.settings

    def configure(self, **keywords: Any) -> None:
        """Set settings from code; they win over every other source.

        Raises:
            ConfigError: the settings have been read already.
        """
        if self._loaded is not None:
            raise ConfigError(f"configure({', '.join(keywords)}): the settings are read already")
        self._settings_keywords.update(keywords)

    def configure_unread(self, **keywords: Any) -> None:
        """As `configure`, for what this process has not set itself, and if nothing is read yet."""
        if self._loaded is None:
            self._settings_keywords = {**keywords, **self._settings_keywords}

    @property
    def settings_in_code(self) -> dict[str, Any]:
        """What code has set so far, with `configure` or on ``app.config``."""
        return {**self._configuration.changes, **self._settings_keywords}

    @property
    def loaded(self) -> Loaded[SettingsT_co]:
        """The settings with the source of each, and what the sources hold besides."""
        if self._loaded is None:
            check_settings_type(self, self._settings_class)
            self._configuration = self._configuration.of(self.config)
            self._loaded = self._configuration.load(self._settings_keywords)
        return self._loaded

    # --- routes --------------------------------------------------------------------------------

    def blueprint(self, blueprint: Any, **options: Any) -> None:
        """As Sanic's."""
        with self._registration.of(blueprint, options.get("name_prefix")):
            super().blueprint(blueprint, **options)

    def _apply_route(self, route: Any, overwrite: bool = False) -> list[Any]:
        """As Sanic's; a route of the application's wins over one of the framework's."""
        if self._mounted and route.version is None:
            overwrite |= self._admin.gives_way_to(route.uri, route.methods or ("GET",))
        routes = super()._apply_route(route, overwrite)
        self._registration.keep(routes, route.name)
        return routes

    # --- parts ---------------------------------------------------------------------------------

    def add(self, component: Component) -> None:
        """Give the service one more part, that starts and stops with it.

        While the service runs (in a listener, say) the part starts at once, in the background of
        the call: the first use of a pool or a client waits for nothing more.

        Raises:
            LifecycleError: the service is stopping.
        """
        if self.lifecycle.is_open:
            self._late.add(component)
        else:
            self.lifecycle.add(component)

    @property
    def tracing(self) -> Tracing:
        """The traces of the service.

        Raises:
            ConfigError: the exporter that the settings choose has no address.
        """
        if self._tracing is None:
            self._tracing = Tracing(self.settings, self.name)
        return self._tracing

    @property
    def observer(self) -> Instrumentation:
        """What counts and traces the requests; the servers call it."""
        if self._observer is None:
            metrics = ServerMetrics(self.metrics) if self.settings.metrics else None
            self._observer = Instrumentation(
                metrics, self.tracing.server, exclude=self._admin.unobserved_paths()
            )
        return self._observer

    # --- starting and stopping -----------------------------------------------------------------

    def run(self, *args: Any, **keywords: Any) -> None:
        """Serve until told to stop. What is not given comes from the settings.

        Takes Sanic's arguments. A service that cannot start ends the process with one line that
        says why and exit code 1.
        """
        self.launch.run(args, keywords)

    def stop(self, *args: Any, **keywords: Any) -> None:
        """Stop serving, in all workers: requests in flight are finished, then everything is
        closed. Returns at once; calling it again does nothing."""
        if not self.launch.stop():
            self._left_to_runner = True
            super().stop(*args, **keywords)

    def prepare(self, *args: Any, **keywords: Any) -> None:
        """As Sanic's, with the framework's own HTTP protocol unless another is given."""
        if keywords.get("protocol") is None and self.settings.server_protocol == "strict":
            keywords["protocol"] = HttpProtocol
        self._logs.set_up(self)
        self._extensions.follow(self.loaded)
        with without_sanics_mode(), self._configuration.paused():
            super().prepare(*args, **keywords)
        if self.debug and self.settings.environment == "production":
            raise ConfigError("debug mode is refused with ENVIRONMENT=production")
        self._admin.check_address()

    async def create_server(self, *args: Any, **keywords: Any) -> AsyncioServer | None:
        """As Sanic's, with the framework's own HTTP protocol unless another is given."""
        if keywords.get("protocol") is None and self.settings.server_protocol == "strict":
            keywords["protocol"] = HttpProtocol
        self._extensions.follow(self.loaded)
        with service_context(self):  # its connections inherit it
            self._asyncio_server = await super().create_server(*args, **keywords)
        self._asyncio_scheme = "https" if keywords.get("ssl") else "http"
        return self._asyncio_server

    @property
    def listens_at(self) -> tuple[socket.socket, str] | None:
        """The socket that `create_server` listens on, and its scheme; None where another way
        serves."""
        server = getattr(self._asyncio_server, "server", None)
        sockets = server.sockets if server is not None else ()
        return (sockets[0], self._asyncio_scheme) if sockets else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """As Sanic's, for an ASGI server."""
        with service_context(self):
            return await super().__call__(scope, receive, send)  # type: ignore[no-untyped-call]

    async def handle_request(self, request: Any) -> None:
        """As Sanic's; where another protocol than ours serves, it is counted and traced here."""
        if isinstance(request.stream, Exchange):
            await super().handle_request(request)
            return
        observation = watch_for(self, self.observer, request).begin(request)
        status = 499  # unless there is an answer: the client went, or the server stops
        try:
            await super().handle_request(request)
            status = getattr(getattr(request.stream, "response", None), "status", 500)
        finally:
            observation.end(status, failure_of(request))
            observation.detach()

    # The fast path of our protocol needs to know that this does nothing that it would miss.
    handle_request.observes_only = True  # type: ignore[attr-defined]

    def finalize(self) -> None:
        """Compile the routes, then do as Sanic does.

        Raises:
            LifecycleError: a handler asks for what nothing gives, or declares what is no shape.
        """
        self._compile_routes()
        super().finalize()
        clear_preflights(self)

    def _determine_error_format(self, handler: Any) -> str:
        """Sanic guesses from a handler's source how its errors should look. Here the envelope
        decides; and parsing in several threads at once breaks Python 3.11 (cpython 106905)."""
        return ""

    def compile(self) -> None:
        """Check all that can be known without a connection: settings, dependencies, handlers.

        A start does it by itself; calling it before costs nothing and finds mistakes early.

        Raises:
            ConfigError: a setting is wrong.
            LifecycleError: a dependency is missing, or a handler cannot be served.
        """
        self._prepare()
        self._compile_routes()

    def _compile_routes(self) -> None:
        cors = self.default_headers.cors
        if cors is not None:
            mount_preflights(self, cors)
        try:
            compile_routes(
                self,
                envelope=self.envelope,
                container=self.container,
                checks=self._metrics.response_checks(),
                deadline=self.settings.request_deadline,
                dependencies=self._dependencies,
                threads=self.settings.sync_handlers == "thread",
            )
        except TypeError as exc:
            raise LifecycleError(str(exc)) from exc
        self._document.check(self)
        if self.settings.deny_by_default:
            require_policies(self)

    def _compile_late_routes(self) -> None:
        """Compile the routes that listeners have added to the router itself, without Sanic's
        ``app.amend()``."""
        router = self.router
        if router.finalized and all(hasattr(r.extra, "request_middleware") for r in router.routes):
            return
        router.reset()  # type: ignore[no-untyped-call]
        self.finalize()

    @functools.cached_property
    def default_headers(self) -> DefaultHeaders:
        """The headers of every answer that does not set them, and those of CORS."""
        _ = self.settings  # they bring what they say into the configuration
        return DefaultHeaders.of(self.config)

    @property
    def envelope(self) -> Envelope:
        """The form of the answers."""
        if self._envelope is None:
            self._envelope = named_envelope(self.settings.envelope)
        return self._envelope

    async def _startup(self) -> None:
        self._logs.set_up(self)
        self._prepare()
        with service_context(self):
            await super()._startup()  # type: ignore[no-untyped-call]

    def _prepare(self) -> None:
        """Everything that wants settings and not yet a connection; doing it again is harmless."""
        settings = self.settings
        if type(self.error_handler) is ErrorHandler:  # and not one of the application's own
            handler = EnvelopeErrorHandler(self.envelope)
            handler.cached_handlers.update(self.error_handler.cached_handlers)
            self.error_handler = handler
        if self.framework_tables:
            self.lifecycle.add(self._required_tables, first=True)
        admin = self._admin.listener(shared=settings.workers != 1 or bool(self.asgi))
        if admin is not None:
            self.lifecycle.add(admin, first=True)  # it answers while the others start and stop
        self.lifecycle.add(self.blocking_calls, first=True)
        self.lifecycle.add(self.tracing)  # first, so that it stops last
        self._extensions.follow(self.loaded)
        self._metrics.prepare()
        self._add_stores()
        check_paths(settings)
        if type(settings) not in self.container:
            self.provide(type(settings), settings)
        try:
            self.container.check()
        except TypeError as exc:
            hint = " (set DB_URL)" if "no ConnectionPool" in str(exc) else ""
            raise LifecycleError(f"dependencies: {exc}{hint}") from exc
        if not self._mounted:
            self._mounted = True
            self._admin.mount(self)

    @functools.cached_property
    def _admin(self) -> AdminEndpoints:
        return AdminEndpoints(
            self.name,
            self.settings,
            self.envelope,
            health=self._health,
            metrics=self.metrics,
            document=self.openapi,
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of the service, as it is mounted at ``/openapi/spec.json``."""
        self.compile()
        return self._document.build(self)

    async def _server_event(self, concern: str, action: str, loop: Any = None) -> None:
        with service_context(self):
            await self._lead_event(concern, action, loop)

    async def _lead_event(self, concern: str, action: str, loop: Any) -> None:
        if (concern, action) == ("init", "before"):
            self.framework_tables.seal()
            self.launch.check_functions()
            self.container.open()
            await self.lifecycle.start()
            self._background.open()
            try:
                await super()._server_event(concern, action, loop)
                self._compile_late_routes()
                await self._late.started()
            except BaseException:
                self._late.clear()
                self._background.close()
                await self._stop_components()
                raise
            return
        if concern == "shutdown":
            self._health.close()
            self._background.leave()
        try:
            if (concern, action) == ("shutdown", "after"):
                # Under our own server there are none by now.
                await end_tasks(lambda: self.tasks, self.config.GRACEFUL_SHUTDOWN_TIMEOUT)
                self.purge_tasks()
                self._background.close()
            await super()._server_event(concern, action, loop)
            if concern == "init":
                self._compile_late_routes()
            if (concern, action) == ("init", "after"):
                await self._late.started()
                self._health.started = True
                self._background.begin_all(self)
                if not (self.launch.supervised or self.launch.quiet):
                    self._announce()
        finally:
            if (concern, action) == ("shutdown", "after"):
                self._late.clear()
                await self._stop_components()
                flush_logs()

    def _announce(self) -> None:
        announce(self, self._admin, self._extensions.hints())
