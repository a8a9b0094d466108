// Pages of DCGM exporters as samples, and the input that fetches them.
#include <errno.h>

#include "input/dcgm_page.h"
#include "model/encode.h"
#include "pages.h"
#include "shared_data.h"

static struct harness h;
static struct pages net;

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    pages_install(&net, &h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_done(&h);
    return 0;
}

#define GPU0 "{gpu=\"0\",UUID=\"GPU-a\",modelName=\"H100\",Hostname=\"n1\"} "
#define SLICE(id, profile)                                                                         \
    "{gpu=\"0\",UUID=\"GPU-a\",modelName=\"H100\",GPU_I_PROFILE=\"" profile "\",GPU_I_ID=\"" id    \
    "\",Hostname=\"n1\"} "
#define A30(id, profile)                                                                           \
    "{gpu=\"0\",modelName=\"NVIDIA A30\",GPU_I_PROFILE=\"" profile "\",GPU_I_ID=\"" id "\"} "

// A sample as text: "host/index[/instance] what it measured".
static void note(const struct gpu_sample *s, struct buf *out)
{
    static const struct {
        uint32_t bit;
        const char *name;
        size_t at;
    } reals[] = {
        {SAMPLE_UTILIZATION, "util", offsetof(struct gpu_sample, utilization)},
        {SAMPLE_MEM_USED, "used", offsetof(struct gpu_sample, mem_used_mb)},
        {SAMPLE_MEM_TOTAL, "total", offsetof(struct gpu_sample, mem_total_mb)},
        {SAMPLE_POWER, "W", offsetof(struct gpu_sample, power_w)},
        {SAMPLE_TEMPERATURE, "C", offsetof(struct gpu_sample, temperature_c)},
        {SAMPLE_SM_CLOCK, "MHz", offsetof(struct gpu_sample, sm_clock_mhz)},
    };
    buf_printf(out, STR_FMT "/%d", STR_ARG(s->gpu.host), s->gpu.index);
    if (s->gpu.instance != GPU_INSTANCE_NONE) {
        buf_printf(out, "/%d", s->gpu.instance);
    }
    for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
        if (s->has & reals[i].bit) {
            buf_printf(out, " %s %.9g", reals[i].name,
                       *(const double *)((const char *)s + reals[i].at));
        }
    }
    if (s->has & SAMPLE_ENERGY) {
        buf_printf(out, " mJ %lld", (long long)s->energy_mj);
    }
    if (s->has & SAMPLE_PRICE) {
        buf_printf(out, " nUSD %lld", (long long)s->price_nusd_hour);
    }
    buf_char(out, '\n');
}

static void check(const char *page, const struct dcgm_config *config, const char *want)
{
    struct dcgm_page got;
    struct buf text;
    buf_init(&text, 1 << 16);
    dcgm_page_read(str_of(page), config, &h.arena, &got);
    for (size_t i = 0; i < got.n; i++) {
        note(&got.gpus[i], &text);
    }
    buf_printf(&text, "%llu bad", (unsigned long long)got.bad);
    if (!str_eq(buf_view(&text), str_of(want))) {
        fail_msg("%s\n gives\n%s\n not\n%s", page, text.p, want);
    }
    buf_done(&text);
}

static void test_pages(void **state)
{
    (void)state;
    static const struct {
        const char *page, *want;
    } rows[] = {
        {"", "0 bad"},
        {"DCGM_FI_DEV_SM_CLOCK" GPU0 "1980\nDCGM_FI_DEV_GPU_TEMP" GPU0 "59\n"
         "DCGM_FI_DEV_POWER_USAGE" GPU0 "631.950000\nDCGM_FI_DEV_GPU_UTIL" GPU0 "100\n"
         "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" GPU0 "9007199254740993\n"
         "DCGM_FI_PROF_GR_ENGINE_ACTIVE" GPU0 "0.5\n"
         "DCGM_FI_DEV_FB_USED" GPU0 "19818\nDCGM_FI_DEV_FB_FREE" GPU0 "61263\n"
         "DCGM_FI_DEV_FB_RESERVED" GPU0 "478\n",
         "n1/0 util 1 used 19818 total 81559 W 631.95 C 59 MHz 1980 mJ 9007199254740993\n0 bad"},
        {"DCGM_FI_DEV_FB_USED" GPU0 "1\nDCGM_FI_DEV_FB_TOTAL" GPU0 "80\n",
         "n1/0 used 1 total 80\n0 bad"},
        {"DCGM_FI_DEV_FB_USED" GPU0 "1\n", "n1/0 used 1\n0 bad"}, // no total is made up
        {"DCGM_FI_PROF_GR_ENGINE_ACTIVE" GPU0 "0.25\n", "n1/0 util 0.25\n0 bad"},
        {"DCGM_FI_DEV_GPU_UTIL" GPU0 "101\n", "n1/0 util 1\n0 bad"},
        // Blank values, of every kind that is known: no value, not zero.
        {"DCGM_FI_DEV_GPU_TEMP" GPU0 "9223372036854775792\n"
         "DCGM_FI_DEV_SM_CLOCK" GPU0 "9223372036854775793\n"
         "DCGM_FI_DEV_GPU_UTIL" GPU0 "9223372036854775794\n"
         "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" GPU0 "9223372036854775795\n"
         "DCGM_FI_DEV_POWER_USAGE" GPU0 "140737488355328.000000\n"
         "DCGM_FI_DEV_FB_USED" GPU0 "NaN\nDCGM_FI_DEV_FB_FREE" GPU0 "-1\n",
         "0 bad"},
        {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" GPU0 "140737488355329\n",
         "n1/0 mJ 140737488355329\n0 bad"},
        // Letter case, blanks behind commas, and labels that are nobody's concern.
        {"DCGM_FI_DEV_GPU_TEMP{gpu=\"3\", uuid=\"GPU-a\", hostname=\"n2\", pod=\"x\"} 30\n",
         "n2/3 C 30\n0 bad"},
        {"DCGM_FI_DEV_GPU_TEMP{gpu=\"3\"} 30\n", "me/3 C 30\n0 bad"},
        {"DCGM_FI_DEV_GPU_TEMP{gpu=\"3\",Hostname=\"\"} 30\n", "me/3 C 30\n0 bad"},
        // No GPU: a switch, or no number.
        {"DCGM_FI_DEV_GPU_TEMP{nvswitch=\"0\"} 30\nDCGM_FI_DEV_GPU_TEMP{gpu=\"x\"} 30\n"
         "DCGM_FI_DEV_GPU_TEMP{gpu=\"65536\"} 30\nDCGM_FI_DEV_GPU_TEMP{gpu=\"1\"} x\n",
         "4 bad"},
        // One GPU that serves two pods.
        {"DCGM_FI_DEV_GPU_TEMP{gpu=\"0\",pod=\"a\"} 30\nDCGM_FI_DEV_GPU_TEMP{gpu=\"0\",pod=\"b\"} "
         "30\n",
         "me/0 C 30\n0 bad"},
        // Hosts and GPUs in their order.
        {"DCGM_FI_DEV_GPU_TEMP{gpu=\"10\",Hostname=\"b\"} 1\n"
         "DCGM_FI_DEV_GPU_TEMP{gpu=\"2\",Hostname=\"b\"} 2\n"
         "DCGM_FI_DEV_GPU_TEMP{gpu=\"2\",Hostname=\"a\"} 3\n",
         "a/2 C 3\nb/2 C 2\nb/10 C 1\n0 bad"},
    };
    const struct dcgm_config config = {.host = STR("me"), .price_nusd = -1};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check(rows[i].page, &config, rows[i].want);
    }
}

// The parent's power and energy stand on every slice: 7 W is 1 W for 1g, 3 W for 3g, and a GPU of
// 7 USD costs them 1 and 3. Where no profile is told, nothing is.
static void test_slices(void **state)
{
    (void)state;
    static const struct {
        const char *page, *want;
    } rows[] = {
        {"DCGM_FI_DEV_POWER_USAGE" SLICE(
             "7",
             "1g.10gb") "7\n"
                        "DCGM_FI_DEV_POWER_USAGE" SLICE(
                            "2",
                            "3g.40gb") "7\n"
                                       "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" SLICE(
                                           "7",
                                           "1g.10gb") "257858316\n"
                                                      "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" SLICE(
                                                          "2",
                                                          "3g.40gb") "257858316\n"
                                                                     "DCGM_FI_PROF_GR_ENGINE_"
                                                                     "ACTIVE" SLICE(
                                                                         "7",
                                                                         "1g.10gb") "0.5\n"
                                                                                    "DCGM_FI_DEV_"
                                                                                    "FB_USED" SLICE(
                                                                                        "7",
                                                                                        "1g.10gb") "100\n"
                                                                                                   "DCGM_FI_DEV_GPU_TEMP" SLICE(
                                                                                                       "7",
                                                                                                       "1g.10gb") "40\n",
         "n1/0/2 W 3 mJ 110510706 nUSD 3000000000\n"
         "n1/0/7 util 0.5 used 100 W 1 C 40 mJ 36836902 nUSD 1000000000\n0 bad"},
        // The whole GPU beside its slices is no GPU of its own.
        {"DCGM_FI_DEV_POWER_USAGE" GPU0 "7\nDCGM_FI_DEV_POWER_USAGE" SLICE(
             "7", "1g.10gb") "7\n"
                             "DCGM_FI_DEV_POWER_USAGE{gpu=\"1\",Hostname=\"n1\"} 9\n",
         "n1/0/7 W 1 nUSD 1000000000\nn1/1 W 9 nUSD 7000000000\n0 bad"},
        {"DCGM_FI_DEV_POWER_USAGE" SLICE("7", "1c.3g.40gb") "7\n",
         "n1/0/7 W 3 nUSD 3000000000\n0 bad"},
        {"DCGM_FI_DEV_POWER_USAGE" SLICE("7", "1g.10gb+me") "7\n",
         "n1/0/7 W 1 nUSD 1000000000\n0 bad"},
        {"DCGM_FI_DEV_POWER_USAGE" SLICE("0", "7g.80gb") "7\n",
         "n1/0/0 W 7 nUSD 7000000000\n0 bad"},
        {"DCGM_FI_DEV_POWER_USAGE" A30("3", "1g.6gb") "8\n", "me/0/3 W 2 nUSD 1750000000\n0 bad"},
        {"DCGM_FI_DEV_POWER_USAGE" SLICE("7", "") "7\nDCGM_FI_DEV_FB_USED" SLICE("7", "") "5\n",
         "n1/0/7 used 5\n0 bad"},
        {"DCGM_FI_DEV_POWER_USAGE" SLICE("7", "8g.96gb") "7\n",
         "0 bad"}, // nothing measured is no sample
        {"DCGM_FI_DEV_POWER_USAGE" SLICE("7", "g.gb") "7\n",
         "0 bad"}, // nothing measured is no sample
        {"DCGM_FI_DEV_POWER_USAGE" SLICE("x", "1g.10gb") "7\n", "1 bad"},
        // Of a GPU that is not known, nobody knows into how many slices it can be cut.
        {"DCGM_FI_DEV_POWER_USAGE{gpu=\"0\",modelName=\"NVIDIA R100\",GPU_I_PROFILE=\"1g.36gb\","
         "GPU_I_ID=\"1\"} 7\nDCGM_FI_DEV_FB_USED{gpu=\"0\",GPU_I_ID=\"1\"} 5\n",
         "me/0/1 used 5\n0 bad"},
    };
    const struct dcgm_config config = {.host = STR("me"), .price_nusd = 7 * INT64_C(1000000000)};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check(rows[i].page, &config, rows[i].want);
    }
}

static void test_the_host_option_wins(void **state)
{
    (void)state;
    const struct dcgm_config config = {.host = STR("me"), .host_wins = true, .price_nusd = -1};
    check("DCGM_FI_DEV_GPU_TEMP" GPU0 "30\n", &config, "me/0 C 30\n0 bad");
}

static void test_too_many(void **state)
{
    (void)state;
    const struct dcgm_config config = {.host = STR("me"), .price_nusd = -1};
    struct buf page;
    struct dcgm_page got;
    buf_init(&page, 1 << 24);
    for (int i = 0; i < DCGM_GPUS_MAX + 2; i++) {
        buf_printf(&page, "DCGM_FI_DEV_GPU_TEMP{gpu=\"%d\"} 30\n", i);
    }
    dcgm_page_read(buf_view(&page), &config, &h.arena, &got);
    assert_int_equal(got.n, DCGM_GPUS_MAX);
    assert_i64((int64_t)got.over, 2);
    buf_done(&page);
}

// Every value of the capture that gtap reads, written down from it. No memory, clock or energy.
static const struct {
    const char *uuid;
    double celsius, watts;
} capture[] = {
    {"GPU-c4529c8d-69c4-b61d-e0bc-7b2460096005", 30, 113.611},
    {"GPU-bc5610b9-79c8-fedd-8899-07539c7f868a", 29, 68.347},
    {"GPU-fbc2c554-4d37-8938-0032-f923bad0f716", 26, 65.709},
    {"GPU-a65a773d-52bb-bcc1-a8ee-f78c3faa2e2d", 29, 67.316},
    {"GPU-82e45d1b-1618-559f-144c-eab51545030b", 28, 68.717},
    {"GPU-39e28159-8c62-ee71-64db-b748edd61e15", 26, 65.742},
    {"GPU-e64d69ca-b4b3-59b2-e78c-94f26c4db365", 28, 67.328},
    {"GPU-04d228d3-3b5a-3534-f5cf-969706647d56", 26, 66.997},
};

static void test_capture(void **state)
{
    (void)state;
    const struct dcgm_config config = {.host = STR("me"), .price_nusd = -1};
    struct str page = shared_data_or_skip("dcgm/dcgm_8xH100_sampled.prom");
    struct dcgm_page got;
    dcgm_page_read(page, &config, &h.arena, &got);
    assert_int_equal(got.n, ARRAY_LEN(capture));
    assert_i64((int64_t)got.bad, 0);
    for (size_t i = 0; i < got.n; i++) {
        const struct gpu_sample *s = &got.gpus[i];
        assert_str(s->gpu.host, "gpu-node-1");
        assert_i64(s->gpu.index, (int64_t)i);
        assert_i64(s->gpu.instance, GPU_INSTANCE_NONE);
        assert_str(s->name, "NVIDIA H100 80GB HBM3");
        assert_str(s->uuid, capture[i].uuid);
        assert_str(s->source, "dcgm");
        assert_i64(s->has, SAMPLE_UTILIZATION | SAMPLE_POWER | SAMPLE_TEMPERATURE);
        assert_near(s->utilization, 0, 0);
        assert_near(s->temperature_c, capture[i].celsius, 0);
        assert_near(s->power_w, capture[i].watts, 0);
        assert_false(str_present(s->mig_profile) || str_present(s->site));
    }
    shared_data_free(page);
}

static void test_the_input(void **state)
{
    (void)state;
    static const struct page_answer answers[] = {
        {.page = "DCGM_FI_DEV_GPU_TEMP" GPU0 "30\n"},
        {.page = "other 1\n"},
        {.page = "DCGM_FI_DEV_GPU_TEMP" GPU0 "31\nDCGM_FI_DEV_POWER_USAGE{} 4\n"},
    };
    struct buf notes;
    struct input_health health;
    struct error err;
    buf_init(&notes, 1 << 16);
    pages_answer(&net, answers, ARRAY_LEN(answers));
    struct input *in = harness_open(&h, "dcgm+http://localhost:9400?price=2.5&site=lab");
    assert_string_equal(net.config.url, "http://localhost:9400/metrics");
    assert_ok(input_seek(in, 7, -1, &err), &err);
    pages_run(&net, in, NS_PER_MS, &notes);
    assert_int_equal(harness_count(&notes, "8 01a208"), 1);
    assert_non_null(strstr(notes.p, "{\"ts\":\"2026-11-23T14:00:00Z\",\"host\":\"n1\","
                                    "\"gpu_index\":0,\"name\":\"H100\",\"uuid\":\"GPU-a\","
                                    "\"temperature_c\":30,\"price_per_hour_usd\":2.5,"
                                    "\"source\":\"dcgm\",\"site\":\"lab\""));
    pages_run(&net, in, NS_PER_MS, &notes);
    input_health(in, &health);
    assert_non_null(strstr(health.error, "no GPU is on the page"));
    pages_run(&net, in, NS_PER_MS, &notes);
    input_health(in, &health);
    assert_non_null(strstr(health.error, "1 lines of the page cannot be read"));
    assert_int_equal(harness_count(&notes, "\"temperature_c\":31"), 1);
    input_close(in);
    buf_done(&notes);
}

static void test_bad_options(void **state)
{
    (void)state;
    static const char *const uris[] = {"dcgm+http:",
                                       "dcgm+https://u:p@h",
                                       "dcgm+http://h?price=-1",
                                       "dcgm+http://h?price=1000001",
                                       "dcgm+http://h?every=0s",
                                       "dcgm+http://h?model=m"};
    for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
        struct input *in = NULL;
        struct error err = {0};
        assert_int_equal(harness_try(&h, uris[i], &in, &err), -EINVAL);
        assert_true(err.msg[0] && !net.open);
    }
}

int main(void)
{
#define T(f) TEST_WITH(f, setup, teardown)
    return TEST_RUN(T(test_pages), T(test_slices), T(test_the_host_option_wins), T(test_too_many),
                    T(test_capture), T(test_the_input), T(test_bad_options));
}
