"""Shapes: every way in which a program may say what data looks like, and what is made of it.

- `to_type` turns a shape into a type that msgspec decodes, encodes and documents.
- `defaults_of` says what stands in for keys that a request left out, and `filler` puts it there.
- `dec_hook`, `enc_hook`, `schema_hook` and `ENCODER` are msgspec's other halves.
- `number_finder` makes the function that finds numbers which no column holds.
- `projector` makes the function that keeps undeclared keys out of answers, and names the others as
  the shape does.
- `select` chooses among the keys of a model what a request may give.
- `describe` names a shape in messages, `require_shape` refuses at once what can be none.

A wrong shape raises `TypeError` when the program starts, never at a request.
"""

from __future__ import annotations

from sanic_ms.shapes.build import to_type
from sanic_ms.shapes.codec import ENCODER, dec_hook, enc_hook, inner_shapes, schema_hook
from sanic_ms.shapes.dates import DateWriter
from sanic_ms.shapes.defaults import Filler, defaults_of, filler
from sanic_ms.shapes.describe import describe, require_shape
from sanic_ms.shapes.joined import JoinedColumns
from sanic_ms.shapes.member import Direction, Member
from sanic_ms.shapes.numbers import (
    NumberFinder,
    UnusableNumber,
    holds_decimals,
    number_finder,
    unusable_number,
)
from sanic_ms.shapes.projection import Projector, ShapeMismatch, projector
from sanic_ms.shapes.selection import Selection, exposed_columns, select

__all__ = [
    "ENCODER",
    "DateWriter",
    "Direction",
    "Filler",
    "JoinedColumns",
    "Member",
    "NumberFinder",
    "Projector",
    "Selection",
    "ShapeMismatch",
    "UnusableNumber",
    "dec_hook",
    "defaults_of",
    "describe",
    "enc_hook",
    "exposed_columns",
    "filler",
    "holds_decimals",
    "inner_shapes",
    "number_finder",
    "projector",
    "require_shape",
    "schema_hook",
    "select",
    "to_type",
    "unusable_number",
]
