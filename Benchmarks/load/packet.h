// The packets of the load: G.711 RTP whose payload says where it belongs and proves that it arrived unchanged.
#pragma once
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { rtpHeaderLength = 12, packetLength = 172, fillWords = 17, packetMagic = 0x726c7964 };

/// Which way a packet goes through the relay.
enum direction { fromCaller = 0, fromCallee = 1 };

struct packet {
    uint8_t versionFlags;
    uint8_t payloadType;
    uint16_t sequenceNumber;  // network order, as the next two
    uint32_t timestamp;
    uint32_t ssrc;
    // The payload; read only by this program on this host, hence in host order.
    uint32_t magic;
    uint32_t call;
    uint16_t direction;
    uint16_t window;    // the measuring window it was sent in; 0 outside of any
    uint32_t sequence;  // not wrapping at 16 bits
    uint64_t sentAt;    // CLOCK_REALTIME nanoseconds, the clock of the kernel's receive stamp
    uint64_t fill[fillWords];
} __attribute__((packed));

_Static_assert(sizeof(struct packet) == packetLength, "20 ms of G.711 in RTP");

static inline uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

static inline uint64_t fillSeed(uint32_t call, uint16_t direction, uint32_t sequence) {
    return mix(((uint64_t)call << 33 | (uint64_t)direction << 32) + sequence);
}

static inline uint32_t ssrcOf(uint32_t call, uint16_t direction) {
    return (uint32_t)mix(0x5353u + 2 * (uint64_t)call + direction) | 1;
}

static inline void writePacket(
    struct packet *packet, uint32_t call, uint16_t direction, uint32_t sequence, uint16_t window, uint64_t now) {
    packet->versionFlags = 2 << 6;
    packet->payloadType = 8;
    packet->sequenceNumber = htons((uint16_t)sequence);
    packet->timestamp = htonl(sequence * 160);
    packet->ssrc = htonl(ssrcOf(call, direction));
    packet->magic = packetMagic;
    packet->call = call;
    packet->direction = direction;
    packet->window = window;
    packet->sequence = sequence;
    packet->sentAt = now;
    uint64_t seed = fillSeed(call, direction, sequence);
    for (int i = 0; i < fillWords; i++) packet->fill[i] = seed + i;
}

/// True when every octet that the relay has no business with is as it was sent.
static inline bool isUndamaged(const struct packet *packet) {
    uint64_t seed = fillSeed(packet->call, packet->direction, packet->sequence);
    uint64_t difference = 0;
    for (int i = 0; i < fillWords; i++) difference |= packet->fill[i] ^ (seed + i);
    return difference == 0 && packet->magic == packetMagic && packet->versionFlags == 2 << 6
        && packet->payloadType == 8 && packet->sequenceNumber == htons((uint16_t)packet->sequence)
        && packet->timestamp == htonl(packet->sequence * 160)
        && packet->ssrc == htonl(ssrcOf(packet->call, packet->direction));
}
