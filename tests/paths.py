"""The two paths of a request through the server."""

from __future__ import annotations

from typing import Any

from sanic import Sanic

__all__ = ["take_full_path"]


def take_full_path(app: Sanic[Any, Any]) -> None:
    """Send all requests of an application over the full path, by a signal that the fast path does
    not dispatch."""

    @app.signal("http.routing.before")
    async def pass_on(**context: Any) -> None: ...
