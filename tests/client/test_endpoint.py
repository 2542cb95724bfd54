"""Paths cannot leave the service that a client calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from sanic_ms.client.endpoint import join, parse_base_url

BASE = parse_base_url("http://region:8001/api/v1/", "x")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "http://region:8001/api/v1/"),
        ("/cities/1", "http://region:8001/api/v1/cities/1"),
        ("/cities?x=1&y=../a", "http://region:8001/api/v1/cities?x=1&y=../a"),
        ("/a.b/..c/d..", "http://region:8001/api/v1/a.b/..c/d.."),
        ("/a%2Fb", "http://region:8001/api/v1/a%2Fb"),
        ("/a%0D%0Ab", "http://region:8001/api/v1/a%0D%0Ab"),
        ("/@evil.com/:80", "http://region:8001/api/v1/@evil.com/:80"),
        ("/http://evil.com/", "http://region:8001/api/v1/http://evil.com/"),
        ("/Zürich", "http://region:8001/api/v1/Zürich"),
    ],
)
def test_a_path_is_appended_to_the_base(path: str, expected: str) -> None:
    """The base URL's own path stays in front."""
    assert join(BASE, path) == expected
    assert URL(join(BASE, path)).authority == "region:8001"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "cities",
        "http://evil.com/",
        "//evil.com/",
        "\\\\evil.com",
        "/\\evil.com",
        "@evil.com",
        ":80/x",
        "?x=1",
        "/a b",
        "/a\r\nX-Evil: 1",
        "/a\n",
        "/a\x00",
        "/a\t",
        "/a#b",
        "/..",
        "/../admin",
        "/a/../../admin",
        "/./a",
        "/a/.",
        "/%2e%2e/admin",
        "/%2E./admin",
        "/..%2fadmin",
        "/a%2f..%2fadmin",
        "/..%5cadmin",
        None,
        7,
        b"/x",
    ],
)
def test_a_path_that_would_leave_the_base_is_refused(path: str) -> None:
    """Whole URLs, other hosts, dot segments, line breaks and fragments are a ValueError."""
    with pytest.raises(ValueError, match="path"):
        join(BASE, path)


@given(st.text(min_size=1, max_size=40))
def test_no_text_leaves_the_base(text: str) -> None:
    """Whatever a user typed into a path, the URL that is called is below the base, or none is."""
    try:
        url = URL(join(BASE, f"/cities/{text}"))
    except ValueError:
        return
    assert (url.scheme, url.host, url.port) == ("http", "region", 8001)
    assert url.raw_path.startswith("/api/v1/cities/")


@pytest.mark.parametrize(
    ("url", "base", "origin"),
    [
        ("http://Region", "http://region", "region"),
        ("https://region:8443/", "https://region:8443", "region:8443"),
        ("http://[::1]:8001/a/", "http://[::1]:8001/a", "[::1]:8001"),
        ("HTTP://127.0.0.1:8001", "http://127.0.0.1:8001", "127.0.0.1:8001"),
        ("http://user:secret@region:1", "http://region:1", "region:1"),
    ],
)
def test_base_urls(url: str, base: str, origin: str) -> None:
    """http and https with a host; the origin is for messages and holds no credentials."""
    endpoint = parse_base_url(url, "x")
    assert (endpoint.base, endpoint.origin) == (base, origin)
    assert "secret" not in repr(endpoint)
