"""Packages and levels: the table of the design, checked against every import of the source."""

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


class Package(NamedTuple):
    """A package's level, the packages of its own level that it may import, and its libraries."""

    level: int
    neighbours: str = ""
    libraries: str = ""


# A package may import every package of a lower level that the second table gives its level, and
# the neighbours named here. Every package may import msgspec.
PACKAGES = {
    "awake": Package(0),
    "exception": Package(0),
    "context": Package(0, "exception"),
    "native": Package(0),
    "lifecycle": Package(0, "awake exception"),
    "values": Package(0, "exception"),
    "process": Package(0),
    "stop_signals": Package(0),
    "shapes": Package(0, "exception values"),
    "config": Package(0, "exception values"),
    "_extras": Package(0, "exception"),
    # ---
    "telemetry": Package(1, "", "opentelemetry prometheus_client aiohttp"),
    # It makes a span current, for which OpenTelemetry's own functions are the interface.
    "loggers": Package(1, "telemetry", "opentelemetry"),
    "inline": Package(1, "loggers"),
    "utils": Package(1, "resilience"),
    "container": Package(1),
    "commands": Package(1),
    "resilience": Package(1, "telemetry"),
    # ---
    "db": Package(2, "", "asyncpg"),
    "mongo": Package(2),
    "redis": Package(2),
    "client": Package(2, "", "aiohappyeyeballs aiohttp httptools multidict yarl"),
    "storage": Package(2),
    # ---
    "models": Package(3, "", "peewee playhouse"),
    "migrations": Package(3, "models", "peewee playhouse"),
    "repository": Package(3, "models", "peewee"),
    "pubsub": Package(3),
    "cache": Package(3, "pubsub"),
    "discovery": Package(3),
    "sessions": Package(3),
    "auth": Package(3, "sessions"),
    "jobs": Package(3),
    # ---
    "http": Package(4, "", "sanic sanic_routing typing_extensions"),
    "doc": Package(4, "", "sanic"),
    "openapi": Package(4, "doc", "sanic"),
    "websocket": Package(4, "", "sanic"),
    "server": Package(4, "", "sanic sanic_routing httptools uvloop websockets"),
    # ---
    "service": Package(5, "", "sanic typing_extensions"),
    # ---
    # Finds the service as the commands do.
    "testing": Package(
        6, "cli", "sanic sanic_routing aiohttp multidict yarl uvloop prometheus_client"
    ),
    "tests": Package(6, "testing", "sanic"),
    # coverage is no entry of EXTRAS: where the tests are measured, every process has it.
    "cli": Package(6, "tests testing", "sanic typer coverage"),
    "deploy": Package(6),
    "dashboard": Package(6, "", "sanic"),
}

# The levels that each level may import whole.
BELOW = {0: "", 1: "0", 2: "01", 3: "012", 4: "01", 5: "01234", 6: "012345"}

# Imports from a level that is otherwise closed.
ACROSS = {("websocket", "pubsub")}

# The libraries of the extras, and the only files that may name them. Those files are imported when
# they are first needed; test_a_low_package_imports_no_server shows that a package does not import
# them.
EXTRAS = {
    "asyncmy": ["db/drivers/mysql/*.py"],
    "psycopg": ["models/database.py"],
    "pydantic": ["shapes/pydantic.py"],
    "pymysql": ["models/database.py"],
    "pytest": ["cli/tests.py", "testing/plugin.py", "testing/async_fixtures.py"],
    "pytest_cov": ["cli/tests.py"],
    "redis": ["redis/client.py"],
    "schemathesis": ["testing/contract.py"],
    "sqlalchemy": ["db/builders/sqlalchemy_*.py", "repository/sqlalchemy_table.py"],
    "time_machine": ["testing/frozen.py"],
    "yaml": ["telemetry/logging/files.py"],
}

# Modules that know each other in a circle for types alone, and why that is not one module.
# At run time there is no circle at all.
TYPE_CYCLES = {
    "telemetry.tracing.server": "a span, its record and its provider name each other's classes",
    "db.pool": "a pool, its sessions and its drivers name each other's classes",
    "server.http1.protocol": "the protocol, its connection and its exchange call each other",
    "service.service": "the service and the objects that it is composed of",
    "db.drivers.mysql.driver": "a driver opens sessions, and a session asks its driver",
    "db.drivers.postgres.pipeline": "a pipeline and its queries in flight",
    "db.drivers.sqlite.driver": "a driver opens sessions, and a session asks its driver",
}

MODULES = sorted(SOURCE.rglob("*.py"))


class Import(NamedTuple):
    """One import: of what, and where it stands."""

    name: str
    file: str
    line: int


def imports(path: Path) -> Iterator[Import]:
    """Every absolute import of a file, wherever it stands: in a function or for type checking too.

    An annotation is knowledge of the other package as well. `importlib.import_module("…")` and
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


def package_of(file: str) -> str:
    """The package of a file: the first part of its path, without the ending."""
    return file.partition("/")[0].removesuffix(".py")


# The front door names packages of all levels, and imports each only when it is used.
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
    if importer == imported or imported in PACKAGES[importer].neighbours.split():
        return True
    if (importer, imported) in ACROSS:
        return True
    return str(PACKAGES[imported].level) in BELOW[PACKAGES[importer].level]


def test_every_file_belongs_to_a_package() -> None:
    """A new package gets its level in the table before it gets code."""
    packages = {package_of(path.relative_to(SOURCE).as_posix()) for path in MODULES}
    assert packages - {"__init__", "__main__"} <= set(PACKAGES)


def test_packages_import_only_what_the_table_allows() -> None:
    """Imports go down, and sideways only where the table names the neighbour."""
    wrong = []
    for entry in ALL:
        root, _, rest = entry.name.partition(".")
        if root != "sanic_ms":
            continue
        importer, imported = package_of(entry.file), rest.partition(".")[0]
        if imported in ("", "__version__"):
            continue
        if not may_import(importer, imported):
            wrong.append(f"{entry.file}:{entry.line} imports {entry.name}")
    assert wrong == []


def test_no_import_is_relative() -> None:
    """Every import names its module in full."""
    assert [entry for entry in ALL if entry.name == "."] == []


# Files of a package without the library, which are imported when an object of it comes.
WITH_PEEWEE = "db/builders/peewee_*.py"


def test_libraries_stay_in_the_packages_that_name_them() -> None:
    """Sanic is for L4 and up, Peewee for L3 and up, and each other library for its package."""
    wrong = []
    for entry in ALL:
        root = entry.name.partition(".")[0]
        if root in {*sys.stdlib_module_names, "sanic_ms", "msgspec", "."} or root in EXTRAS:
            continue
        if root == "peewee" and fnmatch(entry.file, WITH_PEEWEE):
            continue
        if root not in PACKAGES[package_of(entry.file)].libraries.split():
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


BUILT = {package_of(path.relative_to(SOURCE).as_posix()) for path in MODULES}


@pytest.mark.parametrize(
    "package", sorted(name for name in BUILT & set(PACKAGES) if PACKAGES[name].level <= 3)
)
def test_a_low_package_imports_no_server(package: str) -> None:
    """The pool, the client and the cache are usable alone: no Sanic, no Peewee, no extra."""
    heavy = {"sanic", "sanic_routing", "sanic_ms.service", "typer", "uvloop", *EXTRAS}
    if "peewee" in PACKAGES[package].libraries:
        # Peewee itself imports these drivers where they are installed.
        heavy -= {"psycopg", "pymysql"}
    else:
        heavy |= {"peewee", "playhouse"}
    code = f"import sys, sanic_ms.{package}; print(*sorted(set(sys.modules) & {heavy!r}))"
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


def test_top_level_classes_have_names_of_their_own() -> None:
    """A class name stands for one thing in the whole package, private classes included."""
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(path.relative_to(SOURCE).as_posix())
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def module_of(path: Path) -> str:
    """The dotted name of a module below `sanic_ms`; ``""`` for the package itself."""
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    return name.removesuffix("__init__").rstrip(".")


def imported_modules(path: Path, *, types: bool) -> set[str]:
    """The modules of ours that a module imports, in functions too.

    Args:
        path: Of the module.
        types: Whether imports under ``if TYPE_CHECKING`` count.
    """
    found = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not types:
            for statement in node.orelse:
                visit(statement)
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sanic_ms."):
            base = (node.module or "").removeprefix("sanic_ms.")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in BY_NAME else base)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


BY_NAME = {module_of(path): path for path in MODULES}


def cycles(*, types: bool) -> list[set[str]]:
    """The groups of modules that reach each other by imports.

    The import of a package on the way to its module does not count: an ``__init__`` only gathers.
    """
    graph = {name: imported_modules(path, types=types) for name, path in BY_NAME.items()}
    reached = {name: set(targets) for name, targets in graph.items()}
    for middle in graph:  # Warshall's algorithm
        for name in graph:
            if middle in reached[name]:
                reached[name] |= reached[middle]
    groups: list[set[str]] = []
    for name in graph:
        group = {other for other in reached[name] if other in reached and name in reached[other]}
        if len(group) > 1 and group not in groups:
            groups.append(group)
    return groups


def test_no_import_cycle_exists_at_run_time() -> None:
    """Modules that need each other are one module, or have a contract between them."""
    assert cycles(types=False) == []


def test_cycles_of_types_are_listed_with_their_reason() -> None:
    """A cycle for type checkers alone is allowed where `TYPE_CYCLES` says why."""
    groups = cycles(types=True)
    unlisted = [sorted(group) for group in groups if not group & set(TYPE_CYCLES)]
    assert unlisted == []
    assert [name for name in TYPE_CYCLES if not any(name in group for group in groups)] == []
