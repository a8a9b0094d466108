#include "base/time.h"
#include "fixture.h"
#include "test.h"

// GPU 0 serves a and idles, GPU 1 serves b and c and is not watched for a while, GPU 2 only idles.
static const struct fixture_row rows[] = {
    {0, "h", 0, ROW_USAGE, "m", "a", 1, 3, 10, 1, 1, 0, NULL},
    {0, "h", 0, ROW_IDLE, NULL, NULL, 0, 7, 0, 0, 0, 0, NULL},
    {0, "h", 1, ROW_USAGE, "m", "b", 3, 3, 10, 1, 1, 0, NULL},
    {0, "h", 1, ROW_USAGE, "m", "c", 0, 4, 10, 1, 1, 0, NULL},
    {0, "h", 1, ROW_UNATTRIBUTED, NULL, NULL, 0, 4, 0, 0, 0, 0, NULL},
    {0, "h", 2, ROW_IDLE, NULL, NULL, 0, 5, 0, 0, 0, 0, NULL},
};

struct want {
    enum row_kind kind;
    const char *values[2];
    int64_t loaded, in, out;
};

static const struct report_row *find(const struct report *r, const struct want *w)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        bool same = row->kind == w->kind;
        for (size_t k = 0; k < r->query.n_by; k++) {
            same = same && str_eq(row->values[k].text, str_of(w->values[k]));
        }
        if (same) {
            return row;
        }
    }
    return NULL;
}

static void check(const char *by, const struct want *wants, size_t n)
{
    struct fixture f;
    fixture_init(&f, rows, ARRAY_LEN(rows), 10);
    struct report_query q = fixture_query(by);
    const struct report *r = fixture_load(&f, &q);
    i128 sum = 0;
    assert_i64((int64_t)r->n_rows, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct report_row *row = find(r, &wants[i]);
        if (row == NULL) {
            fail_at(__FILE__, __LINE__, "%s: row %zu is missing\n", by, i);
        }
        assert_i64((int64_t)row->loaded_nusd, wants[i].loaded);
        if (row->kind == ROW_USAGE) {
            assert_i64((int64_t)row->loaded_in_nusd, wants[i].in);
            assert_i64((int64_t)row->loaded_out_nusd, wants[i].out);
        }
        sum += row->loaded_nusd;
    }
    assert_i64((int64_t)sum, (int64_t)r->bill.cost_nusd);
    fixture_done(&f);
}

// 16 nano-dollars that no request used over 3 : 3 : 4: quotas 4.8, 4.8, 6.4 make 5, 5, 6.
static void test_over_tenants(void **state)
{
    (void)state;
    static const struct want wants[] = {
        {ROW_USAGE, {"a"}, 8, 2, 6},         {ROW_USAGE, {"b"}, 8, 8, 0},
        {ROW_USAGE, {"c"}, 10, 0, 10},       {ROW_IDLE, {NULL}, 0, 0, 0},
        {ROW_UNATTRIBUTED, {NULL}, 0, 0, 0},
    };
    check("tenant", wants, ARRAY_LEN(wants));
}

// Every GPU's requests bear what idles there; where there are none it stays where it is.
static void test_over_gpus(void **state)
{
    (void)state;
    static const struct want wants[] = {
        {ROW_USAGE, {"h/0"}, 10, 3, 7}, {ROW_IDLE, {"h/0"}, 0, 0, 0},
        {ROW_USAGE, {"h/1"}, 11, 4, 7}, {ROW_UNATTRIBUTED, {"h/1"}, 0, 0, 0},
        {ROW_IDLE, {"h/2"}, 5, 0, 0},
    };
    check("gpu", wants, ARRAY_LEN(wants));
}

// 4 over 3 : 4: quotas 1.71, 2.29 make 2, 2.
static void test_over_gpus_and_tenants(void **state)
{
    (void)state;
    static const struct want wants[] = {
        {ROW_USAGE, {"h/0", "a"}, 10, 3, 7},        {ROW_IDLE, {"h/0", NULL}, 0, 0, 0},
        {ROW_USAGE, {"h/1", "b"}, 5, 5, 0},         {ROW_USAGE, {"h/1", "c"}, 6, 0, 6},
        {ROW_UNATTRIBUTED, {"h/1", NULL}, 0, 0, 0}, {ROW_IDLE, {"h/2", NULL}, 5, 0, 0},
    };
    check("gpu,tenant", wants, ARRAY_LEN(wants));
}

static void test_in_all(void **state)
{
    (void)state;
    static const struct want wants[] = {
        {ROW_USAGE, {NULL}, 26, 10, 16},
        {ROW_IDLE, {NULL}, 0, 0, 0},
        {ROW_UNATTRIBUTED, {NULL}, 0, 0, 0},
    };
    check("", wants, ARRAY_LEN(wants));
}

int main(void)
{
    return TEST_RUN(TEST(test_over_tenants), TEST(test_over_gpus), TEST(test_over_gpus_and_tenants),
                    TEST(test_in_all));
}
