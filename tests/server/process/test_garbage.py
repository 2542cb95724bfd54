"""The collector of garbage in a process that serves."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from sanic_ms.server.process.garbage import spared


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """The collector as it is by default, here and afterwards."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_there_is_is_set_aside() -> None:
    """And is looked at again at the end, also where that comes by an error."""

    def fail() -> None:
        with spared():
            assert gc.get_freeze_count() > 10_000
            assert gc.get_threshold() == (10_000, 10, 10)
            _ = 1 // 0

    assert gc.get_freeze_count() == 0
    with pytest.raises(ZeroDivisionError):
        fail()
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (5000, 20, 10), (20_000, 10, 10)])
def test_what_the_application_has_chosen_stays(chosen: tuple[int, int, int]) -> None:
    """Thresholds of its own, and a collector that is switched off."""
    gc.set_threshold(*chosen)
    with spared():
        assert gc.get_threshold() == chosen
    assert gc.get_threshold() == chosen
