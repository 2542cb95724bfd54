"""Random bytes for ids that are no secrets: xoshiro256++ (Blackman and Vigna, 2019).

The state is drawn from the system when the process begins, and again in each that is forked. Python's
own generator gives an integer, which has to be made and read; that takes five times as long.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

import os

cdef uint64_t[4] _state


cdef inline uint64_t turned(uint64_t number, int by) noexcept:
    return number << by | number >> (64 - by)


cdef uint64_t next_number() noexcept:
    cdef uint64_t result = turned(_state[0] + _state[3], 23) + _state[0]
    cdef uint64_t shifted = _state[1] << 17
    _state[2] ^= _state[0]
    _state[3] ^= _state[1]
    _state[1] ^= _state[2]
    _state[0] ^= _state[3]
    _state[2] ^= shifted
    _state[3] = turned(_state[3], 45)
    return result


cdef int random_bytes(unsigned char* to, Py_ssize_t size) except -1:
    """Fill so many bytes."""
    cdef uint64_t number
    cdef Py_ssize_t part
    while size > 0:
        number = next_number()
        part = 8 if size > 8 else size
        memcpy(to, &number, part)
        to += part
        size -= part
    return 0


def seed(bytes data not None = b""):
    """Begin another sequence: from 32 bytes, or from what the system gives."""
    if not data:
        data = os.urandom(32)
    if len(data) != 32 or not any(data):
        raise ValueError("32 bytes are needed that are not all zero")
    memcpy(_state, <char*>data, 32)


def some(Py_ssize_t size):
    """Random bytes, for tests."""
    cdef unsigned char[256] data
    if not 0 <= size <= 256:
        raise ValueError("256 bytes at most")
    random_bytes(data, size)
    return data[:size]


seed()
os.register_at_fork(after_in_child=seed)
