"""Certificates for services that speak TLS, and a client that trusts each of them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

__all__ = ["make_certificate", "trusting"]


def make_certificate(
    folder: Path, name: str, days: int = 1, password: str | None = None
) -> tuple[str, str]:
    """Make ``cert.pem`` and ``key.pem`` in a folder; their paths."""
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    encryption = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             *encryption, "-days", str(days), "-subj", f"/CN={name}", "-keyout", key, "-out", cert],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return cert, key


def trusting() -> ssl.SSLContext:
    """A client's context that takes every certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
