"""The life of a service's parts: start in order, stop in reverse, say how they are.

A pool, a client, an exporter, a scheduler: each is a `Component`. The service enters them one
after the other on a `Lifecycle`; if one fails to start, those before it are stopped again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum
from typing import Literal

import msgspec

from sanic_ms.awake import wait_awake
from sanic_ms.exception import ConfigError, LifecycleError, MissingDependency

__all__ = ["Component", "Health", "Lifecycle", "State"]

log = logging.getLogger("sanic_ms.lifecycle")


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a component is.

    Attributes:
        status: ``"up"``; ``"degraded"`` works with a loss and keeps the service ready;
            ``"down"`` makes it not ready.
        detail: One line for an operator; no secret, no address with a password.
        latency_ms: How long the check took, in milliseconds.
    """

    status: Literal["up", "degraded", "down"]
    detail: str = ""
    latency_ms: float | None = None


class Component(ABC):
    """A part of a service that has a life.

    `start` and `stop` run once each, on the event loop that serves requests. `name` shows in
    health answers and logs; give each instance its own where there are several.
    """

    name: str = "component"

    @abstractmethod
    async def start(self) -> None:
        """Get ready. Raise to stop the service's start; say why in the exception's text."""

    async def leave(self) -> None:  # noqa: B027 (most parts have nothing to do)
        """A stop was announced: take no new work, as a registry that takes its entry away.

        Requests are still served, for as long as they take. Default: nothing.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Give everything back. It must not fail when `start` failed half-way or never ran."""

    async def check(self) -> Health:
        """How it is now: cheap, and with a limit of its own in time. Default: up."""
        return Health("up")


class State(Enum):
    """Where a `Lifecycle` stands."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Lifecycle:
    """The components of one service, in the order in which they start.

    Args:
        check_timeout: Seconds that one component's `Component.check` may take before it counts
            as down. Default 1.
        stop_timeout: Seconds that one component's `Component.stop` may take before it is
            cancelled and the next is stopped. Default 10.
    """

    def __init__(self, *, check_timeout: float = 1.0, stop_timeout: float = 10.0) -> None:
        self.state = State.NEW
        self.check_timeout = check_timeout
        self.stop_timeout = stop_timeout
        self._components: list[Component] = []
        self._started: list[Component] = []
        self._entered: list[Component] = []
        self._leaving = False

    def __iter__(self) -> Iterator[Component]:
        return iter(self._components)

    def __contains__(self, component: object) -> bool:
        return any(part is component for part in self._components)

    @property
    def is_open(self) -> bool:
        """Whether `enter` is the way in now, and not `add`."""
        return self.state in (State.STARTING, State.RUNNING)

    @property
    def ready(self) -> bool:
        """Whether new work may come: everything has started, and no stop was announced."""
        return self.state is State.RUNNING and not self._leaving

    def add(self, component: Component, *, first: bool = False) -> None:
        """Take a component in; it starts after those added before it. Adding one twice is once.

        Args:
            component: The component.
            first: Let it start before all others, and stop after them.

        Raises:
            LifecycleError: start has begun. Use `enter` then.
            TypeError: it is not a `Component`.
        """
        self._check_type(component)
        if component in self:
            return
        if self.state not in (State.NEW, State.STOPPED):
            raise LifecycleError(
                f"cannot add {component.name!r}: the service is {self.state.value}; "
                "await enter(component) starts one late"
            )
        self._components.insert(0 if first else len(self._components), component)

    async def enter(self, component: Component) -> None:
        """Take a component in while the service runs, and start it at once.

        Raises:
            LifecycleError: the service has not started, or stops.
        """
        self._check_type(component)
        if not self.is_open:
            raise LifecycleError(
                f"cannot enter {component.name!r}: the service is {self.state.value}"
            )
        if component in self:
            return
        # It is listed first, so that a stop that comes while it starts will stop it too.
        self._components.append(component)
        self._entered.append(component)
        try:
            await self._start_one(component)
        except BaseException:
            self._forget(component)
            raise

    async def start(self) -> None:
        """Start every component in order.

        Raises:
            LifecycleError: one failed, or start was called on a service that runs. Those that had
                started are stopped again, in reverse, before the error is raised.
        """
        if self.state not in (State.NEW, State.STOPPED):
            raise LifecycleError(f"cannot start: the service is {self.state.value}")
        self.state = State.STARTING
        self._leaving = False
        try:
            # By index: a component may enter another while it starts.
            position = 0
            while position < len(self._components):
                component = self._components[position]
                if component not in self._started:
                    await self._start_one(component)
                position += 1
        except BaseException:
            await self.stop()
            raise
        self.state = State.RUNNING

    async def leave(self) -> None:
        """Announce a stop: `ready` turns false at once, and every started component hears of it.

        One that fails, or takes longer than ``check_timeout``, is logged and waited for no longer.
        Calling it again does nothing.
        """
        if self._leaving:
            return
        self._leaving = True
        await asyncio.gather(*map(self._leave_one, self._started))

    async def stop(self) -> None:
        """Stop what has started, in reverse. One that fails is logged and the rest go on.

        Parts that came by `enter` are forgotten: whoever entered them will do so again at the next
        start. Calling it again does nothing.
        """
        if self.state in (State.NEW, State.STOPPING, State.STOPPED):
            return
        self.state = State.STOPPING
        while self._started:
            component = self._started.pop()
            # A task of its own: a part that cancels itself is a part that failed, no more.
            stopping = asyncio.ensure_future(component.stop())
            done, _ = await wait_awake([stopping], self.stop_timeout)
            if not done:
                stopping.cancel()
                log.error("%s did not stop within %g s", component.name, self.stop_timeout)
            elif stopping.cancelled() or stopping.exception() is not None:
                reason = "cancelled" if stopping.cancelled() else stopping.exception()
                log.error("%s failed to stop: %r", component.name, reason)
        for component in list(self._entered):
            self._forget(component)
        self.state = State.STOPPED

    async def check(self) -> dict[str, Health]:
        """The health of every component by name, all asked at once.

        A check that raises or takes longer than ``check_timeout`` is ``down``. Of several with one
        name the later have a number behind it: ``client``, ``client-2``.
        """
        components = list(self._components)
        results = await asyncio.gather(*map(self._check_one, components))
        found: dict[str, Health] = {}
        for part, health in zip(components, results, strict=True):
            name, number = part.name, 1
            while name in found:  # or one that is well would hide one that is down
                number += 1
                name = f"{part.name}-{number}"
            found[name] = health
        return found

    def _forget(self, component: Component) -> None:
        for parts in (self._components, self._entered):
            if component in parts:
                parts.remove(component)

    async def _start_one(self, component: Component) -> None:
        # Listed before it starts: a start that fails half-way has things to give back as well.
        self._started.append(component)
        try:
            await component.start()
        except (ConfigError, LifecycleError, MissingDependency):
            raise  # its text says what to do already
        except Exception as exc:
            raise LifecycleError(f"{component.name} did not start: {exc}") from exc

    async def _leave_one(self, component: Component) -> None:
        try:
            async with asyncio.timeout(self.check_timeout):
                await component.leave()
        except Exception as exc:
            log.error("%s failed to leave: %r", component.name, exc)

    async def _check_one(self, component: Component) -> Health:
        begin = time.perf_counter()
        try:
            async with asyncio.timeout(self.check_timeout):
                health = await component.check()
        except TimeoutError:
            health = Health("down", f"no answer within {self.check_timeout:g} s")
        except Exception as exc:
            health = Health("down", str(exc) or type(exc).__name__)
        elapsed = (time.perf_counter() - begin) * 1000
        return msgspec.structs.replace(health, latency_ms=round(elapsed, 3))

    @staticmethod
    def _check_type(component: object) -> None:
        if not isinstance(component, Component):
            raise TypeError(f"{component!r} is not a Component (sanic_ms.lifecycle.Component)")
