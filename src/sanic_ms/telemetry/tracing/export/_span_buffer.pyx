"""Texts of spans, one behind the other in memory that grows."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF


cdef extern from "Python.h":
    PyObject* PyBytes_FromStringAndSize(const char* text, Py_ssize_t size) except NULL
    char* PyBytes_AS_STRING(PyObject* text)
    Py_ssize_t PyBytes_GET_SIZE(PyObject* text)
    int _PyBytes_Resize(PyObject** buffer, Py_ssize_t size) except -1


cdef class SpanBuffer:
    """Spans of one scope that are written already, with commas between them.

    Args:
        scope: Theirs.
        room: Bytes that there is room for at first.

    Attributes:
        scope: As a span has it.
        count: How many spans.
    """

    def __cinit__(self, scope, Py_ssize_t room):
        self.scope = scope
        self.buffer = PyBytes_FromStringAndSize(NULL, max(room, 64))

    def __dealloc__(self):
        Py_XDECREF(self.buffer)

    cdef char* begin(self, Py_ssize_t most) except NULL:
        """Where the next span is to be written, which takes so many bytes at most."""
        cdef Py_ssize_t room
        if self.sealed:
            raise ValueError("a sealed page takes nothing")
        room = PyBytes_GET_SIZE(self.buffer)
        if room - self.size <= most:
            self.resize(max(2 * room, self.size + most + 1))
        text = PyBytes_AS_STRING(self.buffer) + self.size
        if self.count:
            text[0] = c","
            text += 1
        return text

    cdef void end(self, const char* text) noexcept:
        """It was written, up to here."""
        self.size = text - PyBytes_AS_STRING(self.buffer)
        self.count += 1

    cdef int resize(self, Py_ssize_t room) except -1:
        # Nobody else has the buffer yet, and so its bytes may move.
        try:
            _PyBytes_Resize(&self.buffer, room)
        except MemoryError:  # and the spans are gone
            self.buffer = PyBytes_FromStringAndSize(NULL, 0)
            self.size = 0
            self.sealed = True
            raise
        return 0

    def seal(self) -> int:
        """Take nothing more. Gives how many spans there are; calling it again changes nothing."""
        if not self.sealed:
            self.sealed = True
            self.resize(self.size)
        return self.count

    def text(self) -> bytes:
        """What was written; it seals the page."""
        self.seal()
        return <object>self.buffer
