"""The settings module: how it is found, imported, and what is said when it fails."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sanic_ms.config import Loaded, Settings, load_settings
from sanic_ms.config.sources import from_module
from sanic_ms.exception import ConfigError

Load = Callable[..., Loaded[Settings]]


def test_the_module_can_be_named(tmp_path: Path) -> None:
    """SANIC_MS_SETTINGS names it, in a package too; an argument wins."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "__init__.py").write_text("")
    (tmp_path / "conf" / "prod.py").write_text("HOST = 'prod'\n")
    (tmp_path / "other.py").write_text("HOST = 'other'\n")
    env = {"SANIC_MS_SETTINGS": "conf.prod"}
    loaded = load_settings(env=env, directory=tmp_path)
    assert (loaded.settings.host, loaded.sources["HOST"]) == ("prod", "prod.py")
    assert load_settings(env=env, directory=tmp_path, module="other").settings.host == "other"


@pytest.mark.parametrize("name", ["nothing", "nothing.at.all", "conf.nothing"])
def test_a_named_module_must_exist(tmp_path: Path, name: str) -> None:
    """Only the default module may be missing."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "__init__.py").write_text("")
    with pytest.raises(ConfigError, match=f"^the settings module '{name}' is not in "):
        load_settings(env={"SANIC_MS_SETTINGS": name}, directory=tmp_path)


def test_the_default_module_is_looked_for_in_the_folder_only(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A "settings" module that some library brings is not the service's."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "settings.py").write_text("PORT = 1\n")
    monkeypatch.syspath_prepend(str(elsewhere))
    assert load().settings.port == 8000
    (tmp_path / "settings").mkdir()
    assert load().settings.port == 8000, "a folder without __init__.py is no module"


def test_the_import_path_is_left_as_it_was(load: Load, tmp_path: Path) -> None:
    """Reading settings changes nothing for the imports that follow, also when it fails."""
    before = list(sys.path)
    (tmp_path / "sibling.py").write_text("NUMBER = 4242\n")
    (tmp_path / "settings.py").write_text("from sibling import NUMBER as PORT\n")
    assert load().settings.port == 4242
    assert sys.path == before
    (tmp_path / "bad.py").write_text("1 / 0\n")
    with pytest.raises(ConfigError):
        load_settings(env={}, directory=tmp_path, module="bad")
    assert sys.path == before
    assert "bad" not in sys.modules


def test_the_module_runs_once(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's own "import settings" gives the module that was read, not a second run."""
    (tmp_path / "settings.py").write_text("MARK = object()\n")
    first = load().extra["MARK"]
    assert load().extra["MARK"] is first
    monkeypatch.syspath_prepend(str(tmp_path))
    assert importlib.import_module("settings").MARK is first


def test_two_services_of_one_process_have_settings_of_their_own(tmp_path: Path) -> None:
    """Both call their module "settings"; neither gets the other's."""
    for port in (1001, 1002):
        folder = tmp_path / str(port)
        folder.mkdir()
        (folder / "settings.py").write_text(f"PORT = {port}\n")
        assert load_settings(env={}, directory=folder).settings.port == port


def test_classes_and_modules_are_no_settings(load: Load, tmp_path: Path) -> None:
    """``from uuid import UUID`` brings an upper-case name that nobody means as a setting."""
    (tmp_path / "settings.py").write_text("from uuid import UUID\nimport os as OS\nAREA = 1\n")
    assert load().extra == {"AREA": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("PORT = 1\n1 / 0\n", "settings.py line 2: ZeroDivisionError: division by zero"),
        ("PORT = nothing\n", "settings.py line 1: NameError: name 'nothing' is not defined"),
        (
            "\n\nimport nothing_like_it\n",
            "settings.py line 3: ModuleNotFoundError: No module named",
        ),
        ("PORT = (\n", "settings.py line 1: SyntaxError: '\\(' was never closed"),
        ("def f():\n    raise ValueError('a\\nb')\nf()\n", "settings.py line 2: ValueError: a b"),
        ("assert 0\n", "settings.py line 1: AssertionError$"),
    ],
)
def test_a_module_that_fails_is_one_line_with_its_place(
    load: Load, tmp_path: Path, content: str, message: str
) -> None:
    """File, line and reason, without a traceback."""
    (tmp_path / "settings.py").write_text(content)
    with pytest.raises(ConfigError, match=f"^{message}") as info:
        load()
    assert "\n" not in str(info.value)


def test_a_failing_package_of_the_module_is_named(tmp_path: Path) -> None:
    """The package around a named module may fail too."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("1 / 0\n")
    (tmp_path / "broken" / "prod.py").write_text("")
    with pytest.raises(ConfigError, match=r"'broken'.*: ZeroDivisionError: division by zero$"):
        load_settings(env={}, directory=tmp_path, module="broken.prod")


def test_threads_may_read_settings_at_once(tmp_path: Path) -> None:
    """Many services may start in one process; the import system's caches are for one at a time."""

    def read(_: int) -> str:
        # Which is looked for in every folder of the path, so that there is much in the caches.
        with pytest.raises(ConfigError) as caught:
            from_module("nothing", tmp_path, required=True)
        return str(caught.value)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            (text,) = set(pool.map(read, range(200)))
    finally:
        sys.setswitchinterval(before)
    assert text.startswith("the settings module 'nothing' is not in ")
