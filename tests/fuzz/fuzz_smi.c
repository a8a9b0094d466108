// What nvidia-smi prints: headers and rows, and names of MIG slices.
#include "fuzz.h"

#include <assert.h>

#include "input/smi_csv.h"
#include "model/mig.h"

static void check_row(const struct smi_row *row)
{
    const struct gpu_sample *s = &row->sample;
    assert(s->has != 0);
    assert(s->gpu.index >= 0 && s->gpu.index <= RECORD_GPU_INDEX_MAX);
    assert(s->gpu.instance == GPU_INSTANCE_NONE);
    assert(s->utilization >= 0 && s->utilization <= 1);
    assert(s->mem_used_mb >= 0 && s->mem_total_mb >= 0 && s->power_w >= 0);
    assert(s->temperature_c >= 0 && s->sm_clock_mhz >= 0);
    assert(!str_present(s->name) || s->name.n > 0);
    assert(!row->has_ts || (row->local_ts >= 0 && row->local_ts < INT64_MAX));
}

static void rows(struct str text)
{
    struct smi_layout layout = {0}, found;
    struct arena a = {0};
    for (struct str line; str_split(&text, '\n', &line);) {
        struct smi_row row;
        struct error err = {0};
        if (smi_recognise(line, &found)) {
            layout = found;
        } else if (layout.n == 0) {
            continue;
        } else if (smi_parse(&layout, line, &a, &row, &err) == 0) {
            check_row(&row);
        } else {
            assert(err.code < 0 && err.msg[0] != '\0');
        }
    }
    arena_done(&a);
}

static void slice(struct str name)
{
    struct str gpu, profile;
    if (mig_split(name, &gpu, &profile)) {
        assert(gpu.n > 0 && profile.n > 0 && gpu.n + profile.n < name.n);
        assert(profile.p + profile.n == name.p + name.n);
        assert(mig_profile_slices(profile) < 100);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    rows(text);
    slice(text);
    return 0;
}
