"""HTTP: the request, the envelope, validation, and handlers compiled into endpoints."""

from sanic_ms.http.declarations import sanic_handler
from sanic_ms.http.envelope import Envelope, PlainEnvelope, ProblemEnvelope
from sanic_ms.http.enveloped import failure, success
from sanic_ms.http.policies import RouteEntry, list_routes, routes_without_policy
from sanic_ms.http.request import Request
from sanic_ms.http.translation import ErrorText
from sanic_ms.http.uploads import UploadFile
from sanic_ms.shapes.signature import Body, Cookie, File, Form, Header, Path, Query
from sanic_ms.values.depends import Depends

__all__ = [
    "Body",
    "Cookie",
    "Depends",
    "Envelope",
    "ErrorText",
    "File",
    "Form",
    "Header",
    "Path",
    "PlainEnvelope",
    "ProblemEnvelope",
    "Query",
    "Request",
    "RouteEntry",
    "UploadFile",
    "failure",
    "list_routes",
    "routes_without_policy",
    "sanic_handler",
    "success",
]
