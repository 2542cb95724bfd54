"""The pytest plugin, in projects of their own and in processes of their own.

They load the plugins that they name, as the others of this environment take seconds to import. That
pytest finds ours by itself is seen by the test of the page.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SERVER = """
from sanic_ms import Service
from sanic_ms.client import Client
import models

app = Service("{name}")

@app.before_server_start
async def connect(app):
    app.region = Client("region-service", app=app)

@app.get("/name", name="get_name")
async def get_name(request):
    from views import ending  # imported when it is called

    return models.NAME + ending

@app.get("/cities/<id:int>", name="get_city")
async def get_city(request, id):
    return await app.region.get_json(f"/cities/{{id}}")

@app.post("/things", name="add_thing")
async def add_thing(request):
    async with app.db.transaction() as cur:
        await cur.execute("INSERT INTO things VALUES(1)")

def factory():
    made = Service("{name}_made")
    made.add_route(get_name, "/name", name="get_name")
    return made
"""
SETTINGS = """
SERVICES = {"region-service": "http://127.0.0.1:1"}
DB_URL = "sqlite:///development.db"
"""
MIGRATION = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE things(id INTEGER)")
"""
TESTS = """
from urllib.request import urlopen

import pytest
import models
from sanic_ms import current_service
from sanic_ms.exception import LifecycleError

async def test_the_client(client, service):
    assert (await client.get_name()).json["data"] == "{name}!"
    assert client.app is current_service() is service

async def test_mocks(client, mock_services):
    mock_services.get("/cities/1", payload=7)
    assert (await client.get_city(id=1)).json["data"] == 7
    mock_services.assert_all_used()

@pytest.mark.parametrize("turn", [1, 2])
async def test_the_database_is_fresh(client, db, turn):
    assert await db.fetchval("SELECT count(*) FROM things") == 0
    await client.add_thing()
    assert await db.fetchval("SELECT count(*) FROM things") == 1

class TestClass:
    async def test_in_a_class(self, client):
        assert (await client.get("/name")).status == 200

async def test_what_is_observed(client, spans, logs, metrics, frozen_time):
    await client.get_name()
    assert spans.find("GET /name").trace_id == logs.find("GET /name")["trace_id"]
    assert metrics("http_server_request_duration_seconds_count") == 1
    now = frozen_time.now
    frozen_time.tick(5)
    assert (frozen_time.now - now).total_seconds() == 5

def test_the_live_server(live_server, mock_services):
    mock_services.get("/cities/1", payload="from the mock")
    with urlopen(f"{{live_server.url}}/cities/1", timeout=10) as answer:
        assert b"from the mock" in answer.read()

def test_what_does_not_run(service):
    assert "/name" in service.openapi()["paths"]
    assert models.NAME == "{name}"

async def test_both_ways_at_once_are_refused(client, request):
    with pytest.raises(LifecycleError, match="use one of them"):
        request.getfixturevalue("live_server")
"""
PASSED = 9
CONFIGURATION = "[pytest]\nsanic_ms_service = server:app\nfilterwarnings = error\n"


def project(folder: Path, name: str = "one") -> Path:
    """A service with tests."""
    (folder / "tests").mkdir(parents=True)
    (folder / "migrations").mkdir()
    (folder / "server.py").write_text(SERVER.format(name=name))
    (folder / "models.py").write_text(f"NAME = {name!r}\n")
    (folder / "views.py").write_text("ending = '!'\n")
    (folder / "settings.py").write_text(SETTINGS)
    (folder / "migrations" / "0001_things.py").write_text(MIGRATION)
    (folder / "tests" / f"test_{name}.py").write_text(TESTS.format(name=name))
    return folder


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest there with our plugin and those that are named."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    for name in ("DB_URL", "PORT"):
        kept.pop(name, None)
    plugins = ["-p", "sanic_ms.testing.plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *arguments],
        cwd=folder,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_one_line_of_configuration(tmp_path: Path) -> None:
    """All the fixtures, in plain and asynchronous tests, here with anyio.

    `test_what_fails_says_why` does the same with pytest-asyncio, and the next test with neither.
    """
    folder = project(tmp_path / "project")
    (folder / "pytest.ini").write_text(CONFIGURATION)
    done = run(folder, "-p", "anyio", "-o", "anyio_mode=auto")
    assert f"{PASSED} passed" in done.stdout, done.stdout + done.stderr
    assert not (folder / "development.db").exists()


def test_services_with_the_same_modules_share_a_run(tmp_path: Path) -> None:
    """Below one configuration, each in its folder, in any order."""
    (tmp_path / "pytest.ini").write_text(CONFIGURATION)
    for name in ("one", "two"):
        project(tmp_path / name, name)
    done = run(tmp_path, "--import-mode=importlib", "-p", "randomly")
    assert f"{2 * PASSED} passed" in done.stdout, done.stdout + done.stderr


FAILING = """
import pytest

async def test_unanswered(client):
    await client.get_city(id=1)

def test_unanswered_live(live_server):
    from urllib.error import HTTPError
    from urllib.request import urlopen
    with pytest.raises(HTTPError):
        urlopen(f"{live_server.url}/cities/1", timeout=10)

def test_not_async(client):
    client.get("/name")

@pytest.fixture
async def things(client, db):
    await client.add_thing()
    return await db.fetchval("SELECT count(*) FROM things")

async def test_an_asynchronous_fixture(client, things, db):
    assert things == await db.fetchval("SELECT count(*) FROM things") == 1

def test_only_the_fixture(things):
    assert things == 1

class TestFactory:
    @pytest.fixture
    def service_factory(self):
        from server import factory
        return factory

    @pytest.mark.parametrize("turn", [1, 2])
    async def test_it_is_called_for_each_test(self, client, turn):
        assert client.app.name == "one_made"
        assert not hasattr(client.app.ctx, "turn")
        client.app.ctx.turn = turn
        assert (await client.get_name()).status == 200
"""


def test_what_fails_says_why(tmp_path: Path) -> None:
    """Calls that no mock answers fail the test itself; fixtures may be asynchronous."""
    folder = project(tmp_path / "project")
    (folder / "pytest.ini").write_text(CONFIGURATION)
    (folder / "tests" / "test_failing.py").write_text(FAILING)
    loops = ["--asyncio-mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = run(folder, "-p", "asyncio", *loops)
    assert f"3 failed, {PASSED + 4} passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("UnansweredCall: no mock answers GET /cities/1") >= 2
    assert "this client is awaited, so the test is `async def`" in done.stdout


SEEDED = """
import pytest
import pytest_asyncio

@pytest.fixture
async def seeded(db):
    await db.execute("INSERT INTO things VALUES(1)")
    yield 1
    assert await db.fetchval("DELETE FROM things RETURNING id") == 1

@pytest_asyncio.fixture
async def theirs(db):
    return await db.fetchval("SELECT 41") + 1

async def test_one_of_ours(seeded, client, db):
    await client.add_thing()
    assert await db.fetchval("SELECT count(*) FROM things") == 2

def test_a_plain_test(seeded):
    assert seeded == 1

class TestClass:
    @pytest.fixture
    async def own(self, db):
        self.found = await db.fetchval("SELECT count(*) FROM things")
        yield

    async def test_a_method(self, own):
        assert self.found == 0

@pytest.mark.asyncio
async def test_theirs(theirs, client, db):
    assert theirs == await db.fetchval("SELECT 42")

async def test_theirs_without_a_marker(theirs, client, db):
    assert theirs == await db.fetchval("SELECT 42")
"""
NOT_RUN = """
import pytest

@pytest.fixture
async def seeded(db):
    raise AssertionError("it is not run")

@pytest.fixture(scope="module")
async def wide():
    raise AssertionError("it is not run")

@pytest.fixture
async def twice():
    yield 1
    yield 2

@pytest.mark.asyncio
@pytest.mark.parametrize("turn", [1, 2])
async def test_marked(seeded, turn):
    pass

async def test_wide(wide):
    pass

async def test_twice(twice):
    assert twice == 1
"""


def test_asynchronous_fixtures_need_no_plugin(tmp_path: Path) -> None:
    """They run on the event loop of their test, beside pytest-asyncio's in its strict mode as well.
    Those that cannot be run say why, each time."""
    folder = project(tmp_path / "project")
    (folder / "pytest.ini").write_text(CONFIGURATION)
    (folder / "tests" / "test_seeded.py").write_text(SEEDED)
    strict = ["-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = run(folder, *strict, "tests/test_seeded.py")
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    ours = ["-k", "ours or plain or method", "-o", "markers=asyncio"]
    done = run(folder, "tests/test_seeded.py", *ours)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    (folder / "tests" / "test_not_run.py").write_text(NOT_RUN)
    done = run(folder, *strict, "-W", "ignore", "-rN", "tests/test_not_run.py")
    assert "1 passed, 4 errors" in done.stdout, done.stdout + done.stderr
    assert (
        done.stdout.count("'seeded', and sanic-ms does not, as another plugin runs the test") == 2
    )
    assert "'wide', and sanic-ms does not, as its scope is 'module'" in done.stdout
    assert "the fixture 'twice' yields more than once" in done.stdout


def test_the_head_says_which_database_is_used(tmp_path: Path) -> None:
    """Tests of a service on PostgreSQL use SQLite unless they are told otherwise."""
    folder = project(tmp_path / "project")
    (folder / "pytest.ini").write_text(CONFIGURATION)
    only = ["-v", "-k", "what_does_not_run"]
    done = run(folder, *only)
    head = "sanic-ms: server:app, with fresh databases of SQLite"
    assert f"{head}, whatever DB_URL says (SANIC_MS_TEST_DB_URL chooses)" in done.stdout
    done = run(
        folder, *only, "--collect-only", SANIC_MS_TEST_DB_URL="postgresql://me:secret@host/x"
    )
    assert "server:app, with fresh databases on postgresql://host:5432" in done.stdout
    assert "secret" not in done.stdout
    (folder / "pytest.ini").write_text("[pytest]\n")
    assert "sanic-ms:" not in run(folder, *only).stdout


WRONG = {
    "": "which service is tested?",
    "--sanic-ms-service=nowhere:app": "there is no module 'nowhere' in the folders of",
    "--sanic-ms-service=server:nothing": "server.py has no 'nothing'",
    "--sanic-ms-service=models:NAME": "is a str, not a sanic_ms.Service",
    "--sanic-ms-service=server:app --sanic-ms-db=oracle://x": "unknown kind of database 'oracle'",
}


def test_a_wrong_configuration_is_explained(tmp_path: Path) -> None:
    """In one line that says what to write."""
    folder = project(tmp_path / "project")
    (folder / "pytest.ini").write_text("[pytest]\n")
    # One process for all: what costs is the start.
    code = (
        "import pytest\n"
        f"for options in {list(WRONG)}:\n"
        "    only = ['-q', '-p', 'sanic_ms.testing.plugin', '-k', 'what_does_not_run']\n"
        "    pytest.main(only + options.split())\n"
        "    print('---')\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=kept, capture_output=True, text=True
    )
    outputs = done.stdout.split("---\n")
    for (options, message), output in zip(WRONG.items(), outputs, strict=False):
        assert "1 error" in output, output + done.stderr
        assert message in output, (options, output)


def test_the_plugin_brings_nothing_in() -> None:
    """pytest imports it at every start, so it is cheap: no Sanic, no aiohttp, no msgspec."""
    code = (
        "import sys, pytest; before = set(sys.modules); import sanic_ms.testing.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {"sanic_ms", "sanic_ms.testing", "sanic_ms.testing.plugin"}
    heavy = {"sanic", "aiohttp", "msgspec", "uvloop", "peewee", "opentelemetry", "typer", "asyncio"}
    brought = set(done.stdout.split())
    assert {name for name in brought if name.startswith("sanic_ms")} == ours
    assert {name.partition(".")[0] for name in brought} & heavy == set()
