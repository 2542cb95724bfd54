"""What the framework promises of its speed, held against what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.figures import ratios, spread
from benchmarks.measure import CaseResult
from benchmarks.peers import OURS

__all__ = ["TARGETS", "Target", "rows"]


@dataclass(frozen=True)
class Target:
    """One promise: a figure of a case that is to lie between `least` and `most`."""

    text: str
    case: str
    figure: Callable[[CaseResult], float | None]
    least: float = 0.0
    most: float = float("inf")


def _over(above: str, below: str, value: str = "rate") -> Callable[[CaseResult], float | None]:
    """The median of one peer's value over another's, within the rounds."""

    def figure(result: CaseResult) -> float | None:
        found = [result.rounds.get(peer) for peer in (above, below)]
        if not all(found):
            return None
        upper, lower = ([float(getattr(one, value)) for one in rounds or ()] for rounds in found)
        return ratios(upper, lower).median

    return figure


def _kib(value: str) -> Callable[[CaseResult], float | None]:
    """Our memory for one connection."""

    def figure(result: CaseResult) -> float | None:
        rounds = result.rounds.get(OURS)
        return spread([getattr(one, value) / 1024 for one in rounds]).median if rounds else None

    return figure


def _times(case: str, peer: str, title: str, least: float) -> Target:
    return Target(f"{case}: at least {least:g} times {title}", case, _over(OURS, peer), least)


TARGETS = [
    *(
        _times(case, peer, title, least)
        for case in ("json", "path")
        for peer, title, least in [
            ("sanic", "Sanic", 4),
            ("blacksheep", "BlackSheep", 2.5),
            ("fastapi", "FastAPI", 7),
            ("go", "Go net/http on one core", 1),
        ]
    ),
    _times("post", "fastapi", "FastAPI", 4),
    _times("row", "sanic", "Sanic", 3),
    _times("row", "fastapi", "FastAPI", 5),
    _times("queries", "sanic", "Sanic", 2),
    _times("queries", "fastapi", "FastAPI", 2),
    _times("fan", "sanic", "Sanic with aiohttp", 1.5),
    _times("fan", "fastapi", "FastAPI with httpx", 3),
    Target("json: p99 at most half of Sanic's", "json", _over(OURS, "sanic", "p99"), most=0.5),
    *(
        Target(text, case, _over(above, below), least)
        for case in ("json", "row")
        for text, above, below, least in [
            (f"{case}: tracing 1 % costs at most 5 %", OURS, f"{OURS}-untraced", 0.95),
            (f"{case}: tracing all costs at most 25 %", f"{OURS}-traced", f"{OURS}-untraced", 0.75),
            (f"{case}: metrics cost at most 5 %", OURS, f"{OURS}-unmetered", 0.95),
        ]
    ),
    *(
        Target(
            f"{case}: @logger on three functions costs at most 10 %",
            case,
            _over(f"{OURS}-logger", OURS),
            0.9,
        )
        for case in ("calls", "layers")
    ),
    Target("an idle connection: at most 5 KiB", "connections", _kib("idle_connection"), most=5),
    Target("a used connection: at most 7 KiB", "connections", _kib("used_connection"), most=7),
]


def rows(results: Mapping[str, CaseResult]) -> Iterator[tuple[str, str, str]]:
    """Of each promise that could be measured: its text, the figure, and whether it holds."""
    for target in TARGETS:
        result = results.get(target.case)
        figure = target.figure(result) if result else None
        if figure is not None:
            held = target.least <= figure <= target.most
            yield target.text, f"{figure:.2f}", "yes" if held else "**no**"
