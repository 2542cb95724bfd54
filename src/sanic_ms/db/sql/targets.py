"""Which column an argument is stored in or compared with, as far as the text of a simple statement
tells: MySQL and SQLite say nothing of the types of arguments.

Known are ``INSERT INTO t (a, b) VALUES ($1, $2)``, also without the names, and ``a = $1`` in a
statement about one table. For anything else nothing is said, which is never an error.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Targets", "find_targets"]

_NAME = r"(?:`[^`]+`|\"[^\"]+\"|\w+)"
_TABLE = rf"({_NAME}(?:\s*\.\s*{_NAME})?)"
_INSERT = re.compile(
    rf"\s*(?:insert|replace)\b[\w\s]*?\binto\s+{_TABLE}\s*(?:\(([^()]*)\)\s*)?values?\s*(?=\()",
    re.IGNORECASE,
)
_ONE_TABLE = re.compile(rf"\b(?:update|from)\s+{_TABLE}", re.IGNORECASE)
_MORE_TABLES = re.compile(r"\b(?:join|union|from|using|select|div|mod)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"\b(?:where|set|order|group|limit|having|for)\b", re.IGNORECASE)
_EQUAL = re.compile(
    # Not after an operator, and not before one: `a + b = $1`, `a = $1 + b`.
    rf"(?:^|[(,]|\b(?:where|and|or|not|set)\b)\s*(?:{_NAME}\s*\.\s*)?({_NAME})\s*=\s*\$(\d+)"
    r"(?!\s*[-+*/%|&^.\d])",
    re.IGNORECASE,
)
_ARGUMENT = re.compile(r"\s*\$(\d+)\s*")


class Targets(NamedTuple):
    """The columns of one table that arguments are meant for.

    Attributes:
        schema: The table's database; None: that of the connection.
        table: The table's name.
        columns: Argument numbers from 1, with the column of each: its name, or its place in the
            table from 0.
    """

    schema: str | None
    table: str
    columns: tuple[tuple[int, str | int], ...]


def find_targets(bare: str) -> Targets | None:
    """The targets of a statement; None: nothing is known.

    Args:
        bare: Its text without strings and comments (`Scan.bare`).
    """
    inserted = _INSERT.match(bare)
    if inserted is not None:
        table = inserted[1]
        names = inserted[2]
        columns = None if names is None else [_plain(name) for name in names.split(",")]
        found = _in_rows(bare[inserted.end() :], columns)
    else:
        named = _ONE_TABLE.search(bare)
        words = [word.lower() for word in _MORE_TABLES.findall(bare)]
        if named is None or words not in ([], ["from"], ["select", "from"]):
            return None
        if "," in _CLAUSE.split(bare[named.end() :], maxsplit=1)[0]:
            return None
        table = named[1]
        found = [(int(number), _plain(name)) for name, number in _EQUAL.findall(bare)]
    if not found:
        return None
    schema, dot, name = table.rpartition(".")
    return Targets(_plain(schema) if dot else None, _plain(name), tuple(found))


def _plain(name: str) -> str:
    return name.strip().strip('`"')


def _in_rows(text: str, columns: list[str] | None) -> list[tuple[int, str | int]]:
    """The arguments that stand alone as values in ``(…), (…)``."""
    found: list[tuple[int, str | int]] = []
    depth = index = start = 0
    for position, letter in enumerate(text):
        if letter == "(":
            depth += 1
            if depth == 1:
                index, start = 0, position + 1
        elif depth == 1 and letter in ",)":
            argument = _ARGUMENT.fullmatch(text[start:position])
            if argument is not None and (columns is None or index < len(columns)):
                found.append((int(argument[1]), index if columns is None else columns[index]))
            index, start = index + 1, position + 1
        if letter == ")":
            depth -= 1
        elif depth == 0 and letter.isalnum():
            break  # ON DUPLICATE KEY UPDATE, RETURNING
    return found
