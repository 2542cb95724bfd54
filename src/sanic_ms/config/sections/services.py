"""Calls to other services."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import Seconds

__all__ = ["ServicesSection"]


class ServicesSection(msgspec.Struct, frozen=True, kw_only=True):
    """Calls to other services."""

    services: Annotated[
        dict[str, str], Meta(description="base URLs of other services, by their name")
    ] = msgspec.field(default_factory=dict)
    client_timeout: Annotated[
        Seconds, Meta(description="seconds for a whole call to another service")
    ] = 10.0
    client_connect_timeout: Annotated[
        Seconds, Meta(description="seconds to connect to another service")
    ] = 2.0
    client_transport: Annotated[
        Literal["auto", "aiohttp"],
        Meta(description="what carries calls: auto, or aiohttp for every call"),
    ] = "auto"
