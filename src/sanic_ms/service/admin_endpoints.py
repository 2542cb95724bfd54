"""What the operators of a service see: health, metrics and the documents.

They stand among the service's routes, or on a port of their own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from sanic import Sanic

from sanic_ms.config import Settings
from sanic_ms.exception import ConfigError
from sanic_ms.http.admin import AdminToken
from sanic_ms.http.envelope import Envelope
from sanic_ms.http.errors import EnvelopeErrorHandler
from sanic_ms.http.health import HealthChecks, mount_health
from sanic_ms.http.metrics import mount_metrics
from sanic_ms.http.own_routes import METHODS, route_that_answers
from sanic_ms.http.request import Request
from sanic_ms.openapi import mount
from sanic_ms.openapi.blueprint import asset_paths
from sanic_ms.server.process.admin_listener import AdminListener, check_admin_address
from sanic_ms.telemetry.metrics import Registry
from sanic_ms.values.address import base_url

__all__ = ["AdminEndpoints", "check_paths"]

log = logging.getLogger("sanic_ms.service")

_MOST_OPERATORS = 64  # connections to ADMIN_PORT

# What is served, by the setting of its path, and the setting that turns it off.
_SWITCHES = {
    "openapi_path": "DOCS",
    "docs_path": "DOCS",
    "metrics_path": "METRICS",
    "health_live_path": "HEALTH",
    "health_ready_path": "HEALTH",
    "health_startup_path": "HEALTH",
}
_PRIVATE = ("metrics_path", "openapi_path", "docs_path")


def check_paths(settings: Settings) -> None:
    """See that each of what is served has a path of its own.

    Raises:
        ConfigError: two have the same.
    """
    served: dict[str, str] = {}
    for name in _served(settings):
        path = getattr(settings, name)
        if path in served:
            raise ConfigError(
                f"{name.upper()} and {served[path].upper()} are both {path!r}: set another"
            )
        served[path] = name


def _served(settings: Settings) -> list[str]:
    """The path settings of what is turned on."""
    return [name for name, switch in _SWITCHES.items() if getattr(settings, switch.lower())]


class AdminEndpoints:
    """The endpoints of one service that are for its operators.

    Args:
        name: The service's name.
        settings: Which there are, where, and who may see them.
        envelope: The form of errors.
        health: What the health endpoints tell.
        metrics: What ``/metrics`` tells.
        document: Makes the OpenAPI document.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        envelope: Envelope,
        *,
        health: HealthChecks,
        metrics: Registry,
        document: Callable[[], bytes | Mapping[str, Any]],
    ) -> None:
        self._name = name
        self._settings = settings
        self._envelope = envelope
        self._health = health
        self._metrics = metrics
        self._document = document
        self._token = AdminToken(settings.admin_token)
        self._listener: AdminListener | None = None
        self._taken: dict[str, str] = {}  # the application's route, by the setting of the path
        self._mounted: set[str] = set()  # paths among the service's own

    def mount(self, app: Sanic[Any, Any]) -> None:
        """Add to the service's own routes what belongs there: everything, or, where operators have
        a port of their own, health without details. The application's routes win."""
        names = self._among_own()
        for name in names:
            route = route_that_answers(app, self._paths(name))
            if route is not None:
                self._taken[name] = f"/{route.path}"
        self._mount_health(app, self._token.sees(self._settings.health_details), self._taken)
        if self._settings.admin_port is None:
            self._mount_private(app, self._taken)
        self._mounted = {self._plain_path(name) for name in names if name not in self._taken}

    def gives_way_to(self, path: str, methods: Iterable[str]) -> bool:
        """Whether the application registers a route now that stands in the place of one of these,
        which it wins: it is no longer served."""
        path = f"/{path.strip('/')}"
        if path not in self._mounted or METHODS.isdisjoint(methods):
            return False
        self._mounted.discard(path)
        names = [name for name in self._among_own() if self._plain_path(name) == path]
        self._taken.update(dict.fromkeys(names, path))
        return True

    def unobserved_paths(self) -> frozenset[str]:
        """What probes and scrapers call all day long: no traffic, and neither counted nor
        traced."""
        names = {*self._among_own()} - {*self._taken} - {"openapi_path", "docs_path"}
        return frozenset(getattr(self._settings, name) for name in names)

    def tell_taken(self) -> None:
        """Log which of these are not served, as the application has a route in their place."""
        for name, route in self._taken.items():
            log.info(
                "%s is the application's: its route %s wins; %s moves ours, %s=false turns it off",
                getattr(self._settings, name),
                route,
                name.upper(),
                _SWITCHES[name],
            )

    def _among_own(self) -> list[str]:
        """The path settings of what belongs to the service's own routes."""
        names = _served(self._settings)
        if self._settings.admin_port is None:
            return names
        return [name for name in names if name not in _PRIVATE]

    def _plain_path(self, name: str) -> str:
        path: str = getattr(self._settings, name)
        return f"/{path.strip('/')}"

    def _paths(self, name: str) -> list[str]:
        path: str = getattr(self._settings, name)
        return [path, *asset_paths(path)] if name == "docs_path" else [path]

    def addresses(self, base: str) -> dict[str, str]:
        """Where docs and metrics are, by their names; those that are off are left out.

        Args:
            base: The service's own address; operators may have a port of theirs.
        """
        settings = self._settings
        if settings.admin_port is not None:
            base = base_url(settings.admin_host, settings.admin_port)
        elif base.startswith("unix:"):
            base = ""
        return {
            name.removesuffix("_path"): f"{base}{getattr(settings, name)}"
            for name in ("docs_path", "metrics_path")
            if name in self._open()
        }

    def _open(self) -> list[str]:
        """The path settings of the private endpoints that are served."""
        served = _served(self._settings)
        return [name for name in _PRIVATE if name in served and name not in self._taken]

    def warn_of_open(self) -> None:
        """Log which of the private endpoints answer anybody in production."""
        settings = self._settings
        if settings.environment != "production" or self._token or settings.admin_port is not None:
            return
        served = [name for name in reversed(_PRIVATE) if name in self._open()]
        paths = [getattr(settings, name) for name in served]
        names = dict.fromkeys(_SWITCHES[name] for name in served)
        if paths:
            log.warning(
                "ENVIRONMENT=production: %s answer%s anybody: set ADMIN_TOKEN or ADMIN_PORT, or %s",
                " and ".join((", ".join(paths[:-1]), paths[-1])) if paths[1:] else paths[0],
                "" if paths[1:] else "s",
                " and ".join(f"{name}=false" for name in names),
            )

    def check_address(self) -> None:
        """Find out whether ``ADMIN_PORT`` is free; for the process that starts the workers. In a
        worker nothing is asked: its siblings listen there already.

        Raises:
            LifecycleError: it is not.
            ConfigError: ``ADMIN_HOST`` is wrong.
        """
        if self._settings.admin_port is not None and not _is_worker():
            check_admin_address(self._settings.admin_host, self._settings.admin_port)

    def listener(self, *, shared: bool) -> AdminListener | None:
        """The listener on ``ADMIN_PORT``, made once; None where the setting names none.

        Args:
            shared: Whether several processes serve.
        """
        settings = self._settings
        if self._listener is None and settings.admin_port is not None:
            self._listener = AdminListener(
                self._make_app,
                settings.admin_host,
                settings.admin_port,
                shared=shared or _is_worker(),
            )
        return self._listener

    def _make_app(self) -> Sanic[Any, Any]:
        """The application behind ``ADMIN_PORT``."""
        app: Sanic[Any, Any] = Sanic(
            f"{self._name}-admin",
            request_class=Request,
            error_handler=EnvelopeErrorHandler(self._envelope),
            configure_logging=False,
        )
        # It is no application of the process: `Sanic.get_app()` means the service.
        Sanic.unregister_app(app)
        off = dict.fromkeys(("TOUCHUP", "ACCESS_LOG", "AUTO_EXTEND"), False)
        app.config.update({**off, **self._limits()})
        app.config.RESPONSE_HEADERS = self._settings.response_headers
        policy = self._settings.health_details
        if policy == "protected" and not self._token:
            policy = "always"  # to reach the port is all that is asked for
        self._mount_health(app, self._token.sees(policy), ())
        self._mount_private(app, ())
        return app

    def _limits(self) -> dict[str, Any]:
        """Those of the service, for fewer clients: they take nothing of what it may open."""
        settings = self._settings
        names = ("request_timeout", "response_timeout", "keep_alive_timeout", "write_timeout")
        limits = {name.upper(): getattr(settings, name) for name in names}
        most = min(settings.max_connections or _MOST_OPERATORS, _MOST_OPERATORS)
        return {**limits, "MAX_CONNECTIONS": most}

    def _mount_health(
        self, app: Sanic[Any, Any], detailed: Callable[[Any], bool], taken: Container[str]
    ) -> None:
        settings = self._settings
        if not settings.health:
            return
        mount_health(
            app,
            self._health,
            live=None if "health_live_path" in taken else settings.health_live_path,
            ready=None if "health_ready_path" in taken else settings.health_ready_path,
            startup=None if "health_startup_path" in taken else settings.health_startup_path,
            detailed=detailed,
        )

    def _mount_private(self, app: Sanic[Any, Any], taken: Container[str]) -> None:
        settings = self._settings
        protect = self._token.protect
        if settings.metrics and "metrics_path" not in taken:
            mount_metrics(app, self._metrics, path=settings.metrics_path, protect=protect)
        if settings.docs:
            mount(
                app,
                spec_path=settings.openapi_path,
                docs_path=settings.docs_path,
                document=self._document,
                protect=protect,
                with_spec="openapi_path" not in taken,
                with_docs="docs_path" not in taken,
            )


def _is_worker() -> bool:
    """Whether this process is one of several that serve."""
    return "SANIC_WORKER_NAME" in os.environ
