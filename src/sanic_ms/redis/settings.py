"""A Redis URL, checked without the library."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

__all__ = ["RedisURL"]

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_SENTINEL_PORT = 26379
_PORT = 6379


@dataclass(frozen=True, slots=True)
class RedisURL:
    """The parts of a Redis URL.

    Attributes:
        scheme: ``redis``, ``rediss`` (TLS), ``unix``, or one of the first two with ``+sentinel``.
        hosts: Host and port of the server, or of each Sentinel; empty for a socket.
        username, password: Of the ACL user; empty where the URL has none.
        database: The number of the database.
        master: The name that the Sentinels know the server by.
        text: The URL itself, for the library; with the password.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    username: str
    password: str
    database: int
    master: str
    text: str

    @classmethod
    def parse(cls, text: str) -> RedisURL:
        """The parts of a URL.

        Args:
            text: ``redis://[user:password@]host[:port][/database]``, ``rediss://…`` for TLS,
                ``unix:///path``, or ``redis+sentinel://host[:port],host…/master[/database]``.
                Options of redis-py may follow a ``?``.

        Raises:
            TypeError: it is no text.
            ValueError: it is no such URL. The message does not hold the password.
        """
        if not isinstance(text, str):
            raise TypeError(f"a Redis URL is a text, not {type(text).__name__}")
        scheme, separator, rest = text.partition("://")
        if not separator or scheme not in _SCHEMES:
            raise ValueError(
                "a Redis URL begins with redis://, rediss://, unix:// or redis+sentinel://"
            )
        user, hosts = "", rest.partition("?")[0]
        path = ""
        if scheme != "unix":
            hosts, _, path = hosts.partition("/")
        if "@" in hosts:
            user, _, hosts = hosts.rpartition("@")
        username, _, password = user.partition(":")
        pieces = [piece for piece in path.split("/") if piece]
        master = ""
        if scheme.endswith("sentinel"):
            if not pieces:
                raise ValueError(
                    "a Sentinel URL names the master: redis+sentinel://host:26379/mymaster/0"
                )
            master = unquote(pieces.pop(0))
        if len(pieces) > 1 or (pieces and not pieces[0].isdecimal()):
            raise ValueError(
                "the path of a Redis URL is the number of the database: redis://host/0"
            )
        port = _SENTINEL_PORT if master else _PORT
        return cls(
            scheme,
            () if scheme == "unix" else tuple(_host(host, port) for host in hosts.split(",")),
            unquote(username),
            unquote(password),
            int(pieces[0]) if pieces else 0,
            master,
            text,
        )

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.scheme.startswith("rediss")

    @property
    def masked(self) -> str:
        """The URL without its user, password and options, for messages."""
        if self.scheme == "unix":
            return f"unix://{self.text.partition('://')[2].partition('?')[0].rpartition('@')[2]}"
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        master = f"{self.master}/" if self.master else ""
        return f"{self.scheme}://{hosts}/{master}{self.database}"

    def __repr__(self) -> str:
        return f"<RedisURL {self.masked}>"


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, given = parts.hostname, parts.port
    except ValueError:
        host = given = None
    if not host or parts.path or parts.query:
        raise ValueError("a Redis URL needs a host and a port from 1 to 65535: redis://host:6379/0")
    return host, given or port
