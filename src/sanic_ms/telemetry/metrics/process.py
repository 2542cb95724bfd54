"""What every process is measured by: processor, memory, files, garbage."""

from __future__ import annotations

import gc
import os
import platform
import time
from functools import partial
from pathlib import Path

from sanic_ms.telemetry.metrics.registry import Registry
from sanic_ms.telemetry.metrics.sources import growth

__all__ = ["watch_process"]

_PROC = Path("/proc/self")


def watch_process(registry: Registry) -> None:
    """Measure this process at each sample. Memory and files are there on Linux alone."""
    python = registry.gauge(
        "python_info",
        "The Python that runs the service; always 1.",
        labels=["implementation", "version"],
        across="max",
    )
    python.labels(platform.python_implementation(), platform.python_version()).set(1)
    _watch_processor(registry)
    _watch_garbage(registry)
    if _PROC.exists():
        _watch_resources(registry)


def _watch_processor(registry: Registry) -> None:
    seconds = registry.counter(
        "process_cpu_seconds_total", "Processor time of all workers, user and system, in seconds."
    )
    registry.on_sample(growth(seconds, time.process_time))


def _watch_resources(registry: Registry) -> None:
    memory = registry.gauge(
        "process_resident_memory_bytes", "Memory of each worker, in bytes.", across="worker"
    )
    files = registry.gauge(
        "process_open_fds", "Open files and sockets of each worker.", across="worker"
    )
    most_files = registry.gauge(
        "process_max_fds", "The most files and sockets each may open.", across="worker"
    )
    started = registry.gauge(
        "process_start_time_seconds", "When each worker started, as Unix time.", across="worker"
    )
    page = os.sysconf("SC_PAGE_SIZE")

    def sample() -> None:
        memory.set(int((_PROC / "statm").read_bytes().split()[1]) * page)
        # Since Linux 6.2 the folder's size is their number; counting thousands takes its time.
        files.set(os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd")))
        most_files.set(_most_files())
        started.set(_start_time())

    registry.on_sample(sample)


def _most_files() -> int:
    import resource  # not on Windows

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _start_time() -> float:
    # Field 22, counted from behind the name, which may hold spaces and brackets: proc(5).
    ticks = int((_PROC / "stat").read_bytes().rpartition(b")")[2].split()[19])
    since_boot = ticks / os.sysconf("SC_CLK_TCK")
    return round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot, 2)


def _watch_garbage(registry: Registry) -> None:
    before = gc.get_stats()
    for field, name, help in (
        ("collections", "python_gc_collections_total", "Collections of garbage."),
        ("collected", "python_gc_objects_collected_total", "Objects that were collected."),
        (
            "uncollectable",
            "python_gc_objects_uncollectable_total",
            "Objects that could not be collected.",
        ),
    ):
        counter = registry.counter(name, help, labels=["generation"])
        for generation, stats in enumerate(before):
            read = partial(_garbage, generation, field)
            cell = counter.labels(generation)
            registry.on_sample(growth(cell, read, before=stats[field]))


def _garbage(generation: int, field: str) -> int:
    number: int = gc.get_stats()[generation][field]
    return number
