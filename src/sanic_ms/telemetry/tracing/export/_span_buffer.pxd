"""What compiled code does with pages."""

from cpython.object cimport PyObject


cdef class SpanBuffer:
    cdef readonly object scope
    cdef readonly Py_ssize_t count
    cdef PyObject* buffer
    cdef Py_ssize_t size
    cdef bint sealed

    cdef char* begin(self, Py_ssize_t most) except NULL
    cdef int resize(self, Py_ssize_t room) except -1
    cdef void end(self, const char* text) noexcept
