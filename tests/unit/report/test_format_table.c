#include "base/time.h"
#include "fixture.h"
#include "test.h"

#define M(n) (INT64_C(10000) * (n)) // hundredths of a million tokens

static const struct fixture_row rows[] = {
    {0, "h", 0, ROW_USAGE, "llama", "search", 1000000000, 4004000000, M(12004), M(3004), 7, 0,
     NULL},
    {0, "h", 0, ROW_USAGE, "llama", "chat", 1503000000, 3003000000, M(3003), M(1003), 2, 0, NULL},
    {0, "h", 0, ROW_IDLE, NULL, NULL, 0, 2003000000, 0, 0, 0, 0, NULL},
    {0, "h", 1, ROW_USAGE, "qwen", NULL, 4000000, 1004000000, M(1004), M(505), 1, 0, NULL},
    {0, "h", 1, ROW_UNATTRIBUTED, NULL, NULL, 0, 1006000000, 0, 0, 0, 0, NULL},
};

struct options {
    const char *by;
    size_t limit, width;
    enum report_basis basis;
    bool exact, provisional;
    const char *store;
};

static void check(const struct fixture_row *list, size_t n, int final, const struct options *o,
                  const char *want)
{
    struct fixture f;
    fixture_init(&f, list, n, final);
    struct report_query q = fixture_query(o->by);
    q.limit = o->limit;
    q.provisional = o->provisional;
    fixture_load(&f, &q);
    struct report_style style = {
        .basis = o->basis, .exact = o->exact, .width = o->width, .store = o->store};
    assert_str(fixture_text(&f, &format_table, &style), want);
    fixture_done(&f);
}

#define HEADER "22 Nov 00:00 to 00:01 UTC · 2 GPUs on 1 host · final · split weighted 1:4\n\n"

// 8.011 is 8.01, so of 4.004, 3.003 and 1.004 the first is shown as 4.01: what is shown adds up.
// The same holds for tokens.
static void test_models_and_tenants(void **state)
{
    (void)state;
    check(rows, ARRAY_LEN(rows), 10, &(struct options){.by = "model,tenant"},
          HEADER
          "model         tenant  requests  in Mtok  out Mtok      $  $/Mtok        in    out\n"
          "llama         search         7    120.1      30.0   4.01  0.0267   0.00833  0.100\n"
          "              chat           2     30.0      10.0   3.00  0.0750    0.0500  0.150\n"
          "qwen          -              1     10.0       5.1   1.00  0.0665  0.000398  0.198\n"
          "                                                   -----\n"
          "requests                    10    160.1      45.1   8.01  0.0390  busy\n"
          "idle                                                2.00\n"
          "unattributed                                        1.01  no telemetry: h/1, 10 s\n"
          "                                                   -----\n"
          "bill                                               11.02  0.0537  loaded\n");
}

// Every GPU's parts add up to its bill, and each column to what is under the rule.
static void test_gpus(void **state)
{
    (void)state;
    check(rows, ARRAY_LEN(rows), 10, &(struct options){.by = "gpu"},
          HEADER
          "gpu   requests  in Mtok  out Mtok  requests $  idle $  unattr. $  bill $  $/Mtok busy"
          "        in    out  $/Mtok loaded\n"
          "h/0          9    150.1      40.1        7.01    2.00       0.00    9.01       0.0369"
          "    0.0167  0.112         0.0474\n"
          "h/1          1     10.0       5.0        1.00    0.00       1.01    2.01       0.0665"
          "  0.000398  0.198          0.133\n"
          "                                                                  ------\n"
          "bill        10    160.1      45.1        8.01    2.00       1.01   11.02       0.0390"
          "    0.0157  0.122         0.0537  no telemetry: h/1, 10 s\n");
}

// Groups that hold idle time add up to the bill, which then is taken apart.
static void test_loaded(void **state)
{
    (void)state;
    check(rows, ARRAY_LEN(rows), 10, &(struct options){.by = "model", .basis = BASIS_LOADED},
          HEADER
          "model               requests  in Mtok  out Mtok      $  $/Mtok        in    out\n"
          "llama                      9    150.1      40.1   9.64  0.0507    0.0229  0.155\n"
          "qwen                       1     10.0       5.0   1.38  0.0915  0.000548  0.272\n"
          "                                                 -----\n"
          "bill                      10    160.1      45.1  11.02  0.0537  loaded\n"
          "of it requests            10    160.1      45.1   8.01  0.0390  busy\n"
          "of it idle                                        2.00\n"
          "of it unattributed                                1.01  no telemetry: h/1, 10 s\n");
}

static void test_total_alone(void **state)
{
    (void)state;
    check(rows, ARRAY_LEN(rows), 10, &(struct options){.by = "", .exact = true},
          HEADER
          "              requests       in tok     out tok             $  $/Mtok      in    out\n"
          "requests            10  160,110,000  45,120,000   8.011000000  0.0390  0.0157  0.122"
          "  busy\n"
          "idle                                              2.003000000\n"
          "unattributed                                      1.006000000"
          "  no telemetry: h/1, 10 s\n"
          "                                                 ------------\n"
          "bill                                             11.020000000  0.0537  loaded\n");
}

static void test_narrow(void **state)
{
    (void)state;
    check(rows, ARRAY_LEN(rows), 10,
          &(struct options){.by = "model,tenant", .width = 54, .limit = 1},
          HEADER "model         tenant  in Mtok  out Mtok      $  $/Mtok\n"
                 "llama         search    120.0      30.0   4.00  0.0267\n"
                 "(2 others)               40.1      15.1   4.01  0.0727\n"
                 "                                         -----\n"
                 "requests                160.1      45.1   8.01  0.0390  busy\n"
                 "idle                                      2.00\n"
                 "unattributed                              1.01  no telemetry: h/1, 10 s\n"
                 "                                         -----\n"
                 "bill                                     11.02  0.0537  loaded\n");
}

static const struct fixture_row unpriced[] = {
    {0, "h", 0, ROW_USAGE, "m", NULL, 0, 0, 10, 1, 1, FIXTURE_UNPRICED, NULL},
    {0, "h", 0, ROW_IDLE, NULL, NULL, 0, 0, 0, 0, 0, FIXTURE_UNPRICED, NULL},
    {0, "h", 1, ROW_USAGE, "m", NULL, 0, 50000, 10, 1, 1, 0, NULL},
    {0, NULL, 0, ROW_UNPLACED, "m", NULL, 0, 0, 7, 3, 1, 0, NULL},
};

// What has no price is a dash, with the reason, and with what to do about it.
static void test_unpriced(void **state)
{
    (void)state;
    check(unpriced, ARRAY_LEN(unpriced), 10,
          &(struct options){.by = "gpu", .store = " --store 'sqlite:x.db'"},
          HEADER "gpu       requests  in tok  out tok  requests $    idle $  unattr. $    bill $"
                 "  $/Mtok busy  in   out  $/Mtok loaded\n"
                 "h/1              1      10        1    0.000050  0.000000   0.000000  0.000050"
                 "         4.55   0  50.0           4.55\n"
                 "h/0              1      10        1           -         -   0.000000         -"
                 "            -   -     -              -\n"
                 "                                                                      --------\n"
                 "bill             2      20        2    0.000050         -   0.000000  0.000050"
                 "            -   -     -              -\n"
                 "unpriced                                                                     -"
                 "  no price: h/0 (NVIDIA L4), 20 s\n"
                 "unplaced         1       7        3                                          -"
                 "  they name no GPU\n"
                 "\n"
                 "1 request could not be placed on a GPU:\n"
                 "  gtap export token_usage --where unplaced --store 'sqlite:x.db'\n"
                 "\n"
                 "The bill leaves out 20 s of GPU time that has no price, and with it 1 request:\n"
                 "  gtap export token_usage --where unpriced --store 'sqlite:x.db'\n"
                 "Give it one and compute again:\n"
                 "  gtap price add 'NVIDIA L4' USD-PER-HOUR --from 2026-11-22T00:00:00Z"
                 " --store 'sqlite:x.db'\n"
                 "  gtap recompute --store 'sqlite:x.db'\n");
}

// A group that has a price in part shows that part, and says that it is one.
static void test_partly_priced(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, unpriced, ARRAY_LEN(unpriced), 10);
    struct report_query q = fixture_query("model");
    fixture_load(&f, &q);
    struct report_style style = {.basis = BASIS_BUSY};
    struct str text = fixture_text(&f, &format_table, &style);
    assert_non_null(strstr(text.p, "\nm                    2      20        2  0.000050       -"
                                   "   -    -  1 request unpriced\n"));
    assert_non_null(strstr(text.p, "\n  gtap recompute\n"));
    fixture_done(&f);
}

static const struct fixture_row open[] = {
    {0, "h", 0, ROW_USAGE, "m", NULL, 0, 2000000000, 20000, 20000, 1, 0, NULL},
    {1, "h", 0, ROW_USAGE, "m", NULL, 0, 3000000000, 20000, 20000, 1, FIXTURE_OPEN, NULL},
};

static void test_provisional(void **state)
{
    (void)state;
    check(open, ARRAY_LEN(open), 1, &(struct options){.by = "day", .provisional = true},
          "22 Nov 00:00 to 00:02 UTC · 1 GPU on 1 host · provisional from 00:01 · "
          "split weighted 1:4\n\n"
          "day     requests  in ktok  out ktok  requests $  idle $  unattr. $  bill $"
          "  $/Mtok busy  in  out  $/Mtok loaded\n"
          "22 Nov         2     40.0      40.0        5.00    0.00       0.00    5.00"
          "         62.5   0  125           62.5\n"
          "                                                                    ------\n"
          "bill           2     40.0      40.0        5.00    0.00       0.00    5.00"
          "         62.5   0  125           62.5\n");
    check(open, ARRAY_LEN(open), 0, &(struct options){.by = "day"},
          "22 Nov 00:00 to 00:02 UTC · 0 GPUs on 0 hosts · nothing final yet · "
          "split weighted 1:4\n\n"
          "No window of this range is final yet: see the open ones with --provisional.\n"
          "The store holds records from 22 Nov 00:00 to 22 Nov 00:01.\n");
}

// Before and after the records there is nothing to wait for.
static void test_no_rows(void **state)
{
    (void)state;
    static const struct {
        int from, to;
        bool provisional;
        const char *want;
    } cases[] = {
        {1, 2, false, "No window of this range is final yet: see the open ones with --provisional"},
        {5, 9, false, "Nothing was recorded in this range"},
        {-9, 0, false, "Nothing was recorded in this range"},
        {5, 9, true, "Nothing was recorded in this range"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        fixture_init(&f, open, ARRAY_LEN(open), 1);
        struct report_query q = fixture_query("");
        q.from = FIXTURE_EPOCH + cases[i].from * FIXTURE_MINUTE;
        q.to = FIXTURE_EPOCH + cases[i].to * FIXTURE_MINUTE;
        q.provisional = cases[i].provisional;
        fixture_load(&f, &q);
        struct report_style style = {.basis = BASIS_BUSY};
        struct str text = fixture_text(&f, &format_table, &style);
        if (strstr(text.p, cases[i].want) == NULL) {
            fail_at(__FILE__, __LINE__, "case %zu: %s\n", i, text.p);
        }
        fixture_done(&f);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    check(NULL, 0, 0, &(struct options){.by = "model"},
          "No records are stored yet: bring some in with gtap run.\n");
}

int main(void)
{
    return TEST_RUN(TEST(test_models_and_tenants), TEST(test_gpus), TEST(test_loaded),
                    TEST(test_total_alone), TEST(test_narrow), TEST(test_unpriced),
                    TEST(test_partly_priced), TEST(test_provisional), TEST(test_no_rows),
                    TEST(test_nothing));
}
