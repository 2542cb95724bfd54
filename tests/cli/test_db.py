"""``sanic-ms db``: what each verb prints, and the exit codes that scripts trust."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sanic_ms.cli import main
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import LifecycleError

MODELS = """\
from peewee import *

class User(Model):
    name = CharField(max_length=20)

    class Meta:
        table_name = "users"
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


Db = Callable[..., Done]


@pytest.fixture
def db(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Db]:
    """``db("up")`` runs ``sanic-ms db up`` in the test's folder, a service with a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("DB_URL", "DATABASES", "MODELS", "MIGRATIONS", "MIGRATIONS_TABLE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "settings.py").write_text('DB_URL = "sqlite:///app.db"\n')

    def run(*words: str) -> Done:
        for name in ("models", "settings", "reports"):
            sys.modules.pop(name, None)
        with pytest.raises(SystemExit) as end:
            main(["db", *words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Done(int(end.value.code or 0), out, err)

    yield run
    for name in ("models", "settings", "reports"):
        sys.modules.pop(name, None)


def test_from_models_to_tables(db: Db, tmp_path: Path) -> None:
    """make, up, status and diff, each said in a line and an exit code."""
    assert db("diff") == Done(1, "create table users\n", "")
    assert db("make") == Done(0, "migrations/0001_initial.py\n", "")
    assert db("status") == Done(1, "pending   0001_initial\n", "")
    done = db("sql")
    assert done.code == 0
    assert 'CREATE TABLE IF NOT EXISTS "users" (' in done.out
    assert not (tmp_path / "app.db").exists()
    assert db("up") == Done(0, "applied 0001_initial\n", "")
    assert db("up") == Done(0, "nothing to do: up to date\n", "")
    assert db("diff") == Done(0, "the database is as the models say\n", "")
    assert db("make") == Done(0, "nothing to do: the database is as the models say\n", "")
    done = db("status")
    assert done.code == 0
    assert done.out.startswith("applied   0001_initial  20")
    assert db("sql") == Done(0, "-- nothing to do: up to date\n", "")
    assert db("down") == Done(0, "took back 0001_initial\n", "")
    assert db("down") == Done(0, "nothing to do: none is applied\n", "")


def test_json_is_for_programs(db: Db) -> None:
    """Every verb that prints data prints it as JSON, and nothing else on standard output."""
    assert json.loads(db("diff", "--json").out) == [
        {"kind": "create_table", "table": "users", "column": None, "text": "create table users"}
    ]
    assert json.loads(db("make", "--json").out) == {
        "path": "migrations/0001_initial.py",
        "warnings": [],
    }
    assert json.loads(db("status", "--json").out) == [
        {"name": "0001_initial", "state": "pending", "applied_at": None, "problem": None}
    ]
    (planned,) = json.loads(db("sql", "--json").out)
    assert planned["migration"] == "0001_initial"
    assert planned["statements"]
    assert planned["problem"] is None
    assert json.loads(db("up", "--json").out) == {"applied": ["0001_initial"]}
    assert json.loads(db("make", "--json").out) == {"path": None, "warnings": []}
    assert json.loads(db("diff", "--json").out) == []
    assert json.loads(db("down", "--json").out) == {"took_back": ["0001_initial"]}
    assert json.loads(db("up", "--fake", "--json").out) == {"recorded": ["0001_initial"]}


def test_warnings_go_to_standard_error(db: Db, tmp_path: Path) -> None:
    """So that the path can be taken from standard output."""
    db("make")
    db("up")
    (tmp_path / "models.py").write_text(MODELS.replace("name = Char", "title = Char"))
    done = db("make", "rename")
    assert done.code == 0
    assert done.out == "migrations/0002_rename.py\n"
    assert "warning: users.name is dropped, with what is in it\n" in done.err
    assert 'migrator.rename_column("users", "name", "title")' in done.err


def test_an_empty_file_needs_no_database(db: Db, tmp_path: Path) -> None:
    """It is for what no comparison finds: moving values, seeding."""
    (tmp_path / "models.py").write_text("broken(")
    assert db("make", "--empty", "seed") == Done(0, "migrations/0001_seed.py\n", "")


def test_a_failed_migration_is_exit_code_1(db: Db) -> None:
    """It was tried; nothing else gives 1 here."""
    db("make", "--empty", "seed")
    done = db("up")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("sanic-ms: migrations/0001_seed.py:")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["up", "7"], "'7' is not a migration (there are: 0001_initial)"),
        (["down", "7"], "'7' is not an applied migration (there are: none)"),
        (["status", "--url", "shop.db"], "--url: not a database URL"),
        (
            ["up", "--url", "postgresql://ann:s3cret@127.0.0.1:1/x"],
            "cannot open postgresql://ann:***",
        ),
        (["status", "--database", "reports"], "not in the setting DATABASES (there: none)"),
        (["status", "--migrations", "none"], "there is no folder"),
        (["status", "--dir", "none"], "--dir none: No such file or directory"),
        (["diff", "--models", "nothing"], "there is no module 'nothing'"),
        (["make", "../.."], "is no name for a file"),
        (["make"], "not applied yet: 0001_initial"),
        (["sql", "9"], "'9' is not a migration"),
        (["up", "--wait", "-1"], "--wait"),
        (["nothing"], "nothing"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(db: Db, words: list[str], message: str) -> None:
    """What was wrong and what to do; no secret, no traceback, nothing changed."""
    db("make")
    if words[:2] == ["make", "../.."]:
        db("up")
        Path("models.py").write_text(MODELS.replace("20", "30"))
    done = db(*words)
    assert done.code == 2
    assert message in done.err
    assert "s3cret" not in done.err
    assert done.out == ""


def test_without_a_database_it_says_what_to_set(db: Db, tmp_path: Path) -> None:
    """Or to give."""
    (tmp_path / "settings.py").write_text("")
    assert db("status") == Done(
        2, "", "sanic-ms: no database: set DB_URL, or give --url sqlite:///app.db\n"
    )


def test_a_broken_settings_or_models_module_is_named(db: Db, tmp_path: Path) -> None:
    """With file and line."""
    (tmp_path / "models.py").write_text("import peewee\n1 / 0\n")
    assert db("diff") == Done(2, "", "sanic-ms: models.py:2: ZeroDivisionError: division by zero\n")
    (tmp_path / "settings.py").write_text("x = \n")
    done = db("status")
    assert done.code == 2
    assert "settings.py line 1: SyntaxError" in done.err


def test_options_win_over_settings(db: Db, tmp_path: Path) -> None:
    """--url, --models and --migrations; --dir is the folder of the service."""
    (tmp_path / "reports.py").write_text(MODELS.replace("users", "reports"))
    words = ("--url", "sqlite:///other.db", "--migrations", "changes")
    assert db("make", *words, "--models", "reports").out == "changes/0001_initial.py\n"
    assert db("up", *words).out == "applied 0001_initial\n"
    assert db("diff", *words[:2], "--models", "reports").code == 0
    assert db("diff", *words[:2], "--models", "reports", "--models", "models").code == 1
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "app.db").exists()
    assert db("status", *words, "--dir", str(tmp_path)).code == 0


def test_one_of_several_databases(db: Db, tmp_path: Path) -> None:
    """Each has a folder of its own; which models are its own must be said."""
    (tmp_path / "settings.py").write_text(
        'DB_URL = "sqlite:///app.db"\nDATABASES = {"reports": "sqlite:///reports.db"}\n'
    )
    (tmp_path / "reports.py").write_text(MODELS.replace("users", "reports"))
    done = db("make", "--database", "reports")
    assert done.code == 2
    assert "say which models are its own with --models MODULE" in done.err
    done = db("make", "--database", "reports", "--models", "reports")
    assert done.out == "migrations/reports/0001_initial.py\n"
    assert db("up", "--database", "reports").code == 0
    assert (tmp_path / "reports.db").exists()
    assert not (tmp_path / "app.db").exists()


def test_the_record_may_have_another_table(db: Db, tmp_path: Path) -> None:
    """MIGRATIONS_TABLE: services that share a database do not share their record."""
    db("make")
    settings = tmp_path / "settings.py"
    settings.write_text('DB_URL = "sqlite:///app.db"\nMIGRATIONS_TABLE = "users_migration"\n')
    assert '"users_migration"' in db("sql").out
    db("up")
    settings.write_text('DB_URL = "sqlite:///app.db"\n')
    assert db("status").out == "pending   0001_initial\n"


def test_a_problem_shows_in_status(db: Db, tmp_path: Path) -> None:
    """A file that is gone gives exit code 1, and a line that says what may have happened."""
    db("make")
    db("up")
    (tmp_path / "migrations" / "0001_initial.py").rename(tmp_path / "0001_initial.py")
    done = db("status")
    assert done.code == 1
    state, problem = done.out.splitlines()
    assert state.startswith("missing   0001_initial  20")
    assert problem.strip().startswith("was applied and its file is gone")


@pytest.mark.parametrize("verb", ["", "make", "up", "down", "status", "diff", "sql"])
def test_help_has_an_example(db: Db, verb: str) -> None:
    """For the group and each verb."""
    done = db(*filter(None, [verb]), "--help")
    assert done.code == 0
    assert f"Example: sanic-ms db {verb}" in done.out


def test_help_loads_no_database_library() -> None:
    """The command line answers at once: Peewee is imported by a verb that needs it."""
    program = "import sys, sanic_ms.cli; print('peewee' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"


def test_create_makes_the_database_once(db: Db, tmp_path: Path) -> None:
    """And says where, without the password; up makes its tables. A refusal is 1."""
    done = db("create")
    assert (done.code, done.out) == (0, "created sqlite:///app.db\n")
    assert (tmp_path / "app.db").exists()
    assert json.loads(db("create", "--json").out) == {
        "database": "sqlite:///app.db",
        "created": False,
    }
    assert db("create").out == "nothing to do: sqlite:///app.db is there\n"
    done = db("create", "--url", "postgresql://app:hunter2@127.0.0.1:1/shop")
    assert done.code == 1
    assert "cannot open postgresql://app:***@127.0.0.1:1/postgres" in done.err
    assert db("create", "--url", "oracle://x/y").code == 2


@pytest.mark.parametrize("fixture", ["postgres_url", "mysql_url"])
def test_a_missing_database_is_offered_to_be_made(
    db: Db, fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """By the verbs that come first, and by a service that starts; the offer is true."""
    server_url = request.getfixturevalue(fixture)
    name = f"sanic_ms_{uuid.uuid4().hex[:12]}"
    url = f"{server_url.rpartition('/')[0]}/{name}"
    (tmp_path / "settings.py").write_text(f"DB_URL = {url!r}\n")
    for verb in ("make", "diff"):
        done = db(verb)
        assert done.code == 2
        assert "sanic-ms db create makes it" in done.err
        assert len(done.err.splitlines()) == 1
    with pytest.raises(LifecycleError, match="sanic-ms db create makes it"):
        asyncio.run(with_pool(url))
    assert db("create").out.startswith("created ")
    try:
        assert db("make", "first").code == 0
        assert db("up").code == 0
        asyncio.run(with_pool(url))
    finally:
        asyncio.run(with_pool(server_url, f"DROP DATABASE {name}"))


async def with_pool(url: str, *statements: str) -> None:
    """A pool starts and runs them."""
    pool = ConnectionPool(url)
    await pool.start()
    for statement in statements:
        await pool.execute(statement)
    await pool.stop()
