"""A service in the style of the first generation: its settings, its spellings, its record of
migrations, from ``python migrations.py`` to the last span."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.e2e.conftest import Answer, call
from tests.ports import free_port

from sanic_ms.values import DatabaseURL

FILES = {
    "conf/__init__.py": "",
    "conf/parcel.py": """
        import os

        APP_ID = "parcels"
        HOST = os.environ.get("SERVER_HOST", None)
        PORT = os.environ.get("SERVER_PORT", 8040)
        DB_CONFIG = {
            "host": os.environ.get("PG_HOST", "localhost"),
            "port": os.environ.get("PG_PORT", 5432),
            "user": os.environ.get("PG_USER", "postgres"),
            "password": os.environ.get("PG_PASSWORD", None),
            "database": os.environ.get("PG_NAME", "postgres"),
        }
        SWAGGER = {
            "version": "2.1.0",
            "title": "Parcels",
            "description": "Where parcels are",
            "contact_email": "it@example.org",
        }
        ZIPKIN_SERVER = os.environ.get("ZIPKIN_SERVER", None)
        ACCESS_CONTROL_ALLOW_ORIGIN = "https://shop.example"
        ACCESS_CONTROL_ALLOW_HEADERS = "Content-Type, X-Shop"
        ACCESS_CONTROL_ALLOW_METHODS = "POST, PUT, DELETE, GET"
        CONSUL_AGENT_HOST = os.environ.get("CONSUL_AGENT_HOST", "127.0.0.1")
        CONSUL_AGENT_PORT = os.environ.get("CONSUL_AGENT_PORT", 8500)
        SERVICES = {"depot_service": f"http://127.0.0.1:{PORT}"}
        PAGE_COUNT = 20
    """,
    "models.py": """
        from peewee import CharField, IntegerField, Model, PrimaryKeyField

        from sanic_ms import doc


        class DepotApi:
            id = int
            name = doc.String("the depot's name")


        class Parcel(Model):
            id = PrimaryKeyField()
            label = CharField(max_length=16, verbose_name="what stands on it")
            grams = IntegerField(verbose_name="weight")
            depot_id = IntegerField(verbose_name="where it is", help_text=DepotApi)
            note = CharField(null=True)

            class Meta:
                table_name = "fg_parcels"
    """,
    "migrations.py": """
        from playhouse.migrate import *

        from sanic_ms.migrations import MigrationModel, db_manager, info
        from models import Parcel


        class ParcelMigration(MigrationModel):
            _model = Parcel

            @info(version="v1", author="ann")
            def migrate_v1(self):
                raise RuntimeError("it has run in the first generation")

            @info(version="v2")
            def migrate_v2(self):
                migrate(self.add_column("note"))


        if __name__ == "__main__":
            pm = ParcelMigration()
            with db_manager.transaction():
                pm.auto_migrate()
            print("migrated")
    """,
    "views.py": """
        import logging

        from sanic import Blueprint

        from sanic_ms import doc, load_config
        from sanic_ms.exception import CustomException, NotFound
        from sanic_ms.loggers import logger
        from sanic_ms.utils import *
        from models import DepotApi, Parcel

        config = load_config()
        parcels = Blueprint("parcels", url_prefix="parcels")


        class TooHeavy(CustomException):
            status_code = 422
            code = 20001
            message = "Too Heavy"


        @logger()
        async def get_depot(request, id):
            cli = request.app.depot_client.cli(request)
            async with cli.get("/parcels/depots/{}".format(id)) as res:
                return await res.json()


        @parcels.get("/depots/<id:int>", name="get_depot")
        @doc.produces(doc.Object(DepotApi, object_name="Depot"))
        async def depot(request, id):
            return {"id": id, "name": "depot {}".format(id)}


        @parcels.post("/", name="add_parcel")
        @doc.summary("take a parcel")
        @doc.consumes(Parcel)
        @doc.produces({"id": int})
        async def add_parcel(request):
            data = request["data"]
            if data["grams"] > 30000:
                raise TooHeavy(error="over 30 kg")
            async with request.app.db.transaction(request) as cur:
                record = await cur.fetchrow(
                    ''' INSERT INTO fg_parcels(label, grams, depot_id)
                        VALUES($1, $2, $3) RETURNING id ''',
                    data["label"], data["grams"], data["depot_id"],
                )
            return {"id": record["id"]}


        @parcels.get("/", name="list_parcels")
        @doc.route(summary="all parcels", produces=[Parcel])
        async def list_parcels(request):
            async with request.app.db.acquire(request) as cur:
                records = await cur.fetch("SELECT * FROM fg_parcels ORDER BY id")
            for record in records:
                await async_request([[record, "depot_id", get_depot(request, record["depot_id"])]])
            return records, {"page": 1, "count": config["PAGE_COUNT"]}


        @parcels.put("/<id:int>/weight", name="weigh")
        @doc.produces(doc.Dictionary(fields={"grams": int, "at": doc.Tuple([int, int])}))
        async def weigh(request, id):
            grams = request["data"]["grams"]
            request["span"].set_tag("parcel.grams", grams).log_kv({"event": "weighed", "id": id})
            request["span"].finish()
            async with request.app.db.transaction(request) as cur:
                row = await cur.fetchrow(
                    "UPDATE fg_parcels SET grams = $1 WHERE id = $2 RETURNING grams", grams, id
                )
            if row is None:
                raise NotFound("no parcel {}".format(id), code="10999", message="No Such Parcel")
            return {"grams": row["grams"], "at": (1, 2)}


        @parcels.get("/search", name="search")
        @doc.consumes({"label": str}, {"most": int}, location="query")
        async def search(request):
            raise CustomException(error=request["query"], status_code=410)
    """,
    "server.py": """
        import os

        from sanic_ms import Service
        from sanic_ms.client import Client

        from views import parcels

        app = Service("parcel-service")
        app.blueprint(parcels)


        @app.listener("before_server_start")
        async def before_server_start(app, loop):
            app.depot_client = Client("depot_service", app=app)


        @app.listener("before_server_stop")
        async def before_server_stop(app, loop):
            app.depot_client.close()


        @app.route("/")
        async def index(request):
            return "parcel service"


        if os.environ.get("MIDDLEWARE"):
            @app.middleware("request")
            async def look(request):
                request["seen"] = "data" in request


        if __name__ == "__main__":
            app.run(host="127.0.0.1", port=app.config["PORT"])
    """,
}

FORMER = """
CREATE TABLE migration_record (id SERIAL, "table" TEXT, version TEXT, author TEXT,
    create_time TIMESTAMP);
INSERT INTO migration_record("table", version, author) VALUES ('fg_parcels', 'v1', 'ann');
CREATE TABLE fg_parcels (id SERIAL PRIMARY KEY, label VARCHAR(16) NOT NULL, grams INTEGER NOT NULL,
    depot_id INTEGER NOT NULL);
"""
UNDO = "DROP TABLE IF EXISTS fg_parcels, migration_record, migrate_record"


@dataclass
class Collector:
    """What was sent to a Zipkin of the test's own."""

    paths: list[str] = field(default_factory=list)
    spans: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Run:
    """What the service did: its answers by a name, its log, its spans."""

    answers: dict[str, Answer]
    migrated: str
    log: list[dict[str, Any]]
    collector: Collector


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[str, Collector]]:
    """The address of a Zipkin, and what came."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.paths.append(self.path)
            found.spans += json.loads(body)
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api/v1/spans", found
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=["fast path", "full path", "pure"])
def run(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_url: str,
    collector: tuple[str, Collector],
) -> Iterator[Run]:
    """The service, migrated over what the first generation has left, asked and stopped."""
    psycopg = pytest.importorskip("psycopg")
    address, spans = collector
    folder = tmp_path_factory.mktemp("parcels")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(dedent(text).lstrip())
    port = free_port()
    environment = _environment(DatabaseURL.parse(postgres_url), port, address)
    if request.param == "full path":
        environment["MIDDLEWARE"] = "1"
    elif request.param == "pure":
        environment["SANIC_MS_PURE"] = "1"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(FORMER)
        try:
            done = subprocess.run(
                [sys.executable, "migrations.py"], cwd=folder, env=environment,
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            answers, log = _ask(folder, environment, f"http://127.0.0.1:{port}")
        finally:
            connection.execute(UNDO)
    yield Run(answers, done.stdout, log, spans)
    spans.paths.clear()
    spans.spans.clear()


def _environment(database: DatabaseURL, port: int, zipkin: str) -> dict[str, str]:
    values = {
        "SANIC_SETTINGS_MODULE": "conf.parcel",
        "SERVER_PORT": str(port),
        "PG_HOST": database.host,
        "PG_PORT": str(database.port),
        "PG_USER": database.user or "",
        "PG_NAME": database.database,
        "ZIPKIN_SERVER": zipkin,
        "PYTHONWARNINGS": "ignore",
    }
    if database.password:
        values["PG_PASSWORD"] = database.password
    kept = {name: text for name, text in os.environ.items() if name not in ("DB_URL", "PORT")}
    return {**kept, **values}


def _ask(
    folder: Path, environment: dict[str, str], url: str
) -> tuple[dict[str, Answer], list[dict[str, Any]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "server"], cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _wait(process, url)
        shop = {"Origin": "https://shop.example"}
        preflight = {
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "x-shop",
        }
        parcel = {"label": "A-1", "grams": 500, "depot_id": 7}
        answers = {
            "index": call("GET", f"{url}/", headers=shop),
            "stranger": call("GET", f"{url}/", headers={"Origin": "https://other.example"}),
            "preflight": call("OPTIONS", f"{url}/parcels/1/weight", headers={**shop, **preflight}),
            "add": call("POST", f"{url}/parcels/", parcel),
            "wrong": call("POST", f"{url}/parcels/", {**parcel, "label": "x" * 17}),
            "heavy": call("POST", f"{url}/parcels/", {**parcel, "grams": 30001}),
            "weigh": call("PUT", f"{url}/parcels/1/weight", {"grams": 450}),
            "missing": call("PUT", f"{url}/parcels/9/weight", {"grams": 450}),
            "broken": call("PUT", f"{url}/parcels/1/weight", raw=b"{"),
            "list": call("GET", f"{url}/parcels/"),
            "search": call("GET", f"{url}/parcels/search?label=A&most=3"),
            "document": call("GET", f"{url}/openapi/spec.json"),
        }
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return answers, [json.loads(line) for line in out.splitlines()]


def _wait(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            if call("GET", f"{url}/health/ready").status == 200:
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"it does not answer: {process.communicate()}")
        time.sleep(0.05)


def test_what_the_first_generation_has_migrated_stays(run: Run) -> None:
    """``python migrations.py``: its record counts, and what is new runs."""
    assert run.migrated.splitlines()[-1] == "migrated"
    assert run.answers["list"].status == 200
    assert run.answers["list"].json["data"][0]["note"] is None


def test_its_settings_of_cors_are_in_force(run: Run) -> None:
    """The origin, the headers and the methods that ``ACCESS_CONTROL_ALLOW_…`` name."""
    name = "access-control-allow-origin"
    assert run.answers["index"].headers[name] == "https://shop.example"
    assert name not in run.answers["stranger"].headers
    preflight = run.answers["preflight"]
    assert preflight.status == 204
    assert preflight.headers[name] == "https://shop.example"
    assert preflight.headers["access-control-allow-methods"] == "PUT"
    assert preflight.headers["access-control-allow-headers"] == "Content-Type, X-Shop"


def test_its_spellings_work(run: Run) -> None:
    """Handlers, models, clients and errors, in the forms that callers know."""
    answers = {name: (answer.status, answer.json) for name, answer in run.answers.items()
               if answer.body and name != "document"}  # fmt: skip
    assert answers["index"] == (200, {"code": 0, "data": "parcel service"})
    assert answers["add"] == (200, {"code": 0, "data": {"id": 1}})
    assert answers["wrong"][0] == 422
    assert answers["weigh"] == (200, {"code": 0, "data": {"grams": 450, "at": [1, 2]}})
    assert answers["broken"][0] == 400
    parcel = {
        "id": 1, "label": "A-1", "grams": 450, "note": None,
        "depot_id": {"id": 7, "name": "depot 7"},
    }  # fmt: skip
    assert answers["list"] == (
        200, {"code": 0, "data": [parcel], "pagination": {"page": 1, "count": 20}},
    )  # fmt: skip
    heavy = {"code": 20001, "message": "Too Heavy", "error": "over 30 kg"}
    missing = {"code": "10999", "message": "No Such Parcel", "error": "no parcel 9"}
    gone = {"code": 10410, "message": "Gone", "error": {"label": "A", "most": 3}}
    for name, status, error in (
        ("heavy", 422, heavy),
        ("missing", 404, missing),
        ("search", 410, gone),
    ):
        found_status, body = answers[name]
        assert (found_status, {key: body[key] for key in error}) == (status, error)


def test_its_document_has_the_title_of_swagger(run: Run) -> None:
    """And the names that ``object_name`` gives."""
    document = run.answers["document"].json
    assert document["info"] == {
        "title": "Parcels", "version": "2.1.0", "description": "Where parcels are",
    }  # fmt: skip
    assert "Depot" in document["components"]["schemas"]
    parameters = document["paths"]["/parcels/search"]["get"]["parameters"]
    assert [entry["name"] for entry in parameters] == ["label", "most"]


def test_the_start_names_what_has_no_effect(run: Run) -> None:
    """One warning for each, with the file that holds it; nothing is silently ignored."""
    warnings = [
        line["message"] for line in run.log
        if line["logger"] == "sanic_ms.service" and line["level"] == "WARNING"
        and "parcel.py" in line["message"]
    ]  # fmt: skip
    assert warnings == [
        "APP_ID='parcels' (parcel.py) is not used: the service's name is the one in the program, "
        "Service('parcel-service')",
        "CONSUL_AGENT_HOST, CONSUL_AGENT_PORT (parcel.py): there is no Consul; name the other "
        "services in SERVICES, such as region_service=http://region:8050",
        "SWAGGER (parcel.py): contact_email not used; used are title, version, description",
    ]


def test_its_logger_says_which_service_a_line_is_of(run: Run) -> None:
    """``category`` is the service's name by default, in the line and in the span."""
    (line,) = (line for line in run.log if line["logger"] == "views" and "function" in line)
    assert (line["category"], line["detail"]) == ("parcel-service", "get_depot")
    (span,) = (span for span in run.collector.spans if span["name"] == "get_depot")
    assert span["tags"]["category"] == "parcel-service"


def test_its_spans_reach_zipkin(run: Run) -> None:
    """At the second API, with tags and events in OpenTracing's words."""
    assert set(run.collector.paths) == {"/api/v2/spans"}
    spans = [span for span in run.collector.spans if span["name"] == "PUT /parcels/{id}/weight"]
    span = min(spans, key=lambda span: span["timestamp"])
    assert span["tags"]["parcel.grams"] == "450"
    assert span["tags"]["http.response.status_code"] == "200"
    (event,) = span["annotations"]
    assert json.loads(event["value"]) == {"weighed": {"id": 1}}
