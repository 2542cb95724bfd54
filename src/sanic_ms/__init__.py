"""sanic-ms: a fast microservice framework on Sanic.

Importing the package defines names and nothing else; each package is loaded when it is first
used, so that the pool or the client alone does not import the web server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from sanic_ms.commands import command as command
    from sanic_ms.config import Settings as Settings
    from sanic_ms.config import load_config as load_config
    from sanic_ms.context import current_service as current_service
    from sanic_ms.http.request import Request as RequestOf
    from sanic_ms.lifecycle import Component as Component
    from sanic_ms.lifecycle import Health as Health
    from sanic_ms.service import Plugin as Plugin
    from sanic_ms.service import Service as Service
    from sanic_ms.values.depends import Depends as Depends
    from sanic_ms.values.page import Cursor as Cursor
    from sanic_ms.values.page import CursorPagination as CursorPagination
    from sanic_ms.values.page import Offset as Offset
    from sanic_ms.values.page import OffsetPagination as OffsetPagination
    from sanic_ms.values.page import Page as Page
    from sanic_ms.values.page import Pagination as Pagination

    from . import doc as doc

    ServiceT_co = TypeVar("ServiceT_co", bound=Service, default=Service, covariant=True)
    # It is named here because packages below the service do not know it.
    Request = RequestOf[ServiceT_co]

__all__ = [
    "Component",
    "Cursor",
    "CursorPagination",
    "Depends",
    "Health",
    "Offset",
    "OffsetPagination",
    "Page",
    "Pagination",
    "Plugin",
    "Request",
    "Service",
    "Settings",
    "command",
    "current_service",
    "doc",
    "load_config",
]

__version__ = "0.1.0"

_HOME = {
    "Component": "sanic_ms.lifecycle",
    "Cursor": "sanic_ms.values.page",
    "CursorPagination": "sanic_ms.values.page",
    "Depends": "sanic_ms.values.depends",
    "Health": "sanic_ms.lifecycle",
    "Offset": "sanic_ms.values.page",
    "OffsetPagination": "sanic_ms.values.page",
    "Page": "sanic_ms.values.page",
    "Pagination": "sanic_ms.values.page",
    "Plugin": "sanic_ms.service",
    "Request": "sanic_ms.http.request",
    "Service": "sanic_ms.service",
    "Settings": "sanic_ms.config",
    "command": "sanic_ms.commands",
    "current_service": "sanic_ms.context",
    "load_config": "sanic_ms.config",
}


def __getattr__(name: str) -> Any:
    if name == "doc":
        return importlib.import_module("sanic_ms.doc")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
