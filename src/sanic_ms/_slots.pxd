"""The slots of Python's classes, reached by where they lie in an object.

A class with ``__slots__`` keeps each attribute at a fixed place in its instances; the descriptor of
the slot tells which (`PyMemberDescrObject`, part of CPython's public headers). To read there costs a
hundredth of what looking the attribute up does. Whoever reads must know that the object is of the
class, or of one that is made from it.
"""

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF


cdef extern from *:
    """
    #include "structmember.h"

    /* Where a slot lies, or -1 where this is no slot that holds an object. */
    static Py_ssize_t sanic_ms_slot_at(PyObject *slot) {
        PyMemberDef *member;
        if (!Py_IS_TYPE(slot, &PyMemberDescr_Type)) return -1;
        member = ((PyMemberDescrObject *)slot)->d_member;
        return member->type == T_OBJECT_EX ? member->offset : -1;
    }

    static int sanic_ms_is_made_plainly(PyTypeObject *cls) {
        return cls->tp_new == PyBaseObject_Type.tp_new && cls->tp_init == PyBaseObject_Type.tp_init;
    }

    static PyObject *sanic_ms_make(PyTypeObject *cls) { return cls->tp_alloc(cls, 0); }
    """
    Py_ssize_t sanic_ms_slot_at(object slot)
    bint sanic_ms_is_made_plainly(PyTypeObject* cls)
    object sanic_ms_make(PyTypeObject* cls)


cdef inline Py_ssize_t slot(type cls, str name) except -1:
    """Where the slot lies that this very class defines.

    Raises:
        TypeError: it defines none of that name.
    """
    cdef Py_ssize_t at = sanic_ms_slot_at(cls.__dict__.get(name))
    if at < 0:
        raise TypeError(f"{cls.__name__}.{name} is no slot")
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


cdef inline object make(type cls):
    """An instance with empty slots, of a class without ``__new__`` and ``__init__`` of its own;
    of another one as it makes them."""
    if sanic_ms_is_made_plainly(<PyTypeObject*>cls):
        return sanic_ms_make(<PyTypeObject*>cls)
    return cls()
