#include "input/hardware.h"

#include <errno.h>
#include <strings.h>

#include "base/decimal.h"

// Dense BF16 TFLOPS, bandwidth and clocks are the vendor's data sheets'; memory is what the driver
// reports, and power as measured on real boards.
static const struct gpu_class gpu_classes[] = {
    {"h100", "NVIDIA H100 80GB HBM3", 81559, 989, 3350, 70000, 700000, 345, 1980, true},
    {"h200", "NVIDIA H200", 143771, 989, 4800, 75000, 700000, 345, 1980, true},
    {"b200", "NVIDIA B200", 183359, 2250, 8000, 196000, 1000000, 120, 1965, true},
    {"a100", "NVIDIA A100-SXM4-80GB", 81920, 312, 2039, 58000, 400000, 210, 1410, false},
    {"a100-40", "NVIDIA A100-SXM4-40GB", 40960, 312, 1555, 50000, 400000, 210, 1410, false},
    {"l40s", "NVIDIA L40S", 46068, 362, 864, 35000, 350000, 210, 2520, true},
    {"a10g", "NVIDIA A10G", 23028, 70, 600, 16000, 300000, 210, 1710, false},
    {"l4", "NVIDIA L4", 23034, 121, 300, 16000, 72000, 210, 2040, true},
    {"t4", "Tesla T4", 15360, 65, 320, 10000, 70000, 300, 1590, false},
    {"rtx3090", "NVIDIA GeForce RTX 3090", 24576, 71, 936, 25000, 350000, 210, 1860, false},
    {"rtx4090", "NVIDIA GeForce RTX 4090", 24564, 165, 1008, 22000, 450000, 210, 2520, true},
};

const struct gpu_class *const gpu_class_default = &gpu_classes[0];

static const struct model_class model_classes[] = {
    {"llama-3-70b", 70600, 70600, 8, 327680, 2, 1400, 260},
    {"qwen3-30b", 30500, 3300, 16, 98304, 1, 1800, 320},
    {"llama-3-8b", 8030, 8030, 16, 131072, 1, 900, 180},
    {"mistral-small-24b", 23600, 23600, 16, 163840, 1, 1200, 220},
    {"qwen3-32b", 32800, 32800, 16, 262144, 1, 1500, 400},
    {"gpt-oss-120b", 116800, 5100, 4, 73728, 1, 1600, 420},
    {"gemma-3-27b", 27400, 27400, 16, 203000, 1, 1100, 240},
    {"llama-3-405b", 405900, 405900, 8, 516096, 8, 1400, 260},
};

enum {
    MODEL_DEFAULT = 2,
    MFU_PERCENT = 45,         // of the arithmetic peak reached by prefill
    MFU_EXPERTS_PERCENT = 20, // by a mixture of experts
    BANDWIDTH_PERCENT = 75,   // of the memory bandwidth reached by decode
    MEMORY_PERCENT = 90,      // of the memory that a server takes
    CONTEXT_TYPICAL = 2048,   // tokens of cache read for one token decoded
    SPLIT_PERCENT = 115,      // time of a split prefill, against one that splits perfectly
    KV_TOKENS_MIN = 4096,     // fewer make no useful server
    BATCH_MAX = 256,          // vLLM's max_num_seqs
    STEP_TOKENS = 8192,       // and max_num_batched_tokens
    PARAMS_MAX_B = 2000,
};
#define STEP_OVERHEAD_NS INT64_C(2500000)  // scheduling, launching, sampling
#define SPLIT_OVERHEAD_NS INT64_C(1500000) // all-reduces of one step

const struct gpu_class *gpu_class_find(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(gpu_classes); i++) {
        const char *name = gpu_classes[i].key;
        if (strlen(name) == key.n && strncasecmp(name, key.p, key.n) == 0) {
            return &gpu_classes[i];
        }
    }
    return NULL;
}

const char *gpu_class_list(void)
{
    return "h100, h200, b200, a100, a100-40, l40s, a10g, l4, t4, rtx3090, rtx4090";
}

const struct model_class *model_class_at(size_t i)
{
    return i < ARRAY_LEN(model_classes) ? &model_classes[i] : NULL;
}

// The number before the last "b" of "name-70b-instruct", in millions; 0 when there is none.
static int64_t size_in_name(struct str name)
{
    for (size_t i = name.n; i > 1; i--) {
        size_t first = i - 1;
        while (first > 0 && ((name.p[first - 1] >= '0' && name.p[first - 1] <= '9') ||
                             name.p[first - 1] == '.')) {
            first--;
        }
        int64_t millions;
        struct str digits = {name.p + first, i - 1 - first};
        if ((name.p[i - 1] == 'b' || name.p[i - 1] == 'B') && digits.n > 0 &&
            decimal_parse(digits, 3, &millions) == 0 && millions > 0 &&
            millions <= PARAMS_MAX_B * INT64_C(1000)) {
            return millions;
        }
    }
    return 0;
}

void model_class_find(struct str name, struct model_class *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(model_classes); i++) {
        if (str_eq(name, str_of(model_classes[i].name))) {
            *ret = model_classes[i];
            return;
        }
    }
    *ret = model_classes[MODEL_DEFAULT];
    ret->name = NULL;
    int64_t millions = size_in_name(name);
    if (millions > 0) {
        ret->params_m = ret->active_m = millions;
        ret->bits = millions > 60000 ? 8 : 16;
        ret->kv_bytes = millions > 60000 ? 327680 : millions > 12000 ? 196608 : 131072;
        ret->tp = millions > 150000 ? 8 : millions > 60000 ? 2 : 1;
    }
}

static int64_t megabytes(int64_t params_m, int32_t bits)
{
    return params_m * bits / 8;
}

// Decode reads all weights of a dense model in every step. Of a mixture of experts a batch touches
// what every token needs and about a third of the rest.
static int64_t read_mb(const struct model_class *m)
{
    return megabytes(m->active_m + (m->params_m - m->active_m) / 3, m->bits);
}

// Multiply-adds for one token are twice the parameters.
static int64_t compute_ps(const struct model_class *m, const struct gpu_class *gpu)
{
    bool experts = m->active_m < m->params_m;
    int64_t tflops = gpu->tflops * (m->bits <= 8 && gpu->fp8 ? 2 : 1);
    int64_t percent = experts ? MFU_EXPERTS_PERCENT : MFU_PERCENT;
    return 2 * m->active_m * 1000000 * 100 / (tflops * percent);
}

static int64_t memory_ns(int64_t bytes, const struct gpu_class *gpu)
{
    return bytes * 100 / (gpu->bandwidth_gbs * BANDWIDTH_PERCENT); // GB/s are bytes per ns
}

int serve_speed_of(const struct model_class *m, struct str name, const struct gpu_class *gpu,
                   int32_t tp, struct serve_speed *ret, struct error *err)
{
    int64_t weights = megabytes(m->params_m, m->bits) * 1000000 / (1 << 20) / tp;
    int64_t kv_bytes = m->kv_bytes / tp;
    int64_t room_mb = gpu->memory_mb * MEMORY_PERCENT / 100 - weights;
    int64_t kv_tokens = room_mb * (1 << 20) / kv_bytes;
    if (kv_tokens < KV_TOKENS_MIN) {
        return error_set(err, -EINVAL,
                         "model '" STR_FMT "' (%lld GB) does not fit %d x %s (%lld GB each)",
                         STR_ARG(name), (long long)megabytes(m->params_m, m->bits) / 1000, tp,
                         gpu->name, (long long)gpu->memory_mb * (1 << 20) / 1000000000);
    }
    int64_t split = tp > 1 ? SPLIT_PERCENT : 100;
    int64_t token_ps = compute_ps(m, gpu) * split / 100 / tp;
    *ret = (struct serve_speed){
        .tp = tp,
        .step_ns = STEP_OVERHEAD_NS + (tp > 1 ? SPLIT_OVERHEAD_NS : 0) +
                   memory_ns(read_mb(m) * 1000000 / tp, gpu),
        .sequence_ns = token_ps / 1000 + memory_ns(CONTEXT_TYPICAL * kv_bytes, gpu),
        .prefill_ps = token_ps,
        .weights_mb = weights,
        .kv_bytes = kv_bytes,
        .kv_tokens = kv_tokens,
        .batch_max = BATCH_MAX,
        .step_tokens = STEP_TOKENS,
    };
    return 0;
}

int serve_speed_fit(const struct model_class *m, struct str name, const struct gpu_class *gpu,
                    int32_t most, struct serve_speed *ret, struct error *err)
{
    int32_t tp = MIN(m->tp, most);
    int r = serve_speed_of(m, name, gpu, tp, ret, err);
    while (r < 0 && tp <= most / 2) {
        tp *= 2;
        r = serve_speed_of(m, name, gpu, tp, ret, err);
    }
    return r;
}
