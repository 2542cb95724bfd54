"""W3C Baggage: names and values that go along with a trace. No input or output here.

https://www.w3.org/TR/baggage/. The header of a request is kept as text, without its malformed
members, and is handed on as it came: properties and percent-encoding are those of the sender. An
application reads and sets entries by `opentelemetry.baggage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote

from sanic_ms.values.token import TOKEN

__all__ = ["clean", "read_entries", "write_entries"]

_MOST_MEMBERS: Final = 180
"""Of the first edition of the specification; the current one asks for 64 at least."""

_MOST_BYTES: Final = 8192
"""Of the whole header, commas included."""

_OCTETS = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_EQUALS = r"[ \t]*=[ \t]*"

_is_key = re.compile(TOKEN).fullmatch
_match_member = re.compile(
    f"({TOKEN}){_EQUALS}({_OCTETS})(?:[ \t]*;[ \t]*{TOKEN}(?:{_EQUALS}{_OCTETS})?)*"
).fullmatch

# What a value holds as it is, besides letters and digits: `_OCTETS` without "%".
_PLAIN: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"


def clean(values: Iterable[bytes]) -> str:
    """The well-formed members of ``baggage`` headers, within the limits; ``""`` where none is.

    Args:
        values: One for each header, in their order.
    """
    text = b",".join(values).decode("ascii", "replace")
    members = (part.strip(" \t") for part in text.split(","))
    return _joined(member for member in members if _match_member(member) is not None)


def read_entries(text: str) -> dict[str, object]:
    """The entries of what `clean` gave, as `opentelemetry.baggage` has them: without properties.
    The last one of a name counts."""
    return {key: value for key, value, _ in _entries(text)}


def write_entries(entries: Mapping[str, object], received: str = "") -> str:
    """The header for entries of `opentelemetry.baggage`. It raises nothing: an entry that cannot be
    sent is left out, and so is what is beyond the limits.

    Args:
        entries: By name.
        received: What `clean` gave of the request that is served. Entries that are still as they
            came are written so, with their properties.
    """
    originals = {key: (value, member) for key, value, member in _entries(received)}
    members = []
    for key, value in entries.items():
        text = _text(value)
        if text is None or not isinstance(key, str) or _is_key(key) is None:
            continue
        original = originals.get(key)
        if original is not None and original[0] == text:
            members.append(original[1])
        else:
            members.append(f"{key}={quote(text, safe=_PLAIN, errors='replace')}")
    return _joined(members)


def _entries(text: str) -> Iterable[tuple[str, str, str]]:
    """Names, values and members."""
    for member in text.split(",") if text else ():
        match = _match_member(member)
        if match is not None:
            yield match[1], unquote(match[2]), member


def _text(value: object) -> str | None:
    """A value as text; None: it has none, or one that is too long in any case."""
    try:
        text = str(value)
    except Exception:
        return None
    return text if len(text) <= _MOST_BYTES else None


def _joined(members: Iterable[str]) -> str:
    """Members with commas between them, as many as the limits allow. None is cut."""
    joined: list[str] = []
    size = -1
    for member in members:
        if size + 1 + len(member) <= _MOST_BYTES:
            joined.append(member)
            size += 1 + len(member)
            if len(joined) == _MOST_MEMBERS:
                break
    return ",".join(joined)
