"""Our own rules for the head of a request (RFC 9112 and 9110), without I/O.

llhttp checks the grammar of the same bytes (`framer`); what stands here is what it lets through,
and what the server must know to frame the body.
"""

from __future__ import annotations

import re
from typing import Final

from sanic.exceptions import BadRequest, ExpectationFailed, URITooLong

from sanic_ms.server.http1.errors import (
    HeadersTooLarge,
    MethodNotImplemented,
    TransferCodingNotImplemented,
    UnsupportedHTTPVersion,
)
from sanic_ms.server.http1.limits import Limits
from sanic_ms.values.token import TOKEN

__all__ = [
    "CHUNKED",
    "DEADLINE",
    "EXPECT",
    "HTTP10",
    "KEEP_ALIVE",
    "UNTRACED",
    "UPGRADE",
    "WEBSOCKET",
    "check_line",
    "check_partial",
    "read_head",
    "skip_blank",
]

KEEP_ALIVE: Final = 1
CHUNKED: Final = 2
EXPECT: Final = 4
UPGRADE: Final = 8
WEBSOCKET: Final = 16
HTTP10: Final = 32
UNTRACED: Final = 64  # known to have no header about a trace
DEADLINE: Final = 128

METHODS: Final = frozenset(
    [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS"]  # those of Sanic's router
)

_TOKEN: Final = TOKEN.encode()
_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+)")
_TOKEN_START = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]")
# What matters in a head, at the start of a line: Host with its value, or another name (found as
# an empty match).
_TIMEOUTS = rb"x-(?:request-timeout-ms|envoy-expected-rq-timeout-ms)|grpc-timeout"
_NOTED = re.compile(
    rb"\r\n(?:(host:[^\r]*)|(?:con(?:nection|tent-length)|transfer-encoding|expect|"
    + _TIMEOUTS
    + rb"):)",
    re.IGNORECASE,
)
_DEADLINE = re.compile(rb"\r\n(?:" + _TIMEOUTS + rb"):")  # in lower case
# Headers of a request that have one value (RFC 9110, Fetch, RFC 6455), besides those that frame it.
# There may be several cookies, and several of what a proxy adds.
_SINGLE = re.compile(
    rb"\r\n(a(?:uthorization|ccess-control-request-method)|content-(?:type|location|range)"
    rb"|date|from|if-(?:modified-since|unmodified-since|range)|max-forwards|origin"
    rb"|proxy-authorization|r(?:ange|eferer)|sec-websocket-(?:key|version)|user-agent):",
    re.IGNORECASE,
)
_BARE_END = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\0")
_VERSION = re.compile(rb" HTTP/[0-9]\.[0-9]")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(?:[/?]|$)", re.IGNORECASE)
_HOST = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+;=%]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_MAX_TARGET = 65535  # httptools keeps offsets in 16 bits
_MAX_BLANK = 8  # empty lines before a request: RFC 9112, 2.2 asks for at least one

# What passed the rules for a host, so that the usual one costs a lookup: values in lower case, and
# whole lines as they came.
_known_hosts: set[bytes] = set()
_known_host_lines: set[bytes] = set()


def skip_blank(data: bytes | bytearray, before: int) -> int:
    """How many bytes of empty lines stand before the request.

    Args:
        data: What begins with an end of line.
        before: How many such bytes were skipped since the last request.

    Raises:
        BadRequest: too many, or ends of line other than CRLF.
    """
    at = 0
    while data.startswith(b"\r\n", at):
        at += 2
    if at + before > 2 * _MAX_BLANK:
        raise BadRequest("Bad Request: too many empty lines before the request")
    rest = data[at : at + 2]
    if rest[:1] == b"\n" or (rest[:1] == b"\r" and len(rest) == 2):
        raise BadRequest("Bad Request: an end of line that is not CRLF")
    return at


def check_partial(data: bytearray, scanned: int, limits: Limits) -> None:
    """Refuse a head of which the end has not come yet, if what came cannot become a lawful one.

    Args:
        data: All that came so far.
        scanned: How much of it an earlier call has seen.

    Raises:
        BadRequest, HTTPVersionNotSupported, MethodNotImplemented: as `read_head` would.
        URITooLong, HeadersTooLarge: it is too long already.
    """
    eol = data.find(b"\r\n")
    if eol >= 0 and scanned <= eol + 1:
        line, _ = _split_version(bytes(data[:eol]), limits)
        check_line(line)
    elif eol < 0 and data != b"\r" and not _TOKEN_START.match(data):
        raise BadRequest("Bad Request: not an HTTP request")
    if _BARE_END.search(data, max(0, scanned - 1)):
        raise BadRequest("Bad Request: an end of line that is not CRLF")
    if len(data) > limits.request_max_header_size + 3:  # CRLFCRLF may still be cut in two
        raise _too_long(data, eol, limits)


def read_head(data: bytes | bytearray, end: int, limits: Limits) -> tuple[bytes, int, int]:
    """Read a whole head.

    Args:
        data: The request from its first byte.
        end: Where the CRLFCRLF that ends the head begins.

    Returns:
        The request line without its version, flags (`KEEP_ALIVE` …), and the length of the body
        (0 where there is none or it is chunked). The line is checked by `check_line` only where
        the caller has not seen it before.

    Raises:
        BadRequest, ExpectationFailed, HTTPVersionNotSupported, TransferCodingNotImplemented,
        URITooLong, HeadersTooLarge.
    """
    eol = data.find(b"\r\n")
    line = bytes(data[:eol])
    if end > limits.request_max_header_size:
        raise _too_long(data, eol, limits)
    flags = KEEP_ALIVE
    if line.endswith(b" HTTP/1.1"):
        line = line[:-9]
    else:
        line, flags = _split_version(line, limits)
    most = limits.request_max_headers
    if end - eol > 4 * most and data.count(b"\r\n", eol, end) > most:  # a line has 4 bytes or more
        raise HeadersTooLarge("Too many request headers")
    singles = _SINGLE.findall(data, eol, end)
    if len(singles) > 1 and len({name.lower() for name in singles}) < len(singles):
        _check_singles(data, eol, end, singles)
    # Every header line begins with the CRLF of the line before it; llhttp refuses bare CR and LF,
    # so what is found here is a header's name and nothing else.
    noted = _NOTED.findall(data, eol, end)
    if len(noted) == 1 and noted[0] in _known_host_lines:
        return line, flags, 0
    flags, length = _framing(data[eol : end + 2].lower(), flags)
    if len(noted) == 1 and noted[0]:
        _remember(noted[0], _known_host_lines)
    return line, flags, length


def _framing(fields: bytes | bytearray, flags: int) -> tuple[int, int]:
    """The flags and the length of the body, from header lines in lower case.

    Raises:
        BadRequest, ExpectationFailed, TransferCodingNotImplemented.
    """
    at = fields.find(b"\r\nhost:")
    if at >= 0:
        stop = fields.find(b"\r\n", at + 7)
        host = bytes(fields[at + 7 : stop])
        if host not in _known_hosts:
            _check_host(host)
        if fields.find(b"\r\nhost:", stop) >= 0:
            raise BadRequest("Bad Request: two Host headers")
    elif not flags & HTTP10:
        raise BadRequest("Bad Request: no Host header")
    if _DEADLINE.search(fields):
        flags |= DEADLINE
    length = 0
    if b"\r\ncon" in fields:  # connection, content-length (or content-type, or others)
        if b"\r\ncontent-length:" in fields:
            length = _content_length(fields)
        if b"\r\nconnection:" in fields:
            flags = _connection(fields, flags)
    if b"\r\ntransfer-encoding:" in fields:
        _check_coding(fields, flags)
        flags |= CHUNKED
    if b"\r\nexpect:" in fields and not flags & HTTP10:
        if _values(fields, b"expect") != [b"100-continue"]:
            raise ExpectationFailed("Unknown Expect: only 100-continue is understood")
        flags |= EXPECT
    return flags, length


def check_line(line: bytes) -> tuple[str, bytes, bytes | None]:
    """Check a request line without its version: method, target, and the target's authority.

    Returns:
        The method, the target, and the authority of a target in absolute form (else None).

    Raises:
        BadRequest, URITooLong, MethodNotImplemented.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadRequest("Bad Request: malformed request line")
    method, target = match.groups()
    if method not in METHODS:
        raise MethodNotImplemented(f"Method {method.decode()[:32]} is not implemented")
    if len(target) > _MAX_TARGET:
        raise URITooLong("URL exceeds the maximum size of 65535 bytes")
    if b"#" in target:
        raise BadRequest("Bad Request: a fragment in the request target")
    authority = None
    if target[0] != 0x2F:  # "/"
        absolute = _ABSOLUTE.match(target)
        if absolute is not None:
            authority = absolute.group(1)
            _check_host(authority)
        elif target != b"*" or method != b"OPTIONS":
            raise BadRequest("Bad Request: malformed request target")
    return method.decode(), target, authority


def _check_singles(data: bytes | bytearray, eol: int, end: int, names: list[bytes]) -> None:
    """Two parties that read a request in a row would each take another of two values.

    Raises:
        BadRequest: a header that has one value comes with several that differ.
    """
    for name in names:
        field = re.compile(rb"\r\n" + re.escape(name) + rb":[ \t]*([^\r]*)", re.IGNORECASE)
        values = {value.rstrip(b" \t") for value in field.findall(data, eol, end)}
        if len(values) > 1:
            raise BadRequest(f"Bad Request: two different {name.decode().title()} headers")


def _split_version(line: bytes, limits: Limits) -> tuple[bytes, int]:
    if len(line) > limits.request_max_header_size:
        raise URITooLong("Request line exceeds the size limit")
    version = line[-9:]
    if version == b" HTTP/1.1":
        return line[:-9], KEEP_ALIVE
    if version == b" HTTP/1.0":
        return line[:-9], HTTP10
    if _VERSION.fullmatch(version):
        raise UnsupportedHTTPVersion("Only HTTP/1.1 and HTTP/1.0 are spoken here")
    raise BadRequest("Bad Request: malformed request line")


def _too_long(data: bytes | bytearray, eol: int, limits: Limits) -> URITooLong | HeadersTooLarge:
    if eol < 0 or eol > limits.request_max_header_size:
        return URITooLong("Request line exceeds the size limit")
    return HeadersTooLarge("Request header exceeds the size limit")


def _values(fields: bytes | bytearray, name: bytes) -> list[bytes]:
    """The values of every header of that name, lower case, without white space around them."""
    parts = fields.split(b"\r\n" + name + b":")[1:]
    return [bytes(part.partition(b"\r\n")[0]).strip(b" \t") for part in parts]


def _check_host(host: bytes) -> None:
    if not _HOST.fullmatch(host.strip(b" \t")):
        raise BadRequest("Bad Request: malformed Host header")
    _remember(host, _known_hosts)


def _remember(known: bytes, among: set[bytes]) -> None:
    if len(among) >= 256:
        among.clear()
    if len(known) <= 256:
        among.add(bytes(known))


def _content_length(fields: bytes | bytearray) -> int:
    values = _values(fields, b"content-length")
    if len(values) > 1:
        raise BadRequest("Bad Request: more than one Content-Length")
    if not re.fullmatch(rb"[0-9]{1,18}", values[0]):
        raise BadRequest("Bad Request: malformed Content-Length")
    if b"\r\ntransfer-encoding:" in fields:
        raise BadRequest("Bad Request: both Content-Length and Transfer-Encoding")
    return int(values[0])


def _check_coding(fields: bytes | bytearray, flags: int) -> None:
    values = _values(fields, b"transfer-encoding")
    if flags & HTTP10:
        raise BadRequest("Bad Request: Transfer-Encoding in HTTP/1.0")
    if values == [b"chunked"]:
        return
    codings = [coding.strip(b" \t") for value in values for coding in value.split(b",")]
    # RFC 9112, 6.3: without chunked at the end, and there alone, the length cannot be known.
    if len(values) > 1 or codings.count(b"chunked") != 1 or codings[-1] != b"chunked":
        raise BadRequest("Bad Request: malformed Transfer-Encoding")
    if not all(re.fullmatch(_TOKEN, coding) for coding in codings):
        raise BadRequest("Bad Request: malformed Transfer-Encoding")
    raise TransferCodingNotImplemented("Only the transfer coding chunked is understood")


def _connection(fields: bytes | bytearray, flags: int) -> int:
    if b"\r\nconnection: keep-alive\r\n" in fields and fields.count(b"\r\nconnection:") == 1:
        return flags | KEEP_ALIVE  # as most clients say it
    options = {
        option.strip(b" \t")
        for value in _values(fields, b"connection")
        for option in value.split(b",")
    }
    if b"close" in options:
        flags &= ~KEEP_ALIVE
    elif b"keep-alive" in options:
        flags |= KEEP_ALIVE
    if b"upgrade" in options:
        protocols = _values(fields, b"upgrade")
        if protocols:  # whatever the version: llhttp stops at such a head
            flags |= UPGRADE
            if protocols == [b"websocket"] and not flags & HTTP10:
                flags |= WEBSOCKET
    return flags
