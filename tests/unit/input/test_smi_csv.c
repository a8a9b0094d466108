#include "input/gpu_source.h"
#include "input/smi_csv.h"

#include <errno.h>

#include "base/time.h"
#include "smi_captures.h"

#define HEADER                                                                                     \
    "timestamp, index, name, uuid, utilization.gpu [%], memory.used [MiB], memory.total [MiB], "   \
    "power.draw [W], temperature.gpu, clocks.current.sm [MHz]"
#define ROW                                                                                        \
    "2026/07/14 08:12:53.353, 3, NVIDIA H100 80GB HBM3, GPU-1, 100 %, 19818 MiB, 81559 MiB, "      \
    "631.95 W, 59, 1980 MHz"

enum {
    ALL = SAMPLE_UTILIZATION | SAMPLE_MEM_USED | SAMPLE_MEM_TOTAL | SAMPLE_POWER |
          SAMPLE_TEMPERATURE | SAMPLE_SM_CLOCK
};

static int64_t utc(const char *text)
{
    int64_t t;
    assert_i64(time_parse_iso(str_of(text), &t), 0);
    return t;
}

// Written down by hand from the captures.
static void test_captures(void **state)
{
    (void)state;
    static const struct {
        const char *file, *section, *name, *time;
        uint32_t has;
        double utilization, used, total, watts, celsius, mhz;
    } rows[] = {
        {CAPTURE_2080, "idle :: query-gpu", "NVIDIA GeForce RTX 2080 SUPER",
         "2026-06-24T10:26:34.977Z", ALL, 0, 214, 8192, 39.32, 40, 765},
        {CAPTURE_2080, "load :: query-gpu", "NVIDIA GeForce RTX 2080 SUPER",
         "2026-06-24T10:26:49.788Z", ALL, 0.08, 819, 8192, 111.50, 45, 2055},
        {CAPTURE_H100, "idle :: query-gpu", "NVIDIA H100 80GB HBM3", "2026-07-14T08:12:38.696Z",
         ALL, 0, 0, 81559, 69.85, 41, 345},
        {CAPTURE_H100, "load :: query-gpu", "NVIDIA H100 80GB HBM3", "2026-07-14T08:12:53.353Z",
         ALL, 1, 19818, 81559, 631.95, 59, 1980},
        {CAPTURE_MIG, "idle :: query-gpu", "NVIDIA H100 80GB HBM3", "2026-07-14T09:00:27.792Z",
         ALL & ~SAMPLE_UTILIZATION, 0, 59, 81559, 71.15, 42, 345},
        {CAPTURE_MIG, "load :: query-gpu", "NVIDIA H100 80GB HBM3", "2026-07-14T09:00:44.579Z",
         ALL & ~SAMPLE_UTILIZATION, 0, 11125, 81559, 433.78, 53, 1980},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf text;
        struct arena a = {0};
        struct smi_layout layout;
        struct smi_row row;
        struct error err;
        buf_init(&text, 1 << 20);
        if (!capture_read(rows[i].file, rows[i].section, &text)) {
            buf_done(&text);
            skip();
        }
        struct str rest = buf_view(&text), header = STR_NONE, line = STR_NONE;
        assert_true(str_split(&rest, '\n', &header));
        assert_true(str_split(&rest, '\n', &line));
        assert_true(smi_recognise(header, &layout));
        assert_ok(smi_parse(&layout, line, &a, &row, &err), &err);
        const struct gpu_sample *s = &row.sample;
        assert_i64(s->gpu.index, 0);
        assert_i64(s->gpu.instance, GPU_INSTANCE_NONE);
        assert_str(s->name, rows[i].name);
        assert_str(s->uuid, "GPU-00000000-0000-0000-0000-000000000000");
        assert_true(row.has_ts);
        assert_i64(row.local_ts, utc(rows[i].time));
        assert_i64(s->has, rows[i].has);
        assert_near(s->utilization, rows[i].utilization, 1e-12);
        assert_near(s->mem_used_mb, rows[i].used, 0);
        assert_near(s->mem_total_mb, rows[i].total, 0);
        assert_near(s->power_w, rows[i].watts, 1e-9);
        assert_near(s->temperature_c, rows[i].celsius, 0);
        assert_near(s->sm_clock_mhz, rows[i].mhz, 0);
        arena_done(&a);
        buf_done(&text);
    }
}

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool good;
        size_t n;
    } rows[] = {
        {HEADER, true, 10},
        {"index, utilization.gpu [%]", true, 2},
        {"utilization.gpu [%],index", true, 2},
        {"index,power.draw [W],x,y,z [q]", true, 5},
        {"index, clocks.sm [MHz]", true, 2},
        {"index, temperature.gpu", true, 2},
        {"index, name, uuid", false, 3},         // measures nothing
        {"name, utilization.gpu [%]", false, 2}, // of whom?
        {"index, memory.used [GiB]", false, 2},  // another unit is another column
        {"index, memory.used", false, 2},
        {"index [%], utilization.gpu [%]", false, 2},
        {ROW, false, 10},
        {"No devices were found", false, 1},
        {"", false, 1},
        {", , ,", false, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct smi_layout l;
        if (smi_recognise(str_of(rows[i].line), &l) != rows[i].good || l.n != rows[i].n) {
            fail_msg("'%s': %zu columns", rows[i].line, l.n);
        }
    }
    assert_false(smi_recognise(STR_NONE, &(struct smi_layout){0}));
}

// Everything that nvidia-smi says when it cannot say.
static void test_absent_tokens(void **state)
{
    (void)state;
    static const char *const tokens[] = {
        "[N/A]",
        "N/A",
        "[Not Supported]",
        "Not Supported",
        "[Insufficient Permissions]",
        "[Unknown Error]",
        "[Function Not Found]",
        "[Requested functionality has been deprecated]",
        "Requested functionality has been deprecated",
        "[GPU is lost]",
        "[GPU requires reset]",
        "[]",
        "",
    };
    struct smi_layout layout;
    assert_true(
        smi_recognise(STR("index, name, uuid, utilization.gpu [%], power.draw [W]"), &layout));
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        struct arena a = {0};
        struct smi_row row;
        struct error err;
        AUTO_FREE char *line = x_asprintf("0, %s, %s, %s, 5.5 W", tokens[i], tokens[i], tokens[i]);
        assert_ok(smi_parse(&layout, str_of(line), &a, &row, &err), &err);
        assert_i64(row.sample.has, SAMPLE_POWER);
        assert_false(str_present(row.sample.name) || str_present(row.sample.uuid) || row.has_ts);
        AUTO_FREE char *none = x_asprintf("0, X, Y, %s, %s", tokens[i], tokens[i]);
        assert_i64(smi_parse(&layout, str_of(none), &a, &row, &err), -ENODATA);
        AUTO_FREE char *nobody = x_asprintf("%s, X, Y, 5 %%, 5 W", tokens[i]);
        assert_i64(smi_parse(&layout, str_of(nobody), &a, &row, &err), -EINVAL);
        arena_done(&a);
    }
}

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *line, *why; // NULL: good
    } rows[] = {
        {ROW, NULL},
        {"2026/07/14 08:12:53.353,3,H100,GPU-1,100,19818,81559,631.95,59,1980", NULL}, // nounits
        {"2026/07/14 08:12:53, 3, H100, GPU-1, 0 %, 0 MiB, 1 MiB, 0.00 W, 0, 0 MHz", NULL},
        {"", "fewer cells than the header's 10"},
        {"2026/07/14 08:12:53.353, 3, NVIDIA H100 80GB HBM3, GPU-1, 100 %, 198",
         "fewer cells than the header's 10"},
        {ROW ", 1", "more cells than the header's 10"},
        {"2026/07/14 08:12:53.353, 3, H, G, 100 %, 19818 MiB, 81559 MiB, 631.95 W, 59, 1980 M",
         "clocks.current.sm: cannot be '1980 M'"},
        {"2026/07/14 08:12:53.353, 3, H, G, 100 %, 19818 MB, 81559 MiB, 631.95 W, 59, 1980 MHz",
         "memory.used: cannot be '19818 MB'"},
        {"2026/07/14 08:12:53.353, 3, H, G, 101 %, 1 MiB, 1 MiB, 1 W, 59, 1980 MHz",
         "utilization.gpu: cannot be '101 %'"},
        {"2026/07/14 08:12:53.353, 3, H, G, -1 %, 1 MiB, 1 MiB, 1 W, 59, 1980 MHz",
         "utilization.gpu: cannot be '-1 %'"},
        {"2026/07/14 08:12:53.353, 3, H, G, 1 %, 1 MiB, 1 MiB, 1;5 W, 59, 1980 MHz",
         "power.draw: cannot be '1;5 W'"},
        {"2026/07/14 08:12:53.353, 3, H, G, 1 %, 1 MiB, 1 MiB, 1 W, 59 C, 1980 MHz",
         "temperature.gpu: cannot be '59 C'"},
        {"14.07.2026 08:12:53, 3, H, G, 1 %, 1 MiB, 1 MiB, 1 W, 59, 1980 MHz",
         "timestamp: cannot be '14.07.2026 08:12:53'"},
        {"2026/02/30 08:12:53, 3, H, G, 1 %, 1 MiB, 1 MiB, 1 W, 59, 1980 MHz",
         "timestamp: cannot be '2026/02/30 08:12:53'"},
        {"2026/07/14 08:12:53.353, 70000, H, G, 1 %, 1 MiB, 1 MiB, 1 W, 59, 1980 MHz",
         "index: cannot be '70000'"},
        {"2026/07/14 08:12:53.353, 1e0, H, G, 1 %, 1 MiB, 1 MiB, 1 W, 59, 1980 MHz",
         "index: cannot be '1e0'"},
        {"2026/07/14 08:12:53.353, 3, H, G, 1 %, 9999999999999999999 MiB, 1 MiB, 1 W, 59, 1 MHz",
         "memory.used: cannot be '9999999999999999999 MiB'"},
    };
    struct smi_layout layout;
    assert_true(smi_recognise(STR(HEADER), &layout));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct smi_row row;
        struct error err = {0};
        int r = smi_parse(&layout, str_of(rows[i].line), &a, &row, &err);
        if ((r == 0) != (rows[i].why == NULL) || (r < 0 && strcmp(err.msg, rows[i].why) != 0)) {
            fail_msg("'%s': %d, %s", rows[i].line, r, err.msg);
        }
        if (r == 0) {
            assert_i64(row.sample.gpu.index, 3);
            assert_i64(row.sample.has, ALL);
        }
        arena_done(&a);
    }
}

// A slice that a container sees as its GPU is no whole one, and is not priced as one.
static void test_a_slice(void **state)
{
    (void)state;
    struct arena a = {0};
    struct smi_layout layout;
    struct smi_row row;
    struct error err;
    assert_true(smi_recognise(STR("index, name, memory.used [MiB], memory.total [MiB], "
                                  "utilization.gpu [%]"),
                              &layout));
    assert_ok(smi_parse(&layout,
                        STR("0, NVIDIA H100 80GB HBM3 MIG 1g.10gb, 13 MiB, 9728 MiB, "
                            "[N/A]"),
                        &a, &row, &err),
              &err);
    assert_str(row.sample.name, "MIG 1g.10gb of NVIDIA H100 80GB HBM3");
    assert_str(row.sample.mig_profile, "1g.10gb");
    assert_i64(row.sample.has, SAMPLE_MEM_USED | SAMPLE_MEM_TOTAL);
    arena_done(&a);
}

// price= is a whole GPU's; a slice costs its share of it, and nothing known where that is not told.
static void test_prices(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t want; // -1: none
    } rows[] = {
        {"NVIDIA H100 80GB HBM3", 2800000000},
        {"MIG 1g.10gb of NVIDIA H100 80GB HBM3", 400000000},
        {"MIG 3g.40gb of NVIDIA H100 80GB HBM3", 1200000000},
        {"MIG 1g.6gb of NVIDIA A30", 700000000},
        {"MIG 1g.36gb of NVIDIA R100", -1},
        {"MIG of NVIDIA H100 80GB HBM3", -1},
    };
    const struct gpu_options options = {.has_price = true, .price_nusd_hour = 2800000000};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct gpu_sample s = {.name = str_of(rows[i].name)};
        gpu_options_price_named(&options, &s);
        assert_i64(s.has & SAMPLE_PRICE ? s.price_nusd_hour : -1, rows[i].want);
    }
}

static void test_which_power(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        double watts;
    } rows[] = {
        {"0, 3.00 W, 2.00 W, 1.00 W", 1},
        {"0, 3.00 W, 2.00 W, [N/A]", 2},
        {"0, 3.00 W, [N/A], [N/A]", 3},
    };
    struct smi_layout layout;
    assert_true(smi_recognise(STR("index, power.draw.instant [W], power.draw.average [W], "
                                  "power.draw [W]"),
                              &layout));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct smi_row row;
        struct error err;
        assert_ok(smi_parse(&layout, str_of(rows[i].line), &a, &row, &err), &err);
        assert_near(row.sample.power_w, rows[i].watts, 0);
        arena_done(&a);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_captures), TEST(test_headers), TEST(test_absent_tokens),
                    TEST(test_rows), TEST(test_a_slice), TEST(test_prices), TEST(test_which_power));
}
