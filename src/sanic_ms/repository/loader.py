"""Reads of one request as one statement: `Loader`."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, Literal, TypeVar, overload

from sanic_ms.context import current_request
from sanic_ms.exception import NotFound
from sanic_ms.repository.repository import Repository

__all__ = ["Loader"]

T = TypeVar("T")


class _Batch(Generic[T]):
    """Callers whose keys go into one statement.

    Attributes:
        request: The request that they serve.
        waiting: A future for each caller, with its key.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self.waiting: list[tuple[Any, asyncio.Future[T | None]]] = []
        self.task: asyncio.Task[None] | None = None

    def forget(self, future: asyncio.Future[T | None]) -> None:
        """Nobody waits any more: the statement is stopped."""
        if self.task is not None and all(future.cancelled() for _, future in self.waiting):
            self.task.cancel()


class Loader(Generic[T]):
    """Makes one `Repository.get_many` of the calls of `get` that run at the same time.

    Calls belong together that are made before the event loop is idle or something else comes back,
    as those of a ``gather``, and that serve the same request. Nothing is kept: a later call reads
    anew. ::

        cities = Loader(city_repository)
        await asyncio.gather(*(cities.get(user["city_id"]) for user in users))   # one statement

    Args:
        repository: Where the rows are. That of `Repository.using` reads inside of a transaction,
            whose connection nobody else may use meanwhile.
        by: The column of the keys; default: the primary key.
    """

    def __init__(
        self, repository: Repository[T], *, by: str | tuple[str, ...] | None = None
    ) -> None:
        self._repository = repository
        self._by = by
        self._batch: _Batch[T] | None = None

    @overload
    async def get(self, key: Any, *, required: Literal[True]) -> T: ...

    @overload
    async def get(self, key: Any, *, required: bool = False) -> T | None: ...

    async def get(self, key: Any, *, required: bool = False) -> T | None:
        """The row of a key; None if there is none. Each caller has a row of its own.

        A caller that is cancelled does not disturb the others; the statement is stopped when the
        last one is. An error of the statement is raised in every caller.

        Args:
            key: As for `Repository.get`.
            required: Raise `NotFound` instead of giving None.
        """
        row = None
        if key is not None:
            row = await self._enqueue(key)
        if row is None and required:
            raise NotFound(f"nothing with the key {key}")
        return row

    def _enqueue(self, key: Any) -> asyncio.Future[T | None]:
        loop = asyncio.get_running_loop()
        request = current_request.get()
        batch = self._batch
        if batch is None or batch.request is not request:
            batch = self._batch = _Batch(request)
            loop.call_soon(self._start, batch)  # in the context of this caller, and of its request
        future: asyncio.Future[T | None] = loop.create_future()
        batch.waiting.append((key, future))
        return future

    def _start(self, batch: _Batch[T]) -> None:
        if self._batch is batch:
            self._batch = None
        batch.waiting = [entry for entry in batch.waiting if not entry[1].done()]
        if batch.waiting:
            batch.task = asyncio.ensure_future(self._load(batch))
            for _, future in batch.waiting:
                future.add_done_callback(batch.forget)

    async def _load(self, batch: _Batch[T]) -> None:
        keys = [key for key, _ in batch.waiting]
        try:
            rows = await self._repository.get_many(keys, by=self._by)
        except asyncio.CancelledError:
            for _, future in batch.waiting:
                future.cancel()
            raise
        except Exception as exc:
            for _, future in batch.waiting:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), row in zip(batch.waiting, rows, strict=True):
            if not future.done():
                future.set_result(row)
