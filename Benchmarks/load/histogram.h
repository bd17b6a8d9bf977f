// A log-linear histogram of nanoseconds: 64 steps per power of two, so any percentile is right to 1.6 %.
#pragma once
#include <stdint.h>

enum { stepBits = 6, stepsPerOctave = 1 << stepBits, octaves = 36, bucketCount = octaves * stepsPerOctave };

struct histogram {
    uint64_t count;
    uint64_t largest;
    uint64_t buckets[bucketCount];
};

static inline unsigned bucketOf(uint64_t value) {
    if (value < stepsPerOctave) return value;
    unsigned octave = 63 - __builtin_clzll(value) - stepBits + 1;
    unsigned bucket = octave * stepsPerOctave + ((value >> (octave - 1)) & (stepsPerOctave - 1));
    return bucket < bucketCount ? bucket : bucketCount - 1;
}

static inline void record(struct histogram *histogram, uint64_t value) {
    histogram->count++;
    if (value > histogram->largest) histogram->largest = value;
    histogram->buckets[bucketOf(value)]++;
}

/// The upper edge of the bucket that holds the given fraction of all values; 0 when there are none.
static inline uint64_t percentile(const struct histogram *histogram, double fraction) {
    uint64_t wanted = (uint64_t)(fraction * histogram->count);
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < bucketCount; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen <= wanted) continue;
        unsigned octave = bucket >> stepBits;
        if (octave == 0) return bucket;
        uint64_t edge = ((uint64_t)(bucket & (stepsPerOctave - 1)) + stepsPerOctave + 1) << (octave - 1);
        return edge < histogram->largest ? edge : histogram->largest;
    }
    return histogram->largest;
}
