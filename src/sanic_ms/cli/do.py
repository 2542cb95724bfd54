"""``sanic-ms do``: run a command of a service."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sanic_ms.cli._errors import CommandError
from sanic_ms.cli._target import DEFAULT_TARGET, enter, load_service

if TYPE_CHECKING:
    from sanic_ms.commands import Command
    from sanic_ms.service import Service

__all__ = ["EPILOG", "do"]

EPILOG = "Example: sanic-ms do import-users users.csv"


def do(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The command; none: list them.")
    ] = None,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGS", help="What the command takes.")
    ] = None,
    *,
    target: Annotated[
        str, typer.Option("--app", help="The service, as module:attribute.")
    ] = DEFAULT_TARGET,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Folder of the service; entered first.")
    ] = None,
) -> None:
    """Run a command of a service, or list its commands.

    The service's components are started for it, without a server, and stopped after it. Options of
    this verb stand before NAME; everything behind it is the command's: do NAME --help.
    """
    enter(directory)
    with contextlib.redirect_stdout(sys.stderr):  # what the application prints while it is imported
        service = load_service(target)
    if name is None:
        _print_list(service, target)
        return
    command = service.commands.get(name)
    if command is None:
        raise CommandError(_unknown(name, service))
    _run(service, command, arguments or [])


def _run(service: Service, command: Command, words: list[str]) -> None:
    """Parse the command's words and run it; ends the process, as every verb of Typer's does."""
    from sanic_ms.cli._arguments import help_of, parameters_of
    from sanic_ms.cli._execution import CommandExecution

    parameters = parameters_of(command, service)

    def call(**values: Any) -> None:
        code = CommandExecution(service, command, parameters, values).run()
        if code:
            raise typer.Exit(code)

    call.__signature__ = inspect.Signature(parameters.options)  # type: ignore[attr-defined]
    call.__annotations__ = {entry.name: entry.annotation for entry in parameters.options}
    parser = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    parser.command(command.name, help=help_of(command))(call)
    try:
        made = typer.main.get_command(parser)
    except (AssertionError, RuntimeError, TypeError) as exc:
        raise CommandError(f"the command {command.name}: {exc}") from exc
    made(args=words, prog_name=f"sanic-ms do {command.name}")


def _print_list(service: Service, target: str) -> None:
    commands = list(service.commands)
    if not commands:
        typer.echo(
            f"{target} has no commands: mark functions with @command and app.include their module",
            err=True,
        )
        return
    width = max(len(command.name) for command in commands)
    for command in commands:
        typer.echo(f"{command.name:<{width}}  {command.summary}".rstrip())


def _unknown(name: str, service: Service) -> str:
    names = [command.name for command in service.commands]
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"there is no command {name!r}: did you mean {close[0]}?"
    known = f"known: {', '.join(names)}" if names else "the service has none"
    return f"there is no command {name!r} ({known})"
