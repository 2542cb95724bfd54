"""Settings that are each allowed and together unsafe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sanic_ms.exception import ConfigError
from sanic_ms.values.cors import ANY, Cors
from sanic_ms.values.proxies import TrustedProxies
from sanic_ms.values.token import TOKEN

if TYPE_CHECKING:
    from sanic_ms.config.settings import Settings

__all__ = ["check_headers", "check_safety"]

_NAME = re.compile(TOKEN)
_VALUE = re.compile(r"[\t\x20-\x7e]*")


def check_headers(name: str, value: str) -> None:
    """Check one of ``RESPONSE_HEADERS``.

    Raises:
        ValueError: it cannot be sent.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("the name is not one of a header")
    if not _VALUE.fullmatch(value):
        raise ValueError("a header's value is printable ASCII on one line")


def check_safety(settings: Settings, origin: Mapping[str, str]) -> None:
    """Check what no single setting shows.

    Args:
        settings: The settings.
        origin: Where each came from, by its upper-case name.

    Raises:
        ConfigError: CORS is contradictory, or production has what is for development.
    """
    for name, value in settings.response_headers.items():
        try:
            check_headers(name, value)
        except ValueError as exc:
            source = origin["RESPONSE_HEADERS"]
            raise ConfigError(f"RESPONSE_HEADERS[{name!r}]={value!r} ({source}): {exc}") from None
    try:
        TrustedProxies(settings.trusted_proxies)
    except ValueError as exc:
        raise ConfigError(f"{exc} ({origin['TRUSTED_PROXIES']})") from None
    names = {name.upper(): getattr(settings, name) for name in settings.__struct_fields__}
    try:
        Cors.of(names)
    except ValueError as exc:
        raise ConfigError(f"{exc} ({origin['CORS_ORIGINS']})") from None
    if settings.admin_port == settings.port and settings.unix is None:
        raise ConfigError(f"ADMIN_PORT and PORT are both {settings.port}: give it one of its own")
    deadline = settings.request_deadline
    if deadline is not None and deadline > settings.response_timeout:
        raise ConfigError(
            f"REQUEST_DEADLINE={deadline:g} ({origin['REQUEST_DEADLINE']}) would come after "
            f"RESPONSE_TIMEOUT={settings.response_timeout:g}, which ends the request with 503: "
            "raise that as well"
        )
    if settings.environment == "production":
        refused = {
            "DEBUG": settings.debug,
            "AUTO_RELOAD": settings.auto_reload,
            "CORS_ORIGINS": ANY in settings.cors_origins,
        }
        for name in [name for name, unsafe in refused.items() if unsafe]:
            value = str(names[name][0] if name == "CORS_ORIGINS" else names[name]).lower()
            raise ConfigError(
                f"{name}={value} ({origin[name]}) is refused with ENVIRONMENT=production "
                f"({origin['ENVIRONMENT']}): set it otherwise, or name another environment"
            )
