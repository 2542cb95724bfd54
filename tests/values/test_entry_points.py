"""Entry points: database drivers and verbs of other packages."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from sanic_ms.cli import main
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import ConfigError
from sanic_ms.models.database import peewee_database
from sanic_ms.values import DatabaseURL
from sanic_ms.values.entry_points import entry_names, load_entry

Install = Callable[..., str]

DRIVER = """
from sanic_ms.db.drivers.sqlite.driver import make_driver as make_sqlite
from sanic_ms.values import DatabaseURL

seen = []

def make_driver(url):
    seen.append(url)
    return make_sqlite(DatabaseURL("sqlite", ":memory:"))

def make_nothing(url):
    return None
"""
VERB = """
import typer

def greet(name: str = "you") -> None:
    "Greet somebody."
    print("hello", name)

group = typer.Typer(help="A group of verbs.")

@group.command("one")
def one() -> None:
    print("one")

@group.command("two")
def two() -> None:
    print("two")

number = 3
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package with one module and its entry points. Gives the module's name."""

    def make(text: str, points: str, *, name: str = "acme") -> str:
        module = f"module_{uuid.uuid4().hex}"
        folder = tmp_path / module
        (folder / f"{name}-1.2.dist-info").mkdir(parents=True)
        (folder / f"{module}.py").write_text(text)
        (folder / f"{name}-1.2.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
        )
        (folder / f"{name}-1.2.dist-info" / "entry_points.txt").write_text(
            points.replace("MODULE", module)
        )
        monkeypatch.syspath_prepend(folder)
        return module

    return make


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code and the two outputs of ``sanic-ms WORDS``."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main(words)
    out, err = capfd.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, out, err


async def test_a_driver_of_another_package(install: Install) -> None:
    """Its scheme is that of a database URL, and its function makes the pool's driver."""
    module = install(DRIVER, "[sanic_ms.drivers]\nmemo = MODULE:make_driver\n")
    pool = ConnectionPool("memo://ann:secret@/?depth=2")
    await pool.start()
    try:
        assert await pool.fetchval("SELECT 41 + 1") == 42
    finally:
        await pool.stop()
    seen = __import__(module).seen[0]
    assert seen == DatabaseURL("memo", "", "", 0, "ann", "secret", {"depth": "2"})
    assert seen.masked == "memo://ann:***@/?depth=2"


@pytest.mark.parametrize(
    "text", ["memo://host:7/name", "memo:///name", "memo://", "memo://a%3A:b%40@h/x%2Fy?z=1"]
)
def test_urls_of_its_scheme(install: Install, text: str) -> None:
    """All parts are optional, and the URL is read again as it was."""
    install(DRIVER, "[sanic_ms.drivers]\nmemo = MODULE:make_driver\n")
    url = DatabaseURL.parse(text)
    assert url.scheme == "memo"
    assert DatabaseURL.parse(url.url) == url


def test_an_unknown_scheme_names_those_of_packages(install: Install) -> None:
    """Beside our own."""
    install(DRIVER, "[sanic_ms.drivers]\nmemo = MODULE:make_driver\n")
    with pytest.raises(ValueError, match=r"allowed: postgresql, mysql, sqlite, .*memo"):
        DatabaseURL.parse("oracle://x/y")


@pytest.mark.parametrize(
    ("point", "says"),
    [
        ("MODULE:missing", "sanic_ms.drivers 'memo' of acme 1.2 cannot be loaded: AttributeError"),
        ("no_such_module_1:x", "of acme 1.2 cannot be loaded: ModuleNotFoundError"),
        ("MODULE:seen", r"memo:// has no driver \(sanic_ms.drivers gives \[\]\)"),
        ("MODULE:make_nothing", "made None, which is no Driver"),
    ],
)
async def test_a_broken_driver_is_one_line(install: Install, point: str, says: str) -> None:
    """With the package, and without the password."""
    install(DRIVER, f"[sanic_ms.drivers]\nmemo = {point}\n")
    with pytest.raises(ConfigError, match=says) as refused:
        await ConnectionPool("memo://ann:secret@h/x").start()
    assert "secret" not in str(refused.value)


def test_migrations_do_not_know_it(install: Install) -> None:
    """A clear error, where a driver of Peewee's would be needed."""
    install(DRIVER, "[sanic_ms.drivers]\nmemo = MODULE:make_driver\n")
    with pytest.raises(ConfigError, match=r"memo://.*migrations and models know postgresql"):
        peewee_database("memo://h/x")


def test_our_own_schemes_stay_ours(install: Install) -> None:
    """Another package's driver for them is not used."""
    module = install(DRIVER, "[sanic_ms.drivers]\nsqlite = MODULE:make_driver\n")
    ConnectionPool("sqlite://")
    assert __import__(module).seen == []


def test_verbs_of_another_package(install: Install, capfd: pytest.CaptureFixture[str]) -> None:
    """A function is a verb, and a `typer.Typer` a group of them; the help shows both."""
    install(VERB, "[sanic_ms.commands]\ngreet = MODULE:greet\nmany = MODULE:group\n")
    assert run(capfd, "greet", "--name", "Ann") == (0, "hello Ann\n", "")
    assert run(capfd, "many", "two") == (0, "two\n", "")
    code, out, _ = run(capfd, "--help")
    assert code == 0
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["greet", "Greet somebody."] in lines
    assert ["many", "A group of verbs."] in lines
    assert run(capfd, "greet", "--nam")[0] == 2


@pytest.mark.parametrize(
    ("point", "says"),
    [
        ("MODULE:missing", "cannot be loaded: AttributeError"),
        ("no_such_module_1", "cannot be loaded: ModuleNotFoundError"),
        ("MODULE:number", "is a int: give a function or a typer.Typer"),
    ],
)
def test_a_broken_verb_breaks_no_other(
    install: Install, capfd: pytest.CaptureFixture[str], point: str, says: str
) -> None:
    """It is one line with exit code 2, whatever stands behind it; the help and others work."""
    install(VERB, f"[sanic_ms.commands]\nbroken = {point}\ngreet = MODULE:greet\n")
    for words in (("broken",), ("broken", "--help"), ("broken", "x", "--y", "z")):
        code, out, err = run(capfd, *words)
        assert (code, out) == (2, "")
        assert says in err
        assert len(err.splitlines()) == 1
    assert run(capfd, "greet") == (0, "hello you\n", "")
    code, out, _ = run(capfd, "--help")
    assert code == 0
    assert ["broken", "cannot be loaded"] in [line.split(maxsplit=1) for line in out.splitlines()]


def test_a_verb_of_ours_stays_ours(install: Install, capfd: pytest.CaptureFixture[str]) -> None:
    """Another package cannot take its name."""
    install(VERB, "[sanic_ms.commands]\nroutes = MODULE:greet\n")
    code, out, _ = run(capfd, "routes", "--help")
    assert code == 0
    assert "policy of every route" in " ".join(out.split())


def test_two_packages_with_one_name(install: Install, capfd: pytest.CaptureFixture[str]) -> None:
    """An error that names both, and not the one that is found first."""
    install(VERB, "[sanic_ms.commands]\ngreet = MODULE:greet\n", name="acme")
    install(VERB, "[sanic_ms.commands]\ngreet = MODULE:greet\n", name="other")
    code, _, err = run(capfd, "greet")
    assert code == 2
    assert "is offered by several packages: acme 1.2 and other 1.2" in err


def test_groups_without_entries() -> None:
    """Nothing, and no error."""
    assert entry_names("sanic_ms.nothing") == []
    assert load_entry("sanic_ms.nothing", "x") is None
