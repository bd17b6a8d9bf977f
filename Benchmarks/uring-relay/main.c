// The io_uring peer in C: the same kernel features as relayd's relay and nothing else, so the difference between the two is
// what Swift, the source lock, the statistics and the checks cost.
//
//   uring-relay CALLS [FIRST_PORT] [ADDRESS] [WINDOW] [sink]
//
// WINDOW: the most it waits for more packets, in microseconds; 1000 unless given, 0: each packet goes on as it comes. `sink`:
// packets are received, whoever they come from, and go nowhere, which shows what receiving alone costs.
//
// Latches and prints like epoll-relay. One ring (SINGLE_ISSUER, DEFER_TASKRUN), fixed files, multishot receive into provided
// buffers, sends that complete silently, sockets connected to the latched peer, one system call per wave.
#define _GNU_SOURCE
#include "../common/ports.h"

#include <liburing.h>
#include <sys/syscall.h>
#include <time.h>

enum {
    submissionEntries = 1024,
    completionEntries = 32768,
    wave = 256,
    bufferCount = 2048,  // a power of two
    bufferSize = 2048,
    bufferGroup = 0,
    usualWindowMicroseconds = 1000,
    /// Below this many packets a second, waiting for company only costs latency.
    packetsWorthGathering = 5000,
};

enum operation { receiveMessage, receiveConnected, send_, ignored };

/// Newer than liburing 2.3: the kernel knows `min_wait_usec` (Linux 6.12).
static const unsigned featureMinimumTimeout = 1u << 15;

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static uint8_t *memory;
static struct stream *streams;
/// The layout of a multishot recvmsg: room for a source address.
static struct msghdr layout = {.msg_namelen = sizeof(struct sockaddr_in)};
/// Buffers whose sends are queued: free again once the kernel has taken the sends.
static uint16_t sending[submissionEntries];
static unsigned sendingCount;
static bool isSink;

static uint64_t token(enum operation operation, uint32_t index) {
    return (uint64_t)operation << 32 | index;
}

static void giveBack(const uint16_t *ids, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        io_uring_buf_ring_add(buffers, memory + (size_t)ids[i] * bufferSize, bufferSize, ids[i],
                              io_uring_buf_ring_mask(bufferCount), i);
    io_uring_buf_ring_advance(buffers, count);
}

/// Submits what is queued and waits for `waitFor` completions, or for one once `windowMicroseconds` have passed.
static void enter(unsigned waitFor, unsigned windowMicroseconds) {
    struct io_uring_sq *queue = &ring.sq;
    unsigned tail = *queue->ktail;
    unsigned mask = *queue->kring_mask;
    for (; queue->sqe_head != queue->sqe_tail; queue->sqe_head++) queue->array[tail++ & mask] = queue->sqe_head & mask;
    __atomic_store_n(queue->ktail, tail, __ATOMIC_RELEASE);

    struct __kernel_timespec second = {.tv_sec = 1};
    // liburing 2.3 calls it `pad`; Linux 6.12 reads it as `min_wait_usec`.
    struct io_uring_getevents_arg argument = {.pad = windowMicroseconds, .ts = (uint64_t)&second};
    unsigned toSubmit = tail - __atomic_load_n(queue->khead, __ATOMIC_ACQUIRE);
    int result = syscall(
        __NR_io_uring_enter, ring.enter_ring_fd, toSubmit, waitFor,
        IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_REGISTERED_RING, &argument, sizeof argument);
    if (result < 0 && errno != ETIME && errno != EINTR && errno != EBUSY) fail("io_uring_enter");
    // The kernel copies a datagram when it takes the send.
    giveBack(sending, sendingCount);
    sendingCount = 0;
}

static struct io_uring_sqe *nextEntry(void) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    if (entry) return entry;
    enter(0, 0);
    return io_uring_get_sqe(&ring);
}

static void arm(uint32_t index) {
    struct io_uring_sqe *entry = nextEntry();
    if (streams[index].latched) {
        io_uring_prep_recv_multishot(entry, index, NULL, 0, 0);
        entry->user_data = token(receiveConnected, index);
    } else {
        io_uring_prep_recvmsg_multishot(entry, index, &layout, 0);
        entry->user_data = token(receiveMessage, index);
    }
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    entry->buf_group = bufferGroup;
}

/// Connects the socket, so that the kernel drops strangers and keeps the route, and ends the receive that reports sources;
/// its last completion arms the cheaper one.
static void latch(uint32_t index, const struct sockaddr_in *source) {
    if (connect(streams[index].fd, (const struct sockaddr *)source, sizeof *source) < 0) return;
    streams[index].remote = *source;
    streams[index].latched = true;
    struct io_uring_sqe *entry = nextEntry();
    io_uring_prep_cancel64(entry, token(receiveMessage, index), 0);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = token(ignored, index);
}

/// Queues the octets for the partner's peer. False when the buffer is not needed for that.
static bool forward(uint32_t index, const uint8_t *octets, unsigned count, uint16_t buffer) {
    uint32_t partner = index ^ 1;
    if (!streams[partner].latched) return false;
    struct io_uring_sqe *entry = nextEntry();
    io_uring_prep_send(entry, partner, octets, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = token(send_, partner);
    sending[sendingCount++] = buffer;
    return true;
}

/// Passes on what a receive delivered. True when its buffer was taken over by a send.
static bool relay(uint32_t index, const struct io_uring_cqe *completion, uint16_t buffer) {
    if (isSink) return false;
    uint8_t *octets = memory + (size_t)buffer * bufferSize;
    if (completion->user_data >> 32 == receiveConnected)
        return forward(index, octets, completion->res, buffer);
    struct io_uring_recvmsg_out *message = io_uring_recvmsg_validate(octets, completion->res, &layout);
    if (!message || message->flags & MSG_TRUNC) return false;
    const struct sockaddr_in *source = io_uring_recvmsg_name(message);
    if (!streams[index].latched)
        latch(index, source);
    else if (!isSameSource(&streams[index].remote, source))
        return false;
    return forward(
        index, io_uring_recvmsg_payload(message, &layout),
        io_uring_recvmsg_payload_length(message, completion->res, &layout), buffer);
}

/// Handles up to a wave of completions; answers how many packets were among them.
static unsigned handleCompletions(void) {
    unsigned head, count = 0, packets = 0;
    struct io_uring_cqe *completion;
    uint32_t ended[wave];
    unsigned endedCount = 0;
    io_uring_for_each_cqe(&ring, head, completion) {
        if (count++ == wave) {
            count--;
            break;
        }
        enum operation operation = completion->user_data >> 32;
        if (operation > receiveConnected) continue;
        uint32_t index = (uint32_t)completion->user_data;
        if (completion->flags & IORING_CQE_F_BUFFER) {
            uint16_t buffer = completion->flags >> IORING_CQE_BUFFER_SHIFT;
            packets++;
            if (!relay(index, completion, buffer)) giveBack(&buffer, 1);
        }
        if (!(completion->flags & IORING_CQE_F_MORE)) ended[endedCount++] = index;
    }
    io_uring_cq_advance(&ring, count);
    for (unsigned i = 0; i < endedCount; i++) arm(ended[i]);
    return packets;
}

static void openRing(unsigned calls) {
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
        .cq_entries = completionEntries};
    errno = -io_uring_queue_init_params(submissionEntries, &ring, &parameters);
    if (errno) fail("io_uring_setup");
    if (io_uring_register_ring_fd(&ring) != 1) fail("io_uring_register_ring_fd");
    int *files = calloc(4 * (size_t)calls, sizeof *files);
    if (!files) fail("calloc");
    for (uint32_t index = 0; index < 4 * calls; index++) files[index] = streams[index].fd;
    errno = -io_uring_register_files(&ring, files, 4 * calls);
    if (errno) fail("io_uring_register_files");
    free(files);

    if (posix_memalign((void **)&buffers, 4096, bufferCount * sizeof(struct io_uring_buf))) fail("posix_memalign");
    if (posix_memalign((void **)&memory, 4096, (size_t)bufferCount * bufferSize)) fail("posix_memalign");
    io_uring_buf_ring_init(buffers);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)buffers, .ring_entries = bufferCount, .bgid = bufferGroup};
    errno = -io_uring_register_buf_ring(&ring, &registration, 0);
    if (errno) fail("io_uring_register_buf_ring");
    for (unsigned id = 0; id < bufferCount; id++) giveBack(&(uint16_t){id}, 1);
}

static uint64_t microseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int main(int argc, char **argv) {
    struct settings settings = begin(argc, argv);
    streams = openStreams(&settings);
    openRing(settings.calls);
    for (uint32_t index = 0; index < 4 * settings.calls; index++) arm(index);
    enter(0, 0);
    announceReady();

    bool canGather = ring.features & featureMinimumTimeout;
    unsigned largestWindow = argc > 4 ? strtoul(argv[4], NULL, 10) : usualWindowMicroseconds;
    isSink = argc > 5;
    unsigned window = 0, packets = 0;
    uint64_t measuredFrom = microseconds();
    while (!stopped) {
        bool isBehind = io_uring_cq_ready(&ring) > 0;
        enter(isBehind ? 0 : window ? wave : 1, isBehind ? 0 : window);
        packets += handleCompletions();
        uint64_t now = microseconds();
        if (now - measuredFrom < 10000) continue;
        bool isBusy = packets * 1000000ull / (now - measuredFrom) >= packetsWorthGathering;
        window = isBusy && canGather ? largestWindow : 0;
        packets = 0;
        measuredFrom = now;
    }
    io_uring_unregister_files(&ring);
    return 0;
}
