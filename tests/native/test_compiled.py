"""What is compiled: that it was built where it can be, and what happens where it was not."""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from sanic_ms.native.compiled import compiled

SOURCE = Path(__file__).parents[2] / "src"
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.pyx")
]
PURE = os.environ.get("SANIC_MS_PURE", "0") not in ("", "0")


def can_compile() -> bool:
    """Whether there is a compiler, and what it needs of Python."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    return sys.platform == "linux" and bool(shutil.which(compiler)) and header.exists()


@pytest.mark.parametrize("name", MODULES)
def test_what_can_be_compiled_is_compiled_and_used(name: str) -> None:
    """An installation whose build failed would be slow, and say nothing."""
    if not can_compile():
        pytest.skip("there is no C compiler, or no header of Python")
    found = compiled(name)
    if PURE:
        assert found is None
    else:
        assert found is not None, "make test builds it: pip install -e ."
        assert found.__file__ is not None
        assert found.__file__.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def test_python_stands_in_where_nothing_was_built() -> None:
    """A name that is not there is no error."""
    assert compiled("sanic_ms.server._not_built") is None


def test_a_compiled_module_that_does_not_fit_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot is no longer there, as after an update of Sanic: Python serves, and it is told."""
    monkeypatch.delenv("SANIC_MS_PURE", raising=False)
    (tmp_path / "old_extension.py").write_text("raise ImportError('Request.body is no slot')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(RuntimeWarning, match=r"old_extension is not used.*Request\.body is no slot"):
        assert compiled("old_extension") is None


def test_a_compiled_module_that_stands_on_one_that_was_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is not there either."""
    monkeypatch.delenv("SANIC_MS_PURE", raising=False)
    (tmp_path / "upper_extension.py").write_text("import sanic_ms._lower_extension\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert compiled("upper_extension") is None


def test_a_compiled_module_that_is_broken_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it imports is missing: that is another fault than its own absence."""
    monkeypatch.delenv("SANIC_MS_PURE", raising=False)
    (tmp_path / "broken_extension.py").write_text("import surely_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="surely_not_there"):
        compiled("broken_extension")


@pytest.mark.parametrize(("value", "is_pure"), [("1", True), ("0", False), ("", False)])
def test_a_process_can_do_without(value: str, is_pure: bool) -> None:
    """``SANIC_MS_PURE=1`` imports none of it, and the version tells."""
    environment = {**os.environ, "SANIC_MS_PURE": value}

    def printed(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    code = "import sys, sanic_ms.server, sanic_ms.loggers; print(*sys.modules)"
    loaded = set(printed("-c", code).split()) & set(MODULES)
    version = printed("-m", "sanic_ms", "--version")
    if is_pure or not can_compile():
        assert not loaded
        assert version.endswith(", pure Python)\n")
    else:
        assert loaded
        assert version.endswith(", compiled)\n")


@pytest.mark.parametrize("name", MODULES)
def test_nothing_compiled_is_copied(name: str) -> None:
    """What holds memory of its own would free it twice."""
    module = compiled(name)
    if module is None:
        pytest.skip("it is not used")
    own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == name]
    assert [cls.__name__ for cls in own if hasattr(cls, "__reduce_cython__")] == []
