"""Random bytes for ids that are no secrets."""

cdef int random_bytes(unsigned char* to, Py_ssize_t size) except -1
