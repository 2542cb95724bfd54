"""The ``type`` of an entry of ``errors``: a word for programs that stays when the sentence changes;
and its ``params``: the values that the sentence mentions.

Both are read off msgspec's sentence, which the tests hold to the tables in ``docs/errors.md``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "INVALID",
    "MISSING",
    "NOT_UTF8",
    "REPEATED",
    "UNKNOWN_FIELD",
    "error_params",
    "error_type",
    "pydantic_error_params",
    "pydantic_error_type",
]

INVALID = "invalid"
MISSING = "missing"
NOT_UTF8 = "not_utf8"
REPEATED = "repeated"
UNKNOWN_FIELD = "unknown_field"

_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r"object missing required field|object missing .*tag", MISSING),
        (r"object contains unknown field", UNKNOWN_FIELD),
        (r"expected \w+ of length >=|expected \w+ of at least length", "too_short"),
        (r"expected \w+ of length <=", "too_long"),
        (r"expected \w+ of length", "wrong_length"),
        (r"expected \w+ >=? ", "too_small"),
        (r"expected \w+ <=? ", "too_large"),
        (r"expected \w+ that's a multiple of", "not_a_multiple"),
        (r"expected \w+ matching regex", "pattern_mismatch"),
        (r"expected \w+ with (?:a|no) timezone", "timezone"),
        (r"invalid (enum )?value", "not_allowed"),
        (r"invalid (?:rfc3339 encoded |iso8601 )?(datetime|date|time|duration)", r"\1_format"),
        (r"invalid (uuid|decimal)", r"\1_format"),
        (r"invalid base64", "bytes_format"),
        (r"invalid epoch timestamp", "datetime_format"),
        (r"expected a finite number", "finite_number"),
        (r".*out of range", "out_of_range"),
    )
)
_EXPECTED = re.compile(r"expected ([\w |]+?)(?:, got .*)?$", re.IGNORECASE)

_LIMIT = re.compile(
    r"expected \w+ (?:of (?:at least )?length |that's a multiple of )?(?P<sign>[<>]?=?) ?"
    r"(?P<limit>-?\d[\d.e+-]*)",
    re.IGNORECASE,
)
_PATTERN = re.compile(r"expected \w+ matching regex (?P<pattern>.*)$", re.IGNORECASE | re.DOTALL)
_CHOICE = re.compile(r"invalid (?:enum )?value (?P<value>.*)$", re.IGNORECASE | re.DOTALL)
_TYPES = re.compile(r"expected (?P<expected>[\w |]+), got (?P<got>\w+)$", re.IGNORECASE)

# pydantic's own words for what has one of ours.
_PYDANTIC = {
    "bool_parsing": "bool_type",
    "decimal_parsing": "decimal_format",
    "decimal_type": "decimal_type",
    "enum": "not_allowed",
    "extra_forbidden": UNKNOWN_FIELD,
    "finite_number": "finite_number",
    "float_parsing": "float_type",
    "greater_than": "too_small",
    "greater_than_equal": "too_small",
    "int_from_float": "int_type",
    "int_parsing": "int_type",
    "less_than": "too_large",
    "less_than_equal": "too_large",
    "literal_error": "not_allowed",
    "model_type": "object_type",
    "dict_type": "object_type",
    "list_type": "array_type",
    "multiple_of": "not_a_multiple",
    "string_pattern_mismatch": "pattern_mismatch",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "string_type": "str_type",
    "uuid_parsing": "uuid_format",
}
# Where pydantic keeps what is a `limit` here.
_PYDANTIC_LIMITS = {
    "ge": True,
    "gt": False,
    "le": True,
    "lt": False,
    "max_length": None,
    "min_length": None,
    "multiple_of": None,
}


def error_type(sentence: str) -> str:
    """The type of an error of msgspec's, from its sentence without the quotes and the path."""
    for pattern, word in _SENTENCES:
        if (match := pattern.match(sentence)) is not None:
            return match.expand(word).lower()
    match = _EXPECTED.match(sentence)
    if match is None:
        return INVALID
    kinds = [kind.strip() for kind in match[1].split("|")]
    kinds = [kind for kind in kinds if kind != "null"] or ["null"]
    if len(kinds) > 1:
        return "wrong_type"
    return f"{kinds[0]}_type" if kinds[0].isidentifier() else INVALID


def pydantic_error_type(word: str) -> str:
    """The type of an error of a pydantic model: ours where there is one, else pydantic's."""
    return _PYDANTIC.get(word, word)


def error_params(sentence: str) -> dict[str, Any]:
    """The values that an error of msgspec's mentions, from its sentence without the quotes."""
    if (match := _LIMIT.match(sentence)) is not None:
        params: dict[str, Any] = {"limit": _number(match["limit"])}
        if match["sign"] and " length " not in sentence:
            params["inclusive"] = match["sign"].endswith("=")
        return params
    for pattern in (_PATTERN, _CHOICE, _TYPES):
        if (match := pattern.match(sentence)) is not None:
            return {name: _value(text) for name, text in match.groupdict().items()}
    return {}


def pydantic_error_params(context: Mapping[str, Any]) -> dict[str, Any]:
    """The same from the ``ctx`` of an error of a pydantic model, whose names stay beside them."""
    params = dict(context)
    for name, inclusive in _PYDANTIC_LIMITS.items():
        if name in params:
            params["limit"] = params[name]
            if inclusive is not None:
                params["inclusive"] = inclusive
    return params


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _value(text: str) -> Any:
    """What msgspec has written with `repr`; a word of its own as it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
