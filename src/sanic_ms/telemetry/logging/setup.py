"""Logging of a process, set up once, when its service starts."""

from __future__ import annotations

import logging
import logging.config
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from sanic_ms.config import Settings
from sanic_ms.exception import ConfigError
from sanic_ms.telemetry.logging.access import Access, access_log
from sanic_ms.telemetry.logging.files import fill_in, read_config
from sanic_ms.telemetry.logging.handler import QueuedHandler, sole_handler
from sanic_ms.telemetry.redaction import redactor

__all__ = ["configure_logging", "flush_logs", "lost_lines", "reset_logging"]

log = logging.getLogger("sanic_ms.telemetry")

# Those to which Sanic gives handlers when a plain application is made.
_OF_SANIC = ("sanic.root", "sanic.access", "sanic.error", "sanic.server", "sanic.websockets")


class _Setup:
    """What was set up in this process, and how it was before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.done = False
        self.redact: set[str] = set()
        self.levels: dict[str | None, int] = {}
        self.handlers: list[tuple[str | None, logging.Handler]] = []
        self.removed: list[tuple[str, logging.Handler, int]] = []  # with the logger's level


_setup = _Setup()


def configure_logging(
    settings: Settings, service: str, *, handlers: bool = True, forwarded: bool = False
) -> None:
    """Set logging up as the settings say.

    Handlers and levels are set once in a process: the first service that starts gives them. They
    are left alone where the application has set up logging by itself, which is when the root logger
    has a handler, unless ``LOG_CONFIG`` names a file. Which answers the access log holds is taken
    at each call. Names to redact add up: what one service hides, another of the process does not
    show.

    Args:
        settings: The service's settings.
        service: Its name, for each line.
        handlers: Whether handlers and levels are ours to set at all.
        forwarded: Whether a proxy says who the client is.

    Raises:
        ConfigError: ``LOG_CONFIG`` cannot be read or is no configuration.
        MissingDependency: it is YAML, and PyYAML is not installed.
    """
    with _setup.lock:
        _setup.redact.update(settings.redact)
        redactor.use(_setup.redact)
        if handlers and not _setup.done:
            _set_up(settings, service)
        access_log.use(
            ratio=settings.access_log_sample,
            slow=settings.access_log_slow,
            forwarded=forwarded,
            put=_short_way(),
        )


def flush_logs() -> None:
    """Wait until what was logged is written, for 2 seconds at most."""
    for handler in _queued():
        handler.flush()


def lost_lines() -> int:
    """How many lines this process has lost: too many waited, or the output refused them."""
    return sum(handler.writer.dropped + handler.writer.failed for handler in _queued())


def reset_logging() -> None:
    """Take back what `configure_logging` has set, for tests. Not what a ``LOG_CONFIG`` has."""
    with _setup.lock:
        flush_logs()
        for name, handler in _setup.handlers:
            logging.getLogger(name).removeHandler(handler)
        for name, level in _setup.levels.items():
            logging.getLogger(name).setLevel(level)
        for of_sanic, handler, level in reversed(_setup.removed):
            logging.getLogger(of_sanic).addHandler(handler)
            logging.getLogger(of_sanic).setLevel(level)
        _setup.levels, _setup.handlers, _setup.removed, _setup.done = {}, [], [], False
        _setup.redact = set()
        access_log.use()
        redactor.use(())


def _set_up(settings: Settings, service: str) -> None:
    if settings.log_config is None and logging.root.handlers:
        if settings.log_format != "auto":
            log.warning(
                "LOG_FORMAT=%s has no effect: the application has set up logging itself",
                settings.log_format,
            )
        return
    names = {name.upper(): value for name, value in msgspec.structs.asdict(settings).items()}
    config = fill_in(read_config(settings.log_config), {**names, "SERVICE": service})
    _remove_handlers_of_sanic()
    if settings.log_config is None:
        _add(config)
        if settings.debug:
            for name in ("sanic", "sanic_ms"):
                logging.getLogger(name).setLevel(logging.DEBUG)
    else:
        config.setdefault("version", 1)
        config.setdefault("disable_existing_loggers", False)
        try:
            logging.config.dictConfig(config)
        except (ValueError, TypeError, AttributeError, ImportError) as exc:
            reason = f"{exc}: {exc.__cause__}" if exc.__cause__ else str(exc)
            raise ConfigError(f"LOG_CONFIG={settings.log_config!r}: {reason}") from exc
    _setup.done = True


def _remove_handlers_of_sanic() -> None:
    """Take from Sanic's loggers what a plain Sanic application of this process has set there: each
    line would come twice, as the root logger's handlers write it too."""
    for name in _OF_SANIC:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if type(handler.formatter).__module__.startswith("sanic.logging."):
                _setup.removed.append((name, handler, logger.level))
                logger.removeHandler(handler)
                logger.setLevel(logging.NOTSET)


def _add(config: dict[str, Any]) -> None:
    """Apply the shipped configuration, and leave all that it does not name as it is.

    `logging.config.dictConfig` would close every handler of the process and set back the levels of
    loggers below those that it names: an application may have made both before it starts.
    """
    made: Any = logging.config.DictConfigurator(config)
    for section, make in (
        ("formatters", made.configure_formatter),
        ("handlers", made.configure_handler),
    ):
        entries = made.config[section]
        for name in entries:
            entries[name] = make(entries[name])  # what is looked up is converted: "ext://…"
    for name, entry in ((None, config["root"]), *config["loggers"].items()):
        logger = logging.getLogger(name)
        _setup.levels[name] = logger.level
        if logger.level == (logging.WARNING if name is None else logging.NOTSET):
            logger.setLevel(entry["level"])  # or the application has set it
        for key in entry.get("handlers", ()):
            handler = made.config["handlers"][key]
            logger.addHandler(handler)
            _setup.handlers.append((name, handler))


def _queued() -> list[QueuedHandler]:
    found: dict[int, QueuedHandler] = {}
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, QueuedHandler):
                found[id(handler)] = handler
    return list(found.values())


def _short_way() -> Callable[[Access], None] | None:
    """The way of access lines past the `logging` module, where it is open."""
    logger = logging.getLogger("sanic.access")
    # Sanic's own filter looks at an attribute that access lines have not.
    if any(not type(entry).__module__.startswith("sanic.") for entry in logger.filters):
        return None
    handler = sole_handler(logger, logging.INFO)
    return None if handler is None else handler.writer.put
