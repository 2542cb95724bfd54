"""Bytes to values: JSON read strictly, every wrong field named at once.

The usual body is read in one pass of msgspec straight into its type. Only a body that is refused is
walked again, slowly, to find all that is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from sanic_ms.exception import BadRequest, ValidationError
from sanic_ms.http.fields import field_errors, number_errors, with_numbers
from sanic_ms.shapes import dec_hook, number_finder

__all__ = ["compile_decoder", "decode_json"]

_PLAIN = msgspec.json.Decoder()
_KEY_END = re.compile(rb'"[ \t\r\n]*:')


def decode_json(body: bytes) -> Any:
    """JSON text to plain values.

    Raises:
        BadRequest: it is not JSON in UTF-8, nests too deep, or repeats a key in an object.
    """
    return _decode(body, _PLAIN)


def _decode(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        value = decoder.decode(body)
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
    find_number = number_finder(annotation)
    # What a `Decimal` holds must not pass through a float.
    decode_plain = decode_json if find_number is None else _decode_exactly

    def retry(body: bytes) -> Any:
        plain = decode_plain(body)
        try:
            # For all of it: what is right beside a wrong field must not be wrong without one.
            plain = with_numbers(plain, annotation)
            try:
                return decode(_ENCODER.encode(plain))
            except msgspec.ValidationError as exc:
                errors = field_errors(plain, annotation, exc)
        except RecursionError as deep:
            raise _malformed(body, deep) from None
        raise ValidationError(errors) from None

    def read(body: bytes) -> Any:
        try:
            value = decode(body)
        except msgspec.ValidationError:
            value = retry(body)
        except TypeError:
            if find_number is None:
                raise
            # "sNaN" has no hash, so that no set holds it and no dict has it for a key.
            errors = field_errors(decode_plain(body), annotation, _NO_HASH)
            raise ValidationError(errors) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise _malformed(body, exc) from None
        _refuse_repeated_keys(body, required_keys)
        number = None if find_number is None else find_number(value)
        if number is not None:
            plain = with_numbers(decode_plain(body), annotation)
            if errors := number_errors(plain, annotation, number):
                raise ValidationError(errors)
        return value

    return read


def _decode_exactly(body: bytes) -> Any:
    """As `decode_json`, with a `Decimal` for a `float`: all digits of it, and any exponent."""
    return _decode(body, _EXACT)


_NO_HASH = msgspec.ValidationError("Expected a finite number")
_EXACT = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


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
