"""A Peewee model as a shape. Peewee is recognised by its looks and never imported here: that costs
150 ms, and a service without a database has no need of it."""

from __future__ import annotations

import datetime
import decimal
import math
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Literal

from msgspec import NODEFAULT

from sanic_ms.shapes.member import DIGITS, Direction, Member

__all__ = ["attribute_name", "is_model", "members"]

# By class name, looked up along the field's bases: the nearest name decides.
_BY_CLASS: dict[str, Any] = {
    "AnyField": Any,
    "AutoField": int,
    "BareField": Any,
    "BigIntegerField": int,
    "BlobField": bytes,
    "BinaryUUIDField": uuid.UUID,
    "BooleanField": bool,
    "DateField": datetime.date,
    "DateTimeField": datetime.datetime,
    "DecimalField": decimal.Decimal,
    "FloatField": float,
    "HStoreField": dict[str, str | None],
    "IPField": str,
    "IntegerField": int,
    "IntervalField": datetime.timedelta,
    "JSONField": Any,
    "TimeField": datetime.time,
    "TimestampField": datetime.datetime,
    "UUIDField": uuid.UUID,
    "_StringField": str,
}

# By column type, for fields of other libraries that stand on Peewee's bare `Field`.
_BY_COLUMN: dict[str, Any] = {
    "AUTO": int,
    "BIGAUTO": int,
    "BIGINT": int,
    "BLOB": bytes,
    "BOOL": bool,
    "CHAR": str,
    "CITEXT": str,
    "DATE": datetime.date,
    "DATETIME": datetime.datetime,
    "DECIMAL": decimal.Decimal,
    "DOUBLE": float,
    "FLOAT": float,
    "INT": int,
    "SMALLINT": int,
    "TEXT": str,
    "TIME": datetime.time,
    "UUID": uuid.UUID,
    "UUIDB": uuid.UUID,
    "VARCHAR": str,
}

# What a column of that type holds on every database, so that a number too large is told to the
# caller (422) and does not reach the driver.
_RANGES: dict[str, tuple[int, int]] = {
    "AUTO": (-(2**31), 2**31 - 1),
    "INT": (-(2**31), 2**31 - 1),
    "SMALLINT": (-(2**15), 2**15 - 1),
    "BIGAUTO": (-(2**63), 2**63 - 1),
    "BIGINT": (-(2**63), 2**63 - 1),
}


_IPV4 = r"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(?!$)|$)){4}$"


def is_model(obj: object) -> bool:
    """Whether it is a Peewee model class."""
    meta = getattr(obj, "_meta", None) if isinstance(obj, type) else None
    return hasattr(meta, "sorted_fields") and hasattr(meta, "columns")


def members(model: Any, direction: Direction) -> Iterator[tuple[str, Member]]:
    """The columns of a model in their order, by column name.

    Primary keys and columns with a default are marked `named_only`, and those that
    `sanic_ms.doc.read_only` has marked `read_only`.

    Raises:
        TypeError: a foreign key refers to a model that nobody has defined.
    """
    for field in model._meta.sorted_fields:
        if getattr(field, "_hidden", False) or "MetaField" in _bases(field):
            continue
        yield field.column_name, _member(model, field, direction)


def attribute_name(model: Any, column: str) -> str:
    """The name in Python of a key of a model; the key itself for any other class."""
    name: str = model._meta.columns[column].name if is_model(model) else column
    return name


def _member(model: Any, field: Any, direction: Direction) -> Member:
    help_text = field.help_text
    is_text = help_text is None or isinstance(help_text, str)
    title = str(field.verbose_name) if field.verbose_name else None
    shape, constraints, schema = _column(model, field)
    if not is_text and direction == "output":
        # The column holds an id; the answer shows the object that stands for it.
        shape, constraints, schema = help_text, {}, {}
    elif field.choices:
        shape, constraints, schema = _choices(field, shape, constraints, schema)
    if direction == "output":
        constraints = {}  # limits are for what comes in; data in the table may be older than they
    return Member(
        shape,
        nullable=bool(field.null),
        default=_default(field),
        title=title,
        description=(help_text if is_text and help_text else title),
        constraints=constraints,
        schema=schema,
        read_only=getattr(field, "read_only", False) is True,
        named_only=_is_made_by_the_server(field),
    )


_MADE_BY_DATABASE = re.compile(r"\s*(default|generated)\b", re.IGNORECASE)


def _is_made_by_the_server(field: Any) -> bool:
    """Whether a row has a value for the column without the client: its key, or a default."""
    if field.primary_key or field.auto_increment or field.sequence or field.default is not None:
        return True
    texts = (getattr(entry, "sql", entry) for entry in field.constraints or ())
    return any(isinstance(text, str) and _MADE_BY_DATABASE.match(text) for text in texts)


def _bases(field: Any) -> list[str]:
    return [base.__name__ for base in type(field).__mro__]


def _column(model: Any, field: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The type of a column's values, its limits, and further keys of its JSON schema."""
    bases = _bases(field)
    if "DeferredForeignKey" in bases:
        raise TypeError(
            f"{model.__name__}.{field.name} refers to the model {field.rel_model_name!r}, which is "
            "not defined: import the module that defines it before the service starts"
        )
    if "ForeignKeyField" in bases:
        return _column(field.rel_model, field.rel_field)
    if "ArrayField" in bases:
        return _array(model, field)
    column = str(getattr(field, "field_type", ""))
    type_ = next((_BY_CLASS[base] for base in bases if base in _BY_CLASS), None)
    if column.startswith("JSON"):
        type_ = Any  # SQLite's own JSONField is a TextField by class
    if type_ is None:
        type_ = _BY_COLUMN.get(column, Any)
    constraints: dict[str, Any] = {}
    schema: dict[str, Any] = {}
    if type_ is int:
        low, high = _RANGES.get(column, (-(2**63), 2**63 - 1))
        constraints.update(ge=low, le=high)
    elif "IPField" in bases:
        constraints["pattern"] = _IPV4
        schema["format"] = "ipv4"
    elif type_ is str and isinstance(getattr(field, "max_length", None), int):
        constraints["max_length"] = field.max_length
    elif type_ is datetime.datetime:
        schema["format"] = "date-time"
    elif type_ is decimal.Decimal and isinstance(getattr(field, "max_digits", None), int):
        constraints.update(_digits(field.max_digits, field.decimal_places))
    return type_, constraints, schema


def _digits(max_digits: int, decimal_places: int) -> dict[str, Any]:
    """The limit of a decimal column. msgspec has none for it: see `sanic_ms.shapes.numbers`."""
    before = max_digits - decimal_places
    whole = f"0*[0-9]{{1,{before}}}" if before else "0+"
    maximum = float(f"{'9' * before}.{'9' * decimal_places}")
    if decimal.Decimal(maximum) >= 10**before:  # more digits than a float has
        maximum = math.nextafter(maximum, 0.0)
    schema = {
        "pattern": rf"^[+-]?({whole}(\.[0-9]*)?|0*\.[0-9]+)$",
        "minimum": -maximum,
        "maximum": maximum,
    }
    return {"extra": {DIGITS: (max_digits, decimal_places)}, "extra_json_schema": schema}


def _array(model: Any, field: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    # Peewee keeps the field of the items under a private name only.
    item = getattr(field, "_ArrayField__field", None)
    type_: Any = Any if item is None else _column(model, item)[0]
    for _ in range(field.dimensions):
        type_ = list[type_]
    return type_, {}, {}


def _choices(
    field: Any, shape: Any, constraints: dict[str, Any], schema: dict[str, Any]
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    values = [
        entry[0] if isinstance(entry, (tuple, list)) and len(entry) == 2 else entry
        for entry in field.choices
    ]
    if all(isinstance(value, (str, int)) for value in values):
        return Literal[tuple(values)], {}, {}
    # Other values (Decimal, None among text …) are shown; msgspec has no literal for them.
    return shape, constraints, {**schema, "enum": [_json(value) for value in values]}


def _json(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _default(field: Any) -> Any:
    default = field.default
    if default is None:
        return NODEFAULT
    if "TimestampField" in _bases(field):
        zone = datetime.UTC if field.utc else None  # None: that of the machine
        made: Callable[[], Any] = lambda: _in_utc(  # noqa: E731
            default() if callable(default) else default, zone
        )
        return made
    return default


def _in_utc(moment: Any, zone: datetime.tzinfo | None) -> Any:
    if not isinstance(moment, datetime.datetime):
        return moment
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(datetime.UTC)
