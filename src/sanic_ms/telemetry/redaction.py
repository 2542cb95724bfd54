"""What must never be written: one place that takes secrets out of logs, spans and error answers.

It works by names (``password=…``, ``{"api_key": …}``, ``Authorization: …``) and by shape
(credentials in URLs and in paths, ``Bearer …``, JSON web tokens). It rather hides too much than too
little. A secret in the middle of prose ("my password is hunter2") is nothing that anybody could
find, nor one that is a part of a path without a name ("/reset/hunter2").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from sanic_ms.config.masking import MASK, SECRET_WORDS

__all__ = ["MASK", "Redactor", "redactor"]

_WORDS = (
    *SECRET_WORDS,
    "signature",
    "csrf",
    "jwt",
    "sess(?:ion)?[_-]?id",
    "(?:api|access|auth|account|client|encryption|master|service|signing|ssh)[_-]?key",
)
# Names that are too short to be looked for within others ("author", "outside", "shipping").
_SHORT = (
    r"(?:^|[^a-z])(?:assertion|auth|bearer|cvc|cvv2?|mfa|otp|pass|pin|pw|saml(?:request|response)"
    r"|sid|sig|totp)$"
)
# Those that are secret as a word of the name of a query's parameter: single sign-on and payment
# pages put them there. Elsewhere they are the names of ordinary things.
_IN_QUERY = (
    r"assertion|auth|bearer|cvc|cvv2?|mfa|otp|pass|pin|pw|refresh|saml(?:request|response)|session"
    r"|sid|sig|totp"
)
# Codes that log somebody in; "zip_code" and "status_code" do not.
_CODE = (
    r"(?:(?:access|activation|auth|backup|confirm\w{0,8}|device|invite|login|mfa|otp|recovery|reset"
    r"|security|sms|totp|user|verif\w{0,8})[_.-]?)?code(?:[_-]?verifier)?"
)
_QUERY_NAME = re.compile(
    rf"^(?:key|{_CODE})$|(?:^|[^a-z])(?:{_IN_QUERY})(?:$|[^a-z])", re.IGNORECASE
)
# "authCode", "userPin": a word begins with each capital letter.
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# What some word of the above, or of the shapes below, cannot be without: looking for these costs a
# twentieth of looking for the words. In lower case.
_STEMS = (
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "private",
    "auth",
    "cookie",
    "otp=",
    "sid=",
    "sig",
    "csrf",
    "jwt",
    "sess",
    "key",
    "bearer",
    "basic",
    "code=",
    "code_verifier=",
    "cvc",
    "cvv",
    "mfa",
    "pin=",
    "pw=",
    "refresh=",
    "assertion=",
    "saml",
    "eyj",
)


def _credentials(slashes: str) -> re.Pattern[str]:
    return re.compile(
        rf"({slashes}[^\s:/?#@\"'<>]{{0,256}}):(?!\d{{1,5}}(?:[/?#\s\"']|$))[^\s\"'<>]{{0,512}}@"
        rf"|(https?{slashes})[^\s:/?#@\"'<>]{{1,512}}@",
        re.IGNORECASE,
    )


# "user:password@" and "token@" in a URL, also in one whose colon or slash is missing. A number
# before a slash or the end is a port. Bounded, as every repetition here is, so that a hostile text
# costs no more than its length.
_URL = _credentials("(?::?//|:/)")
# In a path proxies make one slash of two.
_PATH_URL = _credentials(":/(?!/)")
_BEARER = re.compile(r"\b(bearer|basic)\s{1,4}[\w.~+/=-]{6,}", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*")

_ESCAPES = 3  # how often something may have been escaped
_DEPTH = 6
_WIDTH = 200
_NAMES, _NAME = 4096, 128  # how many names are remembered, and of how many letters


class Redactor:
    """Takes secrets out of text and values. Thread-safe.

    Args:
        names: Further names whose values are secret, beside the usual ones. A name counts wherever
            it is a part of another (``iban`` hides ``customer_iban``); case does not.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.use(names)

    def use(self, names: Iterable[str]) -> None:
        """Take these further names in place of those that were given before.

        Raises:
            TypeError: it is one text, not several.
            ValueError: a name is empty, which would hide everything.
        """
        if isinstance(names, str):
            raise TypeError(f"names={names!r} is one text; give a list of names")
        further = sorted({name.strip().lower() for name in names})
        if "" in further:
            raise ValueError("an empty name would hide everything")
        words = "|".join((*_WORDS, *map(re.escape, further)))
        self._secret = re.compile(f"{words}|{_SHORT}", re.IGNORECASE)
        separator = r"(?:\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}|[\"'],\s{0,4})"
        self._line = re.compile(
            rf"((?:authorization|cookie)[\w-]{{0,40}}+{separator})"
            r"(?:b(?=[\"']))?(?:\"[^\"]*\"?|'[^']*'?|[^\r\n\"']+)",
            re.IGNORECASE,
        )
        self._assigned = re.compile(
            rf"((?:(?:{words})[\w-]{{0,40}}+|(?<=[?&])(?:{_IN_QUERY}|key|{_CODE})){separator})"
            r"(?:b(?=[\"']))?(?:\"[^\"\\]*(?:\\.[^\"\\]*)*\"?|'[^'\\]*(?:\\.[^'\\]*)*'?"
            r"|\\{1,3}([\"']).*?\\{1,3}\2|[^\s,;&\"'<>)\]}]+)",
            re.IGNORECASE | re.DOTALL,
        )
        self._stems = (*_STEMS, *further)
        self._known: dict[str, bool] = {}

    def is_secret(self, name: str) -> bool:
        """Whether the value of a field, a header or a parameter of this name is secret."""
        known = self._known
        found = known.get(name)
        if found is None:
            found = self._secret.search(name) is not None
            if len(name) <= _NAME:  # names may come from outside
                if len(known) >= _NAMES:
                    known.clear()
                known[name] = found
        return found

    def text(self, text: str) -> str:
        """Text without the secrets in it. One that holds none is returned as it is."""
        if "@" in text and "/" in text:
            text = _URL.sub(_hide_credentials, text)
        lower = text.lower()
        if not any(map(lower.__contains__, self._stems)):
            return text
        text = self._line.sub(rf"\1{MASK}", text)
        text = self._assigned.sub(rf"\1{MASK}", text)
        text = _BEARER.sub(rf"\1 {MASK}", text)
        return _JWT.sub(MASK, text)

    def query(self, query: str) -> str:
        """A query string with the values of its secret parameters hidden, escaped or not."""
        return "&".join(map(self._parameter, query.split("&")))

    def path(self, path: str) -> str:
        """The path of a URL without the secrets in it, escaped or not."""
        plain = path
        for _ in range(_ESCAPES):
            if "%" not in plain:
                break
            plain = unquote(plain)
            shown = self._path(plain)
            if shown != plain:
                return quote(shown, safe="/:@!$&'()*+,;=")
        return self._path(path)

    def _path(self, path: str) -> str:
        if ":" not in path and "=" not in path and "eyJ" not in path:
            return path  # most paths
        if "@" in path:
            path = _PATH_URL.sub(_hide_credentials, path)
        return self.text(path)

    def url(self, url: str) -> str:
        """An absolute URL without credentials, fragment and secrets; ``""`` where it is none."""
        try:
            parts = urlsplit(url)
            host = parts.netloc.rpartition("@")[2]
        except ValueError:
            return ""
        query = f"?{self.query(parts.query)}" if parts.query else ""
        return f"{parts.scheme}://{host}{self.path(parts.path)}{query}"

    def _parameter(self, part: str) -> str:
        name, equals, value = part.partition("=")
        if not equals:
            return self.path(part)
        plain = unquote_plus(name)
        if self.is_secret(plain) or _is_query_secret(plain):
            return f"{name}={MASK}"
        if not value or value.isalnum():
            return part  # most values: no shape of a secret is without a sign
        plain = unquote_plus(value)
        if self.text(plain) != plain:
            return f"{name}={MASK if plain != value else self.text(value)}"
        # Some separate parameters by a semicolon.
        return self.text(part) if ";" in part else part

    def value(self, name: str, value: Any) -> Any:
        """The value of a field as it may be written: a copy in plain values.

        Tables and lists are copied, with secret names in them hidden; what is no plain value
        becomes its text. At most 6 levels and 200 entries of each are kept.

        Args:
            name: The field's name, ``""`` where it has none.
            value: Its value, which is not changed. None, true and false hold no secret.
        """
        return self._value(name, value, _DEPTH)

    def _value(self, name: str, value: Any, depth: int) -> Any:
        if value is None or value is True or value is False:
            return value
        if name and self.is_secret(name):
            return MASK
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is int or kind is float:
            return value
        if isinstance(value, Mapping | list | tuple | set | frozenset) and not depth:
            return "…"
        if isinstance(value, Mapping):
            items = [(str(key), entry) for key, entry in list(value.items())[:_WIDTH]]
            return {key: self._value(key, entry, depth - 1) for key, entry in items}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value("", entry, depth - 1) for entry in list(value)[:_WIDTH]]
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value).decode(errors="backslashreplace"))
        try:
            return self.text(str(value))
        except Exception as exc:  # the text of a foreign object may be anything
            return f"<{kind.__name__}: {type(exc).__name__} in its text>"


def _is_query_secret(name: str) -> bool:
    """Whether a parameter of a query is secret, although a field of its name would not be."""
    return _QUERY_NAME.search(_CAPITAL.sub("_", name[:_NAME])) is not None


redactor = Redactor()
"""The one of this process. The service tells it the names of the setting ``REDACT``."""


def _hide_credentials(match: re.Match[str]) -> str:
    return f"{match[1]}:{MASK}@" if match[1] is not None else f"{match[2]}{MASK}@"
