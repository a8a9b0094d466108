#include "report/csv.h"
#include "test.h"

// RFC 4180, section 2: what needs quotes, how a quote is written, and how a line ends.
static void test_fields(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; // NULL: absent
    } rows[] = {
        {"plain", "plain"},
        {"", ""},
        {NULL, ""},
        {"a b", "a b"},
        {" a", "\" a\""},
        {"a ", "\"a \""},
        {" ", "\" \""},
        {"a,b", "\"a,b\""},
        {"say \"hi\"", "\"say \"\"hi\"\"\""},
        {"\"", "\"\"\"\""},
        {"two\nlines", "\"two\nlines\""},
        {"two\r\nlines", "\"two\r\nlines\""},
        {"\r", "\"\r\""},
        {"gr\xc3\xbcn;\t'x'", "gr\xc3\xbcn;\t'x'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 256);
        csv_field(&b, true, str_of(rows[i].text));
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
    }
}

// Foreign text that a spreadsheet would run is told apart; everything else stays as it is.
static void test_formulas(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"=1+1", "'=1+1"},
        {"+1", "'+1"},
        {"-1", "'-1"},
        {"@SUM(A1)", "'@SUM(A1)"},
        {"\t=1", "'\t=1"},
        {"\r=1", "\"'\r=1\""},
        {"=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""},
        {"a=1", "a=1"},
        {"'=1", "'=1"},
        {"llama-3-70b", "llama-3-70b"},
        {"", ""},
        {NULL, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 256);
        csv_foreign(&b, true, str_of(rows[i].text));
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
    }
}

static void test_line(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 256);
    csv_field(&b, true, STR_NONE);
    csv_field(&b, false, STR("x"));
    csv_field(&b, false, STR_NONE);
    csv_field(&b, false, STR("1,5"));
    csv_end(&b);
    assert_str(buf_view(&b), ",x,,\"1,5\"\r\n");
    buf_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_fields), TEST(test_formulas), TEST(test_line));
}
