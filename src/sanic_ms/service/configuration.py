"""Sanic's ``app.config`` as a source of settings: what code sets there counts."""

from __future__ import annotations

import contextlib
import functools
import logging
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec
from sanic.config import DEFAULT_CONFIG, Config

from sanic_ms.config import Loaded, Settings, load_settings
from sanic_ms.server.http1.limits import Limits

__all__ = ["Configuration"]

log = logging.getLogger("sanic_ms.service")

_OWNERS = "_sanic_ms_owners"

# Read from `app.config` when the server takes its first connection, or at each request.
_READ_LATE = frozenset(
    {
        *(name.upper() for name in Limits.__slots__),
        "ACCESS_LOG",
        "AUTO_RELOAD",
        "GRACEFUL_SHUTDOWN_TIMEOUT",
        "PROXY_HEADERS",
        "REQUEST_MAX_FORM_FIELD_SIZE",
        "REQUEST_MAX_FORM_PARTS",
        "TRUSTED_PROXIES",
        "UPLOAD_MEMORY_SIZE",
    }
)


class Configuration:
    """The settings of one service, and what code has set on its ``app.config``.

    Sanic's defaults stand in ``app.config`` from the beginning, so a value does not tell whether
    code has set it. The configuration object keeps what it is told.

    A name that ``app.config`` does not have yet is looked for in the settings, which are read for
    it: ``app.run(port=app.config["PORT"])``.

    Args:
        config: Sanic's configuration of the service; its class is replaced by one that keeps what
            is set.
        kind: The class of the settings.
        keywords: Sanic's arguments, as the service was given them.
        read: Has the settings read, with `load`.
    """

    def __init__(
        self,
        config: Config,
        kind: type[Settings],
        keywords: Mapping[str, Any],
        read: Callable[[], object],
    ) -> None:
        is_own = bool(keywords.get("config"))  # with values that the application may have set
        self._config = config
        self._kind = kind
        self._read = read
        self._env_prefix = None if is_own else keywords.get("env_prefix", ...)
        self._names = frozenset(field.name.upper() for field in msgspec.structs.fields(kind))
        self._untold = set(self._names - _READ_LATE)  # of which no warning has said anything yet
        self._loaded: Loaded[Any] | None = None
        self._is_paused = False
        self._changes: dict[str, Any] = {
            name: value
            for name, value in config.items()
            if name.isupper() and _is_set(name, value) and (is_own or name not in self._names)
        }
        _attach(config, self)

    def of(self, config: Config) -> Configuration:
        """This object, or one for the configuration that the application has put in the place of
        the first (``app.config = …``)."""
        if config is self._config:
            return self
        return Configuration(config, self._kind, {"config": config}, self._read)

    @property
    def changes(self) -> dict[str, Any]:
        """What code has set of the settings, by lower-case name."""
        if self._loaded is None:  # a dict's own methods take entries away unseen
            for name in self._changes.keys() - self._config.keys():
                del self._changes[name]
        return {name.lower(): value for name, value in self._changes.items() if name in self._names}

    def load(self, keywords: Mapping[str, Any]) -> Loaded[Any]:
        """Read the settings, and put them into ``app.config``.

        Args:
            keywords: The highest layer; see `load_settings`.

        Raises:
            ConfigError: a value is wrong.
        """
        loaded = load_settings(
            self._kind, keywords=keywords, config=self.changes, env_prefix=self._env_prefix
        )
        values = msgspec.structs.asdict(loaded.settings)
        in_code = {*self._changes} - {name.upper() for name in keywords}
        extra = {name: value for name, value in loaded.extra.items() if name not in in_code}
        with self.paused():
            # Sanic reads its own limits from here, and an application whatever it added.
            self._config.update({name.upper(): value for name, value in values.items()})
            self._config.update(extra)
        self._loaded = loaded
        return loaded

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let what is set in the block be no change of the application's."""
        before, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = before

    def look_up(self, name: str) -> None:
        """Read the settings, where a name that they may bring is missing."""
        if self._loaded is not None or self._is_paused or not isinstance(name, str):
            return
        if name.isupper() and not name.startswith("_"):
            self._read()

    def note(self, name: str, value: Any) -> None:
        """A value was set on ``app.config``."""
        if self._is_paused or not name.isupper():
            return
        if self._loaded is None:
            self._changes[name] = value
        elif name in self._untold:
            if value == getattr(self._loaded.settings, name.lower()):
                return
            self._untold.discard(name)
            log.warning(
                "app.config.%s was set after the settings were read, and does not count: set it "
                "before, or with app.configure(%s=…)",
                name,
                name.lower(),
            )


def _is_set(name: str, value: Any) -> bool:
    return name not in DEFAULT_CONFIG or value != DEFAULT_CONFIG[name]


class _Kept:
    """A configuration that tells of each value that is set on it."""

    def update(self, *others: Any, **values: Any) -> None:
        """As Sanic's."""
        for other in others:
            values.update(dict(other))
        super().update(**values)  # type: ignore[misc]
        for owner in vars(self)[_OWNERS]:
            for name, value in values.items():
                owner.note(name, value)

    def __missing__(self, name: str) -> Any:
        for owner in vars(self)[_OWNERS]:
            owner.look_up(name)
        if name in self:  # type: ignore[operator]
            return self[name]  # type: ignore[index]
        raise KeyError(name)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As a dict's; it sets what is not there."""
        if name not in self:  # type: ignore[operator]
            self.update({name: default})
        return self[name]  # type: ignore[index]

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """As Sanic's: a copy, or what another process gets, tells nothing."""
        reduced: Any = super().__reduce_ex__(protocol)
        _, _, state, items, entries = reduced
        state = {name: value for name, value in (state or {}).items() if name != _OWNERS}
        return _empty, (type(self).__mro__[2],), state or None, items, entries


def _empty(kind: type[Config]) -> Config:
    return kind.__new__(kind)


@functools.cache
def _kept(kind: type[Config]) -> type[Config]:
    module = {"__module__": kind.__module__}
    return cast("type[Config]", types.new_class(kind.__name__, (_Kept, kind), {}, module.update))


def _attach(config: Config, owner: Configuration) -> None:
    # The object stays the one that the application has; Sanic's own setter would make an entry.
    vars(config).setdefault(_OWNERS, []).append(owner)
    if not isinstance(config, _Kept):
        object.__setattr__(config, "__class__", _kept(type(config)))
