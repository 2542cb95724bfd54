"""Starting, probing and stopping."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import Seconds, Secret

__all__ = ["OperationSection"]


class OperationSection(msgspec.Struct, frozen=True, kw_only=True):
    """Starting, probing and stopping."""

    shutdown_delay: Annotated[
        float,
        Meta(ge=0, description="seconds to go on serving after a stop is announced"),
    ] = 0.0
    reuse_port: Annotated[
        bool, Meta(description="let another process listen on the same port, to take over")
    ] = False
    worker_start_timeout: Annotated[
        Seconds, Meta(description="seconds for a worker to get ready; then it is killed")
    ] = 30.0
    worker_silence_timeout: Annotated[
        float,
        Meta(ge=0, description="seconds that a worker's loop may be blocked; then it is killed"),
    ] = 60.0
    worker_max_requests: Annotated[
        int, Meta(ge=0, description="requests after which a worker is replaced; 0 means never")
    ] = 0
    worker_max_memory: Annotated[
        int, Meta(ge=0, description="bytes of memory at which a worker is replaced; 0 means never")
    ] = 0
    loop_blocked_threshold: Annotated[
        float,
        Meta(ge=0, description="seconds of a blocked event loop that are logged; 0 means none"),
    ] = 0.1
    tls_cert: Annotated[
        str | None, Meta(description="file of the certificate and its chain, for HTTPS")
    ] = None
    tls_key: Annotated[str | None, Meta(description="file of the certificate's private key")] = None
    tls_key_password: Annotated[
        str | None, Secret, Meta(description="pass phrase of TLS_KEY, where it is encrypted")
    ] = None
    ssl_handshake_timeout: Annotated[
        Seconds, Meta(description="seconds for a TLS handshake; then the connection is closed")
    ] = 10.0
