"""Python's collector of garbage in a process that serves.

It stops everything while it looks at all objects there are, and what the start of a service makes
(modules, routes, models: some hundred thousand objects) stays until the end. So that is set aside,
and the collector looks at what requests have made. By default it does so whenever there are 700
objects more than before. A burst of a few dozen requests has as many, nearly all of which are gone
at its end; so it comes less often. `docs/design/performance.md` has what was measured.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["spared"]

_YOUNG: Final = 10_000  # objects


@contextmanager
def spared() -> Iterator[None]:
    """Set aside what there is until the end. Where the application has chosen a threshold of its
    own, or has switched the collector off, that stays."""
    usual = gc.get_threshold()
    is_default = usual[1:] == (10, 10) and 0 < usual[0] < _YOUNG
    gc.collect()
    gc.freeze()
    if is_default:
        gc.set_threshold(_YOUNG, *usual[1:])
    try:
        yield
    finally:
        if is_default:
            gc.set_threshold(*usual)
        gc.unfreeze()
