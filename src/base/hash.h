// 64-bit hashing of bytes, by XXH3 (libxxhash). The values are stored (digests), so the seed and
// the algorithm are part of the store's format. No defence against an adversary who wants
// collisions: whoever decides by a hash alone must be able to live with one in 2^64.
#pragma once

#include <stdint.h>

#include "base/str.h"

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed) GTAP_PURE;

// Absent and empty hash differently.
static inline uint64_t hash_str(struct str s, uint64_t seed)
{
    return hash_bytes(s.p, s.n, seed ^ (s.p ? 0x9e3779b97f4a7c15U : 0));
}
