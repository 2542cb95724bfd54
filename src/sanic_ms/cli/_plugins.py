"""Verbs of other packages: entry points in the group ``sanic_ms.commands``.

They are imported when their verb runs and for ``--help``. One that cannot be imported is a line,
and no other verb is affected.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sanic_ms.cli._errors import CommandError
from sanic_ms.exception import ConfigError
from sanic_ms.values.entry_points import COMMANDS, entry_names, load_entry

__all__ = ["VerbGroup"]


class VerbGroup(TyperGroup):
    """The verbs of this package, then those of others. A name of ours stays ours."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all verbs."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in entry_names(COMMANDS) if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb of a name; None where there is none."""
        return super().get_command(ctx, cmd_name) or _verb(cmd_name)


def _verb(name: str) -> Any:
    try:
        value = load_entry(COMMANDS, name)
        return None if value is None else _made(name, value)
    except (CommandError, ConfigError) as exc:
        return _broken(name, str(exc))


def _made(name: str, value: Any) -> Any:
    """A verb of what an entry point names: a function, a `typer.Typer`, or a command of Click's."""
    if isinstance(value, typer.Typer):
        parser = value
    elif hasattr(value, "make_context"):
        return value
    elif callable(value) and not isinstance(value, type):
        parser = typer.Typer(add_completion=False, rich_markup_mode=None)
        parser.command(name)(value)
    else:
        raise CommandError(
            f"{COMMANDS} {name!r} is a {type(value).__name__}: give a function or a typer.Typer"
        )
    try:
        made = typer.main.get_command(parser)
    except Exception as exc:
        raise CommandError(f"{COMMANDS} {name!r} is no verb: {type(exc).__name__}: {exc}") from exc
    made.name = name
    return made


def _broken(name: str, reason: str) -> Any:
    """A verb that tells why there is none."""

    def fail(arguments: Annotated[list[str] | None, typer.Argument()] = None) -> None:
        raise CommandError(reason)

    parser = typer.Typer(add_completion=False, rich_markup_mode=None)
    settings = {"ignore_unknown_options": True, "help_option_names": []}
    parser.command(name, help="cannot be loaded", context_settings=settings)(fail)
    return typer.main.get_command(parser)
