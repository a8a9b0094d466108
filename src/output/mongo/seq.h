// The numbers that the store gives to records. Internal to src/output/mongo.
#pragma once

#include <stdint.h>

// record.seq: shard | epoch | counter. It grows within a shard whoever owns it.
enum { MG_COUNTER_BITS = 31, MG_EPOCH_BITS = 20 };
#define MG_COUNTER_MAX ((INT64_C(1) << MG_COUNTER_BITS) - 1)
#define MG_EPOCH_MAX ((INT64_C(1) << MG_EPOCH_BITS) - 1)

static inline int64_t mg_first_seq(uint32_t shard, int64_t epoch)
{
    return (int64_t)shard << (MG_EPOCH_BITS + MG_COUNTER_BITS) | epoch << MG_COUNTER_BITS;
}
static inline uint32_t mg_seq_shard(int64_t seq)
{
    return (uint32_t)(seq >> (MG_EPOCH_BITS + MG_COUNTER_BITS));
}
