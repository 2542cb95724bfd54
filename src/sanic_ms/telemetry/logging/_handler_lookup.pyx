"""Where the lines of one logger go, remembered until anything changes that says so.

`sanic_ms.telemetry.logging.handler.sole_handler` asks for a logger's handlers, those of the loggers
above it, filters, levels and the library's own functions. What it asks stands in the dictionaries
of a few objects, in a few lists and in classes. CPython 3.11 gives each dictionary and each class a
number that is another one after every change, so that to compare numbers is to ask again. Later
versions keep no such number that could be relied on: there it is really asked again, each time.
"""

cimport cython
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint64_t

import logging

from sanic_ms.telemetry.logging.format import JSONFormatter
from sanic_ms.telemetry.logging.handler import QueuedHandler, sole_handler
from sanic_ms.telemetry.logging.writer import LogWriter


cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030C0000
    #define SANIC_MS_VERSIONS 1
    static uint64_t sanic_ms_version(PyObject *dict) {
        return ((PyDictObject *)dict)->ma_version_tag;
    }
    static PyObject *sanic_ms_dict_of(PyObject *owner) {
        PyObject **dict = _PyObject_GetDictPtr(owner);
        return dict ? *dict : NULL;
    }
    #else
    #define SANIC_MS_VERSIONS 0
    static uint64_t sanic_ms_version(PyObject *dict) { return 0; }
    static PyObject *sanic_ms_dict_of(PyObject *owner) { return NULL; }
    #endif

    static int sanic_ms_is_of(PyObject *owner, PyTypeObject *cls) {
        return Py_IS_TYPE(owner, cls);
    }

    /* 0: it has none at present. */
    static unsigned int sanic_ms_type_version(PyTypeObject *cls) {
        return PyType_HasFeature(cls, Py_TPFLAGS_VALID_VERSION_TAG) ? cls->tp_version_tag : 0;
    }
    """
    bint SANIC_MS_VERSIONS
    uint64_t sanic_ms_version(PyObject* dict)
    PyObject* sanic_ms_dict_of(PyObject* owner)
    bint sanic_ms_is_of(PyObject* owner, PyTypeObject* cls)
    unsigned int sanic_ms_type_version(PyTypeObject* cls)


cdef object _is_enabled_for = logging.Logger.isEnabledFor
cdef tuple _loggers = (logging.Logger, logging.RootLogger)
# What a class may not have, as every logger and handler has its own.
cdef tuple _own = (
    "disabled", "filters", "formatter", "handlers", "level", "parent", "propagate", "writer", "_cache",
)


@cython.final
cdef class Way:
    """For the lines of one logger with one level.

    Attributes:
        enabled: Whether there are any at present.
        writer: The `LogWriter` that gets them, where nobody else would see their records.
        formatter: The `JSONFormatter` that makes them then.
    """

    def __cinit__(self, log, level):
        self.log = log
        self.level = level

    @property
    def remembered(self):
        """Whether it is remembered, and nothing has changed; for tests."""
        return self.holds()

    def refresh(self):
        """Bring the attributes up to date; for tests."""
        self.ask()

    cdef bint is_enabled(self) except -1:
        """Whether there are lines at present."""
        # The level is in the first two dictionaries, the logger's method in the first class.
        if (
            self._dicts
            and sanic_ms_version(self._dict[0]) == self._version[0]
            and sanic_ms_version(self._dict[1]) == self._version[1]
            and sanic_ms_is_of(self._owner[1], self._owner_type[1])
            and sanic_ms_dict_of(self._owner[1]) is self._dict[1]
            and sanic_ms_type_version(self._type[0]) == self._type_version[0]
        ):
            return self.enabled
        if not SANIC_MS_VERSIONS or self._in_vain:
            return self.log.isEnabledFor(self.level)
        self.look()
        return self.enabled

    cdef int ask(self) except -1:
        """Bring the attributes up to date. They hold until Python's own code runs."""
        if not self.holds():
            self.look()
        return 0

    cdef bint holds(self) noexcept:
        """Whether nothing has changed since it was looked at."""
        cdef int at
        cdef PyObject* found
        if not self._dicts:
            return False
        for at in range(self._dicts):
            if sanic_ms_version(self._dict[at]) != self._version[at]:
                return False
            if self._owner[at] is not NULL:
                if not sanic_ms_is_of(self._owner[at], self._owner_type[at]):
                    return False
                if sanic_ms_dict_of(self._owner[at]) is not self._dict[at]:
                    return False
        for at in range(self._lists):
            found = self._list[at]
            if PyList_GET_SIZE(<object>found) != self._length[at]:
                return False
            if self._length[at] and PyList_GET_ITEM(<object>found, 0) is not self._first[at]:
                return False
        for at in range(self._types):
            if sanic_ms_type_version(self._type[at]) != self._type_version[at]:
                return False
        return True

    cdef int look(self) except -1:
        """Look how it is, and remember what that depends on."""
        log = self.log
        self._dicts = self._lists = self._types = 0
        self._kept = []
        self.writer = self.formatter = None
        self.enabled = log.isEnabledFor(self.level)
        handler = None if log.filters else sole_handler(log, self.level)
        if handler is not None and type(handler) is QueuedHandler:
            writer, formatter = handler.writer, handler.formatter
            if type(writer) is LogWriter and type(formatter) is JSONFormatter:
                self.writer, self.formatter = writer, formatter
        if SANIC_MS_VERSIONS:
            if self._in_vain:  # of loggers that are of another kind this is tried now and then
                self._in_vain -= 1
            elif not self.remember(log):
                self._dicts = 0
                self._in_vain = 100
        return 0

    cdef bint remember(self, log) except -1:
        """False: it depends on more than can be remembered."""
        if type(log).isEnabledFor is not _is_enabled_for or "isEnabledFor" in log.__dict__:
            return False
        # These first: `is_enabled` looks no further.
        if not self.watch_dict(None, log._cache) or not self.watch_object(log):
            return False
        if not self.watch_list(log.filters) or not self.watch_dict(None, logging.__dict__):
            return False
        above = log
        while above is not None:
            if type(above) not in _loggers:
                return False
            if above is not log and not self.watch_object(above):
                return False
            handlers = above.handlers
            if not self.watch_list(handlers):
                return False
            for handler in handlers[:2]:
                if type(handler) is QueuedHandler and not (
                    self.watch_object(handler)
                    and self.watch_list(handler.filters)
                    and self.watch_type(LogWriter)
                    and self.watch_type(JSONFormatter)
                ):
                    return False
            above = above.parent if above.propagate else None
        return True

    cdef bint watch_object(self, owner) except -1:
        return self.watch_type(type(owner)) and self.watch_dict(owner, owner.__dict__)

    cdef bint watch_type(self, cls) except -1:
        cdef int at = self._types
        if at == MOST or any([hasattr(cls, name) for name in _own]):
            return False
        self._kept.append(cls)
        self._type[at] = <PyTypeObject*>cls
        self._type_version[at] = sanic_ms_type_version(<PyTypeObject*>cls)
        self._types += 1
        return self._type_version[at] != 0

    cdef bint watch_dict(self, owner, table) except -1:
        cdef int at = self._dicts
        cdef type kind = type(owner)
        if at == MOST or type(table) is not dict:
            return False
        self._kept.append((owner, table))
        self._owner[at] = NULL if owner is None else <PyObject*>owner
        self._owner_type[at] = <PyTypeObject*>kind
        self._dict[at] = <PyObject*>table
        self._version[at] = sanic_ms_version(<PyObject*>table)
        self._dicts += 1
        return owner is None or sanic_ms_dict_of(<PyObject*>owner) is <PyObject*>table

    cdef bint watch_list(self, entries) except -1:
        cdef int at = self._lists
        if at == MOST or not isinstance(entries, list):
            return False
        self._list[at] = <PyObject*>entries
        self._length[at] = PyList_GET_SIZE(entries)
        self._first[at] = NULL
        if self._length[at]:
            self._first[at] = <PyObject*>PyList_GET_ITEM(entries, 0)
        # The first entry as well, lest another come to lie where it lay.
        self._kept.append((entries, list(entries)))
        self._lists += 1
        return True
