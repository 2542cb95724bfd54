"""``sanic-ms tests``: run a project's tests, of pytest and of unittest, and write reports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sanic_ms._extras import require
from sanic_ms.cli._errors import CommandError
from sanic_ms.cli._target import enter

__all__ = ["EPILOG", "run_tests"]

EPILOG = "Example: sanic-ms tests tests/unit --coverage -- -k pool"

# pytest would rewrite the assertions of every package that brings a plugin; ours runs already, and
# has none to be shown. Where a project makes warnings errors, this one would end the run.
_QUIET = (
    "-W",
    "ignore:Module already imported so cannot be rewritten; sanic_ms:"
    "pytest.PytestAssertRewriteWarning",
)

_NO_TESTS = 5
_WRONG_USE = 4


def run_tests(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATHS",
            help="Files and folders; default what the project's pytest settings say, or all. What "
            "follows -- goes to pytest.",
        ),
    ] = None,
    *,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Measure, and write coverage.xml, clover.xml and html."),
    ] = False,
    clover: Annotated[
        str | None,
        typer.Option(
            "--clover",
            metavar="FROM.xml",
            help="Run nothing: write clover.xml of a coverage.xml that is there.",
        ),
    ] = None,
    reports: Annotated[
        str, typer.Option("--reports", metavar="FOLDER", help="Where the reports go.")
    ] = "reports",
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Folder of the project; entered first.")
    ] = None,
) -> None:
    """Run the tests of a project and write reports/junit.xml.

    The exit code is 0 if all pass, 1 if one fails or cannot be imported, 2 if an option, a path or
    the file of --clover is wrong, 5 if there are none, 130 after Ctrl+C.
    """
    if not reports:
        raise CommandError("--reports '': name a folder")
    if paths and "" in paths:
        raise CommandError("tests '': name a file or a folder, or nothing for all")
    if clover is not None and (paths or coverage):
        raise CommandError("--clover runs no tests: leave out --coverage, PATHS and all after --")
    enter(directory)
    if clover is not None:
        _convert(Path(clover), _folder(reports))
        return
    pytest = require("pytest", "testing", purpose="tests")
    folder = _folder(reports)
    measured = _is_measured()
    if coverage and measured:
        typer.echo(
            "sanic-ms: coverage is measured from outside already, so --coverage does nothing: "
            "write the reports with coverage xml and coverage html, or leave coverage run out",
            err=True,
        )
    measures = coverage and not measured
    options = ["-p", "sanic_ms.cli._discovery", *_QUIET, f"--junitxml={folder / 'junit.xml'}"]
    if measures:
        options += _coverage_options()
    watcher = _Watcher()
    code = int(pytest.main([*options, *(paths or ())], plugins=[watcher]))
    if measures and watcher.has_run:
        _write_coverage(folder)
    raise typer.Exit(watcher.exit_code(code))


def _folder(reports: str) -> Path:
    folder = Path(reports)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CommandError(f"--reports {folder}: {exc.strerror}") from None
    return folder


def _convert(source: Path, reports: Path) -> None:
    from sanic_ms.cli._clover import write_report
    from sanic_ms.cli._cobertura import read_cobertura

    try:
        files = read_cobertura(source)
    except OSError as exc:
        raise CommandError(f"--clover {source}: {exc.strerror}") from None
    except ValueError as exc:
        raise CommandError(f"--clover {source}: {exc}") from None
    target = reports / "clover.xml"
    try:
        write_report(files, target)
    except OSError as exc:
        raise CommandError(f"{target}: {exc.strerror}", exit_code=1) from None
    typer.echo(f"{target}: {len(files)} file{'s' if len(files) > 1 else ''}")


class _Watcher:
    """A plugin of pytest: notes what decides on the exit code."""

    def __init__(self) -> None:
        self.has_run = False
        self._was_interrupted = False

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        # A file that cannot be imported "interrupts" as well, by a class of its own.
        self._was_interrupted = excinfo.type is KeyboardInterrupt

    def pytest_sessionfinish(self, session: Any) -> None:
        self.has_run = session.testscollected > 0

    def exit_code(self, code: int) -> int:
        """Ours for pytest's: 2 is a wrong command here, and an interruption there."""
        if self._was_interrupted:
            return 130
        return {0: 0, _NO_TESTS: _NO_TESTS, _WRONG_USE: 2}.get(code, 1)


def _is_measured() -> bool:
    """Whether ``coverage run`` or the like has started this process."""
    library = sys.modules.get("coverage")
    return library is not None and library.Coverage.current() is not None


def _coverage_options() -> list[str]:
    require("pytest_cov", "testing", purpose="coverage reports")
    library = require("coverage", "testing", purpose="coverage reports")
    config = library.Coverage()
    chosen = any(config.get_option(f"run:{name}") for name in ("source", "source_pkgs", "include"))
    # Reports are written from here: pytest-cov knows no Clover.
    return ["--cov" if chosen else "--cov=.", "--cov-branch", "--cov-report="]


def _write_coverage(reports: Path) -> None:
    from sanic_ms.cli._clover import write_clover

    library = require("coverage", "testing", purpose="coverage reports")
    measured = library.Coverage(messages=False)
    measured.load()
    try:
        total = measured.xml_report(outfile=str(reports / "coverage.xml"))
        measured.html_report(directory=str(reports / "html"))
        write_clover(measured, reports / "clover.xml")
    except library.CoverageException as exc:
        raise CommandError(f"no coverage reports: {exc}", exit_code=1) from None
    typer.echo(f"coverage: {total:.0f}% (reports in {reports})")
