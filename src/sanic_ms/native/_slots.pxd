"""The slots of Python's classes, reached by where they lie in an object.

A class with ``__slots__`` keeps each attribute at a fixed place in its instances; the descriptor of
the slot tells which (`PyMemberDescrObject`, part of CPython's public headers). To read there is a
few instructions, where looking the attribute up is a call. Whoever reads must know that the object is
of the class, or of one that is made from it.

``make(cls)`` gives an instance with empty slots, of a class of which ``is_made_plainly(cls)``: it has
no ``__new__`` and no ``__init__`` but object's.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF


cdef extern from *:
    """
    #include "structmember.h"

    /* Where a slot lies, or -1 where this is no slot that holds an object. */
    static inline Py_ssize_t sanic_ms_slot_at(PyObject *slot) {
        PyMemberDef *member;
        if (!Py_IS_TYPE(slot, &PyMemberDescr_Type)) return -1;
        member = ((PyMemberDescrObject *)slot)->d_member;
        return member->type == T_OBJECT_EX ? member->offset : -1;
    }

    static inline int sanic_ms_is_made_plainly(PyObject *cls) {
        return ((PyTypeObject *)cls)->tp_new == PyBaseObject_Type.tp_new
            && ((PyTypeObject *)cls)->tp_init == PyBaseObject_Type.tp_init;
    }

    static inline PyObject *sanic_ms_make(PyObject *cls) {
        return ((PyTypeObject *)cls)->tp_alloc((PyTypeObject *)cls, 0);
    }
    """
    Py_ssize_t sanic_ms_slot_at(object slot)
    bint is_made_plainly "sanic_ms_is_made_plainly" (object cls)
    object make "sanic_ms_make" (object cls)


cdef inline Py_ssize_t slot(type cls, str name) except -1:
    """Where the slot lies that this very class defines.

    Raises:
        ImportError: it defines none of that name; found at the import of who asks.
    """
    cdef Py_ssize_t at = sanic_ms_slot_at(cls.__dict__.get(name))
    if at < 0:
        raise ImportError(f"{cls.__name__}.{name} is no slot")
    return at


cdef inline object get(object owner, Py_ssize_t at):
    """What is in a slot.

    Raises:
        AttributeError: nothing is.
    """
    cdef PyObject* found = (<PyObject**>(<char*><void*>owner + at))[0]
    if found is NULL:
        raise AttributeError("a slot is empty")
    return <object>found


cdef inline void put(object owner, Py_ssize_t at, object value) noexcept:
    """Put something into a slot."""
    cdef PyObject** place = <PyObject**>(<char*><void*>owner + at)
    cdef PyObject* before = place[0]
    Py_INCREF(value)
    place[0] = <PyObject*>value
    Py_XDECREF(before)

