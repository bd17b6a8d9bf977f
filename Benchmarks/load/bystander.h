// Somebody else on the server's core, who takes what the server leaves and notes what it does not get.
#pragma once
#include <stdint.h>

/// A process of the idle class that reads the clock without end. A reading that comes late tells how long it was kept
/// from the core: by the server, by interrupts and softirqs, and on a virtual machine by what it takes the host to deliver
/// an interrupt.
struct bystander;

/// Starts one on `core`. Ends the program when it cannot.
struct bystander *startBystander(unsigned core);

/// For how long it was kept from the core since it started, in nanoseconds.
uint64_t timeKeptFrom(const struct bystander *bystander);

void endBystander(struct bystander *bystander);
