"""The text that Prometheus reads.

Formats: the Prometheus text format 0.0.4, and OpenMetrics 1.0, which Prometheus asks for.
https://prometheus.io/docs/instrumenting/exposition_formats/
https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from math import inf
from typing import Any, NamedTuple

from sanic_ms.telemetry.metrics.multiprocess.merge import Family
from sanic_ms.telemetry.metrics.registry import Registry

__all__ = ["Exposition", "render"]

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"


class Exposition(NamedTuple):
    """A scrape's answer."""

    body: bytes
    content_type: str


def render(registry: Registry, accept: str = "") -> Exposition:
    """All metrics of all workers, and those that other libraries keep with prometheus-client.

    Args:
        registry: The service's.
        accept: The ``Accept`` header of the scrape. OpenMetrics where it prefers that, else plain.
    """
    registry.sample()
    is_open = _wants_openmetrics(accept)
    families = registry.families()
    parts: list[str] = []
    for family in families:
        parts.extend(_lines(family, is_open))
    names = {name for entry in registry.definitions for name in entry.sample_names}
    parts.append(_foreign(names, is_open))
    if is_open:
        parts.append("# EOF\n")
    return Exposition("".join(parts).encode(), OPENMETRICS if is_open else PLAIN)


def _wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics is named, and with no lower weight than plain text."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for entry in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        given = dict(part.partition("=")[::2] for part in parameters)
        if kind not in weights or given.get("version", "1.0.0") not in ("1.0.0", "0.0.4"):
            continue
        try:
            weight = float(given.get("q", "1"))
        except ValueError:
            continue
        weights[kind] = max(weights[kind], weight)
    return 0 < weights["application/openmetrics-text"] >= weights["text/plain"]


def _lines(family: Family, is_open: bool) -> Iterator[str]:
    definition = family.definition
    name = definition.name
    sample = f"{name}_total" if definition.kind == "counter" else name
    title = name if is_open else sample
    text = definition.help.replace("\\", r"\\").replace("\n", r"\n")
    if is_open:
        text = text.replace('"', r"\"")
    yield f"# HELP {title} {text}\n# TYPE {title} {definition.kind}\n"
    names = family.labels
    if definition.kind != "histogram":
        for values, numbers in sorted(family.cells.items()):
            labels = _labels(names, values)
            braces = f"{{{labels}}}" if labels else ""
            yield f"{sample}{braces} {_number(numbers[0])}\n"
        return
    heads = [f'le="{_number(bound)}"}} ' for bound in (*definition.bounds, inf)]
    for values, (*counts, total) in sorted(family.cells.items()):
        labels = _labels(names, values)
        start = f"{name}_bucket{{{labels},".replace("{,", "{", 1) if labels else f"{name}_bucket{{"
        below = 0.0
        for head, count in zip(heads, counts, strict=True):
            below += count
            yield f"{start}{head}{below}\n"
        braces = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braces} {_number(total)}\n{name}_count{braces} {below}\n"


def _labels(names: Iterable[str], values: Iterable[str]) -> str:
    return ",".join(
        f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)
    )


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    if -inf < value < inf:
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


# --- other libraries' metrics -------------------------------------------------------------------


def _foreign(names: set[str], is_open: bool) -> str:
    """What stands in prometheus-client's own registry, without what we say ourselves.

    Nothing unless the application, or a library of its own, has imported it: that costs 100 ms
    and would bring numbers of the process that are here already.
    """
    if "prometheus_client" not in sys.modules:
        return ""
    from prometheus_client import exposition
    from prometheus_client.openmetrics import exposition as open_exposition

    others: Any = _Others(names)
    if not is_open:
        return exposition.generate_latest(others).decode()
    text: bytes = open_exposition.generate_latest(others)  # type: ignore[no-untyped-call]
    return text.decode().removesuffix("# EOF\n")


class _Others:
    """A registry, as prometheus-client's formats read one."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def collect(self) -> Iterator[Any]:
        import prometheus_client
        from prometheus_client.values import ValueClass

        registry: Any = prometheus_client.REGISTRY
        if getattr(ValueClass, "_multiprocess", False):
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
        for metric in registry.collect():
            if metric.name not in self._names:
                yield metric
