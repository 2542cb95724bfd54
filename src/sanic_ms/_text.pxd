"""Numbers as text, put into memory; each gives where the next letter goes."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef inline char* put_decimal(char* to, uint64_t number) noexcept:
    """In decimal digits, 20 at most."""
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
    """Bytes, in two digits each."""
    cdef const char* digits = "0123456789abcdef"
    cdef Py_ssize_t at
    for at in range(size):
        to[2 * at] = digits[data[at] >> 4]
        to[2 * at + 1] = digits[data[at] & 15]
    return to + 2 * size
