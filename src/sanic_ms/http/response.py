"""The response of a compiled endpoint: Sanic's, made with less."""

from __future__ import annotations

from sanic import HTTPResponse
from sanic.compat import Header
from sanic.response import BaseHTTPResponse

__all__ = ["EndpointResponse"]

_headers = vars(BaseHTTPResponse)["headers"]  # the slot, below the property of this name


class EndpointResponse(HTTPResponse):
    """A whole response whose headers come into being when somebody reads them.

    Most answers carry none of their own, and making an empty `Header` costs more than the rest of
    the response. Our protocol looks into the slot, where None says that there are none.

    Args:
        body: The body as it is sent.
        status: The status.
        content_type: Of the body.
    """

    __slots__ = ()

    def __init__(self, body: bytes, status: int, content_type: str | None) -> None:
        # Not Sanic's __init__, which makes two headers; all of its slots are set here.
        self.asgi = False
        self.body = body
        self.content_type = content_type
        self.stream = None
        self.status = status
        self._cookies = None
        _headers.__set__(self, None)

    @property
    def headers(self) -> Header:
        """The headers besides the content type; made here at the first look."""
        made: Header | None = _headers.__get__(self)
        if made is None:
            made = Header()
            _headers.__set__(self, made)
        return made

    @headers.setter
    def headers(self, headers: Header) -> None:
        _headers.__set__(self, headers)
