"""The id of a request that came without one, compiled.

`make_reader` gives what `sanic_ms.http.request.Request.id` is, for a request whose raw head nobody
has parsed yet; everything else is left to that.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject, PyObject_TypeCheck, PyTypeObject
from libc.string cimport memchr, memcmp

from sanic_ms.native._random cimport random_bytes
from sanic_ms.native._slots cimport put, slot

from uuid import UUID, SafeUUID

from sanic.request import Request


cdef extern from *:
    """
    /* A number of so many bytes, the big end first. */
    static PyObject *sanic_ms_number(const unsigned char *bytes, size_t size) {
        return _PyLong_FromByteArray(bytes, size, 0, 0);
    }

    /* An instance without its __init__, as UUID's own code makes them. */
    static PyObject *sanic_ms_bare(PyTypeObject *cls) { return cls->tp_alloc(cls, 0); }

    /* Another number after each change of the class; 0: it has none. */
    static unsigned int sanic_ms_class_version(PyTypeObject *cls) {
        return PyType_HasFeature(cls, Py_TPFLAGS_VALID_VERSION_TAG) ? cls->tp_version_tag : 0;
    }
    """
    object sanic_ms_bare(PyTypeObject* cls)
    unsigned int sanic_ms_class_version(PyTypeObject* cls) noexcept
    object sanic_ms_number(const unsigned char* data, size_t size)


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


# The class of the last request whose ids are made here, as it was then.
cdef type _class = type(None)
cdef unsigned int _version = 0


cdef bint makes(type cls, object generate) except -1:
    """Whether the class makes ids with this function."""
    global _class, _version
    if cls is _class and _version and _version == sanic_ms_class_version(<PyTypeObject*>cls):
        return True
    if cls.generate_id is not generate:
        return False
    _class, _version = cls, sanic_ms_class_version(<PyTypeObject*>cls)
    return True


def make_reader(read, generate):
    """What reads the id of a request.

    Args:
        read: The same in Python.
        generate: The function that makes an id, unless the application has put its own in its place.
    """

    def id(self):
        cdef PyObject* found
        cdef PyObject* config
        cdef unsigned char[16] data
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
            or not makes(type(self), generate)
        ):
            return read(self)
        found = at(self, APP)
        if found is NULL:
            return read(self)
        settings = (<object>found).config
        config = PyDict_GetItem(settings, "REQUEST_ID_HEADER") if isinstance(settings, dict) else NULL
        if config is NULL or <object>config != USUAL:
            return read(self)
        random_bytes(data, 16)
        data[6] = 0x40 | (data[6] & 0x0F)  # RFC 9562: version 4
        data[8] = 0x80 | (data[8] & 0x3F)
        made = sanic_ms_bare(<PyTypeObject*>_UUID)
        put(made, UUID_INT, sanic_ms_number(data, 16))
        put(made, UUID_IS_SAFE, _unknown)
        put(self, ID, made)
        return made

    return id
