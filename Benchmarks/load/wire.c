#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { mostQueued = 32, ringFrames = 65536, ringFrameLength = 512, framesPerBlock = 256 };

struct frame {
    struct ether_header ethernet;
    struct iphdr ip;
    struct udphdr udp;
    struct packet payload;
} __attribute__((packed));

struct wire {
    int fd;
    uint8_t *ring;
    uint32_t next;        // the ring's frame that is filled next
    bool holdsFrame;      // the one before it was handed out and not given back
    unsigned queued;
    uint64_t queuedAt;    // CLOCK_MONOTONIC nanoseconds: the first of them
    uint64_t gather;      // so long the first waits for company; nanoseconds
    struct frame frames[mostQueued];
    struct iovec vectors[mostQueued];
    struct mmsghdr messages[mostQueued];
};

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void set(int fd, int option, const void *value, socklen_t length, const char *name) {
    if (setsockopt(fd, SOL_PACKET, option, value, length) < 0) fail(name);
}

struct wire *openWire(const char *device, const uint8_t *server, uint64_t gather) {
    struct wire *wire = calloc(1, sizeof *wire);
    if (!wire) fail("calloc");
    wire->gather = gather;
    // No protocol until it is bound: nothing of another device gets into the ring.
    wire->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (wire->fd < 0) fail("a packet socket (needs root)");
    int version = TPACKET_V2, yes = 1;
    set(wire->fd, PACKET_VERSION, &version, sizeof version, "PACKET_VERSION");
    set(wire->fd, PACKET_QDISC_BYPASS, &yes, sizeof yes, "PACKET_QDISC_BYPASS");
    set(wire->fd, PACKET_IGNORE_OUTGOING, &yes, sizeof yes, "PACKET_IGNORE_OUTGOING");
    struct tpacket_req request = {
        .tp_frame_size = ringFrameLength, .tp_frame_nr = ringFrames, .tp_block_size = ringFrameLength * framesPerBlock,
        .tp_block_nr = ringFrames / framesPerBlock};
    set(wire->fd, PACKET_RX_RING, &request, sizeof request, "PACKET_RX_RING");
    size_t length = (size_t)ringFrames * ringFrameLength;
    wire->ring = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, wire->fd, 0);
    if (wire->ring == MAP_FAILED) fail("mmap");

    struct ifreq interface = {0};
    strncpy(interface.ifr_name, device, sizeof interface.ifr_name - 1);
    if (ioctl(wire->fd, SIOCGIFHWADDR, &interface) < 0) fail(device);
    struct sockaddr_ll local = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP), .sll_ifindex = (int)if_nametoindex(device)};
    if (bind(wire->fd, (struct sockaddr *)&local, sizeof local) < 0) fail("bind");

    for (int i = 0; i < mostQueued; i++) {
        struct frame *frame = &wire->frames[i];
        memcpy(frame->ethernet.ether_dhost, server, ETH_ALEN);
        memcpy(frame->ethernet.ether_shost, interface.ifr_hwaddr.sa_data, ETH_ALEN);
        frame->ethernet.ether_type = htons(ETHERTYPE_IP);
        frame->ip = (struct iphdr){
            .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .frag_off = htons(IP_DF),
            .tot_len = htons(sizeof *frame - sizeof frame->ethernet)};
        frame->udp.len = htons(sizeof frame->udp + sizeof frame->payload);
        wire->vectors[i] = (struct iovec){frame, sizeof *frame};
        wire->messages[i].msg_hdr = (struct msghdr){.msg_iov = &wire->vectors[i], .msg_iovlen = 1};
    }
    return wire;
}

/// The header checksum of IPv4, over a header whose checksum is 0 (RFC 1071).
static uint16_t checksum(struct iphdr header) {
    uint16_t words[sizeof header / 2];
    memcpy(words, &header, sizeof words);
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~(sum + (sum >> 16));
}

struct packet *queueDatagram(
    struct wire *wire, const struct sockaddr_in *from, const struct sockaddr_in *to, uint64_t now) {
    if (wire->queued == mostQueued) sendQueued(wire);
    if (wire->queued == 0) wire->queuedAt = now;
    struct frame *frame = &wire->frames[wire->queued++];
    frame->ip.saddr = from->sin_addr.s_addr;
    frame->ip.daddr = to->sin_addr.s_addr;
    frame->ip.check = 0;
    frame->ip.check = checksum(frame->ip);
    frame->udp.source = from->sin_port;
    frame->udp.dest = to->sin_port;
    return &frame->payload;
}

void sendWaiting(struct wire *wire, uint64_t now) {
    if (wire->queued && now >= wire->queuedAt + wire->gather) sendQueued(wire);
}

void sendQueued(struct wire *wire) {
    for (unsigned sent = 0; sent < wire->queued;) {
        int count = sendmmsg(wire->fd, wire->messages + sent, wire->queued - sent, 0);
        if (count < 0 && errno != EAGAIN && errno != ENOBUFS) fail("sendmmsg");
        if (count > 0) sent += (unsigned)count;
    }
    wire->queued = 0;
}

static struct tpacket2_hdr *ringFrame(struct wire *wire, uint32_t index) {
    return (struct tpacket2_hdr *)(wire->ring + (size_t)(index % ringFrames) * ringFrameLength);
}

bool nextDatagram(struct wire *wire, struct datagram *datagram) {
    if (wire->holdsFrame) {
        __atomic_store_n(&ringFrame(wire, wire->next - 1)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        wire->holdsFrame = false;
    }
    struct tpacket2_hdr *header = ringFrame(wire, wire->next);
    while (__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
        wire->next++;
        const struct frame *frame = (const struct frame *)((uint8_t *)header + header->tp_mac);
        uint32_t headers = offsetof(struct frame, payload);
        if (header->tp_snaplen >= headers && frame->ip.protocol == IPPROTO_UDP && frame->ip.ihl == 5) {
            *datagram = (struct datagram){
                .source = {.sin_family = AF_INET, .sin_port = frame->udp.source, .sin_addr.s_addr = frame->ip.saddr},
                .destination = {.sin_family = AF_INET, .sin_port = frame->udp.dest, .sin_addr.s_addr = frame->ip.daddr},
                .payload = (const uint8_t *)&frame->payload,
                .length = header->tp_len - headers,
                .receivedAt = (uint64_t)header->tp_sec * 1000000000 + header->tp_nsec};
            // What is longer than a frame of the ring is also longer than it should be: `length` says so.
            wire->holdsFrame = true;
            return true;
        }
        __atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        header = ringFrame(wire, wire->next);
    }
    return false;
}

uint32_t framesMissed(struct wire *wire) {
    struct tpacket_stats statistics;
    socklen_t length = sizeof statistics;
    if (getsockopt(wire->fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) < 0) fail("PACKET_STATISTICS");
    return statistics.tp_drops;
}
