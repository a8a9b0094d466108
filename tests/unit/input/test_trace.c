#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "harness.h"

#define HEADER "TIMESTAMP,ContextTokens,GeneratedTokens\n"
#define THREE                                                                                      \
    HEADER "2023-11-16 18:17:03.9799600,4808,10\r\n"                                               \
           "2023-11-16 18:17:04.0319600,3180,8\r\n"                                                \
           "2023-11-16 18:17:06.5000000,110,27"

enum { TEXT_LIMIT = 1 << 28 };

static struct harness h;

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_done(&h);
    return 0;
}

struct totals {
    int64_t usages, samples, dead, prompt, output;
    int64_t first_start, last_end; // of the requests
    int64_t first_ts, last_ts;     // of all records

    int priced;
};

static void add_record(struct totals *t, const struct record *r)
{
    int64_t ts = record_ts(r);
    assert_true(t->last_ts <= ts); // in order of event time
    t->first_ts = t->first_ts ? t->first_ts : ts;
    t->last_ts = ts;
    if (r->kind == RECORD_SAMPLE) {
        t->samples++;
        t->priced += (r->sample.has & SAMPLE_PRICE) != 0;
        return;
    }
    const struct usage_record *u = &r->usage;
    int64_t start = usage_start(u);
    t->usages++;
    t->prompt += u->prompt_tokens;
    t->output += u->completion_tokens;
    t->first_start = t->first_start && t->first_start < start ? t->first_start : start;
    t->last_end = ts;
    assert_true(usage_placed(u));
}

static void add_batch(struct totals *t, const struct batch *b)
{
    for (size_t i = 0; i < b->n_records; i++) {
        add_record(t, &b->records[i]);
    }
    t->dead += (int64_t)b->n_dead;
}

static struct totals total_of(const char *uri)
{
    struct totals t = {0};
    struct error err = {0};
    struct batch b;
    batch_init(&b);
    struct input *in = harness_open(&h, "%s", uri);
    int r = INPUT_MORE;
    while (r == INPUT_MORE) {
        batch_clear(&b);
        r = input_next(in, &b, &err);
        add_batch(&t, &b);
    }
    assert_ok(r, &err);
    assert_i64(b.position, t.usages + t.samples + t.dead);
    input_close(in);
    batch_done(&b);
    return t;
}

static struct totals total_with(const char *text, const char *options)
{
    harness_write(&h, "trace.csv", str_of(text));
    return total_of(harness_uri(&h, "trace", "trace.csv", options));
}

static int64_t at(const char *iso)
{
    int64_t t;
    assert_int_equal(time_parse_iso(str_of(iso), &t), 0);
    return t;
}

static void test_requests_of_a_trace(void **state)
{
    (void)state;
    struct totals t = total_with(THREE, "");
    assert_i64(t.usages, 3);
    assert_i64(t.prompt, 4808 + 3180 + 110);
    assert_i64(t.output, 10 + 8 + 27);
    assert_i64(t.dead, 0);
    // All GPUs are idle: every request is scheduled when it arrives.
    assert_i64(t.first_start, at("2023-11-16T18:17:03.97996Z"));
    assert_true(t.first_ts <= at("2023-11-16T18:17:03Z"));
    assert_true(t.last_ts >= t.last_end);
    assert_i64(t.priced, 0);
    assert_true(t.samples >= 8 * 4);
}

static void test_records_are_whole(void **state)
{
    (void)state;
    struct buf got;
    harness_write(&h, "trace.csv", STR(THREE));
    harness_read_all(&h, &got,
                     harness_uri(&h, "trace", "trace.csv",
                                 "?gpus=4&hosts=2&tp=2&model=llama-3-70b&tenant=acme&price=2.5"));
    assert_int_equal(harness_count(&got, "\"model\":\"llama-3-70b\""), 3);
    assert_int_equal(harness_count(&got, "\"tenant\":\"acme\""), 3);
    assert_int_equal(harness_count(&got, "\"gpu_indices\":[0,1]"), 3);
    assert_int_equal(harness_count(&got, "\"price_per_hour_usd\":2.5"),
                     harness_count(&got, "\"utilization\""));
    assert_int_equal(harness_count(&got, "NVIDIA H100 80GB HBM3"),
                     harness_count(&got, "\"source\":\"trace\""));
    // The two that overlap are on different hosts.
    assert_int_equal(harness_count(&got, "\"prompt_tokens\":4808,\"completion_tokens\":10"), 1);
    assert_true(harness_count(&got, "\"host\":\"gpu-01\"") > 0);
    assert_true(harness_count(&got, "\"host\":\"gpu-02\"") > 0);
    assert_int_equal(harness_count(&got, "\"host\":\"gpu-03\""), 0);
    buf_done(&got);
}

static void test_when_it_begins(void **state)
{
    (void)state;
    static const char vidur[] = "arrived_at,num_prefill_tokens,num_decode_tokens\n"
                                "12.5,100,5\n13,100,5\n";
    static const struct {
        const char *text, *options, *first;
    } cases[] = {
        {THREE, "", "2023-11-16T18:17:03.97996Z"},
        {THREE, "?start=2025-06-01", "2025-06-01T00:00:00Z"},
        {THREE, "?start=-1h", "2026-11-23T13:00:00Z"},
        {THREE, "?start=now", "2026-11-23T14:00:00Z"},
        {vidur, "", "2024-01-01T00:00:12.5Z"},
        {vidur, "?start=2025-06-01T10:00:00Z", "2025-06-01T10:00:00Z"},
        {vidur, "?start=1970-01-02", "1970-01-02T00:00:00Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct totals t = total_with(cases[i].text, cases[i].options);
        assert_i64(t.first_start, at(cases[i].first));
    }
}

static void test_bad_lines_become_dead_letters(void **state)
{
    (void)state;
    struct buf got;
    harness_write(&h, "trace.csv",
                  STR("junk before any request\n" HEADER)); // not a trace at all
    struct input *in = NULL;
    struct error err = {0};
    assert_int_equal(harness_try(&h, harness_uri(&h, "trace", "trace.csv", ""), &in, &err),
                     -EINVAL);
    assert_non_null(strstr(err.msg, "junk before any request"));
    assert_non_null(strstr(err.msg, "Mooncake (timestamp,input_length,output_length)"));

    harness_write(&h, "trace.csv",
                  STR(HEADER "first bad\n\n"
                             "2023-11-16 18:17:03,10,10\n"
                             "2023-11-16 18:17:04,10,-1\n"
                             "2023-11-16 18:17:02,10,10\n"
                             "2123-11-16 18:17:04,10,10\n"
                             "2023-11-16 18:17:05,10,10\n"
                             "last bad"));
    harness_read_all(&h, &got, harness_uri(&h, "trace", "trace.csv", ""));
    assert_true(str_starts(buf_view(&got), STR("1 ! line 2: 1 fields instead of 3\n")));
    assert_int_equal(harness_count(&got, "! line 5: GeneratedTokens: out of range: '-1'"), 1);
    assert_int_equal(harness_count(&got, "! line 6: time: before that of the request above"), 1);
    assert_int_equal(harness_count(&got, "! line 7: time: more than 7 days after"), 1);
    assert_int_equal(harness_count(&got, "! line 9: 1 fields instead of 3"), 1);
    assert_int_equal(harness_count(&got, " ! "), 5);
    assert_int_equal(harness_count(&got, "\"prompt_tokens\""), 2);
    buf_done(&got);
    harness_check_resume(&h, harness_uri(&h, "trace", "trace.csv", "?gpus=2"), 1);
}

static void test_a_trace_ahead_of_time_is_refused(void **state)
{
    (void)state;
    struct totals t = total_with(THREE, "?start=2026-11-23T15:00:01Z&gpus=1");
    assert_i64(t.usages, 0);
    assert_true(t.dead >= 3);
}

static void test_what_does_not_open(void **state)
{
    (void)state;
    static const struct {
        const char *options, *says;
    } cases[] = {
        {"?gpus=0", "gpus=0"},
        {"?gpus=4097", "gpus=4097"},
        {"?gpus=2&hosts=3", "hosts=3"},
        {"?gpu=h900", "h900"},
        {"?price=-1", "price=-1"},
        {"?price=1000001", "price="},
        {"?tp=9", "tp=9"},
        {"?tenant=a&tenants=3", "not both"},
        {"?tenant=", "tenant="},
        {"?tenants=1001", "tenants=1001"},
        {"?speed=0", "speed=0"},
        {"?start=tomorrow", "start=tomorrow"},
        {"?every=31s", "every="},
        {"?limit=0", "limit=0"},
        {"?modell=x", "unknown option 'modell'"},
        {"?model=llama-3-405b&gpus=1", "does not fit"},
        {"?model=llama-3-405b&gpus=16&hosts=16", "does not fit"},
    };
    harness_write(&h, "trace.csv", STR(THREE));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct input *in = NULL;
        struct error err = {0};
        int r = harness_try(&h, harness_uri(&h, "trace", "trace.csv", cases[i].options), &in, &err);
        assert_int_equal(r, -EINVAL);
        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].options, err.msg);
        }
    }
    struct input *in = NULL;
    struct error err = {0};
    assert_int_equal(harness_try(&h, "trace:", &in, &err), -EINVAL);
    assert_int_equal(harness_try(&h, "trace:/no/such", &in, &err), -ENOENT);
    assert_int_equal(harness_try(&h, "trace:/dev/null", &in, &err), -EINVAL);
    harness_write(&h, "empty", STR(""));
    assert_int_equal(harness_try(&h, harness_uri(&h, "trace", "empty", ""), &in, &err), -EINVAL);
}

static void test_a_trace_without_requests_ends(void **state)
{
    (void)state;
    struct totals t = total_with(HEADER, "");
    assert_i64(t.usages, 0);
    assert_i64(t.dead, 0);
}

static void test_tenants_are_spread_the_same_way_each_time(void **state)
{
    (void)state;
    struct buf text, first, again, other;
    buf_init(&text, TEXT_LIMIT);
    buf_cstr(&text, HEADER);
    for (int i = 0; i < 500; i++) {
        buf_printf(&text, "2023-11-16 18:%02d:%02d,10,2\n", i / 60, i % 60);
    }
    harness_write(&h, "trace.csv", buf_view(&text));
    const char *uri = harness_uri(&h, "trace", "trace.csv", "?tenants=3&gpus=1");
    harness_read_all(&h, &first, uri);
    harness_read_all(&h, &again, uri);
    assert_true(str_eq(buf_view(&first), buf_view(&again)));
    int search = harness_count(&first, "\"tenant\":\"search\"");
    int chat = harness_count(&first, "\"tenant\":\"chat\"");
    int batch = harness_count(&first, "\"tenant\":\"batch\"");
    assert_int_equal(search + chat + batch, 500);
    assert_true(search > 150 && chat > 130 && batch > 60);
    harness_read_all(&h, &other, harness_uri(&h, "trace", "trace.csv", "?tenants=3&gpus=1&seed=2"));
    assert_int_not_equal(harness_count(&other, "\"tenant\":\"search\""), 0);
    assert_false(str_eq(buf_view(&first), buf_view(&other)));
    buf_done(&first);
    buf_done(&again);
    buf_done(&other);
    buf_done(&text);
}

static void test_models_of_a_trace_are_kept(void **state)
{
    (void)state;
    static const char text[] =
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,472,18,490,Conversation log\n"
        "45,GPT-4,30,0,30,API log\n";
    struct buf got;
    harness_write(&h, "burst.csv", str_of(text));
    harness_read_all(&h, &got, harness_uri(&h, "trace", "burst.csv", "?gpus=1"));
    assert_int_equal(harness_count(&got, "\"model\":\"ChatGPT\""), 1);
    assert_int_equal(harness_count(&got, "\"model\":\"GPT-4\""), 1);
    // A request that failed has no first token.
    assert_int_equal(harness_count(&got, "\"completion_tokens\":0"), 1);
    assert_int_equal(harness_count(&got, "\"ttft_ms\""), 1);
    buf_done(&got);
    harness_read_all(&h, &got, harness_uri(&h, "trace", "burst.csv", "?gpus=1&model=mine"));
    assert_int_equal(harness_count(&got, "\"model\":\"mine\""), 2);
    buf_done(&got);
}

static void test_limit(void **state)
{
    (void)state;
    assert_i64(total_with(THREE, "?limit=2").usages, 2);
    assert_i64(total_with(THREE, "?limit=9").usages, 3);
}

static void test_packed_traces(void **state)
{
    (void)state;
    struct buf want, got, packed;
    harness_write(&h, "trace.csv", STR(THREE));
    const char *uri = harness_uri(&h, "trace", "trace.csv", "");
    harness_read_all(&h, &want, uri);
    for (enum harness_pack how = AS_GZIP; how <= AS_ZSTD; how++) {
        buf_init(&packed, TEXT_LIMIT);
        harness_pack(&packed, how, STR(THREE));
        harness_write(&h, "trace.csv", buf_view(&packed));
        harness_read_all(&h, &got, uri);
        assert_true(str_eq(buf_view(&want), buf_view(&got)));
        buf_done(&got);
        // Cut off: an error, at once where not even the header is left.
        harness_write(&h, "trace.csv", (struct str){packed.p, packed.n - 4});
        struct input *in = NULL;
        struct error err = {0};
        int r = harness_try(&h, uri, &in, &err);
        if (r == 0) {
            buf_init(&got, TEXT_LIMIT);
            r = harness_drain_to_end(in, &got, &err);
            buf_done(&got);
            input_close(in);
        }
        assert_int_equal(r, -EBADMSG);
        assert_non_null(strstr(err.msg, "is cut off"));
        buf_done(&packed);
    }
    buf_done(&want);
}

static void test_resume(void **state)
{
    (void)state;
    harness_write(&h, "trace.csv", STR(THREE));
    harness_check_resume(&h, harness_uri(&h, "trace", "trace.csv", "?gpus=3&tenants=2"), 1);
}

static void test_paced(void **state)
{
    (void)state;
    harness_write(&h, "trace.csv", STR(THREE));
    struct totals want = total_of(harness_uri(&h, "trace", "trace.csv", ""));
    struct totals got = {0};
    struct batch b;
    batch_init(&b);
    struct input *in = harness_open(&h, "trace:%s?speed=10", harness_path(&h, "trace.csv"));
    assert_true(input_info(in)->finite);
    int r = INPUT_MORE;
    for (int tenths = 0; r == INPUT_MORE; tenths++) {
        assert_true(tenths < 100);
        batch_clear(&b);
        r = input_next(in, &b, NULL);
        add_batch(&got, &b);
        // Ten seconds of the trace a second; its clock starts with the first record.
        int64_t horizon = want.first_ts + tenths * NS_PER_S;
        assert_true(got.last_ts <= horizon);
        assert_true(r == INPUT_END || got.last_ts > horizon - NS_PER_S);
        harness_advance(&h, NS_PER_S / 10);
    }
    assert_int_equal(r, INPUT_END);
    assert_i64(got.usages, want.usages);
    assert_i64(got.samples, want.samples);
    input_close(in);
    batch_done(&b);
}

static void test_a_replay_never_overtakes_the_clock(void **state)
{
    (void)state;
    harness_write(&h, "trace.csv", STR(THREE));
    struct batch b;
    batch_init(&b);
    struct input *in =
        harness_open(&h, "trace:%s?speed=1000&start=now", harness_path(&h, "trace.csv"));
    struct totals got = {0};
    for (int r = INPUT_MORE, tenths = 0; r == INPUT_MORE; tenths++) {
        assert_true(tenths < 100);
        batch_clear(&b);
        r = input_next(in, &b, NULL);
        add_batch(&got, &b);
        assert_true(got.last_ts <= h.clock.wall);
        harness_advance(&h, NS_PER_S / 10);
    }
    assert_i64(got.usages, 3);
    assert_i64(got.dead, 0);
    input_close(in);
    batch_done(&b);
}

// The whole real trace, where the reference data is at hand.
static void test_azure_code_trace(void **state)
{
    (void)state;
    const char *shared = getenv("GTAP_SHARED");
    AUTO_FREE char *path =
        x_asprintf("%s/data/azure/AzureLLMInferenceTrace_code.csv", shared ? shared : "../shared");
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        print_message("skipped: no reference data at %s\n", path);
        skip();
    }
    fclose(f);
    AUTO_FREE char *uri = x_asprintf("trace:%s", path);
    struct totals t = total_of(uri);
    assert_i64(t.usages, 8819);
    assert_i64(t.prompt, 18059974);
    assert_i64(t.output, 245896);
    assert_i64(t.dead, 0);
    assert_i64(t.first_start, at("2023-11-16T18:17:03.97996Z"));
    assert_true(t.last_end >= at("2023-11-16T19:14:19.92801Z"));
    assert_true(t.last_end < at("2023-11-16T19:14:30Z"));
}

#define TRACE_TEST(f) TEST_WITH(f, setup, teardown)

int main(void)
{
    return TEST_RUN(
        TRACE_TEST(test_requests_of_a_trace), TRACE_TEST(test_records_are_whole),
        TRACE_TEST(test_when_it_begins), TRACE_TEST(test_bad_lines_become_dead_letters),
        TRACE_TEST(test_a_trace_ahead_of_time_is_refused), TRACE_TEST(test_what_does_not_open),
        TRACE_TEST(test_a_trace_without_requests_ends),
        TRACE_TEST(test_tenants_are_spread_the_same_way_each_time),
        TRACE_TEST(test_models_of_a_trace_are_kept), TRACE_TEST(test_limit),
        TRACE_TEST(test_packed_traces), TRACE_TEST(test_resume), TRACE_TEST(test_paced),
        TRACE_TEST(test_a_replay_never_overtakes_the_clock), TRACE_TEST(test_azure_code_trace));
}
