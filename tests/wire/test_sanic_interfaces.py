"""Sanic's own interfaces on this protocol: signals, middleware, errors, web sockets, requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import BadRequest, SanicException
from sanic.response import file, file_stream, json, text
from tests.wire.handlers import answer_with
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sanic_ms.server.http1.routes import EVENTS

HEAD = b" HTTP/1.1\r\nHost: a\r\n"
CLOSE = HEAD + b"Connection: close\r\n"
App = Callable[..., Sanic[Any, Any]]
Serve = Callable[..., Any]
Wait = Callable[..., None]


def test_every_signal_of_a_request_is_sent(named_app: App, serve: Serve, waiting: Wait) -> None:
    """In Sanic's order, from the connection's begin to its completion."""
    heard: list[str] = []
    app = named_app()
    for event in EVENTS:

        async def note(event: str = event, **_: Any) -> None:
            heard.append(event)

        app.add_signal(note, event)

    @app.post("/")
    async def root(request: Request) -> HTTPResponse:
        return text(request.body.decode())

    [answer] = serve(app).client().exchange(b"POST /" + CLOSE + b"Content-Length: 2\r\n\r\nab")
    assert answer.body == b"ab"
    waiting(lambda: "http.lifecycle.complete" in heard)
    assert heard == [
        "http.lifecycle.begin",
        "http.lifecycle.read_head",
        "http.lifecycle.request",
        "http.lifecycle.handle",
        "http.routing.before",
        "http.routing.after",
        "http.lifecycle.read_body",
        "http.handler.before",
        "http.handler.after",
        "http.lifecycle.response",
        "http.lifecycle.send",
        "http.lifecycle.complete",
    ]


def test_middleware_of_the_app_and_of_one_route(named_app: App, serve: Serve) -> None:
    """Run where they are registered; other routes keep the fast path."""
    app = named_app()

    @app.on_request
    async def before(request: Request) -> HTTPResponse | None:
        request.ctx.seen = "before"
        return text("stopped", 403) if "stop" in request.args else None

    @app.on_response  # type: ignore[untyped-decorator]
    async def after(request: Request, response: HTTPResponse) -> None:
        response.headers["x-after"] = request.ctx.seen

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        return text("root")

    server = serve(app)
    [answer] = server.client().exchange(b"GET /" + CLOSE + b"\r\n")
    assert (answer.body, answer.headers["x-after"]) == (b"root", "before")
    [answer] = server.client().exchange(b"GET /?stop=1" + CLOSE + b"\r\n")
    assert (answer.status, answer.headers["x-after"]) == (403, "before")


def test_errors_of_the_protocol_go_through_the_application(named_app: App, serve: Serve) -> None:
    """A request line that cannot be read is answered in the application's own format."""
    app = named_app()
    app.add_route(answer_with(""), "/", name="root")

    @app.exception(SanicException)
    async def enveloped(request: Request, exc: SanicException) -> HTTPResponse:
        assert request.ip == "127.0.0.1"
        return json({"code": 10000 + exc.status_code}, exc.status_code, {"x-mine": "1"})

    server = serve(app)
    for raw, status in (
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"GET /" + HEAD + b"X: " + b"x" * 9000, 431),
    ):
        [answer] = server.client().exchange(raw)
        assert (answer.status, answer.headers["x-mine"]) == (status, "1")
        assert answer.body == b'{"code":%d}' % (10000 + status)


def test_an_error_handler_that_fails_still_gets_an_answer_out(named_app: App, serve: Serve) -> None:
    """500, whatever the handler does; and the server goes on."""
    app = named_app()

    @app.exception(BadRequest)
    async def broken(request: Request, exc: BaseException) -> HTTPResponse:
        return text("", headers={"x": "a\r\nb"})

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        raise BadRequest("x")

    server = serve(app)
    for raw in (b"GET /" + CLOSE + b"\r\n", b"nonsense\r\n\r\n"):
        [answer] = server.client().exchange(raw)
        assert answer.status == 500


@pytest.mark.parametrize(
    "make",
    [
        lambda: text("", headers={"x-a": "1\r\nx-b: 2"}),
        lambda: text("", headers={"x-a": "1\n"}),
        lambda: text("", headers={"x-a": "1\0"}),
        *(lambda c=c: text("", headers={"x-a": f"1{c}2"}) for c in "\x01\x08\x0b\x0c\x1b\x1f\x7f"),
        lambda: text("", headers={"x a": "1"}),
        lambda: text("", headers={"x\r\n": "1"}),
        lambda: text("", headers={"": "1"}),
        lambda: HTTPResponse(b"", content_type="text/plain\r\nx-b: 2"),
        lambda: HTTPResponse(b"", content_type="text/plain\x7f"),
        lambda: HTTPResponse(b"", status=99),
        lambda: HTTPResponse(b"", status=1000),
        lambda: HTTPResponse(b"", status="200"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("path", [b"/plain", b"/stream"])
def test_an_answer_that_would_break_the_framing_is_a_500(
    named_app: App,
    serve: Serve,
    make: Callable[[], HTTPResponse],
    path: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Refused before a byte of it is on the wire, and logged."""
    app = named_app()

    async def handler(request: Request) -> HTTPResponse:
        return make()

    app.add_route(handler, "/plain", name="plain")
    app.add_route(handler, "/stream", name="stream", stream=True)
    with caplog.at_level(logging.ERROR):
        [answer] = serve(app).client().exchange(b"GET " + path + CLOSE + b"\r\n")
    assert answer.status == 500
    assert "x-b" not in answer.headers
    assert any("UnsafeResponse" in (r.exc_text or "") for r in caplog.records)


def test_what_is_lawful_in_a_header_is_sent(named_app: App, serve: Serve) -> None:
    """A tab, and letters of any language, as they are."""
    app = named_app()

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        return text("", headers={"x-a": "1\t\u00f3"})

    [answer] = serve(app).client().exchange(b"GET /" + CLOSE + b"\r\n")
    assert answer.headers["x-a"] == "1\t\u00f3"


def test_a_cookies_value_cannot_break_the_framing(named_app: App, serve: Serve) -> None:
    """It is quoted."""
    app = named_app()

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        response = text("")
        response.add_cookie("k", 'a\r\nSet-Cookie: b=c; "')
        return response

    [answer] = serve(app).client().exchange(b"GET /" + CLOSE + b"\r\n")
    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert value == 'k="a\\015\\012Set-Cookie: b=c\\073 \\042"'
    assert attributes == ["Path=/", "SameSite=Lax", "Secure"]


@pytest.mark.parametrize("name", ["path", "domain", "comment"])
@pytest.mark.parametrize("value", ["/; Domain=b", '/"', "/\r\nSet-Cookie: b=c", "/\x0b", "/\x7f"])
@pytest.mark.parametrize("target", [b"/plain", b"/stream"])
def test_a_cookies_attribute_cannot_become_another(
    name: str,
    value: str,
    target: bytes,
    named_app: App,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing can be quoted there, so it is 500, and the log names the cookie and the attribute."""
    app = named_app()

    def answer() -> HTTPResponse:
        response = text("")
        options: dict[str, Any] = {name: value}
        response.add_cookie("k", "v", **options)
        return response

    async def plain(request: Request) -> HTTPResponse:
        return answer()

    async def stream(request: Request) -> HTTPResponse:
        return answer()

    app.add_route(plain, "/plain", name="plain")
    app.add_route(stream, "/stream", name="stream", stream=True)
    with caplog.at_level(logging.ERROR):
        [got] = serve(app).client().exchange(b"GET " + target + CLOSE + b"\r\n")
    assert (got.status, "set-cookie" in got.headers) == (500, False)
    assert f"'k' has a quote, a semicolon or a control character in its {name}" in caplog.text


def test_a_cookie_with_all_attributes_is_sent(named_app: App, serve: Serve) -> None:
    """As Sanic writes it."""
    app = named_app()

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        response = text("")
        response.add_cookie(
            "k", "v", path="/a,b c", domain="a.example", comment="it's", max_age=5, httponly=True
        )
        return response

    [answer] = serve(app).client().exchange(b"GET /" + CLOSE + b"\r\n")
    attributes = "Path=/a,b c; Comment=it's; Domain=a.example; Max-Age=5; SameSite=Lax"
    assert sorted(answer.headers["set-cookie"].split("; ")) == sorted(
        ["k=v", "Secure", "HttpOnly", *attributes.split("; ")]
    )


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("plain.txt", '"plain.txt"'),
        ("with space; and.txt", '"with space; and.txt"'),
        ('x".txt', r'"x\".txt"'),
        ('x"; filename="y.exe', r'"x\"; filename=\"y.exe"'),
        ("x\"; filename*=\"UTF-8''y", r'''"x\"; filename*=\"UTF-8''y"'''),
        ("x\\", r'"x\\"'),
        ("\u00f3.txt", '"\u00f3.txt"'),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
async def test_a_file_name_cannot_end_its_quotes(
    name: str, sent: str, streams: bool, named_app: App, serve: Serve, tmp_path: Path
) -> None:
    """`file` and `file_stream` of Sanic put it between quotes as it is; here it is quoted."""
    path = tmp_path / "file"
    path.write_text("content")
    app = named_app()

    @app.get("/")
    async def root(request: Request) -> Any:
        return await (file_stream if streams else file)(path, filename=name)

    answers = await asyncio.to_thread(serve(app).client().exchange, b"GET /" + CLOSE + b"\r\n")
    assert answers[0].headers["content-disposition"] == f"attachment; filename={sent}"
    assert answers[0].body == b"content"


@pytest.mark.parametrize(
    "value",
    [
        "attachment; filename=\"a.txt\"; filename*=UTF-8''%c3%b3.txt",
        'inline; filename="a"',
        "attachment",
        "attachment; filename=a b.txt",
        'form-data; name="a"; filename="b"',
    ],
)
def test_a_disposition_of_the_applications_own_is_left_alone(
    value: str, named_app: App, serve: Serve
) -> None:
    """Only the form that Sanic's `file` writes is looked at."""
    app = named_app()

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        return text("", headers={"content-disposition": value})

    [answer] = serve(app).client().exchange(b"GET /" + CLOSE + b"\r\n")
    assert answer.headers["content-disposition"] == value


def test_default_headers(named_app: App, serve: Serve) -> None:
    """RESPONSE_HEADERS are on every answer that does not set them itself, errors included."""
    app = named_app(
        RESPONSE_HEADERS={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    )

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        return text("", headers={"cache-control": "max-age=1"} if request.args else None)

    server = serve(app)
    for raw, cache in (
        (b"GET /" + CLOSE + b"\r\n", "no-store"),
        (b"GET /?a=1" + CLOSE + b"\r\n", "max-age=1"),
        (b"GET /nowhere" + CLOSE + b"\r\n", "no-store"),
        (b"nonsense\r\n\r\n", "no-store"),
    ):
        [answer] = server.client().exchange(raw)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == cache


def test_routes_added_while_serving(named_app: App, serve: Serve) -> None:
    """``with app.amend()`` is seen by the next connection."""
    app = named_app()
    app.add_route(answer_with("one"), "/one", name="one")
    server = serve(app)
    assert server.client().exchange(b"GET /two" + CLOSE + b"\r\n")[0].status == 404
    server.call(lambda: app.add_route(answer_with("two"), "/two", name="two"))
    app.router.get.cache_clear()  # Sanic's own cache of routes
    assert server.client().exchange(b"GET /two" + CLOSE + b"\r\n")[0].body == b"two"


def test_routing_by_host(named_app: App, serve: Serve) -> None:
    """Where a route names a host, the Host header decides; so does an absolute target."""
    app = named_app()
    app.add_route(answer_with("a"), "/", name="a", host="a.example")
    app.add_route(answer_with("b"), "/", name="b", host="b.example")
    server = serve(app)
    for raw, body in (
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n", b"a"),
        (b"GET / HTTP/1.1\r\nHost: b.example\r\n", b"b"),
        (b"GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n", b"b"),
    ):
        [answer] = server.client().exchange(raw + b"Connection: close\r\n\r\n")
        assert answer.body == body


def test_a_request_class_of_the_applications_own(named_app: App, serve: Serve) -> None:
    """With its own attributes, and with its own ``__init__``, which then runs."""

    class Plain(Request):
        extra = "extra"

    class Eager(Request):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.extra = f"made for {self.path}"

    for cls, body in ((Plain, b"extra abc"), (Eager, b"made for / abc")):
        app = named_app()
        app.request_class = cls

        @app.post("/")
        async def root(request: Any) -> HTTPResponse:
            assert isinstance(request, request.app.request_class)
            return text(f"{request.extra} {request.body.decode()}")

        server = serve(app)
        raw = b"POST /" + CLOSE + b"Content-Length: 3\r\n\r\nabc"
        assert server.client().exchange(raw)[0].body == body
        assert server.client().exchange(b"nonsense\r\n\r\n")[0].status == 400


def test_the_access_log(
    named_app: App, serve: Serve, caplog: pytest.LogCaptureFixture, waiting: Wait
) -> None:
    """A line for each answer, of both ways, in the fields of Sanic's formatters; none for routes
    that do without."""
    app = named_app(ACCESS_LOG=True)
    app.add_route(answer_with("abc"), "/", name="root")
    app.add_route(answer_with("up"), "/quiet", name="quiet", ctx_access_log=False)
    with caplog.at_level(logging.INFO, logger="sanic.access"):
        logging.getLogger("sanic.access").addHandler(caplog.handler)
        try:
            server = serve(app)
            server.client().exchange(b"GET /?a=%0a" + HEAD + b"\r\nGET /nowhere" + CLOSE + b"\r\n")
            server.client().exchange(b"GET /quiet" + CLOSE + b"\r\n")
            server.client().exchange(b"GET http://a/quiet" + CLOSE + b"\r\n")  # the full path
            lines = [r.__dict__ for r in caplog.records if r.name == "sanic.access"]
        finally:
            logging.getLogger("sanic.access").removeHandler(caplog.handler)
    seen = {(line["request"], line["status"]) for line in lines}
    assert seen == {("GET http://a/?a=%0a", 200), ("GET http://a/nowhere", 404)}
    assert all(line["host"].startswith("127.0.0.1:") for line in lines)


@pytest.fixture
def sockets(named_app: App, serve: Serve) -> Any:
    """A server with a web socket that echoes."""
    app = named_app(WEBSOCKET_MAX_SIZE=1000)

    @app.websocket("/ws", subprotocols=["chat"])  # type: ignore[untyped-decorator]
    async def echo(request: Request, ws: Any) -> None:
        async for message in ws:
            if message == "fail":
                raise RuntimeError("told to")
            await ws.send(message)

    app.add_route(answer_with("plain"), "/", name="plain")
    return serve(app)


def connect(server: Any, path: str = "/ws", **options: Any) -> Any:
    host, port = server.address
    return websockets.sync.client.connect(f"ws://{host}:{port}{path}", **options)


def test_web_sockets_echo(sockets: Any) -> None:
    """Text and bytes, with a subprotocol, and without compression (a bomb cannot be unpacked)."""
    with connect(sockets, subprotocols=["chat"]) as ws:
        assert ws.subprotocol == "chat"
        assert ws.protocol.extensions == []
        for message in ("a", "b" * 900, b"\x00\xff"):
            ws.send(message)
            assert ws.recv(5) == message


def test_a_web_socket_message_over_the_limit_closes(sockets: Any) -> None:
    """1009, and the connection ends."""
    with connect(sockets) as ws:
        ws.send("x" * 1001)
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(5)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


def test_frames_sent_with_the_handshake_are_not_lost(sockets: Any) -> None:
    """A client need not wait for 101."""
    client = sockets.client()
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    client.send(b"GET /ws" + HEAD + upgrade + key + b"\x81\x82\x00\x00\x00\x00hi")
    raw = client.read_until(lambda raw: raw.endswith(b"\x81\x02hi"))
    assert raw.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in raw


def test_a_bad_handshake_is_refused(sockets: Any) -> None:
    """Without a key 400, on a plain GET 426; a route that is no web socket answers as always."""
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    [answer] = sockets.client().exchange(b"GET /ws" + CLOSE + b"\r\n")
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
    client = sockets.client()
    client.send(b"GET /ws" + HEAD + upgrade + b"\r\n")
    assert client.read_until(lambda raw: b"\r\n\r\n" in raw).startswith(b"HTTP/1.1 400 ")
    with pytest.raises(InvalidStatus):
        connect(sockets, "/")


def test_web_sockets_close_with_1001_when_the_server_stops(sockets: Any) -> None:
    """Going away."""
    with connect(sockets) as ws:
        ws.send("x")
        ws.recv(5)
        sockets.call(lambda: [c.close_if_idle() for c in list(sockets.connections)])
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(5)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001


def test_a_web_socket_client_that_goes_ends_its_handler(
    named_app: App, serve: Serve, waiting: Wait
) -> None:
    """No handler stays behind."""
    ended: list[str] = []
    app = named_app()

    @app.websocket("/ws")  # type: ignore[untyped-decorator]
    async def handler(request: Request, ws: Any) -> None:
        try:
            await ws.recv()
        finally:
            ended.append("ended")

    server = serve(app)
    ws = connect(server)
    ws.socket.close()
    waiting(lambda: ended == ["ended"])
    waiting(lambda: not server.connections)


async def test_contextvars_do_not_leak_between_requests(named_app: App, in_memory: Any) -> None:
    """Each request has a task and a context of its own, on one connection too."""
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")
    app = named_app()

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        before = variable.get()
        variable.set("dirty")
        assert asyncio.current_task() is not None
        return text(before)

    transport = await in_memory(app)
    for _ in range(2):
        transport.written.clear()
        transport.protocol.data_received(b"GET /" + HEAD + b"\r\n")
        for _ in range(5):
            await asyncio.sleep(0)
        assert transport.written.endswith(b"clean")
