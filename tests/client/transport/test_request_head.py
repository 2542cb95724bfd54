"""The bytes of a usual request: its target."""

from __future__ import annotations

import string
from typing import Any

import pytest
from multidict import CIMultiDict
from yarl import URL

from sanic_ms.client import Timeout
from sanic_ms.client.base import ServiceRequest
from sanic_ms.client.endpoint import parse_base_url
from sanic_ms.client.transport import request_head
from sanic_ms.client.transport.request_head import encode, place_of

BASE = "http://127.0.0.1:8000/base"
ENDPOINT = parse_base_url("http://127.0.0.1:8000/base", "test")
PLAIN = [*string.ascii_letters, *string.digits, *"-._~!$'()*,;=:@&+/"]


def request(path: str, **changes: Any) -> ServiceRequest:
    """A GET, changed."""
    made = ServiceRequest(
        "region", "GET", path, ENDPOINT, BASE + path, None, CIMultiDict(), None,
        Timeout(),
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def target(made: ServiceRequest) -> str:
    """What stands in the first line."""
    place = place_of(made.endpoint)
    assert place is not None
    head = encode(made, place)
    assert head is not None
    return head.decode().split(" ")[1]


@pytest.mark.parametrize("character", PLAIN, ids=lambda character: f"{ord(character):02x}")
def test_a_usual_target_is_sent_without_being_parsed(
    monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    """Parsing costs more than the rest of the request. Each character that yarl leaves as it is
    is left as it is, in the path and in the query."""
    for path in (f"/a{character}b", f"/a?b={character}", f"/a/b{character}?{character}=1"):
        written = URL(BASE + path).raw_path_qs
        with monkeypatch.context() as patch:
            place = place_of(ENDPOINT)
            assert place is not None
            patch.setattr(request_head, "URL", None)
            head = encode(request(path), place)
        assert head is not None
        assert head.decode().split(" ")[1] == written == f"/base{path}"


@pytest.mark.parametrize(
    ("path", "params", "sent"),
    [
        ("/a b", None, "/base/a%20b"),
        ("/ä", None, "/base/%C3%A4"),
        ("/a%7e", None, "/base/a~"),
        ("/a?", None, "/base/a"),
        ("/a#b", None, "/base/a"),
        ('/a"', None, "/base/a%22"),
        ("/a", {"b": "c d"}, "/base/a?b=c+d"),
        ("/a?x=1", [("b", 2), ("b", 3)], "/base/a?x=1&b=2&b=3"),
        ("/a\r\nX: y", None, "/base/aX:%20y"),
    ],
)
def test_any_other_target_is_written_by_yarl(path: str, params: Any, sent: str) -> None:
    """As aiohttp does; with parameters always."""
    made = request(path, params=params)
    assert target(made) == sent


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "TRACE"},
        {"allow_redirects": True},
        {"body": "text"},
        {"headers": CIMultiDict({"Expect": "100-continue"})},
        {"headers": CIMultiDict({"X": "ä"})},
        {"headers": CIMultiDict({"X": "a\r\nb"})},
        {"headers": CIMultiDict({"X y": "a"})},
    ],
    ids=["method", "redirects", "body", "unusual", "not ASCII", "lines", "no token"],
)
def test_what_is_not_usual_is_left_to_aiohttp(changes: dict[str, Any]) -> None:
    """None says so."""
    place = place_of(ENDPOINT)
    assert place is not None
    assert encode(request("/a", **changes), place) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [None, b"", b"abc"])
@pytest.mark.parametrize("given", [(), ("Accept",), ("User-Agent",), ("accept", "user-agent")])
def test_a_header_of_the_calls_own_replaces_the_usual_one(
    method: str, body: bytes | None, given: tuple[str, ...]
) -> None:
    """Each of the usual headers is sent once, with the caller's value where there is one; a body
    has its length and a type, and a method that usually has one says that there is none."""
    place = place_of(ENDPOINT)
    assert place is not None
    headers = CIMultiDict({"X": "1", **dict.fromkeys(given, "own")})
    raw = encode(request("/a", method=method, headers=headers, body=body), place)
    assert raw is not None
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert rest == (body or b"")
    line, *lines = head.decode().split("\r\n")
    assert line == f"{method} /base/a HTTP/1.1"
    expected = {"host": "127.0.0.1:8000", "accept-encoding": "gzip, deflate", "x": "1"}
    expected |= {"accept": "*/*", "user-agent": "sanic-ms"}
    expected |= {name.lower(): "own" for name in given}
    if body is not None or method in ("POST", "PUT", "PATCH"):
        expected["content-type"] = "application/octet-stream"
    if "content-type" in expected or method == "DELETE":
        expected["content-length"] = str(len(body or b""))
    assert sorted(line.lower().split(": ") for line in lines) == [
        [name, value.lower()] for name, value in sorted(expected.items())
    ]
