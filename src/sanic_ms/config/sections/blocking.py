"""Functions that block: threads and processes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["BlockingSection"]

_Number = Annotated[int, Meta(ge=1)] | Literal["auto"]


class BlockingSection(msgspec.Struct, frozen=True, kw_only=True):
    """Functions that block: threads and processes."""

    sync_handlers: Annotated[
        Literal["thread", "loop"],
        Meta(description="where handlers that are plain functions run"),
    ] = "thread"
    blocking_threads: Annotated[
        _Number,
        Meta(description="most threads of a worker; auto: its processors and four, at most 32"),
    ] = "auto"
    blocking_processes: Annotated[
        _Number,
        Meta(description="most processes of a worker for computations; auto: its processors"),
    ] = "auto"
    blocking_queue: Annotated[
        int, Meta(ge=0, description="most calls that wait for a thread; over it is 503")
    ] = 1000
