"""Settings of the database session that a request brings along: its tenant, role, search path.

They are local to a transaction (``set_config(name, value, true)``), so they end with it and cost no
reset. A statement outside of a transaction is one by itself: the settings are sent in front of it,
in the same round trip, and the server takes both for one transaction, since PostgreSQL ends an
implicit transaction at the Sync message only (documentation, "Message Flow", "Extended Query").
"""

from __future__ import annotations

import inspect
import re
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

__all__ = ["SessionSettings", "SettingsOf", "session_settings"]

SettingsOf = Callable[[Any], Mapping[str, object] | None]
"""Gives the settings of a request's session."""

_NAME: Final = re.compile(r"[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*")


class SessionSettings(NamedTuple):
    """The settings of one request, ready to be sent.

    Attributes:
        sql: A statement that sets them, for the simple protocol; it gives no rows.
        messages: The same as the messages Parse, Bind and Execute, without a Sync.
        search_path: The value of ``search_path``; ``""``: it is the connection's.
    """

    sql: str
    messages: bytes
    search_path: str


def session_settings(settings_of: SettingsOf, request: Any) -> SessionSettings | None:
    """The settings that a function gives for a request.

    Args:
        settings_of: The application's function (``SESSION_SETTINGS``).
        request: The request that is being served; None outside of one.

    Returns:
        None: there is no request, or it has no settings.

    Raises:
        TypeError: the function gives no mapping of names to texts or numbers.
        ValueError: a name is not that of a setting, or a value holds a NUL.
    """
    if request is None:
        return None
    values: object = settings_of(request)
    if not values:
        return None
    if not isinstance(values, Mapping):
        if inspect.isawaitable(values):
            raise TypeError("SESSION_SETTINGS is an async function: give a plain one")
        raise TypeError(f"SESSION_SETTINGS gives {type(values).__name__}: give a mapping")
    return _compiled(tuple((name, _text(name, value)) for name, value in values.items()))


def _text(name: object, value: object) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ValueError(f"SESSION_SETTINGS gives {name!r}: that is no name of a setting")
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, str | int):
        raise TypeError(
            f"SESSION_SETTINGS gives {name}={value!r}: a value is text, a number or a bool"
        )
    text = str(value)
    if "\0" in text:
        raise ValueError(f"SESSION_SETTINGS gives a NUL in the value of {name}")
    return text


@lru_cache(maxsize=1024)
def _compiled(values: tuple[tuple[str, str], ...]) -> SessionSettings:
    calls = ", ".join(
        f"pg_catalog.set_config({_quoted(name)}, {_quoted(text)}, true)" for name, text in values
    )
    # A row would be taken for one of the statement behind it.
    sql = f"SELECT 1 WHERE pg_catalog.num_nulls({calls}) OPERATOR(pg_catalog.<) 0"
    parse = b"\0" + sql.encode() + b"\0" + struct.pack("!h", 0)
    bind = b"\0\0" + struct.pack("!hhh", 0, 0, 0)
    execute = b"\0" + struct.pack("!i", 0)
    messages = b"".join(
        kind + struct.pack("!i", len(body) + 4) + body
        for kind, body in ((b"P", parse), (b"B", bind), (b"E", execute))
    )
    return SessionSettings(sql, messages, dict(values).get("search_path", ""))


def _quoted(text: str) -> str:
    """A literal of PostgreSQL, whatever ``standard_conforming_strings`` says."""
    doubled = text.replace("'", "''")
    return f"E'{doubled.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{doubled}'"
