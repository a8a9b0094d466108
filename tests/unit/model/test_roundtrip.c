// Thousands of random records: each is valid, is read back from its own JSON as the same record,
// and says something else as soon as any one field does.
#include "test.h"

#include "decoding.h"
#include "model/digest.h"
#include "model/encode.h"
#include "model/validate.h"
#include "random_record.h"

enum { RECORDS = 20000, CHANGED_RECORDS = 3000 };

static bool values_equal(const struct field *f, union field_value a, union field_value b)
{
    switch (f->type) {
    case FIELD_TEXT:
        return str_eq(a.s, b.s);
    case FIELD_GPUS:
        return a.gpus.n == b.gpus.n &&
               memcmp(a.gpus.v, b.gpus.v, a.gpus.n * sizeof(a.gpus.v[0])) == 0;
    case FIELD_REAL:
        return memcmp(&a.d, &b.d, sizeof(a.d)) == 0;
    case FIELD_TIME:
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        break;
    }
    return a.i == b.i;
}

static void assert_same(const struct record *got, const struct record *want, struct str text)
{
    assert_int_equal(got->kind, want->kind);
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        union field_value a, b;
        bool in_got = field_load(f, got, &a), in_want = field_load(f, want, &b);
        if (in_got != in_want || (in_got && !values_equal(f, a, b))) {
            fail_at(__FILE__, __LINE__, "%s differs in " STR_FMT "\n", f->name, STR_ARG(text));
        }
    }
    test_str(got->extra, want->extra, "extra", __FILE__, __LINE__);
    assert_true(got->digest == want->digest);
}

static void test_reads_what_was_written(void **state)
{
    (void)state;
    struct random random = {1};
    struct decoding d;
    decoding_start(&d);
    struct arena arena = {0};
    struct buf b;
    buf_init(&b, RECORD_BYTES_MAX);
    for (int i = 0; i < RECORDS; i++) {
        struct record r;
        struct error err = {0};
        random_record(&random, &arena, &r);
        assert_ok(record_check(&r, &err), &err);
        record_encode(&b, &r);
        assert_ok(decoding_read(&d, buf_view(&b)), &d.err);
        assert_same(&d.r, &r, buf_view(&b));
        assert_true(record_digest(&d.r) == d.r.digest);
        assert_ok(record_check(&d.r, &err), &err);
        buf_clear(&b);
        arena_reset(&arena);
        arena_reset(&d.arena);
    }
    buf_done(&b);
    arena_done(&arena);
    decoding_end(&d);
}

// The same record with this field absent, if it may be.
static bool without(const struct field *f, const struct record *r, struct record *ret)
{
    *ret = *r;
    void *at = (char *)ret + f->at[r->kind];
    if (f->has) {
        *(r->kind == RECORD_SAMPLE ? &ret->sample.has : &ret->usage.has) &= ~f->has;
    } else if (f->type == FIELD_TEXT) {
        *(struct str *)at = STR_NONE;
    } else if (f->type == FIELD_INSTANCE) {
        *(int32_t *)at = GPU_INSTANCE_NONE;
    } else if (f->at[r->kind] == offsetof(struct record, usage.gpus)) {
        ret->usage.n_gpus = 0;
    } else {
        return false;
    }
    return true;
}

static void check_field(struct random *random, struct arena *a, const struct field *f,
                        const struct record *r)
{
    union field_value old, new;
    struct record changed;
    bool said = f->at[r->kind] != offsetof(struct record, event_id);
    bool present = field_load(f, r, &old);
    if (present && without(f, r, &changed)) {
        assert_true((record_digest(&changed) != r->digest) == said);
    }
    changed = *r;
    new = random_value(random, f, a);
    if (!present || !values_equal(f, old, new)) {
        field_store(f, &changed, new, a);
        if ((record_digest(&changed) != r->digest) != said) {
            fail_at(__FILE__, __LINE__, "%s\n", f->name);
        }
    }
}

static void test_digest_is_of_every_field(void **state)
{
    (void)state;
    struct random random = {2};
    struct arena arena = {0};
    for (int i = 0; i < CHANGED_RECORDS; i++) {
        struct record r;
        random_record(&random, &arena, &r);
        for (size_t k = 0; k < n_record_fields; k++) {
            if (field_of(&record_fields[k], r.kind)) {
                check_field(&random, &arena, &record_fields[k], &r);
            }
        }
        arena_reset(&arena);
    }
    arena_done(&arena);
}

int main(void)
{
    return TEST_RUN(TEST(test_reads_what_was_written), TEST(test_digest_is_of_every_field));
}
