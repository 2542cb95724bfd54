"""Trace headers, in and out: W3C Trace Context and B3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from sanic_ms.telemetry.tracing.headers import (
    HeaderFormat,
    Parent,
    extract,
    fields_of,
    find_fields,
    may_have_fields,
    read_head,
    write_headers,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def of_head(*lines: str) -> Parent | None:
    """What a raw head says, by the way that the server goes."""
    head = b"\r\n".join([b"GET / HTTP/1.1", *(line.encode("latin-1") for line in lines)])
    first = may_have_fields(head)
    return None if first is None else read_head(head, first)[0]


def of_mapping(*lines: str) -> Parent | None:
    """What parsed headers say, by the way that an ASGI server's requests go."""
    pairs = [line.split(":", 1) for line in lines]
    return extract(fields_of(CIMultiDict((name, value) for name, value in pairs)))


def parent(sampled: bool | None, state: str = "") -> Parent:
    return Parent(TRACE, SPAN, sampled, state)


UNDERSTOOD: list[tuple[list[str], Parent]] = [
    ([f"traceparent: 00-{TRACE}-{SPAN}-01"], parent(True)),
    ([f"traceparent: 00-{TRACE}-{SPAN}-00"], parent(False)),
    ([f"TraceParent:00-{TRACE}-{SPAN}-03"], parent(True)),
    ([f"TRACEPARENT:  00-{TRACE}-{SPAN}-02\t"], parent(False)),
    ([f"tRaCePaReNt: 00-{TRACE}-{SPAN}-01"], parent(True)),
    # A later version may say more behind what is known.
    ([f"traceparent: cc-{TRACE}-{SPAN}-01-what-may-come"], parent(True)),
    ([f"traceparent: 01-{TRACE}-{SPAN}-01"], parent(True)),
    ([f"traceparent: 00-{TRACE}-{SPAN}-01", "tracestate: a=1,b@x=2"], parent(True, "a=1,b@x=2")),
    (
        [f"traceparent: 00-{TRACE}-{SPAN}-01", "tracestate: a=1 , ,", "TraceState:b=2"],
        parent(True, "a=1,b=2"),
    ),
    ([f"b3: {TRACE}-{SPAN}-1"], parent(True)),
    ([f"B3: {TRACE}-{SPAN}-0"], parent(False)),
    ([f"b3: {TRACE}-{SPAN}-d"], parent(True)),
    ([f"b3: {TRACE}-{SPAN}"], parent(None)),
    ([f"b3: {TRACE.upper()}-{SPAN}-1-{SPAN}"], parent(True)),
    ([f"b3: {TRACE[16:]}-{SPAN}-1"], Parent("0" * 16 + TRACE[16:], SPAN, True)),
    (["b3: 0"], Parent("", "", False)),
    (["b3: 1"], Parent("", "", True)),
    (
        [f"X-B3-TraceId: {TRACE}", f"X-B3-SpanId: {SPAN}", "X-B3-Sampled: 1"],
        parent(True),
    ),
    ([f"x-b3-traceid: {TRACE}", f"x-b3-spanid: {SPAN}", "x-b3-sampled: 0"], parent(False)),
    ([f"x-b3-traceid: {TRACE}", f"x-b3-spanid: {SPAN}", "x-b3-sampled: true"], parent(True)),
    ([f"X-B3-TRACEID: {TRACE}", f"X-B3-SPANID: {SPAN}"], parent(None)),
    ([f"x-b3-traceid: {TRACE}", f"x-b3-spanid: {SPAN}", "x-b3-flags: 1"], parent(True)),
    (["X-B3-Sampled: 0"], Parent("", "", False)),
    # W3C comes first, then the single header.
    ([f"b3: {'1' * 32}-{SPAN}-0", f"traceparent: 00-{TRACE}-{SPAN}-01"], parent(True)),
    (
        [f"x-b3-traceid: {'1' * 32}", f"x-b3-spanid: {SPAN}", f"b3: {TRACE}-{SPAN}-1"],
        parent(True),
    ),
    # What is malformed does not hide what is well-formed.
    (["traceparent: nonsense", f"b3: {TRACE}-{SPAN}-1"], parent(True)),
]

MALFORMED = [
    [],
    ["traceparent:"],
    ["traceparent: 00"],
    [f"traceparent: 00-{TRACE}-{SPAN}"],
    [f"traceparent: 00-{TRACE}-{SPAN}-01-more"],
    [f"traceparent: 00-{TRACE}-{SPAN}-01 x"],
    [f"traceparent: 00-{TRACE.upper()}-{SPAN}-01"],
    [f"traceparent: ff-{TRACE}-{SPAN}-01"],
    [f"traceparent: 00-{'0' * 32}-{SPAN}-01"],
    [f"traceparent: 00-{TRACE}-{'0' * 16}-01"],
    [f"traceparent: 00-{TRACE}-{SPAN}-0g"],
    [f"traceparent: 00-{TRACE}-{SPAN}-01", f"traceparent: 00-{TRACE}-{SPAN}-01"],
    ["traceparent: ü" + TRACE],
    [f"x-traceparent: 00-{TRACE}-{SPAN}-01"],
    [f"cookie: traceparent: 00-{TRACE}-{SPAN}-01"],
    ["b3: "],
    ["b3: 2"],
    [f"b3: {TRACE}"],
    [f"b3: {TRACE}-{SPAN}-x"],
    [f"b3: {TRACE[1:]}-{SPAN}-1"],
    [f"b3: {TRACE}-{SPAN}-1-{SPAN}-1"],
    [f"b3: {TRACE}-{SPAN}-1-nospan"],
    [f"b3: {'0' * 32}-{SPAN}-1"],
    [f"x-b3-traceid: {TRACE}"],
    [f"x-b3-spanid: {SPAN}", "x-b3-sampled: maybe"],
    ["tracestate: a=1"],
]


@pytest.mark.parametrize(("lines", "expected"), UNDERSTOOD)
@pytest.mark.parametrize("read", [of_head, of_mapping])
def test_headers_name_the_callers_trace(read: Any, lines: list[str], expected: Parent) -> None:
    """Each form is understood, whatever the case of its name, from raw bytes and parsed alike."""
    assert read(*lines) == expected


@pytest.mark.parametrize("lines", MALFORMED)
@pytest.mark.parametrize("read", [of_head, of_mapping])
def test_malformed_headers_are_no_headers(read: Any, lines: list[str]) -> None:
    """Whatever is malformed begins a new trace and fails nothing."""
    assert read(*lines) is None


@pytest.mark.parametrize(
    "state",
    [
        "A=1",
        "a=1,a=2",
        "a=1,b",
        "a=",
        "a=ü",
        "a=" + "x" * 257,
        ",".join(f"k{number}=1" for number in range(33)),
        "a=" + "x" * 200 + ",b=" + "y" * 3000,
    ],
)
def test_malformed_state_is_dropped_and_the_trace_kept(state: str) -> None:
    """``tracestate`` that others could not read is not carried on."""
    assert of_head(f"traceparent: 00-{TRACE}-{SPAN}-01", f"tracestate: {state}") == parent(True)


def test_state_is_carried_on_up_to_its_limits() -> None:
    """32 members and 2048 bytes, however many lines they stand in."""
    members = [f"k{number}=1" for number in range(32)]
    long = [f"k{number}={'x' * 200}" for number in range(10)]
    long[-1] += "x" * (2048 - len(",".join(long)))
    head = f"traceparent: 00-{TRACE}-{SPAN}-01"
    for kept in (members, long):
        assert of_head(head, f"tracestate: {','.join(kept)}") == parent(True, ",".join(kept))
        lines = [f"tracestate: {member}" for member in kept]
        assert of_head(head, *lines) == parent(True, ",".join(kept))
    long[0] += "x"
    for lost in ([*members, "a=1"], long):
        assert of_head(head, f"tracestate: {','.join(lost)}") == parent(True)


@pytest.mark.parametrize(
    ("formats", "sampled", "expected"),
    [
        (["w3c"], True, {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1"}),
        (["w3c"], False, {"traceparent": f"00-{TRACE}-{SPAN}-00", "tracestate": "a=1"}),
        (["b3"], True, {"b3": f"{TRACE}-{SPAN}-1"}),
        (["b3"], None, {"b3": f"{TRACE}-{SPAN}"}),
        (
            ["b3multi"],
            False,
            {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "0"},
        ),
        (
            ["w3c", "b3"],
            True,
            {
                "traceparent": f"00-{TRACE}-{SPAN}-01",
                "tracestate": "a=1",
                "b3": f"{TRACE}-{SPAN}-1",
            },
        ),
        ([], True, {}),
    ],
)
def test_headers_are_written_in_the_chosen_forms(
    formats: list[HeaderFormat], sampled: bool | None, expected: dict[str, str]
) -> None:
    """Each form is written as its specification says."""
    assert dict(write_headers(parent(sampled, "a=1"), formats)) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"]
            ),
            st.binary(max_size=80).filter(lambda value: b"\n" not in value and b"\r" not in value)
            | st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True)
            | st.from_regex(rb"[0-9a-f]{32}-[0-9a-f]{16}(-[01d])?", fullmatch=True),
        ),
        max_size=6,
    )
)
def test_what_is_read_can_be_written_and_read_again(fields: list[tuple[str, bytes]]) -> None:
    """No bytes raise, and a trace that was understood is one that the next service understands."""
    head = b"\r\n".join([b"GET / HTTP/1.1", *(name.encode() + b": " + v for name, v in fields)])
    found = extract(find_fields(head))
    first = may_have_fields(head)
    assert (None if first is None else read_head(head, first)[0]) == found
    if found is not None and found.trace_id:
        for form in ("w3c", "b3", "b3multi"):
            lines = [f"{name}: {value}" for name, value in write_headers(found, [form])]
            again = of_head(*lines)
            assert again is not None
            assert again[:2] == found[:2]
            assert bool(again.sampled) == bool(found.sampled)


@pytest.mark.parametrize(
    "name",
    [
        "traceparent",
        "tracestate",
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-sampled",
        "x-b3-flags",
        "baggage",
    ],
)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title, str.swapcase])
def test_the_quick_look_misses_no_header(name: str, case: Callable[[str], str]) -> None:
    """What the search for headers finds, the look that comes before it has seen."""
    head = f"GET /b3 HTTP/1.1\r\nHost: b3\r\n{case(name)}: 1\r\nAccept: */*".encode()
    assert find_fields(head) == [(case(name).encode(), b"1")]
    assert may_have_fields(head) is not None
    assert may_have_fields(head.replace(b"\r\n" + case(name).encode(), b"\r\na")) is None
