"""What the headers of a request say of its deadline."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from sanic.compat import Header

from sanic_ms.http.deadlines import RequestDeadline, caller_timeout


def request(*headers: tuple[str, str]) -> Any:
    """A request, as far as its deadline looks at it."""
    return SimpleNamespace(headers=Header(headers))


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("X-Request-Timeout-Ms", "300", 0.3),
        ("x-request-timeout-ms", "0", 0),
        ("X-Request-Timeout-Ms", " 1 ", 0.001),
        ("X-Request-Timeout-Ms", "9999999999", 9999999.999),
        ("X-Envoy-Expected-Rq-Timeout-Ms", "15000", 15),
        ("grpc-timeout", "1H", 3600),
        ("grpc-timeout", "2M", 120),
        ("grpc-timeout", "3S", 3),
        ("grpc-timeout", "300m", 0.3),
        ("grpc-timeout", "500u", 0.0005),
        ("grpc-timeout", "99999999n", 0.099999999),
        ("grpc-timeout", "99999999H", 359999996400),
        ("grpc-timeout", "0S", 0),
    ],
)
def test_a_timeout_is_read(name: str, value: str, seconds: float) -> None:
    """Milliseconds, or gRPC's digits and unit."""
    assert caller_timeout(request((name, value))) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Request-Timeout-Ms", ""),
        ("X-Request-Timeout-Ms", "-1"),
        ("X-Request-Timeout-Ms", "1.5"),
        ("X-Request-Timeout-Ms", "1e3"),
        ("X-Request-Timeout-Ms", "inf"),
        ("X-Request-Timeout-Ms", "300ms"),
        ("X-Request-Timeout-Ms", "99999999999"),
        ("X-Request-Timeout-Ms", "\u0663"),
        ("X-Request-Timeout-Ms", "1_000"),
        ("X-Envoy-Expected-Rq-Timeout-Ms", "soon"),
        ("grpc-timeout", "300"),
        ("grpc-timeout", "m"),
        ("grpc-timeout", "999999999m"),
        ("grpc-timeout", "1h"),
        ("grpc-timeout", "1 S"),
        ("grpc-timeout", "1S1S"),
    ],
)
def test_what_is_none_is_left_out(name: str, value: str) -> None:
    """As if it were not there, and the others count."""
    assert caller_timeout(request((name, value))) is None
    assert caller_timeout(request((name, value), ("grpc-timeout", "5S"))) == 5
    assert caller_timeout(request((name, value), ("x-request-timeout-ms", "7000"))) == 7


def test_the_shortest_counts() -> None:
    """Of different headers, and of one that comes twice; without any there is none."""
    assert caller_timeout(request(("host", "x"))) is None
    several = [("grpc-timeout", "5S"), ("x-request-timeout-ms", "7000")]
    assert caller_timeout(request(*several)) == 5
    assert caller_timeout(request(*several, ("X-Request-Timeout-Ms", "3000"))) == 3
    assert caller_timeout(request(*several, ("X-Envoy-Expected-Rq-Timeout-Ms", "1000"))) == 1


def test_it_is_lifted_by_the_response() -> None:
    """From the first byte on, or when the handler is done."""
    begun: list[bool] = []
    deadline = RequestDeadline(time.monotonic() + 60, lambda: bool(begun))
    assert lifted(deadline) is False
    begun.append(True)
    assert lifted(deadline) is True
    deadline.hold()  # too late
    assert lifted(deadline) is True

    deadline = RequestDeadline(time.monotonic() + 60, lambda: False)
    deadline.lift()
    assert lifted(deadline) is True


def test_one_that_is_held_stays() -> None:
    """Whatever is sent, and once the handler is done."""
    begun: list[bool] = []
    deadline = RequestDeadline(time.monotonic() + 60, lambda: bool(begun))
    deadline.hold()
    begun.append(True)
    deadline.lift()
    deadline.hold()
    assert lifted(deadline) is False


def lifted(deadline: RequestDeadline) -> bool:
    """Whether it is, now."""
    return deadline.lifted
