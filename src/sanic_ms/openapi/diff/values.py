"""What changed between two sets of values, as JSON Schema bounds them: enumerations, limits, forms.

Everything here says whether fewer or more values are valid, and leaves to the caller what that
means in a request and in an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeGuard

from sanic_ms.openapi.diff.branches import Branch

__all__ = ["KEYWORDS", "ValueChange", "text_of", "value_changes"]

ValueChange = Literal["narrower", "wider", "breaking"]
"""Fewer values are valid, or more; or both, so that it breaks either way."""


class _Limit(NamedTuple):
    """A bound: of which type, its keyword, and how it reads."""

    kind: str
    keyword: str
    is_upper: bool
    words: str


_LIMITS = (
    _Limit("string", "minLength", False, "at least {} characters long"),
    _Limit("string", "maxLength", True, "at most {} characters long"),
    _Limit("array", "minItems", False, "at least {} items long"),
    _Limit("array", "maxItems", True, "at most {} items long"),
    _Limit("object", "minProperties", False, "of at least {} keys"),
    _Limit("object", "maxProperties", True, "of at most {} keys"),
    _Limit("number", "minimum", False, "at least {}"),
    _Limit("number", "maximum", True, "at most {}"),
)
_EXCLUSIVE = {
    "minimum": ("exclusiveMinimum", "more than {}"),
    "maximum": ("exclusiveMaximum", "less than {}"),
}

# Keywords that are there or not: with one, fewer values are valid than without.
_FORMS = {
    "string": ("format", "pattern", "contentEncoding", "contentMediaType"),
    "number": ("format", "multipleOf"),
    "array": ("uniqueItems", "minContains", "maxContains"),
}
_WIDER_FORMATS = {("int32", "int64"), ("float", "double")}

KEYWORDS = frozenset(
    [
        "enum",
        *(limit.keyword for limit in _LIMITS),
        *(keyword for keyword, _ in _EXCLUSIVE.values()),
        *(keyword for keywords in _FORMS.values() for keyword in keywords),
    ]
)
"""The keywords that are looked at here."""

_Bound = tuple[float, bool]
"""A limit's number, and whether the number itself is outside."""


def text_of(value: Any) -> str:
    """A value as JSON. Values are compared by it, too: in Python 1 is True."""
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)


def value_changes(kind: str, old: Branch, new: Branch) -> Iterator[tuple[ValueChange, str]]:
    """The changes of a value of one type, each as the rest of a sentence: ``"is at most 3 now"``.

    Args:
        kind: The type; ``"number"`` for integers too.
        old, new: What held, and what holds.
    """
    if "enum" in old.keywords or "enum" in new.keywords:
        yield from _listed(kind, old, new)
        return
    for limit in _LIMITS:
        if limit.kind == kind:
            yield from _limited(limit, _bound(limit, old), _bound(limit, new))
    for keyword in _FORMS.get(kind, ()):
        yield from _formed(keyword, old.keywords.get(keyword), new.keywords.get(keyword))


def _listed(kind: str, old: Branch, new: Branch) -> Iterator[tuple[ValueChange, str]]:
    before, after = _values(old, kind), _values(new, kind)
    if before is not None and after is not None:
        if lost := [value for value in before if value not in after]:
            yield "narrower", f"may not be {' or '.join(lost)} any more"
        if gained := [value for value in after if value not in before]:
            yield "wider", f"may also be {' or '.join(gained)} now"
    elif after is not None:
        yield "narrower", f"is only {' or '.join(after)} now"
    elif before is not None:
        yield "wider", f"may be something else than {' or '.join(before)} now"


def _values(branch: Branch, kind: str) -> list[str] | None:
    """The values that are listed, as JSON; None where others are valid too."""
    values = branch.keywords.get("enum")
    if not isinstance(values, list):
        return ["false", "true"] if kind == "boolean" else None
    return [text_of(value) for value in values if value is not None]


def _limited(
    limit: _Limit, before: _Bound | None, after: _Bound | None
) -> Iterator[tuple[ValueChange, str]]:
    if before == after:
        return
    if before is None and after is not None:
        yield "narrower", f"is {_words(limit, after)} now"
    elif after is None and before is not None:
        yield "wider", f"need not be {_words(limit, before)} any more"
    elif before is not None and after is not None:
        # Of the same number, the bound that excludes it is the tighter one.
        sign = -1 if limit.is_upper else 1
        is_tighter = (after[0] * sign, after[1]) > (before[0] * sign, before[1])
        text = f"is {_words(limit, after)} now, {_words(limit, before)} before"
        yield "narrower" if is_tighter else "wider", text


def _bound(limit: _Limit, branch: Branch) -> _Bound | None:
    value = branch.keywords.get(limit.keyword)
    if limit.kind != "number":
        # To be at least 0 long is no limit.
        return (value, False) if _is_number(value) and (value or limit.is_upper) else None
    exclusive = branch.keywords.get(_EXCLUSIVE[limit.keyword][0])
    if exclusive is True:  # OpenAPI 3.0
        exclusive, value = value, None
    bounds: list[_Bound] = []
    if _is_number(value):
        bounds.append((value, False))
    if _is_number(exclusive):
        is_whole = "number" not in branch.types and exclusive == int(exclusive)
        step = -1 if limit.is_upper else 1
        bounds.append((exclusive + step, False) if is_whole else (exclusive, True))
    if not bounds:
        return None
    return min(bounds) if limit.is_upper else max(bounds)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _words(limit: _Limit, bound: _Bound) -> str:
    value, is_exclusive = bound
    return (_EXCLUSIVE[limit.keyword][1] if is_exclusive else limit.words).format(value)


def _formed(keyword: str, before: Any, after: Any) -> Iterator[tuple[ValueChange, str]]:
    before, after = before or None, after or None  # `uniqueItems: false` says nothing
    if before == after:
        return
    if after is None:
        yield "wider", f"has no {keyword} {text_of(before)} any more"
    elif before is None:
        yield "narrower", f"has the {keyword} {text_of(after)} now"
    else:
        text = f"has the {keyword} {text_of(after)} now, {text_of(before)} before"
        yield _form_change(keyword, before, after), text


def _form_change(keyword: str, before: Any, after: Any) -> ValueChange:
    if keyword == "format":
        if (before, after) in _WIDER_FORMATS:
            return "wider"
        if (after, before) in _WIDER_FORMATS:
            return "narrower"
    if keyword == "multipleOf" and _is_number(before) and _is_number(after):
        if before % after == 0:
            return "wider"
        if after % before == 0:
            return "narrower"
    return "breaking"
