"""``sanic-ms routes``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]

SERVER = """\
from sanic_ms import Service, doc

app = Service("shop")
print("imported")


@app.get("/items/<id:int>")
@doc.security("bearer")
async def get_item(request, id):
    return id


@app.post("/items")
async def create_item(request):
    return 1
"""


def test_routes_lists_them(command: Command, tmp_path: Path) -> None:
    """One line a handler: method, path, handler, source line, policy."""
    (tmp_path / "server.py").write_text(SERVER)
    done = command("routes", DOCS="false", HEALTH="false", METRICS="false")
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["POST", "/items", "server.create_item", "server.py:13", "-"],
        ["GET", "/items/<id:int>", "server.get_item", "server.py:7", "bearer"],
    ]


def test_routes_without_a_policy_fail(command: Command, tmp_path: Path) -> None:
    """For a script: exit code 1 and the routes as JSON; 0 and an empty list where there are none.
    A service that refuses to start for them is listed too."""
    (tmp_path / "server.py").write_text(SERVER)
    done = command("routes", "--without-policy", "--json", DENY_BY_DEFAULT="true")
    assert done.returncode == 1
    assert [(entry["path"], entry["policy"]) for entry in json.loads(done.stdout)] == [
        ("/items", None)
    ]
    (tmp_path / "server.py").write_text(SERVER.replace('@app.post("/items")\n', ""))
    done = command("routes", "--without-policy", "--json", DENY_BY_DEFAULT="true")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], "imported\n")
