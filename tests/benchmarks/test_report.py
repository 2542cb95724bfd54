"""The pages and pictures that are made from the figures."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

from benchmarks import plot, report, targets
from benchmarks.cases import CASES
from benchmarks.figures import spread
from benchmarks.measure import CaseResult, Round

ROUND = Round(
    rate=1000.0,
    requests=3000,
    p50=900,
    p90=1200,
    p99=2000,
    max=3000,
    cpu=20.0,
    memory=40_000_000,
    server_core=1.0,
    load_core=0.4,
    intruders=0.0,
)


def result(case: str = "json", **rates: list[float]) -> CaseResult:
    """A result with these rates; the CPU time is their inverse."""
    rounds = {
        peer.replace("_", "-"): [replace(ROUND, rate=one, cpu=1e6 / one) for one in values]
        for peer, values in rates.items()
    }
    return CaseResult(case, "JSON", rounds)


def document(*results: CaseResult, machine: str = "a", warning: str | None = None) -> Any:
    """What is in results.json."""
    moment = {"date": "2026-01-01", "commit": "abc", "rounds": 3, "seconds": 3, "connections": 64}
    return {
        "form": report.FORM,
        "machine": {"processor": machine},
        "versions": {"sanic": {"sanic": "25.12"}},
        "cases": {
            one.case: {**moment, "warning": warning, "result": one.document()} for one in results
        },
    }


def test_the_table_shows_the_median_of_ratios() -> None:
    """And the fastest first."""
    page = report.markdown(document(result(sanic=[50.0, 15.0, 30.0], sanic_ms=[100.0, 30.0, 90.0])))
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert "| JSON | 2.00 |" in rows
    ours = next(number for number, row in enumerate(rows) if row.startswith("| sanic-ms | 90 "))
    theirs = next(number for number, row in enumerate(rows) if row.startswith("| Sanic | 30 "))
    assert ours < theirs
    assert "| 2.00 (2.00–3.00) | 2.00 (2.00–3.00) |" in rows[theirs]


def test_without_a_peer_there_is_no_table_of_ratios() -> None:
    """Its head would have no columns."""
    page = report.markdown(document(result(sanic_ms=[100.0])))
    assert "No other was measured." in page
    assert "| case |" not in page


def test_a_failure_stands_in_the_page_and_has_no_figures() -> None:
    """It is said loudly, with the reason in one line."""
    failed = result(sanic_ms=[100.0])
    failed.failed["go"] = "errors under load:\n 3 timeout"
    failed.left_out["robyn"] = "not there"
    page = report.markdown(document(failed))
    assert "- Go net/http **failed**: errors under load: 3 timeout" in page
    assert "- Robyn is not in it: not there" in page
    assert "| Go net/http |" not in page


def test_a_disturbed_measurement_says_so() -> None:
    """A noisy machine on top, a core that was shared or not full, and a load that was at its own
    limit, below its table."""
    disturbed = result(sanic_ms=[100.0], sanic=[90.0])
    disturbed.rounds["sanic"] = [replace(ROUND, load_core=0.99)]
    disturbed.rounds["sanic-ms"] = [replace(ROUND, server_core=0.7, intruders=0.2)]
    page = report.markdown(document(disturbed, warning="the machine is not quiet"))
    assert "**Not to be relied on: the machine is not quiet.**" in page
    assert "others took 20% of the core of sanic-ms" in page
    assert "- sanic-ms kept its core 70% busy" in page
    assert "- Sanic kept the load's core 99% busy" in page
    assert page.count("busy") == 2


def test_promises_are_held_against_the_figures() -> None:
    """Kept and broken ones, from what above or below; those that were not measured are left out."""
    one = result(sanic_ms=[100.0], sanic=[20.0], fastapi=[50.0])
    one.rounds["sanic"] = [replace(ROUND, rate=20.0, p99=5000)]
    promised = list(targets.rows({"json": one}))
    assert promised == [
        ("json: at least 4 times Sanic", "5.00", "yes"),
        ("json: at least 7 times FastAPI", "2.00", "**no**"),
        ("json: p99 at most half of Sanic's", "0.40", "yes"),
    ]
    assert "| json: at least 7 times FastAPI | 2.00 | **no** |" in report.markdown(document(one))


def test_promises_of_memory_are_in_kib() -> None:
    """For the connections that were held."""
    held = CaseResult("connections", "connections")
    held.rounds["sanic-ms"] = [replace(ROUND, idle_connection=2048.0, used_connection=8192.0)]
    assert [row[1:] for row in targets.rows({"connections": held})] == [
        ("2.00", "yes"),
        ("8.00", "**no**"),
    ]


def test_every_promise_is_of_a_case_that_there_is() -> None:
    """A renamed case would make its promises vanish without a word."""
    assert {target.case for target in targets.TARGETS} <= set(CASES)


def test_memory_of_connections_is_shown_where_it_was_measured() -> None:
    """In KiB a connection."""
    held = result(sanic_ms=[100.0])
    held.rounds["sanic-ms"] = [replace(ROUND, idle_connection=1536.0, used_connection=2048.0)]
    page = report.markdown(document(held))
    assert "KiB a connection, idle" in page
    assert "| 1.5 | 2.0 |" in page


def test_raw_figures_survive_the_way_through_json() -> None:
    """The page can be made from the file alone."""
    one = result(sanic_ms=[100.0], sanic=[50.0])
    assert CaseResult.of(one.document()) == one


def test_cases_of_the_same_machine_are_kept() -> None:
    """A run of one case replaces that one and keeps the others, in the order of the table."""
    old = document(result("path", sanic_ms=[1.0]), result("json", sanic_ms=[1.0]))
    new = document(result("json", sanic_ms=[2.0]))
    merged = report.merged(old, new)
    assert list(merged["cases"]) == ["json", "path"]
    assert merged["cases"]["json"] == new["cases"]["json"]


def test_cases_of_another_machine_are_dropped() -> None:
    """Figures of two machines never stand in one table."""
    old = document(result("path", sanic_ms=[1.0]), machine="b")
    new = document(result("json", sanic_ms=[2.0]))
    assert report.merged(old, new) == new
    assert report.merged(None, new) == new
    assert report.merged({**new, "form": 0}, new) == new
    assert report.merged([1], new) == new


def test_a_picture_is_small_well_formed_and_always_the_same() -> None:
    """The marked bar has a colour of its own, and labels are escaped."""
    values = {"sanic-ms": spread([100.0, 110.0]), "a <b>": spread([50.0])}
    picture = plot.bars("JSON", values, marked="sanic-ms")
    assert picture == plot.bars("JSON", dict(values), marked="sanic-ms")
    assert len(picture) < 2000
    root = ElementTree.fromstring(picture)
    fills = [one.get("fill") for one in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(set(fills)) == 3
    assert "a <b>" in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_of_nothing_is_still_one() -> None:
    """Every peer may have failed."""
    assert ElementTree.fromstring(plot.bars("JSON", {}, marked="x")).tag.endswith("svg")
