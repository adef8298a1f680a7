/* What a socket has brought, compiled: one recv, and the frames that nearly all clients send taken out of it.

The same is said in Python by receive (net/multiplexer.py), which takes out nothing, and FrameReader.feed (wire/frames.py), which
reads whatever comes. Here are whole text frames of at most 125 bytes in UTF-8 that begin where a message may begin (RFC 6455
5.2). From the first byte of anything else on, what came is left to the FrameReader, as it came.

The GIL is held throughout: the socket does not block, and to give it away and take it back may cost more than the recv.
*/

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <sys/socket.h>

#define RECEIVE_BYTES 65536
#define HEAD 6 /* two bytes and the mask */
#define FIN_TEXT 0x81
#define MASKED 0x80
#define LONGEST 125

/* The payload of the frame that starts here, if it is one of those; NULL if not, or with an exception. */
static PyObject *whole_text(const unsigned char *frame, Py_ssize_t there, Py_ssize_t short_below) {
    if (there < HEAD || frame[0] != FIN_TEXT || frame[1] < MASKED || frame[1] > MASKED + LONGEST)
        return NULL;
    Py_ssize_t length = frame[1] - MASKED;
    if (there < HEAD + length || HEAD + length >= short_below)
        return NULL;
    char payload[LONGEST];
    for (Py_ssize_t i = 0; i < length; i++)
        payload[i] = (char)(frame[HEAD + i] ^ frame[2 + (i & 3)]);
    PyObject *text = PyUnicode_DecodeUTF8(payload, length, NULL);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_Clear(); /* the FrameReader will meet it again */
    return text;
}

PyObject *native_receive(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 2 || !PyLong_CheckExact(args[0]) || !PyLong_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "receive(fd: int, short_below: int)");
        return NULL;
    }
    long fd = PyLong_AsLong(args[0]);
    Py_ssize_t short_below = PyLong_AsSsize_t(args[1]);
    if (PyErr_Occurred())
        return NULL;
    unsigned char bytes[RECEIVE_BYTES];
    Py_ssize_t size, read = 0;
    do
        size = recv((int)fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    int nothing = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK); /* a new list may run finalizers, which set errno */
    PyObject *found = PyList_New(0), *item = NULL;
    if (found == NULL || nothing)
        return found;
    if (size < 0)
        size = 0; /* broken is as good as ended */
    do {
        item = whole_text(bytes + read, size - read, short_below);
        if (item != NULL)
            read += HEAD + bytes[read + 1] - MASKED;
        else if (!PyErr_Occurred()) {
            item = PyBytes_FromStringAndSize((char *)bytes + read, size - read);
            read = size;
        }
        if (item == NULL || PyList_Append(found, item) < 0)
            Py_CLEAR(found);
        Py_XDECREF(item);
    } while (found != NULL && read < size);
    return found;
}
