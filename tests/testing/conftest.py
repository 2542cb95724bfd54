"""Small services to be tested with the kit."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from sanic_ms import Service
from sanic_ms.client import Client

Make = Callable[..., Service]


@pytest.fixture(autouse=True)
def without_settings(empty_folder: None) -> None:
    """Every test of this package begins in an empty folder."""


@pytest.fixture
def make() -> Make:
    """Make a service with a name of its own, settings, and a client of ``region-service``."""

    def make(name: str | None = None, **settings: Any) -> Service:
        app = Service(name or f"kit_{uuid.uuid4().hex}", configure_logging=False)
        app.configure(services={"region-service": "http://127.0.0.1:1/v1"}, **settings)

        @app.before_server_start
        async def connect(app: Any) -> None:
            app.region = Client("region-service", app=app)

        @app.get("/cities/<id:int>", name="get_city")
        async def get_city(request: Any, id: int) -> Any:
            return await request.app.region.cli(request).get_json(f"/cities/{id}")

        return app

    return make
