"""What importing the framework adds to importing Sanic.

A fresh process for each way and round, the ways in turn; shown are the medians of the processor
time and of the clock in milliseconds, and the median of what a way adds to Sanic within its round.
Everything is compiled before, as it is where it is installed: the first round, which compiles into
a folder of its own, is thrown away.

    python benchmarks/importtime.py --rounds 15
    python benchmarks/importtime.py --heavy     # the modules that cost most

The target is 150 ms for all that a service needs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable

__all__ = ["by_package", "main", "own_times"]

WAYS = {
    "import sanic": "import sanic",
    "import sanic_ms": "import sanic, sanic_ms",
    "from sanic_ms import Service": "import sanic\nfrom sanic_ms import Service",
    "Service, doc, Client, Peewee": (
        "import sanic, peewee\n"
        "from sanic_ms import Service, doc\n"
        "from sanic_ms.client import Client"
    ),
}
BASE = "import sanic"

_TIMED = """
import sys, time
wall, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[1])
print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
"""


def python(cache: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with a folder for what it compiles, whatever the environment says."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache},
        capture_output=True,
        text=True,
        check=True,
    )


def measure(cache: str, code: str) -> tuple[float, float]:
    """Milliseconds by the clock and of processor time, in a process of its own."""
    wall, cpu = python(cache, "-c", _TIMED, code).stdout.split()
    return float(wall), float(cpu)


def own_times(report: Iterable[str]) -> dict[str, float]:
    """What ``-X importtime`` says of each module itself, without what it imports: milliseconds."""
    found = {}
    for line in report:
        # import time: self [us] | cumulative | imported package
        name, *columns = line.removeprefix("import time:").split("|")[::-1]
        if len(columns) == 2 and columns[1].strip().isdecimal():
            found[name.strip()] = int(columns[1]) / 1000
    return found


def added_modules(cache: str, code: str, rounds: int) -> dict[str, float]:
    """Milliseconds of each module that the code imports beyond Sanic's: the least of the rounds."""

    def imported(what: str) -> dict[str, float]:
        return own_times(python(cache, "-X", "importtime", "-c", what).stderr.splitlines())

    known = imported(WAYS[BASE])
    seen = [imported(code) for _ in range(rounds)]
    return {
        name: min(one[name] for one in seen if name in one) for name in seen[0] if name not in known
    }


def by_package(modules: dict[str, float]) -> dict[str, float]:
    """The sum for each package; for ours, for each of its packages."""
    sums: dict[str, float] = {}
    for name, cost in modules.items():
        package = ".".join(name.split(".")[: 2 if name.startswith("sanic_ms.") else 1])
        sums[package] = sums.get(package, 0.0) + cost
    return sums


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--heavy", action="store_true", help="name the heaviest modules instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        (show_heavy if options.heavy else show_ways)(cache, options.rounds)


def show_heavy(cache: str, rounds: int) -> None:
    """Print what each package and module costs."""
    out = sys.stdout.write
    modules = added_modules(cache, WAYS["from sanic_ms import Service"], rounds + 1)
    for title, costs in (("package", by_package(modules)), ("module", modules)):
        out(f"{sum(costs.values()):8.1f} ms  in all, by {title}\n")
        for name in sorted(costs, key=lambda name: -costs[name])[:30]:
            out(f"{costs[name]:8.1f} ms  {name}\n")


def show_ways(cache: str, count: int) -> None:
    """Print what each way costs."""
    out = sys.stdout.write
    rounds = [{way: measure(cache, code) for way, code in WAYS.items()} for _ in range(count + 1)]
    out(f"{'milliseconds':34}{'clock':>8}{'adds':>8}{'CPU':>8}{'adds':>8}\n")
    for way in WAYS:
        out(f"{way:34}")
        for kind in (0, 1):
            values = [one[way][kind] for one in rounds[1:]]
            added = [one[way][kind] - one[BASE][kind] for one in rounds[1:]]
            out(f"{statistics.median(values):8.1f}{statistics.median(added):8.1f}")
        out("\n")


if __name__ == "__main__":
    main()
