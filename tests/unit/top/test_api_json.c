#include <errno.h>

#include "report/rates.h"
#include "test.h"
#include "top/api_problem.h"
#include "top/source.h"

static struct top_snapshot snapshot(void)
{
    struct top_snapshot s;
    struct top_ask ask = {TOP_5M, TOP_BY_MODEL_TENANT, &zone_utc, INT64_MIN};
    top_snapshot_init(&s, &ask, INT64_C(1795442400) * NS_PER_S);
    s.groups.query = (struct report_query){.by = {DIM_MODEL, DIM_TENANT}, .n_by = 2};
    return s;
}

static const char costs[] =
    "{\"since\":\"2026-11-23T13:55:00Z\",\"until\":\"2026-11-23T14:00:00Z\",\"final_until\":null,"
    "\"provisional\":true,\"splits\":[{\"method\":\"weighted\",\"weight_in\":1,\"weight_out\":4}],"
    "\"rows\":[{\"kind\":\"usage\",\"model\":\"llama\",\"tenant\":null,\"requests\":3,"
    "\"prompt_tokens\":100,\"completion_tokens\":50,\"cached_prompt_tokens\":0,"
    "\"cost_nusd\":3000,\"cost_usd\":\"0.000003000\",\"cost_in_nusd\":1000,\"cost_out_nusd\":2000,"
    "\"loaded_nusd\":4000,\"final\":false,\"busy_ns\":5000000000,\"unpriced_ns\":0,\"unpriced_"
    "requests\":0},"
    "{\"kind\":\"idle\",\"model\":null,\"tenant\":null,\"requests\":0,\"cost_nusd\":null,"
    "\"cost_usd\":\"9100000.000000001\",\"busy_ns\":7,\"unpriced_ns\":0},"
    "{\"kind\":\"unattributed\",\"cost_nusd\":null,\"cost_usd\":null,\"busy_ns\":9}]}";

// Money beyond what all readers of JSON take exactly comes as text; unknown stays unknown.
static void test_costs(void **state)
{
    (void)state;
    struct top_snapshot s = snapshot();
    struct error err = {0};
    assert_ok(top_api_costs(str_of(costs), &s, &s.groups, &err), &err);
    assert_i64(s.groups.n_rows, 3);
    assert_str(s.groups.rows[0].values[0].text, "llama");
    assert_str(s.groups.rows[0].values[1].text, NULL);
    assert_i64(s.groups.rows[0].loaded_nusd, 4000);
    assert_i64(s.groups.kinds[ROW_USAGE].cost_nusd, 3000);
    assert_i64(s.groups.kinds[ROW_IDLE].cost_nusd, INT64_C(9100000000000001));
    assert_false(cost_known(ROW_UNATTRIBUTED, &s.groups.kinds[ROW_UNATTRIBUTED]));
    assert_i64(s.to - s.from, 300 * NS_PER_S);
    assert_i64(s.final_until, INT64_MIN);
    assert_true(s.groups.bill.open);
    arena_done(&s.arena);
}

static void test_gpus(void **state)
{
    (void)state;
    struct top_snapshot s = snapshot();
    struct error err = {0};
    assert_ok(
        top_api_gpus(STR("{\"at\":\"2026-11-23T14:00:00.5Z\",\"items\":[{\"gpu\":\"h/0\","
                         "\"name\":\"L4\",\"last_seen\":\"2026-11-23T13:59:59Z\","
                         "\"utilization\":0.5,\"mem_used_mb\":null,\"power_w\":71,"
                         "\"price_per_hour_usd\":\"2.800000000\",\"price_source\":\"book\"}]}"),
                     &s, &err),
        &err);
    assert_i64(s.n_gpus, 1);
    assert_i64(s.gpus[0].has, SAMPLE_UTILIZATION | SAMPLE_POWER);
    assert_i64(s.gpus[0].price_nusd_hour, INT64_C(2800000000));
    assert_i64(s.gpus[0].price_source, TOP_PRICE_BOOK);
    assert_i64(s.gpus[0].first_seen, INT64_MIN);
    assert_i64(s.at - s.newest, 1500 * NS_PER_MS);
    arena_done(&s.arena);
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const list[] = {"",
                                       "[]",
                                       "{",
                                       "{}",
                                       "{\"rows\":{}}",
                                       "{\"rows\":[{}]}",
                                       "{\"rows\":[{\"kind\":\"x\"}]}",
                                       "{\"rows\":[1]}",
                                       "<html>",
                                       "{\"rows\":[],\"rows\":[]}"};
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct top_snapshot s = snapshot();
        struct error err = {0};
        assert_i64(top_api_costs(str_of(list[i]), &s, &s.groups, &err), -EPROTO);
        assert_true(err.msg[0] != '\0');
        arena_done(&s.arena);
    }
}

static void test_problem(void **state)
{
    (void)state;
    char detail[16];
    assert_true(top_api_problem(STR("{\"detail\":\"since: no time\"}"), detail, sizeof(detail)));
    assert_string_equal(detail, "since: no time");
    assert_false(top_api_problem(STR("<html>"), detail, sizeof(detail)));
    assert_false(top_api_problem(STR("{\"detail\":3}"), detail, sizeof(detail)));
}

int main(void)
{
    return TEST_RUN(TEST(test_costs), TEST(test_gpus), TEST(test_bad), TEST(test_problem));
}
