// Two stores of different kinds that were told the same read back the same.
#include "history.h"

enum { HOUR = 3600, SEEDS = 6, SEEDS_ON_A_SERVER = 2, STEPS = 60 };

// Seqs are each store's own: what one knows of a record as `here`, the other knows as `there`.
static int64_t translate(const struct seq_map *m, enum record_kind kind, int64_t here,
                         int64_t otherwise)
{
    for (size_t i = 0; i < m->n[kind]; i++) {
        if (m->here[kind][i] == here) {
            return m->there[kind][i];
        }
    }
    return otherwise;
}

static void note(struct seq_map *m, const struct record *r, int64_t here, int64_t there)
{
    size_t *n = &m->n[r->kind];
    assert_true(*n < SEQS_MAX);
    m->here[r->kind][*n] = here;
    m->there[r->kind][*n] = there;
    m->shard[r->kind][(*n)++] = r->shard;
}

// The seq in the one store or the other of the last record of a shard.
static int64_t last_seq(const struct seq_map *m, enum record_kind kind, uint32_t shard, bool there)
{
    int64_t last = 0;
    for (size_t i = 0; i < m->n[kind]; i++) {
        if (m->shard[kind][i] == shard) {
            last = there ? m->there[kind][i] : m->here[kind][i];
        }
    }
    return last;
}

static void set_all_seen(struct fixture *f, const struct seq_map *m, bool there)
{
    for (size_t i = 0; i < f->n_shards; i++) {
        struct shard_state *s = &f->shards[i];
        s->samples_seen = last_seq(m, RECORD_SAMPLE, s->shard, there);
        s->usage_seen = last_seq(m, RECORD_USAGE, s->shard, there);
    }
}

// Costs are of records that were stored before: nobody could know their seqs otherwise.
static void drop_unknown_costs(struct fixture *f, const struct seq_map *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->n_costs; i++) {
        if (translate(m, RECORD_USAGE, f->costs[i].seq, -1) > 0) {
            f->costs[kept++] = f->costs[i];
        }
    }
    f->n_costs = kept;
}

static void compare_verdicts(const struct fixture *f, const struct fixture *copy, size_t n,
                             const int64_t *seqs, struct seq_map *m)
{
    for (size_t i = 0; i < n; i++) {
        const struct record *r = copy->records[i].record;
        assert_i64(copy->records[i].verdict, f->records[i].verdict);
        if (f->records[i].verdict == STORE_NEW) {
            note(m, r, seqs[i], r->seq);
        } else {
            assert_i64(r->seq, translate(m, r->kind, seqs[i], 0));
        }
    }
}

// The same write to both, which must judge the records alike.
static void put_both(struct fixture *f, struct fixture *other, struct seq_map *m)
{
    int64_t seqs[WRITE_MAX];
    size_t n = f->n_records;
    set_all_seen(f, m, false);
    drop_unknown_costs(f, m);
    struct fixture *copy AUTO_FREE = x_alloc(sizeof(*copy));
    *copy = *f;
    put(f);
    for (size_t i = 0; i < n; i++) {
        seqs[i] = f->records[i].record->seq;
        f->records[i].record->seq = 0; // it was never in the other store
    }
    copy->s = other->s;
    set_all_seen(copy, m, true);
    for (size_t i = 0; i < copy->n_costs; i++) {
        copy->costs[i].seq = translate(m, RECORD_USAGE, copy->costs[i].seq, -1);
    }
    assert_ok(try_put(copy), &copy->err);
    compare_verdicts(f, copy, n, seqs, m);
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
            q.order = RECORDS_NEWEST;
            assert_text(ids_of(f, f->s, q), ids_of(other, other->s, q));
            q.order = RECORDS_BY_SEQ;
            if (shard >= 0) { // across shards the order is each store's own
                assert_text(ids_of(f, f->s, q), ids_of(other, other->s, q));
            }
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
    struct seq_map *m AUTO_FREE = x_zalloc(sizeof(*m));
    other->shown = m;
    f->loose = other->loose = !has_transactions(f) || !has_transactions(other);
    for (size_t i = 0; i < 2; i++) {
        assert_ok(store_set_shards(both[i]->s, SHARDS, &f->err), &f->err);
    }
    for (int step = 0; step < STEPS; step++) {
        write_random(&h, f);
        put_both(f, other, m);
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

static void check_agreement(const char *kind)
{
    uint64_t seeds = strcmp(kind, "mongodb") == 0 ? SEEDS_ON_A_SERVER : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        void *memory = (void *)(uintptr_t) "memory", *other = (void *)(uintptr_t)kind;
        assert_i64(fixture_setup(&memory), 0);
        assert_i64(fixture_setup(&other), 0);
        run_history(memory, other, seed * UINT64_C(0x9e3779b97f4a7c15));
        fixture_teardown(&memory);
        fixture_teardown(&other);
    }
}

static void test_agree(void **state)
{
    check_agreement(*state);
}

#define AGREES(kind)                                                                               \
    {                                                                                              \
        .name = "memory and (" kind ")", .test_func = test_agree,                                  \
        .initial_state = (void *)(uintptr_t)(kind)                                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {AGREES("sqlite"), AGREES("mongodb")};
    return fixture_run("agree", tests);
}
