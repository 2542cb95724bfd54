"""Sanic Extensions (sanic-ext) on a service: where they are asked for, and beside what the service
has itself."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Mapping
from typing import Any

from sanic import Sanic
from sanic.application.ext import setup_ext
from sanic.config import Config

from sanic_ms.config import Loaded, Settings

__all__ = ["ExtendableSanic", "Extensions"]

_UNUSED = "sanic-ext is installed and not used: AUTO_EXTEND=true or app.extend() turns it on"

# What a service has itself, by the name that turns it on in Sanic Extensions.
_OWN = {
    "OAS": "sanic-ext's API docs are off beside ours: OAS=true, with OAS_URL_PREFIX, has both",
    "CORS": "sanic-ext's CORS is off beside ours: CORS=true turns it on",
}


class Extensions:
    """Whether a service uses Sanic Extensions, and how.

    What a service has itself (API docs, CORS) stays off in them unless the application turns it on.
    Settings of the service are not theirs where both have the same name.

    Args:
        app: The service.
        settings: The class of its settings.
    """

    def __init__(self, app: Any, settings: type[Settings]) -> None:
        self._app = app
        self._names = frozenset(name.upper() for name in settings.__struct_fields__)
        self._left_to_service: list[str] = []

    @property
    def in_use(self) -> bool:
        """Whether they are set up."""
        return getattr(self._app, "_ext", None) is not None

    def set_up(self, keywords: Mapping[str, Any]) -> Any:
        """Set them up, whatever ``AUTO_EXTEND`` says.

        Args:
            keywords: As for Sanic's ``app.extend``.

        Raises:
            RuntimeError: they are not installed, or are set up already.
        """
        app = self._app
        if self.in_use:
            raise RuntimeError("Sanic Extensions are set up already: call app.extend() earlier")
        own = app.config
        app.config = view = self._view(own, keywords.get("config"))
        try:
            extension = setup_ext(app, fail=True, **keywords)
        except BaseException:
            with contextlib.suppress(AttributeError):
                del app._ext  # or Sanic takes them for set up
            raise
        finally:
            app.config = own
        names = {*self._names, *own}
        own.update({name: value for name, value in view.items() if name not in names})
        return extension

    def follow(self, loaded: Loaded[Any]) -> None:
        """Do what the settings say; before Sanic, which sets them up in its own way."""
        self._free_names(loaded)
        if loaded.settings.auto_extend and not self.in_use:
            self.set_up({})

    def _free_names(self, loaded: Loaded[Any]) -> None:
        """Take the defaults of ``CORS_…`` out of ``app.config`` where the service has no CORS. The
        libraries for it (sanic-cors, sanic-ext) read these names, and have other defaults."""
        if loaded.settings.cors_origins:
            return
        for name, source in loaded.sources.items():
            if name.startswith("CORS_") and source == "default":
                self._app.config.pop(name, None)

    def hints(self) -> list[str]:
        """Lines for the log of a service that has started."""
        if self.in_use:
            return self._left_to_service
        return [] if importlib.util.find_spec("sanic_ext") is None else [_UNUSED]

    def _view(self, config: Config, given: Any) -> Config:
        """The configuration that Sanic Extensions see while they are set up."""
        view = Config(env_prefix=None)
        view.update(config)
        view.pop("HEALTH", None)  # the service's own, which is on
        for name, value in config.items():
            if name.startswith("CORS_") and isinstance(value, list | tuple):
                view[name] = ",".join(value)  # as they read it
        view["AUTO_EXTEND"] = True
        asked = {*config, *(name.upper() for name in given or ())}
        for name in _OWN.keys() - asked:
            view[name] = False
        self._left_to_service = [line for name, line in _OWN.items() if name not in asked]
        return view


class ExtendableSanic(Sanic[Any, Any]):
    """Sanic's ``app.ext`` and ``app.extend()`` for a service. Sanic's own give nothing where
    ``AUTO_EXTEND`` is off."""

    __slots__ = ()
    _extensions: Extensions
    _ext: Any

    @property
    def ext(self) -> Any:
        """Sanic Extensions, as on Sanic; they are set up at the first look."""
        return self._ext if self._extensions.in_use else self.extend()

    def extend(self, **keywords: Any) -> Any:
        """Set Sanic Extensions up, as on Sanic, whatever ``AUTO_EXTEND`` says.

        Raises:
            RuntimeError: they are not installed, or are set up already.
        """
        return self._extensions.set_up(keywords)
