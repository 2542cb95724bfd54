"""The request: Sanic's, with items on it and JSON read strictly."""

from __future__ import annotations

import os
import re
import uuid
from random import Random
from types import SimpleNamespace
from typing import Any, Generic, Protocol, cast, get_origin, is_typeddict

from sanic import Request as SanicRequest
from sanic import Sanic
from sanic.cookies.request import CookieRequestParameters
from sanic.request import RequestParameters
from typing_extensions import TypeVar

from sanic_ms.context import current_request
from sanic_ms.exception import (
    BadRequest,
    FieldError,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationError,
)
from sanic_ms.http.body import typed_body
from sanic_ms.http.decode import decode_json
from sanic_ms.http.forms import parse_cookies, parse_form
from sanic_ms.http.media import content_type, fits
from sanic_ms.http.multipart import MULTIPART
from sanic_ms.http.received_form import ReceivedForm
from sanic_ms.native.compiled import compiled
from sanic_ms.telemetry.tracing import request_span
from sanic_ms.values.proxies import forwarded_by
from sanic_ms.values.response_headers import DefaultHeaders
from sanic_ms.values.route import endpoint_of

__all__ = ["Request"]

_ID_LINE = re.compile(rb"\nx-request-id[ \t]*:", re.IGNORECASE).search

# The bits that RFC 9562 lets be random, and those that say version 4.
_RANDOM = ~(0xF << 76 | 0x3 << 62) & (1 << 128) - 1
_VERSION_4 = 0x4 << 76 | 0x2 << 62
_UUID, _UNKNOWN = uuid.UUID, uuid.SafeUUID.unknown
_new = _UUID.__new__
_set_int, _set_is_safe = (vars(_UUID)[name].__set__ for name in ("int", "is_safe"))
# One of our own: an application that seeds Python's would get the same ids in each process.
_random = Random()
_bits = _random.getrandbits
os.register_at_fork(after_in_child=_random.seed)

# Sanic sets its own variable for each request, and so does our protocol: a second one would cost
# every request as much again.
current_request.follow(SanicRequest._current)

_JSON = "application/json"
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS", "TRACE")
_SANICS_OWN = ("PROXIES_COUNT", "REAL_IP_HEADER", "FORWARDED_SECRET")


AppT_co = TypeVar("AppT_co", bound=Sanic[Any, Any], default=Any, covariant=True)
T = TypeVar("T")


class _Parts(Protocol):
    def read(self) -> object: ...


class Request(SanicRequest[Any, SimpleNamespace], Generic[AppT_co]):
    """Sanic's request, plus items: ``request["data"]`` (the body: validated where the route
    declares one, else the JSON that came), ``request["span"]``, ``request["session"]``, and
    whatever an application puts on it.

    For type checkers ``request.app`` is of the type that stands in brackets: ``Request[Shop]``. For
    the ``Request`` of ``sanic_ms`` itself the default is `Service`.
    """

    __slots__ = ("_items", "declared", "failure", "parsed_query", "received_form")

    app: AppT_co
    _items: dict[str, Any]
    # Sanic's own slot: a request that parses itself lazily has nothing in it until somebody looks.
    _parsed_headers: Any = vars(SanicRequest)["headers"]
    # Set while services are made: the items that the route declares, and what reads them.
    declared: tuple[frozenset[str], _Parts]
    failure: BaseException  # set by the error handler: why the answer has a status of 500 or more
    parsed_query: dict[str, list[str]]  # set by `query_of`, when somebody asks
    received_form: ReceivedForm  # set by `form_of`, or where the handler takes files

    def _get_items(self) -> dict[str, Any]:
        try:
            return self._items
        except AttributeError:  # most requests carry none, so there is none until one is set
            self._items = {}
            return self._items

    def __getitem__(self, key: str) -> Any:
        """An item. ``span`` is always there: the request's own span, or one that does nothing.
        ``data`` is there where the route declares a body, or a JSON body came.

        Raises:
            KeyError: it was not set.
            BadRequest: the body is ``data``, and it is empty or no JSON.
            UnsupportedMediaType: it is ``data``, and the client says that it is something else.
        """
        items = self._get_items()
        if key not in items and self._declares(key):
            # A service asks before it is its turn.
            self.declared[1].read()
        if key not in items:
            if key == "span":
                return request_span()
            if key == "data" and (self.body or self.method not in _WITHOUT_BODY):
                return self._json_body()
            if key == "data":
                raise KeyError("data: no body came (declare one with @doc.consumes)")
        return items[key]

    def _declares(self, key: object) -> bool:
        try:
            return key in self.declared[0]
        except AttributeError:  # most routes have no services
            return False

    def _json_body(self) -> Any:
        """The body of a route that declares none. It is not kept as an item: a middleware may look
        at it before the route's own shape does."""
        if not self.body:
            self._require_body("request['data'] has")
            raise BadRequest("the body is empty; send JSON as application/json")
        sent = content_type(self)
        if sent is not None and not fits(sent, _JSON):
            raise UnsupportedMediaType(f"send the body as application/json, not as {sent[:100]}")
        return self.json

    def __setitem__(self, key: str, value: Any) -> None:
        self._get_items()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._get_items()[key]

    def __contains__(self, key: object) -> bool:
        if key in self._get_items() or key == "span" or self._declares(key):
            return True
        return key == "data" and self._has_json()

    def get(self, key: str, default: Any = None) -> Any:
        """An item, or ``default`` where it was not set."""
        items = self._get_items()
        if key not in items and key in self:
            return self[key]
        return items.get(key, default)

    def data(self, kind: type[T], *, content_type: str = _JSON) -> T:
        """The body as an instance of a type: a Struct, dataclass, TypedDict or pydantic model, or a
        list of one. Each call reads the body anew, unless ``request["data"]`` is one already.

        Args:
            kind: The type. No Peewee model: its body is a dict, which is ``request["data"]``.
            content_type: The media type to read; JSON, or one of the two of HTML forms.

        Raises:
            BadRequest: the body is empty or cannot be parsed.
            UnsupportedMediaType: the client says that it is something else.
            ValidationError: it does not fit, with every wrong field.
            TypeError: ``kind`` is no type that bodies have, or the body of a streaming handler has
                not been read (``await request.receive_body()``).
        """
        read = typed_body(cast(Any, kind), content_type)
        item = self._get_items().get("data")
        is_class = get_origin(kind) is None and not is_typeddict(kind)
        if item is not None and is_class and isinstance(item, kind):
            return item
        if not self.body and self._is_streamed():
            raise TypeError("the body is not read yet: await request.receive_body() before")
        errors: list[FieldError] = []
        value = read(self, {}, errors)
        if errors:
            raise ValidationError(errors)
        return cast(T, value)

    def _require_body(self, subject: str) -> None:
        """A route whose handler takes files reads its form into the parameters.

        Raises:
            TypeError: somebody else wants to read that form.
        """
        route = self.route
        if route is None or hasattr(route.handler, "is_stream") or not self._is_streamed():
            return
        if fits(content_type(self) or "", MULTIPART):
            raise TypeError(
                f"{subject} no body to read: this route takes files as parameters, so its form is "
                "read into these (take a field with Annotated[str, Form()])"
            )

    def _is_streamed(self) -> bool:
        route = self.route
        return route is not None and any(
            hasattr(entry, "is_stream") for entry in (route.handler, endpoint_of(route))
        )

    def _has_json(self) -> bool:
        return bool(self.body) and fits(content_type(self) or _JSON, _JSON)

    @property
    def id(self) -> uuid.UUID | str | int | None:
        """As Sanic's: the caller's ``X-Request-ID``, or one that is made.

        The first log line of a request asks for it. Where nobody has read the headers yet and the
        raw head has no such line, they are not parsed for it.
        """
        found = self._id
        if found:
            return found
        head = self.head
        if (
            head
            and _ID_LINE(head) is None
            and getattr(self, "_parsed_headers", None) is None
            and self.app.config.get("REQUEST_ID_HEADER") == "X-Request-ID"
        ):
            found = self._id = type(self).generate_id(self)
            if found:
                return found
        return super().id

    @staticmethod
    def generate_id(*_: object) -> uuid.UUID | str | int:
        """The id of a request that came without one: a random UUID of version 4.

        An application may put its own in this place. Ids are no secrets, so that Python's usual
        generator will do: half the time of `uuid.uuid4`.
        """
        # As `UUID(int=…)` does, without looking at the number: a third of the time.
        made = _new(_UUID)
        _set_int(made, _bits(128) & _RANDOM | _VERSION_4)
        _set_is_safe(made, _UNKNOWN)
        return made

    @property
    def forwarded(self) -> dict[str, Any]:
        """What trusted proxies say: ``for``, ``proto``, ``host``, ``port``; empty without any.

        The setting ``TRUSTED_PROXIES`` names them. Where it does not, Sanic's ``PROXIES_COUNT``,
        ``REAL_IP_HEADER`` and ``FORWARDED_SECRET`` count. `client_ip`, `remote_addr`, `scheme`,
        `host` and `server_port` follow.
        """
        if self.parsed_forwarded is None:
            config = self.app.config
            told = forwarded_by(config, self.ip, lambda name: self.headers.getall(name, ()))
            if told is None and any(map(config.get, _SANICS_OWN)):
                told = super().forwarded
            self.parsed_forwarded = told or {}
        return self.parsed_forwarded

    async def respond(self, *args: Any, **keywords: Any) -> Any:
        """As Sanic's. Under a server that is not ours the answer gets its default headers here."""
        response = await super().respond(*args, **keywords)
        if not getattr(self.stream, "sends_default_headers", False):
            defaults = getattr(self.app, "default_headers", None)
            if defaults is not None:
                self._complete(response, defaults)
        return response

    def _complete(self, response: Any, defaults: DefaultHeaders) -> None:
        missing = defaults.missing(
            response.status,
            response.headers,
            secure=self._is_secure(),
            origin=self.headers.get("origin"),
        )
        for name, value in missing.items():
            response.headers[name] = value

    def _is_secure(self) -> bool:
        """Whether the client's connection to this process is TLS, as far as the server tells."""
        if self.app.asgi:
            return self.transport.scope.get("scheme") in ("https", "wss")
        return bool(self.conn_info and self.conn_info.ssl)

    async def receive_body(self) -> None:
        """Read the whole body.

        Raises:
            PayloadTooLarge: it is over ``REQUEST_MAX_SIZE``. Sanic's own server says so itself;
                under an ASGI server nobody else counts.
        """
        if self.body or self.stream is None:
            return
        limit = self.app.config.REQUEST_MAX_SIZE
        parts, size = [], 0
        async for part in self.stream:  # type: ignore[attr-defined]
            size += len(part)
            if size > limit:
                raise PayloadTooLarge(f"the body is over {limit} bytes")
            parts.append(part)
        self.body = b"".join(parts)

    def get_form(self, keep_blank_values: bool = False) -> RequestParameters | None:
        """The fields of a form; `form` and `files` call it once.

        Raises:
            PayloadTooLarge: it is over ``REQUEST_MAX_FORM_PARTS``, ``REQUEST_MAX_FORM_FIELD_SIZE``
                or, in the headers of a part, ``REQUEST_MAX_HEADER_SIZE``.
            BadRequest: it is malformed.
            TypeError: the handler takes files as parameters, so that the form is read into these.
        """
        if not self.body:
            self._require_body("request.form and request.files have")
        config = self.app.config
        self.parsed_form, self.parsed_files = parse_form(
            self.body,
            self.headers.get("content-type", ""),
            most_parts=config.get("REQUEST_MAX_FORM_PARTS", 1000),
            largest_field=config.get("REQUEST_MAX_FORM_FIELD_SIZE", 1_000_000),
            largest_head=config.REQUEST_MAX_HEADER_SIZE,
            keep_blank_values=keep_blank_values,
        )
        return self.parsed_form

    def get_cookies(self) -> RequestParameters:
        """The cookies; `cookies` calls it once."""
        parsed = parse_cookies(self.headers.get("cookie", ""))
        self.parsed_cookies = CookieRequestParameters(parsed)
        return self.parsed_cookies

    @property
    def json(self) -> Any:
        """The body as JSON, read once; None for an empty body.

        Raises:
            BadRequest: it is not JSON in UTF-8, nests too deep, or repeats a key; with
                ``Service(loads=…)``, that has raised.
        """
        if self.parsed_json is None and self.body:
            loads = getattr(self.app, "_json_loads", None)
            self.parsed_json = decode_json(self.body) if loads is None else self.load_json(loads)
        return self.parsed_json


_compiled: Any = compiled("sanic_ms.http._id")
if _compiled is not None:
    # `Request.id` once more, for the usual request.
    _read: Any = vars(Request)["id"].fget
    Request.id = property(  # type: ignore[assignment]
        _compiled.make_reader(_read, Request.generate_id), doc=_read.__doc__
    )
