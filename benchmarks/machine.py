"""The machine: which cores do what, whether it is quiet, and the facts beside the results."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from sanic_ms.native.compiled import is_compiled

__all__ = [
    "Cores",
    "busy_share",
    "busy_times",
    "choose_cores",
    "disturbance",
    "facts",
    "first_line",
    "package_versions",
]


class Cores(NamedTuple):
    """Who runs where. With two cores the databases and other services share that of the load."""

    server: int
    load: int
    others: frozenset[int]


def choose_cores(available: Sequence[int]) -> Cores:
    """The last core serves, the one before it makes the load, the rest is for everything else.

    Core 0 is the last to be chosen, as the kernel likes it for its own work.

    Raises:
        ValueError: there is one core only; a server and its load cannot be told apart on it.
    """
    cores = sorted(available)
    if len(cores) < 2:
        raise ValueError("at least two cores are needed: one for the server and one for the load")
    load, server = cores[-2], cores[-1]
    return Cores(server, load, frozenset(cores[:-2]) or frozenset({load}))


def busy_times() -> dict[int, tuple[float, float]]:
    """For each core, seconds since boot: busy (the hypervisor's stealing is busy too), and all."""
    tick = os.sysconf("SC_CLK_TCK")
    times = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *rest = line.split()
        if name.startswith("cpu") and name != "cpu":
            # user nice system idle iowait irq softirq steal; guest time is in user already
            values = [int(value) / tick for value in rest[:8]]
            times[int(name[3:])] = (sum(values) - values[3] - values[4], sum(values))
    return times


def busy_share(
    before: dict[int, tuple[float, float]], after: dict[int, tuple[float, float]]
) -> dict[int, float]:
    """The share of the time between two looks that each core was busy, 0 to 1."""
    shares = {}
    for core, (busy, total) in after.items():
        then_busy, then_total = before.get(core, (0.0, 0.0))
        passed = total - then_total
        shares[core] = min(1.0, (busy - then_busy) / passed) if passed > 0 else 0.0
    return shares


def disturbance(seconds: float = 2.0, limit: float = 0.05) -> str | None:
    """Look for a while how busy the cores are without us; None when all are quiet.

    The load average says little here: it still holds what we did a minute ago.
    """
    before = busy_times()
    time.sleep(seconds)
    shares = busy_share(before, busy_times())
    told = [f"core {core} is {share:.0%} busy" for core, share in shares.items() if share > limit]
    if not told:
        return None
    return f"the machine is not quiet: {', '.join(told)}; load average {os.getloadavg()[0]:.2f}"


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def package_versions(names: Iterable[str], python: str) -> dict[str, str]:
    """The versions that are installed for an interpreter; a name that is not there is left out."""
    code = (
        "import sys\nfrom importlib import metadata\n"
        "for name in sys.argv[1:]:\n"
        "  try: print(name, metadata.version(name))\n"
        "  except metadata.PackageNotFoundError: pass"
    )
    done = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True)
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def first_line(*command: str) -> str | None:
    """The first line that a program prints about itself; None where it is not installed."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if lines else None


def _how() -> str:
    return "compiled" if is_compiled() else "pure Python"


def facts(cores: Cores) -> dict[str, str]:
    """What does not change from case to case: processor, kernel, versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    others = ", ".join(str(core) for core in sorted(cores.others))
    found: dict[str, str | None] = {
        "processor": f"{cpu_model()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "cores": f"server {cores.server}, load {cores.load}, databases and services {others}",
        "Python": platform.python_version(),
        "sanic-ms": f"{metadata.version('sanic-ms')}, {_how()}",
        "Go": first_line("go", "version"),
        "wrk": (first_line("wrk", "-v") or "").partition(" Copyright")[0] or None,
    }
    return {name: value for name, value in found.items() if value}
