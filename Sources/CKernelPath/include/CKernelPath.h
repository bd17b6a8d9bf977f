// What relayd and its program inside the kernel share: the layout of a leg, and the few calls that load the program.
//
// The program (relay.bpf.c) stands at the ingress of a network device. It passes on the RTP packet that follows exactly the one
// before it, as the leg's worker would, and leaves every other packet to the worker.

#ifndef CKERNELPATH_H
#define CKERNELPATH_H

#include <stdint.h>

/// Whose a leg is at present. Only its owner reads or writes the rest of it.
enum kernel_leg_owners {
    /// The worker's: the program lets all its packets go up to the socket.
    KERNEL_LEG_WORKER = 0,
    /// The program's.
    KERNEL_LEG_KERNEL = 1,
    /// Somebody is at it for less than a microsecond.
    KERNEL_LEG_BUSY = 2,
};

/// An IPv4 address lies in the first word, the others are zero. All in network order.
struct kernel_address {
    uint32_t words[4];
};

/// Where a leg's socket is bound: what the program finds the leg by.
struct kernel_port {
    struct kernel_address address;
    /// In network order.
    uint16_t port;
    /// AF_INET or AF_INET6.
    uint16_t family;
};

/// One leg: the stream that its peer sends, and where that goes. Four cache lines.
struct kernel_leg {
    /// One of `kernel_leg_owners`.
    uint32_t owner;
    /// What `kernel_path_routes` was when the way out was found.
    uint32_t routes;

    // Which packet is the next one.

    struct kernel_address peer;
    /// In network order, as `ssrc`.
    uint16_t peer_port;
    /// Of the packet, in host order.
    uint16_t sequence_number;
    uint32_t ssrc;
    uint8_t payload_type;
    /// The first packet must be that very one: others before it may be in the worker's socket. Afterwards what is missing is lost.
    /// The program alone writes it while it is not the worker's.
    uint8_t has_begun;

    // How it leaves: by the other leg's socket.

    /// The traffic class octet.
    uint8_t type_of_service;
    /// In network order, both.
    uint16_t local_port;
    uint16_t destination_port;
    /// Longer IP packets are left to the worker.
    uint16_t mtu;
    struct kernel_address local;
    struct kernel_address destination;
    /// Zero: it stays on this host.
    uint32_t device;
    /// AF_INET or AF_INET6: of peer, local and destination.
    uint16_t family;
    /// The same of `gateway`.
    uint16_t gateway_family;
    /// Who takes it on that device.
    struct kernel_address gateway;

    // What the packets told since the worker last looked. Its own terms: `RTP.StreamStatistics`.

    uint32_t packets;
    uint32_t markers;
    uint64_t octets;
    uint64_t last_arrival;
    uint64_t longest_interval;
    uint64_t tick_scale;
    uint32_t transit;
    uint32_t transit_limit;
    uint32_t scaled_jitter;
    uint32_t jitter_peak;
    uint32_t lost;
    uint32_t loss_bursts;
    uint32_t largest_sequence_gap;
    /// The lower half first.
    uint64_t missing[2];

    // What it was when the second ended, with the first packet after it.

    /// In nanoseconds, as `last_arrival`; all ones once it has ended.
    uint64_t second_ends;
    uint32_t packets_then;
    uint32_t scaled_jitter_then;
    uint32_t jitter_peak_then;
    uint32_t lost_then;
    uint32_t loss_bursts_then;

    uint32_t unused[9];
};

_Static_assert(sizeof(struct kernel_leg) == 256, "legs lie side by side, each in cache lines of its own");

/// Makes the leg the caller's, who then is its `owner`: the worker, or busy with it for a moment. Waits out the program.
///
/// - Returns: true when it was the program's; false when it is the worker's already.
static inline int kernel_leg_take(struct kernel_leg *leg, uint32_t owner) {
    for (;;) {
        uint32_t present = KERNEL_LEG_KERNEL;
        if (__atomic_compare_exchange_n(&leg->owner, &present, owner, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return 1;
        if (present == KERNEL_LEG_WORKER) return 0;
    }
}

/// Whose the leg is, for those whose it is not.
static inline uint32_t kernel_leg_owner(const struct kernel_leg *leg) { return __atomic_load_n(&leg->owner, __ATOMIC_SEQ_CST); }

/// Makes the leg the program's.
static inline void kernel_leg_give(struct kernel_leg *leg) {
    __atomic_store_n(&leg->owner, KERNEL_LEG_KERNEL, __ATOMIC_RELEASE);
}

/// Makes the leg, of which the worker has been busy, the worker's.
static inline void kernel_leg_keep(struct kernel_leg *leg) {
    __atomic_store_n(&leg->owner, KERNEL_LEG_WORKER, __ATOMIC_RELEASE);
}

// What others than its owner may look at: see `KernelPath.pending`.

static inline uint32_t kernel_leg_packets(const struct kernel_leg *leg) { return __atomic_load_n(&leg->packets, __ATOMIC_RELAXED); }
static inline uint64_t kernel_leg_octets(const struct kernel_leg *leg) { return __atomic_load_n(&leg->octets, __ATOMIC_RELAXED); }

/// Begins to count packets anew.
static inline void kernel_leg_clear(struct kernel_leg *leg) {
    __atomic_store_n(&leg->packets, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&leg->octets, 0, __ATOMIC_RELAXED);
    leg->markers = 0;
}

/// The program's maps, by the descriptors of each; -1 for one that is not there.
struct kernel_path {
    int program;
    /// From `kernel_port` to the leg's number.
    int ports;
    /// `kernel_leg`, by number; mapped at `leg_memory`.
    int legs;
    /// When each leg was last heard, in nanoseconds of the monotonic clock; mapped at `activity_memory`.
    int activity;
    /// Tells of changed routes and devices.
    int monitor;
    struct kernel_leg *leg_memory;
    uint64_t *activity_memory;
    uint32_t leg_count;
    /// Another value since any route or device of the host changed.
    uint32_t routes;
};

/// Loads the program, for `leg_count` legs. Nothing passes it before `kernel_path_attach`.
///
/// - Returns: 0, or the errno of what failed first; `*step` says what that was.
int kernel_path_open(struct kernel_path *path, uint32_t leg_count, const char **step);

/// Has the program see what comes in by a device, after other programs that stand there already.
///
/// - Returns: a descriptor that keeps it there, also beyond the death of this process; or the negative errno.
int kernel_path_attach(const struct kernel_path *path, uint32_t device);

/// Closes everything but the descriptors of `kernel_path_attach`.
void kernel_path_close(struct kernel_path *path);

/// Packets to `port` belong to a leg from now on.
///
/// - Returns: 0 or an errno.
int kernel_path_add(const struct kernel_path *path, const struct kernel_port *port, uint32_t leg);
int kernel_path_remove(const struct kernel_path *path, const struct kernel_port *port);

/// Looks at what has come of changed routes and devices, without waiting, and changes `routes` for it.
///
/// - Returns: whether there was something.
int kernel_path_follow_routes(struct kernel_path *path);

/// The devices at which the program can stand: those that have an IP address, and frames that are Ethernet's.
///
/// - Returns: how many there are now in `devices`, or the negative errno.
int kernel_path_devices(uint32_t *devices, int capacity, int with_loopback);

/// From any thread.
static inline uint32_t kernel_path_routes(const struct kernel_path *path) { return __atomic_load_n(&path->routes, __ATOMIC_ACQUIRE); }

/// A socket that `kernel_path_route` asks by: one for each thread.
///
/// - Returns: a descriptor, or the negative errno.
int kernel_path_route_socket(void);

/// Finds the way out for what a leg sends: fills in `device`, `gateway`, `gateway_family` and `mtu` by what its other fields say.
///
/// - Returns: 0 or an errno.
int kernel_path_route(int socket, struct kernel_leg *leg);

/// Runs the program once over a frame, as if it had come in by loopback; for tests.
///
/// - Parameter frame: of `*count` octets, at most 2,048; afterwards as the program left it.
/// - Returns: the program's verdict (-1: it goes on to its socket), or -1000 less the errno.
int kernel_path_try(const struct kernel_path *path, uint8_t *frame, uint32_t count);

#endif
