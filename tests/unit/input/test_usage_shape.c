// Objects as OpenAI's, Anthropic's and LiteLLM's documentation and a capture of LiteLLM 1.108.7
// have them, cut to what matters.
#include "input/usage_shape.h"

#include "model/decode.h"
#include "test.h"

// Quotes are written ' here: the texts have none of their own.
static void put_quoted(struct buf *b, const char *text)
{
    for (; *text; text++) {
        buf_char(b, *text == '\'' ? '"' : *text);
    }
}

struct row {
    const char *text, *want; // NULL: unknown; "": passed over
};

static void check(const struct row *rows, size_t n, struct str model)
{
    for (size_t i = 0; i < n; i++) {
        struct buf text, want, got;
        buf_init(&text, 8192);
        buf_init(&want, 8192);
        buf_init(&got, 8192);
        put_quoted(&text, rows[i].text);
        put_quoted(&want, rows[i].want ? rows[i].want : "");
        struct shape shape = usage_shape(buf_view(&text), model, &got);
        enum shape_verdict verdict = !rows[i].want      ? SHAPE_UNKNOWN
                                     : !rows[i].want[0] ? SHAPE_PASS_OVER
                                                        : SHAPE_IS_RECORD;
        if (shape.verdict != verdict || !str_eq(buf_view(&got), buf_view(&want))) {
            fail_msg("row %zu: %d\n got  %s\n want %s", i, (int)shape.verdict, buf_view(&got).p,
                     buf_view(&want).p);
        }
        buf_done(&text);
        buf_done(&want);
        buf_done(&got);
    }
}

#define OURS "'ts':1795694400.5,'model':'m','latency_ms':12.5"

static void test_records(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{" OURS ",'usage':{'prompt_tokens':9,'completion_tokens':12,'total_tokens':21,"
         "'prompt_tokens_details':{'cached_tokens':4},"
         "'completion_tokens_details':{'reasoning_tokens':5}}}",
         "{" OURS ",'usage':{'prompt_tokens':9,'completion_tokens':12,'total_tokens':21,"
         "'prompt_tokens_details':{'cached_tokens':4},"
         "'completion_tokens_details':{'reasoning_tokens':5}},"
         "'prompt_tokens':9,'completion_tokens':12,'cached_prompt_tokens':4}"},
        {"{" OURS ",'usage':{'input_tokens':9,'output_tokens':12,"
         "'input_tokens_details':{'cached_tokens':4},"
         "'output_tokens_details':{'reasoning_tokens':5}},'x':1}",
         "{" OURS ",'usage':{'input_tokens':9,'output_tokens':12,"
         "'input_tokens_details':{'cached_tokens':4},"
         "'output_tokens_details':{'reasoning_tokens':5}},'x':1,"
         "'prompt_tokens':9,'completion_tokens':12,'cached_prompt_tokens':4}"},
        // Anthropic's: the cache stands beside the input.
        {"{" OURS ",'usage':{'input_tokens':9,'output_tokens':12,'cache_read_input_tokens':100,"
         "'cache_creation_input_tokens':50}}",
         "{" OURS ",'usage':{'input_tokens':9,'output_tokens':12,'cache_read_input_tokens':100,"
         "'cache_creation_input_tokens':50},'prompt_tokens':159,'completion_tokens':12,"
         "'cached_prompt_tokens':100}"},
        // What is null or empty does not stand beside what is added.
        {" {'prompt_tokens':null,'tenant':''," OURS ",'usage':{'prompt_tokens':9,"
         "'completion_tokens':12,'prompt_tokens_details':null}} ",
         "{" OURS ",'usage':{'prompt_tokens':9,'completion_tokens':12,"
         "'prompt_tokens_details':null},'prompt_tokens':9,'completion_tokens':12}"},
        // Not to be judged here: the decoder says what is wrong with these.
        {"{" OURS ",'usage':{'prompt_tokens':-9,'completion_tokens':'x'}}",
         "{" OURS ",'usage':{'prompt_tokens':-9,'completion_tokens':'x'},'prompt_tokens':-9,"
         "'completion_tokens':'x'}"},
        {"{" OURS ",'usage':{'input_tokens':1e99,'cache_read_input_tokens':1}}",
         "{" OURS ",'usage':{'input_tokens':1e99,'cache_read_input_tokens':1},"
         "'prompt_tokens':1e99,'cached_prompt_tokens':1}"},
        // None of these shapes.
        {"{" OURS ",'prompt_tokens':9}", NULL},
        {"{" OURS ",'usage':{}}", NULL},
        {"{" OURS ",'usage':7}", NULL},
        {"{" OURS ",'usage':null}", NULL},
        {"{" OURS, NULL},
        {"{" OURS ",'usage':{'prompt_tokens':9}} x", NULL},
        {"{" OURS ",'usage':{'prompt_tokens':9 'x'}}", NULL},
        {"[]", NULL},
        {"7", NULL},
        {"", NULL},
    };
    check(rows, ARRAY_LEN(rows), STR_NONE);
    static const struct row nameless[] = {
        {"{'ts':1,'prompt_tokens':9}", "{'ts':1,'prompt_tokens':9,'model':'llama'}"},
        {"{'ts':1,'model':null,'usage':{'prompt_tokens':9}}",
         "{'ts':1,'usage':{'prompt_tokens':9},'prompt_tokens':9,'model':'llama'}"},
        {"{'ts':1,'model':'m','prompt_tokens':9}", NULL},
    };
    check(nameless, ARRAY_LEN(nameless), STR("llama"));
}

#define USAGE "'usage':{'prompt_tokens':9,'completion_tokens':12}"
#define CHAT                                                                                       \
    "'id':'chatcmpl-123','object':'chat.completion','created':1795694400,'model':'m',"             \
    "'choices':[{'message':{'role':'assistant','content':'Hi'}}]," USAGE

static void test_responses(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{" CHAT "}", "{'model':'m','prompt_tokens':9,'completion_tokens':12,"
                       "'ts':1795694400,'request_id':'chatcmpl-123','event_id':'chatcmpl-123'}"},
        {"{" CHAT ",'latency_ms':2500.5,'ttft_ms':80,'gpu_index':1,'host':'h','user':'ann'}",
         "{'host':'h','gpu_index':1,'model':'m','latency_ms':2500.5,'ttft_ms':80,"
         "'prompt_tokens':9,'completion_tokens':12,'ts':1795694402.5005,"
         "'request_id':'chatcmpl-123','event_id':'chatcmpl-123','tenant':'ann'}"},
        {"{" CHAT ",'latency_ms':2500.5,'ts':'2026-11-26T12:00:02Z','event_id':'e',"
         "'request_id':'r','tenant':'t','user':'ann'}",
         "{'ts':'2026-11-26T12:00:02Z','model':'m','tenant':'t','request_id':'r',"
         "'latency_ms':2500.5,'event_id':'e','prompt_tokens':9,'completion_tokens':12}"},
        {"{'object':'text_completion','id':'','created':1," USAGE ",'latency_ms':1}",
         "{'latency_ms':1,'prompt_tokens':9,'completion_tokens':12,'ts':1.001}"},
        {"{'object':'chat.completion.chunk','choices':[]," USAGE "}",
         "{'prompt_tokens':9,'completion_tokens':12}"},
        {"{'object':'response','id':'resp_1','created_at':1795694400,'completed_at':1795694403,"
         "'model':'m','output':[],'usage':{'input_tokens':36,'output_tokens':87,"
         "'input_tokens_details':{'cached_tokens':0},'output_tokens_details':{'reasoning_tokens':"
         "64}}}",
         "{'model':'m','prompt_tokens':36,'completion_tokens':87,'cached_prompt_tokens':0,"
         "'latency_ms':3000,'ts':1795694403,'request_id':'resp_1','event_id':'resp_1'}"},
        {"{'object':'response','created_at':1,'status':'in_progress','usage':null}", NULL},
        {"{'object':'list'," USAGE ",'prompt_tokens':1}", NULL},
    };
    check(rows, ARRAY_LEN(rows), STR_NONE);
}

#define LOG                                                                                        \
    "'id':'chatcmpl-4e','litellm_call_id':'63f2','call_type':'acompletion',"                       \
    "'custom_llm_provider':'hosted_vllm','model':'hosted_vllm/llama-3-70b','status':'success',"    \
    "'startTime':1795706863.970664,'endTime':1795706864.038108,'total_tokens':30,"                 \
    "'prompt_tokens':10,'completion_tokens':20,'messages':[{'role':'user'}],'end_user':'ann'"
#define LOGGED "{'prompt_tokens':10,'completion_tokens':20,"
#define LOGGED_TIMES "'ts':1795706864.038108,'latency_ms':67.444,"
#define LOGGED_IDS "'model':'llama-3-70b','request_id':'chatcmpl-4e','event_id':'63f2',"

static void test_litellm(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{" LOG ",'cache_hit':null,'stream':null,'completionStartTime':1795706864.038108,"
         "'metadata':{'user_api_key_team_id':null,'user_api_key_team_alias':'',"
         "'usage_object':{'prompt_tokens_details':null}}}",
         LOGGED LOGGED_TIMES LOGGED_IDS "'tenant':'ann'}"},
        {"{" LOG ",'cache_hit':false,'stream':true,'completionStartTime':1795706864.0,"
         "'metadata':{'user_api_key_team_id':'t1','user_api_key_team_alias':'search',"
         "'usage_object':{'prompt_tokens_details':{'cached_tokens':4}}}}",
         LOGGED "'cached_prompt_tokens':4," LOGGED_TIMES "'ttft_ms':29.336," LOGGED_IDS
                "'tenant':'search'}"},
        // Without a stream the first token came with the last, which nobody measured.
        {"{" LOG ",'completionStartTime':1795706864.0,'metadata':{'user_api_key_team_id':'t1'}}",
         LOGGED LOGGED_TIMES LOGGED_IDS "'tenant':'t1'}"},
        {"{" LOG ",'stream':true,'completionStartTime':1795706864.038108}",
         LOGGED LOGGED_TIMES LOGGED_IDS "'tenant':'ann'}"},
        // Answered from LiteLLM's cache, or failed before there was a token.
        {"{" LOG ",'cache_hit':true}", ""},
        {"{'call_type':'acompletion','startTime':1,'endTime':2,'status':'failure',"
         "'prompt_tokens':0,'completion_tokens':0}",
         ""},
        {"{'call_type':'acompletion','startTime':1,'endTime':2,'status':'failure'}", ""},
        // Without a provider, or with another one's name, the model is as it says.
        {"{'call_type':'acompletion','startTime':1,'endTime':2.5,'prompt_tokens':1,'model':'a/b',"
         "'id':'i'}",
         "{'prompt_tokens':1,'ts':2.5,'latency_ms':1500,'model':'a/b','request_id':'i',"
         "'event_id':'i'}"},
        {"{'call_type':'acompletion','startTime':3,'endTime':2.5,'prompt_tokens':1,'model':'ab/c',"
         "'custom_llm_provider':'a'}",
         "{'prompt_tokens':1,'ts':2.5,'model':'ab/c'}"},
        {"{'call_type':'acompletion','startTime':1}", NULL},
    };
    check(rows, ARRAY_LEN(rows), STR_NONE);
}

// All the way to a record.
static void test_decoded(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf text, out;
    struct record r;
    struct error err;
    struct decoder *d = decoder_new();
    buf_init(&text, 4096);
    buf_init(&out, 4096);
    put_quoted(&text, "{" LOG ",'stream':true,'completionStartTime':1795706864.0}");
    assert_i64(decoder_record(d, buf_view(&text), &a, &r, &err), -22);
    struct shape shape = usage_shape(buf_view(&text), STR_NONE, &out);
    assert_i64(shape.verdict, SHAPE_IS_RECORD);
    assert_string_equal(shape.name, "a log of LiteLLM");
    size_t n = out.n;
    assert_non_null(buf_reserve(&out, DECODER_PADDING));
    assert_ok(decoder_record(d, (struct str){out.p, n}, &a, &r, &err), &err);
    assert_i64(r.usage.ts, INT64_C(1795706864038108000));
    assert_i64(r.usage.latency_ns, INT64_C(67444000));
    assert_i64(r.usage.ttft_ns, INT64_C(29336000));
    assert_i64(r.usage.prompt_tokens, 10);
    assert_i64(r.usage.completion_tokens, 20);
    assert_str(r.usage.model, "llama-3-70b");
    assert_str(r.event_id, "63f2");
    assert_false(str_present(r.extra));
    decoder_free(d);
    arena_done(&a);
    buf_done(&text);
    buf_done(&out);
}

int main(void)
{
    return TEST_RUN(TEST(test_records), TEST(test_responses), TEST(test_litellm),
                    TEST(test_decoded));
}
