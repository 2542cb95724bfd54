"""The two forms of a line."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from sanic_ms.context import current_request
from sanic_ms.telemetry.logging import JSONFormatter, TextFormatter, make_formatter
from sanic_ms.telemetry.logging.access import Access
from sanic_ms.telemetry.logging.called import Called, CallSite

Make = Callable[..., Any]


def record(message: str = "hello", *args: Any, **extra: Any) -> logging.LogRecord:
    """A record as a logger makes one."""
    made = logging.LogRecord("views", logging.INFO, "views.py", 3, message, args, None)
    made.__dict__.update(extra)
    return made


def test_a_json_line_has_the_usual_fields_in_their_order() -> None:
    """What Elasticsearch and people look for stands first."""
    line = json.loads(JSONFormatter("users").format(record("hello %s", "bob", user=7)))
    assert list(line) == [
        "@timestamp", "level", "logger", "message", "service", "host", "pid", "user",
    ]  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("@timestamp"))
    assert line == {
        "level": "INFO",
        "logger": "views",
        "message": "hello bob",
        "service": "users",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "user": 7,
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9996, "1970-01-01T00:00:00.999Z"), (1795257000.25, "2026-11-21T10:30:00.250Z")],
)
def test_the_time_is_utc_in_milliseconds(seconds: float, text: str) -> None:
    """Whatever the zone of the machine."""
    assert json.loads(JSONFormatter().format(record(created=seconds)))["@timestamp"] == text


@pytest.mark.parametrize("first", [0.25, 1.25, 2.25, 1795257000.25], ids=repr)
def test_every_second_is_written_out_in_text(first: float) -> None:
    """The local time, also of the first line of a formatter, and anew when the second changes."""
    formatter = TextFormatter()
    for created in (first, first + 0.5, first + 1, first):
        clock = time.strftime("%H:%M:%S", time.localtime(int(created)))
        text = formatter.format(record(created=created))
        assert f"{clock}.{int(created * 1000) % 1000:03d}" in text


def test_trace_and_request_are_on_every_line_within_them(written: Make) -> None:
    """Also on lines of libraries that know nothing of either."""

    class Request:
        id = "r-1"

        def get(self, key: str, default: Any = None) -> Any:
            return default

    logs = written()
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, False, TraceFlags(1)))
    token = current_request.set(Request())
    try:
        with trace.use_span(span):
            logs.log.info("within")
    finally:
        current_request.reset(token)
    logs.log.info("without")
    within, without = logs.lines
    assert within["trace_id"] == f"{0xABC:032x}"
    assert within["span_id"] == f"{0xDEF:016x}"
    assert within["request_id"] == "r-1"
    assert not {"trace_id", "span_id", "request_id"} & set(without)


def test_an_exception_is_told_by_type_message_and_stack(written: Make) -> None:
    """And its secrets are not."""
    logs = written()
    try:
        raise KeyError("postgres://u:hunter2@db/x")
    except KeyError:
        logs.log.exception("failed")
    exception = logs.one()["exception"]
    assert exception["type"] == "KeyError"
    assert exception["message"] == "'postgres://u:***@db/x'"
    assert exception["stack"].startswith("Traceback (most recent call last):\n")
    assert "test_format.py" in exception["stack"]
    assert "hunter2" not in logs.text


def test_secrets_are_hidden_in_message_and_fields(written: Make) -> None:
    """By name and by shape, at any depth."""
    logs = written()
    fields = {"password": "hunter2", "call": {"Cookie": "hunter2"}, "url": "http://u:hunter2@h/"}
    logs.log.info("token=%s", "hunter2", extra=fields)
    assert "hunter2" not in logs.text
    assert logs.one()["call"] == {"Cookie": "***"}


def test_a_field_with_the_name_of_a_usual_one_gets_a_prefix() -> None:
    """Nobody can pass for another service by an extra field."""
    line = json.loads(JSONFormatter("users").format(record(service="forged", trace_id="forged")))
    assert (line["service"], line["extra.service"], line["extra.trace_id"]) == (
        "users", "forged", "forged",
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"\xff", 2**80, float("nan"), "half \ud800 character", {"a": 2**80}, 1j],
    ids=["object", "set", "bytes", "large", "nan", "surrogate", "large in table", "complex"],
)
def test_any_value_makes_a_line_that_parses(written: Make, value: Any) -> None:
    """Objects become their text; nothing that is logged can lose the line."""
    logs = written()
    logs.log.info("value", extra={"value": value})
    line = logs.one()
    assert line["message"] == "value"
    assert "value" in line


class Odd:
    """A value whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("message", "args", "said"),
    [
        ("%d apples", ("x",), r"%d apples \(.* do not fit: TypeError: %d format: .*, at "),
        ("no place", (1,), r"no place \(.* do not fit: TypeError: not all arguments"),
        ("%s and %s", ("x",), r"%s and %s \(.*TypeError: not enough"),
        ("%(a)s", ({"b": 1},), r"%\(a\)s \(.*KeyError: 'a'"),
        ("%s", (Odd(),), r"%s \(.*RuntimeError"),
        (Odd(), (), r"<Odd> \(.*RuntimeError"),
    ],
)
@pytest.mark.parametrize("formatter", [None, logging.Formatter("%(message)s")])
def test_arguments_that_do_not_fit_cost_no_line(
    written: Make,
    capsys: pytest.CaptureFixture[str],
    message: Any,
    args: tuple[Any, ...],
    said: str,
    formatter: Any,
) -> None:
    """The mistake is told by its place, in the line itself; standard error stays clean, and nothing
    is raised."""
    made = written(formatter)
    made.log.warning(message, *args)
    made.log.warning("the next")
    first, second = made.text.splitlines()
    assert re.search(rf"{said}.*{re.escape(__file__)}:\d+\)", first)
    assert "the next" in second
    assert capsys.readouterr().err == ""


def test_a_line_that_cannot_be_taken_leaves_one_that_says_so(
    written: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its place, and nothing on standard error. The trace whose ids cannot be read stands for
    whatever else may fail."""

    def fail(record: logging.LogRecord) -> None:
        raise RuntimeError("no ids")

    made = written()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sanic_ms.telemetry.logging.handler.take_any", fail)
        made.log.info("hello")
    assert made.one()["message"].startswith("a log line could not be made: RuntimeError, at ")
    assert made.one()["level"] == "ERROR"
    assert capsys.readouterr().err == ""


def test_an_id_that_cannot_be_made_costs_no_line(written: Make) -> None:
    """An application's request class may make ids, and fail. The line says so in their place: an
    error that it tells of is not lost."""

    class Request:
        @property
        def id(self) -> str:
            raise RuntimeError("no id")

    made = written()
    token = current_request.set(Request())  # type: ignore[arg-type]
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        made.log.exception("GET /zero")
    finally:
        current_request.reset(token)
    line = made.one()
    assert (line["message"], line["request_id"]) == ("GET /zero", "RuntimeError: no id")
    assert line["exception"]["type"] == "ZeroDivisionError"


def test_fields_are_those_of_the_moment_they_were_logged(written: Make) -> None:
    """What the program does to them afterwards is not seen."""
    logs = written()
    user = {"name": "ann"}
    rows = [1]
    for _ in range(50):  # more than one slice, so that the thread is surely late
        logs.log.info("user %s", rows, extra={"user": user})
    user["name"] = "changed"
    rows.append(2)
    assert {(line["message"], line["user"]["name"]) for line in logs.lines} == {("user [1]", "ann")}


HOSTILE = "a\n2026 INFO forged\r\x1b[2J\x9b2J\u2028\u202e\x7f\x00"


def test_control_characters_cannot_forge_a_line_or_paint_a_screen(written: Make) -> None:
    """In JSON they are escaped by its rules, in text in Python's way."""
    made = record("%s", HOSTILE, note=HOSTILE)
    for formatter in (JSONFormatter(), TextFormatter()):
        text = formatter.format(made)
        assert len(text.splitlines()) == 1
        assert text.isprintable()
    assert json.loads(JSONFormatter().format(made))["message"] == HOSTILE


def test_the_colours_of_a_message_are_taken_out() -> None:
    """Sanic puts some into its own on a terminal."""
    made = record("\x1b[1;33mbeware\x1b[0m \x1b[2J")
    assert json.loads(JSONFormatter().format(made))["message"] == "beware \x1b[2J"
    assert TextFormatter().format(made).endswith("views: beware \\x1b[2J")


def test_a_very_long_message_is_cut() -> None:
    """So that what waits to be written has a bound."""
    for length in (32_001, 1_000_000):
        message = json.loads(JSONFormatter().format(record("x" * length)))["message"]
        assert message == f"{'x' * 32_000}… ({length} letters)"
    whole = "x" * 32_000
    assert json.loads(JSONFormatter().format(record(whole)))["message"] == whole


def test_of_a_very_long_stack_the_end_is_written() -> None:
    """It says what happened."""

    def stack(length: int) -> str:
        made = record()
        made.stack_info = "".join(str(number % 10) for number in range(length))
        text: str = json.loads(JSONFormatter().format(made))["stack"]
        return text

    assert len(stack(32_000)) == 32_000
    assert stack(32_001) == "…" + stack(32_001)[1:]
    assert len(stack(32_001)) == 32_001
    assert stack(32_005).endswith("01234")


def test_text_is_one_line_for_people() -> None:
    """Time, level, logger, message, fields; no colour unless asked."""
    text = TextFormatter().format(record("hello %s", "bob", user=7, note="two words"))
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} INFO    views: hello bob user=7 note='two words'", text
    )
    assert "\x1b[32mINFO" in TextFormatter(colour=True).format(record())


def test_the_lines_of_a_stack_in_text_are_marked(written: Make) -> None:
    """So that a line in an exception's text cannot pass for a log line."""
    logs = written(TextFormatter())
    try:
        raise ValueError("x\n10:00:00.000 INFO forged")
    except ValueError:
        logs.log.exception("failed")
    first, *stack = logs.text.splitlines()
    assert "ERROR" in first
    assert all(line.startswith("  | ") for line in stack)
    assert stack[-1] == "  | 10:00:00.000 INFO forged"


def test_stack_info_is_kept(written: Make) -> None:
    """`stack_info=True` of the standard library."""
    logs = written()
    logs.log.info("where", stack_info=True)
    assert logs.one()["stack"].startswith("Stack (most recent call last)")


@pytest.mark.parametrize(
    ("form", "terminal", "no_color", "expected"),
    [
        ("auto", "", "", (JSONFormatter, None)),
        ("auto", "1", "", (TextFormatter, True)),
        ("auto", "1", "1", (TextFormatter, False)),
        ("json", "1", "", (JSONFormatter, None)),
        ("text", "", "", (TextFormatter, False)),
    ],
)
def test_auto_is_text_on_a_terminal_and_json_elsewhere(
    monkeypatch: pytest.MonkeyPatch, form: Any, terminal: str, no_color: str, expected: Any
) -> None:
    """NO_COLOR takes the colours."""
    monkeypatch.setenv("SANIC_MS_TERMINAL", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    formatter = make_formatter(form, "x")
    assert (type(formatter), getattr(formatter, "colour", None)) == expected


def test_a_formatter_works_with_any_handler(capsys: pytest.CaptureFixture[str]) -> None:
    """A `StreamHandler` of the standard library, say, in the thread that logs."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter("plain"))
    handler.handle(record("hi"))
    assert json.loads(capsys.readouterr().err)["service"] == "plain"


def calls() -> st.SearchStrategy[Called]:
    """Calls that went well within a request, of functions with any names and texts."""
    text = st.text(max_size=20)
    site = st.builds(
        CallSite,
        st.text(min_size=1, max_size=20),
        st.just(20),
        st.sampled_from(["INFO", "NOTE\N{BLACK STAR}"]),
        text,
        st.dictionaries(st.sampled_from(["type", "detail", "description", "function"]), text),
    )
    return st.builds(
        Called,
        site,
        st.floats(0, 4e9),
        st.floats(0, 1e5),
        st.just("ok"),
        ids=st.just(("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")),
        request_id=st.one_of(st.uuids(), text, st.integers()),
    )


@given(calls(), st.text(max_size=10))
def test_the_short_way_of_a_call_makes_the_same_line(called: Called, service: str) -> None:
    """The parts that are remembered, and the object that is made into text from the beginning."""
    formatter = JSONFormatter(service)
    assert called.ids is not None
    ids = formatter.ids(called.ids, called.request_id)
    for _ in range(2):  # when it is learnt, and when it is known
        assert formatter.call(called.site, called.created, called.duration, ids) == (
            formatter.render(called)
        )


def test_functions_that_come_and_go_are_not_all_remembered() -> None:
    """As those that are made by each call of another function."""
    formatter = JSONFormatter("shop")
    for number in range(5000):
        site = CallSite("shop", 20, "INFO", f"book {number}", {"detail": "\N{OGHAM SPACE MARK}"})
        assert f"book {number}: ok, 1 ms" in formatter.call(site, 1.5, 0.001, '"trace_id":"1"')
    assert len(formatter._calls) < 5000


ROUTE = SimpleNamespace(path="users", parts=("users",), defined_params={})
TARGETS = [
    *(b"/users", b"/users?page=2&token=x", b"/a%20b", b'/"\\\x7f'),
    *(b"/https://ann:pw@host", b"/eyJhbGci.eyJzdWIi.x", b"/a" * 5000),
]


@given(
    st.builds(
        Access,
        st.floats(0, 4e9),
        st.sampled_from(["GET", "POST", 'G"\u2028']),
        st.sampled_from(TARGETS) | st.binary(max_size=30).map(lambda path: b"/" + path),
        st.sampled_from([None, ROUTE]),
        st.sampled_from([200, 404, 503, "connection reset"]),
        st.one_of(st.integers(0, 2**70), st.just("chunked")),
        st.floats(0, 1e5),
        st.text(st.characters(codec=None), max_size=10),
        st.one_of(st.none(), st.uuids(), st.integers(), st.text(max_size=10)),
        ids=st.sampled_from([None, ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")]),
    )
)
def test_an_access_line_says_what_its_parts_say(access: Access) -> None:
    """Whoever asks: the record's way makes the fields one by one, the fast path all at once."""
    formatter = JSONFormatter("shop")
    told = json.loads(formatter.render(access))
    # When its kind is learnt, and when it is known: the same as without what is remembered.
    assert formatter.render(access) == formatter.render(access) == formatter._access(access)
    assert told == json.loads(formatter.render(access.line()))
    assert list(told)[7:] == [
        *(("trace_id", "span_id") if access.ids else ()),
        *(("request_id",) if access.request_id is not None else ()),
        *access.fields(),
    ]


def test_kinds_of_answers_that_come_and_go_are_not_all_remembered() -> None:
    """Methods, routes and statuses are few; where they are not, memory is bounded."""
    formatter = JSONFormatter("shop")
    for number in range(5000):
        line = formatter.render(Access(1.5, f"M{number}", b"/", None, 405, 0, 0.0, ""))
        assert f'"message":"M{number} / 405"' in line
    assert len(formatter._answers) < 5000
