"""Forms, files and cookies as parameters of typed handlers, however the request comes."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import pytest
from openapi_spec_validator import validate
from sanic.views import HTTPMethodView
from tests.calls import WAYS, asking, call

from sanic_ms import Service, doc
from sanic_ms.exception import LifecycleError, Unauthorized
from sanic_ms.http import Body, Cookie, File, Form, Header, Query, UploadFile
from sanic_ms.http.described_routes import describe_routes
from sanic_ms.openapi import build
from sanic_ms.testing.running import RunningService

EACH_WAY = pytest.mark.parametrize("way", WAYS)
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}


class NewUser(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=2)]
    age: int | None = None
    tags: list[str] = []


class Caller:
    """A service that asks for a token."""


def deny() -> Caller:
    raise Unauthorized("a token is needed")


def part(name: str, content: bytes, filename: str | None = None, kind: str = "") -> bytes:
    """A part of a form with its delimiter."""
    more = "" if filename is None else f'; filename="{filename}"'
    kind = f"\r\nContent-Type: {kind}" if kind else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{more}{kind}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + b"--b--\r\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def open_files(folder: Path) -> list[str]:
    """The temporary files that this process has open: they have no names in the folder."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


@pytest.fixture
def app() -> Service:
    """A service that takes forms; ``app.ctx.files`` are the files that handlers had."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.ctx.files = []

    def seen(file: UploadFile) -> UploadFile:
        app.ctx.files.append(file)
        return file

    @app.post("/avatar")
    async def avatar(
        request: Any,
        avatar: UploadFile,
        title: Annotated[str, Form()],
        size: Annotated[int, Form("the-size")] = 5,
        verbose: bool = False,
    ) -> Any:
        content = await seen(avatar).read()
        head = [avatar.filename, avatar.content_type, avatar.headers.get("content-type")]
        memory = avatar.is_in_memory
        return [*head, content.decode()[:10], len(content), memory, title, size, verbose]

    @app.post("/many")
    async def many(
        request: Any,
        files: Annotated[list[UploadFile], File(max_count=3)] = [],  # noqa: B006
        image: Annotated[
            UploadFile | None, File("the-image", max_size=10, content_types=["image/*", "a/b"])
        ] = None,
        user: Annotated[NewUser | None, Form()] = None,
    ) -> Any:
        names = [seen(file).filename for file in files]
        return [names, [file.is_in_memory for file in files], image and image.size, user]

    @app.post("/user")
    async def user(request: Any, data: Annotated[NewUser, Form()]) -> NewUser:
        return data

    @app.post("/large")
    async def large(
        request: Any,
        file: Annotated[UploadFile, File(max_size=300_000)],
        note: Annotated[str, Form()] = "",
    ) -> Any:
        return [file.size, sum([len(piece) async for piece in seen(file)])]

    @app.post("/fails")
    async def fails(request: Any, file: UploadFile) -> None:
        seen(file)
        raise ZeroDivisionError

    @app.post("/later")
    async def later(request: Any, file: UploadFile) -> None:
        seen(file)

    @app.post("/plain")
    def plain(request: Any, file: UploadFile) -> int:
        return seen(file).size

    @app.get("/cookies")
    async def cookies(
        request: Any,
        session: Annotated[str, Cookie()],
        number: Annotated[int, Cookie("n")] = 1,
        all: Annotated[list[str], Cookie("a")] = [],  # noqa: B006
    ) -> Any:
        return [session, number, all]

    return app


@EACH_WAY
async def test_a_form_is_read_into_parameters(app: Service, way: str) -> None:
    """Fields before and behind the file; what nobody takes is passed over."""
    body = form(
        part("other", b"x"),
        part("title", b"Me"),
        part("strange", b"x", "strange.txt"),
        part("avatar", b"content", "dir/me.png", "image/png"),
        part("the-size", b"7"),
    )
    async with asking(app, way) as ask:
        for _ in range(2):
            content = {"content" if way == "ASGI" else "data": body}
            answer = await ask("post", "/avatar?verbose=1", headers=MULTIPART, **content)
            assert answer.json["data"] == [
                "me.png", "image/png", "image/png", "content", 7, True, "Me", 7, True,
            ]  # fmt: skip
    assert [file.closed for file in app.ctx.files] == [True, True]


async def test_a_plain_handler_takes_files(app: Service) -> None:
    """A function that is no coroutine function."""
    answer = await post(app, "/plain", part("file", b"123", "a"))
    assert (answer.status, answer.json["data"]) == (200, 3)
    assert app.ctx.files[0].closed


async def post(app: Service, path: str, *parts: bytes) -> Any:
    """One form."""
    return await call(app, "post", path, data=form(*parts), headers=MULTIPART)


A = part("avatar", b"content", "me.png")
TITLE = part("title", b"Me")


@pytest.mark.parametrize(
    ("parts", "errors"),
    [
        ((), [("avatar", "missing"), ("title", "missing")]),
        ((A, TITLE, part("the-size", b"x")), [("the-size", "int_type")]),
        ((A, A, TITLE, TITLE), [("avatar", "repeated"), ("title", "repeated")]),
        ((part("avatar", b"text"), TITLE), [("avatar", "missing")]),
        ((part("avatar", b"", ""), TITLE), [("avatar", "missing")]),
        ((A, part("title", b"Me", "file.txt")), [("title", "missing")]),
        ((A, TITLE, part("the-size", b"9" * 30)), [("the-size", None)]),
    ],
)
async def test_all_that_is_wrong_is_422(
    app: Service, parts: tuple[bytes, ...], errors: list[tuple[str, str | None]]
) -> None:
    """With the names that fields and files have in the form."""
    answer = await post(app, "/avatar", *parts)
    assert (answer.status, answer.json["code"]) == (422, 10422)
    found = [(entry["field"], entry["type"]) for entry in answer.json["errors"]]
    assert [name for name, _ in found] == [name for name, _ in errors]
    assert all(
        kind in (None, expected[1]) or expected[1] is None
        for kind, expected in zip([kind for _, kind in found], errors, strict=True)
    )


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "text/x"]
)
async def test_another_body_is_415(app: Service, kind: str) -> None:
    """The answer names what to send."""
    headers = {"content-type": kind}
    answer = await call(app, "post", "/avatar", data=b"a=1", headers=headers)
    assert answer.status == 415
    assert answer.json["error"] == f"send the body as multipart/form-data, not as {kind}"
    if kind != "application/x-www-form-urlencoded":
        answer = await call(app, "post", "/user", data=b"a=1", headers=headers)
        assert answer.status == 415
        assert "x-www-form-urlencoded or multipart/form-data, not as" in answer.json["error"]


async def test_a_body_without_a_type_is_415(app: Service) -> None:
    """It could be anything."""
    for path in ("/avatar", "/user"):
        answer = await call(app, "post", path, data=b"a=1", skip_auto_headers=["content-type"])
        assert answer.status == 415


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/avatar", A + TITLE),
        ("/avatar", b"nonsense"),
        ("/avatar", b"--b\r\n" + A),
        ("/user", part("name", b"Ann")),
    ],
)
async def test_a_malformed_form_is_400(app: Service, path: str, body: bytes) -> None:
    """A form that is cut off, too: its last part would be lost."""
    answer = await call(app, "post", path, data=body, headers=MULTIPART)
    assert answer.status == 400
    assert "the body is not multipart/form-data: " in answer.json["error"]
    assert not app.ctx.files


async def test_optional_files_and_lists(app: Service) -> None:
    """What is left out has its default; an empty input is left out."""
    answer = await call(app, "post", "/many")
    assert answer.json["data"] == [[], [], None, None]
    answer = await post(app, "/many", part("files", b"", ""), part("the-image", b"", ""))
    assert answer.json["data"] == [[], [], None, None]
    files = [part("files", b"1", f"{n}.txt") for n in range(3)]
    image = part("the-image", b"1234567890", "i.png", "image/png")
    answer = await post(app, "/many", *files, image, part("name", b"Ann"), part("age", b""))
    user: Any = {"name": "Ann", "age": None, "tags": []}
    assert answer.json["data"] == [["0.txt", "1.txt", "2.txt"], [True] * 3, 10, user]


@pytest.mark.parametrize(
    ("parts", "status", "error"),
    [
        ([part("files", b"1", "a")] * 4, 413, "there are more than 3 files 'files'"),
        ([part("the-image", b"x" * 11, "a", "a/b")], 413, "the file 'the-image' is over 10 bytes"),
        (
            [part("the-image", b"x", "a", "text/html")],
            415,
            "send the file 'the-image' as image/* or a/b, not as text/html",
        ),
        (
            [part("the-image", b"x", "a")],
            415,
            "send the file 'the-image' as image/* or a/b, not as application/octet-stream",
        ),
        ([part("x", b"x" * 50)], 413, "the field 'x' is over 20 bytes"),
        ([part(f"x{n}", b"x") for n in range(11)], 413, "the form has more than 10 parts"),
    ],
)
async def test_files_have_rules(app: Service, parts: list[bytes], status: int, error: str) -> None:
    """Size, number and type; and the limits of all forms."""
    app.configure(request_max_form_field_size=20, request_max_form_parts=10)
    answer = await post(app, "/many", *parts)
    assert (answer.status, answer.json["error"]) == (status, error)


@EACH_WAY
async def test_an_object_takes_the_whole_form(app: Service, way: str) -> None:
    """Of both media types, and with all that is wrong."""
    async with asking(app, way) as ask:
        answer = await ask("post", "/user", data={"name": "Ann", "age": "3", "tags": "a"})
        assert answer.json["data"] == {"name": "Ann", "age": 3, "tags": ["a"]}
        answer = await ask("post", "/user", data={"name": "A", "age": "x"})
        assert answer.status == 422
        assert {entry["field"] for entry in answer.json["errors"]} == {"name", "age"}
        answer = await ask("post", "/user")
        assert (answer.status, answer.json["errors"][0]["type"]) == (422, "missing")


async def test_large_files_are_on_the_disk(app: Service, folder: Path) -> None:
    """All files of a request together have so much memory; files of a route may be larger than
    other bodies."""
    app.configure(upload_memory_size=1000, request_max_size=100_000)
    files = [part("files", b"x" * size, f"{n}") for n, size in enumerate((600, 600, 400))]
    answer = await post(app, "/many", *files)
    assert answer.json["data"][1] == [True, False, True]
    answer = await post(app, "/large", part("file", b"x" * 300_000, "a"))
    assert answer.json["data"] == [300_000, 300_000]
    answer = await post(app, "/large", part("file", b"x" * 300_001, "a"))
    assert (answer.status, answer.json["error"]) == (413, "the file 'file' is over 300000 bytes")
    answer = await post(app, "/large", part("file", b"x" * 500_000, "a"))
    assert (answer.status, answer.json["error"]) == (413, "the body is over 400000 bytes")
    fields = [part("note", b"x" * 60_000)] * 2
    answer = await post(app, "/large", *fields, part("file", b"x", "a"))
    assert answer.status == 413
    assert "are over REQUEST_MAX_SIZE bytes together" in answer.json["error"]
    assert all(file.closed for file in app.ctx.files)
    assert open_files(folder) == []


async def test_a_body_of_unknown_length_has_the_limit(app: Service) -> None:
    """A chunked one."""
    app.configure(request_max_size=100_000)

    async def chunks() -> AsyncIterator[bytes]:
        yield part("file", b"", "a")[:-2]
        for _ in range(10):
            yield b"x" * 20_000

    answer = await call(app, "post", "/later", data=chunks(), headers=MULTIPART)
    assert (answer.status, answer.json["error"]) == (413, "the body is over 100000 bytes")
    assert not app.ctx.files


@pytest.mark.parametrize(
    ("path", "status"), [("/fails", 500), ("/later", 200), ("/avatar", 422), ("/later?", 200)]
)
async def test_files_end_with_their_request(
    app: Service, folder: Path, path: str, status: int
) -> None:
    """However it ends; later use is an error that says why."""
    app.configure(upload_memory_size=0)
    parts = [part(name, b"x" * 1000, "a") for name in ("file", "avatar")]
    answer = await post(app, path, *parts)
    assert answer.status == status
    assert open_files(folder) == []
    for file in app.ctx.files:
        with pytest.raises(LifecycleError):
            await file.read()


async def test_the_caller_is_asked_before_the_body_is_read(app: Service) -> None:
    """A service comes first, then the other parameters, and then the form."""

    app.provide(Caller, deny, scope="request")

    @app.post("/denied")
    async def denied(request: Any, caller: Caller, file: UploadFile) -> None: ...

    @app.post("/query")
    async def query(
        request: Any, n: int, h: Annotated[str, Header()], file: UploadFile
    ) -> None: ...

    async with served(app) as address:
        for path, status in (("/denied", b"401"), ("/query?n=x", b"422")):
            reader, writer = await asyncio.open_connection(*address)
            # The body never comes.
            writer.write(head_of(path, 1000))
            assert (await reader.readline()).split()[1] == status
            writer.close()


async def test_a_class_view_may_take_files_with_one_method() -> None:
    """The others get their bodies as ever."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)

    class View(HTTPMethodView):
        async def post(self, request: Any, file: UploadFile, id: int) -> Any:
            return [id, file.size]

        async def put(self, request: Any, body: NewUser, id: int) -> Any:
            return [id, body.name]

        async def get(self, request: Any, id: int) -> Any:
            return id

    app.add_route(View.as_view(), "/view/<id:int>", unquote=True)
    app.configure(cors_origins=["http://a.example"], request_max_size=1000)
    answer = await post(app, "/view/1", part("file", b"123", "a"))
    assert answer.json["data"] == [1, 3]
    assert (await call(app, "put", "/view/1", json={"name": "Ann"})).json["data"] == [1, "Ann"]
    assert (await call(app, "put", "/view/1", json={"name": "A" * 1000})).status == 413
    assert (await call(app, "get", "/view/1")).json["data"] == 1
    assert (await post(app, "/view/1", part("file", b"1" * 1000, "a"))).status == 413


@pytest.mark.parametrize("use", ["form", "files", "data", "middleware"])
async def test_the_form_of_such_a_route_is_read_once(app: Service, use: str) -> None:
    """To ask for it elsewhere is a mistake of the program, and no empty form."""
    uses = {
        "form": lambda request: request.form,
        "files": lambda request: request.files,
        "data": lambda request: request["data"],
    }
    seen: list[str] = []

    def note(request: Any, what: str) -> None:
        with pytest.raises(TypeError, match="this route takes files as parameters"):
            uses[what](request)
        seen.append(what)

    @app.post("/uses")
    async def handler(request: Any, file: UploadFile | None = None) -> None:
        if use != "middleware":
            note(request, use)

    @app.on_request
    async def look(request: Any) -> None:
        if use == "middleware":
            note(request, "form")

    assert (await post(app, "/uses", part("file", b"1", "a"))).status == 200
    assert len(seen) == 1


# --- on the wire ----------------------------------------------------------------------------------


@asynccontextmanager
async def served(app: Service) -> AsyncIterator[tuple[str, int]]:
    """The service on a real socket; gives host and port."""
    running = RunningService(app)
    await running.start()
    server = await running.listen("127.0.0.1")
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        await running.stop()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it does not come true")


def head_of(path: str, length: int, *lines: str) -> bytes:
    """The head of a request with a form."""
    kind = "content-type: multipart/form-data; boundary=b"
    lines = (f"POST {path} HTTP/1.1", "host: a", kind, f"content-length: {length}", *lines)
    return "\r\n".join([*lines, "", ""]).encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """Status and JSON of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def test_a_form_comes_in_any_pieces(app: Service) -> None:
    """And the connection serves the next request."""
    body = form(TITLE, part("avatar", b"x--b\r\r\n-" * 5, "a"))
    async with served(app) as address:
        reader, writer = await asyncio.open_connection(*address)
        for step in (1, 7, len(body)):
            writer.write(head_of("/avatar", len(body)))
            for at in range(0, len(body), step):
                writer.write(body[at : at + step])
                await writer.drain()
                await asyncio.sleep(0)
            status, answer = await read_answer(reader)
            assert (status, answer["data"][4]) == (200, 40)
        writer.close()


async def test_a_large_form_opens_no_door_to_other_routes(app: Service) -> None:
    """A head that was good for one route is remembered; the limit of the next one counts still."""
    app.configure(request_max_size=10_000)
    body = form(part("file", b"x" * 50_000, "a"))
    async with served(app) as address:
        reader, writer = await asyncio.open_connection(*address)
        for path, expected in (("/large", 200), ("/large", 200), ("/user", 413)):
            writer.write(head_of(path, len(body)) + body)
            assert (await read_answer(reader))[0] == expected
        writer.close()


async def test_the_body_is_asked_for_when_the_head_is_good(app: Service) -> None:
    """``Expect: 100-continue``: a body that would be refused is not sent at all."""
    body = form(TITLE, A)
    async with served(app) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(head_of("/avatar", len(body), "expect: 100-continue"))
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        await reader.readline()
        writer.write(body)
        assert (await read_answer(reader))[0] == 200
        writer.write(head_of("/avatar", 100_000_000, "expect: 100-continue"))
        assert (await read_answer(reader))[0] == 413
        writer.close()


async def test_a_client_that_leaves_leaves_nothing_behind(app: Service, folder: Path) -> None:
    """Half-way through its form: the handler is not called, and the temporary file is closed."""
    app.configure(upload_memory_size=0)
    async with served(app) as address:
        _, writer = await asyncio.open_connection(*address)
        writer.write(head_of("/later", 1_000_000) + part("file", b"x" * 100_000, "a"))
        await writer.drain()
        await until(lambda: bool(open_files(folder)))
        writer.close()
        await until(lambda: not open_files(folder))
        assert not app.ctx.files
        answer = form(part("file", b"x", "a"))
        reader, writer = await asyncio.open_connection(*address)
        writer.write(head_of("/later", len(answer)) + answer)
        assert (await read_answer(reader))[0] == 200
        writer.close()


async def test_aiohttp_sends_forms(app: Service) -> None:
    """A client that is not ours."""
    data = aiohttp.FormData()
    data.add_field("title", 'a "title"')
    data.add_field("avatar", b"\xff" * 200_000, filename='ä "b".png', content_type="image/png")
    async with served(app) as (host, port), aiohttp.ClientSession() as session:
        async with session.post(f"http://{host}:{port}/large", data=data) as response:
            assert response.status == 422
        data = aiohttp.FormData(quote_fields=False)  # else it percent-encodes names
        data.add_field("file", b"\xff" * 200_000, filename='ä "b".png', content_type="image/png")
        async with session.post(f"http://{host}:{port}/large", data=data) as response:
            assert (await response.json())["data"] == [200_000, 200_000]
    assert app.ctx.files[0].filename == 'ä "b".png'


# --- cookies --------------------------------------------------------------------------------------


@EACH_WAY
async def test_cookies_are_parameters(app: Service, way: str) -> None:
    """The first of several with one name, or all; a required one that is missing is 422."""
    async with asking(app, way) as ask:
        headers = {"cookie": 'session="a b"; n=2; n=3; a=1; a=2'}
        answer = await ask("get", "/cookies", headers=headers)
        assert answer.json["data"] == ["a b", 2, ["1", "2"]]
        answer = await ask("get", "/cookies", headers={"cookie": "n=x"})
        assert [(e["field"], e["type"]) for e in answer.json["errors"]] == [
            ("session", "missing"),
            ("n", "int_type"),
        ]


# --- what stops the start -------------------------------------------------------------------------


async def two_bodies(request: Any, file: UploadFile, body: NewUser) -> None: ...
async def marked_twice(
    request: Any, body: Annotated[NewUser, Body()], a: Annotated[int, Form()]
) -> None: ...
async def of_text(request: Any, file: Annotated[str, File()]) -> None: ...
async def of_query(request: Any, file: Annotated[UploadFile, Query()]) -> None: ...
async def inside(request: Any, file: list[Annotated[UploadFile, File(max_size=1)]]) -> None: ...
async def of_sets(request: Any, file: set[UploadFile]) -> None: ...
async def unreadable(request: Any, a: Annotated[dict[str, int], Form()]) -> None: ...
@doc.consumes(NewUser)
async def consumes(request: Any, file: UploadFile) -> None: ...


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (two_bodies, "a request has one body: file is of a form, and body is read as JSON"),
        (marked_twice, "a request has one body"),
        (of_text, "files are UploadFile, UploadFile | None"),
        (of_query, "files are UploadFile, UploadFile | None"),
        (inside, "with File\\(\\) around the whole"),
        (of_sets, "no file becomes"),
        (unreadable, "no text becomes"),
        (consumes, "@doc.consumes declares the body, and a parameter is of the form"),
    ],
)
def test_mistakes_stop_the_start(handler: Any, error: str) -> None:
    """With the handler's name."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.add_route(handler, "/a", methods=["POST"])
    with pytest.raises(LifecycleError, match=error) as caught:
        app.compile()
    assert handler.__name__ in str(caught.value)


@pytest.mark.parametrize("annotation", [UploadFile, Annotated[int, Form()]])
def test_a_get_has_no_form(annotation: Any) -> None:
    """Nor has a web socket."""

    async def get(request: Any, value: annotation) -> None: ...

    get.__annotations__["value"] = annotation
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.add_route(get, "/a")
    with pytest.raises(
        LifecycleError, match="'value' is of the form, which a GET request does not have"
    ):
        app.compile()

    async def socket(request: Any, ws: Any, value: Any) -> None: ...

    socket.__annotations__["value"] = annotation
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.add_websocket_route(socket, "/a")
    with pytest.raises(LifecycleError, match="nothing gives 'value'"):
        app.compile()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_size": 0}, ValueError),
        ({"max_size": "1"}, TypeError),
        ({"max_size": True}, TypeError),
        ({"max_count": 0}, ValueError),
        ({"max_count": None}, TypeError),
        ({"content_types": "image/png"}, TypeError),
        ({"content_types": ["png"]}, ValueError),
        ({"content_types": ["*/*"]}, ValueError),
        ({"name": 1}, TypeError),
    ],
)
def test_rules_are_checked(options: dict[str, Any], error: type[Exception]) -> None:
    """Where they are written."""
    with pytest.raises(error):
        File(**options)


# --- API docs -------------------------------------------------------------------------------------


def test_forms_are_documented(app: Service) -> None:
    """As OpenAPI 3.1 writes them."""
    app.compile()
    spec = build(describe_routes(app), title="t", version="1", envelope=app.envelope)
    validate(spec)
    paths = spec["paths"]
    body = paths["/avatar"]["post"]["requestBody"]
    octets = {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
    }
    assert body == {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "avatar": octets,
                        "title": {"type": "string"},
                        "the-size": {"type": "integer", "format": "int64", "default": 5},
                    },
                    "required": ["avatar", "title"],
                }
            }
        },
    }
    body = paths["/many"]["post"]["requestBody"]
    content = body["content"]["multipart/form-data"]
    assert body["required"] is False
    assert "required" not in content["schema"]
    assert content["encoding"] == {"the-image": {"contentType": "image/*, a/b"}}
    properties = content["schema"]["properties"]
    assert properties["files"] == {"type": "array", "items": octets, "maxItems": 3}
    assert properties["the-image"] == {**octets, "description": "at most 10 bytes"}
    assert properties["name"] == {"type": "string", "minLength": 2}
    body = paths["/user"]["post"]["requestBody"]
    assert sorted(body["content"]) == ["application/x-www-form-urlencoded", "multipart/form-data"]
    assert body["content"]["multipart/form-data"]["schema"]["required"] == ["name"]
    assert {"400", "413", "415", "422"} <= set(paths["/user"]["post"]["responses"])
    parameters = paths["/cookies"]["get"]["parameters"]
    assert [(entry["in"], entry["name"], entry["required"]) for entry in parameters] == [
        ("cookie", "session", True),
        ("cookie", "n", False),
        ("cookie", "a", False),
    ]
    assert "422" in paths["/cookies"]["get"]["responses"]
