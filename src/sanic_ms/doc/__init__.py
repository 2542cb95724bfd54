"""Decorators and fields that say what a handler reads and answers: ``from sanic_ms import doc``.

What they say is documented in the OpenAPI document and held at requests: `consumes` validates,
`produces` keeps undeclared keys out of the answer.
"""

from sanic_ms.doc.containers import Dictionary, List, Object, Tuple
from sanic_ms.doc.decorators import (
    consumes,
    deadline,
    deprecated,
    description,
    exclude,
    in_loop,
    produces,
    raises,
    response,
    security,
    shielded,
    summary,
    tag,
)
from sanic_ms.doc.depends import depends
from sanic_ms.doc.fields import (
    Boolean,
    Date,
    DateTime,
    Field,
    Float,
    Integer,
    String,
    read_only,
    write_only,
)
from sanic_ms.doc.first_generation import route

__all__ = [
    "Boolean",
    "Date",
    "DateTime",
    "Dictionary",
    "Field",
    "Float",
    "Integer",
    "List",
    "Object",
    "String",
    "Tuple",
    "consumes",
    "deadline",
    "depends",
    "deprecated",
    "description",
    "exclude",
    "in_loop",
    "produces",
    "raises",
    "read_only",
    "response",
    "route",
    "security",
    "shielded",
    "summary",
    "tag",
    "write_only",
]
