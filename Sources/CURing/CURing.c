#define _GNU_SOURCE
#include "CURing.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
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
