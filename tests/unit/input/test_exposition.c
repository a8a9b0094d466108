#include "input/exposition.h"

#include <errno.h>

#include "base/buf.h"
#include "shared_data.h"
#include "test.h"

// One line a sample: name{label=value;...} number @time. What is bad is counted behind it.
static void note(struct buf *out, const char *page, const struct exposition_names *wanted)
{
    struct exposition e;
    buf_init(out, 1 << 20);
    exposition_init(&e, str_of(page), wanted);
    for (struct exposition_sample s; exposition_next(&e, &s);) {
        char room[256];
        buf_printf(out, STR_FMT "{", STR_ARG(s.name));
        for (struct exposition_label l; exposition_label(&s.labels, &l);) {
            struct str value = exposition_value(&l, room);
            buf_printf(out, STR_FMT "=" STR_FMT ";", STR_ARG(l.name), STR_ARG(value));
        }
        buf_printf(out, "} %.17g", s.value);
        if (s.has_time) {
            buf_printf(out, " @%lld", (long long)s.time_ms);
        }
        buf_char(out, '\n');
    }
    buf_printf(out, "%llu bad", (unsigned long long)e.bad);
}

static void check(const char *page, const char *want)
{
    struct buf got;
    note(&got, page, NULL);
    if (!str_eq(buf_view(&got), str_of(want))) {
        fail_msg("%s\n gives\n%s\n not\n%s", page, got.p, want);
    }
    buf_done(&got);
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *page, *want;
    } rows[] = {
        {"", "0 bad"},
        {"\n\n \n\t\n", "0 bad"},
        {"a 1", "a{} 1\n0 bad"}, // no newline at the end
        {"a 1\r\nb 2\r\n", "a{} 1\nb{} 2\n0 bad"},
        {"a\t1\n", "a{} 1\n0 bad"},
        {"a{} 1\n", "a{} 1\n0 bad"},
        {"a { } 1\n", "a{} 1\n0 bad"},
        {"vllm:a_b:c9{x=\"1\"} 2\n", "vllm:a_b:c9{x=1;} 2\n0 bad"},
        {"_a 1\n:a 2\n", "_a{} 1\n:a{} 2\n0 bad"},
        {"a{x=\"1\",y=\"2\"} 3\n", "a{x=1;y=2;} 3\n0 bad"},
        {"a{x=\"1\", y=\"2\", } 3\n", "a{x=1;y=2;} 3\n0 bad"}, // old DCGM exporters
        {"a{ x = \"1\" , y = \"2\" } 3\n", "a{x=1;y=2;} 3\n0 bad"},
        {"a{x=\"\"} 3\n", "a{x=;} 3\n0 bad"},
        {"a{x=\"NVIDIA H100 80GB\",y=\"{,}=\"} 3\n", "a{x=NVIDIA H100 80GB;y={,}=;} 3\n0 bad"},
        {"a{x=\"q\\\"b\\\\n\\nz\\d\"} 3\n", "a{x=q\"b\\n\nz\\d;} 3\n0 bad"},
        {"a{x=\"\xc3\xa4\"} 3\n", "a{x=\xc3\xa4;} 3\n0 bad"},
        {"a 8.128902e+06\n", "a{} 8128902\n0 bad"},
        {"a 1.15891634176e+011\n", "a{} 115891634176\n0 bad"}, // NIM's three digits
        {"a 1E3\nb -2.5e-1\nc +4\nd .5\ne 5.\n",
         "a{} 1000\nb{} -0.25\nc{} 4\nd{} 0.5\ne{} 5\n0 bad"},
        {"a +Inf\nb -Inf\nc NaN\nd inf\n", "a{} inf\nb{} -inf\nc{} nan\nd{} inf\n0 bad"},
        {"a_bucket{le=\"+Inf\"} 7\n", "a_bucket{le=+Inf;} 7\n0 bad"},
        {"a 1 1395066363000\n", "a{} 1 @1395066363000\n0 bad"},
        {"a 1 1395066363.123\n", "a{} 1 @1395066363123\n0 bad"}, // OpenMetrics: seconds
        {"a 1 -5\n", "a{} 1 @-5000\n0 bad"},
        {"a_total 5 # {trace_id=\"x\"} 0.67\n", "a_total{} 5\n0 bad"},
        {"a_total 5 1395066363000 # {trace_id=\"x\"} 0.67 1.5\n",
         "a_total{} 5 @1395066363000\n0 bad"},
        {"a 1\n# EOF\nb 2\n", "a{} 1\n0 bad"},
        {"# HELP a text # with {\n# a remark\n#\na 1\n", "a{} 1\n0 bad"},
        // What cannot be read is counted, and the rest is there.
        {"a\nb 2\n", "b{} 2\n1 bad"},
        {"a x\nb 2\n", "b{} 2\n1 bad"},
        {"a 0x10\nb 2\n", "b{} 2\n1 bad"},
        {"a 1_000\nb 2\n", "b{} 2\n1 bad"},
        {"a 1e\nb 1e+\nc 1 \n", "c{} 1\n2 bad"},
        {"a 1 2 3\nb 2\n", "b{} 2\n1 bad"},
        {"a 1 x\nb 2\n", "b{} 2\n1 bad"},
        {"a{x=\"1\" 2\nb 2\n", "b{} 2\n1 bad"},
        {"a{x=\"1} 2\nb 2\n", "b{} 2\n1 bad"},
        {"a{x=\"1\\\"} 2\nb 2\n", "b{} 2\n1 bad"},
        {"a{x=1} 2\nb 2\n", "b{} 2\n1 bad"},
        {"a{x} 2\nb 2\n", "b{} 2\n1 bad"},
        {"a{=\"1\"} 2\nb 2\n", "b{} 2\n1 bad"},
        {"a{,} 2\nb 2\n", "b{} 2\n1 bad"},
        {"a{x=\"1\"y=\"2\"} 2\nb 2\n", "b{} 2\n1 bad"},
        {"a{x=\"1\"}\nb 2\n", "b{} 2\n1 bad"},
        {"{\"a\"} 1\n9a 1\n<html>\nb 2\n", "b{} 2\n3 bad"},
        {"a{x=\"1", "1 bad"}, // cut off
        {"a{x=\"1\\", "1 bad"},
        {"a{", "1 bad"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check(rows[i].page, rows[i].want);
    }
}

// A label too many, a number too long: bad, and nothing more.
static void test_bounds(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 1 << 20);
    for (int labels = EXPOSITION_LABELS_MAX; labels <= EXPOSITION_LABELS_MAX + 1; labels++) {
        buf_printf(&page, "a%d{", labels);
        for (int i = 0; i < labels; i++) {
            buf_printf(&page, "l%d=\"\",", i);
        }
        buf_cstr(&page, "} 1\n");
    }
    for (int digits = EXPOSITION_NUMBER_MAX - 1; digits <= EXPOSITION_NUMBER_MAX; digits++) {
        buf_printf(&page, "d%d %0*d\n", digits, digits, 7);
    }
    struct exposition e;
    struct exposition_sample s;
    exposition_init(&e, buf_view(&page), NULL);
    assert_true(exposition_next(&e, &s));
    assert_str(s.name, "a64");
    assert_true(exposition_next(&e, &s));
    assert_str(s.name, "d127");
    assert_near(s.value, 7, 0);
    assert_false(exposition_next(&e, &s));
    assert_i64((int64_t)e.bad, 2);
    assert_i64((int64_t)e.samples, 4);
    buf_done(&page);
}

// Lines with other names are not looked into: what is wrong with them is no concern.
static void test_wanted_names(void **state)
{
    (void)state;
    struct exposition_names wanted = {0};
    assert_ok(exposition_want(&wanted, "vllm:prompt_tokens_total", 7), NULL);
    assert_ok(exposition_want(&wanted, "b", 8), NULL);
    assert_int_equal(exposition_want(&wanted, "b", 9), -EEXIST);
    struct exposition e;
    struct exposition_sample s;
    exposition_init(&e,
                    STR("vllm:prompt_tokens_totals 1\nvllm:prompt_tokens_tota 2\nbb 3\n"
                        "nothing{ 4\nb 5\nvllm:prompt_tokens_total{a=\"b\"} 6.0\n"),
                    &wanted);
    assert_true(exposition_next(&e, &s));
    assert_i64(s.id, 8);
    assert_near(s.value, 5, 0);
    assert_true(exposition_next(&e, &s));
    assert_i64(s.id, 7);
    assert_str(s.number, "6.0");
    assert_false(exposition_next(&e, &s));
    assert_i64((int64_t)e.bad, 0);
    assert_i64((int64_t)e.samples, 6);
}

// Names that begin alike, lines shorter than a name, and a page that ends within one.
static void test_names_that_begin_alike(void **state)
{
    (void)state;
    struct exposition_names wanted = {0};
    assert_ok(exposition_want(&wanted, "vllm:request_success_total", 1), NULL);
    assert_ok(exposition_want(&wanted, "sixteen_bytes_16", 2), NULL);
    struct exposition e;
    struct exposition_sample s;
    exposition_init(&e,
                    STR("vllm:request_success_created 1\na 1\nsixteen_bytes_16{} 2\n"
                        "vllm:request_success_total 3\nsixteen_bytes_17 4\n<\nvllm:request_succe"),
                    &wanted);
    assert_true(exposition_next(&e, &s));
    assert_i64(s.id, 2);
    assert_true(exposition_next(&e, &s));
    assert_i64(s.id, 1);
    assert_near(s.value, 3, 0);
    assert_false(exposition_next(&e, &s));
    assert_i64((int64_t)e.bad, 1);
    assert_i64((int64_t)e.samples, 6);
}

static void test_as_many_names_as_fit(void **state)
{
    (void)state;
    struct exposition_names wanted = {0};
    char names[EXPOSITION_NAMES_MAX + 1][16];
    struct buf page;
    buf_init(&page, 1 << 16);
    for (uint32_t i = 0; i <= EXPOSITION_NAMES_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "metric_%u", i);
        int r = exposition_want(&wanted, names[i], i);
        assert_int_equal(r, i < EXPOSITION_NAMES_MAX ? 0 : -ENOSPC);
        buf_printf(&page, "metric_%u %u\n", i, i);
    }
    struct exposition e;
    exposition_init(&e, buf_view(&page), &wanted);
    uint32_t n = 0;
    for (struct exposition_sample s; exposition_next(&e, &s); n++) {
        assert_i64(s.id, n);
        assert_near(s.value, n, 0);
    }
    assert_i64(n, EXPOSITION_NAMES_MAX);
    buf_done(&page);
}

static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *page;
        enum exposition_type type;
    } rows[] = {
        {"a 1\n", TYPE_UNTOLD},
        {"# TYPE a counter\na 1\n", TYPE_COUNTER},
        {"# TYPE a gauge\n# HELP a text\na 1\n", TYPE_GAUGE},
        {"# TYPE vllm:hits counter\nvllm:hits_total 1\n", TYPE_COUNTER},
        {"# TYPE a_total histogram\na_total_sum 1\n", TYPE_UNTOLD}, // a histogram named _total
        {"# TYPE a histogram\na 1\n", TYPE_OTHER},
        {"# TYPE a\na 1\n", TYPE_OTHER},
        {"# TYPE b counter\na 1\n", TYPE_UNTOLD},
        {"# TYPE \na 1\n", TYPE_UNTOLD},
        {"# TYPE ab gauge\na 1\n", TYPE_UNTOLD},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct exposition e;
        struct exposition_sample s;
        exposition_init(&e, str_of(rows[i].page), NULL);
        assert_true(exposition_next(&e, &s));
        if (s.type != rows[i].type) {
            fail_msg("%s: %d, not %d", rows[i].page, s.type, rows[i].type);
        }
    }
}

static void test_a_page_in_a_json_string(void **state)
{
    (void)state;
    static const struct {
        const char *page, *want;
    } rows[] = {
        {"\"# TYPE a counter\\na{x=\\\"1\\\"} 2\\n\"", "# TYPE a counter\na{x=\"1\"} 2\n"},
        {" \"a\\tb\\\\c\\/d\\u0041\"\n", "a\tb\\c/d\\u0041"},
        {"\"\"", ""},
        {"\"", "\""},
        {"a 1\n", "a 1\n"},
        {"", ""},
        {"\"a\\", "\"a\\"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char page[64];
        size_t n = strlen(rows[i].page);
        memcpy(page, rows[i].page, n);
        n = exposition_unquote(page, n);
        assert_str(((struct str){page, n}), rows[i].want);
    }
}

// Values written down from the captures.
static const struct {
    const char *file, *name, *labels;
    double value;
} captured[] = {
    {"prometheus/nim_excerpt_datadog.prom", "process_virtual_memory_bytes", "", 115891634176.0},
    {"prometheus/nim_excerpt_datadog.prom", "num_requests_running",
     "model_name=\"meta/llama-3.1-8b-instruct\"", 1},
    {"prometheus/nim_excerpt_datadog.prom", "gpu_cache_usage_perc",
     "model_name=\"meta/llama-3.1-8b-instruct\"", 0.0002848191398461977},
    {"prometheus/nim_excerpt_datadog.prom", "prompt_tokens_total",
     "model_name=\"meta/llama-3.1-8b-instruct\"", 109},
    {"prometheus/nim_excerpt_datadog.prom", "generation_tokens_total",
     "model_name=\"meta/llama-3.1-8b-instruct\"", 174},
    {"prometheus/nim_excerpt_datadog.prom", "request_finish_total",
     "finished_reason=\"length\",model_name=\"meta/llama-3.1-8b-instruct\"", 5},
    {"prometheus/sglang_excerpt_docs.prom", "sglang:prompt_tokens_total",
     "model_name=\"meta-llama/Llama-3.1-8B-Instruct\"", 8128902},
    {"prometheus/sglang_excerpt_docs.prom", "sglang:generation_tokens_total",
     "model_name=\"meta-llama/Llama-3.1-8B-Instruct\"", 7557572},
    {"prometheus/sglang_excerpt_docs.prom", "sglang:cache_hit_rate",
     "model_name=\"meta-llama/Llama-3.1-8B-Instruct\"", 0.007507552643049313},
    {"prometheus/sglang_excerpt_docs.prom", "sglang:num_queue_reqs",
     "model_name=\"meta-llama/Llama-3.1-8B-Instruct\"", 2826},
    {"prometheus/tgi_excerpt_datadog.prom", "tgi_request_success", "", 109},
    {"prometheus/tgi_excerpt_datadog.prom", "tgi_batch_concat", "reason=\"chunking\"", 3},
    {"prometheus/tgi_excerpt_datadog.prom", "tgi_request_count", "", 111},
    {"prometheus/tgi_excerpt_datadog.prom", "tgi_request_input_length_sum", "", 662},
    {"prometheus/tgi_excerpt_datadog.prom", "tgi_request_skipped_tokens_count", "", 3423},
    {"prometheus/vllm_mixed_excerpt_datadog.prom", "vllm:prompt_tokens_total",
     "model_name=\"facebook/opt-125m\"", 5},
    {"prometheus/vllm_mixed_excerpt_datadog.prom", "vllm:iteration_tokens_total_sum",
     "model_name=\"facebook/opt-125m\"", 267},
    {"prometheus/vllm_mixed_excerpt_datadog.prom", "vllm:request_decode_time_seconds_sum",
     "model_name=\"facebook/opt-125m\"", 0.6237391703762114},
    {"prometheus/vllm_v1_sampled_nvidia-aicr.prom", "vllm:prompt_tokens_total",
     "engine=\"0\",model_name=\"Qwen/Qwen3-0.6B\"", 80},
    {"prometheus/vllm_v1_sampled_nvidia-aicr.prom", "vllm:generation_tokens_total",
     "engine=\"0\",model_name=\"Qwen/Qwen3-0.6B\"", 500},
    {"prometheus/vllm_v1_sampled_nvidia-aicr.prom", "vllm:inter_token_latency_seconds_sum",
     "engine=\"0\",model_name=\"Qwen/Qwen3-0.6B\"", 0.864},
};

// How many lines of each capture are samples.
static const struct {
    const char *file;
    int64_t samples;
} captures[] = {
    {"prometheus/nim_excerpt_datadog.prom", 9},
    {"prometheus/sglang_excerpt_docs.prom", 7},
    {"prometheus/tgi_excerpt_datadog.prom", 14},
    {"prometheus/vllm_mixed_excerpt_datadog.prom", 31},
    {"prometheus/vllm_v1_sampled_nvidia-aicr.prom", 12},
    {"dcgm/dcgm_8xH100_sampled.prom", 30},
};

static bool holds(struct str page, const char *name, const char *labels, double value)
{
    struct exposition e;
    exposition_init(&e, page, NULL);
    for (struct exposition_sample s; exposition_next(&e, &s);) {
        bool same = str_eq(s.name, str_of(name)) && s.labels.n == strlen(labels) &&
                    (s.labels.n == 0 || memcmp(s.labels.p, labels, s.labels.n) == 0);
        if (same) {
            assert_near(s.value, value, 0);
            return true;
        }
    }
    return false;
}

static void test_captures(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(captures); i++) {
        struct str page = shared_data_or_skip(captures[i].file);
        struct exposition e;
        int64_t n = 0;
        exposition_init(&e, page, NULL);
        for (struct exposition_sample s; exposition_next(&e, &s); n++) {
        }
        assert_i64(n, captures[i].samples);
        assert_i64((int64_t)e.bad, 0);
        shared_data_free(page);
    }
    for (size_t i = 0; i < ARRAY_LEN(captured); i++) {
        struct str page = shared_data_or_skip(captured[i].file);
        if (!holds(page, captured[i].name, captured[i].labels, captured[i].value)) {
            fail_msg("%s: no %s{%s}", captured[i].file, captured[i].name, captured[i].labels);
        }
        shared_data_free(page);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_lines), TEST(test_bounds), TEST(test_wanted_names),
                    TEST(test_names_that_begin_alike), TEST(test_as_many_names_as_fit),
                    TEST(test_types), TEST(test_a_page_in_a_json_string), TEST(test_captures));
}
