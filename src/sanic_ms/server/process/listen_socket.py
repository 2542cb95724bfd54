"""Listening sockets: bound once, handed to whoever serves, and closed without losing anybody."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import select
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from sanic.server.socket import bind_unix_socket

__all__ = ["ListenSocket", "cannot_listen", "check_address", "is_occasional"]

# What another moment may mend; every other failure to listen means that the address is wrong.
_OCCASIONAL = frozenset(
    (errno.EADDRINUSE, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EINTR)
)


@dataclass(slots=True)
class ListenSocket:
    """A socket to listen on, and what is to be tidied up behind it.

    Attributes:
        socket: Bound. A TCP socket listens from `Server`'s first accept on, so that nobody is let
            in before the service has started; a unix socket listens at once.
        unix: The path of a unix socket, absolute.
        backlog: How many connections may wait for an accept.
    """

    socket: socket.socket
    unix: Path | None = None
    backlog: int = 1024
    _identity: tuple[int, int] | None = None

    @classmethod
    def bind(
        cls,
        host: str | None,
        port: int | None,
        *,
        unix: str | os.PathLike[str] | None = None,
        backlog: int = 1024,
        reuse_port: bool = False,
    ) -> ListenSocket:
        """Bind to an address.

        Args:
            reuse_port: Let several services of this user listen on the port at once
                (``SO_REUSEPORT``); the kernel shares new connections out among them.

        Raises:
            OSError: it is taken, or no address of this machine.
        """
        if unix is not None:
            path = Path(unix).absolute()
            # The address of a unix socket holds some hundred bytes, so the shorter spelling counts.
            short = min(str(path), os.path.relpath(path), key=len)
            bound = bind_unix_socket(short, backlog=backlog)
            return cls(bound, path, backlog, _identify(path))
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            # Connections of a service that has just stopped do not keep the next one from starting.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
        return cls(bound, None, backlog)

    @property
    def address(self) -> str:
        """The address as one writes it: ``http://127.0.0.1:8000`` without the scheme, or the path
        of a unix socket."""
        if self.socket.family == socket.AF_UNIX:
            return str(self.unix or self.socket.getsockname())
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def refuse_new(self) -> None:
        """Let no new client begin to connect; those that have may finish, and be accepted.

        Closing a listening socket resets every connection that waits in its queue, and one may
        come between the last accept and the close. So the kernel is told to drop the packets that
        open a connection: the client sends them again after a second, and finds the next service,
        or nobody. Of a unix socket the path goes. Where the kernel cannot filter, nothing happens.
        """
        if self.unix is not None:
            self._unlink()
        elif self.socket.family != socket.AF_UNIX and sys.platform == "linux":
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _NO_SYN)

    def has_waiting(self) -> bool:
        """Whether a connection waits to be accepted."""
        if self.socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return any(event & select.POLLIN for _, event in poll.poll(0))

    def share(self) -> ListenSocket:
        """The same place with a descriptor of its own, that is closed on its own."""
        return ListenSocket(self.socket.dup(), self.unix, self.backlog, self._identity)

    def close(self, *, unlink: bool = True) -> None:
        """Close the socket; calling it again does nothing.

        Args:
            unlink: Whether a unix socket's path goes too; it stays where another service has
                taken it over.
        """
        if unlink:
            self._unlink()
        self.socket.close()

    def _unlink(self) -> None:
        if self.unix is not None and self._identity == _identify(self.unix):
            with contextlib.suppress(FileNotFoundError):
                self.unix.unlink()


def check_address(host: str | None, port: int | None, unix: str | None = None) -> None:
    """Find out whether one could listen there; nothing is left behind.

    Raises:
        OSError: one cannot. See `cannot_listen` and `is_occasional`.
    """
    if unix is None:
        ListenSocket.bind(host, port).close()
        return
    path = Path(unix).absolute()
    if path.exists() and not path.is_socket():
        raise FileExistsError(f"Existing file is not a socket: {unix}")
    # Beside it, for the socket itself may be another service's that is to be replaced.
    beside = path.with_name(f".{secrets.token_hex(4)}")
    beside = beside.with_name(beside.name.ljust(len(path.name), "_"))
    ListenSocket.bind(None, None, unix=beside, backlog=1).close()


def is_occasional(exc: OSError) -> bool:
    """Whether the address is well, and cannot be listened on at the moment: it is in use, say."""
    return exc.errno in _OCCASIONAL


def cannot_listen(
    exc: OSError, host: str | None, port: int | None, unix: str | None, *, prefix: str = ""
) -> str:
    """One line about an address that cannot be listened on, and what to do.

    Args:
        prefix: Of the names of the settings: ``ADMIN_``.
    """
    why = exc.strerror or exc
    if unix is not None:
        return f"cannot listen on UNIX={str(unix)!r}: {why}"
    if isinstance(exc, socket.gaierror):
        return f"{prefix}HOST={host!r} is not known: {why}"
    if exc.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what listens there, or set {prefix}PORT"
    setting = f" ({prefix}PORT)" if prefix else ""
    return f"cannot listen on {host}:{port}{setting}: {why}"


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


# A packet filter in classic BPF: a TCP segment with SYN and without ACK is dropped, the rest
# passes. See "Linux Socket Filtering" in the kernel's documentation; a process may do that to its
# own sockets without any privilege.
_SO_ATTACH_FILTER = 26
_PROGRAM = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # the byte of the TCP header that holds the flags
        (0x54, 0, 0, 0x12),  # of which SYN and ACK
        (0x15, 0, 1, 0x02),  # are SYN alone?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # keep
    )
)
_MEMORY = ctypes.create_string_buffer(_PROGRAM)  # the kernel copies it when it is attached
_NO_SYN = struct.pack("HP", len(_PROGRAM) // 8, ctypes.addressof(_MEMORY))
