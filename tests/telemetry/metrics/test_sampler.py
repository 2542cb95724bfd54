"""The part that keeps the numbers current, and what it measures of the process."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from pathlib import Path

import pytest

from sanic_ms.exception import LifecycleError
from sanic_ms.telemetry.metrics import Registry, Sampler


def values(registry: Registry) -> dict[str, float]:
    """The first number of each metric."""
    return {
        family.definition.name: next(iter(family.cells.values()))[0]
        for family in registry.families()
    }


async def test_it_samples_until_it_stops() -> None:
    """Again and again, and a last time at the end."""
    registry = Registry()
    calls: list[float] = []
    enough = asyncio.Event()

    def count() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            enough.set()

    registry.on_sample(count)
    sampler = Sampler(registry, lambda: None, interval=0.001)
    await sampler.start()
    async with asyncio.timeout(30):
        await enough.wait()
    await sampler.stop()
    at_the_end = len(calls)
    await sampler.stop()
    await asyncio.sleep(0.01)
    assert len(calls) == at_the_end


async def test_a_blocked_event_loop_shows() -> None:
    """The lag is what everything else on the loop waited too."""
    registry = Registry()
    sampler = Sampler(registry, lambda: None, interval=0.001)
    await sampler.start()
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251 - that is the point
    again = asyncio.Event()
    registry.on_sample(again.set)
    async with asyncio.timeout(30):
        await again.wait()
    await sampler.stop()
    cells = {family.definition.name: family.cells for family in registry.families()}
    assert cells["event_loop_lag_seconds"][()][-1] > 0.25


async def test_the_numbers_are_in_the_folder(tmp_path: Path) -> None:
    """Opened at the start, and still there for parts that stop later; a second start goes on."""
    registry = Registry()
    turns = registry.counter("turns", "Turns.")
    sampler = Sampler(registry, lambda: tmp_path)
    for _ in range(2):
        await sampler.start()
        turns.inc()
        await sampler.stop()
        turns.inc()
    assert values(registry)["turns"] == 4
    assert sorted(os.listdir(tmp_path)) == ["0.keys", "0.values"]


async def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    """In one line that names the setting."""
    (tmp_path / "file").touch()
    sampler = Sampler(Registry(), lambda: tmp_path / "file" / "folder")
    with pytest.raises(LifecycleError, match="METRICS_DIR"):
        await sampler.start()
    await sampler.stop()


def test_the_process_is_measured() -> None:
    """Processor, memory, files, start and garbage agree with what the system says."""
    registry = Registry()
    Sampler(registry, lambda: None)
    gc.collect()  # what it closes is not to be missed below
    registry.sample()
    first = values(registry)
    gc.collect()
    deadline = time.process_time() + 0.01
    while time.process_time() < deadline:
        pass
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
    registry.sample()
    second = values(registry)
    for file in files:
        os.close(file)
    assert 0.01 <= second["process_cpu_seconds"] - first["process_cpu_seconds"] < 60
    assert second["process_cpu_seconds"] <= time.process_time()
    assert 1e6 < second["process_resident_memory_bytes"] < 1e11
    assert second["process_open_fds"] == first["process_open_fds"] + 10
    assert second["process_max_fds"] >= second["process_open_fds"]
    assert time.time() - 3600 < second["process_start_time_seconds"] <= time.time()
    cells = {family.definition.name: family.cells for family in registry.families()}
    assert cells["python_gc_collections"][("2",)] >= [1.0]
