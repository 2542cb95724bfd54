"""The access log of our protocol: which answers get a line, and what stands in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sanic.log import access_logger
from sanic.models.server_types import ConnInfo
from sanic.response import text

from sanic_ms import Service
from sanic_ms.http.request import Request
from sanic_ms.server import HttpProtocol
from sanic_ms.server.http1 import access_log as access
from sanic_ms.server.http1.request import lazy
from sanic_ms.telemetry.instrumentation import Instrumentation
from sanic_ms.telemetry.logging import (
    JSONFormatter,
    LogWriter,
    QueuedHandler,
    access_log,
)
from sanic_ms.telemetry.tracing import Provider, ServerSpans, current_ids


class Lines:
    """The access log, read back."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = QueuedHandler(self.stream)
        self.handler.setFormatter(JSONFormatter("tests"))

    @property
    def all(self) -> list[dict[str, Any]]:
        """The lines written so far."""
        self.handler.flush()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The access log goes the fast path to a stream."""
    made = Lines()
    access_log.use(put=made.handler.writer.put)
    access_logger.setLevel(logging.INFO)
    yield made
    access_log.use()
    access_logger.setLevel(logging.NOTSET)


@pytest.fixture
def server(named_app: Any, serve: Callable[..., Any]) -> Any:
    """A server with a few routes."""
    app = named_app(ACCESS_LOG=True)

    async def answer(request: Any, **path: Any) -> Any:
        return text("abc")

    async def read_id(request: Any) -> Any:
        return text(str(request.id))

    async def stream(request: Any) -> None:
        response = await request.respond()
        await response.send("x")
        await response.eof()

    async def fail(request: Any) -> Any:
        raise RuntimeError

    async def linger(request: Any, how: str) -> Any:
        await asyncio.sleep(0.05)
        if how == "fail":
            raise RuntimeError
        if how == "stream":
            response = await request.respond()
            await response.eof()
            return None
        return text("abc")

    app.add_route(answer, "/users/<id:int>", name="user")
    app.add_route(read_id, "/id", name="id")
    app.add_route(stream, "/stream", name="stream")
    app.add_route(fail, "/fail", name="fail")
    app.add_route(linger, "/linger/<how:str>", name="linger")
    return serve(app)


def ask(server: Any, target: str, headers: str = "") -> Any:
    head = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n"
    return server.client().exchange(head.encode())[0]


def test_a_line_tells_all_of_an_answer(server: Any, lines: Lines) -> None:
    """By route template as well as by path; secrets of the query are hidden."""
    ask(server, "/users/7?page=2&token=hunter2")
    (line,) = lines.all
    assert 0 < line.pop("duration_ms") < 10_000
    for name in ("@timestamp", "host", "pid"):
        line.pop(name)
    assert line == {
        "level": "INFO",
        "logger": "sanic.access",
        "message": "GET /users/7 200",
        "service": "tests",
        "method": "GET",
        "path": "/users/7",
        "route": "/users/{id}",
        "status": 200,
        "bytes": 3,
        "client_ip": "127.0.0.1",
        "query": "page=2&token=***",
    }


@pytest.mark.parametrize("how", ["answer", "fail", "stream"])
def test_the_duration_begins_with_the_handler(how: str, server: Any, lines: Lines) -> None:
    """Also where the answer is an error or is streamed: by it the slow ones are found."""
    ask(server, f"/linger/{how}")
    (line,) = lines.all
    assert line["duration_ms"] >= 49


def test_every_answer_has_its_line(server: Any, lines: Lines) -> None:
    """Streams, errors, unknown paths and requests that cannot be read."""
    for target in ("/stream", "/fail", "/nowhere"):
        ask(server, target)
    server.client().exchange(b"nonsense\r\n\r\n")
    seen = [(line["path"], line["status"], line.get("bytes")) for line in lines.all]
    assert [(path, status) for path, status, _ in seen[:3]] == [
        ("/stream", 200),
        ("/fail", 500),
        ("/nowhere", 404),
    ]
    assert seen[0][2] == "chunked"
    assert seen[3][1] == 400
    assert "route" not in lines.all[2]


def test_the_id_of_a_request_is_told_where_it_is_known(server: Any, lines: Lines) -> None:
    """Sent by the caller, or made because somebody asked; none is made for the line."""
    ask(server, "/users/1", "X-Request-ID: abc-1\r\n")
    ask(server, "/users/1", "x-request-id:  abc-2 \r\n")
    made = ask(server, "/id").body.decode()
    ask(server, "/users/1")
    assert [line.get("request_id") for line in lines.all] == ["abc-1", "abc-2", made, None]


def test_a_hostile_target_stays_inside_its_line(server: Any, lines: Lines) -> None:
    """Percent signs, quotes and long ids."""
    ask(server, '/users/1?a="%0aforged\\', "X-Request-ID: " + "x" * 4000 + "\r\n")
    (line,) = lines.all
    assert line["query"] == 'a="%0aforged\\'
    assert line["request_id"] == "x" * 128


def test_of_a_share_errors_and_slow_answers_are_always_logged(server: Any, lines: Lines) -> None:
    """`ACCESS_LOG_SAMPLE=0` leaves what an operator must see."""
    access_log.use(ratio=0, slow=60, put=lines.handler.writer.put)
    ask(server, "/users/1")
    ask(server, "/nowhere")
    ask(server, "/fail")
    access_log.use(ratio=0, slow=1e-9, put=lines.handler.writer.put)
    ask(server, "/users/2")
    assert [line["path"] for line in lines.all] == ["/fail", "/users/2"]


def test_a_share_is_a_share(lines: Lines) -> None:
    """About half of many; nobody is favoured."""
    access_log.use(ratio=0.5)
    wanted = sum(access_log.wants(200, 0.001) for _ in range(10_000))
    assert 4500 < wanted < 5500


def test_its_level_counts(server: Any, lines: Lines) -> None:
    """`LOG_LEVEL=WARNING` takes it away, and so does the logger's own level."""
    access_logger.setLevel(logging.WARNING)
    ask(server, "/users/1")
    assert lines.all == []


def test_behind_a_proxy_the_client_is_who_the_proxy_says(
    named_app: Any, serve: Callable[..., Any], lines: Lines
) -> None:
    """Where one is configured, and only then."""
    app = named_app(ACCESS_LOG=True, PROXIES_COUNT=1)
    app.add_route(lambda request: text("x"), "/", name="root")
    server = serve(app)
    ask(server, "/", "X-Forwarded-For: 203.0.113.7\r\n")
    access_log.use(forwarded=False, put=lines.handler.writer.put)
    ask(server, "/", "X-Forwarded-For: 203.0.113.7\r\n")
    assert [line["client_ip"] for line in lines.all] == ["203.0.113.7", "127.0.0.1"]


def test_without_the_short_way_it_is_a_record(
    server: Any, caplog: pytest.LogCaptureFixture, lines: Lines
) -> None:
    """For the application's own handlers: a readable message, Sanic's fields, and in our JSON the
    same line as ever."""
    access_log.use()
    with caplog.at_level(logging.INFO, logger="sanic.access"):
        ask(server, "/users/7?x=1", "X-Request-ID: r1\r\n")
    (record,) = [entry for entry in caplog.records if entry.name == "sanic.access"]
    assert record.getMessage().startswith("GET /users/7 200 3 ")
    assert (record.__dict__["request"], record.__dict__["status"]) == (
        "GET http://a/users/7?x=1", 200,
    )  # fmt: skip
    line = json.loads(JSONFormatter("tests").format(record))
    assert (line["route"], line["request_id"], line["query"]) == ("/users/{id}", "r1", "x=1")


def test_records_of_sanics_own_protocol_take_the_same_form() -> None:
    """`SERVER_PROTOCOL=sanic`, and the opening of a web socket."""
    extra = {
        "status": 200,
        "byte": 3,
        "host": "127.0.0.1:5000",
        "request": "GET http://a:8000/users/7?token=hunter2",
        "duration": " 1.5ms",
    }
    made = logging.makeLogRecord({"name": "sanic.access", "msg": "", "levelname": "INFO", **extra})
    line = json.loads(JSONFormatter("tests").format(made))
    assert line["message"] == "GET /users/7 200"
    assert {name: line[name] for name in ("method", "path", "status", "bytes")} == {
        "method": "GET", "path": "/users/7", "status": 200, "bytes": 3,
    }  # fmt: skip
    assert (line["duration_ms"], line["client_ip"], line["query"]) == (
        1.5, "127.0.0.1", "token=***",
    )  # fmt: skip
    opened = {
        **extra,
        "status": "",
        "byte": "",
        "request": " \N{ELECTRIC PLUG} /ws",
        "duration": "",
    }
    made = logging.makeLogRecord({"name": "sanic.access", "msg": "OPEN", **opened})
    line = json.loads(JSONFormatter("tests").format(made))
    assert (line["message"], line["method"], line["path"]) == ("OPEN /ws", "WEBSOCKET", "/ws")


def test_off_costs_nothing(named_app: Any, serve: Callable[..., Any], lines: Lines) -> None:
    """`ACCESS_LOG=false`: nothing of it is called."""
    app = named_app(ACCESS_LOG=False)
    app.add_route(lambda request: text("x"), "/", name="root")
    ask(serve(app), "/")
    assert lines.all == []


def test_a_line_that_finds_no_room_is_dropped(lines: Lines) -> None:
    """The event loop waits for nothing."""
    writer = LogWriter(str, str, io.StringIO(), limit=1)
    writer._asleep = False  # as while the thread is busy
    access_log.use(put=writer.put)
    connection: Any = SimpleNamespace()
    request: Any = SimpleNamespace(
        head=b"", _id=None, method="GET", raw_url=b"/", route=None, client_ip=""
    )
    for _ in range(3):
        access.log_answer(connection, request, 200, 0, 0.0)
    assert (writer.waiting, writer.dropped) == (1, 2)


def test_ids_of_a_trace_are_made_for_no_access_line_alone(
    serve: Callable[..., Any], lines: Lines
) -> None:
    """Of a request that is not recorded the line has those that somebody else may have seen."""
    app = Service(f"access-{uuid4()}", configure_logging=False)
    app.configure(docs=False, access_log=True)
    spans: list[Any] = []
    app._observer = Instrumentation(None, ServerSpans(Provider(spans.append, ratio=0.0)))

    @app.get("/quiet")
    async def quiet(request: Any) -> None: ...

    @app.get("/told")
    async def told(request: Any) -> str:
        return current_ids()[0]  # type: ignore[index]

    @app.get("/failed")
    async def failed(request: Any) -> Any:
        return text("no", 503)

    server = serve(app)
    access_log.use(put=lines.handler.writer.put)  # the start of a service has set it
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    ask(server, "/quiet")
    ask(server, "/quiet", f"traceparent: 00-{trace}-00f067aa0ba902b7-00\r\n")
    answer = ask(server, "/told")
    ask(server, "/failed")
    quiet_one, called, known, recorded = [line.get("trace_id") for line in lines.all]
    assert quiet_one is None
    assert called == trace
    assert f"{known}".encode() in answer.body
    assert [recorded] == [span.trace_id for span in spans]


PATHS = [
    b"/", b"/users/7", b"/users/7?page=2&token=hunter2", b"/a%20b", b'/"', b"/\xff", b"*",
    b"/eyJhbGciOi", b"/" + b"x" * 4095, b"/" + b"x" * 4096,
    b"/~!$&'()*+,;=:@-._", b"/token/hunter2",
]  # fmt: skip


class Route(SimpleNamespace):
    """What is read of a route."""

    def __init__(self, path: str) -> None:
        super().__init__(path=path, parts=tuple(path.split("/")), defined_params={})


ROUTE = Route("users/caf\N{LATIN SMALL LETTER E WITH ACUTE}")


def lines_of(log_answer: Any, answers: list[tuple[Any, ...]], **request: Any) -> list[str]:
    """What a function writes of answers, without times."""
    made = Lines()
    access_log.use(put=made.handler.writer.put, forwarded=False)
    connection: Any = HttpProtocol.__new__(HttpProtocol)
    connection._conn_info = ConnInfo.__new__(ConnInfo)
    connection._conn_info.client_ip = request.pop("client_ip", "127.0.0.1")
    asked: Any = lazy(Request)()  # type: ignore[misc]
    usual = {"head": b"GET / HTTP/1.1", "method": "GET", "raw_url": b"/", "route": ROUTE}
    for name, value in {**usual, **request}.items():
        setattr(asked, name, value)
    asked.transport = None
    for status, size, seconds in answers:
        log_answer(connection, asked, status, size, time.perf_counter() - seconds)
    made.handler.flush()
    lines = made.stream.getvalue().splitlines()
    assert all(json.loads(line)["duration_ms"] >= 0 for line in lines)
    return [re.sub(r'("@timestamp":"|"duration_ms":)[0-9T:.Z-]+', r"\g<1>", line) for line in lines]


def same(answers: Any = ((200, 3, 0.001),), **request: Any) -> None:
    """Both functions write the same."""
    access_logger.setLevel(logging.INFO)
    try:
        in_python = lines_of(access.in_python, answers, **request)
        assert lines_of(access.log_answer, answers, **request) == in_python
        assert lines_of(access.log_answer, answers, **request) == in_python
        assert len(in_python) == len(answers)
    finally:
        access_log.use()
        access_logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("target", PATHS)
@pytest.mark.parametrize("route", [None, ROUTE, Route("users")], ids=["none", "one", "another"])
def test_compiled_lines_are_the_same_of_any_path(target: bytes, route: Any) -> None:
    """With a route or without."""
    same(raw_url=target, route=route)


def test_compiled_lines_are_the_same_of_any_answer() -> None:
    """Of those that are not usual as well."""
    sizes = (0, 9, 10, 123_456_789_012, "chunked")
    same([(status, size, 0.0) for status in (101, 200, 304, 499, 500, "lost") for size in sizes])
    same([(200, 1, seconds) for seconds in (0.0, 0.0005, 0.1, 1.0, 12.5, 5000.0)])
    for method in ("POST", "QUERY", "A\N{SNOWMAN}"):
        same(method=method)


@pytest.mark.parametrize("client_ip", ["", "::1", "10.0.0.1", "a b", '"', "fe80::1%eth0"])
def test_compiled_lines_are_the_same_of_any_client(client_ip: str) -> None:
    """On a unix socket there is none."""
    same(client_ip=client_ip)


@pytest.mark.parametrize("id", [None, UUID(int=7), "r-1", 7])
@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nX-Request-ID: r-2", b"a: request-"])
def test_compiled_lines_are_the_same_of_any_ids(id: Any, ids: bool, head: bytes) -> None:
    """Those that are known."""
    span = (
        ServerSpans(Provider(lambda span: None, ratio=0.0))
        .route("GET", "/")
        .begin(SimpleNamespace(head=b"x", raw_url=b"/", transport=None, headers={}))
    )
    try:
        if ids:
            assert span.ids
        same(head=head, **({} if id is None else {"_id": id}))
    finally:
        span.detach()


def test_compiled_lines_are_the_same_of_a_recorded_request() -> None:
    """Whose ids lead somewhere."""
    span = (
        ServerSpans(Provider(lambda span: None, ratio=1.0))
        .route("GET", "/")
        .begin(SimpleNamespace(head=b"x", raw_url=b"/", transport=None, headers={}))
    )
    try:
        same()
    finally:
        span.detach()


@pytest.mark.parametrize("wrong", [None, 7, object(), SimpleNamespace(), "text"])
def test_no_wrong_argument_ends_the_process(wrong: Any, lines: Lines) -> None:
    """It is an error of Python's."""
    request: Any = lazy(Request)()  # type: ignore[misc]
    connection: Any = HttpProtocol.__new__(HttpProtocol)
    for arguments in (
        (wrong, request, 200, 3, 0.0),
        (connection, wrong, 200, 3, 0.0),
        (connection, request, wrong, 3, 0.0),
        (connection, request, 200, wrong, 0.0),
        (connection, request, 200, 3, wrong),
    ):
        with pytest.raises((AttributeError, TypeError)):
            access.log_answer(*arguments)
