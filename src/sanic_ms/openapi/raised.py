"""The errors that a route declares with `doc.raises`, as descriptions and examples of responses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sanic_ms.exception import FieldError, HTTPError, ValidationError
from sanic_ms.values.route import EnvelopeSchema

__all__ = ["by_status", "describe_errors", "error_examples"]


def by_status(classes: Iterable[type[HTTPError]]) -> dict[int, list[HTTPError]]:
    """An error of each class, by its status."""
    found: dict[int, list[HTTPError]] = {}
    for cls in classes:
        error = _error_of(cls)
        found.setdefault(error.status, []).append(error)
    return found


def describe_errors(errors: Iterable[HTTPError], first: str = "") -> str:
    """What a response means, in Markdown.

    Args:
        errors: The errors that it stands for.
        first: What else it stands for.
    """
    lines = [f"{error.message} ({error.code})" + _meaning(type(error)) for error in errors]
    if len(lines) == 1 and not first:
        return lines[0]
    listed = "\n".join(f"- {line}" for line in lines)
    return f"{first}\n\n{listed}" if first else listed


def error_examples(errors: Iterable[HTTPError], envelope: EnvelopeSchema) -> dict[str, Any]:
    """The bodies of the errors' responses, by the names of their classes.

    Nothing of an error that the envelope does not write as JSON.
    """
    examples: dict[str, Any] = {}
    for error in errors:
        try:
            body = msgspec.json.decode(envelope.error(error))
        except Exception:  # the application's own envelope; an example is a help, and no more
            continue
        name = type(error).__name__
        number, free = 1, name
        while free in examples:
            number += 1
            free = f"{name}_{number}"
        examples[free] = {"summary": error.message, "value": body}
    return examples


def _error_of(cls: type[HTTPError]) -> HTTPError:
    """An error as it is raised without arguments.

    Of a class that wants some, one that has what its class attributes say.
    """
    example: Mapping[str, Any] = {}
    if issubclass(cls, ValidationError):
        example = {"errors": (FieldError("name", "is required", "missing"),)}
    try:
        return cls(**example)
    except Exception:  # whatever a constructor of the application's own does without arguments
        error = cls.__new__(cls)
        HTTPError.__init__(error, getattr(cls, "public", None))
        vars(error).update(example)
        return error


def _meaning(cls: type[HTTPError]) -> str:
    """The first line of the docstring of a class, without the status that ours begin with."""
    text = re.sub(r"^\d{3}[:.]?\s*", "", (vars(cls).get("__doc__") or "").strip())
    line = text.partition("\n")[0].strip()
    return f": {line}" if line else ""
