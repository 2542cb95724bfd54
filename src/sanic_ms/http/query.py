"""The query string of a request, read once into lists of text."""

from __future__ import annotations

from urllib.parse import unquote_plus

from sanic_ms.http.request import Request

__all__ = ["Query", "parse_query", "query_of"]

Query = dict[str, list[str]]
"""Every value of every name, in the order in which they came."""


def query_of(request: Request) -> Query:
    """The query of a request, parsed and kept as its ``parsed_query``."""
    query = parse_query(request.raw_url.partition(b"?")[2].partition(b"#")[0])
    if isinstance(request, Request):  # Sanic's own has no place for it
        request.parsed_query = query
    return query


def parse_query(raw: bytes) -> Query:
    """What stands behind the ``?``, by the rules of `urllib.parse.parse_qs`: ``?a=`` and ``?a`` are
    the empty text, not an absent name, and what is not UTF-8 becomes U+FFFD.

    The usual one holds nothing that is escaped and is taken apart at a quarter of the cost.
    """
    text = raw.decode("utf-8", "replace")
    escaped = "%" in text or "+" in text
    query: Query = {}
    for pair in text.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if escaped:
            name, value = unquote_plus(name), unquote_plus(value)
        if name in query:
            query[name].append(value)
        else:
            query[name] = [value]
    return query
