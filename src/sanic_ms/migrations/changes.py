"""What differs between the models and a database: Peewee's schema diff, and types and nulls.

Not compared: defaults, checks and foreign keys of columns that exist on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import peewee
from playhouse.schema_diff import IndexDiff, SchemaDiff, diff_models

from sanic_ms.migrations.operations import require_schema

__all__ = ["Changes", "NullChange", "SchemaChange", "TypeChange", "compare", "type_of"]

Kind = Literal[
    "create_table",
    "add_column",
    "drop_column",
    "change_type",
    "change_null",
    "add_index",
    "drop_index",
]


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference, in words.

    Attributes:
        kind: What would have to be done to the database.
        table: The table.
        column: The column, if it is about one.
        text: The whole as a line for people.
    """

    kind: Kind
    table: str
    column: str | None
    text: str


@dataclass(frozen=True, slots=True)
class TypeChange:
    """A column whose type in the database is not that of its field."""

    field: Any
    database_type: str
    model_type: str


@dataclass(frozen=True, slots=True)
class NullChange:
    """A column that may be null and should not, or the other way round, as ``field.null`` says."""

    field: Any


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs; false if nothing does.

    Attributes:
        schema: Peewee's diff: tables, columns and indexes.
        models: All that were compared.
        types, nulls: Of columns that both sides have.
        renames: Fields to be added and columns to be dropped that may be the same: in the same
            table, and of the same type.
    """

    schema: SchemaDiff
    models: tuple[type[peewee.Model], ...] = ()
    types: tuple[TypeChange, ...] = ()
    nulls: tuple[NullChange, ...] = ()
    renames: tuple[tuple[Any, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.schema or self.types or self.nulls)

    def __iter__(self) -> Any:
        return iter(_described(self))


def compare(database: peewee.Database, models: Iterable[type[peewee.Model]]) -> Changes:
    """Compare models with a connected database; it is only read.

    Tables that no model stands for are left out, and so are virtual tables.

    Raises:
        MigrationError: a model has a schema, which this database cannot have.
    """
    models = tuple(models)
    for model in models:
        require_schema(database, model)
    schema = diff_models(database, models)
    created = set(schema.create_tables)
    types, nulls, renames = [], [], []
    for model in models:
        if model in created or getattr(model._meta, "extension_module", None):
            continue
        fields = model._meta.columns
        for column in database.get_columns(model._meta.table_name, model._meta.schema):
            field = fields.get(column.name)
            if field is None:
                renames += [
                    (added, column.name)
                    for added in schema.add_columns
                    if added.model is model
                    and _same(column.full_type or "", type_of(added, database), database)
                ]
                continue
            wanted = type_of(field, database)
            if not _same(column.full_type or "", wanted, database):
                types.append(TypeChange(field, column.full_type or "", wanted))
            if not column.primary_key and bool(column.null) != bool(field.null):
                nulls.append(NullChange(field))
    by_table = {model._meta.table_name: model for model in models}
    kept = [
        index
        for index in schema.drop_indexes
        if not _is_declared(database, by_table[index.table], index)
    ]
    schema = schema._replace(drop_indexes=kept)
    return Changes(schema, models, tuple(types), tuple(nulls), tuple(renames))


def type_of(field: Any, database: peewee.Database) -> str:
    """The type of a field's column as this database is told it: ``VARCHAR(20)``."""
    context: Any = database.get_sql_context()
    datatype = field.ddl_datatype(context)
    return "" if datatype is None else str(context.sql(datatype).query()[0])


def _described(changes: Changes) -> list[SchemaChange]:
    schema = changes.schema
    found = [
        SchemaChange("create_table", model._meta.table_name, None, f"create table {_table(model)}")
        for model in schema.create_tables
    ]
    found += [_of_field("add_column", field, "add column {}") for field in schema.add_columns]
    found += [
        _of_field(
            "change_type",
            change.field,
            f"change type of {{}}: {change.database_type} to {change.model_type}",
        )
        for change in changes.types
    ]
    found += [
        _of_field(
            "change_null",
            change.field,
            "allow null in {}" if change.field.null else "forbid null in {}",
        )
        for change in changes.nulls
    ]
    found += [
        SchemaChange("add_index", index.table, None, index.display("add"))
        for index in schema.add_indexes
    ]
    found += [
        SchemaChange("drop_index", index.table, None, index.display("drop"))
        for index in schema.drop_indexes
    ]
    found += [
        SchemaChange("drop_column", table, column, f"drop column {table}.{column}")
        for table, column in schema.drop_columns
    ]
    return found


def _of_field(kind: Kind, field: Any, text: str) -> SchemaChange:
    table = field.model._meta.table_name
    return SchemaChange(kind, table, field.column_name, text.format(f"{table}.{field.column_name}"))


def _table(model: type[peewee.Model]) -> str:
    return str(model._meta.table_name)


# --- types ---------------------------------------------------------------------------------------

# What one database calls by several names. The right side is how it names the type itself.
_POSTGRESQL = {
    "serial": "integer",
    "bigserial": "bigint",
    "int": "integer",
    "int generated by default as identity": "integer",
    "int generated always as identity": "integer",
    "varchar": "character varying",
    "char": "character",
    "decimal": "numeric",
    "bool": "boolean",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
}
_MYSQL = {
    "integer": "int",
    "integer auto_increment": "int",
    "bigint auto_increment": "bigint",
    "bool": "tinyint(1)",
    "boolean": "tinyint(1)",
    "numeric": "decimal",
    "double precision": "double",
    "real": "double",
    "json": "longtext",  # MariaDB's JSON is a longtext with a check; on MySQL both sides say json
}
_SQLITE = {"int": "integer", "numeric": "decimal", "bool": "integer", "boolean": "integer"}

# Types that are compared. Others (of extensions, of fields of one's own) may be spelled in ways
# that nobody here knows, and a difference that is none would come back in each migration.
_COMPARED = {
    "bigint", "blob", "boolean", "bytea", "char", "character", "character varying", "date",
    "datetime", "decimal", "double", "double precision", "float", "int", "integer", "jsonb",
    "longtext", "numeric", "real", "smallint", "text", "time", "time without time zone",
    "timestamp with time zone", "timestamp without time zone", "tinyint", "uuid", "varbinary",
    "varchar",
}  # fmt: skip
_MYSQL_WIDTH = re.compile(r"^((?:small|medium|big)?int|tinyint(?!\(1\)))\(\d+\)")
_PARTS = re.compile(r"^(?P<base>[a-z_ ]+)(?P<size>\([\d, ]+\))?(?P<rest>.*)$")


def _same(actual: str, wanted: str, database: peewee.Database) -> bool:
    found, expected = _canonical(actual, database), _canonical(wanted, database)
    if not {_base(found), _base(expected)} <= _COMPARED:
        return True
    return found == expected


def _canonical(text: str, database: peewee.Database) -> str:
    text = " ".join(text.lower().split())
    if isinstance(database, peewee.MySQLDatabase):
        names, text = _MYSQL, _MYSQL_WIDTH.sub(r"\1", text)
    elif isinstance(database, peewee.PostgresqlDatabase):
        names = _POSTGRESQL
    else:
        names = _SQLITE
    match = _PARTS.match(text)
    if match is None:
        return text
    base, rest = match["base"].strip(), match["rest"]
    if rest.startswith(" with"):  # timestamp(3) with time zone
        base, rest = base + rest, ""
    size = (match["size"] or "").replace(" ", "")
    return f"{names.get(base, base)}{size}{rest}"


def _base(text: str) -> str:
    return re.sub(r"\(.*?\)", "", text).strip()


# --- indexes -------------------------------------------------------------------------------------


def _is_declared(database: Any, model: type[peewee.Model], index: IndexDiff) -> bool:
    """Whether an index that Peewee's diff would drop stands in the model all the same: as a
    constraint, or as a statement of one's own, neither of which the diff looks at."""
    meta = model._meta
    statements = [str(getattr(entry, "sql", "")) for entry in meta.indexes]
    if any(index.name in re.findall(r"\w+", statement) for statement in statements):
        return True
    ask = database.execute_sql
    if isinstance(database, peewee.PostgresqlDatabase):
        query = "SELECT 1 FROM pg_constraint WHERE conname = %s AND contype IN ('u', 'x')"
        return ask(query, (index.name,)).fetchone() is not None
    if not isinstance(database, peewee.MySQLDatabase):
        return False
    if index.unique:  # MySQL does not tell UNIQUE (…) of a table from a unique index
        constraints = [*(meta.constraints or ())]
        for field in meta.sorted_fields:
            constraints += field.constraints or ()
        return any("UNIQUE" in str(getattr(part, "sql", "")).upper() for part in constraints)
    # MySQL makes an index for each foreign key that has none.
    references = {key.column for key in database.get_foreign_keys(index.table)}
    return index.columns is not None and len(index.columns) == 1 and index.columns[0] in references
