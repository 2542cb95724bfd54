"""The fast path of a request, compiled: from its bytes to its answer.

Each function does what the method of `Receiver` or `FastPath` does that it names, as long as all
is as usual, and leaves everything else to that method before it has changed anything. What stands
here stands there too, where it is explained; the tests of the wire are run with both.
"""

from asyncio import Task

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.contextvars cimport (
    PyContext_CopyCurrent,
    PyContext_Enter,
    PyContext_Exit,
    PyContextVar_Set,
)
from cpython.dict cimport PyDict_Copy, PyDict_GetItem
from cpython.object cimport PyObject, PyObject_TypeCheck, PyTypeObject
from libc.string cimport memchr, memcmp, memcpy

from sanic_ms.native._slots cimport get, is_made_plainly, make, put, slot
from sanic_ms.native._text cimport put_decimal
from sanic_ms.telemetry._instrumentation cimport (
    begin_measuring,
    begin_span,
    end_measuring,
    end_span,
)

from sanic.request import Request
from sanic.response import BaseHTTPResponse, HTTPResponse
from sanic.server.protocols.base_protocol import SanicProtocol

from sanic_ms.server.http1 import head as _heads, state as _wire
from sanic_ms.server.http1.access_log import log_answer
from sanic_ms.server.http1.connection import HttpConnection
from sanic_ms.server.http1.patterns import LONGEST as _LONGEST, Pattern, Patterns
from sanic_ms.server.http1.receiver import Receiver
from sanic_ms.server.http1.response import BODILESS
from sanic_ms.server.http1.routes import Plan, Routes
from sanic_ms.server.http1.fast_path import COPIED, FastPath
from sanic_ms.server.http1.state import ServerState

cdef type _ShortWay = FastPath
cdef Py_ssize_t APP = slot(SanicProtocol, "app")
cdef Py_ssize_t LOOP = slot(SanicProtocol, "loop")
cdef Py_ssize_t TASK = slot(SanicProtocol, "_task")
cdef Py_ssize_t TRANSPORT = slot(SanicProtocol, "transport")
cdef Py_ssize_t DISCARDED = slot(HttpConnection, "_discarded")
cdef Py_ssize_t EXCHANGE = slot(HttpConnection, "exchange")
cdef Py_ssize_t INPUT = slot(HttpConnection, "input")
cdef Py_ssize_t LOST = slot(HttpConnection, "lost")
cdef Py_ssize_t PAUSED_AT = slot(HttpConnection, "_paused_at")
cdef Py_ssize_t READING = slot(HttpConnection, "_reading")
cdef Py_ssize_t SINCE = slot(HttpConnection, "_since")
cdef Py_ssize_t STAGE = slot(HttpConnection, "_stage")
cdef Py_ssize_t WIRE = slot(HttpConnection, "wire")
cdef Py_ssize_t BLOCK = slot(Receiver, "_block")
cdef Py_ssize_t BLOCK_FLAGS = slot(Receiver, "_block_flags")
cdef Py_ssize_t BLOCK_LENGTH = slot(Receiver, "_block_length")
cdef Py_ssize_t FLAGS = slot(Receiver, "_flags")
cdef Py_ssize_t REQUEST = slot(Receiver, "_request")
cdef Py_ssize_t SERVED = slot(Receiver, "_served")
cdef Py_ssize_t STARTED = slot(Receiver, "_started")

cdef type _ServerState = ServerState
cdef Py_ssize_t ACCESS_LOG = slot(ServerState, "access_log")
cdef Py_ssize_t DRAINING = slot(ServerState, "draining")
cdef Py_ssize_t HEADS = slot(ServerState, "heads")
cdef Py_ssize_t HEADS_BY_ORIGIN = slot(ServerState, "heads_by_origin")
cdef Py_ssize_t MOLD = slot(ServerState, "mold")
cdef Py_ssize_t LAZY_REQUEST = slot(ServerState, "lazy_request")
cdef Py_ssize_t MOST_HEAD = slot(ServerState, "most_head")
cdef Py_ssize_t MOST_REQUESTS = slot(ServerState, "most_requests")
cdef Py_ssize_t NOW = slot(ServerState, "now")
cdef Py_ssize_t ROUTES = slot(ServerState, "routes")

cdef type _Routes = Routes
cdef Py_ssize_t MAY_MATCH = slot(Routes, "_plain")
cdef Py_ssize_t PATTERNS = slot(Routes, "_patterns")
cdef Py_ssize_t PLANS = slot(Routes, "plans")
cdef type _Patterns = Patterns
cdef Py_ssize_t BY_FRONT = slot(Patterns, "_by_front")
cdef type _Pattern = Pattern
cdef Py_ssize_t CAST = slot(Pattern, "cast")
cdef Py_ssize_t NAME = slot(Pattern, "name")
cdef Py_ssize_t PLAN = slot(Pattern, "plan")

cdef type _Plan = Plan
cdef Py_ssize_t AT_ONCE = slot(Plan, "at_once")
cdef Py_ssize_t HAS_BODY = slot(Plan, "has_body")
cdef Py_ssize_t HEAD = slot(Plan, "_head")
cdef Py_ssize_t HEAD_OF = slot(Plan, "_heads")
cdef Py_ssize_t IS_DIRECT = slot(Plan, "is_direct")
cdef Py_ssize_t IGNORES_BODY = slot(Plan, "ignores_body")
cdef Py_ssize_t JUDGED = slot(Plan, "judged")
cdef Py_ssize_t LOGGED = slot(Plan, "logged")
cdef Py_ssize_t METER = slot(Plan, "meter")
cdef Py_ssize_t METHOD = slot(Plan, "method")
cdef Py_ssize_t PARAMS = slot(Plan, "params")
cdef Py_ssize_t ROUTE = slot(Plan, "route")
cdef Py_ssize_t SPANS = slot(Plan, "spans")
cdef Py_ssize_t STATUS = slot(Plan, "status")
cdef Py_ssize_t TARGET_AT = slot(Plan, "target_at")

cdef tuple WRITTEN = (
    "app", "body", "head", "method", "_match_info", "route", "transport", "raw_url"
)
cdef Py_ssize_t REQUEST_APP = slot(Request, "app")
cdef Py_ssize_t REQUEST_BODY = slot(Request, "body")
cdef Py_ssize_t REQUEST_HEAD = slot(Request, "head")
cdef Py_ssize_t REQUEST_METHOD = slot(Request, "method")
cdef Py_ssize_t REQUEST_PARAMS = slot(Request, "_match_info")
cdef Py_ssize_t REQUEST_ROUTE = slot(Request, "route")
cdef Py_ssize_t REQUEST_TRANSPORT = slot(Request, "transport")
cdef Py_ssize_t REQUEST_URL = slot(Request, "raw_url")

cdef type _HTTPResponse = HTTPResponse
cdef Py_ssize_t RESPONSE_BODY = slot(BaseHTTPResponse, "body")
cdef Py_ssize_t RESPONSE_HEADERS = slot(BaseHTTPResponse, "headers")
cdef Py_ssize_t RESPONSE_STATUS = slot(BaseHTTPResponse, "status")
cdef Py_ssize_t RESPONSE_TYPE = slot(BaseHTTPResponse, "content_type")
cdef object _bodiless = BODILESS

cdef long IDLE = _wire.IDLE, PARTING = _wire.PARTING, HANDLER = _wire.HANDLER
cdef long KEEP_ALIVE = _heads.KEEP_ALIVE, UNTRACED = _heads.UNTRACED
cdef Py_ssize_t _COPIED = COPIED, LONGEST = _LONGEST
cdef object _stage_idle = IDLE, _stage_handler = HANDLER, _zero = 0, _never = 0.0
cdef object _current = Request._current
cdef object _log_answer = log_answer
cdef object _receive = Receiver.data_received
cdef object _open = FastPath._open, _deliver = FastPath._deliver, _account = FastPath._account
cdef object _Task = Task
cdef bytes VERSION = b" HTTP/1.1"
cdef bytes KEPT = b"\r\nconnection: keep-alive\r\n\r\n"


cdef class Mold:
    """What is known of a class of requests, once for each server.

    A class of the application's own may make its instances in its own way, or have a property where
    Sanic has a slot: of such a class no request is made here.
    """

    cdef object cls
    cdef Py_ssize_t connection_at  # where its slot of that name lies; -1: none is made here

    def __cinit__(self, cls):
        self.cls = cls
        self.connection_at = -1
        if (
            type(cls) is type
            and issubclass(cls, Request)
            and is_made_plainly(cls)
            and cls.__setattr__ is object.__setattr__
            and all(getattr(cls, name) is getattr(Request, name) for name in WRITTEN)
        ):
            self.connection_at = slot(cls, "connection")


cdef Mold mold_of(object wire):
    mold = get(wire, MOLD)
    cls = get(wire, LAZY_REQUEST)
    if type(mold) is not Mold or (<Mold>mold).cls is not cls:
        mold = Mold(cls)
        put(wire, MOLD, mold)
    return mold


cdef int check(object connection) except -1:
    """Let nothing but a connection be read as one."""
    if not PyObject_TypeCheck(connection, <PyTypeObject*>_ShortWay):
        raise TypeError(f"{type(connection).__name__} is no connection of this server")
    return 0


def data_received(self, data):
    """`Receiver.data_received`."""
    check(self)
    if type(data) is bytes and <long>get(self, STAGE) <= PARTING:
        block = get(self, BLOCK)
        if block is not None and take_known(self, data, block):
            return
    _receive(self, data)


cdef bint take_known(object self, bytes data, bytes block) except -1:
    """`Receiver._take_known`, without requests that follow in the same bytes."""
    cdef const char* text = PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data), known = PyBytes_GET_SIZE(block)
    cdef Py_ssize_t at, end, length
    cdef const char* eol = <const char*>memchr(text, c"\r", size)
    cdef bytes line
    cdef dict params = None
    cdef Mold mold
    if eol is NULL:
        return False
    at = eol - text - PyBytes_GET_SIZE(VERSION)
    if at < 0 or size - at < known or memcmp(text + at, PyBytes_AS_STRING(block), known):
        return False
    end = at + known - 4
    length = get(self, BLOCK_LENGTH)
    wire = get(self, WIRE)
    if type(wire) is not _ServerState:
        return False
    routes = get(wire, ROUTES)
    if (
        size != end + 4 + length
        or end > <Py_ssize_t>get(wire, MOST_HEAD)
        or type(routes) is not _Routes
    ):
        return False
    mold = mold_of(wire)
    if mold.connection_at < 0:
        return False
    line = PyBytes_FromStringAndSize(text, at)
    cdef PyObject* found = PyDict_GetItem(get(routes, PLANS), line)
    if found is not NULL:
        plan = <object>found
    else:
        params = {}
        plan = match(routes, text, at, params)
    if (
        type(plan) is not _Plan
        or get(plan, JUDGED) is not True
        or (length and get(plan, IGNORES_BODY) is not False)
    ):
        return False
    if not params:
        known_params = get(plan, PARAMS)
        params = PyDict_Copy(known_params) if known_params else {}
    put(self, DISCARDED, _zero)
    begin(self, data, end, line, wire, plan, params, mold.cls, mold.connection_at)
    return True


cdef object match(object routes, const char* text, Py_ssize_t size, dict params):
    """`Routes.match` for a route that ends in its one parameter, and the plan of a line with a
    query; None: it is another."""
    cdef Py_ssize_t at, slash = -1, query = -1
    cdef unsigned char byte
    cdef PyObject* found
    if get(routes, MAY_MATCH) is not True:
        return None
    for at in range(size):
        byte = text[at]
        if byte == c"?" and query < 0:
            query = at
        elif byte == c"/" and query < 0:
            slash = at
        elif byte == c"#" or byte > 126 or (byte < 33 and slash >= 0):
            return None
    if query > 0:
        found = PyDict_GetItem(get(routes, PLANS), PyBytes_FromStringAndSize(text, query))
        return None if found is NULL else <object>found
    if slash < 0 or slash + 1 == size or size > LONGEST:
        return None
    patterns = get(routes, PATTERNS)
    if type(patterns) is not _Patterns:
        return None
    found = PyDict_GetItem(get(patterns, BY_FRONT), PyBytes_FromStringAndSize(text, slash))
    if found is NULL or type(<object>found) is not _Pattern:
        return None
    pattern = <object>found
    try:
        params[get(pattern, NAME)] = get(pattern, CAST)(text[slash + 1:size].decode("ascii"))
    except ValueError:
        return None
    return get(pattern, PLAN)


cdef int begin(
    object self,
    bytes data,
    Py_ssize_t end,
    bytes line,
    object wire,
    object plan,
    dict params,
    object cls,
    Py_ssize_t connection_at,
) except -1:
    """`Receiver._begin`."""
    cdef Py_ssize_t target_at = get(plan, TARGET_AT), size = PyBytes_GET_SIZE(data)
    cdef const char* text = PyBytes_AS_STRING(data)
    request = make(cls)
    put(self, REQUEST, request)
    put(self, SERVED, <long>get(self, SERVED) + 1)
    put(request, REQUEST_APP, get(self, APP))
    put(request, connection_at, self)
    put(request, REQUEST_TRANSPORT, get(self, TRANSPORT))
    put(request, REQUEST_METHOD, get(plan, METHOD))
    put(
        request,
        REQUEST_URL,
        PyBytes_FromStringAndSize(text + target_at, PyBytes_GET_SIZE(line) - target_at),
    )
    put(request, REQUEST_HEAD, PyBytes_FromStringAndSize(text, end))
    put(request, REQUEST_BODY, PyBytes_FromStringAndSize(text + end + 4, size - end - 4))
    put(request, REQUEST_ROUTE, get(plan, ROUTE))
    put(request, REQUEST_PARAMS, params)
    put(self, FLAGS, get(self, BLOCK_FLAGS))
    put(self, STAGE, _stage_handler)
    put(self, SINCE, get(wire, NOW))
    at_once = get(plan, AT_ONCE)
    if at_once is None:
        put(self, TASK, _Task(self._serve_plain(request, plan, params), loop=get(self, LOOP)))
        return 0
    context = PyContext_CopyCurrent()
    PyContext_Enter(context)
    try:
        serve_at_once(self, request, wire, plan, params, at_once)
    finally:
        PyContext_Exit(context)
    return 0


cdef int serve_at_once(
    object self, object request, object wire, object plan, dict params, object at_once
) except -1:
    """`FastPath._serve_at_once`."""
    response = failure = None
    span = open_(self, request, plan)
    try:
        response = at_once(request, params)
        if deliver_(self, request, wire, plan, span, response):
            if <double>get(self, PAUSED_AT):
                self._go_on_later()
            else:
                next_(self, wire)
            return 0
    except BaseException as exc:
        failure = exc
    self._serve_rest_later(request, plan, span, response, failure)
    return 0


def open_request(self, request, plan):
    """`FastPath._open`."""
    check(self)
    return open_(self, request, plan)


cdef object open_(object self, object request, object plan):
    if type(plan) is not _Plan:
        return _open(self, request, plan)
    meter = get(plan, METER)
    if meter is None:
        return _open(self, request, plan)
    put(self, STARTED, begin_measuring(meter))
    PyContextVar_Set(_current, request)
    spans = get(plan, SPANS)
    if spans is None:
        return None
    return begin_span(spans, request, <long>get(self, FLAGS) & UNTRACED != 0)


def deliver(self, request, plan, span, response):
    """`FastPath._deliver`."""
    check(self)
    return deliver_(self, request, get(self, WIRE), plan, span, response)


cdef bint deliver_(
    object self, object request, object wire, object plan, object span, object response
) except -1:
    cdef Py_ssize_t size, length, at
    cdef char[20] digits
    cdef char* text
    cdef bytes head = None, body = None, answer
    if (
        type(plan) is _Plan
        and type(wire) is _ServerState
        and get(self, EXCHANGE) is None
        and get(wire, HEADS_BY_ORIGIN) is None
        and <long>get(self, FLAGS) & KEEP_ALIVE
        and <long>get(self, SERVED) < <long>get(wire, MOST_REQUESTS)
    ):
        if type(response) is bytes:
            if (
                get(plan, IS_DIRECT) is True
                and get(plan, HAS_BODY) is True
                and get(plan, HEAD_OF) is get(wire, HEADS)
            ):
                head, body, status = get(plan, HEAD), response, get(plan, STATUS)
        elif type(response) is _HTTPResponse and get(plan, METHOD) != "HEAD":
            head, body, status = head_of(get(wire, HEADS), response)
    if head is None or (size := PyBytes_GET_SIZE(body)) >= _COPIED:
        return _deliver(self, request, plan, span, response)
    length = put_decimal(digits, size) - digits
    at = PyBytes_GET_SIZE(head)
    answer = PyBytes_FromStringAndSize(NULL, at + length + PyBytes_GET_SIZE(KEPT) + size)
    text = PyBytes_AS_STRING(answer)
    memcpy(text, PyBytes_AS_STRING(head), at)
    memcpy(text + at, digits, length)
    text += at + length
    memcpy(text, PyBytes_AS_STRING(KEPT), PyBytes_GET_SIZE(KEPT))
    memcpy(text + PyBytes_GET_SIZE(KEPT), PyBytes_AS_STRING(body), size)
    get(self, TRANSPORT).write(answer)
    account_(self, request, wire, plan, span, status, size)
    return True


cdef tuple head_of(object heads, object response):
    """`FastPath._answer` for a response of Sanic's with a body and without headers: the head, the
    body, the status; a head of None for another one."""
    body, status = get(response, RESPONSE_BODY), get(response, RESPONSE_STATUS)
    if (
        type(body) is not bytes
        or type(status) is not int
        or status in _bodiless
        or get(response, RESPONSE_HEADERS)
    ):
        return None, None, None
    return heads.usual(status, get(response, RESPONSE_TYPE)), body, status


def account(self, request, plan, span, status, size):
    """`FastPath._account`."""
    check(self)
    account_(self, request, get(self, WIRE), plan, span, status, size)


cdef int account_(
    object self, object request, object wire, object plan, object span, object status, object size
) except -1:
    if type(plan) is not _Plan or type(wire) is not _ServerState:
        _account(self, request, plan, span, status, size)
        return 0
    if get(wire, ACCESS_LOG) is not False and get(plan, LOGGED) is not False:
        _log_answer(self, request, status, size, get(self, STARTED))
    if span is not None:
        end_span(span, status)
    meter = get(plan, METER)
    if meter is not None:
        end_measuring(meter, get(self, STARTED), status)
    return 0


cdef int next_(object self, object wire) except -1:
    """`FastPath._next`."""
    if (
        get(self, LOST) is not False
        or not <long>get(self, FLAGS) & KEEP_ALIVE
        or get(wire, DRAINING) is not False
        or get(self, READING) is not True
        or get(self, INPUT)
    ):
        self._next(<long>get(self, FLAGS) & KEEP_ALIVE != 0)
        return 0
    put(self, TASK, None)
    put(self, REQUEST, None)
    put(self, EXCHANGE, None)
    put(self, SINCE, get(wire, NOW))
    put(self, STAGE, _stage_idle)
    return 0
