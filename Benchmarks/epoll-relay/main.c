// The plain C peer: one thread, epoll, recvfrom, sendto. It does what a careful author would write in an afternoon, and it
// is the yardstick for what a media relay costs when nothing but the classic socket calls is used.
//
//   epoll-relay CALLS [FIRST_PORT] [ADDRESS]
//
// Opens two RTP and two RTCP sockets per call, prints `call callerPort calleePort` for each and then `ready`, and relays
// until SIGTERM. Each side latches to the source of its first packet; another source is dropped from then on.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { eventsPerWait = 512, largestDatagram = 2048 };

/// One socket of a call. Streams come in pairs: the partner of stream `i` is `i ^ 1`.
struct stream {
    int fd;
    bool latched;
    struct sockaddr_in remote;
};

static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int openSocket(struct in_addr address, uint16_t port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address};
    if (bind(fd, (struct sockaddr *)&local, sizeof local) == 0) return fd;
    if (errno != EADDRINUSE) fail("bind");
    close(fd);
    return -1;
}

/// Binds the next free even port to `rtp` and the odd one after it to `rtcp`; returns the even one.
static uint16_t openPair(struct in_addr address, unsigned *nextPort, int *rtp, int *rtcp) {
    for (; *nextPort < 65535; *nextPort += 2) {
        *rtp = openSocket(address, *nextPort);
        if (*rtp < 0) continue;
        *rtcp = openSocket(address, *nextPort + 1);
        if (*rtcp < 0) {
            close(*rtp);
            continue;
        }
        uint16_t port = *nextPort;
        *nextPort += 2;
        return port;
    }
    fprintf(stderr, "epoll-relay: no free port pair left\n");
    exit(1);
}

static void watch(int epoll, struct stream *streams, uint32_t index) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, streams[index].fd, &event) < 0) fail("epoll_ctl");
}

static bool isSameSource(const struct sockaddr_in *a, const struct sockaddr_in *b) {
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/// Reads one datagram and passes it on. One, because level triggering reports the socket again when more are queued, and
/// at telephone rates a second read nearly always finds nothing.
static void relay(struct stream *streams, uint32_t index, uint8_t *buffer) {
    struct stream *stream = &streams[index];
    struct stream *partner = &streams[index ^ 1];
    struct sockaddr_in source;
    socklen_t sourceLength = sizeof source;
    ssize_t count =
        recvfrom(stream->fd, buffer, largestDatagram, MSG_TRUNC, (struct sockaddr *)&source, &sourceLength);
    if (count <= 0 || count > largestDatagram) return;
    if (!stream->latched) {
        stream->remote = source;
        stream->latched = true;
    } else if (!isSameSource(&stream->remote, &source)) {
        return;
    }
    if (!partner->latched) return;
    sendto(partner->fd, buffer, count, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&partner->remote,
           sizeof partner->remote);
}

int main(int argc, char **argv) {
    unsigned calls = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned nextPort = argc > 2 ? strtoul(argv[2], NULL, 10) & ~1u : 10000;
    struct in_addr address;
    if (calls == 0 || inet_pton(AF_INET, argc > 3 ? argv[3] : "127.0.0.1", &address) != 1) {
        fprintf(stderr, "usage: epoll-relay CALLS [FIRST_PORT] [ADDRESS]\n");
        return 64;
    }

    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail("epoll_create1");

    // Per call: caller RTP, callee RTP, caller RTCP, callee RTCP.
    struct stream *streams = calloc(4 * (size_t)calls, sizeof *streams);
    if (!streams) fail("calloc");
    for (unsigned call = 0; call < calls; call++) {
        uint32_t first = 4 * call;
        uint16_t caller = openPair(address, &nextPort, &streams[first].fd, &streams[first + 2].fd);
        uint16_t callee = openPair(address, &nextPort, &streams[first + 1].fd, &streams[first + 3].fd);
        for (uint32_t index = first; index < first + 4; index++) watch(epoll, streams, index);
        printf("%u %u %u\n", call, caller, callee);
    }
    printf("ready\n");
    fflush(stdout);

    static struct epoll_event events[eventsPerWait];
    static uint8_t buffer[largestDatagram];
    while (!stopped) {
        int count = epoll_wait(epoll, events, eventsPerWait, -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; i++) relay(streams, events[i].data.u32, buffer);
    }
    return 0;
}
