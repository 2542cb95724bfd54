"""The line of a call of a ``@logger`` function, made so that the caller has the least to do."""

from __future__ import annotations

from typing import Any

import msgspec

from sanic_ms.telemetry.logging.line import Line, milliseconds

__all__ = ["CallSite", "Called"]


class CallSite(msgspec.Struct, frozen=True, eq=False):
    """What is the same for all calls of one function. Each is like no other one.

    Attributes:
        logger: The name of the logger that speaks of it.
        number: The level of its lines.
        level: The name of that level.
        name: What the lines call it.
        fields: Those of each line. They come from the program's text and hold no secrets.
    """

    logger: str
    number: int
    level: str
    name: str
    fields: dict[str, Any]


class Called(msgspec.Struct, gc=False):
    """One call that has ended. What can be worked out later is left to the thread that writes.

    Attributes:
        created: Seconds since the epoch.
        duration: Seconds.
        outcome: ``ok``, ``error`` or ``cancelled``.
        error: The exception's type where it is an error.
        arguments: Those that are logged; copied and without secrets on the way past `logging`.
        ids: Those of trace and span, None outside of a trace.
        request_id: None outside of a request.
    """

    site: CallSite
    created: float
    duration: float
    outcome: str
    error: str | None = None
    arguments: dict[str, Any] | None = None
    ids: tuple[str, str] | None = None
    request_id: Any = None

    def message(self) -> str:
        """What the line says."""
        return f"{self.site.name}: {self.outcome}, {milliseconds(self.duration):g} ms"

    def fields(self) -> dict[str, Any]:
        """What the line has beside the usual fields."""
        fields = self.site.fields.copy()
        fields["duration_ms"] = milliseconds(self.duration)
        fields["outcome"] = self.outcome
        if self.error is not None:
            fields["error"] = self.error
        if self.arguments is not None:
            fields["arguments"] = self.arguments
        return fields

    def line(self) -> Line:
        """The line as any other."""
        site = self.site
        return Line(
            self.created,
            site.level,
            site.number,
            site.logger,
            self.message(),
            self.ids,
            self.request_id,
            self.fields(),
        )
