"""The peers: how each server is started, and what it cannot take part in."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = ["OURS", "PEERS", "ROOT", "Peer", "build_go", "pick"]

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv-bench"
PYTHON = str(VENV / "bin" / "python")
ROBYN_PYTHON = str(VENV / "robyn" / "bin" / "python")
GO_BINARY = VENV / "go-peer"

OURS = "sanic-ms"


@dataclass(frozen=True)
class Peer:
    """One server that is measured.

    `only` names the cases that it is there for, when these are few; `lacks` gives the reason for
    each case that it cannot be in; `requires` is a module of ours that it cannot be without.
    """

    name: str
    title: str
    module: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()
    lacks: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    requires: str = ""
    arguments: tuple[str, ...] = ()
    python: str = PYTHON

    @property
    def ours(self) -> bool:
        """Whether it is this framework, in one variant or another."""
        return self.name.startswith(OURS)

    def command(self) -> list[str]:
        """What starts it."""
        if self.name == "go":
            return [str(GO_BINARY)]
        return [self.python, "-m", f"benchmarks.peers.{self.module}_server", *self.arguments]

    def missing(self, case: str) -> str | None:
        """Why it cannot be measured for that case here, or None when it can."""
        if case in self.lacks:
            return self.lacks[case]
        if self.name == "go":
            return None if shutil.which("go") else "go is not installed"
        if not Path(self.python).exists():
            return f"{Path(self.python).parent.parent} is not there: make .venv-bench/.ready"
        if self.requires and importlib.util.find_spec(self.requires) is None:
            return f"there is no {self.requires}"
        return None


_NO_DRIVER = "no driver for it in Go's standard library"
_GO_LACKS = dict.fromkeys(("row", "rows", "queries", "update", "sqlite"), _NO_DRIVER)
_UVICORN = ("uvicorn", "uvloop", "httptools")
# Access log off as the peers have it, and one request in a hundred traced.
_DEFAULT = {"ACCESS_LOG": "false", "TRACE_SAMPLE": "0.01"}
# What one part of ours costs is shown where there is least beside it, and for one row.
_COSTS = frozenset({"json", "row"})
_LOGGED = frozenset({"calls", "layers"})


def _ours(variant: str, title: str, only: frozenset[str] = _COSTS, **environment: str) -> Peer:
    return Peer(
        f"{OURS}-{variant}", f"sanic-ms, {title}", "ours", {**_DEFAULT, **environment}, only
    )


_ALL = [
    Peer(OURS, "sanic-ms", "ours", _DEFAULT, packages=("sanic-ms", "sanic", "uvloop", "httptools")),
    _ours("log", "access log on", ACCESS_LOG="true"),
    _ours("traced", "every request traced", _COSTS | {"fan"}, TRACE_SAMPLE="1"),
    _ours("untraced", "no tracing", TRACE_EXPORTER="none"),
    _ours("unmetered", "no metrics", METRICS="false"),
    replace(
        _ours("logger", "@logger on three functions", _LOGGED, BENCH_LOGGER="1"),
        requires="sanic_ms.loggers",
    ),
    Peer("sanic", "Sanic", "sanic", packages=("sanic", "uvloop", "httptools", "orjson")),
    Peer("fastapi", "FastAPI", "fastapi", packages=("fastapi", "pydantic", *_UVICORN)),
    Peer(
        "fastapi-aiohttp",
        "FastAPI with aiohttp's client",
        "fastapi",
        {"BENCH_CLIENT": "aiohttp"},
        only=frozenset({"fan"}),
    ),
    Peer("litestar", "Litestar", "litestar", packages=("litestar", "msgspec", *_UVICORN)),
    Peer("blacksheep", "BlackSheep", "blacksheep", packages=("blacksheep", "orjson", *_UVICORN)),
    Peer(
        "robyn",
        "Robyn",
        "robyn",
        arguments=("--processes=1", "--workers=1", "--log-level=WARNING", "--disable-openapi"),
        packages=("robyn", "uvloop"),
        python=ROBYN_PYTHON,
    ),
    Peer("aiohttp", "aiohttp", "aiohttp", packages=("aiohttp", "uvloop", "orjson")),
    Peer("go", "Go net/http", lacks=_GO_LACKS),
]

PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}


def pick(text: str) -> list[Peer]:
    """The peers that a comma-separated list names, with ours first of all; all for none.

    Raises:
        ValueError: a name is unknown. The message lists those that are known.
    """
    names = {name.strip() for name in text.split(",") if name.strip()} or set(PEERS)
    if unknown := sorted(names - set(PEERS)):
        raise ValueError(f"no peer {', '.join(unknown)}: there are {', '.join(PEERS)}")
    return [peer for peer in _ALL if peer.name in names or peer.name == OURS]


def build_go() -> None:
    """Compile the Go server, when its source is newer than what is there.

    Raises:
        subprocess.CalledProcessError: it does not compile; Go has said why on standard error.
    """
    source = ROOT / "benchmarks" / "peers" / "go" / "main.go"
    if GO_BINARY.exists() and GO_BINARY.stat().st_mtime > source.stat().st_mtime:
        return
    subprocess.run(["go", "build", "-o", str(GO_BINARY), str(source)], cwd=ROOT, check=True)
