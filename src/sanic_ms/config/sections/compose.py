"""Several sections as one Struct."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["SectionsMeta"]


class SectionsMeta(msgspec.StructMeta):
    """The metaclass of a Struct that has the fields of all its bases.

    Struct classes cannot have several bases, since each has a memory layout of its own. So the
    first base stays a base and the fields of the others are copied. For a type checker the class
    inherits from all of them; at run time `issubclass` is true for the first alone.

    Raises:
        TypeError: two of the bases have a field of the same name.
    """

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> Any:
        first, *others = bases
        annotations: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        taken = {field.name for field in msgspec.structs.fields(first)} if others else set()
        for section in others:
            for field in msgspec.structs.fields(section):
                if field.name in taken:
                    raise TypeError(f"{name}: {section.__name__} repeats the field {field.name}")
                taken.add(field.name)
                annotations[field.name] = field.type
                if not field.required:
                    defaults[field.name] = msgspec.field(  # type: ignore[call-overload]
                        default=field.default, default_factory=field.default_factory
                    )
        own = namespace.get("__annotations__", {})
        namespace = {**defaults, **namespace, "__annotations__": {**annotations, **own}}
        return super().__new__(mcs, name, (first,), namespace, **options)
