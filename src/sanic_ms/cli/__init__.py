"""The command ``sanic-ms``: one verb a job, one file a verb.

Nothing here imports Sanic or an application before a verb runs that needs it, so that ``--help``
answers at once. Exit codes: 0 done; 1 it was tried and failed; 2 the command, the settings or the
application is wrong, and nothing was started.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from sanic_ms.cli import config, db, do, openapi, routes, run, tests, up
from sanic_ms.cli._errors import CommandError
from sanic_ms.cli._plugins import VerbGroup
from sanic_ms.exception import ConfigError, MissingDependency, SanicMSError
from sanic_ms.process import ensure_streams

__all__ = ["app", "main"]

app = typer.Typer(
    name="sanic-ms",
    cls=VerbGroup,
    help="Run, inspect and operate services made with sanic-ms.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help and plain errors: they start faster, and read the same in a log file.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("run", epilog=run.EPILOG)(run.run)
app.command("up", epilog=up.EPILOG)(up.up)
app.command(
    "do",
    epilog=do.EPILOG,
    # What stands behind the command's name is the command's, options too.
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False},
)(do.do)
app.command("routes", epilog=routes.EPILOG)(routes.routes)
app.command("config", epilog=config.EPILOG)(config.config)
app.command("tests", epilog=tests.EPILOG)(tests.run_tests)
app.add_typer(db.app, name="db")
app.add_typer(openapi.app, name="openapi")


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    import platform
    from importlib.metadata import version

    from sanic_ms import __version__
    from sanic_ms.native.compiled import is_compiled

    python = platform.python_version()
    how = "compiled" if is_compiled() else "pure Python"
    typer.echo(f"sanic-ms {__version__} (Sanic {version('sanic')}, Python {python}, {how})")
    raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show versions and exit."
        ),
    ] = False,
) -> None:
    pass


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process.

    What is a user's mistake ends in one line on standard error and an exit code; only an error of
    the framework's own shows a traceback.

    Args:
        args: The words after the command's name; default those of the process.
    """
    ensure_streams()
    try:
        app(None if args is None else list(args), prog_name="sanic-ms")
    except CommandError as exc:
        _end(exc, exc.exit_code)
    except (ConfigError, MissingDependency) as exc:
        _end(exc, 2)
    except SanicMSError as exc:
        _end(exc, 1)
    sys.exit(0)


def _end(exc: Exception, code: int) -> NoReturn:
    typer.echo(f"sanic-ms: {' '.join(str(exc).split())}", err=True)
    sys.exit(code)
