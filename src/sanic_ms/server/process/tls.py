"""A certificate from files, read again when they change."""

from __future__ import annotations

import logging
import os
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sanic.http.tls.context import create_context

from sanic_ms.exception import ConfigError
from sanic_ms.server.process.certificate_validity import Validity, read_validity

if TYPE_CHECKING:
    from sanic_ms.config import Settings

__all__ = ["Certificate"]

log = logging.getLogger("sanic_ms.server")


class Certificate:
    """A certificate and its key.

    Attributes:
        context: For the server. Connections that exist keep what they have; new ones get what was
            read last.

    Args:
        cert: File with the certificate and its chain, PEM.
        key: File with the private key, PEM.
        password: Its pass phrase, where it is encrypted. Nobody is asked for one on a terminal.

    Raises:
        ConfigError: one of them cannot be read, or they do not belong together, or the key is
            encrypted and the pass phrase is not its own.
    """

    def __init__(self, cert: str, key: str, password: str | None = None) -> None:
        self._cert, self._key, self._password = cert, key, password
        self._encrypted = False
        self._times = self._look()
        self.context: ssl.SSLContext = create_context()
        try:
            self._load(self.context)
        except (OSError, ValueError) as exc:
            raise ConfigError(self._reason(exc)) from exc
        self._validity = self._read_validity()
        self._known = self.problem()

    @classmethod
    def of(cls, settings: Settings) -> Certificate | None:
        """The one that the settings name, if they do.

        Raises:
            ConfigError: it cannot be used.
        """
        if settings.tls_cert and settings.tls_key:
            return cls(settings.tls_cert, settings.tls_key, settings.tls_key_password)
        return None

    @property
    def shown(self) -> str:
        """The file, and until when the certificate is valid where that can be read."""
        until = f", valid until {_date(self._validity[1])}" if self._validity else ""
        return f"{self._cert}{until}"

    def problem(self, now: float | None = None) -> str:
        """One line about a certificate that is expired or not valid yet; empty if it is valid.

        It can be used all the same, and clients will refuse it.

        Args:
            now: Seconds since the epoch; default this moment.
        """
        if self._validity is None:
            return ""
        now = time.time() if now is None else now
        begin, end = self._validity
        if now > end:
            return f"TLS_CERT={self._cert!r} has expired on {_date(end)}: clients refuse it"
        if now < begin:
            return f"TLS_CERT={self._cert!r} is not valid before {_date(begin)}: clients refuse it"
        return ""

    def warn(self) -> None:
        """Log what `problem` says."""
        if self._known:
            log.error("%s", self._known)

    def refresh(self) -> None:
        """Read the files again if they have changed. A pair that is broken, or only half written,
        is logged, and the last good one stays. One that expires is logged once."""
        self._read_anew()
        if (problem := self.problem()) != self._known:
            self._known = problem
            self.warn()

    def _read_anew(self) -> None:
        times = self._look()
        if times == self._times:
            return
        self._times = times
        try:
            self._check()
            self._load(self.context)
        except (OSError, ValueError) as exc:
            log.error("%s; the old certificate stays", self._reason(exc))
        else:
            self._validity = self._read_validity()
            log.info("the certificate %s is read anew", self._cert)

    def _read_validity(self) -> Validity | None:
        try:
            return read_validity(Path(self._cert).read_text("latin-1"))
        except (OSError, ValueError):  # OpenSSL takes it, and that is what counts
            return None

    def _check(self) -> None:
        # In a context that nobody uses: a failure leaves half of a pair behind.
        self._load(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))

    def _load(self, context: ssl.SSLContext) -> None:
        self._encrypted = False
        context.load_cert_chain(self._cert, self._key, self._pass_phrase)

    def _pass_phrase(self) -> str:
        """Only asked for where the key is encrypted."""
        self._encrypted = True
        return self._password or ""

    def _look(self) -> tuple[int, ...]:
        try:
            return tuple(os.stat(path).st_mtime_ns for path in (self._cert, self._key))
        except OSError:
            return ()

    def _reason(self, exc: Exception) -> str:
        for name, path in (("TLS_CERT", self._cert), ("TLS_KEY", self._key)):
            try:
                Path(path).read_bytes()
            except OSError as missing:
                return f"{name}={path!r} cannot be read: {missing.strerror or missing}"
        if self._encrypted and getattr(exc, "reason", None) != "KEY_VALUES_MISMATCH":
            if self._password:
                return f"TLS_KEY={self._key!r} is not opened by TLS_KEY_PASSWORD"
            return f"TLS_KEY={self._key!r} is encrypted: set TLS_KEY_PASSWORD to its pass phrase"
        why = getattr(exc, "strerror", None) or exc
        return f"TLS_CERT={self._cert!r} and TLS_KEY={self._key!r} cannot be used: {why}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
