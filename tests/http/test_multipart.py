"""The parser of multipart forms: RFC 7578 and RFC 2046, one reading of each form, and limits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanic_ms.exception import BadRequest, HTTPError, PayloadTooLarge
from sanic_ms.http.multipart import MultipartParser, MultipartPart, boundary_of

BOUNDARY = b"b:1"
OPEN, LAST = b"--b:1\r\n", b"--b:1--\r\n"
LARGEST_HEAD = 200

Part = tuple[str, str | None, bytes]


def parse(pieces: Iterable[bytes], *, most_parts: int = 5) -> list[Part]:
    """Name, file name and content of each part."""
    parser = MultipartParser(BOUNDARY, most_parts=most_parts, largest_head=LARGEST_HEAD)
    parts: list[Part] = []
    part: MultipartPart | None = None
    content: list[bytes] = []
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, MultipartPart):
                assert part is None, "a part begins inside another"
                part, content = event, []
            elif event is None:
                assert part is not None
                parts.append((part.name, part.filename, b"".join(content)))
                part = None
            else:
                assert part is not None
                assert event
                content.append(event)
    parser.close()
    assert part is None
    parser.close()  # once more changes nothing
    return parts


def outcome(pieces: Iterable[bytes]) -> list[Part] | str:
    """The parts, or the error."""
    try:
        return parse(pieces)
    except HTTPError as exc:
        return f"{exc.status} {exc.error}"


def single(body: bytes) -> list[bytes]:
    """A body byte by byte."""
    return [body[at : at + 1] for at in range(len(body))]


def head(disposition: str, *more: str) -> bytes:
    """The headers of a part."""
    return "\r\n".join([f"Content-Disposition: {disposition}", *more, "", ""]).encode()


def field(name: str, value: bytes) -> bytes:
    """A part, with the line break that belongs to the delimiter behind it."""
    return head(f'form-data; name="{name}"') + value + b"\r\n"


A = field("a", b"1")

READ = {
    "usual": (OPEN + A + LAST, [("a", None, b"1")]),
    "no parts": (LAST, []),
    "no line break at the end": (OPEN + A + b"--b:1--", [("a", None, b"1")]),
    "a preamble": (b"hello\r\n" + OPEN + A + LAST, [("a", None, b"1")]),
    "an empty line before it": (b"\r\n" + OPEN + A + LAST, [("a", None, b"1")]),
    "a preamble with half a delimiter": (b"--b:\r\n" + OPEN + A + LAST, [("a", None, b"1")]),
    "an epilogue": (OPEN + A + LAST + b"--b:1\r\nbye", [("a", None, b"1")]),
    "blanks behind the boundary": (
        b"--b:1 \t \r\n" + A + b"--b:1\t\r\n" + A + b"--b:1--  \r\n",
        [("a", None, b"1")] * 2,
    ),
    "blanks behind the end": (OPEN + A + b"--b:1-- \t", [("a", None, b"1")]),
    "the boundary in a value": (
        OPEN + field("a", b"x--b:1\r\nContent-Disposition: form-data; name=admin\r\n\r\n1") + LAST,
        [("a", None, b"x--b:1\r\nContent-Disposition: form-data; name=admin\r\n\r\n1")],
    ),
    "the boundary without hyphens at a line's start": (
        OPEN + field("a", b"x\r\nb:1\r\n-b:1") + LAST,
        [("a", None, b"x\r\nb:1\r\n-b:1")],
    ),
    "the delimiter behind a bare line feed": (
        OPEN + field("a", b"x\n--b:1\ny\r--b:1\r") + LAST,
        [("a", None, b"x\n--b:1\ny\r--b:1\r")],
    ),
    "half a delimiter at a line's start": (
        OPEN + field("a", b"\r\n--b\r\n--b:\r\n--") + LAST,
        [("a", None, b"\r\n--b\r\n--b:\r\n--")],
    ),
    "line breaks in a value": (
        OPEN + field("a", b"\r\n\r\n1\r\n\r") + LAST,
        [("a", None, b"\r\n\r\n1\r\n\r")],
    ),
    "hyphens in a value": (OPEN + field("a", b"--") + LAST, [("a", None, b"--")]),
    "an empty value": (OPEN + field("a", b"") + LAST, [("a", None, b"")]),
    "no value at all": (
        OPEN + head("form-data; name=a") + LAST,
        [("a", None, b"")],
    ),
    "no quotes": (OPEN + head("form-data; name=a") + b"1\r\n" + LAST, [("a", None, b"1")]),
    "names in other letters": (
        OPEN + b'CONTENT-DISPOSITION:Form-Data;NAME="a" ; FileName = "f"\r\n\r\n1\r\n' + LAST,
        [("a", "f", b"1")],
    ),
    "an escaped quote": (OPEN + field(r"a\"b", b"1") + LAST, [('a"b', None, b"1")]),
    "an escaped backslash": (OPEN + field(r"a\\\\b", b"1") + LAST, [(r"a\\b", None, b"1")]),
    "a backslash that escapes nothing": (
        OPEN + head(r'form-data; name="a"; filename="C:\temp\x.txt"') + b"1\r\n" + LAST,
        [("a", r"C:\temp\x.txt", b"1")],
    ),
    "a browser's escapes": (OPEN + field("%22a%0D%0A%41", b"1") + LAST, [('"a\n%41', None, b"1")]),
    "a semicolon in quotes": (
        OPEN + field("a; filename=x", b"1") + LAST,
        [("a; filename=x", None, b"1")],
    ),
    "a file without a name": (
        OPEN + head('form-data; name="a"; filename=""') + b"1\r\n" + LAST,
        [("a", "", b"1")],
    ),
    "UTF-8 in names, composed": (
        OPEN + head('form-data; name="ä"; filename="e\u0301.txt"') + b"1\r\n" + LAST,
        [("ä", "é.txt", b"1")],
    ),
    "a name of RFC 5987": (
        OPEN + head("form-data; name=a; filename*=UTF-8'en'%e2%82%ac.txt") + b"1\r\n" + LAST,
        [("a", "€.txt", b"1")],
    ),
    "a plain name before one of RFC 5987": (
        OPEN + head("form-data; name=a; filename=b; filename*=UTF-8''c") + b"1\r\n" + LAST,
        [("a", "b", b"1")],
    ),
    "a semicolon at the end": (
        OPEN + head("form-data; name=a; ") + b"1\r\n" + LAST,
        [("a", None, b"1")],
    ),
    "the largest headers": (
        OPEN + head("form-data; name=a", "X: " + "y" * 157) + b"1\r\n" + LAST,
        [("a", None, b"1")],
    ),
}


@pytest.mark.parametrize("split", [lambda body: [body], single], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("body", "expected"), READ.values(), ids=READ.keys())
def test_lawful_forms_are_read(body: bytes, expected: list[Part], split: object) -> None:
    """Whole and byte by byte alike."""
    assert parse(split(body)) == expected  # type: ignore[operator]


REFUSED = {
    "empty": (b"", "the delimiter that ends it is missing"),
    "no boundary": (b"x" * 300, "it does not begin with its boundary"),
    "no boundary, short": (b"nonsense", "the delimiter that ends it is missing"),
    "another boundary": (b"--c\r\n" + A + b"--c--\r\n", "the delimiter that ends it is missing"),
    "no end": (OPEN + A, "the delimiter that ends it is missing"),
    "no end behind a delimiter": (OPEN + A + OPEN, "the delimiter that ends it is missing"),
    "no end in the delimiter": (OPEN + A + b"--b:1-", "the delimiter that ends it is missing"),
    "no end in a head": (OPEN + b"Content-", "the delimiter that ends it is missing"),
    "no end behind a head": (
        OPEN + head("form-data; name=a"),
        "the delimiter that ends it is missing",
    ),
    "a carriage return behind the end": (
        OPEN + A + b"--b:1--\r",
        "the delimiter that ends it is missing",
    ),
    "a longer boundary": (OPEN + A + b"--b:12\r\n", "a line begins with its boundary and goes on"),
    "a bare line feed": (b"--b:1\n" + A + LAST, "a line begins with its boundary and goes on"),
    "text behind the end": (OPEN + A + b"--b:1--x", "a line begins with its boundary and goes on"),
    "blanks before the end's hyphens": (
        OPEN + A + b"--b:1 --\r\n",
        "a line begins with its boundary and goes on",
    ),
    "too many blanks": (
        b"--b:1" + b" " * 201 + b"\r\n" + A + LAST,
        "a delimiter with more blanks than the headers of a part",
    ),
    "no headers": (OPEN + b"\r\n1\r\n" + LAST, "a part without headers"),
    "no disposition": (
        OPEN + b"Content-Type: text/plain\r\n\r\n1\r\n" + LAST,
        "a part without Content-Disposition: form-data",
    ),
    "an attachment": (
        OPEN + head("attachment; name=a") + b"1\r\n" + LAST,
        "a part without Content-Disposition: form-data",
    ),
    "no name": (OPEN + head("form-data") + b"1\r\n" + LAST, "a part without a name"),
    "an empty name": (OPEN + head('form-data; name=""') + b"1\r\n" + LAST, "a part without a name"),
    "a name twice": (
        OPEN + head("form-data; name=a; name=b") + b"1\r\n" + LAST,
        "a header that says name twice",
    ),
    "a disposition twice": (
        OPEN
        + head("form-data; name=a", "content-disposition: form-data; name=b")
        + b"1\r\n"
        + LAST,
        "a part with content-disposition twice",
    ),
    "a type twice": (
        OPEN + head("form-data; name=a", "Content-Type: a/b", "content-type: c/d") + b"\r\n" + LAST,
        "a part with content-type twice",
    ),
    "an open quote": (
        OPEN + head('form-data; name="a') + b"1\r\n" + LAST,
        "a part with a malformed header",
    ),
    "text behind a quote": (
        OPEN + head('form-data; name="a"b') + b"1\r\n" + LAST,
        "a part with a malformed header",
    ),
    "no colon": (OPEN + b"nonsense\r\n\r\n1\r\n" + LAST, "a part with a malformed header"),
    "a blank before the colon": (
        OPEN + b"Content-Disposition : form-data; name=a\r\n\r\n1\r\n" + LAST,
        "a part with a malformed header",
    ),
    "a folded header": (
        OPEN + head("form-data;", " name=a") + b"1\r\n" + LAST,
        "a part with a malformed header",
    ),
    "a control character": (
        OPEN + head('form-data; name="a\x00b"') + b"1\r\n" + LAST,
        "a part with a malformed header",
    ),
    "a bare line feed in a header": (
        OPEN + head("form-data; name=a\nX: y") + b"1\r\n" + LAST,
        "a part with a malformed header",
    ),
    "a header that is not UTF-8": (
        OPEN + b"Content-Disposition: form-data; name=\xff\r\n\r\n1\r\n" + LAST,
        "headers that are not UTF-8",
    ),
    "a delimiter in the headers": (
        OPEN + b"X: y\r\n--b:1\r\n" + A + LAST,
        "a part without the end of its headers",
    ),
    "a delimiter for headers": (OPEN + OPEN + A + LAST, "a part without the end of its headers"),
    "a strange charset of a name": (
        OPEN + head("form-data; name=a; filename*=utf-7''x") + b"1\r\n" + LAST,
        "a file name in a charset that forms are not written in",
    ),
    "a name that is not in its charset": (
        OPEN + head("form-data; name=a; filename*=utf-8''%ff") + b"1\r\n" + LAST,
        "headers that are not UTF-8",
    ),
}


@pytest.mark.parametrize("split", [lambda body: [body], single], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_malformed_forms_are_400(body: bytes, reason: str, split: object) -> None:
    """None is read in part."""
    with pytest.raises(BadRequest) as caught:
        parse(split(body))  # type: ignore[operator]
    assert caught.value.error == f"the body is not multipart/form-data: {reason}"


@pytest.mark.parametrize("split", [lambda body: [body], single], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (OPEN + OPEN.join([A] * 6) + LAST, "the form has more than 5 parts"),
        (
            OPEN + head("form-data; name=a", "X: " + "y" * 158) + b"1\r\n" + LAST,
            "the headers of a part are over 200 bytes",
        ),
        (OPEN + b"X: " + b"y" * 1000, "the headers of a part are over 200 bytes"),
    ],
)
def test_limits_are_413(body: bytes, reason: str, split: object) -> None:
    """Found before more is read."""
    with pytest.raises(PayloadTooLarge) as caught:
        parse(split(body))  # type: ignore[operator]
    assert caught.value.error == reason


def test_as_many_parts_as_allowed_are_read() -> None:
    """The limit itself is lawful."""
    assert len(parse([OPEN + OPEN.join([A] * 5) + LAST])) == 5


@pytest.mark.parametrize("bad", [b"--b:1x", OPEN + b"X: " + b"y" * 1000])
def test_a_parser_that_has_refused_reads_no_more(bad: bytes) -> None:
    """A caller that goes on is told again."""
    parser = MultipartParser(BOUNDARY, most_parts=5, largest_head=200)
    with pytest.raises((BadRequest, PayloadTooLarge)):
        parser.feed(bad)
    with pytest.raises(BadRequest, match="it was refused already"):
        parser.feed(OPEN + A + LAST)
    with pytest.raises(BadRequest):
        parser.close()


def test_content_is_given_as_it_comes() -> None:
    """A large file is never held: no more stays behind than could begin a delimiter."""
    parser = MultipartParser(BOUNDARY, most_parts=5, largest_head=200)
    assert len(parser.feed(OPEN + head("form-data; name=a; filename=f"))) == 1
    assert parser.feed(b"x" * 1000) == [b"x" * 1000]
    assert parser.feed(b"y\r\n--b") == [b"y"]
    assert parser.feed(b"z\r") == [b"\r\n--bz"]
    assert parser.feed(b"\r") == [b"\r"]
    assert parser.feed(b"\n--b:1--") == [None]
    assert parser.feed(b"\r\nanything") == []
    parser.close()


@pytest.mark.parametrize(
    ("header", "kind", "charset"),
    [
        ((), "text/plain", "utf-8"),
        (("Content-Type: IMAGE/PNG",), "image/png", "utf-8"),
        (('Content-Type: text/html; charset="Latin-1"',), "text/html", "latin-1"),
        (("Content-Type:",), "text/plain", "utf-8"),
    ],
)
def test_the_type_of_a_part(header: tuple[str, ...], kind: str, charset: str) -> None:
    """In lower case, and plain text where nothing is said."""
    parser = MultipartParser(BOUNDARY, most_parts=5, largest_head=200)
    (part,) = parser.feed(OPEN + head("form-data; name=a", *header, "X-Two: 2"))
    assert isinstance(part, MultipartPart)
    assert (part.content_type, part.charset, part.headers["x-two"]) == (kind, charset, "2")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; charset=utf-8; BOUNDARY="a b=c"', b"a b=c"),
        ("multipart/form-data;boundary=" + "x" * 70, b"x" * 70),
    ],
)
def test_the_boundary_is_read(content_type: str, boundary: bytes) -> None:
    """In quotes or without."""
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "; boundary",
        "; boundary=",
        '; boundary=""',
        '; boundary="a "',
        "; boundary=ä",
        "; boundary=" + "x" * 71,
        "; boundary=a; boundary=b",
        '; boundary="a',
    ],
)
def test_a_boundary_that_is_none_is_400(parameters: str) -> None:
    """Also one that is said twice: two servers would choose differently."""
    with pytest.raises(BadRequest, match="its Content-Type has no lawful boundary"):
        boundary_of(f"multipart/form-data{parameters}")


# --- any form, in any pieces ----------------------------------------------------------------------

# What delimiters are made of is likelier than anything else.
CONTENT = (
    st.lists(
        st.sampled_from(
            [b"\r", b"\n", b"-", b"--", b"b:1", b"b", b"\r\n--b:", b"\r\n", b"x", b"\x00\xff"]
        ),
        max_size=12,
    )
    .map(b"".join)
    .filter(lambda content: b"\r\n--b:1" not in b"\r\n" + content)
)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)
PARTS = st.lists(st.tuples(NAMES, st.none() | st.just("f.bin"), CONTENT), max_size=5)


def written(parts: list[Part]) -> bytes:
    """A form as a client writes it."""
    out = b""
    for name, filename, content in parts:
        name = name.replace("\\", "\\\\").replace('"', '\\"')
        more = "" if filename is None else f'; filename="{filename}"'
        out += OPEN + head(f'form-data; name="{name}"{more}') + content + b"\r\n"
    return out + LAST


def in_pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    """A body, cut in these places."""
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(places)]


@given(PARTS, st.lists(st.integers(0, 10**6), max_size=10))
@settings(max_examples=200, deadline=None)
def test_a_form_is_read_as_it_was_written(parts: list[Part], cuts: list[int]) -> None:
    """Whatever it holds, and wherever the network cuts it."""
    expected = [(name.replace("%22", '"'), filename, content) for name, filename, content in parts]
    body = written(parts)
    found = parse(in_pieces(body, cuts))
    assert [entry[1:] for entry in found] == [entry[1:] for entry in expected]
    assert [entry[0] for entry in found if entry[0].isascii()] == [
        entry[0] for entry in expected if entry[0].isascii()
    ]


PIECES = st.sampled_from(
    (
        OPEN,
        LAST,
        A,
        b"--b:1",
        b"\r\n",
        b"\r",
        b"\n",
        b"-",
        b" ",
        b"x",
        b"\r\n\r\n",
        b"--",
        b"Content-Disposition: form-data; name=a",
        b"; filename=f",
        b"\xff",
        b"y" * 90,
    )
)


@given(st.lists(PIECES, max_size=14).map(b"".join), st.lists(st.integers(0, 10**6), max_size=10))
@settings(max_examples=300, deadline=None)
def test_the_pieces_change_nothing(body: bytes, cuts: list[int]) -> None:
    """Malformed forms too are read alike in whatever pieces they come."""
    assert outcome(in_pieces(body, cuts)) == outcome([body])
