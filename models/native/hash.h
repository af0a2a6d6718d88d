/* The hashes of models.hashing, and what open addressing asks of a table. */

#ifndef AJIL_HASH_H
#define AJIL_HASH_H

#include "text.h"

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)0)
#endif

static const uint64_t BASE = 0x9E3779B97F4A7C15u;

INLINE uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

INLINE uint64_t hash_of(const uint32_t *letters, size_t length) {
    uint64_t sum = 0, place = 1;
    for (size_t i = 0; i < length; i++, place *= BASE) sum += (letters[i] + (uint64_t)1) * place;
    return mix(sum);
}

INLINE int is_power_of_two(size_t n) { return n > 0 && n <= (size_t)1 << 31 && (n & (n - 1)) == 0; }

#endif
