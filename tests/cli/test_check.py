"""``sanic-ms run --check``."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import make_certificate

from sanic_ms import Service
from sanic_ms.cli.check import CheckFinding, check, findings
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import ServerError
from sanic_ms.lifecycle import Health, State

Command = Callable[..., subprocess.CompletedProcess[str]]

SERVER = """\
from sanic_ms import Service

app = Service("shop")
print("imported")


@app.get("/items/<id:int>")
async def get_item(request, id: int):
    return id
"""
MIGRATION = "def up(migrator, db):\n    pass\n"


pytestmark = pytest.mark.usefixtures("applications")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service with one migration."""
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_items.py").write_text(MIGRATION)
    return tmp_path


def lines(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The line of each check, by its name, with single spaces."""
    found = {}
    for line in done.stdout.splitlines():
        name, _, rest = line.partition("  ")
        found[name] = " ".join(rest.split())
    return found


def test_a_service_that_may_start_passes(command: Command, folder: Path) -> None:
    """One line a check and exit code 0; pending migrations are 1 and name the command."""
    url = f"sqlite:///{folder / 'shop.db'}"
    done = command("run", "--check", DB_URL=url, ADMIN_PORT="9100")
    found = lines(done)
    assert done.returncode == 1, done.stderr
    checked = ["settings", "address", "admin address", "routes", "document", "database default"]
    assert list(found) == [*checked, "migrations default"]
    assert found["migrations default"] == "FAILED 1 pending (0001_items): run sanic-ms db up"
    assert found["admin address"] == "ok 127.0.0.1:9100"
    assert done.stderr == "imported\n"

    assert command("db", "up", DB_URL=url).returncode == 0
    done = command("run", "--check", DB_URL=url)
    found = lines(done)
    assert done.returncode == 0
    assert found["settings"] == "ok ENVIRONMENT=development"
    assert found["document"] == "ok OpenAPI 3.1.0, 1 paths"
    assert found["migrations default"] == "ok all of migrations are applied"
    assert found["start"] == "ok parts and listeners"


def test_what_is_wrong_is_one_line(command: Command, folder: Path) -> None:
    """A database that is not there, and its migrations are not looked at: 1. A setting, a handler:
    2."""
    done = command("run", "--check", DB_URL="postgresql://app:hunter2@127.0.0.1:1/shop")
    found = lines(done)
    assert done.returncode == 1
    assert found["database default"].startswith("FAILED ")
    assert "hunter2" not in done.stdout + done.stderr
    assert "migrations default" not in found

    done = command("run", "--check", DB_URL="mysql://app:hunter2@127.0.0.1:1/shop?colour=red")
    assert done.returncode == 2
    assert lines(done)["database default"].startswith(
        "FAILED mysql://app:***@127.0.0.1:1/shop?colour=red: unknown options of a mysql URL: colour"
    )

    done = command("run", "--check", ENVIRONMENT="production", DEBUG="true")
    assert done.returncode == 2
    assert list(lines(done)) == ["settings"]
    assert lines(done)["settings"].startswith("FAILED DEBUG=true (environment variable DEBUG)")

    (folder / "server.py").write_text(SERVER.replace("id: int", "id: int, wishes: set[object]"))
    done = command("run", "--check")
    assert done.returncode == 2
    assert lines(done)["routes"].startswith("FAILED ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("codes", "greatest"),
    [([2, 1], 2), ([1, 2], 2), ([2, 0], 2), ([1, 0], 1), ([0], 0), ([], 0), ([0, 1, 2, 1, 0], 2)],
    ids=repr,
)
def test_the_greatest_code_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, codes: list[int], greatest: int
) -> None:
    """In whatever order the checks found it; a later one that is well, or less wrong, hides
    nothing. Each has its line."""
    made = [CheckFinding(f"check {n}", f"code {code}", code) for n, code in enumerate(codes)]
    monkeypatch.setattr("sanic_ms.cli.check.findings", lambda load: iter(made))
    assert check(lambda: Service("shop")) == greatest
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        f"check {n} {'FAILED' if code else 'ok'} code {code}" for n, code in enumerate(codes)
    ]


def test_a_mistake_in_the_code_counts_more_than_a_database_that_is_away(
    command: Command, folder: Path
) -> None:
    """The routes are looked at first, the database last; a supervisor that starts a service again
    after 1 must not do so here."""
    (folder / "server.py").write_text(SERVER.replace("id: int", "id: int, wishes: set[object]"))
    done = command("run", "--check", DB_URL="postgresql://app@127.0.0.1:1/shop")
    failed = {name for name, line in lines(done).items() if line.startswith("FAILED")}
    assert failed == {"routes", "database default"}
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"HOST": "no-such-host.invalid"}, "HOST='no-such-host.invalid' is not known: "),
        ({"HOST": "192.0.2.1"}, "cannot listen on 192.0.2.1:8000: "),
        (
            {"ADMIN_PORT": "9100", "ADMIN_HOST": "no-such-host.invalid"},
            "ADMIN_HOST='no-such-host.invalid' is not known: ",
        ),
        (
            {"ADMIN_PORT": "9100", "ADMIN_HOST": "192.0.2.1"},
            "cannot listen on 192.0.2.1:9100 (ADMIN_PORT): ",
        ),
        ({"UNIX": "nowhere/app.sock"}, "cannot listen on UNIX='nowhere/app.sock': "),
        ({"UNIX": "server.py"}, "cannot listen on UNIX='server.py': Existing file is not a so"),
        ({"UNIX": "x" * 200}, "cannot listen on UNIX='xxx"),
        ({"TLS_CERT": "no.pem", "TLS_KEY": "no.key"}, "TLS_CERT='no.pem' cannot be read: No such"),
        ({"TLS_CERT": "server.py", "TLS_KEY": "no.key"}, "TLS_KEY='no.key' cannot be read: No suc"),
        ({"LOG_CONFIG": "no.json"}, "LOG_CONFIG='no.json': No such file or directory"),
        (
            {"LOG_CONFIG": "handlers.json"},
            "LOG_CONFIG='handlers.json': Unable to configure han",
        ),
    ],
)
def test_what_settings_name_is_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, variables: dict[str, str], line: str
) -> None:
    """By `--check` and by a start alike, in one line and with exit code 2."""
    (folder / "handlers.json").write_text('{"handlers": {"a": {"class": "nowhere.Handler"}}}')
    monkeypatch.chdir(folder)
    for name in ("PORT", "HOST", "UNIX", "WORKERS", "DB_URL", "SERVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = [finding for finding in findings(lambda: Service("shop")) if finding.code]
    assert [(finding.text[: len(line)], finding.code) for finding in found] == [(line, 2)]
    with pytest.raises(SystemExit) as end:
        Service("shop").run()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"shop: {line}")


CLIENT = """
from sanic_ms.client import Client

@app.before_server_start
async def connect(app):
    app.region = Client("region-service", app=app)
"""
TWINS = """
@app.get("/a", name="same")
@app.get("/b", name="same")
async def a(request):
    return 1
"""
RAISES = """
@app.before_server_start
async def connect(app):
    raise OSError("no disk")
"""
LIVES = """
@app.before_server_start
async def connect(app):
    print("listener begins")

@app.after_server_stop
async def leave(app):
    print("listener ends")
"""


@pytest.mark.parametrize(
    ("code", "line", "exit_code"),
    [
        (CLIENT, "SERVICES names no 'region-service' (known: none); set SERVICES = ", 2),
        (TWINS, "Duplicate route names detected: shop.same.", 1),
        (RAISES, "server.py:13: OSError: no disk", 1),
    ],
)
def test_what_a_start_refuses_is_refused(
    command: Command, folder: Path, code: str, line: str, exit_code: int
) -> None:
    """Also what shows only in parts and listeners: the service is started, and stopped again."""
    (folder / "server.py").write_text(SERVER + code)
    done = command("run", "--check", ADMIN_PORT="9100")
    assert lines(done)["start"].startswith(f"FAILED {line}")
    assert done.returncode == exit_code
    assert "Traceback" not in done.stderr


def test_a_start_to_check_has_its_stop(command: Command, folder: Path) -> None:
    """Listeners of both run, and nothing listens: a port may be in use."""
    (folder / "server.py").write_text(SERVER + LIVES)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = command("run", "--check", ADMIN_PORT=port)
    assert done.returncode == 0, done.stdout
    assert done.stderr == "imported\nlistener begins\nlistener ends\n"


def test_addresses_of_services_are_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the client that calls them reads them."""
    monkeypatch.chdir(folder)
    app = Service("shop")
    app.configure(services={"region": "http://127.0.0.1:1?x=1", "role": "http://127.0.0.1:2"})
    (found,) = [finding for finding in findings(lambda: app) if finding.code]
    assert found.name == "services"
    assert found.text.startswith('SERVICES["region"] is ')


@pytest.mark.parametrize(
    ("setting", "name"), [("port", "address"), ("admin_port", "admin address")]
)
def test_a_port_in_use_is_no_mistake_of_the_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, setting: str, name: str
) -> None:
    """What is checked may be the next version of what listens there."""
    monkeypatch.chdir(folder)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        app = Service("shop")
        app.configure(**{setting: port})
        found = {finding.name: finding for finding in findings(lambda: app)}
    assert found[name] == CheckFinding(name, f"127.0.0.1:{port} (in use now)", 0)


DAY = 86_400.0


@pytest.mark.parametrize(
    ("later", "code", "text"),
    [
        (0.0, 0, "{cert}, valid until "),
        (2 * DAY, 1, "TLS_CERT='{cert}' has expired on "),
        (-DAY, 1, "TLS_CERT='{cert}' is not valid before "),
    ],
    ids=["valid", "expired", "not yet"],
)
def test_a_certificate_that_clients_refuse_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, later: float, code: int, text: str
) -> None:
    """With exit code 1: the settings are right, and a new certificate mends it. A valid one is
    named with its end."""
    cert, key = make_certificate(folder, "shop")
    now = time.time() + later
    monkeypatch.setattr("sanic_ms.server.process.tls.time.time", lambda: now)
    monkeypatch.chdir(folder)
    app = Service("shop")
    app.configure(tls_cert=cert, tls_key=key)
    found = {finding.name: finding for finding in findings(lambda: app)}
    assert found["certificate"].text.startswith(text.format(cert=cert))
    assert found["certificate"].code == code
    assert ("start" in found) == (code == 0)


@pytest.mark.parametrize("health", ["up", "degraded", "down", "raises"])
def test_the_pool_that_asks_a_database_is_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, health: str
) -> None:
    """Whatever the database answers: no connection stays, and the start can open its own. Only one
    that is down, or an error, fails the check."""
    pools: list[ConnectionPool] = []

    async def answer(pool: ConnectionPool) -> Health:
        assert pool.stats().size
        pools.append(pool)
        if health == "raises":
            raise ServerError("no answer")
        return Health(health, "as it says")  # type: ignore[arg-type]

    monkeypatch.setattr(ConnectionPool, "check", answer)
    monkeypatch.chdir(folder)
    app = Service("shop")
    app.configure(db_url=f"sqlite:///{folder / 'shop.db'}")
    found = {finding.name: finding for finding in findings(lambda: app)}
    (pool,) = pools
    assert pool.state is State.STOPPED
    assert pool.stats().size == 0
    assert found["database default"].code == (health in ("down", "raises"))
    assert ("migrations default" in found) == (health in ("up", "degraded"))


@pytest.mark.parametrize("other", [False, True], ids=["default", "other"])
def test_a_record_of_migrations_that_cannot_be_read_fails(
    command: Command, folder: Path, other: bool
) -> None:
    """Another program's table of that name, or one that the user may not read: one line that names
    the table, exit code 1, and no start. `sanic-ms db` says the same."""
    path = folder / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE schema_migration (version INTEGER)")
        connection.commit()
    name, env = "default", {"DB_URL": f"sqlite:///{path}"}
    if other:
        (folder / "migrations" / "0001_items.py").rename(folder / "0001_items.py")
        (folder / "migrations" / "stock").mkdir()
        (folder / "0001_items.py").rename(folder / "migrations" / "stock" / "0001_items.py")
        name, env = "stock", {"DATABASES": f'{{"stock": "sqlite:///{path}"}}'}
    done = command("run", "--check", **env)
    why = "the record of applied migrations, table 'schema_migration', cannot be read: "
    found = lines(done)
    assert found[f"migrations {name}"].startswith(f"FAILED {why}OperationalError: ")
    assert "start" not in found
    assert done.returncode == 1
    assert "Traceback" not in done.stderr

    for word in ("status", "up", "down"):
        done = command("db", word, *(["--database", name] if other else []), **env)
        assert done.returncode == 2
        assert why in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
