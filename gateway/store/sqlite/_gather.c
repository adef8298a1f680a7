/* What SQLite writes to its WAL in one commit, in a few writes instead of two a page.

SQLite writes each page of a commit by two calls, 24 octets and the page, right behind the ones before, and then calls xSync. Each
call costs the kernel a microsecond or more, whatever its size. A file whose writes are gathered keeps in memory what is written
right behind the last write, and hands it over before anything else is done with the file: a read, a write elsewhere, xSync.

What is in the file when others are told of a commit, or may make one, must be the same as ever. They are told after xSync, with
synchronous=FULL and on a disk whose sectors need no padding; with less they are told without. And a transaction is written when it
commits, in one go up to xSync, with cache_spill=OFF; otherwise some of it is written before, and what was gathered of one that is
taken back would be handed over later, on top of what another process has written there. So only such a connection may be gathered.
A write that fails is reported by a later call than its own, but by one of the same commit, which is then taken back; nothing of it
is tried again.

The place between SQLite and the operating system is the table of methods that every open file begins with: it gets a copy with some
functions of ours in it. That table is public (sqlite3_io_methods), and has been the same since 2013 (version 3).
*/

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* sqlite3_file and sqlite3_io_methods, by which any SQLite can be asked, whatever headers are there. */
typedef struct File File;
typedef struct {
    int version;
    int (*close)(File *);
    int (*read)(File *, void *, int, int64_t);
    int (*write)(File *, const void *, int, int64_t);
    int (*truncate)(File *, int64_t);
    int (*sync)(File *, int);
    int (*size)(File *, int64_t *);
    int (*lock)(File *, int);
    int (*unlock)(File *, int);
    int (*check_lock)(File *, int *);
    int (*control)(File *, int, void *);
    int (*sector)(File *);
    int (*device)(File *);
    int (*shm_map)(File *, int, int, int, void volatile **);
    int (*shm_lock)(File *, int, int, int);
    void (*shm_barrier)(File *);
    int (*shm_unmap)(File *, int);
    int (*fetch)(File *, int64_t, int, void **);
    int (*unfetch)(File *, int64_t, void *);
} Methods;
struct File {
    const Methods *methods;
};

enum {
    OK = 0,
    POWERSAFE_OVERWRITE = 0x1000, /* sectors are not padded: a commit ends in xSync */
    BOUND = (1 << 17) - 1, /* the most that SQLite's own write takes at once */
};

typedef struct {
    Methods methods;    /* first: the file points here */
    const Methods *own; /* what it pointed to before */
    int64_t at;         /* where in the file the gathered octets belong */
    int length;         /* how many there are */
    char gathered[BOUND];
} Gathering;

static Gathering *of(File *file) { return (Gathering *)file->methods; }

static int hand_over(File *file) {
    Gathering *g = of(file);
    int length = g->length;
    g->length = 0;
    return length == 0 ? OK : g->own->write(file, g->gathered, length, g->at);
}

static int write_(File *file, const void *data, int length, int64_t at) {
    Gathering *g = of(file);
    if (g->length > 0 && (at != g->at + g->length || length > BOUND - g->length)) {
        int failed = hand_over(file);
        if (failed != OK) return failed;
    }
    if (length > BOUND) return g->own->write(file, data, length, at);
    if (g->length == 0) g->at = at;
    memcpy(g->gathered + g->length, data, length);
    g->length += length;
    return OK;
}

static int read_(File *file, void *data, int length, int64_t at) {
    int failed = hand_over(file);
    return failed != OK ? failed : of(file)->own->read(file, data, length, at);
}

static int truncate_(File *file, int64_t size) {
    int failed = hand_over(file);
    return failed != OK ? failed : of(file)->own->truncate(file, size);
}

static int sync_(File *file, int flags) {
    int failed = hand_over(file);
    return failed != OK ? failed : of(file)->own->sync(file, flags);
}

static int size_(File *file, int64_t *size) {
    int failed = hand_over(file);
    return failed != OK ? failed : of(file)->own->size(file, size);
}

static int control(File *file, int what, void *value) {
    int failed = hand_over(file);
    return failed != OK ? failed : of(file)->own->control(file, what, value);
}

static int close_(File *file) {
    Gathering *g = of(file);
    file->methods = g->own; /* what no xSync has followed is in no commit */
    free(g);
    return file->methods->close(file);
}

static PyObject *gather(PyObject *module, PyObject *address) {
    File *file = PyLong_AsVoidPtr(address);
    if (file == NULL || file->methods == NULL) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "not an open file");
        return NULL;
    }
    if (file->methods->version < 3 || file->methods->close == close_ ||
        !(file->methods->device(file) & POWERSAFE_OVERWRITE)) {
        PyErr_SetString(PyExc_ValueError, "a file that cannot be gathered");
        return NULL;
    }
    Gathering *g = malloc(sizeof *g);
    if (g == NULL) return PyErr_NoMemory();
    g->methods = *file->methods;
    g->methods.version = 3;
    g->methods.close = close_;
    g->methods.read = read_;
    g->methods.write = write_;
    g->methods.truncate = truncate_;
    g->methods.sync = sync_;
    g->methods.size = size_;
    g->methods.control = control;
    g->own = file->methods;
    g->at = 0;
    g->length = 0;
    file->methods = &g->methods;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"gather", gather, METH_O, "Gather what is written to the open SQLite file at this address, until it is closed."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_gather", .m_methods = functions};

PyMODINIT_FUNC PyInit__gather(void) { return PyModuleDef_Init(&module); }
