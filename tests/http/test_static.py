"""Static files under a service: a path that leads to no file is 404, and no error in the log."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from tests.http.conftest import CompiledApp

from sanic_ms.http import list_routes

NAME = "a" * 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, another folder, and a file outside of it."""
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("text")
    (folder / "sub" / "ü b.txt").write_text("below")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.mark.parametrize(
    "path",
    [
        *("/files/", "/files/sub", "/files/sub/", "/files/none", "/files/a.txt/b"),
        *("/files/a.txt%00.png", "/files/%00", f"/files/{NAME}", "/files/" + "a/" * 2000),
        *("/files/%2e%2e/secret.txt", "/files/..%2fsecret.txt", "/files/%ff"),
    ],
)
@pytest.mark.parametrize("method", ["get", "head"])
async def test_what_is_no_file_is_404(
    app: CompiledApp, folder: Path, path: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder, NUL in a name, a name that no file can have, what lies outside of the folder."""
    app.static("/files", folder, name="files")
    with caplog.at_level(logging.ERROR):
        answer = await app.call(method, path)
    assert answer.status == 404
    assert b"secret" not in answer.body
    if ".." not in path and "%2e" not in path:  # Sanic logs who tries to leave the folder
        assert not caplog.records


async def test_files_are_served_as_before(app: CompiledApp, folder: Path) -> None:
    """Whole, in part, by an encoded name, and as a route that is one file."""
    app.static("/files", folder, name="files", use_content_range=True)
    app.static("/one", folder / "a.txt", name="one")
    assert (await app.call("get", "/files/a.txt")).body == b"text"
    assert (await app.call("get", "/files/sub/%C3%BC%20b.txt")).body == b"below"
    assert (await app.call("get", "/one")).body == b"text"
    answer = await app.call("get", "/files/a.txt", headers={"range": "bytes=1-2"})
    assert (answer.status, answer.body) == (206, b"ex")
    (folder / "a.txt").unlink()
    assert (await app.call("get", "/one")).status == 404


async def test_a_folder_is_shown_where_the_application_says_so(
    app: CompiledApp, folder: Path
) -> None:
    """By its index file, or as a list."""
    (folder / "index.html").write_text("index")
    app.static("/index", folder, name="index", index="index.html")
    app.static("/list", folder, name="list", directory_view=True)
    assert (await app.call("get", "/index/")).body == b"index"
    answer = await app.call("get", "/list/")
    assert answer.status == 200
    assert b"a.txt" in answer.body
    assert (await app.call("get", "/index/sub/")).status == 404


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read_is_404(app: CompiledApp, folder: Path) -> None:
    """Whether it is there is nobody's business."""
    (folder / "a.txt").chmod(0)
    app.static("/files", folder, name="files")
    assert (await app.call("get", "/files/a.txt")).status == 404


async def test_static_routes_stay_open_in_the_list(app: CompiledApp, folder: Path) -> None:
    """The list shows Sanic's handler, not what stands before it."""
    app.static("/files", folder, name="files")
    before = list_routes(app)
    await app.call("get", "/files/a.txt")
    assert list_routes(app) == before
    assert [entry.policy for entry in before] == ["open"]
