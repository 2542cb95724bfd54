"""Thousands of open connections that mostly do nothing, held by this process."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Self

from benchmarks.answers import Answer, WrongAnswer, judge
from benchmarks.cases import Probe

__all__ = ["HeldConnections", "allow_files"]

_BATCH = 100  # below the backlog of every server
_WAIT = 30.0  # seconds for one step of all connections


def allow_files(count: int) -> None:
    """Let this process and those that it starts open so many files.

    Raises:
        OSError: the system's hard limit is lower; the message says what to do.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        except (ValueError, OSError) as exc:
            raise OSError(
                f"{count} open files are needed and {hard} allowed: ulimit -Hn {count}"
            ) from exc
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


class HeldConnections:
    """So many connections to a port of this machine; a context that closes them.

    Args:
        probe: What `use` asks on each of them.
        enveloped: Whether the answer stands in the framework's envelope.
    """

    def __init__(self, port: int, count: int, probe: Probe, *, enveloped: bool) -> None:
        self._port = port
        self._count = count
        self._probe = probe
        self._enveloped = enveloped
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    def open(self) -> None:
        """Open them all, without a word on any.

        Raises:
            WrongAnswer: the server did not take them all.
        """
        for start in range(0, self._count, _BATCH):
            for _ in range(min(_BATCH, self._count - start)):
                try:
                    one = socket.create_connection(("127.0.0.1", self._port), timeout=10)
                except OSError as exc:
                    raise WrongAnswer(
                        f"connection {len(self._sockets) + 1} of {self._count}: {exc}"
                    ) from exc
                one.setblocking(False)
                self._sockets.append(one)
        time.sleep(0.5)  # the server may still be accepting; its memory is read next

    def use(self) -> None:
        """Get a right answer on each of them.

        Raises:
            WrongAnswer: one was closed, or answered wrongly.
        """
        question = f"{self._probe.method} {self._probe.path} HTTP/1.1\r\nHost: bench\r\n\r\n"
        for start in range(0, len(self._sockets), _BATCH):
            batch = self._sockets[start : start + _BATCH]
            for one in batch:
                with _named("a held connection is gone"):
                    one.sendall(question.encode())
            for raw in _collect(batch, _complete):
                judge(self._probe, _parsed(raw), enveloped=self._enveloped)

    def still_answer(self) -> None:
        """After the load: use each once more, so that none was lost meanwhile."""
        self.use()


@contextlib.contextmanager
def _named(what: str):  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as exc:
        raise WrongAnswer(f"{what}: {exc}") from exc


def _collect(
    sockets: Iterable[socket.socket], complete: Callable[[bytes], bool]
) -> Iterable[bytes]:
    """The whole answer of each socket, in the order in which they come.

    Raises:
        WrongAnswer: one was closed, or the time is over.
    """
    waiting = {one.fileno(): (one, bytearray()) for one in sockets}
    deadline = time.monotonic() + _WAIT
    with select.epoll() as poll:
        for number in waiting:
            poll.register(number, select.EPOLLIN)
        while waiting:
            ready = poll.poll(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise WrongAnswer(f"{len(waiting)} held connections got no answer in {_WAIT} s")
            for number, _ in ready:
                one, got = waiting[number]
                with _named("a held connection is gone"):
                    data = one.recv(65536)
                if not data:
                    raise WrongAnswer("the server closed a held connection")
                got += data
                if complete(bytes(got)):
                    poll.unregister(number)
                    del waiting[number]
                    yield bytes(got)


def _complete(raw: bytes) -> bool:
    head, end, body = raw.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= _length(head)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise WrongAnswer(f"an answer without a length: {head[:200]!r}")


def _parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    return Answer(int(status.split()[1]), headers.get("content-type", ""), body, len(raw))
