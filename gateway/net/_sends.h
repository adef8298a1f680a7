/* Many sends, each on its own socket, in one system call where the kernel has io_uring.

Handing the kernel a crowd's frames one by one costs a fifth of all that the kernel does for them: 5.9 us a send against 5.0 in
batches of 250, by the processor's clock, loopback and ksoftirqd included. A ring is not always to be had (another system, an old
kernel, a container whose seccomp profile leaves it out, as Docker's does): then, and for a few, it is send after send.

Nothing waits. With MSG_DONTWAIT a send is over when it has been submitted, whatever came of it; the kernel keeps no buffer and no
descriptor beyond the call.
*/

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#if defined(__linux__) && defined(__has_include)
#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#include <sys/syscall.h>
#endif
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SIGPIPE is ignored by Python itself */
#endif
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

#define MOST_SENDS 256 /* of one call */

typedef struct {
    const char *start;
    size_t length;
    ssize_t sent; /* afterwards: 0 where the kernel takes nothing now, -1 where there is no connection any more */
    int fd;
} Sending;

/* 5.12, which also charges no locked memory for it; a C library may be older than the kernel's headers */
#if defined(IORING_FEAT_NATIVE_WORKERS) && defined(SYS_io_uring_enter)

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FEWEST_SENDS 4 /* one by the ring costs 0.6 us more than a send, two as much as two, four 5 % less */

typedef struct {
    int fd;
    void *queues;
    size_t queues_size;
    unsigned *head, *tail, mask;
    struct io_uring_sqe *entries;
    unsigned *results_head, *results_tail, results_mask;
    struct io_uring_cqe *results;
} Ring;

static void ring_close(Ring *ring) {
    if (ring == NULL)
        return;
    if (ring->entries != MAP_FAILED)
        munmap(ring->entries, MOST_SENDS * sizeof *ring->entries);
    if (ring->queues != MAP_FAILED)
        munmap(ring->queues, ring->queues_size);
    if (ring->fd >= 0)
        close(ring->fd);
    free(ring);
}

/* NULL where there is none to be had. */
static Ring *ring_open(void) {
    Ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return NULL;
    struct io_uring_params made;
    memset(&made, 0, sizeof made);
    ring->queues = ring->entries = MAP_FAILED;
    ring->fd = (int)syscall(SYS_io_uring_setup, MOST_SENDS, &made); /* closed on exec */
    if (ring->fd >= 0 && made.features & IORING_FEAT_NATIVE_WORKERS) {
        size_t order_end = made.sq_off.array + made.sq_entries * sizeof(unsigned);
        size_t results_end = made.cq_off.cqes + made.cq_entries * sizeof *ring->results;
        ring->queues_size = order_end > results_end ? order_end : results_end;
        ring->queues = mmap(NULL, ring->queues_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
        ring->entries = mmap(NULL, MOST_SENDS * sizeof *ring->entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
                             IORING_OFF_SQES);
    }
    if (ring->queues == MAP_FAILED || ring->entries == MAP_FAILED) {
        ring_close(ring);
        return NULL;
    }
    char *queues = ring->queues;
    ring->head = (unsigned *)(queues + made.sq_off.head);
    ring->tail = (unsigned *)(queues + made.sq_off.tail);
    ring->mask = *(unsigned *)(queues + made.sq_off.ring_mask);
    ring->results_head = (unsigned *)(queues + made.cq_off.head);
    ring->results_tail = (unsigned *)(queues + made.cq_off.tail);
    ring->results_mask = *(unsigned *)(queues + made.cq_off.ring_mask);
    ring->results = (struct io_uring_cqe *)(queues + made.cq_off.cqes);
    unsigned *order = (unsigned *)(queues + made.sq_off.array);
    for (unsigned i = 0; i < made.sq_entries; i++)
        order[i] = i;
    return ring;
}

/* Take note of the results that are there; how many. */
static size_t ring_reap(Ring *ring, Sending *sendings) {
    unsigned first = *ring->results_head, end = __atomic_load_n(ring->results_tail, __ATOMIC_ACQUIRE);
    for (unsigned i = first; i != end; i++) {
        const struct io_uring_cqe *result = &ring->results[i & ring->results_mask];
        int sent = result->res;
        sendings[result->user_data].sent = sent >= 0 ? sent : sent == -EAGAIN || sent == -EINTR ? 0 : -1;
    }
    __atomic_store_n(ring->results_head, end, __ATOMIC_RELEASE);
    return end - first;
}

/* How many of them, from the first on, are done. */
static size_t ring_send(Ring *ring, Sending *sendings, size_t count) {
    if (ring == NULL || count < FEWEST_SENDS)
        return 0;
    unsigned tail = *ring->tail;
    for (size_t i = 0; i < count; i++) {
        struct io_uring_sqe *entry = &ring->entries[(tail + i) & ring->mask];
        memset(entry, 0, sizeof *entry);
        entry->opcode = IORING_OP_SEND;
        entry->fd = sendings[i].fd;
        entry->addr = (uintptr_t)sendings[i].start;
        entry->len = (unsigned)sendings[i].length;
        entry->msg_flags = SEND_FLAGS;
        entry->user_data = i;
    }
    __atomic_store_n(ring->tail, tail + (unsigned)count, __ATOMIC_RELEASE);
    long entered = syscall(SYS_io_uring_enter, ring->fd, (unsigned)count, (unsigned)count, IORING_ENTER_GETEVENTS, NULL, 0);
    size_t taken = entered < 0 ? 0 : (size_t)entered;
    if (taken < count) /* no memory for it: the rest is taken back */
        __atomic_store_n(ring->tail, __atomic_load_n(ring->head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
    size_t done = ring_reap(ring, sendings);
    while (done < taken) { /* never seen; but what is still with the kernel must not be let go */
        syscall(SYS_io_uring_enter, ring->fd, 0, (unsigned)(taken - done), IORING_ENTER_GETEVENTS, NULL, 0);
        done += ring_reap(ring, sendings);
    }
    return done;
}

#else

typedef void Ring;
static Ring *ring_open(void) { return NULL; }
static void ring_close(Ring *ring) { (void)ring; }
static size_t ring_send(Ring *ring, Sending *sendings, size_t count) { return 0; }

#endif

/* Up to MOST_SENDS of them. */
static void send_each(Ring *ring, Sending *sendings, size_t count) {
    for (size_t i = ring_send(ring, sendings, count); i < count; i++) {
        Sending *one = &sendings[i];
        do
            one->sent = send(one->fd, one->start, one->length, SEND_FLAGS);
        while (one->sent < 0 && errno == EINTR);
        if (one->sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            one->sent = 0;
    }
}
