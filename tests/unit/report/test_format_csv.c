#include "base/time.h"
#include "fixture.h"
#include "test.h"

#define TITLES                                                                                     \
    "requests,unpriced_requests,prompt_tokens,cached_prompt_tokens,completion_tokens,"             \
    "cost_usd,cost_in_usd,cost_out_usd,loaded_cost_usd,usd_per_mtok,usd_per_mtok_in,"              \
    "usd_per_mtok_out,loaded_usd_per_mtok,gpu_seconds,unpriced_gpu_seconds,energy_j,final\r\n"

static const struct fixture_row rows[] = {
    {0, "h", 0, ROW_USAGE, "say \"m\", n", "a", 500000000, 2000000000, 1000000, 1000000, 2, 0,
     NULL},
    {0, "h", 0, ROW_IDLE, NULL, NULL, 0, 1000000001, 0, 0, 0, 0, NULL},
    {0, "h", 1, ROW_USAGE, "q", NULL, 0, 0, 10, 5, 1, FIXTURE_UNPRICED, NULL},
    {0, NULL, 0, ROW_UNPLACED, "q", NULL, 0, 0, 7, 3, 1, 0, NULL},
    {1, "h", 0, ROW_IDLE, NULL, NULL, 0, 4, 0, 0, 0, FIXTURE_OPEN, NULL},
};

static void check(const char *by, size_t limit, bool provisional, const char *want)
{
    struct fixture f;
    struct report_style style = {.basis = BASIS_BUSY};
    fixture_init(&f, rows, ARRAY_LEN(rows), 1);
    struct report_query q = fixture_query(by);
    q.limit = limit;
    q.provisional = provisional;
    fixture_load(&f, &q);
    assert_str(fixture_text(&f, &format_csv, &style), want);
    fixture_done(&f);
}

static void test_models(void **state)
{
    (void)state;
    check("model", 0, false,
          "model,kind," TITLES
          "\"say \"\"m\"\", n\",usage,2,0,1000000,0,1000000,2.000000000,0.500000000,1.500000000,"
          "3.000000001,1,0.5,1.5,1.5000000005,10.000000000,0.000000000,,true\r\n"
          "q,usage,1,1,10,0,5,,,,,,,,,10.000000000,10.000000000,,true\r\n"
          ",idle,0,0,0,0,0,1.000000001,0.000000000,0.000000000,0.000000000,,,,,10.000000000,"
          "0.000000000,,true\r\n"
          "q,unplaced,1,0,7,0,3,,,,,,,,,0.000000000,0.000000000,,true\r\n");
}

static void test_hours_and_kinds(void **state)
{
    (void)state;
    check("hour,kind,day", 0, true,
          "hour,kind,day," TITLES
          "2026-11-22T00:00:00Z,usage,2026-11-22,3,1,1000010,0,1000005,2.000000000,0.500000000,"
          "1.500000000,3.000000005,,,,,20.000000000,10.000000000,,true\r\n"
          "2026-11-22T00:00:00Z,idle,2026-11-22,0,0,0,0,0,1.000000005,0.000000000,0.000000000,"
          "0.000000000,,,,,20.000000000,0.000000000,,false\r\n"
          "2026-11-22T00:00:00Z,unplaced,2026-11-22,1,0,7,0,3,,,,,,,,,0.000000000,0.000000000,,"
          "true\r\n");
}

// Folded rows say how many they stand for, and of which kind they are.
static void test_others(void **state)
{
    (void)state;
    struct fixture f;
    struct report_style style = {.basis = BASIS_BUSY};
    fixture_init(&f, rows, ARRAY_LEN(rows), 1);
    struct report_query q = fixture_query("model,kind");
    q.limit = 1;
    fixture_load(&f, &q);
    struct str text = fixture_text(&f, &format_csv, &style);
    assert_non_null(strstr(text.p, "\r\n(1 other),usage,1,1,10,"));
    fixture_done(&f);
}

static void test_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct report_style style = {.basis = BASIS_BUSY};
    fixture_init(&f, NULL, 0, 0);
    struct report_query q = fixture_query("");
    fixture_load(&f, &q);
    assert_str(fixture_text(&f, &format_csv, &style), "kind," TITLES);
    fixture_done(&f);
}

int main(void)
{
    return TEST_RUN(TEST(test_models), TEST(test_hours_and_kinds), TEST(test_others),
                    TEST(test_nothing));
}
