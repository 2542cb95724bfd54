"""Compiled lines: the same as those of the Python that they stand for, to the same places."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.context import current_request
from sanic_ms.loggers import logger
from sanic_ms.native.compiled import compiled
from sanic_ms.telemetry.logging import JSONFormatter, LogWriter, QueuedHandler, TextFormatter
from sanic_ms.telemetry.logging.called import CallSite
from sanic_ms.telemetry.logging.format import _milliseconds
from sanic_ms.telemetry.logging.handler import sole_handler
from sanic_ms.telemetry.logging.logged import LoggedFunction
from sanic_ms.telemetry.tracing import Provider, ServerSpans

_block: Any = compiled("sanic_ms.telemetry.logging._line_buffer")
_lines: Any = compiled("sanic_ms.telemetry.logging._lines")
_way: Any = compiled("sanic_ms.telemetry.logging._handler_lookup")

pytestmark = pytest.mark.skipif(_lines is None, reason="nothing is compiled")


# --- the parts of a line ------------------------------------------------------------------------


@given(st.integers(0, 999_999))
def test_durations(microseconds: int) -> None:
    """In the message and as a field."""
    assert _lines.written_milliseconds(microseconds) == _milliseconds(microseconds)


@given(st.integers(0, 253_402_300_799_999))
def test_times(milliseconds: int) -> None:
    """Of all years; those that follow are written over what was."""
    formatter = JSONFormatter()
    for moment in (milliseconds, milliseconds + 1, milliseconds // 1000 * 1000):
        if moment < 253_402_300_800_000:
            seconds = (moment + 0.5) / 1000  # which no rounding of floats takes elsewhere
            assert _lines.written_time(moment) == formatter._time(seconds)


@pytest.mark.parametrize("moment", [-1, 253_402_300_800_000, 1 << 62])
def test_no_other_times(moment: int) -> None:
    """They have no such form."""
    with pytest.raises(ValueError, match="years"):
        _lines.written_time(moment)


def test_the_time_of_day() -> None:
    """It is the system's, and never older than a millisecond."""
    for _ in range(200):
        before = time.time()
        found = _lines.time_of_day()
        assert before - 0.001 <= found <= time.time() + 0.001
        time.sleep(0.0001)


@pytest.mark.parametrize(
    "ids", [("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"), ("a", "b"), ("ä" * 32, "b")]
)
@pytest.mark.parametrize(
    "id", [UUID(int=0), UUID(int=(1 << 128) - 1), uuid4(), "r-\N{SNOWMAN}", 'a"b\x7f', 7, None]
)
def test_the_ids_of_a_request(ids: tuple[str, str], id: Any) -> None:
    """Whatever they are."""
    formatter = JSONFormatter()
    assert _lines.written_ids(formatter, ids, id) == formatter.ids(ids, id)


# --- the line of a call -------------------------------------------------------------------------


class Spoken:
    """A logger with a handler of ours below one that has none, and a request."""

    def __init__(self, formatter: logging.Formatter | None = None) -> None:
        self.stream = io.StringIO()
        self.handler = QueuedHandler(self.stream)
        self.handler.setFormatter(formatter or JSONFormatter("shop"))
        self.above = logging.Logger("above", logging.INFO)
        self.above.manager = logging.Manager(logging.RootLogger(logging.WARNING))
        self.above.addHandler(self.handler)
        self.log = logging.Logger("above.below")
        self.log.manager = self.above.manager
        self.log.parent = self.above
        self.above.manager.loggerDict |= {"above": self.above, "above.below": self.log}

    @property
    def lines(self) -> list[str]:
        """What was written."""
        self.handler.flush()
        return self.stream.getvalue().splitlines()


@pytest.fixture
def spoken(request_: Any) -> Spoken:
    """A logger, within a request."""
    return Spoken()


@pytest.fixture
def request_() -> Iterator[Any]:
    """A request that is not recorded, which is the current one."""
    spans = ServerSpans(Provider(lambda span: None, ratio=0.0)).route("GET", "/orders")
    request: Any = SimpleNamespace(
        head=b"GET / HTTP/1.1", raw_url=b"/", transport=None, headers={}, id=uuid4()
    )
    request.span = spans.begin(request)
    token = current_request.set(request)
    yield request
    current_request.reset(token)
    request.span.detach()


def lines_of(log: logging.Logger, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    """The compiled steps of a function."""

    def book() -> None:
        """Book a journey.

        “By train”.
        """

    call = LoggedFunction(
        "method", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "b\x7fk", None, True, 20, False
    )
    with monkeypatch.context() as patch:
        patch.setattr(logging, "getLogger", lambda name: log)
        call.bind(book)
    return _lines.lines_of(call), call


@pytest.mark.parametrize("id", [UUID(int=7), "r-\N{SNOWMAN}", 'q"\x7f'])
def test_the_line_of_a_call_is_that_of_the_formatter(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch, request_: Any, id: Any
) -> None:
    """Letter for letter."""
    request_.id = id
    compiled_lines, call = lines_of(spoken.log, monkeypatch)
    for wait in (0, 0, 0.0011, 0.02):
        started = compiled_lines.begin()
        time.sleep(wait)
        compiled_lines.finish(started)
    assert compiled_lines.way.writer is spoken.handler.writer
    formatter: Any = spoken.handler.formatter
    for line in spoken.lines:
        said = json.loads(line)
        created = _seconds(said["@timestamp"])
        ids = formatter.ids(request_.span.ids, id)
        assert line == formatter.call(call.site, created, said["duration_ms"] / 1000, ids)
    assert len(spoken.lines) == 4


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp() + 0.0001


def test_long_calls_and_those_with_errors_are_left_to_python(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all that is not usual."""
    compiled_lines, call = lines_of(spoken.log, monkeypatch)
    compiled_lines.finish(compiled_lines.begin() - 1.5)
    call.end(compiled_lines.begin(), KeyError())
    long, failed = map(json.loads, spoken.lines)
    assert 1500 <= long["duration_ms"] < 1600
    assert long["message"].startswith("b\x7fk: ok, 15")
    assert failed["outcome"] == "error"


def test_the_ids_stay(spoken: Spoken, monkeypatch: pytest.MonkeyPatch, request_: Any) -> None:
    """Those that a line has are what others get to see."""
    compiled_lines, _ = lines_of(spoken.log, monkeypatch)
    for _ in range(2):
        compiled_lines.finish(compiled_lines.begin())
    first, second = map(json.loads, spoken.lines)
    assert (first["trace_id"], first["span_id"]) == request_.span.ids
    assert second["trace_id"] == first["trace_id"]
    assert first["request_id"] == str(request_.id)
    assert len(first["trace_id"]) == 32
    assert len(first["span_id"]) == 16


Change = Callable[[Spoken], Any]


class _Strict(logging.Logger):
    """A class of its own."""


def _replace_dict(thing: Any, **new: Any) -> None:
    thing.__dict__ = {**thing.__dict__, **new}


def _disable(manager: Any) -> None:  # `logging.disable`, for a manager of our own
    manager.disable = logging.CRITICAL
    manager._clear_cache()


CHANGES: dict[str, Change] = {
    "another handler": lambda s: s.log.addHandler(logging.NullHandler()),
    "another handler above": lambda s: s.above.addHandler(logging.NullHandler()),
    "no handler": lambda s: s.above.removeHandler(s.handler),
    "another in its place": lambda s: s.above.handlers.__setitem__(0, logging.NullHandler()),
    "another list": lambda s: setattr(s.above, "handlers", [logging.NullHandler()]),
    "a filter": lambda s: s.log.addFilter(lambda record: True),
    "a filter of the handler": lambda s: s.handler.addFilter(lambda record: True),
    "the handler's level": lambda s: s.handler.setLevel(logging.ERROR),
    "its formatter": lambda s: s.handler.setFormatter(TextFormatter()),
    "its writer": lambda s: setattr(s.handler, "writer", Spoken().handler.writer),
    "the logger's level": lambda s: s.log.setLevel(logging.ERROR),
    "the level above": lambda s: s.above.setLevel(logging.ERROR),
    "a lower level": lambda s: s.log.setLevel(logging.DEBUG),
    "disabled": lambda s: setattr(s.log, "disabled", True),
    "all disabled": lambda s: _disable(s.log.manager),
    "does not propagate": lambda s: setattr(s.log, "propagate", False),
    "another parent": lambda s: setattr(s.log, "parent", logging.Logger("x")),
    "another dictionary": lambda s: _replace_dict(s.above, handlers=[logging.NullHandler()]),
    "another class": lambda s: setattr(s.log, "__class__", _Strict),
    "a method of the logger": lambda s: setattr(s.log, "isEnabledFor", lambda level: False),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_is_noticed(
    change: Change, spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was remembered holds no longer, and what is found then is what Python finds."""
    compiled_lines, _ = lines_of(spoken.log, monkeypatch)
    way = compiled_lines.way
    compiled_lines.finish(compiled_lines.begin())
    assert way.writer is spoken.handler.writer
    was_remembered = way.remembered
    change(spoken)
    assert not (was_remembered and way.remembered)
    for _ in range(2):
        started = compiled_lines.begin()
        assert (started is not None) == spoken.log.isEnabledFor(20)
        way.refresh()
        found = None if spoken.log.filters else sole_handler(spoken.log, 20)
        usual = found is not None and type(found.formatter) is JSONFormatter
        assert way.enabled == spoken.log.isEnabledFor(20)
        assert way.writer is (found.writer if found is not None and usual else None)
        if started is not None:
            compiled_lines.finish(started)


PATCHES: dict[str, tuple[Any, str, Any]] = {
    "callHandlers": (logging.Logger, "callHandlers", lambda self, record: None),
    "handle": (logging.Logger, "handle", lambda self, record: None),
    "makeRecord": (logging.Logger, "makeRecord", logging.Logger.makeRecord.__get__(logging.root)),
    "emit": (QueuedHandler, "emit", lambda self, record: None),
    "the maker of records": (logging, "_logRecordFactory", lambda *args: None),
}


@pytest.mark.parametrize(("owner", "name", "value"), PATCHES.values(), ids=PATCHES)
def test_each_patch_of_the_library_is_noticed(
    owner: Any, name: str, value: Any, spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its end as well."""
    compiled_lines, _ = lines_of(spoken.log, monkeypatch)
    way = compiled_lines.way
    for _ in range(2):
        compiled_lines.finish(compiled_lines.begin())
        assert way.writer is spoken.handler.writer
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            way.refresh()
            assert way.writer is not spoken.handler.writer
        way.refresh()


@pytest.mark.skipif("sys.version_info >= (3, 12)", reason="nothing is remembered there")
def test_what_does_not_change_is_remembered(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the formatter's own changes, say, nothing is forgotten."""
    compiled_lines, _ = lines_of(spoken.log, monkeypatch)
    compiled_lines.finish(compiled_lines.begin())
    for _ in range(3):
        spoken.log.info("something else")
        compiled_lines.finish(compiled_lines.begin())
        assert compiled_lines.way.remembered
    assert len(spoken.lines) == 7


def test_loggers_of_another_kind_are_asked_each_time(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their lines are the same."""
    spoken.log.__class__ = _Strict
    compiled_lines, _ = lines_of(spoken.log, monkeypatch)
    for _ in range(250):
        compiled_lines.finish(compiled_lines.begin())
        assert not compiled_lines.way.remembered
    assert len(spoken.lines) == 250


@pytest.mark.parametrize("wrong", [None, 7, "text", object(), float("nan"), -1e300, 1e300])
def test_no_wrong_argument_ends_the_process(
    wrong: Any, spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error, or is left to Python."""
    compiled_lines, _ = lines_of(spoken.log, monkeypatch)
    compiled_lines.finish(compiled_lines.begin())
    calls: list[Callable[[], Any]] = [
        lambda: compiled_lines.finish(wrong),
        lambda: _lines.CallLines(wrong),
        lambda: _lines.CallLines.__new__(_lines.CallLines),
        lambda: _lines.written_ids(wrong, wrong, UUID(int=1)),
        lambda: _lines.written_ids(JSONFormatter(), (wrong, wrong), UUID.__new__(UUID)),
        lambda: _lines.write_line(wrong, b""),
        lambda: _lines.write_line(spoken.handler.writer, wrong),
        lambda: _way.Way.__new__(_way.Way),
        lambda: _way.Way(wrong, wrong).refresh(),
        lambda: _block.Block().push(1, wrong, 1),
        lambda: _block.Block().push(1, 0, 1),
        lambda: _block.Packed().take(wrong),
        lambda: _block.Packed().give_back(wrong),
        lambda: _block.Packed().put(wrong, 1),
    ]
    for call in calls:
        with pytest.raises(Exception):  # noqa: B017, PT011
            raise call() or RuntimeError


# --- the writer ---------------------------------------------------------------------------------


def make(stream: Any, **options: Any) -> LogWriter:
    return LogWriter(str, lambda lost: f"lost {lost}", stream, **options)


def test_lines_and_other_items_keep_their_order(tmp_path: Path) -> None:
    """Also while the thread takes them."""
    with (tmp_path / "log").open("w") as stream:
        writer = make(stream, limit=100_000)
        for number in range(9_000):
            if number % 7 in (0, 1, 3):
                writer.put(str(number))
            else:
                assert _lines.write_line(writer, b"%d" % number)
        assert writer.flush(20)
    assert (tmp_path / "log").read_text().split() == [str(number) for number in range(9_000)]
    assert (writer.waiting, writer.dropped, writer.failed) == (0, 0, 0)


def test_no_more_lines_wait_than_may() -> None:
    """Of both kinds together; what comes beyond is dropped and counted by whoever drops it."""
    stream = io.StringIO()
    writer = make(stream, limit=10)
    writer._asleep = False  # as while the thread is busy
    for number in range(4):
        assert _lines.write_line(writer, b"a%d" % number)
    writer.put("b")
    for number in range(5):
        assert _lines.write_line(writer, b"c%d" % number)
    assert writer.waiting == 10
    assert not _lines.write_line(writer, b"d")
    writer.put("e")
    assert (writer.waiting, writer.dropped) == (10, 1)
    writer._wake()
    assert writer.flush()
    assert stream.getvalue().split() == [
        "a0", "a1", "a2", "a3", "b", "c0", "c1", "c2", "c3", "c4", "lost", "1",
    ]  # fmt: skip
    assert writer.waiting == 0


def test_a_pipe_gets_whole_lines_that_it_takes_whole() -> None:
    """So that lines of several workers do not mix. A packet of a pipe is what one write had."""
    read, write = os.pipe2(os.O_DIRECT) if hasattr(os, "O_DIRECT") else os.pipe()
    with open(read, "rb", buffering=0), open(write, "w") as stream:
        writer = make(stream)
        writer._asleep = False
        lines = [b"x" * 999] * 10 + [b"y" * 9999] + [b"z" * 4095, b""]
        for line in lines:
            _lines.write_line(writer, line)
        writer._wake()
        assert writer.flush()
        sizes = [len(os.read(read, 65_536)) for _ in range(4)]
    assert sizes[:3] == [4000, 4000, 2000]


def test_an_output_that_is_not_blocking_is_waited_for() -> None:
    """A terminal shared with another program may be so."""
    read, write = os.pipe()
    with open(read) as reader, open(write, "w") as stream:
        os.set_blocking(write, False)
        writer = make(stream)
        for _ in range(500):
            assert _lines.write_line(writer, b"x" * 1000)
        lines = [reader.readline() for _ in range(500)]
        assert writer.flush()
    assert set(lines) == {"x" * 1000 + "\n"}
    assert writer.failed == 0


def test_lines_that_are_refused_are_counted() -> None:
    """A full disk."""
    with open("/dev/full", "w") as stream:
        writer = make(stream)
        writer._asleep = False
        for _ in range(3):
            _lines.write_line(writer, b"x")
        writer._wake()
        assert writer.flush()
    assert writer.failed >= 3


def test_a_line_that_broke_off_is_ended(tmp_path: Path) -> None:
    """The next one begins on a line of its own."""
    with (tmp_path / "log").open("w") as stream:
        writer = make(stream)
        stream.write("bro")
        stream.flush()
        writer._torn = True
        _lines.write_line(writer, b"whole")
        assert writer.flush()
    assert (tmp_path / "log").read_text() == "bro\nwhole\n"


def test_a_stream_without_a_descriptor_gets_text() -> None:
    """As any stream of Python."""
    stream = io.StringIO()
    writer = make(stream)
    _lines.write_line(writer, "\N{SNOWMAN}".encode())
    assert writer.flush()
    assert stream.getvalue() == "\N{SNOWMAN}\n"


def test_a_forked_process_does_not_write_what_waited(tmp_path: Path) -> None:
    """It is the parent's; its own lines come once."""
    with (tmp_path / "log").open("w") as stream:
        writer = make(stream)
        writer._asleep = False
        _lines.write_line(writer, b"parent")
        pid = os.fork()
        if pid == 0:
            _lines.write_line(writer, b"child")
            os._exit(0 if writer.flush() and writer.waiting == 0 else 1)
        assert os.waitpid(pid, 0)[1] == 0
        writer._wake()
        assert writer.flush()
    assert sorted((tmp_path / "log").read_text().split()) == ["child", "parent"]


def test_memory_is_used_again(tmp_path: Path) -> None:
    """And given back after a burst of much."""
    with (tmp_path / "log").open("w") as stream:
        writer = make(stream)
        for size in (10, 100, 1_000_000, 8_000_000, 10):
            _lines.write_line(writer, b"x" * size)
            assert writer.flush(20)
    assert (tmp_path / "log").stat().st_size == 9_000_125


# --- the parts of `@logger` that depend on it ---------------------------------------------------


def test_other_contexts_have_their_own_lines(spoken: Spoken, monkeypatch: Any) -> None:
    """Outside of a request a call begins a trace of its own."""
    with monkeypatch.context() as patch:
        patch.setattr(logging, "getLogger", lambda name: spoken.log)

        @logger
        def book() -> None: ...

    contextvars.Context().run(book)
    book()
    outside, inside = map(json.loads, spoken.lines)
    assert "request_id" not in outside
    assert "request_id" in inside


def test_a_site_is_learnt_anew_for_another_formatter(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be of another service."""
    compiled_lines, call = lines_of(spoken.log, monkeypatch)
    assert isinstance(call.site, CallSite)
    compiled_lines.finish(compiled_lines.begin())
    spoken.handler.setFormatter(JSONFormatter("other"))
    compiled_lines.finish(compiled_lines.begin())
    assert [json.loads(line)["service"] for line in spoken.lines] == ["shop", "other"]
