"""Who the client is behind proxies: their headers, read only where a proxy is trusted.

Each proxy writes behind what it was sent. So the list is read from the right: the last entry was
written by the proxy that connected to us, and an entry counts only if whoever wrote it is trusted.
What a client makes up stands further left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

__all__ = ["TrustedProxies", "forwarded_by"]

UNIX = "unix"
"""The word for a proxy that connects over a unix socket and so has no address."""

_HOST = re.compile(r"(?:[A-Za-z0-9._\-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_BACKWARDS = re.compile(r'\s*(?:"([^"]*)"|([^\s;,"=]*))=([A-Za-z]+)\s*(?:([;,])|$)')
_TOLD = ("for", "proto", "host", "port")
_SCHEMES = ("http", "https", "ws", "wss")

GetAll = Callable[[str], Sequence[str]]


class TrustedProxies:
    """The setting ``TRUSTED_PROXIES``.

    Args:
        trusted: How many proxies stand before the service; or their addresses and networks.

    Raises:
        ValueError: an entry is neither an address nor a network nor ``unix``.
    """

    def __init__(self, trusted: int | Sequence[str]) -> None:
        self.hops = trusted if isinstance(trusted, int) else 0
        self._networks: list[IPv4Network | IPv6Network] = []
        self._unix = False
        for entry in () if isinstance(trusted, int) else trusted:
            if entry == UNIX:
                self._unix = True
                continue
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                raise ValueError(
                    f"TRUSTED_PROXIES names {entry!r}: write addresses and networks (10.0.0.0/8), "
                    "unix for a unix socket, or one number of proxies"
                ) from None

    def __bool__(self) -> bool:
        """Whether any proxy is trusted."""
        return bool(self.hops or self._networks or self._unix)

    def _trusts(self, address: str) -> bool:
        if not address:
            return self._unix
        known = _address(address.partition("%")[0])  # the interface of a link-local address
        return known is not None and any(ip_address(known) in net for net in self._networks)

    def client(self, peer: str, chain: Sequence[str]) -> tuple[str, int] | None:
        """Who the client is.

        Args:
            peer: The address that connected to us, empty for a unix socket.
            chain: The entries that proxies wrote, as they came.

        Returns:
            Its address, and how many trusted proxies stand before us; None where ``peer`` is not
            one, and nothing that it says counts. The address is empty where no entry is one.
        """
        if self.hops:
            # A request with fewer entries did not come through all of the proxies.
            found = _address(chain[-self.hops]) if len(chain) >= self.hops else None
            return None if found is None else (found, self.hops)
        if not self._trusts(peer):
            return None
        client, passed = "", 1
        for entry in reversed(chain):
            found = _address(entry)
            if found is None:  # garbage: whatever stands further left cannot be believed either
                break
            client = found
            if not self._trusts(found):
                break
            passed += 1
        return client, min(passed, max(1, len(chain)))


@lru_cache(maxsize=16)
def _trusted(entries: int | tuple[str, ...]) -> TrustedProxies:
    return TrustedProxies(entries)


def forwarded_by(config: Mapping[str, Any], peer: str, headers: GetAll) -> dict[str, Any] | None:
    """What trusted proxies say of a request, in the form of Sanic's ``request.forwarded``.

    Args:
        config: ``TRUSTED_PROXIES`` and ``PROXY_HEADERS``.
        peer: The address that connected to us, empty for a unix socket.
        headers: Gives all values of a header.

    Returns:
        ``for``, ``proto``, ``host``, ``port``, as far as they are known; None where the setting
        names no proxy.
    """
    entries = config.get("TRUSTED_PROXIES")
    if not entries:
        return None
    trusted = _trusted(entries if isinstance(entries, int) else tuple(entries))
    if config.get("PROXY_HEADERS") == "forwarded":
        elements = _elements(headers("forwarded"))
        told = {key: [each.get(key, "") for each in elements] for key in _TOLD}
    else:
        told = {key: _list(headers(f"x-forwarded-{key}")) for key in _TOLD}
    client = trusted.client(peer, told["for"])
    if client is None:
        return {}
    address, passed = client

    def of(key: str) -> str:
        values = told[key]
        # One proxy adds to the list, another writes it anew.
        return values[-min(passed, len(values))] if values else ""

    found: dict[str, Any] = {"for": address} if address else {}
    if of("proto").lower() in _SCHEMES:
        found["proto"] = of("proto").lower()
    if _HOST.fullmatch(of("host")):
        found["host"] = of("host").lower()
    port = of("port")
    if port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536:
        found["port"] = int(port)
    return found


def _list(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",")]


def _elements(values: Sequence[str]) -> list[dict[str, str]]:
    """The elements of ``Forwarded`` (RFC 7239) up to the first malformed one from the right.

    It is read backwards, as `sanic.headers.parse_forwarded` does: a quote that a client leaves open
    must not swallow what a proxy writes behind it.
    """
    backwards = ",".join(values)[::-1]
    elements: list[dict[str, str]] = []
    element: dict[str, str] = {}
    at = 0
    while pair := _BACKWARDS.match(backwards, at):
        quoted, token, key, separator = pair.groups()
        element.setdefault(key[::-1].lower(), (token if quoted is None else quoted)[::-1])
        at = pair.end()
        if separator != ";":
            elements.append(element)
            element = {}
        if not separator:
            break
    return elements[::-1]


def _address(text: str) -> str | None:
    """The address of an entry, without a port and brackets; None if there is none in it."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address("" if "%" in text else text)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
