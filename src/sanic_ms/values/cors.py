"""Which pages of other origins may read answers: the rules of CORS, without I/O.

The protocol is that of the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ANY", "Cors"]

ANY = "*"
"""The origin that stands for every origin."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.\-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._\-]+)(?::[0-9]{1,5})?")
_TOKEN = re.compile(r"[!#$%&'+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """What pages of other origins may do.

    Attributes:
        origins: Origins as a browser writes them (``https://shop.example``), or ``*`` alone.
        methods: Methods that such a page may use, as far as a route has them.
        headers: Headers that it may send, besides those that need no permission.
        expose: Headers of answers that it may read.
        credentials: Whether it may send cookies and read what is answered to them.
        max_age: Seconds for which a browser may remember a permission.

    Raises:
        ValueError: something of it is not what it should be; the text names the setting.
    """

    origins: frozenset[str]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 600

    def __post_init__(self) -> None:
        for origin in sorted(self.origins - {ANY}):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"CORS_ORIGINS names {origin!r}: an origin is written as a browser does, "
                    "https://shop.example or http://127.0.0.1:3000, in lower case, without a path"
                )
        if ANY in self.origins and len(self.origins) > 1:
            raise ValueError("CORS_ORIGINS names * and others: * is every origin, so it is alone")
        if ANY in self.origins and self.credentials:
            raise ValueError(
                "CORS_ORIGINS=* with CORS_CREDENTIALS=true would let every page of the internet "
                "act with a user's cookies: name the origins"
            )
        names = (("METHODS", self.methods), ("HEADERS", self.headers), ("EXPOSE", self.expose))
        for setting, values in names:
            for value in values:
                if not _TOKEN.fullmatch(value):
                    raise ValueError(f"CORS_{setting} names {value!r}: name each one")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Cors | None:
        """What a configuration says, with the settings' names in upper case; None: it is off.

        Raises:
            ValueError: see `Cors`.
        """
        if not config.get("CORS_ORIGINS"):
            return None
        return cls(
            origins=frozenset(config["CORS_ORIGINS"]),
            methods=tuple(method.upper() for method in config.get("CORS_METHODS", ())),
            headers=tuple(config.get("CORS_HEADERS", ())),
            expose=tuple(config.get("CORS_EXPOSE", ())),
            credentials=config.get("CORS_CREDENTIALS", False),
            max_age=config.get("CORS_MAX_AGE", 600),
        )

    @property
    def varies(self) -> bool:
        """Whether answers differ by the origin that asks, which caches must be told."""
        return ANY not in self.origins

    def allows(self, origin: str | None) -> bool:
        """Whether a page of this origin may read answers."""
        return not self.varies or origin in self.origins

    def answer(self, origin: str | None) -> list[tuple[str, str]]:
        """The headers of each answer to a request with this origin (None: without one)."""
        if not self.allows(origin):
            return []
        found = [("access-control-allow-origin", origin if self.varies and origin else ANY)]
        if self.credentials:
            found.append(("access-control-allow-credentials", "true"))
        if self.expose:
            found.append(("access-control-expose-headers", ", ".join(self.expose)))
        return found

    def preflight(self, origin: str | None, methods: Iterable[str]) -> dict[str, str]:
        """The headers that only the answer to a preflight has.

        Args:
            origin: Who asks.
            methods: Those of the route.
        """
        if not self.allows(origin):
            return {}
        allowed = sorted(set(methods).intersection(self.methods))
        found = {
            "access-control-allow-methods": ", ".join(allowed),
            "access-control-max-age": str(self.max_age),
        }
        if self.headers:
            found["access-control-allow-headers"] = ", ".join(self.headers)
        return found
