"""``sanic-ms routes``: every route of a service, and who may call it."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sanic_ms.cli._target import DEFAULT_TARGET, enter, load_service
from sanic_ms.exception import LifecycleError

if TYPE_CHECKING:
    from sanic_ms.http import RouteEntry

__all__ = ["EPILOG", "routes"]

EPILOG = "Example: sanic-ms routes --without-policy"


def routes(
    target: Annotated[
        str, typer.Argument(metavar="[TARGET]", help="The service, as module:attribute.")
    ] = DEFAULT_TARGET,
    *,
    without_policy: Annotated[
        bool,
        typer.Option(
            "--without-policy", help="Only routes without a policy; exit code 1 if there are any."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Folder of the service; entered first.")
    ] = None,
) -> None:
    """List method, path, handler, source line and policy of every route.

    A route's policy is what its handler declares with doc.security; - is none.
    """
    enter(directory)
    found = _routes_of(target)
    if without_policy:
        found = [entry for entry in found if entry.policy is None]
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in found], indent=2, ensure_ascii=False))
    else:
        _print_table(found)
    if without_policy and found:
        raise typer.Exit(1)


def _routes_of(target: str) -> list[RouteEntry]:
    from sanic_ms.http import list_routes

    # What the application prints while it is imported is not part of our answer.
    with contextlib.redirect_stdout(sys.stderr):
        service = load_service(target)
        try:
            service.compile()
        except LifecycleError as exc:  # it stops a start, and the routes are there all the same
            typer.echo(f"sanic-ms: {exc}", err=True)
    return list_routes(service)


def _print_table(entries: list[RouteEntry]) -> None:
    rows = [
        (",".join(entry.methods), entry.path, entry.handler, entry.source, entry.policy or "-")
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
