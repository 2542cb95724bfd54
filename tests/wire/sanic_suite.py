"""Run Sanic's own server tests with Sanic's protocol and with ours, and compare.

    python tests/wire/sanic_suite.py [--keep DIR]

It fetches Sanic's source distribution (which carries the tests) with pip, installs it with what the
tests need into a virtual environment of its own, runs the tests twice, and prints each test whose
outcome differs. Exit code 0: every difference is one of `MENDED`; 1: others; 2: it could not run.
Tests that do not touch the server (command line, reloader, ASGI, HTTP/3) are left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

VERSION = "25.12.1"
NEEDS = (
    "sanic-testing>=24.6",
    "pytest<9",
    "pytest-asyncio",
    "pytest-benchmark",
    "pytest-timeout",
    "beautifulsoup4",
    "chardet",
    "docutils",
    "uvicorn",
)
LEFT_OUT = (
    "benchmark",
    "http3",
    "performance",
    "typing",
    "test_asgi.py",
    "test_cli.py",
    "test_coffee.py",
    "test_daemon.py",
    "test_logo.py",
    "test_motd.py",
    "test_reloader.py",
)
ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PLUGIN = """
import sanic.mixins.startup as startup
from sanic_ms.server import HttpProtocol

startup.HttpProtocol = startup.WebSocketProtocol = HttpProtocol
"""

_NO_HOST = "the test sends no Host header, which RFC 9112 3.2 demands to refuse (37)"
_TRAILERS = "lawful trailers are read, where Sanic refuses them (29)"
_STATUS = "a head too large is 431 (or 414), not 413; REQUEST_MAX_SIZE limits the body alone"
_SUBCLASS = "no defect: the test asks for the very class, and requests are of a lazy subclass of it"
_INSTANCE = "no defect: the protocol is not built on Sanic's HttpProtocol, which this test asks for"
_BROKEN = "a handler that fails after its first chunk gets no last chunk; the test wants 200"
_PATCHED = "no defect: the test replaces a name in the module of Sanic that is not used any more"

# Tests that pass with Sanic's protocol and not with ours: the mended defect that they hold (with
# its number in the list of bad input), or what of Sanic's insides they look at.
MENDED: dict[str, str] = {
    "tests.test_exceptions_handler::test_exception_handler_response_was_sent": _BROKEN,
    "tests.test_graceful_shutdown::test_completes_request": _NO_HOST,
    "tests.test_http::test_chunked_trailer_rejected": _TRAILERS,
    "tests.test_http::test_invalid_chunk_length": _NO_HOST,
    "tests.test_http::test_invalid_content_length": _NO_HOST,
    "tests.test_http::test_transfer_chunked": _NO_HOST,
    "tests.test_http::test_url_encoding": _NO_HOST,
    "tests.test_logging::test_access_log_client_ip_remote_addr": _PATCHED,
    "tests.test_logging::test_access_log_client_ip_reqip": _PATCHED,
    "tests.test_middleware::test_middleware_request": _SUBCLASS,
    "tests.test_middleware::test_middleware_request_as_convenience": _SUBCLASS,
    "tests.test_middleware::test_middleware_response": _SUBCLASS,
    "tests.test_middleware::test_middleware_response_as_convenience": _SUBCLASS,
    "tests.test_middleware::test_middleware_response_as_convenience_called": _SUBCLASS,
    "tests.test_payload_too_large::test_payload_too_large_at_data_received_default": _STATUS,
    "tests.test_payload_too_large::test_payload_too_large_from_error_handler": _STATUS,
    "tests.test_pipelining::test_bad_headers": _STATUS,
    "tests.test_request::test_protocol_attribute": _INSTANCE,
    "tests.test_response::test_multiple_responses": _BROKEN,
    "tests.test_views::test_with_middleware": _SUBCLASS,
    "tests.test_views::test_with_middleware_response": _SUBCLASS,
}


def prepare(home: Path) -> Path:
    """A virtual environment and Sanic's unpacked tests in ``home``; returns its interpreter."""
    python = home / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(home / "venv", with_pip=True)
        # What our own code needs, and not our package, which would bring its pytest plugin.
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        needs = [f"sanic=={VERSION}", *NEEDS, *project["dependencies"]]
        run([str(python), "-m", "pip", "install", "-q", *needs])
    if not (home / "tests").exists():
        get = ["download", "-q", "--no-binary", "sanic", "--no-deps", f"sanic=={VERSION}"]
        run([str(python), "-m", "pip", *get, "-d", str(home)])
        run(["tar", "xzf", str(home / f"sanic-{VERSION}.tar.gz"), "-C", str(home)])
        (home / f"sanic-{VERSION}" / "tests").rename(home / "tests")
    (home / "ours_plugin.py").write_text(PLUGIN)
    return python


def run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def outcomes(python: Path, home: Path, name: str, options: Sequence[str]) -> dict[str, str]:
    """The outcome of each test, by its id."""
    report = home / f"{name}.xml"
    command = [
        str(python),
        "-m",
        "pytest",
        "-q",
        "--timeout=60",
        "--continue-on-collection-errors",
        f"--junit-xml={report}",
    ]
    for path in LEFT_OUT:
        command.append(f"--ignore=tests/{path}")
    paths = [str(home), str(SOURCE), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    output = home / f"{name}.log"
    with output.open("wb") as log:
        subprocess.run(
            [*command, *options, "tests"],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=log,
            check=False,
        )
    if not report.exists():
        raise FileNotFoundError(f"pytest ended with:\n{output.read_text()[-2000:]}")
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        key = f"{case.get('classname')}::{case.get('name')}"
        found[key] = "/".join(sorted(kinds)) or "passed"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="a folder to work in, and to keep")
    parser.add_argument("tests", nargs="*", help="further options for pytest, such as -k NAME")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (arguments.keep or Path(scratch)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        try:
            python = prepare(home)
            theirs = outcomes(python, home, "sanic", arguments.tests)
            ours = outcomes(python, home, "ours", ["-p", "ours_plugin", *arguments.tests])
        except (subprocess.CalledProcessError, OSError) as exc:
            print(f"cannot run Sanic's tests: {exc}", file=sys.stderr)  # noqa: T201
            return 2
    unexplained = 0
    for test in sorted(theirs.keys() | ours.keys()):
        if theirs.get(test) == ours.get(test):
            continue
        why = MENDED.get(test.partition("[")[0]) if theirs.get(test) == "passed" else "passes now"
        unexplained += why is None
        print(f"{test}: {theirs.get(test)} -> {ours.get(test)}: {why or 'UNEXPLAINED'}")  # noqa: T201
    passed = sum(outcome == "passed" for outcome in ours.values())
    print(f"{len(ours)} tests, {passed} passed with ours; {unexplained} unexplained")  # noqa: T201
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
