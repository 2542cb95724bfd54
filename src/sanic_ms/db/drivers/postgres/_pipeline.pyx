"""What a plain read passes on its way through a pipeline to PostgreSQL, compiled.

`Core` does what `sanic_ms.db.drivers.postgres.pipeline.Pipeline` does with each message, and
`CompiledLane` what `PostgresLane` and asyncpg's protocol object do between them: a lane is no
protocol object here, but asks asyncpg's prepared statement itself, by its C interface, to encode the
arguments and to decode the rows. So there is still one codec. `Reads` is `ConnectionPool.fetchrow`
and its kin for the usual read, up to what is awaited.

asyncpg's C interface is not promised to stay, so this is used with the very version that it was
compiled for; with another one the Python is used.
"""

from collections import deque

import asyncpg
from asyncpg.pgproto.pgproto cimport WriteBuffer
from asyncpg.protocol.protocol cimport (
    CONNECTION_OK,
    BaseProtocol,
    Codec,
    PreparedStatementState,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.contextvars cimport PyContextVar_CheckExact
from cpython.dict cimport PyDict_GetItem, PyDict_SetItem
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from cpython.sequence cimport PySequence_GetItem
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcpy

cimport cython
from sanic_ms.native._clock cimport nanoseconds
from sanic_ms.native._numbers cimport doubles
from sanic_ms.native._slots cimport get, put, slot

from asyncio import get_running_loop
from socket import AF_INET, AF_INET6

from sanic_ms.db.drivers.postgres.values import INTEGER_TYPES, WHOLE, check_integer
from sanic_ms.db.drivers.values import value_at
from sanic_ms.db.sql.statement import Statement
from sanic_ms.telemetry.metrics.series import Cell, Histogram
from sanic_ms.telemetry.tracing import recording_parent
from sanic_ms.telemetry.tracing.context import SpanHolder, context_variable


cdef extern from *:
    """
    #include <time.h>
    #ifdef __linux__
    #include <sys/socket.h>
    static void sanic_ms_wake_at(int file, int length) {
        setsockopt(file, SOL_SOCKET, SO_RCVLOWAT, &length, sizeof length);
    }
    #else
    static void sanic_ms_wake_at(int file, int length) {}
    #endif

    #ifndef SANIC_MS_ASYNCPG
    #define SANIC_MS_ASYNCPG ""
    #endif

    static int32_t sanic_ms_int32(const char *at) {
        const unsigned char *b = (const unsigned char *)at;
        return (int32_t)((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
    }
    static void sanic_ms_put_int32(char *at, uint32_t value) {
        at[0] = (char)(value >> 24); at[1] = (char)(value >> 16);
        at[2] = (char)(value >> 8); at[3] = (char)value;
    }
    """
    int PyContextVar_Get(object variable, PyObject* default, PyObject** value) except -1
    const char* SANIC_MS_ASYNCPG
    void sanic_ms_wake_at(int file, int length)
    int32_t sanic_ms_int32(const char* at)
    void sanic_ms_put_int32(char* at, uint32_t value)


# Seconds.
PULSE = 0.002

BUILT_FOR = (<bytes>SANIC_MS_ASYNCPG).decode()
if asyncpg.__version__ != BUILT_FOR:
    raise ModuleNotFoundError(
        f"compiled for asyncpg {BUILT_FOR}, and {asyncpg.__version__} is installed", name=__name__
    )

cdef type _Statement = Statement
cdef Py_ssize_t PLAIN = slot(Statement, "plain")
cdef Py_ssize_t SLOW = slot(Statement, "slow")
cdef Py_ssize_t COUNT = slot(Statement, "count")
cdef Py_ssize_t WORD = slot(Statement, "word")
cdef Py_ssize_t TEXT = slot(Statement, "text")
cdef Py_ssize_t ANSWERED = slot(Statement, "answered")
cdef Py_ssize_t TOGETHER = slot(Statement, "together")

cdef type _Histogram = Histogram
cdef Py_ssize_t VALUES = slot(Cell, "_values")
cdef Py_ssize_t AT = slot(Cell, "_at")
cdef Py_ssize_t SUM_AT = slot(Histogram, "_sum_at")
cdef Py_ssize_t BOUNDS = slot(Histogram, "_bounds")

cdef frozenset _whole = WHOLE
cdef frozenset _integer_types = INTEGER_TYPES

cdef object _variable = context_variable
cdef type _SpanHolder = SpanHolder
cdef Py_ssize_t SAMPLED = slot(SpanHolder, "sampled")

cdef enum:
    ROWS = 0
    ROW = 1
    VALUE = 2
    # As in `postgres_pipeline`.
    MOST_HELD = 32
    # The shortest answer: BindComplete, a row without columns, PortalSuspended and ReadyForQuery.
    SHORTEST = 5 + 7 + 5 + 6
    # So many must be under way, and so many may be where nobody is kept waiting, before this process
    # waits for more than the first byte of an answer.
    FEWEST = 8
    PROMPT = 16
    # Names of columns that one pipeline remembers.
    MOST_NAMES = 512
    # What the messages of one statement take beside its name and its arguments.
    AROUND = 1 + 4 + 2 + 10 + 5


class Unanswered(Exception):
    """A read got no answer, or an error in place of one: it has to be done again by itself."""


@cython.freelist(128)
cdef class CompiledLane:
    """The way of one statement: `PostgresLane`, for one use.

    Attributes:
        statement: What is asked, None: nothing any more.
        uses: How often it was given back: once at most.
    """

    cdef Core _pipeline
    cdef readonly object statement
    cdef readonly long uses
    cdef PreparedStatementState _state
    cdef object _future
    cdef object _found
    cdef object _cell
    cdef object _raised
    cdef int64_t _started
    cdef Py_ssize_t _column
    cdef int _kind
    cdef bint _failed

    @property
    def is_spoiled(self):
        """Its caller has gone."""
        return self._future is not None and self._future.cancelled()

    def fetch(self, args):
        """Every row."""
        return self.ask(args, ROWS, 0)

    def fetchrow(self, args):
        """The first row."""
        return self.ask(args, ROW, 0)

    def fetchval(self, args, column):
        """One value of the first row."""
        return self.ask(args, VALUE, column)

    def settle(self, uses):
        """After an error, or instead of a statement: where nothing was sent, no answer comes."""
        cdef Core pipeline = self._pipeline
        if pipeline is not None and self._future is None:
            self.leave()
            pipeline.withdraw()

    def lose(self, exc):
        """No answer will come."""
        self._failed = True
        self.answer()

    cdef object ask(self, object args, int kind, Py_ssize_t column):
        """Send the statement: a future of its answer."""
        cdef Core pipeline = self._pipeline
        if pipeline is None or self._future is not None:
            raise RuntimeError("a lane is used once")
        if pipeline._is_over:
            raise ConnectionResetError("the connection was lost before the statement was sent")
        future = pipeline._create_future()
        found = [] if kind == ROWS else None
        # From here on nothing may fail: what is written is sent, and its answer is this lane's.
        pipeline.write(self._state, args, 0 if kind == ROWS else 1)
        self._kind = kind
        self._column = column
        self._found = found
        self._future = future
        pipeline._turns_append(self)
        pipeline.sent()
        return future

    cdef int row(self, const char* data, Py_ssize_t length) except -1:
        """A row has come."""
        cdef object record
        cdef Core pipeline = self._pipeline
        cdef PreparedStatementState state = self._state
        if pipeline is None or self._failed or self._future.done():
            return 0
        if self._kind != ROWS and self._found is not None:
            return 0
        try:
            record = state._decode_row(data, length)
            if self._pipeline is None:  # a decoder of the application's own has ended it all
                return 0
            if self._kind == VALUE:
                # In a tuple, as it may be None.
                self._found = (value_at(record, self._column),)
            elif self._kind == ROW:
                self._found = pipeline.dict_of(state, record)
            else:
                (<list>self._found).append(pipeline.dict_of(state, record))
        except Exception:
            # Which, the statement that is run again will tell.
            self._failed = True
        except BaseException as exc:
            # What ends more than a read is its caller's alone.
            self._failed = True
            self._raised = exc
        return 0

    cdef int answer(self) except -1:
        """The whole answer has come."""
        future, found = self._future, self._found
        if future is not None and not future.done():
            if self._cell is not None and not self._failed:
                try:
                    observe(self._cell, <double>(nanoseconds() - self._started) / 1e9)
                except Exception:
                    # The caller is told when it asks again; those behind it go on.
                    self._failed = True
            if self._failed:
                future.set_exception(Unanswered() if self._raised is None else self._raised)
            else:
                if self._kind == VALUE and found is not None:
                    found = (<tuple>found)[0]
                future.set_result(found)
        self.leave()
        return 0

    cdef void leave(self) noexcept:
        self._pipeline = None
        self.statement = None
        self._state = None
        self._found = None
        self._cell = None
        self._raised = None
        self.uses += 1


cdef class Core:
    """`Pipeline`, as far as it is about each message."""

    cdef readonly object turns
    cdef object _turns_append
    cdef object _turns_popleft
    cdef public object _raw
    cdef public object _protocol
    cdef public object _transport
    cdef public object _loop
    cdef public object _lanes
    cdef public object _rested
    cdef public object _stalled
    cdef public object _unsynced
    cdef public object _timer
    cdef public object _context
    cdef public object silence
    cdef public Py_ssize_t count
    cdef public Py_ssize_t together
    cdef public Py_ssize_t depth
    cdef public bint _is_over
    cdef public bint _doubted
    cdef public Py_ssize_t _batch
    cdef public double _when
    cdef public double _used
    cdef public object _watched
    cdef public Py_ssize_t _before
    cdef public Py_ssize_t _answered
    cdef public Py_ssize_t _seen
    cdef public Py_ssize_t _prepared
    cdef object _create_future
    cdef dict _names
    # What is to be sent at the end of a turn of the loop, and of how many statements it is.
    cdef bint _is_flushing
    cdef readonly Py_ssize_t _held
    cdef char* _unsent
    cdef Py_ssize_t _length
    cdef Py_ssize_t _size
    # The socket, -1: not known; and after how many bytes it wakes this process.
    cdef int _file
    cdef readonly Py_ssize_t _wakes_at
    # While it is not woken at the first byte: looks whether answers come; and how many had by then.
    cdef object _pulse
    cdef Py_ssize_t _pulsed
    # The pieces of a message that has come in part, how long they are, and how long it is at least.
    cdef list _pieces
    cdef Py_ssize_t _have
    cdef Py_ssize_t _need

    def __init__(self, loop):
        self._loop = loop
        self._create_future = loop.create_future
        self._file = -1
        self._wakes_at = 1
        self._names = {}
        turns = deque()
        self._follow(turns)

    def __dealloc__(self):
        PyMem_Free(self._unsent)

    def _follow(self, turns):
        """The lanes whose answers have yet to come."""
        self.turns = turns
        self._turns_append = turns.append
        self._turns_popleft = turns.popleft

    def _take_turns(self):
        """All who wait, who are then forgotten, with what was to be sent."""
        turns = self.turns
        self._follow(deque())
        self._length = self._held = 0
        self.wake()
        return turns

    def admit(self, statement, PreparedStatementState state not None):
        """A lane for a statement; the caller uses it, or calls its `settle`."""
        if type(statement) is not _Statement:
            raise TypeError("no statement")
        return self.lane(statement, state)

    cdef CompiledLane lane(self, object statement, PreparedStatementState state):
        cdef CompiledLane lane = CompiledLane.__new__(CompiledLane)
        cdef Py_ssize_t together
        lane._pipeline = self
        lane.statement = statement
        lane._state = state
        self.count += 1
        together = get(statement, TOGETHER)
        if together < self.together:
            self.together = together
        return lane

    cdef int write(self, PreparedStatementState state, object args, int limit) except -1:
        """Bind, Execute and Sync, to be sent at the end of this turn."""
        check_integers(state, args)
        cdef WriteBuffer bound = state._encode_bind_msg(args)
        cdef Py_ssize_t name_length, size
        cdef const char* name = PyUnicode_AsUTF8AndSize(state.name, &name_length)
        cdef char* at
        size = AROUND + name_length + bound._length
        if size > 0x3fffffff:
            raise ValueError("arguments of more than a gigabyte")
        if self._length + size > self._size:
            self.grow(size)
        at = self._unsent + self._length
        at[0] = b"B"
        sanic_ms_put_int32(at + 1, <uint32_t>(4 + 2 + name_length + bound._length))
        at[5] = 0  # the portal without a name
        at += 6
        memcpy(at, name, name_length)
        at[name_length] = 0
        at += name_length + 1
        memcpy(at, bound._buf, bound._length)
        at += bound._length
        memcpy(at, b"E\0\0\0\x09\0", 6)
        sanic_ms_put_int32(at + 6, <uint32_t>limit)
        memcpy(at + 10, b"S\0\0\0\x04", 5)
        self._length += size
        return 0

    cdef int grow(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t more = max(2 * self._size, self._length + size, 4096)
        cdef char* moved = <char*>PyMem_Realloc(self._unsent, more)
        if moved is NULL:
            raise MemoryError
        self._unsent = moved
        self._size = more
        return 0

    cdef int sent(self) except -1:
        """A statement was written: it is to be sent, and watched."""
        self._held += 1
        if not self._is_flushing:
            self.flush_later()
        if self._timer is None:
            self._begin_watch()
        return 0

    cdef int flush_later(self) except -1:
        self._is_flushing = True
        self._loop.call_soon(self._flush, context=self._context)
        return 0

    def _flush(self):
        """Send what was written, or wait for more of it while the server has more to do."""
        cdef bytes data
        self._is_flushing = False
        if not self._held or self._held < min(<Py_ssize_t>len(self.turns) - self._held, MOST_HELD):
            return
        self._held = 0
        data = PyBytes_FromStringAndSize(self._unsent, self._length)
        self._length = 0
        if self._size > 262144:
            PyMem_Free(self._unsent)
            self._unsent = NULL
            self._size = 0
        self._transport.write(data)
        if not self._batch:
            self._begin_batch()
        self.wake()

    cdef int wake(self) except -1:
        """Have this process woken when a part of the answers is here and not at their first byte,
        where several come at once. So many bytes come in any case."""
        cdef Py_ssize_t under_way = len(self.turns) - self._held
        cdef Py_ssize_t coming
        if under_way < FEWEST or self.together < PROMPT or self._is_over:
            return self.wake_at(1)
        coming = SHORTEST * under_way
        if self._pieces is not None:
            coming -= self._have
        if coming // 4 <= self._wakes_at <= coming:
            return 0
        self.wake_at(max(coming // 2, 1))
        if self._pulse is None and self._wakes_at > 1:
            self._pulsed = self._answered
            self._pulse = self._loop.call_later(PULSE, self._beat, context=self._context)
        return 0

    cdef int wake_at(self, Py_ssize_t length) except -1:
        if length == self._wakes_at:
            return 0
        if self._file == -1:
            self._file = self.file_of()
        # The number of a socket that was closed may be another one's.
        if self._file >= 0 and not self._transport.is_closing():
            sanic_ms_wake_at(self._file, <int>length)
            self._wakes_at = length
        return 0

    def _beat(self):
        """Where nothing has come for a while, one of them takes long: those before it are not to
        wait for it."""
        self._pulse = None
        if self._wakes_at == 1:
            return
        if self._answered == self._pulsed:
            self.wake_at(1)
        else:
            self._pulsed = self._answered
            self._pulse = self._loop.call_later(PULSE, self._beat, context=self._context)

    cdef int file_of(self) except? -1:
        """The number of the socket, -2: of none that is known to be TCP and not encrypted."""
        transport = self._transport
        found = transport.get_extra_info("socket")
        if found is None or transport.get_extra_info("sslcontext") is not None:
            return -2
        if found.family not in (AF_INET, AF_INET6):
            return -2
        return found.fileno()

    cdef dict dict_of(self, PreparedStatementState state, object record):
        cdef tuple names
        cdef Py_ssize_t index
        cdef dict row = {}
        cdef PyObject* found = PyDict_GetItem(self._names, state.name)
        if found is NULL:
            names = tuple(record.keys())
            if len(self._names) >= MOST_NAMES:
                self._names.clear()
            self._names[state.name] = names
        else:
            names = <tuple>found
        for index in range(PyTuple_GET_SIZE(names)):
            PyDict_SetItem(row, names[index], PySequence_GetItem(record, index))
        return row

    cdef CompiledLane first(self):
        """Whose answer comes next."""
        lane = self.turns[0]
        if type(lane) is not CompiledLane:
            raise TypeError("no lane")
        return lane

    def data_received(self, data):
        """Cut what has come into messages, and give each to its lane."""
        cdef bytes chunk
        cdef CompiledLane lane
        cdef const char* start
        cdef Py_ssize_t at, end, size, count
        cdef uint32_t length
        cdef char kind
        if not self.turns:
            if not self._is_over:
                self.pass_on(data)
            elif not self.silence.done():
                self.silence.set_result(None)
            return
        chunk = data if type(data) is bytes else bytes(data)
        if self._pieces is not None:
            self._pieces.append(chunk)
            self._have += PyBytes_GET_SIZE(chunk)
            if self._have < self._need:
                return
            chunk = b"".join(self._pieces)
            self._pieces = None
        start = PyBytes_AS_STRING(chunk)
        at, end, count = 0, PyBytes_GET_SIZE(chunk), 0
        lane = self.first()
        statement = lane.statement
        while True:
            size = 5
            if end - at >= 5:
                length = <uint32_t>sanic_ms_int32(start + at + 1)
                if length < 4:
                    # No message is so short. Nothing after it can be told apart.
                    self._transport.abort()
                    break
                size = 1 + <Py_ssize_t>length
            if end - at < size:
                if at < end:
                    self._pieces = [chunk[at:]]
                    self._have = end - at
                    self._need = size
                break
            kind = start[at]
            if kind == b"D":
                lane.row(start + at + 5, size - 5)
                if self._is_over:  # a decoder of the application's own has ended it all
                    return
            elif kind == b"E":
                lane._failed = True
            elif kind == b"Z":
                self._turns_popleft()
                lane.answer()
                count += 1
                if not self.turns:
                    at += size
                    if at < end:
                        self.pass_on(chunk[at:])
                    break
                lane = self.first()
            at += size
        if count:
            self._answered += count
            if type(statement) is _Statement:
                put(statement, ANSWERED, <Py_ssize_t>get(statement, ANSWERED) + count)
            if self._held and not self._is_flushing:
                self.flush_later()
            if self._batch:
                self._judge(statement, count)
            self.wake()
            self.let_go(count)

    cdef int pass_on(self, object data) except -1:
        """What is for no lane is for the connection itself."""
        try:
            self._protocol.data_received(data)
        except BaseException as exc:
            self._break(exc)
            return 0
        if type(data) is bytes and PyBytes_AS_STRING(data)[0] == b"E":
            self._heed(data)
        return 0


cdef class Reads:
    """The plain reads of one pool: `ConnectionPool.fetchrow` and its kin up to what is awaited.

    Args:
        sharing: The pool's.
        sessions: Its sessions.
        statements: Its statements.
        metrics: Counts how long reads take; None: nobody wants to know.
        kind: The class of a session.
    """

    cdef object _sharing
    cdef object _sessions
    cdef object _loop
    cdef object _metrics
    cdef object _queue
    cdef list _busy
    cdef list _idle
    cdef dict _known
    cdef dict _cells
    cdef object _kind
    cdef Py_ssize_t _prepared_at
    cdef Py_ssize_t _pipeline_at
    cdef Py_ssize_t _retired_at
    cdef Py_ssize_t _turn_at

    def __init__(self, sharing, sessions, statements, metrics, kind):
        if not isinstance(kind, type):
            raise TypeError("no class")
        self._sharing = sharing
        self._sessions = sessions
        self._loop = sharing.loop
        self._metrics = metrics
        self._queue = sessions.waiters.queue
        self._busy = sharing._busy
        self._idle = sessions.idle
        self._known = statements._known
        self._cells = {} if metrics is None else metrics._cells
        self._kind = kind
        self._prepared_at = slot(<type>kind, "_prepared")
        self._pipeline_at = slot(<type>kind, "_pipeline")
        self._retired_at = slot(<type>kind.__mro__[1], "retired")
        self._turn_at = slot(<type>type(sharing), "_turn")

    def fetch(self, statement, tuple args not None):
        """A future of every row, None: the Python has to do it."""
        return self.ask(statement, args, ROWS, 0)

    def fetchrow(self, statement, tuple args not None):
        """A future of the first row, None: the Python has to do it."""
        return self.ask(statement, args, ROW, 0)

    def fetchval(self, statement, tuple args not None, column):
        """A future of one value of the first row, None: the Python has to do it."""
        if type(column) is not int or not -2000 < column < 2000:
            return None
        return self.ask(statement, args, VALUE, column)

    cdef object ask(self, object statement, tuple args, int kind, Py_ssize_t column):
        cdef PyObject* found
        cdef CompiledLane lane
        cdef int64_t started
        if get_running_loop() is not self._loop or type(statement) is not str:
            return None
        found = PyDict_GetItem(self._known, statement)
        if found is NULL:
            return None
        known = <object>found
        if (
            type(known) is not _Statement
            or get(known, PLAIN) is not True
            or get(known, SLOW) is not False
            or <Py_ssize_t>get(known, COUNT) != PyTuple_GET_SIZE(args)
            or is_recorded()
        ):
            return None
        lane = self.lane(known)
        if lane is None:
            return None
        started = nanoseconds()
        try:
            future = lane.ask(args, kind, column)
        except BaseException as exc:
            lane.settle(0)
            if not isinstance(exc, Exception):
                raise
            return None
        lane._started = started
        if self._metrics is not None:
            found = PyDict_GetItem(self._cells, get(known, WORD))
            lane._cell = (
                self._metrics.cell(get(known, WORD)) if found is NULL else <object>found
            )
        return future

    cdef CompiledLane lane(self, object statement):
        """`Sharing.lane`."""
        cdef CompiledLane lane
        cdef Py_ssize_t count, turn
        count = len(self._busy)
        if not len(self._idle):
            if not count or self._queue:
                return None
            self._sessions.grow()
        for turn in range(count):
            lane = self.behind(self._busy[turn], statement, False)
            if lane is not None:
                return lane
        if len(self._idle):
            found = self._sharing.lane(statement)
            if found is not None and type(found) is not CompiledLane:
                found.settle(found.uses)
                return None
            return found
        turn = get(self._sharing, self._turn_at)
        for _ in range(count):
            turn = (turn + 1) % count
            put(self._sharing, self._turn_at, turn)
            lane = self.behind(self._busy[turn], statement, True)
            if lane is not None:
                return lane
        return None

    cdef CompiledLane behind(self, object session, object statement, bint pressed):
        """`PostgresSession.lane` of one that has a pipeline."""
        cdef Core pipeline
        cdef BaseProtocol protocol
        cdef PyObject* prepared
        if type(session) is not self._kind or get(session, self._retired_at) is not False:
            return None
        found = get(session, self._pipeline_at)
        if not isinstance(found, Core):
            return None
        pipeline = found
        if pipeline.count >= (pipeline.depth if pressed else pipeline.together):
            return None
        if not isinstance(pipeline._protocol, BaseProtocol):
            return None
        protocol = pipeline._protocol
        if protocol.closing or protocol.con_status != CONNECTION_OK:
            return None
        prepared = PyDict_GetItem(get(session, self._prepared_at), get(statement, TEXT))
        if prepared is NULL:
            return None
        state = (<object>prepared)._state
        if type(state) is not PreparedStatementState:
            return None
        return pipeline.lane(statement, state)


cdef int check_integers(PreparedStatementState state, object args) except -1:
    """`sanic_ms.db.drivers.postgres.values.check_integers`."""
    cdef Py_ssize_t index
    cdef tuple codecs = state.args_codecs
    if codecs is None:
        return 0
    for index in range(min(len(codecs), len(args))):
        value = args[index]
        if <object>type(value) in _whole:
            continue
        if (<Codec>codecs[index]).name in _integer_types:
            check_integer(value, index + 1)
    return 0


cdef int observe(object cell, double value) except -1:
    """`Histogram.observe` of seconds."""
    cdef Py_ssize_t at, sum_at, length = 0
    cdef double* numbers
    if type(cell) is _Histogram and value >= 0.0:
        numbers = doubles(get(cell, VALUES), &length)
        at = get(cell, AT)
        sum_at = get(cell, SUM_AT)
        if numbers is not NULL and 0 <= at < sum_at < length:
            for bound in <tuple?>get(cell, BOUNDS):
                if value <= <double>bound:
                    break
                at += 1
            if at < sum_at:
                numbers[sum_at] += value
                numbers[at] += 1.0
                return 0
    cell.observe(value)
    return 0


cdef bint is_recorded() except -1:
    """Whether `recording_parent` gives one."""
    cdef PyObject* holder = NULL
    if PyContextVar_CheckExact(_variable):
        if PyContextVar_Get(_variable, NULL, &holder) == 0 and holder is not NULL:
            context = <object>holder
            Py_XDECREF(holder)
            if isinstance(context, _SpanHolder) and get(context, SAMPLED) is False:
                return False
    return recording_parent() is not None
