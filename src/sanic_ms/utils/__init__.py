"""Small things that handlers need: calls in parallel, and plain data out of anything."""

from sanic_ms.utils.jsonable import jsonify, to_plain
from sanic_ms.utils.parallel import async_execute, async_request

__all__ = ["async_execute", "async_request", "jsonify", "to_plain"]
