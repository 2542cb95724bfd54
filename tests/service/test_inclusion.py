"""``app.include``: modules by name, and what their decorators have marked."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sanic_ms import Service
from sanic_ms.exception import LifecycleError
from sanic_ms.testing import TestClient

COMMANDS = """
from sanic_ms import command

@command
def {name}() -> str:
    return "{name}"
"""


@pytest.fixture
def app() -> Service:
    """A service that no other test has."""
    return Service(f"service_{uuid.uuid4().hex}", configure_logging=False)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write files below a package that no other test has. Gives the package's name."""
    package = f"package_{uuid.uuid4().hex}"
    monkeypatch.syspath_prepend(tmp_path)

    def files(**texts: str) -> str:
        for name, text in {"__init__": "", **texts}.items():
            file = tmp_path / package / f"{name.replace('9', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return package

    return files


def names(app: Service) -> list[str]:
    """The names of a service's commands."""
    return [entry.name for entry in app.commands]


def test_a_module_is_imported_and_its_marks_are_registered(
    app: Service, write: Callable[..., str]
) -> None:
    """Only what it defines: a marked function that it imports belongs to its own module."""
    package = write(first=COMMANDS.format(name="one"))
    imported = f"from {package}.first import one\n"
    write(first=COMMANDS.format(name="one"), second=imported + COMMANDS.format(name="two"))
    app.include(f"{package}.second")
    assert names(app) == ["two"]
    app.include(f"{package}.first", f"{package}.second")
    assert names(app) == ["one", "two"]


def test_a_package_includes_its_modules(app: Service, write: Callable[..., str]) -> None:
    """At all depths, but for a program (``__main__``), which would run."""
    package = write(
        __init__=COMMANDS.format(name="top"),
        jobs=COMMANDS.format(name="middle"),
        deep9__init__="",
        deep9inner=COMMANDS.format(name="low"),
        __main__="raise SystemExit('it ran')",
    )
    app.include(package)
    assert names(app) == ["low", "middle", "top"]


def test_included_twice_is_once_and_each_service_has_its_own(
    app: Service, write: Callable[..., str]
) -> None:
    """A mark is registered once with each service that includes its module."""
    package = write(jobs=COMMANDS.format(name="one"))
    registered: list[tuple[Any, str]] = []
    module = __import__(f"{package}.jobs").jobs

    class Seen:
        def register(self, service: Any, function: Any) -> None:
            registered.append((service, function.__name__))

    from sanic_ms.values.marks import mark

    mark(module.one, Seen())
    other = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.include(f"{package}.jobs")
    app.include(package, f"{package}.jobs")
    other.include(package)
    assert registered == [(app, "one"), (other, "one")]
    assert names(app) == names(other) == ["one"]


def test_a_missing_module_is_named(app: Service, write: Callable[..., str]) -> None:
    """Also where a package of its name is missing; nothing of the others is registered."""
    package = write(jobs=COMMANDS.format(name="one"))
    for missing in (f"{package}.jobz", f"{package}.jobs.more", "no_such_package.jobs"):
        with pytest.raises(LifecycleError, match=f"there is no module '{missing}'"):
            app.include(f"{package}.jobs", missing)
    assert names(app) == []


@pytest.mark.parametrize("name", [None, ["shop.jobs"], 3])
def test_what_is_no_text_is_refused(app: Service, name: Any) -> None:
    """A list of names too."""
    with pytest.raises(TypeError, match="give names of modules, as texts"):
        app.include(name)


@pytest.mark.parametrize("name", ["", ".jobs", "shop/jobs.py", "shop..jobs", "shop jobs"])
def test_what_is_no_name_is_refused(app: Service, name: str) -> None:
    """A path, and a relative name."""
    with pytest.raises(ValueError, match="no name of a module"):
        app.include(name)


def test_an_error_of_the_module_goes_through(app: Service, write: Callable[..., str]) -> None:
    """A library that it misses is not taken for the module itself."""
    package = write(jobs="import no_such_library", wrong="1 / 0")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        app.include(f"{package}.jobs")
    with pytest.raises(ZeroDivisionError):
        app.include(f"{package}.wrong")


async def test_a_running_service_includes_nothing_more(app: Service) -> None:
    """What it would register has its place in the start."""
    async with TestClient(app):
        with pytest.raises(LifecycleError, match="include before it starts"):
            app.include("json")


PROGRAM = """
from sanic_ms import Service, command

app = Service("shop")

@command
def here() -> None:
    pass

app.include("shop")
print([entry.name for entry in app.commands])
"""


@pytest.mark.parametrize("words", [["-m", "shop.server"], ["shop/server.py"]])
def test_the_program_itself_is_not_imported_again(tmp_path: Path, words: list[str]) -> None:
    """A package that holds the running program: a second import would make its service twice."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "server.py").write_text(PROGRAM)
    (tmp_path / "shop" / "jobs.py").write_text(COMMANDS.format(name="one"))
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.stdout == "['here', 'one']\n", done.stderr
