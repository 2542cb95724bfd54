"""Unlawful and odd requests, byte by byte: what each gets, and why.

Each case is sent four ways: whole and behind a good request over a socket; split at every byte, and
whole after a good request was answered, in memory. The answer must be the same, and nothing may
reach the application that is not listed.
The numbers are those of the classes in the project's list of bad input (`docs/design/wire.md`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sanic import Sanic

H = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + H
POST = b"POST /p HTTP/1.1\r\n" + H
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"  # must never be served
SECOND = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"  # must be served
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """``raw`` gets answers with ``statuses``; after the last the connection is open or not."""

    number: int
    name: str
    raw: bytes
    statuses: tuple[int, ...]
    why: str
    closes: bool = True
    requests: tuple[tuple[str, str, bytes], ...] | None = None


def bad(number: int, name: str, raw: bytes, why: str, status: int = 400) -> Case:
    """Refused, the connection closed, and nothing seen by the application."""
    return Case(number, name, raw, (status,), why, requests=())


def good(number: int, name: str, raw: bytes, why: str, *seen: tuple[str, str, bytes]) -> Case:
    """Served: every request that is listed, and the connection stays open."""
    return Case(number, name, raw, (200,) * len(seen), why, closes=False, requests=seen)


def head(*lines: bytes) -> bytes:
    return GET + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return POST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


ROOT = ("GET", "/", b"")
AB = ("POST", "/p", b"ab")
NONE = ("POST", "/p", b"")

# fmt: off
FRAMING = [
    bad(1, "length and chunked", post(b"Content-Length: 5", b"Transfer-Encoding: chunked",
        body=b"0\r\n\r\n" + HIDDEN), "RFC 9112 6.3: two lengths are an attack"),
    bad(1, "chunked and length", post(b"Transfer-Encoding: chunked", b"Content-Length: 5",
        body=b"0\r\n\r\n" + HIDDEN), "the order does not matter"),
    bad(1, "length 0 and chunked", post(b"Content-Length: 0", b"Transfer-Encoding: chunked",
        body=b"0\r\n\r\n"), "nor does it that one of them is 0"),
    bad(1, "length and gzip", post(b"Content-Length: 2", b"Transfer-Encoding: gzip", body=b"ab"),
        "any transfer coding beside a length"),
    bad(2, "two lengths", post(b"Content-Length: 2", b"Content-Length: 3", body=b"ab" + HIDDEN),
        "RFC 9112 6.3: which one holds cannot be known"),
    bad(2, "two lengths, apart", post(b"Content-Length: 2", b"X: y", b"content-length: 0",
        body=b"ab"), "case and place do not matter"),
    bad(2, "list of two lengths", post(b"Content-Length: 2, 3", body=b"ab"), "the same in a list"),
    bad(3, "equal lengths", post(b"Content-Length: 2", b"Content-Length: 2", body=b"ab"),
        "RFC 9112 6.3 lets us refuse repeated ones; no client sends them"),
    bad(3, "list of equal lengths", post(b"Content-Length: 2, 2", body=b"ab"), "the same"),
    bad(3, "list with nothing", post(b"Content-Length: 2,", body=b"ab"), "not a number"),
    bad(4, "length +2", post(b"Content-Length: +2", body=b"ab"), "RFC 9110 8.6: digits alone"),
    bad(4, "length -2", post(b"Content-Length: -2", body=b"ab"), "digits alone"),
    bad(4, "length -0", post(b"Content-Length: -0"), "digits alone"),
    bad(4, "length 1_0", post(b"Content-Length: 1_0", body=b"0123456789"), "digits alone"),
    bad(4, "length 2.0", post(b"Content-Length: 2.0", body=b"ab"), "digits alone"),
    bad(4, "length 2e0", post(b"Content-Length: 2e0", body=b"ab"), "digits alone"),
    bad(5, "length 0x2", post(b"Content-Length: 0x2", body=b"ab"), "decimal alone"),
    bad(5, "length a", post(b"Content-Length: a", body=b"0123456789"), "decimal alone"),
    bad(5, "length 0o2", post(b"Content-Length: 0o2", body=b"ab"), "decimal alone"),
    good(5, "length 02", post(b"Content-Length: 02", body=b"ab"), "zeros in front are digits", AB),
    bad(6, "length empty", post(b"Content-Length:", body=HIDDEN), "no number at all"),
    bad(6, "length of spaces", post(b"Content-Length:  ", body=HIDDEN), "no number at all"),
    bad(7, "length 1 0", post(b"Content-Length: 1 0", body=b"0123456789"), "no spaces inside"),
    bad(7, "length tab", post(b"Content-Length: 1\t0", body=b"0123456789"), "nor tabs"),
    good(7, "length with spaces around", post(b"Content-Length: \t 2 \t", body=b"ab"),
        "RFC 9110 5.5: white space around a value is not part of it", AB),
    bad(8, "length in Arabic digits", post("Content-Length: \u0662".encode(), body=b"ab"),
        "int() would take them"),
    bad(8, "length in superscript", post("Content-Length: \u00b2".encode(), body=b"ab"),
        "isdigit() would take them"),
    bad(8, "length in full width", post("Content-Length: \uff12".encode(), body=b"ab"),
        "int() would take them"),
    bad(9, "length of 19 digits", post(b"Content-Length: 1000000000000000000"),
        "beyond any size and near the edge of 64 bits"),
    bad(9, "length 2**64+2", post(b"Content-Length: 18446744073709551618", body=b"ab"),
        "it would wrap to 2"),
    bad(9, "length of 4000 digits", post(b"Content-Length: " + b"0" * 3999 + b"2", body=b"ab"),
        "int() of many digits takes long"),
    bad(10, "space before colon", post(b"Content-Length : 2", body=b"ab" + HIDDEN),
        "RFC 9112 5.1: must be refused; proxies see no length here"),
    bad(10, "tab before colon", post(b"Content-Length\t: 2", body=b"ab"), "the same"),
    bad(10, "space before any colon", head(b"X : y"), "whatever the header"),
    bad(10, "space before the colon of Transfer-Encoding", post(b"Transfer-Encoding : chunked",
        body=b"0\r\n\r\n" + HIDDEN), "the same"),
    bad(11, "space before a name", head(b" X: y"), "it would be a folded line to others"),
    bad(11, "tab before a name", head(b"\tX: y"), "the same"),
    bad(11, "space before the first name", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "RFC 9112 2.2: white space between request line and headers"),
    bad(12, "folded header", head(b"X: y", b" z"), "RFC 9112 5.2: obsolete, must be refused"),
    bad(12, "folded with a tab", head(b"X: y", b"\tz"), "the same"),
    bad(12, "folded length", post(b"Content-Length:", b" 2", body=b"ab"), "hides the length"),
    bad(12, "folded coding", post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"),
        "hides the coding"),
    bad(13, "name over two lines", head(b"Content-", b"Length: 2"), "a line without a colon"),
    bad(13, "line without a colon", head(b"nothing"), "no header at all"),
    bad(14, "unknown coding", post(b"Transfer-Encoding: foo", body=b"ab"),
        "RFC 9112 6.3: without chunked at the end the length cannot be known"),
    bad(14, "gzip", post(b"Transfer-Encoding: gzip", body=b"ab"), "the same"),
    bad(14, "identity", post(b"Transfer-Encoding: identity", body=b"ab"), "no longer a coding"),
    bad(14, "gzip, chunked", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        "framed, but not understood", 501),
    bad(14, "xchunked", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), "another word"),
    bad(14, "chunkedx", post(b"Transfer-Encoding: chunkedx", body=b"0\r\n\r\n"), "another word"),
    bad(14, "quoted", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), "another word"),
    bad(14, "with a parameter", post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"),
        "chunked has no parameters"),
    bad(14, "empty coding", post(b"Transfer-Encoding:", body=b"ab"), "no coding at all"),
    bad(15, "comma, chunked", post(b"Transfer-Encoding: ,chunked", body=b"0\r\n\r\n"),
        "others may see an empty coding"),
    bad(15, "chunked, comma", post(b"Transfer-Encoding: chunked,", body=b"0\r\n\r\n"), "the same"),
    bad(16, "chunked not last", post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
        "RFC 9112 6.3: must be refused"),
    bad(16, "chunked not last, two lines", post(b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip", body=b"0\r\n\r\n"), "the same"),
    bad(17, "chunked twice", post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
        "RFC 9112 7.1: must not be applied twice"),
    bad(17, "chunked on two lines", post(b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), "the same"),
    bad(18, "vertical tab before chunked", post(b"Transfer-Encoding: \x0bchunked",
        body=b"0\r\n\r\n" + HIDDEN), "str.strip() would take it away"),
    bad(18, "no-break space before chunked", post(b"Transfer-Encoding: \xa0chunked",
        body=b"0\r\n\r\n"), "the same"),
    bad(18, "form feed after chunked", post(b"Transfer-Encoding: chunked\x0c", body=b"0\r\n\r\n"),
        "the same"),
    bad(18, "next line after chunked", post(b"Transfer-Encoding: chunked\xc2\x85",
        body=b"0\r\n\r\n"), "the same"),
    bad(19, "chunked in HTTP/1.0", b"POST /p HTTP/1.0\r\n" + H +
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        "RFC 9112 6.1: framing that HTTP/1.0 does not have"),
    good(0, "Chunked in capitals", post(b"Transfer-Encoding: CHUNKED",
        body=b"2\r\nab\r\n0\r\n\r\n"), "codings know no case", AB),
]

CHUNKS = [
    good(0, "chunks", CHUNKED + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n", "lawful", AB),
    good(0, "no chunk", CHUNKED + b"0\r\n\r\n", "lawful", NONE),
    good(0, "zeros for the last chunk", CHUNKED + b"000\r\n\r\n", "lawful", NONE),
    good(0, "zeros before a size", CHUNKED + b"0002\r\nab\r\n0\r\n\r\n", "lawful", AB),
    good(0, "hex in both cases", CHUNKED + b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        "lawful", ("POST", "/p", b"0123456789" * 2)),
    good(0, "chunks and a second request", CHUNKED + b"2\r\nab\r\n0\r\n\r\n" + SECOND,
        "the end of the body is found exactly", AB, ("GET", "/second", b"")),
    good(0, "a chunk that looks like a request", CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN),
        HIDDEN), "data is data", ("POST", "/p", HIDDEN)),
    good(26, "extension", CHUNKED + b"2;a=b\r\nab\r\n0;c\r\n\r\n", "RFC 9112 7.1.1", AB),
    good(26, "quoted extension", CHUNKED + b'2;a="b;c"\r\nab\r\n0\r\n\r\n', "the same", AB),
    bad(20, "size 0x2", CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n", "int(_, 16) would take it"),
    bad(20, "size +2", CHUNKED + b"+2\r\nab\r\n0\r\n\r\n", "int() would take it"),
    bad(20, "size -2", CHUNKED + b"-2\r\nab\r\n0\r\n\r\n", "int() would take it"),
    bad(20, "size 1_0", CHUNKED + b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n", "int() would take it"),
    bad(20, "size -0", CHUNKED + b"-0\r\n\r\n" + HIDDEN, "an end that is none"),
    bad(20, "size g", CHUNKED + b"g\r\nab\r\n0\r\n\r\n", "not hexadecimal"),
    bad(20, "size in Arabic digits", CHUNKED + "\u0662\r\nab\r\n0\r\n\r\n".encode(), "int()"),
    bad(21, "space after the size", CHUNKED + b"2 \r\nab\r\n0\r\n\r\n", "others may read on"),
    bad(21, "space before the size", CHUNKED + b" 2\r\nab\r\n0\r\n\r\n", "the same"),
    bad(21, "tab after the size", CHUNKED + b"2\t\r\nab\r\n0\r\n\r\n", "the same"),
    bad(21, "space inside the size", CHUNKED + b"1 0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n", "same"),
    bad(21, "space before an extension", CHUNKED + b"2 ;a\r\nab\r\n0\r\n\r\n",
        "lawful once (BWS), sent by nobody, refused by llhttp"),
    bad(22, "empty size", CHUNKED + b"\r\nab\r\n0\r\n\r\n", "no number"),
    bad(22, "extension without a size", CHUNKED + b";a=b\r\nab\r\n0\r\n\r\n", "no number"),
    bad(23, "size of 2**64", CHUNKED + b"10000000000000000\r\nab\r\n0\r\n\r\n" + HIDDEN,
        "it would wrap to 0"),
    bad(23, "size of 2**64+2", CHUNKED + b"10000000000000002\r\nab\r\n0\r\n\r\n" + HIDDEN,
        "it would wrap to 2"),
    bad(23, "size of 2**63", CHUNKED + b"8000000000000000\r\nab\r\n0\r\n\r\n",
        "framed, and larger than any limit", 413),
    bad(23, "size of many zeros", CHUNKED + b"0" * 17 + b"2\r\nab\r\n0\r\n\r\n",
        "more digits than a size can have"),
    bad(24, "no CRLF after data", CHUNKED + b"2\r\nab0\r\n\r\n" + HIDDEN, "the size was wrong"),
    bad(24, "too much data", CHUNKED + b"1\r\nab\r\n0\r\n\r\n" + HIDDEN, "the size was wrong"),
    bad(24, "LF after data", CHUNKED + b"2\r\nab\n0\r\n\r\n" + HIDDEN, "CRLF alone"),
    bad(24, "CR after data", CHUNKED + b"2\r\nab\r0\r\n\r\n" + HIDDEN, "CRLF alone"),
    bad(24, "two bytes after data", CHUNKED + b"2\r\nabXX0\r\n\r\n" + HIDDEN, "not any two bytes"),
    bad(25, "last chunk and two bytes", CHUNKED + b"2\r\nab\r\n0\r\nXX" + HIDDEN,
        "CVE-2023-40175: not any two bytes end a body"),
    bad(25, "last chunk and a request", CHUNKED + b"0\r\n" + HIDDEN,
        "the request line is no trailer"),
    bad(25, "last chunk and LF", CHUNKED + b"0\r\n\n" + HIDDEN, "CRLF alone"),
    bad(25, "last chunk ended by LF", CHUNKED + b"0\n\r\n" + HIDDEN, "CRLF alone"),
    bad(25, "last chunk and CR CR", CHUNKED + b"0\r\n\r\r" + HIDDEN, "CRLF alone"),
    bad(26, "LF in an extension", CHUNKED + b"2;a\nb\r\nab\r\n0\r\n\r\n",
        "CVE-2024-52304: a line's end to others"),
    bad(26, "CR in an extension", CHUNKED + b"2;a\rb\r\nab\r\n0\r\n\r\n", "the same"),
    bad(26, "size ended by LF", CHUNKED + b"2\nab\r\n0\r\n\r\n", "CRLF alone"),
    bad(26, "NUL in an extension", CHUNKED + b"2;a\0b\r\nab\r\n0\r\n\r\n", "no control characters"),
    bad(27, "extension of 5,000 bytes", CHUNKED + b"2;a=" + b"b" * 5000 + b"\r\nab\r\n0\r\n\r\n",
        "bytes that count for nothing"),
    bad(27, "many extensions", CHUNKED + (b"1;" + b"b" * 500 + b"\r\na\r\n") * 10 + b"0\r\n\r\n",
        "the same in small pieces"),
    bad(28, "trailer Content-Length", CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n" + HIDDEN,
        "RFC 9110 6.5.1: it cannot come late"),
    bad(28, "trailer Transfer-Encoding", CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "the same"),
    bad(28, "trailer Host", CHUNKED + b"0\r\nHost: b\r\n\r\n", "the same"),
    bad(28, "trailer Authorization", CHUNKED + b"0\r\nAuthorization: x\r\n\r\n", "the same"),
    bad(28, "trailer Cookie", CHUNKED + b"0\r\ncookie: x\r\n\r\n", "the same"),
    bad(28, "trailer X-Forwarded-For", CHUNKED + b"0\r\nX-Forwarded-For: x\r\n\r\n", "the same"),
    bad(28, "trailers of 9,000 bytes", CHUNKED + b"0\r\n" + (b"X: " + b"y" * 880 + b"\r\n") * 10 +
        b"\r\n", "as large as a head may not be", 431),
    bad(28, "200 trailers", CHUNKED + b"0\r\n" + b"X: y\r\n" * 200 + b"\r\n", "the same", 431),
    bad(28, "trailer without a colon", CHUNKED + b"0\r\nX\r\n\r\n", "no header"),
    bad(28, "trailer with a space before the colon", CHUNKED + b"0\r\nX : y\r\n\r\n", "no header"),
    bad(28, "folded trailer", CHUNKED + b"0\r\nX: y\r\n z\r\n\r\n", "no header"),
    bad(28, "trailer with LF", CHUNKED + b"0\r\nX: y\nZ: z\r\n\r\n", "no header"),
    good(29, "a trailer", CHUNKED + b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n", "RFC 9112 7.1.2", AB),
    good(29, "trailers and a second request", CHUNKED + b"2\r\nab\r\n0\r\nX: 1\r\nY: 2\r\n\r\n" +
        SECOND, "and nothing stray after them", AB, ("GET", "/second", b"")),
]

HEADS = [
    bad(30, "bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", "CVE-2019-16785; CRLF alone"),
    bad(30, "bare LF, then CRLF", b"GET / HTTP/1.1\nHost: a\r\n\r\n", "the same"),
    bad(30, "CRLF, then bare LF", b"GET / HTTP/1.1\r\nHost: a\n\n", "the same"),
    bad(31, "LF between headers", head(b"X: y\nZ: z"), "a header more to others"),
    bad(31, "LF before Content-Length", post(b"X: y\nContent-Length: 2", body=b"ab"), "the same"),
    bad(31, "LF before the last CRLF", GET + b"X: y\n\r\n", "the same"),
    bad(32, "CR between headers", head(b"X: y\rZ: z"), "a header more to others"),
    bad(32, "CR at the end of a value", GET + b"X: y\r\r\n\r\n", "the same"),
    bad(32, "CR as every end", b"GET / HTTP/1.1\rHost: a\r\r", "no line at all"),
    bad(33, "NUL in a value", head(b"X: a\0b"), "RFC 9110 5.5: must be refused"),
    bad(33, "NUL in a name", head(b"X\0: a"), "not a token"),
    bad(33, "NUL at the end of the request line", b"GET /\0 HTTP/1.1\r\n" + H + b"\r\n", "no URI"),
    bad(34, "SOH in a value", head(b"X: a\x01b"), "no control characters"),
    bad(34, "ESC in a value", head(b"X: a\x1b[2Jb"), "the same"),
    bad(34, "DEL in a value", head(b"X: a\x7fb"), "the same"),
    bad(34, "vertical tab in a value", head(b"X: a\x0bb"), "the same"),
    good(34, "tab in a value", head(b"X: a\tb"), "RFC 9110 5.5", ROOT),
    good(34, "high bytes in a value", head(b"X: caf\xe9", "Y: \u00e9\u4e2d".encode()),
        "obs-text: opaque, but lawful", ROOT),
    good(34, "empty value", head(b"X:", b"Y:   "), "RFC 9110 5.5", ROOT),
    good(34, "no space after the colon", head(b"X:y"), "RFC 9112 5", ROOT),
    bad(35, "empty name", head(b": y"), "no name"),
    bad(35, "colon alone", head(b":"), "no name"),
    bad(36, "name with a paren", head(b"X(y): z"), "RFC 9110 5.1: a token"),
    bad(36, "name with a slash", head(b"X/y: z"), "a token"),
    bad(36, "name with quotes", head(b'"X": z'), "a token"),
    bad(36, "name with an at sign", head(b"X@y: z"), "a token"),
    bad(36, "name with UTF-8", head("X\u00e9: z".encode()), "a token"),
    bad(36, "name with a space", head(b"X y: z"), "a token"),
    good(36, "name with every sign of a token", head(b"!#$%&'*+-.^_`|~09azAZ: y"), "a token", ROOT),
    bad(37, "no Host", b"GET / HTTP/1.1\r\n\r\n", "RFC 9112 3.2: must be refused"),
    bad(37, "no Host but others", b"GET / HTTP/1.1\r\nX: y\r\nX-Host: a\r\n\r\n", "the same"),
    bad(38, "two Hosts", head(b"Host: b"), "RFC 9112 3.2: must be refused"),
    bad(38, "two equal Hosts", head(b"Host: a"), "the same"),
    bad(38, "two Hosts in two cases", head(b"X: y", b"HOST: b"), "the same"),
    bad(60, "two content types", post(b"Content-Type: text/plain", b"Content-Length: 2",
        b"content-type: application/json", body=b"ab"),
        "RFC 9110 5.3: one value; a proxy that checks the other one has checked nothing"),
    good(60, "two equal content types", post(b"Content-Type: text/plain", b"Content-Length: 2",
        b"content-type:  text/plain ", body=b"ab"), "nothing depends on which is read", AB),
    bad(60, "two tokens", head(b"Authorization: Bearer a", b"Authorization: Bearer A"),
        "values are told apart by case"),
    bad(60, "a value and none", head(b"Authorization: Bearer a", b"Authorization:"), "the same"),
    good(60, "two cookies", head(b"Cookie: a=1", b"Cookie: b=2"), "a list, cut by some", ROOT),
    good(60, "two lists", head(b"Accept: a/b", b"Accept: c/d", b"X-Forwarded-For: 1.1.1.1",
        b"X-Forwarded-For: 2.2.2.2", b"X: y", b"X: z"), "lists, and headers unknown to us", ROOT),
]
for name in (
    *(b"User-Agent", b"Referer", b"Origin", b"Range", b"Date", b"From", b"Max-Forwards"),
    *(b"If-Modified-Since", b"If-Unmodified-Since", b"If-Range", b"Proxy-Authorization"),
    *(b"Content-Location", b"Content-Range", b"Access-Control-Request-Method"),
    *(b"Sec-WebSocket-Key", b"Sec-WebSocket-Version"),
):
    HEADS.append(bad(60, f"two of {name.decode()}", head(name + b": 1", b"X: y", name + b": 2"),
                     "one value"))
for value in (
    b"a/b",
    b"a?b",
    b"a#b",
    b"a b",
    b"a,b",
    b"u@a",
    b"a\\b",
    b"http://a",
    b"a:b",
    b"a:80:80",
    b"[::1",
    b"::1]",
    b"a\xc3\xa9",
    b'"a"',
    b"<a>",
    b"a:123456",
    b"[::1]x",
):
    HEADS.append(
        bad(
            39,
            f"Host {value!r}",
            b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n",
            "not uri-host [ ':' port ]",
        )
    )
for value in (b"a", b"A.b-c.example", b"127.0.0.1:8000", b"[::1]", b"[::1]:80", b"a:", b"a_b", b""):
    HEADS.append(
        good(
            39,
            f"Host {value!r}",
            b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n",
            "RFC 9110 7.2",
            ROOT,
        )
    )

LINES = [
    bad(40, "method in small letters", b"get / HTTP/1.1\r\n" + H + b"\r\n",
        "methods know case; this is one that nobody implements", 501),
    bad(40, "unknown method", b"FOO / HTTP/1.1\r\n" + H + b"\r\n", "RFC 9110 9.1", 501),
    bad(40, "a method that llhttp knows and routes do not", b"PROPFIND / HTTP/1.1\r\n" + H +
        b"\r\n", "the same", 501),
    bad(40, "TRACE", b"TRACE / HTTP/1.1\r\n" + H + b"\r\n", "not a method of ours", 501),
    bad(40, "CONNECT", b"CONNECT a:80 HTTP/1.1\r\n" + H + b"\r\n" + HIDDEN, "no proxy here", 501),
    bad(40, "method with a slash", b"G/T / HTTP/1.1\r\n" + H + b"\r\n", "a token"),
    bad(40, "method with a colon", b"GET: / HTTP/1.1\r\n" + H + b"\r\n", "a token"),
    bad(40, "method of high bytes", b"G\xc3\x89T / HTTP/1.1\r\n" + H + b"\r\n", "a token"),
    bad(40, "no method", b" / HTTP/1.1\r\n" + H + b"\r\n", "three parts"),
    bad(41, "HTTP/1.2", b"GET / HTTP/1.2\r\n" + H + b"\r\n", "not spoken", 505),
    bad(41, "HTTP/2.0", b"GET / HTTP/2.0\r\n" + H + b"\r\n", "not spoken", 505),
    bad(41, "HTTP/0.9", b"GET / HTTP/0.9\r\n" + H + b"\r\n", "not spoken", 505),
    bad(41, "HTTP/1.10", b"GET / HTTP/1.10\r\n" + H + b"\r\n", "one digit"),
    bad(41, "HTTP/1", b"GET / HTTP/1\r\n" + H + b"\r\n", "two numbers"),
    bad(41, "HTTP/01.1", b"GET / HTTP/01.1\r\n" + H + b"\r\n", "one digit"),
    bad(41, "http/1.1", b"GET / http/1.1\r\n" + H + b"\r\n", "capitals"),
    bad(41, "HTTP/1,1", b"GET / HTTP/1,1\r\n" + H + b"\r\n", "a dot"),
    bad(41, "HTTPS/1.1", b"GET / HTTPS/1.1\r\n" + H + b"\r\n", "HTTP"),
    bad(41, "no version", b"GET /\r\n" + H + b"\r\n", "HTTP/0.9 is not spoken"),
    bad(42, "two spaces before the target", b"GET  / HTTP/1.1\r\n" + H + b"\r\n", "one space"),
    bad(42, "two spaces after the target", b"GET /  HTTP/1.1\r\n" + H + b"\r\n", "one space"),
    bad(42, "space at the end", b"GET / HTTP/1.1 \r\n" + H + b"\r\n", "nothing after the version"),
    bad(42, "tab", b"GET\t/ HTTP/1.1\r\n" + H + b"\r\n", "a space"),
    bad(42, "space in the target", b"GET /a b HTTP/1.1\r\n" + H + b"\r\n", "three parts"),
    bad(42, "space in front", b" GET / HTTP/1.1\r\n" + H + b"\r\n", "no white space in front"),
    good(42, "an empty line in front", b"\r\n" + head(), "RFC 9112 2.2: robustness", ROOT),
    good(42, "empty lines between", head() + b"\r\n\r\n" + SECOND, "the same", ROOT, ("GET",
        "/second", b"")),
    bad(42, "LF in front", b"\n" + head(), "CRLF alone"),
    bad(42, "CR in front", b"\r" + head(), "CRLF alone"),
    bad(42, "twenty empty lines in front", b"\r\n" * 20 + head(), "robustness has an end"),
    bad(43, "control character in the target", b"GET /\x01 HTTP/1.1\r\n" + H + b"\r\n", "no URI"),
    bad(43, "DEL in the target", b"GET /\x7f HTTP/1.1\r\n" + H + b"\r\n", "no URI"),
    bad(43, "ESC in the target", b"GET /\x1b[2J HTTP/1.1\r\n" + H + b"\r\n",
        "CVE-2020-7694: nor may it reach the log"),
    bad(43, "UTF-8 in the target", "GET /\u00e9 HTTP/1.1\r\n".encode() + H + b"\r\n", "no URI"),
    bad(43, "UTF-8 in the query", "GET /?\u00e9 HTTP/1.1\r\n".encode() + H + b"\r\n", "no URI"),
    bad(43, "query with a space", b"GET /second?a b HTTP/1.1\r\n" + H + b"\r\n", "three parts"),
    bad(43, "query with SOH", b"GET /second?\x01 HTTP/1.1\r\n" + H + b"\r\n", "no URI"),
    bad(43, "query with DEL", b"GET /second?\x7f HTTP/1.1\r\n" + H + b"\r\n", "no URI"),
    bad(43, "query with a high byte", b"GET /second?\xff HTTP/1.1\r\n" + H + b"\r\n", "no URI"),
    bad(43, "query with a tab", b"GET /second?\t HTTP/1.1\r\n" + H + b"\r\n", "no URI"),
    bad(43, "query with a fragment", b"GET /second?a#b HTTP/1.1\r\n" + H + b"\r\n",
        "the same on a known route"),
    bad(43, "fragment", b"GET /a#b HTTP/1.1\r\n" + H + b"\r\n", "RFC 9112 3.2: not in a target"),
    bad(43, "fragment in the query", b"GET /?a#b HTTP/1.1\r\n" + H + b"\r\n", "the same"),
    bad(43, "relative target", b"GET a HTTP/1.1\r\n" + H + b"\r\n", "RFC 9112 3.2"),
    bad(43, "relative target with dots", b"GET ../a HTTP/1.1\r\n" + H + b"\r\n", "the same"),
    bad(43, "authority target", b"GET a:80 HTTP/1.1\r\n" + H + b"\r\n", "for CONNECT alone"),
    bad(43, "query alone", b"GET ?a HTTP/1.1\r\n" + H + b"\r\n", "no path"),
    bad(43, "another scheme", b"GET ftp://a/ HTTP/1.1\r\n" + H + b"\r\n", "http and https"),
    bad(43, "absolute target with a user", b"GET http://u@a/ HTTP/1.1\r\n" + H + b"\r\n",
        "RFC 9110 4.2.4: deprecated, and used to deceive"),
    bad(43, "absolute target without a host", b"GET http:/// HTTP/1.1\r\n" + H + b"\r\n", "none"),
    good(43, "absolute target", b"GET http://a/b HTTP/1.1\r\n" + H + b"\r\n",
        "RFC 9112 3.2.2: must be accepted", ("GET", "/b", b"")),
    good(43, "absolute target without a path", b"GET http://a HTTP/1.1\r\n" + H + b"\r\n",
        "the path is /", ROOT),
    good(43, "double slash", b"GET //a/b HTTP/1.1\r\n" + H + b"\r\n", "a path, not an authority",
        ("GET", "//a/b", b"")),
    good(43, "delimiters in the target", b"GET /a:b@c;d=e,f?x=/?:@[] HTTP/1.1\r\n" + H + b"\r\n",
        "lawful, or as good as", ("GET", "/a:b@c;d=e,f", b"")),
    bad(44, "* without OPTIONS", b"GET * HTTP/1.1\r\n" + H + b"\r\n", "RFC 9112 3.2.4"),
    good(44, "OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n", "RFC 9112 3.2.4: lawful",
         ("OPTIONS", "*", b"")),
    bad(45, "TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) * 4,
        "https to a plain port: told so, not left waiting"),
    bad(45, "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not spoken", 505),
    bad(45, "a SOCKS hello", b"\x05\x01\x00", "not HTTP"),
    bad(45, "an SSH hello", b"SSH-2.0-OpenSSH_9.2p1\r\n", "not HTTP"),
    bad(45, "a PROXY line", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + head(), "not configured"),
    bad(46, "a line of 9,000 bytes", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + H + b"\r\n",
        "longer than a head may be", 414),
    bad(46, "a line without an end", b"GET /" + b"a" * 9000, "the same, before its end", 414),
    bad(46, "a header of 9,000 bytes", head(b"X: " + b"y" * 9000), "the same for the head", 431),
    bad(46, "a header without an end", GET + b"X: " + b"y" * 9000, "before its end", 431),
    bad(46, "101 headers", head(*[b"X: y"] * 100), "more lines than allowed", 431),
    good(46, "100 headers", head(*[b"X: y"] * 99), "as many as allowed", ROOT),
    bad(46, "a body too large by its length", post(b"Content-Length: 100001"),
        "refused before a byte of it comes", 413),
    bad(46, "a body too large in chunks", CHUNKED + b"186a1\r\n", "refused by the size", 413),
]

REQUESTS = [
    good(0, "GET", head(), "lawful", ROOT),
    good(0, "GET with a query", b"GET /?a=b HTTP/1.1\r\n" + H + b"\r\n", "lawful", ROOT),
    good(0, "GET with a body", head(b"Content-Length: 2") + b"ab", "RFC 9110 9.3.1: framed as any",
        ("GET", "/", b"ab")),
    good(0, "POST", post(b"Content-Length: 2", body=b"ab"), "lawful", AB),
    good(0, "POST without a body", post(), "no length, no body", NONE),
    good(0, "POST of length 0", post(b"Content-Length: 0"), "lawful", NONE),
    good(0, "POST and a second request", post(b"Content-Length: 2", body=b"ab" + SECOND),
        "pipelined", AB, ("GET", "/second", b"")),
    good(47, "five requests at once", head() * 5, "pipelined, answered in order", *[ROOT] * 5),
    Case(0, "Connection: close", head(b"Connection: close") + HIDDEN, (200,),
        "what comes after the last request is not one", requests=(ROOT,)),
    Case(0, "Connection: Close, x", head(b"Connection: x, Close") + HIDDEN, (200,),
        "a list, without case", requests=(ROOT,)),
    Case(0, "two Connection headers", head(b"Connection: x", b"Connection: close") + HIDDEN,
        (200,), "a list over two lines", requests=(ROOT,)),
    good(0, "Proxy-Connection: close", head(b"Proxy-Connection: close") + SECOND,
        "no header of HTTP, and llhttp heeds it", ROOT, ("GET", "/second", b"")),
    good(0, "Connection: keep-alive", head(b"Connection: keep-alive") + SECOND, "as always", ROOT,
        ("GET", "/second", b"")),
    Case(0, "HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n" + HIDDEN, (200,),
        "no Host needed, closed after one", requests=(ROOT,)),
    good(0, "HTTP/1.0 keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + SECOND,
        "asked for", ROOT, ("GET", "/second", b"")),
    bad(38, "HTTP/1.0 with two Hosts", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "as in 1.1"),
    good(49, "unknown upgrade", head(b"Connection: upgrade", b"Upgrade: foo") + SECOND,
        "RFC 9110 7.8: may be ignored", ROOT, ("GET", "/second", b"")),
    good(49, "h2c upgrade", head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQAAP__") + SECOND, "ignored", ROOT, ("GET", "/second", b"")),
    good(49, "upgrade with a body", post(b"Connection: upgrade", b"Upgrade: foo",
        b"Content-Length: %d" % len(HIDDEN), body=HIDDEN + SECOND),
        "llhttp would take the body for a request", ("POST", "/p", HIDDEN), ("GET", "/second",
        b"")),
    good(49, "upgrade with chunks", post(b"Connection: upgrade", b"Upgrade: foo",
        b"Transfer-Encoding: chunked", body=b"2\r\nab\r\n0\r\n\r\n" + SECOND), "the same", AB,
        ("GET", "/second", b"")),
    bad(49, "upgrade with bad chunks", post(b"Connection: upgrade", b"Upgrade: foo",
        b"Transfer-Encoding: chunked", body=b"2\r\nab\r\n0\r\nXX" + HIDDEN), "as without"),
    bad(49, "upgrade with length and chunked", post(b"Connection: upgrade", b"Upgrade: foo",
        b"Content-Length: 0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), "as without"),
    Case(49, "upgrade in HTTP/1.0", b"POST /p HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket"
        b"\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, (200,),
        "RFC 9110 7.8: ignored; the body is a body", requests=(("POST", "/p", HIDDEN),)),
    good(49, "empty upgrade", post(b"Connection: ,upgrade,", b"Upgrade:",
        b"Content-Length: %d" % len(HIDDEN), body=HIDDEN), "ignored", ("POST", "/p", HIDDEN)),
    good(49, "two upgrades", post(b"Connection: x", b"Connection: Upgrade", b"Upgrade: a",
        b"Upgrade: b", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN), "ignored",
        ("POST", "/p", HIDDEN)),
    good(49, "another option", post(b"Connection: upgradex", b"Upgrade: a",
        b"Content-Length: %d" % len(HIDDEN), body=HIDDEN), "no upgrade", ("POST", "/p", HIDDEN)),
    good(49, "Upgrade without Connection", head(b"Upgrade: websocket"), "not asked for", ROOT),
    bad(0, "unknown Expect", post(b"Expect: foo", b"Content-Length: 2", body=b"ab"),
        "RFC 9110 10.1.1", 417),
    good(50, "encoded traversal", b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + H + b"\r\n",
        "the path reaches the application as it was sent", ("GET", "/%2e%2e/%2e%2e/etc/passwd",
        b"")),
    good(54, "encoded escape", b"GET /%1b%5b2J HTTP/1.1\r\n" + H + b"\r\n", "stays encoded",
        ("GET", "/%1b%5b2J", b"")),
    bad(0, "a bad request behind a good one in one read", b"", ""),
    bad(0, "nothing but spaces", b"     ", "not a request"),
]
# fmt: on
REQUESTS = [case for case in REQUESTS if case.raw]
TABLE = [*FRAMING, *CHUNKS, *HEADS, *LINES, *REQUESTS]
each = pytest.mark.parametrize("case", TABLE, ids=[f"{c.number}-{c.name}" for c in TABLE])


def test_the_table_is_large_and_names_are_unique() -> None:
    """At least 150 cases, each told apart by its class and name."""
    assert len(TABLE) >= 150
    assert len({(case.number, case.name) for case in TABLE}) == len(TABLE)


def check(case: Case, answers: list[Any], over: bool, requests: list[Any]) -> None:
    """Compare what a case got with what it must get."""
    assert [answer.status for answer in answers] == list(case.statuses), answers
    assert over is case.closes
    if case.closes:
        assert answers[-1].headers.get("connection") == "close"
    if case.requests is not None:
        assert requests == list(case.requests)
    assert not any("hidden" in path for _, path, _ in requests)


@each
def test_whole(case: Case, table_server: Any) -> None:
    """Sent in one piece, with a last request behind it where the connection stays open."""
    table_server.seen.requests.clear()
    client = table_server.client()
    answers = client.exchange(case.raw if case.closes else case.raw + LAST)
    requests = list(table_server.seen.requests)
    if not case.closes:
        assert (answers.pop().status, requests.pop()[1]) == (200, "/last")
    check(case, answers, case.closes, requests)
    client.close()


@each
def test_behind_a_good_request(case: Case, table_server: Any) -> None:
    """Pipelined: the good request in front is answered first, and changes nothing."""
    table_server.seen.requests.clear()
    client = table_server.client()
    answers = client.exchange(SECOND + (case.raw if case.closes else case.raw + LAST))
    requests = list(table_server.seen.requests)
    assert (answers.pop(0).status, requests.pop(0)) == (200, ("GET", "/second", b""))
    if not case.closes:
        assert (answers.pop().status, requests.pop()[1]) == (200, "/last")
    check(case, answers, case.closes, requests)
    client.close()


@each
async def test_split_at_every_byte(
    case: Case,
    table_app: tuple[Sanic[Any, Any], Any],
    in_memory: Callable[..., Awaitable[Any]],
    answers: Callable[[bytes], list[Any]],
) -> None:
    """Sent byte by byte, with time in between for the server to act on each."""
    app, seen = table_app
    seen.requests.clear()
    transport = await in_memory(app)
    for at in range(len(case.raw)):
        if transport.closing:
            break
        transport.protocol.data_received(case.raw[at : at + 1])
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    check(case, answers(bytes(transport.written)), transport.over, seen.requests)


@each
async def test_after_a_good_request(
    case: Case,
    table_app: tuple[Sanic[Any, Any], Any],
    in_memory: Callable[..., Awaitable[Any]],
    answers: Callable[[bytes], list[Any]],
) -> None:
    """Sent in one piece where a good one was answered: what is remembered of it helps nobody."""
    app, seen = table_app
    transport = await in_memory(app)
    for _ in range(2):
        transport.protocol.data_received(SECOND)
        for _ in range(5):
            await asyncio.sleep(0)
    transport.written.clear()
    seen.requests.clear()
    transport.protocol.data_received(case.raw)
    for _ in range(50):
        await asyncio.sleep(0)
    check(case, answers(bytes(transport.written)), transport.over, seen.requests)
