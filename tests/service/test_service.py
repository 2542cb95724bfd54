"""The service: composition, start and stop, and what a user sees when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from sanic import Blueprint, HTTPResponse
from sanic.handlers import ErrorHandler
from sanic.response import text
from tests.calls import call

from sanic_ms import Component, Page, Pagination, Service, Settings, doc
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.testing import TestClient


def make(**options: Any) -> Service:
    """A service with a name of its own."""
    return Service(f"service_{uuid.uuid4().hex}", configure_logging=False, **options)


class Part(Component):
    """Records its life."""

    def __init__(self, name: str, events: list[str]) -> None:
        self.name = name
        self.events = events

    async def start(self) -> None:
        self.events.append(f"start {self.name}")

    async def stop(self) -> None:
        self.events.append(f"stop {self.name}")


def test_making_a_service_reads_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting shows at the start, not when a module is imported."""
    monkeypatch.setenv("PORT", "many")
    app = make()
    with pytest.raises(ConfigError, match=r"PORT='many' \(environment variable PORT\)"):
        _ = app.settings


def test_settings_come_from_every_layer_and_reach_sanics_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module of settings, the environment over it, code over that; Sanic's limits follow."""
    (tmp_path / "settings.py").write_text("PORT = 8101\nREQUEST_MAX_SIZE = 1000\nCOLOUR = 'red'\n")
    monkeypatch.setenv("PORT", "8102")
    app = make()
    app.configure(debug=True)
    assert (app.settings.port, app.settings.debug) == (8102, True)
    assert app.config.REQUEST_MAX_SIZE == 1000
    assert app.config.COLOUR == "red"
    with pytest.raises(ConfigError, match="read already"):
        app.configure(port=1)


async def test_an_application_may_have_typed_settings_of_its_own() -> None:
    """A subclass; handlers get it by type."""

    class ShopSettings(Settings, frozen=True, kw_only=True):
        currency: Annotated[str, msgspec.Meta(max_length=3)] = "EUR"

    app = make(settings=ShopSettings)
    app.configure(currency="USD")

    async def currency(request: Any, settings: Any) -> Any:
        return settings.currency

    currency.__annotations__["settings"] = ShopSettings
    app.add_route(currency, "/currency")
    assert (await call(app, "get", "/currency")).json["data"] == "USD"


def test_attributes_may_be_set() -> None:
    """`app.client = …`, as in the first generation; only type checkers complain."""
    app: Any = make()
    app.client = object()
    assert app.client is app.client


@pytest.mark.parametrize("name", [None, 3, b"shop"])
def test_a_name_is_a_text(name: Any) -> None:
    """Said by us: Sanic speaks of its own class, or has no word for it."""
    with pytest.raises(TypeError, match=r"Service\(.*\): give the service's name, a text"):
        Service(name)


def test_a_database_that_the_settings_do_not_name_says_what_to_set() -> None:
    """Both kinds: the one of DB_URL and the others by name."""
    app = make()
    app.configure(databases={"reports": "sqlite://:memory:"})
    with pytest.raises(ConfigError, match="set DB_URL"):
        _ = app.db
    with pytest.raises(ConfigError, match=r"'reprots' \(known: reports\)"):
        app.database("reprots")
    assert app.database("reports") is app.database("reports")


async def test_databases_start_with_the_service_and_are_injectable(sqlite_url: str) -> None:
    """The pool of DB_URL by type, the others by name; all are in the health."""
    app = make()
    app.configure(db_url=sqlite_url, databases={"reports": "sqlite://:memory:"})

    @app.get("/")
    async def handler(request: Any, db: ConnectionPool) -> Any:
        health = await app.lifecycle.check()
        return [
            db is app.db,
            await db.fetchval("SELECT 1"),
            await app.database("reports").fetchval("SELECT 2"),
            sorted({entry.status for entry in health.values()}),
            {"default", "reports"} <= set(health),
        ]

    assert (await call(app, "get", "/")).json["data"] == [True, 1, 2, ["up"], True]


async def test_parts_start_before_listeners_and_stop_after_them() -> None:
    """A listener may use every part; one that it adds is ready before the first request."""
    events: list[str] = []
    app = make()
    app.add(Part("early", events))

    @app.before_server_start
    async def before(app: Any) -> None:
        events.append("listener starts")
        app.add(Part("late", events))

    @app.after_server_stop
    async def after(app: Any) -> None:
        events.append("listener stops")

    @app.get("/")
    async def handler(request: Any) -> Any:
        return list(events)

    expected = ["start early", "listener starts", "start late"]
    assert (await call(app, "get", "/")).json["data"] == expected
    assert events[3:] == ["listener stops", "stop late", "stop early"]


async def test_a_listener_that_fails_stops_the_parts() -> None:
    """Nothing is left open behind a start that failed."""
    events: list[str] = []
    app = make()
    app.add(Part("pool", events))

    @app.before_server_start
    async def before(app: Any) -> None:
        raise OSError("no broker")

    @app.get("/")
    async def handler(request: Any) -> Any:
        return None

    with pytest.raises(OSError, match="no broker"):
        await call(app, "get", "/")
    assert events == ["start pool", "stop pool"]


async def test_a_handler_that_cannot_be_compiled_stops_the_start() -> None:
    """The error points at it."""
    app = make()

    @app.get("/")
    async def lost(request, thing):  # type: ignore[no-untyped-def]
        return None

    with pytest.raises(LifecycleError, match=r"lost .*test_service\.py"):
        await call(app, "get", "/")


async def test_a_dependency_that_is_missing_stops_the_start() -> None:
    """Not the first request that needs it."""

    class Clock:
        pass

    class Repository:
        def __init__(self, clock: Any) -> None: ...

    Repository.__init__.__annotations__["clock"] = Clock
    app = make()
    app.provide(Repository)

    @app.get("/")
    async def handler(request: Any) -> Any:
        return None

    with pytest.raises(LifecycleError, match=r"Repository -> .*Clock"):
        await call(app, "get", "/")


async def test_whatever_works_on_sanic_works_here() -> None:
    """Blueprints, groups, versions, middleware, signals, exception handlers, nested prefixes."""
    app = make()
    seen: list[str] = []
    blueprint = Blueprint("things", url_prefix="/things", version=1)

    @blueprint.get("/<id:int>")
    async def thing(request: Any, id: int) -> Any:
        return {"id": id, "tenant": request["tenant"]}

    app.blueprint(blueprint)

    @app.on_request
    async def tenant(request: Any) -> None:
        request["tenant"] = "t"

    @app.on_response
    async def mark(request: Any, response: Any) -> None:
        response.headers["x-mark"] = "yes"

    @app.signal("http.routing.after")
    async def routed(**context: Any) -> None:
        seen.append(context["route"].path)

    answer = await call(app, "get", "/v1/things/3")
    assert answer.json["data"] == {"id": 3, "tenant": "t"}
    assert answer.headers["x-mark"] == "yes"
    assert seen == ["v1/things/<id:int>"]


class Person(msgspec.Struct):
    """A body and an answer."""

    name: Annotated[str, msgspec.Meta(max_length=5)]
    age: int = 0


async def test_the_document_is_served_and_valid() -> None:
    """OpenAPI 3.1 by a published validator; typed and declared handlers stand in it."""
    app = make()
    app.configure(api_title="People", api_version="2.0.0")

    @app.get("/people")
    async def list_people(
        request: Any, page: Page, low: int = 0
    ) -> tuple[list[Person], Pagination]:
        """Everybody."""
        return [], page.of(0)

    @app.post("/people/<id:int>")
    @doc.summary("Change a person")
    async def change(request: Any, id: int, body: Person) -> Person:
        return body

    @app.get("/hidden")
    @doc.exclude()
    async def hidden(request: Any) -> Any:
        return None

    answer = await call(app, "get", "/openapi/spec.json")
    document = answer.json
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"] == {"title": "People", "version": "2.0.0"}
    assert sorted(document["paths"]) == ["/people", "/people/{id}"]
    names = [entry["name"] for entry in document["paths"]["/people"]["get"]["parameters"]]
    assert sorted(names) == ["low", "page", "page_size"]
    assert document["paths"]["/people"]["get"]["summary"] == "Everybody."
    assert document == app.openapi()


def test_the_document_is_there_before_the_start() -> None:
    """For a file, or for a test."""
    app = make()

    @app.post("/people")
    async def create(request: Any, body: Person | None = None) -> Person | None:
        return body

    operation = app.openapi()["paths"]["/people"]["post"]
    assert operation["requestBody"].get("required", False) is False


def test_limits_set_on_sanics_configuration_count() -> None:
    """`app.config.X = …` is code, and code wins."""
    app = make()
    app.config.REQUEST_MAX_SIZE = 77
    assert app.settings.request_max_size == 77
    assert app.config.REQUEST_MAX_SIZE == 77
    assert app.loaded.sources["REQUEST_MAX_SIZE"] == "app.config"


async def test_an_error_handler_of_the_applications_own_is_kept() -> None:
    """As on Sanic."""

    class Own(ErrorHandler):
        def default(self, request: Any, exception: Exception) -> HTTPResponse:
            return text("own", status=418)

    app = make(error_handler=Own())

    @app.get("/")
    async def handler(request: Any) -> Any:
        raise RuntimeError

    assert (await call(app, "get", "/")).status == 418


def test_an_envelope_must_be_one() -> None:
    """Found when the service is made."""
    with pytest.raises(TypeError, match="is not an Envelope"):
        make(envelope=object())


async def test_a_service_that_was_not_provided_is_explained() -> None:
    """The line points at the handler and says what to write."""

    class Repository:
        def __init__(self) -> None: ...

    async def lost(request: Any, repository: Any) -> None: ...

    lost.__annotations__["repository"] = Repository
    app = make()
    app.add_route(lost, "/")
    with pytest.raises(LifecycleError, match=r"lost .*test_service\.py.*service\.provide"):
        app.compile()


async def test_documents_can_be_left_out() -> None:
    """`DOCS=false`."""
    app = make()
    app.configure(docs=False)

    @app.get("/")
    async def handler(request: Any) -> Any:
        return None

    assert (await call(app, "get", "/openapi/spec.json")).status == 404
    assert (await call(app, "get", "/docs")).status == 404


async def test_a_body_over_the_limit_is_refused() -> None:
    """413 in the envelope, and the service goes on."""
    app = make()
    app.configure(request_max_size=100)

    @app.post("/")
    @doc.consumes({"text": str})
    async def handler(request: Any) -> Any:
        return request["data"]

    answer = await call(app, "post", "/", json={"text": "x" * 200})
    assert (answer.status, answer.json["code"]) == (413, 10413)
    assert (await call(app, "post", "/", json={"text": "x"})).status == 200


SERVER = """
from sanic_ms import Service
app = Service("tiny")
{body}
if __name__ == "__main__":
    app.run()
"""


@pytest.mark.parametrize(
    ("body", "variables", "message", "code"),
    [
        ("", {"PORT": "many"}, "tiny: PORT='many' (environment variable PORT)", 2),
        ("", {"DB_URL": "oracle://x/y"}, "unknown kind of database", 2),
        ("", {"DB_URL": "postgresql://127.0.0.1:1/x"}, "cannot be used", 1),
        ("@app.get('/')\nasync def h(request, x): ...", {}, "h (server.py:4)", 2),
        (
            "@app.before_server_start\nasync def f(app): raise OSError('no broker')",
            {},
            "did not start: OSError: no broker",
            1,
        ),
    ],
    ids=["setting", "database url", "database down", "handler", "listener"],
)
def test_a_service_that_cannot_start_says_why_in_its_last_line(
    tmp_path: Path, body: str, variables: dict[str, str], message: str, code: int, serving: Any
) -> None:
    """`python server.py` ends with one line; the code is 2 for a mistake in what was written, 1 for
    what failed."""
    routes = "@app.get('/ping')\nasync def ping(request): return 1\n"
    text = SERVER.format(body=routes + body if "def h" not in body else body)
    (tmp_path / "server.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "server.py"],
        cwd=tmp_path,
        env={**os.environ, "PORT": str(serving.free_port()), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == code
    assert message in last.replace(str(tmp_path) + "/", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_with_one_worker_and_with_several(
    tmp_path: Path, workers: int, serving: Any
) -> None:
    """Each worker starts its own parts and compiles its own routes."""
    body = "@app.get('/')\nasync def h(request): return await app.db.fetchval('SELECT 7')"
    (tmp_path / "server.py").write_text(SERVER.format(body=body))
    with serving.serve(tmp_path, WORKERS=str(workers), DB_URL="sqlite:///x.db") as url:
        for _ in range(4):
            assert serving.get(f"{url}/") == b'{"code":0,"data":7}'


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_start_has_made_is_set_aside_for_the_collector(
    tmp_path: Path, workers: int, serving: Any
) -> None:
    """In each process that serves."""
    body = (
        "import gc\n@app.get('/')\nasync def h(request):\n"
        "    return [gc.get_freeze_count() > 10_000, gc.get_threshold()[0]]"
    )
    (tmp_path / "server.py").write_text(SERVER.format(body=body))
    with serving.serve(tmp_path, WORKERS=str(workers)) as url:
        assert serving.get(f"{url}/") == b'{"code":0,"data":[true,10000]}'


TENANTS = """
DB_URL = "{url}"

def SESSION_SETTINGS(request):
    tenant = request.headers.get("x-tenant")
    return {{"app.tenant": tenant}} if tenant else None
"""


async def test_requests_bring_settings_of_their_session(tmp_path: Path, postgres_url: str) -> None:
    """A function of the settings module; a background task has none."""
    (tmp_path / "settings.py").write_text(TENANTS.format(url=postgres_url))
    app = make()
    sql = "SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'none')"

    @app.get("/")
    async def tenant(request: Any) -> list[str]:
        async with app.db.acquire(request) as connection:
            lent = await connection.fetchval(sql)
        return [lent, await app.db.fetchval(sql)]

    async with TestClient(app) as client:
        for name in ("a", "b"):
            answer = await client.get("/", headers={"x-tenant": name})
            assert answer.json["data"] == [name, name]
        assert (await client.get("/")).json["data"] == ["none", "none"]


@pytest.mark.parametrize("value", ["nowhere:f", "os:nothing", "os", 5])
async def test_a_wrong_place_of_session_settings_stops_the_start(
    value: object, tmp_path: Path
) -> None:
    """One line names the setting and what it may be."""
    (tmp_path / "settings.py").write_text(f"DB_URL = 'sqlite://'\nSESSION_SETTINGS = {value!r}\n")
    app = make()
    with pytest.raises(ConfigError, match=r"SESSION_SETTINGS=.*settings\.py.*function"):
        app.compile()
