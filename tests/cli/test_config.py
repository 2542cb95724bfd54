"""``sanic-ms config``: every setting, its value and its source; no secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from sanic_ms.config import Settings
from sanic_ms.telemetry.logging import shipped_text

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_every_setting_is_shown_with_its_source(command: Command, tmp_path: Path) -> None:
    """Values as they count, one line each; secrets are masked."""
    (tmp_path / "settings.py").write_text("API_KEY = 'hunter2'\nHOST = 'h'\n")
    (tmp_path / ".env").write_text("DB_URL=postgresql://u:hunter2@h/d\n")
    done = command("config", PORT="9000")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert set(rows) == {name.upper() for name in Settings.__struct_fields__} | {"API_KEY"}
    assert rows["HOST"] == ["h", "settings.py"]
    assert rows["PORT"] == ["9000", "environment", "variable", "PORT"]
    assert rows["DB_URL"] == ["postgresql://u:***@h/d", ".env", "line", "1"]
    assert rows["API_KEY"] == ["***", "settings.py"]
    assert rows["UNIX"] == ["-", "default"]
    assert "hunter2" not in done.stdout


def test_secret_files_are_shown_by_their_path(command: Command, tmp_path: Path) -> None:
    """Where a value came from, and nothing of it; a file that is missing is one line."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin_token").write_text("hunter2" * 3)
    (tmp_path / "url").write_text("postgresql://u:p@hunter2/d\n")
    variables = {"SANIC_MS_SECRETS_DIR": "secrets", "DB_URL_FILE": "url"}
    done = command("config", "--json", **variables)
    rows = json.loads(done.stdout)
    assert "hunter2" not in done.stdout + done.stderr
    assert rows["DB_URL"] == {
        "value": "***",
        "source": "environment variable DB_URL_FILE, file url",
    }
    assert rows["ADMIN_TOKEN"]["source"].endswith("secrets/admin_token")
    (tmp_path / "url").unlink()
    done = command("config", **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "sanic-ms: DB_URL (environment variable DB_URL_FILE, file url): the file cannot be read: "
        "No such file or directory\n"
    )


def test_json_is_for_programs(command: Command, tmp_path: Path) -> None:
    """One object with values in their types; what JSON cannot hold is shown as text."""
    (tmp_path / "settings.py").write_text("from pathlib import Path\nPLACE = Path('x')\n")
    rows = json.loads(command("config", "--json", WORKERS="3").stdout)
    assert rows["WORKERS"] == {"value": 3, "source": "environment variable WORKERS"}
    assert rows["PLACE"] == {"value": "x", "source": "settings.py"}
    assert rows["SERVICES"] == {"value": {}, "source": "default"}


def test_a_wrong_setting_is_one_line_and_exit_code_2(command: Command) -> None:
    """The line that would stop the start."""
    done = command("config", PORT="0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "sanic-ms: PORT='0' (environment variable PORT): "
        "allowed is a whole number from 1 to 65535\n"
    )


def test_the_shipped_logging_configuration_can_be_printed(command: Command) -> None:
    """To be copied: what is printed is the file, to the byte."""
    done = command("config", "--log-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shipped_text()


SERVER = """\
from typing import Annotated
from sanic_ms import Service, Settings
from sanic_ms.config import Secret

class Own(Settings, frozen=True, kw_only=True):
    limit: int = 3
    pin: Annotated[str, Secret] = "hunter2"

app = Service("own", settings=Own)
app.configure(host="::1")
"""


def test_a_services_own_settings_are_shown(command: Command, tmp_path: Path) -> None:
    """Where there is a service, what it loads is shown: its class, its keywords, its marks."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "server.py").write_text(SERVER)
    rows = json.loads(command("config", "--json", "--dir", "own", LIMIT="4").stdout)
    assert rows["LIMIT"] == {"value": 4, "source": "environment variable LIMIT"}
    assert rows["HOST"] == {"value": "::1", "source": "keyword"}
    assert rows["PIN"] == {"value": "***", "source": "default"}


def test_a_service_that_cannot_be_imported_leaves_the_frameworks_settings(
    command: Command, tmp_path: Path
) -> None:
    """The command is for finding mistakes, so another one does not stop it; a named target does."""
    (tmp_path / "server.py").write_text("import nothing_like_it\n")
    done = command("config")
    assert done.returncode == 0
    assert done.stderr.startswith("sanic-ms: server.py:1: ModuleNotFoundError: No module named")
    assert "PORT" in done.stdout
    assert command("config", "server").returncode == 2
