// nvml: on a library of our own (tests/support/fake_nvml.c), whose GPUs are lost, cut up and come
// back as its file says.
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/uuid.h"
#include "harness.h"
#include "model/encode.h"

static struct harness h;
static struct input *in;

static void say(const char *text)
{
    harness_write(&h, "faults", str_of(text));
}

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    say("");
    setenv("FAKE_NVML", harness_path(&h, "faults"), 1);
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

static void open_input(const char *kind, const char *options)
{
    const char *folder = getenv("GTAP_FAKE_NVML");
    assert_non_null(folder);
    in = harness_open(&h, "nvml:?lib=%s/libfake_nvml_%s.so&host=h%s", folder, kind, options);
}

// One call of next(), as "<index>[/<instance>] <encoded>\n" a sample.
static void take(struct batch *b)
{
    struct error err = {0};
    batch_clear(b);
    assert_int_equal(input_next(in, b, &err), INPUT_MORE);
}

static size_t count_after(struct batch *b, int64_t ns)
{
    harness_advance(&h, ns);
    take(b);
    return b->n_records;
}

static struct input_health health(void)
{
    struct input_health ret;
    input_health(in, &ret);
    return ret;
}

static void check_error(const char *part)
{
    struct input_health now = health();
    if (now.ok || strstr(now.error, part) == NULL) {
        fail_msg("ok %d, error '%s', not '%s'", now.ok, now.error, part);
    }
}

static void check_sample(const struct record *r, const char *want)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    record_encode(&b, r);
    struct str got = buf_view(&b);
    const char *id = memmem(got.p, got.n, ",\"event_id\":\"", 13);
    assert_non_null(id);
    assert_str(((struct str){got.p, (size_t)(id - got.p)}), want);
    assert_int_equal(r->event_id.n, UUID_TEXT);
    assert_true(r->digest == record_digest(r));
    buf_done(&b);
}

static void test_all_fields(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    say("gpus=2\n");
    open_input("new", "&price=2.8&site=lab");
    char about[INPUT_ABOUT_MAX];
    input_about(in, about);
    assert_string_equal(about, input_info(in)->about); // the driver was not asked yet
    assert_false(input_info(in)->finite);
    take(&b);
    input_about(in, about);
    assert_string_equal(about, "2 x NVIDIA H100 80GB HBM3 by NVML, on h");
    assert_int_equal(b.n_records, 2);
    check_sample(&b.records[0],
                 "{\"ts\":\"2026-11-23T14:00:00Z\",\"host\":\"h\",\"gpu_index\":0,"
                 "\"name\":\"NVIDIA H100 80GB HBM3\","
                 "\"uuid\":\"GPU-00000000-0000-0000-0000-000000000000\",\"utilization\":0.87,"
                 "\"mem_used_mb\":19818,\"mem_total_mb\":81559,\"power_w\":631.95,"
                 "\"temperature_c\":59,\"sm_clock_mhz\":1980,\"energy_mj\":257858316,"
                 "\"price_per_hour_usd\":2.8,\"source\":\"nvml\",\"site\":\"lab\"");
    assert_i64(b.records[1].sample.gpu.index, 1);
    assert_str(b.records[1].sample.uuid, "GPU-00000001-0000-0000-0000-000000000001");
    assert_near(b.records[1].sample.power_w, 631.951, 1e-9);
    assert_i64(b.records[0].position, 1);
    assert_i64(b.position, 2);
    assert_true(str_cmp(b.records[0].event_id, b.records[1].event_id) < 0);
    assert_true(health().ok);
    batch_done(&b);
}

// Once a second by the monotonic clock, whatever the wall clock does; rounds missed stay missed.
static void test_rhythm(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    open_input("new", "");
    assert_int_equal(count_after(&b, 0), 1);
    assert_int_equal(count_after(&b, NS_PER_S - 1), 0);
    h.clock.wall -= NS_PER_HOUR;
    assert_int_equal(count_after(&b, 1), 1);
    assert_int_equal(count_after(&b, 10 * NS_PER_S + 1), 1);
    assert_int_equal(count_after(&b, NS_PER_S - 1), 0);
    assert_int_equal(count_after(&b, 1), 1);
    assert_i64(b.position, 4);
    batch_done(&b);
}

// Each fault takes away one field, or changes where it comes from, and nothing else.
static void test_absent_fields(void **state)
{
    (void)state;
    enum { ALL = (SAMPLE_PRICE - 1) };
    static const struct {
        const char *kind, *faults;
        uint32_t has;
        double used, celsius;
    } rows[] = {
        {"new", "", ALL, 19818, 59},
        {"new", "power=3\n", ALL & ~SAMPLE_POWER, 19818, 59},
        {"new", "energy=3\n", ALL & ~SAMPLE_ENERGY, 19818, 59},
        {"new", "utilization=255\n", ALL & ~SAMPLE_UTILIZATION, 19818, 59},
        {"new", "utilization=0\n", ALL, 19818, 59},
        {"new", "memory_v2=25\n", ALL, 19818 + 479, 59}, // v1 counts what is reserved
        {"new", "temperature=26\n", ALL, 19818, 58},
        {"old", "", ALL & ~SAMPLE_ENERGY, 19818 + 479, 59},
        {"bare", "", SAMPLE_POWER, 0, 0},
    };
    struct batch b;
    batch_init(&b);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        say(rows[i].faults);
        open_input(rows[i].kind, "");
        take(&b);
        assert_int_equal(b.n_records, 1);
        const struct gpu_sample *s = &b.records[0].sample;
        if (s->has != rows[i].has) {
            fail_msg("row %zu: has %x, not %x", i, s->has, rows[i].has);
        }
        assert_near(s->mem_used_mb, rows[i].used, 1e-9);
        assert_near(s->temperature_c, rows[i].celsius, 1e-9);
        assert_true(health().ok);
        input_close(in);
    }
    in = NULL;
    batch_done(&b);
}

// The slices of the public capture: three, two, one and one of seven; the board is not billed too.
static void test_slices(void **state)
{
    (void)state;
    static const struct {
        int32_t instance;
        const char *name, *profile;
        double used, total, power;
        int64_t energy, price;
    } want[] = {
        {2, "MIG 3g.40gb of NVIDIA H100 80GB HBM3", "3g.40gb", 11091, 40448, 270.836, 110510707,
         1200000000},
        {3, "MIG 2g.20gb of NVIDIA H100 80GB HBM3", "2g.20gb", 17, 20096, 180.557, 73673805,
         800000000},
        {9, "MIG 1g.10gb of NVIDIA H100 80GB HBM3", "1g.10gb", 9, 9984, 90.279, 36836902,
         400000000},
        {10, "MIG 1g.10gb of NVIDIA H100 80GB HBM3", "1g.10gb", 9, 9984, 90.279, 36836902,
         400000000},
    };
    static const char *const faults[] = {"mig=1\n", "mig=1\nplain_names=1\n",
                                         "mig=1\nattributes=3\n"};
    struct batch b;
    batch_init(&b);
    for (size_t k = 0; k < ARRAY_LEN(faults); k++) {
        say(faults[k]);
        open_input("new", "&price=2.8");
        take(&b);
        assert_int_equal(b.n_records, ARRAY_LEN(want));
        for (size_t i = 0; i < ARRAY_LEN(want); i++) {
            const struct gpu_sample *s = &b.records[i].sample;
            assert_i64(s->gpu.index, 0);
            assert_i64(s->gpu.instance, want[i].instance);
            assert_str(s->name, want[i].name);
            assert_str(s->mig_profile, want[i].profile);
            assert_true(str_starts(s->uuid, STR("MIG-")));
            assert_false(s->has & SAMPLE_UTILIZATION);
            assert_near(s->mem_used_mb, want[i].used, 1e-9);
            assert_near(s->mem_total_mb, want[i].total, 1e-9);
            assert_near(s->power_w, want[i].power, 1e-9);
            assert_i64(s->energy_mj, want[i].energy);
            assert_i64(s->price_nusd_hour, want[i].price);
            assert_near(s->temperature_c, 59, 1e-9);
        }
        input_close(in);
    }
    in = NULL;
    batch_done(&b);
}

// A slice whose size nobody tells has no price and no power: unknown is not zero, and not the
// whole.
static void test_a_slice_of_unknown_size(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    say("mig=1\nplain_names=1\nattributes=3\nslices=1\n");
    open_input("new", "&price=2.8");
    take(&b);
    assert_int_equal(b.n_records, 1);
    assert_str(b.records[0].sample.name, "MIG of NVIDIA H100 80GB HBM3");
    assert_i64(b.records[0].sample.has & (SAMPLE_PRICE | SAMPLE_POWER | SAMPLE_ENERGY), 0);
    assert_true(b.records[0].sample.has & SAMPLE_MEM_USED);
    batch_done(&b);
}

static void test_slices_come_and_go(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    open_input("new", "");
    assert_int_equal(count_after(&b, 0), 1);
    say("mig=1\nslices=0\n"); // switched on, nothing made yet: the GPU itself, idle
    assert_int_equal(count_after(&b, NS_PER_S), 1);
    assert_i64(b.records[0].sample.gpu.instance, GPU_INSTANCE_NONE);
    assert_false(b.records[0].sample.has & SAMPLE_UTILIZATION);
    say("mig=1\nslices=4\n"); // seen within ten seconds
    assert_int_equal(count_after(&b, 10 * NS_PER_S), 4);
    say("mig=1\nslices=2\nslice_error=2\n"); // handles that are no longer any
    assert_int_equal(count_after(&b, NS_PER_S), 0);
    say("mig=1\nslices=2\n"); // listed anew at the next round
    assert_int_equal(count_after(&b, NS_PER_S), 2);
    say("mig=0\n");
    assert_int_equal(count_after(&b, NS_PER_S), 1);
    assert_true(b.records[0].sample.has & SAMPLE_UTILIZATION);
    assert_true(health().ok);
    assert_i64((int64_t)health().failures, 0);
    batch_done(&b);
}

static void test_gpus_come_and_go(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    open_input("new", "");
    assert_int_equal(count_after(&b, 0), 1);
    say("gpus=8\n");
    assert_int_equal(count_after(&b, NS_PER_S), 8);
    say("gpus=3\n");
    assert_int_equal(count_after(&b, NS_PER_S), 3);
    assert_true(health().ok);
    say("gpus=0\n");
    assert_int_equal(count_after(&b, NS_PER_S), 0);
    check_error("no GPU");
    batch_done(&b);
}

static void test_a_lost_gpu(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    say("gpus=3\n");
    open_input("new", "");
    assert_int_equal(count_after(&b, 0), 3);
    say("gpus=3\nlost=1\n");
    assert_int_equal(count_after(&b, NS_PER_S), 2); // others go on, at once and after
    check_error("GPU 1: GPU is lost");
    for (int second = 0; second < 100; second++) {
        assert_int_equal(count_after(&b, NS_PER_S), 2);
        assert_i64(b.records[0].sample.gpu.index, 0);
        assert_i64(b.records[1].sample.gpu.index, 2);
    }
    check_error("GPU 1: GPU is lost");
    uint64_t failures = health().failures;
    assert_true(failures >= 6 && failures <= 9); // at 0, 1, 3, 7, 15, 31, 55, 79 s and a bit
    say("gpus=3\n");
    size_t back = 0;
    for (int second = 0; second < 30; second++) {
        back += count_after(&b, NS_PER_S) == 3;
    }
    assert_true(back > 0 && health().ok);
    batch_done(&b);
}

static void test_lost_within_a_round(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    say("gpus=2\n");
    open_input("new", "");
    assert_int_equal(count_after(&b, 0), 2);
    for (int after = 1; after < 40; after++) {
        AUTO_FREE char *text = x_asprintf("gpus=2\nlost_after=%d\n", after);
        input_close(in);
        say(text);
        open_input("new", "");
        take(&b);
        for (int second = 0; second < 3; second++) {
            (void)count_after(&b, NS_PER_S);
            assert_true(b.n_records >= 1); // GPU 1 is always there
            assert_i64(b.records[b.n_records - 1].sample.gpu.index, 1);
        }
        assert_string_equal(health().error, "GPU 0: GPU is lost");
    }
    batch_done(&b);
}

// Everything is away, and comes back: the driver is unloaded, exchanged, not there when we start.
static void test_driver_reloads(void **state)
{
    (void)state;
    static const char *const faults[] = {"all=1\n", "all=9\n", "all=18\n", "all=999\n", "init=9\n"};
    struct batch b;
    batch_init(&b);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        say(i % 2 ? "" : faults[i]); // from the beginning, or later on
        open_input("new", "");
        take(&b);
        say(faults[i]);
        for (int second = 0; second < 40; second++) {
            (void)count_after(&b, NS_PER_S);
        }
        bool needs_driver = strstr(faults[i], "init") == NULL;
        assert_true(needs_driver ? b.n_records == 0 : true);
        assert_true(needs_driver || i % 2 == 1 || b.n_records == 0);
        say("");
        for (int second = 0; second < 31; second++) {
            (void)count_after(&b, NS_PER_S);
        }
        assert_int_equal(b.n_records, 1);
        assert_true(health().ok);
        assert_true(health().failures > 0 || !needs_driver);
        input_close(in);
    }
    in = NULL;
    batch_done(&b);
}

static void test_no_library(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    static const char *const vars[] = {"GTAP_NVML_LIBRARY", "/nonexistent/libnvidia-ml.so.1", NULL};
    harness_set_vars(&h, vars);
    in = harness_open(&h, "nvml:");
    assert_int_equal(count_after(&b, 0), 0);
    check_error("/nonexistent/libnvidia-ml.so.1");
    assert_int_equal(count_after(&b, NS_PER_S / 2), 0);
    assert_i64((int64_t)health().failures, 1);
    assert_int_equal(count_after(&b, NS_PER_S), 0);
    assert_i64((int64_t)health().failures, 2);
    input_close(in);
    open_input("broken", "");
    take(&b);
    check_error("lacks nvmlDeviceGetCount_v2");
    batch_done(&b);
}

static void test_picked(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    say("gpus=4\nno_permission=2\n");
    open_input("new", ""); // a container sees GPUs that are not its own
    assert_int_equal(count_after(&b, 0), 3);
    assert_true(health().ok);
    input_close(in);
    open_input("new", "&gpus=1-2");
    assert_int_equal(count_after(&b, 0), 1);
    check_error("GPU 2: insufficient permissions");
    input_close(in);
    open_input("new", "&gpus=3,5");
    assert_int_equal(count_after(&b, 0), 1);
    assert_i64(b.records[0].sample.gpu.index, 3);
    check_error("GPU 5 is not there: NVML counts 4");
    batch_done(&b);
}

static void test_bad_options(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "nvml:/dev/nvidia0",   "nvml:?every=50ms", "nvml:?every=31s", "nvml:?price=-1",
        "nvml:?price=1000001", "nvml:?gpus=x",     "nvml:?tenant=a",  "nvml:?every=fast",
    };
    for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
        struct error err = {0};
        if (harness_try(&h, uris[i], &in, &err) != -EINVAL || err.msg[0] == '\0') {
            fail_msg("%s was taken", uris[i]);
        }
    }
}

static void test_numbers_go_on(void **state)
{
    (void)state;
    struct batch b;
    struct error err = {0};
    batch_init(&b);
    open_input("new", "");
    assert_ok(input_seek(in, 41, -1, &err), &err);
    take(&b);
    assert_i64(b.records[0].position, 42);
    assert_i64(b.position, 42);
    batch_done(&b);
}

int main(void)
{
    return TEST_RUN(
        TEST_WITH(test_all_fields, setup, teardown), TEST_WITH(test_rhythm, setup, teardown),
        TEST_WITH(test_absent_fields, setup, teardown), TEST_WITH(test_slices, setup, teardown),
        TEST_WITH(test_a_slice_of_unknown_size, setup, teardown),
        TEST_WITH(test_slices_come_and_go, setup, teardown),
        TEST_WITH(test_gpus_come_and_go, setup, teardown),
        TEST_WITH(test_a_lost_gpu, setup, teardown),
        TEST_WITH(test_lost_within_a_round, setup, teardown),
        TEST_WITH(test_driver_reloads, setup, teardown),
        TEST_WITH(test_no_library, setup, teardown), TEST_WITH(test_picked, setup, teardown),
        TEST_WITH(test_bad_options, setup, teardown),
        TEST_WITH(test_numbers_go_on, setup, teardown));
}
