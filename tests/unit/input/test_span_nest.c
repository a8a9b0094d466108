#include "input/span_nest.h"

#include "test.h"

// A span by the numbers of itself, its parent (0: none) and its trace.
struct row {
    uint8_t id, parent, trace;
    bool counts, want;
};

static struct otel_span span_of(uint32_t id, uint32_t parent, uint32_t trace)
{
    struct otel_span s = {0};
    memcpy(s.span_id, &id, sizeof(id));
    memcpy(s.parent_id, &parent, sizeof(parent));
    memcpy(s.trace_id, &trace, sizeof(trace));
    return s;
}

static void check(struct span_nest *n, const struct row *rows, size_t n_rows, int line)
{
    span_nest_begin(n);
    for (size_t i = 0; i < n_rows; i++) {
        struct otel_span s = span_of(rows[i].id, rows[i].parent, rows[i].trace);
        span_nest_add(n, &s, rows[i].counts);
    }
    span_nest_decide(n);
    for (size_t i = 0; i < n_rows; i++) {
        if (span_nest_counts(n, i) != rows[i].want) {
            fail_at(__FILE__, line, "row %zu: %d is wrong\n", i, !rows[i].want);
        }
    }
}
#define CHECK(n, ...)                                                                              \
    check((n), (const struct row[]){__VA_ARGS__}, ARRAY_LEN(((const struct row[]){__VA_ARGS__})),  \
          __LINE__)

static void test_one_request(void **state)
{
    (void)state;
    struct span_nest n = {0};
    // Alone; beside each other under one that is no call; in another trace.
    CHECK(&n, {1, 0, 1, true, true});
    CHECK(&n, {10, 0, 2, false, false}, {11, 10, 2, true, true}, {12, 10, 2, true, true});
    CHECK(&n, {11, 10, 3, true, true}, {10, 0, 4, true, true});
    // A call around a call, in either order, and with something else between them.
    CHECK(&n, {20, 0, 5, true, false}, {21, 20, 5, true, true});
    CHECK(&n, {21, 20, 6, true, true}, {20, 0, 6, true, false});
    CHECK(&n, {30, 0, 7, true, false}, {31, 30, 7, false, false}, {32, 31, 7, true, true});
    // Three deep, two innermost ones.
    CHECK(&n, {43, 42, 8, true, true}, {42, 41, 8, true, false}, {44, 41, 8, true, true},
          {41, 0, 8, true, false});
    // What does not count hides nothing.
    CHECK(&n, {51, 50, 9, false, false}, {50, 0, 9, true, true});
    span_nest_done(&n);
}

// Those within are sent first; what lies between may come with either.
static void test_several_requests(void **state)
{
    (void)state;
    struct span_nest n = {0};
    CHECK(&n, {3, 2, 1, true, true});
    CHECK(&n, {2, 1, 1, false, false});
    CHECK(&n, {1, 0, 1, true, false});
    CHECK(&n, {1, 0, 1, true, false}); // sent again
    CHECK(&n, {3, 2, 1, true, true});
    CHECK(&n, {6, 5, 2, true, true}, {5, 4, 2, false, false});
    CHECK(&n, {4, 0, 2, true, false});
    CHECK(&n, {4, 0, 3, true, true}); // of another trace
    span_nest_done(&n);
}

static void test_broken_parents(void **state)
{
    (void)state;
    struct span_nest n = {0};
    CHECK(&n, {1, 1, 1, true, true});                            // its own
    CHECK(&n, {2, 3, 1, false, false}, {3, 2, 1, false, false}); // in a circle
    span_nest_done(&n);
}

// It forgets, but not too early.
static void test_memory(void **state)
{
    (void)state;
    enum { STEP = 1000 };
    struct span_nest n = {0};
    for (uint32_t first = 1; first < 4 * SPAN_NEST_REMEMBERED; first += STEP) {
        span_nest_begin(&n);
        for (uint32_t i = 0; i < STEP; i++) {
            struct otel_span s = span_of(first + i, UINT32_MAX - first - i, 1);
            span_nest_add(&n, &s, true);
        }
        span_nest_decide(&n);
        assert_true(n.around[0].count + n.around[1].count <= 2 * (SPAN_NEST_REMEMBERED + STEP));
    }
    uint32_t last = 4 * SPAN_NEST_REMEMBERED - STEP;
    struct otel_span remembered = span_of(UINT32_MAX - last, 0, 1);
    struct otel_span forgotten = span_of(UINT32_MAX - 1, 0, 1);
    span_nest_begin(&n);
    span_nest_add(&n, &remembered, true);
    span_nest_add(&n, &forgotten, true);
    span_nest_decide(&n);
    assert_false(span_nest_counts(&n, 0));
    assert_true(span_nest_counts(&n, 1));
    span_nest_done(&n);
}

int main(void)
{
    return TEST_RUN(TEST(test_one_request), TEST(test_several_requests), TEST(test_broken_parents),
                    TEST(test_memory));
}
