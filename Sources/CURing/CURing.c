#define _GNU_SOURCE
#include "CURing.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// io_uring_enter(2) itself: liburing 2.3 has no way to pass min_wait_usec. A negative `wait` only submits.
int curing_enter(int fd, unsigned flags, unsigned submit, int wait, unsigned gather_microseconds,
                 int64_t timeout_nanoseconds) {
    struct __kernel_timespec limit = {timeout_nanoseconds / 1000000000, timeout_nanoseconds % 1000000000};
    // `pad` is min_wait_usec in newer headers.
    struct io_uring_getevents_arg argument = {.pad = gather_microseconds};
    if (timeout_nanoseconds >= 0) argument.ts = (uint64_t)(uintptr_t)&limit;
    long result =
        wait < 0 ? syscall(__NR_io_uring_enter, fd, submit, 0, flags, (void *)0, 0)
                 : syscall(__NR_io_uring_enter, fd, submit, wait, flags | IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                           &argument, sizeof argument);
    return result < 0 ? -errno : (int)result;
}

int curing_name_thread(const char *name) { return -pthread_setname_np(pthread_self(), name); }

int curing_pin_thread(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < 0 || cpu >= CPU_SETSIZE) return -EINVAL;
    CPU_SET(cpu, &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int curing_keep_off(const int *cpus, int count) {
    cpu_set_t set;
    int code = pthread_getaffinity_np(pthread_self(), sizeof set, &set);
    if (code) return -code;
    for (int i = 0; i < count; i++)
        if (cpus[i] >= 0 && cpus[i] < CPU_SETSIZE) CPU_CLR(cpus[i], &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int curing_set_time_slice(uint64_t nanoseconds) {
    // Not in glibc 2.36; SCHED_ATTR_SIZE_VER0.
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) < 0) return -errno;
    if (attributes.policy != SCHED_OTHER) return 0;  // somebody chose another one for this process
    attributes.runtime = nanoseconds;
    return syscall(SYS_sched_setattr, 0, &attributes, 0) < 0 ? -errno : 0;
}

const char *curing_errno_name(int code) { return strerrorname_np(code); }
const char *curing_errno_text(int code) { return strerrordesc_np(code); }

int curing_datagram_socket(const void *address, unsigned length, int type_of_service, int probe_mtu) {
    int family = ((const struct sockaddr *)address)->sa_family;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int probe = IP_PMTUDISC_PROBE, on = 1, failed;
    if (family == AF_INET6)
        failed = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on)
                 || (probe_mtu && setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe))
                 || (type_of_service
                     && setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &type_of_service, sizeof type_of_service));
    else
        failed = (probe_mtu && setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe))
                 || (type_of_service && setsockopt(fd, IPPROTO_IP, IP_TOS, &type_of_service, sizeof type_of_service));
    if (failed || bind(fd, address, length)) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

int curing_set_receive_buffer(int fd, int octets) {
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    int granted = 0;
    socklen_t length = sizeof granted;
    // The kernel counts its own overhead in, and doubles what is asked for to make up for it.
    return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length) ? -errno : granted / 2;
}

int64_t curing_receive_drops(int fd) {
    enum { memoryInfo = 55, dropsIndex = 8 };  // SO_MEMINFO, SK_MEMINFO_DROPS
    uint32_t values[dropsIndex + 1] = {0};
    socklen_t length = sizeof values;
    if (getsockopt(fd, SOL_SOCKET, memoryInfo, values, &length)) return -errno;
    return length == sizeof values ? values[dropsIndex] : -ENOSYS;
}

int curing_connect(int fd, const void *address, unsigned length) { return connect(fd, address, length) ? -errno : 0; }

int curing_disconnect(int fd) {
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    return connect(fd, &none, sizeof none) ? -errno : 0;
}

int curing_local_address(int fd, struct sockaddr_in6 *address) {
    socklen_t length = sizeof *address;
    return getsockname(fd, (struct sockaddr *)address, &length) ? -errno : 0;
}

int curing_unix_listen(const char *path, unsigned mode) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    struct stat status;
    if (lstat(path, &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) return -EEXIST;
        int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (probe < 0) return -errno;
        int refused = connect(probe, (struct sockaddr *)&address, sizeof address) && errno == ECONNREFUSED;
        int code = refused ? 0 : EADDRINUSE;
        if (refused && unlink(path)) code = errno;
        close(probe);
        if (code) return -code;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    // The mode of the descriptor limits that of the file from its first moment; chmod then undoes the umask.
    if (fchmod(fd, mode) || bind(fd, (struct sockaddr *)&address, sizeof address) || chmod(path, mode) || listen(fd, 64)) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

int curing_unix_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

int curing_signal_descriptor(const int *signals, unsigned count) {
    sigset_t set;
    sigemptyset(&set);
    for (unsigned index = 0; index < count; index++) sigaddset(&set, signals[index]);
    int code = pthread_sigmask(SIG_BLOCK, &set, 0);
    if (code) return -code;
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int curing_next_signal(int fd) {
    struct signalfd_siginfo information;
    ssize_t count = read(fd, &information, sizeof information);
    return count == sizeof information ? (int)information.ssi_signo : 0;
}

int curing_event_descriptor(void) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void *curing_map(size_t size) {
    void *memory = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? 0 : memory;
}

int curing_wait_readable(int fd, int milliseconds) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    int result;
    do result = poll(&entry, 1, milliseconds);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

// MARK: Datagrams in batches, and what becomes of them

struct curing_batch {
    unsigned capacity;
    struct mmsghdr *messages;
    struct iovec *parts;
    struct sockaddr_in6 *addresses;
};

curing_batch *curing_batch_open(unsigned capacity) {
    curing_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) return NULL;
    batch->capacity = capacity;
    batch->messages = calloc(capacity, sizeof *batch->messages);
    batch->parts = calloc(capacity, sizeof *batch->parts);
    batch->addresses = calloc(capacity, sizeof *batch->addresses);
    if (batch->messages == NULL || batch->parts == NULL || batch->addresses == NULL) {
        curing_batch_close(batch);
        return NULL;
    }
    for (unsigned index = 0; index < capacity; index++) {
        batch->messages[index].msg_hdr.msg_iov = &batch->parts[index];
        batch->messages[index].msg_hdr.msg_iovlen = 1;
        batch->messages[index].msg_hdr.msg_name = &batch->addresses[index];
    }
    return batch;
}

void curing_batch_close(curing_batch *batch) {
    free(batch->messages);
    free(batch->parts);
    free(batch->addresses);
    free(batch);
}

void curing_batch_set(curing_batch *batch, unsigned index, const struct sockaddr_in6 *address, uint32_t length, const void *octets, size_t count) {
    if (index >= batch->capacity) abort();
    batch->addresses[index] = *address;
    batch->messages[index].msg_hdr.msg_namelen = length;
    batch->parts[index].iov_base = (void *)octets;
    batch->parts[index].iov_len = count;
}

unsigned curing_batch_send(curing_batch *batch, int socket, unsigned count, int32_t *errors) {
    unsigned next = 0, sent = 0;
    int isAgain = 0;
    if (count > batch->capacity) abort();
    while (next < count) {
        int result = sendmmsg(socket, batch->messages + next, count - next, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (result > 0) {
            for (int index = 0; index < result; index++) errors[next + index] = 0;
            next += (unsigned)result;
            sent += (unsigned)result;
            isAgain = 0;
            continue;
        }
        int reason = result == 0 ? EIO : errno;
        if (reason == EINTR) continue;
        if (!isAgain && curing_is_icmp_error(reason)) {
            isAgain = 1;
            continue;
        }
        isAgain = 0;
        errors[next++] = reason;
        if (reason == EAGAIN)
            while (next < count) errors[next++] = EAGAIN;
    }
    return sent;
}

int curing_report_errors(int socket, int family) {
    int on = 1;
    int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
    return setsockopt(socket, level, family == AF_INET6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof on) == 0 ? 0 : -errno;
}

int curing_is_icmp_error(int error) {
    switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENONET:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EACCES:
    case EMSGSIZE: return 1;
    default: return 0;
    }
}

int curing_take_error(int socket, curing_datagram_error *error, void *octets, size_t capacity) {
    for (;;) {
        char control[512];
        struct iovec part = {octets, capacity};
        memset(error, 0, sizeof *error);
        struct msghdr message = {
            .msg_name = &error->destination, .msg_namelen = sizeof error->destination, .msg_iov = &part, .msg_iovlen = 1,
            .msg_control = control, .msg_controllen = sizeof control};
        ssize_t count = recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (count < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN ? 0 : -errno;
        }
        for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
            int isIPv4 = header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR;
            int isIPv6 = header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR;
            if (!isIPv4 && !isIPv6) continue;
            struct sock_extended_err what;
            if (header->cmsg_len < CMSG_LEN(sizeof what)) continue;
            memcpy(&what, CMSG_DATA(header), sizeof what);
            if (what.ee_origin != SO_EE_ORIGIN_ICMP && what.ee_origin != SO_EE_ORIGIN_ICMP6) continue;
            error->error = (int32_t)what.ee_errno;
            error->is_icmpv6 = what.ee_origin == SO_EE_ORIGIN_ICMP6;
            error->type = what.ee_type;
            error->code = what.ee_code;
            error->count = (uint32_t)count;
            // Behind it the kernel puts who sent the error; of no family when it does not know.
            size_t length = header->cmsg_len - CMSG_LEN(sizeof what);
            if (length > sizeof error->reporter) length = sizeof error->reporter;
            memcpy(&error->reporter, CMSG_DATA(header) + sizeof what, length);
            return 1;
        }
    }
}

uint64_t curing_thread_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void curing_return_large_memory(int octets) {
    // Set, it stays: left alone, glibc raises it to 32 MiB by and by, and what a grown table leaves behind stays with the process.
    mallopt(M_MMAP_THRESHOLD, octets);
}

void curing_return_free_memory(void) { malloc_trim(0); }
