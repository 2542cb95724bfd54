"""Addresses of services as one opens them."""

from __future__ import annotations

__all__ = ["base_url", "reachable"]

_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


def reachable(host: str) -> str:
    """The address at which this machine reaches a service that listens on ``host``."""
    return _ANY.get(host, host)


def base_url(host: str, port: int, *, scheme: str = "http") -> str:
    """``http://host:port``, with brackets where an IPv6 address needs them."""
    host = reachable(host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
