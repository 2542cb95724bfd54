"""The command: ``make bench``, which is ``python -m benchmarks`` in the benchmarks' environment."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, peers, plot, report
from benchmarks.cases import CASES, Case
from benchmarks.cases import pick as pick_cases
from benchmarks.connections import allow_files
from benchmarks.databases import Missing
from benchmarks.measure import CaseResult, Options, measure
from benchmarks.peers import OURS, PEERS, ROOT, Peer
from benchmarks.peers import pick as pick_peers
from benchmarks.process import DidNotStart

DOCS = ROOT / "docs" / "benchmarks"
NOISY = ROOT / "reports" / "benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for.

    Returns:
        0 when all went well; 1 when a peer or a case failed; 2 when nothing could be measured; 130
        when it was interrupted, with everything stopped and taken away.
    """
    given = _parser().parse_args(arguments)
    if given.list:
        _list()
        return 0
    # Told to end, it takes its databases and servers away as it does for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _bench(given)
    except (ValueError, OSError, subprocess.CalledProcessError) as exc:
        say(f"bench: {exc}")
        return 2
    except KeyboardInterrupt:
        say("bench: interrupted")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--list", action="store_true", help="show the cases and the peers")
    parser.add_argument("--case", default="", help="cases, separated by commas; default all")
    parser.add_argument("--peers", default="", help="peers, separated by commas; default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load, in each round")
    parser.add_argument("--warm-up", type=int, default=1, help="seconds of load before it")
    parser.add_argument("--connections", type=int, help="default what the case says, mostly 64")
    parser.add_argument("--postgres", default=Options.postgres, help="URL of a PostgreSQL server")
    parser.add_argument(
        "--anyway", action="store_true", help="go on although the machine is not quiet"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the results; default docs/benchmarks (reports/ if noisy)",
    )
    return parser


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _list() -> None:
    say("cases:")
    for case in CASES.values():
        say(f"  {case.name:12} {case.title}")
    say("peers:")
    for peer in PEERS.values():
        reason = peer.missing("json")
        say(f"  {peer.name:20} {peer.title}{f' (not here: {reason})' if reason else ''}")


def _bench(given: argparse.Namespace) -> int:
    cases, chosen = pick_cases(given.case), pick_peers(given.peers)
    if given.rounds < 1 or given.seconds < 1 or given.warm_up < 0:
        raise ValueError("rounds and seconds are at least 1, the warm-up at least 0")
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise ValueError(f"{tool} is not installed (Debian, Ubuntu: wrk, util-linux)")
    cores = machine.choose_cores(sorted(os.sched_getaffinity(0)))
    allow_files(max(case.idle + case.connections for case in cases) + 1000)
    noise = machine.disturbance()
    if noise and not given.anyway:
        raise ValueError(f"{noise}. Wait, or go on with ANYWAY=1 (--anyway)")
    if any(peer.name == "go" and not peer.missing("json") for peer in chosen):
        peers.build_go()
    document: dict[str, Any] = {
        "form": report.FORM,
        "machine": machine.facts(cores),
        "versions": _versions(chosen),
        "cases": {},
    }
    for name, value in document["machine"].items():
        say(f"{name}: {value}")
    if noise:
        say(f"WARNING: {noise}")
    folder = given.out or (NOISY if noise else DOCS)
    folder.mkdir(parents=True, exist_ok=True)  # before an hour is spent on what cannot be written
    options = Options(given.rounds, given.seconds, given.warm_up, given.connections, given.postgres)
    failed = False
    for case in cases:
        try:
            result = measure(case, chosen, options, cores, say)
        except (Missing, DidNotStart) as exc:
            say(f"{case.name}: NOT MEASURED: {exc}")
            failed = True
            continue
        failed = failed or bool(result.failed)
        document["cases"] = {
            case.name: {**_moment(case, options), "warning": noise, "result": result.document()}
        }
        # After each case, so that an interrupted run leaves what it has.
        _write(folder, document, result)
    say(f"written to {os.path.relpath(folder)}")
    return 1 if failed else 0


def _versions(chosen: Sequence[Peer]) -> dict[str, dict[str, str]]:
    """Of the packages that matter for each peer; Go's stands with the machine."""
    return {
        peer.name: machine.package_versions(peer.packages, peer.python)
        for peer in chosen
        if peer.packages and Path(peer.python).exists()
    }


def _moment(case: Case, options: Options) -> dict[str, Any]:
    commit = machine.first_line("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit or "unknown",
        "rounds": options.rounds,
        "seconds": options.seconds,
        "connections": options.connections or case.connections,
    }


def _write(folder: Path, new: dict[str, Any], result: CaseResult) -> None:
    """The raw figures, the page and the picture."""
    raw = folder / "results.json"
    try:
        old = json.loads(raw.read_text())
    except (OSError, ValueError):  # there is none, or nobody can read it
        old = None
    document = report.merged(old, new)
    raw.write_text(json.dumps(document, indent=1) + "\n")
    (folder / "results.md").write_text(report.markdown(document))
    values = {PEERS[peer].title: value for peer, value in report.rates(result).items()}
    picture = plot.bars(f"{result.title}: requests a second", values, marked=PEERS[OURS].title)
    (folder / f"{result.case}.svg").write_text(picture)


if __name__ == "__main__":
    sys.exit(main())
