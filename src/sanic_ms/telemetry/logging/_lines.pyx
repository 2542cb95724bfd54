"""The usual line of a call of a ``@logger`` function, put together from its parts in memory.

`CallLines` does what those methods of `sanic_ms.telemetry.logging.logged.LoggedFunction` do that it
names, for a call that went well within a request that is not recorded, as long as nobody but our
own handler would see its record and that writes JSON. Everything else is left to those methods,
before anything was changed.
"""

cimport cython
from cpython.contextvars cimport PyContextVar_CheckExact, PyContextVar_Get
from cpython.object cimport Py_SIZE, PyObject
from cpython.ref cimport Py_DECREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport rint
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from sanic_ms.native._clock cimport nanoseconds
from sanic_ms.native._random cimport random_bytes
from sanic_ms.native._slots cimport get, put, slot
from sanic_ms.native._text cimport ascii_of, is_ascii, new_ascii, put_decimal, put_hexadecimal
from sanic_ms.telemetry.logging._line_buffer cimport Block, Packed
from sanic_ms.telemetry.logging._handler_lookup cimport Way

from collections import deque
from uuid import UUID

from sanic_ms.context import current_request
from sanic_ms.telemetry.logging.line import request_id_of
from sanic_ms.telemetry.logging.writer import LogWriter, renew_after_fork
from sanic_ms.telemetry.tracing.context import SpanHolder, context_variable
from sanic_ms.telemetry.tracing.provider import Provider
from sanic_ms.telemetry.tracing.server import RouteSpans, ServerSpan


cdef extern from *:
    """
    /* Nanoseconds since the epoch at a moment of the clock of durations that has just been read. The
       coarse clock of Linux is stepped some hundred times a second and whenever somebody sets the
       time, and costs a sixth of the exact one: that is asked once a step. */
    static int64_t sanic_ms_moment(int64_t now) {
    #ifdef CLOCK_REALTIME_COARSE
        static int64_t step = -1, ahead = 0;
        int64_t coarse = sanic_ms_read_clock(CLOCK_REALTIME_COARSE);
        if (coarse != step) {
            step = coarse;
            ahead = sanic_ms_read_clock(CLOCK_REALTIME) - sanic_ms_read_clock(CLOCK_MONOTONIC);
        }
        return now + ahead;
    #else
        return sanic_ms_read_clock(CLOCK_REALTIME);
    #endif
    }

    /* Milliseconds since the epoch as the lines have them, 24 letters. */
    static const char *sanic_ms_stamp(int64_t moment) {
        static int64_t known = -1, second = -1;
        static char text[64];
        if (moment != known) {
            int part = (int)(moment % 1000);
            if (moment / 1000 != second) {
                time_t whole = (time_t)(moment / 1000);
                struct tm date;
                gmtime_r(&whole, &date);
                strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", &date);
                second = moment / 1000;
            }
            text[20] = '0' + part / 100;
            text[21] = '0' + part / 10 % 10;
            text[22] = '0' + part % 10;
            known = moment;
        }
        return text;
    }

    /* The big end first; -1 with an exception where it does not fit. */
    static int sanic_ms_bytes_of(PyObject *number, unsigned char *bytes, size_t size) {
    #if PY_VERSION_HEX < 0x030D0000
        return _PyLong_AsByteArray((PyLongObject *)number, bytes, size, 0, 0);
    #else
        return _PyLong_AsByteArray((PyLongObject *)number, bytes, size, 0, 0, 1);
    #endif
    }
    """
    int64_t sanic_ms_moment(int64_t now) noexcept
    const char* sanic_ms_stamp(int64_t moment) noexcept
    int sanic_ms_bytes_of(object number, unsigned char* data, size_t size) except -1


cdef type _deque = deque
cdef type _LogWriter = LogWriter
cdef Py_ssize_t ASLEEP = slot(LogWriter, "_asleep")
cdef Py_ssize_t ITEMS = slot(LogWriter, "_items")
cdef Py_ssize_t PACKED = slot(LogWriter, "_packed")
cdef Py_ssize_t ROOM = slot(LogWriter, "_room")

cdef type _ServerSpan = ServerSpan
cdef Py_ssize_t SPAN_IDS = slot(ServerSpan, "_ids")
cdef Py_ssize_t SPAN_PARENT = slot(ServerSpan, "_parent")
cdef Py_ssize_t SPAN_ROUTE = slot(ServerSpan, "_route")
cdef Py_ssize_t LOG_IDS = slot(SpanHolder, "log_ids")
cdef Py_ssize_t SAMPLED = slot(SpanHolder, "sampled")
cdef type _RouteSpans = RouteSpans
cdef Py_ssize_t ROUTE_PROVIDER = slot(RouteSpans, "provider")
cdef object _Provider = Provider  # its class is ABCMeta
cdef type _UUID = UUID
cdef Py_ssize_t UUID_INT = slot(UUID, "int")

cdef object _variable = context_variable
cdef object _current_request = current_request
cdef bytes BEFORE = b'{"@timestamp":"'
cdef int STAMP = 24, ROOM_FOR_NUMBERS = 96
cdef int64_t LONGEST = 1_000_000  # microseconds; longer ones are written otherwise in the message
cdef int _generation = 0


@cython.final
cdef class Fork:
    """Tells that the process is another one, whose lines have another id in them."""

    cdef object __weakref__

    def renew(self):
        global _generation
        _generation += 1


cdef Fork _fork = Fork()
renew_after_fork(_fork)


cdef int generation() noexcept:
    """Another number in each process that was forked."""
    return _generation


cdef int64_t moment(int64_t now) noexcept:
    """Milliseconds since the epoch, now."""
    return sanic_ms_moment(now) // 1_000_000


cdef const char* stamp(int64_t moment) noexcept:
    """Those as lines have them."""
    return sanic_ms_stamp(moment)


cdef bytes encoded(object text):
    """A part of a line."""
    return text.encode(errors="backslashreplace")


# --- the writer's side -----------------------------------------------------------------------------


cdef Block open_block(object writer):
    """What the next line is added to; None: no room is left, or it is no `LogWriter`."""
    if type(writer) is not _LogWriter:
        return None
    packed = get(writer, PACKED)
    if type(packed) is not Packed:
        return None
    cdef Packed all = packed
    cdef Block block = all.block
    items = get(writer, ITEMS)
    if type(items) is not _deque:
        return None
    cdef long waiting = Py_SIZE(items) + all.closed + (0 if block is None else block.lines - 1)
    if waiting >= <long>get(writer, ROOM):
        return None
    if block is None:
        block = all.spare
        if block is None:
            block = Block()
        all.spare = None
        all.block = block
        items.append(block)
    return block


cdef int rouse(object writer) except -1:
    """A line was added."""
    if get(writer, ASLEEP) is not False:
        writer._wake()
    return 0


cdef char* copy(char* to, bytes text) noexcept:
    """Copy, and give where the next goes."""
    memcpy(to, <char*>text, len(text))
    return to + len(text)


cdef char* copy_milliseconds(char* to, int64_t microseconds, bint exact) noexcept:
    """A duration of less than a second in the message of a line, or exactly, as its field has it."""
    cdef int part = microseconds % 1000
    to = put_decimal(to, microseconds // 1000)
    if part or exact:
        to[0] = c"."
        to[1] = c"0" + <char>(part // 100)
        to += 2
        part %= 100
        if part:
            to[0] = c"0" + <char>(part // 10)
            to += 1
            if part % 10:
                to[0] = c"0" + <char>(part % 10)
                to += 1
    return to


# --- what belongs to a request ----------------------------------------------------------------------


cdef object current_context():
    """What is current; None: nothing was ever made so, or it is kept elsewhere."""
    cdef PyObject* found = NULL
    if _variable is None or not PyContextVar_CheckExact(_variable):
        return None
    PyContextVar_Get(_variable, NULL, &found)
    if found is NULL:
        return None
    context = <object>found
    Py_DECREF(context)
    return context


cdef bint is_request(object context) noexcept:
    """Whether that is the `ServerSpan` of a request, made by our own provider."""
    return type(context) is _ServerSpan


cdef object ids_of(object holder):
    """`ServerSpan.ids`."""
    cdef unsigned char[24] data
    ids = get(holder, SPAN_IDS)
    if ids is not None:
        return ids
    route = get(holder, SPAN_ROUTE)
    if (
        get(holder, SPAN_PARENT) is not None
        or get(holder, SAMPLED) is not False
        or type(route) is not _RouteSpans
    ):
        return holder.ids
    if type(get(route, ROUTE_PROVIDER)) is not _Provider:
        return holder.ids
    random_bytes(data, 24)
    data[23] |= 1  # not all digits of the span's id are 0
    trace_id, span_id = new_ascii(32), new_ascii(16)
    put_hexadecimal(ascii_of(trace_id), data, 16)
    put_hexadecimal(ascii_of(span_id), data + 16, 8)
    ids = (trace_id, span_id)
    put(holder, SPAN_IDS, ids)
    return ids


cdef bint ids_are_known(object holder) except -1:
    """`ServerSpan.known`."""
    return (
        get(holder, SPAN_IDS) is not None
        or get(holder, SPAN_PARENT) is not None
        or get(holder, SAMPLED) is not False
    )


cdef object ids_text(object formatter, object ids, object request_id):
    """`JSONFormatter.ids`."""
    cdef unsigned char[16] data
    cdef char* to
    if type(request_id) is not _UUID or type(ids) is not tuple or len(ids) != 2:
        return formatter.ids(ids, request_id)
    trace_id, span_id = ids
    number = get(request_id, UUID_INT)
    if not (is_ascii(trace_id, 32) and is_ascii(span_id, 16) and type(number) is int):
        return formatter.ids(ids, request_id)
    sanic_ms_bytes_of(number, data, 16)
    text = new_ascii(126)
    to = ascii_of(text)
    memcpy(to, b'"trace_id":"', 12)
    memcpy(to + 12, ascii_of(trace_id), 32)
    memcpy(to + 44, b'","span_id":"', 13)
    memcpy(to + 57, ascii_of(span_id), 16)
    memcpy(to + 73, b'","request_id":"', 16)
    to = put_hexadecimal(to + 89, data, 4)
    to[0] = c"-"
    to = put_hexadecimal(to + 1, data + 4, 2)
    to[0] = c"-"
    to = put_hexadecimal(to + 1, data + 6, 2)
    to[0] = c"-"
    to = put_hexadecimal(to + 1, data + 8, 2)
    to[0] = c"-"
    to = put_hexadecimal(to + 1, data + 10, 6)
    to[0] = c'"'
    return text


cdef object log_ids_of(object holder, object formatter):
    """What all lines of a request have in common; None: there is no request."""
    cdef PyObject* found = NULL
    ids = get(holder, LOG_IDS)
    if ids is not None:
        return ids
    variable = _current_request._variable
    if PyContextVar_CheckExact(variable):
        PyContextVar_Get(variable, NULL, &found)
        if found is NULL:
            return None
        request = <object>found
        Py_DECREF(request)
    else:
        request = _current_request.get()
    if request is None:
        return None
    known = ids_of(holder)
    try:
        request_id = request.id
    except Exception:  # that of an application's class
        request_id = request_id_of(request)
    ids = ids_text(formatter, known, request_id)
    put(holder, LOG_IDS, ids)
    return ids


# --- the line of a call ----------------------------------------------------------------------------


@cython.final
cdef class CallLines:
    """The lines of one function whose arguments are not logged.

    Args:
        call: Its `LoggedFunction`, bound.
    """

    cdef object _begin, _finish, _site, _formatter
    cdef bint _tracing
    cdef Way _way
    cdef int _generation
    cdef bytes _start, _middle, _end, _last
    cdef Py_ssize_t _size

    def __cinit__(self, call):
        self._begin = call.begin_within
        self._finish = call.finish
        self._site = call.site
        self._tracing = call.tracing
        self._way = Way(call.log, call.level)

    @property
    def way(self):
        """Where its lines go; for tests."""
        return self._way

    def begin_any(self, args, kwargs):
        """`LoggedFunction.begin_within`. What is not logged is not looked at."""
        return self.begin()

    def begin(self):
        """The same for a wrapper that has no such arguments."""
        if self._tracing:
            holder = current_context()
            if not is_request(holder) or get(holder, SAMPLED) is not False:
                return self._begin()
        if not self._way.is_enabled():
            return None
        return <double>nanoseconds() / 1e9

    def finish(self, running):
        """`LoggedFunction.finish`."""
        if type(running) is not float or not self.write(running):
            self._finish(running)

    cdef bint write(self, double started) except -1:
        """`LoggedFunction.tell_usual`."""
        cdef int64_t now = nanoseconds(), created = moment(now), duration
        cdef double micro = rint((<double>now / 1e9 - started) * 1e6)
        cdef Block block
        cdef Py_ssize_t size = 0
        cdef const char* text
        cdef const char* when
        cdef char* to
        holder = current_context()
        if not is_request(holder) or not 0 <= micro < LONGEST:
            return False
        self._way.ask()
        writer, formatter = self._way.writer, self._way.formatter
        if formatter is None:
            return False
        if self._formatter is not formatter or self._generation != _generation:
            self.learn(formatter)
        ids = get(holder, LOG_IDS)
        if ids is None:
            ids = log_ids_of(holder, formatter)
            self._way.ask()  # what gave the id may have done anything
            if ids is None or self._way.formatter is not formatter:
                return False
            writer = self._way.writer
        if type(ids) is not str:
            return False
        text = PyUnicode_AsUTF8AndSize(ids, &size)
        duration = <int64_t>micro
        block = open_block(writer)
        if block is None:
            return False
        to = block.reserve(self._size + size)
        when = stamp(created)
        to = copy(to, BEFORE)
        memcpy(to, when, STAMP)
        to = copy(to + STAMP, self._start)
        to = copy_milliseconds(to, duration, False)
        to = copy(to, self._middle)
        memcpy(to, text, size)
        to = copy(to + size, self._end)
        to = copy_milliseconds(to, duration, True)
        to = copy(to, self._last)
        to[0] = c"\n"
        block.size = to + 1 - block.data
        block.lines += 1
        rouse(writer)
        return True

    cdef int learn(self, formatter) except -1:
        """What `JSONFormatter.call` looks up."""
        parts = formatter._calls.get(self._site)
        if parts is None:
            parts = formatter._learn(self._site)
        self._start, self._middle, self._end, self._last = [encoded(part) for part in parts]
        self._size = ROOM_FOR_NUMBERS + sum([len(encoded(part)) for part in parts])
        self._formatter = formatter
        self._generation = _generation
        return 0


def lines_of(call):
    """A `CallLines`; None where it has to be done otherwise."""
    if _variable is None or not PyContextVar_CheckExact(_variable) or call.signature is not None:
        return None
    return CallLines(call)


# --- for tests, which hold these against what they stand for ---------------------------------------


def written_milliseconds(int64_t microseconds):
    """A duration in the message, and as a field."""
    cdef char[64] text
    cdef char* end = copy_milliseconds(text, microseconds, False)
    said = text[:end - text].decode("ascii")
    end = copy_milliseconds(text, microseconds, True)
    return said, text[:end - text].decode("ascii")


def written_time(int64_t milliseconds):
    """A time."""
    if not 0 <= milliseconds < 253_402_300_800_000:
        raise ValueError("a time of the years 1970 to 9999 is needed")
    return sanic_ms_stamp(milliseconds)[:STAMP].decode("ascii")


def written_ids(formatter, ids, request_id):
    """What the lines of a request have in common."""
    return ids_text(formatter, ids, request_id)


def time_of_day():
    """Seconds since the epoch."""
    return sanic_ms_moment(nanoseconds()) / 1e9


def write_line(writer, bytes line not None):
    """A line as compiled code writes it; whether there was room."""
    if type(writer) is not _LogWriter:
        raise TypeError("a LogWriter is needed")
    cdef Block block = open_block(writer)
    if block is None:
        return False
    block.reserve(len(line) + 1)
    copy(block.data + block.size, line)[0] = c"\n"
    block.size += len(line) + 1
    block.lines += 1
    rouse(writer)
    return True
