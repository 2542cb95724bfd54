"""Encrypted connections to MySQL, by the options of a URL."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sanic_ms.exception import ConfigError
from sanic_ms.values import DatabaseURL

__all__ = ["FILES", "tls_context"]

FILES: Final = ("ssl_ca", "ssl_cert", "ssl_key")


def tls_context(url: DatabaseURL) -> ssl.SSLContext | None:
    """How the connections of a URL are encrypted; None: not at all.

    Raises:
        ConfigError: a file that it names cannot be used.
    """
    try:
        return _context(url.options)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{url.masked}: {exc}") from exc


def _context(options: Mapping[str, str]) -> ssl.SSLContext | None:
    files = [name for name in FILES if name in options]
    wanted = options.get("ssl", "1" if files else "0")
    if wanted in ("0", "false", "no"):
        return None
    for name in files:
        try:
            Path(options[name]).read_bytes()
        except OSError as exc:
            raise ValueError(f"{name} cannot be read: {exc.strerror or exc}") from exc
    context = ssl.create_default_context(cafile=options.get("ssl_ca"))
    # From Python 3.13 on the default asks for extensions that authorities made by hand often lack.
    # PyMySQL does the same, for the certificates that MySQL makes for itself.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if wanted == "unverified":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "ssl_cert" in options:
        context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"), _no_pass_phrase)
    elif "ssl_key" in options:
        raise ValueError("ssl_key is of no use without ssl_cert")
    return context


def _no_pass_phrase() -> str:
    """In place of the question that OpenSSL would ask on the terminal."""
    raise ValueError("ssl_key is encrypted: give a key without a pass phrase")
