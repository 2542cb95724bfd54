"""``sanic-ms db``: make, apply and inspect migrations.

Peewee and the drivers are imported when a verb runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sanic_ms.cli._errors import CommandError
from sanic_ms.cli._target import DEFAULT_TARGET, NoServiceError, enter, load_service
from sanic_ms.exception import DatabaseUnavailable, MigrationFailed, SanicMSError

if TYPE_CHECKING:
    from sanic_ms.config import Loaded
    from sanic_ms.values.table_sets import TableSet

__all__ = ["app", "create", "diff", "down", "make", "sql", "status", "up"]

app = typer.Typer(
    help="Make, apply and inspect the migrations of a service's database.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: sanic-ms db make && sanic-ms db up",
)

Url = Annotated[
    str | None, typer.Option("--url", help="The database; default is the setting DB_URL.")
]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="NAME", help="One of the setting DATABASES, by its name."),
]
Folder = Annotated[Path | None, typer.Option("--dir", help="Folder of the service; entered first.")]
Migrations = Annotated[
    str | None,
    typer.Option(
        "--migrations",
        metavar="FOLDER",
        help="Folder of the files; default is the setting MIGRATIONS, and FOLDER/NAME for a "
        "database of DATABASES.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        metavar="MODULE",
        help="A module that holds models; may be repeated. Default is the setting MODELS.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Target = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="TARGET",
        help="The service, as module:attribute, whose packages need tables too; default "
        f"{DEFAULT_TARGET}, where there is one.",
    ),
]
NoService = Annotated[
    bool,
    typer.Option(
        "--no-service", help="Load no service: leave out the tables of the framework's packages."
    ),
]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for another process that migrates.")
]


@app.command(epilog="Example: sanic-ms db create && sanic-ms db up")
def create(
    *,
    url: Url = None,
    database: Database = None,
    directory: Folder = None,
    as_json: Json = False,
) -> None:
    """Make the database that DB_URL names; its tables are made by up.

    Exit codes: 0 made, or it was there; 1 the server refuses or cannot be reached; 2 not possible.
    """
    with _errors(failed=1):
        from sanic_ms.migrations import create_database
        from sanic_ms.values import DatabaseURL

        place = _place(directory, url, database, None)
        try:
            made = create_database(place.url)
        except DatabaseUnavailable as exc:
            raise CommandError(str(exc), exit_code=1) from exc
    shown = DatabaseURL.parse(place.url).masked
    if as_json:
        _print_json({"database": shown, "created": made})
    else:
        typer.echo(f"created {shown}" if made else f"nothing to do: {shown} is there")


@app.command(epilog="Example: sanic-ms db make add_phone")
def make(
    name: Annotated[
        str | None, typer.Argument(help="Name of the file; default says what it does.")
    ] = None,
    *,
    empty: Annotated[
        bool, typer.Option("--empty", help="A file to be filled by hand; no database is asked.")
    ] = False,
    models: Models = None,
    url: Url = None,
    database: Database = None,
    migrations: Migrations = None,
    directory: Folder = None,
    as_json: Json = False,
) -> None:
    """Write the migration that brings the database to what the models say.

    Everything applied so far must stand in the database: run up first. Exit codes: 0 written, or
    nothing to do; 2 not possible.
    """
    with _errors(failed=2):
        from sanic_ms.migrations import maker

        place = _place(directory, url, database, migrations, models, needs_models=not empty)
        made: maker.Made | None
        if empty:
            made = maker.make_empty(place.migrations, name)
        else:
            made = maker.make(place.url, place.migrations, place.models, name, table=place.table)
    if as_json:
        path = None if made is None else str(made.path)
        _print_json({"path": path, "warnings": [] if made is None else made.warnings})
    elif made is None:
        typer.echo("nothing to do: the database is as the models say")
    else:
        typer.echo(made.path)
        for warning in made.warnings:
            typer.echo(f"warning: {warning}", err=True)


@app.command(epilog="Example: sanic-ms db up --url sqlite:///shop.db")
def up(
    target: Annotated[
        str | None, typer.Argument(help="The last one to apply, by name or number; default all.")
    ] = None,
    *,
    out_of_order: Annotated[
        bool, typer.Option("--out-of-order", help="Also one older than those applied.")
    ] = False,
    fake: Annotated[
        bool, typer.Option("--fake", help="Record them as applied without running them.")
    ] = False,
    wait: Wait = 60.0,
    url: Url = None,
    database: Database = None,
    migrations: Migrations = None,
    directory: Folder = None,
    service: Target = None,
    no_service: NoService = False,
    as_json: Json = False,
) -> None:
    """Apply the pending migrations: first those of the framework's packages that the service uses,
    then its own.

    Many may run at once: one applies, the others wait for it. Exit codes: 0 done, or nothing to do;
    1 a migration failed; 2 not possible, and nothing was changed.
    """
    with _errors(failed=1):
        from sanic_ms.migrations import migrate

        place = _place(directory, url, database, migrations)
        sets = _sets(service, database, load=not no_service)
        names = migrate(
            place.url,
            place.migrations,
            target=target,
            table=place.table,
            lock_timeout=wait,
            out_of_order=out_of_order,
            fake=fake,
            sets=sets,
        )
    _print_names("recorded" if fake else "applied", names, as_json, "nothing to do: up to date")


@app.command(epilog="Example: sanic-ms db down 0003")
def down(
    target: Annotated[
        str | None,
        typer.Argument(help="Take back down to this one, it included; default the last."),
    ] = None,
    *,
    wait: Wait = 60.0,
    url: Url = None,
    database: Database = None,
    migrations: Migrations = None,
    directory: Folder = None,
    as_json: Json = False,
) -> None:
    """Take applied migrations back: the last one, or all down to TARGET.

    Exit codes: 0 done, or nothing to do; 1 a migration failed; 2 not possible.
    """
    with _errors(failed=1):
        from sanic_ms.migrations import rollback

        place = _place(directory, url, database, migrations)
        names = rollback(
            place.url, place.migrations, target=target, table=place.table, lock_timeout=wait
        )
    _print_names("took back", names, as_json, "nothing to do: none is applied")


@app.command(epilog="Example: sanic-ms db status --json")
def status(
    *,
    url: Url = None,
    database: Database = None,
    migrations: Migrations = None,
    directory: Folder = None,
    service: Target = None,
    no_service: NoService = False,
    as_json: Json = False,
) -> None:
    """List every migration, applied or not.

    Exit codes: 0 all are applied; 1 one is pending or has a problem; 2 it could not be read.
    """
    with _errors(failed=2):
        from sanic_ms.migrations import status as read_status

        place = _place(directory, url, database, migrations)
        sets = _sets(service, database, load=not no_service)
        entries = read_status(place.url, place.migrations, table=place.table, sets=sets)
    if as_json:
        _print_json(
            [
                {
                    "name": entry.name,
                    "state": entry.state,
                    "applied_at": entry.applied_at and entry.applied_at.isoformat(),
                    "problem": entry.problem,
                }
                for entry in entries
            ]
        )
    else:
        width = max((len(entry.name) for entry in entries), default=0)
        for entry in entries:
            when = entry.applied_at.strftime("  %Y-%m-%d %H:%M:%S UTC") if entry.applied_at else ""
            typer.echo(f"{entry.state:<8}  {entry.name:<{width}}{when}".rstrip())
            if entry.problem:
                typer.echo(f"          {entry.problem}")
        if not entries:
            typer.echo("no migrations")
    if any(entry.state != "applied" for entry in entries):
        raise typer.Exit(1)


@app.command(epilog="Example: sanic-ms db diff --json")
def diff(
    *,
    models: Models = None,
    url: Url = None,
    database: Database = None,
    directory: Folder = None,
    as_json: Json = False,
) -> None:
    """Show what differs between the models and the database.

    Exit codes: 0 nothing; 1 something; 2 they could not be compared.
    """
    with _errors(failed=2):
        from sanic_ms.migrations import maker

        place = _place(directory, url, database, None, models, needs_models=True)
        changes = maker.differences(place.url, place.models)
    if as_json:
        _print_json(
            [
                {
                    "kind": change.kind,
                    "table": change.table,
                    "column": change.column,
                    "text": change.text,
                }
                for change in changes
            ]
        )
    else:
        for change in changes:
            typer.echo(change.text)
        if not changes:
            typer.echo("the database is as the models say")
    if changes:
        raise typer.Exit(1)


@app.command(epilog="Example: sanic-ms db sql > change.sql")
def sql(
    target: Annotated[
        str | None, typer.Argument(help="The last one to show, by name or number; default all.")
    ] = None,
    *,
    url: Url = None,
    database: Database = None,
    migrations: Migrations = None,
    directory: Folder = None,
    service: Target = None,
    no_service: NoService = False,
    as_json: Json = False,
) -> None:
    """Print the SQL that up would run, and run none of it.

    The database is only read. A migration that reads what an earlier pending one makes cannot be
    shown before that one is applied. Exit codes: 0 all is shown; 2 it could not be.
    """
    with _errors(failed=2):
        from sanic_ms.migrations.dryrun import planned_sql

        place = _place(directory, url, database, migrations)
        sets = _sets(service, database, load=not no_service)
        planned = planned_sql(
            place.url, place.migrations, target=target, table=place.table, sets=sets
        )
    if as_json:
        _print_json(
            [
                {
                    "migration": entry.name,
                    "statements": entry.statements,
                    "problem": entry.problem,
                }
                for entry in planned
            ]
        )
    else:
        if not planned:
            typer.echo("-- nothing to do: up to date")
        for entry in planned:
            typer.echo(f"-- {entry.name}")
            for statement in entry.statements:
                typer.echo(f"{statement};")
    if planned and planned[-1].problem:
        raise CommandError(planned[-1].problem)


@dataclass(frozen=True, slots=True)
class _DatabaseTarget:
    url: str
    migrations: str
    models: list[str]
    table: str


def _place(
    directory: Path | None,
    url: str | None,
    name: str | None,
    migrations: str | None,
    models: list[str] | None = None,
    *,
    needs_models: bool = False,
) -> _DatabaseTarget:
    """Which database, folder and models a command is about: its options, then the settings."""
    from sanic_ms.config import load_settings

    enter(directory)
    loaded = load_settings()
    settings = loaded.settings
    if name is not None:
        if name not in settings.databases:
            known = ", ".join(sorted(settings.databases)) or "none"
            raise CommandError(f"--database {name}: not in the setting DATABASES (there: {known})")
        if needs_models and not models:
            raise CommandError(
                f"--database {name}: say which models are its own with --models MODULE"
            )
    folder = settings.migrations if name is None else f"{settings.migrations}/{name}"
    return _DatabaseTarget(
        _url(url, name, loaded),
        migrations or folder,
        models or settings.models,
        settings.migrations_table,
    )


def _sets(target: str | None, database: str | None, *, load: bool) -> tuple[TableSet, ...]:
    """The tables of the framework's packages that the service in the folder needs.

    Raises:
        CommandError: the service cannot be loaded.
    """
    if target is not None and not load:
        raise CommandError("--service and --no-service: give one of them")
    module = DEFAULT_TARGET.partition(":")[0]
    here = PathFinder.find_spec(module, [str(Path.cwd())])
    if not load or (target is None and (here is None or here.origin is None)):
        return ()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            service = load_service(target or DEFAULT_TARGET)
    except NoServiceError:
        if target is None:  # a module that only has the name
            return ()
        raise
    except (CommandError, SanicMSError) as exc:
        raise CommandError(
            f"{exc} (the service is loaded because its packages may need tables; --no-service "
            "leaves them out)"
        ) from exc
    return service.framework_tables.of(database or "default")


def _url(url: str | None, name: str | None, loaded: Loaded[Any]) -> str:
    from sanic_ms.values import DatabaseURL

    settings = loaded.settings
    chosen = url or (settings.db_url if name is None else settings.databases[name])
    if chosen is None:
        raise CommandError("no database: set DB_URL, or give --url sqlite:///app.db")
    try:
        return DatabaseURL.parse(chosen).url
    except ValueError as exc:
        raise CommandError(f"--url: {exc}" if url else str(exc)) from None


@contextlib.contextmanager
def _errors(*, failed: int) -> Iterator[None]:
    """Give errors their exit code: `failed` for a migration that was started, else 2."""
    try:
        yield
    except MigrationFailed as exc:
        raise CommandError(str(exc), exit_code=failed) from exc
    except SanicMSError as exc:
        raise CommandError(str(exc)) from exc


def _print_names(done: str, names: list[str], as_json: bool, nothing: str) -> None:
    if as_json:
        _print_json({done.replace(" ", "_"): names})
        return
    for name in names:
        typer.echo(f"{done} {name}")
    if not names:
        typer.echo(nothing)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
