"""What is called of an endpoint, compiled: the call of a handler without a task, and the body.

`sanic_ms.http.endpoint` has functions of the same names that do the same, and explains them. What is
not as usual is left to these.
"""

from inspect import isawaitable

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Size
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.string cimport memcpy

import msgspec
from sanic.response import BaseHTTPResponse, ResponseStream

from sanic_ms.exception import ServerError
from sanic_ms.inline import result_of, waits
from sanic_ms.shapes import ShapeMismatch


cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except PYGEN_ERROR
    bint PyCoro_CheckExact(object value)
    object PyObject_VectorcallDict(object call, PyObject** given, size_t count, PyObject* named)


cdef tuple _responses = (BaseHTTPResponse, ResponseStream)
cdef tuple _refusals = (TypeError, ValueError, msgspec.MsgspecError)
cdef object _mismatch = ShapeMismatch
cdef object _isawaitable = isawaitable, _result_of = result_of, _waits = waits


def make_answer(answer, unfit, project, encode, bytes before, bytes after):
    """`Direct.answer`.

    Args:
        answer: The same in Python, for what is not as usual.
        unfit: Says of an error why the value cannot become an answer.
        project: Leaves of a value what its shape declares; None: all.
        encode: Writes a value as JSON.
        before, after: What stands around it in the body.
    """
    # Whether a dict has none but the declared keys; None: its values have to be looked at, too.
    fits = getattr(project, "fits", None)
    cdef Py_ssize_t size = getattr(project, "size", 0)
    python = answer

    def answer(request, value):
        cls = type(value)
        if cls is tuple or value is None or cls is not dict and isinstance(value, _responses):
            return python(request, value)
        try:
            if project is None or (
                cls is dict and fits is not None and PyDict_Size(value) == size and fits(value)
            ):
                return between(before, encode(value), after)
            return between(before, encode(project(value)), after)
        except _mismatch:
            return python(request, value)
        except _refusals as exc:
            raise ServerError(message="Internal Server Error") from unfit(exc)

    return answer


def make_at_once(call, bint is_async, read_all, answer_later, answer):
    """`Direct.at_once`.

    Args:
        call: The handler.
        is_async: Whether it is a coroutine function.
        read_all: Reads what the handler takes besides the path; None: it takes nothing.
        answer_later: Answers with what a plain handler's awaitable gives.
        answer: `Direct.answer`.
    """

    def at_once(request, dict path not None):
        cdef PyObject* given = <PyObject*>request
        if read_all is not None:
            path = read_all(request, path)
        value = PyObject_VectorcallDict(call, &given, 1, <PyObject*>path if path else NULL)
        if is_async:
            value = result_now(value)
        elif _isawaitable(value):
            return answer_later(request, value)
        return answer(request, value)

    return at_once


cdef object result_now(object coroutine):
    """`result_of`."""
    cdef PyObject* result = NULL
    cdef PySendResult how
    if not PyCoro_CheckExact(coroutine):
        return _result_of(coroutine)
    how = PyIter_Send(coroutine, None, &result)
    value = <object>result
    Py_DECREF(value)
    if how != PYGEN_RETURN:
        raise _waits(coroutine)
    return value


cdef bytes between(bytes before, bytes data, bytes after):
    """The three, one after the other."""
    cdef Py_ssize_t first = PyBytes_GET_SIZE(before), size = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t last = PyBytes_GET_SIZE(after)
    cdef bytes body
    cdef char* text
    if not first + last:
        return data
    body = PyBytes_FromStringAndSize(NULL, first + size + last)
    text = PyBytes_AS_STRING(body)
    memcpy(text, PyBytes_AS_STRING(before), first)
    memcpy(text + first, PyBytes_AS_STRING(data), size)
    memcpy(text + first + size, PyBytes_AS_STRING(after), last)
    return body
