"""Defining metrics and counting with them."""

from __future__ import annotations

import gc
import re
import threading
import weakref
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.telemetry.metrics import Registry, render


def test_a_counter_adds_up() -> None:
    """Ones, and what is said."""
    orders = Registry().counter("orders", "Orders.")
    orders.inc()
    orders.inc(2.5)
    assert orders.value == 3.5


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf")])
def test_a_counter_only_grows(amount: float) -> None:
    """What would make it fall, or make it useless for ever, is refused and not counted."""
    orders = Registry().counter("orders", "Orders.")
    with pytest.raises(ValueError, match="a counter only grows"):
        orders.inc(amount)
    assert orders.value == 0


@pytest.mark.parametrize("amount", ["1", None, [1], Decimal(1)])
@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("counter", "inc"),
        ("gauge", "set"),
        ("gauge", "inc"),
        ("gauge", "dec"),
        ("histogram", "observe"),
    ],
)
def test_what_is_no_number_is_told_and_not_counted(kind: str, method: str, amount: Any) -> None:
    """At the call, with the metric's name and what was given."""
    metric = getattr(Registry(), kind)("orders", "Orders.")
    before = metric.numbers()
    said = rf"orders.*\.{method}\({re.escape(repr(amount))}\): give an int or a float"
    with pytest.raises(TypeError, match=said):
        getattr(metric, method)(amount)
    assert metric.numbers() == before


def test_a_gauge_goes_up_and_down() -> None:
    """Set, more, less."""
    waiting = Registry().gauge("waiting", "Jobs.")
    waiting.set(5)
    waiting.inc()
    waiting.dec(2)
    assert waiting.value == 4


def test_a_gauge_that_is_no_sum_is_absent_until_it_is_set() -> None:
    """A zero that nobody set would be the minimum."""
    registry = Registry()
    coldest = registry.gauge("coldest", "Degrees.", across="min")
    assert registry.families() == []
    coldest.set(0)
    assert [family.cells for family in registry.families()] == [{(): [0.0]}]


def test_a_histogram_counts_by_size_with_the_bound_in_its_bucket() -> None:
    """A number equal to a bound is below it, as ``le`` says."""
    registry = Registry()
    sizes = registry.histogram("size_bytes", "Bytes.", buckets=[1, 2])
    for number in (0.5, 1, 1.5, 2, 3):
        sizes.observe(number)
    assert sizes.value == 5
    assert registry.families()[0].cells == {(): [2.0, 2.0, 1.0, 8.0]}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.1])
def test_a_histogram_takes_finite_numbers_of_at_least_0(number: float) -> None:
    """Its sum would be lost for ever, or fall, which OpenMetrics forbids."""
    sizes = Registry().histogram("size_bytes", "Bytes.")
    with pytest.raises(ValueError, match="finite"):
        sizes.observe(number)
    assert sizes.value == 0


def test_a_block_is_timed_even_if_it_raises() -> None:
    """Failures take time too."""
    duration = Registry().histogram("job_seconds", "Seconds.")
    with duration.time():
        pass
    with pytest.raises(KeyError), duration.time():
        raise KeyError
    assert duration.value == 2


def test_labels_are_given_in_order_or_by_name() -> None:
    """Both are the same cell, whatever type a value has."""
    orders = Registry().counter("orders", "Orders.", labels=["country", "year"])
    orders.labels("de", 2026).inc()
    orders.labels(year="2026", country="de").inc()
    assert orders.labels("de", "2026").value == 2


@pytest.mark.parametrize(
    "use",
    [
        lambda metric: metric.labels(),
        lambda metric: metric.labels("a"),
        lambda metric: metric.labels("a", "b", "c"),
        lambda metric: metric.labels("a", None),
        lambda metric: metric.labels("a", year=1),
        lambda metric: metric.labels(country="a"),
        lambda metric: metric.labels(country="a", years=1),
    ],
)
def test_wrong_labels_are_told_the_right_ones(use: Callable[[Any], Any]) -> None:
    """The text names the metric and its labels."""
    orders = Registry().counter("orders", "Orders.", labels=["country", "year"])
    with pytest.raises(TypeError, match=r"orders.*give country, year"):
        use(orders)


def test_what_has_labels_cannot_be_counted_without() -> None:
    """And the other way round: the text says what to do."""
    registry = Registry()
    orders: Any = registry.counter("orders", "Orders.", labels=["country"])
    with pytest.raises(AttributeError, match=r"say \.labels\(country\) first"):
        orders.inc()
    with pytest.raises(AttributeError, match="no attribute 'incr'"):
        orders.incr()
    with pytest.raises(ValueError, match="given already"):
        orders.labels("de").labels("fr")
    with pytest.raises(ValueError, match="it has no labels"):
        registry.gauge("waiting", "Jobs.").labels("de")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "name is letters"),
        ("a-b", "name is letters"),
        ("1a", "name is letters"),
        ("ä", "name is letters"),
        ("a\n", "name is letters"),
        ("_total", "before _total"),
    ],
)
def test_a_bad_name_is_refused(name: str, text: str) -> None:
    """Prometheus would refuse the whole scrape."""
    with pytest.raises(ValueError, match=text):
        Registry().counter(name, "Help.")


def test_only_counters_are_totals() -> None:
    """OpenMetrics reads the ending as a kind."""
    with pytest.raises(ValueError, match="only a counter's name"):
        Registry().gauge("a_total", "Help.")


@pytest.mark.parametrize("label", ["", "a-b", "__a", "1", "ä"])
def test_a_bad_label_is_refused(label: str) -> None:
    """Letters, digits, underscores; two of these in front are Prometheus' own."""
    with pytest.raises(ValueError, match="the label"):
        Registry().counter("a", "Help.", labels=[label])


@pytest.mark.parametrize(
    "define",
    [
        lambda r: r.histogram("a", "Help.", labels=["le"]),
        lambda r: r.gauge("a", "Help.", labels=["worker"], across="worker"),
        lambda r: r.counter("a", "Help.", labels=["b", "b"]),
        lambda r: r.counter("a", " "),
        lambda r: r.counter("a", "Help.", labels=["b"], max_labels=0),
        lambda r: r.gauge("a", "Help.", across="mean"),
        lambda r: r.histogram("a", "Help.", buckets=[]),
        lambda r: r.histogram("a", "Help.", buckets=[2, 1]),
        lambda r: r.histogram("a", "Help.", buckets=[1, 1]),
        lambda r: r.histogram("a", "Help.", buckets=[float("nan")]),
        lambda r: r.histogram("a", "Help.", buckets=[-1, 1]),
        lambda r: Registry(max_labels=0),
    ],
)
def test_what_cannot_be_is_a_value_error(define: Callable[[Registry], Any]) -> None:
    """At the definition, not at the first scrape."""
    with pytest.raises(ValueError, match=r"\w"):
        define(Registry())


@pytest.mark.parametrize(
    "define",
    [
        lambda r: r.counter(None),
        lambda r: r.counter(None, "Help."),
        lambda r: r.counter("a", "Help.", labels=7),
        lambda r: r.counter("a", "Help.", labels=["b"], max_labels="7"),
        lambda r: Registry(max_labels=None),  # type: ignore[arg-type]
        lambda r: r.on_sample("x"),
        lambda r: r.counter("a", None),
        lambda r: r.counter("a", "Help.", labels="country"),
        lambda r: r.counter("a", "Help.", labels=[1]),
        lambda r: r.histogram("a", "Help.", buckets=["x"]),
        lambda r: r.histogram("a", "Help.", buckets=None),
    ],
)
def test_what_has_the_wrong_type_is_a_type_error(define: Callable[[Any], Any]) -> None:
    """At the definition, and told which, in our words and not in Python's."""
    with pytest.raises(TypeError, match=r"give |is no |is not text|are not numbers") as raised:
        define(Registry())
    assert "positional argument" not in str(raised.value)


def test_defining_the_same_again_gives_the_same() -> None:
    """A module that is imported twice, or a function that defines what it needs, may do so."""
    registry = Registry()
    first = registry.counter("orders", "Orders.", labels=["country"])
    assert registry.counter("orders_total", "Orders.", labels=["country"]) is first
    assert registry["orders_total"] is registry["orders"] is first
    assert "orders" in registry
    assert "orders_count" not in registry


@pytest.mark.parametrize(
    ("define", "text"),
    [
        (lambda r: r.counter("a", "Other."), "defined already with help='Help.', not 'Other.'"),
        (lambda r: r.counter("a", "Help.", labels=["b"]), "defined already with labels=()"),
        (lambda r: r.gauge("a", "Help."), "defined already with kind='counter', not 'gauge'"),
        (lambda r: r.gauge("h_count", "Help."), "histogram 'h' shows numbers under this name"),
        (lambda r: r.histogram("a_total_x", "H", labels=["le"]), "set by the framework"),
    ],
)
def test_a_second_definition_that_differs_is_refused(
    define: Callable[[Registry], Any], text: str
) -> None:
    """Two meanings of one name add up to nonsense."""
    registry = Registry()
    registry.counter("a", "Help.")
    registry.histogram("h", "Help.")
    with pytest.raises(ValueError, match=re.escape(text)):
        define(registry)


def test_label_values_are_bounded_and_the_rest_is_other() -> None:
    """A label that a client chooses cannot fill the memory; what is lost is counted."""
    registry = Registry(max_labels=2)
    visits = registry.counter("visits", "Visits.", labels=["who", "where"])
    few = registry.counter("few", "Few.", labels=["who"], max_labels=1)
    for who in range(100):
        visits.labels(who, "x").inc()
        few.labels(who).inc()
    visits.labels(0, "x").inc()
    by_name = {family.definition.name: family.cells for family in registry.families()}
    assert by_name["visits"] == {
        ("0", "x"): [2.0],
        ("1", "x"): [1.0],
        ("other", "other"): [98.0],
    }
    assert by_name["few"] == {("0",): [1.0], ("other",): [99.0]}
    assert by_name["metrics_label_overflow"] == {("visits",): [98.0], ("few",): [99.0]}
    assert len(visits.cells) == 3


def test_a_label_value_is_not_endless() -> None:
    """It is cut, and text that is no Unicode is made so."""
    visits = Registry().counter("visits", "Visits.", labels=["who"])
    assert len(visits.labels("x" * 10_000_000).label_values[0]) == 256
    assert visits.labels("a\ud800").label_values == ("a?",)


def test_threads_may_count_together() -> None:
    """No increment is lost, and a cell is made once."""
    registry = Registry()
    visits = registry.counter("visits", "Visits.", labels=["who"])
    sizes = registry.histogram("sizes", "Sizes.", buckets=[1])

    def count() -> None:
        for turn in range(5000):
            visits.labels(turn % 7).inc()
            sizes.observe(turn % 2)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    families = {family.definition.name: family.cells for family in registry.families()}
    assert sum(numbers[0] for numbers in families["visits"].values()) == 20_000
    assert families["sizes"] == {(): [20_000.0, 0.0, 10_000.0]}


def test_a_sampler_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, and the scrape goes on."""
    registry = Registry()
    waiting = registry.gauge("waiting", "Jobs.")
    registry.on_sample(lambda: 1 / 0)
    registry.on_sample(lambda: waiting.set(3))
    registry.sample()
    registry.sample()
    assert waiting.value == 3
    assert len(caplog.records) == 1


class Follower:
    """Counts how often it is told."""

    def __init__(self) -> None:
        self.told = 0

    def rebind(self) -> None:
        """The cells have moved."""
        self.told += 1


def test_a_follower_is_told_when_the_cells_move(tmp_path: Path) -> None:
    """To a file and back; opening the same folder again moves nothing. What was counted in memory
    goes along. The registry does not keep it alive."""
    registry = Registry()
    counter = registry.counter("orders_total", "Orders.")
    counter.inc()
    follower = Follower()
    registry.follow(follower)
    registry.open(tmp_path)
    told = follower.told
    assert told
    assert b"orders_total 1" in render(registry, "text/plain").body
    registry.open(tmp_path)
    assert follower.told == told
    registry.close()
    assert follower.told > told
    assert b"orders_total 0" in render(registry, "text/plain").body
    told = follower.told
    registry.close()
    assert follower.told == told
    gone = weakref.ref(follower)
    del follower
    gc.collect()
    assert gone() is None


def test_a_process_alone_is_worker_0() -> None:
    """As the first of several: a dashboard need not know how many there are."""
    registry = Registry()
    registry.gauge("level", "Level.", across="worker").set(4)
    (family,) = registry.families()
    assert family.cells == {("0",): [4.0]}
