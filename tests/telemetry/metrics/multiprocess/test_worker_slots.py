"""Several processes, one scrape: nothing is lost and nothing is counted twice."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sanic_ms.telemetry.metrics import Registry
from sanic_ms.telemetry.metrics.multiprocess.worker_slot import Seat

_PADDING = 12  # so many numbers that files grow while others read them


def cells(registry: Registry, name: str) -> dict[tuple[str, ...], list[float]]:
    """A metric's numbers over all processes."""
    for family in registry.families():
        if family.definition.name == name:
            return family.cells
    return {}


def total(registry: Registry, name: str = "turns") -> float:
    """All of a counter."""
    return sum(numbers[0] for numbers in cells(registry, name).values())


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not in time: {what}")
        time.sleep(0.005)


# Counts with more and more labels, and writes down how far it is: before and after each turn, so
# that a kill leaves a doubt of one.
COUNT = f"""
import sys
from pathlib import Path
from sanic_ms.telemetry.metrics import Registry
from sanic_ms.telemetry.metrics.multiprocess.worker_slot import Seat

folder = Path(sys.argv[1])
registry = Registry()
registry.open(folder)
turns = registry.counter("turns", "Turns.", labels=["turn"])
sizes = registry.histogram("sizes", "Sizes.", labels=["turn"], buckets=range({_PADDING}))
with open(folder / f"log.{{sys.argv[2]}}", "wb", buffering=0) as log:
    turn = 0
    while True:
        turn += 1
        log.write(b"<")
        turns.labels(turn % 800).inc()
        log.write(b">")
        sizes.labels(turn % 800).observe(turn % {_PADDING})
"""

# Sets gauges and waits to be killed.
HOLD = """
import sys, time
from pathlib import Path
from sanic_ms.telemetry.metrics import Registry
from sanic_ms.telemetry.metrics.multiprocess.worker_slot import Seat

folder, value, *kinds = Path(sys.argv[1]), *sys.argv[2:]
registry = Registry()
registry.open(folder)
for across in kinds:
    registry.gauge(f"level_{across}", "Level.", across=across).set(float(value))
(folder / f"is.{value}").touch()
time.sleep(600)
"""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a program in a process of its own, killed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def run(code: str, *arguments: object) -> subprocess.Popen[bytes]:
            worker = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])
            stack.callback(kill, worker)
            return worker

        yield run


def kill(worker: subprocess.Popen[bytes]) -> None:
    """By SIGKILL, and wait until it is gone."""
    worker.kill()
    worker.wait()


def test_sums_are_exact_while_workers_are_killed_and_replaced(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """Kill workers at any moment, replace them, scrape all the while: a counter never falls, and
    in the end everything that was counted is there. Seats are used again."""
    scraper = Registry()
    scraper.open(tmp_path)
    before, scrapes = 0.0, 0

    def scrape() -> float:
        nonlocal before, scrapes
        now = total(scraper)
        assert now >= before
        before, scrapes = now, scrapes + 1
        return now

    def counts(log: Path) -> bool:
        scrape()
        return log.exists() and log.stat().st_size > 4000

    workers: list[subprocess.Popen[bytes]] = []
    for number in range(5):
        workers.append(start(COUNT, tmp_path, number))
        until(lambda log=tmp_path / f"log.{number}": counts(log), f"worker {number} counts")  # type: ignore[misc]
        if len(workers) > 2:
            kill(workers.pop(0))
            scrape()
    for worker in workers:
        kill(worker)
    logs = [path.read_bytes() for path in tmp_path.glob("log.*")]
    surely, maybe = sum(log.count(b">") for log in logs), sum(log.count(b"<") for log in logs)
    assert maybe - surely <= len(logs) == 5
    assert surely <= scrape() <= maybe
    assert scrapes > 10
    # A histogram's numbers are whole as well.
    counted = sum(sum(numbers[:-1]) for numbers in cells(scraper, "sizes").values())
    assert maybe - 2 * len(logs) <= counted <= maybe
    # Three at a time, and the scraper: that many seats.
    assert {path.name for path in tmp_path.glob("*.keys")} == {f"{n}.keys" for n in range(4)}
    assert (tmp_path / "1.values").stat().st_size > 32_768


def test_gauges_are_those_of_living_workers(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """What a dead one set is gone, but for the one that was set last."""
    both = {
        "sum": {(): [7.0]},
        "max": {(): [4.0]},
        "min": {(): [3.0]},
        "latest": {(): [3.0]},
        "worker": {("1",): [4.0], ("2",): [3.0]},
    }
    one = {
        "sum": {(): [4.0]},
        "max": {(): [4.0]},
        "min": {(): [4.0]},
        "latest": {(): [3.0]},
        "worker": {("1",): [4.0]},
    }
    scraper = Registry()
    scraper.open(tmp_path)
    workers = []
    for value in (4.0, 3.0):
        workers.append(start(HOLD, tmp_path, value, *both))
        until((tmp_path / f"is.{value}").exists, f"a worker sets {value}")
    assert {across: cells(scraper, f"level_{across}") for across in both} == both
    kill(workers[1])
    assert {across: cells(scraper, f"level_{across}") for across in one} == one


def test_a_new_process_takes_the_seat_of_a_dead_one(tmp_path: Path) -> None:
    """It counts on from its numbers, and its gauges begin anew."""
    first = Registry()
    first.open(tmp_path)
    first.counter("turns", "Turns.").inc(5)
    first.gauge("level", "Level.").set(9)
    first.counter("old", "Of an earlier program.", labels=["a"]).labels("x").inc()
    first.close()
    second = Registry()
    second.open(tmp_path)
    second.counter("turns", "Turns.").inc(2)
    second.gauge("level", "Level.").inc()
    assert cells(second, "turns") == {(): [7.0]}
    assert cells(second, "level") == {(): [1.0]}
    assert cells(second, "old") == {("x",): [1.0]}
    assert len(list(tmp_path.glob("*.keys"))) == 1


def test_what_was_counted_before_is_carried_into_the_file(tmp_path: Path) -> None:
    """A metric is defined, and perhaps used, long before the service starts."""
    registry = Registry()
    turns = registry.counter("turns", "Turns.")
    turns.inc(3)
    level = registry.gauge("level", "Level.", across="max")
    level.set(-5)
    registry.open(tmp_path)
    turns.inc()
    assert cells(registry, "turns") == {(): [4.0]}
    assert cells(registry, "level") == {(): [-5.0]}


def test_closing_gives_the_seat_back_and_keeps_the_numbers(tmp_path: Path) -> None:
    """Closed twice is closed once, and what is counted later is not in the file."""
    registry = Registry()
    registry.open(tmp_path)
    turns = registry.counter("turns", "Turns.")
    turns.inc(3)
    registry.close()
    registry.close()
    turns.inc()
    assert turns.value == 1
    registry.open(tmp_path)
    assert turns.value == 4
    assert len(list(tmp_path.glob("*.keys"))) == 1


def test_the_label_limit_counts_what_earlier_processes_left(tmp_path: Path) -> None:
    """Else a program that restarts in a loop would fill the device."""
    for turn in range(5):
        registry = Registry(max_labels=3)
        registry.open(tmp_path)
        visits = registry.counter("visits", "Visits.", labels=["who"])
        for who in range(3):
            visits.labels(f"{turn}.{who}").inc()
        found = cells(registry, "visits")
        registry.close()
    assert set(found) == {("0.0",), ("0.1",), ("0.2",), ("other",)}
    assert found[("other",)] == [12.0]


@pytest.mark.parametrize("tail", [b"[0,", b'{"name":"half', b"\xff\xfe"])
def test_half_a_line_of_a_killed_process_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    """It had no number yet."""
    first = Registry()
    first.open(tmp_path)
    first.counter("turns", "Turns.").inc(5)
    with (tmp_path / "0.keys").open("ab") as keys:
        keys.write(tail)
    assert cells(first, "turns") == {(): [5.0]}
    first.close()
    second = Registry()
    second.open(tmp_path)
    second.counter("steps", "Steps.").inc()
    assert cells(second, "turns") == {(): [5.0]}
    assert cells(second, "steps") == {(): [1.0]}


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """The next seat is taken, and a scrape goes on without it."""
    (tmp_path / "0.keys").write_bytes(b"not ours\n")
    registry = Registry()
    registry.open(tmp_path)
    registry.counter("turns", "Turns.").inc()
    assert cells(registry, "turns") == {(): [1.0]}
    assert (tmp_path / "0.keys").read_bytes() == b"not ours\n"


def test_places_that_are_taken_are_let_go_of(tmp_path: Path) -> None:
    """A process has one lock, not one for each place that it has tried; a folder whose numbers
    cannot be used leaves none."""

    def open_files() -> list[Path]:
        found = [Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        paths = [Path(os.readlink(entry)) for entry in found if entry.is_symlink()]
        return sorted(path for path in paths if path.parent == tmp_path and path.suffix == ".keys")

    (tmp_path / "0.keys").write_bytes(b"not ours\n")
    first, second = Registry(), Registry()
    first.open(tmp_path)
    assert open_files() == [tmp_path / "1.keys"]
    second.open(tmp_path)
    assert open_files() == [tmp_path / "1.keys", tmp_path / "2.keys"]
    (tmp_path / "3.values").mkdir()  # cannot be opened as a file
    with pytest.raises(OSError, match="directory"):
        Seat(tmp_path)
    assert open_files() == [tmp_path / "1.keys", tmp_path / "2.keys"]
    first.close()
    second.close()
    assert open_files() == []


def test_workers_that_define_a_name_differently_are_not_added_up(tmp_path: Path) -> None:
    """Each shows its own; another help alone is no difference."""
    one, other, third = Registry(), Registry(), Registry()
    for registry in (one, other, third):
        registry.open(tmp_path)
    one.counter("turns", "Turns.").inc()
    other.counter("turns", "Turns, of course.").inc(2)
    third.counter("turns", "Turns.", labels=["a"]).labels("x").inc(4)
    assert cells(one, "turns") == {(): [3.0]}
    assert cells(third, "turns") == {("x",): [4.0]}


def test_metrics_that_only_another_worker_knows_are_shown(tmp_path: Path) -> None:
    """Whoever answers the scrape answers for all."""
    one, other = Registry(), Registry()
    one.open(tmp_path)
    other.open(tmp_path)
    other.counter("turns", "Turns.", labels=["a"]).labels("x").inc()
    assert cells(one, "turns") == {("x",): [1.0]}


def test_a_forked_child_counts_beside_its_parent(tmp_path: Path) -> None:
    """From zero on a seat of its own, so that nothing is counted twice; and the seat of the
    parent is free when the parent has ended, whatever its children do."""
    registry = Registry()
    registry.open(tmp_path)
    turns = registry.counter("turns", "Turns.", labels=["who"])
    turns.labels("parent").inc(5)
    level = registry.gauge("level", "Level.")
    level.set(3)
    child = os.fork()
    if not child:  # pragma: no cover - another process
        turns.labels("parent").inc()
        turns.labels("child").inc()
        turns.labels("child").inc()
        with (tmp_path / "0.keys").open() as keys:
            held = True
            try:
                fcntl.flock(keys, fcntl.LOCK_SH | fcntl.LOCK_NB)
                held = False
            except BlockingIOError:
                pass
        os._exit(0 if held else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert cells(registry, "turns") == {("parent",): [6.0], ("child",): [2.0]}
    assert cells(registry, "level") == {(): [3.0]}


def test_a_forked_child_in_memory_begins_at_zero_and_keeps_its_gauges() -> None:
    """As workers do that are forked and not spawned."""
    registry = Registry()
    turns = registry.counter("turns", "Turns.")
    turns.inc(5)
    version = registry.gauge("version", "Version.", across="latest")
    version.set(7)
    child = os.fork()
    if not child:  # pragma: no cover - another process
        os._exit(0 if (turns.value, version.value) == (0, 7) else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert turns.value == 5


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """At the start, and the numbers go on in memory."""
    (tmp_path / "file").touch()
    registry = Registry()
    turns = registry.counter("turns", "Turns.")
    with pytest.raises(OSError, match="file"):
        registry.open(tmp_path / "file" / "folder")
    turns.inc()
    assert cells(registry, "turns") == {(): [1.0]}


def test_a_full_device_loses_numbers_and_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What has a place goes on; what finds none is counted for nobody, and logged."""
    registry = Registry()
    registry.open(tmp_path)
    visits = registry.counter("visits", "Visits.", labels=["who"])
    visits.labels("a").inc()
    # A write that is cut short, as that of a device with room for half a line.
    write = os.write
    monkeypatch.setattr("os.write", lambda file, data: write(file, data[: len(data) // 2]))
    visits.labels("b").inc()
    visits.labels("a").inc()
    monkeypatch.undo()
    assert "No space left" in caplog.text
    visits.labels("c").inc()
    assert cells(registry, "visits") == {("a",): [2.0], ("c",): [1.0]}
