// What Swift cannot import or liburing 2.3 does not have yet. Everything called per packet is a static inline function, so
// that it is compiled into the Swift loop that calls it.
#ifndef CURING_H
#define CURING_H
// <sys/socket.h> first: liburing.h and SwiftGlibc otherwise disagree about fd_set.
#include <sys/socket.h>
#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

// Newer than liburing 2.3.
#define CURING_FEAT_MIN_TIMEOUT (1u << 15)

// Steps behind macros or _GNU_SOURCE; in CURing.c. Those that can fail return a negative errno.
int curing_enter(int fd, unsigned flags, unsigned submit, int wait, unsigned gather_microseconds,
                 int64_t timeout_nanoseconds);
int curing_name_thread(const char *name);
int curing_pin_thread(int cpu);
int curing_keep_off(const int *cpus, int count);
// Asks the scheduler to let the calling thread run soon after it wakes, for so long at a time (Linux 6.12; before, nothing
// changes). Needs no privilege: it gets no more of a CPU than before, only sooner.
int curing_set_time_slice(uint64_t nanoseconds);
const char *curing_errno_name(int code);
const char *curing_errno_text(int code);
int curing_datagram_socket(const void *address, unsigned length, int type_of_service, int probe_mtu);
// As many octets as asked for where this process may have them, else as many as the system allows. Returns how many.
int curing_set_receive_buffer(int fd, int octets);
// Datagrams dropped for want of room in the receive buffer; a negative errno where the kernel does not tell.
int64_t curing_receive_drops(int fd);
int curing_connect(int fd, const void *address, unsigned length);
int curing_disconnect(int fd);
// Room for any address. A type of this module: several C modules claim sockaddr_in6, and which one Swift finds first
// depends on what else is compiled.
typedef struct curing_address {
    uint64_t words[4];
} curing_address;

int curing_local_address(int fd, struct sockaddr_in6 *address);
int curing_unix_listen(const char *path, unsigned mode);
int curing_unix_connect(const char *path);
int curing_signal_descriptor(const int *signals, unsigned count);
int curing_next_signal(int fd);
int curing_event_descriptor(void);
int curing_wait_readable(int fd, int milliseconds);
void *curing_map(size_t size);

/// The next free submission entry, cleared; null when the queue is full.
static inline struct io_uring_sqe *curing_next_entry(struct io_uring *ring) {
    struct io_uring_sq *queue = &ring->sq;
    unsigned tail = queue->sqe_tail;
    unsigned head = __atomic_load_n(queue->khead, __ATOMIC_ACQUIRE);
    if (tail - head >= *queue->kring_entries) return 0;
    struct io_uring_sqe *entry = &queue->sqes[tail & *queue->kring_mask];
    queue->sqe_tail = tail + 1;
    memset(entry, 0, sizeof *entry);
    return entry;
}

static inline unsigned curing_entry_index(const struct io_uring *ring, const struct io_uring_sqe *entry) {
    return (unsigned)(entry - ring->sq.sqes);
}

/// Publishes the filled entries to the kernel and returns how many it has not consumed yet.
static inline unsigned curing_flush(struct io_uring *ring) {
    struct io_uring_sq *queue = &ring->sq;
    queue->sqe_head = queue->sqe_tail;
    __atomic_store_n(queue->ktail, queue->sqe_tail, __ATOMIC_RELEASE);
    return queue->sqe_tail - __atomic_load_n(queue->khead, __ATOMIC_ACQUIRE);
}

static inline unsigned curing_unsubmitted(const struct io_uring *ring) {
    return ring->sq.sqe_tail - __atomic_load_n(ring->sq.khead, __ATOMIC_ACQUIRE);
}

static inline unsigned curing_ready(const struct io_uring *ring) {
    return __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE) - *ring->cq.khead;
}

static inline const struct io_uring_cqe *curing_completion(const struct io_uring *ring, unsigned offset) {
    return &ring->cq.cqes[(*ring->cq.khead + offset) & *ring->cq.kring_mask];
}

static inline void curing_advance(struct io_uring *ring, unsigned count) {
    __atomic_store_n(ring->cq.khead, *ring->cq.khead + count, __ATOMIC_RELEASE);
}

/// True when completions wait in the kernel for room in the queue.
static inline int curing_overflowed(const struct io_uring *ring) {
    return (__atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/// Entry `bid` of a ring of provided buffers (struct io_uring_buf_ring: the tail overlays the first entry's spare field).
static inline void curing_provide(void *ring, unsigned tail, unsigned mask, uint64_t address, unsigned length,
                                  uint16_t bid) {
    struct io_uring_buf *entry = (struct io_uring_buf *)ring + (tail & mask);
    entry->addr = address;
    entry->len = length;
    entry->bid = bid;
}

static inline void curing_publish_buffers(void *ring, uint16_t tail) {
    __atomic_store_n((uint16_t *)((char *)ring + 14), tail, __ATOMIC_RELEASE);
}

static inline void curing_fill(struct io_uring_sqe *entry, uint8_t opcode, int file, int fixed, uint64_t user_data,
                               uint8_t flags) {
    entry->opcode = opcode;
    entry->fd = file;
    entry->flags = (uint8_t)(flags | (fixed ? IOSQE_FIXED_FILE : 0));
    entry->user_data = user_data;
}

/// Multishot receive with buffers from `group`; `message` null = recv, else recvmsg into its layout.
static inline void curing_receive(struct io_uring_sqe *entry, int file, int fixed, uint64_t user_data,
                                  const struct msghdr *message, uint16_t group) {
    curing_fill(entry, message ? IORING_OP_RECVMSG : IORING_OP_RECV, file, fixed, user_data, IOSQE_BUFFER_SELECT);
    entry->ioprio = IORING_RECV_MULTISHOT;
    entry->addr = (uint64_t)(uintptr_t)message;
    entry->len = message ? 1 : 0;
    entry->buf_group = group;
}

/// Completes with ETIME at a time of CLOCK_MONOTONIC, which is read when the entry is submitted.
static inline void curing_timeout(struct io_uring_sqe *entry, const struct __kernel_timespec *at, uint64_t user_data) {
    curing_fill(entry, IORING_OP_TIMEOUT, -1, 0, user_data, 0);
    entry->addr = (uint64_t)(uintptr_t)at;
    entry->len = 1;
    entry->timeout_flags = IORING_TIMEOUT_ABS;
}

/// Gives one that was submitted before another time. Only a failure completes, with the same user data: it is over already.
static inline void curing_move_timeout(struct io_uring_sqe *entry, const struct __kernel_timespec *at, uint64_t user_data) {
    curing_fill(entry, IORING_OP_TIMEOUT_REMOVE, -1, 0, user_data, IOSQE_CQE_SKIP_SUCCESS);
    entry->addr = user_data;
    entry->addr2 = (uint64_t)(uintptr_t)at;
    entry->timeout_flags = IORING_TIMEOUT_UPDATE | IORING_TIMEOUT_ABS;
}

/// One datagram or part of a stream, now or not at all; the octets are copied while the entry is submitted. Only a failure completes.
static inline void curing_send(struct io_uring_sqe *entry, int file, int fixed, uint64_t user_data, const void *octets,
                               unsigned count, const void *address, uint16_t address_length) {
    curing_fill(entry, IORING_OP_SEND, file, fixed, user_data, IOSQE_CQE_SKIP_SUCCESS);
    entry->addr = (uint64_t)(uintptr_t)octets;
    entry->len = count;
    entry->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    entry->addr2 = (uint64_t)(uintptr_t)address;
    entry->addr_len = address_length;
}

/// Connects a datagram socket; completes at once. An address of AF_UNSPEC disconnects it.
static inline void curing_connect_file(struct io_uring_sqe *entry, int file, int fixed, uint64_t user_data,
                                       const void *address, unsigned length, int completes) {
    curing_fill(entry, IORING_OP_CONNECT, file, fixed, user_data, completes ? 0 : IOSQE_CQE_SKIP_SUCCESS);
    entry->addr = (uint64_t)(uintptr_t)address;
    entry->off = length;
}

static inline void curing_cancel(struct io_uring_sqe *entry, uint64_t target, uint64_t user_data) {
    curing_fill(entry, IORING_OP_ASYNC_CANCEL, -1, 0, user_data, IOSQE_CQE_SKIP_SUCCESS);
    entry->addr = target;
}

static inline void curing_ring_doorbell(struct io_uring_sqe *entry, int ring, uint64_t delivered, uint64_t user_data) {
    curing_fill(entry, IORING_OP_MSG_RING, ring, 0, user_data, IOSQE_CQE_SKIP_SUCCESS);
    entry->off = delivered;
}

static inline void curing_accept(struct io_uring_sqe *entry, int file, uint64_t user_data) {
    curing_fill(entry, IORING_OP_ACCEPT, file, 0, user_data, 0);
    entry->ioprio = IORING_ACCEPT_MULTISHOT;
    entry->accept_flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
}

static inline void curing_poll(struct io_uring_sqe *entry, int file, uint64_t user_data, unsigned events, int multishot) {
    curing_fill(entry, IORING_OP_POLL_ADD, file, 0, user_data, 0);
    entry->poll32_events = events;
    entry->len = multishot ? IORING_POLL_ADD_MULTI : 0;
}

// Up to a fixed number of datagrams with one system call (sendmmsg). The octets have to live until they are sent.
typedef struct curing_batch curing_batch;
curing_batch *curing_batch_open(unsigned capacity);
void curing_batch_close(curing_batch *batch);
// Starts anew with `count` datagrams in mind; the capacity is never exceeded.
void curing_batch_set(curing_batch *batch, unsigned index, const struct sockaddr_in6 *address, uint32_t length, const void *octets, size_t count);
// Sends the first `count`, in order, and writes 0 or an errno for each. A pending ICMP error of an earlier datagram, which the
// kernel reports to the next call on the socket, is taken and the datagram sent all the same. Returns how many were sent.
unsigned curing_batch_send(curing_batch *batch, int socket, unsigned count, int32_t *errors);
// Has the kernel keep ICMP errors with the address they are about (IP_RECVERR).
int curing_report_errors(int socket, int family);
// Whether a call on a socket that reports errors may fail with this errno because of ICMP about an earlier datagram.
int curing_is_icmp_error(int error);
// What ICMP said of one datagram.
typedef struct curing_datagram_error {
    struct sockaddr_in6 destination;
    // Who said it; of family 0 when that is not known.
    struct sockaddr_in6 reporter;
    int32_t error;
    // Of the datagram's own octets, how many came back.
    uint32_t count;
    uint8_t is_icmpv6, type, code;
} curing_datagram_error;
// Takes one such error, and at most `capacity` octets of the datagram: 1, 0 when there is none, negative errno.
int curing_take_error(int socket, curing_datagram_error *error, void *octets, size_t capacity);

/// From now on memory of so many octets and more is the kernel's again as soon as it is freed.
void curing_return_large_memory(int octets);

/// Gives the kernel back what is free now.
void curing_return_free_memory(void);
// Processor time of this thread in nanoseconds.
uint64_t curing_thread_time(void);

#endif
