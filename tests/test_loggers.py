"""``@logger``: a line and a span for each call, and nothing else changed about the function."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import io
import logging
import re
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanContext, TraceFlags

from sanic_ms.context import current_request
from sanic_ms.loggers import logger
from sanic_ms.shapes.signature import read_signature
from sanic_ms.telemetry.logging import JSONFormatter, QueuedHandler, TextFormatter
from sanic_ms.telemetry.tracing import Provider, ServerSpans, current_ids

Fields = dict[str, Any]


class Lines(logging.Handler):
    """The records of this module's logger."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.ids: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.ids.append(current_ids())

    @property
    def one(self) -> Fields:
        """The fields of the only line."""
        (record,) = self.records
        return record.__dict__


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged from INFO on."""
    log = logging.getLogger(__name__)
    handler = Lines()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


@pytest.fixture
def spans() -> Iterator[list[Any]]:
    """The spans that end, within one that is recorded."""
    ended: list[Any] = []
    provider = Provider(ended.append)
    with provider.get_tracer("test").start_as_current_span("request"):
        yield ended


@logger(type="http", category="region", detail="city", description="the city of a user")
async def get_city(request: Any, id: int) -> dict[str, int]:
    """One city."""
    await asyncio.sleep(0)
    return {"id": id}


async def test_a_call_leaves_one_line(lines: Lines) -> None:
    """With what was declared, the duration and the outcome; not with the arguments."""
    assert await get_city("request", 7) == {"id": 7}
    line = lines.one
    assert line["msg"].startswith("city: ok, ")
    assert line["duration_ms"] > 0
    names = ("type", "category", "detail", "description", "outcome", "name", "funcName")
    assert [line[name] for name in names] == [
        "http",
        "region",
        "city",
        "the city of a user",
        "ok",
        __name__,
        f"{__name__}.get_city",
    ]
    assert line["pathname"] == __file__
    assert "arguments" not in line
    assert "error" not in line


def test_it_works_bare_and_with_nothing(lines: Lines) -> None:
    """`@logger` and `@logger()`; the name and the docstring of the function are the defaults."""

    @logger
    def first() -> int:
        """Adds up.

        Slowly.
        """
        return 1

    @logger()
    def second() -> int:
        return 2

    assert first() + second() == 3
    fields = [(r.__dict__["type"], r.__dict__.get("description")) for r in lines.records]
    assert fields == [("method", "Adds up."), ("method", None)]
    assert lines.records[0].__dict__["detail"].endswith("nothing.first")


async def test_an_error_is_told_by_its_type_and_passes(lines: Lines) -> None:
    """The very exception."""
    error = KeyError("secret")

    @logger
    async def fails() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        await fails()
    assert caught.value is error
    assert (lines.one["outcome"], lines.one["error"]) == ("error", "KeyError")
    assert "secret" not in lines.one["msg"]


async def test_a_cancelled_call_says_so(lines: Lines) -> None:
    """It is no error of the function."""

    @logger
    async def waits() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lines.one["outcome"] == "cancelled"
    assert "error" not in lines.one


def test_a_level_that_is_not_logged_leaves_no_line(lines: Lines) -> None:
    """By the level of the function's module, at the time of the call."""

    @logger(level="debug")
    def quiet() -> int:
        return 1

    assert quiet() == 1
    assert lines.records == []
    logging.getLogger(__name__).setLevel(logging.DEBUG)
    assert quiet() == 1
    assert lines.one["levelname"] == "DEBUG"


def test_arguments_are_logged_where_asked(lines: Lines) -> None:
    """All, or those that are named; by their names, however they are passed."""

    class Users:
        @logger(args=True)
        def add(self, name: str, *roles: str, age: int = 3) -> None: ...

        @logger(args="name")
        def rename(self, id: int, name: str) -> None: ...

    Users().add("ann", "admin", age=4)
    Users().rename(1, name="bob")
    with pytest.raises(TypeError, match="missing"):
        Users().rename()  # type: ignore[call-arg]
    assert [record.__dict__.get("arguments") for record in lines.records] == [
        {"name": "ann", "roles": ("admin",), "age": 4},
        {"name": "bob"},
        None,
    ]


def _written(
    monkeypatch: pytest.MonkeyPatch, formatter: logging.Formatter, disturb: Any
) -> tuple[str, int]:
    """What two calls write, with numbers as 0, and how many records that has taken."""
    stream, made = io.StringIO(), []
    queued = QueuedHandler(stream)
    queued.setFormatter(formatter)
    log = logging.Logger(f"{__name__}.apart", logging.INFO)
    log.addHandler(queued)
    make = log.makeRecord

    def record(*args: Any) -> logging.LogRecord:
        made.append(args)
        return make(*args)

    monkeypatch.setattr(log, "makeRecord", record)
    with monkeypatch.context() as patch:
        patch.setattr(logging, "getLogger", lambda name: log)

        @logger(category="orders", args=True)
        def book(order: int, token: str) -> int:
            """Book it."""
            return 1 // order

    disturb(log, queued)
    book(1, "hunter2")
    with pytest.raises(ZeroDivisionError):
        book(0, token="hunter2")
    queued.flush()
    return re.sub(r"[0-9]+([.:][0-9]+)*", "0", stream.getvalue()), len(made)


@pytest.mark.parametrize(
    "disturb",
    [
        lambda log, queued: log.addHandler(logging.NullHandler()),
        lambda log, queued: log.addFilter(lambda record: True),
        lambda log, queued: queued.addFilter(lambda record: True),
        lambda log, queued: setattr(log, "parent", logging.root),
    ],
    ids=["another handler", "a filter", "a filter of the handler", "handlers of the root"],
)
@pytest.mark.parametrize("formatter", [JSONFormatter("shop"), TextFormatter()])
def test_the_line_is_the_same_with_and_without_a_record(
    monkeypatch: pytest.MonkeyPatch, disturb: Any, formatter: logging.Formatter
) -> None:
    """No record is made where only our writer would see it; elsewhere there is one, and the text is
    the same."""
    text, records = _written(monkeypatch, formatter, lambda log, queued: None)
    assert records == 0
    assert "book: ok, 0 ms" in text
    assert "hunter" not in text
    assert _written(monkeypatch, formatter, disturb) == (text, 2)


class Indented(JSONFormatter):
    """As an application may have it."""

    def render(self, line: Any) -> str:
        return f"  {super().render(line)}"


@pytest.mark.parametrize(
    "formatter", [JSONFormatter("shop"), TextFormatter(), Indented("shop")], ids=type
)
@pytest.mark.parametrize("id", [UUID(int=7), "r-\N{SNOWMAN}", None])
def test_within_a_request_too(
    monkeypatch: pytest.MonkeyPatch, formatter: logging.Formatter, id: Any
) -> None:
    """The usual line of a service has a way of its own, and says the same."""
    spans = ServerSpans(Provider(lambda span: None, ratio=0.0)).route("GET", "/orders")

    def write(filters: list[Any]) -> list[str]:
        stream = io.StringIO()
        queued = QueuedHandler(stream)
        queued.setFormatter(formatter)
        log = logging.Logger(f"{__name__}.apart", logging.INFO)
        log.addHandler(queued)
        log.filters = filters
        with monkeypatch.context() as patch:
            patch.setattr(logging, "getLogger", lambda name: log)

            @logger(category="orders")
            def book(order: int) -> int:
                return 1 // order

        request: Any = SimpleNamespace(
            head=b"GET / HTTP/1.1", raw_url=b"/", transport=None, headers={}, id=id
        )
        spans.begin(request)
        current_request.set(request)
        book(1)
        with pytest.raises(ZeroDivisionError):
            book(0)
        book(2)
        queued.flush()
        return [_NUMBER.sub("0", line) for line in stream.getvalue().splitlines()]

    lines = contextvars.Context().run(write, [])
    assert len(lines) == 3
    assert lines[0] == lines[2] != lines[1]
    assert contextvars.Context().run(write, [lambda record: True]) == lines


@pytest.mark.parametrize("when", ["between", "within"])
def test_a_handler_may_come_at_any_time(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """An error tracker that is installed while a request is served misses no line."""
    spans = ServerSpans(Provider(lambda span: None, ratio=0.0)).route("GET", "/orders")
    stream, late = io.StringIO(), Lines()
    queued = QueuedHandler(stream)
    queued.setFormatter(JSONFormatter("shop"))
    log = logging.Logger(f"{__name__}.apart", logging.INFO)
    log.addHandler(queued)
    with monkeypatch.context() as patch:
        patch.setattr(logging, "getLogger", lambda name: log)

        @logger
        def book(meanwhile: Any = None) -> None:
            if meanwhile is not None:
                log.addHandler(meanwhile)

    def serve() -> None:
        request: Any = SimpleNamespace(
            head=b"GET / HTTP/1.1", raw_url=b"/", transport=None, headers={}, id="r-1"
        )
        spans.begin(request)
        current_request.set(request)
        book()
        if when == "between":
            log.addHandler(late)
            book()
        else:
            book(late)

    contextvars.Context().run(serve)
    queued.flush()
    assert late.one["outcome"] == "ok"
    assert stream.getvalue().count('"request_id":"r-1"') == 2


async def test_functions_of_all_kinds_have_one_line_in_a_request(lines: Lines) -> None:
    """Also where the request is not recorded, and whether they go well or not."""

    @logger
    def plain(divisor: int) -> float:
        return 1 / divisor

    @logger
    async def waits(divisor: int) -> float:
        return 1 / divisor

    @logger
    def steps(divisor: int) -> Iterator[float]:
        yield 1 / divisor

    @logger
    async def steps_that_wait(divisor: int) -> AsyncIterator[float]:
        yield 1 / divisor

    async def use(divisor: int) -> None:
        with contextlib.suppress(ZeroDivisionError):
            plain(divisor)
        with contextlib.suppress(ZeroDivisionError):
            await waits(divisor)
        with contextlib.suppress(ZeroDivisionError):
            list(steps(divisor))
        with contextlib.suppress(ZeroDivisionError):
            [step async for step in steps_that_wait(divisor)]

    request: Any = SimpleNamespace(head=b"GET / HTTP/1.1", raw_url=b"/", transport=None)
    ServerSpans(Provider(lambda span: None, ratio=0.0)).route("GET", "/orders").begin(request)
    await use(1)
    await use(0)
    told = [
        (line.__dict__["detail"].rpartition(".")[2], line.__dict__["outcome"])
        for line in lines.records
    ]
    names = ("plain", "waits", "steps", "steps_that_wait")
    assert told == [(name, outcome) for outcome in ("ok", "error") for name in names]


# Of traces and spans, and every other one.
_NUMBER = re.compile('(?<=")[0-9a-f]{16,32}(?=")|[0-9]+([.:][0-9]+)*')


def test_a_record_is_made_where_somebody_patches_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error tracker, say, that looks at every record."""

    def patch(log: Any, queued: Any) -> None:
        monkeypatch.setattr(logging.Logger, "callHandlers", lambda log, record: None)

    assert _written(monkeypatch, JSONFormatter("shop"), patch) == ("", 2)


def test_methods_of_all_kinds(lines: Lines) -> None:
    """Above or below `@classmethod` and `@staticmethod`."""

    class Thing:
        @logger
        def method(self) -> Any:
            return self

        @logger
        @classmethod
        def above(cls) -> Any:
            return cls

        @classmethod
        @logger
        def below(cls) -> Any:
            return cls

        @logger()
        @staticmethod
        def static(value: int) -> int:
            return value

    thing = Thing()
    assert thing.method() is thing
    assert Thing.above() is Thing.below() is Thing
    assert thing.static(3) == 3
    assert len(lines.records) == 4


async def test_an_async_generator_is_one_call(lines: Lines) -> None:
    """From its first step to its last; what is sent, thrown and closed reaches it."""
    seen: list[Any] = []

    @logger
    async def rows(count: int) -> AsyncIterator[int]:
        try:
            for number in range(count):
                try:
                    seen.append((yield number))
                except ValueError:
                    seen.append("thrown")
        finally:
            seen.append("closed")

    assert [row async for row in rows(2)] == [0, 1]
    assert lines.one["outcome"] == "ok"
    generator: Any = rows(9)
    assert await anext(generator) == 0
    assert await generator.asend("sent") == 1
    assert await generator.athrow(ValueError()) == 2
    await generator.aclose()
    assert seen == [None, None, "closed", "sent", "thrown", "closed"]
    assert lines.records[1].__dict__["outcome"] == "cancelled"


def test_a_generator_is_one_call(lines: Lines) -> None:
    """With its result."""

    @logger
    def rows() -> Any:
        got = yield 1
        return got

    generator = rows()
    assert next(generator) == 1
    with pytest.raises(StopIteration) as stop:
        generator.send("sent")
    assert stop.value.value == "sent"
    assert lines.one["outcome"] == "ok"


async def test_a_call_has_a_span_below_the_current_one(lines: Lines, spans: list[Any]) -> None:
    """Calls within it are below it, and its line carries its ids."""

    @logger
    async def inner() -> None: ...

    @logger
    async def outer() -> None:
        await inner()

    request = current_ids()
    await outer()
    assert current_ids() == request
    first, second = spans
    assert request is not None
    assert first.name.endswith("inner")
    assert first.parent_id == second.span_id
    assert second.parent_id == request[1]
    assert {first.trace_id, second.trace_id} == {request[0]}
    assert lines.ids == [(request[0], first.span_id), (request[0], second.span_id)]
    assert second.attributes["code.function.name"].endswith("outer")


async def test_the_span_of_a_failed_call_says_so(lines: Lines, spans: list[Any]) -> None:
    """With the type of the error."""

    @logger
    async def fails() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await fails()
    assert (spans[0].status, spans[0].attributes["error.type"]) == (2, "KeyError")


async def test_calls_in_parallel_are_brothers(spans: list[Any]) -> None:
    """Each in its own task; none below another."""
    request = current_ids()
    await asyncio.gather(*(get_city(None, number) for number in range(3)))
    assert request is not None
    assert [span.parent_id for span in spans] == [request[1]] * 3


async def test_the_span_of_a_generator_is_not_its_callers(spans: list[Any]) -> None:
    """It is current while the generator runs, and not between its steps."""
    within = []

    @logger
    async def rows() -> AsyncIterator[int]:
        within.append(current_ids())
        yield 1
        within.append(current_ids())

    request = current_ids()
    async for _ in rows():
        assert current_ids() == request
    (span,) = spans
    assert within == [(span.trace_id, span.span_id)] * 2


async def test_tracing_can_be_left_out(lines: Lines, spans: list[Any]) -> None:
    """The line stays."""

    @logger(tracing=False)
    async def plain() -> None: ...

    await plain()
    assert spans == []
    assert lines.one["outcome"] == "ok"


async def test_an_unsampled_request_has_lines_and_no_spans(lines: Lines, spans: list[Any]) -> None:
    """Nothing is recorded below what is not."""
    unsampled = trace.NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(0)))
    with trace.use_span(unsampled):
        await get_city(None, 1)
    assert spans == []
    assert lines.one["outcome"] == "ok"


async def test_a_coroutine_that_is_thrown_away_disturbs_nobody(
    lines: Lines, spans: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Its span ends, its line belongs to it, and OpenTelemetry has no complaint."""

    class Never:
        def __await__(self) -> Any:
            yield

    @logger
    async def waits() -> None:
        await Never()

    request = current_ids()
    here, elsewhere = waits(), waits()
    here.send(None)
    here.close()
    assert current_ids() == request
    contextvars.copy_context().run(elsewhere.send, None)
    elsewhere.close()
    assert current_ids() == request
    assert [record.__dict__["outcome"] for record in lines.records] == ["cancelled"] * 2
    assert lines.ids == [(span.trace_id, span.span_id) for span in spans]
    assert len(spans) == 2
    assert [record for record in caplog.records if record.name != __name__] == []


def test_a_handler_keeps_its_signature() -> None:
    """Typed handlers are read through it, and it is still a coroutine function."""
    assert inspect.iscoroutinefunction(get_city)
    assert get_city.__doc__ == "One city."
    (parameter,) = read_signature(get_city, set()).parameters
    assert (parameter.name, parameter.annotation) == ("id", int)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": "LOUD"}, ValueError, r"level='LOUD'\): there is .*INFO"),
        ({"level": None}, TypeError, r"level=None\): give a name"),
        ({"level": True}, TypeError, "level=True"),
        ({"tracing": "no"}, TypeError, r"tracing='no'\): give True or False"),
        ({"category": 7}, TypeError, r"category=7\): give a text"),
        ({"description": b"x"}, TypeError, "description=b'x'"),
        ({"args": 7}, TypeError, r"args=7\): give True, False"),
        ({"args": [7]}, TypeError, r"args=\[7\]"),
        ({"args": ["nothing"]}, TypeError, "args='nothing'.*takes no such thing"),
    ],
)
def test_mistakes_are_found_when_the_module_is_read(
    options: Fields, error: type[Exception], message: str
) -> None:
    """Not at the first call."""
    with pytest.raises(error, match=message):

        @logger(**options)
        def function(name: str) -> None: ...


@pytest.mark.parametrize("thing", [dict, 7, property(lambda self: 1), len, str.upper])
def test_what_is_no_function_is_refused(thing: Any) -> None:
    """A class has no calls to log, and what is written in C has no place in a file."""
    with pytest.raises(TypeError, match="for functions and methods"):
        logger(thing)


def _all_kinds(a: int, /, b: int, c: int = 3, *, d: int, e: int = 5) -> tuple[int, ...]:
    return a, b, c, d, e


def _shadowing(running: int, value: int, _function: int, BaseException: int) -> tuple[int, ...]:
    return running, value, _function, BaseException


def _any_number(*args: int, **kwargs: int) -> tuple[Any, ...]:
    return args, kwargs


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (_all_kinds, (1, 2), {"d": 4}),
        (_all_kinds, (1,), {"b": 2, "c": 0, "d": 4, "e": 0}),
        (_shadowing, (1, 2), {"_function": 3, "BaseException": 4}),
        (_any_number, (1, 2), {"running": 3}),
        (lambda: 7, (), {}),
    ],
)
async def test_parameters_of_every_kind(
    lines: Lines, function: Any, args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    """Defaults, by name or by place, and whatever they are called."""

    async def waits(*args: int, **kwargs: int) -> Any:
        return function(*args, **kwargs)

    expected = function(*args, **kwargs)
    assert logger(function)(*args, **kwargs) == expected
    assert await logger(waits)(*args, **kwargs) == expected
    assert [record.__dict__["outcome"] for record in lines.records] == ["ok", "ok"]


def test_arguments_that_do_not_fit_are_refused_as_by_the_function(lines: Lines) -> None:
    """By the call, with the function's name."""

    async def waits(order: int) -> None: ...

    calls: list[Any] = [waits, logger(waits), logger(_all_kinds)]
    for call in calls:
        with pytest.raises(TypeError, match=rf"{call.__qualname__}\(\) missing"):
            call()
    assert lines.records == []


async def test_functions_of_the_same_form_have_wrappers_of_their_own(lines: Lines) -> None:
    """One does not call another's function, and a stack names each."""

    @logger
    async def first(number: int) -> int:
        return number

    @logger
    async def second(number: int) -> Any:
        raise ValueError(number)

    assert await first(1) == 1
    with pytest.raises(ValueError, match="2") as caught:
        await second(2)
    assert [entry.name for entry in caught.traceback][1:] == ["second", "second"]
    assert await first(3) == 3


def test_the_category_is_the_service_by_default(lines: Lines) -> None:
    """That of the request's application; outside of a request there is none, and one that is given
    stays."""

    @logger()
    def own() -> None: ...

    @logger(category="orders")
    def given() -> None: ...

    own()
    assert "category" not in lines.one
    lines.records.clear()
    token = current_request.set(SimpleNamespace(id="7", app=SimpleNamespace(name="shop")))
    try:
        own()
        given()
    finally:
        current_request.reset(token)
    assert [vars(record)["category"] for record in lines.records] == ["shop", "orders"]
