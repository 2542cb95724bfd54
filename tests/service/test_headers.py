"""Default headers and CORS: the same answers under each server."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sanic import HTTPResponse
from sanic.response import json
from sanic.server.protocols.http_protocol import HttpProtocol as SanicProtocol

from sanic_ms import Service, doc
from sanic_ms.exception import ConfigError
from sanic_ms.server import HttpProtocol

SERVERS = ("strict", "sanic", "asgi")
SHOP = "https://shop.example"
SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "frame-ancestors 'none'",
    "x-frame-options": "DENY",
}


def make(**settings: Any) -> Service:
    """A service with a few routes."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)
    app.ctx.calls = []

    @app.get("/")
    async def index(request: Any) -> Any:
        app.ctx.calls.append(request.method)
        return 1

    @app.put("/")
    async def change(request: Any) -> Any:
        app.ctx.calls.append(request.method)
        return 2

    @app.get("/own")
    async def own(request: Any) -> HTTPResponse:
        return json(1, headers={"X-Frame-Options": "SAMEORIGIN", "Vary": "Accept"})

    @app.get("/streamed")
    async def streamed(request: Any) -> None:
        response = await request.respond(content_type="text/plain")
        await response.send("a")
        await response.eof()

    @app.get("/fails")
    async def fails(request: Any) -> Any:
        raise RuntimeError("secret")

    return app


@contextlib.asynccontextmanager
async def serving(app: Service, server: str, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The application under a server, on this event loop, and a client of it."""
    if server == "asgi":
        app.asgi = True
        await app._startup()
        await app._server_event("init", "before")
        await app._server_event("init", "after")
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            yield client
        await app._server_event("shutdown", "before")
        await app._server_event("shutdown", "after")
        return
    listener = socket.create_server(("127.0.0.1", 0))
    protocol: Any = HttpProtocol if server == "strict" else SanicProtocol
    running: Any = await app.create_server(
        sock=listener, protocol=protocol, return_asyncio_server=True, **options
    )
    await running.startup()
    await running.before_start()
    await running.after_start()
    scheme = "https" if "ssl" in options else "http"
    base = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=base, verify=False) as client:
        yield client
    await running.before_stop()
    await running.close()
    for connection in list(running.connections):
        connection.abort()
    await running.after_stop()


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """The server's side of TLS, with a certificate that it signed itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "1", "-subj", "/CN=localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *make, *files], capture_output=True, check=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Our protocol, Sanic's, and an ASGI server."""
    name: str = request.param
    return name


async def test_every_answer_is_safe_by_default(server: str) -> None:
    """Answers, errors, streams; the handler's own header wins; nobody says what the server is."""
    async with serving(make(), server) as client:
        for path, status in (("/", 200), ("/fails", 500), ("/nowhere", 404), ("/streamed", 200)):
            answer = await client.get(path)
            assert answer.status_code == status
            assert SAFE.items() <= answer.headers.items(), path
            assert not {"server", "strict-transport-security", "vary"} & set(answer.headers)
        answer = await client.post("/")
        assert (answer.status_code, answer.headers["x-frame-options"]) == (405, "DENY")
        own = await client.get("/own")
        assert own.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
        assert own.headers["cache-control"] == "no-store"


async def test_one_setting_replaces_the_headers(server: str) -> None:
    """RESPONSE_HEADERS is the whole table; an empty one means none."""
    async with serving(make(response_headers={"X-Team": "shop"}), server) as client:
        answer = await client.get("/")
        assert answer.headers["x-team"] == "shop"
        assert not SAFE.keys() & set(answer.headers)
    async with serving(make(response_headers={}), server) as client:
        assert not SAFE.keys() & set((await client.get("/")).headers)


async def test_pages_and_files_keep_working(server: str, tmp_path: Path) -> None:
    """The docs page has a policy of its own; static files are cached and asked about again."""
    (tmp_path / "a.txt").write_text("a")
    app = make()
    app.static("/files", tmp_path)
    async with serving(app, server) as client:
        page = await client.get("/docs")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-cache"
        file = await client.get("/files/a.txt")
        assert file.headers["x-content-type-options"] == "nosniff"
        assert file.headers["cache-control"] != "no-store"
        again = await client.get(
            "/files/a.txt", headers={"If-Modified-Since": file.headers["last-modified"]}
        )
        assert again.status_code == 304
        assert "cache-control" not in again.headers


async def test_hsts_is_sent_over_tls_alone(tls: ssl.SSLContext) -> None:
    """A browser must not heed it over plain HTTP, and it is not sent there."""
    for server in ("strict", "sanic"):
        async with serving(make(), server, ssl=tls) as client:
            for path in ("/", "/own", "/nowhere"):
                answer = await client.get(path)
                assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"X-A": "b\r\nX-C: d"}, r"RESPONSE_HEADERS\['X-A'\].*one line"),
        ({"X A": "b"}, r"RESPONSE_HEADERS\['X A'\].*not one of a header"),
    ],
)
def test_headers_that_cannot_be_sent_stop_the_start(table: dict[str, str], message: str) -> None:
    """Not the first connection."""
    with pytest.raises(ConfigError, match=message):
        _ = make(response_headers=table).settings


# --- CORS ----------------------------------------------------------------------------------------

PREFLIGHT = {"Origin": SHOP, "Access-Control-Request-Method": "PUT"}


async def test_cors_is_off_by_default(server: str) -> None:
    """No page of another origin reads anything, and OPTIONS is not a method."""
    async with serving(make(), server) as client:
        answer = await client.get("/", headers={"Origin": SHOP})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "vary" not in answer.headers
        assert (await client.options("/", headers=PREFLIGHT)).status_code == 405


async def test_allowed_origins_may_read_every_answer(server: str) -> None:
    """Errors too, or a page could not say what is wrong. Others see no permission, and caches are
    told that answers differ."""
    app = make(cors_origins=[SHOP, "http://127.0.0.1:3000"], cors_credentials=True)
    async with serving(app, server) as client:
        for path in ("/", "/own", "/fails", "/nowhere", "/streamed"):
            answer = await client.get(path, headers={"Origin": SHOP})
            assert answer.headers["access-control-allow-origin"] == SHOP, path
            assert answer.headers["access-control-allow-credentials"] == "true"
            other = await client.get(path, headers={"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in other.headers
            for each in (answer, other, await client.get(path)):
                assert each.headers["vary"] == ("Accept, Origin" if path == "/own" else "Origin")
        answer = await client.post("/", headers={"Origin": SHOP})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (405, SHOP)


async def test_a_preflight_is_answered_without_the_handler(server: str) -> None:
    """Only for paths that exist, with the methods that the path has, and before any middleware that
    might ask for credentials."""
    app = make(cors_origins=[SHOP], cors_methods=["GET", "PUT", "DELETE"])

    @app.on_request
    async def login(request: Any) -> Any:
        return json(None, 401)

    async with serving(app, server) as client:
        answer = await client.options("/", headers=PREFLIGHT)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-methods"] == "GET, PUT"
        assert answer.headers["access-control-allow-headers"] == "Authorization, Content-Type"
        assert answer.headers["access-control-max-age"] == "600"
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["vary"] == "Origin"
        other = await client.options("/", headers={**PREFLIGHT, "Origin": "https://evil.example"})
        assert not [name for name in other.headers if name.startswith("access-control")]
        plain = await client.options("/")
        assert (plain.status_code, plain.headers["allow"]) == (204, "GET, OPTIONS, PUT")
        refused = await client.get("/", headers={"Origin": SHOP})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SHOP)
    assert app.ctx.calls == []


async def test_a_handler_for_options_stays_for_what_is_no_preflight(server: str) -> None:
    """And its path may have parameters and a slash."""
    app = make(cors_origins=[SHOP])

    @app.route("/items/<id:int>/", methods=["GET", "OPTIONS"])
    @doc.summary("An item")
    async def item(request: Any, id: int) -> Any:
        app.ctx.calls.append(request.method)
        return id

    async with serving(app, server) as client:
        answer = await client.options("/items/7/", headers=PREFLIGHT)
        assert (answer.status_code, app.ctx.calls) == (204, [])
        assert (await client.options("/items/7/")).json() == {"code": 0, "data": 7}
        assert (await client.options("/nowhere", headers=PREFLIGHT)).status_code == 404
    assert list(app.openapi()["paths"]["/items/{id}"]) == ["get"]


async def test_every_origin_may_be_allowed_without_credentials(server: str) -> None:
    """One answer for all."""
    async with serving(make(cors_origins=["*"]), server) as client:
        answer = await client.get("/", headers={"Origin": "https://any.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "vary" not in answer.headers


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cors_origins": ["*"], "cors_credentials": True}, "CORS_CREDENTIALS=true.*name the"),
        ({"cors_origins": ["shop.example"]}, r"CORS_ORIGINS names 'shop.example'.*\(keyword\)"),
        ({"environment": "production", "debug": True}, "DEBUG=true .*refused.*production"),
        ({"environment": "production", "auto_reload": True}, "AUTO_RELOAD=true .*refused"),
        ({"environment": "production", "cors_origins": ["*"]}, r"CORS_ORIGINS=\* .*refused"),
        ({"environment": "prod"}, "one of development, production, staging, test"),
    ],
)
def test_what_is_unsafe_stops_the_start(given: dict[str, Any], message: str) -> None:
    """One line that names the setting, where it stands, and why."""
    with pytest.raises(ConfigError, match=message) as info:
        _ = make(**given).settings
    assert "\n" not in str(info.value)


def test_debug_given_to_run_is_refused_in_production_too() -> None:
    """Whoever starts it: `app.run(debug=True)`, or Sanic's own command."""
    app = make(environment="production")
    with pytest.raises(ConfigError, match="debug mode is refused with ENVIRONMENT=production"):
        app.prepare(debug=True, single_process=True)


# --- proxies -------------------------------------------------------------------------------------

FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
    "X-Real-IP": "203.0.113.8",
    "Forwarded": "for=203.0.113.9",
}


def seeing(**settings: Any) -> Service:
    """A service that says who the client is."""
    app = make(**settings)

    @app.get("/client")
    async def client(request: Any) -> Any:
        return [request.client_ip, request.remote_addr, request.scheme, request.host]

    return app


async def test_proxies_are_not_believed_by_default(server: str) -> None:
    """Anybody can send these headers."""
    async with serving(seeing(), server) as client:
        seen = (await client.get("/client", headers=FORWARDED)).json()["data"]
        assert seen[:3] == ["127.0.0.1", "", "http"]
        assert "shop.example" not in seen[3]


@pytest.mark.parametrize("trusted", [1, ["127.0.0.1"], "127.0.0.0/8,::1", "1"])
async def test_a_trusted_proxy_tells_who_the_client_is(server: str, trusted: Any) -> None:
    """By its address, its network or their number."""
    async with serving(seeing(trusted_proxies=trusted), server) as client:
        seen = (await client.get("/client", headers=FORWARDED)).json()["data"]
        assert seen == ["203.0.113.7", "203.0.113.7", "https", "shop.example"]


async def test_sanics_own_settings_keep_working() -> None:
    """Where TRUSTED_PROXIES is not set."""
    app = seeing()
    app.config.REAL_IP_HEADER = "X-Real-IP"
    async with serving(app, "strict") as client:
        seen = (await client.get("/client", headers=FORWARDED)).json()["data"]
        assert seen == ["203.0.113.8", "203.0.113.8", "https", "shop.example"]


def test_a_wrong_proxy_stops_the_start() -> None:
    """With the source of the setting."""
    with pytest.raises(ConfigError, match=r"TRUSTED_PROXIES names 'proxy'.*\(keyword\)"):
        _ = make(trusted_proxies=["proxy"]).settings
