"""Two versions of an OpenAPI document compared: what changed, and what of it breaks callers."""

from sanic_ms.openapi.diff.comparison import Change, compare

__all__ = ["Change", "compare"]
