"""Bytes to values: JSON read strictly, every wrong field named at once.

The usual body is read in one pass of msgspec straight into its type. Only a body that is refused is
walked again, slowly, to find all that is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from sanic_ms.exception import BadRequest, ValidationError
from sanic_ms.http.fields import field_errors
from sanic_ms.shapes import dec_hook

__all__ = ["compile_decoder", "decode_json"]

_PLAIN = msgspec.json.Decoder()
_KEY_END = re.compile(rb'"[ \t\r\n]*:')


def decode_json(body: bytes) -> Any:
    """JSON text to plain values.

    Raises:
        BadRequest: it is not JSON in UTF-8, nests too deep, or repeats a key in an object.
    """
    try:
        value = _PLAIN.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _malformed(body, exc) from None
    _refuse_repeated_keys(body, 1)
    return value


def compile_decoder(annotation: Any, required_keys: int) -> Callable[[bytes], Any]:
    """A function from a JSON body to a value of a type.

    Args:
        annotation: What msgspec decodes to; see `sanic_ms.shapes.to_type`.
        required_keys: How many keys such a body has at least. A body with no more colons than
            that has no repeated key, and is spared the search for one.

    The function raises `BadRequest` for what is not JSON and `ValidationError`, with every wrong
    field, for JSON that does not fit.
    """
    decode = msgspec.json.Decoder(annotation, dec_hook=dec_hook).decode

    def retry(body: bytes, refusal: msgspec.ValidationError) -> Any:
        plain = decode_json(body)
        try:
            if "got `float`" in str(refusal):
                # 1.0 is an integer to JSON Schema, and so to the document, but not to msgspec.
                plain = _with_integers(plain)
                try:
                    return decode(msgspec.json.encode(plain))
                except msgspec.ValidationError as exc:
                    refusal = exc
            errors = field_errors(plain, annotation, refusal)
        except RecursionError as deep:
            raise _malformed(body, deep) from None
        raise ValidationError(errors) from None

    def read(body: bytes) -> Any:
        try:
            value = decode(body)
        except msgspec.ValidationError as exc:
            value = retry(body, exc)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise _malformed(body, exc) from None
        _refuse_repeated_keys(body, required_keys)
        return value

    return read


def _with_integers(value: Any) -> Any:
    """Plain data with whole numbers as `int`, as far as a float holds them exactly."""
    if isinstance(value, float):
        return int(value) if abs(value) <= 2**53 and value.is_integer() else value
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_integers(item) for key, item in value.items()}
    return value


def _malformed(body: bytes, exc: Exception) -> BadRequest:
    if isinstance(exc, RecursionError):
        return BadRequest("the JSON body nests too deep")
    if isinstance(exc, UnicodeDecodeError) or "utf-8" in str(exc).lower():
        return BadRequest("the JSON body is not UTF-8")
    if not body.strip():
        return BadRequest("the body is empty where JSON is expected")
    # msgspec's text names the byte and holds nothing of the body.
    text = str(exc).removeprefix("JSON is malformed: ")
    return BadRequest(f"the body is not JSON: {text}")


class _RepeatedKey(Exception):
    def __init__(self, key: str) -> None:
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKey(key)
            seen.add(key)
    return found


# Only the keys matter, and Python is slow or refuses with numbers of thousands of digits.
_find_repeated = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=len, parse_float=len, parse_constant=len
).decode


def _count_keys(value: Any) -> int:
    """How many keys all objects in a value have together."""
    count, rest = 0, [value]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            count += len(value)
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)
    return count


def _each_key_is_there_once(body: bytes) -> bool:
    """Whether that is certain, at a fraction of the cost of looking at each.

    Every key ends in a quote and a colon. Where those are no more than the different keys that
    msgspec finds, none was there twice.
    """
    try:
        return len(_KEY_END.findall(body)) == _count_keys(_PLAIN.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # something is wrong with it that a typed decoder has skipped


def _refuse_repeated_keys(body: bytes, required_keys: int) -> None:
    """RFC 8259 leaves a repeated key open, and two readers that differ on it can be played against
    each other; msgspec keeps the last and says nothing.

    Every key has a colon, so a body with no more colons than required keys has each key once.
    """
    colons = body.count(b":")
    if colons == 0 or colons <= required_keys:
        return
    if _each_key_is_there_once(body):
        return
    try:
        _find_repeated(body.decode())
    except _RepeatedKey as exc:
        raise BadRequest(
            f"the JSON body has the key {exc.key[:100]!r} twice in one object"
        ) from None
    except (UnicodeDecodeError, ValueError, RecursionError) as exc:
        # msgspec does not look closely at what it skips.
        raise _malformed(body, exc) from None
