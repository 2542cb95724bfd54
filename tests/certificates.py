"""Certificates for servers, made by the openssl command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["CertificateFiles", "make_certificate"]


class CertificateFiles(NamedTuple):
    """The paths of a certificate and of its key."""

    cert: str
    key: str

    def server_side(self) -> ssl.SSLContext:
        """What a server listens with; the key has no pass phrase."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        return context


def make_certificate(
    folder: Path, *, name: str = "DNS:localhost", days: int = 1, password: str | None = None
) -> CertificateFiles:
    """A new certificate that signed itself; where openssl is missing the test is skipped.

    Args:
        folder: Where the two files are written, over those of a call before.
        name: Whom it is for: ``"DNS:localhost"``, ``"IP:127.0.0.1"``.
        days: How long it is valid; below zero it has expired.
        password: The pass phrase of its key; None leaves the key in the clear.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    files = CertificateFiles(str(folder / "cert.pem"), str(folder / "key.pem"))
    encryption = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         *encryption, "-days", str(max(days, 1)), "-subj", "/CN=test",
         "-addext", f"subjectAltName={name}", "-keyout", files.key, "-out", files.cert],
        check=True, capture_output=True,
    )  # fmt: skip
    if days < 0:  # `req` refuses: signed again, it keeps its name and has other dates
        again = ["x509", "-in", files.cert, "-signkey", files.key, "-days", str(days)]
        made = subprocess.run([openssl, *again], capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"this openssl makes no expired certificate: {made.stderr.strip()[-200:]}")
        Path(files.cert).write_text(made.stdout)
    return files
