"""Forms and cookies: read as Sanic does, and never for more than a request may cost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sanic.cookies.request import parse_cookie

from sanic_ms.exception import BadRequest, PayloadTooLarge
from sanic_ms.http.forms import parse_cookies, parse_form

MULTIPART = "multipart/form-data; boundary=b"
URLENCODED = "application/x-www-form-urlencoded"


def parse(body: bytes, content_type: str = MULTIPART) -> tuple[Any, Any]:
    """With small limits."""
    return parse_form(body, content_type, most_parts=3, largest_field=10, largest_head=100)


def multipart(*parts: bytes) -> bytes:
    """A body of parts, each with its headers."""
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def field(name: str, value: bytes, more: str = "") -> bytes:
    """One part."""
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value


def test_files_have_no_charset() -> None:
    """What their part says of one is not used: they are not decoded."""
    head = 'Content-Type: text/plain; charset=utf-16\r\nContent-Disposition: form-data; name="a"'
    body = multipart(f'{head}; filename="b"\r\n\r\n'.encode() + b"\xff\xfe")
    assert parse(body)[1]["a"][0] == ("text/plain", b"\xff\xfe", "b")


def test_forms_are_read() -> None:
    """Fields and files; what is no form has neither."""
    form, files = parse(multipart(field("a", b"1"), field("f", b"x" * 50, '; filename="x.txt"')))
    assert (form, files["f"][0].name, len(files["f"][0].body)) == ({"a": ["1"]}, "x.txt", 50)
    assert parse(b"a=1&a=2&b=", URLENCODED)[0] == {"a": ["1", "2"]}
    assert parse(b"a=1&b=", URLENCODED)[0] == {"a": ["1"]}
    assert parse(b"{}", "application/json") == ({}, {})
    assert parse(b"", "") == ({}, {})
    assert parse(b"", MULTIPART) == ({}, {})


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (multipart(*[field("a", b"1")] * 4), MULTIPART),
        (b"a=1&b=2&c=3&d=4", URLENCODED),
        (b"&" * 1000, URLENCODED),
        (multipart(field("a", b"x" * 11)), MULTIPART),
        (multipart(field("a", "ä".encode() * 6)), MULTIPART),
        (multipart(b"X-A: 1\r\n" * 50 + field("a", b"1")), MULTIPART),
        (multipart(field("a" * 200, b"1")), MULTIPART),
    ],
    ids=["parts", "fields", "empty fields", "field", "bytes", "headers", "header"],
)
def test_over_a_limit_is_413(body: bytes, content_type: str) -> None:
    """Each limit, found before anything is parsed that costs more."""
    with pytest.raises(PayloadTooLarge):
        parse(body, content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=\xff", URLENCODED),
        (multipart(field("a", b"1")), "multipart/form-data"),
        (multipart(field("a", b"1")), "multipart/form-data; boundary="),
        (multipart(field("a", b"1")), "multipart/form-data; boundary=other"),
        (multipart(field("a", b"\xff")), MULTIPART),
        (b"b" * 1000, MULTIPART),
        (multipart(b"no headers here"), MULTIPART),
        (multipart(b"no colon\r\n\r\n1"), MULTIPART),
        (
            multipart(b"Content-Type: text/plain; charset=punycode\r\n" + field("a", b"1")),
            MULTIPART,
        ),
        (multipart(b"Content-Type: text/plain; charset=rot13\r\n" + field("a", b"1")), MULTIPART),
    ],
)
def test_a_malformed_form_is_400(body: bytes, content_type: str) -> None:
    """And not an empty form, as on Sanic."""
    with pytest.raises(BadRequest, match="the body is not"):
        parse(body, content_type)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "a=1; b=2; a=3",
        'a="x y"; b="\\"q\\""; c="\\101\\\\"; d=""; e="; f="\\"',
        "=value; plain; ;; b@d=1; a==; a",
        'a="\\400\\18"',
    ],
)
def test_cookies_are_those_that_sanic_reads(header: str) -> None:
    """Name by name."""
    assert parse_cookies(header) == parse_cookie(header)


@pytest.mark.parametrize("filling", ['\\"', "\\101", "\\\\"])
def test_quoted_cookies_take_linear_time(filling: str) -> None:
    """Eight times the cookie takes about eight times as long, not sixty-four."""

    def seconds(size: int) -> float:
        header = 'a="' + filling * size + '"'
        found = []
        for _ in range(5):
            begin = time.process_time()
            parse_cookies(header)
            found.append(time.process_time() - begin)
        return min(found)

    assert seconds(16_000) < 24 * seconds(2_000)
