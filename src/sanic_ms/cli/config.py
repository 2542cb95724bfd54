"""``sanic-ms config``: every setting, its value and where it came from."""

from __future__ import annotations

import contextlib
import importlib.machinery
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sanic_ms.cli._errors import CommandError
from sanic_ms.cli._target import DEFAULT_TARGET, enter, load_service
from sanic_ms.config import Loaded, load_settings

__all__ = ["EPILOG", "config"]

EPILOG = "Example: sanic-ms config --json --dir services/user"


def config(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="The service whose settings to show; server:app where there is a server.py.",
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    log_config: Annotated[
        bool, typer.Option("--log-config", help="Print the shipped logging.yml, to be copied.")
    ] = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Folder of the service; entered first.")
    ] = None,
) -> None:
    """Show every setting, its value (secrets masked) and its source.

    The exit code is 2 if a setting is wrong.
    """
    if log_config:
        from sanic_ms.telemetry.logging import shipped_text

        typer.echo(shipped_text(), nl=False)
        return
    enter(directory)
    loaded = _loaded(target)
    values = loaded.masked()
    if as_json:
        rows: dict[str, Any] = {
            name: {"value": value, "source": loaded.sources[name]} for name, value in values.items()
        }
        # default=str: a settings module may hold any object.
        typer.echo(json.dumps(rows, indent=2, default=str, ensure_ascii=False))
        return
    shown = {name: _text(value) for name, value in values.items()}
    first = max(map(len, shown))
    # A long value moves its own source to the right, and not that of every line.
    second = min(max(map(len, shown.values())), 40)
    for name, value in shown.items():
        typer.echo(f"{name:<{first}}  {value:<{second}}  {loaded.sources[name]}".rstrip())


def _loaded(target: str | None) -> Loaded[Any]:
    """What the service itself would load; without a service, what the framework would."""
    if target is None:
        here = importlib.machinery.PathFinder.find_spec("server", [str(Path.cwd())])
        if here is None:
            return load_settings()
    try:
        # What the application prints while it is imported is not part of our answer.
        with contextlib.redirect_stdout(sys.stderr):
            return load_service(target or DEFAULT_TARGET).loaded
    except CommandError as exc:
        if target is not None:
            raise
        typer.echo(f"sanic-ms: {exc}; settings of the service's own are not shown", err=True)
        return load_settings()


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value if value.strip() == value != "" else repr(value)
    return json.dumps(value, default=str, ensure_ascii=False)
