"""Log lines."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import Seconds

__all__ = ["LogsSection"]


class LogsSection(msgspec.Struct, frozen=True, kw_only=True):
    """Log lines."""

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        Meta(description="least important log line to write"),
    ] = "INFO"
    log_format: Annotated[
        Literal["auto", "json", "text"],
        Meta(description="form of log lines; auto is text on a terminal and JSON elsewhere"),
    ] = "auto"
    log_config: Annotated[
        str | None, Meta(description="a logging configuration of your own, a YAML or JSON file")
    ] = None
    log_queue_size: Annotated[
        int, Meta(ge=1, description="most log lines that wait to be written; more are dropped")
    ] = 10_000
    access_log: Annotated[bool, Meta(description="one log line for each request")] = True
    access_log_sample: Annotated[
        float, Meta(ge=0, le=1, description="share of the requests that get their line, 0 to 1")
    ] = 1.0
    access_log_slow: Annotated[
        Seconds, Meta(description="seconds from which a request gets its line in any case")
    ] = 1.0
    redact: Annotated[
        list[str], Meta(description="further names whose values are hidden in logs and spans")
    ] = msgspec.field(default_factory=list)
