"""The short way with its usual request compiled, where that could be built."""

from __future__ import annotations

from sanic_ms._compiled import compiled
from sanic_ms.server.short import ShortWay

__all__ = ["CompiledShortWay"]

_short = compiled("sanic_ms.server._short")


class CompiledShortWay(ShortWay):
    """What `HttpProtocol` stands on: `ShortWay`, or the same from compiled code."""

    __slots__ = ()

    if _short is not None:
        data_received = _short.data_received
        _open = _short.open_request
        _deliver = _short.deliver
        _account = _short.account
