"""`RouteMetrics` and `RouteSpans` of the usual request, compiled.

Each function does what the method does that it names, for an object of that very class in its usual
state, and calls the method for every other. So what stands here stands there too, and
``tests/telemetry/test_compiled.py`` holds the two against each other.
"""

from bisect import bisect_left

from cpython.contextvars cimport PyContextVar_CheckExact, PyContextVar_Set
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from sanic_ms.native._clock cimport nanoseconds
from sanic_ms.native._numbers cimport doubles
from sanic_ms.native._slots cimport get, make, put, slot
from sanic_ms.telemetry.tracing.export._writer cimport write_request

from sanic_ms.telemetry.metrics.server import BOUNDS, RouteMetrics
from sanic_ms.telemetry.tracing.context import SpanHolder, context_variable
from sanic_ms.telemetry.tracing.server import RouteSpans, ServerSpan


cdef type _RouteMetrics = RouteMetrics
cdef Py_ssize_t IN_FLIGHT = slot(RouteMetrics, "in_flight")
cdef Py_ssize_t VALUES = slot(RouteMetrics, "_values")
cdef Py_ssize_t AT = slot(RouteMetrics, "_at")

cdef type _RouteSpans = RouteSpans
cdef Py_ssize_t FOREIGN = slot(RouteSpans, "foreign")
cdef Py_ssize_t SKIP_COUNT = slot(RouteSpans, "_skip_count")
cdef Py_ssize_t RATIO = slot(RouteSpans, "_ratio")

cdef type _ServerSpan = ServerSpan
cdef Py_ssize_t START = slot(ServerSpan, "_start")
cdef Py_ssize_t ROUTE = slot(ServerSpan, "_route")
cdef Py_ssize_t REQUEST = slot(ServerSpan, "_request")
cdef Py_ssize_t SPAN = slot(ServerSpan, "_span")
cdef Py_ssize_t IDS = slot(ServerSpan, "_ids")
cdef Py_ssize_t PARENT = slot(ServerSpan, "_parent")
cdef Py_ssize_t BAGGAGE = slot(ServerSpan, "_baggage")
cdef Py_ssize_t SAMPLED = slot(SpanHolder, "sampled")
cdef Py_ssize_t LOG_IDS = slot(SpanHolder, "log_ids")

cdef object _variable = context_variable
cdef Py_ssize_t SUM = len(BOUNDS) + 1
cdef double FIRST = BOUNDS[0]
cdef object _bounds = BOUNDS
cdef object _bisect = bisect_left


cdef object begin_measuring(object meter):
    """`RouteMetrics.begin`."""
    if type(meter) is not _RouteMetrics:
        return meter.begin()
    put(meter, IN_FLIGHT, <long>get(meter, IN_FLIGHT) + 1)
    return <double>nanoseconds() / 1e9


cdef int end_measuring(object meter, object started, object status) except -1:
    """`RouteMetrics.end`."""
    cdef double elapsed
    cdef Py_ssize_t at, length = 0
    cdef double* numbers
    cdef PyObject* place
    if type(meter) is _RouteMetrics:
        numbers = doubles(get(meter, VALUES), &length)
        place = PyDict_GetItem(get(meter, AT), status)
        if numbers is not NULL and place is not NULL:
            at = <object>place
            if 0 <= at < length - SUM:
                elapsed = <double>nanoseconds() / 1e9 - <double>started
                put(meter, IN_FLIGHT, <long>get(meter, IN_FLIGHT) - 1)
                numbers[at + SUM] += elapsed
                if elapsed > FIRST:
                    at += <Py_ssize_t>_bisect(_bounds, elapsed)
                numbers[at] += 1.0
                return 0
    meter.end(started, status)
    return 0


cdef object begin_span(object spans, object request, bint untraced):
    """`RouteSpans.begin`."""
    cdef long left
    cdef bint sampled
    if (
        not untraced
        or type(spans) is not _RouteSpans
        or get(spans, FOREIGN) is not None
        or not PyContextVar_CheckExact(_variable)
    ):
        return spans.begin(request, untraced)
    left = get(spans, SKIP_COUNT)
    sampled = left == 0
    if not sampled:
        put(spans, SKIP_COUNT, left - 1)
    elif <double>get(spans, RATIO) < 1.0:  # else the next one is recorded as well
        return spans.begin(request, True)
    span = make(_ServerSpan)
    put(span, START, nanoseconds())
    put(span, ROUTE, spans)
    put(span, REQUEST, request)
    put(span, SPAN, None)
    put(span, IDS, None)
    put(span, PARENT, None)
    put(span, BAGGAGE, None)
    put(span, LOG_IDS, None)
    put(span, SAMPLED, sampled)
    PyContextVar_Set(_variable, span)
    return span


cdef int end_span(object span, object status) except -1:
    """`ServerSpan.end`."""
    if type(span) is _ServerSpan and get(span, SAMPLED) is False and <long>status < 500:
        put(span, REQUEST, None)
    elif not write_request(span, status):
        span.end(status)
    return 0
