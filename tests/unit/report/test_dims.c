#include <errno.h>

#include "report/query.h"
#include "test.h"

static void test_names(void **state)
{
    (void)state;
    static const char *const want[] = {"model", "tenant", "gpu",  "host", "site",
                                       "hour",  "day",    "time", "kind"};
    for (enum report_dim d = 0; d < DIM_COUNT; d++) {
        assert_str(str_of(report_dim_name(d)), want[d]);
    }
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        enum report_dim want[DIM_COUNT];
    } rows[] = {
        {"", 0, {0}},
        {"model", 1, {DIM_MODEL}},
        {"tenant,model", 2, {DIM_TENANT, DIM_MODEL}},
        {" gpu , hour ", 2, {DIM_GPU, DIM_HOUR}},
        {"model,tenant,gpu,host,site,hour,day,time,kind",
         9,
         {DIM_MODEL, DIM_TENANT, DIM_GPU, DIM_HOST, DIM_SITE, DIM_HOUR, DIM_DAY, DIM_TIME,
          DIM_KIND}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum report_dim dims[DIM_COUNT];
        struct error err = {0};
        size_t n = 99;
        assert_ok(report_dims_parse(str_of(rows[i].text), dims, &n, &err), &err);
        assert_i64((int64_t)n, (int64_t)rows[i].n);
        for (size_t k = 0; k < n; k++) {
            assert_i64(dims[k], rows[i].want[k]);
        }
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *in_message;
    } rows[] = {
        {"modell", "'modell'"},
        {"model,", "''"},
        {",", "''"},
        {"MODEL", "choose from model, tenant"},
        {"model,tenant,model", "'model' is named twice"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum report_dim dims[DIM_COUNT];
        struct error err = {0};
        size_t n;
        assert_i64(report_dims_parse(str_of(rows[i].text), dims, &n, &err), -EINVAL);
        if (strstr(err.msg, rows[i].in_message) == NULL) {
            fail_at(__FILE__, __LINE__, "'%s': %s\n", rows[i].text, err.msg);
        }
    }
}

// GPU time without requests has a place and a time, but neither model nor tenant.
static void test_groups_have_bills(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        enum report_dim by[DIM_COUNT];
        bool want;
    } rows[] = {
        {0, {0}, false},
        {1, {DIM_GPU}, true},
        {3, {DIM_HOST, DIM_SITE, DIM_DAY}, true},
        {1, {DIM_HOUR}, true},
        {1, {DIM_MODEL}, false},
        {2, {DIM_HOST, DIM_TENANT}, false},
        {2, {DIM_KIND, DIM_HOUR}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct report_query q = {.n_by = rows[i].n};
        memcpy(q.by, rows[i].by, sizeof(q.by));
        assert_i64(report_groups_have_bills(&q), rows[i].want);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_names), TEST(test_parse), TEST(test_parse_refuses),
                    TEST(test_groups_have_bills));
}
