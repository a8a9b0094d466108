#include <errno.h>
#include <unistd.h>

#include "cmd/read_file.h"
#include "test.h"

static char path[] = "/tmp/gtap-test-read-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, "0123456789", 10) != 10) {
        return -1;
    }
    return close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *path; // NULL: the file of ten bytes
        size_t limit;
        int want;
        const char *text;
    } rows[] = {
        {NULL, 100, 0, "0123456789"}, {NULL, 10, 0, "0123456789"},       {NULL, 9, -EFBIG, NULL},
        {"/dev/null", 10, 0, ""},     {"/nowhere/x", 10, -ENOENT, NULL}, {"/", 10, -EISDIR, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct error err = {0};
        struct str text;
        const char *name = rows[i].path ? rows[i].path : path;
        assert_i64(read_file(name, rows[i].limit, &a, &text, &err), rows[i].want);
        if (rows[i].want == 0) {
            assert_str(text, rows[i].text);
        } else {
            assert_true(str_starts(str_of(err.msg), str_of(name)));
        }
        arena_done(&a);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {TEST(test_read)};
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
