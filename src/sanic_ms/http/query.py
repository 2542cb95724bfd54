"""The query string of a request, read once into lists of text."""

from __future__ import annotations

from urllib.parse import unquote_plus

from sanic import Request

from sanic_ms.exception import BadRequest

__all__ = ["Query", "parse_query", "query_of"]

Query = dict[str, list[str]]
"""Every value of every name, in the order in which they came."""


def query_of(request: Request) -> Query:
    """The query of a request, parsed and kept as its ``parsed_query``.

    Raises:
        BadRequest: it is not UTF-8, as `parse_query`.
    """
    query = parse_query(request.raw_url.partition(b"?")[2].partition(b"#")[0])
    try:
        request.parsed_query = query  # type: ignore[attr-defined]
    except AttributeError:  # Sanic's own request has no place for it
        pass
    return query


def parse_query(raw: bytes) -> Query:
    """What stands behind the ``?``, by the rules of `urllib.parse.parse_qs`: ``?a=`` and ``?a`` are
    the empty text, not an absent name.

    The usual one holds nothing that is escaped and is taken apart at a quarter of the cost.

    Raises:
        BadRequest: it is not UTF-8, escaped or not; U+FFFD for a letter would be stored.
    """
    try:
        return _parse(raw.decode())
    except UnicodeDecodeError:
        raise BadRequest("the query string is not UTF-8") from None


def _parse(text: str) -> Query:
    escaped = "%" in text or "+" in text
    query: Query = {}
    for pair in text.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if escaped:
            name = unquote_plus(name, errors="strict")
            value = unquote_plus(value, errors="strict")
        if name in query:
            query[name].append(value)
        else:
            query[name] = [value]
    return query
