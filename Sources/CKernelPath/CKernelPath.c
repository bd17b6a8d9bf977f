#define _GNU_SOURCE
#include "CKernelPath.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { map_ports, map_legs, map_activity, map_shared, map_count };

#include "program.h"

enum {
    instruction_count = sizeof program_instructions / sizeof program_instructions[0],
    map_place_count = sizeof program_maps / sizeof program_maps[0],
    /// linux/bpf.h from Linux 6.6 on: BPF_TCX_INGRESS.
    tcx_ingress = 46,
};

static int bpf(int command, union bpf_attr *attributes) {
    return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static int make_map(uint32_t type, const char *name, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags) {
    union bpf_attr attributes = {
        .map_type = type, .key_size = key, .value_size = value, .max_entries = entries, .map_flags = flags};
    strncpy(attributes.map_name, name, sizeof attributes.map_name - 1);
    return bpf(BPF_MAP_CREATE, &attributes);
}

static int load(const int *maps) {
    uint64_t instructions[instruction_count];
    memcpy(instructions, program_instructions, sizeof instructions);
    for (int i = 0; i < map_place_count; i++) {
        struct bpf_insn *instruction = (struct bpf_insn *)&instructions[program_maps[i].instruction];
        instruction->src_reg = BPF_PSEUDO_MAP_FD;
        instruction->imm = maps[program_maps[i].map];
    }
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_SCHED_CLS, .insns = (uint64_t)(uintptr_t)instructions, .insn_cnt = instruction_count,
        .license = (uint64_t)(uintptr_t)"", .expected_attach_type = tcx_ingress};
    strcpy(attributes.prog_name, "relayd_relay");
    return bpf(BPF_PROG_LOAD, &attributes);
}

/// Where the memory of `count` values of an array begins here.
static void *map_memory(int map, size_t count, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), length = (count * size + page - 1) / page * page;
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, map, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void unmap_memory(void *memory, size_t count, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (memory) munmap(memory, (count * size + page - 1) / page * page);
}

/// Hears of changed routes and devices.
static int open_monitor(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE};
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int kernel_path_open(struct kernel_path *path, uint32_t leg_count, const char **step) {
    *path = (struct kernel_path){.program = -1, .ports = -1, .legs = -1, .activity = -1, .shared = -1, .monitor = -1};
    path->leg_count = leg_count;
    *step = "making the program's tables";
    path->ports = make_map(BPF_MAP_TYPE_HASH, "relayd_ports", sizeof(struct kernel_port), 4, leg_count, 0);
    if (path->ports < 0) goto failed;
    path->legs = make_map(BPF_MAP_TYPE_ARRAY, "relayd_legs", 4, sizeof(struct kernel_leg), leg_count, BPF_F_MMAPABLE);
    if (path->legs < 0) goto failed;
    path->activity = make_map(BPF_MAP_TYPE_ARRAY, "relayd_activity", 4, 8, leg_count, BPF_F_MMAPABLE);
    if (path->activity < 0) goto failed;
    path->shared = make_map(BPF_MAP_TYPE_ARRAY, "relayd_shared", 4, sizeof(struct kernel_shared), 1, BPF_F_MMAPABLE);
    if (path->shared < 0) goto failed;
    *step = "mapping the program's tables";
    path->leg_memory = map_memory(path->legs, leg_count, sizeof(struct kernel_leg));
    path->activity_memory = map_memory(path->activity, leg_count, 8);
    path->shared_memory = map_memory(path->shared, 1, sizeof(struct kernel_shared));
    if (!path->leg_memory || !path->activity_memory || !path->shared_memory) goto failed;
    *step = "loading the program";
    const int maps[map_count] = {
        [map_ports] = path->ports, [map_legs] = path->legs, [map_activity] = path->activity, [map_shared] = path->shared};
    path->program = load(maps);
    if (path->program < 0) goto failed;
    *step = "following the routes";
    path->monitor = open_monitor();
    if (path->monitor < 0) goto failed;
    return 0;

failed:;
    int code = errno;
    kernel_path_close(path);
    return code;
}

int kernel_path_attach(const struct kernel_path *path, uint32_t device) {
    union bpf_attr attributes = {0};
    attributes.link_create.prog_fd = (uint32_t)path->program;
    attributes.link_create.target_ifindex = device;
    attributes.link_create.attach_type = tcx_ingress;
    int link = bpf(BPF_LINK_CREATE, &attributes);
    return link < 0 ? -errno : link;
}

void kernel_path_close(struct kernel_path *path) {
    unmap_memory(path->leg_memory, path->leg_count, sizeof(struct kernel_leg));
    unmap_memory(path->activity_memory, path->leg_count, 8);
    unmap_memory(path->shared_memory, 1, sizeof(struct kernel_shared));
    const int descriptors[] = {path->program, path->ports, path->legs, path->activity, path->shared, path->monitor};
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++)
        if (descriptors[i] >= 0) close(descriptors[i]);
    *path = (struct kernel_path){.program = -1, .ports = -1, .legs = -1, .activity = -1, .shared = -1, .monitor = -1};
}

int kernel_path_add(const struct kernel_path *path, const struct kernel_port *port, uint32_t leg) {
    union bpf_attr attributes = {
        .map_fd = (uint32_t)path->ports, .key = (uint64_t)(uintptr_t)port, .value = (uint64_t)(uintptr_t)&leg};
    return bpf(BPF_MAP_UPDATE_ELEM, &attributes) < 0 ? errno : 0;
}

int kernel_path_remove(const struct kernel_path *path, const struct kernel_port *port) {
    union bpf_attr attributes = {.map_fd = (uint32_t)path->ports, .key = (uint64_t)(uintptr_t)port};
    return bpf(BPF_MAP_DELETE_ELEM, &attributes) < 0 ? errno : 0;
}

void kernel_path_follow_routes(const struct kernel_path *path) {
    char octets[8192];
    int has_changed = 0;
    // What did not fit into the socket was a change, too.
    while (recv(path->monitor, octets, sizeof octets, 0) > 0 || errno == ENOBUFS) has_changed = 1;
    if (has_changed) __atomic_fetch_add(&path->shared_memory->routes, 1, __ATOMIC_SEQ_CST);
}

/// 0, or why frames of this device are none that the program knows.
static int check_frames(int socket, struct ifreq *device) {
    if (ioctl(socket, SIOCGIFHWADDR, device) < 0) return errno;
    uint16_t kind = device->ifr_hwaddr.sa_family;
    return kind == ARPHRD_ETHER || kind == ARPHRD_LOOPBACK ? 0 : EOPNOTSUPP;
}

int kernel_path_devices(uint32_t *devices, int capacity, int with_loopback) {
    struct ifaddrs *all;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), count = 0;
    if (fd < 0) return -errno;
    if (getifaddrs(&all) < 0) {
        int code = errno;
        close(fd);
        return -code;
    }
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        if (!one->ifa_addr || (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6)) continue;
        if ((one->ifa_flags & IFF_LOOPBACK) && !with_loopback) continue;
        struct ifreq named = {0};
        strncpy(named.ifr_name, one->ifa_name, sizeof named.ifr_name - 1);
        uint32_t device = if_nametoindex(one->ifa_name);
        if (!device || check_frames(fd, &named)) continue;
        int known = 0;
        for (int i = 0; i < count; i++) known |= devices[i] == device;
        if (!known && count < capacity) devices[count++] = device;
    }
    freeifaddrs(all);
    close(fd);
    return count;
}

int kernel_path_route_socket(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return fd < 0 ? -errno : fd;
}

struct request {
    struct nlmsghdr header;
    struct rtmsg route;
    char attributes[64];
};

static void add(struct request *request, uint16_t type, const void *value, uint16_t count) {
    struct rtattr *attribute = (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (uint16_t)RTA_LENGTH(count);
    memcpy(RTA_DATA(attribute), value, count);
    request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

int kernel_path_route(int socket, struct kernel_leg *leg) {
    int is_ipv4 = leg->family == AF_INET;
    uint16_t size = is_ipv4 ? 4 : 16;
    struct request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof request.route), .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
        .route = {
            .rtm_family = is_ipv4 ? AF_INET : AF_INET6, .rtm_dst_len = (uint8_t)(8 * size), .rtm_src_len = (uint8_t)(8 * size),
            .rtm_tos = is_ipv4 ? leg->type_of_service & 0x1c : 0}};
    add(&request, RTA_DST, &leg->destination, size);
    add(&request, RTA_SRC, &leg->local, size);
    if (send(socket, &request, request.header.nlmsg_len, 0) < 0) return errno;
    union {
        struct nlmsghdr header;
        char octets[4096];
    } answer;
    ssize_t count = recv(socket, &answer, sizeof answer, 0);
    if (count < 0) return errno;
    if (!NLMSG_OK(&answer.header, (size_t)count)) return EPROTO;
    if (answer.header.nlmsg_type == NLMSG_ERROR) return -((struct nlmsgerr *)NLMSG_DATA(&answer.header))->error;
    if (answer.header.nlmsg_type != RTM_NEWROUTE) return EPROTO;
    const struct rtmsg *route = NLMSG_DATA(&answer.header);
    if (route->rtm_type != RTN_UNICAST && route->rtm_type != RTN_LOCAL) return EHOSTUNREACH;
    uint32_t device = 0;
    // By itself, unless there is a gateway.
    leg->gateway = leg->destination;
    leg->gateway_family = leg->family;
    int left = (int)RTM_PAYLOAD(&answer.header);
    for (const struct rtattr *attribute = RTM_RTA(route); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        const void *value = RTA_DATA(attribute);
        size_t length = RTA_PAYLOAD(attribute);
        if (attribute->rta_type == RTA_OIF && length == 4) {
            memcpy(&device, value, 4);
        } else if (attribute->rta_type == RTA_GATEWAY && length == size) {
            leg->gateway = (struct kernel_address){{0}};
            memcpy(&leg->gateway, value, size);
        } else if (attribute->rta_type == RTA_VIA) {
            const struct rtvia *via = value;
            if (length != 2 + 16 || via->rtvia_family != AF_INET6) return EAFNOSUPPORT;
            leg->gateway_family = AF_INET6;
            memcpy(&leg->gateway, via->rtvia_addr, 16);
        } else if (attribute->rta_type == RTA_MULTIPATH || attribute->rta_type == RTA_ENCAP) {
            return EAFNOSUPPORT;
        }
    }
    if (!device) return EHOSTUNREACH;
    struct ifreq named = {0};
    if (!if_indextoname(device, named.ifr_name)) return errno;
    int code = check_frames(socket, &named);
    if (code) return code;
    if (ioctl(socket, SIOCGIFMTU, &named) < 0) return errno;
    leg->mtu = named.ifr_mtu > 0xffff ? 0xffff : (uint16_t)named.ifr_mtu;
    leg->device = route->rtm_type == RTN_LOCAL ? 0 : device;
    return 0;
}

int kernel_path_try(const struct kernel_path *path, uint8_t *frame, uint32_t count) {
    uint8_t output[2048 + 256];
    struct __sk_buff context = {.ifindex = 1};
    union bpf_attr attributes = {0};
    attributes.test.prog_fd = (uint32_t)path->program;
    attributes.test.data_in = (uint64_t)(uintptr_t)frame;
    attributes.test.data_size_in = count;
    attributes.test.data_out = (uint64_t)(uintptr_t)output;
    attributes.test.data_size_out = sizeof output;
    attributes.test.ctx_in = (uint64_t)(uintptr_t)&context;
    attributes.test.ctx_size_in = sizeof context;
    attributes.test.repeat = 1;
    if (bpf(BPF_PROG_TEST_RUN, &attributes) < 0) return -1000 - errno;
    memcpy(frame, output, count);
    return (int)attributes.test.retval;
}
