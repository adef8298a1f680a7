/* The loops over a crowd, compiled: whose outboxes, put on each, write each.

What they do is said in Python, by Hub.outboxes_of (delivery/hub.py), Outbox.put_all (delivery/outbox.py) and Multiplexed.flush
(net/multiplexer.py), which run where this is not built. Here is the common case of each on the same objects, whose attributes
are read and written in their __slots__; the class's own descriptors tell the offsets. Whatever is not common (a limit that is
passed, another kind of carrier, deflate, a close frame, bytes that the kernel refused) is left to Python, by calling the
outbox's method or by handing the link back.

Only flush lets go of the GIL, once for all the links that it writes (_sends.h: in one system call, where there is one for it).
Nothing runs on the loop's thread meanwhile, which alone touches links and outboxes, so no descriptor is closed under it; and no
link learns what became of its bytes before every outbox has been brought up to date.
*/

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stddef.h>

#include "_sends.h"

#ifdef Py_GIL_DISABLED
#error "The common case counts on the GIL: without it, the Python twin runs."
#endif

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

typedef struct {
    PyObject_HEAD
    PyTypeObject *session, *outbox, *prepared, *link;
    Py_ssize_t session_outbox;
    Py_ssize_t apart, carrier, closed, limit_bytes, queue, size;
    Py_ssize_t frame, made_apart;
    Py_ssize_t backlog, deflate, fd, finishing, link_outbox, marked;
    struct {
        PyObject *items; /* list: the packets that were joined last, */
        PyObject *bytes; /* and what they are together */
    } joined[2];         /* with the offsets in them, and apart */
    Ring *ring;          /* or NULL */
} Native;

static const struct {
    size_t type, offset;
    const char *name;
} SLOTS[] = {
#define OF(type, field, name) {offsetof(Native, type), offsetof(Native, field), name}
    OF(session, session_outbox, "outbox"),
    OF(outbox, apart, "apart"),
    OF(outbox, carrier, "carrier"),
    OF(outbox, closed, "closed"),
    OF(outbox, limit_bytes, "limit_bytes"),
    OF(outbox, queue, "queue"),
    OF(outbox, size, "size"),
    OF(prepared, frame, "frame"),
    OF(prepared, made_apart, "_apart"),
    OF(link, backlog, "_backlog"),
    OF(link, deflate, "deflate"),
    OF(link, fd, "_fd"),
    OF(link, finishing, "_finishing"),
    OF(link, link_outbox, "outbox"),
    OF(link, marked, "marked"),
#undef OF
};

static int is(PyObject *object, PyTypeObject *type) { return object != NULL && Py_IS_TYPE(object, type); }

/* Whose outboxes */

static PyObject *native_outboxes_of(Native *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 3 || !PyDict_CheckExact(args[0]) || !PyTuple_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "outboxes_of(users: dict, user_ids: tuple, but)");
        return NULL;
    }
    PyObject *users = args[0], *user_ids = args[1], *but = args[2], *found = PyList_New(0);
    for (Py_ssize_t i = 0; found != NULL && i < PyTuple_GET_SIZE(user_ids); i++) {
        PyObject *user_id = PyTuple_GET_ITEM(user_ids, i);
        PyObject *mine = PyDict_GetItemWithError(users, user_id);
        int left_out = mine == NULL || (but != Py_None && PyObject_RichCompareBool(user_id, but, Py_EQ));
        if (!left_out && !PyTuple_CheckExact(mine))
            PyErr_SetString(PyExc_TypeError, "outboxes_of: not a tuple of sessions");
        if (PyErr_Occurred()) {
            Py_CLEAR(found);
            break;
        }
        for (Py_ssize_t k = 0; !left_out && found != NULL && k < PyTuple_GET_SIZE(mine); k++) {
            PyObject *session = PyTuple_GET_ITEM(mine, k);
            PyObject *outbox = is(session, self->session) ? SLOT(session, self->session_outbox) : NULL;
            if (outbox == NULL)
                PyErr_SetString(PyExc_TypeError, "outboxes_of: not a Session");
            if (outbox == NULL || PyList_Append(found, outbox) < 0)
                Py_CLEAR(found);
        }
    }
    return found;
}

/* Put on each */

/* 1: done; 0: not the common case, nothing done; -1: an exception. alone: the length as an object, shared by all outboxes that
   were empty. */
static int put(Native *self, PyObject *outbox, PyObject *item, Py_ssize_t length, PyObject *alone) {
    if (!is(outbox, self->outbox) || SLOT(outbox, self->closed) != Py_False)
        return 0;
    PyObject *queue = SLOT(outbox, self->queue), *size = SLOT(outbox, self->size), *limit = SLOT(outbox, self->limit_bytes);
    if (!is(queue, &PyList_Type) || !is(size, &PyLong_Type) || !is(limit, &PyLong_Type))
        return 0;
    Py_ssize_t before = PyLong_AsSsize_t(size), most = PyLong_AsSsize_t(limit);
    if (before < 0 || most < 0 || length > most - before) {
        PyErr_Clear(); /* numbers beyond 2^63 */
        return 0;
    }
    PyObject *after = before ? PyLong_FromSsize_t(before + length) : Py_NewRef(alone);
    if (after == NULL || PyList_Append(queue, item) < 0) {
        Py_XDECREF(after);
        return -1;
    }
    Py_SETREF(SLOT(outbox, self->size), after);
    PyObject *carrier = SLOT(outbox, self->carrier);
    if (PyList_GET_SIZE(queue) != 1 || carrier == NULL || carrier == Py_None)
        return 1;
    PyObject *marked = is(carrier, self->link) ? SLOT(carrier, self->marked) : NULL;
    if (is(marked, &PyList_Type) && PyList_GET_SIZE(marked) > 0)
        return PyList_Append(marked, carrier) < 0 ? -1 : 1; /* whoever writes is awake: see Multiplexer.mark */
    Py_INCREF(carrier);
    PyObject *woken = PyObject_CallMethod(carrier, "wake", NULL);
    Py_DECREF(carrier);
    Py_XDECREF(woken);
    return woken == NULL ? -1 : 1;
}

static PyObject *native_put_all(Native *self, PyObject *const *args, Py_ssize_t count) {
    PyObject *frame = NULL;
    if (count == 2 && PyList_CheckExact(args[0]) && is(args[1], self->prepared))
        frame = SLOT(args[1], self->frame);
    if (!is(frame, &PyBytes_Type)) {
        PyErr_SetString(PyExc_TypeError, "put_all(outboxes: list, item: Prepared)");
        return NULL;
    }
    PyObject *outboxes = args[0], *item = args[1], *alone = PyLong_FromSsize_t(PyBytes_GET_SIZE(frame));
    int done = alone == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; done > 0 && i < PyList_GET_SIZE(outboxes); i++) {
        PyObject *outbox = Py_NewRef(PyList_GET_ITEM(outboxes, i));
        done = put(self, outbox, item, PyBytes_GET_SIZE(frame), alone);
        if (done == 0) {
            PyObject *result = PyObject_CallMethod(outbox, "put", "O", item);
            done = result == NULL ? -1 : 1;
            Py_XDECREF(result);
        }
        Py_DECREF(outbox);
    }
    Py_XDECREF(alone);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Write each */

/* What goes out for one packet: a new reference to bytes, or NULL with an exception. */
static PyObject *frame_of(Native *self, PyObject *item, int apart) {
    PyObject *made = apart && is(item, self->prepared) ? SLOT(item, self->made_apart) : item;
    /* For all of a crowd but the first, it is made already. */
    PyObject *form = made == NULL || made == Py_None ? PyObject_GetAttrString(item, "apart") : Py_NewRef(made);
    PyObject *frame = is(form, self->prepared) ? SLOT(form, self->frame) : NULL;
    if (is(frame, &PyBytes_Type))
        Py_INCREF(frame);
    else if (form != NULL) {
        PyErr_SetString(PyExc_TypeError, "flush: not a Prepared");
        frame = NULL;
    }
    Py_XDECREF(form);
    return frame;
}

static int same_items(PyObject *one, PyObject *other) {
    Py_ssize_t size = PyList_GET_SIZE(one);
    if (other == NULL || size != PyList_GET_SIZE(other))
        return 0;
    for (Py_ssize_t i = 0; i < size; i++)
        if (PyList_GET_ITEM(one, i) != PyList_GET_ITEM(other, i))
            return 0;
    return 1;
}

/* Multiplexer.wire_bytes without deflate: a new reference to bytes, or NULL with an exception. */
static PyObject *wire_bytes(Native *self, PyObject *queue, int apart) {
    if (PyList_GET_SIZE(queue) == 1)
        return frame_of(self, PyList_GET_ITEM(queue, 0), apart);
    if (same_items(queue, self->joined[apart].items))
        return Py_NewRef(self->joined[apart].bytes);
    PyObject *items = PyList_GetSlice(queue, 0, PyList_GET_SIZE(queue)), *frames = PyList_New(0);
    PyObject *nothing = PyBytes_FromStringAndSize(NULL, 0), *bytes = NULL;
    for (Py_ssize_t i = 0; items != NULL && frames != NULL && i < PyList_GET_SIZE(items); i++) {
        PyObject *frame = frame_of(self, PyList_GET_ITEM(items, i), apart);
        int added = frame == NULL ? -1 : PyList_Append(frames, frame);
        Py_XDECREF(frame);
        if (added < 0)
            Py_CLEAR(frames);
    }
    if (items != NULL && frames != NULL && nothing != NULL)
        bytes = PyObject_CallMethod(nothing, "join", "O", frames);
    if (bytes != NULL) {
        Py_XSETREF(self->joined[apart].items, Py_NewRef(items));
        Py_XSETREF(self->joined[apart].bytes, Py_NewRef(bytes));
    }
    Py_XDECREF(items);
    Py_XDECREF(frames);
    Py_XDECREF(nothing);
    return bytes;
}

typedef struct {
    PyObject *link, *outbox, *bytes; /* owned; no bytes where Python must flush the link */
} Write;

/* Take what the link's outbox holds, in the common case, which it then is: whether there is something to send. */
static int take(Native *self, Write *write, Sending *sending) {
    PyObject *link = write->link;
    if (!is(link, self->link) || SLOT(link, self->backlog) != Py_None ||
        SLOT(link, self->deflate) != Py_False || SLOT(link, self->finishing) != Py_False)
        return 0;
    PyObject *outbox = SLOT(link, self->link_outbox), *fd = SLOT(link, self->fd);
    if (!is(outbox, self->outbox) || !is(fd, &PyLong_Type))
        return 0;
    PyObject *queue = SLOT(outbox, self->queue);
    if (!is(queue, &PyList_Type) || PyList_GET_SIZE(queue) == 0)
        return 0;
    sending->fd = (int)PyLong_AsLong(fd);
    if (sending->fd < 0)
        return 0;
    Py_INCREF(queue);
    PyObject *bytes = wire_bytes(self, queue, SLOT(outbox, self->apart) == Py_True);
    if (bytes != NULL && PyList_SetSlice(queue, 0, PyList_GET_SIZE(queue), NULL) == 0) {
        write->outbox = Py_NewRef(outbox);
        write->bytes = bytes;
        sending->start = PyBytes_AS_STRING(bytes);
        sending->length = (size_t)PyBytes_GET_SIZE(bytes);
    }
    else {
        Py_XDECREF(bytes);
        PyErr_Clear(); /* Python's way will meet it again */
    }
    Py_DECREF(queue);
    return write->bytes != NULL;
}

static PyObject *native_flush(Native *self, PyObject *const *args, Py_ssize_t count) {
    Py_ssize_t most = count == 2 && PyList_CheckExact(args[0]) ? PyLong_AsSsize_t(args[1]) : -1;
    if (most < 0) {
        PyErr_SetString(PyExc_TypeError, "flush(turn: list, most: int)");
        return NULL;
    }
    PyObject *turn = args[0], *left = PyList_New(0);
    if (left == NULL)
        return NULL;
    Write writes[MOST_SENDS];
    Sending sendings[MOST_SENDS], *sending = sendings;
    Py_ssize_t taken = 0;
    while (taken < most && taken < MOST_SENDS && taken < PyList_GET_SIZE(turn)) {
        Write *write = &writes[taken++];
        *write = (Write){.link = Py_NewRef(PyList_GET_ITEM(turn, PyList_GET_SIZE(turn) - taken))};
        sending += take(self, write, sending);
    }
    int failed = PyList_SetSlice(turn, PyList_GET_SIZE(turn) - taken, PyList_GET_SIZE(turn), NULL);
    Py_BEGIN_ALLOW_THREADS /* nothing of Python's is touched but bytes that are held */
    send_each(self->ring, sendings, (size_t)(sending - sendings));
    Py_END_ALLOW_THREADS
    sending = sendings;
    for (Write *write = writes; write < writes + taken; write++) {
        PyObject *bytes = write->bytes == NULL ? Py_None : write->bytes;
        Py_ssize_t length = write->bytes == NULL ? 0 : PyBytes_GET_SIZE(bytes);
        Py_ssize_t sent = write->bytes == NULL ? 0 : (sending++)->sent;
        int all = write->bytes != NULL && sent == length;
        PyObject *unsent = PyLong_FromSsize_t(all ? 0 : length);
        if (unsent == NULL)
            failed = -1;
        else if (write->outbox != NULL)
            Py_SETREF(SLOT(write->outbox, self->size), Py_NewRef(unsent));
        Py_XDECREF(unsent);
        if (!all) {
            PyObject *entry = Py_BuildValue("(OOn)", write->link, bytes, sent);
            if (entry == NULL || PyList_Append(left, entry) < 0)
                failed = -1;
            Py_XDECREF(entry);
        }
    }
    for (Write *write = writes; write < writes + taken; write++) {
        Py_DECREF(write->link);
        Py_XDECREF(write->outbox);
        Py_XDECREF(write->bytes);
    }
    if (failed)
        Py_CLEAR(left);
    return left;
}

/* The type and the module */

static PyObject *native_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"session", "outbox", "prepared", "link", NULL};
    PyTypeObject *session, *outbox, *prepared, *link;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$O!O!O!O!", names, &PyType_Type, &session, &PyType_Type, &outbox,
                                     &PyType_Type, &prepared, &PyType_Type, &link))
        return NULL;
    Native *self = (Native *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->session = (PyTypeObject *)Py_NewRef(session);
    self->outbox = (PyTypeObject *)Py_NewRef(outbox);
    self->prepared = (PyTypeObject *)Py_NewRef(prepared);
    self->link = (PyTypeObject *)Py_NewRef(link);
    self->ring = ring_open();
    for (size_t i = 0; i < sizeof SLOTS / sizeof *SLOTS; i++) {
        PyTypeObject *owner = *(PyTypeObject **)((char *)self + SLOTS[i].type);
        PyObject *found = PyObject_GetAttrString((PyObject *)owner, SLOTS[i].name);
        PyMemberDef *member = NULL;
        if (found != NULL && Py_IS_TYPE(found, &PyMemberDescr_Type) && PyType_IsSubtype(owner, PyDescr_TYPE(found)))
            member = ((PyMemberDescrObject *)found)->d_member;
        if (member != NULL && member->type == T_OBJECT_EX && !(member->flags & READONLY))
            *(Py_ssize_t *)((char *)self + SLOTS[i].offset) = member->offset;
        else if (found != NULL)
            PyErr_Format(PyExc_TypeError, "%s.%s is not one of its __slots__", owner->tp_name, SLOTS[i].name);
        Py_XDECREF(found);
        if (PyErr_Occurred()) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

/* Not known to the garbage collector: nothing that it holds leads back to it. */
static void native_dealloc(Native *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject *held[] = {(PyObject *)self->session, (PyObject *)self->outbox,  (PyObject *)self->prepared,
                        (PyObject *)self->link,    self->joined[0].items, self->joined[0].bytes,
                        self->joined[1].items,     self->joined[1].bytes};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        Py_XDECREF(held[i]);
    ring_close(self->ring);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *native_receive(PyObject *self, PyObject *const *args, Py_ssize_t count); /* _reading.c */

static PyMethodDef METHODS[] = {
    {"outboxes_of", (PyCFunction)(void (*)(void))native_outboxes_of, METH_FASTCALL, NULL},
    {"put_all", (PyCFunction)(void (*)(void))native_put_all, METH_FASTCALL, NULL},
    {"flush", (PyCFunction)(void (*)(void))native_flush, METH_FASTCALL, NULL},
    {"receive", (PyCFunction)(void (*)(void))native_receive, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot TYPE_SLOTS[] = {
    {Py_tp_new, native_new},
    {Py_tp_dealloc, native_dealloc},
    {Py_tp_methods, METHODS},
    {0, NULL},
};

static PyType_Spec TYPE = {
    .name = "gateway.net._native.Native",
    .basicsize = sizeof(Native),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = TYPE_SLOTS,
};

static int module_exec(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &TYPE, NULL);
    int failed = type == NULL || PyModule_AddObjectRef(module, "Native", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "_native", .m_slots = MODULE_SLOTS};

PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&MODULE);
}
