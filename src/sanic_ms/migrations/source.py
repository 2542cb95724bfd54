"""Python source for fields, values and constraints, as migration files need it.

A file stands on its own: a field of the application's is written as the Peewee field that makes the
same column, wherever there is one, so that the file still runs when the application has changed.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import importlib
import math
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import peewee

from sanic_ms.migrations.changes import type_of

__all__ = ["NoSource", "SourceWriter", "call", "quoted"]

WIDTH = 88
_MODULES = {
    datetime.datetime: "datetime",
    datetime.date: "datetime",
    datetime.time: "datetime",
    datetime.timedelta: "datetime",
    decimal.Decimal: "decimal",
    uuid.UUID: "uuid",
}


class NoSource(Exception):
    """A value cannot be written as source. The text says which; never seen by users."""


def quoted(text: str) -> str:
    """A text as Python source, in double quotes where that needs no escape."""
    source = repr(text)
    return f'"{source[1:-1]}"' if source[0] == "'" and '"' not in source else source


def call(function: str, arguments: Iterable[str], *, indent: int = 0) -> str:
    """Source of a call, one argument a line if it is too long for one."""
    arguments = list(arguments)
    line = f"{function}({', '.join(arguments)})"
    if (len(line) + indent <= WIDTH and "\n" not in line) or not arguments:
        return line
    inner = "".join(f"    {_indented(argument)},\n" for argument in arguments)
    return f"{function}(\n{inner})"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


class SourceWriter:
    """Writes source for one file, and gathers the imports that it needs.

    Attributes:
        imports: Import lines, to be sorted.
    """

    def __init__(self, database: peewee.Database) -> None:
        self.database = database
        self.imports: set[str] = {"import peewee as pw"}

    def field(
        self,
        field: Any,
        targets: Mapping[Any, str],
        *,
        standalone: bool = False,
        extra: Iterable[str] = (),
        bare: bool = False,
        indent: int = 0,
    ) -> str:
        """A field's constructor call.

        Args:
            field: The field of a model.
            targets: The names in the file of the models that foreign keys may refer to.
            standalone: Written outside a class: the column's name is said elsewhere.
            extra: Further arguments.
            bare: The type and null alone: no key, index, uniqueness or reference.
            indent: How far in it will stand.

        Raises:
            NoSource: neither Peewee nor the field's own class can be made to give that column.
        """
        if isinstance(field, peewee.ForeignKeyField) and not field.deferred and not bare:
            first = self._target(field, targets, standalone)
            arguments = [*first, *self._arguments(field, standalone, bare)]
            return call("pw.ForeignKeyField", [*arguments, *extra], indent=indent)
        wanted = type_of(field, self.database)
        stored = _stored(field)
        rest = self._arguments(field, standalone, bare)
        for cls, name in self._candidates(type(stored)):
            arguments = [*_size(stored, cls), *rest]
            made = _made(cls, name, arguments)
            if made is None or type_of(made, self.database) != wanted:
                continue
            if not bare and made.index and not (field.index or field.unique):
                arguments.append("index=False")  # some fields have an index unless told
            if name == cls.__name__:
                self.imports.add(f"from {cls.__module__} import {name}")
            return call(name, [*arguments, *extra], indent=indent)
        raise NoSource(f"a {type(field).__name__} that makes {wanted}")

    def constraints(self, nodes: Iterable[Any]) -> str:
        """A tuple of constraints, as the SQL that they are."""
        parts = []
        for node in nodes:
            sql, params = self._sql(node)
            if params:
                raise NoSource(f"the constraint {sql} with values")
            parts.append(f"pw.SQL({quoted(sql)})")
        return f"({', '.join(parts)},)" if len(parts) == 1 else f"({', '.join(parts)})"

    def default(self, field: Any) -> str:
        """The value that rows get which exist already: ``default`` of a field.

        Raises:
            NoSource: it is a lambda or a local function, or an object without source.
        """
        value = field.default
        if callable(value):
            return self._function(value)
        try:
            return self.value(value)
        except NoSource:
            return self.value(field.db_value(value))

    def value(self, value: Any) -> str:
        """A plain value as source.

        Raises:
            NoSource: it is none.
        """
        if isinstance(value, enum.Enum):
            return self.value(value.value)
        if isinstance(value, str):
            return quoted(str(value))
        if value is None or isinstance(value, bool | int | bytes):
            return repr(value)
        if isinstance(value, float) and math.isfinite(value):
            return repr(value)
        if type(value) in _MODULES and getattr(value, "tzinfo", None) in (None, datetime.UTC):
            module = _MODULES[type(value)]
            self.imports.add(f"import {module}")
            source = repr(value)
            return source if source.startswith(f"{module}.") else f"{module}.{source}"
        if type(value) is list:
            return f"[{', '.join(map(self.value, value))}]"
        if type(value) is dict:
            items = (f"{self.value(key)}: {self.value(entry)}" for key, entry in value.items())
            return f"{{{', '.join(items)}}}"
        raise NoSource(f"{value!r}")

    def _function(self, function: Callable[[], Any]) -> str:
        if function in (dict, list, str, int, float, bool):
            return str(getattr(function, "__name__", ""))
        owner = getattr(function, "__self__", None)
        module = getattr(function, "__module__", None) or getattr(owner, "__module__", None)
        path = getattr(function, "__qualname__", "")
        try:
            found: Any = importlib.import_module(module or "")
            for part in path.split("."):
                found = getattr(found, part)
        except (AttributeError, ImportError, ValueError):
            raise NoSource(f"the function {path or repr(function)}") from None
        if found != function or module == "__main__":
            raise NoSource(f"the function {path}")
        # The standard library's modules are named, as they are for values: "datetime" is both a
        # module and a class of it.
        if module in sys.stdlib_module_names:
            self.imports.add(f"import {module}")
            return f"{module}.{path}"
        self.imports.add(f"from {module} import {path.partition('.')[0]}")
        return str(path)

    def _target(self, field: Any, targets: Mapping[Any, str], standalone: bool) -> list[str]:
        itself = field.rel_model is field.model and not standalone
        name = quoted("self") if itself else targets[field.rel_model]
        if itself or (not standalone and field.rel_field is field.rel_model._meta.primary_key):
            return [name]
        return [name, f"field={name}.{field.rel_field.name}"]

    def _arguments(self, field: Any, standalone: bool, bare: bool) -> list[str]:
        """What fields of all kinds have in common, without the default: the column has none."""
        reference = isinstance(field, peewee.ForeignKeyField)
        arguments: list[str] = []
        if not bare:
            if field.primary_key and not isinstance(field, peewee.AutoField):
                arguments.append("primary_key=True")
            if field.unique:
                arguments.append("unique=True")
            elif field.index and (not reference or field.deferred):
                arguments.append("index=True")
            elif reference and not field.index and not field.deferred:
                arguments.append("index=False")
        if field.null:
            arguments.append("null=True")
        if field.constraints:
            arguments.append(f"constraints={self.constraints(field.constraints)}")
        if field.collation:
            arguments.append(f"collation={quoted(field.collation)}")
        if bare:
            return arguments
        if field.sequence:
            arguments.append(f"sequence={quoted(field.sequence)}")
        if field.index_type != type(field).default_index_type:
            arguments.append(f"index_type={quoted(str(field.index_type))}")
        if not standalone and field.column_name != _default_column(field):
            arguments.append(f"column_name={quoted(field.column_name)}")
        if reference and not field.deferred:
            for option in ("on_delete", "on_update", "deferrable", "constraint_name"):
                if value := getattr(field, option):
                    arguments.append(f"{option}={quoted(value)}")
        return arguments

    def _candidates(self, cls: type) -> Iterable[tuple[type, str]]:
        for base in cls.__mro__:
            if base is peewee.PrimaryKeyField:  # the old name of its base
                continue
            if base.__module__ == "peewee" and issubclass(base, peewee.Field):
                yield base, f"pw.{base.__name__}"
                break
        if cls.__module__ != "peewee" and "<locals>" not in cls.__qualname__:
            yield cls, cls.__name__

    def _sql(self, node: Any) -> tuple[str, Any]:
        context: Any = self.database.get_sql_context()
        sql, params = context.sql(node).query()
        return str(sql), params


def _made(cls: type, name: str, arguments: list[str]) -> Any:
    """The field that the source makes when it is run; None if it does not run."""
    try:
        return eval(call(name, arguments), {"pw": peewee, cls.__name__: cls})
    except Exception:  # whatever a field of somebody's own raises, it is not the one
        return None


def _stored(field: Any) -> Any:
    """The field whose type a column has: for a reference that of what it refers to."""
    while isinstance(field, peewee.ForeignKeyField):
        field = field.rel_field
        if type(field) in (peewee.AutoField, peewee.IdentityField, peewee.PrimaryKeyField):
            return peewee.IntegerField()
        if isinstance(field, peewee.BigAutoField):
            return peewee.BigIntegerField()
    return field


def _size(field: Any, cls: type) -> list[str]:
    if issubclass(cls, peewee.CharField):
        return [] if field.max_length == 255 else [f"max_length={field.max_length!r}"]
    if issubclass(cls, peewee.DecimalField):
        return [f"max_digits={field.max_digits}", f"decimal_places={field.decimal_places}"]
    element = getattr(field, "_ArrayField__field", None)
    if element is not None and type(element).__module__ == "peewee":
        arguments = [f"pw.{type(element).__name__}"]
        if size := _size(element, type(element)):
            arguments.append(f"field_kwargs=dict({', '.join(size)})")
        return [*arguments, *([] if field.dimensions == 1 else [f"dimensions={field.dimensions}"])]
    return []


def _default_column(field: Any) -> str:
    name = str(field.name)
    if isinstance(field, peewee.ForeignKeyField) and not field.deferred:
        return name if name.endswith("_id") else f"{name}_id"
    return name
