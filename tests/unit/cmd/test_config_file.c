#include <errno.h>

#include "base/buf.h"
#include "cmd/config_file.h"
#include "test.h"

enum { ENTRIES_MAX = 4 };

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        struct config_entry wants[ENTRIES_MAX];
    } rows[] = {
        {"", 0, {{0}}},
        {"\n# nothing\n; here\n", 0, {{0}}},
        {"[gtap]\nstore = sqlite:a.db\n", 1, {{"gtap", "store", "sqlite:a.db", 2}}},
        {"[run]\r\nin=file:a\r\nin = file:b\r\n",
         2,
         {{"run", "in", "file:a", 2}, {"run", "in", "file:b", 3}}},
        {"[report]\nby = model,tenant   ; two\n\n[run]\nprice=2.95",
         2,
         {{"report", "by", "model,tenant", 2}, {"run", "price", "2.95", 5}}},
        {"\xef\xbb\xbf[gtap]\ntz = UTC\n", 1, {{"gtap", "tz", "UTC", 2}}},
        {"key = before any section\n", 1, {{"", "key", "before any section", 1}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct config_file f;
        struct error err = {0};
        assert_ok(config_parse(str_of(rows[i].text), "x.conf", &a, &f, &err), &err);
        assert_true(f.present);
        assert_i64((int64_t)f.n, (int64_t)rows[i].n);
        for (size_t k = 0; k < f.n; k++) {
            assert_str(str_of(f.entries[k].section), rows[i].wants[k].section);
            assert_str(str_of(f.entries[k].key), rows[i].wants[k].key);
            assert_str(str_of(f.entries[k].value), rows[i].wants[k].value);
            assert_i64(f.entries[k].line, rows[i].wants[k].line);
        }
        arena_done(&a);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    struct arena a = {0};
    struct config_file f;
    struct error err = {0};
    assert_i64(config_parse(STR("[gtap]\nno value\n"), "x.conf", &a, &f, &err), -EINVAL);
    assert_str(str_of(err.msg), "x.conf:2: must be [section], key = value or # comment");
    assert_i64(config_parse(STR("[gtap\nstore = a\n"), "x.conf", &a, &f, &err), -EINVAL);
    assert_str(str_of(err.msg), "x.conf:1: must be [section], key = value or # comment");
    assert_i64(config_parse(STR("a\0b"), "x.conf", &a, &f, &err), -EINVAL);
    struct buf b;
    buf_init(&b, 2 * CONFIG_LINE_MAX);
    buf_cstr(&b, "[gtap]\nstore = ");
    while (b.n < CONFIG_LINE_MAX + 100) {
        buf_char(&b, 'x');
    }
    assert_i64(config_parse(buf_view(&b), "x.conf", &a, &f, &err), -EINVAL);
    assert_true(str_starts(str_of(err.msg), STR("x.conf:2: the line is longer than")));
    buf_done(&b);
    arena_done(&a);
}

static void test_read(void **state)
{
    (void)state;
    struct arena a = {0};
    struct config_file f;
    struct error err = {0};
    assert_ok(config_read("/nowhere/gtap.conf", false, &a, &f, &err), &err);
    assert_false(f.present);
    assert_i64((int64_t)f.n, 0);
    assert_i64(config_read("/nowhere/gtap.conf", true, &a, &f, &err), -ENOENT);
    assert_i64(config_read("/", true, &a, &f, &err), -EISDIR);
    arena_done(&a);
}

int main(void)
{
    return TEST_RUN(TEST(test_parse), TEST(test_refuses), TEST(test_read));
}
