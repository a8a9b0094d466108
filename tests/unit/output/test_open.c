// Opening: what is refused and why, names, and what a handle may do.
#include <errno.h>

#include "fixture.h"

static void test_open_errors(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    static const struct {
        const char *text;
        int r;
        const char *msg;
    } cases[] = {
        {"gtap.db", -EINVAL, NULL},
        {"oracle:x", -EINVAL,
         "oracle: is not a store; known: memory:, sqlite:, mongodb:, mongodb+srv:"},
        {"memory:a?fast=1", -EINVAL, NULL},
        {"sqlite:", -EINVAL, "sqlite: names no file; write sqlite:PATH"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_i64(store_open(cases[i].text, STORE_WRITE, &s, &f->err), cases[i].r);
        if (cases[i].msg) {
            assert_string_equal(f->err.msg, cases[i].msg);
        }
        assert_null(s);
    }
    store_close(NULL);
}

static void test_read_needs_a_store(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    const char *uri = other_uri(f);
    assert_i64(store_open(uri, STORE_READ, &s, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.msg, uri));
    assert_non_null(strstr(f->err.msg, "there is no such"));
}

static void test_one_writer(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    assert_i64(store_open(f->uri, STORE_WRITE, &second, &f->err), -EBUSY);
    assert_true(f->err.retryable);
    assert_non_null(strstr(f->err.msg, "is being written by"));
    fixture_reopen(f); // the refusal did not harm the lock, and closing lets go of it
    assert_i64(store_open(f->uri, STORE_WRITE, &second, &f->err), -EBUSY);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(store_name(f->s), f->uri);
    struct store *s = NULL;
    assert_ok(store_open("memory://bob:secret@host/x", STORE_WRITE, &s, &f->err), &f->err);
    assert_string_equal(store_name(s), "memory://bob:***@host/x");
    store_close(s);
}

static void test_access(void **state)
{
    struct fixture *f = *state;
    struct store *reader = NULL, *admin = NULL;
    int64_t id;
    size_t removed;
    const struct price_entry price = {.name = STR("H100"), .price_nusd_hour = 1};
    struct store_write w = {0};
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    assert_ok(store_open(f->uri, STORE_ADMIN, &admin, &f->err), &f->err);

    assert_i64(store_add_price(reader, &price, &id, &f->err), -EPERM);
    assert_i64(store_add_settings(reader, &settings_default, 0, &f->err), -EPERM);
    assert_i64(store_commit(reader, &w, &f->err), -EPERM);
    assert_i64(store_commit(admin, &w, &f->err), -EPERM);
    assert_i64(store_set_shards(admin, 2, &f->err), -EPERM);
    assert_i64(store_expire(admin, STORE_GPU_METRICS, 0, 1, &removed, &f->err), -EPERM);
    assert_ok(store_add_price(admin, &price, &id, &f->err), &f->err);
    assert_ok(store_commit(f->s, &w, &f->err), &f->err);
    assert_ok(store_add_settings(admin, &settings_default, 0, &f->err), &f->err);
    assert_ok(store_commit(f->s, &w, &f->err), &f->err);
    store_close(reader);
    store_close(admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_open_errors), ON_ALL(test_read_needs_a_store),
        ON_BOTH(test_one_writer),  ON_BOTH(test_names),
        ON_ALL(test_access),
    };
    return fixture_run("open", tests);
}
