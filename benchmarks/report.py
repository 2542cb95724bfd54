"""The results in Markdown, made from the raw figures and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import targets
from benchmarks.cases import CASES
from benchmarks.figures import Spread, ratios, spread
from benchmarks.measure import CaseResult, Round
from benchmarks.peers import OURS, PEERS

__all__ = ["FORM", "markdown", "merged", "rates"]

FORM = 1  # of results.json; changed when older files cannot be read any more


def merged(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """The new results, with the cases of older ones that are not measured anew.

    Only results of the same machine with the same versions of everything, and in the same form,
    stand in one file; others are dropped.
    """
    together = ("form", "machine", "versions")
    if not isinstance(old, dict) or any(old.get(name) != new[name] for name in together):
        return new
    cases = {**old["cases"], **new["cases"]}
    return {**new, "cases": {name: cases[name] for name in CASES if name in cases}}


def rates(result: CaseResult) -> dict[str, Spread]:
    """Requests a second of each peer, the fastest first."""
    found = {peer: spread([one.rate for one in rounds]) for peer, rounds in result.rounds.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1].median))


def markdown(document: dict[str, Any]) -> str:
    """The page of results.

    Args:
        document: What is in results.json: ``form``, ``machine``, ``versions`` and ``cases``.
    """
    results = {name: CaseResult.of(one["result"]) for name, one in document["cases"].items()}
    lines = [
        "# Results",
        "",
        "Written by `make bench`; what is measured, how, and what speaks for whom is on",
        "[the page before this](README.md). All figures are medians over the rounds, those in",
        "brackets the smallest and the largest.",
        "",
    ]
    if warnings := sorted({w for one in document["cases"].values() if (w := one.get("warning"))}):
        lines += [f"**Not to be relied on: {'; '.join(warnings)}.**", ""]
    lines += ["## Times sanic-ms", "", *_overview(results), ""]
    if promised := list(targets.rows(results)):
        lines += [
            "## What is promised",
            "",
            "| promise | measured | holds |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {' | '.join(row)} |" for row in promised] + [""]
    for name, result in results.items():
        lines += [*_case(result, document["cases"][name]), ""]
    lines += ["## The machine", "", *_machine(document)]
    return "\n".join(lines) + "\n"


def _overview(results: dict[str, CaseResult]) -> Iterator[str]:
    """One row a case: our requests a second over each peer's."""
    peers = [
        name
        for name in PEERS
        if name != OURS and any(name in result.rounds for result in results.values())
    ]
    if not peers:
        yield "No other was measured."
        return
    yield "Our requests a second over theirs, the median of the ratios within the rounds:"
    yield ""
    yield f"| case | {' | '.join(PEERS[name].title for name in peers)} |"
    yield "| --- " * (len(peers) + 1) + "|"
    for result in results.values():
        cells = []
        for name in peers:
            ratio = _ratio(result, name, "rate")
            cells.append("–" if ratio is None else f"{ratio.median:.2f}")
        yield f"| {result.title} | {' | '.join(cells)} |"


def _ratio(result: CaseResult, peer: str, value: str) -> Spread | None:
    """Ours over theirs; for processor time theirs over ours, so that more is better for us."""
    ours, theirs = result.rounds.get(OURS), result.rounds.get(peer)
    if not ours or not theirs or peer == OURS:
        return None
    mine, other = (_values(rounds, value) for rounds in (ours, theirs))
    return ratios(mine, other) if value == "rate" else ratios(other, mine)


def _values(rounds: Sequence[Round], value: str) -> list[float]:
    return [float(getattr(one, value)) for one in rounds]


def _case(result: CaseResult, document: dict[str, Any]) -> Iterator[str]:
    yield f"## {result.title[0].upper()}{result.title[1:]}"
    yield ""
    yield f"![requests a second]({result.case}.svg)"
    yield ""
    held = any(one.idle_connection is not None for rs in result.rounds.values() for one in rs)
    head = ["", "requests a second", "CPU µs a request", "p50 ms", "p99 ms", "memory MB"]
    head += ["KiB a connection, idle", "after use"] if held else []
    head += ["ours over theirs", "their CPU over ours"]
    yield f"| {' | '.join(head)} |"
    yield "| --- " * len(head) + "|"
    for peer, rate in rates(result).items():
        rounds = result.rounds[peer]
        cpu = spread(_values(rounds, "cpu"))
        cells = [
            f"{rate.median:,.0f} ({rate.low:,.0f}–{rate.high:,.0f})",
            f"{cpu.median:.1f} ({cpu.low:.1f}–{cpu.high:.1f})",
            f"{spread(_values(rounds, 'p50')).median / 1000:.2f}",
            f"{spread(_values(rounds, 'p99')).median / 1000:.2f}",
            f"{spread(_values(rounds, 'memory')).median / 1e6:.0f}",
        ]
        if held:
            for value in ("idle_connection", "used_connection"):
                cells.append(f"{spread(_values(rounds, value)).median / 1024:.1f}")
        for value in ("rate", "cpu"):
            ratio = _ratio(result, peer, value)
            cells.append(
                "" if ratio is None else f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"
            )
        yield f"| {PEERS[peer].title} | {' | '.join(cells)} |"
    yield ""
    for peer, reason in result.failed.items():
        yield f"- {PEERS[peer].title} **failed**: {' '.join(reason.split())}"
    for peer, reason in result.left_out.items():
        yield f"- {PEERS[peer].title} is not in it: {reason}"
    for peer, rounds in result.rounds.items():
        if sent := spread(_values(rounds, "spans")).median:
            yield f"- {PEERS[peer].title}: {sent:.3f} spans a request reached the collector"
        if (share := spread(_values(rounds, "intruders")).median) > 0.05:
            yield f"- others took {share:.0%} of the core of {PEERS[peer].title}: measure again"
    for peer, rounds in result.rounds.items():
        title = PEERS[peer].title
        server, load = (
            spread(_values(rounds, core)).median for core in ("server_core", "load_core")
        )
        if server < 0.95:
            yield (
                f"- {title} kept its core {server:.0%} busy: something else was the limit,"
                " so compare the CPU time"
            )
        # A server that is asked too little looks for more the more often: its core is full, too.
        if load > 0.97:
            yield f"- {title} kept the load's core {load:.0%} busy, which was the limit or near it"
    when = f"{document['rounds']} rounds of {document['seconds']} s, {document['date']}"
    yield f"- {when}, commit {document['commit']}, {document['connections']} connections loaded"


def _machine(document: dict[str, Any]) -> Iterator[str]:
    for name, value in document["machine"].items():
        yield f"- {name}: {value}"
    yield ""
    yield "| peer | versions |"
    yield "| --- | --- |"
    for peer, versions in document["versions"].items():
        listed = ", ".join(f"{name} {version}" for name, version in versions.items())
        yield f"| {PEERS[peer].title} | {listed} |"
