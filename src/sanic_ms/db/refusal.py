"""Why a pool lends no connection: it does not run, or not here."""

from __future__ import annotations

import os

from sanic_ms.exception import LifecycleError
from sanic_ms.lifecycle import State

__all__ = ["refusal"]


def refusal(name: str, state: State, pid: int) -> LifecycleError:
    """The error for a caller, with what to do.

    Args:
        name: Of the pool.
        state: Of the pool. Running means that it runs on another event loop or in another process.
        pid: The process that started it.
    """
    if state is State.NEW:
        return LifecycleError(
            f"the pool {name!r} has not started: `await pool.start()` first (a service starts its "
            "own pools)"
        )
    if state is not State.RUNNING:
        return LifecycleError(f"the pool {name!r} is {state.value}")
    if os.getpid() != pid:
        return LifecycleError(
            f"the pool {name!r} was started in another process: start one in each worker, after "
            "the fork"
        )
    return LifecycleError(
        f"the pool {name!r} belongs to another event loop: a pool is used on the loop that started "
        "it"
    )
