// What has arrived of one stream: tells a new packet from a late one and from a copy.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { historyWords = 4, historyLength = 64 * historyWords };

enum arrival { inOrder, reordered, duplicate };

/// Bit `i` of `history` says whether packet `highest - i` has arrived.
struct arrivals {
    bool started;
    uint32_t highest;
    uint64_t history[historyWords];
};

static inline void advanceHistory(struct arrivals *arrivals, uint32_t steps) {
    if (steps >= historyLength) {
        memset(arrivals->history, 0, sizeof arrivals->history);
        return;
    }
    for (; steps >= 64; steps -= 64) {
        for (int i = historyWords - 1; i > 0; i--) arrivals->history[i] = arrivals->history[i - 1];
        arrivals->history[0] = 0;
    }
    if (steps == 0) return;
    for (int i = historyWords - 1; i > 0; i--)
        arrivals->history[i] = arrivals->history[i] << steps | arrivals->history[i - 1] >> (64 - steps);
    arrivals->history[0] <<= steps;
}

/// A packet older than the history counts as reordered: whether it is also a copy cannot be known any more.
static inline enum arrival noteArrival(struct arrivals *arrivals, uint32_t sequence) {
    if (!arrivals->started || sequence > arrivals->highest) {
        if (arrivals->started) advanceHistory(arrivals, sequence - arrivals->highest);
        arrivals->started = true;
        arrivals->highest = sequence;
        arrivals->history[0] |= 1;
        return inOrder;
    }
    uint32_t age = arrivals->highest - sequence;
    if (age >= historyLength) return reordered;
    uint64_t bit = 1ull << (age % 64);
    if (arrivals->history[age / 64] & bit) return duplicate;
    arrivals->history[age / 64] |= bit;
    return reordered;
}
