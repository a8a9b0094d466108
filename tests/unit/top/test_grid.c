#include "test.h"
#include "top/grid.h"

struct line {
    size_t x, room;
    const char *text, *want;
    size_t taken;
};

static void test_lines(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {0, 10, "llama", "llama\n", 5},
        {3, 10, "llama", "   llama\n", 5},
        {0, 4, "llama", "lla\xe2\x80\xa6\n", 4},        // cut, and it says so
        {7, 10, "llama", "       ll\xe2\x80\xa6\n", 3}, // by the grid's own end
        {0, 10, "\xe6\xa8\xa1\xe5\x9e\x8b", "\xe6\xa8\xa1\xe5\x9e\x8b\n", 4}, // wide characters
        {0, 3, "\xe6\xa8\xa1\xe5\x9e\x8b", "\xe6\xa8\xa1\xe2\x80\xa6\n", 3},
        {0, 10, "e\xcc\x81t", "e\xcc\x81t\n", 2},       // a combining accent
        {0, 10, "a\x1b[2Jb", "a\xef\xbf\xbd[2Jb\n", 6}, // no command to a terminal
        {0, 10, "a\xff", "a\xef\xbf\xbd\n", 2},         // not UTF-8
        {10, 5, "llama", "\n", 0},
        {0, 0, "llama", "\n", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct grid g;
        struct buf b;
        buf_init(&b, 4096);
        grid_init(&g, 10, 1);
        assert_i64(grid_put(&g, 0, lines[i].x, lines[i].room, LOOK_PLAIN, str_of(lines[i].text)),
                   lines[i].taken);
        grid_text(&g, &b);
        assert_str(buf_view(&b), lines[i].want);
        grid_done(&g);
        buf_done(&b);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct grid g;
    grid_init(&g, 1 << 20, 1);
    assert_i64(g.width, GRID_WIDTH_MAX);
    grid_done(&g);
    grid_init(&g, 1, 1 << 20);
    assert_i64(g.height, GRID_HEIGHT_MAX);
    assert_i64(grid_put(&g, GRID_HEIGHT_MAX, 0, 5, LOOK_PLAIN, STR("x")), 0);
    grid_done(&g);
}

int main(void)
{
    return TEST_RUN(TEST(test_lines), TEST(test_limits));
}
