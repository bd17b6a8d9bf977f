// How long a core had nothing to do: the rest of the time is what everything on it cost, interrupts and softirqs included.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// The time that a core has been idle since the host started, waiting for input or output included, in nanoseconds. The
/// kernel adds to it when the core leaves idleness (`tick_sched`), so a stretch that lasts at present is not in it.
///
/// - Returns: false when the kernel does not say: /proc/timer_list is root's, and not in every kernel.
bool readIdle(unsigned core, uint64_t *idle);
