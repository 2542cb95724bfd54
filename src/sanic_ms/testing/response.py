"""What a service answered, read to its end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import msgspec
from multidict import CIMultiDictProxy

__all__ = ["TestResponse"]

_SHOWN = 200


class TestResponse:
    """One answer.

    Attributes:
        status: The HTTP status.
        headers: The headers; names in any case, `getall` for those that come twice.
        cookies: The cookies that the answer sets: value by name.
        body: The body, decompressed.
        request: Method and path that it answers, for messages.
    """

    def __init__(
        self,
        status: int,
        headers: CIMultiDictProxy[str],
        cookies: Mapping[str, str],
        body: bytes,
        request: str = "",
    ) -> None:
        self.status = status
        self.headers = headers
        self.cookies = cookies
        self.body = body
        self.request = request

    @classmethod
    async def read(cls, response: aiohttp.ClientResponse) -> TestResponse:
        """Read a response to its end."""
        jar: SimpleCookie = response.cookies
        cookies = {name: morsel.value for name, morsel in jar.items()}
        request = f"{response.method} {response.url.raw_path_qs}"
        return cls(response.status, response.headers, cookies, await response.read(), request)

    @cached_property
    def text(self) -> str:
        """The body as text, in the charset that the answer names or UTF-8."""
        _, _, parameters = self.headers.get("Content-Type", "").partition("charset=")
        charset = parameters.partition(";")[0].strip(" \"'") or "utf-8"
        return self.body.decode(charset, errors="replace")

    @cached_property
    def json(self) -> Any:
        """The body as JSON, envelope included; None where there is no body.

        Raises:
            AssertionError: it is not JSON. The text shows what it is.
        """
        if not self.body:
            return None
        try:
            return msgspec.json.decode(self.body)
        except (ValueError, RecursionError) as exc:
            raise AssertionError(f"{self!r} is not JSON: {exc}") from None

    def __repr__(self) -> str:
        body = self.text if len(self.body) <= _SHOWN else f"{self.text[:_SHOWN]}…"
        return f"<Answer {self.status} to {self.request}: {body}>"
