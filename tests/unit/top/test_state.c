#include "test.h"
#include "top/state.h"

static void press(struct top_state *s, int key, enum top_effect want)
{
    assert_i64(top_state_key(s, NULL, key), want);
}

// Every function key has a digit and a letter.
static void test_choices(void **state)
{
    (void)state;
    static const int keys[][3] = {{TOP_KEY_F + 2, '2', 'b'},
                                  {TOP_KEY_F + 3, '3', 'w'},
                                  {TOP_KEY_F + 4, '4', 'l'},
                                  {TOP_KEY_F + 6, '6', 's'}};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct top_state a = {0}, b = {0}, c = {0};
        enum top_effect e = top_state_key(&a, NULL, keys[i][0]);
        assert_i64(top_state_key(&b, NULL, keys[i][1]), e);
        assert_i64(top_state_key(&c, NULL, keys[i][2]), e);
        assert_memory_equal(&a, &b, sizeof(a));
        assert_memory_equal(&a, &c, sizeof(a));
        assert_i64((int)a.group + (int)a.window + (int)a.basis + (int)a.sort, 1);
        assert_i64(e, i < 2 ? TOP_ASKS : TOP_CHANGED);
    }
}

static void test_rounds(void **state)
{
    (void)state;
    struct top_state s = {0};
    for (size_t i = 0; i < TOP_WINDOWS; i++) {
        press(&s, 'w', TOP_ASKS);
    }
    assert_i64(s.window, 0);
    press(&s, 'N', TOP_CHANGED);
    assert_i64(s.sort, TOP_SORT_NAME);
    press(&s, 'q', TOP_QUITS);
    press(&s, '0', TOP_QUITS);
    press(&s, TOP_KEY_F + 10, TOP_QUITS);
    press(&s, 'x', TOP_SAME);
}

static void test_pages(void **state)
{
    (void)state;
    struct top_state s = {0};
    press(&s, '?', TOP_CHANGED);
    assert_i64(s.page, TOP_HELP);
    press(&s, TOP_KEY_DOWN, TOP_CHANGED);
    assert_i64(s.scroll, 1);
    press(&s, TOP_KEY_F + 9, TOP_CHANGED);
    assert_i64(s.page, TOP_EXPLAIN);
    assert_i64(s.scroll, 0);
    press(&s, TOP_KEY_ESCAPE, TOP_CHANGED);
    assert_i64(s.page, TOP_MAIN);
}

// While a filter is typed, letters are letters; a backspace takes a whole character.
static void test_filter(void **state)
{
    (void)state;
    struct top_state s = {0};
    press(&s, '/', TOP_CHANGED);
    for (const char *p = "q\xc3\xa9"; *p; p++) {
        press(&s, (unsigned char)*p, TOP_CHANGED);
    }
    assert_string_equal(s.filter, "q\xc3\xa9");
    press(&s, TOP_KEY_BACKSPACE, TOP_CHANGED);
    assert_string_equal(s.filter, "q");
    press(&s, TOP_KEY_ENTER, TOP_CHANGED);
    assert_false(s.typing);
    assert_string_equal(s.filter, "q");
    press(&s, TOP_KEY_ESCAPE, TOP_CHANGED);
    assert_string_equal(s.filter, "");
    press(&s, '/', TOP_CHANGED);
    for (size_t i = 0; i < 2 * (size_t)TOP_FILTER_MAX; i++) {
        press(&s, 'a', TOP_CHANGED);
    }
    assert_i64(strlen(s.filter), TOP_FILTER_MAX);
    press(&s, TOP_KEY_ESCAPE, TOP_CHANGED);
    assert_false(s.typing);
}

int main(void)
{
    return TEST_RUN(TEST(test_choices), TEST(test_rounds), TEST(test_pages), TEST(test_filter));
}
