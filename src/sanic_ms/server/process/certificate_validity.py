"""When a certificate is valid, read from its file: `ssl` does not say it of one's own."""

from __future__ import annotations

import ssl
from calendar import timegm
from datetime import datetime

__all__ = ["Validity", "read_validity"]

Validity = tuple[float, float]
"""The first and the last second, since the epoch."""

_END = "-----END CERTIFICATE-----"
_BEGIN = "-----BEGIN CERTIFICATE-----"
_UTC_TIME = 0x17
_VERSION = 0xA0


def read_validity(pem: str) -> Validity:
    """The times in which all certificates of a PEM file are valid: the server's own, and those of
    its chain.

    Raises:
        ValueError: there is none, or it is no X.509 certificate.
    """
    found = []
    for part in pem.split(_END)[:-1]:
        body = part[part.index(_BEGIN) :]
        found.append(_validity(ssl.PEM_cert_to_DER_cert(body + _END + "\n")))
    if not found:
        raise ValueError("there is no certificate in the file")
    return max(begin for begin, _ in found), min(end for _, end in found)


def _validity(der: bytes) -> Validity:
    """RFC 5280, 4.1: in the certificate is what is signed, which begins with version (may be left
    out), serial number, algorithm, issuer and validity."""
    _, certificate, _ = _element(der)
    _, signed, _ = _element(certificate)
    tag, _, rest = _element(signed)
    if tag == _VERSION:
        _, _, rest = _element(rest)
    _, _, rest = _element(rest)  # the algorithm
    _, _, rest = _element(rest)  # the issuer
    _, validity, _ = _element(rest)
    tag, text, rest = _element(validity)
    last_tag, last, _ = _element(rest)
    return _seconds(tag, text), _seconds(last_tag, last)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """The tag and the content of the first element of DER (X.690), and what follows it."""
    if len(data) < 2:
        raise ValueError("the certificate ends too early")
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if len(data) < start + length:
        raise ValueError("the certificate ends too early")
    return tag, data[start : start + length], data[start + length :]


def _seconds(tag: int, text: bytes) -> float:
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    moment = datetime.strptime(text.decode("ascii"), form)
    # RFC 5280, 4.1.2.5.1: two digits from 50 on are of the last century; Python says from 69 on.
    if tag == _UTC_TIME and moment.year >= 2050:
        moment = moment.replace(year=moment.year - 100)
    return float(timegm(moment.timetuple()))
