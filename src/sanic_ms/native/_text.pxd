"""Texts of Python's as they lie in memory, and numbers put there as text."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef extern from *:
    """
    #ifndef SANIC_MS_TEXT
    #define SANIC_MS_TEXT
    /* Whether it is a text of so many letters, all of them ASCII. */
    static inline int sanic_ms_is_ascii(PyObject *text, Py_ssize_t length) {
        return PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text)
            && PyUnicode_GET_LENGTH(text) == length;
    }

    /* The letters of such a text. */
    static inline char *sanic_ms_ascii(PyObject *text) { return (char *)PyUnicode_1BYTE_DATA(text); }

    /* One whose letters are to be filled in. */
    static inline PyObject *sanic_ms_new_ascii(Py_ssize_t length) {
        return PyUnicode_New(length, 127);
    }
    #endif
    """
    bint is_ascii "sanic_ms_is_ascii" (object text, Py_ssize_t length) noexcept
    char* ascii_of "sanic_ms_ascii" (object text) noexcept
    object new_ascii "sanic_ms_new_ascii" (Py_ssize_t length)


cdef inline char* put_decimal(char* to, uint64_t number) noexcept:
    """In decimal digits, 20 at most. Gives where the next letter goes."""
    cdef char[20] digits
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = c"0" + <char>(number % 10)
        number //= 10
        if not number:
            break
    memcpy(to, digits + at, 20 - at)
    return to + 20 - at


cdef inline char* put_hexadecimal(char* to, const unsigned char* data, Py_ssize_t size) noexcept:
    """Bytes, in two digits each. Gives where the next letter goes."""
    cdef const char* digits = "0123456789abcdef"
    cdef Py_ssize_t at
    for at in range(size):
        to[2 * at] = digits[data[at] >> 4]
        to[2 * at + 1] = digits[data[at] & 15]
    return to + 2 * size
