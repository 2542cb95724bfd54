"""The response of a compiled endpoint: Sanic's, made with less."""

from __future__ import annotations

from sanic import HTTPResponse
from sanic.compat import Header
from sanic.response import BaseHTTPResponse

__all__ = ["endpoint_response"]

_slot = vars(BaseHTTPResponse)["headers"]  # below the property of this name
_get_headers, _set_headers = _slot.__get__, _slot.__set__


class _EndpointResponse(HTTPResponse):
    """A whole response whose headers come into being when somebody reads them.

    Most answers carry none of their own, and making an empty `Header` costs more than the rest of
    the response. Our protocol looks into the slot, where None says that there are none.
    """

    __slots__ = ()

    __init__ = object.__init__  # `endpoint_response` does what is left of Sanic's

    @property
    def headers(self) -> Header:
        """The headers besides the content type; made here at the first look."""
        made: Header | None = _get_headers(self)
        if made is None:
            made = Header()
            _set_headers(self, made)
        return made

    @headers.setter
    def headers(self, headers: Header) -> None:
        _set_headers(self, headers)


def endpoint_response(body: bytes, status: int, content_type: str | None) -> HTTPResponse:
    """A whole response.

    Args:
        body: The body as it is sent.
        status: The status.
        content_type: Of the body.
    """
    # A function, and not an __init__, which Python calls at twice the cost.
    response: HTTPResponse = _EndpointResponse()
    response.asgi = False
    response.body = body
    response.content_type = content_type
    response.stream = None
    response.status = status
    response._cookies = None
    _set_headers(response, None)
    return response
