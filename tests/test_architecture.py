"""The rooms and who may import whom: the table of the design, held by reading every import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "sanic_ms"


class Room(NamedTuple):
    """A room's level, the rooms of its own level that it may import, and its libraries."""

    level: int
    neighbours: str = ""
    libraries: str = ""


# A room may import every room of a lower level that the second table gives its level, and the
# neighbours named here. msgspec is everybody's.
ROOMS = {
    "exception": Room(0),
    "types": Room(0, "exception"),
    "config": Room(0, "exception types"),
    "context": Room(0),
    "lifecycle": Room(0, "exception"),
    "_extras": Room(0, "exception"),
    "_compiled": Room(0),
    # What the compiled modules share.
    **{name: Room(0) for name in ("_clock", "_numbers", "_random", "_slots", "_text")},
    # ---
    "telemetry": Room(1, "", "opentelemetry prometheus_client aiohttp"),
    # It makes a span current, for which OpenTelemetry's own functions are the interface.
    "loggers": Room(1, "telemetry", "opentelemetry"),
    "utils": Room(1),
    "container": Room(1),
    # ---
    "db": Room(2, "", "asyncpg"),
    "mongo": Room(2),
    "client": Room(2, "", "aiohappyeyeballs aiohttp httptools multidict yarl"),
    "cache": Room(2),
    "pubsub": Room(2),
    # ---
    "models": Room(3, "", "peewee playhouse"),
    "migrations": Room(3, "models", "peewee playhouse"),
    "repository": Room(3, "models", "peewee"),
    "sessions": Room(3),
    "auth": Room(3, "sessions"),
    "scheduler": Room(3),
    "events": Room(3, "scheduler"),
    # ---
    "http": Room(4, "", "sanic sanic_routing"),
    "doc": Room(4, "", "sanic"),
    "openapi": Room(4, "doc", "sanic"),
    "websocket": Room(4, "", "sanic"),
    "server": Room(4, "", "sanic sanic_routing httptools uvloop websockets"),
    # ---
    "service": Room(5, "", "sanic"),
    # ---
    # Finds the service as the commands do.
    "testing": Room(
        6, "cli", "sanic sanic_routing aiohttp multidict yarl uvloop prometheus_client"
    ),
    "tests": Room(6, "testing", "sanic"),
    # coverage is no entry of EXTRAS: where the tests are measured, every process has it.
    "cli": Room(6, "tests testing", "sanic typer coverage"),
    "dashboard": Room(6, "", "sanic"),
}

# Whose rooms a level may import whole.
BELOW = {0: "", 1: "0", 2: "01", 3: "012", 4: "01", 5: "01234", 6: "012345"}

# What a room may take from a level that is closed to it.
ACROSS = {("websocket", "pubsub")}

# The libraries of the extras, and the only files that may name them. Those files are imported when
# they are first needed; test_a_low_room_brings_no_server_in shows that a room does not bring them.
EXTRAS = {
    "aio_pika": ["pubsub/rabbit.py", "events/rabbit.py"],
    "apscheduler": ["scheduler/apscheduler.py"],
    "argon2": ["auth/passwords.py"],
    "asyncmy": ["db/drivers/mysql*.py"],
    "hiredis": [],
    "jwt": ["auth/jwt.py"],
    "nats": ["pubsub/nats.py", "events/nats.py"],
    "psycopg": ["models/database.py"],
    "pydantic": ["types/pydantic.py"],
    "pymongo": ["mongo/pool.py"],
    "pymysql": ["models/database.py"],
    "pytest": ["cli/tests.py", "testing/plugin.py"],
    "pytest_cov": ["cli/tests.py"],
    "redis": ["cache/redis.py", "pubsub/redis.py", "sessions/redis.py"],
    "schemathesis": ["testing/contract.py"],
    "sqlalchemy": ["db/querybuilders.py"],
    "time_machine": ["testing/frozen.py"],
    "yaml": ["telemetry/logging/files.py"],
}

MODULES = sorted(SOURCE.rglob("*.py"))


class Import(NamedTuple):
    """One import: of what, and where it stands."""

    name: str
    file: str
    line: int


def imports(path: Path) -> Iterator[Import]:
    """Every absolute import of a file, wherever it stands: in a function or for type checking too.

    An annotation is knowledge of the other room as well. `importlib.import_module("…")` and
    `require("…")` with a literal name count; relative imports are not used in this code base.
    """
    file = path.relative_to(SOURCE).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, file, node.lineno) for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                if module == "sanic_ms":
                    yield from (Import(f"sanic_ms.{a.name}", file, node.lineno) for a in names)
                else:
                    yield Import(module, file, node.lineno)
            case ast.ImportFrom():
                yield Import(".", file, node.lineno)
            case ast.Call(
                func=ast.Name(id="require" | "import_module")
                | ast.Attribute(attr="require" | "import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield Import(name, file, node.lineno)


def imports_of_compiled(path: Path) -> Iterator[Import]:
    """The same of a file of Cython's, whose imports each begin a line."""
    file = path.relative_to(SOURCE).as_posix()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        found = re.match(r"(?:from|c?import)\s+([\w.]+)", line)
        if found is not None and found[1].partition(".")[0] not in ("cpython", "cython", "libc"):
            yield Import(found[1], file, number)


def room_of(file: str) -> str:
    """The room of a file: the first part of its path, without the ending."""
    return file.partition("/")[0].removesuffix(".py")


# The package's own front door names rooms of all levels, and imports each only when it is used.
FRONT = {"__init__.py", "__main__.py"}
ALL = [
    entry
    for path in MODULES
    if path.relative_to(SOURCE).as_posix() not in FRONT
    for entry in imports(path)
] + [
    entry
    for pattern in ("*.pyx", "*.pxd")
    for path in sorted(SOURCE.rglob(pattern))
    for entry in imports_of_compiled(path)
]


def may_import(importer: str, imported: str) -> bool:
    """What the tables say."""
    if importer == imported or imported in ROOMS[importer].neighbours.split():
        return True
    if (importer, imported) in ACROSS:
        return True
    return str(ROOMS[imported].level) in BELOW[ROOMS[importer].level]


def test_every_file_belongs_to_a_room() -> None:
    """A new room gets a place in the table before it gets code."""
    rooms = {room_of(path.relative_to(SOURCE).as_posix()) for path in MODULES}
    assert rooms - {"__init__", "__main__"} <= set(ROOMS)


def test_rooms_import_only_what_the_table_allows() -> None:
    """Imports go down, and sideways only where the table names the neighbour."""
    wrong = []
    for entry in ALL:
        root, _, rest = entry.name.partition(".")
        if root != "sanic_ms":
            continue
        importer, imported = room_of(entry.file), rest.partition(".")[0]
        if imported in ("", "__version__"):
            continue
        if not may_import(importer, imported):
            wrong.append(f"{entry.file}:{entry.line} imports {entry.name}")
    assert wrong == []


def test_nobody_imports_relatively() -> None:
    """Every import says in full where it goes."""
    assert [entry for entry in ALL if entry.name == "."] == []


def test_libraries_stay_in_the_rooms_that_name_them() -> None:
    """Sanic is for L4 and up, Peewee for L3 and up, and each other library for its room."""
    wrong = []
    for entry in ALL:
        root = entry.name.partition(".")[0]
        if root in {*sys.stdlib_module_names, "sanic_ms", "msgspec", "."} or root in EXTRAS:
            continue
        if root not in ROOMS[room_of(entry.file)].libraries.split():
            wrong.append(f"{entry.file}:{entry.line} imports {entry.name}")
    assert wrong == []


def test_extras_are_imported_by_their_one_file() -> None:
    """A library that need not be installed is named by the leaf that needs it, nowhere else."""
    wrong = []
    for entry in ALL:
        root = entry.name.partition(".")[0]
        if root in EXTRAS and not any(fnmatch(entry.file, leaf) for leaf in EXTRAS[root]):
            wrong.append(f"{entry.file}:{entry.line} imports {entry.name}")
    assert wrong == []


BUILT = {room_of(path.relative_to(SOURCE).as_posix()) for path in MODULES}


@pytest.mark.parametrize(
    "room", sorted(name for name in BUILT & set(ROOMS) if ROOMS[name].level <= 3)
)
def test_a_low_room_brings_no_server_in(room: str) -> None:
    """The pool, the client and the cache are usable alone: no Sanic, no Peewee, no extra."""
    heavy = {"sanic", "sanic_routing", "sanic_ms.service", "typer", "uvloop", *EXTRAS}
    if "peewee" in ROOMS[room].libraries:
        # Peewee itself imports these drivers where they are installed.
        heavy -= {"psycopg", "pymysql"}
    else:
        heavy |= {"peewee", "playhouse"}
    code = f"import sys, sanic_ms.{room}; print(*sorted(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_modules_are_of_a_size_that_can_be_read() -> None:
    """Over 500 lines a module has more than one concept."""
    long = {
        path.relative_to(SOURCE).as_posix(): lines
        for path in MODULES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    # The tree of errors is one table of many small classes.
    long.pop("exception.py", None)
    assert long == {}


def test_names_say_what_a_class_is() -> None:
    """No class is called by a word that fits everything."""
    vague = re.compile(r"(Manager|Helper|Utils?|Data)$")
    names = [
        f"{path.relative_to(SOURCE).as_posix()}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and vague.search(node.name)
    ]
    assert names == []
