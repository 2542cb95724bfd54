"""The OpenAPI document of a service, and the page that shows it."""

from sanic_ms.openapi.blueprint import mount
from sanic_ms.openapi.diff.comparison import Change, compare
from sanic_ms.openapi.document import KNOWN_SECURITY_SCHEMES, build

__all__ = ["KNOWN_SECURITY_SCHEMES", "Change", "build", "compare", "mount"]
