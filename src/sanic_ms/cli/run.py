"""``sanic-ms run``: serve one service."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sanic_ms.cli import _address
from sanic_ms.cli import check as checks
from sanic_ms.cli._errors import CommandError, describe
from sanic_ms.cli._target import DEFAULT_TARGET, enter, load_service
from sanic_ms.exception import LifecycleError, SanicMSError
from sanic_ms.process import split_off_init

if TYPE_CHECKING:
    from sanic_ms.service import Service

__all__ = ["EPILOG", "load_configured", "load_in_worker", "run"]

_LOOK = 0.2  # seconds between two looks at changed files

EPILOG = "Example: sanic-ms run server:app --port 8001 --workers 4"


def run(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The service, as module:attribute.")
    ] = DEFAULT_TARGET,
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    unix: Annotated[str | None, typer.Option(help="Unix socket to listen on.")] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes that serve: a number, or auto.")
    ] = None,
    cert: Annotated[str | None, typer.Option(help="File of the certificate, for HTTPS.")] = None,
    key: Annotated[str | None, typer.Option(help="File of the certificate's key.")] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart when a source file changes.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Verbose logs; errors with their traceback.")
    ] = False,
    no_access_log: Annotated[
        bool, typer.Option("--no-access-log", help="No log line for each request.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check all that a start needs, and do not serve.")
    ] = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Folder of the service; entered first.")
    ] = None,
    stop_with_stdin: Annotated[
        bool,
        typer.Option(
            "--stop-with-stdin",
            help="Stop when standard input closes, as it does when the parent process dies.",
            hidden=True,
        ),
    ] = False,
) -> None:
    """Serve one service until it is told to stop.

    What is not given here comes from the service's settings; see sanic-ms config.
    """
    given = {
        "host": host,
        "port": port,
        "unix": unix,
        "workers": workers,
        "tls_cert": cert,
        "tls_key": key,
        "auto_reload": reload or None,
        "debug": debug or None,
        "access_log": False if no_access_log else None,
    }
    keywords = {name: value for name, value in given.items() if value is not None}
    split_off_init()
    for number in (signal.SIGTERM, signal.SIGINT):  # until the server has handlers of its own
        signal.signal(number, _quit)
    enter(directory)
    if check:
        raise typer.Exit(checks.check(partial(load_configured, target, keywords)))
    if stop_with_stdin:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    try:
        _serve(target, keywords)
    except CommandError as exc:
        if debug and exc.__cause__ is not None:
            traceback.print_exception(exc.__cause__)
        if exc.__cause__ is None or exc.exit_code != 2 or not _reloading(keywords):
            raise
        _start_anew_when_changed(str(exc))


def _reloading(keywords: dict[str, Any]) -> bool:
    """Whether changes are watched; the service itself could not be asked."""
    from sanic_ms.config import load_settings

    try:
        return load_settings(keywords=keywords).settings.auto_reload
    except SanicMSError:
        return False


def _start_anew_when_changed(reason: str) -> NoReturn:
    """Wait for another change as after a start, and then begin from nothing: what is imported by
    now is half of an application."""
    from sanic_ms.server.process.reload import Files

    files = Files([Path.cwd()])
    typer.echo(f"sanic-ms: {' '.join(reason.split())}: waiting for a change", err=True)
    while not files.changed():
        time.sleep(_LOOK)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _quit(*_: object) -> None:
    """Told to stop while nothing is served yet: an application that is being imported, say."""
    sys.exit(0)


def load_configured(target: str, keywords: dict[str, Any]) -> Service:
    """The service with the command line's settings on it: here, and again in each worker."""
    service = load_service(target)
    if keywords:
        service.configure(**keywords)
    return service


def load_in_worker(target: str, keywords: dict[str, Any]) -> Service:
    """The same in a worker process, whose master prints the one line.

    Raises:
        LifecycleError: there is no such service, or its code fails.
    """
    try:
        return load_configured(target, keywords)
    except CommandError as exc:
        raise LifecycleError(str(exc)) from exc
    except SystemExit as exc:  # as it is imported: said with its place, as any other error
        raise LifecycleError(describe(exc)) from exc


def _serve(target: str, keywords: dict[str, Any]) -> None:
    service = load_configured(target, keywords)
    settings = service.settings
    if settings.unix is None and not settings.reuse_port:
        _address.check_free(settings.host, settings.port)
    service.launch.loader = partial(load_in_worker, target, keywords)
    try:
        service.run()
    except ImportError as exc:
        raise CommandError(describe(exc), exit_code=1) from exc


def _stop_at_end_of_input() -> None:
    """Wait for standard input to close, then stop as on SIGTERM."""
    while True:
        try:
            if not os.read(sys.stdin.fileno(), 1024):
                break
        except OSError:
            break
    os.kill(os.getpid(), signal.SIGTERM)
