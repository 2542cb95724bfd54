"""The distribution: pinned, complete, and free of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import sanic_ms

ROOT = Path(__file__).parents[1]
PROJECT_FILE = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PROJECT_FILE["project"]
PINS = [
    line
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def normal(name: str) -> str:
    """A distribution's name as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required() -> Iterator[str]:
    """The names that pyproject.toml requires, the extras included."""
    extras = PROJECT["optional-dependencies"].values()
    for requirement in [*PROJECT["dependencies"], *(one for extra in extras for one in extra)]:
        name = normal(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
        if name != PROJECT["name"]:
            yield name


def tracked() -> list[Path]:
    """The files under version control; in an unpacked archive, those of the archive."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if ".venv" not in path.parts]
    return [path for path in paths if path.is_file()]


def test_an_extra_without_a_package_does_not_exist() -> None:
    """Each extra brings a library that our code imports, or whose objects an application hands over
    (models of pydantic, a provider of the OpenTelemetry SDK)."""
    modules = {"pytest-cov": "pytest_cov", "pyyaml": "yaml", "time-machine": "time_machine"}
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    extras = PROJECT["optional-dependencies"]
    unused = {
        (extra, name)
        for extra in extras.keys() - {"dev", "otel", "pydantic"}
        for name in (normal(re.split(r"[^\w.-]", entry, maxsplit=1)[0]) for entry in extras[extra])
        if not re.search(rf"""(?:import |")(?:{modules.get(name, name)})\b""", source)
    }
    assert unused == set()


def test_constraints_are_names_and_versions_only() -> None:
    """One ``name==version`` a line, in order, each once."""
    assert [line for line in PINS if not re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+!]+", line)] == []
    names = [line.partition("==")[0] for line in PINS]
    assert names == sorted(set(names))


def test_constraints_cover_what_the_project_requires() -> None:
    """Every dependency of the core and of each extra is pinned."""
    pinned = {line.partition("==")[0] for line in PINS}
    assert set(required()) - pinned == set()


def test_constraints_cover_what_those_require() -> None:
    """The dependencies of the dependencies that are installed here are pinned as well."""
    pinned = {line.partition("==")[0] for line in PINS}
    missing = set()
    for name in pinned:
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for requirement in requirements:
            # Those with a condition are for other systems, other Pythons or extras of theirs.
            if ";" not in requirement:
                missing.add(normal(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]))
    assert missing - pinned == set()


def test_no_file_holds_an_address_of_an_index_or_a_path_of_a_machine() -> None:
    """What is published works elsewhere: no package index, no home folder."""
    # Put together here, so that this file does not hold them.
    address = re.compile("|".join([r"pypi[./]", r"/simple/", "--" + "index-url", "index_" + "url"]))
    path = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+|opt/py\w+|work)/")
    wrong = []
    for file in tracked():
        if file == Path(__file__) or "assets" in file.parts:
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if address.search(line) or path.search(line):
                wrong.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert wrong == []


def test_the_version_is_the_same_everywhere() -> None:
    """pyproject.toml and the package agree."""
    assert sanic_ms.__version__ == PROJECT["version"]


def test_the_command_and_the_module_are_one() -> None:
    """``sanic-ms`` and ``python -m sanic_ms`` enter by the same function."""
    (entry,) = metadata.entry_points(group="console_scripts", name="sanic-ms")
    assert entry.value == PROJECT["scripts"]["sanic-ms"] == "sanic_ms.cli:main"
    done = subprocess.run(
        [sys.executable, "-m", "sanic_ms", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"sanic-ms {PROJECT['version']} (Sanic ")


def test_everything_that_is_not_python_is_shipped() -> None:
    """The build leaves no asset behind, and a type checker of the user's sees our annotations."""
    package = ROOT / "src" / "sanic_ms"
    patterns = PROJECT_FILE["tool"]["setuptools"]["package-data"]["sanic_ms"]
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    files = {
        path
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".pyi", ".so")
    }
    assert files - shipped == set()
    assert package / "py.typed" in shipped
