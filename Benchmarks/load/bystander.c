#define _GNU_SOURCE
#include "bystander.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// Two readings of the clock lie some 30 ns apart; no interrupt is over in less than this.
static const uint64_t shortestAbsence = 300;

struct bystander {
    pid_t process;
    uint64_t lost;  // nanoseconds, all absences
    uint64_t last;  // reading of the clock
};

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void standBy(struct bystander *bystander, unsigned core) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cpu_set_t *cores = CPU_ALLOC(core + 1);
    size_t size = CPU_ALLOC_SIZE(core + 1);
    if (!cores) fail("CPU_ALLOC");
    CPU_ZERO_S(size, cores);
    CPU_SET_S(core, size, cores);
    if (sched_setaffinity(0, size, cores) < 0) fail("sched_setaffinity");
    if (sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}) < 0) fail("sched_setscheduler");
    for (uint64_t last = now();;) {
        uint64_t time = now();
        if (time - last >= shortestAbsence)
            __atomic_store_n(&bystander->lost, bystander->lost + (time - last), __ATOMIC_RELAXED);
        last = time;
        __atomic_store_n(&bystander->last, last, __ATOMIC_RELEASE);
    }
}

struct bystander *startBystander(unsigned core) {
    struct bystander *bystander =
        mmap(NULL, sizeof *bystander, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (bystander == MAP_FAILED) fail("mmap");
    pid_t process = fork();
    if (process < 0) fail("fork");
    if (process == 0) standBy(bystander, core);
    bystander->process = process;
    return bystander;
}

uint64_t timeKeptFrom(const struct bystander *bystander) {
    uint64_t last = __atomic_load_n(&bystander->last, __ATOMIC_ACQUIRE), time = now();
    uint64_t lost = __atomic_load_n(&bystander->lost, __ATOMIC_RELAXED);
    // It may be away at present.
    return time > last + shortestAbsence ? lost + (time - last) : lost;
}

void endBystander(struct bystander *bystander) {
    kill(bystander->process, SIGKILL);
    waitpid(bystander->process, NULL, 0);
    munmap(bystander, sizeof *bystander);
}
