#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"
#include "input/wait.h"

static void test_unknown_schemes_name_the_known(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h);
    struct input *in = NULL;
    struct error err = {0};
    assert_int_equal(harness_try(&h, "pigeon:post", &in, &err), -EINVAL);
    for (size_t i = 0; input_drivers[i]; i++) {
        assert_non_null(strstr(err.msg, input_drivers[i]->scheme));
    }
    assert_null(in);
    input_close(NULL);
    harness_done(&h);
}

// What the generated documentation is made of.
static void test_drivers_are_documented(void **state)
{
    (void)state;
    for (size_t i = 0; input_drivers[i]; i++) {
        const struct input_driver *d = input_drivers[i];
        bool chooses = !d->seek && !d->next && !d->close;
        assert_true(d->open && (chooses || (d->seek && d->next && d->close)));
        assert_true(strlen(d->synopsis) > 0 && strlen(d->help) > 0 && strlen(d->help) < 100);
        assert_true(strncmp(d->synopsis, d->scheme, strlen(d->scheme)) == 0);
        for (const struct input_option *o = d->options; o->name; o++) {
            assert_true(strlen(o->name) > 0 && strlen(o->value) > 0 && strlen(o->help) > 0);
            assert_true(strlen(o->help) <= 90);
            for (const struct input_option *p = d->options; p != o; p++) {
                assert_string_not_equal(p->name, o->name);
            }
        }
    }
}

static void test_batches_grow_and_are_reused(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    for (int round = 0; round < 2; round++) {
        for (int64_t i = 0; i < 5000; i++) {
            struct record *r = batch_add(&b);
            assert_i64(r->position, 0); // zeroed, also the second time
            assert_false(str_present(b.payloads[b.n_records - 1]));
            r->position = i;
            b.payloads[i] = STR("text");
            batch_add_dead(&b)->position = i;
        }
        assert_int_equal(b.n_records, 5000);
        assert_int_equal(b.n_dead, 5000);
        for (int64_t i = 0; i < 5000; i++) {
            assert_i64(b.records[i].position, i);
            assert_i64(b.dead[i].position, i);
            assert_str(b.payloads[i], "text");
        }
        batch_clear(&b);
        assert_int_equal(b.n_records + b.n_dead, 0);
    }
    batch_done(&b);
    batch_done(&b); // an empty batch may be done again
}

static void test_waiting_ends_with_the_run(void **state)
{
    (void)state;
    struct harness h;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    harness_init(&h); // stop_fd is readable
    assert_int_equal(input_wait(&h.env, -1, INT64_MAX), 0);
    assert_int_equal(input_wait(&h.env, ends[0], INT64_MAX), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(input_wait(&h.env, ends[0], INT64_MAX) != 0);
    assert_true(input_wait(&h.env, ends[0], -5) != 0);
    close(ends[0]);
    close(ends[1]);
    harness_done(&h);
}

int main(void)
{
    return TEST_RUN(TEST(test_unknown_schemes_name_the_known), TEST(test_drivers_are_documented),
                    TEST(test_batches_grow_and_are_reused), TEST(test_waiting_ends_with_the_run));
}
