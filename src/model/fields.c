#include "model/fields.h"

#include <assert.h>
#include <float.h>

#include "base/time.h"

#define AT_SAMPLE(member) [RECORD_SAMPLE] = offsetof(struct record, sample.member)
#define AT_USAGE(member) [RECORD_USAGE] = offsetof(struct record, usage.member)
#define IN_SAMPLE(member) .at = {AT_SAMPLE(member)}
#define IN_USAGE(member) .at = {AT_USAGE(member)}
#define IN_BOTH(sample, usage) .at = {AT_SAMPLE(sample), AT_USAGE(usage)}
#define IN_ANY(member) .at = {offsetof(struct record, member), offsetof(struct record, member)}

#define SAMPLE FIELD_OF(RECORD_SAMPLE)
#define USAGE FIELD_OF(RECORD_USAGE)

// In the order in which they are written.
const struct field record_fields[] = {
    {"ts", FIELD_TIME, 1, IN_BOTH(ts, ts), .required = SAMPLE | USAGE, .scale = 9,
     .most.i = TIME_MAX - 1, .help = "event time; of a request, its end"},
    {"host", FIELD_TEXT, 2, IN_BOTH(gpu.host, host), .required = SAMPLE, .filled = true,
     .help = "the machine that holds the GPUs; usage without one cannot be placed on a GPU"},
    {"gpu_index", FIELD_GPU, 3, IN_BOTH(gpu.index, gpus), .required = SAMPLE,
     .most.i = RECORD_GPU_INDEX_MAX, .help = "number of the GPU on its host"},
    {"gpu_indices", FIELD_GPUS, 3, IN_USAGE(gpus), .most.i = RECORD_GPU_INDEX_MAX,
     .help = "the GPUs that served the request together, instead of gpu_index"},
    {"gpu_instance", FIELD_INSTANCE, 4, IN_BOTH(gpu.instance, gpu_instance),
     .most.i = RECORD_GPU_INSTANCE_MAX,
     .help = "MIG slice of that GPU; a slice is a GPU of its own"},

    {"name", FIELD_TEXT, 5, IN_SAMPLE(name), .help = "product name, as the driver spells it"},
    {"uuid", FIELD_TEXT, 6, IN_SAMPLE(uuid), .help = "identity of the board or slice"},
    {"utilization", FIELD_REAL, 7, IN_SAMPLE(utilization), .has = SAMPLE_UTILIZATION, .tells = true,
     .most.d = 1, .unit = "fraction",
     .help = "share of the last sampling period in which a kernel ran"},
    {"mem_used_mb", FIELD_REAL, 8, IN_SAMPLE(mem_used_mb), .has = SAMPLE_MEM_USED, .tells = true,
     .most.d = DBL_MAX, .unit = "MB", .help = "memory in use, in the source's megabytes"},
    {"mem_total_mb", FIELD_REAL, 9, IN_SAMPLE(mem_total_mb), .has = SAMPLE_MEM_TOTAL, .tells = true,
     .most.d = DBL_MAX, .unit = "MB", .help = "memory of the GPU, in the source's megabytes"},
    {"power_w", FIELD_REAL, 10, IN_SAMPLE(power_w), .has = SAMPLE_POWER, .tells = true,
     .most.d = DBL_MAX, .unit = "W", .help = "power drawn"},
    {"temperature_c", FIELD_REAL, 11, IN_SAMPLE(temperature_c), .has = SAMPLE_TEMPERATURE,
     .tells = true, .most.d = DBL_MAX, .unit = "degree Celsius", .help = "core temperature"},
    {"sm_clock_mhz", FIELD_REAL, 12, IN_SAMPLE(sm_clock_mhz), .has = SAMPLE_SM_CLOCK, .tells = true,
     .most.d = DBL_MAX, .unit = "MHz", .help = "clock of the multiprocessors"},
    {"energy_mj", FIELD_COUNT, 13, IN_SAMPLE(energy_mj), .has = SAMPLE_ENERGY, .tells = true,
     .most.i = INT64_MAX, .unit = "mJ", .help = "energy drawn since the driver was loaded"},
    {"mig_profile", FIELD_TEXT, 14, IN_SAMPLE(mig_profile),
     .help = "profile of a slice, as 1g.10gb"},
    {"price_per_hour_usd", FIELD_DECIMAL, 15, IN_SAMPLE(price_nusd_hour), .has = SAMPLE_PRICE,
     .scale = 9, .most.i = RECORD_PRICE_MAX, .unit = "USD/h",
     .help = "what this GPU costs; stated here, it wins over the price book"},
    {"source", FIELD_TEXT, 16, IN_SAMPLE(source), .help = "what measured it: nvml, dcgm, seed"},

    {"model", FIELD_TEXT, 17, IN_USAGE(model), .required = USAGE, .filled = true,
     .help = "the model that answered"},
    {"tenant", FIELD_TEXT, 18, IN_USAGE(tenant), .help = "who asked"},
    {"request_id", FIELD_TEXT, 19, IN_USAGE(request_id),
     .help = "the server's name of the request"},
    {"prompt_tokens", FIELD_COUNT, 20, IN_USAGE(prompt_tokens), .required = USAGE, .tells = true,
     .most.i = RECORD_TOKENS_MAX, .unit = "token", .help = "tokens read, cached ones among them"},
    {"cached_prompt_tokens", FIELD_COUNT, 21, IN_USAGE(cached_prompt_tokens), .has = USAGE_CACHED,
     .tells = true, .most.i = RECORD_TOKENS_MAX, .unit = "token",
     .help = "prompt tokens whose prefill was taken from a cache; no more than prompt_tokens"},
    {"completion_tokens", FIELD_COUNT, 22, IN_USAGE(completion_tokens), .required = USAGE,
     .tells = true, .most.i = RECORD_TOKENS_MAX, .unit = "token", .help = "tokens written"},
    {"latency_ms", FIELD_DECIMAL, 23, IN_USAGE(latency_ns), .required = USAGE, .tells = true,
     .scale = 6, .most.i = RECORD_LATENCY_MAX, .unit = "ms",
     .help = "from scheduling to ts; less than 1 ms counts as 1 ms"},
    {"ttft_ms", FIELD_DECIMAL, 24, IN_USAGE(ttft_ns), .has = USAGE_TTFT, .tells = true, .scale = 6,
     .most.i = RECORD_LATENCY_MAX, .unit = "ms",
     .help = "from scheduling to the first token; no more than latency_ms"},
    {"requests", FIELD_COUNT, 25, IN_USAGE(requests), .has = USAGE_REQUESTS,
     .most.i = RECORD_TOKENS_MAX, .unit = "request",
     .help = "how many requests an interval record stands for; one, if absent"},

    {"site", FIELD_TEXT, 26, IN_BOTH(site, site), .help = "where the host stands"},
    {"event_id", FIELD_TEXT, 0, IN_ANY(event_id), .filled = true,
     .help = "identity of the record: of several with one id, the first counts"},
};

const size_t n_record_fields = ARRAY_LEN(record_fields);
_Static_assert(ARRAY_LEN(record_fields) <= FIELDS_MAX, "a set of fields is a uint64_t");

void record_clear(struct record *r, enum record_kind kind)
{
    *r = (struct record){.kind = kind};
    if (kind == RECORD_SAMPLE) {
        r->sample.gpu.instance = GPU_INSTANCE_NONE;
    } else {
        r->usage.gpu_instance = GPU_INSTANCE_NONE;
        r->usage.requests = 1;
    }
}

static const void *member(const struct field *f, const struct record *r)
{
    return (const char *)r + f->at[r->kind];
}

static uint32_t has_bits(const struct record *r)
{
    return r->kind == RECORD_SAMPLE ? r->sample.has : r->usage.has;
}

static bool load_gpu(const struct field *f, const struct record *r, int64_t *ret)
{
    if (r->kind == RECORD_SAMPLE) {
        *ret = *(const int32_t *)member(f, r);
        return true;
    }
    if (r->usage.n_gpus != 1) {
        return false;
    }
    *ret = r->usage.gpus[0];
    return true;
}

bool field_load(const struct field *f, const struct record *r, union field_value *ret)
{
    if (!field_of(f, r->kind) || (f->has && !(has_bits(r) & f->has))) {
        return false;
    }
    switch (f->type) {
    case FIELD_TIME:
    case FIELD_COUNT:
    case FIELD_DECIMAL:
        ret->i = *(const int64_t *)member(f, r);
        return true;
    case FIELD_REAL:
        ret->d = *(const double *)member(f, r) + 0.0; // -0 and 0 say the same
        return true;
    case FIELD_TEXT:
        ret->s = *(const struct str *)member(f, r);
        return str_present(ret->s);
    case FIELD_GPU:
        return load_gpu(f, r, &ret->i);
    case FIELD_GPUS:
        ret->gpus = (struct gpu_list){r->usage.gpus, r->usage.n_gpus};
        return ret->gpus.n > 1;
    case FIELD_INSTANCE:
        ret->i = *(const int32_t *)member(f, r);
        return ret->i != GPU_INSTANCE_NONE;
    }
    return false;
}

static void store_gpus(struct usage_record *u, struct gpu_list gpus)
{
    u->gpus = gpus.v;
    u->n_gpus = gpus.n;
}

static void store_gpu(struct record *r, int32_t index, struct arena *a)
{
    if (r->kind == RECORD_SAMPLE) {
        r->sample.gpu.index = index;
        return;
    }
    int32_t *one = arena_alloc(a, sizeof(*one));
    *one = index;
    store_gpus(&r->usage, (struct gpu_list){one, 1});
}

void field_store(const struct field *f, struct record *r, union field_value v, struct arena *a)
{
    assert(field_of(f, r->kind));
    void *at = (char *)r + f->at[r->kind];
    *(r->kind == RECORD_SAMPLE ? &r->sample.has : &r->usage.has) |= f->has;
    switch (f->type) {
    case FIELD_TIME:
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_REAL:
        memcpy(at, &v, sizeof(int64_t));
        break;
    case FIELD_TEXT:
        *(struct str *)at = v.s;
        break;
    case FIELD_GPU:
        store_gpu(r, (int32_t)v.i, a);
        break;
    case FIELD_GPUS:
        store_gpus(&r->usage, v.gpus);
        break;
    case FIELD_INSTANCE:
        *(int32_t *)at = (int32_t)v.i;
        break;
    }
}
