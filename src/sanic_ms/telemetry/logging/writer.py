"""A thread that writes, so that nobody who logs waits for a disk or a pipe."""

from __future__ import annotations

import atexit
import os
import select
import stat
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import IO, Any, Protocol

from sanic_ms.native.compiled import compiled

__all__ = ["LogWriter", "renew_after_fork"]

_WHOLE = 4096  # bytes of one write: what POSIX lets a pipe take whole (PIPE_BUF of Linux)
_BLOCK = 65_536  # the same to a file
_MADE = 16  # texts made before a write: the event loop waits for as long
_LINGER = 0.01  # seconds in which the thread waits for more before it has to be woken
_REPORT = 60.0  # seconds between two lines that say how many were lost

_compiled: Any = compiled("sanic_ms.telemetry.logging._line_buffer")
# Lines that compiled code has made, many at once. Where there is none, no item is of this class.
_Block: Any = None if _compiled is None else _compiled.Block


class LogWriter:
    """Writes to one stream what any thread hands over, in order.

    It never blocks the caller and never raises: what does not fit is dropped and counted, and what
    the stream refuses (a closed pipe, a full disk) is lost and counted. The number is written as a
    line of its own, at most once a minute, as soon as writing works again.

    The thread starts with the first line, and again in a process that was forked. After the
    interpreter has begun to exit, lines are written at once.

    Args:
        render: Makes the text of what was handed over, without the newline. Called by the thread,
            for all but a text, which is written as it is.
        report: Makes the thing to hand over that says how many lines were lost.
        stream: A text stream; its file descriptor is used where it has one. Default: standard
            output.
        limit: The most lines that wait.

    Attributes:
        dropped: Lines that were lost because too many waited, since the process started.
        failed: Lines that the stream refused.
    """

    # Slots, as compiled code reads some of them for each line.
    __slots__ = (
        "__weakref__",
        "_asleep",
        "_bell",
        "_fd",
        "_hung",
        "_items",
        "_limit",
        "_lock",
        "_most",
        "_packed",
        "_render",
        "_report",
        "_room",
        "_stream",
        "_thread",
        "_told",
        "_told_at",
        "_torn",
        "dropped",
        "failed",
    )

    def __init__(
        self,
        render: Callable[[Any], str],
        report: Callable[[int], Any],
        stream: IO[str] | None = None,
        *,
        limit: int = 10_000,
    ) -> None:
        if limit < 1:
            raise ValueError(f"limit={limit!r}: at least one line must fit")
        self._render = render
        self._report = report
        if stream is None:
            # Where standard output is closed there is none, and lines go nowhere.
            stream = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - for the writer's life
        self._stream = stream
        if not hasattr(self._stream, "write"):
            raise TypeError(f"stream={stream!r} is nothing that can be written to")
        self._fd = _descriptor(self._stream)
        self._limit = self._room = limit
        self.renew()
        renew_after_fork(self)
        _writers.add(self)

    def renew(self) -> None:
        """Everything that belongs to one process: what waits at a fork is the parent's to write,
        what it lost the parent's to tell, and its thread is not in the child."""
        self.dropped = 0
        self.failed = 0
        self._told = 0
        self._told_at = float("-inf")
        self._torn = False
        self._hung = False
        self._items: deque[Any] = deque()
        self._packed: Any = None if _compiled is None else _compiled.Packed()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.RLock()  # a signal handler may log as well
        self._thread: threading.Thread | None = None
        self._asleep = True
        self._most = _WHOLE

    def put(self, item: Any) -> None:
        """Hand one over."""
        items, packed = self._items, self._packed
        if (len(items) if packed is None else len(items) + packed.waiting) >= self._room:
            self._no_room(item)
            return
        if packed is None:
            items.append(item)
        else:
            packed.put(items, item)
        if self._asleep:
            self._wake()

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until all that was handed over is written; False if that takes too long."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        done = threading.Event()
        self._items.append(done)
        self._bell.put(None)
        return done.wait(timeout)

    @property
    def waiting(self) -> int:
        """How many lines wait to be written."""
        return len(self._items) + (0 if self._packed is None else self._packed.waiting)

    # --- the caller's side ---------------------------------------------------------------------

    def _wake(self) -> None:
        self._asleep = False
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
                    try:
                        thread.start()
                    except RuntimeError:  # no thread can be had, as when the interpreter exits
                        self._asleep = True
                        self._write_all()
                        return
                    self._thread = thread
        self._bell.put(None)

    def _no_room(self, item: Any) -> None:
        with self._lock:
            if self._room or self._hung:
                self.dropped += 1
            else:
                self._write([self._text(item)])

    def _finish(self) -> None:
        """The interpreter exits: write what waits, and from now on at once."""
        # A reader that hangs must not hang the exit of the process as well.
        self._hung = not self.flush()
        self._room = 0

    # --- the writer's side ---------------------------------------------------------------------

    def _run(self) -> None:
        bell, items = self._bell, self._items
        while True:
            bell.get()
            self._most = _most_at_once(self._fd)  # it may be another file by now
            while items:
                self._write_all()
                with suppress(Empty):
                    bell.get(timeout=_LINGER)
                if not items:
                    # In this order: what is put after the look finds us asleep and rings.
                    self._asleep = True
                    if items:
                        self._asleep = False

    def _write_all(self) -> None:
        """All that waits, in slices: each write lets the event loop's thread run, which costs both
        threads. So one is as large as the output and the making of texts allow."""
        items, most = self._items, self._most
        part: list[str] = []
        kind: type | None = None  # of the last item
        size = made = 0  # bytes that wait, texts made since the last write
        while items:
            item = items.popleft()
            kind = type(item)
            if kind is not str:
                if kind is _Block or kind is threading.Event:
                    self._write(part)
                    part, size, made = [], 0, 0
                    if kind is _Block:
                        self._packed.take(item)
                        self._put_out(item)
                        self._packed.give_back(item)
                    else:
                        self._tell_lost()
                        item.set()
                    continue
                item = self._text(item)
                made += 1
            length = (len(item) if item.isascii() else len(_encoded(item))) + 1
            if size + length > most or made >= _MADE:
                self._write(part)
                part, size, made = [], 0, 0
            part.append(item)
            size += length
        if part or kind is not threading.Event:  # behind a flush nothing is new, and it was told
            self._write(part)
            self._tell_lost()

    def _tell_lost(self) -> None:
        failed = self.failed
        lost = self.dropped + failed
        if lost > self._told and time.monotonic() - self._told_at >= _REPORT:
            self._write([self._text(self._report(lost - self._told))])
            if self.failed == failed:
                self._told, self._told_at = lost, time.monotonic()
            self.failed = failed  # that this line was refused is no news

    def _text(self, item: Any) -> str:
        if type(item) is str:
            return item
        try:
            return f"{self._render(item)}"  # a formatter may give what is no text
        except Exception as exc:
            return f"a log line could not be made: {type(exc).__name__}"

    def _write(self, lines: list[str]) -> None:
        if lines:
            self._put_out(_encoded("\n".join((*lines, ""))))

    def _put_out(self, data: Any) -> None:
        """Write lines: bytes, or a block."""
        written = begin = 0
        try:
            if self._fd is None:
                self._stream.write(bytes(data).decode())
                self._stream.flush()
                return
            if self._stream.closed:  # its descriptor may be another file's by now
                raise ValueError("closed")
            if self._torn:  # the line before broke off in its middle
                data = b"\n" + bytes(data)
                begin = 1
            while written < len(data):
                try:
                    written += self._push(self._fd, data, written)
                except BlockingIOError:
                    # Somebody made it non-blocking, as a terminal's other side may.
                    select.select([], [self._fd], [])
                except OSError:
                    if written:
                        self._torn = bytes(data)[written - 1] != 0x0A
                    raise
            self._torn = False
        except Exception:  # a stream of the application's own may raise anything
            self.failed += bytes(data).count(b"\n", max(begin, written))

    def _push(self, descriptor: int, data: Any, begin: int) -> int:
        """Write what comes from a place on, and give how many bytes that were."""
        if type(data) is bytes:
            return os.write(descriptor, data[begin:])
        written: int = data.push(descriptor, begin, len(data) if self._most > _WHOLE else _WHOLE)
        return written


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _most_at_once(descriptor: int | None) -> int:
    """How many bytes are written at once. In a pipe, a socket or a terminal another worker's lines
    may come between more; a file takes a write of any size whole."""
    try:
        file = descriptor is not None and stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        file = False
    return _BLOCK if file else _WHOLE


def _descriptor(stream: Any) -> int | None:
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return descriptor if isinstance(descriptor, int) else None


class _Renewed(Protocol):
    def renew(self) -> None: ...


_renewed: weakref.WeakSet[_Renewed] = weakref.WeakSet()
_writers: weakref.WeakSet[LogWriter] = weakref.WeakSet()


def renew_after_fork(thing: _Renewed) -> None:
    """Have the thing's ``renew`` called in each process that is forked while it is alive."""
    _install_hooks()
    _renewed.add(thing)


def _after_fork() -> None:
    for thing in list(_renewed):
        thing.renew()


def _at_exit() -> None:
    for writer in list(_writers):
        writer._finish()


@cache
def _install_hooks() -> None:
    os.register_at_fork(after_in_child=_after_fork)
    atexit.register(_at_exit)
