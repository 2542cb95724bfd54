"""Lines in memory, for the compiled code that makes them."""


cdef class Block:
    cdef char* data
    cdef Py_ssize_t size, capacity
    cdef long lines
    cdef int busy

    cdef char* reserve(self, Py_ssize_t more) except NULL


cdef class Packed:
    cdef Block block, spare
    cdef long closed
