"""Error answers of another service become the framework's own typed errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from sanic_ms.client import Client
from sanic_ms.exception import (
    ClientError,
    Conflict,
    FieldError,
    Forbidden,
    HTTPError,
    NotFound,
    ServerError,
    ServiceCallError,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    ValidationError,
    error_for_status,
)

Serve = Callable[..., Awaitable[str]]
Connect = Callable[..., Client]

pytestmark = pytest.mark.usefixtures("make_transport")


async def failure(
    serve: Serve,
    connect: Connect,
    body: Any,
    status: int,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> HTTPError:
    """The error that `json()` raises for an answer."""

    async def handler(request: web.Request) -> web.Response:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return web.Response(
            body=raw, status=status, headers={"Content-Type": content_type, **(headers or {})}
        )

    client = connect(await serve(handler))
    with pytest.raises(HTTPError) as caught:
        await client.get_json("/cities/7?token=secret")
    return caught.value


async def test_an_error_envelope_is_the_class_of_its_status(serve: Serve, connect: Connect) -> None:
    """Status, code, message and error of the other service are carried over."""
    exc = await failure(
        serve, connect, {"code": 40001, "message": "No City", "error": "no city 7"}, 404
    )
    assert type(exc) is NotFound
    assert (exc.status, exc.code, exc.message, exc.error) == (404, 40001, "No City", "no city 7")
    assert "region answered GET /cities/7" in exc.__notes__[0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Unauthorized), (403, Forbidden), (409, Conflict), (500, ServerError)],
)
async def test_each_status_has_its_class(
    serve: Serve, connect: Connect, status: int, kind: type[HTTPError]
) -> None:
    """A status that passes through a handler is answered with that status."""
    exc = await failure(serve, connect, {"code": 10000 + status, "message": "m"}, status)
    assert type(exc) is kind
    assert (exc.status, exc.code, exc.message, exc.error) == (status, 10000 + status, "m", None)


async def test_every_error_status_is_understood(serve: Serve, connect: Connect) -> None:
    """400 to 599 give an error of that very status, whether it has a class of its own or not."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["tail"]))

    client = connect(await serve(handler))
    for status in range(400, 600):
        with pytest.raises(HTTPError) as caught:
            await client.get_json(f"/{status}")
        assert caught.value.status == status
        assert isinstance(caught.value, error_for_status(status))
    with pytest.raises(ServiceCallError, match="status 600"):
        await client.get_json("/600")


async def test_validation_errors_keep_their_fields(serve: Serve, connect: Connect) -> None:
    """422 is a `ValidationError` with one entry for each field."""
    errors = [
        {"field": "age", "message": "too young"},
        {"field": "name", "message": "too long", "type": "too_long"},
    ]
    exc = await failure(
        serve, connect, {"code": 10422, "message": "m", "error": "2 wrong", "errors": errors}, 422
    )
    assert isinstance(exc, ValidationError)
    assert exc.errors == (
        FieldError("age", "too young", "invalid"),
        FieldError("name", "too long", "too_long"),
    )
    assert exc.error == "2 wrong"
    exc = await failure(serve, connect, {"errors": ["strange", 1, {}]}, 422)
    assert isinstance(exc, ValidationError)
    assert exc.errors == (FieldError("body", "not valid"),)


async def test_retry_after_is_kept_and_nothing_else(serve: Serve, connect: Connect) -> None:
    """The caller may know when to come back; cookies and the like stay where they are. It is no
    longer than a date may be."""
    document = {"code": 10503, "message": "busy"}
    headers = {"Retry-After": "7", "Set-Cookie": "a=b", "X-Internal": "host-3"}
    exc = await failure(serve, connect, document, 503, headers=headers)
    assert type(exc) is ServiceUnavailable
    assert exc.headers == {"Retry-After": "7"}
    for value, kept in ((40 * "9", True), (41 * "9", False)):
        exc = await failure(serve, connect, document, 503, headers={"Retry-After": value})
        assert exc.headers == ({"Retry-After": value} if kept else {})


async def test_problem_details_are_understood(serve: Serve, connect: Connect) -> None:
    """RFC 9457: title is the message, detail the error, and `code` is kept where given."""
    problem = {
        "type": "https://example.com/limit",
        "title": "Too fast",
        "status": 429,
        "detail": "10 a minute",
    }
    exc = await failure(serve, connect, problem, 429, "application/problem+json")
    assert type(exc) is TooManyRequests
    assert (exc.message, exc.error, exc.code) == ("Too fast", "10 a minute", 10429)
    problem = {"title": "Wrong", "errors": [{"pointer": "#/age", "detail": "too young"}]}
    exc = await failure(serve, connect, problem, 422, "application/problem+json")
    assert isinstance(exc, ValidationError)
    assert exc.errors == (FieldError("#/age", "too young"),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>nginx internals</html>",
        b"\xff\xfe",
        b'{"code": ',
        b"[" * 100_000,
        b'["a list"]',
        b"{}",
        b'{"message": "%s"}' % (b"x" * 70_000),
    ],
)
async def test_an_error_without_an_envelope_says_little(
    serve: Serve, connect: Connect, body: bytes
) -> None:
    """Whatever a proxy or a broken service sends, the text names the call and hands nothing on."""
    exc = await failure(serve, connect, body, 404, "text/html")
    assert type(exc) is NotFound
    assert exc.error == "region answered GET /cities/7 with status 404"
    assert exc.code == 10404


async def test_an_unnamed_status_keeps_its_number(serve: Serve, connect: Connect) -> None:
    """499 has no class of its own: a `ClientError` with the status 499."""
    exc = await failure(serve, connect, {}, 499)
    assert type(exc) is ClientError
    assert exc.status == 499


@pytest.mark.parametrize("code", [0, "10404", None, 1.5, True])
async def test_a_strange_code_gives_the_default(
    serve: Serve, connect: Connect, code: object
) -> None:
    """A code that is not a number other than 0 is replaced by 10000 + status."""
    exc = await failure(serve, connect, {"code": code, "message": "m"}, 404)
    assert exc.code == 10404


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"{", "application/json", "broken JSON"),
        (b"\xff\xfe", "application/json", "broken JSON"),
        (b"NaN", "application/json", "broken JSON"),
        (b"[" * 100_000, "application/json", "broken JSON"),
        (b'{"code":0,"data":1}', "text/html; charset=utf-8", "text/html, not JSON"),
        (b"a,b", "text/csv", "text/csv, not JSON"),
    ],
)
async def test_what_is_not_json_is_a_bad_gateway(
    serve: Serve, connect: Connect, body: bytes, content_type: str, text: str
) -> None:
    """A success that cannot be read is 502 and names the service and the call, not the query."""
    exc = await failure(serve, connect, body, 200, content_type)
    assert type(exc) is ServiceCallError
    assert (exc.status, exc.service) == (502, "region")
    assert exc.error == f"region answered GET /cities/7 with {text}"


async def test_data_of_another_shape_is_a_bad_gateway(serve: Serve, connect: Connect) -> None:
    """The error says where the data differs from the type."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"code": 0, "data": {"id": "one"}})

    class City(msgspec.Struct):
        id: int

    client = connect(await serve(handler))
    with pytest.raises(ServiceCallError, match=r"does not fit .*City.*\$\.id"):
        await client.get_json("/x", type=City)


async def test_the_status_can_be_checked_alone(serve: Serve, connect: Connect) -> None:
    """`raise_for_status` raises for errors only; `raw_json` never looks at the status."""

    async def handler(request: web.Request) -> web.Response:
        status = int(request.match_info["tail"])
        return web.json_response({"code": 1, "message": "m"}, status=status)

    client = connect(await serve(handler))
    async with client.get("/200") as res:
        await res.raise_for_status()
        assert await res.raw_json() == {"code": 1, "message": "m"}
    async with client.get("/409") as res:
        assert not res.ok
        assert await res.raw_json() == {"code": 1, "message": "m"}
        with pytest.raises(Conflict):
            await res.raise_for_status()
