"""``sanic-ms run --check``."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
    checked = ["settings", "routes", "document", "database default", "migrations default"]
    assert list(found) == checked
    assert found["migrations default"] == "FAILED 1 pending (0001_items): run sanic-ms db up"
    assert done.stderr == "imported\n"

    assert command("db", "up", DB_URL=url).returncode == 0
    done = command("run", "--check", DB_URL=url)
    found = lines(done)
    assert done.returncode == 0
    assert found["settings"] == "ok ENVIRONMENT=development"
    assert found["document"] == "ok OpenAPI 3.1.0, 1 paths"
    assert found["migrations default"] == "ok all of migrations are applied"


def test_what_is_wrong_is_one_line(command: Command, folder: Path) -> None:
    """A database that is not there, and its migrations are not looked at; a setting; a handler."""
    done = command("run", "--check", DB_URL="postgresql://app:hunter2@127.0.0.1:1/shop")
    found = lines(done)
    assert done.returncode == 1
    assert found["database default"].startswith("FAILED ")
    assert "hunter2" not in done.stdout + done.stderr
    assert "migrations default" not in found

    done = command("run", "--check", ENVIRONMENT="production", DEBUG="true")
    assert done.returncode == 1
    assert list(lines(done)) == ["settings"]
    assert lines(done)["settings"].startswith("FAILED DEBUG=true (environment variable DEBUG)")

    (folder / "server.py").write_text(SERVER.replace("id: int", "id: int, wishes: set[object]"))
    done = command("run", "--check")
    assert done.returncode == 1
    assert lines(done)["routes"].startswith("FAILED ")
    assert "Traceback" not in done.stderr
