"""What a lawful client gets: bodies, streams, trailers, HEAD, Expect, keep-alive, pipelining."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sanic import HTTPResponse, Request, Sanic
from sanic.response import ResponseStream, empty, file_stream, json, text
from tests.wire.handlers import answer_with

from sanic_ms.server import HttpProtocol

HEAD = b" HTTP/1.1\r\nHost: a\r\n"
CLOSE = HEAD + b"Connection: close\r\n"
App = Callable[..., Sanic[Any, Any]]
Serve = Callable[..., Any]


@pytest.fixture
def app(named_app: App) -> Sanic[Any, Any]:
    """One handler for each way of reading and answering."""
    app = named_app(REQUEST_MAX_SIZE=1_000_000)

    @app.route("/echo", methods=["GET", "POST"])
    async def echo(request: Request) -> HTTPResponse:
        return HTTPResponse(request.body)

    @app.post("/upload", stream=True)
    async def upload(request: Request) -> HTTPResponse:
        size = 0
        async for data in request.stream:  # type: ignore[union-attr]
            size += len(data)
        trailers = dict(request.stream.trailers or {})  # type: ignore[union-attr]
        return json({"size": size, "trailers": trailers})

    @app.post("/through", stream=True)
    async def through(request: Request) -> None:
        response = await request.respond(content_type="text/plain")
        async for data in request.stream:  # type: ignore[union-attr]
            await response.send(data)
        await response.eof()

    @app.route("/chunks", methods=["GET", "HEAD"])
    async def chunks(request: Request) -> None:
        response = await request.respond()
        await response.send(b"one")
        await response.send(b"")
        await response.send(b"two", True)

    @app.get("/trailers")
    async def trailers(request: Request) -> None:
        response = await request.respond(headers={"trailer": "x-sum"})
        await response.send(b"data")
        request.stream.add_trailers({"x-sum": "4"})  # type: ignore[union-attr]
        await response.eof()

    @app.route("/told", methods=["GET", "HEAD"])
    async def told(request: Request) -> None:
        response = await request.respond(headers={"content-length": "6"})
        await response.send(b"abc")
        await response.send(b"def")

    @app.get("/short")
    async def short(request: Request) -> None:
        response = await request.respond(headers={"content-length": "6"})
        await response.send(b"abc")
        await response.eof()

    @app.get("/long")
    async def long(request: Request) -> None:
        response = await request.respond(headers={"content-length": "2"})
        await response.send(b"abc")

    @app.get("/old")
    async def old(request: Request) -> ResponseStream:
        async def write(response: Any) -> None:
            await response.write("old")
            await response.write("style")

        return ResponseStream(write)

    @app.get("/file")
    async def own_file(request: Request) -> ResponseStream:
        return await file_stream(__file__)

    @app.route("/empty", methods=["GET", "HEAD"])
    async def nothing(request: Request) -> HTTPResponse:
        return empty()

    @app.get("/unread")
    async def unread(request: Request) -> HTTPResponse:
        return text("unread")

    @app.get("/sync")
    def sync(request: Request) -> HTTPResponse:
        return text("sync")

    @app.get("/none")
    async def none(request: Request) -> None:
        pass

    @app.get("/slow/<n:int>")
    async def slow(request: Request, n: int) -> HTTPResponse:
        await asyncio.sleep((3 - n) / 50)
        return text(str(n))

    @app.get("/look")
    async def look(request: Request) -> HTTPResponse:
        return json(
            {
                "args": request.args,
                "headers": request.headers.getall("x"),
                "cookies": request.cookies,
                "ip": request.ip,
                "host": request.host,
                "url": request.url,
                "line": request.request_line.decode(),
                "raw": request.raw_headers.decode(),
                "current": Request.get_current() is request,
                "same": isinstance(request, app.request_class or Request),
                "protocol": type(request.protocol).__name__,
                "text": f"{request.uri_template} {request.name} {request.version}",
            }
        )

    return app


@pytest.fixture
def get(app: Sanic[Any, Any], serve: Serve) -> Callable[[bytes], list[Any]]:
    """Sends raw bytes on a connection of their own and returns the answers."""
    server = serve(app)

    def exchange(raw: bytes) -> list[Any]:
        answers: list[Any] = server.client().exchange(raw)
        return answers

    return exchange


Get = Callable[[bytes], list[Any]]


def test_the_request_is_whole(get: Get) -> None:
    """Everything that Sanic's request offers is there, however lazily it was made."""
    [answer] = get(b"GET /look?a=1&b=2&a=3" + CLOSE + b"X: 1\r\nx:  2 \r\nCookie: k=v\r\n\r\n")
    seen = msgspec.json.decode(answer.body)
    assert seen["args"] == {"a": ["1", "3"], "b": ["2"]}
    assert seen["headers"] == ["1", "2"]
    assert seen["cookies"] == {"k": ["v"]}
    assert (seen["ip"], seen["host"]) == ("127.0.0.1", "a")
    assert seen["url"] == "http://a/look?a=1&b=2&a=3"
    assert seen["line"] == "GET /look?a=1&b=2&a=3 HTTP/1.1"
    assert seen["raw"].startswith("Host: a\r\nConnection: close")
    assert seen["current"]
    assert seen["same"]
    assert seen["protocol"] == "HttpProtocol"
    assert seen["text"].startswith("/look ")
    assert seen["text"].endswith(".look 1.1")


def test_bodies_of_every_size(get: Get) -> None:
    """A body comes back as it was sent: in one read, in many, and larger than the buffer."""
    for size in (0, 1, 1000, 65_000, 70_000, 999_999):
        body = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
        body = body[:size]
        [answer] = get(b"POST /echo" + CLOSE + b"Content-Length: %d\r\n\r\n" % size + body)
        assert answer.body == body


def test_a_body_over_the_limit_is_refused_unless_the_route_streams(get: Get) -> None:
    """413 by the length alone; a streaming handler may read any size."""
    [answer] = get(b"POST /echo" + HEAD + b"Content-Length: 1000001\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    raw = b"POST /upload" + CLOSE + b"Content-Length: 1500000\r\n\r\n" + b"x" * 1_500_000
    assert get(raw)[0].body == b'{"size":1500000,"trailers":{}}'


def test_a_small_limit_holds_for_a_body_that_comes_whole(named_app: App, serve: Serve) -> None:
    """On both ways: the limit is checked before the handler runs."""
    app = named_app(REQUEST_MAX_SIZE=3)

    @app.post("/")
    async def root(request: Request) -> HTTPResponse:
        return HTTPResponse(request.body)

    server = serve(app)
    for framing in (
        b"Content-Length: 4\r\n\r\nabcd",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
    ):
        [answer] = server.client().exchange(b"POST /" + HEAD + framing)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
    [answer] = server.client().exchange(b"POST /" + CLOSE + b"Content-Length: 3\r\n\r\nabc")
    assert answer.body == b"abc"


def test_chunks_both_ways(get: Get) -> None:
    """A chunked body streams through a handler in chunks."""
    raw = b"POST /through" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
    raw += b"".join(b"%x\r\n%b\r\n" % (n, b"z" * n) for n in range(1, 200)) + b"0\r\n\r\n"
    [answer] = get(raw)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.body == b"z" * sum(range(200))


def test_half_a_million_tiny_chunks(get: Get) -> None:
    """CVE-2025-69229: the work for a chunk does not grow with their number."""
    raw = b"POST /upload" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
    [answer] = get(raw + b"1\r\nz\r\n" * 500_000 + b"0\r\n\r\n")
    assert answer.body == b'{"size":500000,"trailers":{}}'


def test_trailers_both_ways(get: Get) -> None:
    """Trailers of a request can be read after its body; those of an answer follow its chunks."""
    raw = b"POST /upload" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
    [answer] = get(raw + b"2\r\nab\r\n0\r\nX-Sum: 2\r\nx-b:\r\n\r\n")
    assert answer.body == b'{"size":2,"trailers":{"x-sum":"2","x-b":""}}'
    [answer] = get(b"GET /trailers" + CLOSE + b"\r\n")
    assert (answer.body, answer.trailers) == (b"data", {"x-sum": "4"})


def test_streamed_answers(get: Get) -> None:
    """In chunks without a length, counted with one, and in Sanic's older styles."""
    assert get(b"GET /chunks" + CLOSE + b"\r\n")[0].body == b"onetwo"
    [answer] = get(b"GET /told" + CLOSE + b"\r\n")
    assert (answer.body, answer.headers["content-length"]) == (b"abcdef", "6")
    assert get(b"GET /old" + CLOSE + b"\r\n")[0].body == b"oldstyle"
    with open(__file__, "rb") as own:
        assert get(b"GET /file" + CLOSE + b"\r\n")[0].body == own.read()


def test_an_answer_that_does_not_keep_its_length_is_cut(app: Any, serve: Serve) -> None:
    """Too little: the connection is closed in mid-answer. Too much at once: 500 instead."""
    server = serve(app)
    client = server.client()
    client.send(b"GET /short" + HEAD + b"\r\n")
    raw = client.read()
    assert b"content-length: 6" in raw
    assert not raw.endswith(b"abc\r\n0\r\n\r\n")
    [answer] = server.client().exchange(b"GET /long" + CLOSE + b"\r\n")
    assert answer.status == 500


def test_http10_gets_a_streamed_answer_ended_by_closing(get: Get) -> None:
    """HTTP/1.0 has no chunks, not even where it asked to keep the connection."""
    [answer] = get(b"GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert answer.body == b"onetwo"
    assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize("path", [b"/chunks", b"/told", b"/empty"])
def test_head_has_the_headers_and_no_body(
    app: Any, serve: Serve, answers: Any, path: bytes
) -> None:
    """RFC 9110, 9.3.2; the next answer on the connection is not disturbed."""
    client = serve(app).client()
    client.send(b"HEAD " + path + HEAD + b"\r\n" + b"HEAD " + path + CLOSE + b"\r\n")
    first, second = answers(client.read(), heads_only=True)
    assert first.status == second.status
    assert first.headers.get("content-length") == ("6" if path == b"/told" else None)


def test_no_content_has_neither_body_nor_length(get: Get) -> None:
    """RFC 9110, 8.6: no Content-Length with 204."""
    [answer] = get(b"GET /empty" + CLOSE + b"\r\n")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    assert "content-type" not in answer.headers


def test_expect_gets_100_only_when_the_body_is_wanted(app: Any, serve: Serve) -> None:
    """RFC 9110, 10.1.1: 100 before the body is read; a final answer alone if it is not."""
    server = serve(app)
    client = server.client()
    expect = b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    client.send(b"POST /echo" + CLOSE + expect)
    assert client.read_until(lambda raw: b"\r\n\r\n" in raw) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.exchange(b"hello")[0].body == b"hello"
    client = server.client()
    client.send(b"POST /nowhere" + HEAD + expect)
    assert client.read().startswith(b"HTTP/1.1 404")
    too_long = b"Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n"
    client = server.client()
    client.send(b"POST /echo" + HEAD + too_long)
    assert client.read().startswith(b"HTTP/1.1 413")
    client = server.client()  # the body came without waiting
    client.send(b"POST /echo" + CLOSE + expect + b"hello")
    assert client.read().startswith(b"HTTP/1.1 200")


def test_pipelined_answers_come_in_order(get: Get) -> None:
    """However long each takes."""
    raw = b"".join(b"GET /slow/%d" % n + HEAD + b"\r\n" for n in range(3))
    assert [a.body for a in get(raw + b"GET /sync" + CLOSE + b"\r\n")] == [
        b"0",
        b"1",
        b"2",
        b"sync",
    ]


def test_a_deep_pipeline_is_served_in_bounded_memory(app: Any, serve: Serve, answers: Any) -> None:
    """CVE-2026-54273: what is sent ahead waits in the socket, not in our memory."""
    server = serve(app)
    client = server.client()
    count = 5_000
    raw = (b"GET /sync" + HEAD + b"\r\n") * count + b"GET /sync" + CLOSE + b"\r\n"
    sender = threading.Thread(target=client.send, args=(raw,))
    sender.start()
    assert len(answers(client.read())) == count + 1
    sender.join()


def test_an_unread_body_does_not_become_a_request(get: Get) -> None:
    """A handler that ignores the body: its bytes are thrown away, the next request is served."""
    inner = b"GET /hidden" + HEAD + b"\r\n"
    raw = b"GET /unread" + HEAD + b"Content-Length: %d\r\n\r\n" % len(inner) + inner
    first, second = get(raw + b"GET /sync" + CLOSE + b"\r\n")
    assert (first.body, second.body) == (b"unread", b"sync")
    chunked = b"GET /unread" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
    first, second = get(chunked + b"GET /sync" + CLOSE + b"\r\n")
    assert (first.body, second.body) == (b"unread", b"sync")
    [answer] = get(b"POST /nowhere" + HEAD + b"Content-Length: 5000000\r\n\r\nxyz")
    assert (answer.status, answer.headers["connection"]) == (404, "close")


def test_a_handler_without_an_answer_is_a_500(get: Get) -> None:
    """As in Sanic."""
    assert get(b"GET /none" + CLOSE + b"\r\n")[0].status == 500


async def test_the_usual_answer_is_one_write(named_app: App, in_memory: Any) -> None:
    """Status line, headers and body leave in one piece."""
    app = named_app()
    app.add_route(answer_with("x"), "/", name="root")
    transport = await in_memory(app)
    transport.protocol.data_received(b"GET /" + HEAD + b"\r\n")
    for _ in range(5):
        await asyncio.sleep(0)
    assert transport.writes == 1
    assert bytes(transport.written).endswith(b"connection: keep-alive\r\n\r\nx")


async def test_responses_of_other_classes(named_app: App, in_memory: Any) -> None:
    """A subclass of HTTPResponse is one write too, unless it sends itself in its own way."""

    class Mine(HTTPResponse):
        pass

    class Loud(HTTPResponse):
        async def send(self, data: Any = None, end_stream: bool | None = None) -> None:
            self.headers["x-loud"] = "1"
            await super().send(data, end_stream)

    app = named_app()

    @app.get("/<kind>")
    async def root(request: Request, kind: str) -> HTTPResponse:
        return Mine(b"mine") if kind == "mine" else Loud(b"loud")

    transport = await in_memory(app)
    for kind, loud in ((b"mine", False), (b"loud", True)):
        transport.written.clear()
        transport.protocol.data_received(b"GET /" + kind + HEAD + b"\r\n")
        for _ in range(10):
            await asyncio.sleep(0)
        assert transport.written.endswith(kind)
        assert (b"x-loud: 1\r\n" in transport.written) is loud


def test_protocol_is_a_class_that_a_worker_process_can_import() -> None:
    """Sanic's workers get it by name."""
    assert pickle.loads(pickle.dumps(HttpProtocol)) is HttpProtocol
