"""Interleaved rounds: in each one every peer is started, checked, warmed up, loaded and stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import wrk
from benchmarks.answers import WrongAnswer, check
from benchmarks.cases import Case
from benchmarks.connections import HeldConnections
from benchmarks.databases import Surroundings, surroundings
from benchmarks.machine import Cores, busy_share, busy_times
from benchmarks.peers import ROOT, Peer
from benchmarks.process import DidNotStart, ServerProcess, free_port, running

__all__ = ["CaseResult", "Options", "Round", "measure", "order"]


@dataclass(frozen=True)
class Options:
    """How long and how often."""

    rounds: int = 5
    seconds: int = 3
    warm_up: int = 1  # seconds; 0: none
    connections: int | None = None  # None: what the case says
    postgres: str = "postgresql://postgres@127.0.0.1:5432/postgres"


@dataclass(frozen=True)
class Round:
    """What one peer did in one round. Latencies are microseconds, memory bytes."""

    rate: float  # requests a second
    requests: int
    p50: int
    p90: int
    p99: int
    max: int
    cpu: float  # microseconds of the server's processor time a request
    memory: int  # after the load
    server_core: float  # share of the time that the server's core was busy, with whatever
    load_core: float
    intruders: float  # share of the server's core that went to somebody else
    idle_connection: float | None = None  # bytes for a connection that was not used yet
    used_connection: float | None = None  # bytes for one that has had an answer
    spans: float = 0.0  # spans that reached the collector, for each answer under load


@dataclass
class CaseResult:
    """Every round of every peer, those that failed, and those that took no part."""

    case: str
    title: str
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> CaseResult:
        """From the plain data of `document`."""
        rounds = {
            peer: [Round(**one) for one in rounds] for peer, rounds in document["rounds"].items()
        }
        return cls(**{**document, "rounds": rounds})


def order(peers: Sequence[Peer], number: int) -> list[Peer]:
    """The peers of a round. Each round begins with the next one: no place is always one's."""
    start = number % len(peers)
    return [*peers[start:], *peers[:start]]


def measure(
    case: Case, peers: Sequence[Peer], options: Options, cores: Cores, say: Callable[[str], None]
) -> CaseResult:
    """Measure one case.

    A peer that answers wrongly, or with an error under load, is out of the case from then on, and
    what it did before does not count.
    """
    result = CaseResult(case.name, case.title)
    taking_part = []
    for peer in peers:
        if (peer.only and case.name not in peer.only) or (
            case.peers and peer.name not in case.peers
        ):
            continue
        if reason := peer.missing(case.name):
            result.left_out[peer.name] = reason
        else:
            taking_part.append(peer)
            result.rounds[peer.name] = []
    lua = wrk.script(case.paths, case.method, case.body)
    with surroundings(case.needs, cores, options.postgres) as around:
        for number in range(options.rounds):
            for peer in order(taking_part, number):
                if peer.name in result.failed:
                    continue
                try:
                    one = _round(case, peer, lua, options, cores, around)
                except (WrongAnswer, DidNotStart, wrk.BadLoad) as exc:
                    result.failed[peer.name] = str(exc)
                    del result.rounds[peer.name]
                    say(f"{case.name}: {peer.title} FAILED: {exc}")
                    continue
                result.rounds[peer.name].append(one)
                say(
                    f"{case.name} {number + 1}/{options.rounds}: {peer.title:24}"
                    f"{one.rate:9,.0f} a second {one.cpu:8.1f} µs of CPU a request"
                    f"   p50 {one.p50 / 1000:6.2f} p99 {one.p99 / 1000:6.2f} ms"
                    f"   cores {one.server_core:4.0%} {one.load_core:4.0%}"
                    f"   others {one.intruders:4.0%}"
                )
    return result


def _round(
    case: Case,
    peer: Peer,
    lua: str,
    options: Options,
    cores: Cores,
    around: Surroundings,
) -> Round:
    if case.writes:
        around.reset()
    port = free_port()
    environment = {**around.environment, **peer.environment, "BENCH_PORT": str(port)}
    connections = options.connections or case.connections

    answered = 0

    def load(seconds: int) -> wrk.Load:
        nonlocal answered
        done = wrk.run(port, lua, seconds=seconds, connections=connections, core=cores.load)
        done.raise_for_errors()
        answered += done.requests
        return done

    spans = around.spans()

    with running(
        peer.command(), port=port, core=cores.server, environment=environment, folder=ROOT
    ) as server:
        sizes = check(port, case.probes(), enveloped=peer.ours)
        held = HeldConnections(port, case.idle, case.probes()[0], enveloped=peer.ours)
        with held:
            idle_connection, used_connection = _memory_of(held, server, case.idle)
            if options.warm_up:
                load(options.warm_up)
            around.keep_away()
            visits = around.visits() if case.writes else 0
            began, cores_before, cpu_before = time.monotonic(), busy_times(), server.cpu_seconds()
            done = load(options.seconds)
            cpu, shares = server.cpu_seconds() - cpu_before, busy_share(cores_before, busy_times())
            server_core = shares.get(cores.server, 0.0)
            intruders = max(0.0, server_core - cpu / (time.monotonic() - began))
            memory = server.memory()
            held.still_answer()
        if case.writes:
            _updated(done.requests, connections, around.visits() - visits)
        else:
            check(port, case.probes(), enveloped=peer.ours)
        _whole(done, sizes)
    return Round(
        rate=done.rate,
        requests=done.requests,
        p50=done.p50,
        p90=done.p90,
        p99=done.p99,
        max=done.max,
        cpu=cpu / done.requests * 1e6,
        memory=memory,
        server_core=server_core,
        load_core=shares.get(cores.load, 0.0),
        intruders=intruders,
        idle_connection=idle_connection,
        used_connection=used_connection,
        spans=(around.spans() - spans) / answered,  # the last were sent when the server stopped
    )


def _memory_of(
    held: HeldConnections, server: ServerProcess, count: int
) -> tuple[float | None, float | None]:
    """Bytes of the server for each held connection: opened only, and after an answer on it."""
    if not count:
        return None, None
    before = server.memory()
    held.open()
    opened = server.memory()
    held.use()
    return (opened - before) / count, (server.memory() - before) / count


def _updated(answered: int, connections: int, updated: int) -> None:
    """Each answer is an update that the database has; those under way at the end may be more."""
    if not answered <= updated <= answered + 2 * connections:
        raise WrongAnswer(f"{answered} answers under load, but {updated} updates in the database")


def _whole(load: wrk.Load, sizes: Sequence[int]) -> None:
    """The answers under load were as long as those that were checked."""
    mean = load.bytes / load.requests
    # The answers of the last moment are counted in part, and a head may hold a number more.
    if not min(sizes) * 0.95 <= mean <= max(sizes) * 1.05:
        raise WrongAnswer(
            f"answers under load had {mean:.0f} bytes, those checked {min(sizes)} to {max(sizes)}"
        )
