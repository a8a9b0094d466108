// gpu: which source it takes, and that it says so.
#include <errno.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "harness.h"

static struct harness h;
static struct input *in;

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    harness_write(&h, "nvidia-smi", STR("#!/bin/sh\nexit 1\n"));
    assert_int_equal(chmod(harness_path(&h, "nvidia-smi"), 0700), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    input_close(in);
    in = NULL;
    harness_done(&h);
    return 0;
}

static void test_choice(void **state)
{
    (void)state;
    const char *folder = getenv("GTAP_FAKE_NVML");
    assert_non_null(folder);
    AUTO_FREE char *lib = x_asprintf("%s/libfake_nvml_new.so", folder);
    AUTO_FREE char *broken = x_asprintf("%s/libfake_nvml_broken.so", folder);
    AUTO_FREE char *path = x_asprintf("/nonexistent::%s", h.dir);
    AUTO_FREE char *program = x_asprintf("gpu:?path=%s/nvidia-smi&lib=/nonexistent", h.dir);
    const struct {
        const char *uri, *source, *lib, *path;
        const char *scheme, *about; // scheme NULL: refused, with a message that has `about` in it
    } rows[] = {
        {"gpu:", NULL, lib, path, "nvml", "; nvml: NVML is there"},
        {"gpu:", "", lib, "/nonexistent", "nvml", "; nvml: NVML is there"},
        {"gpu:", NULL, "/nonexistent", path, "nvidia-smi", "; nvidia-smi: the program is there"},
        {"gpu:", NULL, broken, path, "nvidia-smi", "; nvidia-smi: the program is there"},
        {program, NULL, lib, NULL, "nvidia-smi", "; nvidia-smi: the program is there"},
        {"gpu:", "nvidia-smi", lib, path, "nvidia-smi", "; nvidia-smi: GPU_METRICS_SOURCE"},
        {"gpu:", "nvml", "/nonexistent", path, "nvml", "; nvml: GPU_METRICS_SOURCE says so"},
        {"gpu:", "seed", lib, path, "seed", "; seed: GPU_METRICS_SOURCE says so"},
        {"gpu:?host=h&every=2s", "seed", lib, path, "seed", "2 GPUs built in, simulated; seed:"},
        {"gpu:", NULL, "/nonexistent", "/nonexistent", NULL, "GPU_METRICS_SOURCE=seed"},
        {"gpu:", NULL, "/nonexistent", NULL, NULL, "name it by lib= or path="},
        {"gpu:", "rocm", lib, path, NULL, "must be nvml, nvidia-smi or seed, not 'rocm'"},
        {"gpu:?price=2", "seed", lib, path, NULL, "chosen seed: (GPU_METRICS_SOURCE says so)"},
        {"gpu:?tz=UTC", NULL, lib, path, NULL, "tz"},
        {"gpu:0", NULL, lib, path, NULL, "takes no path"},
        {"gpu:?every=1h", NULL, lib, path, NULL, "every="},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const vars[] = {"GTAP_NVML_LIBRARY",
                                    rows[i].lib,
                                    "GPU_METRICS_SOURCE",
                                    rows[i].source ? rows[i].source : "",
                                    "PATH",
                                    rows[i].path ? rows[i].path : "",
                                    NULL};
        struct error err = {0};
        harness_set_vars(&h, vars);
        in = NULL;
        int r = harness_try(&h, rows[i].uri, &in, &err);
        const char *said = r < 0 ? err.msg : input_info(in)->about;
        bool right = rows[i].scheme ? r == 0 && strcmp(in->driver->scheme, rows[i].scheme) == 0
                                    : r == -EINVAL || r == -ENODEV;
        if (!right || strstr(said, rows[i].about) == NULL) {
            fail_msg("row %zu: %d, %s", i, r, said);
        }
        if (r == 0) {
            assert_string_equal(input_info(in)->name, rows[i].uri);
        }
        input_close(in);
    }
    in = NULL;
}

// The chosen source works as if it had been named itself.
static void test_it_delivers(void **state)
{
    (void)state;
    AUTO_FREE char *uri =
        x_asprintf("gpu:?lib=%s/libfake_nvml_new.so&host=h&price=2", getenv("GTAP_FAKE_NVML"));
    struct batch b;
    struct error err = {0};
    struct input_health health;
    batch_init(&b);
    in = harness_open(&h, "%s", uri);
    assert_int_equal(input_next(in, &b, &err), INPUT_MORE);
    assert_int_equal(b.n_records, 1);
    assert_str(b.records[0].sample.source, "nvml");
    assert_i64(b.records[0].sample.price_nusd_hour, 2 * INT64_C(1000000000));
    input_health(in, &health);
    assert_true(health.ok);
    batch_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST_WITH(test_choice, setup, teardown),
                    TEST_WITH(test_it_delivers, setup, teardown));
}
