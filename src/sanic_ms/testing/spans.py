"""The spans that a service made in a test, as trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from sanic_ms.telemetry.tracing import Tracing
from sanic_ms.telemetry.tracing.span import RecordedSpan

__all__ = ["SpanNode", "Spans"]

Status = Literal["unset", "ok", "error"]
_STATUS: tuple[Status, Status, Status] = ("unset", "ok", "error")


@dataclass(frozen=True, slots=True)
class SpanNode:
    """One span that has ended, with those below it.

    Attributes:
        name: ``"GET /users/{id}"`` …
        kind: ``"server"``, ``"client"``, ``"internal"``, ``"producer"`` or ``"consumer"``.
        attributes: By OpenTelemetry's names.
        status: ``"error"`` where it failed, and ``description`` says how.
        duration: Seconds.
        trace_id: 32 hexadecimal digits.
        children: In the order in which they began.
    """

    name: str
    kind: str
    attributes: dict[str, Any]
    status: Status
    description: str
    duration: float
    trace_id: str
    children: list[SpanNode] = field(default_factory=list)

    def __iter__(self) -> Iterator[SpanNode]:
        """This one and all below it, from the top."""
        yield self
        for child in self.children:
            yield from child

    def tree(self, depth: int = 0) -> str:
        """A line for each, indented."""
        mark = " (error)" if self.status == "error" else ""
        below = "".join(child.tree(depth + 1) for child in self.children)
        return f"{'  ' * depth}{self.kind} {self.name}{mark}\n{below}"


class Spans:
    """What a service recorded while a test ran: every span, whatever share the settings record.

    Nothing is sent to a collector in that time.
    """

    def __init__(self) -> None:
        self._ended: list[RecordedSpan] = []

    @property
    def roots(self) -> list[SpanNode]:
        """The spans that have no parent here, in the order in which they began."""
        spans = sorted(self._ended, key=lambda span: span.start)
        nodes = {span.span_id: _node(span) for span in spans}
        roots: list[SpanNode] = []
        for span in spans:
            parent = nodes.get(span.parent_id)
            (roots if parent is None else parent.children).append(nodes[span.span_id])
        return roots

    def __iter__(self) -> Iterator[SpanNode]:
        for root in self.roots:
            yield from root

    def __len__(self) -> int:
        return len(self._ended)

    def find(self, name: str) -> SpanNode:
        """The one span of a name.

        Raises:
            AssertionError: there is none, or several; the text shows all spans.
        """
        found = [node for node in self if node.name == name]
        if len(found) != 1:
            raise AssertionError(f"{len(found) or 'no'} spans {name!r} in:\n{self}")
        return found[0]

    def clear(self) -> None:
        """Forget them."""
        self._ended.clear()

    def __str__(self) -> str:
        return "".join(root.tree() for root in self.roots) or "no spans"

    def record(self, tracing: Tracing) -> None:
        """Take every span of a service's tracing from now on, in place of its exporter."""
        provider = tracing.provider
        provider.put, provider.put_record = self._ended.append, None
        provider.records, provider.ratio = True, 1.0


def _node(span: RecordedSpan) -> SpanNode:
    return SpanNode(
        span.name,
        span.kind.name.lower(),
        dict(span.attributes),
        _STATUS[span.status],
        span.description,
        (span.stop - span.start) / 1e9,
        span.trace_id,
    )
