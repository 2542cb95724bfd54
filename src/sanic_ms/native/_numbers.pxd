"""The numbers of metrics, where they lie in memory."""


cdef extern from *:
    """
    #ifndef SANIC_MS_NUMBERS
    #define SANIC_MS_NUMBERS
    /* The numbers of a memoryview of doubles; NULL where it is another, or was released. */
    static inline double *sanic_ms_doubles(PyObject *view, Py_ssize_t *length) {
        Py_buffer *buffer;
        if (!PyMemoryView_Check(view)) return NULL;
        if (((PyMemoryViewObject *)view)->flags & _Py_MEMORYVIEW_RELEASED) return NULL;
        buffer = PyMemoryView_GET_BUFFER(view);
        if (buffer->readonly || buffer->itemsize != sizeof(double) || buffer->ndim != 1)
            return NULL;
        if (buffer->format == NULL || buffer->format[0] != 'd' || buffer->format[1]) return NULL;
        *length = buffer->len / (Py_ssize_t)sizeof(double);
        return (double *)buffer->buf;
    }
    #endif
    """
    double* doubles "sanic_ms_doubles" (object view, Py_ssize_t* length) noexcept
