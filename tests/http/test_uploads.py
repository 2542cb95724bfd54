"""A file of a form: read in pieces, saved as a whole, and gone when it is closed."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from pathlib import Path

import pytest

from sanic_ms.exception import InsufficientStorage, LifecycleError
from sanic_ms.http import UploadFile


async def on_disk(content: bytes) -> UploadFile:
    """A file in a temporary file."""
    file = UploadFile(filename="a.txt")
    file.append(content[:2])
    await file.append_on_disk(content[2:5])
    await file.append_on_disk(content[5:])
    assert not file.is_in_memory
    return file


async def in_memory(content: bytes) -> UploadFile:
    """A file in memory."""
    file = UploadFile(content[:2], filename="a.txt")
    file.append(content[2:])
    assert file.is_in_memory
    return file


BOTH = pytest.mark.parametrize("make", [in_memory, on_disk])


@BOTH
async def test_a_file_is_read_from_any_place(make: object) -> None:
    """To the end or so many bytes, and nothing behind the end."""
    file: UploadFile = await make(b"0123456789")  # type: ignore[operator]
    assert file.size == 10
    assert [await file.read(4), await file.read(4), await file.read(4)] == [b"0123", b"4567", b"89"]
    assert [await file.read(), await file.read(5), await file.read(0)] == [b"", b"", b""]
    await file.seek(7)
    assert await file.read() == b"789"
    await file.seek(100)
    assert await file.read() == b""
    with pytest.raises(ValueError, match="not negative"):
        await file.seek(-1)
    file.close()


@BOTH
async def test_a_file_is_iterated_in_pieces(make: object) -> None:
    """From where it was read to, in pieces that fit into memory."""
    file: UploadFile = await make(b"x" * 600_000)  # type: ignore[operator]
    await file.read(1)
    pieces = [piece async for piece in file]
    assert sum(map(len, pieces)) == 599_999
    assert max(map(len, pieces)) == 1 << 18
    file.close()


@BOTH
async def test_a_file_is_saved_as_a_whole(make: object, tmp_path: Path) -> None:
    """Also after a part of it was read; it takes the place of another, and leaves nothing else."""
    file: UploadFile = await make(b"x" * 600_000)  # type: ignore[operator]
    await file.read(10)
    target = tmp_path / "saved"
    target.write_bytes(b"old")
    await file.save(target)
    assert target.read_bytes() == b"x" * 600_000
    await file.save(str(target))  # twice
    assert os.listdir(tmp_path) == ["saved"]
    file.close()


@BOTH
async def test_a_closed_file_says_so(make: object, tmp_path: Path) -> None:
    """It is a mistake of the program to use it, and the error says what to do."""
    file: UploadFile = await make(b"abcdef")  # type: ignore[operator]
    file.close()
    file.close()
    assert file.closed
    for use in (file.read, lambda: file.save(tmp_path / "a")):
        with pytest.raises(LifecycleError, match="until the handler has ended"):
            await use()
    assert os.listdir(tmp_path) == []


async def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    """A folder that does not exist is the program's mistake, and so is a folder for a target."""
    file = await in_memory(b"abc")
    with pytest.raises(FileNotFoundError):
        await file.save(tmp_path / "none" / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        await file.save(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


async def test_a_cancelled_save_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the file nor its beginning, although its thread goes on."""
    file = await in_memory(b"abc")
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()
    copy = UploadFile._copy

    def slow(self: UploadFile, *args: object) -> None:
        begun.set()
        go.wait(10)
        try:
            copy(self, *args)  # type: ignore[arg-type]
        finally:
            ended.set()

    monkeypatch.setattr(UploadFile, "_copy", slow)
    task = asyncio.create_task(file.save(tmp_path / "a"))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    await asyncio.to_thread(ended.wait, 10)
    assert os.listdir(tmp_path) == []


async def test_a_temporary_file_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nothing is left of it, even of a process that is killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = await on_disk(b"abcdef")
    assert os.listdir(tmp_path) == []
    assert await file.read() == b"abcdef"
    file.close()


async def test_a_full_disk_is_507(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told to the client as what it is."""

    def full(*args: object, **keywords: object) -> object:
        return open("/dev/full", "wb", buffering=0)

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    file = UploadFile()
    with pytest.raises(InsufficientStorage) as caught:
        await file.append_on_disk(b"x")
    assert caught.value.status == 507
    assert file.size == 0
    file.close()


async def test_another_error_of_the_disk_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for temporary files that does not exist is no full disk."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    file = UploadFile()
    with pytest.raises(FileNotFoundError):
        await file.append_on_disk(b"x")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\dir\\x.txt", "x.txt"),
        ("..", ""),
        (".", ""),
        ("/", ""),
        (" a\x00b\r\n\x7f ", "ab"),
        ("a/..\n", ""),
        ("ü .txt", "ü .txt"),
    ],
)
def test_a_filename_has_no_path(sent: str, name: str) -> None:
    """Joined with a folder it stays inside."""
    assert UploadFile(filename=sent).filename == name


def test_a_file_for_tests() -> None:
    """Its attributes are as given, or the usual ones."""
    file = UploadFile(b"abc", filename="a", content_type="image/png", headers={"x": "y"})
    assert repr(file) == "<UploadFile 'a' image/png 3 bytes>"
    assert file.headers == {"x": "y"}
    plain = UploadFile()
    assert (plain.content_type, plain.headers, plain.size) == ("application/octet-stream", {}, 0)
