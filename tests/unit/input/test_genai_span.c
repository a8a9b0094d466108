// Spans as exporters write them, and the records that they are.
#include "input/genai_span.h"

#include <errno.h>

#include "base/time.h"
#include "model/encode.h"
#include "test.h"

#define BEGIN INT64_C(1795694400000000000) // 2026-11-26T12:00:00Z
#define END (BEGIN + 2500 * NS_PER_MS)

enum { ATTRIBUTES_MAX = 16 };

struct row {
    enum otel_kind kind;
    enum otel_status status;
    struct otel_attribute a[ATTRIBUTES_MAX], resource[4];
    struct otel_event events[3];
    const char
        *want; // NULL: passed over; "! ..." refused; else what the record says beside its ids
};

#define T(k, v)                                                                                    \
    {                                                                                              \
        STR(k),                                                                                    \
        {                                                                                          \
            .type = OTEL_TEXT, .text = STR(v)                                                      \
        }                                                                                          \
    }
#define I(k, v)                                                                                    \
    {                                                                                              \
        STR(k),                                                                                    \
        {                                                                                          \
            .type = OTEL_INT, .integer = (v)                                                       \
        }                                                                                          \
    }
#define R(k, v)                                                                                    \
    {                                                                                              \
        STR(k),                                                                                    \
        {                                                                                          \
            .type = OTEL_REAL, .real = (double)(v)                                                 \
        }                                                                                          \
    }
#define SAYS "{\"ts\":\"2026-11-26T12:00:02.500Z\","
#define IDS "\"request_id\":\"0102030405060708090a0b0c0d0e0f10-1112131415161718\","
#define ID ",\"event_id\":\"0102030405060708090a0b0c0d0e0f10-1112131415161718\"}"

static size_t count(const struct otel_attribute *a, size_t most)
{
    size_t n = 0;
    while (n < most && str_present(a[n].key)) {
        n++;
    }
    return n;
}

static struct otel_span span_of(const struct row *row)
{
    struct otel_span s = {
        .name = STR("chat m"),
        .kind = row->kind,
        .status = row->status,
        .start = BEGIN,
        .end = END,
        .attributes = {row->a, count(row->a, ATTRIBUTES_MAX)},
        .resource = {row->resource, count(row->resource, 4)},
        .events = row->events,
        .n_events = row->events[0].time ? 3 : 0,
    };
    for (uint8_t i = 0; i < sizeof(s.trace_id); i++) {
        s.trace_id[i] = (uint8_t)(i + 1);
    }
    for (uint8_t i = 0; i < sizeof(s.span_id); i++) {
        s.span_id[i] = (uint8_t)(i + 0x11);
    }
    return s;
}

static void say(const struct otel_span *s, const struct genai_options *o, struct buf *out)
{
    struct arena a = {0};
    struct record r;
    struct error err;
    if (!genai_span_counts(s, o)) {
        buf_cstr(out, "passed over");
    } else if (genai_span_record(s, o, &a, &r, &err) < 0) {
        buf_printf(out, "! %s", err.msg);
    } else {
        assert_true(r.digest == record_digest(&r));
        record_encode(out, &r);
    }
    arena_done(&a);
}

static void check(const struct row *rows, size_t n, const struct genai_options *o)
{
    for (size_t i = 0; i < n; i++) {
        struct buf got;
        struct otel_span s = span_of(&rows[i]);
        buf_init(&got, 4096);
        say(&s, o, &got);
        const char *want = rows[i].want ? rows[i].want : "passed over";
        if (!str_eq(buf_view(&got), str_of(want))) {
            fail_msg("row %zu:\n got  %s\n want %s", i, got.p, want);
        }
        buf_done(&got);
    }
}

#define IN "gen_ai.usage.input_tokens"
#define OUT "gen_ai.usage.output_tokens"
#define MODEL "gen_ai.response.model"

static void test_names(void **state)
{
    (void)state;
    static const struct row rows[] = {
        // The conventions as they are; the parts are not added to the whole.
        {.kind = OTEL_KIND_CLIENT,
         .status = OTEL_STATUS_UNSET,
         .a = {T("gen_ai.operation.name", "chat"), T("gen_ai.request.model", "asked"),
               T(MODEL, "answered"), T("gen_ai.response.id", "chatcmpl-1"), I(IN, 100), I(OUT, 180),
               I("gen_ai.usage.cache_read.input_tokens", 50),
               I("gen_ai.usage.cache_write.input_tokens", 25),
               I("gen_ai.usage.reasoning.output_tokens", 60), T("user.id", "ann")},
         .want = SAYS "\"model\":\"answered\",\"tenant\":\"ann\",\"request_id\":\"chatcmpl-1\","
                      "\"prompt_tokens\":100,\"cached_prompt_tokens\":50,\"completion_tokens\":180,"
                      "\"latency_ms\":2500" ID},
        // As they were; no response model.
        {.kind = OTEL_KIND_CLIENT,
         .status = OTEL_STATUS_OK,
         .a = {T("gen_ai.system", "openai"), T("gen_ai.request.model", "m"),
               I("gen_ai.usage.prompt_tokens", 7), I("gen_ai.usage.completion_tokens", 8)},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":7,\"completion_tokens\":8,"
                      "\"latency_ms\":2500" ID},
        // OpenLLMetry's and OpenInference's own.
        {.kind = OTEL_KIND_CLIENT,
         .status = OTEL_STATUS_OK,
         .a = {T("llm.request.type", "chat"), T("llm.request.model", "m"),
               I("llm.usage.prompt_tokens", 7), I("llm.usage.completion_tokens", 8)},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":7,\"completion_tokens\":8,"
                      "\"latency_ms\":2500" ID},
        {.kind = OTEL_KIND_INTERNAL,
         .status = OTEL_STATUS_OK,
         .a = {T("openinference.span.kind", "LLM"), T("llm.model_name", "m"),
               I("llm.token_count.prompt", 7), I("llm.token_count.completion", 8),
               I("llm.token_count.prompt_details.cache_read", 6)},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":7,\"cached_prompt_tokens\":6,"
                      "\"completion_tokens\":8,\"latency_ms\":2500" ID},
        // LiteLLM's, with the empty texts it writes; new names go before old ones.
        {.kind = OTEL_KIND_INTERNAL,
         .status = OTEL_STATUS_OK,
         .a = {T("gen_ai.operation.name", "acompletion"), T("metadata.user_api_key_team_alias", ""),
               T("metadata.user_api_key_team_id", "team-7"), T("llm.user", "bob"), T(MODEL, "m"),
               I("gen_ai.usage.prompt_tokens", 1), I(IN, 10), I(OUT, 20)},
         .want = SAYS "\"model\":\"m\",\"tenant\":\"team-7\"," IDS "\"prompt_tokens\":10,"
                      "\"completion_tokens\":20,\"latency_ms\":2500" ID},
        // Embeddings have no output; counts may come as text and as reals.
        {.kind = OTEL_KIND_CLIENT,
         .status = OTEL_STATUS_OK,
         .a = {T("gen_ai.operation.name", "embeddings"), T(MODEL, "e"), T(IN, "12")},
         .want = SAYS "\"model\":\"e\"," IDS "\"prompt_tokens\":12,\"completion_tokens\":0,"
                      "\"latency_ms\":2500" ID},
        {.kind = OTEL_KIND_CLIENT,
         .status = OTEL_STATUS_OK,
         .a = {T(MODEL, "m"), R(IN, 3), R(OUT, 4)},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":3,\"completion_tokens\":4,"
                      "\"latency_ms\":2500" ID},
    };
    check(rows, ARRAY_LEN(rows), &(struct genai_options){0});
}

static void test_passed_over(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.kind = OTEL_KIND_SERVER,
         .status = OTEL_STATUS_OK,
         .a = {T("http.request.method", "POST")},
         .want = NULL},
        {.kind = OTEL_KIND_CLIENT,
         .status = OTEL_STATUS_OK,
         .a = {T("gen_ai.operation.name", "chat"), T(MODEL, "m")},
         .want = NULL},
        {.kind = OTEL_KIND_INTERNAL,
         .status = OTEL_STATUS_OK,
         .a = {T("gen_ai.operation.name", "invoke_agent"), T(MODEL, "m"), I(IN, 1), I(OUT, 2)},
         .want = NULL},
        {.kind = OTEL_KIND_INTERNAL,
         .status = OTEL_STATUS_OK,
         .a = {T("openinference.span.kind", "CHAIN"), T(MODEL, "m"), I(IN, 1), I(OUT, 2)},
         .want = NULL},
        {.kind = OTEL_KIND_PRODUCER,
         .status = OTEL_STATUS_OK,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2)},
         .want = NULL},
        // LiteLLM's: answered from its cache, which has a key then.
        {.kind = OTEL_KIND_INTERNAL,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2),
               T("hidden_params", "{\"model_id\": \"x\", \"cache_key\": \"4711ca\"}")},
         .want = NULL},
        {.kind = OTEL_KIND_INTERNAL,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2),
               T("hidden_params", "{\"cache_key\": null, \"api_base\": \"cache_key\"}")},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":2,"
                      "\"latency_ms\":2500" ID},
        // Failed before there was a token; after there was one it counts.
        {.kind = OTEL_KIND_CLIENT,
         .status = OTEL_STATUS_ERROR,
         .a = {T(MODEL, "m"), I(IN, 0), I(OUT, 0)},
         .want = NULL},
        {.kind = OTEL_KIND_CLIENT,
         .status = OTEL_STATUS_ERROR,
         .a = {T(MODEL, "m"), I(IN, 5), I(OUT, 0)},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":5,\"completion_tokens\":0,"
                      "\"latency_ms\":2500" ID},
        // A call that went well and made nothing held its GPU all the same.
        {.kind = OTEL_KIND_SERVER,
         .status = OTEL_STATUS_UNSET,
         .a = {T(MODEL, "m"), I(IN, 0), I(OUT, 0)},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":0,\"completion_tokens\":0,"
                      "\"latency_ms\":2500" ID},
    };
    check(rows, ARRAY_LEN(rows), &(struct genai_options){0});
}

static void test_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.kind = OTEL_KIND_CLIENT,
         .a = {I(IN, 1), I(OUT, 2)},
         .want = "! model: missing; the input's option model= names it"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1)},
         .want = "! completion_tokens: missing"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(OUT, 1)},
         .want = "! prompt_tokens: missing"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, -1), I(OUT, 2)},
         .want = "! prompt_tokens: is negative (-1)"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), T(IN, "many"), I(OUT, 2)},
         .want = "! prompt_tokens: is not an integer"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), T(IN, "1.5"), I(OUT, 2)},
         .want = "! prompt_tokens: is not an integer"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), R(IN, 1.5), I(OUT, 2)},
         .want = "! prompt_tokens: is not an integer"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), R(IN, NAN), I(OUT, 2)},
         .want = "! prompt_tokens: is negative (-1)"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), I("gen_ai.usage.cache_read.input_tokens", 3)},
         .want = "! cached_prompt_tokens: is over prompt_tokens (3 > 1)"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "\xff"), I(IN, 1), I(OUT, 2)},
         .want = "! model: is not UTF-8"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), T("gtap.gpus", "3-0")},
         .want = "! gtap.gpus: is no list of GPUs such as 0-3"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), I("gtap.gpus", 70000)},
         .want = "! gtap.gpus: is no list of GPUs such as 0-3"},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), I("gtap.gpu_instance", -2)},
         .want = "! gpu_instance: is no slice's number"},
    };
    check(rows, ARRAY_LEN(rows), &(struct genai_options){0});
}

// vLLM's attributes, as its output processor sets them: the request arrived at BEGIN, waited 0.5 s
// in the queue, had its first token at 0.75 s and its last at 2.25 s.
#define VLLM                                                                                       \
    T("gen_ai.request.id", "chatcmpl-9"), I("gen_ai.usage.prompt_tokens", 512),                    \
        I("gen_ai.usage.completion_tokens", 256), R("gen_ai.latency.time_in_queue", 0.5),          \
        R("gen_ai.latency.time_to_first_token", 0.75)

static void test_vllm(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.kind = OTEL_KIND_SERVER,
         .a = {VLLM, R("gen_ai.latency.e2e", 2.25), R("gen_ai.latency.time_in_model_prefill", 0.24),
               R("gen_ai.latency.time_in_model_decode", 1.5),
               R("gen_ai.latency.time_in_model_inference", 1.74)},
         .want = "{\"ts\":\"2026-11-26T12:00:02.250Z\",\"model\":\"llama\",\"request_id\":"
                 "\"chatcmpl-9\","
                 "\"prompt_tokens\":512,\"completion_tokens\":256,\"latency_ms\":1740,\"ttft_ms\":"
                 "240" ID},
        // Releases that do not say what was in the model.
        {.kind = OTEL_KIND_SERVER,
         .a = {VLLM, R("gen_ai.latency.e2e", 2.25)},
         .want = "{\"ts\":\"2026-11-26T12:00:02.250Z\",\"model\":\"llama\",\"request_id\":"
                 "\"chatcmpl-9\","
                 "\"prompt_tokens\":512,\"completion_tokens\":256,\"latency_ms\":1750,\"ttft_ms\":"
                 "250" ID},
        {.kind = OTEL_KIND_SERVER,
         .a = {VLLM},
         .want = SAYS "\"model\":\"llama\",\"request_id\":\"chatcmpl-9\",\"prompt_tokens\":512,"
                      "\"completion_tokens\":256,\"latency_ms\":2000,\"ttft_ms\":250" ID},
        // Nonsense is not known, and no reason to lose the tokens.
        {.kind = OTEL_KIND_SERVER,
         .a = {I("gen_ai.usage.prompt_tokens", 1), I("gen_ai.usage.completion_tokens", 1),
               R("gen_ai.latency.e2e", -1), R("gen_ai.latency.time_in_queue", NAN),
               R("gen_ai.latency.time_to_first_token", 1e300),
               T("gen_ai.latency.time_in_model_inference", "long")},
         .want = SAYS "\"model\":\"llama\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":1,"
                      "\"latency_ms\":2500" ID},
    };
    check(rows, ARRAY_LEN(rows), &(struct genai_options){.model = STR("llama")});
}

static void test_first_token(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), R("gen_ai.response.time_to_first_chunk", 0.125)},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":2,"
                      "\"latency_ms\":2500,\"ttft_ms\":125" ID},
        // Longer than all of it: not known.
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), R("gen_ai.response.time_to_first_chunk", 3)},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":2,"
                      "\"latency_ms\":2500" ID},
        // The first event of its name within the span.
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2)},
         .events = {{BEGIN + 1, STR("retry")},
                    {BEGIN + 500 * NS_PER_MS, STR("llm.content.completion.chunk")},
                    {BEGIN + 600 * NS_PER_MS, STR("llm.content.completion.chunk")}},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":2,"
                      "\"latency_ms\":2500,\"ttft_ms\":500" ID},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2)},
         .events = {{BEGIN - 1, STR("First Token Stream Event")},
                    {END + 1, STR("First Token Stream Event")},
                    {END + 2, STR("x")}},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":2,"
                      "\"latency_ms\":2500" ID},
    };
    check(rows, ARRAY_LEN(rows), &(struct genai_options){0});
}

static void test_places(void **state)
{
    (void)state;
    static const struct row rows[] = {
        // A server's host is where the GPUs are, a client's is not.
        {.kind = OTEL_KIND_SERVER,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2)},
         .resource = {T("host.name", "gpu-07"), T("gtap.gpus", "0-1"), T("gtap.site", "north")},
         .want = "{\"ts\":\"2026-11-26T12:00:02.500Z\",\"host\":\"gpu-07\",\"gpu_indices\":[0,1],"
                 "\"model\":\"m\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":2,"
                 "\"latency_ms\":2500,\"site\":\"north\"" ID},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2)},
         .resource = {T("host.name", "laptop")},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":2,"
                      "\"latency_ms\":2500" ID},
        // The span's own word goes before the resource's.
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), T("gtap.host", "gpu-08"), I("gtap.gpus", 3),
               I("gtap.gpu_instance", 5), T("gtap.tenant", "search")},
         .resource = {T("gtap.host", "gpu-07"), T("gtap.gpus", "0-7")},
         .want = "{\"ts\":\"2026-11-26T12:00:02.500Z\",\"host\":\"gpu-08\",\"gpu_index\":3,"
                 "\"gpu_instance\":5,\"model\":\"m\",\"tenant\":\"search\"," IDS
                 "\"prompt_tokens\":1,\"completion_tokens\":2,\"latency_ms\":2500" ID},
    };
    check(rows, ARRAY_LEN(rows), &(struct genai_options){0});
}

static void test_options(void **state)
{
    (void)state;
    static const struct row tenants[] = {
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), T("user.id", "ann"), T("app.team", "search")},
         .want = SAYS "\"model\":\"m\",\"tenant\":\"search\"," IDS "\"prompt_tokens\":1,"
                      "\"completion_tokens\":2,\"latency_ms\":2500" ID},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), T("user.id", "ann")},
         .resource = {T("app.team", "chat")},
         .want = SAYS "\"model\":\"m\",\"tenant\":\"chat\"," IDS "\"prompt_tokens\":1,"
                      "\"completion_tokens\":2,\"latency_ms\":2500" ID},
        {.kind = OTEL_KIND_CLIENT,
         .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2), T("user.id", "ann")},
         .want = SAYS "\"model\":\"m\"," IDS "\"prompt_tokens\":1,\"completion_tokens\":2,"
                      "\"latency_ms\":2500" ID},
    };
    check(tenants, ARRAY_LEN(tenants),
          &(struct genai_options){.tenant_attribute = STR("app.team")});
    static const enum otel_kind only[] = {OTEL_KIND_UNSPECIFIED, OTEL_KIND_SERVER,
                                          OTEL_KIND_CLIENT};
    static const bool counts[][3] = {
        {true, false, true},
        {true, false, true},
        {true, true, false},
        {true, false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(only); i++) {
        for (enum otel_kind kind = OTEL_KIND_UNSPECIFIED; kind <= OTEL_KIND_CLIENT; kind++) {
            struct row row = {.kind = kind, .a = {I(IN, 1), I(OUT, 2)}};
            struct otel_span s = span_of(&row);
            struct genai_options o = {.only = only[i]};
            assert_i64(genai_span_counts(&s, &o), counts[kind][i]);
        }
    }
}

static void test_times_and_ids(void **state)
{
    (void)state;
    static const struct row row = {.kind = OTEL_KIND_CLIENT,
                                   .a = {T(MODEL, "m"), I(IN, 1), I(OUT, 2)}};
    static const struct {
        int64_t start, end;
        const char *want;
    } times[] = {
        {END, BEGIN, "! ts: the span ends before it begins"},
        {INT64_MIN, END, "! ts: the span does not say when it began and ended"},
        {BEGIN, INT64_MIN, "! ts: the span does not say when it began and ended"},
        {BEGIN, TIME_MAX, "! ts: the span does not say when it began and ended"},
        {0, 0, "! latency_ms: puts the start before 1970"},
    };
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct buf got;
        struct otel_span s = span_of(&row);
        s.start = times[i].start;
        s.end = times[i].end;
        buf_init(&got, 1024);
        say(&s, &(struct genai_options){0}, &got);
        assert_str(buf_view(&got), times[i].want);
        buf_done(&got);
    }
    for (int which = 0; which < 2; which++) {
        struct buf got;
        struct otel_span s = span_of(&row);
        memset(which ? s.trace_id : s.span_id, 0, which ? sizeof(s.trace_id) : sizeof(s.span_id));
        buf_init(&got, 1024);
        say(&s, &(struct genai_options){0}, &got);
        assert_str(buf_view(&got), "! event_id: the span has no valid id");
        buf_done(&got);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_names), TEST(test_passed_over), TEST(test_refused), TEST(test_vllm),
                    TEST(test_first_token), TEST(test_places), TEST(test_options),
                    TEST(test_times_and_ids));
}
