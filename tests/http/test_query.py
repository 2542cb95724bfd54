"""The query string: taken apart by our own few lines, which agree with the standard library."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.exception import BadRequest
from sanic_ms.http.query import parse_query


@given(
    st.text(alphabet="ab&=+%;?/ä0E9fF2~\ud800", max_size=40).map(
        lambda t: t.encode("utf-8", "ignore")
    )
)
def test_it_agrees_with_parse_qs(raw: bytes) -> None:
    """Names, values, order and repetition are those of `urllib.parse.parse_qs`; so is what is not
    UTF-8."""
    try:
        expected = parse_qs(raw.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(BadRequest):
            parse_query(raw)
    else:
        assert parse_query(raw) == expected


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"", {}),
        (b"&&", {}),
        (b"a", {"a": [""]}),
        (b"a=", {"a": [""]}),
        (b"=1", {"": ["1"]}),
        (b"a=1=2", {"a": ["1=2"]}),
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a+b=c%20d", {"a b": ["c d"]}),
        (b"a=%C3%A4", {"a": ["ä"]}),
        (b"a=%EF%BF%BD", {"a": ["\ufffd"]}),
        (b"a=%zz%", {"a": ["%zz%"]}),
    ],
)
def test_odd_queries(raw: bytes, query: dict[str, list[str]]) -> None:
    """What is missing, repeated, escaped or broken has one meaning each."""
    assert parse_query(raw) == query


@pytest.mark.parametrize("raw", [b"a=%ff", b"a=\xff", b"%E9=1", b"a=1&b=x+%E9", b"a=%C3"])
def test_a_query_that_is_not_utf8_is_refused(raw: bytes) -> None:
    """As a body is: a mark in the place of a letter would be stored as if it had been sent."""
    with pytest.raises(BadRequest, match="the query string is not UTF-8"):
        parse_query(raw)
