"""``app.use``: plugins."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from sanic_ms import Component, Plugin, Service
from sanic_ms.exception import LifecycleError
from sanic_ms.testing import TestClient


@pytest.fixture
def app() -> Service:
    """A service that no other test has."""
    return Service(f"service_{uuid.uuid4().hex}", configure_logging=False)


class Clock(Component):
    """A component of a plugin's."""

    name = "clock"
    running = False

    async def start(self) -> None:
        """Run."""
        self.running = True

    async def stop(self) -> None:
        """Stop."""
        self.running = False


class ClockPlugin:
    """A plugin without a base class."""

    def __init__(self) -> None:
        self.clock = Clock()

    def setup(self, app: Service) -> None:
        """Add a component, a type and a route."""
        app.add(self.clock)
        app.provide(Clock, self.clock)

        @app.get("/clock")
        async def show(request: Any, clock: Clock) -> bool:
            return clock.running


async def test_a_plugin_sets_itself_up(app: Service) -> None:
    """Its component runs with the service, and handlers get its type."""
    plugin = ClockPlugin()
    app.use(plugin)
    assert list(app.plugins) == [plugin]
    async with TestClient(app) as client:
        assert (await client.get("/clock")).json["data"] is True
    assert not plugin.clock.running


def test_a_class_is_refused(app: Service) -> None:
    """The text says what to write."""
    with pytest.raises(TypeError, match=r"not the class: use\(ClockPlugin\(…\)\)"):
        app.use(ClockPlugin)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, "clock", 3])
def test_what_has_no_setup_is_refused(app: Service, value: Any) -> None:
    """Whatever it is."""
    with pytest.raises(TypeError, match="a plugin has a method setup"):
        app.use(value)


def test_an_async_setup_is_refused(app: Service) -> None:
    """It would never be awaited."""

    class Late:
        async def setup(self, app: Service) -> None:
            pass

    with pytest.raises(TypeError, match="async def"):
        app.use(Late())  # type: ignore[arg-type]


def test_a_plugin_is_used_once(app: Service) -> None:
    """The same object twice is refused; two of one class are two plugins."""

    class Empty:
        def setup(self, app: Service) -> None:
            pass

    first = Empty()
    app.use(first)
    app.use(Empty())
    with pytest.raises(LifecycleError, match="in use already"):
        app.use(first)
    assert len(list(app.plugins)) == 2


async def test_a_running_service_takes_no_plugin(app: Service) -> None:
    """Its routes are compiled and its components have started."""
    async with TestClient(app):
        with pytest.raises(LifecycleError, match="before it starts"):
            app.use(ClockPlugin())
    assert list(app.plugins) == []


def test_a_setup_that_fails_is_no_use(app: Service) -> None:
    """Its error goes through, and it may be used again; equal plugins are not mixed up."""

    class Equal:
        fails = False

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Equal)

        def setup(self, app: Service) -> None:
            if self.fails:
                raise ValueError("no address")

    good, bad = Equal(), Equal()
    bad.fails = True
    app.use(good)
    with pytest.raises(ValueError, match="no address"):
        app.use(bad)
    assert [plugin is good for plugin in app.plugins] == [True]
    bad.fails = False
    app.use(bad)


def test_a_subclass_without_setup_cannot_be_made() -> None:
    """`Plugin` as a base class finds that early."""

    class Nothing(Plugin):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Nothing()  # type: ignore[abstract]


def test_a_plugin_uses_others(app: Service) -> None:
    """In its setup, by class: the one in use, or one with its defaults."""

    class Outer:
        def setup(self, app: Service) -> None:
            self.inner = app.plugins.obtain(ClockPlugin)

    outer = Outer()
    app.use(outer)
    assert app.plugins.obtain(ClockPlugin) is outer.inner
    assert app.plugins.get(ClockPlugin) is outer.inner
    assert app.plugins.get(Clock) is None
    assert list(app.plugins) == [outer, outer.inner]
