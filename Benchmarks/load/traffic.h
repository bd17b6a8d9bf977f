// The phones: one UDP address for each end of each call, sending on schedule and checking what comes back; over sockets of
// their own, or as frames on a wire.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "arrivals.h"
#include "bystander.h"
#include "histogram.h"
#include "packet.h"
#include "wire.h"

/// One end of a call.
struct endpoint {
    int fd;                       // on a wire none: -1
    uint32_t call;
    enum direction direction;     // of what it sends; it receives the other
    struct sockaddr_in relay;     // where it sends to, and the only source it may hear
    struct sockaddr_in address;   // its own
    uint32_t sequence;            // of the next packet
    uint64_t drainedAt;           // CLOCK_MONOTONIC nanoseconds
    struct arrivals arrivals;
    uint32_t sentInWindow;        // by this endpoint
    uint32_t receivedInWindow;    // by this endpoint
};

/// Faults of the relay, over the whole run and not only inside the windows.
struct faults {
    uint64_t duplicates;
    uint64_t reordered;
    uint64_t misdelivered;   // a packet of another call or direction
    uint64_t wrongSource;    // not from the port that was advertised to this endpoint
    uint64_t damaged;        // length or content changed
};

/// What one measuring window found. Rates are packets per second over all calls and both directions.
struct window {
    double offeredRate;
    double seconds;
    uint64_t sent;
    uint64_t received;           // packets sent inside the window that arrived, copies not counted
    uint64_t late;               // of these, the ones too late to be played
    uint64_t serverNanoseconds;  // CPU time of all the server's threads, user and kernel
    uint64_t busyNanoseconds;    // the server's core was not idle; 0 where that is not asked for
    uint64_t takenNanoseconds;   // a bystander was kept from it; 0 where there was none
    double bestStreamLoss;       // fraction lost of the stream that lost least
    double medianStreamLoss;
    double worstStreamLoss;      // of the one that lost most
    unsigned starvedStreams;     // of which less than a quarter arrived of what arrived of the mean stream
    uint64_t largestLag;         // how far behind its schedule the generator fell, nanoseconds
    bool generatorLimited;       // the generator could not keep the rate: says nothing about the server
    struct histogram latency;
};

struct traffic {
    unsigned calls;
    struct wire *wire;            // NULL where each endpoint has a socket
    struct endpoint *endpoints;   // caller and callee of call `i` are 2 i and 2 i + 1
    uint32_t *order;              // the order in which endpoints send: random, fixed
    uint64_t tick;                // packets scheduled so far
    uint64_t arrived;             // datagrams read so far, whatever they were
    uint16_t windowNumber;
    struct window *current;       // NULL outside of a window
    struct faults faults;
    clockid_t serverClock;
    bool hasServer;
    int serverCore;               // whose idle time is read; -1 = none
    struct bystander *bystander;  // on that core; NULL = none
    bool connected;
    uint64_t tolerableLag;        // further behind its schedule the generator gives a window up; nanoseconds
};

/// The address of an endpoint: each has its own, as phones have. On loopback one of 127.0.0.0/8, on a wire one of the network
/// that is set aside for benchmarks, 198.18.0.0/15 (RFC 2544).
struct sockaddr_in endpointAddress(uint32_t call, enum direction direction, bool onWire);

/// Makes the endpoints of all calls, each with a socket where there is no wire. Ends the program when one cannot be had.
void openEndpoints(struct traffic *traffic, unsigned calls);

/// Reads `call callerPort calleePort` lines until there is one for each call. Ends the program when one is missing.
void readPorts(struct traffic *traffic, FILE *file, struct in_addr server);

/// Connects every socket to its relay port, which makes the generator faster. What comes from elsewhere is then dropped by
/// the kernel, so it shows as loss and no more as `wrongSource`. Changes nothing on a wire.
void connectEndpoints(struct traffic *traffic);

/// Sends at `rate` packets per second per stream and receives, without measuring.
void warmUp(struct traffic *traffic, double rate, double seconds);

/// The same, measured; waits for the last packets before it returns.
void measure(struct traffic *traffic, double rate, double seconds, struct window *result);

/// A packet that took longer than this is as good as lost: a telephone's jitter buffer has played past it. Without such a
/// limit an overloaded server loses nothing for a second or two, until its sockets' buffers are full.
static const uint64_t latestUsefulNanoseconds = 60 * 1000000;

/// The fraction that never arrived.
static inline double lossOf(const struct window *window) {
    return window->sent ? (double)(window->sent - window->received) / window->sent : 0;
}

/// The fraction that never arrived or came too late to be played.
static inline double unusableOf(const struct window *window) {
    return window->sent ? lossOf(window) + (double)window->late / window->sent : 0;
}
