"""Values as they may be printed: secrets and the passwords inside URLs are hidden.

It rather hides too much than too little: a name is secret by the words in it, and text is searched
for what looks like a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from sanic_ms.config.settings import Settings

__all__ = ["MASK", "SECRET_WORDS", "is_secret", "mask", "mask_text"]

MASK = "***"

SECRET_WORDS = (
    "pass(?:word|wd|phrase|code)",
    "pwd",
    "secret",
    "token",
    "credential",
    "private",
    "authorization",
    "cookie",
)
"""Regular expressions of the words that make a name secret: of a setting, and (with more of them,
see `sanic_ms.telemetry.redaction`) of whatever logs and spans hold."""

_WORDS = "|".join(SECRET_WORDS)
_SECRET_NAME = re.compile(
    rf"{_WORDS}|KEYS?(?:_|$)|(?:^|_)(?:BEARER|OTP|PASS|PIN|PW)(?:_|$)", re.IGNORECASE
)

# "user:password@" after "://" or what somebody made of it ("//", ":/"), or at the very start where
# the scheme was forgotten. The password may itself hold @ and /, so it reaches to the last @ before
# the next URL.
_URL_PASSWORD = re.compile(r"(/|\A(?!\w+:?/))([^:/@\s]*):((?:(?!://).)*)@", re.DOTALL)
# A user name alone is a token where HTTP is spoken ("https://TOKEN@host"), and a name elsewhere.
_HTTP_TOKEN = re.compile(r"(https?://)([^:/@\s]+)@", re.IGNORECASE)
# "password=…", "password: …": in a URL's query, in a DSN, in JSON that did not parse.
_ASSIGNED = re.compile(rf"((?:{_WORDS}|KEY)\w*[\"']?\s*[:=]\s*)[^&]+", re.IGNORECASE | re.DOTALL)


def mask(
    name: str, value: Any, settings: type[Settings] = Settings, *, secret: bool = False
) -> Any:
    """The value of a setting as logs and ``sanic-ms config`` may show it.

    Hidden (as ``***``) are: settings marked `Secret`, values whose name holds a word like password,
    token, secret or key, at any depth of a table, and the credentials inside URLs. None, true and
    false are always shown: they say whether a secret is set and hold none.

    Args:
        name: The setting's name, in upper or lower case.
        value: Its value. It is not changed; tables and lists are copied.
        settings: The class that declares the setting, for its `Secret` marks.
        secret: The value is a secret whatever its name.
    """
    return _mask(value, secret or is_secret(name, settings))


def mask_text(text: str) -> str:
    """Text without the passwords in it: URLs' credentials, and ``password=…`` and the like."""
    text = _URL_PASSWORD.sub(rf"\1\2:{MASK}@", text)
    text = _HTTP_TOKEN.sub(rf"\1{MASK}@", text)
    return _ASSIGNED.sub(rf"\1{MASK}", text)


def is_secret(name: str, settings: type[Settings] = Settings) -> bool:
    """True if the name's value must never be shown: by its `Secret` mark, or by its words."""
    return bool(_SECRET_NAME.search(name)) or name.lower() in _marked(settings)


def _mask(value: Any, secret: bool) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {
            key: _mask(item, secret or bool(_SECRET_NAME.search(str(key))))
            for key, item in value.items()
        }
    if secret:
        return MASK
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask(item, secret) for item in value]
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, int | float):
        return value
    # An object of the settings module's own: its text may hold anything, so it is searched as well.
    return mask_text(str(value))


@lru_cache(maxsize=32)  # reading a class' annotations takes a millisecond
def _marked(settings: type[Settings]) -> set[str]:
    names = set()
    for field in msgspec.structs.fields(settings):
        info = msgspec.inspect.type_info(field.type)
        while isinstance(info, msgspec.inspect.Metadata):
            if (info.extra or {}).get("secret"):
                names.add(field.name)
            info = info.type
    return names
