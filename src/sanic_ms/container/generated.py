"""The value that a generator function yields, and what stands behind its ``yield``."""

from __future__ import annotations

import inspect
import logging
from types import TracebackType
from typing import Any

from sanic_ms.shapes.annotations import where

__all__ = ["GeneratedValue"]

log = logging.getLogger("sanic_ms.container")


class GeneratedValue:
    """A generator that gives one value, and is continued when that is no longer needed.

    Args:
        function: The generator function, for messages.
        generator: What it gave.

    Raises:
        TypeError: it gave no generator.
    """

    def __init__(self, function: Any, generator: Any) -> None:
        self._name = where(function)
        if inspect.isgenerator(generator):
            generator = _SyncGenerator(generator)
        elif not hasattr(generator, "athrow"):
            raise TypeError(f"{self._name}: a decorator hides that it yields")
        self._generator = generator

    async def start(self) -> Any:
        """Run it up to its ``yield``.

        Raises:
            RuntimeError: it ends without one.
        """
        try:
            return await anext(self._generator)
        except StopAsyncIteration:
            raise RuntimeError(f"{self._name} did not yield a value") from None

    async def end(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Run it to its end; an exception is thrown in at its ``yield``.

        Raises:
            RuntimeError: it yields again, or keeps the exception to itself. A cancellation goes on
                in any case: that mistake is logged.
        """
        try:
            if exc is None:
                await anext(self._generator)
            else:
                await self._generator.athrow(exc)
        except StopAsyncIteration:
            if exc is not None:
                self._swallowed(exc)
            return
        except BaseException as raised:
            if raised is exc:
                return
            raise
        await self._generator.aclose()
        raise RuntimeError(f"{self._name} yields more than once") from exc

    def _swallowed(self, exc: BaseException) -> None:
        text = f"{self._name} caught {type(exc).__name__} at its yield and did not raise it again"
        if isinstance(exc, Exception):
            raise RuntimeError(text) from exc
        log.error("%s", text)


class _SyncGenerator:
    """A generator with the methods of an async one."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    async def __anext__(self) -> Any:
        try:
            return next(self._generator)
        except StopIteration:
            raise StopAsyncIteration from None

    async def athrow(self, exc: BaseException) -> Any:
        try:
            return self._generator.throw(exc)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self._generator.close()
