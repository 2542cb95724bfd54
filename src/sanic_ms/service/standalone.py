"""A service without a server: its components run, and nothing listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sanic.application.constants import ServerStage
from sanic.application.state import ApplicationServerInfo

from sanic_ms.server.process.admin_listener import AdminListener

if TYPE_CHECKING:
    from sanic_ms.service.service import Service

__all__ = ["standalone"]


@asynccontextmanager
async def standalone(service: Service) -> AsyncIterator[None]:
    """Run the components of a service in the block, for a command.

    Listeners that set up and clean up run as well: ``before_server_start`` and
    ``after_server_stop``. Those of a service that serves (``after_server_start``,
    ``before_server_stop``) do not, nor does the listener on ``ADMIN_PORT``.

    Args:
        service: The service. It does not run elsewhere in this process.

    Raises:
        ConfigError, LifecycleError: as at a start. What had started is stopped.
    """
    service.compile()
    for component in service.lifecycle:
        if isinstance(component, AdminListener):
            component.enabled = False
    service.asgi = False
    service.launch.quiet = True
    service.config.TOUCHUP = False  # Sanic would rewrite its own classes, for requests
    # With this `app.loop` and `app.add_task` work.
    info = ApplicationServerInfo({"unix": "(command)"}, ServerStage.SERVING)
    service.state.server_info[:] = [info]
    loop = asyncio.get_running_loop()
    try:
        await service._startup()
        await service._server_event("init", "before", loop)
        try:
            yield
        finally:
            await service._server_event("shutdown", "after", loop)
    finally:
        service.state.server_info.clear()
