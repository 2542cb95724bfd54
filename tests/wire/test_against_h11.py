"""Generated requests, lawful and not, judged by an independent parser (h11)."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import h11
from h11._state import MIGHT_SWITCH_PROTOCOL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sanic import HTTPResponse, Request, Sanic
from sanic.response import text

from sanic_ms.server import HttpProtocol

Seen = list[tuple[str, str, list[tuple[str, str]], bytes]]

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
token = st.text(TOKEN, min_size=1, max_size=12)
value = st.text([chr(c) for c in (9, *range(32, 127))], max_size=20)
path = st.text("abcXYZ019-._~!$&'()*+,;=:@/%", max_size=20).map(lambda t: "/" + t)
OURS = {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"}
header = st.tuples(token.map(lambda t: f"x-{t}"), value)
body = st.one_of(
    st.none(),
    st.binary(max_size=200),  # with a length
    st.lists(st.binary(min_size=1, max_size=50), max_size=4),  # in chunks
)


@st.composite
def request(draw: st.DrawFn) -> bytes:
    """A lawful request."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
    lines = [f"{method} {draw(path)} HTTP/1.1", "Host: a"]
    lines += [
        f"{name}:{draw(st.sampled_from(['', ' ', '  ', chr(9)]))}{v}"
        for name, v in draw(st.lists(header, max_size=5))
    ]
    sent = draw(body)
    data = b""
    if isinstance(sent, bytes):
        lines.append(f"Content-Length: {len(sent)}")
        data = sent
    elif sent is not None:
        lines.append("Transfer-Encoding: chunked")
        data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in sent) + b"0\r\n\r\n"
    return "\r\n".join([*lines, "", ""]).encode() + data


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One or two requests with a few bytes changed, put in or taken out."""
    raw = bytearray(b"".join(draw(st.lists(request(), min_size=1, max_size=2))))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        piece = draw(
            st.one_of(
                st.binary(max_size=2),
                st.sampled_from(
                    [
                        b"\r\n",
                        b"\n",
                        b"\r",
                        b"\0",
                        b" ",
                        b"\t",
                        b":",
                        b",",
                        b";",
                        b"0",
                        b"\r\n\r\n",
                        b"Content-Length: 3\r\n",
                        b"Transfer-Encoding: chunked\r\n",
                        b"\r\n 0",
                        b"+",
                        b"_",
                        b"0x",
                        b"\x0b",
                        b"chunked",
                        b"Connection: upgrade\r\nUpgrade: x\r\n",
                        b"Connection: close\r\n",
                        b"Host: b\r\n",
                    ]
                ),
            )
        )
        raw[at : at + draw(st.integers(0, 3))] = piece
    return bytes(raw)


def judged_by_h11(raw: bytes) -> tuple[Seen, bool]:
    """The requests that h11 finds in ``raw``, and whether it found an error after them.

    h11 does not skip the empty lines that RFC 9112, 2.2 asks to skip before a request.
    """
    found: Seen = []
    while True:
        while raw.startswith(b"\r\n"):
            raw = raw[2:]
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
        connection.receive_data(raw)
        data = b""
        try:
            head: Any = connection.next_event()
            if not isinstance(head, h11.Request):
                return found, False
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if not isinstance(event, h11.Data):
                    return found, False
                data += bytes(event.data)
        except h11.RemoteProtocolError:
            return found, True
        headers = [(k.decode(), v.decode("utf-8", "surrogateescape")) for k, v in head.headers]
        found.append((head.method.decode(), head.target.decode(), headers, data))
        if connection.their_state is MIGHT_SWITCH_PROTOCOL:
            # Answered as by a server that does not switch: what follows is the next request.
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        if connection.their_state is not h11.DONE:  # Connection: close
            return found, False
        raw = connection.trailing_data[0]


class Lab:
    """An application in memory that notes what reaches it."""

    def __init__(self) -> None:
        self.seen: Seen = []
        self.app: Sanic[Any, Any] = Sanic("against_h11", configure_logging=False)
        self.app.config.update({"MOTD": False, "TOUCHUP": False})
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        for name, rule in (("root", "/"), ("any", "/<path:path>")):
            self.app.add_route(self.handle, rule, methods=methods, name=name, ignore_body=False)

    async def handle(self, request: Request, path: str = "") -> HTTPResponse:
        headers = list(request.headers.items())
        self.seen.append((request.method, request.raw_url.decode(), headers, request.body))
        return text("")

    async def run(
        self, raw: bytes, cuts: list[int], transport_class: Any
    ) -> tuple[Seen, bytes, bool]:
        if not self.app.state.is_started:
            await self.app._startup()  # type: ignore[no-untyped-call]
        self.seen.clear()
        loop = asyncio.get_running_loop()
        connections: set[Any] = set()
        transport = transport_class(
            HttpProtocol(loop=loop, app=self.app, connections=connections), loop
        )
        bounds = [0, *sorted({c % (len(raw) + 1) for c in cuts}), len(raw)]
        for start, end in itertools.pairwise(bounds):
            if end > start and not transport.closing:
                transport.protocol.data_received(raw[start:end])
                for _ in range(6):
                    await asyncio.sleep(0)
        for _ in range(30):
            await asyncio.sleep(0)
        over = transport.over
        if not transport.closing:
            transport.close()
        for _ in range(10):
            await asyncio.sleep(0)
        return list(self.seen), bytes(transport.written), over


_lab: list[Lab] = []
cuts = st.lists(st.integers(0, 400), max_size=4)
thorough = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def run(raw: bytes, at: list[int], transport_class: Any) -> tuple[Seen, bytes, bool]:
    if not _lab:
        _lab.append(Lab())
    return asyncio.run(_lab[0].run(raw, at, transport_class))


@thorough
@given(raws=st.lists(request(), min_size=1, max_size=3), at=cuts)
def test_lawful_requests_are_read_as_h11_reads_them(
    memory_transport: Any, raws: list[bytes], at: list[int]
) -> None:
    """The same methods, targets, headers and bodies, however the bytes are cut."""
    raw = b"".join(raws)
    expected, error = judged_by_h11(raw)
    assert not error
    assert len(expected) == len(raws)
    seen, written, over = run(raw, at, memory_transport)
    assert seen == expected
    assert written.count(b"HTTP/1.1 200 OK\r\n") == len(raws)
    assert not over


@thorough
@given(raw=damaged(), at=cuts)
def test_damaged_requests_never_say_more_than_h11_hears(
    memory_transport: Any, raw: bytes, at: list[int]
) -> None:
    """We may refuse what h11 takes (it is laxer in places), never take what it does not: each
    request that reaches the application is the one that h11 found at that place."""
    expected, _ = judged_by_h11(raw)
    seen, written, over = run(raw, at, memory_transport)
    assert len(seen) <= len(expected)
    for ours, theirs in zip(seen, expected, strict=False):
        assert ours[0] == theirs[0]
        assert ours[3] == theirs[3]
    if over:
        assert b"connection: close" in written
