// A thin layer over cmocka 1.1.5, whose assert_int_equal prints hexadecimal and compares as
// unsigned, and whose assert_float_equal compares as float. Include it instead of cmocka.h.
//
//     static void test_sum(void **state) { (void)state; assert_i64(1 + 1, 2); }
//     int main(void) { return TEST_RUN(TEST(test_sum)); }
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"

// How long a test waits for what must come, in real time: only what is broken gets near it, however
// busy the machine is.
enum { TEST_PATIENCE_MS = 100000 };

#define TEST(f) cmocka_unit_test(f)
#define TEST_WITH(f, setup, teardown) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_RUN(...)                                                                              \
    cmocka_run_group_tests_name(__FILE__, ((const struct CMUnitTest[]){__VA_ARGS__}), NULL, NULL)

// Fails as the given line, with a message: in table-driven tests, naming the row.
#define fail_at(file, line, ...) (print_error(__VA_ARGS__), _fail(file, line))

// Integers of up to 128 bits; what is printed is cut to 64.
static inline void test_i64(__int128 got, __int128 want, const char *expr, const char *file,
                            int line)
{
    if (got != want) {
        fail_at(file, line, "%s: got %lld, want %lld\n", expr, (long long)got, (long long)want);
    }
}
#define assert_i64(got, want) test_i64((got), (want), #got, __FILE__, __LINE__)

// Within eps, absolute; equal infinities are near, NaN is near nothing.
static inline void test_near(double got, double want, double eps, const char *expr,
                             const char *file, int line)
{
    if (got != want && !(fabs(got - want) <= eps)) {
        fail_at(file, line, "%s: got %.17g, want %.17g within %g\n", expr, got, want, eps);
    }
}
#define assert_near(got, want, eps) test_near((got), (want), (eps), #got, __FILE__, __LINE__)

static inline void test_str(struct str got, struct str want, const char *expr, const char *file,
                            int line)
{
    if (!str_eq(got, want)) {
        fail_at(file, line, "%s:\n got  %s" STR_FMT "\n want %s" STR_FMT "\n", expr,
                got.p ? "" : "(absent)", STR_ARG(got), want.p ? "" : "(absent)", STR_ARG(want));
    }
}
// A struct str against a C string (NULL: absent).
#define assert_str(got, want) test_str((got), str_of(want), #got, __FILE__, __LINE__)

static inline void test_ok(int r, const struct error *err, const char *expr, const char *file,
                           int line)
{
    if (r < 0) {
        fail_at(file, line, "%s: %s (%s)\n", expr, err ? err->msg : "failed", error_name(r));
    }
}
// 0 or more; prints the message of err (may be NULL) and the errno's words otherwise.
#define assert_ok(expr, err) test_ok((expr), (err), #expr, __FILE__, __LINE__)
