#include <errno.h>

#include "cmd/config_check.h"
#include "test.h"

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message; // NULL: good
    } rows[] = {
        {"", NULL},
        {"[gtap]\nstore = a\ntz = b\ncolor = c\n", NULL},
        {"[run]\nin = a\nprice = b\nstore = c\n", NULL},
        {"[price]\nstore = a\n[report]\nby = model\n", NULL},
        {"[gtap]\nstor = a\n", "x:2: unknown key 'stor' in [gtap]: did you mean store?"},
        {"[gtap]\nby = model\n", "x:2: unknown key 'by' in [gtap]"}, // not the same everywhere
        {"[run]\nby = model\n", "x:2: unknown key 'by' in [run]"},
        {"[run]\njson = yes\n", "x:2: unknown key 'json' in [run]"}, // command line only
        {"[rnu]\nin = a\n", "x:2: unknown section [rnu]: did you mean [run]?"},
        {"[qqqqq]\nin = a\n", "x:2: unknown section [qqqqq]"},
        {"in = a\n", "x:1: unknown section []"},
        {"[price list]\nstore = a\n", "x:2: unknown section [price list]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct config_file f;
        struct error err = {0};
        assert_ok(config_parse(str_of(rows[i].text), "x", &a, &f, &err), &err);
        int r = config_check(&f, &a, &err);
        if (r != (rows[i].message ? -EINVAL : 0) ||
            (r < 0 && !str_starts(str_of(err.msg), str_of(rows[i].message)))) {
            fail_at(__FILE__, __LINE__, "row %zu: %d %s\n", i, r, err.msg);
        }
        arena_done(&a);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_check));
}
