// How long a core had nothing to do: what is left of the time is what everything on it cost, interrupts and softirqs included.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// The time that a core has been idle since the host started, waiting for input or output included, in nanoseconds. The kernel
/// takes it down at each return to idle (`tick_sched`), so a stretch of idleness that lasts at present is not in it.
///
/// - Returns: false when the kernel does not say: /proc/timer_list is root's, and not in every kernel.
bool readIdle(unsigned core, uint64_t *idle);
