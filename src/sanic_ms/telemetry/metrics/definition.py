"""What a metric is: its name, kind and labels, checked once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

__all__ = [
    "DEFAULT_BUCKETS",
    "OTHER",
    "Across",
    "Definition",
    "Kind",
    "define",
    "label_text",
    "method_label",
]

Kind = Literal["counter", "gauge", "histogram"]
Across = Literal["sum", "max", "min", "latest", "worker"]
"""What one number is made of the gauges of several workers; ``worker`` keeps them apart."""

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds, for durations."""

OTHER = "other"
"""The label value of everything beyond the limit of a metric."""

_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)
_LONGEST = 256  # characters of a label value
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "histogram": ("", "_bucket", "_count", "_sum", "_created"),
}


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A metric, as it stands in a worker's file too.

    Attributes:
        name: Without the ``_total`` of counters.
        kind: What it counts.
        help: One line for people.
        labels: The names of its labels.
        across: How the gauges of several workers become one.
        bounds: The upper bounds of a histogram's buckets, without infinity.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    across: Across = "sum"
    bounds: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers one set of label values takes.

        A counter is one. A gauge is its value and when it was set: 0 where it was not, 1 where
        the time means nothing. A histogram is a number for each bucket, infinity last, and the
        sum.
        """
        if self.kind == "counter":
            return 1
        return 2 if self.kind == "gauge" else len(self.bounds) + 2

    @property
    def shape(self) -> tuple[object, ...]:
        """What two definitions of one name must have in common for their numbers to add up."""
        return self.kind, self.labels, self.across, self.bounds

    @property
    def sample_names(self) -> tuple[str, ...]:
        """Every name that a scrape may show for it."""
        return tuple(self.name + suffix for suffix in _SUFFIXES[self.kind])


def define(
    kind: Kind,
    name: str,
    help: str,
    *,
    labels: Iterable[str] = (),
    across: Across = "sum",
    buckets: Sequence[float] = (),
) -> Definition:
    """A definition, checked.

    Raises:
        TypeError: a name, the help or the labels are not text.
        ValueError: a name is not Prometheus', a label is reserved, or buckets do not rise.
    """
    if not isinstance(name, str) or not isinstance(help, str):
        raise TypeError(
            f"{kind}({name!r}, {help!r}): give two texts, its name and what it counts, in a line"
        )
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{kind} {name!r}: a metric's name is letters, digits, _ and :, with no digit first"
        )
    if kind == "counter":
        name = name.removesuffix("_total")
        if not name:
            raise ValueError("counter '_total': a name must stand before _total")
    elif name.endswith("_total"):
        raise ValueError(f"{kind} {name!r}: only a counter's name ends in _total")
    if not help.strip():
        raise ValueError(f"{kind} {name!r}: say in help what it counts, and its unit")
    if across not in ("sum", "max", "min", "latest", "worker"):
        raise ValueError(
            f"gauge {name!r}: across={across!r} is none of sum, max, min, latest, worker"
        )
    return Definition(
        name=name,
        kind=kind,
        help=help,
        labels=_labels(kind, name, labels, across),
        across=across,
        bounds=_bounds(name, buckets) if kind == "histogram" else (),
    )


def _labels(kind: Kind, name: str, labels: Iterable[str], across: Across) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise TypeError(
            f"{kind} {name!r}: labels={labels!r} is one text; give a list: [{labels!r}]"
        )
    try:
        names = tuple(labels)
    except TypeError:
        raise TypeError(f"{kind} {name!r}: labels={labels!r} is no list of names") from None
    reserved = {"histogram": "le", "gauge": "worker" if across == "worker" else None}.get(kind)
    for label in names:
        if not isinstance(label, str):
            raise TypeError(f"{kind} {name!r}: the label {label!r} is not text")
        if not _LABEL.fullmatch(label) or label.startswith("__"):
            raise ValueError(
                f"{kind} {name!r}: the label {label!r} must be letters, digits and _, and begin "
                "with neither a digit nor __"
            )
        if label == reserved:
            raise ValueError(f"{kind} {name!r}: the label {label!r} is set by the framework")
    if len(set(names)) < len(names):
        raise ValueError(f"{kind} {name!r}: a label stands twice in {', '.join(names)}")
    return names


def _bounds(name: str, buckets: Sequence[float]) -> tuple[float, ...]:
    try:
        bounds = tuple(float(bound) for bound in buckets)
    except (TypeError, ValueError):
        raise TypeError(f"histogram {name!r}: buckets={buckets!r} are not numbers") from None
    if bounds and bounds[-1] == math.inf:  # it is always there
        bounds = bounds[:-1]
    if not bounds:
        raise ValueError(f"histogram {name!r}: give at least one bucket")
    rising = all(low < high for low, high in pairwise(bounds))
    if not rising or not bounds[0] >= 0 or not bounds[-1] < math.inf:
        raise ValueError(f"histogram {name!r}: buckets={buckets!r} must rise, from at least 0")
    return bounds


def label_text(value: object) -> str:
    """A label's value as text that a scrape can show: no half characters, and not endless."""
    text = value if type(value) is str else str(value)
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def method_label(method: str) -> str:
    """An HTTP method as a label's value; one that nobody has standardised is ``other``."""
    return method if method in _METHODS else OTHER
