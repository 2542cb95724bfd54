"""What the compiled observer calls of `sanic_ms.telemetry.tracing.export._writer`."""

cdef bint write_request(object span, object status) except -1
