"""The reader of ``.env`` files: small, strict, and without interpolation."""

from __future__ import annotations

import re
from typing import NamedTuple

from sanic_ms.exception import ConfigError

__all__ = ["DotenvEntry", "read_dotenv"]

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)", re.ASCII | re.DOTALL)
_QUOTED = {
    "'": re.compile(r"'([^']*)'\s*(?:#.*)?"),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?'),
}
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class DotenvEntry(NamedTuple):
    """A value of the file and the line (from 1) that it stands in."""

    value: str
    line: int


def read_dotenv(text: str, *, name: str = ".env") -> dict[str, DotenvEntry]:
    r"""Read the text of a ``.env`` file.

    A line is empty, a comment (``# …``) or ``NAME=value``, with or without ``export`` before it.
    The value may stand in single quotes (taken as it is) or in double quotes (``\n``, ``\t``,
    ``\r`` and ``\"`` are escapes). Without quotes it ends at the line's end or at a ``#`` that
    follows a space. ``$`` means nothing. Of a name given twice the last one counts.

    Args:
        text: The file's content.
        name: What messages call the file.

    Raises:
        ConfigError: a line is none of these. The text names the line and shows nothing of it, for
            what stands in such files is mostly secret.
    """
    entries: dict[str, DotenvEntry] = {}
    # Not splitlines(): that also breaks at characters which may stand inside a value.
    for number, raw in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(f"{name} line {number}: expected NAME=value or a # comment")
        key, value = match.groups()
        entries[key] = DotenvEntry(_value(value, f"{name} line {number}: {key}"), number)
    return entries


def _value(text: str, where: str) -> str:
    quote = text[:1]
    if quote not in _QUOTED:
        # A comment needs a space before it: "#" alone is common in passwords and colours.
        return "" if quote == "#" else re.split(r"\s+#", text, maxsplit=1)[0].rstrip()
    match = _QUOTED[quote].fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{where}: the {quote} quote is not closed on this line, or text follows it"
        )
    value = match[1]
    if quote == '"':
        value = _ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[1]), value)
    return value
