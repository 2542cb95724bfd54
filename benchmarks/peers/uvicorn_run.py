"""uvicorn at its best, for the ASGI peers."""

from __future__ import annotations

from typing import Any

import uvicorn

from benchmarks.peers import shared


def serve(app: Any) -> None:
    """Serve the application: uvloop, httptools, one process, no log line and no header too many."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=shared.PORT,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=shared.KEEP_ALIVE,
    )
