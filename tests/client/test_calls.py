"""What a call sends and what it gives back, against a real HTTP server."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import gc
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
import pytest
from aiohttp import web

from sanic_ms.client import Client, Timeout
from sanic_ms.context import current_request
from sanic_ms.exception import LifecycleError, ServiceCallError
from sanic_ms.utils import async_execute, async_request
from sanic_ms.values import CursorPagination, OffsetPagination, Pagination

Serve = Callable[..., Awaitable[str]]
Connect = Callable[..., Client]

pytestmark = pytest.mark.usefixtures("make_transport")


class City(msgspec.Struct):
    id: int
    name: str


class Incoming:
    """A request as the packages below HTTP see it."""

    def __init__(self, id: Any) -> None:
        self.id = id

    def get(self, key: str, default: Any = None) -> Any:
        return default


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    seen = {
        "method": request.method,
        "path": request.raw_path,
        "query": [list(pair) for pair in request.query.items()],
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": body.decode(),
    }
    return web.json_response({"code": 0, "data": seen})


def answering(document: Any, status: int = 200, **headers: str) -> Any:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(document, status=status, headers=headers)

    return handler


async def test_async_with_gives_the_answer_as_the_blueprint_writes_it(
    serve: Serve, connect: Connect
) -> None:
    """`async with client.cli(request).get(path) as res: await res.json()` gives the data."""
    client = connect(await serve(answering({"code": 0, "data": {"id": 1, "name": "Rome"}})))
    async with client.cli(None).get("/cities/1") as res:
        assert res.status == 200
        assert res.ok
        assert await res.json() == {"id": 1, "name": "Rome"}


async def test_await_reads_the_body(serve: Serve, connect: Connect) -> None:
    """An awaited call has the body, and it may be read any number of times."""
    client = connect(await serve(answering({"code": 0, "data": [1, 2]})))
    res = await client.get("/x")
    assert await res.json() == [1, 2]
    assert await res.json(type=list[int]) == [1, 2]
    assert await res.raw_json() == {"code": 0, "data": [1, 2]}
    assert json.loads(res.body) == {"code": 0, "data": [1, 2]}
    assert json.loads(await res.text())["code"] == 0
    assert [piece async for piece in res.stream()] == [res.body]
    assert "200" in repr(res)


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
async def test_every_method_is_sent(serve: Serve, connect: Connect, method: str) -> None:
    """Each method of `cli()` and of the client itself sends its own name."""
    client = connect(await serve(echo))
    for caller in (client, client.cli()):
        res = await getattr(caller, method)("/x")
        assert (await res.json())["method"] == method.upper()
    async with client.request(method, "/x") as res:
        assert (await res.json())["method"] == method.upper()


async def test_head_has_status_and_headers_and_no_body(serve: Serve, connect: Connect) -> None:
    """HEAD of something huge is an empty body, whatever length the headers announce."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(headers={"Content-Length": "99999999", "X-Kind": "big"})

    client = connect(await serve(handler), max_size=10)
    res = await client.head("/x")
    assert (res.status, res.headers["x-kind"], res.body) == (200, "big", b"")
    assert await res.json() is None


async def test_no_content_is_none(serve: Serve, connect: Connect) -> None:
    """204 gives None, and fits a type that allows None only."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=204)

    client = connect(await serve(handler))
    res = await client.delete("/x")
    assert await res.json() is None
    assert res.pagination is None
    assert await res.json(type=City | None) is None  # type: ignore[arg-type]
    with pytest.raises(ServiceCallError, match="does not fit City"):
        await res.json(type=City)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (City, "City"),
        (int | City, r"int \| .*City"),
        (int | None, r"int \| None"),
        (Literal["a"], r"typing\.Literal\['a'\]"),
        (Annotated[str, msgspec.Meta(max_length=1)], "typing\\.Annotated"),
    ],
    ids=["struct", "union", "optional", "literal", "annotated"],
)
async def test_data_that_do_not_fit_name_the_type(
    serve: Serve, connect: Connect, kind: Any, name: str
) -> None:
    """Whatever kind of annotation it is: an error of the call, and none of ours."""
    client = connect(await serve(answering({"code": 0, "data": "text"})))
    with pytest.raises(ServiceCallError, match=f"with data that does not fit {name}.*: "):
        await client.get_json("/x", type=kind)


async def test_options_travel(serve: Serve, connect: Connect) -> None:
    """params, headers, data and json arrive as aiohttp users expect."""
    client = connect(await serve(echo), headers={"X-Key": "one", "X-Other": "kept"})
    seen = await client.get_json(
        "/a b".replace(" ", "%20") + "?x=1",
        params=[("y", "2"), ("y", "3 4")],
        headers={"x-key": "two"},
    )
    assert seen["path"].startswith("/a%20b?")
    assert seen["query"] == [["x", "1"], ["y", "2"], ["y", "3 4"]]
    assert seen["headers"]["x-key"] == "two"
    assert seen["headers"]["x-other"] == "kept"

    res = await client.post(
        "/x", json={"at": datetime.date(2024, 5, 1), "n": decimal.Decimal("1.5")}
    )
    seen = await res.json()
    assert json.loads(seen["body"]) == {"at": "2024-05-01", "n": "1.5"}
    assert seen["headers"]["content-type"] == "application/json"

    seen = await (await client.post("/x", data={"a": "1"})).json()
    assert seen["body"] == "a=1"
    seen = await (await client.put("/x", data=b"raw")).json()
    assert seen["body"] == "raw"


async def test_json_and_data_together_are_refused(serve: Serve, connect: Connect) -> None:
    """Two bodies are a mistake of the caller."""
    client = connect(await serve(echo))
    with pytest.raises(TypeError, match="not both"):
        await client.post("/x", json={}, data=b"")


async def test_header_injection_is_refused(serve: Serve, connect: Connect) -> None:
    """A line break in a header's value never reaches the wire."""
    client = connect(await serve(echo))
    with pytest.raises(ValueError, match="header"):
        await client.get("/x", headers={"X-Evil": "a\r\nX-Admin: 1"})


async def test_get_json_decodes_to_a_type(serve: Serve, connect: Connect) -> None:
    """`get_json(path, type=…)` gives the data of the envelope as that type."""
    client = connect(await serve(answering({"code": 0, "data": {"id": 1, "name": "Rome"}})))
    city = await client.cli().get_json("/cities/1", type=City)
    assert city == City(1, "Rome")
    assert await client.get_json("/cities/1") == {"id": 1, "name": "Rome"}


async def test_no_path_is_said_so(serve: Serve, connect: Connect) -> None:
    """A path that is None, as a look-up may have given it, is named as the mistake."""
    client = connect(await serve(echo))
    path: Any = None
    with pytest.raises(ValueError, match="a path is text, not None"):
        await client.get_json(path)


@pytest.mark.parametrize(
    "document",
    [
        [1, 2],
        "text",
        7,
        None,
        {"id": 1},
        {"code": 49, "name": "Germany"},
        {"code": "0", "data": 1},
        {"code": False, "data": 1},
        {"code": 0},
        {"data": 1},
    ],
)
async def test_what_is_no_envelope_passes_as_it_is(
    serve: Serve, connect: Connect, document: Any
) -> None:
    """Only an object with the number 0 as `code` and with `data` is unwrapped."""
    client = connect(await serve(answering(document)))
    assert await client.get_json("/x") == document


async def test_typed_documents_without_an_envelope(serve: Serve, connect: Connect) -> None:
    """`type=` works on plain documents too, also where they have a `code` of their own."""

    class Country(msgspec.Struct):
        code: int
        name: str

    class Airport(msgspec.Struct):
        code: str

    client = connect(await serve(answering({"code": 49, "name": "Germany"})))
    assert await client.get_json("/x", type=Country) == Country(49, "Germany")
    client = connect(await serve(answering({"code": "FCO"})))
    assert await client.get_json("/x", type=Airport) == Airport("FCO")
    client = connect(await serve(answering([{"id": 1, "name": "Rome"}])))
    assert await client.get_json("/x", type=list[City]) == [City(1, "Rome")]


@pytest.mark.parametrize(
    "pagination",
    [
        Pagination(page=2, page_size=20, total=45, pages=3),
        OffsetPagination(offset=20, limit=20, total=45),
        CursorPagination(limit=20, next="abc"),
        CursorPagination(limit=20, next=None),
    ],
)
async def test_pagination_is_read_from_the_envelope(
    serve: Serve, connect: Connect, pagination: Any
) -> None:
    """`res.pagination` is the envelope's, of each kind, once the body was read."""
    document = {"code": 0, "data": [], "pagination": msgspec.to_builtins(pagination)}
    client = connect(await serve(answering(document)))
    async with client.get("/x") as res:
        with pytest.raises(LifecycleError, match="not read yet"):
            _ = res.pagination
        assert await res.json() == []
        assert res.pagination == pagination


@pytest.mark.parametrize("more", [{}, {"pagination": None}])
async def test_no_pagination_is_none(serve: Serve, connect: Connect, more: Any) -> None:
    """`res.pagination` is None where the envelope has none, and where it is null."""
    client = connect(await serve(answering({"code": 0, "data": [], **more})))
    assert (await client.get("/x")).pagination is None


@pytest.mark.parametrize("pagination", [5, [], {}, {"page": "a"}, {"offset": 1}, {"next": 1}])
async def test_a_pagination_of_another_form_is_an_error(
    serve: Serve, connect: Connect, pagination: Any
) -> None:
    """`res.pagination` of no kind that we know says so."""
    document = {"code": 0, "data": [], "pagination": pagination}
    client = connect(await serve(answering(document)))
    with pytest.raises(ServiceCallError, match="pagination"):
        _ = (await client.get("/x")).pagination


async def test_the_request_id_travels(serve: Serve, connect: Connect) -> None:
    """X-Request-ID is that of the given request, else of the task's, else none; a header wins."""
    client = connect(await serve(echo))

    async def sent(caller: Any, **options: Any) -> str | None:
        seen = await caller.get_json("/x", **options)
        value: str | None = seen["headers"].get("x-request-id")
        return value

    assert await sent(client) is None
    assert await sent(client.cli(Incoming("abc"))) == "abc"
    token = current_request.set(Incoming(42))
    try:
        assert await sent(client) == "42"
        assert await sent(client.cli()) == "42"
        assert await sent(client.cli(Incoming("own"))) == "own"
        assert await sent(client, headers={"x-request-id": "given"}) == "given"
    finally:
        current_request.reset(token)
    for unusable in (None, "", "a\r\nb: c", "é", "x" * 500):
        assert await sent(client.cli(Incoming(unusable))) is None


async def test_redirects_are_not_followed_by_default(serve: Serve, connect: Connect) -> None:
    """A redirect is an answer like any other, and no data; followed only when asked for."""
    target = await serve(answering({"code": 0, "data": "there"}))

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{target}/y"})

    client = connect(await serve(handler))
    res = await client.get("/x")
    assert res.status == 302
    with pytest.raises(ServiceCallError, match="redirect"):
        await res.json()
    assert await client.get_json("/x", allow_redirects=True) == "there"


async def test_an_endless_redirect_is_an_error(serve: Serve, connect: Connect) -> None:
    """Redirects that are followed end at a limit."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/again"})

    client = connect(await serve(handler))
    with pytest.raises(ServiceCallError, match="redirected"):
        await client.get("/x", allow_redirects=True)


async def test_cookies_are_not_kept(serve: Serve, connect: Connect) -> None:
    """What one call is given as a cookie is not sent with the next one."""

    async def handler(request: web.Request) -> web.Response:
        response = web.json_response(dict(request.cookies))
        response.set_cookie("session", "of another user")
        return response

    client = connect(await serve(handler))
    for _ in range(2):
        assert await client.get_json("/x") == {}


async def test_streaming_gives_pieces(serve: Serve, connect: Connect) -> None:
    """`stream()` gives the body as it arrives; reading it again afterwards is refused."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(50):
            await response.write(b"x" * 10_000)
        return response

    client = connect(await serve(handler))
    async with client.get("/x") as res:
        size = 0
        async for piece in res.stream():
            size += len(piece)
        assert size == 500_000
        with pytest.raises(LifecycleError, match="read before"):
            await res.read()


async def test_a_body_is_read_inside_the_block(serve: Serve, connect: Connect) -> None:
    """After the `async with`, an unread body is gone, and the error says what to write."""
    client = connect(await serve(answering({"code": 0, "data": 1})))
    async with client.get("/x") as res:
        pass
    with pytest.raises(LifecycleError, match="inside the async with"):
        await res.json()


async def test_text_takes_any_charset(serve: Serve, connect: Connect) -> None:
    """The charset of the answer is used, a false one is not fatal, and wrong bytes are marked."""
    sent: list[tuple[str, bytes]] = [
        ("text/plain; charset=latin-1", b"caf\xe9"),
        ("text/plain; charset=nonsense", "café".encode()),
        ("text/plain", "café".encode()),
        ("text/plain", b"caf\xe9"),
    ]

    async def handler(request: web.Request) -> web.Response:
        kind, body = sent[int(request.query["n"])]
        return web.Response(body=body, headers={"Content-Type": kind})

    client = connect(await serve(handler))
    texts = [await (await client.get(f"/?n={n}")).text() for n in range(4)]
    assert texts == ["café", "café", "café", "caf�"]


async def test_a_call_serves_once(serve: Serve, connect: Connect) -> None:
    """A call object is one call: the second await is an error and not a second request."""
    client = connect(await serve(answering({"code": 0, "data": 1})))
    call = client.get("/x")
    await call
    with pytest.raises(RuntimeError):
        await call


async def test_a_call_that_is_not_made_is_dropped(serve: Serve, connect: Connect) -> None:
    """A call beside a mistake in `async_request` is closed: it is not sent and nothing warns."""
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response(1)

    client = connect(await serve(handler))
    with pytest.raises(TypeError, match="may be None"):
        await async_request(
            [[{}, "city_id", client.get("/x")], [None, "role_id", client.get("/y")]]
        )
    gc.collect()
    assert seen == []


async def test_calls_run_in_parallel(serve: Serve, connect: Connect) -> None:
    """Calls are awaitables like any other for `async_request` and `async_execute`."""
    client = connect(await serve(answering({"code": 0, "data": 1})))
    target: dict[str, Any] = {}
    await async_request([[target, key, client.get_json("/x")] for key in "ab"])
    assert target == {"a": 1, "b": 1}
    assert [res.status for res in await async_execute(client.get("/x"), client.get("/y"))] == [
        200
    ] * 2


async def test_a_thousand_calls_at_once(serve: Serve, connect: Connect) -> None:
    """Concurrent calls share one session, wait for connections, and get their own answers."""
    client = connect(await serve(echo), timeout=Timeout(total=60, connect=60))
    answers = await asyncio.gather(*(client.get_json(f"/{n}") for n in range(1000)))
    assert [answer["path"] for answer in answers] == [f"/{n}" for n in range(1000)]
