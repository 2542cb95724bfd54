"""One service, many tests in many threads: who may use it, and that it runs once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from sanic_ms.exception import LifecycleError
from sanic_ms.service import Service

__all__ = ["claim", "occupied", "release"]

_LIMIT = 60.0
"""Seconds to wait while another thread uses the service."""


class _Use:
    """Who uses a service: one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_running = False


_uses: WeakKeyDictionary[Service, _Use] = WeakKeyDictionary()
_guard = threading.Lock()


@contextmanager
def occupied(app: Service) -> Iterator[None]:
    """Have a service for this thread alone. Where another thread has it, wait for that.

    Raises:
        LifecycleError: the other thread keeps it for longer than a minute.
    """
    use = _acquire(app)
    try:
        yield
    finally:
        use.lock.release()


def claim(app: Service) -> None:
    """Say that this thread runs a service now, and keep it until `release`.

    Raises:
        LifecycleError: it runs already in this thread, or another one keeps it.
    """
    use = _acquire(app)
    if use.is_running:
        use.lock.release()
        raise LifecycleError(f"{app.name} runs already in this test: stop it first")
    use.is_running = True


def release(app: Service) -> None:
    """The end of `claim`, in the same thread."""
    use = _uses[app]
    use.is_running = False
    use.lock.release()


def _acquire(app: Service) -> _Use:
    with _guard:
        use = _uses.setdefault(app, _Use())
    if not use.lock.acquire(timeout=_LIMIT):
        raise LifecycleError(f"{app.name} is used by another thread")
    return use
