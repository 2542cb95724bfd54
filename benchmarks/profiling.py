"""Where the time of one case goes, on our side and under load: ``make profile CASE=json``.

py-spy looks at the running server two hundred times a second from outside and stops it for each
look, a fraction of a millisecond: otherwise the stacks would be torn. The thread of the event loop
is shown. Time in C counts for the Python function that called it; with ``--native`` the functions
of C extensions are shown too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import machine, wrk
from benchmarks.answers import WrongAnswer, check
from benchmarks.cases import Case, pick
from benchmarks.connections import allow_files
from benchmarks.databases import Missing, surroundings
from benchmarks.measure import Options
from benchmarks.peers import OURS, PEERS, ROOT, VENV
from benchmarks.process import DidNotStart, free_port, running

__all__ = ["Frame", "Profile", "main", "read", "table"]


# Python's innermost function while uvloop, which is C, reads, writes and schedules.
_RUNS_THE_LOOP = {
    "_run_server_forever (runners.py)",  # Sanic
    "_run (serving.py)",  # ours
    "run (runners.py)",  # asyncio.Runner: uvicorn
    "run_forever (base_events.py)",
    "run_until_complete (base_events.py)",
    "run_app (web.py)",  # aiohttp
}


class Frame(NamedTuple):
    """A function and where it stands."""

    function: str
    file: str  # empty for what py-spy names without one

    @property
    def owner(self) -> str:
        """Whose it is: a package of ours (``sanic_ms.server``), a library, or Python itself."""
        parts = Path(self.file).parts
        if f"{self.function.rpartition('.')[2]} ({Path(self.file).name})" in _RUNS_THE_LOOP:
            return "the event loop"
        if "sanic_ms" in parts:
            package = parts[parts.index("sanic_ms") + 1]
            return f"sanic_ms.{package.removesuffix('.py')}"
        if "site-packages" in parts:
            return parts[parts.index("site-packages") + 1].removesuffix(".py")
        if "benchmarks" in parts:
            return "the handlers"
        if ".so" in self.file or not self.file.endswith(".py"):
            return Path(self.file).name.partition(".")[0] or "native"
        return "Python's library"

    def __str__(self) -> str:
        parts = Path(self.file).parts
        for root in ("sanic_ms", "site-packages", "benchmarks"):
            if root in parts:
                at = parts.index(root) + (root == "site-packages")
                return f"{self.function} ({'/'.join(parts[at:])})"
        return f"{self.function} ({'/'.join(parts[-2:])})"


class Profile(NamedTuple):
    """Samples by the function that ran, by every function on the stack, and by owner."""

    samples: int
    alone: Counter[Frame]
    within: Counter[Frame]
    owners: Counter[str]


def read(lines: Iterable[str]) -> Profile:
    """Read py-spy's raw form: ``outer (file:1);inner (file:2) COUNT`` on each line.

    Only the main thread counts, where the event loop runs.

    Raises:
        ValueError: a line is of another form.
    """
    profile = Profile(0, Counter(), Counter(), Counter())
    samples = 0
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        if not count:
            continue
        if not count.isdecimal():
            raise ValueError(f"not a line of py-spy's: {line!r}")
        if not stack:  # py-spy came at a moment at which the stack could not be read
            continue
        # Names of threads and processes stand at the outer end and are no functions.
        frames = [_frame(text) for text in stack.split(";") if not text.startswith("process ")]
        # Threads beside that of the event loop mostly wait, which looks like work from outside.
        if not any(frame.function == "<module>" for frame in frames):
            continue
        times = int(count)
        samples += times
        profile.alone[frames[-1]] += times
        profile.owners[frames[-1].owner] += times
        for frame in set(frames):
            profile.within[frame] += times
    return profile._replace(samples=samples)


def _frame(text: str) -> Frame:
    function, _, place = text.rpartition(" (")
    if not function:
        return Frame(text, "")
    file, _, line = place.removesuffix(")").rpartition(":")
    return Frame(function, file if line.isdecimal() else place.removesuffix(")"))


def table(profile: Profile, most: int = 25) -> str:
    """Three lists, in percent of the samples."""

    def rows(counted: Counter[Frame] | Counter[str]) -> list[str]:
        shown = counted.most_common(most)
        return [f"{100 * count / profile.samples:6.1f} %  {name}" for name, count in shown]

    if not profile.samples:
        return "no samples: the server was idle"
    return "\n".join(
        [
            f"{profile.samples} samples",
            *("", "whose code ran:", *rows(profile.owners)),
            *("", "the function itself:", *rows(profile.alone)),
            *("", "the function and all that it called:", *rows(profile.within)),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile one case.

    Returns:
        0, or 2 when nothing could be measured.
    """
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__)
    parser.add_argument("--case", default="json")
    parser.add_argument("--peer", default=OURS, help="another variant, or a peer in Python")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=200, help="samples a second")
    parser.add_argument("--native", action="store_true", help="show the functions of C extensions")
    parser.add_argument("--lines", type=int, default=25, help="of each list")
    parser.add_argument("--postgres", default=Options.postgres)
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as for Ctrl-C
    try:
        case, *more = pick(given.case)
        if more:
            raise ValueError("one case at a time")
        if min(given.seconds, given.rate, given.lines) < 1:
            raise ValueError("seconds, rate and lines are at least 1")
        if given.peer not in PEERS:
            raise ValueError(f"no peer {given.peer}: there are {', '.join(PEERS)}")
        sys.stdout.write(table(_record(case, given), given.lines) + "\n")
    except (ValueError, OSError, Missing, DidNotStart, WrongAnswer, wrk.BadLoad) as exc:
        sys.stdout.write(f"profile: {exc}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _record(case: Case, given: argparse.Namespace) -> Profile:
    peer = PEERS[given.peer]
    spy = str(VENV / "bin" / "py-spy")
    for tool in ("wrk", "taskset", spy):
        if shutil.which(tool) is None:
            raise ValueError(f"{Path(tool).name} is not installed: make profile installs it")
    cores = machine.choose_cores(sorted(os.sched_getaffinity(0)))
    allow_files(2000)
    port = free_port()
    lua = wrk.script(case.paths, case.method, case.body)
    with (
        surroundings(case.needs, cores, given.postgres) as around,
        tempfile.TemporaryDirectory() as folder,
        running(
            peer.command(),
            port=port,
            core=cores.server,
            environment={**around.environment, **peer.environment, "BENCH_PORT": str(port)},
            folder=ROOT,
        ) as server,
    ):
        check(port, case.probes(), enveloped=peer.ours)

        def load(seconds: int) -> None:
            wrk.run(port, lua, seconds=seconds, connections=case.connections, core=cores.load)

        load(1)
        around.keep_away()
        # A second more than py-spy needs, so that it sees nothing but load.
        loading = threading.Thread(target=load, args=(given.seconds + 2,))
        loading.start()
        raw = Path(folder) / "samples"
        command = [
            *("taskset", "-c", str(cores.load), spy, "record", "--format", "raw"),
            *("--function", "--full-filenames", "--output", str(raw), "--pid", str(server.pid)),
            *("--duration", str(given.seconds), "--rate", str(given.rate)),
            *(["--native"] if given.native else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        loading.join()
        if done.returncode != 0 or not raw.exists():
            raise OSError(f"py-spy ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return read(raw.read_text().splitlines())


if __name__ == "__main__":
    sys.exit(main())
