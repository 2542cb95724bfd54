"""``sanic-ms openapi``: print a service's document, and compare two versions of one."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sanic_ms.cli._errors import CommandError, describe
from sanic_ms.cli._target import DEFAULT_TARGET, enter, load_service
from sanic_ms.exception import SanicMSError

if TYPE_CHECKING:
    from sanic_ms.openapi import Change

__all__ = ["app", "diff", "show"]


class _ShowByDefault(TyperGroup):
    """``openapi TARGET`` is ``openapi show TARGET``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, "-h", "--help"}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ShowByDefault,
    help="Print the OpenAPI document of a service, or compare two versions of one.",
    rich_markup_mode=None,
    epilog="Example: sanic-ms openapi > new.json && sanic-ms openapi diff old.json new.json",
)

Folder = Annotated[Path | None, typer.Option("--dir", help="Folder of the service; entered first.")]


@app.command("show", epilog="Example: sanic-ms openapi server:app --output openapi.json")
def show(
    target: Annotated[
        str, typer.Argument(metavar="[TARGET]", help="The service, as module:attribute.")
    ] = DEFAULT_TARGET,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead.")
    ] = None,
    directory: Folder = None,
) -> None:
    """Print the OpenAPI document of a service; the word show may be left out."""
    # What is named on the command line is named from where the command was given.
    output = None if output is None else output.absolute()
    enter(directory)
    text = json.dumps(_document_of(target), indent=2, ensure_ascii=False)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as exc:
        raise CommandError(f"{output}: {exc.strerror}", exit_code=1) from None


@app.command("diff", epilog="Example: sanic-ms openapi diff old.json server:app")
def diff(
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="A file, - for standard input, or module:attribute."),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    directory: Folder = None,
) -> None:
    """Compare two versions of a document. The exit code is 1 if the new one breaks callers of the
    old one, and 2 if one of them cannot be read.
    """
    from sanic_ms.openapi import compare

    if old == new == "-":
        raise CommandError("standard input holds one document: name a file for the other")
    here = Path.cwd()
    enter(directory)
    before, after = _read(old, here), _read(new, here)
    try:
        changes = compare(before, after)
    except ValueError as exc:
        raise CommandError(str(exc)) from None
    except RecursionError:
        raise CommandError("the documents nest too deep to be compared") from None
    typer.echo(_as_json(changes) if as_json else _as_text(changes))
    if any(change.effect == "breaking" for change in changes):
        raise typer.Exit(1)


def _as_json(changes: Sequence[Change]) -> str:
    found: dict[str, list[dict[str, Any]]] = {"breaking": [], "note": [], "compatible": []}
    for change in changes:
        entry = asdict(change)
        found[entry.pop("effect")].append(entry)
    return json.dumps(found, indent=2, ensure_ascii=False)


def _as_text(changes: Sequence[Change]) -> str:
    if not changes:
        return "no changes"
    lines = []
    effect = ""
    for change in changes:
        if change.effect != effect:
            effect = change.effect
            count = sum(other.effect == effect for other in changes)
            lines.append(f"{effect} ({count}):")
        where = f"{change.method} {change.path}: " if change.path else ""
        lines.append(f"  {where}{change.text}")
        lines.append(f"    {change.side} #{change.pointer}")
    return "\n".join(lines)


def _read(source: str, here: Path) -> Any:
    """The document that a word names; a file is named from where the command was given.

    Raises:
        CommandError: there is no such file, it is no JSON, or there is no such service.
    """
    path = here / source
    if source != "-" and ":" in source and not path.exists():
        return _document_of(source)
    try:
        raw = sys.stdin.buffer.read() if source == "-" else path.read_bytes()
        return json.loads(raw)
    except OSError as exc:
        raise CommandError(f"{source}: {exc.strerror}") from None
    except (ValueError, RecursionError) as exc:
        reason = "it nests too deep" if isinstance(exc, RecursionError) else str(exc)
        raise CommandError(f"{source} is no JSON: {reason}") from None


def _document_of(target: str) -> dict[str, Any]:
    # What the application prints while it is imported is not part of the document.
    with contextlib.redirect_stdout(sys.stderr):
        service = load_service(target)
        try:
            return service.openapi()
        except SanicMSError:
            raise
        except Exception as exc:
            raise CommandError(f"{target} has no document: {describe(exc)}") from exc
