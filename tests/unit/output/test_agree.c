// Two stores of different kinds that were told the same read back the same.
#include "history.h"

enum { HOUR = 3600, SEEDS = 6, STEPS = 60 };

// The same write to both, which must judge the records alike.
static void put_both(struct fixture *f, struct fixture *other)
{
    enum store_verdict verdicts[WRITE_MAX];
    int64_t seqs[WRITE_MAX];
    size_t n = f->n_records;
    struct store *own = f->s;
    struct fixture copy = *f;
    put(f);
    for (size_t i = 0; i < n; i++) {
        verdicts[i] = f->records[i].verdict;
        seqs[i] = f->records[i].record->seq;
    }
    copy.s = other->s;
    assert_ok(try_put(&copy), &copy.err);
    for (size_t i = 0; i < n; i++) {
        assert_i64(copy.records[i].verdict, verdicts[i]);
        assert_i64(copy.records[i].record->seq, seqs[i]);
    }
    assert_ptr_equal(f->s, own);
}

static void expire_both(struct history *h, struct fixture *f, struct fixture *other)
{
    enum store_collection c = (enum store_collection)pick(h, 4);
    int64_t before = at(h->frontier[pick(h, SHARDS)] - pick(h, 3 * HOUR));
    size_t limit = (size_t)(1 + pick(h, 20)), removed, removed_too;
    assert_ok(store_expire(f->s, c, before, limit, &removed, &f->err), &f->err);
    assert_ok(store_expire(other->s, c, before, limit, &removed_too, &f->err), &f->err);
    assert_i64((int64_t)removed, (int64_t)removed_too);
}

static void tell_both(struct history *h, struct fixture *f, struct fixture *other)
{
    struct fixture *const both[] = {f, other};
    const struct price_entry price = {
        .name = STR("NVIDIA H100"),
        .price_nusd_hour = pick(h, 1000),
        .site = pick_text(h),
    };
    struct settings e = settings_default;
    e.effective_from = chance(h, 30) ? 0 : at(pick(h, 100) * HOUR);
    e.weight_out = 1 + (int32_t)pick(h, 9);
    int results[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        int64_t id;
        assert_ok(store_add_price(both[i]->s, &price, &id, &f->err), &f->err);
        results[i] = store_add_settings(both[i]->s, &e, 1, &f->err);
    }
    assert_i64(results[0], results[1]);
}

static void compare(struct fixture *f, struct fixture *other)
{
    assert_text(dump_store(other, other->s), dump_store(f, f->s));
    for (enum record_filter filter = RECORDS_ALL; filter <= RECORDS_OPEN; filter++) {
        for (int64_t shard = -1; shard < SHARDS; shard++) {
            struct record_query q = query(RECORD_USAGE, RECORDS_BY_TIME, filter);
            q.shard = shard;
            assert_text(ids_of(f, f->s, q), ids_of(other, other->s, q));
            q.order = RECORDS_BY_SEQ;
            assert_text(ids_of(f, f->s, q), ids_of(other, other->s, q));
        }
    }
    for (int64_t shard = 0; shard < SHARDS; shard++) {
        assert_text(dump_windows(f, f->s, LEVEL_WINDOW, shard),
                    dump_windows(other, other->s, LEVEL_WINDOW, shard));
    }
}

static void run_history(struct fixture *f, struct fixture *other, uint64_t seed)
{
    struct history h = {.random = seed};
    struct fixture *const both[] = {f, other};
    for (size_t i = 0; i < 2; i++) {
        assert_ok(store_set_shards(both[i]->s, SHARDS, &f->err), &f->err);
    }
    for (int step = 0; step < STEPS; step++) {
        write_random(&h, f);
        put_both(f, other);
        if (chance(&h, 20)) {
            expire_both(&h, f, other);
        }
        if (chance(&h, 10)) {
            tell_both(&h, f, other);
        }
        if (chance(&h, 10)) {
            fixture_reopen(f);
            fixture_reopen(other);
        }
        if (step % 10 == 9) {
            compare(f, other);
            arena_reset(&f->arena);
            arena_reset(&other->arena);
        }
    }
}

static void test_kinds_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        void *memory = (void *)(uintptr_t) "memory", *sqlite = (void *)(uintptr_t) "sqlite";
        assert_i64(fixture_setup(&memory), 0);
        assert_i64(fixture_setup(&sqlite), 0);
        run_history(memory, sqlite, seed * UINT64_C(0x9e3779b97f4a7c15));
        fixture_teardown(&memory);
        fixture_teardown(&sqlite);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_kinds_agree));
}
