"""The fixture that runs one application on bare Sanic and on a `Service`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sanic import Sanic
from tests.compat.comparison import Comparison

from sanic_ms import Service

VARIANTS = ("fast-path", "full-path", "sanic-protocol")
"""How a service serves: our protocol with and without its fast path, and Sanic's."""


def _quiet(app: Any) -> Any:
    app.config.TOUCHUP = False  # Sanic would rewrite its own classes, for the whole process
    app.config.MOTD = False
    return app


def make_bare(name: str, **keywords: Any) -> Sanic[Any, Any]:
    """A bare Sanic application."""
    app: Sanic[Any, Any] = _quiet(Sanic(name, configure_logging=False, **keywords))
    app.config.AUTO_EXTEND = False
    return app


def service_maker(variant: str) -> Callable[..., Service]:
    """Makes services that serve in one of the `VARIANTS`."""

    def make(name: str, **keywords: Any) -> Service:
        app: Service = _quiet(Service(name, configure_logging=False, **keywords))
        app.configure(response_headers={})  # an intended difference, which has a test of its own
        if variant == "full-path":
            app.add_signal(_nothing, "http.lifecycle.begin")
        elif variant == "sanic-protocol":
            app.configure(server_protocol="sanic")
        return app

    return make


async def _nothing(**context: Any) -> None:
    """A signal of a request's life, which takes every request off the fast path."""


@pytest.fixture(autouse=True)
def own_applications(empty_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Applications of one test are not those of another; no settings but the test's."""
    monkeypatch.setattr(Sanic, "_app_registry", {})


@pytest.fixture(params=VARIANTS)
def compare(request: pytest.FixtureRequest, tmp_path: Path) -> Comparison:
    """Compares an application on bare Sanic with the same on a `Service`, served in each way."""
    return Comparison(make_bare, service_maker(request.param))
