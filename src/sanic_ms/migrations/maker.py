"""Making migration files from the difference between models and database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import peewee

from sanic_ms.exception import MigrationError
from sanic_ms.migrations.changes import Changes, SchemaChange, compare
from sanic_ms.migrations.history import HISTORY_TABLE, runner_for
from sanic_ms.migrations.render import EMPTY, render
from sanic_ms.migrations.runner import opened, plan
from sanic_ms.models.discovery import find_models
from sanic_ms.values import DatabaseURL

__all__ = ["Made", "differences", "make", "make_empty"]

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was written, and what its author should look at before it is applied."""

    path: Path
    warnings: list[str] = field(default_factory=list)


def differences(url: str | DatabaseURL, models: Iterable[str]) -> list[SchemaChange]:
    """What differs between the models of some modules and a database, which is only read.

    Raises:
        ConfigError: the models cannot be found.
        DatabaseUnavailable: the database cannot be reached.
    """
    classes = _models(models)
    with opened(url, create=False) as database:
        return list(compare(database, classes))


def make(
    url: str | DatabaseURL,
    directory: str | Path,
    models: Iterable[str],
    name: str | None = None,
    *,
    table: str = HISTORY_TABLE,
) -> Made | None:
    """Write the next file: what brings the database to what the models say.

    Args:
        url: The database; only read.
        directory: The folder of the files; made if it is missing.
        models: Modules that hold the models.
        name: The file's name after its number; default says what it does.
        table: Where applied migrations are recorded.

    Returns:
        None if there is nothing to do.

    Raises:
        ConfigError: the models cannot be found.
        MigrationError: a migration is not applied yet, so that the comparison would find its
            changes again; or files and record do not fit together.
        DatabaseUnavailable: the database cannot be reached.
    """
    classes = _models(models)
    with opened(url, create=False) as database:
        runner = runner_for(database, directory, table)
        pending = plan(runner)
        if pending:
            names = ", ".join(row.name for row in pending)
            raise MigrationError(
                f"not applied yet: {names}; apply it first (sanic-ms db up), or its changes would "
                "be made a second time"
            )
        changes = compare(database, classes)
        if not changes:
            return None
        first = not runner.migrations()
        name = _slug(name or ("initial" if first else _told(changes)))
        rendered = render(changes, _title(changes), database)
        number = max((row.idx for row in runner.status()), default=0) + 1
        path = _write(Path(directory), number, name, rendered.text)
        return Made(path, rendered.warnings)


def make_empty(directory: str | Path, name: str | None = None) -> Made:
    """Write the next file with nothing in it: it fails until it is filled.

    Raises:
        MigrationError: the folder cannot be written.
    """
    title = f"{(name or 'A migration').strip().replace('_', ' ').capitalize()}."
    text = EMPTY.format(title=title.replace("\\", "").replace('"', "'"))
    folder = Path(directory)
    taken = [
        int(match[1]) for path in folder.glob("*.py") if (match := re.match(r"(\d+)", path.name))
    ]
    number = max(taken, default=0) + 1
    return Made(_write(folder, number, _slug(name or "migration"), text))


def _models(names: Iterable[str]) -> list[type[peewee.Model]]:
    names = [names] if isinstance(names, str) else list(names)
    classes = find_models(names)
    if not classes:
        raise MigrationError(
            f"no model in {', '.join(names) or 'the setting MODELS'}: name the modules that "
            "define subclasses of peewee.Model in the setting MODELS, or with --models"
        )
    return classes


def _write(directory: Path, number: int, name: str, text: str) -> Path:
    path = directory / f"{number:04d}_{name}.py"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise MigrationError(f"cannot write {path}: {exc.strerror}") from exc
    return path


def _slug(name: str) -> str:
    slug = re.sub(r"\W+", "_", name).strip("_").lower()
    if not slug:
        raise MigrationError(f"{name!r} is no name for a file: use letters and digits")
    return slug[:_LONGEST_NAME].rstrip("_")


def _told(changes: Changes) -> str:
    """A file name that says what the first change is, and that there are more."""
    first, *rest = list(changes)
    verb = first.kind.partition("_")[0]
    subject = first.table if first.column is None else f"{first.table}_{first.column}"
    what = f"{first.kind}_{subject}" if first.kind.startswith("change") else f"{verb}_{subject}"
    if first.kind.endswith("_index"):
        what = f"{first.kind}_{subject}"
    return f"{what}_and_more" if rest else what


def _title(changes: Changes) -> str:
    texts = [change.text for change in changes]
    shown = "; ".join(texts[:3]) + (f"; and {len(texts) - 3} more" if len(texts) > 3 else "")
    if len(shown) > 90:
        shown = f"{texts[0]}; and {len(texts) - 1} more" if len(texts) > 1 else texts[0]
    return f"{shown[0].upper()}{shown[1:]}.".replace("\\", "").replace('"', "'")
