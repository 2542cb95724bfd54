"""Where the lines of a logger go, for the compiled code that makes them."""

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint64_t


cdef enum:
    MOST = 16


cdef class Way:
    cdef readonly object log, level
    cdef readonly bint enabled
    cdef readonly object writer, formatter
    cdef list _kept
    cdef int _dicts, _lists, _types, _in_vain
    cdef PyObject* _owner[MOST]
    cdef PyTypeObject* _owner_type[MOST]
    cdef PyObject* _dict[MOST]
    cdef uint64_t _version[MOST]
    cdef PyObject* _list[MOST]
    cdef Py_ssize_t _length[MOST]
    cdef PyObject* _first[MOST]
    cdef PyTypeObject* _type[MOST]
    cdef unsigned int _type_version[MOST]

    cdef bint holds(self) noexcept
    cdef bint is_enabled(self) except -1
    cdef int ask(self) except -1
    cdef int look(self) except -1
    cdef bint remember(self, log) except -1
    cdef bint watch_object(self, owner) except -1
    cdef bint watch_type(self, cls) except -1
    cdef bint watch_dict(self, owner, table) except -1
    cdef bint watch_list(self, entries) except -1
