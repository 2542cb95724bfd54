"""What the server's compiled code calls of `sanic_ms.telemetry._instrumentation`."""

cdef object begin_measuring(object meter)
cdef object begin_span(object spans, object request, bint untraced)
cdef int end_span(object span, object status) except -1
cdef int end_measuring(object meter, object started, object status) except -1
