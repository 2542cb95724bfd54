"""Services that are made for one test: made, and forgotten again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sanic import Sanic

from sanic_ms.service import Service

__all__ = ["made"]

_lock = threading.RLock()


@contextmanager
def made(source: Service | Callable[[], Service]) -> Iterator[Service]:
    """A service: the given one, or one that the given function makes for the block.

    Sanic keeps every application by its name and refuses a second one. A service that is made here
    may have the name of another, and leaves Sanic's list as it was.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(source, Service):
        yield source
        return
    if not callable(source):
        raise TypeError(f"{source!r} is neither a Service nor a function that makes one")
    with _lock:
        before = dict(Sanic._app_registry)
        mode, Sanic.test_mode = Sanic.test_mode, True
        try:
            app = source()
        finally:
            Sanic.test_mode = mode
    if not isinstance(app, Service):
        raise TypeError(f"{source!r} made {app!r}, which is not a Service")
    try:
        yield app
    finally:
        with _lock:
            if Sanic._app_registry.get(app.name) is app:
                del Sanic._app_registry[app.name]
                if before.get(app.name) is not None:
                    Sanic._app_registry[app.name] = before[app.name]
