"""The page about settings: its table is the class."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from sanic_ms.config import Settings
from sanic_ms.config.convert import allowed

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def meaning(info: inspect.Type) -> str:
    """The description of a setting, from the innermost mark that has one."""
    text = ""
    while isinstance(info, inspect.Metadata):
        text = (info.extra_json_schema or {}).get("description", text)
        info = info.type
    return text


def default(field: msgspec.structs.FieldInfo) -> str:
    """The default as the page writes it."""
    value: Any = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return f"`{','.join(value)}`" if value else "–"
    if isinstance(value, dict):
        return "–"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_the_table_lists_every_setting_as_it_is() -> None:
    """Name, default, what is allowed and what it means: as the class says, in its order."""
    expected = [
        f"| `{field.name.upper()}` | {default(field)} | {allowed(field.type)} "
        f"| {meaning(inspect.type_info(field.type))} |"
        for field in msgspec.structs.fields(Settings)
    ]
    rows = re.findall(r"^\| `[A-Z_]+` \|.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == expected


def test_every_setting_has_a_meaning() -> None:
    """A setting without a description is one that nobody can use."""
    infos = {
        field.name: inspect.type_info(field.type) for field in msgspec.structs.fields(Settings)
    }
    assert [name for name, info in infos.items() if not meaning(info)] == []
