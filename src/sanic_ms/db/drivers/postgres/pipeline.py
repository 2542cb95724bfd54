"""Several statements under way on one connection to PostgreSQL, each of another caller.

The protocol lets a client send a statement before the one before it is answered; the answers come
in the order of the statements. asyncpg's protocol object does one thing at a time. So each
statement gets one of its own, a *lane*, that believes to be alone on a connection: it encodes,
decodes and wakes its caller as ever. The `Pipeline` stands between the lanes and the transport of
the one real connection. It notes whose statement was sent when, and gives each its part of what
comes back, which ends with ReadyForQuery. Each statement ends with a Sync of its own, so that an
error is that of one caller alone.

While no statement is under way, what the server says goes to the connection's own protocol object,
which can be used as if there was no pipeline.

Source: PostgreSQL's documentation, "Frontend/Backend Protocol": "Message Formats" and, under
"Message Flow", "Pipelining". `docs/design/pipeline.md` has what was measured.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import monotonic, thread_time
from typing import Any, Final

from sanic_ms.db.base import Lane
from sanic_ms.db.drivers.postgres.errors import is_farewell
from sanic_ms.db.drivers.postgres.in_flight import PostgresLane
from sanic_ms.db.sql.statement import Statement
from sanic_ms.native.compiled import compiled

__all__ = ["Pipeline", "PipelineWatch", "PostgresLane", "pipeline"]

_core: Any = compiled("sanic_ms.db.drivers.postgres._pipeline")
if _core is not None:
    Lane.register(_core.CompiledLane)

_HEADER: Final = struct.Struct("!BI")  # the kind of a message; its length without the kind
_READY_FOR_QUERY: Final = ord("Z")
_ERROR: Final = ord("E")

# Seconds without an answer after which the statement whose turn it is counts as slow, and seconds
# after which that is looked at again: the answer may have been waiting while the loop was busy.
_PATIENCE: Final = 0.05
_SECOND_LOOK: Final = 0.005

# How many statements are sent behind one another while another connection is idle: twice as many
# as before where all were answered within _PROMPT seconds, of which the loop had nothing to do for
# less than _IDLE, or than _IDLE_EACH for each answer that came meanwhile on any connection; else
# half as many. So few connections are kept busy as long as the server answers about as soon as this
# process asks, and nobody waits for long behind another.
_MOST_TOGETHER: Final = 32
_PROMPT: Final = 0.01
_IDLE: Final = 0.0005
_IDLE_EACH: Final = 0.000015

# How many may be under way where no connection is idle: _AHEAD times as many as were answered in
# the last _PATIENCE seconds. Who comes later waits in the pool, where waiting has a limit.
_AHEAD: Final = 5
_FEWEST, _AT_FIRST, _MOST = 16, 64, 1000

# What is sent waits in this process as long as there is less of it than what the server has yet to
# do on that connection: then each message carries more, for both sides, and the server never has
# nothing to do because of it. So many never wait.
_MOST_HELD: Final = 32


class PipelineWatch:
    """What a pipeline does with its lanes as a whole: it lets them go, watches over their answers,
    and gives up. What is done for each statement and with each message is that of its two classes.

    Args:
        raw: asyncpg's connection.
        lanes: Those of all the connections of a pool that nobody uses; given back here.
        rested: Called when the last lane has left; also where the connection is lost.
        unsynced: Called when nothing was sent since the last statement was prepared: that leaves a
            transaction open on the server until the next one, with a lock on its tables.
        stalled: Called when an answer is late, or all callers have gone: `give_up` is then to be
            called, or it is waited for.

    Attributes:
        turns: The lanes whose answers have yet to come, in this order.
        count: How many lanes have entered: these, and those that have sent nothing yet.
        together: How many there may be before an idle connection is taken instead.
        depth: How many there may be where none is idle.
        silence: Ends when the server says something after `give_up`: it is done with a statement.
    """

    # What both classes have, each in slots of its own.
    turns: deque[PostgresLane]
    count: int
    together: int
    depth: int
    silence: asyncio.Future[None]
    _raw: Any
    _protocol: Any
    _transport: Any
    _loop: asyncio.AbstractEventLoop
    _lanes: list[PostgresLane]
    _rested: Callable[[], None]
    _stalled: Callable[[], None]
    _unsynced: Callable[[], None]
    _timer: asyncio.TimerHandle | None
    _context: Context
    _is_over: bool
    _doubted: bool
    _batch: int
    _when: float
    _used: float
    _watched: Statement | None
    _before: int
    _answered: int
    _seen: int
    _prepared: int

    def _begin(
        self,
        raw: Any,
        lanes: list[PostgresLane],
        rested: Callable[[], None],
        stalled: Callable[[], None],
        unsynced: Callable[[], None],
    ) -> None:
        self._raw = raw
        self._protocol = raw._protocol
        self._transport = raw._transport
        self._lanes = lanes
        self._rested = rested
        self._stalled = stalled
        self._unsynced = unsynced
        self.count = 0
        self.together = _MOST_TOGETHER
        self.depth = _AT_FIRST
        self._is_over = False
        self.silence = self._loop.create_future()
        # Of the statements that were sent at once and are watched: how many answers are missing, 0:
        # none are watched; when that was; and the processor time that this thread had used by then.
        self._batch = 0
        self._when = self._used = 0.0
        self._watched = None
        self._before = 0
        self._timer = None
        # Not that of the request which happens to set the timer: it would be kept alive.
        self._context = Context()
        self._answered = self._seen = self._prepared = 0
        self._doubted = False
        self._transport.set_protocol(self)

    def _take_turns(self) -> deque[PostgresLane]:
        """All who wait, who are then forgotten, with what was to be sent."""
        raise NotImplementedError

    def prepared(self) -> None:
        """A statement was prepared on the connection."""
        self._prepared = self._answered

    def withdraw(self) -> None:
        """A lane has left without sending anything."""
        if self._answered == self._prepared:
            self._unsynced()
        self.let_go(1)

    def let_go(self, count: int) -> None:
        """So many lanes have left."""
        self.count -= count
        if not self.count:
            self.together = _MOST_TOGETHER
            self._rested()

    @property
    def late(self) -> Statement | None:
        """The statement whose answer is late, None where answers come."""
        return self.turns[0].statement if self.turns and self._answered == self._seen else None

    @property
    def is_deserted(self) -> bool:
        """All callers have gone: what is under way is for nobody."""
        return all(lane.is_spoiled for lane in self.turns)

    def give_up(self, exc: Exception | None = None) -> None:
        """Wait for no more answers: all callers are told that the connection is lost."""
        self._is_over = True
        turns = self._take_turns()
        for lane in turns:
            lane.lose(exc)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if turns:
            self.let_go(len(turns))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all."""
        # First the connection itself, whose session is asked how it is when the last lane has left.
        self._protocol.connection_lost(exc)
        self.give_up(exc)

    def eof_received(self) -> bool | None:
        """The server says no more: nothing that was sent will be answered."""
        self._raw.terminate()
        return None

    def _heed(self, data: bytes) -> None:
        """An error has come which belongs to no plain read. After the last words of a server its
        connection is closed at once. asyncpg, which expects nothing while it is idle, would take
        it for well until the socket is closed, and refuse each statement with an error of its own.
        """
        if is_farewell(data):
            self._raw.terminate()

    def _break(self, exc: BaseException) -> None:
        """What has come could not be handled by the connection itself: whoever uses it is told."""
        self._protocol.connection_lost(exc)
        self._transport.abort()

    def pause_writing(self) -> None:
        """The server reads slowly. What is sent waits in the transport."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It has read."""
        self._protocol.resume_writing()

    # --- the watch over the answers --------------------------------------------------------------

    def _begin_batch(self) -> None:
        """Some were sent, while no others are watched."""
        self._batch = len(self.turns)
        self._watched = watched = self.turns[0].statement
        self._before = 0 if watched is None else watched.answered
        self._when, self._used = monotonic(), thread_time()

    def _judge(self, statement: Statement | None, count: int) -> None:
        """So many answers have come, the first of them to this statement."""
        self._batch -= count
        if self._batch > 0 or statement is None:
            return
        self._batch = 0
        passed = monotonic() - self._when
        idle = passed - (thread_time() - self._used)
        answered = statement.answered - self._before if statement is self._watched else 0
        if passed < _PROMPT and idle < max(_IDLE, _IDLE_EACH * answered):
            statement.together = min(statement.together * 2, _MOST_TOGETHER)
        else:
            statement.together = max(statement.together // 2, 1)
        if self.together != statement.together:
            # The least of those that are under way.
            self.together = min(
                (lane.statement.together for lane in self.turns if lane.statement is not None),
                default=_MOST_TOGETHER,
            )

    def _begin_watch(self) -> None:
        """One was sent, while no answer was missing."""
        self._seen = self._answered
        self._doubted = False
        self._watch(_PATIENCE)

    def _watch(self, delay: float) -> None:
        self._timer = self._loop.call_later(delay, self._look, context=self._context)

    def _look(self) -> None:
        self._timer = None
        if not self.turns:
            return
        if self._answered != self._seen and not self.is_deserted:
            pace = self._answered - self._seen
            self.depth = min(max(pace * _AHEAD, _FEWEST), _MOST)
            self._seen = self._answered
            self._doubted = False
            self._watch(_PATIENCE)
        elif not self._doubted:
            self._doubted = True
            self._watch(_SECOND_LOOK)
        else:
            self._stalled()


class Pipeline(PipelineWatch, asyncio.Protocol):
    """The pipeline of one connection: what is done for each statement and with each message."""

    __slots__ = ("_answered", "_batch", "_before", "_context", "_doubted", "_header",
                 "_is_flushing", "_is_last", "_is_over", "_lanes", "_loop", "_missing", "_prepared",
                 "_protocol", "_raw", "_rested", "_seen", "_stalled", "_timer", "_transport",
                 "_unsent", "_unsynced", "_used", "_watched", "_when", "count", "depth", "silence",
                 "together", "turns")  # fmt: skip

    def __init__(
        self,
        raw: Any,
        lanes: list[PostgresLane],
        rested: Callable[[], None],
        stalled: Callable[[], None],
        unsynced: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.turns = deque()
        self._unsent: list[memoryview] = []
        self._is_flushing = False
        # Of the message that is cut at the end of what was received: its header, as far as it is
        # here; or how many bytes are missing, and whether it is a ReadyForQuery.
        self._header = b""
        self._missing = 0
        self._is_last = False
        self._begin(raw, lanes, rested, stalled, unsynced)

    def admit(self, statement: Statement, state: Any) -> PostgresLane:
        """A lane for a statement; the caller uses it, or calls its `settle`."""
        lane = self._lanes.pop() if self._lanes else PostgresLane(self._loop)
        lane.enter(self, statement, state)
        self.count += 1
        if statement.together < self.together:
            self.together = statement.together
        return lane

    def _take_turns(self) -> deque[PostgresLane]:
        turns, self.turns = self.turns, deque()
        self._unsent.clear()
        return turns

    def send(self, lane: PostgresLane, data: memoryview) -> None:
        """Send a statement, together with what else is to be sent in this turn of the loop.

        Raises:
            ConnectionResetError: no answer would come.
        """
        if self._is_over:
            raise ConnectionResetError("the connection was lost before the statement was sent")
        self.turns.append(lane)
        self._unsent.append(data)
        if not self._is_flushing:
            self._flush_later()
        if self._timer is None:
            self._begin_watch()

    def _flush_later(self) -> None:
        self._is_flushing = True
        self._loop.call_soon(self._flush, context=self._context)

    def _flush(self) -> None:
        self._is_flushing = False
        unsent = self._unsent
        # While the server has more to do than what waits here, that can wait for more.
        if not unsent or len(unsent) < min(len(self.turns) - len(unsent), _MOST_HELD):
            return
        self._unsent = []
        # uvloop would write each of them by itself.
        self._transport.write(b"".join(unsent))
        if not self._batch:
            self._begin_batch()

    # --- what the transport calls ----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Cut what has come after each answer, and give each to its lane."""
        turns = self.turns
        if not turns:
            if not self._is_over:
                self._pass_on(data)
            elif not self.silence.done():
                self.silence.set_result(None)
            return
        if self._header:
            data = self._header + data
            self._header = b""
        lane = turns[0]
        statement = lane.statement
        count = len(turns)
        start, end = 0, len(data)
        position, is_last = self._missing, self._is_last
        while position <= end:
            if is_last:
                lane.receive(data[start:position])
                if self._is_over:  # a decoder of the application's own has ended it all
                    return
                turns.popleft()
                lane.leave()
                if not lane.is_spoiled:
                    self._lanes.append(lane)
                start = position
                if not turns:
                    break
                lane = turns[0]
            if end - position < 5:
                self._header = data[position:]
                is_last, end = False, position
                break
            kind, length = _HEADER.unpack_from(data, position)
            is_last = kind == _READY_FOR_QUERY
            position += 1 + length
        if turns:
            if start < end:
                lane.receive(data[start:end])
                if self._is_over:
                    return
            self._missing, self._is_last = position - end, is_last
        else:
            self._missing, self._is_last = 0, False
            if start < end:
                self._pass_on(data[start:])
        count -= len(turns)
        if count:
            self._answered += count
            if statement is not None:
                statement.answered += count
            if self._unsent and not self._is_flushing:
                self._flush_later()
            if self._batch:
                self._judge(statement, count)
            self.let_go(count)

    def _pass_on(self, data: bytes) -> None:
        """What is for no lane is for the connection itself."""
        try:
            self._protocol.data_received(data)
        except BaseException as exc:
            self._break(exc)
        else:
            if data[0] == _ERROR:
                self._heed(data)


_Core: Any = asyncio.Protocol if _core is None else _core.Core


class _CompiledPipeline(_Core, PipelineWatch):  # type: ignore[misc]
    """`Pipeline` with lanes that are compiled, and are no protocol objects of asyncpg."""

    def __init__(
        self,
        raw: Any,
        lanes: list[PostgresLane],
        rested: Callable[[], None],
        stalled: Callable[[], None],
        unsynced: Callable[[], None],
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self._begin(raw, lanes, rested, stalled, unsynced)


def pipeline(
    raw: Any,
    lanes: list[PostgresLane],
    rested: Callable[[], None],
    stalled: Callable[[], None],
    unsynced: Callable[[], None],
) -> Pipeline:
    """The pipeline of a connection, compiled where it can be."""
    kind: Any = Pipeline if _core is None else _CompiledPipeline
    made: Pipeline = kind(raw, lanes, rested, stalled, unsynced)
    return made
