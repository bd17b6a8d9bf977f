// The relay inside the kernel: a plain RTP packet that comes after those before it goes out here, rewritten; every other one goes
// up to the worker's socket, with the leg.
//
// Compiled by `make kernel-program` for the BPF machine into program.h, which is committed: building relayd needs no more than
// Swift.
//
// It decides nothing that the worker has not decided before: the worker gives it a leg whose source is locked, with the SSRC,
// payload type and sequence number of the next packet. A late or repeated packet, another SSRC or payload type, a telephone-event,
// comfort noise, RTCP or a changed header takes the leg back to the worker, whose `StreamStatistics` knows what that means, and
// which gives it here again after the next plain packet. No packet is overtaken: it begins with exactly the packet that follows
// the one the worker has sent, and the worker gets a packet only once all before it have been sent here.

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "include/CKernelPath.h"

#define INLINE static inline __attribute__((always_inline))
#define SECTION(name) __attribute__((section(name), used))

// What the kernel offers (linux/bpf.h), by number.
static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static uint64_t (*const monotonic_nanoseconds)(void) = (void *)5;
static long (*const l4_checksum_replace)(
    struct __sk_buff *, uint32_t offset, uint64_t from, uint64_t to, uint64_t flags) = (void *)11;
static int64_t (*const checksum_difference)(
    uint32_t *from, uint32_t from_size, uint32_t *to, uint32_t to_size, uint32_t seed) = (void *)28;
static long (*const pull_data)(struct __sk_buff *, uint32_t length) = (void *)39;
static long (*const redirect_to_neighbour)(
    uint32_t device, struct bpf_redir_neigh *, int size, uint64_t flags) = (void *)152;

// The maps. Their descriptors are put in when the program is loaded; the names are what program.h knows them by.
struct map { int unused; };
SECTION("maps") struct map ports, legs, activity;

enum {
    inet = 2,
    inet6 = 10,
    protocol_udp = 17,
    /// The interface index of the loopback device, in every network namespace.
    loopback = 1,
    /// Time to live, or hop limit, of what leaves: it begins its way here.
    hops = 64,
};

/// The packet goes on to what else stands at the device, and up to its socket (linux/bpf.h from Linux 6.6).
enum { go_on = -1 };

struct ipv4_header {
    uint8_t version_and_length, type_of_service;
    uint16_t total_length, identification, fragment;
    uint8_t time_to_live, protocol;
    uint16_t checksum;
    uint32_t source, destination;
};

struct ipv6_header {
    uint32_t version_class_flow;
    uint16_t payload_length;
    uint8_t next_header, hop_limit;
    uint32_t source[4], destination[4];
};

struct udp_header {
    uint16_t source, destination, length, checksum;
};

struct rtp_header {
    uint8_t first, second;
    uint16_t sequence_number;
    uint32_t timestamp, ssrc;
};

#define swap16 __builtin_bswap16
#define swap32 __builtin_bswap32

/// The upper half of a product of 64 by 64 bits.
INLINE uint64_t high(uint64_t a, uint64_t b) {
    uint64_t low = (a & 0xffffffff) * (b & 0xffffffff);
    uint64_t middle = (a >> 32) * (b & 0xffffffff) + (low >> 32);
    uint64_t other = (a & 0xffffffff) * (b >> 32) + (middle & 0xffffffff);
    return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
}

enum { maximum_dropout = 3000 };

/// What `StreamStatistics.skip` does: the packet is `step` after the highest one.
INLINE void skip(struct kernel_leg *leg, uint32_t step) {
    uint64_t low = leg->missing[0], high = leg->missing[1];
    if (step < 64) {
        leg->missing[0] = low << step | ((1ull << step) - 2);
        leg->missing[1] = high << step | low >> (64 - step);
    } else {
        leg->missing[0] = ~1ull;
        leg->missing[1] = step < 128 ? low << (step & 63) | ((1ull << (step & 63)) - 1) : ~0ull;
    }
    if (step == 1) return;
    leg->lost += step - 1;
    leg->loss_bursts++;
    if (step - 1 > leg->largest_sequence_gap) leg->largest_sequence_gap = step - 1;
}

/// What `StreamStatistics.receive` does with the common packet, or one after a loss. False where it would be another.
INLINE int count(struct kernel_leg *leg, const struct rtp_header *rtp, uint32_t octets, uint64_t now) {
    uint32_t step = (uint16_t)(swap16(rtp->sequence_number) - leg->sequence_number) + 1;
    if (step >= (leg->has_begun ? maximum_dropout : 2)) return 0;
    if (now < leg->last_arrival) return 0;
    uint64_t interval = now - leg->last_arrival;
    uint32_t transit = (uint32_t)high(now, leg->tick_scale) - swap32(rtp->timestamp);
    int32_t change = (int32_t)(transit - leg->transit);
    uint32_t distance = change < 0 ? -(uint32_t)change : (uint32_t)change;
    if (distance > leg->transit_limit) return 0;
    if (now >= leg->second_ends) {
        leg->second_ends = ~0ull;
        leg->packets_then = leg->packets;
        leg->scaled_jitter_then = leg->scaled_jitter;
        leg->jitter_peak_then = leg->jitter_peak;
        leg->lost_then = leg->lost;
        leg->loss_bursts_then = leg->loss_bursts;
        leg->jitter_peak = 0;
    }
    skip(leg, step);
    leg->has_begun = 1;
    leg->transit = transit;
    leg->scaled_jitter += distance - ((leg->scaled_jitter + 8) >> 4);
    if (leg->scaled_jitter > leg->jitter_peak) leg->jitter_peak = leg->scaled_jitter;
    if (interval > leg->longest_interval) leg->longest_interval = interval;
    leg->last_arrival = now;
    leg->sequence_number += step;
    leg->packets++;
    leg->octets += octets;
    if (rtp->second & 0x80) leg->markers++;
    return 1;
}

/// True for a packet of the stream that the leg waits for, of its peer.
INLINE int is_plain(const struct kernel_leg *leg, const struct rtp_header *rtp, uint32_t octets, uint32_t ip_octets) {
    // Version 2, no padding, no extension, no contributing sources. 192 to 223 is RTCP on the same port (RFC 5761 §4).
    return rtp->first == 0x80 && (rtp->second & 0x7f) == leg->payload_type && (rtp->second & 0xe0) != 0xc0
        && rtp->ssrc == leg->ssrc && octets >= sizeof *rtp && ip_octets <= leg->mtu;
}

/// The leg is the program's alone until `owner` is written.
INLINE struct kernel_leg *find(const struct kernel_port *port, uint32_t *number) {
    uint32_t *found = map_lookup(&ports, port);
    if (!found) return 0;
    *number = *found;
    struct kernel_leg *leg = map_lookup(&legs, number);
    if (!leg || leg->owner == KERNEL_LEG_WORKER) return 0;
    if (__sync_val_compare_and_swap(&leg->owner, KERNEL_LEG_KERNEL, KERNEL_LEG_BUSY) == KERNEL_LEG_KERNEL) return leg;
    // This packet goes up though the leg may be the program's again before the next one: that must not overtake it.
    leg->has_begun = 0;
    return 0;
}

INLINE int give(struct kernel_leg *leg, uint32_t owner) {
    __sync_lock_test_and_set(&leg->owner, owner);
    return go_on;
}

/// What a frame begins with, in any case that this program takes.
struct frame {
    /// At the network header.
    uint8_t *network;
    struct udp_header *udp;
    struct rtp_header *rtp;
};

/// The headers of a frame whose network header has so many octets; false when it is shorter.
INLINE int open_frame(struct __sk_buff *skb, uint32_t network_count, struct frame *frame) {
    uint32_t count = ETH_HLEN + network_count + sizeof *frame->udp + sizeof *frame->rtp;
    uint8_t *data = (void *)(long)skb->data;
    if (data + count > (uint8_t *)(long)skb->data_end) {
        // Some drivers leave the octets of a packet in pages.
        if (skb->len < count || pull_data(skb, count)) return 0;
        data = (void *)(long)skb->data;
        if (data + count > (uint8_t *)(long)skb->data_end) return 0;
    }
    frame->network = data + ETH_HLEN;
    frame->udp = (void *)(frame->network + network_count);
    frame->rtp = (void *)(frame->udp + 1);
    return 1;
}

/// Counts a packet that the leg waits for. False when it is another: the leg is the worker's then.
INLINE int take(
    const struct __sk_buff *skb, struct kernel_leg *leg, uint32_t number, const struct rtp_header *rtp, uint32_t octets,
    uint32_t ip_octets) {
    uint64_t now = monotonic_nanoseconds();
    if (!is_plain(leg, rtp, octets, ip_octets) || (!leg->device && skb->ifindex != loopback)
        || !count(leg, rtp, octets, now)) {
        give(leg, KERNEL_LEG_WORKER);
        return 0;
    }
    uint64_t *heard = map_lookup(&activity, &number);
    if (heard) *heard = now;
    return 1;
}

/// Sends the packet, whose headers are those of the leg's other side but for the checksum over `count` words of addresses and the
/// ports, which are in `before` and `after`. Gives the leg back.
INLINE int finish(
    struct __sk_buff *skb, struct kernel_leg *leg, uint32_t checksum_at, uint32_t *before, uint32_t *after, uint32_t count) {
    uint32_t device = leg->device;
    struct bpf_redir_neigh next = {.nh_family = leg->gateway_family};
    for (int i = 0; i < 4; i++) next.ipv6_nh[i] = leg->gateway.words[i];
    give(leg, KERNEL_LEG_KERNEL);
    if (checksum_at) {
        l4_checksum_replace(
            skb, checksum_at, 0, (uint64_t)checksum_difference(before, 4 * count, after, 4 * count, 0),
            BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
        l4_checksum_replace(skb, checksum_at, before[count], after[count], BPF_F_MARK_MANGLED_0 | 4);
    }
    // On this host: with its ports changed it is another socket's.
    if (!device) return go_on;
    return (int)redirect_to_neighbour(device, &next, sizeof next, 0);
}

INLINE uint32_t ports_of(const struct udp_header *udp) { return (uint32_t)udp->destination << 16 | udp->source; }

INLINE int relay_ipv4(struct __sk_buff *skb) {
    struct frame frame;
    if (!open_frame(skb, sizeof(struct ipv4_header), &frame)) return go_on;
    struct ipv4_header *ip = (void *)frame.network;
    struct udp_header *udp = frame.udp;
    uint32_t length = swap16(ip->total_length), octets = (uint32_t)swap16(udp->length) - sizeof *udp;
    // No options, no fragment, as long as it says.
    if (ip->version_and_length != 0x45 || ip->protocol != protocol_udp || (ip->fragment & swap16(0x3fff))
        || length != octets + sizeof *udp + sizeof *ip || length + ETH_HLEN > skb->len)
        return go_on;
    struct kernel_port port = {.address = {{ip->destination}}, .port = udp->destination, .family = inet};
    uint32_t number;
    struct kernel_leg *leg = find(&port, &number);
    if (!leg) return go_on;
    // A stranger is the worker's, but takes nothing to it.
    if (leg->family != port.family || ip->source != leg->peer.words[0] || udp->source != leg->peer_port)
        return give(leg, KERNEL_LEG_KERNEL);
    if (!take(skb, leg, number, frame.rtp, octets, length)) return go_on;

    uint32_t before[] = {ip->source, ip->destination, ports_of(udp)};
    ip->source = leg->local.words[0];
    ip->destination = leg->destination.words[0];
    ip->type_of_service = leg->type_of_service;
    ip->time_to_live = hops;
    ip->checksum = 0;
    uint32_t sum = 0;
    for (int i = 0; i < 10; i++) sum += ((const uint16_t *)frame.network)[i];
    sum = (sum & 0xffff) + (sum >> 16);
    ip->checksum = (uint16_t)~((sum & 0xffff) + (sum >> 16));
    udp->source = leg->local_port;
    udp->destination = leg->destination_port;
    uint32_t after[] = {ip->source, ip->destination, ports_of(udp)};
    // Zero: the sender computed none (RFC 768), and none is sent on.
    uint32_t checksum_at = udp->checksum ? ETH_HLEN + sizeof *ip + __builtin_offsetof(struct udp_header, checksum) : 0;
    return finish(skb, leg, checksum_at, before, after, 2);
}

INLINE int relay_ipv6(struct __sk_buff *skb) {
    struct frame frame;
    if (!open_frame(skb, sizeof(struct ipv6_header), &frame)) return go_on;
    struct ipv6_header *ip = (void *)frame.network;
    struct udp_header *udp = frame.udp;
    uint32_t length = swap16(ip->payload_length), octets = (uint32_t)swap16(udp->length) - sizeof *udp;
    // Nothing between the headers; the checksum is not optional (RFC 8200 §8.1).
    if (ip->next_header != protocol_udp || length != octets + sizeof *udp || length + sizeof *ip + ETH_HLEN > skb->len
        || !udp->checksum)
        return go_on;
    struct kernel_port port = {
        .address = {{ip->destination[0], ip->destination[1], ip->destination[2], ip->destination[3]}},
        .port = udp->destination, .family = inet6};
    uint32_t number;
    struct kernel_leg *leg = find(&port, &number);
    if (!leg) return go_on;
    if (leg->family != port.family || udp->source != leg->peer_port || ip->source[0] != leg->peer.words[0]
        || ip->source[1] != leg->peer.words[1] || ip->source[2] != leg->peer.words[2] || ip->source[3] != leg->peer.words[3])
        return give(leg, KERNEL_LEG_KERNEL);
    if (!take(skb, leg, number, frame.rtp, octets, length + sizeof *ip)) return go_on;

    uint32_t before[9], after[9];
    for (int i = 0; i < 4; i++) {
        before[i] = ip->source[i];
        before[i + 4] = ip->destination[i];
        ip->source[i] = after[i] = leg->local.words[i];
        ip->destination[i] = after[i + 4] = leg->destination.words[i];
    }
    ip->version_class_flow = swap32(6u << 28 | (uint32_t)leg->type_of_service << 20);
    ip->hop_limit = hops;
    before[8] = ports_of(udp);
    udp->source = leg->local_port;
    udp->destination = leg->destination_port;
    after[8] = ports_of(udp);
    return finish(skb, leg, ETH_HLEN + sizeof *ip + __builtin_offsetof(struct udp_header, checksum), before, after, 8);
}

SECTION("tc") int relay(struct __sk_buff *skb) {
    // It comes by again, without its tag, at the device of its VLAN. Datagrams that were put together are several packets.
    if (skb->vlan_present || skb->gso_segs > 1) return go_on;
    if (skb->protocol == swap16(ETH_P_IP)) return relay_ipv4(skb);
    if (skb->protocol == swap16(ETH_P_IPV6)) return relay_ipv6(skb);
    return go_on;
}
