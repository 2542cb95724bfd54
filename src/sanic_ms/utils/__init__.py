"""Small things that handlers need: calls in parallel, functions that block, and plain data out of
anything."""

from sanic_ms.utils.blocking import run_blocking
from sanic_ms.utils.jsonable import jsonify, to_plain
from sanic_ms.utils.parallel import async_execute, async_request

__all__ = ["async_execute", "async_request", "jsonify", "run_blocking", "to_plain"]
