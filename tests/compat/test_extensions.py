"""Libraries for Sanic on a service, each where it is installed."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
import uvloop
from sanic import HTTPResponse, Request, Websocket, text
from sanic.views import HTTPMethodView
from tests.compat.comparison import LIMIT, ask, send, serving
from tests.compat.conftest import VARIANTS, service_maker

from sanic_ms import Service


@pytest.fixture(params=VARIANTS)
def app(request: pytest.FixtureRequest) -> Service:
    """A service, served in each way."""
    service: Service = service_maker(request.param)("shop")
    return service


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of ours and of Sanic's that tell of an error."""
    records = [record for record in caplog.records if record.name.startswith("sanic")]
    return [record.getMessage() for record in records if record.levelno >= logging.ERROR]


class TestSanicExt:
    """sanic-ext."""

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        """Skip where it is not."""
        pytest.importorskip("sanic_ext", reason="sanic-ext is not installed")

    async def test_it_is_not_used_unasked(self, app: Service) -> None:
        """Where sanic-ext is merely installed a service starts, does not use it and says so."""

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return text("own")

        async with serving(app) as port:
            (reply,) = await send(port, ask("GET", "/"))
            (head,) = await send(port, ask("HEAD", "/"))
        assert (reply.body, head.status) == (b"own", 405)
        assert app._extensions.hints() == [
            "sanic-ext is installed and not used: AUTO_EXTEND=true or app.extend() turns it on"
        ]

    @pytest.mark.parametrize("way", ["setting", "extend", "ext"])
    async def test_it_is_used_where_it_is_asked_for(self, app: Service, way: str) -> None:
        """By ``AUTO_EXTEND``, ``app.extend()`` and ``app.ext``; HEAD and OPTIONS are then answered,
        and every kind of handler is served as before."""

        class View(HTTPMethodView):
            async def get(self, request: Request, name: str) -> HTTPResponse:
                return text(f"view {name}")

        @app.get("/data/<number:int>")
        async def data(request: Request, number: int, more: str = "m") -> dict[str, Any]:
            return {"number": number, "more": more}

        @app.websocket("/ws")
        async def socket(request: Request, socket: Websocket) -> None: ...

        app.add_route(View.as_view(), "/view/<name>")
        app.static("/files", ".", name="files")
        if way == "setting":
            app.configure(auto_extend=True)
        elif way == "extend":
            assert app.extend() is app.ext
        else:
            assert app.ext is app.ext
        async with serving(app) as port:
            (reply,) = await send(port, ask("GET", "/data/7?more=x"))
            (head,) = await send(port, ask("HEAD", "/data/7"))
            (options,) = await send(port, ask("OPTIONS", "/view/a"))
            (view,) = await send(port, ask("GET", "/view/a"))
            (docs,) = await send(port, ask("GET", "/docs"))
            (live,) = await send(port, ask("GET", "/health/live"))
        assert reply.body == b'{"code":0,"data":{"number":7,"more":"x"}}'
        assert (head.status, head.body) == (200, b"")
        assert options.status == 204
        assert set((options.header("allow") or "").split(",")) == {"GET", "HEAD", "OPTIONS"}
        assert view.body == b"view a"
        # What both have stays the service's own.
        assert (docs.status, b"redoc" in docs.body.lower()) == (200, False)
        assert live.status == 200
        assert len(app._extensions.hints()) == 2

    async def test_both_have_docs_where_that_is_asked_for(self, app: Service) -> None:
        """``OAS`` with a path of its own has the API docs of sanic-ext beside the service's."""
        app.config.OAS = True
        app.config.OAS_URL_PREFIX = "/oas"
        app.configure(auto_extend=True)

        @app.get("/mine")
        async def mine(request: Request) -> HTTPResponse:
            return text("mine")

        async with serving(app) as port:
            (theirs,) = await send(port, ask("GET", "/oas/openapi.json"))
            (ours,) = await send(port, ask("GET", "/openapi/spec.json"))
        assert b'"/mine"' in theirs.body
        assert b'"/mine"' in ours.body

    async def test_it_cannot_be_set_up_twice(self, app: Service) -> None:
        """``app.extend()`` after it is set up says so, as on Sanic."""
        app.extend()
        with pytest.raises(RuntimeError, match="set up already"):
            app.extend()

    async def test_a_failure_leaves_nothing_behind(self, app: Service) -> None:
        """An extension that fails leaves the configuration as it was; it can be tried again."""
        base: Any = pytest.importorskip("sanic_ext").Extension

        class Fails(base):  # type: ignore[misc]
            name = "fails"

            def startup(self, bootstrap: Any) -> None:
                raise ValueError("no")

        try:
            config = app.config
            with pytest.raises(ValueError, match="no"):
                app.extend(extensions=[Fails], built_in_extensions=False)
            assert app.config is config
            assert app.extend(built_in_extensions=False) is app.ext
        finally:
            base._name_registry.pop("fails")


def test_extend_without_sanic_ext(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sanic-ext is not installed ``app.extend()`` and ``app.ext`` say how to have it."""
    import sanic.application.ext as sanics

    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(sanics, "import_module", absent)
    app = Service("shop", configure_logging=False)
    with pytest.raises(RuntimeError, match="pip install sanic-ext"):
        app.extend()
    with pytest.raises(RuntimeError, match="pip install sanic-ext"):
        _ = app.ext


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"], ["polling"]])
def test_socketio(app: Service, transports: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """python-socketio works by each transport, also for a client that leaves in the middle, and no
    session leaves an error in the log."""
    socketio = pytest.importorskip("socketio", reason="python-socketio is not installed")
    server = socketio.AsyncServer(async_mode="sanic", cors_allowed_origins=[])
    server.attach(app)

    @server.event
    async def double(session: str, number: int) -> int:
        return 2 * number

    async def session() -> None:
        over = asyncio.Event()
        server.on("disconnect", lambda *_: over.set())
        async with asyncio.timeout(LIMIT), serving(app) as port:
            client = socketio.AsyncClient(reconnection=False)
            await client.connect(f"http://127.0.0.1:{port}", transports=transports)
            assert await client.call("double", 21, timeout=LIMIT) == 42
            assert client.transport() == transports[-1]
            if transports == ["polling"]:
                await client.eio.http.close()  # in the middle of a request that waits
            else:
                await client.disconnect()
            await over.wait()
            await client.shutdown()
            await server.shutdown()

    uvloop.run(session())  # in this loop a write to a client that has left fails
    assert failures(caplog) == []


async def test_cors(app: Service) -> None:
    """sanic-cors: its decorator with its own defaults, which our settings of CORS do not change."""
    sanic_cors = pytest.importorskip("sanic_cors", reason="sanic-cors is not installed")

    @app.route("/default", methods=["GET", "OPTIONS"])
    @sanic_cors.cross_origin(app)
    async def default(request: Request) -> HTTPResponse:
        return text("default")

    @app.get("/one")
    @sanic_cors.cross_origin(app, origins="https://a.test")
    async def one(request: Request) -> HTTPResponse:
        return text("one")

    async with serving(app) as port:
        (anyone,) = await send(port, ask("GET", "/default", origin="https://b.test"))
        (preflight,) = await send(
            port,
            ask(
                "OPTIONS",
                "/default",
                origin="https://b.test",
                access_control_request_method="GET",
            ),
        )
        (known,) = await send(port, ask("GET", "/one", origin="https://a.test"))
        (unknown,) = await send(port, ask("GET", "/one", origin="https://b.test"))
    assert anyone.header("access-control-allow-origin") == "https://b.test"
    assert "GET" in (preflight.header("access-control-allow-methods") or "")
    assert known.header("access-control-allow-origin") == "https://a.test"
    assert unknown.header("access-control-allow-origin") is None


@pytest.mark.filterwarnings("ignore:The `verify` argument:DeprecationWarning")
async def test_jwt(app: Service) -> None:
    """sanic-jwt: its endpoints, ``protected`` and ``inject_user``."""
    sanic_jwt = pytest.importorskip("sanic_jwt", reason="sanic-jwt is not installed")

    async def authenticate(request: Request) -> dict[str, int]:
        return {"user_id": 7}

    async def retrieve_user(request: Request, payload: Any, *rest: Any, **more: Any) -> Any:
        return payload and {"user_id": payload["user_id"]}

    sanic_jwt.initialize(
        app, authenticate=authenticate, retrieve_user=retrieve_user, secret="s" * 40
    )

    @app.get("/mine")
    @sanic_jwt.inject_user()
    @sanic_jwt.protected()
    async def mine(request, user):  # type: ignore[no-untyped-def]
        return text(str(user["user_id"]))

    async with serving(app) as port:
        (made,) = await send(port, ask("POST", "/auth", body="{}", content_type="application/json"))
        token = json.loads(made.body)["access_token"]
        (known,) = await send(port, ask("GET", "/mine", authorization=f"Bearer {token}"))
        (unknown,) = await send(port, ask("GET", "/mine"))
    assert known.body == b"7"
    assert unknown.status == 401
