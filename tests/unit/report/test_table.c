#include "report/table.h"
#include "test.h"

struct holder {
    struct arena arena;
    struct table t;
    struct buf out;
};

static struct str written(struct holder *h, size_t width, bool color)
{
    buf_clear(&h->out);
    table_write(&h->t, &(struct table_style){width, color}, &h->out);
    return buf_view(&h->out);
}

static int set_up(void **state)
{
    struct holder *h = calloc(1, sizeof(*h));
    buf_init(&h->out, 64 * 1024);
    table_init(&h->t, &h->arena);
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    struct holder *h = *state;
    table_done(&h->t);
    buf_done(&h->out);
    arena_done(&h->arena);
    free(h);
    return 0;
}

static void fill_bill(struct table *t)
{
    table_column(t, "model", TABLE_LEFT, 0);
    table_column(t, "requests", TABLE_RIGHT, 2);
    table_column(t, "$", TABLE_RIGHT, 0);
    table_column(t, "in", TABLE_RIGHT, 3);
    table_row(t);
    table_set(t, 0, STR("llama-3-70b"));
    table_set(t, 1, STR("12"));
    table_set(t, 2, STR("1,204.50"));
    table_set(t, 3, STR("0.210"));
    table_row(t);
    table_set(t, 2, STR("5.00"));
    table_rule(t, 2);
    table_row(t);
    table_set(t, 0, STR("bill"));
    table_set(t, 2, STR("1,209.50"));
    table_note(t, STR("loaded"));
}

static void test_layout(void **state)
{
    struct holder *h = *state;
    fill_bill(&h->t);
    assert_str(written(h, 0, false), "model        requests         $     in\n"
                                     "llama-3-70b        12  1,204.50  0.210\n"
                                     "                           5.00\n"
                                     "                       --------\n"
                                     "bill                   1,209.50  loaded\n");
}

// The highest drop goes first; text is cut only when no more columns may go.
static void test_narrow(void **state)
{
    struct holder *h = *state;
    fill_bill(&h->t);
    assert_str(written(h, 32, false), "model        requests         $\n"
                                      "llama-3-70b        12  1,204.50\n"
                                      "                           5.00\n"
                                      "                       --------\n"
                                      "bill                   1,209.50  loaded\n");
    assert_str(written(h, 30, false), "model               $\n"
                                      "llama-3-70b  1,204.50\n"
                                      "                 5.00\n"
                                      "             --------\n"
                                      "bill         1,209.50  loaded\n");
    assert_str(written(h, 19, false), "model             $\n"
                                      "llama-3-\xe2\x80\xa6  1,204.50\n"
                                      "               5.00\n"
                                      "           --------\n"
                                      "bill       1,209.50  loaded\n");
    // Numbers are never cut.
    assert_non_null(strstr(written(h, 1, false).p, "1,204.50"));
}

static void test_color(void **state)
{
    struct holder *h = *state;
    table_column(&h->t, "a", TABLE_LEFT, 0);
    table_row(&h->t);
    table_set(&h->t, 0, STR("x"));
    assert_str(written(h, 0, true), "\x1b[1ma\x1b[0m\nx\n");
    assert_str(written(h, 0, false), "a\nx\n");
}

static void test_foreign_text(void **state)
{
    struct holder *h = *state;
    table_column(&h->t, "name", TABLE_LEFT, 0);
    table_column(&h->t, "n", TABLE_RIGHT, 0);
    table_row(&h->t);
    table_set(&h->t, 0, STR("\x1b[31m\n"));
    table_set(&h->t, 1, STR("1"));
    table_row(&h->t);
    table_set(&h->t, 0, STR("\xe6\xa8\xa1\xe5\x9e\x8b"));
    table_set(&h->t, 1, STR("2"));
    assert_str(written(h, 0, false), "name    n\n"
                                     "\xef\xbf\xbd[31m\xef\xbf\xbd  1\n"
                                     "\xe6\xa8\xa1\xe5\x9e\x8b    2\n");
}

static void test_empty(void **state)
{
    struct holder *h = *state;
    table_column(&h->t, "name", TABLE_LEFT, 0);
    table_column(&h->t, "n", TABLE_RIGHT, 0);
    assert_str(written(h, 0, false), "name  n\n");
}

static void test_set_buf(void **state)
{
    struct holder *h = *state;
    struct buf text;
    buf_init(&text, 16);
    table_column(&h->t, "a", TABLE_LEFT, 0);
    table_row(&h->t);
    buf_cstr(&text, "first");
    table_set_buf(&h->t, 0, &text);
    assert_i64((int64_t)text.n, 0);
    buf_cstr(&text, "other");
    assert_str(written(h, 0, false), "a\nfirst\n");
    buf_done(&text);
}

#define CASE(f) TEST_WITH(f, set_up, tear_down)

int main(void)
{
    return TEST_RUN(CASE(test_layout), CASE(test_narrow), CASE(test_color), CASE(test_foreign_text),
                    CASE(test_empty), CASE(test_set_buf));
}
