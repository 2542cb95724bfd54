"""Sending spans in the background: in batches, again after a failure, and never in the way."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from time import monotonic

from opentelemetry import context as otel

from sanic_ms.awake import wait_awake
from sanic_ms.lifecycle import Component, Health
from sanic_ms.telemetry.tracing.export.base import ExportResult, Format, Sender
from sanic_ms.telemetry.tracing.export.queue import SpanQueue, Waiting, spans_in
from sanic_ms.telemetry.tracing.export.templates import Templates, taker
from sanic_ms.telemetry.tracing.span import wall_offset

__all__ = ["Exporter"]

log = logging.getLogger("sanic_ms.telemetry.tracing")

_SLICE = 256
"""Spans that are encoded at a stretch: about half a millisecond of the event loop."""

_UNWRITABLE = (TypeError, ValueError, OverflowError)

_LOOKS = 5
"""How often in an interval the queue is looked at for a batch that is full, or half a queue."""

_SAY_AGAIN = 60.0
"""Seconds between two log lines about lost spans."""


class Exporter(Component):
    """Takes spans from a queue and sends them.

    Args:
        queue: Where spans wait. While the collector does not answer it fills, and then drops.
        format: How they are written.
        sender: Where they go.
        batch: The most spans of one request.
        interval: The most seconds that a span waits for others to be sent with.
        attempts: How often a batch is tried before it is dropped.
        backoff: Seconds before the second attempt, doubled for each one after it, up to
            ``longest``; each is cut by a random part, so that workers do not come back together.
        longest: Also the most that a collector's ``Retry-After`` can ask for.
        stop_timeout: Seconds that `stop` may take to send what is left.

    Attributes:
        put_record: Takes records for the queue; see `Provider`.
    """

    name = "traces"

    def __init__(
        self,
        queue: SpanQueue,
        format: Format,
        sender: Sender,
        *,
        batch: int = 2048,
        interval: float = 0.5,
        attempts: int = 5,
        backoff: float = 1.0,
        longest: float = 30.0,
        stop_timeout: float = 5.0,
    ) -> None:
        self.queue = queue
        self._format = format
        self._templates = Templates(format)
        self.put_record = taker(queue, format)
        self._sender = sender
        self._batch = batch
        # A small queue must not overflow while a full batch is waited for.
        self._enough = min(batch, max(1, queue.limit // 2))
        self._interval = interval
        self._attempts = attempts
        self._backoff = backoff
        self._longest = longest
        self._stop_timeout = stop_timeout
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._problem = ""
        self._said = 0
        self._said_at = -_SAY_AGAIN

    async def start(self) -> None:
        """Begin to look at the queue."""
        self.queue.reopen()
        self._stopping = asyncio.Event()
        # In an empty context: the task belongs to nobody's request.
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name="sanic-ms traces", context=contextvars.Context()
        )

    async def stop(self) -> None:
        """Send what waits, within a limit of time; count and report what is left."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping.set()
        try:
            done, _ = await wait_awake([task], self._stop_timeout)
            if not done:
                self._problem = self._problem or f"no end within {self._stop_timeout:g} s"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.queue.close()
            self._lose(self._in_flight)
            self._in_flight = 0
            self._report(last=True)
            await self._sender.close()

    async def check(self) -> Health:
        """Up, or degraded while the collector takes nothing. It asks no one."""
        return Health("degraded", self._problem) if self._problem else Health("up")

    async def _run(self) -> None:
        # Whoever instruments aiohttp is told to leave these calls alone.
        keys = (otel._SUPPRESS_INSTRUMENTATION_KEY, otel._SUPPRESS_HTTP_INSTRUMENTATION_KEY)
        otel.attach(otel.Context(dict.fromkeys(keys, True)))
        stopping = False
        looks = 0
        while not stopping:
            await self._pause(self._interval / _LOOKS)
            stopping = self._stopping.is_set()  # before the last look, not after it
            looks += 1
            if not stopping and looks < _LOOKS and len(self.queue) < self._enough:
                continue
            looks = 0
            try:
                while self.queue and not (self._stopping.is_set() and self._problem):
                    await self._send_batch()
                    # Sending costs much the same for one span as for thousands, and under load
                    # some have always come in the meantime.
                    if len(self.queue) < self._enough and not self._stopping.is_set():
                        break
            except Exception:
                log.exception("traces: a batch could not be sent")
                self._lose(self._in_flight)
                self._in_flight = 0
            self._report()

    async def _pause(self, seconds: float) -> None:
        """Wait, or until the service stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _send_batch(self) -> None:
        spans = self.queue.take(self._batch)
        self._in_flight = spans_in(spans)
        body, count = await self._encode(spans)
        if count:
            await self._deliver(body, count)
        self._in_flight = 0

    async def _encode(self, spans: list[Waiting]) -> tuple[list[bytes], int]:
        offset = wall_offset()
        kept: list[Waiting] = []
        encoded: list[bytes] = []
        for first in range(0, len(spans), _SLICE):
            some = spans[first : first + _SLICE]
            try:
                encoded += self._templates.write(some, offset)
                kept += some
            except _UNWRITABLE:
                self._encode_each(some, offset, kept, encoded)
            await asyncio.sleep(0)
        return self._format.body(kept, encoded), spans_in(kept)

    def _encode_each(
        self, spans: list[Waiting], offset: int, kept: list[Waiting], encoded: list[bytes]
    ) -> None:
        for span in spans:
            try:
                encoded += self._templates.write((span,), offset)
                kept.append(span)
            except _UNWRITABLE as exc:
                log.debug("traces: %r cannot be written: %s", span, exc)
                self._lose(1)

    async def _deliver(self, body: list[bytes], count: int) -> None:
        """Send one body, up to so many times; what cannot be sent is counted."""
        for attempt in range(self._attempts):
            answer = await self._sender.send(body)
            if 200 <= answer.status < 300:
                lost = min(count, max(0, self._format.rejected(answer.body)))
                self._problem = f"the collector refuses {lost} of {count} spans" if lost else ""
                self.queue.sent += count - lost
                self._lose(lost)
                return
            self._problem = answer.problem
            if answer.status and answer.status not in self._format.retried:
                break
            if self._stopping.is_set() or attempt == self._attempts - 1:
                break
            self._report()
            await self._pause(self._wait(attempt, answer))
        self._lose(count)

    def _wait(self, attempt: int, answer: ExportResult) -> float:
        wait = min(self._longest, self._backoff * (1 << attempt)) * random.uniform(0.5, 1.0)
        return max(wait, min(answer.retry_after or 0.0, self._longest))

    def _lose(self, count: int) -> None:
        self.queue.dropped += count

    def _report(self, *, last: bool = False) -> None:
        lost = self.queue.dropped - self._said
        if not lost or (not last and monotonic() - self._said_at < _SAY_AGAIN):
            return
        self._said, self._said_at = self.queue.dropped, monotonic()
        reason = self._problem or "more spans end than can be sent (TRACE_QUEUE_SIZE, TRACE_SAMPLE)"
        log.warning("traces: %d spans lost, %d since the start: %s", lost, self._said, reason)
