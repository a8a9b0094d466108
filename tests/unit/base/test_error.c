#include "test.h"

#include <errno.h>
#include <string.h>

static void test_set(void **state)
{
    (void)state;
    struct error err;
    assert_i64(error_set(&err, -EIO, "disk %d: %s", 3, "gone"), -EIO);
    assert_i64(err.code, -EIO);
    assert_false(err.retryable);
    assert_str(str_of(err.msg), "disk 3: gone");
    assert_i64(error_set(NULL, -EINVAL, "nobody listens"), -EINVAL);
}

static void test_retryable(void **state)
{
    (void)state;
    static const struct {
        int code;
        bool want;
    } rows[] = {
        {-EAGAIN, true}, {-EBUSY, true}, {-ETIMEDOUT, true}, {-EINVAL, false}, {-ENOSPC, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error err;
        assert_i64(error_set(&err, rows[i].code, "x"), rows[i].code);
        assert_i64(err.retryable, rows[i].want);
    }
}

static void test_prefix(void **state)
{
    (void)state;
    struct error err;
    assert_i64(error_set(&err, -EBUSY, "database is locked"), -EBUSY);
    assert_i64(error_prefix(&err, "sqlite:%s", "a.db"), -EBUSY);
    assert_str(str_of(err.msg), "sqlite:a.db: database is locked");
    assert_i64(error_prefix(&err, "%s", err.msg), -EBUSY);
    assert_str(str_of(err.msg), "sqlite:a.db: database is locked: sqlite:a.db: database is locked");
    assert_true(err.retryable);
}

static void test_own_message_as_argument(void **state)
{
    (void)state;
    struct error err;
    assert_i64(error_set(&err, -EIO, "inner"), -EIO);
    assert_i64(error_set(&err, -EINVAL, "outer (%s)", err.msg), -EINVAL);
    assert_str(str_of(err.msg), "outer (inner)");
}

static void test_cut_at_a_character(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
        size_t width = strlen(characters[c]);
        for (size_t pad = ERROR_MSG_MAX - 6; pad < ERROR_MSG_MAX; pad++) {
            char text[ERROR_MSG_MAX + 8];
            memset(text, 'x', pad);
            memcpy(text + pad, characters[c], width + 1);
            struct error err;
            assert_i64(error_set(&err, -EIO, "%s", text), -EIO);
            size_t want = pad + width < ERROR_MSG_MAX ? pad + width : pad;
            assert_i64((int64_t)strlen(err.msg), (int64_t)want);
        }
    }
}

static void test_long_prefix(void **state)
{
    (void)state;
    char text[2 * ERROR_MSG_MAX];
    memset(text, 'p', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct error err;
    assert_i64(error_set(&err, -EIO, "%s", text), -EIO);
    assert_i64((int64_t)strlen(err.msg), ERROR_MSG_MAX - 1);
    assert_i64(error_prefix(&err, "%s", text), -EIO);
    assert_i64((int64_t)strlen(err.msg), ERROR_MSG_MAX - 1);
}

static void test_names(void **state)
{
    (void)state;
    assert_str(str_of(error_name(-ENOENT)), "No such file or directory");
    assert_str(str_of(error_name(-99999)), "unknown error");
    assert_non_null(error_name(0));
    assert_non_null(error_name(INT32_MIN));
}

int main(void)
{
    return TEST_RUN(TEST(test_set), TEST(test_retryable), TEST(test_prefix),
                    TEST(test_own_message_as_argument), TEST(test_cut_at_a_character),
                    TEST(test_long_prefix), TEST(test_names));
}
