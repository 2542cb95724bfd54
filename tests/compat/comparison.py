"""One application on bare Sanic and on a `Service`: what both send, byte for byte."""

from __future__ import annotations

import asyncio
import enum
import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from sanic import Sanic
from sanic.application.constants import ServerStage
from sanic.application.state import ApplicationServerInfo

__all__ = [
    "Ask",
    "Build",
    "Comparison",
    "Differs",
    "Reply",
    "ask",
    "replies_of",
    "serving",
]

Build = Callable[[Any], None]
"""Registers the feature on an application, be it a `Sanic` or a `Service`."""

LIMIT = 60.0  # seconds to wait for what must come: a busy machine is slow, not broken

# Of the connection and not of the response; and an empty header that Sanic sends without HTTP/3.
_NOT_COMPARED = {"connection", "keep-alive", "alt-svc"}
# What Sanic sends where a response has no type.
_NO_TYPE = ("content-type", "None")


class Differs(enum.Enum):
    """The intended differences, as docs/moving-from-sanic.md has them."""

    NOTHING = "nothing"
    ERROR = "an error that the application does not handle is answered in the envelope"
    DATA = "plain data is a response in the envelope; on Sanic it is an error"
    ALLOW = "a 405 names every method of the path; Sanic those of one route"
    DECODED = "a part of the path whose parameter has an annotation is decoded"
    FORM = "a form that is malformed is 400; on Sanic it is an empty form"
    FOLDER = "a static folder without a page is 404; on Sanic it is 500"


@dataclass(frozen=True)
class Ask:
    """What a client sends.

    Attributes:
        raw: The bytes.
        differs: Where a service replies otherwise, in which way.
        heads_only: Whether replies have no body: those to HEAD.
    """

    raw: bytes
    differs: Differs = Differs.NOTHING
    heads_only: bool = False


@dataclass
class Reply:
    """One response as it came over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of a name."""
        return next((value for key, value in self.headers if key == name), None)

    def compared(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """What has to be the same: all but what belongs to the connection and the clock."""
        headers = sorted(
            pair for pair in self.headers if pair[0] not in _NOT_COMPARED and pair != _NO_TYPE
        )
        return self.status, headers, self.body


def ask(
    method: str,
    target: str,
    *,
    body: bytes | str | None = None,
    host: str = "shop.test",
    differs: Differs = Differs.NOTHING,
    chunks: Sequence[bytes] = (),
    **headers: str,
) -> Ask:
    """A request on a connection that is closed after it.

    Args:
        headers: With ``_`` for ``-``.
        chunks: Pieces of a chunked body.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    data = body.encode() if isinstance(body, str) else body or b""
    if body is not None:
        lines.append(f"Content-Length: {len(data)}")
    if chunks:
        lines.append("Transfer-Encoding: chunked")
        data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    return Ask(head + data, differs, method == "HEAD")


@asynccontextmanager
async def serving(app: Any, **keywords: Any) -> Any:
    """Serve an application in this event loop; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server: Any = await app.create_server(sock=listener, return_asyncio_server=True, **keywords)
        assert server is not None
        # As under `run`: without it neither knows its event loop.
        serving = ApplicationServerInfo(settings={}, stage=ServerStage.SERVING)
        app.state.server_info.append(serving)
        await server.startup()
        await server.before_start()
        await server.start_serving()
        await server.after_start()
        try:
            yield listener.getsockname()[1]
        finally:
            await server.before_stop()
            await server.close()
            await server.after_stop()
            app.state.server_info.clear()
            app.router.reset()
            app.signal_router.reset()


async def send(port: int, asked: Ask) -> list[Reply]:
    """Send, and read until the server closes."""
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(asked.raw)
            return list(_parsed(await reader.read(), heads_only=asked.heads_only))
        finally:
            writer.close()


async def replies_of(app: Any, asks: Sequence[Ask]) -> list[list[Reply]]:
    """What an application replies to each, one after the other."""
    async with serving(app) as port:
        return [await send(port, asked) for asked in asks]


def _parsed(raw: bytes, *, heads_only: bool) -> Iterator[Reply]:
    while raw:
        head, gap, raw = raw.partition(b"\r\n\r\n")
        assert gap, head
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value) for name, _, value in (x.partition(": ") for x in lines)]
        reply = Reply(int(line.split()[1]), headers, b"")
        if reply.status in (100, 204, 304) or heads_only:
            pass
        elif reply.header("transfer-encoding") == "chunked":
            reply.body, raw = _dechunked(raw)
        else:
            length = reply.header("content-length")
            size = len(raw) if length is None else int(length)
            assert len(raw) >= size, f"{len(raw)} of {size} bytes came"
            reply.body, raw = raw[:size], raw[size:]
        yield reply


def _dechunked(raw: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, gap, raw = raw.partition(b"\r\n")
        assert gap, "the response was cut off"
        length = int(size, 16)
        body, raw = body + raw[:length], raw[length + 2 :]
        if not length:
            return body, raw


@dataclass
class Comparison:
    """Builds an application on both, sends the same to both, and compares.

    Attributes:
        make_bare: Makes a bare Sanic application of a name, with Sanic's keywords.
        make_service: Makes the service.
    """

    make_bare: Callable[..., Any]
    make_service: Callable[..., Any]
    bare: Any = field(default=None, init=False)
    service: Any = field(default=None, init=False)

    async def __call__(
        self,
        build: Build,
        *asks: Ask,
        name: str = "shop",
        while_served: Callable[[Any, int], Awaitable[Any]] | None = None,
        ignored: Sequence[str] = (),
        **keywords: Any,
    ) -> list[list[Reply]]:
        """Compare; and what both have noted in ``app.ctx.events``.

        Args:
            build: Registers the feature.
            asks: What is sent.
            while_served: Called with the application and its port; what it gives is compared too.
            ignored: Headers whose value is made by chance.
            keywords: Of the constructors.

        Returns:
            The replies of the service.
        """
        results = []
        for make in (self.make_bare, self.make_service):
            app = make(name, **{k: v() if callable(v) else v for k, v in keywords.items()})
            app.ctx.events = []
            build(app)
            async with serving(app) as port:
                replies = [await send(port, asked) for asked in asks]
                other = await while_served(app, port) if while_served is not None else None
            results.append((replies, other, app.ctx.events))
            # Both have the same name, and the process knows one of a name.
            Sanic._app_registry.pop(name)
        (bare, bare_other, bare_events), (ours, other, events) = results
        assert other == bare_other
        assert events == bare_events
        for asked, expected, found in zip(asks, bare, ours, strict=True):
            for left, right in zip(expected, found, strict=True):
                left.headers = [pair for pair in left.headers if pair[0] not in ignored]
                right.headers = [pair for pair in right.headers if pair[0] not in ignored]
                _check(asked, left, right)
        return ours


def _check(asked: Ask, bare: Reply, ours: Reply) -> None:
    line = asked.raw.partition(b"\r\n")[0].decode("latin-1")
    if asked.differs is Differs.NOTHING:
        assert ours.compared() == bare.compared(), f"{line}\nSanic:   {bare}\nservice: {ours}"
        return
    # A difference that is none any more is to be taken out of the test.
    assert ours.compared() != bare.compared(), f"{line}: the difference is gone"
    line = f"{line}\nSanic:   {bare}\nservice: {ours}"
    if asked.differs is Differs.DECODED:
        assert ours.body == unquote_to_bytes(bare.body), line
        return
    body = json.loads(ours.body)
    if asked.differs is Differs.DATA:
        assert (bare.status, ours.status) == (500, 200), line
        assert body.keys() <= {"code", "data", "pagination"}, line
        return
    statuses = {Differs.FORM: (200, 400), Differs.FOLDER: (500, 404)}
    expected = statuses.get(asked.differs, (bare.status, bare.status))
    assert (bare.status, ours.status) == expected, line
    assert re.fullmatch(r"\d+", str(body["code"])), line
    assert body["message"], line
    changed = {"content-type", "content-length", "transfer-encoding", *_NOT_COMPARED}
    if asked.differs is Differs.ALLOW:
        changed.add("allow")
    left, right = (
        sorted(pair for pair in reply.headers if pair[0] not in changed) for reply in (bare, ours)
    )
    assert right == left, line
