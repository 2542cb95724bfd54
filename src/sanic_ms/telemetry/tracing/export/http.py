"""The way to a collector: HTTP.

A collector is somebody else's machine on a bad day: every call is limited in time, what its answer
may hold is limited in size, redirects are not followed, and its address is never shown with the
credentials that may stand in it.
"""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import ipaddress
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.tracing.export.base import ExportResult, Sender

__all__ = ["HttpSender"]

_MOST_ANSWER = 65_536
_WORTH_PACKING = 1024
_GZIP_LEVEL = 1


class HttpSender(Sender):
    """Posts to one URL over a connection that is kept.

    Args:
        url: Where to. Credentials in it are sent as ``Authorization``.
        headers: To send along.
        timeout: Seconds for one attempt, from connecting to the end of the answer.
        compress: Whether bodies are packed with gzip. None: unless the URL names this machine, by
            a loopback address or ``localhost``; there packing takes longer than sending.

    Attributes:
        packs: Whether it does.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        compress: bool | None = None,
    ) -> None:
        self.url = url
        self.shown = redactor.text(url)
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._seconds = timeout
        self.packs = not _is_local(url) if compress is None else compress
        self._session: aiohttp.ClientSession | None = None

    async def send(self, body: Sequence[bytes]) -> ExportResult:
        headers = self._headers
        if self.packs and sum(map(len, body)) >= _WORTH_PACKING:
            # Packing lets go of the interpreter, so a thread does it beside the loop.
            loop = asyncio.get_running_loop()
            body = [await loop.run_in_executor(None, _pack, body)]
            headers = {**headers, "Content-Encoding": "gzip"}
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "sanic-ms"},
            )
        try:
            async with self._session.post(
                self.url,
                data=_Pieces(body),
                headers=headers,
                allow_redirects=False,
            ) as response:
                answer = await response.content.read(_MOST_ANSWER)
                return ExportResult(
                    response.status,
                    _seconds(response.headers.get("Retry-After", "")),
                    answer,
                    "" if response.status < 300 else f"{self.shown} answers {response.status}",
                )
        except TimeoutError:
            return ExportResult(
                0, problem=f"{self.shown} gives no answer within {self._seconds:g} s"
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            reason = " ".join(redactor.text(str(exc)).split()) or type(exc).__name__
            return ExportResult(0, problem=f"{self.shown} cannot be reached: {reason[:200]}")

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class _Pieces(aiohttp.Payload):
    """A body that is written piece by piece, without a copy of the whole. (A file in memory, which
    is the other way not to write all in one go, is read by a thread.)"""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__(pieces)
        self._size = sum(map(len, pieces))

    async def write(self, writer: AbstractStreamWriter) -> None:
        for piece in self._value:
            await writer.write(piece)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return b"".join(self._value).decode(encoding, errors)


def _pack(body: Sequence[bytes]) -> bytes:
    return gzip.compress(b"".join(body), _GZIP_LEVEL)


def _is_local(url: str) -> bool:
    """Whether a URL names this machine, as that of an agent beside the service does."""
    host = ""
    try:
        host = urlsplit(url).hostname or ""  # of a malformed one sending tells, and not the start
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seconds(value: str) -> float | None:
    """What ``Retry-After`` says, whether as seconds or as a date."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
