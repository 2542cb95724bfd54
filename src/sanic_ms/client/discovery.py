"""Addresses of services from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sanic_ms.client.base import Discovery, Endpoint
from sanic_ms.client.endpoint import parse_base_url
from sanic_ms.exception import ConfigError

__all__ = ["StaticDiscovery"]


class StaticDiscovery(Discovery):
    """Services at fixed addresses.

    Args:
        services: Gives base URLs by service name. It is called when a service is first asked for,
            and no sooner, so that a client can be made before the settings are read.
        setting: The name of the setting, for messages.
    """

    def __init__(
        self, services: Callable[[], Mapping[str, str]], *, setting: str = "SERVICES"
    ) -> None:
        self._services = services
        self._setting = setting
        self._known: dict[str, Endpoint] = {}

    def endpoint(self, service: str) -> Endpoint:
        try:
            return self._known[service]
        except KeyError:
            pass
        services = self._services()
        if service not in services:
            known = ", ".join(sorted(map(repr, services))) or "none"
            raise ConfigError(
                f"{self._setting} names no {service!r} (known: {known}); "
                f'set {self._setting} = {{"{service}": "http://host:port"}}'
            )
        endpoint = parse_base_url(services[service], f'{self._setting}["{service}"]')
        self._known[service] = endpoint
        return endpoint
