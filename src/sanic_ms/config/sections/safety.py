"""Headers, origins and proxies: the defaults that keep a service safe."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import HttpPath, Secret
from sanic_ms.values.response_headers import SAFE_HEADERS

__all__ = ["SafetySection"]


class SafetySection(msgspec.Struct, frozen=True, kw_only=True):
    """Headers, origins and proxies: the defaults that keep a service safe."""

    environment: Annotated[
        Literal["development", "test", "staging", "production"],
        Meta(description="where the service runs; production refuses what is unsafe there"),
    ] = "development"
    response_headers: Annotated[
        dict[str, str],
        Meta(description="headers of every answer that does not set them; empty means none"),
    ] = msgspec.field(default_factory=lambda: dict(SAFE_HEADERS))
    cors_origins: Annotated[
        list[str], Meta(description="origins whose pages may read answers, or *; empty: none")
    ] = msgspec.field(default_factory=list)
    cors_methods: Annotated[
        list[str], Meta(description="methods that such pages may use, where a route has them")
    ] = msgspec.field(default_factory=lambda: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    cors_headers: Annotated[list[str], Meta(description="headers that such pages may send")] = (
        msgspec.field(default_factory=lambda: ["Authorization", "Content-Type"])
    )
    cors_expose: Annotated[
        list[str], Meta(description="headers of answers that such pages may read")
    ] = msgspec.field(default_factory=list)
    cors_credentials: Annotated[
        bool, Meta(description="whether such pages may send cookies; never with *")
    ] = False
    cors_max_age: Annotated[
        int, Meta(ge=0, description="seconds for which browsers remember what pages may do")
    ] = 600
    deny_by_default: Annotated[
        bool, Meta(description="refuse to start while a route declares no policy (doc.security)")
    ] = False
    trusted_proxies: Annotated[
        Annotated[int, Meta(ge=1)] | list[str],
        Meta(description="proxies whose headers count: addresses and networks, or how many"),
    ] = msgspec.field(default_factory=list)
    proxy_headers: Annotated[
        Literal["x-forwarded", "forwarded"],
        Meta(description="the headers that they write: X-Forwarded-For, -Proto …, or Forwarded"),
    ] = "x-forwarded"
    max_connections: Annotated[
        int, Meta(ge=0, description="connections that a process holds; over it is 503; 0: no limit")
    ] = 10_000
    request_max_form_parts: Annotated[
        int, Meta(ge=1, description="most fields and files of a form; over it is 413")
    ] = 1000
    request_max_form_field_size: Annotated[
        int, Meta(ge=1, description="largest field of a multipart form, in bytes; over it is 413")
    ] = 1_000_000
    upload_memory_size: Annotated[
        int,
        Meta(ge=0, description="bytes of a request's files in memory; more is in temporary files"),
    ] = 1_000_000
    health: Annotated[bool, Meta(description="serve the health endpoints")] = True
    health_live_path: Annotated[
        HttpPath, Meta(description="path of liveness: whether the process answers at all")
    ] = "/health/live"
    health_ready_path: Annotated[
        HttpPath, Meta(description="path of readiness: whether it should get requests")
    ] = "/health/ready"
    health_startup_path: Annotated[
        HttpPath, Meta(description="path of startup: whether the start is done")
    ] = "/health/startup"
    health_details: Annotated[
        Literal["always", "protected", "never"],
        Meta(description="who sees each part's health; protected is by ADMIN_TOKEN or ADMIN_PORT"),
    ] = "protected"
    admin_token: Annotated[
        Annotated[str, Meta(min_length=16)] | None,
        Secret,
        Meta(description="what metrics, docs and health details ask for, as Bearer or password"),
    ] = None
    admin_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="port of its own for metrics, docs and health details, off the service's"),
    ] = None
    admin_host: Annotated[
        str, Meta(min_length=1, description="address that ADMIN_PORT listens on")
    ] = "127.0.0.1"
