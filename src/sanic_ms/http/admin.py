"""Who may see what is for operators: metrics, docs, details of health."""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
from collections.abc import Callable
from typing import Any

from sanic.request import Request

from sanic_ms.exception import Unauthorized

__all__ = ["AdminToken"]


class AdminToken:
    """The setting ``ADMIN_TOKEN``.

    It is shown as ``Authorization: Bearer TOKEN``, or as the password of ``Basic`` with any user
    name, which is what a browser can send for a page and all its files.

    Args:
        token: The token; None where there is none, and then nobody shows it.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    def __bool__(self) -> bool:
        """Whether there is a token."""
        return self._token is not None

    def shown_by(self, request: Request) -> bool:
        """Whether the request shows it. The comparison takes as long for every wrong token."""
        if self._token is None:
            return False
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            given = _password(given)
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(errors="surrogateescape"), self._token)

    def sees(self, policy: str) -> Callable[[Request], bool]:
        """Whether a request may see what has a policy: ``always``, ``protected`` or ``never``."""
        if policy == "protected":
            return self.shown_by
        return lambda request: policy == "always"

    def protect(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """The handler for those who show the token; others get 401. As it is without a token."""
        if self._token is None:
            return handler

        @functools.wraps(handler)
        async def protected(request: Request, *args: Any, **keywords: Any) -> Any:
            if not self.shown_by(request):
                raise Unauthorized(
                    "this needs the admin token",
                    headers={"WWW-Authenticate": 'Basic realm="admin", Bearer'},
                )
            return await handler(request, *args, **keywords)

        return protected


def _password(credentials: str) -> str:
    try:
        text = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return text.partition(b":")[2].decode(errors="surrogateescape")
