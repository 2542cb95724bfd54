"""The file beside a worker's numbers that says what stands where.

It only grows: a line for each metric (an object) and one for each set of label values (a list: the
metric's number, where its numbers begin, the values). A line counts once its end is written.
"""

from __future__ import annotations

import msgspec

from sanic_ms.telemetry.metrics.definition import Definition
from sanic_ms.telemetry.metrics.store import Table

__all__ = ["KeyReader", "encode_definition", "encode_place"]

_encode = msgspec.json.Encoder().encode
_Line = Definition | tuple[int, int, tuple[str, ...]]
_decode = msgspec.json.Decoder(_Line).decode


def encode_definition(definition: Definition) -> bytes:
    """The line of a metric."""
    return _encode(definition) + b"\n"


def encode_place(metric: int, at: int, labels: tuple[str, ...]) -> bytes:
    """The line of a set of label values."""
    return _encode((metric, at, labels)) + b"\n"


class KeyReader:
    """The contents of such a file, as far as it was fed.

    Attributes:
        table: What stands where.
        definitions: The metrics by their number.
        taken: How many bytes were understood; feed what follows them.
        used: How many numbers have a meaning.
    """

    def __init__(self) -> None:
        self.table: Table = {}
        self.definitions: list[Definition] = []
        self.taken = 0
        self.used = 0

    def feed(self, data: bytes) -> None:
        """Take in what follows ``taken``; half a line at the end is left for the next time.

        Raises:
            ValueError: it is not such a file.
        """
        end = data.rfind(b"\n") + 1
        for line in data[:end].splitlines():
            entry = _decode(line)
            if isinstance(entry, Definition):
                self.definitions.append(entry)
                self.table.setdefault(entry, {})
                continue
            metric, at, labels = entry
            if not 0 <= metric < len(self.definitions) or at < 0:
                raise ValueError(f"no metric has the number {metric}")
            definition = self.definitions[metric]
            self.table[definition][labels] = at
            self.used = max(self.used, at + definition.size)
        self.taken += end
