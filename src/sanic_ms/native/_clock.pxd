"""The clocks of Linux, read without asking Python."""

from libc.stdint cimport int64_t


cdef extern from *:
    """
    #ifndef SANIC_MS_CLOCK
    #define SANIC_MS_CLOCK
    #include <stdint.h>
    #include <time.h>

    static inline int64_t sanic_ms_read_clock(clockid_t clock) {
        struct timespec now;
        clock_gettime(clock, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }

    /* Nanoseconds of the clock of time.perf_counter. */
    static inline int64_t sanic_ms_nanoseconds(void) {
        return sanic_ms_read_clock(CLOCK_MONOTONIC);
    }
    #endif
    """
    int64_t nanoseconds "sanic_ms_nanoseconds" () noexcept
