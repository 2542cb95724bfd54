"""Headers that an answer has without its handler's doing, decided in one place for every server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanic_ms.values.cors import Cors

__all__ = ["SAFE_HEADERS", "DefaultHeaders"]

SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Strict-Transport-Security": "max-age=31536000",
}
"""The default of ``RESPONSE_HEADERS``, after the OWASP REST Security Cheat Sheet."""

_TLS_ONLY = "strict-transport-security"  # RFC 6797, 7.2: not over plain HTTP

# What a handler sets that wants its answer kept and asked about again, as static files do.
_KEPT = frozenset(("etag", "last-modified", "expires"))


class DefaultHeaders:
    """The headers of every answer that does not set them itself.

    Args:
        table: Names and values.
        cors: Which origins may read answers; None: CORS is off.

    Attributes:
        varies: Whether answers differ by the origin that asks, so that ``Vary`` is added to.
    """

    def __init__(self, table: Mapping[str, str], cors: Cors | None = None) -> None:
        self.cors = cors
        self._secure = [(name.lower(), value) for name, value in table.items()]
        self._plain = [item for item in self._secure if item[0] != _TLS_ONLY]
        self.varies = cors is not None and cors.varies

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> DefaultHeaders:
        """What ``RESPONSE_HEADERS`` and ``CORS_…`` of a configuration say.

        Raises:
            ValueError: the settings of CORS contradict each other.
        """
        return cls(config.get("RESPONSE_HEADERS", {}), Cors.of(config))

    def missing(
        self, status: int, own: Mapping[str, Any], *, secure: bool, origin: str | None
    ) -> dict[str, str]:
        """What is to be set on an answer.

        Args:
            status: Its status.
            own: Its headers so far, which win; ``Vary`` alone is added to.
            secure: Whether the connection is TLS.
            origin: The ``Origin`` header of the request, None without one.
        """
        names = {name.lower() for name in own}
        if status == 304 or not names.isdisjoint(_KEPT):
            names.add("cache-control")
        table = self._secure if secure else self._plain
        found = {name: value for name, value in table if name not in names}
        if self.cors is not None:
            cors = self.cors.answer(origin)
            found.update((name, value) for name, value in cors if name not in names)
            if self.varies:
                found["vary"] = _with_origin(own)
        return found


def _with_origin(own: Mapping[str, Any]) -> str:
    values = [str(value) for name, value in own.items() if name.lower() == "vary"]
    listed = {name.strip().lower() for value in values for name in value.split(",")}
    return ", ".join(values if listed & {"origin", "*"} else [*values, "Origin"])
