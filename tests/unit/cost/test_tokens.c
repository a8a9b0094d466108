#include "cost/tokens.h"

#include "base/macros.h"
#include "test.h"

struct span {
    int64_t from, to;
};

struct tokens_case {
    const char *name;
    int64_t start, first, end;
    int64_t prompt, cached, completion;
    uint32_t part, n_gpus;
    struct span window;
    struct token_parts want;
};

static const struct tokens_case cases[] = {
    {"all in one window", 10, 20, 50, 7, 3, 9, 0, 1, {0, 60}, {7, 3, 9}},
    {"none before it", 60, 70, 80, 7, 3, 9, 0, 1, {0, 60}, {0, 0, 0}},
    {"none after it", 0, 30, 60, 7, 3, 9, 0, 1, {60, 120}, {0, 0, 0}},
    // 7 over [50,70): floor(7*10/20) = 3; cached 2: 1; 10 over [70,130): none before 70.
    {"prefill cut in half", 50, 70, 130, 7, 2, 10, 0, 1, {0, 60}, {3, 1, 0}},
    {"and its other half", 50, 70, 130, 7, 2, 10, 0, 1, {60, 120}, {4, 1, 8}},
    {"and the rest", 50, 70, 130, 7, 2, 10, 0, 1, {120, 180}, {0, 0, 2}},
    {"no first token: both spread over all", 0, -1, 90, 9, 3, 6, 0, 1, {0, 60}, {6, 2, 4}},
    {"no first token, second window", 0, -1, 90, 9, 3, 6, 0, 1, {60, 120}, {3, 1, 2}},
    {"no prefill: prompt at its instant", 60, 60, 90, 5, 4, 6, 0, 1, {60, 120}, {5, 4, 6}},
    {"and not in the window before", 60, 60, 90, 5, 4, 6, 0, 1, {0, 60}, {0, 0, 0}},
    {"no decode: completion just before the end", 0, 60, 60, 5, 0, 6, 0, 1, {0, 60}, {5, 0, 6}},
    {"and not in the window after", 0, 60, 60, 5, 0, 6, 0, 1, {60, 120}, {0, 0, 0}},
    {"on three GPUs, the first", 0, -1, 60, 10, 5, 11, 0, 3, {0, 60}, {3, 1, 3}},
    {"on three GPUs, the second", 0, -1, 60, 10, 5, 11, 1, 3, {0, 60}, {3, 2, 4}},
    {"on three GPUs, the third", 0, -1, 60, 10, 5, 11, 2, 3, {0, 60}, {4, 2, 4}},
};

static struct token_parts parts_of(const struct tokens_case *c, struct span window)
{
    struct request r = {.start = c->start,
                        .first = c->first,
                        .end = c->end,
                        .prompt = (int32_t)c->prompt,
                        .cached = (int32_t)c->cached,
                        .completion = (int32_t)c->completion,
                        .n_gpus = (uint8_t)c->n_gpus};
    struct use u = {r.start, r.end, &r, c->part};
    return tokens_in_window(&u, window.from, window.to);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct tokens_case *c = &cases[i];
        struct token_parts got = parts_of(c, c->window);
        if (got.prompt != c->want.prompt || got.cached != c->want.cached ||
            got.completion != c->want.completion) {
            fail_at(__FILE__, __LINE__, "%s: got %lld, %lld, %lld\n", c->name,
                    (long long)got.prompt, (long long)got.cached, (long long)got.completion);
        }
    }
}

// However time is cut and however many GPUs there are, the parts add up to the request's tokens;
// also where a product of tokens and nanoseconds needs more than 64 bits.
static void test_telescopes(void **state)
{
    (void)state;
    const int64_t day = INT64_C(86400000000000), tokens = 1000000000;
    const int64_t steps[] = {1 + day / 7, day / 24, day, 3 * day};
    for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
        struct token_parts sum = {0};
        for (uint32_t part = 0; part < 7; part++) {
            const struct tokens_case c = {"",     11,         day / 3,    2 * day + 5,
                                          tokens, tokens - 1, tokens - 2, part,
                                          7,      {0, 0},     {0, 0, 0}};
            for (int64_t t = 0; t < 3 * day; t += steps[s]) {
                struct token_parts p = parts_of(&c, (struct span){t, t + steps[s]});
                sum.prompt += p.prompt;
                sum.cached += p.cached;
                sum.completion += p.completion;
            }
        }
        assert_i64(sum.prompt, tokens);
        assert_i64(sum.cached, tokens - 1);
        assert_i64(sum.completion, tokens - 2);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_cases), TEST(test_telescopes));
}
