"""The life of components: order, failure half-way, health."""

from __future__ import annotations

import asyncio

import pytest

from sanic_ms.exception import LifecycleError
from sanic_ms.lifecycle import Component, Health, Lifecycle, State


class Part(Component):
    """Records what happens to it."""

    def __init__(self, name: str, events: list[str], *, fail: str = "") -> None:
        self.name = name
        self.events = events
        self.fail = fail

    async def start(self) -> None:
        self.events.append(f"start {self.name}")
        if self.fail == "start":
            raise OSError("no such host")

    async def stop(self) -> None:
        self.events.append(f"stop {self.name}")
        if self.fail == "stop":
            raise OSError("gone")
        if self.fail == "hang":
            await asyncio.Event().wait()

    async def check(self) -> Health:
        if self.fail == "check":
            raise OSError("gone")
        if self.fail == "slow check":
            await asyncio.Event().wait()
        return Health("up", "fine")


async def test_parts_start_in_order_and_stop_in_reverse() -> None:
    """What was added later may stand on what was added before, so it goes first."""
    events: list[str] = []
    life = Lifecycle()
    for name in "abc":
        life.add(Part(name, events))
    await life.start()
    assert life.state is State.RUNNING
    await life.stop()
    assert events == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


async def test_a_part_may_be_the_first() -> None:
    """It starts before all that were added before it, and stops after them."""
    events: list[str] = []
    life = Lifecycle()
    life.add(Part("a", events))
    life.add(Part("b", events), first=True)
    await life.start()
    await life.stop()
    assert events == ["start b", "start a", "stop a", "stop b"]


async def test_a_failed_start_stops_what_had_started() -> None:
    """Nothing stays behind a start that failed, and the error names the part."""
    events: list[str] = []
    life = Lifecycle()
    life.add(Part("a", events))
    life.add(Part("b", events, fail="start"))
    life.add(Part("c", events))
    with pytest.raises(LifecycleError, match="b did not start: no such host"):
        await life.start()
    assert events == ["start a", "start b", "stop b", "stop a"]
    assert life.state is State.STOPPED


async def test_a_cancelled_start_stops_what_had_started() -> None:
    """A start that is interrupted gives everything back too."""
    events: list[str] = []
    begun = asyncio.Event()

    class Slow(Part):
        async def start(self) -> None:
            await super().start()
            begun.set()
            await asyncio.Event().wait()

    life = Lifecycle()
    life.add(Part("a", events))
    life.add(Slow("b", events))
    task = asyncio.create_task(life.start())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == ["start a", "start b", "stop b", "stop a"]


async def test_one_that_fails_to_stop_does_not_keep_the_others() -> None:
    """Every part gets its stop, whatever the others do."""
    events: list[str] = []
    life = Lifecycle(stop_timeout=0.02)
    life.add(Part("a", events))
    life.add(Part("b", events, fail="stop"))
    life.add(Part("c", events, fail="hang"))
    await life.start()
    await life.stop()
    assert events[-3:] == ["stop c", "stop b", "stop a"]


async def test_stopping_twice_and_starting_again() -> None:
    """A second stop does nothing; a stopped life can start again; a running one cannot."""
    events: list[str] = []
    life = Lifecycle()
    part = Part("a", events)
    life.add(part)
    life.add(part)
    await life.stop()
    await life.start()
    with pytest.raises(LifecycleError, match="cannot start: the service is running"):
        await life.start()
    await life.stop()
    await life.stop()
    await life.start()
    await life.stop()
    assert events == ["start a", "stop a"] * 2


async def test_a_part_may_enter_while_the_service_runs() -> None:
    """It starts at once, and it stops before those that were there."""
    events: list[str] = []
    life = Lifecycle()
    late = Part("late", events)
    with pytest.raises(LifecycleError, match="the service is new"):
        await life.enter(late)
    life.add(Part("a", events))
    await life.start()
    with pytest.raises(LifecycleError, match="enter"):
        life.add(late)
    await life.enter(late)
    await life.enter(late)
    await life.stop()
    assert events == ["start a", "start late", "stop late", "stop a"]


async def test_a_part_that_entered_is_forgotten_at_the_stop() -> None:
    """A listener enters it again at the next start; it must not be there twice."""
    events: list[str] = []
    life = Lifecycle()
    for _ in range(3):
        await life.start()
        await life.enter(Part("late", events))
        await life.stop()
    assert events == ["start late", "stop late"] * 3
    assert list(life) == []


async def test_a_part_that_cancels_itself_does_not_keep_the_others() -> None:
    """The stop goes on and ends."""
    events: list[str] = []

    class Cancelled(Part):
        async def stop(self) -> None:
            raise asyncio.CancelledError

    life = Lifecycle()
    life.add(Part("a", events))
    life.add(Cancelled("b", events))
    await life.start()
    await life.stop()
    assert life.state is State.STOPPED
    assert events[-1] == "stop a"


async def test_a_part_that_fails_to_enter_is_not_listed() -> None:
    """Its error reaches who entered it, and health does not speak of it."""
    life = Lifecycle()
    await life.start()
    with pytest.raises(LifecycleError, match="late did not start"):
        await life.enter(Part("late", [], fail="start"))
    assert await life.check() == {}
    await life.stop()


async def test_health_asks_all_and_never_waits_long() -> None:
    """A check that raises or hangs is down; each has its latency."""
    life = Lifecycle(check_timeout=0.02)
    for name, fail in (("good", ""), ("broken", "check"), ("slow", "slow check")):
        life.add(Part(name, [], fail=fail))
    health = await life.check()
    assert {name: entry.status for name, entry in health.items()} == {
        "good": "up",
        "broken": "down",
        "slow": "down",
    }
    assert health["broken"].detail == "gone"
    assert "0.02 s" in health["slow"].detail
    assert all(entry.latency_ms is not None for entry in health.values())


def test_only_components_are_taken() -> None:
    """A wrong object is refused when it is added, not when it should start."""
    with pytest.raises(TypeError, match="not a Component"):
        Lifecycle().add(object())  # type: ignore[arg-type]


async def test_a_stop_is_announced_before_it_comes() -> None:
    """Readiness is false from the first moment, and each part hears of it once; none can hold it
    up by failing or hanging. The next start is ready again."""
    events: list[str] = []

    class Entry(Part):
        async def leave(self) -> None:
            assert not life.ready
            self.events.append(f"leave {self.name}")
            if self.fail == "leave":
                raise OSError("gone")
            if self.fail == "hang in leave":
                await asyncio.Event().wait()

    life = Lifecycle(check_timeout=0.02)
    for name, fail in (("a", "hang in leave"), ("b", "leave"), ("c", "")):
        life.add(Entry(name, events, fail=fail))
    ready = [life.ready]
    await life.start()
    ready.append(life.ready)
    await life.leave()
    await life.leave()
    ready.append(life.ready)
    assert (ready, life.state) == ([False, True, False], State.RUNNING)
    assert events[3:] == ["leave a", "leave b", "leave c"]
    await life.stop()
    await life.start()
    assert life.ready
    await life.stop()


async def test_parts_with_one_name_are_all_in_the_health() -> None:
    """One that is well does not hide one that is down."""
    life = Lifecycle()
    life.add(Part("client", [], fail="check"))
    life.add(Part("client", []))
    await life.start()
    health = await life.check()
    assert {name: entry.status for name, entry in health.items()} == {
        "client": "down",
        "client-2": "up",
    }
