"""``sanic-ms db`` and ``run --check`` of a service whose packages need tables."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

SERVER = """\
from pathlib import Path

from sanic_ms import Service
from sanic_ms.values import TableSet

app = Service("shop")
app.framework_tables.use(TableSet("acme.audit", Path(__file__).parent / "audit"))
app.framework_tables.use(TableSet("acme.audit", Path(__file__).parent / "audit"), "reports")
print("imported")
"""
ENTRIES = """\
def up(migrator, db):
    db.execute_sql("CREATE TABLE acme_audit_entries (id INTEGER PRIMARY KEY)")
"""
OWN = "def up(migrator, db):\n    pass\n\n\ndef down(migrator, db):\n    pass\n"

pytestmark = pytest.mark.usefixtures("applications")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service that uses a package with tables in both of its databases."""
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "settings.py").write_text(
        'DB_URL = "sqlite:///shop.db"\nDATABASES = {"reports": "sqlite:///reports.db"}\n'
    )
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_own.py").write_text(OWN)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "0001_entries.py").write_text(ENTRIES)
    return tmp_path


def test_up_applies_them_first(command: Command, folder: Path) -> None:
    """Of the service in the folder; what it prints is not the command's output."""
    done = command("db", "status")
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "pending   acme.audit.0001_entries\npending   0001_own\n",
        "imported\n",
    )
    done = command("db", "sql", "--json")
    assert [entry["migration"] for entry in json.loads(done.stdout)] == [
        "acme.audit.0001_entries",
        "0001_own",
    ]
    done = command("db", "up")
    assert done.stdout == "applied acme.audit.0001_entries\napplied 0001_own\n"
    assert command("db", "up").stdout == "nothing to do: up to date\n"
    assert command("db", "status").returncode == 0
    assert command("db", "down").stdout == "took back 0001_own\n"
    assert command("db", "down").stdout == "nothing to do: none is applied\n"
    done = command("db", "down", "acme.audit.0001_entries")
    assert done.returncode == 2
    assert "tables of the framework's packages are left alone" in done.stderr


def test_each_database_has_its_sets(command: Command, folder: Path) -> None:
    """One without migrations of the service's own has them alone."""
    done = command("db", "up", "--database", "reports")
    assert (done.returncode, done.stdout) == (0, "applied acme.audit.0001_entries\n")
    assert command("db", "status").returncode == 1


def test_the_service_may_be_named_or_left_out(command: Command, folder: Path) -> None:
    """--service for another module; --no-service loads none."""
    (folder / "server.py").rename(folder / "shop.py")
    assert command("db", "up", "--json").stdout == '{\n  "applied": [\n    "0001_own"\n  ]\n}\n'
    done = command("db", "up", "--service", "shop:app", "--json")
    assert json.loads(done.stdout) == {"applied": ["acme.audit.0001_entries"]}
    (folder / "shop.py").rename(folder / "server.py")
    done = command("db", "status", "--no-service")
    assert (done.returncode, done.stderr) == (0, "")
    done = command("db", "up", "--no-service", "--service", "shop:app")
    assert done.returncode == 2
    assert "give one of them" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import there_is_none\n", "there_is_none"),
        ("raise ValueError('no')\n", "server.py:1: ValueError: no"),
    ],
)
def test_a_service_that_cannot_be_loaded_stops_it(
    command: Command, folder: Path, text: str, message: str
) -> None:
    """One line with the way out: nobody knows which tables it needs."""
    (folder / "server.py").write_text(text)
    for verb in ("up", "status", "sql"):
        done = command("db", verb)
        assert done.returncode == 2
        assert message in done.stderr
        assert "--no-service leaves them out" in done.stderr
        assert command("db", verb, "--no-service").returncode != 2
    (folder / "server.py").write_text("from sanic import Sanic\n\napp = Sanic('old')\n")
    assert command("db", "status").returncode == 0  # another one's module of that name
    assert command("db", "up", "--service", "server:app").returncode == 2


def test_check_names_the_command(command: Command, folder: Path) -> None:
    """Pending tables are exit code 1, also without migrations of the service's own; then all is
    well, and the service starts."""
    done = command("run", "--check")
    assert done.returncode == 1
    for database, names, more in (
        ("default", "acme.audit.0001_entries, 0001_own", ""),
        ("reports", "acme.audit.0001_entries", " --database reports"),
    ):
        assert f"({names}): run sanic-ms db up{more}\n" in done.stdout, database
    assert "start" not in done.stdout
    command("db", "up")
    command("db", "up", "--database", "reports")
    done = command("run", "--check")
    assert done.returncode == 0, done.stdout
    assert "all of acme.audit, migrations are applied" in done.stdout
    assert "all of acme.audit are applied" in done.stdout


def test_check_of_a_database_in_memory(command: Command, folder: Path) -> None:
    """A mistake in the settings: no command can make tables there."""
    done = command("run", "--check", DB_URL="sqlite://:memory:")
    assert done.returncode == 2
    assert "default is in memory: name a file" in done.stdout


def test_a_start_without_them_is_one_line(
    command: Command, folder: Path, free_port: Callable[[], int]
) -> None:
    """The process ends with the command to run; another module is named in it."""
    (folder / "server.py").rename(folder / "shop.py")
    done = command("run", "shop:app", "--port", str(free_port()))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "lacks tables" in line]
    assert line.endswith(
        "the database default lacks tables of acme.audit (acme.audit.0001_entries): run sanic-ms "
        "db up --service shop:app"
    )
    assert "Traceback" not in done.stderr
