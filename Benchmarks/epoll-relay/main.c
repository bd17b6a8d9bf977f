// The plain C peer: one thread, epoll, recvfrom, sendto. It does what a careful author would write in an afternoon, and it
// is the yardstick for what a media relay costs when nothing but the classic socket calls is used.
//
//   epoll-relay CALLS [FIRST_PORT] [ADDRESS]
//
// Opens two RTP and two RTCP sockets per call, prints `call callerPort calleePort` for each and then `ready`, and relays
// until SIGTERM. Each side latches to the source of its first packet; another source is dropped from then on.
#define _GNU_SOURCE
#include "../common/ports.h"

#include <sys/epoll.h>

enum { eventsPerWait = 512, largestDatagram = 2048 };

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
    struct settings settings = begin(argc, argv);
    struct stream *streams = openStreams(&settings);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail("epoll_create1");
    for (uint32_t index = 0; index < 4 * settings.calls; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, streams[index].fd, &event) < 0) fail("epoll_ctl");
    }
    announceReady();

    static struct epoll_event events[eventsPerWait];
    static uint8_t buffer[largestDatagram];
    while (!stopped) {
        int count = epoll_wait(epoll, events, eventsPerWait, -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; i++) relay(streams, events[i].data.u32, buffer);
    }
    return 0;
}
