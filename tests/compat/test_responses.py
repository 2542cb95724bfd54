"""Responses, cookies and static files: the same on Sanic and on a service."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sanic import Blueprint, HTTPResponse, Request, empty, file, html, json, raw, redirect, text
from sanic.response import JSONResponse, ResponseStream, file_stream
from tests.compat.comparison import Comparison, Differs, ask


async def test_kinds_of_responses(compare: Comparison) -> None:
    """``text``, ``html``, ``json``, ``raw``, ``empty`` and a bare `HTTPResponse`."""

    class Page:
        def __html__(self) -> str:
            return "<p>page</p>"

    answers: dict[str, Callable[[], HTTPResponse]] = {
        "text": lambda: text("é", status=201, headers={"X-Thing": "a"}),
        "html": lambda: html("<b>é</b>"),
        "object": lambda: html(Page()),  # type: ignore[arg-type]
        "json": lambda: json({"a": [1, None, "é/"]}),
        "dumps": lambda: json({"a": 1}, dumps=lambda data: "mine", content_type="x/y"),
        "raw": lambda: raw(b"\x00\xff"),
        "empty": lambda: empty(),
        "reset": lambda: empty(status=205, headers={"x-reset": "1"}),
        "bare": lambda: HTTPResponse("body", 202, {"a": "b"}, "text/x"),
        "none": lambda: HTTPResponse(),
        "304": lambda: HTTPResponse(status=304),
    }

    def build(app: Any) -> None:
        @app.get("/<kind>")
        async def handler(request: Request, kind: str) -> HTTPResponse:
            return answers[kind]()

        @app.get("/sync/<kind>")
        def sync(request: Request, kind: str) -> HTTPResponse:
            return answers[kind]()

    asks = [ask("GET", f"/{kind}") for kind in answers]
    await compare(build, *asks, *(ask("GET", f"/sync/{kind}") for kind in ("text", "empty")))


async def test_plain_data(compare: Comparison) -> None:
    """What is no response on Sanic is data here."""

    def build(app: Any) -> None:
        @app.get("/dict")
        async def mapping(request: Request) -> Any:
            return {"a": 1}

        @app.get("/list")
        async def items(request: Request) -> Any:
            return [1, 2]

        @app.get("/none")
        async def nothing(request: Request) -> Any:
            return None

    await compare(
        build,
        ask("GET", "/dict", differs=Differs.DATA),
        ask("GET", "/list", differs=Differs.DATA),
        ask("GET", "/none", differs=Differs.DATA),
    )


async def test_json_responses_can_be_changed(compare: Comparison) -> None:
    """A `JSONResponse` lets middleware change what it holds."""

    def build(app: Any) -> None:
        @app.get("/dict")
        async def mapping(request: Request) -> JSONResponse:
            return json({"a": 1})

        @app.get("/list")
        async def items(request: Request) -> JSONResponse:
            return json([1])

        @app.on_response
        async def change(request: Request, response: JSONResponse) -> None:
            if isinstance(response.raw_body, dict):
                response.update(b=2)
                response.pop("a")
            else:
                response.append(2)
                response.extend([3])

    replies = await compare(build, ask("GET", "/dict"), ask("GET", "/list"))
    assert [reply[0].body for reply in replies] == [b'{"b":2}', b"[1,2,3]"]


async def test_redirects(compare: Comparison) -> None:
    """``redirect``: status, quoting, headers."""

    def build(app: Any) -> None:
        @app.get("/")
        async def root(request: Request) -> HTTPResponse:
            return redirect("/new place?x=é&y=%20")

        @app.get("/moved")
        async def moved(request: Request) -> HTTPResponse:
            return redirect(app.url_for("root"), status=301, headers={"x-a": "b"})

    await compare(build, ask("GET", "/"), ask("GET", "/moved"))


async def test_streamed_responses(compare: Comparison) -> None:
    """``request.respond()``, `ResponseStream`, and what is sent with a length or not at all."""

    def build(app: Any) -> None:
        @app.get("/respond")
        async def respond(request: Request) -> None:
            response = await request.respond(status=202, headers={"x-a": "b"})
            for number in range(5):
                await response.send(f"{number},")
                await asyncio.sleep(0)
            await response.eof()

        @app.get("/no-eof")
        async def no_eof(request: Request) -> None:
            response = await request.respond(content_type="text/csv")
            await response.send(b"a,b")

        @app.get("/length")
        async def length(request: Request) -> None:
            response = await request.respond(headers={"content-length": "4"})
            await response.send("ab")
            await response.send("cd", True)

        @app.get("/stream")
        async def stream(request: Request) -> ResponseStream:
            async def write(response: Any) -> None:
                await response.write("one")
                await response.write(b"two")

            return ResponseStream(write, status=201, headers={"x-c": "d"}, content_type="text/x")

        @app.get("/nothing-sent")
        async def nothing(request: Request) -> None:
            await request.respond(status=204)

        @app.get("/prepared")
        async def prepared(request: Request) -> None:
            response = await request.respond(text("prepared", headers={"x-e": "f"}))
            await response.send(end_stream=True)

        @app.get("/returned")
        async def returned(request: Request) -> Any:
            return await request.respond(text("returned"))

    paths = ("respond", "no-eof", "length", "stream", "nothing-sent", "prepared", "returned")
    await compare(build, *(ask("GET", f"/{path}") for path in paths))


async def test_streams_and_middleware(compare: Comparison) -> None:
    """Middleware for responses sees the head of a stream before it is sent."""

    def build(app: Any) -> None:
        @app.on_response
        async def mark(request: Request, response: Any) -> None:
            response.headers["x-mark"] = type(response).__name__

        @app.get("/")
        async def handler(request: Request) -> None:
            response = await request.respond()
            await response.send("abc", True)

    await compare(build, ask("GET", "/"))


async def test_files(compare: Comparison, tmp_path: Path) -> None:
    """``file`` and ``file_stream``: names, types, ranges, times."""
    path = tmp_path / "a file.txt"
    path.write_text("0123456789" * 100)
    os.utime(path, (1_700_000_000, 1_700_000_000))

    def build(app: Any) -> None:
        @app.get("/file")
        async def whole(request: Request) -> HTTPResponse:
            return await file(path)

        @app.get("/named")
        async def named(request: Request) -> HTTPResponse:
            return await file(
                path, filename="other.csv", max_age=60, headers={"x-a": "b"}, status=203
            )

        @app.get("/validated")
        async def validated(request: Request) -> HTTPResponse:
            return await file(path, request_headers=request.headers)

        @app.get("/stream")
        async def stream(request: Request) -> ResponseStream:
            return await file_stream(path, chunk_size=300, mime_type="text/x", filename="s.txt")

        @app.get("/missing")
        async def missing(request: Request) -> HTTPResponse:
            return await file(tmp_path / "missing")

    replies = await compare(
        build,
        ask("GET", "/file"),
        ask("GET", "/named"),
        ask("GET", "/validated"),
        ask("GET", "/validated", if_modified_since="Wed, 15 Nov 2023 00:00:00 GMT"),
        ask("GET", "/stream"),
        ask("GET", "/missing", differs=Differs.ERROR),
        ignored=("expires",),
    )
    assert replies[3][0].status == 304


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to serve."""
    (tmp_path / "site" / "sub").mkdir(parents=True)
    for name, content in (
        ("index.html", "<p>index</p>"),
        ("a.txt", "0123456789"),
        ("sub/b.json", "{}"),
        ("sub/with space.bin", "\x01"),
    ):
        path = tmp_path / "site" / name
        path.write_text(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tmp_path / "site"


async def test_static_folders(compare: Comparison, folder: Path) -> None:
    """A folder of static files: types, HEAD, 304, ranges, what is not there, escapes."""

    def build(app: Any) -> None:
        app.static("/files", folder, use_content_range=True, use_modified_since=True, name="files")

    await compare(
        build,
        ask("GET", "/files/a.txt"),
        ask("HEAD", "/files/a.txt"),
        ask("GET", "/files/sub/b.json"),
        ask("GET", "/files/sub/with%20space.bin"),
        ask("GET", "/files/a.txt", if_modified_since="Wed, 15 Nov 2023 00:00:00 GMT"),
        ask("GET", "/files/a.txt", range="bytes=2-5"),
        ask("GET", "/files/a.txt", range="bytes=-3"),
        ask("GET", "/files/a.txt", range="bytes=20-", differs=Differs.ERROR),
        ask("GET", "/files/missing", differs=Differs.ERROR),
        ask("GET", "/files/../conftest.py", differs=Differs.ERROR),
        ask("GET", "/files/%2e%2e/conftest.py", differs=Differs.ERROR),
        ask("POST", "/files/a.txt", differs=Differs.ERROR),
    )


async def test_static_views_of_folders(compare: Comparison, folder: Path) -> None:
    """``directory_view`` and ``index``: the page of a folder, or its own."""

    def build(app: Any) -> None:
        app.static("/view", folder / "sub", directory_view=True, name="view")
        app.static("/index", folder, index="index.html", name="index")
        app.static("/several", folder, index=["none.html", "index.html"], name="several")
        app.static("/neither", folder, name="neither")

    await compare(
        build,
        ask("GET", "/view/", accept="text/html"),
        ask("GET", "/index/"),
        ask("GET", "/several/"),
        ask("GET", "/neither/", differs=Differs.FOLDER),
    )


async def test_static_files(compare: Comparison, folder: Path) -> None:
    """One file as a route, of the application and of a blueprint; streamed when it is large."""

    def build(app: Any) -> None:
        app.static("/one.txt", folder / "a.txt", name="one", content_type="text/other")
        app.static("/large", folder, name="large", stream_large_files=4)
        books = Blueprint("books", url_prefix="/books")
        books.static("/files", folder, name="files")
        app.blueprint(books)

        @app.get("/url")
        async def url(request: Request) -> HTTPResponse:
            return text(app.url_for("static", name="books.files", filename="a.txt"))

    await compare(
        build,
        ask("GET", "/one.txt"),
        ask("GET", "/large/a.txt"),
        ask("GET", "/books/files/a.txt"),
        ask("GET", "/url"),
    )


async def test_cookies(compare: Comparison) -> None:
    """Every attribute of a cookie, several of them, prefixes, and deletion."""

    def build(app: Any) -> None:
        @app.get("/all")
        async def every(request: Request) -> HTTPResponse:
            response = text("")
            response.add_cookie(
                "full",
                "a value",
                path="/x",
                domain="shop.test",
                max_age=60,
                expires=datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC).replace(tzinfo=None),
                secure=True,
                httponly=True,
                samesite="Strict",
                comment="c",
            )
            return response

        @app.get("/several")
        async def several(request: Request) -> HTTPResponse:
            response = text("")
            response.add_cookie("a", "1")
            response.add_cookie("b", "2", secure=False)
            response.add_cookie("host", "3", host_prefix=True)
            response.add_cookie("https", "4", secure_prefix=True, path="/x")
            response.add_cookie("parted", "5", host_prefix=True, partitioned=True)
            response.add_cookie("escaped", 'x"; y')
            return response

        @app.get("/delete")
        async def delete(request: Request) -> HTTPResponse:
            response = text("")
            response.delete_cookie("a")
            response.delete_cookie("b", path="/x", domain="shop.test")
            response.delete_cookie("host", host_prefix=True)
            return response

        @app.get("/seen")
        async def seen(request: Request) -> HTTPResponse:
            response = text("")
            cookie = response.cookies.add_cookie("a", "1")
            cookie.max_age = 5
            found = response.cookies.get_cookie("a")
            response.headers["x-same"] = str(cookie is found)
            return response

    replies = await compare(
        build, *(ask("GET", f"/{p}") for p in ("all", "several", "delete", "seen"))
    )
    assert len([pair for pair in replies[1][0].headers if pair[0] == "set-cookie"]) == 6


async def test_headers_of_responses(compare: Comparison) -> None:
    """Several headers of one name, other types of values, and a type of content set later."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            response = text("abc")
            response.headers.add("x-many", "1")
            response.headers.add("x-many", "2")
            response.headers["x-number"] = 7
            response.content_type = "text/x"
            response.status = 418
            return response

    await compare(build, ask("GET", "/"))


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 500, 599])
async def test_statuses(compare: Comparison, status: int) -> None:
    """A response leaves with its status, whatever that is."""

    def build(app: Any) -> None:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return text("body" if status not in (204, 304) else "", status=status)

    await compare(build, ask("GET", "/"))
