"""How a service listens, and what a request may cost."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import Seconds

__all__ = ["ServingSection"]


class ServingSection(msgspec.Struct, frozen=True, kw_only=True):
    """How a service listens, and what a request may cost."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port to listen on")] = 8000
    unix: Annotated[
        str | None, Meta(description="path of a unix socket to listen on, instead of TCP")
    ] = None
    workers: Annotated[
        Annotated[int, Meta(ge=1)] | Literal["auto"],
        Meta(description="processes that serve; auto: as many as there are processors"),
    ] = 1
    debug: Annotated[
        bool, Meta(description="verbose logs and errors in answers; never in production")
    ] = False
    auto_reload: Annotated[bool, Meta(description="restart when a source file changes")] = False
    auto_extend: Annotated[bool, Meta(description="use sanic-ext, where it is installed")] = False
    server_protocol: Annotated[
        Literal["strict", "sanic"],
        Meta(description="the HTTP/1.1 protocol: the framework's own, or Sanic's"),
    ] = "strict"
    request_max_size: Annotated[
        int, Meta(ge=1, description="largest request body, in bytes; over it is 413")
    ] = 10_000_000
    request_timeout: Annotated[
        Seconds, Meta(description="seconds for a request to arrive whole; over it is 408")
    ] = 60.0
    response_timeout: Annotated[
        Seconds, Meta(description="seconds for a handler to answer; over it is 503")
    ] = 60.0
    request_deadline: Annotated[
        Seconds | None,
        Meta(description="seconds for the work of a request; over it is 504; empty means no limit"),
    ] = None
    keep_alive_timeout: Annotated[
        float, Meta(ge=0, description="seconds that an idle connection stays open")
    ] = 75.0
    request_body_timeout: Annotated[
        Seconds, Meta(description="seconds to wait for a request's body, all waits together")
    ] = 60.0
    request_max_header_size: Annotated[
        int, Meta(ge=256, description="largest head of a request, in bytes; over it is 431")
    ] = 8192
    request_max_headers: Annotated[
        int, Meta(ge=1, description="most header lines of a request; over it is 431")
    ] = 100
    keep_alive_requests: Annotated[
        int, Meta(ge=0, description="requests that one connection may send; 0 means no limit")
    ] = 0
    write_timeout: Annotated[
        Seconds, Meta(description="seconds for a client to read what waits for it")
    ] = 30.0
    graceful_shutdown_timeout: Annotated[
        float, Meta(ge=0, description="seconds for requests in flight to finish at stop")
    ] = 15.0
