"""Whether logging is the framework's to set up, and doing it when the service starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sanic_ms.telemetry.logging import configure_logging

if TYPE_CHECKING:
    from sanic_ms.service.service import Service

__all__ = ["ServiceLogs"]

_PROXIES = ("TRUSTED_PROXIES", "PROXIES_COUNT", "REAL_IP_HEADER", "FORWARDED_SECRET")


class ServiceLogs:
    """The logging of one service.

    With a ``log_config``, or ``configure_logging=False``, Sanic does as ever and we do nothing.

    Args:
        keywords: Sanic's arguments; Sanic is told not to do what we do.
    """

    def __init__(self, keywords: dict[str, Any]) -> None:
        self._ours = "log_config" not in keywords and keywords.get("configure_logging", True)
        if self._ours:
            keywords["configure_logging"] = False

    def set_up(self, service: Service) -> None:
        """Do what the settings say. Doing it again changes nothing.

        Raises:
            ConfigError: ``LOG_CONFIG`` cannot be used.
        """
        forwarded = any(map(service.config.get, _PROXIES))
        configure_logging(service.settings, service.name, handlers=self._ours, forwarded=forwarded)
