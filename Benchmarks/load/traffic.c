#define _GNU_SOURCE
#include "traffic.h"

#include "idle.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { packetsPerRead = 16, firstSequence = 65300 };

static const uint64_t millisecond = 1000000;
/// Sockets are emptied this often. The kernel stamps arrivals, so reading late changes no latency; it saves system calls
/// at high rates, and no server pays for waking a sleeping reader, as it would not on a real network.
static const uint64_t drainInterval = 20 * millisecond;

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) < 0) fail("clock_gettime");
    return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static const uint32_t firstHost = 256;

struct sockaddr_in endpointAddress(uint32_t call, enum direction direction, bool onWire) {
    static const uint32_t networks[2][2] = {
        {127u << 24 | 64u << 16, 127u << 24 | 96u << 16}, {198u << 24 | 18u << 16, 198u << 24 | 19u << 16}};
    uint32_t host = networks[onWire][direction] + firstHost + call;
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(40000 + 2 * (call % 10000)), .sin_addr.s_addr = htonl(host)};
}

static int openSocket(const struct sockaddr_in *local) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    int yes = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes) < 0) fail("SO_TIMESTAMPNS");
    int probe = IP_PMTUDISC_PROBE;  // cheaper for the generator; the relay's packets are its own
    if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe) < 0) fail("IP_MTU_DISCOVER");
    if (bind(fd, (const struct sockaddr *)local, sizeof *local) < 0) fail("bind");
    return fd;
}

void openEndpoints(struct traffic *traffic, unsigned calls) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    traffic->calls = calls;
    traffic->endpoints = calloc(2 * (size_t)calls, sizeof *traffic->endpoints);
    traffic->order = calloc(2 * (size_t)calls, sizeof *traffic->order);
    if (!traffic->endpoints || !traffic->order) fail("calloc");
    for (uint32_t index = 0; index < 2 * calls; index++) {
        struct endpoint *endpoint = &traffic->endpoints[index];
        endpoint->call = index / 2;
        endpoint->direction = index & 1 ? fromCallee : fromCaller;
        endpoint->sequence = firstSequence;  // the 16-bit number wraps during the run
        endpoint->address = endpointAddress(endpoint->call, endpoint->direction, traffic->wire != NULL);
        endpoint->fd = traffic->wire ? -1 : openSocket(&endpoint->address);
        traffic->order[index] = index;
    }
    // Neighbours in a relay's tables do not speak one after the other in life.
    uint64_t random = 1;
    for (uint32_t index = 2 * calls - 1; index > 0; index--) {
        random = mix(random + index);
        uint32_t other = random % (index + 1);
        uint32_t swapped = traffic->order[index];
        traffic->order[index] = traffic->order[other];
        traffic->order[other] = swapped;
    }
}

void readPorts(struct traffic *traffic, FILE *file, struct in_addr server) {
    char line[256];
    unsigned known = 0;
    while (known < traffic->calls && fgets(line, sizeof line, file)) {
        unsigned call, caller, callee;
        if (sscanf(line, "%u %u %u", &call, &caller, &callee) != 3) continue;
        if (call >= traffic->calls) continue;
        for (int side = 0; side < 2; side++) {
            struct endpoint *endpoint = &traffic->endpoints[2 * call + side];
            if (endpoint->relay.sin_port == 0) known += side;
            endpoint->relay = (struct sockaddr_in){
                .sin_family = AF_INET, .sin_port = htons(side ? callee : caller), .sin_addr = server};
        }
    }
    if (known == traffic->calls) return;
    fprintf(stderr, "load: ports of %u of %u calls\n", known, traffic->calls);
    exit(1);
}

void connectEndpoints(struct traffic *traffic) {
    if (traffic->wire) return;
    for (uint32_t index = 0; index < 2 * traffic->calls; index++) {
        struct endpoint *endpoint = &traffic->endpoints[index];
        if (connect(endpoint->fd, (struct sockaddr *)&endpoint->relay, sizeof endpoint->relay) < 0) fail("connect");
    }
    traffic->connected = true;
}

static uint64_t stampOf(struct msghdr *message) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec time;
        memcpy(&time, CMSG_DATA(part), sizeof time);
        return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
    }
    return 0;
}

/// Judges one datagram that `endpoint` received.
static void check(
    struct traffic *traffic, struct endpoint *endpoint, const struct packet *packet, size_t length,
    const struct sockaddr_in *source, uint64_t receivedAt) {
    struct faults *faults = &traffic->faults;
    if (source->sin_port != endpoint->relay.sin_port || source->sin_addr.s_addr != endpoint->relay.sin_addr.s_addr) {
        faults->wrongSource++;
        return;
    }
    if (length != packetLength || !isUndamaged(packet)) {
        faults->damaged++;
        return;
    }
    if (packet->call != endpoint->call || packet->direction == endpoint->direction) {
        faults->misdelivered++;
        return;
    }
    switch (noteArrival(&endpoint->arrivals, packet->sequence)) {
    case duplicate: faults->duplicates++; return;
    case reordered: faults->reordered++; break;
    case inOrder: break;
    }
    if (!traffic->current || packet->window != traffic->windowNumber) return;
    traffic->current->received++;
    endpoint->receivedInWindow++;
    // The wall clock may be slewed between the two readings: then "no time" is nearer than "584 years".
    uint64_t latency = receivedAt > packet->sentAt ? receivedAt - packet->sentAt : 0;
    record(&traffic->current->latency, latency);
    if (latency > latestUsefulNanoseconds) traffic->current->late++;
}

/// Reads all that has arrived at one socket.
static void drain(struct traffic *traffic, struct endpoint *endpoint) {
    static struct packet packets[packetsPerRead];
    static struct sockaddr_in sources[packetsPerRead];
    static char controls[packetsPerRead][CMSG_SPACE(sizeof(struct timespec))];
    static struct iovec vectors[packetsPerRead];
    static struct mmsghdr messages[packetsPerRead];
    int count;
    do {
        for (int i = 0; i < packetsPerRead; i++) {
            vectors[i] = (struct iovec){&packets[i], packetLength};
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &sources[i], .msg_namelen = sizeof sources[i], .msg_iov = &vectors[i], .msg_iovlen = 1,
                .msg_control = controls[i], .msg_controllen = sizeof controls[i]};
        }
        // MSG_TRUNC reports the true length of a datagram that is longer than it should be.
        count = recvmmsg(endpoint->fd, messages, packetsPerRead, MSG_DONTWAIT | MSG_TRUNC, NULL);
        if (count > 0) traffic->arrived += count;
        for (int i = 0; i < count; i++)
            check(traffic, endpoint, &packets[i], messages[i].msg_len, &sources[i], stampOf(&messages[i].msg_hdr));
    } while (count == packetsPerRead);
}

/// The endpoint with this address. NULL when there is none.
static struct endpoint *endpointAt(struct traffic *traffic, const struct sockaddr_in *address) {
    uint32_t call = (ntohl(address->sin_addr.s_addr) & 0xffff) - firstHost;
    if (call >= traffic->calls) return NULL;
    for (int side = 0; side < 2; side++) {
        struct endpoint *endpoint = &traffic->endpoints[2 * call + side];
        const struct sockaddr_in *own = &endpoint->address;
        if (own->sin_addr.s_addr == address->sin_addr.s_addr && own->sin_port == address->sin_port) return endpoint;
    }
    return NULL;
}

/// Reads what has arrived on the wire, `most` datagrams at most.
static void drainWire(struct traffic *traffic, unsigned most) {
    struct datagram datagram;
    for (unsigned count = 0; count < most && nextDatagram(traffic->wire, &datagram); count++) {
        traffic->arrived++;
        struct endpoint *endpoint = endpointAt(traffic, &datagram.destination);
        if (!endpoint) {
            traffic->faults.misdelivered++;
            continue;
        }
        const struct packet *packet = (const struct packet *)datagram.payload;
        check(traffic, endpoint, packet, datagram.length, &datagram.source, datagram.receivedAt);
    }
}

static void drainAll(struct traffic *traffic) {
    if (traffic->wire) return drainWire(traffic, UINT32_MAX);
    for (uint32_t index = 0; index < 2 * traffic->calls; index++) drain(traffic, &traffic->endpoints[index]);
}

/// Waits until everything has arrived, or nothing came for half a second, within a limit.
static void settle(struct traffic *traffic) {
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    uint64_t limit = now + 10000 * millisecond;
    uint64_t lastArrival = now;
    uint64_t arrived = 0;
    while (now < limit && now - lastArrival < 500 * millisecond) {
        drainAll(traffic);
        if (traffic->current->received == traffic->current->sent) return;
        // An overloaded server first sends what was sent before the window.
        if (traffic->arrived != arrived) lastArrival = now;
        arrived = traffic->arrived;
        usleep(2000);
        now = nanoseconds(CLOCK_MONOTONIC);
    }
}

static void sendOne(struct traffic *traffic, struct endpoint *endpoint, uint64_t now) {
    struct packet own;
    struct packet *packet =
        traffic->wire ? queueDatagram(traffic->wire, &endpoint->address, &endpoint->relay, now) : &own;
    writePacket(
        packet, endpoint->call, endpoint->direction, endpoint->sequence, traffic->current ? traffic->windowNumber : 0,
        nanoseconds(CLOCK_REALTIME));
    endpoint->sequence++;
    if (!traffic->wire) {
        // A refusal (the port is closed) shows as loss.
        const struct sockaddr *relay = traffic->connected ? NULL : (struct sockaddr *)&endpoint->relay;
        sendto(endpoint->fd, packet, packetLength, MSG_DONTWAIT | MSG_NOSIGNAL, relay, relay ? sizeof endpoint->relay : 0);
    }
    if (!traffic->current) return;
    traffic->current->sent++;
    endpoint->sentInWindow++;
}

/// Waits for the time to send the next packet, and uses it on a wire to send what is queued and to read what came.
///
/// - Returns: the time.
static uint64_t waitUntil(struct traffic *traffic, uint64_t due) {
    enum { fewest = 4, most = 64 };
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    if (traffic->wire && now < due) sendWaiting(traffic->wire, now);
    if (traffic->wire) drainWire(traffic, now < due ? most : fewest);
    while (now < due) {
        now = nanoseconds(CLOCK_MONOTONIC);
        if (traffic->wire && now < due) sendWaiting(traffic->wire, now);
    }
    return now;
}

/// Sends every stream's packets evenly spread in time. Returns how far it fell behind at worst, and stops early when that
/// is beyond hope.
static uint64_t run(struct traffic *traffic, double rate, double seconds) {
    uint64_t streams = 2 * (uint64_t)traffic->calls;
    double interval = 1e9 / (rate * streams);
    uint64_t total = (uint64_t)(rate * streams * seconds);
    uint64_t start = nanoseconds(CLOCK_MONOTONIC);
    uint64_t largestLag = 0;
    for (uint64_t sent = 0; sent < total; sent++) {
        uint64_t due = start + (uint64_t)(sent * interval);
        uint64_t now = waitUntil(traffic, due);
        if (now - due > largestLag) largestLag = now - due;
        if (largestLag > traffic->tolerableLag) break;

        struct endpoint *endpoint = &traffic->endpoints[traffic->order[traffic->tick++ % streams]];
        if (!traffic->wire && now - endpoint->drainedAt >= drainInterval) {
            drain(traffic, endpoint);
            endpoint->drainedAt = now;
        }
        sendOne(traffic, endpoint, now);
    }
    if (traffic->wire) sendQueued(traffic->wire);
    return largestLag;
}

void warmUp(struct traffic *traffic, double rate, double seconds) {
    run(traffic, rate, seconds);
}

static int compare(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

/// Who lost how much, and who was forgotten.
static void judgeStreams(struct traffic *traffic, struct window *result) {
    uint32_t streams = 2 * traffic->calls;
    double *losses = calloc(streams, sizeof *losses);
    if (!losses) fail("calloc");
    double fewPackets = 0.25 * (double)result->received / streams;
    for (uint32_t index = 0; index < streams; index++) {
        uint32_t sent = traffic->endpoints[index].sentInWindow;
        uint32_t received = traffic->endpoints[index ^ 1].receivedInWindow;
        losses[index] = sent ? (double)(sent - received) / sent : 0;
        if (sent && received < fewPackets) result->starvedStreams++;
    }
    qsort(losses, streams, sizeof *losses, compare);
    result->bestStreamLoss = losses[0];
    result->medianStreamLoss = losses[streams / 2];
    result->worstStreamLoss = losses[streams - 1];
    free(losses);
}

/// A clock that runs while the server's core is not idle.
static uint64_t timeBusy(const struct traffic *traffic) {
    uint64_t idle = 0, now = nanoseconds(CLOCK_MONOTONIC);
    if (!readIdle((unsigned)traffic->serverCore, &idle)) fail("/proc/timer_list");
    return now - idle;
}

void measure(struct traffic *traffic, double rate, double seconds, struct window *result) {
    memset(result, 0, sizeof *result);
    result->offeredRate = rate * 2 * traffic->calls;
    for (uint32_t index = 0; index < 2 * traffic->calls; index++) {
        traffic->endpoints[index].sentInWindow = 0;
        traffic->endpoints[index].receivedInWindow = 0;
    }
    traffic->windowNumber++;
    traffic->current = result;
    if (traffic->wire) framesMissed(traffic->wire);  // of before
    uint64_t busyBefore = traffic->serverCore < 0 ? 0 : timeBusy(traffic);
    uint64_t takenBefore = traffic->bystander ? timeKeptFrom(traffic->bystander) : 0;
    uint64_t cpuBefore = traffic->hasServer ? nanoseconds(traffic->serverClock) : 0;
    uint64_t start = nanoseconds(CLOCK_MONOTONIC);
    result->largestLag = run(traffic, rate, seconds);
    result->seconds = (nanoseconds(CLOCK_MONOTONIC) - start) * 1e-9;
    if (traffic->hasServer) result->serverNanoseconds = nanoseconds(traffic->serverClock) - cpuBefore;
    if (traffic->bystander) result->takenNanoseconds = timeKeptFrom(traffic->bystander) - takenBefore;
    if (traffic->serverCore >= 0) result->busyNanoseconds = timeBusy(traffic) - busyBefore;
    result->generatorLimited = result->largestLag > traffic->tolerableLag;
    settle(traffic);
    traffic->current = NULL;
    if (traffic->wire && framesMissed(traffic->wire) > 0) result->generatorLimited = true;

    judgeStreams(traffic, result);
}
