"""From differences to the text of a migration file.

The same differences give the same text: there is no time and no random name in it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import peewee
from playhouse.schema_diff import IndexDiff

from sanic_ms.migrations.changes import Changes, TypeChange
from sanic_ms.migrations.operations import has_database_default, make_index_name
from sanic_ms.migrations.source import NoSource, SourceWriter, call, quoted

__all__ = ["EMPTY", "Rendered", "render"]

EMPTY = '''\
"""{title}"""

# import peewee as pw


def up(migrator, db):
    # migrator.migrate(migrator.add_column("users", "phone", pw.CharField(null=True)))
    raise NotImplementedError("write what this migration does")


# Without a down() it cannot be taken back.
# def down(migrator, db):
#     migrator.migrate(migrator.drop_column("users", "phone", cascade=False))
'''


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text of a file, and what its author has to look at before it is applied."""

    text: str
    warnings: list[str]


def render(changes: Changes, title: str, database: peewee.Database) -> Rendered:
    """Write a migration.

    Args:
        changes: What is to be done; not empty.
        title: The file's first line.
        database: The kind of database that raw SQL is written for, where there is no other way.
    """
    file = _MigrationFile(database)
    file.write(changes)
    return Rendered(file.text(title), file.warnings)


class _MigrationFile:
    def __init__(self, database: peewee.Database) -> None:
        self.source = SourceWriter(database)
        self.database = database
        self.up: list[str] = []
        self.down: list[list[str]] = []
        self.final: list[str] = []
        self.warnings: list[str] = []

    def write(self, changes: Changes) -> None:
        schema = changes.schema
        targets = self._stubs(schema.create_tables, schema.add_columns)
        for model in schema.create_tables:
            self._create(model, targets)
        for index in schema.drop_indexes:
            self._drop_index(index, set(schema.drop_columns))
        for field in schema.add_columns:
            self._add_column(field, targets)
        for change in changes.types:
            self._change_type(change)
        for null in changes.nulls:
            self._change_null(null.field)
        with_index = {
            (field.model._meta.table_name, (field.column_name,), bool(field.unique))
            for field in schema.add_columns
            if field.index or field.unique
        }
        models = {model._meta.table_name: model for model in changes.models}
        for index in schema.add_indexes:
            made = (index.table, index.columns, index.unique) in with_index
            self._add_index(index, models, made=made)
        for table, column in schema.drop_columns:
            self._drop_column(table, column)
        self._warn_of_renames(changes)

    def text(self, title: str) -> str:
        lines = [*self.up, *itertools.chain.from_iterable(self.down)]
        if not any("pw." in line for line in lines):
            self.source.imports.discard("import peewee as pw")
        parts = [f'"""{title}"""', *_import_sections(self.source.imports)]
        parts.append(f"\n{_function('up', self.up)}")
        if self.final:
            reasons = "; ".join(self.final)
            parts.append(f"\n# There is no down(): {reasons}.")
        else:
            steps = [line for step in reversed(self.down) for line in step]
            parts.append(f"\n{_function('down', steps)}")
        return "\n\n".join(parts) + "\n"

    # --- tables

    def _stubs(
        self, created: list[type[peewee.Model]], added: list[Any]
    ) -> dict[type[peewee.Model], str]:
        """Names for the models that the file speaks of; those that exist get a short class."""
        names: dict[type[peewee.Model], str] = {}
        for model in created:
            _give_name(names, model)
        own = [field for model in created for field in model._meta.sorted_fields]
        referred: dict[type[peewee.Model], list[Any]] = {}
        for field in (*own, *added):
            if not isinstance(field, peewee.ForeignKeyField) or field.deferred:
                continue
            if field.rel_model in created:
                continue
            fields = referred.setdefault(field.rel_model, [])
            if field.rel_field not in fields:
                fields.append(field.rel_field)
        for model, fields in referred.items():
            name = _give_name(names, model)
            lines = [f"class {name}(pw.Model):  # is there already; for the reference"]
            for field in fields:
                lines += _at(4, self._assigned(field, names, stub=True))
            lines += self._meta(model, plain=True)
            self.up += [*lines, ""]
        return names

    def _create(self, model: type[peewee.Model], names: dict[type[peewee.Model], str]) -> None:
        meta = model._meta
        lines = [f"class {names[model]}(pw.Model):"]
        for field in meta.sorted_fields:
            lines += _at(4, self._assigned(field, names))
        lines += self._meta(model)
        lines += ["", f"db.create_tables([{names[model]}])"]
        if any(getattr(field, "deferred", False) for field in meta.sorted_fields):
            lines.append("# A deferred foreign key is a plain column; Peewee makes no reference.")
        for index in meta.indexes:
            if _plain_index(index) is None:
                lines += self._raw_index(model, index)
        self.up += [*lines, ""]
        schema = [f"schema={quoted(meta.schema)}"] if meta.schema else []
        self.down.append(_migrate("drop_table", [quoted(meta.table_name), *schema]))

    def _meta(self, model: type[peewee.Model], *, plain: bool = False) -> list[str]:
        meta = model._meta
        lines = ["database = db", f"table_name = {quoted(meta.table_name)}"]
        if meta.schema:
            lines.append(f"schema = {quoted(meta.schema)}")
        if not plain:
            lines += self._table_options(model)
        return ["", "    class Meta:", *(f"        {line}" for line in lines)]

    def _table_options(self, model: type[peewee.Model]) -> list[str]:
        meta = model._meta
        lines = []
        if isinstance(meta.primary_key, peewee.CompositeKey):
            names = ", ".join(map(quoted, meta.primary_key.field_names))
            lines.append(f"primary_key = pw.CompositeKey({names})")
        elif meta.primary_key is False:
            lines.append("primary_key = False")
        if not meta.legacy_table_names:  # it decides the names of indexes as well
            lines.append("legacy_table_names = False")
        if indexes := [plain for plain in map(_plain_index, meta.indexes) if plain]:
            entries = "".join(
                f"(({', '.join(map(quoted, names))}{',' if len(names) == 1 else ''}), {unique}),"
                for names, unique in indexes
            )
            lines.append(f"indexes = ({entries.rstrip(',') if len(indexes) > 1 else entries})")
            lines[-1] = lines[-1].replace("),((", "), ((")
        for option in ("table_settings", "without_rowid", "strict_tables", "options"):
            if value := getattr(meta, option):
                value = list(value) if isinstance(value, tuple) else value
                try:
                    lines.append(f"{option} = {self.source.value(value)}")
                except NoSource as exc:
                    lines.append(self._by_hand(f"{meta.table_name}: Meta.{option}", exc))
        if meta.constraints:
            try:
                lines.append(f"constraints = {self.source.constraints(meta.constraints)}")
            except NoSource as exc:
                lines.append(self._by_hand(f"{meta.table_name}: Meta.constraints", exc))
        return lines

    # --- columns

    def _assigned(self, field: Any, names: dict[Any, str], *, stub: bool = False) -> str:
        """A line of a class body: the field's name and its source."""
        start = f"{field.name} = "
        try:
            if stub and isinstance(field, peewee.ForeignKeyField):
                # A key that is a reference itself: what it refers to is of no interest here.
                extra = ["primary_key=True"] if field.primary_key else []
                extra.append(f"column_name={quoted(field.column_name)}")
                return start + self.source.field(field, names, bare=True, extra=extra)
            return start + self.source.field(field, names, indent=8 + len(start))
        except NoSource as exc:
            place = f"{field.model._meta.table_name}.{field.column_name}"
            return self._by_hand(f"{place}: the field", exc)

    def _by_hand(self, what: str, exc: NoSource) -> str:
        """A warning, and a statement that fails until somebody has mended the file."""
        message = f"{what} must be written by hand: {exc}"
        self.warnings.append(message)
        return f"raise NotImplementedError({quoted(message)})"

    def _add_column(self, field: Any, names: dict[type[peewee.Model], str]) -> None:
        table, column = field.model._meta.table_name, field.column_name
        place = f"{table}.{column}"
        extra, further = [], []
        if not field.null:
            if has_database_default(field):
                further.append("allow_not_null=True")
            elif field.default is None:
                self.warnings.append(
                    f"{place} forbids null and has no default: in the file, give the field a "
                    "default for the rows that exist, or null=True"
                )
                self.up.append(f"# TODO: give {place} a default for the rows that exist.")
            else:
                with self._or_warn(f"{place}: its default"):
                    extra.append(f"default={self.source.default(field)}")
        with self._or_warn(f"{place}: the field"):
            source = self.source.field(field, names, standalone=True, extra=extra)
            self.up += _migrate("add_column", [quoted(table), quoted(column), source, *further])
        self.down.append(_migrate("drop_column", [quoted(table), quoted(column), "cascade=False"]))

    def _drop_column(self, table: str, column: str) -> None:
        self.up += _migrate("drop_column", [quoted(table), quoted(column), "cascade=False"])
        self.warnings.append(f"{table}.{column} is dropped, with what is in it")
        self.final.append(f"the values of {table}.{column} are gone")

    def _change_type(self, change: TypeChange) -> None:
        field = change.field
        table, column = field.model._meta.table_name, field.column_name
        place = f"{table}.{column}"
        self.warnings.append(
            f"{place} changes from {change.database_type} to {change.model_type}: see that every "
            "value fits"
        )
        if field.primary_key:
            self.up.append(f"# TODO: {place} is the primary key; change its type by hand.")
            self.up.append(f'raise NotImplementedError("the type of {place}")')
            self.final.append(f"{place} is changed by hand")
            return
        with self._or_warn(f"{place}: the field"):
            source = self.source.field(field, {}, standalone=True, bare=True)
            self.up += _migrate("alter_column_type", [quoted(table), quoted(column), source])
        self.final.append(f"{place} was {change.database_type} before")

    def _change_null(self, field: Any) -> None:
        table, column = field.model._meta.table_name, field.column_name
        arguments = [quoted(table), quoted(column)]
        allow, forbid = _migrate("drop_not_null", arguments), _migrate("add_not_null", arguments)
        self.up += allow if field.null else forbid
        self.down.append(forbid if field.null else allow)
        if not field.null:
            self.warnings.append(
                f"{table}.{column} will forbid null: rows that have none make it fail; fill them "
                "first, in the same file"
            )

    def _warn_of_renames(self, changes: Changes) -> None:
        for field, old in changes.renames:
            table, new = field.model._meta.table_name, field.column_name
            self.warnings.append(
                f"{table}.{old} goes and {table}.{new} of the same type comes: if that is a new "
                f"name for the same values, write migrator.rename_column({quoted(table)}, "
                f"{quoted(old)}, {quoted(new)}) instead of the two"
            )

    # --- indexes

    def _drop_index(self, index: IndexDiff, dropped: set[tuple[str, str]]) -> None:
        columns = index.columns or ()
        gone = [column for column in columns if (index.table, column) in dropped]
        if columns and len(gone) == len(columns):
            return  # it goes with its columns, and MySQL wants it until then
        self.up += _migrate("drop_index", [quoted(index.table), quoted(index.name)])
        if index.columns is None:
            self.final.append(f"the index {index.name} cannot be made again from its name")
        elif not gone:
            self.down.append(_migrate("add_index", _index_arguments(index)))

    def _add_index(
        self, index: IndexDiff, models: dict[str, type[peewee.Model]], *, made: bool
    ) -> None:
        if index.columns is None:
            self.up += self._raw_named(index, models)
        elif made:
            return  # it comes and goes with its column; MySQL wants it as long as the reference
        else:
            self.up += _migrate("add_index", _index_arguments(index))
        name = index.name or make_index_name(index.table, index.columns)
        self.down.append(_migrate("drop_index", [quoted(index.table), quoted(name)]))

    def _raw_named(self, index: IndexDiff, models: dict[str, type[peewee.Model]]) -> list[str]:
        model = models[index.table]
        for entry in model._meta.indexes:
            for made in _as_index(model, entry):
                if made._name == index.name:
                    return self._raw_index(model, made)
        raise AssertionError(f"Peewee's diff names an index that is not there: {index.name}")

    def _raw_index(self, model: type[peewee.Model], index: Any) -> list[str]:
        """An index with conditions or expressions: as SQL, of the database at hand."""
        lines = []
        for made in _as_index(model, index) or [index]:
            manager: Any = peewee.SchemaManager(model, self.database)
            sql, params = manager._create_index(made, safe=False).query()
            if params:
                what = f"{model._meta.table_name}: the index"
                lines.append(self._by_hand(what, NoSource(f"{sql} with {params!r}")))
                continue
            kind = type(self.database).__name__.strip("_").removesuffix("Database")
            lines.append(f"# As {kind} writes it.")
            lines += call("db.execute_sql", [quoted(str(sql))], indent=4).splitlines()
        return lines

    def _or_warn(self, what: str) -> Any:
        return _OrWarn(self, what)


class _OrWarn:
    """Turns `NoSource` into a warning and a line in the file that fails until it is mended."""

    def __init__(self, file: _MigrationFile, what: str) -> None:
        self.file, self.what = file, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, exc: BaseException | None, trace: Any) -> bool:
        if not isinstance(exc, NoSource):
            return False
        self.file.up.append(self.file._by_hand(self.what, exc))
        return True


def _function(name: str, lines: list[str]) -> str:
    while lines and not lines[-1]:
        lines = lines[:-1]
    body = "\n".join(f"    {line}".rstrip() for line in lines or ["pass"])
    return f"def {name}(migrator, db):\n{body}"


def _migrate(operation: str, arguments: list[str]) -> list[str]:
    line = f"migrator.migrate({call(f'migrator.{operation}', arguments, indent=22)})"
    if "\n" not in line:
        return [line]
    inner = call(f"migrator.{operation}", arguments, indent=8)
    return call("migrator.migrate", [inner], indent=4).splitlines()


def _at(indent: int, text: str) -> list[str]:
    return [f"{' ' * indent}{line}" for line in text.splitlines()]


def _import_sections(lines: Iterable[str]) -> list[str]:
    """Import lines as formatters sort them: standard library, libraries, the application."""
    sections: dict[int, list[str]] = {}
    for line in sorted(lines, key=lambda line: (line.startswith("from"), line)):
        top = line.split()[1].partition(".")[0]
        libraries = ("peewee", "playhouse", "sanic_ms")
        section = 0 if top in sys.stdlib_module_names else 1 if top in libraries else 2
        sections.setdefault(section, []).append(line)
    return ["\n".join(sections[section]) for section in sorted(sections)]


def _give_name(names: dict[type[peewee.Model], str], model: type[peewee.Model]) -> str:
    name, number = model.__name__, 1
    while name in names.values():
        number += 1
        name = f"{model.__name__}{number}"
    names[model] = name
    return name


def _plain_index(entry: Any) -> tuple[tuple[str, ...], bool] | None:
    """The names and uniqueness of an index that is written ``(("a", "b"), True)``, else None."""
    if not isinstance(entry, list | tuple):
        return None
    names, unique = entry
    if all(isinstance(name, str) for name in names):
        return tuple(names), bool(unique)
    return None


def _as_index(model: type[peewee.Model], entry: Any) -> list[Any]:
    if isinstance(entry, peewee.Index):
        return [entry]
    if isinstance(entry, list | tuple):
        parts, unique = entry
        fields = [model._meta.combined[part] if isinstance(part, str) else part for part in parts]
        return [peewee.ModelIndex(model, fields, unique=unique)]
    return []


def _index_arguments(index: IndexDiff) -> list[str]:
    columns = f"[{', '.join(map(quoted, index.columns))}]"
    arguments = [quoted(index.table), columns]
    if index.unique:
        arguments.append("unique=True")
    if index.name and index.name != make_index_name(index.table, index.columns):
        arguments.append(f"name={quoted(index.name)}")
    return arguments
