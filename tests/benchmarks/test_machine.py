"""Cores, quietness, processes and what is installed."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from benchmarks import machine, peers
from benchmarks.cases import CASES
from benchmarks.cases import pick as pick_cases
from benchmarks.process import DidNotStart, free_port, running

ROOT = Path(__file__).parents[2]

SERVER = """
import http.server, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
while time.process_time() < 0.3: pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), None).serve_forever()
"""


def test_server_and_load_have_cores_of_their_own() -> None:
    """And with more than two, so has everything else."""
    assert machine.choose_cores([0, 1]) == machine.Cores(1, 0, frozenset({0}))
    assert machine.choose_cores([4, 2, 3, 0]) == machine.Cores(4, 3, frozenset({0, 2}))
    with pytest.raises(ValueError, match="two cores"):
        machine.choose_cores([0])


def test_the_busy_share_is_that_between_two_looks() -> None:
    """Busy over all; a clock that stood still is no division by zero."""
    before = {0: (10.0, 100.0), 1: (0.0, 100.0)}
    after = {0: (11.0, 104.0), 1: (0.0, 100.0)}
    assert machine.busy_share(before, after) == {0: 0.25, 1: 0.0}


def test_the_cores_of_this_machine_are_seen() -> None:
    """Every core that we may use, with busy time below all time."""
    times = machine.busy_times()
    assert set(os.sched_getaffinity(0)) <= set(times)
    assert all(0 <= busy <= total for busy, total in times.values())


def alive(pid: int) -> bool:
    """Whether it runs; the dead may wait to be collected by whoever inherited them."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_a_server_is_measured_and_stopped_with_its_children(tmp_path: Path) -> None:
    """Its processor time and memory include what it started, and nothing is left behind."""
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    port = free_port()
    command = [sys.executable, str(script), str(port)]
    with running(command, port=port, core=None, environment={}, folder=tmp_path) as server:
        pids = server.pids()
        assert len(pids) == 2
        assert server.cpu_seconds() >= 0.25
        assert server.memory() > 2_000_000
        assert "child" in server.last_lines()
    deadline = time.monotonic() + 10
    while any(map(alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    """With the last lines that it wrote."""
    command = [sys.executable, "-c", "raise SystemExit('no such table')"]
    with (
        pytest.raises(DidNotStart, match=r"(?s)ended with 1.*no such table"),
        running(command, port=free_port(), core=None, environment={}, folder=tmp_path),
    ):
        pass


def test_unknown_cases_and_peers_are_named() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="no case jsn: there are plain, json"):
        pick_cases("json,jsn")
    with pytest.raises(ValueError, match="no peer flask: there are sanic-ms"):
        peers.pick("flask")


def test_ours_is_always_measured() -> None:
    """Every ratio needs it; nothing named means all."""
    assert [peer.name for peer in peers.pick("sanic")] == ["sanic-ms", "sanic"]
    assert [case.name for case in pick_cases(" path , json,")] == ["json", "path"]
    assert len(peers.pick("")) == len(peers.PEERS)
    assert len(pick_cases("")) == len(CASES)


def pins(name: str) -> dict[str, str]:
    """The lines of a file of pinned versions."""
    lines = (ROOT / name).read_text().splitlines()
    found = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in found if not re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+!]+", line)] == []
    return dict(line.split("==") for line in found)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-robyn.txt"])
def test_peers_stand_on_the_same_versions_as_we(name: str) -> None:
    """What both use is the same, but for Robyn's uvloop: the reason for its own file."""
    ours, theirs = pins("constraints.txt"), pins(f"benchmarks/{name}")
    other = {one for one in ours.keys() & theirs.keys() if ours[one] != theirs[one]}
    assert other == ({"uvloop"} if "robyn" in theirs else set())
    assert list(theirs) == sorted(theirs)
