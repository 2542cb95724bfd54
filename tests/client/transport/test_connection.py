"""Answers as our own connections read them: framing, refusals, and when a connection is kept."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.client.wire import OK, Keeper, asked, end, outcome

from sanic_ms.client.transport.connection import Lost
from sanic_ms.client.transport.inflate import Inflate
from sanic_ms.exception import ServiceCallError

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = gzip.compress(b"hello " * 20, mtime=0)


def short(value: object) -> str:
    """A name for what a test is given."""
    return repr(value)[:60]


# method, the bytes that come, status, body
WHOLE = [
    ("GET", OK, 200, b"{}"),
    ("POST", HEAD + b"content-length: 0\r\n\r\n", 200, b""),
    ("GET", CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", 200, b"hello world"),
    ("GET", CHUNKED + b"2\r\nab\r\n0\r\nX-Trailer: late\r\n\r\n", 200, b"ab"),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, b""),
    ("HEAD", HEAD + b"Content-Length: 99\r\n\r\n", 200, b""),
    ("HEAD", CHUNKED, 200, b""),
    ("HEAD", HEAD + b"\r\n", 200, b""),
    ("GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n" + OK, 200, b"{}"),
    ("GET", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", 200, b"a"),
    ("GET", b"HTTP/1.1 503\r\nContent-Length: 1\r\nX:\r\n\r\na", 503, b"a"),
    (
        "GET",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(PACKED), PACKED),
        200,
        b"hello " * 20,
    ),
]


@pytest.mark.parametrize(("method", "data", "status", "body"), WHOLE, ids=short)
async def test_an_answer_is_the_same_however_it_is_cut(
    method: str, data: bytes, status: int, body: bytes
) -> None:
    """Cut in two anywhere, or into single bytes, it is read alike, and the connection is kept:
    all of it goes over one."""
    keeper = Keeper()
    cuts = [[data[:n], data[n:]] for n in range(len(data))]
    cuts.append([bytes([byte]) for byte in data])
    headers = None
    for number, pieces in enumerate(cuts, 1):
        answer = asked(keeper, method)
        for piece in pieces:
            if piece:
                keeper.connection.data_received(piece)
        read = await asyncio.wait_for(outcome(answer), 5)
        assert (read[0], read[2]) == (status, body)
        assert headers in (None, read[1])
        headers = read[1]
        assert (keeper.free, keeper.wire.closing) == (number, False)
    assert keeper.wire.written == [b"request"] * len(cuts)  # one write each


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("GET", HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("GET", HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"),
        ("HEAD", HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n"),
        ("GET", HEAD + b"Transfer-Encoding: gzip\r\n\r\nabc"),
        ("GET", HEAD + b"Transfer-Encoding: identity\r\n\r\nabc"),
        ("GET", HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("GET", HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
        ("GET", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("GET", HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab"),
        ("GET", HEAD + b"Content-Length: 2, 2\r\n\r\nab"),
        ("GET", HEAD + b"Content-Length: +2\r\n\r\nab"),
        ("GET", HEAD + b"Content-Length:\r\n\r\n"),
        ("GET", HEAD + b"Content-Length: 99999999999999999999\r\n\r\n"),
        ("GET", HEAD + b"Content-Length : 2\r\n\r\nab"),
        ("GET", HEAD + b"A: b\r\n Content-Length: 2\r\n\r\n"),
        ("GET", HEAD + b"A: b\nContent-Length: 0\r\n\r\n"),
        ("GET", HEAD + b"A: b\0\r\n\r\n"),
        ("GET", b"HTTP/2.0 200 OK\r\n\r\n"),
        ("GET", b"HTTP/0.9 200 OK\r\n\r\n"),
        ("GET", b"HTTP/1.1 099 No\r\n\r\n"),
        ("GET", b"HTTP/1.1 101 Switching\r\n\r\n"),
        ("GET", b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nother bytes"),
        ("GET", HEAD + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\na"),
        ("GET", HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n"),
        ("GET", HEAD + b"X: " + b"a" * 70_000),
        ("GET", HEAD + b"a: b\r\n" * 12_000),
        ("GET", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5_000),
        ("GET", b"\x16\x03\x01\x02\x00\x01\x00"),
    ],
    ids=short,
)
async def test_what_is_not_certain_is_refused(method: str, data: bytes) -> None:
    """No answer is made of it, whole or in pieces, and the connection is closed."""
    for size in (len(data), 1000):
        keeper = Keeper()
        answer = asked(keeper, method)
        for at in range(0, len(data), size):
            if not keeper.wire.closing:
                keeper.connection.data_received(data[at : at + size])
        with pytest.raises(ServiceCallError, match=r"region answered \w+ /x .*not HTTP"):
            await asyncio.wait_for(outcome(answer), 5)
        assert (keeper.free, keeper.wire.closing) == (0, True)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (CHUNKED + b"zz\r\n", b""),
        (CHUNKED + b"2\r\nabc\r\n", b"ab"),
        (CHUNKED + b"2\nab\r\n", b""),
        (CHUNKED + b"0\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", b""),
    ],
    ids=short,
)
async def test_a_body_that_breaks_the_rules_is_an_error(data: bytes, body: bytes) -> None:
    """The head was good; what came before the fault is given, and then the error."""
    keeper = Keeper()
    answer = asked(keeper)
    keeper.connection.data_received(data)
    await answer.head
    if body:
        assert await answer.receive() == body
    for _ in range(2):
        with pytest.raises(ServiceCallError, match="not HTTP"):
            await answer.receive()
    assert (keeper.free, keeper.wire.closing) == (0, True)


@pytest.mark.parametrize(
    ("method", "data", "body"),
    [
        ("GET", OK + b"x", b"{}"),
        ("GET", OK + OK, b"{}"),
        ("GET", OK + b"HTTP/1.1 200 OK\r\n", b"{}"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nab", b""),
        ("GET", b"HTTP/1.1 304 N\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
        ("HEAD", OK, b""),
        ("HEAD", HEAD + b"Content-Length: 0\r\n\r\n" + OK, b""),
        ("HEAD", CHUNKED + b"0\r\n\r\n" + OK, b""),
        ("GET", HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\na", b"a"),
        ("GET", HEAD + b"Connection: Close\r\nContent-Length: 1\r\n\r\nabc", b"a"),
        ("HEAD", HEAD + b"Connection: x, CLOSE\r\nContent-Length: 1\r\n\r\n", b""),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
        ("HEAD", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", b""),
    ],
    ids=short,
)
async def test_a_connection_that_cannot_be_trusted_is_closed(
    method: str, data: bytes, body: bytes
) -> None:
    """Bytes behind an answer, or an answer that says it is the last: no other call is made."""
    keeper = Keeper()
    answer = asked(keeper, method)
    keeper.connection.data_received(data)
    assert (await outcome(answer))[2] == body
    assert (keeper.free, keeper.wire.closing) == (0, True)


@pytest.mark.parametrize("data", [OK, b"x", b"\r\n", b"HTTP/1.1 408 Request Timeout\r\n"])
async def test_bytes_that_nobody_asked_for_close_the_connection(data: bytes) -> None:
    """An answer before its request, before the first or after any, is never taken for the next."""
    keeper = Keeper()
    keeper.connection.data_received(data)
    assert keeper.wire.closing
    keeper = Keeper()
    answer = asked(keeper)
    keeper.connection.data_received(OK)
    await outcome(answer)
    assert keeper.free == 1
    keeper.connection.data_received(data)
    assert keeper.wire.closing
    assert not keeper.connection.usable(keeper.connection.loop.time())


async def test_a_body_that_ends_with_the_connection() -> None:
    """Without a length it lasts until the other side closes in good order; anything else is a
    broken connection and no whole answer."""
    for exc, eof in ((None, True), (ConnectionResetError(), False), (None, False)):
        keeper = Keeper()
        answer = asked(keeper)
        keeper.connection.data_received(HEAD + b"\r\nabc")
        keeper.connection.data_received(b"def")
        end(keeper, exc, eof=eof)
        if eof:
            assert (await outcome(answer))[2] == b"abcdef"
        else:
            assert await answer.receive() == b"abcdef"
            with pytest.raises(ServiceCallError, match="broke"):
                await answer.receive()
        assert (keeper.free, keeper.ended) == (0, 1)


@pytest.mark.parametrize(
    ("data", "untouched"),
    [(b"", True), (b"H", False), (b"HTTP/1.1 100 Continue\r\n\r\n", False), (OK[:40], False)],
)
async def test_a_lost_connection_says_whether_anything_had_come(
    data: bytes, untouched: bool
) -> None:
    """Only what was lost before the first byte may be repeated."""
    for exc, eof in ((None, True), (ConnectionResetError(), False)):
        keeper = Keeper()
        answer = asked(keeper)
        if data:
            keeper.connection.data_received(data)
        end(keeper, exc, eof=eof)
        with pytest.raises(Lost) as caught:
            await answer.head
        assert (caught.value.untouched, caught.value.cause) == (untouched, exc)


async def test_an_answer_to_a_request_that_is_still_being_sent() -> None:
    """It is given; the connection is closed, as what follows the request cannot be sent on it."""
    keeper = Keeper()
    answer = asked(keeper, "POST")
    keeper.wire.unsent = 1
    keeper.connection.data_received(OK)
    assert (await outcome(answer))[2] == b"{}"
    assert (keeper.free, keeper.wire.closing) == (0, True)


async def test_a_large_body_waits_for_its_reader() -> None:
    """No more than a quarter of a megabyte and one read is held; reading goes on as it is taken."""
    keeper = Keeper()
    answer = asked(keeper)
    piece = b"x" * 65_536
    keeper.connection.data_received(HEAD + b"Content-Length: %d\r\n\r\n" % (20 * len(piece)))
    received = sent = 0
    while sent < 20:
        while sent < 20 and not keeper.wire.paused:
            keeper.connection.data_received(piece)
            sent += 1
            assert answer.buffered <= 262_144 + len(piece)
        assert keeper.wire.paused or sent == 20
        received += len(await answer.receive())
        assert not keeper.wire.paused
    assert (received, await answer.receive()) == (20 * len(piece), b"")
    assert keeper.free == 1


async def test_an_answer_that_is_given_up_ends_its_connection_and_no_other() -> None:
    """Closed before its end it takes the connection along; closed after, it does nothing."""
    keeper = Keeper()
    answer = asked(keeper)
    keeper.connection.data_received(OK)
    second = asked(keeper)
    answer.close()
    answer.abandon()
    assert not keeper.wire.is_closing()
    keeper.connection.data_received(OK[:-1])
    second.close()
    second.close()
    assert keeper.wire.closing
    with pytest.raises(ServiceCallError, match="broke"):  # and not an end of the body
        _ = [await second.receive() for _ in range(3)]


async def test_what_comes_after_a_cancelled_call_is_not_lost_track_of() -> None:
    """A call is cancelled and its answer comes before the task learns of it: the connection is
    free again, and giving the old answer up does not touch the next one."""
    keeper = Keeper()
    answer = asked(keeper)
    answer.head.cancel()
    keeper.connection.data_received(OK)
    assert keeper.free == 1
    after = asked(keeper)
    answer.abandon()
    keeper.connection.data_received(OK)
    assert (await outcome(after))[2] == b"{}"
    assert keeper.free == 2


async def test_damaged_answers_never_keep_a_connection_that_is_not_at_an_end() -> None:
    """Whatever bytes come: no exception reaches the loop, and a kept connection has read exactly
    one answer, after which the next one is read right."""
    chance = random.Random(20)
    samples = [(method, data) for method, data, _, _ in WHOLE]
    kept = 0
    for _ in range(3000):
        method, data = chance.choice(samples)
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(damaged))
            kind = chance.randrange(3)
            if kind == 0:
                damaged[at] = chance.randrange(256)
            elif kind == 1:
                del damaged[at]
            else:
                damaged.insert(at, chance.choice(b"\r\n :0aH;,\x00"))
        keeper = Keeper()
        answer = asked(keeper, method)
        keeper.connection.data_received(bytes(damaged))
        if not keeper.wire.closing and not keeper.free:
            end(keeper, eof=True)
        try:
            await asyncio.wait_for(outcome(answer), 5)
        except (ServiceCallError, Lost):
            assert not keeper.free or keeper.wire.closing
        if keeper.free and not keeper.wire.closing:
            kept += 1
            following = asked(keeper)
            keeper.connection.data_received(OK)
            assert (await outcome(following))[2] == b"{}"
    assert kept > 100


# --- decompression -------------------------------------------------------------------------------


def inflated(coding: str, pieces: list[bytes]) -> bytes:
    inflate = Inflate(coding)
    out = []
    for piece in pieces:
        inflate.feed(piece)
        while part := inflate.take():
            assert len(part) <= 262_144
            out.append(part)
    inflate.end()
    return b"".join(out)


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([1, 50, 873, 2000]),
    st.integers(1, 400),
    st.sampled_from(["gzip", "members", "deflate", "raw"]),
)
def test_decompression_gives_back_what_was_compressed(
    data: bytes, times: int, size: int, way: str
) -> None:
    """In either coding, cut anywhere; a gzip file of several members is all of them."""
    data *= times
    if way == "members":
        packed = gzip.compress(data) + gzip.compress(b"more") + b"\0\0"
        data += b"more"
    else:
        compress = gzip.compress if way == "gzip" else zlib.compress
        packed = raw_deflate(data) if way == "raw" else compress(data)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert inflated("gzip" if way in ("gzip", "members") else "deflate", pieces) == data


@pytest.mark.parametrize("length", [262_143, 262_144, 262_145, 524_288, 3_000_000])
def test_pieces_end_anywhere(length: int) -> None:
    """The end of a piece at the end of the input, or of the data, loses nothing."""
    for coding, packed in (
        ("gzip", gzip.compress(b"\0" * length)),
        ("deflate", zlib.compress(b"\0" * length)),
    ):
        assert inflated(coding, [packed]) == b"\0" * length


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_damaged_compression_is_an_error(coding: str) -> None:
    """Cut short, followed by other bytes, or nothing of the kind: no data is made up."""
    packed = (gzip.compress if coding == "gzip" else zlib.compress)(b"hello " * 100)
    assert inflated(coding, []) == b""
    for wrong in (packed[:-1], packed[:12], packed + b"rest", b"plain text"):
        with pytest.raises(zlib.error):
            inflated(coding, [wrong])
