"""Finding ``$1`` in SQL text: what is a placeholder, and what only looks like one.

Nothing here does I/O or knows a driver. `scan` cuts a statement at its placeholders and also gives
its bare code, with strings, comments and quoted names blanked out, for those who classify it.

The rules are those of each database's own lexer:

- PostgreSQL: ``'…'`` with doubled quotes, ``E'…'`` with backslashes, ``"name"``, ``$tag$…$tag$``,
  ``--``, also up to a lone carriage return, and nested ``/* */``; ``name$1`` is an identifier.
- MySQL: backslashes in ``'…'`` and ``"…"``, backticks, ``#``, ``--`` only before white space.
- SQLite: no backslashes, ``"name"``, backticks and ``[name]``.

To all of them each character beyond ASCII is a letter: ``€``, an accent by itself, a hard space.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from sanic_ms.exception import StatementError

__all__ = ["Dialect", "Scan", "foreign_placeholder", "scan"]

Dialect = Literal["postgresql", "sqlite", "mysql"]


class Scan(NamedTuple):
    """A statement cut at its placeholders.

    Attributes:
        parts: The text between them: one more than there are placeholders.
        numbers: Their numbers, in the order of the text: ``$2 … $1 … $2`` gives ``(2, 1, 2)``.
        code: The text with each string, comment and quoted name replaced by one space.
        shown: The text without anybody's data: each string and number is a ``?``, each comment a
            space. Names and placeholders are as they were.
        bare: The text for `classification`: each string is a ``0`` (on MySQL one in double quotes
            stays, as it is a name in the mode ANSI_QUOTES), each comment a space, unless MySQL
            would execute it; all else is as it was.
    """

    parts: tuple[str, ...]
    numbers: tuple[int, ...]
    code: str
    shown: str
    bare: str


_QUOTED = r"'(?:[^']++|'')*+(?:'|\Z)"
_QUOTED_BACKSLASH = r"'(?:[^'\\]++|\\.|'')*+(?:'|\Z)"
_DOUBLE = r'"(?:[^"]++|"")*+(?:"|\Z)'
_DOUBLE_BACKSLASH = r'"(?:[^"\\]++|\\.|"")*+(?:"|\Z)'
_BACKTICK = r"`(?:[^`]++|``)*+(?:`|\Z)"
_BEYOND = r"\x80-\U0010ffff"
_PLACEHOLDER = rf"(?<![\w${_BEYOND}])\$(?P<number>[0-9]+)"

# Every pattern ends at \Z too: an unterminated string is the database's to report.
_TOKENS: dict[Dialect, re.Pattern[str]] = {
    "postgresql": re.compile(
        "|".join(
            (
                rf"(?<![\w${_BEYOND}])[eE]{_QUOTED_BACKSLASH}",
                _QUOTED,
                _DOUBLE,
                r"--[^\r\n]*+",
                r"(?P<comment>/\*)",
                _PLACEHOLDER,
                rf"(?<![\w${_BEYOND}])(?P<tag>\$(?:[a-zA-Z_{_BEYOND}][\w{_BEYOND}]*)?\$)",
            )
        ),
        re.DOTALL,
    ),
    "mysql": re.compile(
        "|".join(
            (
                _QUOTED_BACKSLASH,
                _DOUBLE_BACKSLASH,
                _BACKTICK,
                r"--(?=\s|\Z)[^\n]*+",
                r"\#[^\n]*+",
                r"/\*.*?(?:\*/|\Z)",
                _PLACEHOLDER,
            )
        ),
        re.DOTALL,
    ),
    "sqlite": re.compile(
        "|".join(
            (
                _QUOTED,
                _DOUBLE,
                _BACKTICK,
                r"\[[^\]]*+(?:\]|\Z)",
                r"--[^\n]*+",
                r"/\*.*?(?:\*/|\Z)",
                _PLACEHOLDER,
            )
        ),
        re.DOTALL,
    ),
}
_NUMBER = re.compile(
    rf"(?<![\w$.{_BEYOND}])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)(?!\w)"
)
_FOREIGN = re.compile(
    r"%s\b|%\(\w+\)s\b|(?<!\?)\?(?![?|&])|(?<![\w:]):[a-zA-Z_]\w*|(?<![\w$])\$[a-zA-Z_]\w*"
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def scan(sql: str, dialect: Dialect) -> Scan:
    """Cut a statement at its placeholders.

    Raises:
        StatementError: a placeholder is ``$0``, or one below the highest is never used. Both would
            bind arguments to the wrong places on one database or another.
    """
    token = _TOKENS[dialect]
    parts: list[str] = []
    numbers: list[int] = []
    code: list[str] = []
    shown: list[str] = []
    bare: list[str] = []
    part_start = position = 0
    while (match := token.search(sql, position)) is not None:
        code.append(sql[position : match.start()])
        shown.append(_NUMBER.sub("?", code[-1]))
        bare.append(code[-1])
        position = match.end()
        number = match["number"]
        if number is not None:
            numbers.append(int(number))
            parts.append(sql[part_start : match.start()])
            part_start = position
            code.append("?")
            shown.append(match[0])
            bare.append(match[0])
            continue
        code.append(" ")
        shown.append(_without_data(match[0], dialect))
        bare.append(_bare(match[0], shown[-1]))
        if dialect == "postgresql":
            if match["comment"] is not None:
                position = _end_of_comment(sql, position)
            elif (tag := match["tag"]) is not None:
                end = sql.find(tag, position)
                position = len(sql) if end < 0 else end + len(tag)
    code.append(sql[position:])
    shown.append(_NUMBER.sub("?", code[-1]))
    bare.append(code[-1])
    parts.append(sql[part_start:])
    _check(numbers)
    return Scan(tuple(parts), tuple(numbers), "".join(code), "".join(shown), "".join(bare))


def foreign_placeholder(code: str) -> str | None:
    """What stands in a statement's bare code as a placeholder of another library: ``%s``,
    ``%(name)s``, ``?``, ``:name``, ``$name``; None for none.

    Each of them means something else somewhere (``?`` asks JSONB for a key), so that a statement
    that works is none of this function's business.
    """
    match = _FOREIGN.search(code)
    return None if match is None else match[0]


def _without_data(token: str, dialect: Dialect) -> str:
    if token[0] in "`[" or (token[0] == '"' and dialect != "mysql"):
        return token  # a quoted name
    return " " if token[0] in "-/#" else "?"


def _bare(token: str, shown: str) -> str:
    if token[0] == "'" and "\\" in token:
        # It ends elsewhere with standard_conforming_strings off: no token has a backslash.
        return "\\"
    if token.startswith(('"', "/*!", "/*M!")):
        return token
    return " 0 " if shown == "?" else shown


def _end_of_comment(sql: str, position: int) -> int:
    """Where a comment that may hold others ends; ``position`` is after its ``/*``."""
    depth = 1
    while depth:
        match = _COMMENT_EDGE.search(sql, position)
        if match is None:
            return len(sql)
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return position


def _check(numbers: list[int]) -> None:
    used = set(numbers)
    if 0 in used:
        raise StatementError("the statement has $0: the first placeholder is $1")
    if used and len(used) != max(used):
        missing = next(number for number in range(1, len(used) + 1) if number not in used)
        raise StatementError(
            f"the statement uses ${max(used)} but not ${missing}: number the placeholders "
            "without gaps"
        )
