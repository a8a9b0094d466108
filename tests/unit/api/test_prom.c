#include "api/prom.h"

#include <math.h>

#include "test.h"

static void put_page(struct prom *p)
{
    prom_single_int(p, "gtap_records_total", "counter", "Records.", 7);
    prom_family(p, "gtap_up", "gauge", "Whether.");
    prom_begin(p);
    prom_label(p, "input", STR("a \"b\"\\c\nd"));
    prom_label(p, "kind", STR_NONE);
    prom_int(p, 1);
    prom_begin(p);
    prom_real(p, 0.1);
    prom_end(p);
}

static void assert_page(bool openmetrics, const char *want)
{
    struct buf b;
    buf_init(&b, 4096);
    put_page(&(struct prom){.b = &b, .openmetrics = openmetrics});
    assert_str(buf_view(&b), want);
    buf_done(&b);
}

static void test_text(void **state)
{
    (void)state;
    assert_page(false, "# HELP gtap_records_total Records.\n"
                       "# TYPE gtap_records_total counter\n"
                       "gtap_records_total 7\n"
                       "# HELP gtap_up Whether.\n"
                       "# TYPE gtap_up gauge\n"
                       "gtap_up{input=\"a \\\"b\\\"\\\\c\\nd\",kind=\"\"} 1\n"
                       "gtap_up 0.1\n");
}

// A counter's family goes without _total, its sample does not.
static void test_openmetrics(void **state)
{
    (void)state;
    assert_page(true, "# HELP gtap_records Records.\n"
                      "# TYPE gtap_records counter\n"
                      "gtap_records_total 7\n"
                      "# HELP gtap_up Whether.\n"
                      "# TYPE gtap_up gauge\n"
                      "gtap_up{input=\"a \\\"b\\\"\\\\c\\nd\",kind=\"\"} 1\n"
                      "gtap_up 0.1\n"
                      "# EOF\n");
}

// One byte that is no UTF-8 would cost the whole page.
static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "x{l=\"\"} 1\n"},
        {"caf\xc3\xa9", "x{l=\"caf\xc3\xa9\"} 1\n"},
        {"a\xff\xc3z", "x{l=\"a\xef\xbf\xbd\xef\xbf\xbdz\"} 1\n"},
        {"\\\"\n", "x{l=\"\\\\\\\"\\n\"} 1\n"},
    };
    struct buf b;
    struct prom p = {.b = &b, .name = "x"};
    buf_init(&b, 4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&b);
        prom_begin(&p);
        prom_label(&p, "l", str_of(rows[i].text));
        prom_int(&p, 1);
        assert_str(buf_view(&b), rows[i].want);
    }
    buf_done(&b);
}

static void test_what_is_not_finite(void **state)
{
    (void)state;
    struct buf b;
    struct prom p = {.b = &b};
    buf_init(&b, 4096);
    static const double values[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    p.name = "x";
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        prom_begin(&p);
        prom_real(&p, values[i]);
    }
    assert_str(buf_view(&b), "x NaN\nx +Inf\nx -Inf\n");
    buf_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_text), TEST(test_openmetrics), TEST(test_labels),
                    TEST(test_what_is_not_finite));
}
