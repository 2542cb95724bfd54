"""The usual line of the access log, put together from its parts in memory.

`log_answer` does what `sanic_ms.server.http1.access_log.log_answer` does, and what
`sanic_ms.telemetry.logging.format.JSONFormatter` then makes of it, for a request of this server that
was answered, as long as all answers are logged and their lines go the fast path and are JSON.
Everything else is left to those, before anything was changed.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyObject_TypeCheck, PyTypeObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport rint
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from sanic_ms.native._clock cimport nanoseconds
from sanic_ms.native._slots cimport get, slot
from sanic_ms.native._text cimport put_decimal
from sanic_ms.telemetry.logging._line_buffer cimport Block
from sanic_ms.telemetry.logging._lines cimport (
    copy,
    copy_milliseconds,
    current_context,
    encoded,
    generation,
    ids_are_known,
    ids_of,
    ids_text,
    is_request,
    moment,
    open_block,
    rouse,
    stamp,
)
from sanic_ms.telemetry.logging._handler_lookup cimport Way

from types import MethodType
from uuid import UUID

from sanic.log import access_logger
from sanic.models.server_types import ConnInfo
from sanic.request import Request

from sanic_ms.server.http1.connection import HttpConnection
from sanic_ms.telemetry.logging import JSONFormatter, LogWriter, QueuedHandler
from sanic_ms.telemetry.logging.access import Access, AccessLog, access_log
from sanic_ms.telemetry.tracing.attributes import MOST_TEXT


cdef extern from *:
    """
    #include <string.h>

    static int sanic_ms_has(const char *text, Py_ssize_t size, const char *part, Py_ssize_t length) {
        const char *end = text + size - length + 1;
        while (text < end && (text = memchr(text, part[0], end - text))) {
            if (!memcmp(text, part, length)) return 1;
            text++;
        }
        return 0;
    }
    """
    bint sanic_ms_has(const char* text, Py_ssize_t size, const char* part, Py_ssize_t length) noexcept


cdef type _Connection = HttpConnection, _ConnInfo = ConnInfo, _Request = Request, _UUID = UUID
cdef Py_ssize_t CONN_INFO = slot(HttpConnection, "_conn_info"), CLIENT_IP = slot(ConnInfo, "client_ip")
cdef Py_ssize_t METHOD = slot(Request, "method"), URL = slot(Request, "raw_url")
cdef Py_ssize_t ROUTE = slot(Request, "route"), HEAD = slot(Request, "head")
cdef Py_ssize_t ID = slot(Request, "_id")
cdef Py_ssize_t FORWARDED = slot(AccessLog, "forwarded"), PUT = slot(AccessLog, "put")
cdef Py_ssize_t RATIO = slot(AccessLog, "ratio")
cdef object _log = access_log, _Access = Access, _JSONFormatter = JSONFormatter
cdef Way _way = Way(access_logger, 20)
cdef bytes BEFORE = b'{"@timestamp":"', BYTES = b'"bytes":', DURATION = b',"duration_ms":'
cdef bytes CLIENT = b',"client_ip":"'
cdef Py_ssize_t LONGEST = MOST_TEXT
cdef int STAMP = 24
cdef int64_t MOST_MICROSECONDS = 1_000_000_000_000

# Letters of a path that nothing is done to (`is_plain_path`), and of an address.
cdef bint[256] _plain, _of_address
for _letter in range(256):
    _plain[_letter] = chr(_letter) in (
        "!$&'()*+,-./0123456789;@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
    )
    _of_address[_letter] = chr(_letter) in "0123456789abcdefABCDEF.:"

cdef object _slow = None  # `log_answer` in Python
cdef object _put = None, _handler = None  # where the lines went last, and whose that is
cdef type _class = type(None)  # of the last request, which has its attributes in slots


def stand_for(slow):
    """The function that does as ``slow``, and calls it where it does not."""
    global _slow
    _slow = slow
    return log_answer


@cython.final
cdef class Kind:
    """The parts of the lines of one kind of answers."""

    cdef object method, route, formatter
    cdef long status
    cdef int generation
    cdef bytes start, middle, before_path, after


cdef list _kinds = [None] * 256


cdef Kind kind_of(object method, object route, object status, object formatter):
    """What `JSONFormatter._answer` looks up."""
    cdef long number = status
    cdef size_t at = (<size_t><void*>route >> 4 ^ <size_t><void*>method >> 5 ^ <size_t>number) & 255
    cdef Kind kind
    found = _kinds[at]
    if found is not None:
        kind = found
        if (
            kind.route is route
            and kind.method is method
            and kind.status == number
            and kind.formatter is formatter
            and kind.generation == generation()
        ):
            return kind
    key = method, None if route is None else route.path, status
    parts = formatter._answers.get(key)
    if parts is None:
        line = _Access(0.0, method, b"/", route, status, 0, 0.0, "")
        parts = formatter._learn_answer(key, line)
    kind = Kind()
    kind.method, kind.route, kind.status, kind.formatter = method, route, number, formatter
    kind.generation = generation()
    kind.start, kind.middle, kind.before_path, kind.after = [encoded(part) for part in parts]
    _kinds[at] = kind
    return kind


cdef bint is_known_class(type cls) except -1:
    """Whether the attributes that are read are in Sanic's slots."""
    global _class
    if cls is _class:
        return True
    for name in ("method", "raw_url", "route", "head"):
        if getattr(cls, name) is not getattr(Request, name):
            return False
    _class = cls
    return True


cdef object handler_of(object put):
    """The `QueuedHandler` whose writer this gives lines to; None: it is something else."""
    global _put, _handler
    if put is _put:
        return _handler
    handler = None
    if (
        type(put) is MethodType
        and put.__func__ is LogWriter.put
        and type(put.__self__) is LogWriter
    ):
        render = put.__self__._render
        if type(render) is MethodType and render.__func__ is QueuedHandler._render:
            if type(render.__self__) is QueuedHandler and render.__self__.writer is put.__self__:
                handler = render.__self__
    _put, _handler = put, handler
    return handler


cdef bint all_are(const char* text, Py_ssize_t size, const bint* kind) noexcept:
    cdef Py_ssize_t at
    for at in range(size):
        if not kind[<unsigned char>text[at]]:
            return False
    return True


def log_answer(connection, request, status, size, started):
    """`sanic_ms.server.http1.access_log.log_answer`."""
    if not written(connection, request, status, size, started):
        _slow(connection, request, status, size, started)


cdef bint written(
    object connection, object request, object status, object size, object started
) except -1:
    cdef int64_t now, created
    cdef double micro
    cdef PyObject* found
    cdef PyObject* id_found
    cdef const char* path
    cdef const char* ip
    cdef const char* known = NULL
    cdef char* to
    cdef Py_ssize_t path_size, ip_size, ids_size = 0
    cdef Block block
    cdef Kind kind
    if (
        type(status) is not int
        or type(size) is not int
        or type(started) is not float
        or not PyObject_TypeCheck(connection, <PyTypeObject*>_Connection)
        or not PyObject_TypeCheck(request, <PyTypeObject*>_Request)
        or not is_known_class(type(request))
        or not 0 < <long long>status < 500
        or not 0 <= <long long>size
    ):
        return False
    now = nanoseconds()
    created = moment(now)
    micro = rint((<double>now / 1e9 - <double>started) * 1e6)
    put, ratio = get(_log, PUT), get(_log, RATIO)
    if (
        not 0 <= micro < MOST_MICROSECONDS
        or type(ratio) is not float and type(ratio) is not int
        or not <double>ratio >= 1
        or get(_log, FORWARDED) is not False
    ):
        return False
    handler = handler_of(put)
    if handler is None:
        return False
    if not _way.is_enabled():
        return True
    formatter = handler.formatter
    if type(formatter) is not _JSONFormatter:
        return False
    target, method, route = get(request, URL), get(request, METHOD), get(request, ROUTE)
    if type(target) is not bytes or type(method) is not str:
        return False
    path, path_size = PyBytes_AS_STRING(target), PyBytes_GET_SIZE(target)
    if (
        path_size > LONGEST
        or not all_are(path, path_size, _plain)
        or sanic_ms_has(path, path_size, "eyJ", 3)
    ):
        return False
    info = get(connection, CONN_INFO)
    if info is None:
        info = connection.conn_info
    if type(info) is not _ConnInfo:
        return False
    client = get(info, CLIENT_IP)
    if type(client) is not str:
        return False
    ip = PyUnicode_AsUTF8AndSize(client, &ip_size)
    if not all_are(ip, ip_size, _of_address):
        return False
    context = current_context()
    ids = None
    if is_request(context):
        if ids_are_known(context):
            ids = ids_of(context)
    elif context is None or context:
        return False
    id_found = (<PyObject**>(<char*><void*>request + ID))[0]
    request_id = None if id_found is NULL else <object>id_found
    text = None
    if request_id is None:
        head = get(request, HEAD)
        if type(head) is not bytes or sanic_ms_has(
            PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), "equest-", 7
        ):
            return False
        if ids is not None:
            text = formatter.ids(ids, None)
    elif type(request_id) is not _UUID or ids is None:
        return False
    else:
        text = ids_text(formatter, ids, request_id)
    kind = kind_of(method, route, status, formatter)
    if text is not None:
        known = PyUnicode_AsUTF8AndSize(text, &ids_size)
    writer = put.__self__
    block = open_block(writer)
    if block is None:
        return False
    to = block.reserve(
        len(kind.start) + len(kind.middle) + len(kind.before_path) + len(kind.after)
        + 2 * path_size + ids_size + ip_size + 192
    )
    to = copy(to, BEFORE)
    memcpy(to, stamp(created), STAMP)
    to = copy(to + STAMP, kind.start)
    memcpy(to, path, path_size)
    to = copy(to + path_size, kind.middle)
    if text is not None:
        memcpy(to, known, ids_size)
        to[ids_size] = c","
        to += ids_size + 1
    to = copy(to, kind.before_path)
    memcpy(to, path, path_size)
    to = copy(to + path_size, kind.after)
    to = put_decimal(copy(to, BYTES), <long long>size)
    to = copy_milliseconds(copy(to, DURATION), <int64_t>micro, True)
    if ip_size:
        to = copy(to, CLIENT)
        memcpy(to, ip, ip_size)
        to[ip_size] = c'"'
        to += ip_size + 1
    to[0] = c"}"
    to[1] = c"\n"
    block.size = to + 2 - block.data
    block.lines += 1
    rouse(writer)
    return True
