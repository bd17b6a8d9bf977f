// The load without sockets: whole frames at one end of a pair of veth devices. It costs the generator a fraction of what sockets
// do, so that it can offer more than the fastest server carries.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "packet.h"

/// One end of the pair, with frames that wait to be sent and a ring of those that came.
struct wire;

/// Opens `device` for endpoints that speak to the server at the other end, whose Ethernet address is `server` (six octets). It
/// should have no IP address, so that the kernel answers nothing in the endpoints' place. Frames are sent once the first of
/// them is `gather` nanoseconds old, as a network card gathers before it interrupts. Ends the program when it cannot.
struct wire *openWire(const char *device, const uint8_t *server, uint64_t gather);

/// Queues a datagram at a time of CLOCK_MONOTONIC, and sends what is queued when that is a lot. Its payload is written where
/// the result points to.
struct packet *queueDatagram(
    struct wire *wire, const struct sockaddr_in *from, const struct sockaddr_in *to, uint64_t now);

/// Sends what is queued when the first of it has waited for so long as was asked for.
void sendWaiting(struct wire *wire, uint64_t now);

/// Sends what is queued.
void sendQueued(struct wire *wire);

/// A datagram that came. The payload stays until the next is asked for.
struct datagram {
    struct sockaddr_in source;
    struct sockaddr_in destination;
    const uint8_t *payload;
    uint32_t length;
    uint64_t receivedAt;  // CLOCK_REALTIME nanoseconds, stamped by the kernel
};

/// The next datagram. False when there is none.
bool nextDatagram(struct wire *wire, struct datagram *datagram);

/// How many frames the ring had no room for since this was last asked: the generator's fault and no server's.
uint32_t framesMissed(struct wire *wire);
