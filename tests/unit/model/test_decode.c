#include "test.h"

#include <errno.h>

#include "base/buf.h"
#include "base/time.h"
#include "decoding.h"

#define NOON (INT64_C(1795435200) * NS_PER_S) // 2026-11-23T12:00:00Z

#define SAMPLE_START "{\"ts\":9,\"host\":\"h\",\"gpu_index\":0,\"power_w\":1"
#define USAGE_FIELDS                                                                               \
    "\"ts\":9,\"model\":\"m\",\"prompt_tokens\":1,\"completion_tokens\":1,\"latency_ms\":1"
#define USAGE_START "{" USAGE_FIELDS
#define USAGE_REST USAGE_FIELDS "}"

static int setup(void **state)
{
    struct decoding *d = malloc(sizeof(*d));
    if (d) {
        decoding_start(d);
    }
    *state = d;
    return d ? 0 : -1;
}

static int teardown(void **state)
{
    decoding_end(*state);
    free(*state);
    return 0;
}

static void read_ok(struct decoding *d, const char *text)
{
    assert_ok(decoding_read(d, str_of(text)), &d->err);
}

static void read_bad(struct decoding *d, struct str text, const char *message)
{
    assert_i64(decoding_read(d, text), -EINVAL);
    assert_str(str_of(d->err.msg), message);
}

static void test_whole_sample(void **state)
{
    struct decoding *d = *state;
    read_ok(d, "{\"ts\":\"2026-11-23T12:00:00.25Z\",\"host\":\"gpu-01\",\"gpu_index\":3,"
               "\"gpu_instance\":7,\"name\":\"NVIDIA H100\",\"uuid\":\"GPU-5f3c\","
               "\"utilization\":0.97,\"mem_used_mb\":74123.5,\"mem_total_mb\":81559,"
               "\"power_w\":631.2,\"temperature_c\":64,\"sm_clock_mhz\":1980,"
               "\"energy_mj\":123456789012,\"mig_profile\":\"1g.10gb\","
               "\"price_per_hour_usd\":2.480000001,\"source\":\"nvml\",\"site\":\"eu-1\","
               "\"event_id\":\"id-1\",\"rack\":[1, 2]}");
    const struct gpu_sample *s = &d->r.sample;
    assert_int_equal(d->r.kind, RECORD_SAMPLE);
    assert_i64(s->ts, NOON + 250 * NS_PER_MS);
    assert_str(s->gpu.host, "gpu-01");
    assert_i64(s->gpu.index, 3);
    assert_i64(s->gpu.instance, 7);
    assert_i64(s->has, SAMPLE_UTILIZATION | SAMPLE_MEM_USED | SAMPLE_MEM_TOTAL | SAMPLE_POWER |
                           SAMPLE_TEMPERATURE | SAMPLE_SM_CLOCK | SAMPLE_ENERGY | SAMPLE_PRICE);
    assert_near(s->utilization, 0.97, 0);
    assert_near(s->mem_used_mb, 74123.5, 0);
    assert_near(s->mem_total_mb, 81559, 0);
    assert_near(s->power_w, 631.2, 0);
    assert_near(s->temperature_c, 64, 0);
    assert_near(s->sm_clock_mhz, 1980, 0);
    assert_i64(s->energy_mj, 123456789012);
    assert_i64(s->price_nusd_hour, 2480000001);
    assert_str(s->name, "NVIDIA H100");
    assert_str(s->uuid, "GPU-5f3c");
    assert_str(s->mig_profile, "1g.10gb");
    assert_str(s->source, "nvml");
    assert_str(s->site, "eu-1");
    assert_str(d->r.event_id, "id-1");
    assert_str(d->r.extra, "\"rack\":[1,2]");
}

static void test_least_sample(void **state)
{
    struct decoding *d = *state;
    read_ok(d, "{\"ts\":0,\"host\":\"h\",\"gpu_index\":0,\"utilization\":0}");
    const struct gpu_sample *s = &d->r.sample;
    assert_int_equal(d->r.kind, RECORD_SAMPLE);
    assert_i64(s->ts, 0);
    assert_i64(s->gpu.instance, GPU_INSTANCE_NONE);
    assert_i64(s->has, SAMPLE_UTILIZATION);
    assert_near(s->utilization, 0, 0);
    assert_str(s->name, NULL);
    assert_str(s->uuid, NULL);
    assert_str(s->mig_profile, NULL);
    assert_str(s->source, NULL);
    assert_str(s->site, NULL);
    assert_str(d->r.event_id, NULL);
    assert_str(d->r.extra, NULL);
}

static void test_whole_usage(void **state)
{
    struct decoding *d = *state;
    read_ok(d, "{\"ts\":1795435200.000000001,\"model\":\"llama-3-70b\",\"prompt_tokens\":100,"
               "\"completion_tokens\":50,\"latency_ms\":900.000001,\"cached_prompt_tokens\":10,"
               "\"ttft_ms\":120.25,\"host\":\"gpu-02\",\"gpu_indices\":[5,1,4],\"requests\":12,"
               "\"tenant\":\"search\",\"request_id\":\"r-1\",\"site\":\"eu-1\","
               "\"event_id\":\"id-2\",\"user\":null}");
    const struct usage_record *u = &d->r.usage;
    assert_int_equal(d->r.kind, RECORD_USAGE);
    assert_i64(u->ts, NOON + 1);
    assert_i64(u->latency_ns, 900000001);
    assert_i64(u->ttft_ns, 120250000);
    assert_i64(u->has, USAGE_TTFT | USAGE_CACHED | USAGE_REQUESTS);
    assert_i64(u->prompt_tokens, 100);
    assert_i64(u->completion_tokens, 50);
    assert_i64(u->cached_prompt_tokens, 10);
    assert_i64(u->requests, 12);
    assert_str(u->model, "llama-3-70b");
    assert_str(u->tenant, "search");
    assert_str(u->host, "gpu-02");
    assert_str(u->request_id, "r-1");
    assert_str(u->site, "eu-1");
    assert_i64(u->n_gpus, 3);
    assert_i64(u->gpus[0], 1);
    assert_i64(u->gpus[1], 4);
    assert_i64(u->gpus[2], 5);
    assert_i64(u->gpu_instance, GPU_INSTANCE_NONE);
    assert_str(d->r.event_id, "id-2");
    assert_str(d->r.extra, "\"user\":null");
    assert_true(usage_placed(u));
}

static void test_least_usage(void **state)
{
    struct decoding *d = *state;
    read_ok(d, USAGE_START "}");
    const struct usage_record *u = &d->r.usage;
    assert_int_equal(d->r.kind, RECORD_USAGE);
    assert_i64(u->has, 0);
    assert_i64(u->cached_prompt_tokens, 0);
    assert_i64(u->requests, 1);
    assert_str(u->tenant, NULL);
    assert_str(u->host, NULL);
    assert_str(u->request_id, NULL);
    assert_str(u->site, NULL);
    assert_null(u->gpus);
    assert_i64(u->n_gpus, 0);
    assert_i64(u->gpu_instance, GPU_INSTANCE_NONE);
    assert_false(usage_placed(u));
}

static void test_one_gpu(void **state)
{
    struct decoding *d = *state;
    read_ok(d, USAGE_START ",\"host\":\"h\",\"gpu_index\":3,\"gpu_instance\":2}");
    uint64_t digest = d->r.digest;
    assert_i64(d->r.usage.n_gpus, 1);
    assert_i64(d->r.usage.gpus[0], 3);
    assert_i64(d->r.usage.gpu_instance, 2);
    read_ok(d, USAGE_START ",\"gpu_indices\":[3],\"gpu_instance\":2,\"host\":\"h\"}");
    assert_true(d->r.digest == digest); // however it was written
}

// What was decoded stays when the text and the decoder move on.
static void test_owns_its_texts(void **state)
{
    struct decoding *d = *state;
    read_ok(d, USAGE_START ",\"tenant\":\"a\\tb\",\"gpu_indices\":[1,2],\"x\":\"y\"}");
    struct record first = d->r;
    for (int i = 0; i < 100; i++) {
        read_ok(d, USAGE_START ",\"tenant\":\"z\\tz\",\"gpu_indices\":[8,9],\"q\":\"r\"}");
    }
    assert_str(first.usage.tenant, "a\tb");
    assert_str(first.usage.model, "m");
    assert_i64(first.usage.gpus[1], 2);
    assert_str(first.extra, "\"x\":\"y\"");
}

static void test_stays_usable(void **state)
{
    struct decoding *d = *state;
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{\"x\":[[[[",
                                      "{\"ts\":\"\\ud800\"}",
                                      SAMPLE_START ",\"x\":{\"a\":[1,2}",
                                      USAGE_START ",\"y\":\"\\"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_i64(decoding_read(d, str_of(bad[i])), -EINVAL);
        read_ok(d, SAMPLE_START "}");
        assert_str(d->r.extra, NULL);
    }
}

static void test_text_that_is_no_text(void **state)
{
    struct decoding *d = *state;
    read_bad(d, STR(""), "not JSON: empty");
    read_bad(d, STR(" \t\r\n "), "not JSON: empty");
    read_bad(d, STR("{\"host\":\"\xff\"}"), "not JSON: not UTF-8");
    read_bad(d, STR("{\"host\":\"\xed\xa0\x80\"}"), "not JSON: not UTF-8"); // a surrogate
    read_bad(d, STR("{\"host\":\"\xc0\x80\"}"), "not JSON: not UTF-8");     // overlong NUL
    read_bad(d, STR("{\"host\":\"\xe2\x82\"}"), "not JSON: not UTF-8");     // cut short
    read_bad(d, STR("{\"host\":\"a\0b\"}"), "not JSON: control character in a string");
    read_bad(d, STR("{\"ts\":1\0}"), "not JSON: unexpected 1 at byte 7");
    read_bad(d, STR("\0"), "not JSON: unexpected character at byte 1");
    read_bad(d, STR("\xef\xbb\xbf{}"), "not JSON: unexpected character at byte 1");
}

// Appends `n` bytes of a text that is one field of a sample.
static void add_name(struct buf *b, size_t n, const char *piece)
{
    buf_clear(b);
    buf_cstr(b, SAMPLE_START ",\"name\":\"");
    for (size_t i = 0; i < n; i++) {
        buf_cstr(b, piece);
    }
    buf_cstr(b, "\"}");
}

static void test_length_of_text(void **state)
{
    struct decoding *d = *state;
    struct buf b;
    buf_init(&b, 1 << 16);
    add_name(&b, RECORD_TEXT_MAX, "a");
    assert_ok(decoding_read(d, buf_view(&b)), &d->err);
    assert_i64((int64_t)d->r.sample.name.n, RECORD_TEXT_MAX);
    add_name(&b, RECORD_TEXT_MAX, "\\u0041"); // what counts is the text, not how it is written
    assert_ok(decoding_read(d, buf_view(&b)), &d->err);
    assert_i64((int64_t)d->r.sample.name.n, RECORD_TEXT_MAX);
    add_name(&b, RECORD_TEXT_MAX + 1, "a");
    read_bad(d, buf_view(&b), "name: is longer than 512 bytes (513)");
    add_name(&b, RECORD_TEXT_MAX / 2 + 1, "\\u00e9");
    read_bad(d, buf_view(&b), "name: is longer than 512 bytes (514)");
    buf_done(&b);
}

static void test_length_of_record(void **state)
{
    struct decoding *d = *state;
    struct buf b;
    buf_init(&b, 2 * RECORD_BYTES_MAX);
    buf_cstr(&b, SAMPLE_START ",\"x\":\"");
    size_t start = b.n, tail = strlen("\"}");
    while (b.n < RECORD_BYTES_MAX - tail) {
        buf_char(&b, 'x');
    }
    buf_cstr(&b, "\"}");
    assert_ok(decoding_read(d, buf_view(&b)), &d->err);
    assert_i64((int64_t)d->r.extra.n,
               (int64_t)(RECORD_BYTES_MAX - start - tail + strlen("\"x\":\"\"")));
    buf_char(&b, ' ');
    read_bad(d, buf_view(&b), "record: is longer than 1048576 bytes (1048577)");
    buf_done(&b);
}

// Many small values and brackets: the largest index that a text of this size can have.
static void test_dense_record(void **state)
{
    struct decoding *d = *state;
    struct buf b;
    buf_init(&b, RECORD_BYTES_MAX);
    buf_cstr(&b, SAMPLE_START ",\"x\":[0");
    while (b.n < RECORD_BYTES_MAX - 8) {
        buf_cstr(&b, ",{}");
    }
    buf_cstr(&b, "]}");
    assert_ok(decoding_read(d, buf_view(&b)), &d->err);
    buf_clear(&b);
    while (b.n < RECORD_BYTES_MAX) {
        buf_char(&b, '[');
    }
    assert_i64(decoding_read(d, buf_view(&b)), -EINVAL);
    buf_clear(&b);
    while (b.n < RECORD_BYTES_MAX - 5) {
        buf_cstr(&b, "{\"\":");
    }
    assert_i64(decoding_read(d, buf_view(&b)), -EINVAL);
    buf_done(&b);
}

static void nest(struct buf *b, int depth)
{
    buf_clear(b);
    buf_cstr(b, SAMPLE_START ",\"x\":");
    for (int i = 0; i < depth; i++) {
        buf_cstr(b, i % 2 ? "{\"a\":" : "[");
    }
    buf_cstr(b, "1");
    for (int i = depth - 1; i >= 0; i--) {
        buf_cstr(b, i % 2 ? "}" : "]");
    }
    buf_cstr(b, "}");
}

static void test_nesting(void **state)
{
    struct decoding *d = *state;
    struct buf b;
    buf_init(&b, 1 << 16);
    nest(&b, 31); // and the record itself
    assert_ok(decoding_read(d, buf_view(&b)), &d->err);
    nest(&b, 32);
    read_bad(d, buf_view(&b), "not JSON: nested too deeply");
    buf_done(&b);
}

static void add_gpus(struct buf *b, int n)
{
    buf_clear(b);
    buf_cstr(b, USAGE_START ",\"host\":\"h\",\"gpu_indices\":[0");
    for (int i = 1; i < n; i++) {
        buf_printf(b, ",%d", i);
    }
    buf_cstr(b, "]}");
}

static void test_number_of_gpus(void **state)
{
    struct decoding *d = *state;
    struct buf b;
    buf_init(&b, 1 << 16);
    add_gpus(&b, RECORD_GPUS_MAX);
    assert_ok(decoding_read(d, buf_view(&b)), &d->err);
    assert_i64(d->r.usage.n_gpus, RECORD_GPUS_MAX);
    assert_i64(d->r.usage.gpus[RECORD_GPUS_MAX - 1], RECORD_GPUS_MAX - 1);
    add_gpus(&b, RECORD_GPUS_MAX + 1);
    read_bad(d, buf_view(&b), "gpu_indices: names more than 128 GPUs");
    buf_done(&b);
}

// A decimal of any length is read exactly, and a real as strtod() reads it.
static void test_long_numbers(void **state)
{
    struct decoding *d = *state;
    read_ok(d, "{\"ts\":9,\"host\":\"h\",\"gpu_index\":0,"
               "\"price_per_hour_usd\":0.00000000149999999999999999999999999999999999999999999999,"
               "\"power_w\":0.1000000000000000055511151231257827021181583404541015625000000001,"
               "\"sm_clock_mhz\":9007199254740993}");
    assert_i64(d->r.sample.price_nusd_hour, 1);
    assert_near(d->r.sample.power_w, 0.1, 0);
    assert_near(d->r.sample.sm_clock_mhz, 9007199254740992.0, 0);
}

// What gtap export added is no part of the record: read again, it says the same as before.
static void test_computed_fields(void **state)
{
    struct decoding *d = *state;
    static const struct {
        const char *plain, *exported, *extra;
    } rows[] = {
        {USAGE_START ",\"x\":1}",
         USAGE_START ",\"x\":1,\"start\":\"1970-01-01T00:00:08.999Z\",\"cost_per_token\":1e-6,"
                     "\"cost_nusd\":1,\"cost_in_nusd\":1,\"cost_out_nusd\":0,\"energy_j\":null,"
                     "\"unpriced_ns\":0,\"final\":true,\"late\":false,\"revision\":1,"
                     "\"method\":\"weighted\",\"partition\":0}",
         "\"x\":1"},
        {USAGE_START "}", "{\"partition\":3,\"final\":[{}]," USAGE_REST, NULL},
        {SAMPLE_START "}", SAMPLE_START ",\"partition\":0}", NULL},
        // Of a sample gtap computes nothing else: these are the producer's.
        {SAMPLE_START ",\"method\":\"a\",\"final\":1}",
         SAMPLE_START ",\"method\":\"a\",\"partition\":0,\"final\":1}",
         "\"method\":\"a\",\"final\":1"},
        // Within an unknown field they are part of it.
        {USAGE_START ",\"x\":{\"partition\":1}}",
         USAGE_START ",\"x\":{\"partition\":1},\"partition\":2}", "\"x\":{\"partition\":1}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        read_ok(d, rows[i].plain);
        uint64_t digest = d->r.digest;
        assert_str(d->r.extra, rows[i].extra);
        read_ok(d, rows[i].exported);
        assert_str(d->r.extra, rows[i].extra);
        assert_true(d->r.digest == digest);
    }
    // They are text like any other: what is not well-formed is refused.
    assert_i64(decoding_read(d, str_of(USAGE_START ",\"final\":tru}")), -EINVAL);
    assert_i64(decoding_read(d, str_of(USAGE_START ",\"partition\":[1}")), -EINVAL);
}

static void test_no_error_wanted(void **state)
{
    struct decoding *d = *state;
    char text[256] = "{\"ts\":9,\"name\":{},\"prompt_tokens\":-1}";
    struct str s = {text, strlen(text)};
    assert_i64(decoder_record(d->decoder, s, &d->arena, &d->r, NULL), -EINVAL);
}

#define T(f) TEST_WITH(f, setup, teardown)

int main(void)
{
    return TEST_RUN(T(test_whole_sample), T(test_least_sample), T(test_whole_usage),
                    T(test_least_usage), T(test_one_gpu), T(test_owns_its_texts),
                    T(test_stays_usable), T(test_text_that_is_no_text), T(test_length_of_text),
                    T(test_length_of_record), T(test_dense_record), T(test_nesting),
                    T(test_number_of_gpus), T(test_long_numbers), T(test_computed_fields),
                    T(test_no_error_wanted));
}
