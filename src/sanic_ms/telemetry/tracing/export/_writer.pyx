"""The usual recorded request and the usual statement, written at once when they end.

What `ServerSpan.end`, `ChildSpans.begun` and `Templates` do together, for objects of exactly those
classes in their usual state: the text has the same bytes, and no record waits to be written. What
is not usual is left alone, and goes the other way as a record.
"""

import sys
from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from sanic_ms.native._clock cimport nanoseconds
from sanic_ms.native._random cimport random_bytes
from sanic_ms.native._slots cimport get, put, slot
from sanic_ms.native._text cimport ascii_of, is_ascii, new_ascii, put_decimal, put_hexadecimal
from sanic_ms.telemetry.tracing.export._span_buffer cimport SpanBuffer

from sanic_ms.telemetry.tracing.attributes import MOST_TEXT, is_plain_path
from sanic_ms.telemetry.tracing.child import ChildRecord, ChildSpans
from sanic_ms.telemetry.tracing.context import SpanHolder
from sanic_ms.telemetry.tracing.headers import Parent
from sanic_ms.telemetry.tracing.export.otlp import OtlpFormat
from sanic_ms.telemetry.tracing.export.queue import SpanQueue
from sanic_ms.telemetry.tracing.record import SCOPE, RequestRecord, is_secure
from sanic_ms.telemetry.tracing.server import RouteSpans, ServerSpan
from sanic_ms.telemetry.tracing.span import wall_offset
from sanic_ms.telemetry.tracing.export.templates import MOST_TEMPLATES, PATH, cut
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat


cdef type _ServerSpan = ServerSpan
cdef Py_ssize_t START = slot(ServerSpan, "_start")
cdef Py_ssize_t ROUTE = slot(ServerSpan, "_route")
cdef Py_ssize_t REQUEST = slot(ServerSpan, "_request")
cdef Py_ssize_t SPAN = slot(ServerSpan, "_span")
cdef Py_ssize_t IDS = slot(ServerSpan, "_ids")
cdef Py_ssize_t PARENT = slot(ServerSpan, "_parent")
cdef Py_ssize_t ENDED = slot(ServerSpan, "_ended")
cdef Py_ssize_t SAMPLED = slot(SpanHolder, "sampled")
cdef type _RouteSpans = RouteSpans
cdef Py_ssize_t PROVIDER = slot(RouteSpans, "provider")
cdef Py_ssize_t USUAL = slot(RouteSpans, "_usual")
cdef type _ChildSpans = ChildSpans
cdef Py_ssize_t TEMPLATES = slot(ChildSpans, "templates")
cdef type _SpanQueue = SpanQueue
cdef Py_ssize_t SPANS = slot(SpanQueue, "_spans")
cdef Py_ssize_t FURTHER = slot(SpanQueue, "_further")
cdef Py_ssize_t LIMIT = slot(SpanQueue, "limit")
cdef Py_ssize_t DROPPED = slot(SpanQueue, "dropped")
cdef type _deque = deque
cdef type _Parent = Parent
cdef object _is_secure = is_secure, _wall_offset = wall_offset, _cut = cut, _scope = SCOPE
cdef Py_ssize_t _MOST_PATH = MOST_TEXT, _MOST_TEMPLATES = MOST_TEMPLATES

cdef enum:
    # Spans of a page, and bytes after which it is full as well. The exporter takes whole pages;
    # from 128 kB on malloc would ask the kernel for the memory of each.
    FULL = 128
    LARGE = 65536
    SECOND = 1000000000

# The letters of a path that is written as it came.
cdef char[256] PLAIN
cdef int _letter
for _letter in range(256):
    PLAIN[_letter] = is_plain_path(bytes((_letter,)))


cdef class Shelf:
    """The page of a scope that is written on."""

    cdef SpanBuffer page
    cdef int64_t offset, looked_at
    cdef Py_ssize_t room


cdef class Usual:
    """What spans that are alike have in common.

    There are ids, times and, of a request, its path between the pieces, and the parent's id before
    the last one if there is a parent.
    """

    cdef Writer writer
    cdef Shelf shelf
    cdef long status
    cdef bint secure, has_path, has_parent
    cdef tuple pieces
    cdef Py_ssize_t size


cdef class Writer:
    """Takes what has ended: written at once, or into a queue.

    Called with a record it puts that into the queue; the compiled end of a request or of a
    statement looks whether it has one of these to write to.

    Args:
        queue: Where pages and records wait.
        format: One of ours.

    Raises:
        TypeError: queue or format are of other classes.
    """

    cdef object queue, form
    cdef bint micro
    cdef dict usual, shelves

    def __cinit__(self, queue, form):
        if type(queue) is not _SpanQueue or type(form) not in (ZipkinFormat, OtlpFormat):
            raise TypeError("a SpanQueue and a format that is known are needed")
        self.queue = queue
        self.form = form
        self.micro = type(form) is ZipkinFormat
        self.usual = {}
        self.shelves = {}

    def __call__(self, record):
        """Put a record into the queue."""
        self.queue.put(record)

    cdef bint is_full(self) except -1:
        """Whether the queue has no room, and the span is counted as dropped."""
        queue = self.queue
        spans = get(queue, SPANS)
        if len(spans) + <Py_ssize_t>get(queue, FURTHER) < <Py_ssize_t>get(queue, LIMIT):
            return False
        put(queue, DROPPED, get(queue, DROPPED) + 1)
        return True

    cdef Usual learn(self, object span, bint has_path, object scope):
        """What spans like this one have in common; None: they have no template."""
        cdef Usual usual
        cdef list pieces = _cut(self.form, span, *((PATH,) if has_path else ()))
        if pieces is None:
            return None
        usual = Usual.__new__(Usual)
        usual.writer = self
        usual.pieces = tuple(pieces)
        usual.has_path = has_path
        usual.has_parent = len(pieces) - has_path == 6
        usual.size = sum(map(len, pieces))
        usual.shelf = self.shelves.get(scope)
        if usual.shelf is None:
            usual.shelf = self.shelves[scope] = Shelf.__new__(Shelf)
            usual.shelf.room = 4096
        return usual

    cdef int write(
        self,
        Usual usual,
        object scope,
        const char* trace_id,
        const char* span_id,
        int64_t start,
        int64_t stop,
        bytes path,
        const char* parent_id,
    ) except -1:
        """Write one behind the others."""
        cdef Shelf shelf = usual.shelf
        cdef SpanBuffer page
        cdef Py_ssize_t most = usual.size + 32 + 16 + 20 + 20 + 16 + 1, at, length
        cdef char* text
        if path is not None:
            most += PyBytes_GET_SIZE(path)
        # A clock that is set meanwhile, or a machine that slept, makes it another one.
        if stop - shelf.looked_at > SECOND or not shelf.looked_at:
            shelf.offset = _wall_offset()
            shelf.looked_at = stop
        page = shelf.page
        if page is None or page.sealed or page.count >= FULL or page.size >= LARGE:
            if page is not None and page.count >= FULL:
                shelf.room = page.size + page.size // 8
            page = SpanBuffer(scope, shelf.room)
        text = page.begin(most)  # from here to the end of it no other thread can come between
        start += shelf.offset
        stop += shelf.offset
        if self.micro:
            # `ZipkinFormat.times`
            stop = (stop - start + 500) // 1000 if stop > start else 1
            if stop < 1:
                stop = 1
            start = start // 1000 if start > 0 else 0
        else:
            # `OtlpFormat.times`
            if start < 0:
                start = 0
            if stop < start:
                stop = start
        text = join(text, usual.pieces, 0)
        memcpy(text, trace_id, 32)
        text = join(text + 32, usual.pieces, 1)
        memcpy(text, span_id, 16)
        text = join(text + 16, usual.pieces, 2)
        text = join(put_decimal(text, start), usual.pieces, 3)
        text = join(put_decimal(text, stop), usual.pieces, 4)
        at = 5
        if path is not None:
            length = PyBytes_GET_SIZE(path)
            memcpy(text, PyBytes_AS_STRING(path), length)
            text = join(text + length, usual.pieces, 5)
            at = 6
        if parent_id is not NULL:
            memcpy(text, parent_id, 16)
            text = join(text + 16, usual.pieces, at)
        page.end(text)
        if page.count == 1:
            get(self.queue, SPANS).append(page)
            shelf.page = page
        else:
            put(self.queue, FURTHER, <Py_ssize_t>get(self.queue, FURTHER) + 1)
        return 0


cdef inline char* join(char* text, tuple pieces, Py_ssize_t at) noexcept:
    cdef PyObject* piece = <PyObject*>PyTuple_GET_ITEM(pieces, at)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(<object>piece)
    memcpy(text, PyBytes_AS_STRING(<object>piece), size)
    return text + size


cdef bint is_plain(bytes path) noexcept:
    """`is_plain_path`."""
    cdef const unsigned char* text = <const unsigned char*>PyBytes_AS_STRING(path)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(path), at
    if size > _MOST_PATH:
        return False
    for at in range(size):
        if not PLAIN[text[at]]:
            return False
        if text[at] == c"J" and at > 1 and text[at - 1] == c"y" and text[at - 2] == c"e":
            return False
    return True


# uvloop's, which has no TLS; what has it is of another class. This module does not import it.
cdef type _plain_transport = None


cdef bint is_secure_(object transport) except -1:
    """`is_secure`."""
    global _plain_transport
    if _plain_transport is None:
        loop = sys.modules.get("uvloop.loop")
        if loop is not None and type(transport) is loop.TCPTransport:
            _plain_transport = type(transport)
    return _is_secure(transport)


cdef int put_ids(char* to, Py_ssize_t size) except -1:
    """Random hexadecimal digits of so many bytes, 24 at most; the last of them are not all 0."""
    cdef unsigned char[24] data
    random_bytes(data, size)
    data[size - 1] |= 1
    put_hexadecimal(to, data, size)
    return 0


cdef object ids_made():
    """48 digits, of a trace and of a span."""
    made = new_ascii(48)
    cdef char* text = ascii_of(made)
    put_ids(text, 24)
    return made


cdef object ids_of(object both):
    """The same as two texts."""
    trace_id, span_id = new_ascii(32), new_ascii(16)
    memcpy(ascii_of(trace_id), ascii_of(both), 32)
    memcpy(ascii_of(span_id), ascii_of(both) + 32, 16)
    return trace_id, span_id


cdef bint are_ids(object ids) noexcept:
    """Whether these are what a `ServerSpan` keeps as its ids."""
    return (
        PyTuple_CheckExact(ids)
        and PyTuple_GET_SIZE(ids) == 2
        and is_ascii(<object>PyTuple_GET_ITEM(ids, 0), 32)
        and is_ascii(<object>PyTuple_GET_ITEM(ids, 1), 16)
    )


cdef bint is_usual_parent(object parent) noexcept:
    """Whether a caller's span is one that has both ids and no state."""
    return (
        type(parent) is _Parent
        and PyTuple_GET_SIZE(parent) == 4
        and is_ascii(<object>PyTuple_GET_ITEM(parent, 0), 32)
        and is_ascii(<object>PyTuple_GET_ITEM(parent, 1), 16)
        and is_ascii(<object>PyTuple_GET_ITEM(parent, 3), 0)
    )


cdef bint write_request(object span, object status) except -1:
    """`ServerSpan.end` of a recorded request that went well and that nobody looked at.

    Returns:
        False where it is another; then nothing was changed.
    """
    cdef Writer writer
    cdef Usual usual
    cdef long code
    cdef bint secure
    cdef char* text
    cdef const char* trace_id
    cdef const char* parent_id = NULL
    cdef int64_t stop
    if type(span) is not _ServerSpan or get(span, SPAN) is not None:
        return False
    request, route, ids = get(span, REQUEST), get(span, ROUTE), get(span, IDS)
    parent, start = get(span, PARENT), get(span, START)
    if (
        request is None
        or type(route) is not _RouteSpans
        or get(span, SAMPLED) is not True
        or not PyLong_CheckExact(start)
        or not PyLong_CheckExact(status)
        or (code := status) >= 500
        or (ids is not None and not are_ids(ids))
        or (parent is not None and not is_usual_parent(parent))
    ):
        return False
    taker = get(route, PROVIDER).put_record
    if type(taker) is not Writer:
        return False
    writer = taker
    stop = nanoseconds()
    path = request.raw_url
    if not PyBytes_CheckExact(path) or not is_plain(path):
        return False
    transport = request.transport
    secure = type(transport) is not _plain_transport and is_secure_(transport)
    known = get(route, USUAL)
    usual = known if type(known) is Usual else None
    if (
        usual is None
        or usual.writer is not writer
        or not usual.has_path
        or usual.status != code
        or usual.secure != secure
        or usual.has_parent != (parent is not None)
    ):
        usual = usual_request(writer, route, parent, code, secure)
        if usual is None:
            return False
        put(route, USUAL, usual)
    if ids is None:
        ids = ids_made()
        text = ascii_of(ids)
        trace_id, span_id = text, text + 32
    else:
        trace_id = ascii_of(<object>PyTuple_GET_ITEM(ids, 0))
        span_id = ascii_of(<object>PyTuple_GET_ITEM(ids, 1))
    if parent is not None:
        trace_id = ascii_of(<object>PyTuple_GET_ITEM(parent, 0))
        parent_id = ascii_of(<object>PyTuple_GET_ITEM(parent, 1))
    if not writer.is_full():
        writer.write(usual, _scope, trace_id, span_id, <int64_t>start, stop, path, parent_id)
    put(span, ENDED, ids)
    put(span, REQUEST, None)
    return True


def end_request(span, status):
    """`write_request`, for the tests."""
    return write_request(span, status)


cdef Usual usual_request(Writer writer, object route, object parent, long status, bint secure):
    """What the requests of a route with one status have in common."""
    cdef Usual usual
    kind = (route, status, secure, parent is not None)
    try:
        return writer.usual[kind]
    except KeyError:
        pass
    if len(writer.usual) >= _MOST_TEMPLATES:
        writer.usual.clear()
    record = RequestRecord(route, parent, "0" * 48, 1, 2, b"/", secure, status)
    usual = writer.learn(record.span(), True, _scope)
    if usual is not None:
        usual.status = status
        usual.secure = secure
    writer.usual[kind] = usual
    return usual


def write_child(spans, parent, start):
    """`ChildSpans.begun`, ended now and put where it goes: one that went well, below a request.

    Returns:
        False where it is another; then nothing was changed.
    """
    cdef Writer writer
    cdef Usual usual
    cdef char[16] span_id
    cdef const char* trace_id
    cdef const char* parent_id
    cdef int64_t stop = nanoseconds()
    if (
        type(spans) is not _ChildSpans
        or type(parent) is not _ServerSpan
        or get(parent, SAMPLED) is not True
        or not PyLong_CheckExact(start)
    ):
        return False
    route, above, ids = get(parent, ROUTE), get(parent, PARENT), get(parent, IDS)
    if type(route) is not _RouteSpans or (above is not None and not is_usual_parent(above)):
        return False
    taker = get(route, PROVIDER).put_record
    if type(taker) is not Writer:
        return False
    writer = taker
    templates = get(spans, TEMPLATES)
    try:
        known = templates[writer]
    except KeyError:
        record = ChildRecord(spans, route.provider, "0" * 32, "0" * 16, "0" * 16, "", 1, 2)
        known = templates[writer] = writer.learn(record.span(), False, spans.scope)
    if type(known) is not Usual:
        return False
    usual = known
    if usual.writer is not writer or usual.has_path or not usual.has_parent:
        return False
    if ids is None:
        if above is None and get(parent, REQUEST) is not None:
            ids = ids_of(ids_made())
            put(parent, IDS, ids)
        else:
            ids = parent.ids
    if not are_ids(ids):
        return False
    if writer.is_full():
        return True
    put_ids(span_id, 8)
    trace_id = ascii_of(<object>PyTuple_GET_ITEM(ids, 0))
    parent_id = ascii_of(<object>PyTuple_GET_ITEM(ids, 1))
    writer.write(
        usual, spans.scope, trace_id, span_id, <int64_t>start, stop, None, parent_id
    )
    return True
