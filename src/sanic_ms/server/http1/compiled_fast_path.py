"""The fast path with its usual request compiled, where that could be built."""

from __future__ import annotations

from sanic_ms.native.compiled import compiled
from sanic_ms.server.http1.fast_path import FastPath

__all__ = ["CompiledFastPath"]

_short = compiled("sanic_ms.server.http1._fast_path")
_OWN = {"data_received", "_open", "_deliver", "_account"}
_SLOTS = {name for cls in FastPath.__mro__ for name in getattr(cls, "__slots__", ())}
_BELOW = _OWN | _SLOTS | {"_take", "_take_known", "_begin", "_serve_at_once", "_next"}


class CompiledFastPath(FastPath):
    """What `HttpProtocol` stands on: `FastPath`, or the same from compiled code."""

    __slots__ = ()

    if _short is not None:
        data_received = _short.data_received
        _open = _short.open_request
        _deliver = _short.deliver
        _account = _short.account

        def __init_subclass__(cls) -> None:
            """What compiled code reads and calls past its class is not for a subclass to have in
            another way: it is served by Python."""
            super().__init_subclass__()
            if not _BELOW.isdisjoint(vars(cls)):
                for name in _OWN - vars(cls).keys():
                    setattr(cls, name, getattr(FastPath, name))
