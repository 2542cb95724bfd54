"""Handlers that several modules use."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from sanic import HTTPResponse, Request
from sanic.response import text

__all__ = ["answer_with"]


def answer_with(body: str) -> Callable[..., Coroutine[Any, Any, HTTPResponse]]:
    """A handler that answers with this text."""

    async def handler(request: Request) -> HTTPResponse:
        return text(body)

    return handler
