"""Lines one behind the other in memory, as compiled code hands them to the thread that writes.

A line costs one copy then, no object and no place in the queue, and the thread writes them all
without the interpreter's lock. `sanic_ms.telemetry.logging.writer` says how they keep their order.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport errno
from libc.stdlib cimport free, realloc

from os import strerror


cdef extern from *:
    """
    #include <errno.h>
    #include <string.h>
    #include <unistd.h>

    /* Writes lines: as many at once as have `most` bytes, or one that alone has more. Gives how many
       bytes went out; where it is not all, errno says why. */
    static Py_ssize_t sanic_ms_pour(
        int descriptor, const char *data, Py_ssize_t size, Py_ssize_t most
    ) {
        Py_ssize_t done = 0;
        while (done < size) {
            const char *from = data + done;
            Py_ssize_t piece = size - done;
            ssize_t wrote;
            if (piece > most) {
                Py_ssize_t end = most;
                while (end && from[end - 1] != '\\n') end--;
                if (!end) {
                    const char *eol = memchr(from + most, '\\n', piece - most);
                    end = eol ? eol - from + 1 : piece;
                }
                piece = end;
            }
            wrote = write(descriptor, from, piece);
            if (wrote < 0) {
                if (errno == EINTR) continue;
                break;
            }
            done += wrote;
        }
        return done;
    }
    """
    Py_ssize_t sanic_ms_pour(
        int descriptor, const char* data, Py_ssize_t size, Py_ssize_t most
    ) nogil


cdef Py_ssize_t FIRST = 16_384
# More is given back to the system once it was written: a burst must not be kept for good.
cdef Py_ssize_t KEPT = 4 << 20


@cython.no_gc
@cython.final
cdef class Block:
    """Lines that wait, each with its newline. Only compiled code adds to it."""

    def __dealloc__(self):
        free(self.data)

    cdef char* reserve(self, Py_ssize_t more) except NULL:
        """Where the next bytes go; there is room for ``more``."""
        cdef Py_ssize_t capacity = self.capacity or FIRST
        cdef char* data
        if self.busy:
            raise RuntimeError("these lines are being written")
        if self.size + more > self.capacity:
            while capacity < self.size + more:
                capacity *= 2
            data = <char*>realloc(self.data, capacity)
            if data is NULL:
                raise MemoryError
            self.data, self.capacity = data, capacity
        return self.data + self.size

    def __len__(self):
        return self.size

    def __bytes__(self):
        return PyBytes_FromStringAndSize(self.data, self.size) if self.size else b""

    def push(self, int descriptor, Py_ssize_t begin, Py_ssize_t most):
        """Write what comes from a place on, without the interpreter's lock.

        Args:
            begin: The place.
            most: Bytes of one write, which ends with a line.

        Returns:
            How many bytes were written; fewer than wait where the output refused the rest.

        Raises:
            OSError: none was.
        """
        cdef Py_ssize_t done
        cdef int error
        if not 0 <= begin < self.size or most < 1:
            raise ValueError(f"there are {self.size} bytes")
        self.busy += 1
        with nogil:
            done = sanic_ms_pour(descriptor, self.data + begin, self.size - begin, most)
            error = errno
        self.busy -= 1
        if not done:
            raise OSError(error, strerror(error))
        return done


@cython.final
cdef class Packed:
    """The blocks of one writer, which wait in its queue like any item.

    Lines are added to the newest one as long as nothing else was put behind it. Each method is one
    step for other threads, as the interpreter's lock is held.
    """

    @property
    def waiting(self):
        """How many lines wait, without one for each block, which the queue counts."""
        return self.closed + (0 if self.block is None else self.block.lines - 1)

    @property
    def is_open(self):
        """Whether lines are still added to one."""
        return self.block is not None

    def put(self, items, item):
        """Put something else into the queue: lines that come now go behind that."""
        if self.block is not None:
            self.closed += self.block.lines - 1
            self.block = None
        items.append(item)

    def take(self, Block block not None):
        """A block was taken out of the queue: nothing is added to it any more."""
        if block is self.block:
            self.block = None
        else:
            self.closed -= block.lines - 1

    def give_back(self, Block block not None):
        """It was written, and its memory may be used again."""
        if block.busy or block is self.block:
            raise RuntimeError("these lines still wait")
        if block.capacity <= KEPT:
            block.size = block.lines = 0
            self.spare = block
