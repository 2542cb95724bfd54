"""The making of lines, for the compiled code of other packages."""

from libc.stdint cimport int64_t

from sanic_ms.telemetry.logging._line_buffer cimport Block

cdef int64_t moment(int64_t now) noexcept
cdef const char* stamp(int64_t moment) noexcept
cdef int generation() noexcept
cdef bytes encoded(object text)
cdef object ids_text(object formatter, object ids, object request_id)
cdef object ids_of(object holder)
cdef object current_context()
cdef bint is_request(object context) noexcept
cdef bint ids_are_known(object holder) except -1
cdef Block open_block(object writer)
cdef int rouse(object writer) except -1
cdef char* copy(char* to, bytes text) noexcept
cdef char* copy_milliseconds(char* to, int64_t microseconds, bint exact) noexcept
