"""What a request holds: the same on Sanic and on a service."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sanic import Config, HTTPResponse, Request, Sanic, json, text
from sanic.response import ResponseStream
from tests.compat.comparison import Ask, Comparison, Differs, ask


async def test_arguments(compare: Comparison) -> None:
    """``args``, ``query_args``, ``get_args`` and ``query_string``."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return json(
                {
                    "args": request.args,
                    "first": request.args.get("a"),
                    "list": request.args.getlist("a"),
                    "none": request.args.get("zzz"),
                    "query_args": request.query_args,
                    "blank": request.get_args(keep_blank_values=True),
                    "string": request.query_string,
                }
            )

    await compare(
        build, ask("GET", "/?a=1&a=2&b=x%20y&c=&d"), ask("GET", "/"), ask("GET", "/?%C3%A9=+%2B")
    )


async def test_json(compare: Comparison) -> None:
    """``request.json``, ``load_json`` and a body that is none."""

    def build(app: Any) -> None:
        @app.post("/")
        async def handler(request: Request) -> HTTPResponse:
            return json({"json": request.json, "again": request.json})

        @app.post("/other")
        async def other(request: Request) -> HTTPResponse:
            return json(request.load_json(loads=lambda data: len(data)))

    await compare(
        build,
        ask("POST", "/", body='{"a": [1, 2.5, null, "é"]}'),
        ask("POST", "/", body="", content_type="application/json"),
        ask("POST", "/", body="{", differs=Differs.ERROR),
        ask("POST", "/other", body="abc"),
    )


MULTIPART = (
    b'--BOUND\r\nContent-Disposition: form-data; name="title"\r\n\r\nA title\r\n'
    b'--BOUND\r\nContent-Disposition: form-data; name="title"\r\n\r\nAnother\r\n'
    b'--BOUND\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nhello\r\n"
    b'--BOUND\r\nContent-Disposition: form-data; name="file"; filename="b.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\x00\x01\r\n--BOUND--\r\n"
)


async def test_forms_and_files(compare: Comparison) -> None:
    """``form`` and ``files`` of both kinds of form."""

    def build(app: Any) -> None:
        @app.post("/")
        async def handler(request: Request) -> HTTPResponse:
            assert request.form is not None
            assert request.files is not None
            return json(
                {
                    "form": request.form,
                    "first": request.form.get("title"),
                    "files": {
                        name: [[file.name, file.type, file.body.hex()] for file in files]
                        for name, files in request.files.items()
                    },
                }
            )

    await compare(
        build,
        ask("POST", "/", body=MULTIPART, content_type="multipart/form-data; boundary=BOUND"),
        ask(
            "POST",
            "/",
            body="title=a+b&title=c&empty=&x=%C3%A9",
            content_type="application/x-www-form-urlencoded",
        ),
        ask("POST", "/", body="plain", content_type="text/plain"),
        ask(
            "POST",
            "/",
            body="--BOUND\r\n\r\n",
            content_type="multipart/form-data",
            differs=Differs.FORM,
        ),
    )


async def test_headers(compare: Comparison) -> None:
    """``headers``: any case, several of a name, ``getone`` and ``getall``, attributes."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            headers = request.headers
            return json(
                {
                    "get": headers.get("X-Thing"),
                    "lower": headers["x-thing"],
                    "all": headers.getall("x-thing"),
                    "missing": headers.get("nope", "default"),
                    "attribute": headers.x_thing,
                    "in": "X-THING" in headers,
                    "names": sorted(set(headers)),
                    "content_type": request.content_type,
                }
            )

    request = (
        b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nX-Thing: a\r\nX-thing: b, c"
    )
    await compare(build, Ask(request + b"\r\n\r\n"))


async def test_cookies(compare: Comparison) -> None:
    """``request.cookies``: quoted, several, prefixed, and one that comes twice."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            cookies = request.cookies
            return json(
                {
                    "all": dict(cookies),
                    "one": cookies.get("a"),
                    "list": cookies.getlist("a"),
                    "secure": request.get_cookie("p") if hasattr(request, "get_cookie") else 0,
                }
            )

    await compare(
        build,
        ask("GET", "/", cookie='a=1; b="x y"; a=2; __Host-p=secret; c=%20'),
        ask("GET", "/", cookie=""),
        ask("GET", "/"),
    )


async def test_addresses(compare: Comparison) -> None:
    """``ip``, ``scheme``, ``host``, ``server_name``, ``url``, ``path`` and their kind."""

    def build(app: Any) -> None:
        @app.get("/some/<name>")
        async def handler(request: Request, name: str) -> HTTPResponse:
            port = str(request.server_port)
            return json(
                {
                    "ip": request.ip,
                    "remote": request.remote_addr,
                    "client": request.client_ip,
                    "scheme": request.scheme,
                    "host": request.host,
                    "server": request.server_name,
                    "port": port,
                    "url": request.url,
                    "path": request.path,
                    "network": request.network_paths,
                    "version": request.version,
                    "safe": [request.is_safe, request.is_idempotent, request.is_cacheable],
                    "method": request.method,
                    "raw": request.raw_url.decode(),
                }
            )

    await compare(build, ask("GET", "/some/thing?a=1"), ask("GET", "/some/x", host="a.test:81"))


async def test_forwarded(compare: Comparison) -> None:
    """``forwarded`` and ``remote_addr`` by Sanic's own proxy settings."""

    def build(app: Any) -> None:
        app.config.PROXIES_COUNT = 1
        app.config.REAL_IP_HEADER = "x-real-ip"
        app.config.FORWARDED_SECRET = "our-proxy"

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return json(
                [
                    request.forwarded,
                    request.remote_addr,
                    request.client_ip,
                    request.host,
                    request.scheme,
                    request.url_for("handler"),
                ]
            )

    await compare(
        build,
        ask(
            "GET",
            "/",
            x_forwarded_for="1.2.3.4, 5.6.7.8",
            x_forwarded_proto="https",
            x_forwarded_host="outside.test",
        ),
        ask("GET", "/", x_real_ip="9.9.9.9"),
        ask("GET", "/", forwarded='for=1.1.1.1;proto=https;secret=our-proxy;host="in.test"'),
        ask("GET", "/", forwarded="for=1.1.1.1;secret=another"),
    )


async def test_credentials(compare: Comparison) -> None:
    """``token`` and ``credentials`` of each kind of ``Authorization``."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            found = request.credentials
            parts = found and [found.auth_type, found.token, getattr(found, "_username", None)]
            return json([request.token, parts])

    await compare(
        build,
        ask("GET", "/"),
        ask("GET", "/", authorization="Bearer abc.def"),
        ask("GET", "/", authorization="Token abc"),
        ask("GET", "/", authorization="Basic dXNlcjpwYXNz"),
        ask("GET", "/", authorization="bare"),
    )


async def test_accept(compare: Comparison) -> None:
    """``request.accept`` sorts and matches media types."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            match = request.accept.match("text/html", "application/json")
            return json([[str(item) for item in request.accept], str(match.mime)])

    await compare(
        build,
        ask("GET", "/", accept="text/*;q=0.5, application/json, text/html;level=1;q=0.9"),
        ask("GET", "/"),
        ask("GET", "/", accept="image/png"),
    )


async def test_ids(compare: Comparison) -> None:
    """``request.id`` is the one that came, cast as Sanic casts it; else one is made."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return json([str(request.id), type(request.id).__name__])

        @app.get("/made")
        async def made(request: Request) -> HTTPResponse:
            return text(f"{type(request.id).__name__} {request.id == request.id}")

    await compare(
        build,
        ask("GET", "/", x_request_id="12"),
        ask("GET", "/", x_request_id="abc"),
        ask("GET", "/", x_request_id="5f0c9a4e-7c0e-4a53-9d0e-0b8f5a1f4a0e"),
        ask("GET", "/made"),
    )


async def test_contexts(compare: Comparison) -> None:
    """``request.ctx`` is of one request, ``conn_info.ctx`` of a connection, ``app.ctx`` of all."""

    def build(app: Any) -> None:
        app.ctx.count = 0

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            app.ctx.count += 1
            request.ctx.count = getattr(request.ctx, "count", 0) + 1
            assert request.conn_info is not None
            kept = request.conn_info.ctx
            kept.count = getattr(kept, "count", 0) + 1
            return text(f"{request.ctx.count} {kept.count} {app.ctx.count}")

    one = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    replies = await compare(build, Ask(one + one + last), Ask(last))
    assert [reply.body for reply in replies[0]] == [b"1 1 1", b"1 2 2", b"1 3 3"]


async def test_streamed_requests(compare: Comparison) -> None:
    """``stream=True``: iteration, ``read()`` and a handler that reads nothing."""

    def build(app: Any) -> None:
        @app.post("/loop", stream=True)
        async def loop(request: Request) -> HTTPResponse:
            body = b""
            async for data in request.stream:  # type: ignore[union-attr]
                body += data
            return text(f"{len(body)} {body[:3]!r}")

        @app.post("/read", stream=True)
        async def read(request: Request) -> HTTPResponse:
            body = b""
            while (data := await request.stream.read()) is not None:  # type: ignore[union-attr]
                body += data
            return text(str(len(body)))

        @app.post("/whole", stream=True)
        async def whole(request: Request) -> HTTPResponse:
            await request.receive_body()  # type: ignore[no-untyped-call]
            return text(request.body.decode())

        @app.post("/unread", stream=True)
        async def unread(request: Request) -> HTTPResponse:
            return text("unread")

    large = b"x" * 200_000
    await compare(
        build,
        *(ask("POST", f"/{path}", body=large) for path in ("loop", "read")),
        *(ask("POST", f"/{path}", chunks=(b"abc", b"d" * 70_000)) for path in ("loop", "read")),
        ask("POST", "/whole", chunks=(b"abc", b"def")),
        ask("POST", "/unread", body=b"short"),
    )


async def test_echo_while_reading(compare: Comparison) -> None:
    """A handler may send pieces of its response while it reads the request."""

    def build(app: Any) -> None:
        @app.post("/", stream=True)
        async def echo(request: Request) -> None:
            response = await request.respond(content_type="text/plain")
            async for data in request.stream:  # type: ignore[union-attr]
                await response.send(data.decode().upper())
            await response.eof()

        @app.post("/callback", stream=True)
        async def callback(request: Request) -> ResponseStream:
            async def write(response: Any) -> None:
                async for data in request.stream:  # type: ignore[union-attr]
                    await response.write(data.decode().upper())

            return ResponseStream(write, content_type="text/plain")

    await compare(
        build,
        ask("POST", "/", chunks=(b"ab", b"cd")),
        ask("POST", "/callback", chunks=(b"ab", b"cd")),
    )


async def test_request_class(compare: Comparison) -> None:
    """``Sanic(request_class=…)``: its attributes and methods, and ``isinstance``."""

    class Mine(Request):
        __slots__ = ()

        @property
        def shouted(self) -> str:
            return self.path.upper()

    def build(app: Any) -> None:
        @app.get("/abc")
        async def handler(request: Mine) -> HTTPResponse:
            return text(f"{request.shouted} {isinstance(request, Mine)}")

    def wrapped() -> type[Mine]:
        return Mine

    await compare(build, ask("GET", "/abc"), request_class=wrapped)


async def test_application_contexts(compare: Comparison) -> None:
    """``Sanic(ctx=…)``, a configuration class of one's own, and ``request.app``."""

    class Mine(Config):
        COLOUR = "red"

    def build(app: Any) -> None:
        app.config.SIZE = 7
        app.config.update({"SHAPE": "round"})
        app.shared_ctx.word = "shared"

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            config = request.app.config
            return json(
                [
                    request.app.ctx.label,
                    config.COLOUR,
                    config.SIZE,
                    config["SHAPE"],
                    isinstance(config, Mine),
                    request.app.shared_ctx.word,
                    Sanic.get_app() is request.app,
                    Sanic.get_app("shop") is request.app,
                    request is Request.get_current(),
                ]
            )

    def context() -> SimpleNamespace:
        return SimpleNamespace(label="labelled")

    await compare(build, ask("GET", "/"), ctx=context, config=lambda: Mine())
