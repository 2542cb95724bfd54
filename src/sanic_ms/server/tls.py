"""A certificate from files, read again when they change."""

from __future__ import annotations

import logging
import os
import ssl

from sanic.http.tls.context import create_context

from sanic_ms.exception import ConfigError

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

    Raises:
        ConfigError: one of them cannot be read, or they do not belong together.
    """

    def __init__(self, cert: str, key: str) -> None:
        self._cert, self._key = cert, key
        self._times = self._look()
        try:
            self.context: ssl.SSLContext = create_context(cert, key)
        except (OSError, ValueError) as exc:
            raise ConfigError(self._reason(exc)) from exc

    def refresh(self) -> None:
        """Read the files again if they have changed. A pair that is broken, or only half written,
        is logged, and the last good one stays."""
        times = self._look()
        if times == self._times:
            return
        self._times = times
        try:
            self._check()
            self.context.load_cert_chain(self._cert, self._key)
        except (OSError, ValueError) as exc:
            log.error("%s; the old certificate stays", self._reason(exc))
        else:
            log.info("the certificate %s is read anew", self._cert)

    def _check(self) -> None:
        # In a context that nobody uses: a failure leaves half of a pair behind.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self._cert, self._key)

    def _look(self) -> tuple[int, ...]:
        try:
            return tuple(os.stat(path).st_mtime_ns for path in (self._cert, self._key))
        except OSError:
            return ()

    def _reason(self, exc: Exception) -> str:
        why = getattr(exc, "strerror", None) or exc
        return f"TLS_CERT={self._cert!r} and TLS_KEY={self._key!r} cannot be used: {why}"
