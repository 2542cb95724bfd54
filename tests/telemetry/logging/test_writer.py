"""The thread that writes: nobody waits for it, it survives its output, and tells what is lost."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.telemetry.logging import LogWriter
from sanic_ms.telemetry.logging.format import JSONFormatter, make_formatter


def report(lost: int) -> str:
    return f"lost {lost}"


def make(stream: Any, **options: Any) -> LogWriter:
    return LogWriter(str, report, stream, **options)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


@pytest.fixture
def pipe() -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    """A pipe's reading and writing end."""
    read, write = os.pipe()
    with open(read) as reader, open(write, "w") as writer:
        yield reader, writer


def test_lines_come_out_in_order_from_many_threads(tmp_path: Path) -> None:
    """Each thread's own order, and every line whole."""
    with (tmp_path / "log").open("w") as stream:
        writer = make(stream, limit=100_000)

        def work(name: int) -> None:
            for number in range(2000):
                writer.put(f"{name} {number}")

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert writer.flush(20)
    rows = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    for name in range(4):
        assert [int(b) for a, b in rows if a == str(name)] == list(range(2000))
    assert (writer.dropped, writer.failed, writer.waiting) == (0, 0, 0)


def test_a_reader_that_hangs_stops_nobody(pipe: Any) -> None:
    """The queue fills, what comes beyond is counted, and is told when the reader is back."""
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(stream.fileno(), b"\n" * 512)
    os.set_blocking(stream.fileno(), True)
    writer = make(stream, limit=100)
    line, handed_in = "x" * 2000, 0
    while writer.dropped < 1000:
        writer.put(line)
        handed_in += 1
    assert writer.waiting <= 101
    assert not writer.flush(0.01)
    text: list[str] = []
    thread = threading.Thread(target=lambda: text.extend(iter(reader.readline, "end\n")))
    thread.start()
    assert writer.flush(20)
    writer.put("end")
    thread.join(20)
    assert f"lost {writer.dropped}\n" in text
    assert text.count(f"{line}\n") == handed_in - writer.dropped


def test_a_closed_pipe_loses_lines_and_nothing_else(pipe: Any) -> None:
    """`service | head`."""
    reader, stream = pipe
    writer = make(stream)
    writer.put("seen")
    assert reader.readline() == "seen\n"
    os.close(os.dup(reader.fileno()))
    reader.close()
    for _ in range(10):
        writer.put("lost")
    assert writer.flush()
    assert writer.failed >= 10
    writer.put("lost too")
    assert writer.flush()


def test_a_full_disk_is_survived_and_the_line_that_broke_off_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are lost while it is full; the first that fits again begins on a line of its own."""
    write, full = os.write, threading.Event()

    def limited(fd: int, data: bytes) -> int:
        if full.is_set() and fd == stream.fileno():
            if data.startswith(b"torn"):
                return write(fd, data[:2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", limited)
    with (tmp_path / "log").open("w") as stream:
        writer = make(stream)
        writer.put("before")
        assert writer.flush()
        full.set()
        writer.put("torn")
        writer.put("lost")
        assert writer.flush()
        assert writer.failed == 2
        full.clear()
        writer.put("after")
        assert writer.flush()
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == ["before", "to", "after", "lost 2"]


def test_a_full_device_is_no_matter() -> None:
    """The kernel's own word for it."""
    with open("/dev/full", "w") as stream:
        writer = make(stream)
        writer.put("x")
        assert writer.flush()
        assert writer.failed >= 1


def test_an_output_that_is_not_blocking_is_waited_for(pipe: Any) -> None:
    """A terminal shared with another program may be so."""
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    writer = make(stream)
    line = "x" * 1000
    for _ in range(500):
        writer.put(line)
    lines = [reader.readline() for _ in range(500)]
    assert set(lines) == {line + "\n"}
    assert writer.failed == 0


def test_what_cannot_be_made_into_text_leaves_a_line() -> None:
    """And the lines after it are written."""

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    stream = io.StringIO()
    writer = make(stream)
    writer.put(Bad())
    writer.put("fine")
    assert writer.flush()
    assert stream.getvalue() == "a log line could not be made: RuntimeError\nfine\n"


def test_a_stream_of_ones_own_may_fail_as_it_likes() -> None:
    """Closed, or with an error of its own: lines are counted as lost."""
    stream = io.StringIO()
    stream.close()
    writer = make(stream)
    writer.put("x")
    assert writer.flush()
    assert writer.failed >= 1


def test_a_closed_file_is_not_written_to_by_its_old_number(tmp_path: Path) -> None:
    """The number may belong to another file by then."""
    first = (tmp_path / "first").open("w")
    writer = make(first)
    number = first.fileno()
    first.close()
    with (tmp_path / "second").open("w") as second:
        assert second.fileno() == number
        writer.put("x")
        assert writer.flush()
    assert writer.failed == 1
    assert (tmp_path / "second").read_text() == ""


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the texts that are written."""
    write, sizes = os.write, []

    def measured(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", measured)
    return sizes


def write_at_once(writer: LogWriter, lines: list[Any]) -> None:
    """Have all lines wait before the first is written."""
    writer._asleep = False
    for line in lines:
        writer.put(line)
    writer._wake()
    assert writer.flush()


def test_writing_is_in_slices_that_a_pipe_takes_whole(pipe: Any, sizes: list[int]) -> None:
    """So that the lines of several workers do not mix."""
    _, stream = pipe
    write_at_once(make(stream), ["x" * 999] * 10 + ["y" * 9999] + ["\N{SNOWMAN}" * 333] * 5)
    assert sizes == [4000, 4000, 2000, 10000, 4000, 1000]


def test_a_file_takes_more_at_once(tmp_path: Path, sizes: list[int]) -> None:
    """Nobody writes between, and each write is a chance to lose the interpreter's lock."""
    with (tmp_path / "log").open("w") as stream:
        write_at_once(make(stream), ["x" * 999] * 100)
    assert sizes == [65_000, 35_000]


def test_texts_that_are_still_to_be_made_come_in_small_slices(
    tmp_path: Path, sizes: list[int]
) -> None:
    """The event loop waits while they are made."""
    with (tmp_path / "log").open("w") as stream:
        write_at_once(make(stream), list(range(100, 200)))
    assert max(sizes) <= 16 * 4
    assert sum(sizes) == 400


def test_an_output_may_become_another(tmp_path: Path, pipe: Any, sizes: list[int]) -> None:
    """By its number, as a file that is rotated: what it takes at once is looked at again."""
    _, stream = pipe
    writer = make(stream)
    write_at_once(writer, ["x" * 999] * 5)
    until(lambda: writer._asleep)
    with (tmp_path / "log").open("w") as file:
        os.dup2(file.fileno(), stream.fileno())
    write_at_once(writer, ["x" * 999] * 5)
    assert sizes == [4000, 1000, 5000]


def test_what_was_written_of_a_slice_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file that is full in the middle, the lines that went in are not counted."""
    write = os.write

    def limited(fd: int, data: bytes) -> int:
        if data.startswith(b"first"):
            return write(fd, data[:12])
        raise OSError(errno.ENOSPC, "No space left on device")

    with (tmp_path / "log").open("w") as stream:
        writer = make(stream)
        monkeypatch.setattr(os, "write", limited)
        write_at_once(writer, ["first", "second", "third"])
    assert writer.failed == 2
    assert (tmp_path / "log").read_text() == "first\nsecond"


def test_arguments_that_make_no_sense_are_refused() -> None:
    """When the writer is made."""
    with pytest.raises(ValueError, match="limit=0"):
        make(io.StringIO(), limit=0)
    with pytest.raises(TypeError, match="nothing that can be written to"):
        make("stdout")


PROGRAM = """
import atexit, logging, os, sys
from sanic_ms.telemetry.logging import LogWriter
writer = LogWriter(str, str, sys.stdout)
{body}
"""


def run(body: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A program that ends."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def test_everything_is_written_before_the_process_ends() -> None:
    """Also what is said while it ends, and without an exception at the end."""
    done = run(
        "atexit.register(writer.put, 'late')\n"
        "class Last:\n"
        "    def __del__(self): writer.put('later')\n"
        "last = Last()\n"
        "for n in range(1000): writer.put(n)\n"
    )
    lines = done.stdout.splitlines()
    assert lines[:1000] == [str(n) for n in range(1000)]
    assert set(lines[1000:]) == {"late", "later"}
    assert (done.returncode, done.stderr) == (0, "")


def test_a_forked_process_writes_its_own_lines_once() -> None:
    """What waits at the fork is the parent's; the child has a thread of its own."""
    done = run(
        "for n in range(500): writer.put(f'parent {n}')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    for n in range(500): writer.put(f'child {n}')\n"
        "    writer.flush()\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    lines = done.stdout.splitlines()
    assert sorted(lines) == sorted(f"{who} {n}" for who in ("parent", "child") for n in range(500))


def test_a_forked_process_has_its_own_id_in_all_lines() -> None:
    """Also in those whose parts are remembered."""
    done = run(
        "from sanic_ms.telemetry.logging.format import *\n"
        "from sanic_ms.telemetry.logging.access import Access\n"
        "from sanic_ms.telemetry.logging.called import CallSite\n"
        "formatter, site = JSONFormatter(), CallSite('shop', 20, 'INFO', 'book', {})\n"
        "access = Access(0.0, 'GET', b'/', None, 200, 2, 0.1, '')\n"
        "def tell():\n"
        "    writer.put(formatter.call(site, 0.0, 0.1, formatter.ids(('a', 'b'), None)))\n"
        "    writer.put(formatter.render(access))\n"
        "    writer.put(formatter.format(logging.makeLogRecord({'ours': os.getpid()})))\n"
        "    writer.flush()\n"
        "tell()\n"
        "if os.fork() == 0:\n"
        "    tell()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    pids = [line["pid"] for line in lines]
    assert pids == [lines[2]["ours"]] * 3 + [lines[5]["ours"]] * 3
    assert pids[0] != pids[3]


def test_where_no_thread_can_be_had_the_caller_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the interpreter ends. Each line is there at once, and the next call tries anew."""
    stream = io.StringIO()
    writer = make(stream)
    with monkeypatch.context() as patch:

        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", start)
        for number in (1, 2):
            writer.put(f"line {number}")
            assert stream.getvalue().splitlines() == [f"line {n + 1}" for n in range(number)]
    writer.put("line 3")
    assert writer.flush(20)
    assert stream.getvalue().splitlines() == ["line 1", "line 2", "line 3"]
    assert (writer.dropped, writer.failed, writer.waiting) == (0, 0, 0)


def test_a_reader_that_hangs_does_not_hang_the_end(pipe: Any) -> None:
    """The process waits for two seconds, and goes."""
    _, stream = pipe
    body = "for n in range(9000): writer.put('x' * 1000)"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM.format(body=body)], stdout=stream)
    try:
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_lines_of_the_end_do_not_wait_for_a_reader_that_hangs(pipe: Any) -> None:
    """What is logged after the exit began, with a reader that hung then, is dropped and counted,
    and not written at once: the process would wait for as long as its reader lives."""
    _, stream = pipe
    read, write = os.pipe()
    body = (
        "class Last:\n"
        "    def __del__(self):\n"
        "        for n in range(100): writer.put('y' * 1000)\n"
        f"        os.write({write}, b'%d %d' % (writer.dropped, writer.waiting >= 9000 - 200))\n"
        "last = Last()\n"
        "for n in range(9000): writer.put('x' * 1000)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)], stdout=stream, pass_fds=[write]
    )
    os.close(write)
    try:
        assert process.wait(30) == 0
        assert os.read(read, 100) == b"100 1"
    finally:
        process.kill()
        process.wait()
        os.close(read)


def test_one_reader_that_hangs_costs_other_outputs_nothing(pipe: Any, tmp_path: Path) -> None:
    """Each writer of the process waits for its own reader: lines for a file come out whole, those
    of the very end included."""
    _, stream = pipe
    path = tmp_path / "log"
    body = (
        f"other = LogWriter(str, str, open({str(path)!r}, 'w'))\n"
        "class Last:\n"
        "    def __del__(self): other.put('later')\n"
        "last = Last()\n"
        "for n in range(9000): writer.put('x' * 1000)\n"
        "for n in range(100): other.put(n)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", PROGRAM.format(body=body)], stdout=stream)
    try:
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert path.read_text().splitlines() == [*map(str, range(100)), "later"]


def test_what_the_parent_lost_is_not_told_by_its_child() -> None:
    """A process that was forked counts from nothing; `renew` is what is called in it."""
    stream = io.StringIO()
    writer = make(stream, limit=1)
    writer.dropped = writer.failed = 7
    writer.renew()
    writer.put("of the child")
    assert writer.flush()
    assert (writer.dropped, writer.failed) == (0, 0)
    assert stream.getvalue() == "of the child\n"


def test_without_standard_output_lines_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process was started without one, and where it was closed later: no line is kept,
    and nobody who logs notices."""
    monkeypatch.setattr(sys, "stdout", None)
    writer = make(None)
    writer.put("a")
    assert writer.flush()
    assert (writer.dropped, writer.failed) == (0, 0)
    writer._stream.close()
    closed = io.StringIO()
    closed.close()
    lost = make(closed)
    lost.put("a")
    assert lost.flush()
    assert lost.failed == 1
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stdout", stream)
        assert isinstance(make_formatter("auto"), JSONFormatter)
