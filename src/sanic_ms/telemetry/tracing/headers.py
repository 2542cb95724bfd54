"""The headers that carry a trace from service to service, in and out. No input or output here.

Read are W3C Trace Context (https://www.w3.org/TR/trace-context/) and B3, single and multi header
(https://github.com/openzipkin/b3-propagation), in this order; what is malformed is as if it were
not there. A trace goes on by whichever of them the caller speaks. W3C Baggage goes along with any
of them, and without a trace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sanic_ms.telemetry.tracing.baggage import clean

__all__ = [
    "HeaderFormat",
    "Parent",
    "extract",
    "fields_of",
    "find_fields",
    "may_have_fields",
    "read_fields",
    "read_head",
    "write_headers",
]

HeaderFormat = Literal["w3c", "b3", "b3multi"]

Fields = Sequence[tuple[bytes, bytes]]

find_fields = re.compile(
    rb"\n([tT](?i:raceparent|racestate)|[bB](?:3|(?i:aggage))|[xX]-(?i:b3-(?:traceid|spanid|sampled|flags)))"
    rb":[ \t]*([^\r\n]*)"
).findall
"""The headers about traces, and baggage, in the raw head of a request: pairs of name and value."""

may_have_fields = re.compile(rb"\n[tTbBxX](?:[rR][aA][cC]|3|-[bB]3|[aA][gG])").search
"""Whether `find_fields` might find any: one pass that looks at the first letters of each line, for
most requests have no such header. One set of first letters before the rest takes a quarter less
than three words."""

_NAMES = ("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled",
          "x-b3-flags", "baggage")  # fmt: skip

# What comes from a proxy or another service as a rule, read in one step.
_USUAL = re.compile(
    rb"\n[tT]raceparent: 00-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-0([01])(?:\r|\Z)"
).match
# Ids of zeros alone are no ids; version ff is none; only a later version than 00 may say more.
_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]([0-9a-f])(?:-.*)?"
)
_ODD = "13579bdf"  # the last bit of the flags: sampled
_B3_ID = re.compile(rb"(?:[0-9a-fA-F]{16}){1,2}")
_B3_SPAN = re.compile(rb"[0-9a-fA-F]{16}")
_B3_DECISIONS = {b"1": True, b"d": True, b"true": True, b"0": False, b"false": False}
_MEMBER = re.compile(
    rb"([a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13})="
    rb"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_MEMBERS = 32
_MOST_STATE = 2048
"""Bytes of ``tracestate`` that are carried on; W3C asks for 512 at least."""


class Parent(NamedTuple):
    """What a caller says of the trace that its request belongs to.

    Attributes:
        trace_id: 32 hexadecimal digits; ``""`` where the caller only decides about sampling.
        span_id: The caller's span: 16 digits, or ``""``.
        sampled: Its decision; None: it leaves that to us.
        state: ``tracestate`` as it is to be handed on; ``""`` where there is none.
    """

    trace_id: str
    span_id: str
    sampled: bool | None
    state: str = ""


def fields_of(headers: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The headers about traces of parsed headers, where there is no raw head (ASGI)."""
    found = []
    for name in _NAMES:
        if name in headers:
            getall = getattr(headers, "getall", None)
            values = [headers[name]] if getall is None else getall(name)
            key = name.encode()
            found += [(key, str(value).encode("ascii", "replace").strip()) for value in values]
    return found


def read_head(head: bytes, first: re.Match[bytes]) -> tuple[Parent | None, str]:
    """The caller's trace and baggage by the raw head of a request; see `read_fields`.

    Args:
        first: What `may_have_fields` has found in it.
    """
    usual = _USUAL(head, first.start())
    if usual is not None and may_have_fields(head, usual.end() - 1) is None:
        trace_id, span_id, flag = usual.groups()
        return Parent(trace_id.decode(), span_id.decode(), flag == b"1"), ""
    return read_fields(find_fields(head))


def read_fields(fields: Fields) -> tuple[Parent | None, str]:
    """The caller's trace, see `extract`, and its baggage, as it is handed on."""
    baggage = [value for name, value in fields if name.lower() == b"baggage"]
    return extract(fields), clean(baggage) if baggage else ""


def extract(fields: Fields) -> Parent | None:
    """The caller's trace; None where the headers name none that is well-formed."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        values.setdefault(name.lower(), []).append(value.rstrip(b" \t"))
    # A header that may stand once and stands twice is malformed.
    once = {name: entries[0] for name, entries in values.items() if len(entries) == 1}
    if b"traceparent" in once:
        parent = _w3c(once[b"traceparent"], values.get(b"tracestate", []))
        if parent is not None:
            return parent
    if b"b3" in once:
        parent = _b3(once[b"b3"])
        if parent is not None:
            return parent
    return _b3_multi(once)


def write_headers(
    parent: Parent, formats: Sequence[HeaderFormat] = ("w3c",)
) -> list[tuple[str, str]]:
    """The headers that say to the next service: ``parent`` is your caller.

    Args:
        parent: The trace, with the span that calls; an undecided one is written as not sampled in
            W3C's form, which has no third word.
        formats: Which to write.
    """
    trace_id, span_id, sampled, state = parent
    written: list[tuple[str, str]] = []
    for form in formats:
        if form == "w3c":
            written.append(("traceparent", f"00-{trace_id}-{span_id}-0{int(bool(sampled))}"))
            if state:
                written.append(("tracestate", state))
        elif form == "b3":
            decision = "" if sampled is None else f"-{int(sampled)}"
            written.append(("b3", f"{trace_id}-{span_id}{decision}"))
        else:
            written += [("X-B3-TraceId", trace_id), ("X-B3-SpanId", span_id)]
            if sampled is not None:
                written.append(("X-B3-Sampled", str(int(sampled))))
    return written


def _w3c(value: bytes, states: list[bytes]) -> Parent | None:
    text = value.decode("latin-1")
    match = _PARENT.fullmatch(text)
    if match is None or (len(text) > 55 and text.startswith("00")):
        return None
    state = _state(states) if states else ""
    return Parent(text[3:35], text[36:52], match[1] in _ODD, state)


def _state(values: list[bytes]) -> str:
    text = b",".join(values)
    if len(text) > _MOST_STATE:
        return ""
    members = [member for part in text.split(b",") if (member := part.strip(b" \t"))]
    matches = [_MEMBER.fullmatch(member) for member in members]
    keys = {match[1] for match in matches if match is not None}
    if len(keys) != len(members) or len(members) > _MOST_MEMBERS:  # malformed, or a key twice
        return ""
    return b",".join(members).decode()


def _b3(value: bytes) -> Parent | None:
    if value in (b"0", b"1", b"d"):
        return Parent("", "", _B3_DECISIONS[value])
    parts = value.split(b"-")
    if not 2 <= len(parts) <= 4 or (len(parts) == 4 and not _B3_SPAN.fullmatch(parts[3])):
        return None
    decision = parts[2] if len(parts) > 2 else None
    if decision is not None and decision not in (b"0", b"1", b"d"):
        return None
    return _b3_ids(parts[0], parts[1], None if decision is None else _B3_DECISIONS[decision])


def _b3_multi(once: dict[bytes, bytes]) -> Parent | None:
    sampled = _B3_DECISIONS.get(once.get(b"x-b3-sampled", b"").lower())
    if once.get(b"x-b3-flags") == b"1":  # debug: sampled, whatever the other header says
        sampled = True
    parent = _b3_ids(once.get(b"x-b3-traceid", b""), once.get(b"x-b3-spanid", b""), sampled)
    if parent is None and sampled is not None:
        return Parent("", "", sampled)
    return parent


def _b3_ids(trace_id: bytes, span_id: bytes, sampled: bool | None) -> Parent | None:
    if not _B3_ID.fullmatch(trace_id) or not _B3_SPAN.fullmatch(span_id):
        return None
    if _zero(trace_id) or _zero(span_id):
        return None
    return Parent(trace_id.decode().lower().rjust(32, "0"), span_id.decode().lower(), sampled)


def _zero(digits: bytes) -> bool:
    return not digits.strip(b"0")
