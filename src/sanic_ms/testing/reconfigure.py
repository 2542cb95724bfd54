"""Other settings for a service while a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sanic_ms.exception import LifecycleError
from sanic_ms.service import Service
from sanic_ms.testing.exclusive import occupied
from sanic_ms.values import DatabaseURL

__all__ = ["reconfigured", "without_ports"]


@contextmanager
def reconfigured(app: Service, **keywords: Any) -> Iterator[None]:
    """`Service.configure` for a block, also when the settings have been read already.

    A pool that exists stays the same object, as parts may hold it, and gets the new URL.

    Raises:
        ConfigError: a value is wrong.
        LifecycleError: the service runs.
    """
    if app.lifecycle.is_open:
        raise LifecycleError(f"{app.name} runs: give it other settings before it starts")
    before = app._settings_keywords, app._loaded
    app._settings_keywords, app._loaded = {**app._settings_keywords, **keywords}, None
    try:
        _follow(app)
        yield
    finally:
        app._settings_keywords, app._loaded = before
        _follow(app)


@contextmanager
def without_ports(app: Service) -> Iterator[None]:
    """Keep a service from listening for its operators, for a block: no test needs a fixed port.

    It is this thread's alone for as long, as its settings are read here and changed by others.
    """
    with occupied(app):
        if app.settings.admin_port is None:
            yield
            return
        with reconfigured(app, admin_port=None):
            yield


def _follow(app: Service) -> None:
    """Let what was made of the settings before be as they say now."""
    for name, pool in app._databases.pools.items():
        settings = app.settings
        url = settings.db_url if name == "default" else settings.databases.get(name)
        pool.url = None if url is None else DatabaseURL.parse(url)
    if app._settings_class in app.container:
        app.provide(app._settings_class, app.settings)
