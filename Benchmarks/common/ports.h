// What both C relays do before the first packet: sockets for all calls, announced on standard output.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/// One socket of a call. Streams come in pairs: the partner of stream `i` is `i ^ 1`. Per call: caller RTP, callee RTP,
/// caller RTCP, callee RTCP.
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

static inline void fail(const char *what) {
    perror(what);
    exit(1);
}

static inline bool isSameSource(const struct sockaddr_in *a, const struct sockaddr_in *b) {
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static inline int openSocket(struct in_addr address, uint16_t port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address};
    if (bind(fd, (struct sockaddr *)&local, sizeof local) == 0) return fd;
    if (errno != EADDRINUSE) fail("bind");
    close(fd);
    return -1;
}

/// Binds the next free even port to `rtp` and the odd one after it to `rtcp`; returns the even one.
static inline uint16_t openPair(struct in_addr address, unsigned *nextPort, int *rtp, int *rtcp) {
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
    fprintf(stderr, "no free port pair left\n");
    exit(1);
}

struct settings {
    unsigned calls;
    unsigned firstPort;
    struct in_addr address;
};

/// Reads `CALLS [FIRST_PORT] [ADDRESS]`, and prepares signals and limits.
static inline struct settings begin(int argc, char **argv) {
    struct settings settings = {
        .calls = argc > 1 ? strtoul(argv[1], NULL, 10) : 0,
        .firstPort = argc > 2 ? strtoul(argv[2], NULL, 10) & ~1u : 10000,
    };
    if (settings.calls == 0 || inet_pton(AF_INET, argc > 3 ? argv[3] : "127.0.0.1", &settings.address) != 1) {
        fprintf(stderr, "usage: %s CALLS [FIRST_PORT] [ADDRESS]\n", argv[0]);
        exit(64);
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return settings;
}

/// Opens the sockets of all calls and prints `call callerPort calleePort` for each.
static inline struct stream *openStreams(const struct settings *settings) {
    struct stream *streams = calloc(4 * (size_t)settings->calls, sizeof *streams);
    if (!streams) fail("calloc");
    unsigned nextPort = settings->firstPort;
    for (unsigned call = 0; call < settings->calls; call++) {
        struct stream *first = &streams[4 * call];
        uint16_t caller = openPair(settings->address, &nextPort, &first[0].fd, &first[2].fd);
        uint16_t callee = openPair(settings->address, &nextPort, &first[1].fd, &first[3].fd);
        printf("%u %u %u\n", call, caller, callee);
    }
    return streams;
}

/// To be called once packets are waited for.
static inline void announceReady(void) {
    printf("ready\n");
    fflush(stdout);
}
