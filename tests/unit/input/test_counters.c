// Two or more pages of one server, and what was done between them.
#include "input/counters.h"

#include <errno.h>

#include "base/buf.h"
#include "base/time.h"
#include "shared_data.h"
#include "test.h"

#define NOW (INT64_C(1700000000) * NS_PER_S)

// What counters_take() says, then a line for each of what was counted:
// "model tenant prompt/completion cached requests", a dash for what is not known.
static void note(struct counters *c, struct str page, struct buf *out)
{
    struct error err = {0};
    int r = counters_take(c, page, NOW, &err);
    size_t n;
    const struct counted *v = counters_counted(c, &n);
    buf_clear(out);
    if (r < 0) {
        buf_printf(out, "%s",
                   err.code == -EPROTO    ? "EPROTO"
                   : err.code == -ENODATA ? "ENODATA"
                                          : "EBADMSG");
        return;
    }
    buf_cstr(out, r == COUNTERS_BASELINE ? "baseline" : "");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s" STR_FMT " " STR_FMT " %lld/%lld ", i ? "|" : "", STR_ARG(v[i].model),
                   STR_ARG(str_present(v[i].tenant) ? v[i].tenant : STR("-")),
                   (long long)v[i].prompt, (long long)v[i].completion);
        buf_printf(out, v[i].has_cached ? "%lld" : "-", (long long)v[i].cached);
        buf_printf(out, v[i].has_requests ? " %lld" : " -", (long long)v[i].requests);
    }
}

struct step {
    const char *page, *want;
};

// Shorthands of vLLM's: M stands for its metrics of model m.
#define P(v) "vllm:prompt_tokens_total{model_name=\"m\"} " v "\n"
#define C(v) "vllm:generation_tokens_total{model_name=\"m\"} " v "\n"
#define R(v) "vllm:request_success_total{model_name=\"m\",finished_reason=\"stop\"} " v "\n"
#define RUN(v) "vllm:num_requests_running{model_name=\"m\"} " v "\n"
#define HITS(v) "vllm:prefix_cache_hits_total{model_name=\"m\"} " v "\n"
#define START(v) "process_start_time_seconds " v "\n"

static void run(const struct counters_config *config, const struct step *steps, size_t n,
                const char *name)
{
    struct counters *c = counters_new(config);
    struct buf got;
    buf_init(&got, 1 << 20);
    for (size_t i = 0; i < n && steps[i].page; i++) {
        note(c, str_of(steps[i].page), &got);
        if (!str_eq(buf_view(&got), str_of(steps[i].want))) {
            fail_msg("%s, page %zu: '%s', not '%s'", name, i + 1, got.p, steps[i].want);
        }
    }
    buf_done(&got);
    counters_free(c);
}

static const struct counters_config vllm = {.server = &server_vllm};

static void test_differences(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct step steps[8];
    } rows[] = {
        {"the first page is the baseline",
         {{P("100") C("50") R("3"), "baseline"}, {P("110") C("57") R("4"), "m - 10/7 - 1"}}},
        {"nothing moved, nothing runs: nothing was done",
         {{P("100") C("50") RUN("0"), "baseline"}, {P("100") C("50") RUN("0"), ""}}},
        {"what runs at either end occupies the interval",
         {{P("5") RUN("0"), "baseline"},
          {P("5") RUN("2"), "m - 0/0 - -"},
          {P("5") RUN("1"), "m - 0/0 - -"},
          {P("5") RUN("0"), "m - 0/0 - -"},
          {P("5") RUN("0"), ""}}},
        {"exponents, fractions that add up, and more than 2^53",
         {{P("8.128902e+06") C("0.4"), "baseline"},
          {P("8.128903e+06") C("0.8"), "m - 1/1 - -"},
          {P("8.128903e+06") C("1.2"), ""},
          {P("9.223372036854775e+18") C("1.6"), "m - 0/1 - -"}, // wild, not counted
          {P("9223372036854775001") C("2"), "m - 1/0 - -"},
          {P("9223372036854775003") C("9007199254"), "m - 2/9007199252 - -"}}},
        {"engines are summed, each by itself",
         {{"vllm:prompt_tokens_total{engine=\"0\",model_name=\"m\"} 10\n"
           "vllm:prompt_tokens_total{engine=\"1\",model_name=\"m\"} 20\n",
           "baseline"},
          {"vllm:prompt_tokens_total{engine=\"1\",model_name=\"m\"} 25\n"
           "vllm:prompt_tokens_total{model_name=\"m\",engine=\"0\"} 11\n",
           "m - 6/0 - -"}, // the order of labels does not matter
          {"vllm:prompt_tokens_total{engine=\"0\",model_name=\"m\"} 3\n" // one began anew
           "vllm:prompt_tokens_total{engine=\"1\",model_name=\"m\"} 26\n",
           "m - 4/0 - -"}}},
        {"models each have a line",
         {{P("1") "vllm:prompt_tokens_total{model_name=\"n\"} 1\n", "baseline"},
          {P("2") "vllm:prompt_tokens_total{model_name=\"n\"} 3\n", "m - 1/0 - -|n - 2/0 - -"}}},
        {"reasons are summed",
         {{R("1"), "ENODATA"},
          {P("0") R("1"), "baseline"},
          {P("0")
               R("2") "vllm:request_success_total{model_name=\"m\",finished_reason=\"abort\"} 4\n",
           "m - 0/0 - 5"}}},
        {"no model is named",
         {{"vllm:prompt_tokens_total 1\n", "baseline"},
          {"vllm:prompt_tokens_total 2\n", "unknown - 1/0 - -"}}},
        {"a name with escapes",
         {{"vllm:prompt_tokens_total{model_name=\"a\\\\b\\\"c\"} 1\n", "baseline"},
          {"vllm:prompt_tokens_total{model_name=\"a\\\\b\\\"c\"} 2\n", "a\\b\"c - 1/0 - -"}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run(&vllm, rows[i].steps, ARRAY_LEN(rows[i].steps), rows[i].name);
    }
}

static void test_resets(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct step steps[9];
    } rows[] = {
        {"a smaller value is a reset",
         {{P("100") C("50"), "baseline"}, {P("7") C("2"), "m - 7/2 - -"}}},
        {"a reset of one is one of all with its labels, reasons apart",
         {{P("100") C("5") R("9"), "baseline"}, {P("7") C("20") R("12"), "m - 7/20 - 12"}}},
        {"the process began anew and has overtaken itself",
         {{START("1.7e+09") P("100") C("50"), "baseline"},
          {START("1.70000001e+09") P("120") C("60"), "m - 120/60 - -"},
          {START("1.70000001e+09") P("121") C("60"), "m - 1/0 - -"}}},
        {"a start that wavers by a second is no restart",
         {{START("1700000000") P("100"), "baseline"},
          {START("1700000001") P("101"), "m - 1/0 - -"},
          {START("1700000000") P("102"), "m - 1/0 - -"}}},
        {"a start that is not told any more",
         {{START("1700000000") P("100"), "baseline"},
          {P("101"), "m - 1/0 - -"},
          {START("1700000100") P("101"), "m - 101/0 - -"}}},
        {"_created tells a restart, too",
         {{P("100") "vllm:prompt_tokens_created{model_name=\"m\"} 1.7e+09\n", "baseline"},
          {P("105") "vllm:prompt_tokens_created{model_name=\"m\"} 1.7e+09\n", "m - 5/0 - -"},
          {P("110") "vllm:prompt_tokens_created{model_name=\"m\"} 1.700000009e+09\n",
           "m - 110/0 - -"},
          {P("111"), "m - 1/0 - -"}}},
        {"a series that appears counts from zero",
         {{P("100"), "baseline"},
          {P("100") "vllm:prompt_tokens_total{model_name=\"n\"} 7\n", "n - 7/0 - -"}}},
        {"a series that vanishes and comes back",
         {{P("100") C("50"), "baseline"},
          {C("51"), "m - 0/1 - -"},
          {P("110") C("52"), "m - 10/1 - -"}}},
        {"a series that vanishes with a restart and comes back",
         {{START("1700000000") P("100") C("50"), "baseline"},
          {START("1700000100") C("1"), "m - 0/1 - -"},
          {START("1700000100") P("110") C("2"), "m - 110/1 - -"}}},
        {"a metric that appears late",
         {{P("100"), "baseline"},
          {P("100") HITS("7"), "m - 0/0 0 -"},
          {P("120") HITS("8"), "m - 20/0 8 -"}}},
        {"another server answers in between",
         {{START("1700000500") P("100"), "baseline"},
          {START("1700000000") P("90000"), "EPROTO"},
          {START("1700000500") P("103"), "m - 3/0 - -"},
          {START("1700000000") P("90001"), "EPROTO"},
          {START("1700000000") P("90002"), "EPROTO"},
          {START("1700000000") P("90003"), "EPROTO"},
          {START("1700000000") P("90004"), "EPROTO"},
          {START("1700000000") P("90005"), "baseline"}, // it is the one that is meant
          {START("1700000000") P("90007"), "m - 2/0 - -"}}},
        {"a younger server that did not begin since is another one, too",
         {{START("1690000000") P("100"), "baseline"},
          {START("1699999939") P("90000"), "EPROTO"},
          {START("1699999941") P("7"), "m - 7/0 - -"}}}, // within a minute of clocks' differences
        {"a total that is a gauge and falls is no restart",
         {{"# TYPE vllm:prompt_tokens_total gauge\n" P("100"), "baseline"},
          {"# TYPE vllm:prompt_tokens_total gauge\n" P("60"), ""},
          {"# TYPE vllm:prompt_tokens_total gauge\n" P("65"), "m - 5/0 - -"}}},
        {"an unreadable line of the baseline is one of it when it can be read",
         {{P("1O0") C("5"), "baseline"},
          {P("200") C("6"), "m - 0/1 - -"},
          {P("201") C("6"), "m - 1/0 - -"}}},
        {"an unreadable line later is a series that vanished",
         {{P("100") C("5"), "baseline"},
          {P("x") C("6"), "m - 0/1 - -"},
          {P("NaN") C("7"), "m - 0/1 - -"},
          {P("-4") C("8"), "m - 0/1 - -"},
          {P("103") C("9"), "m - 3/1 - -"}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run(&vllm, rows[i].steps, ARRAY_LEN(rows[i].steps), rows[i].name);
    }
}

#define SRC(name, v)                                                                               \
    "vllm:prompt_tokens_by_source_total{model_name=\"m\",source=\"" name "\"} " v "\n"

static void test_cached_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct step steps[8];
    } rows[] = {
        {"hits", {{P("100") HITS("10"), "baseline"}, {P("150") HITS("30"), "m - 50/0 20 -"}}},
        {"what was not computed was cached, whatever else is said",
         {{P("100") SRC("local_compute", "60") SRC("local_cache_hit", "40") HITS("999"),
           "baseline"},
          {P("200") SRC("local_compute", "90") SRC("local_cache_hit", "110") HITS("1999"),
           "m - 100/0 70 -"}}},
        {"hits come before their prompt, and wait for it",
         {{P("0") HITS("0") RUN("1"), "baseline"},
          {P("0") HITS("64") RUN("1"), "m - 0/0 0 -"},
          {P("70") HITS("64") RUN("1"), "m - 70/0 64 -"},
          {P("80") HITS("64") RUN("1"), "m - 10/0 0 -"}}},
        {"hits whose prompt never comes are forgotten when the server is idle",
         {{P("0") HITS("0") RUN("1"), "baseline"},
          {P("0") HITS("64") RUN("0"), "m - 0/0 0 -"},
          {P("70") HITS("64") RUN("1"), "m - 70/0 0 -"}}},
        {"by source, missing once",
         {{P("0") SRC("local_compute", "0") RUN("1"), "baseline"},
          {P("100") RUN("1"), "m - 100/0 - -"},
          {P("200") SRC("local_compute", "120") RUN("1"), "m - 100/0 80 -"}}},
        {"more was computed than prompted: a page of two servers",
         {{P("0") SRC("local_compute", "0") RUN("1"), "baseline"},
          {P("5") SRC("local_compute", "53") RUN("1"), "m - 5/0 0 -"}}},
        {"a name takes over from another where that one stopped",
         {{P("0") "vllm:gpu_prefix_cache_hits_total{model_name=\"m\"} 5\n" RUN("1"), "baseline"},
          {P("10") "vllm:gpu_prefix_cache_hits_total{model_name=\"m\"} 7\n" RUN("1"),
           "m - 10/0 2 -"},
          {P("20") HITS("3") RUN("1"), "m - 10/0 - -"},
          {P("30") HITS("4") RUN("1"), "m - 10/0 - -"},
          {P("40") HITS("8") RUN("1"), "m - 10/0 8 -"}, // all since it appeared
          {P("50") HITS("9") RUN("1"), "m - 10/0 1 -"}}},
        {"a name that is missing for a moment goes on",
         {{P("0") SRC("local_compute", "0") HITS("50") RUN("1"), "baseline"},
          {P("10") HITS("55") RUN("1"), "m - 10/0 - -"},
          {P("20") SRC("local_compute", "12") HITS("58") RUN("1"), "m - 10/0 8 -"}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run(&vllm, rows[i].steps, ARRAY_LEN(rows[i].steps), rows[i].name);
    }
}

// A total that fell while its name was the second choice must not reset what shares its labels,
// page after page.
static void test_a_second_choice_that_fell(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {P("100") SRC("local_compute", "1") HITS("50"), "baseline"},
        {P("110") HITS("50"), "m - 10/0 - -"},
        {P("120") HITS("3"), "m - 120/0 - -"}, // all of it began anew
        {P("130") SRC("local_compute", "4") HITS("4"), "m - 10/0 10 -"},
        {P("140") SRC("local_compute", "9") HITS("5"), "m - 10/0 10 -"},
    };
    run(&vllm, steps, ARRAY_LEN(steps), __func__);
}

static void test_tenants(void **state)
{
    (void)state;
#define L(team, user, v)                                                                           \
    "litellm_input_tokens_metric_total{model=\"gpt\",team=\"" team                                 \
    "\",team_alias=\"None\",user=\"" user "\"} " v "\n"
    static const struct step by_team[] = {
        {"process_start_time_seconds 1.7e9\n", "baseline"}, // nobody has asked yet
        {L("red", "ann", "5.0") L("red", "bob", "7.0") L("None", "", "1.0"),
         "gpt red 12/0 - -|gpt - 1/0 - -"},
    };
    static const struct step by_user[] = {
        {L("red", "ann", "5.0") L("red", "bob", "7.0") L("None", "", "1.0"), "baseline"},
        {L("red", "ann", "6.0") L("red", "bob", "7.0") L("None", "", "3.0"),
         "gpt ann 1/0 - -|gpt - 2/0 - -"},
    };
    run(&(struct counters_config){.server = &server_litellm}, by_team, 2, "team");
    run(&(struct counters_config){.server = &server_litellm, .tenant_label = "user"}, by_user, 2,
        "user");
}

static void test_pages_that_are_none(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"", "EBADMSG"},
        {"Not found", "EBADMSG"},
        {"<html><body>503</body></html>\n", "EBADMSG"},
        {"{\"error\": 1}", "EBADMSG"},
        {P("10") C("5"), "baseline"},
        {"", "EBADMSG"},
        {"other_metric 1\n", ""}, // all are missing in one scrape
        {P("12") C("6"), "m - 2/1 - -"},
    };
    run(&vllm, steps, ARRAY_LEN(steps), __func__);
}

static void add_models(struct buf *page, int n, int value)
{
    buf_clear(page);
    for (int i = 0; i < n; i++) {
        buf_printf(page, "vllm:prompt_tokens_total{model_name=\"m%d\"} %d\n", i, value);
    }
}

static void add_series(struct buf *page, int n, int value)
{
    buf_clear(page);
    for (int i = 0; i < n; i++) {
        buf_printf(page, "vllm:prompt_tokens_total{model_name=\"m\",x=\"%d\"} %d\n", i, value);
    }
}

// What is over the limits is kept out and said; the rest is counted.
static void test_limits(void **state)
{
    (void)state;
    static const struct {
        void (*add)(struct buf *page, int n, int value);
        int n;
        bool over;
        int64_t prompts;
    } rows[] = {
        {add_models, COUNTERS_MODELS_MAX, false, COUNTERS_MODELS_MAX},
        {add_models, COUNTERS_MODELS_MAX + 1, true, COUNTERS_MODELS_MAX},
        {add_series, COUNTERS_SERIES_MAX, false, COUNTERS_SERIES_MAX},
        {add_series, COUNTERS_SERIES_MAX + 1, true, COUNTERS_SERIES_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct counters *c = counters_new(&vllm);
        struct buf page;
        struct error err;
        int64_t prompts = 0;
        buf_init(&page, 16 << 20);
        for (int value = 1; value <= 2; value++) {
            rows[i].add(&page, rows[i].n, value);
            assert_true(buf_ok(&page));
            assert_ok(counters_take(c, buf_view(&page), NOW, &err), &err);
        }
        size_t n;
        const struct counted *v = counters_counted(c, &n);
        for (size_t k = 0; k < n; k++) {
            prompts += v[k].prompt;
        }
        assert_i64(prompts, rows[i].prompts);
        assert_int_equal(counters_complaint(c) != NULL, rows[i].over);
        counters_free(c);
        buf_done(&page);
    }
}

static void test_complaints(void **state)
{
    (void)state;
    static const struct {
        const char *page;
        int code;
    } rows[] = {
        {P("1"), 0},
        {P("2") C("x"), -EBADMSG},
        {P("3"), 0},
        {P("1000000000004"), -ERANGE},
        {P("1000000000005"), 0},
    };
    struct counters *c = counters_new(&vllm);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error err;
        assert_ok(counters_take(c, str_of(rows[i].page), NOW, &err), &err);
        const struct error *complaint = counters_complaint(c);
        assert_int_equal(complaint ? complaint->code : 0, rows[i].code);
    }
    counters_free(c);
}

// The captures as baselines, and the same pages with other values on some of their lines.
static const struct {
    const char *file;
    const struct server *server;
    const char *from[4], *to[4];
    const char *want;
} captures[] = {
    {"prometheus/vllm_v1_sampled_nvidia-aicr.prom",
     &server_vllm,
     {"0.6B\"} 80.0", "0.6B\"} 500.0", "0.6B\"} 10.0", NULL},
     {"0.6B\"} 95.0", "0.6B\"} 521.0", "0.6B\"} 12.0", NULL},
     "Qwen/Qwen3-0.6B - 15/21 - 2"},
    {"prometheus/vllm_mixed_excerpt_datadog.prom",
     &server_vllm,
     {"prompt_tokens_total{model_name=\"facebook/opt-125m\"} 5.0",
      "generation_tokens_total{model_name=\"facebook/opt-125m\"} 7.0",
      "source=\"local_compute\"} 53.0", NULL},
     {"prompt_tokens_total{model_name=\"facebook/opt-125m\"} 25.0",
      "generation_tokens_total{model_name=\"facebook/opt-125m\"} 8.0",
      "source=\"local_compute\"} 58.0", NULL},
     "facebook/opt-125m - 20/1 15 0"},
    {"prometheus/sglang_excerpt_docs.prom",
     &server_sglang,
     {"8.128902e+06", "7.557572e+06", NULL, NULL},
     {"8.128992e+06", "7.557575e+06", NULL, NULL},
     "meta-llama/Llama-3.1-8B-Instruct - 90/3 - -"},
    {"prometheus/tgi_excerpt_datadog.prom",
     &server_tgi,
     {"length_sum 662", "tgi_request_success 109", NULL, NULL},
     {"length_sum 700", "tgi_request_success 111", NULL, NULL},
     "served - 38/0 - 2"},
    {"prometheus/nim_excerpt_datadog.prom",
     &server_nim,
     {"instruct\"} 109.0", "instruct\"} 174.0", "instruct\"} 5.0", NULL},
     {"instruct\"} 110.0", "instruct\"} 180.0", "instruct\"} 6.0", NULL},
     "meta/llama-3.1-8b-instruct - 1/6 - 1"},
};

// The page with the first `from` made `to`.
static void replace(struct buf *page, const char *from, const char *to)
{
    char *at = memmem(page->p, page->n, from, strlen(from));
    assert_non_null(at);
    AUTO_FREE char *rest =
        x_strndup(at + strlen(from), page->n - (size_t)(at - page->p) - strlen(from));
    page->n = (size_t)(at - page->p);
    buf_cstr(page, to);
    buf_cstr(page, rest);
}

static void test_captures(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(captures); i++) {
        struct str data = shared_data_or_skip(captures[i].file);
        struct counters_config config = {.server = captures[i].server, .model = STR("served")};
        struct counters *c = counters_new(&config);
        struct buf page, got;
        buf_init(&page, 1 << 20);
        buf_init(&got, 1 << 20);
        buf_str(&page, data);
        note(c, buf_view(&page), &got);
        assert_str(buf_view(&got), "baseline");
        for (size_t k = 0; captures[i].from[k]; k++) {
            replace(&page, captures[i].from[k], captures[i].to[k]);
        }
        note(c, buf_view(&page), &got);
        assert_str(buf_view(&got), captures[i].want);
        assert_null(counters_complaint(c));
        counters_free(c);
        buf_done(&page);
        buf_done(&got);
        shared_data_free(data);
    }
}

static void check_names(const struct server *s)
{
    const char *names[SERVER_COUNTS * SERVER_NAMES_MAX];
    size_t n = 0;
    for (size_t count = 0; count < SERVER_COUNTS; count++) {
        assert_null(s->counts[count][SERVER_NAMES_MAX].name);
        for (const struct server_metric *m = s->counts[count]; m->name; m++) {
            for (size_t i = 0; i < n; i++) {
                assert_string_not_equal(m->name, names[i]);
            }
            assert_true((m->label == NULL) == (m->value == NULL));
            names[n++] = m->name;
        }
    }
}

// Names within one server differ, and what is listed can all be wanted at once.
static void test_the_table(void **state)
{
    (void)state;
#define SERVER_LIST(id, ...) &server_##id,
    static const struct server *const servers[] = {SERVER_TABLE(SERVER_LIST) NULL};
    for (size_t i = 0; servers[i]; i++) {
        const struct server *s = servers[i];
        assert_true(s->title && s->path && s->path[0] == '/');
        assert_non_null(s->counts[COUNT_PROMPT][0].name);
        assert_non_null(s->counts[COUNT_COMPLETION][0].name);
        assert_true(s->asks_model == (s->model[0] == NULL));
        check_names(s);
        counters_free(counters_new(&(struct counters_config){.server = s}));
    }
    counters_free(NULL);
}

int main(void)
{
    return TEST_RUN(TEST(test_differences), TEST(test_resets), TEST(test_cached_tokens),
                    TEST(test_a_second_choice_that_fell), TEST(test_tenants),
                    TEST(test_pages_that_are_none), TEST(test_limits), TEST(test_complaints),
                    TEST(test_captures), TEST(test_the_table));
}
