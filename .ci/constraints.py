"""Resolve every dependency of every extra and write constraints.txt: names and versions, no more.

Run by ``make constraints`` with any Python 3.11 or newer. In an environment of its own it asks pip
what it would install; packages that only another supported Python or system needs are added.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HEADER = "# Every direct and transitive dependency of every extra. Written by make constraints.\n"
# 3.11.2, which Debian 12 ships, stands for the first ones: some libraries want a backport there.
PYTHONS = ("3.11.2", "3.12.0", "3.13.0")
SYSTEMS = (
    ("linux", "Linux", "x86_64"),
    ("linux", "Linux", "aarch64"),
    ("darwin", "Darwin", "arm64"),
)


def requirements() -> list[str]:
    """What pyproject.toml names: the core, the extras and the build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    table = project["project"]
    names = [*table["dependencies"], *project["build-system"]["requires"]]
    for extra in table["optional-dependencies"].values():
        names += [name for name in extra if not name.startswith(table["name"])]
    return names


def resolve(wanted: list[str]) -> list[dict[str, Any]]:
    """The metadata of everything that pip would install into an empty environment."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    done = subprocess.run(
        [*command, "--dry-run", "--ignore-installed", "--report=-", *wanted],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [item["metadata"] for item in json.loads(done.stdout)["install"]]


def normal(name: str) -> str:
    """The name as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_elsewhere(found: list[dict[str, Any]]) -> list[str]:
    """Requirements of the found packages that hold on some other supported Python or system."""
    from pip._vendor.packaging.requirements import Requirement

    have = {normal(item["name"]) for item in found}
    missing = set()
    for text in itertools.chain.from_iterable(item.get("requires_dist", ()) for item in found):
        requirement = Requirement(text)
        if requirement.marker is None or normal(requirement.name) in have:
            continue
        for python, (platform, system, machine) in itertools.product(PYTHONS, SYSTEMS):
            environment = {
                "python_version": python.rpartition(".")[0],
                "python_full_version": python,
                "sys_platform": platform,
                "platform_system": system,
                "platform_machine": machine,
                "extra": "",
            }
            if requirement.marker.evaluate(environment):
                missing.add(f"{requirement.name}{requirement.specifier}")
    return sorted(missing)


def write() -> None:
    """Resolve and write, in the environment made for it."""
    wanted = requirements()
    while True:
        found = resolve(wanted)
        more = needed_elsewhere(found)
        if not more:
            break
        wanted += more
    versions = {normal(item["name"]): item["version"] for item in found}
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines))
    sys.stdout.write(f"constraints.txt: {len(lines)} packages\n")


def main() -> None:
    """Make the environment and go on in it."""
    if sys.argv[1:] == ["--inside"]:
        write()
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        update = [python, "-m", "pip", "--disable-pip-version-check", "-qq", "install", "-U", "pip"]
        subprocess.run(update, check=True)
        subprocess.run([python, __file__, "--inside"], check=True)


if __name__ == "__main__":
    main()
