#include "base/time.h"
#include "fixture.h"
#include "test.h"

static const struct fixture_row rows[] = {
    {0, "h", 0, ROW_USAGE, "m\"1", "a", 500000000, 2000000000, 1000000, 1000000, 2, 0, NULL},
    {0, "h", 0, ROW_IDLE, NULL, NULL, 0, 1000000000, 0, 0, 0, 0, NULL},
    {0, "h", 1, ROW_USAGE, "q", NULL, 0, 0, 10, 5, 1, FIXTURE_UNPRICED, NULL},
    {0, NULL, 0, ROW_UNPLACED, "q", NULL, 0, 0, 7, 3, 1, 0, NULL},
    {1, "h", 0, ROW_IDLE, NULL, NULL, 0, 4, 0, 0, 0, FIXTURE_OPEN, NULL},
};

static void load(struct fixture *f, const char *by, size_t limit, bool provisional)
{
    struct report_style style = {.basis = BASIS_BUSY};
    fixture_init(f, rows, ARRAY_LEN(rows), 1);
    struct report_query q = fixture_query(by);
    q.limit = limit;
    q.provisional = provisional;
    fixture_load(f, &q);
    (void)fixture_text(f, &format_json, &style);
}

static void assert_has(const struct fixture *f, const char *part)
{
    if (strstr(f->text.p, part) == NULL) {
        fail_at(__FILE__, __LINE__, "there is no\n  %s\nin\n  %s\n", part, f->text.p);
    }
}

static void test_rows(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, "model", 0, false);
    assert_has(&f, "{\"from\":\"2026-11-22T00:00:00Z\",\"to\":\"2026-11-22T00:02:00Z\","
                   "\"final_until\":\"2026-11-22T00:01:00Z\",\"provisional\":false,"
                   "\"time_zone\":\"UTC\",\"gpus\":2,\"hosts\":1,");
    assert_has(&f, "\"by\":[\"model\"],\"rows\":[{\"model\":\"m\\\"1\",\"kind\":\"usage\","
                   "\"requests\":2,\"unpriced_requests\":0,\"prompt_tokens\":1000000,"
                   "\"cached_prompt_tokens\":0,\"completion_tokens\":1000000,"
                   "\"cost_nusd\":2000000000,\"cost_in_nusd\":500000000,"
                   "\"cost_out_nusd\":1500000000,\"gpu_seconds\":10,\"unpriced_gpu_seconds\":0,"
                   "\"energy_j\":null,\"final\":true,\"loaded_cost_nusd\":3000000000,"
                   "\"usd_per_mtok\":1,\"usd_per_mtok_in\":0.5,\"usd_per_mtok_out\":1.5,"
                   "\"loaded_usd_per_mtok\":1.5,");
    fixture_done(&f);
}

// Missing is null: a price, a model, a rate without tokens.
static void test_missing(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, "model", 0, false);
    assert_has(&f, "{\"model\":\"q\",\"kind\":\"usage\",\"requests\":1,\"unpriced_requests\":1,"
                   "\"prompt_tokens\":10,\"cached_prompt_tokens\":0,\"completion_tokens\":5,"
                   "\"cost_nusd\":null,\"cost_in_nusd\":null,\"cost_out_nusd\":null,"
                   "\"gpu_seconds\":10,\"unpriced_gpu_seconds\":10,\"energy_j\":null,"
                   "\"final\":true,\"loaded_cost_nusd\":null,\"usd_per_mtok\":null,");
    assert_has(&f, "{\"model\":null,\"kind\":\"idle\",");
    assert_has(&f, "\"unplaced\":{\"requests\":1,\"unpriced_requests\":0,\"prompt_tokens\":7,"
                   "\"cached_prompt_tokens\":0,\"completion_tokens\":3,\"cost_nusd\":null,");
    assert_has(&f, "\"gpu_notes\":[{\"gpu\":\"h/1\",\"name\":\"NVIDIA L4\","
                   "\"unattributed_seconds\":0,\"unpriced_seconds\":10}]");
    fixture_done(&f);
}

static void test_provisional(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, "", 0, true);
    assert_has(&f, "\"provisional\":true");
    assert_has(&f, "\"idle\":{\"requests\":0,\"unpriced_requests\":0,\"prompt_tokens\":0,"
                   "\"cached_prompt_tokens\":0,\"completion_tokens\":0,\"cost_nusd\":1000000004,"
                   "\"cost_in_nusd\":0,\"cost_out_nusd\":0,\"gpu_seconds\":20,"
                   "\"unpriced_gpu_seconds\":0,\"energy_j\":null,\"final\":false}");
    fixture_done(&f);
}

// A folded row is of one kind, and says so once.
static void test_others(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, "model,kind", 1, false);
    assert_has(&f, "{\"model\":null,\"kind\":\"usage\",\"others\":1,\"requests\":1,");
    fixture_done(&f);
}

static void test_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct report_style style = {.basis = BASIS_BUSY};
    fixture_init(&f, NULL, 0, 0);
    struct report_query q = fixture_query("model");
    fixture_load(&f, &q);
    (void)fixture_text(&f, &format_json, &style);
    assert_has(&f, "{\"from\":null,\"to\":null,\"final_until\":null,\"provisional\":false,");
    assert_has(&f, "\"rows\":[],");
    fixture_done(&f);
}

int main(void)
{
    return TEST_RUN(TEST(test_rows), TEST(test_missing), TEST(test_provisional), TEST(test_others),
                    TEST(test_nothing));
}
