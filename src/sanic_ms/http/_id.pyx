"""The id of a request that came without one, compiled.

`make_reader` gives what `sanic_ms.http.request.Request.id` is, for a request whose raw head nobody
has parsed yet; everything else is left to that.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject, PyObject_TypeCheck, PyTypeObject
from libc.string cimport memchr, memcmp

from sanic_ms._slots cimport put, sanic_ms_make, slot

from uuid import UUID, SafeUUID

from sanic.request import Request


cdef extern from *:
    """
    /* A number of 128 bits, of which those are set that make it a UUID of version 4. */
    static PyObject *sanic_ms_version_4(PyObject *bits) {
        unsigned char bytes[16];
    #if PY_VERSION_HEX < 0x030D0000
        if (_PyLong_AsByteArray((PyLongObject *)bits, bytes, 16, 0, 0) < 0) return NULL;
    #else
        if (_PyLong_AsByteArray((PyLongObject *)bits, bytes, 16, 0, 0, 1) < 0) return NULL;
    #endif
        bytes[6] = 0x40 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        return _PyLong_FromByteArray(bytes, 16, 0, 0);
    }
    """
    object sanic_ms_version_4(object bits)


cdef type _Request = Request
cdef Py_ssize_t APP = slot(Request, "app")
cdef Py_ssize_t HEAD = slot(Request, "head")
cdef Py_ssize_t HEADERS = slot(Request, "headers")
cdef Py_ssize_t ID = slot(Request, "_id")
cdef type _UUID = UUID
cdef Py_ssize_t UUID_INT = slot(UUID, "int")
cdef Py_ssize_t UUID_IS_SAFE = slot(UUID, "is_safe")
cdef object _unknown = SafeUUID.unknown
cdef object USUAL = "X-Request-ID"
cdef const char* NAME = b"x-request-id"


cdef inline PyObject* at(object owner, Py_ssize_t place) noexcept:
    return (<PyObject**>(<char*><void*>owner + place))[0]


cdef bint may_have_id(bytes head) noexcept:
    """Whether a line of the head begins as that of an id."""
    cdef const char* text = PyBytes_AS_STRING(head)
    cdef const char* end = text + PyBytes_GET_SIZE(head)
    cdef int letter
    while True:
        text = <const char*>memchr(text, c"\n", end - text)
        if text is NULL:
            return False
        text += 1
        if end - text < 12:
            return False
        for letter in range(12):
            if (text[letter] | 0x20) != NAME[letter] | 0x20:
                break
        else:
            return True


def make_reader(read, generate, bits):
    """What reads the id of a request.

    Args:
        read: The same in Python.
        generate: The function that makes an id, unless the application has put its own in its place.
        bits: Gives an integer of so many random bits.
    """

    def id(self):
        cdef PyObject* found
        cdef PyObject* config
        if not PyObject_TypeCheck(self, <PyTypeObject*>_Request):
            return read(self)
        found = at(self, ID)
        if found is not NULL and type(<object>found) is _UUID:
            return <object>found
        if found is not NULL and <object>found is not None or at(self, HEADERS) is not NULL:
            return read(self)
        found = at(self, HEAD)
        if (
            found is NULL
            or type(<object>found) is not bytes
            or not <object>found
            or may_have_id(<bytes>found)
            or type(self).generate_id is not generate
        ):
            return read(self)
        found = at(self, APP)
        if found is NULL:
            return read(self)
        settings = (<object>found).config
        config = PyDict_GetItem(settings, "REQUEST_ID_HEADER") if isinstance(settings, dict) else NULL
        if config is NULL or <object>config != USUAL:
            return read(self)
        number = bits(128)
        if type(number) is not int:
            return read(self)
        made = sanic_ms_make(<PyTypeObject*>_UUID)  # without its __init__
        put(made, UUID_INT, sanic_ms_version_4(number))
        put(made, UUID_IS_SAFE, _unknown)
        put(self, ID, made)
        return made

    return id
