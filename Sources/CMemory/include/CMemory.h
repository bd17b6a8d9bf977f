// What Swift's Glibc lacks of the allocator.
#ifndef CMEMORY_H
#define CMEMORY_H

#include <stddef.h>

/// How many octets the allocation at `start` has room for.
size_t cmemory_size(void *start);

/// Free memory at the end of the heap stays with the process up to so many octets.
void cmemory_keep_free(int octets);

/// Octets that the allocator has given out, over all its arenas.
size_t cmemory_allocated(void);

/// Has the kernel give all whole pages of this memory now; their content stays. Where it can't (no memory, before Linux 5.14),
/// they come when they are written to, as ever.
void cmemory_populate(void *start, size_t octets);

#endif
