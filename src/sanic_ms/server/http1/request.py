"""A request that parses itself when it is read.

`lazy` makes, from the application's own request class, a subclass in which headers, URL, connection
and all the empty containers of Sanic's ``Request.__init__`` come into being at the first look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from httptools import parse_url
from httptools.parser.errors import HttpParserInvalidURLError
from sanic.compat import Header
from sanic.exceptions import BadURL
from sanic.request import Request, RequestParameters

if TYPE_CHECKING:
    from sanic_ms.server.http1.receiver import Receiver

__all__ = ["lazy", "parse_headers"]


def parse_headers(head: bytes) -> Header:
    """The headers of a head that was checked: names in lower case, values as text."""
    headers = Header()
    for line in head.decode(errors="surrogateescape").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers.add(name.lower(), value.strip(" \t"))
    return headers


def _headers(request: Request) -> Header:
    return parse_headers(request.head)


def _parsed_url(request: Request) -> Any:
    try:
        return parse_url(request.raw_url)
    except HttpParserInvalidURLError:
        url = request.raw_url.decode(errors="backslashreplace")
        raise BadURL(f"Bad URL: {url}") from None


def _conn_info(request: Request) -> Any:
    connection: Receiver = request.connection  # type: ignore[attr-defined]
    return connection.conn_info


def _stream(request: Request) -> Any:
    connection: Receiver = request.connection  # type: ignore[attr-defined]
    return connection.exchange_for(request)


_MADE: dict[str, Callable[[Any], Any]] = {
    "headers": _headers,
    "_parsed_url": _parsed_url,
    "conn_info": _conn_info,
    "stream": _stream,
    "parsed_args": lambda _: defaultdict(RequestParameters),
    "parsed_not_grouped_args": lambda _: defaultdict(list),
    "_request_middleware_started": lambda _: False,
    "_response_middleware_started": lambda _: False,
    "responded": lambda _: False,
    "_stream_id": lambda _: 0,
    "version": lambda _: "1.1",
    **{
        name: lambda _: None
        for name in (
            "_ctx",
            "_id",
            "_name",
            "_protocol",
            "parsed_accept",
            "parsed_cookies",
            "parsed_credentials",
            "parsed_files",
            "parsed_form",
            "parsed_forwarded",
            "parsed_json",
            "parsed_token",
        )
    },
}


def _property(slot: Any, make: Callable[[Any], Any]) -> property:
    read, write = slot.__get__, slot.__set__

    def value(self: Request) -> Any:
        try:
            return read(self)
        except AttributeError:
            made = make(self)
            write(self, made)
            return made

    return property(value, write)


def lazy(base: type[Request]) -> type[Any] | None:
    """A subclass of ``base`` whose instances are made without `Request.__init__`, and of nothing.

    What remains to be set by the maker: ``app``, ``body``, ``head``, ``method``, ``raw_url``,
    ``route``, ``transport``, ``_match_info``, ``connection`` (the protocol, in a slot of its own),
    and ``version`` where it is not 1.1.

    Returns:
        None where ``base`` has an ``__init__`` of its own, which then must run, or has something
        else in the place of one of Sanic's attributes.
    """
    if base.__init__ is not Request.__init__:
        return None
    if any(getattr(base, name) is not getattr(Request, name) for name in _MADE):
        return None
    names = {name: _property(getattr(Request, name), make) for name, make in _MADE.items()}
    slots = {"__slots__": ("connection",), "__module__": base.__module__}
    # object's own __init__ is called without a frame, and costs less than `__new__` called by name.
    return type(base.__name__, (base,), {**slots, "__init__": object.__init__, **names})
