// Loading NVML: what libraries of several ages export (tests/support/fake_nvml.c).
#include "input/nvml_lib.h"

#include <errno.h>

#include "base/alloc.h"
#include "test.h"

static char *library(const char *kind)
{
    const char *folder = getenv("GTAP_FAKE_NVML");
    assert_non_null(folder);
    return x_asprintf("%s/libfake_nvml_%s.so", folder, kind);
}

static int open_kind(const char *kind, struct nvml_lib *ret, struct error *err)
{
    AUTO_FREE char *path = library(kind);
    return nvml_lib_open(path, ret, err);
}

static void test_all_symbols(void **state)
{
    (void)state;
    struct nvml_lib l;
    struct error err;
    assert_ok(open_kind("new", &l, &err), &err);
    void *const *p = (void *const *)&l;
    for (size_t i = 0; i < sizeof(l) / sizeof(*p); i++) {
        if (p[i] == NULL) {
            fail_msg("pointer %zu of struct nvml_lib was not found", i);
        }
    }
    nvml_lib_close(&l);
    assert_null(l.handle);
    nvml_lib_close(&l);
}

// Each function that is missing is the absence of what it would tell.
static void test_old_symbols(void **state)
{
    (void)state;
    struct nvml_lib l;
    struct error err;
    assert_ok(open_kind("old", &l, &err), &err);
    assert_true(l.init && l.count && l.by_index && l.name && l.uuid && l.utilization);
    assert_true(l.memory_v1 && l.power && l.temperature && l.clock);
    assert_true(!l.memory_v2 && !l.energy && !l.temperature_v && !l.mig_mode && !l.attributes);
    assert_true(l.init() == NVML_SUCCESS);
    assert_string_equal(nvml_code_words(&l, NVML_GPU_IS_LOST), "GPU is lost");
    assert_string_equal(nvml_code_words(&l, 12345), "unknown error");
    nvml_lib_close(&l);
}

static void test_the_least(void **state)
{
    (void)state;
    struct nvml_lib l;
    struct error err;
    assert_ok(open_kind("bare", &l, &err), &err);
    assert_true(l.init && l.count && l.by_index && l.power);
    assert_true(!l.shutdown && !l.name && !l.uuid && !l.utilization && !l.memory_v1 && !l.clock);
    nvml_lib_close(&l);
}

static void test_no_nvml(void **state)
{
    (void)state;
    struct nvml_lib l;
    struct error err = {0};
    assert_i64(open_kind("broken", &l, &err), -ENOSYS);
    assert_non_null(strstr(err.msg, "libfake_nvml_broken.so is no NVML that can be used: it lacks "
                                    "nvmlDeviceGetCount_v2"));
    assert_null(l.handle);
    assert_i64(nvml_lib_open("/nonexistent/libnvidia-ml.so.1", &l, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent/libnvidia-ml.so.1"));
    assert_null(l.handle);
}

static void test_codes(void **state)
{
    (void)state;
    static const struct {
        int code;
        bool fatal;
    } rows[] = {
        {NVML_SUCCESS, false},          {NVML_UNINITIALIZED, true},
        {NVML_NOT_SUPPORTED, false},    {NVML_NO_PERMISSION, false},
        {NVML_DRIVER_NOT_LOADED, true}, {NVML_TIMEOUT, false},
        {NVML_GPU_IS_LOST, true},       {NVML_RESET_REQUIRED, true},
        {NVML_UNKNOWN, false},          {NVML_LIB_RM_VERSION_MISMATCH, true},
        {NVML_GPU_NOT_FOUND, true},     {NVML_FUNCTION_NOT_FOUND, false},
    };
    struct nvml_lib none = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_i64(nvml_code_is_fatal(rows[i].code), rows[i].fatal);
        assert_true(strlen(nvml_code_words(&none, rows[i].code)) > 0);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_all_symbols), TEST(test_old_symbols), TEST(test_the_least),
                    TEST(test_no_nvml), TEST(test_codes));
}
