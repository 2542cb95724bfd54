"""A file of a form: in memory where it is small, else in a temporary file without a name."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import re
import secrets
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

from sanic_ms.exception import InsufficientStorage, LifecycleError

__all__ = ["UploadFile"]

T = TypeVar("T")

_CHUNK = 1 << 18
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_DIRECTORIES = re.compile(r".*[/\\]", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UploadFile:
    """A file that a client has sent in a form.

    A handler takes it by its type: ``avatar: UploadFile``. It is there until the handler has ended,
    however that ends; then it is closed, and nothing of it is left on the disk. Tests may make one
    of their own.

    Args:
        content: What the file holds; default nothing.
        filename: The client's name for it.
        content_type: The client's word for what it holds; no proof of it.
        headers: Of its part of the form, with names in lower case.

    Attributes:
        filename: The client's name without folders and control characters; empty where that is no
            name. Two clients may send the same name: save under one of your own.
        content_type: As given; ``application/octet-stream`` where the client does not say.
        headers: As given.
        size: Its bytes.
    """

    is_file_of_form = True

    __slots__ = (
        "_file",
        "_is_on_disk",
        "_lock",
        "_position",
        "content_type",
        "filename",
        "headers",
        "size",
    )

    def __init__(
        self,
        content: bytes = b"",
        *,
        filename: str = "",
        content_type: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.filename = _safe_name(filename)
        self.content_type = content_type
        self.headers: dict[str, str] = dict(headers or {})
        self.size = len(content)
        self._file: IO[bytes] = io.BytesIO(content)
        self._is_on_disk = False
        self._position = 0
        # A thread may read while the request ends: the file is closed after it.
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<UploadFile {self.filename!r} {self.content_type} {self.size} bytes>"

    @property
    def is_in_memory(self) -> bool:
        """Whether the content is in memory; else it is in a temporary file."""
        return not self._is_on_disk

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    async def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end.

        Args:
            size: The most bytes; negative (default): all that is left.

        Raises:
            LifecycleError: the file is closed.
        """
        left = max(self.size - self._position, 0)
        size = left if size < 0 else min(size, left)
        data = await self._run(self._read_at, self._position, size)
        self._position += len(data)
        return data

    async def seek(self, position: int) -> None:
        """Let the next `read` begin at a byte.

        Raises:
            ValueError: it is negative.
        """
        if position < 0:
            raise ValueError(f"seek({position}): a position is not negative")
        self._position = position

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes from here to the end, in pieces of at most 256 KiB."""
        while data := await self.read(_CHUNK):
            yield data

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole file to a path, in a thread.

        It stands there when it is whole, in the place of any other; a call that fails or is
        cancelled leaves nothing behind.

        Args:
            path: Where to; the folder must exist. Of the client's it should hold nothing but, at
                most, `filename`.

        Raises:
            OSError: it cannot be written.
            LifecycleError: the file is closed.
        """
        self._require_open()
        target = Path(path)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
        cancelled = threading.Event()
        try:
            await asyncio.to_thread(self._copy, draft, target, cancelled)
        finally:
            cancelled.set()

    def close(self) -> None:
        """Give the file up; a second call does nothing."""
        with self._lock:
            self._file.close()

    # --- while it is received --------------------------------------------------------------------

    def append(self, data: bytes) -> None:
        """Add bytes at the end of a file that is in memory."""
        if not self.size:  # most small files come in one piece, which is then not copied
            self._file = io.BytesIO(data)
        else:
            self._file.seek(0, io.SEEK_END)
            self._file.write(data)
        self.size += len(data)

    async def append_on_disk(self, data: bytes) -> None:
        """Add bytes at the end, and keep the file on the disk from now on.

        Raises:
            InsufficientStorage: there is no room.
        """
        try:
            await self._run(self._write_on_disk, data, in_thread=True)
        except OSError as exc:
            if exc.errno in _NO_ROOM:
                raise InsufficientStorage("there is no room for the files of the form") from exc
            raise
        self.size += len(data)

    def _write_on_disk(self, data: bytes) -> None:
        if not self._is_on_disk:
            memory = self._file
            # Without a name (O_TMPFILE): it is gone with the process, too.
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            self._is_on_disk = True
            _write_all(self._file, memory.getbuffer())  # type: ignore[attr-defined]
        _write_all(self._file, data)

    # --- in a thread, or in memory ---------------------------------------------------------------

    async def _run(self, call: Callable[..., T], *args: Any, in_thread: bool = False) -> T:
        self._require_open()
        if not (in_thread or self._is_on_disk):
            return call(*args)
        return await asyncio.to_thread(self._locked, call, *args)

    def _locked(self, call: Callable[..., T], *args: Any) -> T:
        with self._lock:
            self._require_open()
            return call(*args)

    def _require_open(self) -> None:
        if self._file.closed:
            raise LifecycleError(
                f"the file {self.filename!r} is closed: files of a form are there until the "
                "handler has ended (read it there, or save() it, for what goes on afterwards)"
            )

    def _read_at(self, position: int, size: int) -> bytes:
        self._file.seek(position)
        data = self._file.read(size)
        while len(data) < size:  # a file without a buffer may give less
            more = self._file.read(size - len(data))
            if not more:
                break
            data += more
        return data

    def _copy(self, draft: Path, target: Path, cancelled: threading.Event) -> None:
        try:
            with open(draft, "xb", buffering=0) as out:
                for position in range(0, self.size, _CHUNK):
                    _write_all(out, self._locked(self._read_at, position, _CHUNK))
            if not cancelled.is_set():
                draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def _write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _safe_name(filename: str) -> str:
    name = _CONTROL.sub("", _DIRECTORIES.sub("", filename)).strip()
    return "" if name in (".", "..") else name
