// The two records that everything is computed from (cost-model.md, "Records"), as they are after
// decoding and before any store or engine has seen them. Plain data: strings and arrays are
// borrowed from the batch's arena. Absent measurements carry no validity bit and are never zero.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

// Bounds on what an outsider can send. Longer is a bad record, never a truncated one.
enum {
    RECORD_BYTES_MAX = 1 << 20, // one record on the wire
    RECORD_TEXT_MAX = 512,      // any one string field
    RECORD_GPUS_MAX = 128,      // GPUs of one request
    RECORD_GPU_INDEX_MAX = 65535,
    RECORD_GPU_INSTANCE_MAX = 65535,
};
#define RECORD_TOKENS_MAX INT64_C(1000000000)      // of one kind in one record: 10^9
#define RECORD_PRICE_MAX INT64_C(1000000000000000) // nano-USD per hour: 10^6 USD/h
// ns. Each window that a request runs in has rows for it: 10,080 of a minute in seven days.
#define RECORD_LATENCY_MAX (INT64_C(7) * 86400 * 1000000000)

enum { GPU_INSTANCE_NONE = -1 };

// One GPU: a MIG slice has an instance number and is a GPU of its own.
struct gpu_key {
    struct str host;
    int32_t index;
    int32_t instance; // GPU_INSTANCE_NONE for a whole GPU
};

// Canonical order of GPUs: host bytes, index, instance. <0, 0, >0.
int gpu_key_cmp(const struct gpu_key *a, const struct gpu_key *b);

enum {
    SAMPLE_UTILIZATION = 1 << 0,
    SAMPLE_MEM_USED = 1 << 1,
    SAMPLE_MEM_TOTAL = 1 << 2,
    SAMPLE_POWER = 1 << 3,
    SAMPLE_TEMPERATURE = 1 << 4,
    SAMPLE_SM_CLOCK = 1 << 5,
    SAMPLE_ENERGY = 1 << 6,
    SAMPLE_PRICE = 1 << 7,
};

// gpu.metrics.v1: at `ts`, this GPU was in this state.
struct gpu_sample {
    int64_t ts; // ns since the epoch, event time
    struct gpu_key gpu;
    uint32_t has;       // SAMPLE_*
    double utilization; // 0..1
    double mem_used_mb; // MB as the source counts them
    double mem_total_mb;
    double power_w;
    double temperature_c;
    double sm_clock_mhz;
    int64_t energy_mj;                                // millijoules since the driver was loaded
    int64_t price_nusd_hour;                          // nano-USD per hour
    struct str name, uuid, mig_profile, source, site; // absent when not stated
};

enum {
    USAGE_TTFT = 1 << 0,
    USAGE_CACHED = 1 << 1,
    USAGE_REQUESTS = 1 << 2,
};

// token.usage.v1: one request, or one scrape interval of a server's counters. It occupies
// [start, end): see usage_start() and usage_first().
struct usage_record {
    int64_t ts;         // ns, its end
    int64_t latency_ns; // as stated; less than 1 ms counts as 1 ms
    int64_t ttft_ns;    // valid with USAGE_TTFT; <= latency
    uint32_t has;       // USAGE_*
    int64_t prompt_tokens, completion_tokens;
    int64_t cached_prompt_tokens; // 0 unless USAGE_CACHED; <= prompt_tokens
    int64_t requests;             // 1 unless USAGE_REQUESTS
    struct str model;             // never absent
    struct str tenant, host, request_id, site;
    const int32_t *gpus; // indices on host: sorted, distinct; NULL when none was named
    uint32_t n_gpus;
    int32_t gpu_instance; // GPU_INSTANCE_NONE, or the slice of the one GPU named
};

#define USAGE_MIN_NS INT64_C(1000000)

// start = ts - max(latency, 1 ms); scheduling time, not arrival.
static inline int64_t usage_start(const struct usage_record *u)
{
    return u->ts - (u->latency_ns < USAGE_MIN_NS ? USAGE_MIN_NS : u->latency_ns);
}

// The first token's instant, start + ttft clamped to ts; only with USAGE_TTFT.
static inline int64_t usage_first(const struct usage_record *u)
{
    int64_t first = usage_start(u) + u->ttft_ns;
    return first < u->ts ? first : u->ts;
}

// False: it names no host or no GPU, so no GPU's time can pay for it. Kept, cost null, counted.
static inline bool usage_placed(const struct usage_record *u)
{
    return str_present(u->host) && u->n_gpus > 0;
}

enum record_kind { RECORD_SAMPLE, RECORD_USAGE };

struct record {
    enum record_kind kind;
    uint32_t shard;      // which engine instance it belongs to (record_shard)
    struct str event_id; // the producer's, else made from its origin by the input; never absent
    struct str extra;    // unknown fields as a JSON object's inside ("a":1,"b":[2]), or absent
    uint64_t digest;     // of all that was said: equal id and digest = a duplicate
    int64_t seq;         // given by the store: > 0, grows with arrival, unique within its kind
    int64_t position;    // its number in its input, from 1
    union {
        struct gpu_sample sample;
        struct usage_record usage;
    };
};

static inline int64_t record_ts(const struct record *r)
{
    return r->kind == RECORD_SAMPLE ? r->sample.ts : r->usage.ts;
}

// Host of the record, absent for a usage record without one.
struct str record_host(const struct record *r);

// The shard of a host among n: a stable hash, 0 for an absent host.
uint32_t record_shard(struct str host, uint32_t n_shards);

// Digest over every field but event_id, seq, shard and position, so that equal means "says the
// same". extra counts byte for byte.
uint64_t record_digest(const struct record *r);

// A record refused: whole, with the reason and where it came from.
struct dead_letter {
    int64_t at;         // ns, wall time of the refusal
    struct str origin;  // the input's name; kafka:TOPIC/PARTITION/OFFSET; event_id:ID
    int64_t position;   // record number in that input, from 1; the offset; 0
    struct str reason;  // "tokens: negative", "conflict: ...": a short sentence
    struct str payload; // as received, cut at RECORD_BYTES_MAX
};
