"""Database URLs: one reading of them for the pool, for migrations and for the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from sanic_ms.values.entry_points import DRIVERS, entry_names

__all__ = ["DatabaseURL"]

_SCHEMES = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
_PORTS = {"postgresql": 5432, "mysql": 3306}
_SECRETS = ("password", "passwd", "secret", "token")
_CONFIG_KEYS = {"host", "user", "password", "port", "database"}


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """Where a database is and how to log in.

    Attributes:
        scheme: ``"postgresql"``, ``"mysql"``, ``"sqlite"``, or that of another package's driver.
        database: The database's name; for SQLite the file's path, or ``":memory:"``.
        host: Name or address; for PostgreSQL and MySQL a leading ``/`` means a unix socket.
        port: TCP port; 0 where another package's driver has its default.
        user, password: None where not given.
        options: What stood behind ``?``, for the driver.
    """

    scheme: str
    database: str
    host: str = ""
    port: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: str | Mapping[str, Any] | DatabaseURL) -> DatabaseURL:
        """Read a URL, or a mapping ``{host, user, password, port, database}`` (PostgreSQL).

        Forms: ``postgresql://user:password@host:5432/name?option=value``, ``mysql://…`` alike,
        ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://:memory:`` (also
        ``sqlite://``). The schemes of other packages' drivers are read like the first, with all
        parts optional. User, password and name may be percent-encoded. ``host=/run/dir`` among the
        options is a unix socket's folder.

        Raises:
            ValueError: it is none of these. The text names what is wrong and never the password.
        """
        if isinstance(value, DatabaseURL):
            return value
        if isinstance(value, Mapping):
            return cls._from_mapping(value)
        if not isinstance(value, str) or "://" not in value:
            raise ValueError(
                "not a database URL (write postgresql://user:password@host:5432/name, "
                "mysql://user:password@host:3306/name or sqlite:///file.db)"
            )
        name, _, rest = value.partition("://")
        # "postgresql+asyncpg://" is what other tools write: the part behind + is theirs.
        scheme = _scheme_of(name.partition("+")[0].lower())
        if scheme == "sqlite":
            return cls._parse_sqlite(rest)
        try:
            parts = urlsplit(value)
            port = parts.port or _PORTS.get(scheme, 0)
        except ValueError:
            # The exception's own text may hold what it took for the port: part of a password.
            raise ValueError(
                f"not a {scheme} URL: the host or the port cannot be read (/, ?, # and @ in a user "
                "name or a password are written %2F, %3F, %23 and %40)"
            ) from None
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        is_ours = scheme in _PORTS
        host = options.pop("host", "") or parts.hostname or ("127.0.0.1" if is_ours else "")
        database = unquote(parts.path[1:])
        if not database and is_ours:
            raise ValueError(f"the {scheme} URL names no database (…://host:{port}/NAME)")
        return cls(
            scheme,
            database,
            host,
            port,
            None if parts.username is None else unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
            options,
        )

    @classmethod
    def _parse_sqlite(cls, rest: str) -> DatabaseURL:
        path, _, query = rest.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        if path in ("", "/", ":memory:", "/:memory:"):
            return cls("sqlite", ":memory:", options=options)
        if not path.startswith("/"):
            if "@" in path:
                raise ValueError("a sqlite URL has no user and no host (sqlite:///file.db)")
            raise ValueError(
                f"sqlite://{path}: write three slashes for a relative file (sqlite:///{path}), "
                "four for an absolute one"
            )
        return cls("sqlite", unquote(path[1:]), options=options)

    @classmethod
    def _from_mapping(cls, value: Mapping[str, Any]) -> DatabaseURL:
        unknown = set(value) - _CONFIG_KEYS
        if unknown:
            raise ValueError(
                f"unknown keys {', '.join(sorted(map(repr, unknown)))} "
                f"(allowed: {', '.join(sorted(_CONFIG_KEYS))})"
            )
        if not value.get("database"):
            raise ValueError("the key 'database' is missing")
        try:
            port = int(value.get("port") or _PORTS["postgresql"])
        except (TypeError, ValueError):
            raise ValueError(f"port={value['port']!r} is not a number") from None
        return cls(
            "postgresql",
            str(value["database"]),
            str(value.get("host") or "127.0.0.1"),
            port,
            value.get("user"),
            value.get("password"),
        )

    @property
    def masked(self) -> str:
        """The URL with ``***`` for the password: for logs, health answers and messages."""
        options = {
            name: "\0" if any(word in name.lower() for word in _SECRETS) else value
            for name, value in self.options.items()
        }
        password = None if self.password is None else "\0"
        return replace(self, password=password, options=options).url.replace("%00", "***")

    @property
    def url(self) -> str:
        """The URL, with the password. `parse` of it gives an equal value."""
        options = dict(self.options)
        if self.scheme == "sqlite":
            path = self.database if self.database == ":memory:" else f"/{quote(self.database)}"
            return f"sqlite://{path}{_query(options)}"
        netloc = ""
        if self.user is not None:
            netloc = quote(self.user, safe="")
            if self.password is not None:
                netloc += f":{quote(self.password, safe='')}"
            netloc += "@"
        if self.host.startswith("/"):
            options["host"] = self.host
        else:
            netloc += f"[{self.host}]" if ":" in self.host else self.host
        if self.port:
            netloc += f":{self.port}"
        return f"{self.scheme}://{netloc}/{quote(self.database, safe='')}{_query(options)}"

    def __str__(self) -> str:
        return self.masked


def _scheme_of(name: str) -> str:
    """The scheme of what stands before ``://``.

    Raises:
        ValueError: no driver has it.
    """
    scheme = _SCHEMES.get(name)
    if scheme is not None:
        return scheme
    further = entry_names(DRIVERS)
    if name in further:
        return name
    # What stands there may be anything, a password among it.
    kind = f" {name!r}" if name.isidentifier() else ""
    allowed = ", ".join(["postgresql", "mysql", "sqlite", *further])
    raise ValueError(f"unknown kind of database{kind} (allowed: {allowed})")


def _query(options: Mapping[str, str]) -> str:
    return f"?{urlencode(options)}" if options else ""
