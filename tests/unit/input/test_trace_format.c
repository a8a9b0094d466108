#include <errno.h>

#include "base/time.h"
#include "input/json_scan.h"
#include "input/trace_format.h"
#include "test.h"

#define AZURE "TIMESTAMP,ContextTokens,GeneratedTokens"
#define AZURE_2025 "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens"
#define BURST "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
#define BURST_2                                                                                    \
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type"
#define VIDUR "arrived_at,num_prefill_tokens,num_decode_tokens"
#define MOONCAKE "{\"timestamp\":0,\"input_length\":1,\"output_length\":2,\"hash_ids\":[1,2]}"

static void test_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *line, *want; // NULL: none
    } cases[] = {
        {AZURE, "Azure"},
        {AZURE_2025, "Azure"},
        {"timestamp,contexttokens,generatedtokens", "Azure"},
        {" TIMESTAMP , ContextTokens , GeneratedTokens ", "Azure"},
        {"\"TIMESTAMP\",\"ContextTokens\",\"GeneratedTokens\"", "Azure"},
        {"GeneratedTokens,ContextTokens,TIMESTAMP", "Azure"},
        {BURST, "BurstGPT"},
        {BURST_2, "BurstGPT"},
        {VIDUR, "Vidur"},
        {"," VIDUR, "Vidur"}, // a data frame's index column
        {MOONCAKE, "Mooncake"},
        {"{ \"output_length\": 2, \"timestamp\": 5, \"input_length\": 7 }", "Mooncake"},
        {"", NULL},
        {"a,b,c", NULL},
        {"TIMESTAMP,ContextTokens", NULL},
        {"2023-11-16 18:17:03.9799600,4808,10", NULL},
        {"{\"timestamp\":0,\"input_length\":1}", NULL},
        {"{\"timestamp\":0,\"input_length\":1,\"output_length\":2", NULL},
        {"[1,2]", NULL},
        {"\"TIMESTAMP,ContextTokens,GeneratedTokens", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct trace_layout l;
        bool found = trace_recognise(str_of(cases[i].line), &l);
        assert_int_equal(found, cases[i].want != NULL);
        if (found) {
            assert_string_equal(l.format->name, cases[i].want);
        }
    }
}

static void test_good_lines(void **state)
{
    (void)state;
    static const struct {
        const char *first, *line;
        int64_t time, prompt, output;
        const char *model;
    } cases[] = {
        {AZURE, "2023-11-16 18:17:03.9799600,4808,10", 1700158623979960000, 4808, 10, NULL},
        {AZURE, "2024-05-10 00:00:00.009930+00:00,2162,5", 1715299200009930000, 2162, 5, NULL},
        {AZURE, "2024-05-10T00:00:00,0,0", 1715299200000000000, 0, 0, NULL},
        {AZURE, "1970-01-01,16777216,1048576", 0, TRACE_PROMPT_MAX, TRACE_OUTPUT_MAX, NULL},
        {AZURE_2025, "2025-01-01 00:00:01,3,70,8", 1735689601000000000, 70, 8, NULL},
        {BURST, "5,ChatGPT,472,18,490,Conversation log", 5 * NS_PER_S, 472, 18, "ChatGPT"},
        {BURST, "5.25,GPT-4,9,0,9,API log", 5250 * NS_PER_MS, 9, 0, "GPT-4"}, // failed: kept
        {BURST_2, "7,3,1.5,GPT-4,9,4,13,API log", 7 * NS_PER_S, 9, 4, "GPT-4"},
        {VIDUR, "0.0,4808,10", 0, 4808, 10, NULL},
        {VIDUR, "1e-3,12.0,3.0", NS_PER_MS, 12, 3, NULL},
        {"," VIDUR, "17,0.5,12,3", 500 * NS_PER_MS, 12, 3, NULL},
        {MOONCAKE,
         "{\"timestamp\":27482,\"input_length\":6955,\"output_length\":52,"
         "\"hash_ids\":[46,47,2353]}",
         27482 * NS_PER_MS, 6955, 52, NULL},
        {MOONCAKE,
         " { \"hash_ids\" : [ ] , \"output_length\" : 1 , \"x\" : {\"y\":\"}\"} , "
         "\"timestamp\" : 1.5 , \"input_length\" : 2 } ",
         1500 * NS_PER_US, 2, 1, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct trace_layout l;
        struct trace_request r;
        struct error err = {0};
        assert_true(trace_recognise(str_of(cases[i].first), &l));
        assert_ok(trace_parse(&l, str_of(cases[i].line), &r, &err), &err);
        assert_i64(r.time, cases[i].time);
        assert_i64(r.prompt, cases[i].prompt);
        assert_i64(r.output, cases[i].output);
        assert_str(r.model, cases[i].model);
    }
}

static void test_bad_lines(void **state)
{
    (void)state;
    static const struct {
        const char *first, *line, *says;
    } cases[] = {
        {AZURE, AZURE, "TIMESTAMP: not a time: 'TIMESTAMP'"}, // a header once more
        {AZURE, "2023-11-16 18:17:03,4808", "2 fields instead of 3"},
        {AZURE, "2023-11-16 18:17:03,4808,10,", "4 fields instead of 3"},
        {AZURE, "", "1 fields instead of 3"},
        {AZURE, "2023-11-31 18:17:03,1,1", "TIMESTAMP: not a time"},
        {AZURE, "1969-12-31 23:59:59,1,1", "TIMESTAMP: not a time"},
        {AZURE, "2200-01-01,1,1", "TIMESTAMP: not a time"},
        {AZURE, "2023-11-16,-1,1", "ContextTokens: out of range: '-1'"},
        {AZURE, "2023-11-16,16777217,1", "ContextTokens: out of range"},
        {AZURE, "2023-11-16,1,1048577", "GeneratedTokens: out of range"},
        {AZURE, "2023-11-16,1.5,1", "ContextTokens: not a whole number: '1.5'"},
        {AZURE, "2023-11-16,,1", "ContextTokens: not a whole number: ''"},
        {AZURE, "2023-11-16,1,NaN", "GeneratedTokens: not a whole number: 'NaN'"},
        {AZURE, "2023-11-16,1,99999999999999999999", "GeneratedTokens: out of range"},
        {AZURE, "2023-11-16,1,1.0000000000000000000001", "GeneratedTokens: not a whole number"},
        {AZURE, "\"2023-11-16,1,1", "not CSV"},
        {AZURE, "\"2023-11-16\"x,1,1", "not CSV"},
        {AZURE, "\xff\xfe,1,1", "TIMESTAMP: not a time"},
        {BURST, "-5,ChatGPT,472,18,490,Conversation log", "Timestamp: out of range"},
        {BURST, "1e12,ChatGPT,472,18,490,Conversation log", "Timestamp: not a time"},
        {BURST, "5,,472,18,490,Conversation log", "Model: not a name: ''"},
        {BURST, "5,a\tb,472,18,490,Conversation log", "Model: not a name"},
        {VIDUR, "nan,1,1", "arrived_at: not a time"},
        {MOONCAKE, "{\"timestamp\":1,\"input_length\":2}", "output_length: missing"},
        {MOONCAKE, "{\"timestamp\":\"1\",\"input_length\":2,\"output_length\":3}",
         "timestamp: not a time"},
        {MOONCAKE, "{\"timestamp\":1,\"input_length\":null,\"output_length\":3}",
         "input_length: not a whole number: 'null'"},
        {MOONCAKE, "{\"timestamp\":1,\"input_length\":2,\"output_length\":3", "not JSON"},
        {MOONCAKE, "{\"timestamp\":1,\"input_length\":2,\"output_length\":3} x", "not JSON"},
        {MOONCAKE, "1,2,3", "not JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct trace_layout l;
        struct trace_request r;
        struct error err = {0};
        assert_true(trace_recognise(str_of(cases[i].first), &l));
        assert_int_equal(trace_parse(&l, str_of(cases[i].line), &r, &err), -EINVAL);
        if (strstr(err.msg, cases[i].says) != err.msg) {
            fail_msg("%s: %s", cases[i].line, err.msg);
        }
    }
}

static void test_json_walk(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int members; // -1: broken
    } cases[] = {
        {"{}", 0},
        {" { } ", 0},
        {"{\"a\":1}", 1},
        {"{\"a\":1,\"b\":[1,{\"c\":\"]}\"}],\"d\\\"\":\"x\\\\\"}", 3},
        {"{\"a\":1,}", -1},
        {"{\"a\" 1}", -1},
        {"{\"a\":}", -1},
        {"{a:1}", -1},
        {"{\"a\":1 \"b\":2}", -1},
        {"{\"a\":[1}", -1},
        {"{\"a\":[}]}", -1},
        {"{\"a\":\"x}", -1},
        {"{\"a\":1", -1},
        {"{", -1},
        {"{\"a\":1}}", -1},
        {"{,}", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_walk w;
        struct str key, value;
        int n = 0;
        assert_true(json_walk_begin(&w, str_of(cases[i].text), '{'));
        while (json_walk_member(&w, &key, &value)) {
            n++;
        }
        assert_int_equal(w.failed ? -1 : n, cases[i].members);
    }
    struct json_walk w;
    struct str value;
    assert_false(json_walk_begin(&w, STR("[]"), '{'));
    assert_false(json_walk_begin(&w, STR(""), '['));
    assert_true(json_walk_begin(&w, STR("[ 1 , \"a,b\" ,{\"x\":[]}]"), '['));
    assert_true(json_walk_element(&w, &value));
    assert_str(value, "1");
    assert_true(json_walk_element(&w, &value));
    assert_str(value, "\"a,b\"");
    assert_true(json_walk_element(&w, &value));
    assert_str(value, "{\"x\":[]}");
    assert_false(json_walk_element(&w, &value));
    assert_false(w.failed);
}

static void test_nesting_is_bounded(void **state)
{
    (void)state;
    for (int depth = JSON_DEPTH_MAX - 2; depth <= JSON_DEPTH_MAX + 2; depth++) {
        char text[4 * JSON_DEPTH_MAX];
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        struct str s = {text, 2 * (size_t)depth}, value;
        assert_int_equal(json_take_value(&s, &value), depth <= JSON_DEPTH_MAX);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_recognised), TEST(test_good_lines), TEST(test_bad_lines),
                    TEST(test_json_walk), TEST(test_nesting_is_bounded));
}
