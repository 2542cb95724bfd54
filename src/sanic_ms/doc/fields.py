"""Fields: a type with what is to be said and held about its values.

They stand in dict shapes and classes::

    class CityApi:
        id = doc.Integer("city id")
        name = doc.String("city name", max_length=64)

    @doc.consumes({"name": doc.String("name of the city"), "zip": doc.String(required=False)})
"""

from __future__ import annotations

import datetime
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import NODEFAULT

from sanic_ms.shapes import DateWriter, Direction, Member, to_type

__all__ = [
    "Boolean",
    "Date",
    "DateTime",
    "Field",
    "Float",
    "Integer",
    "String",
    "read_only",
    "write_only",
]

AnyField = TypeVar("AnyField")


def read_only(field: AnyField) -> AnyField:
    """Mark a column of a Peewee model as the server's own: no request gives it, answers show it.

    ::

        class User(Model):
            name = CharField()
            role = doc.read_only(CharField(default="user"))

    A field of this package has the argument ``read_only=True`` for it.
    """
    setattr(field, "read_only", True)  # noqa: B010 - Peewee's fields do not declare it
    return field


def write_only(field: AnyField) -> AnyField:
    """Mark a column of a Peewee model as one that never leaves: no answer shows it.

    ::

        class User(Model):
            name = CharField()
            password_hash = doc.read_only(doc.write_only(CharField()))  # in neither direction

    A field of this package has the argument ``write_only=True`` for it.
    """
    setattr(field, "write_only", True)  # noqa: B010 - Peewee's fields do not declare it
    return field


class Field:
    """What all fields have in common; use one of its subclasses.

    Args:
        description: For people.
        required: Whether the key must be there; default: yes, unless it has a default or may be
            null. A key left out that is not required and has no default stays out.
        null: Whether the value may be null.
        default: The value for a key left out of a request, or a function without arguments that
            makes it.
        choices: The values that are allowed, text or integers.
        example: An example value for the document.
        name: The key on the wire, where it is not the attribute's own name.
        read_only: Whether it stands in answers only: in a request it is not known.
        write_only: Whether it stands in requests only: it never leaves.
        source: The key of the handler's row that holds the value in an answer, and the only one;
            default the attribute's name, or ``name``.
        compute: A function that makes the value of an answer from the handler's row, a dict that it
            must not change. The field stands in answers only, and what the row holds under its key
            does not count.

    Raises:
        TypeError: the field contradicts itself: a default that it would refuse itself, limits or
            choices that its type does not have, a computed field with a default.
    """

    type: ClassVar[Any] = Any

    def __init__(
        self,
        description: str = "",
        *,
        required: bool | None = None,
        null: bool = False,
        default: Any = ...,
        choices: Iterable[str | int] | None = None,
        example: Any = ...,
        name: str | None = None,
        read_only: bool = False,
        write_only: bool = False,
        source: str | None = None,
        compute: Callable[[Mapping[str, Any]], Any] | None = None,
    ) -> None:
        if not isinstance(description, str):
            raise TypeError(
                f"{self._called}({description!r}): the first argument is the description, a text"
            )
        self.description = description
        self.required = required
        self.null = null
        self.default = default
        self.choices = None if choices is None else tuple(choices)
        self.example = example
        self.name = name
        self.read_only = read_only
        self.write_only = write_only
        self.source = source
        self.compute = compute
        self._check_origin()
        self._check()

    @property
    def _called(self) -> str:
        return f"doc.{type(self).__name__}"

    def _shape(self) -> Any:
        return self.type

    def _constraints(self) -> dict[str, Any]:
        return {}

    def _schema(self) -> dict[str, Any]:
        return {}

    def _check_origin(self) -> None:
        """What is said of the value in an answer must not contradict itself."""
        origins = [name for name in ("source", "prefix", "compute") if self._says(name)]
        if len(origins) > 1:
            raise TypeError(f"{self._called}: {origins[0]}= and {origins[1]}=: give one of them")
        if self.write_only and (self.read_only or origins):
            other = "read_only" if self.read_only else origins[0]
            raise TypeError(f"{self._called}: write_only= and {other}=: no answer shows the field")
        for name in ("source", "prefix"):
            key = getattr(self, name, None)
            if key is not None and not (isinstance(key, str) and key):
                raise TypeError(f"{self._called}({name}={key!r}): give the name of a key, a text")
        if self.compute is None:
            return
        if not callable(self.compute) or inspect.iscoroutinefunction(self.compute):
            raise TypeError(
                f"{self._called}(compute={self.compute!r}): give a plain function of the row"
            )
        if self.default is not ...:
            raise TypeError(f"{self._called}: a computed field has no default")

    def _says(self, name: str) -> bool:
        return getattr(self, name, None) is not None

    def _check(self) -> None:
        if self.choices is not None:
            if not self.choices or not all(isinstance(c, (str, int)) for c in self.choices):
                raise TypeError(f"{self._called}: choices are texts or integers, and at least one")
            for choice in self.choices:
                self._fits(choice, self.type, "choices")
        if not self._is_simple():
            return
        try:
            annotation = to_type(self, "input")
        except (TypeError, ValueError, re.error) as exc:
            raise TypeError(f"{self._called}: {exc}") from None
        if self.default is not ... and not callable(self.default):
            allowed = annotation if self.default is not None or self.null else self.type
            self._fits(self.default, allowed, "default")

    def _is_simple(self) -> bool:
        """Whether its shape can be looked at now: a class may not be complete at import."""
        return True

    def _fits(self, value: Any, annotation: Any, what: str) -> None:
        try:
            msgspec.convert(value, annotation)
        except msgspec.ValidationError as exc:
            raise TypeError(f"{self._called}({what}={value!r}): {exc}") from None

    def __shape__(self, direction: Direction) -> Member:
        """What the field says of its key; see `sanic_ms.shapes`."""
        incoming = direction == "input"
        limited = self.choices is None
        return Member(
            self._shape() if limited else Literal[self.choices],
            required=self.required,
            nullable=self.null,
            default=NODEFAULT if self.default is ... else self.default,
            description=self.description or None,
            examples=() if self.example is ... else (self.example,),
            # Limits hold what comes in; what goes out is as it is.
            constraints=self._constraints() if incoming and limited else {},
            schema=self._schema(),
            name=self.name,
            read_only=self.read_only or self.compute is not None,
            write_only=self.write_only,
            source=self.source,
            compute=self.compute,
        )

    def __repr__(self) -> str:
        # Two fields that say the same are the same shape.
        said = dict(sorted(vars(self).items()))
        return f"{self._called}({said!r})"


class _Number(Field):
    def __init__(
        self,
        description: str = "",
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        **options: Any,
    ) -> None:
        self.minimum = minimum
        self.maximum = maximum
        super().__init__(description, **options)

    def _constraints(self) -> dict[str, Any]:
        limits = {"ge": self.minimum, "le": self.maximum}
        return {key: value for key, value in limits.items() if value is not None}


class Integer(_Number):
    """A whole number. ``minimum`` and ``maximum`` are allowed values themselves."""

    type = int


class Float(_Number):
    """A number. ``minimum`` and ``maximum`` are allowed values themselves."""

    type = float


class String(Field):
    """Text.

    Args:
        min_length, max_length: In characters.
        pattern: A regular expression that is found somewhere in the text; anchor it with ``^…$``
            for the whole.
        format: The name of a format, for the document only (``"email"``, ``"uri"``).

    The other arguments are those of `Field`.
    """

    type = str

    def __init__(
        self,
        description: str = "",
        *,
        min_length: int | None = None,
        max_length: int | None = None,
        pattern: str | None = None,
        format: str | None = None,
        **options: Any,
    ) -> None:
        self.min_length = min_length
        self.max_length = max_length
        self.pattern = pattern
        self.format = format
        super().__init__(description, **options)

    def _constraints(self) -> dict[str, Any]:
        limits = {
            "min_length": self.min_length,
            "max_length": self.max_length,
            "pattern": self.pattern,
        }
        return {key: value for key, value in limits.items() if value is not None}

    def _schema(self) -> dict[str, Any]:
        return {} if self.format is None else {"format": self.format}


class Boolean(Field):
    """True or false."""

    type = bool


class _Dated(Field):
    formats: ClassVar[tuple[str, ...]] = ("iso",)

    def __init__(self, description: str = "", *, format: str = "iso", **options: Any) -> None:
        if format not in self.formats and not (isinstance(format, str) and "%" in format):
            known = ", ".join(map(repr, self.formats))
            raise TypeError(
                f"{self._called}(format={format!r}): write {known} or a format of strftime, such "
                "as '%d.%m.%Y'"
            )
        self.format = format
        super().__init__(description, **options)

    def __shape__(self, direction: Direction) -> Member:
        """The same, and in answers as the format has it."""
        member = super().__shape__(direction)
        if direction == "input" or self.format == "iso":
            return member
        write = DateWriter(self.format)
        return replace(
            member,
            shape=int if write.is_number else str,
            schema={"format": "int64"} if write.is_number else {},
            examples=member.examples or (write.example,),
            write=write,
        )


class Date(_Dated):
    """A day: ``2024-05-17``.

    Args:
        format: How answers write it: ``"iso"`` (default), or a format of `datetime.date.strftime`.
            Requests have it in ISO 8601 in any case.

    The other arguments are those of `Field`.
    """

    type = datetime.date


class DateTime(_Dated):
    """A moment: ``2024-05-17T10:00:00Z``; without a zone it is taken as it stands.

    Args:
        format: How answers write it: ``"iso"`` (default), ``"unix"`` (whole seconds since 1970),
            ``"unix_ms"`` (milliseconds), or a format of `datetime.datetime.strftime`. A moment
            without a zone counts as UTC in those of 1970. Requests have it in ISO 8601 in any case.

    The other arguments are those of `Field`.
    """

    type = datetime.datetime
    formats = ("iso", "unix", "unix_ms")

    def _schema(self) -> dict[str, Any]:
        return {"format": "date-time"}
