// Pages of DCGM exporters: GPUs come in order, once each, with values that a record may have.
#include "fuzz.h"

#include <assert.h>

#include "input/dcgm_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    const struct dcgm_config config = {.host = STR("h"), .price_nusd = RECORD_PRICE_MAX};
    struct arena arena = {0};
    struct dcgm_page page;
    dcgm_page_read(text, &config, &arena, &page);
    assert(page.n <= DCGM_GPUS_MAX && page.bad <= size);
    for (size_t i = 0; i < page.n; i++) {
        const struct gpu_sample *s = &page.gpus[i];
        assert(i == 0 || gpu_key_cmp(&page.gpus[i - 1].gpu, &s->gpu) < 0);
        assert(s->gpu.index >= 0 && s->gpu.index <= RECORD_GPU_INDEX_MAX);
        assert(s->utilization >= 0 && s->utilization <= 1);
        assert(s->power_w >= 0 && s->mem_used_mb >= 0 && s->mem_total_mb >= 0);
        assert(s->energy_mj >= 0);
        assert(s->price_nusd_hour >= 0 && s->price_nusd_hour <= RECORD_PRICE_MAX);
    }
    arena_done(&arena);
    return 0;
}
