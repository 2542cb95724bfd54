"""A database of a test's own, a folder of migrations, and modules of models."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import peewee
import pytest

from sanic_ms.migrations.runner import opened

_numbers = itertools.count()


@contextlib.contextmanager
def left_as_found(url: str) -> Iterator[str]:
    """The tables that the block makes in a database are gone after it."""
    with opened(url) as database:
        before = set(database.get_tables())
    yield url
    with opened(url) as database:
        _drop(database, set(database.get_tables()) - before)


@pytest.fixture
def url(any_database_url: str) -> Iterator[str]:
    """A database of each kind in turn; tables that a test makes are gone after it."""
    with left_as_found(any_database_url) as url:
        yield url


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[str]:
    """The same, PostgreSQL alone."""
    with left_as_found(postgres_url) as url:
        yield url


@pytest.fixture
def mysql(mysql_url: str) -> Iterator[str]:
    """The same, MySQL alone."""
    with left_as_found(mysql_url) as url:
        yield url


def _drop(database: Any, tables: set[str]) -> None:
    cascade, execute = "", database.execute_sql
    if isinstance(database, peewee.MySQLDatabase):
        execute("SET FOREIGN_KEY_CHECKS = 0")
    elif isinstance(database, peewee.PostgresqlDatabase):
        cascade = " CASCADE"
    mark = database.quote[0]
    for table in tables:
        execute(f"DROP TABLE {mark}{table}{mark}{cascade}")


@pytest.fixture
def database(url: str) -> Iterator[Any]:
    """The same, connected, to look at."""
    with opened(url) as database:
        yield database


@pytest.fixture
def is_transactional(url: str) -> bool:
    """Whether the database rolls changes of tables back."""
    return not url.startswith("mysql")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder ``migrations`` in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "migrations"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Callable[[str, str], Path]:
    """``write("0001_a", text)`` writes a migration."""

    def write(name: str, text: str) -> Path:
        path = folder / f"{name}.py"
        path.write_text(dedent(text))
        return path

    return write


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """``models(text)`` gives the name of a module of models; Peewee is imported in it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(text: str) -> str:
        name = f"models_{next(_numbers)}"
        head = "from peewee import *\nfrom peewee import NodeList, Value\n"
        head += "from sanic_ms.models import utcnow\n"
        (tmp_path / f"{name}.py").write_text(head + dedent(text))
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("models_"):
            del sys.modules[name]


_TEN = """
import json, os, sys, traceback

go, started = os.pipe()
outputs = []
for _ in range(10):
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(started)
        os.dup2(write, 1)
        os.read(go, 1)  # until the parent closes its end
        try:
            exec(compile(AFTER, "replica", "exec"))
            status = 0
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        os._exit(status)
    os.close(write)
    outputs.append(read)
os.close(started)
texts = [open(output).read().strip() for output in outputs]
failed = sum(os.wait()[1] != 0 for _ in outputs)
print(json.dumps(texts))
sys.exit(failed)
"""


@pytest.fixture
def at_once(tmp_path: Path) -> Callable[[str, list[str]], list[str]]:
    """``at_once(program, arguments)`` runs ten processes of a program and gives what each printed.

    They come from one that runs what stands before the line ``# go``, and begin the rest together.
    """

    def run(program: str, arguments: list[str]) -> list[str]:
        before, _, after = dedent(program).partition("# go\n")
        path = tmp_path / "replicas.py"
        path.write_text(f"{before}\nAFTER = {after!r}\n{_TEN}")
        done = subprocess.run(
            [sys.executable, str(path), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        texts: list[str] = json.loads(done.stdout)
        return texts

    return run
