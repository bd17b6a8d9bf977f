// What the kernel takes for a SIP call, whoever makes it: every message is passed on as it is, by the same kernel features as
// relayd's control uses (io_uring, multishot receive into provided buffers, sends submitted with the next wait), and nothing is
// read, kept, checked or written down. No server that does anything can be cheaper.
//
//   uring-forward IP:PORT CALLER_IP:PORT CALLEE_IP:PORT [SOCKETS]
//
// What comes from the caller goes to the callee and the other way round; an INVITE is answered 100 with its own header. SOCKETS
// datagram sockets are made and bound with each INVITE and closed with each BYE, as media would be.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { bufferCount = 256, bufferSize = 8192, wave = 64, socketLimit = 1 << 16 };

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static uint8_t *memory;
static struct msghdr layout = {.msg_namelen = sizeof(struct sockaddr_in)};
static struct sockaddr_in caller, callee;
static int server;
/// Buffers whose sends are queued, and the answers 100 of this turn.
static unsigned sending[2 * wave], sendingCount;
static char trying[wave][bufferSize];
static unsigned tryingCount;
static int sockets[socketLimit];
static unsigned made, closed, perCall;

static void fail(const char *step) {
    perror(step);
    exit(1);
}

static struct sockaddr_in address(const char *text) {
    char ip[64];
    unsigned port;
    struct sockaddr_in result = {.sin_family = AF_INET};
    if (sscanf(text, "%63[^:]:%u", ip, &port) != 2 || inet_pton(AF_INET, ip, &result.sin_addr) != 1) {
        fprintf(stderr, "uring-forward: %s is not IP:PORT\n", text);
        exit(2);
    }
    result.sin_port = htons(port);
    return result;
}

static void arm(void) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    io_uring_prep_recvmsg_multishot(entry, 0, &layout, 0);
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    entry->buf_group = 0;
    entry->user_data = 1;
}

static void queue(const void *octets, unsigned count, const struct sockaddr_in *to) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    io_uring_prep_send(entry, 0, octets, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    io_uring_prep_send_set_addr(entry, (const struct sockaddr *)to, sizeof *to);
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = 0;
}

static void makeSockets(void) {
    for (unsigned index = 0; index < perCall; index++) {
        int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = caller.sin_addr};
        if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&own, sizeof own)) fail("socket");
        sockets[made++ % socketLimit] = descriptor;
    }
}

static void closeSockets(void) {
    for (unsigned index = 0; index < perCall && closed < made; index++) close(sockets[closed++ % socketLimit]);
}

/// True when a send uses the buffer.
static int forward(uint8_t *octets, unsigned count) {
    struct io_uring_recvmsg_out *message = io_uring_recvmsg_validate(octets, count, &layout);
    if (!message) return 0;
    const struct sockaddr_in *source = io_uring_recvmsg_name(message);
    char *text = io_uring_recvmsg_payload(message, &layout);
    unsigned length = io_uring_recvmsg_payload_length(message, count, &layout);
    int isCaller = source->sin_port == caller.sin_port;
    if (!isCaller && source->sin_port != callee.sin_port) {  // whoever asks whether this is up
        static const char there[] = "SIP/2.0 200 OK\r\n\r\n";
        sendto(server, there, sizeof there - 1, 0, (const struct sockaddr *)source, sizeof *source);
        return 0;
    }
    if (isCaller && length > 7 && !memcmp(text, "INVITE ", 7)) {
        char *answer = trying[tryingCount++];
        const char *line = memchr(text, '\n', length), *end = memmem(text, length, "\r\n\r\n", 4);
        if (!line || !end || end < line) return 0;
        unsigned used = sprintf(answer, "SIP/2.0 100 Trying\r\n");
        memcpy(answer + used, line + 1, end + 4 - (line + 1));
        queue(answer, used + (end + 4 - (line + 1)), &caller);
        makeSockets();
    } else if (isCaller && length > 4 && !memcmp(text, "BYE ", 4)) {
        closeSockets();
    }
    queue(text, length, isCaller ? &callee : &caller);
    return 1;
}

int main(int count, char **arguments) {
    if (count < 4) {
        fprintf(stderr, "usage: uring-forward IP:PORT CALLER_IP:PORT CALLEE_IP:PORT [SOCKETS]\n");
        return 2;
    }
    struct sockaddr_in own = address(arguments[1]);
    caller = address(arguments[2]);
    callee = address(arguments[3]);
    perCall = count > 4 ? atoi(arguments[4]) : 0;

    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = 8192};
    if (io_uring_queue_init_params(1024, &ring, &parameters) < 0) fail("io_uring");
    io_uring_register_ring_fd(&ring);
    server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int room = 4 << 20;
    setsockopt(server, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    if (server < 0 || bind(server, (struct sockaddr *)&own, sizeof own)) fail("bind");
    if (io_uring_register_files(&ring, &server, 1) < 0) fail("files");

    if (posix_memalign((void **)&buffers, 4096, bufferCount * sizeof(struct io_uring_buf))) fail("memory");
    memory = malloc((size_t)bufferCount * bufferSize);
    struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)buffers, .ring_entries = bufferCount, .bgid = 0};
    if (!memory || io_uring_register_buf_ring(&ring, &registration, 0)) fail("buffers");
    io_uring_buf_ring_init(buffers);
    for (unsigned index = 0; index < bufferCount; index++)
        io_uring_buf_ring_add(buffers, memory + (size_t)index * bufferSize, bufferSize, index,
                              io_uring_buf_ring_mask(bufferCount), index);
    io_uring_buf_ring_advance(buffers, bufferCount);
    arm();
    while (1) {
        int result = io_uring_submit_and_wait(&ring, 1);
        if (result < 0 && result != -EINTR && result != -EBUSY) return 1;
        // The kernel copies a datagram when it takes the send.
        for (unsigned index = 0; index < sendingCount; index++)
            io_uring_buf_ring_add(buffers, memory + (size_t)sending[index] * bufferSize, bufferSize, sending[index],
                                  io_uring_buf_ring_mask(bufferCount), index);
        io_uring_buf_ring_advance(buffers, sendingCount);
        sendingCount = tryingCount = 0;
        struct io_uring_cqe *completions[wave];
        unsigned taken = io_uring_peek_batch_cqe(&ring, completions, wave);
        int hasEnded = 0;
        for (unsigned index = 0; index < taken; index++) {
            struct io_uring_cqe *completion = completions[index];
            if (completion->user_data != 1) continue;
            hasEnded |= !(completion->flags & IORING_CQE_F_MORE);
            if (!(completion->flags & IORING_CQE_F_BUFFER)) continue;
            unsigned buffer = completion->flags >> IORING_CQE_BUFFER_SHIFT;
            // The room of a buffer without a send is given back with the others.
            forward(memory + (size_t)buffer * bufferSize, completion->res);
            sending[sendingCount++] = buffer;
        }
        io_uring_cq_advance(&ring, taken);
        if (hasEnded) arm();
    }
}
