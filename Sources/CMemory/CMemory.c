#define _GNU_SOURCE
#include "CMemory.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

size_t cmemory_size(void *start) { return malloc_usable_size(start); }

void cmemory_keep_free(int octets) { mallopt(M_TRIM_THRESHOLD, octets); }

size_t cmemory_allocated(void) {
    struct mallinfo2 information = mallinfo2();
    return information.uordblks + information.hblkhd;
}

void cmemory_populate(void *start, size_t octets) {
    uintptr_t page = sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)start + page - 1) & ~(page - 1);
    uintptr_t last = ((uintptr_t)start + octets) & ~(page - 1);
    if (first < last) madvise((void *)first, last - first, MADV_POPULATE_WRITE);
}
