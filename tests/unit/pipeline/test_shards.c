// Shards that change hands: between runs, while a former owner still writes, and without warning.
// Several "processes" are meters on threads, over one memory store that has owners.
#include "world.h"

#include <errno.h>
#include <poll.h>

#include "pipeline/meter.h"

// Rows of windows that begin in the first 2,000 s: those that were replaced after they were final,
// or those that are not final.
static int64_t count_early(struct world *w, bool revised)
{
    struct window_query q = {LEVEL_WINDOW, INT64_MIN, EPOCH_NS + 2000 * NS_PER_S, -1};
    struct store_cursor *c = NULL;
    struct window_row row;
    struct error err;
    int64_t n = 0;
    assert_ok(store_windows(w->inner, &q, &c, &err), &err);
    while (store_windows_next(c, &row, &err) > 0) {
        n += revised ? row.revision > 1 : !row.final;
    }
    store_cursor_close(c);
    return n;
}

// ---- in order ------------------------------------------------------------------------------

static void test_handed_over(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0], *b = &w.p[1];
    process_begin(a);
    process_begin(b);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_change(&b->script, SHARDS_TAKEN, -1);
    script_put_load(&a->script, 0, 1000);
    script_change(&a->script, SHARDS_LEFT, 0, 1, -1);
    script_wait(&a->script);
    script_wait(&b->script);
    script_change(&a->script, SHARDS_TAKEN, 0, -1);
    script_change(&b->script, SHARDS_TAKEN, 1, -1);
    wait_until(atomic_load(&a->shards) == 1 && atomic_load(&b->shards) == 1);
    // Each puts its own; what is of the other's shard is stored by it all the same.
    script_put_load(&a->script, 1001, 2000);
    script_wait(&a->script);
    script_put_load(&b->script, 1001, 2000);
    script_put_load(&b->script, 2001, 3000);
    script_wait(&b->script);
    script_put_load(&a->script, 2001, 3000);
    script_put_load(&a->script, 3001, 4000);
    script_put_load(&b->script, 3001, 4000);
    script_wait(&a->script);
    script_wait(&b->script);
    process_end(a);
    process_end(b);
    assert_true(atomic_load(&a->kept) >= 1); // shard 0, which nobody had meanwhile
    assert_int_equal(a->store.taken, 3);
    assert_int_equal(b->store.taken, 1);
    world_check(&w);
    world_done(&w);
}

// The engine that was parked goes on; nothing is read again.
static void test_kept(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0];
    process_begin(a);
    for (int64_t at = 0; at < END_S; at += 1000) {
        script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
        script_put_load(&a->script, at + (at > 0), at + 1000);
        script_change(&a->script, SHARDS_LEFT, 0, 1, -1);
    }
    script_wait(&a->script);
    process_end(a);
    assert_int_equal(a->store.taken, 8);
    assert_int_equal(a->store.kept, 6);
    assert_int_equal((int)atomic_load(&a->kept), 6);
    assert_i64((int64_t)a->rig.progress.late, 0);
    world_check(&w);
    world_done(&w);
}

// ---- in disorder ---------------------------------------------------------------------------

// What was lost is dropped; the next owner makes it anew from what is stored.
static void test_lost(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0], *b = &w.p[1];
    process_begin(a);
    process_begin(b);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&a->script, 0, 1000);
    script_change(&a->script, SHARDS_LOST, 0, 1, -1);
    script_put_load(&a->script, 1001, 2000);
    script_wait(&a->script);
    wait_until(atomic_load(&a->shards) == 0);
    script_change(&b->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&b->script, 1001, 2000);
    script_put_load(&b->script, 2001, 3000);
    script_put_load(&b->script, 3001, 4000);
    script_wait(&b->script);
    process_end(a);
    process_end(b);
    assert_int_equal((int)atomic_load(&a->lost), 2);
    world_check(&w);
    world_done(&w);
}

// Others have its shards by now, of which its input knows: it takes none of them again, which it
// would do ten seconds of its clock after the store has said that they are lost.
static void is_replaced(struct process *p)
{
    atomic_store(&p->script.current, false);
}

// What it computed before others had its shards may be stored long after, when they have looked for
// such rows already: that long after, a store looks whose they are.
static void looks_before_it_writes(struct process *p)
{
    p->store.looks = true;
}

// Stands between the raw records of a commit and what was computed until it is let go.
struct gate {
    atomic_bool shut, reached;
};

static void stand_at_gate(void *ctx, const struct store_write *w)
{
    struct gate *g = ctx;
    bool wanted = false;
    for (size_t i = 0; i < w->n_windows; i++) {
        const struct window_rows *rows = &w->windows[i];
        wanted |=
            rows->window_start >= EPOCH_NS + 1900 * NS_PER_S && rows->n > 0 && !rows->rows[0].final;
    }
    if (!atomic_load(&g->shut) || !wanted) {
        return;
    }
    atomic_store(&g->reached, true);
    while (atomic_load(&g->shut)) {
        (void)poll(NULL, 0, 1);
    }
}

// A writes rows of open windows, and is held up before they land. B takes over, makes the same
// windows final, and then A's rows land on them.
static void test_zombie_writes_late(void **state)
{
    (void)state;
    struct world w;
    struct gate gate = {false, false};
    world_init(&w);
    struct process *a = &w.p[0], *b = &w.p[1];
    b->rig.config.audit_ns = NS_PER_HOUR; // of a clock that the test moves on
    a->rig.clock.step = NS_PER_MS / 2;    // many open windows come in one commit
    a->store.ctx = &gate;
    a->store.between = stand_at_gate;
    process_begin(a);
    process_begin(b);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&a->script, 0, 1000);
    script_wait(&a->script);
    atomic_store(&gate.shut, true);
    script_put_load(&a->script, 1001, 2000);
    wait_until(atomic_load(&gate.reached));
    is_replaced(a);
    script_change(&b->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&b->script, 1001, 2000);
    script_put_load(&b->script, 2001, 3000);
    script_put_load(&b->script, 3001, 4000);
    script_wait(&b->script);
    for (uint32_t i = 0; i < 2; i++) {
        wait_until(world_final_until(&w, i) > EPOCH_NS + 3000 * NS_PER_S);
    }
    atomic_store(&gate.shut, false);
    script_wait(&a->script);
    process_end(a); // its last commits tell it
    int64_t broken = count_early(&w, false);
    assert_true(broken > 10);
    assert_i64(count_early(&w, true), 0);
    atomic_fetch_add(&b->rig.clock.ns, NS_PER_HOUR);
    wait_until(count_early(&w, true) >= broken && count_early(&w, false) == 0);
    process_end(b);
    world_check(&w);
    world_done(&w);
}

// Raw records that A stored after B had read what there was come to B as duplicates.
static void test_records_of_a_former_owner(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0], *b = &w.p[1];
    looks_before_it_writes(a);
    process_begin(a);
    process_begin(b);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&a->script, 0, 1000);
    script_wait(&a->script);
    is_replaced(a);
    script_change(&b->script, SHARDS_TAKEN, 0, 1, -1);
    script_wait(&b->script);
    script_put_load(&a->script, 1001, 2000);
    script_wait(&a->script);
    for (int i = 0; i < 2; i++) { // once
        script_put_load(&b->script, 0, 1000);
        script_put_load(&b->script, 1001, 2000);
    }
    script_put_load(&b->script, 2001, 3000);
    script_put_load(&b->script, 3001, 4000);
    script_wait(&b->script);
    process_end(a);
    process_end(b);
    struct buf of_a;
    buf_init(&of_a, RIG_TEXT_MAX);
    assert_i64((int64_t)atomic_load(&b->adopted), put_load(&of_a, 1001, 2000));
    buf_done(&of_a);
    world_check(&w);
    world_done(&w);
}

// What a process stores as A did, of time that is final, before anybody has read it from its input.
static void store_late(struct process *p, int64_t from, int64_t to)
{
    script_put_load(&p->script, from, to);
    script_wait(&p->script);
}

// A stores late records after B has read what there was, and B is gone before they come to it. The
// one who follows finds them in the gap that B's state tells of; so it does when A stores some more
// after that, and they come to it as duplicates.
static void test_records_of_the_one_before(void **state)
{
    (void)state;
    struct world w;
    struct process c;
    world_init(&w);
    process_init(&c, "c", &w.db);
    struct process *a = &w.p[0], *b = &w.p[1];
    looks_before_it_writes(a);
    process_begin(a);
    process_begin(b);
    process_begin(&c);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&a->script, 0, 500);
    script_wait(&a->script);
    is_replaced(a);
    script_change(&b->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&b->script, 2001, 3000);
    script_put_load(&b->script, 3001, 4000);
    script_wait(&b->script);
    for (uint32_t i = 0; i < 2; i++) {
        wait_until(world_final_until(&w, i) > EPOCH_NS + 3000 * NS_PER_S);
    }
    store_late(a, 501, 1000);
    process_end(b);
    script_change(&c.script, SHARDS_TAKEN, 0, 1, -1);
    script_wait(&c.script);
    wait_until(atomic_load(&c.late) > 0);
    store_late(a, 1001, 2000);
    store_late(&c, 501, 1000);
    store_late(&c, 1001, 2000);
    process_end(&c);
    process_end(a);
    struct buf of_a;
    buf_init(&of_a, RIG_TEXT_MAX);
    assert_i64((int64_t)atomic_load(&c.adopted), put_load(&of_a, 1001, 2000));
    buf_done(&of_a);
    world_check(&w);
    script_done(&c.script);
    rig_done(&c.rig);
    world_done(&w);
}

// B takes them in the store by mistake, and is gone; A is told by the store alone. It goes on
// storing, and takes them again.
static void test_taken_by_mistake(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0], *b = &w.p[1];
    process_begin(a);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&a->script, 0, 1000);
    script_wait(&a->script);
    struct shard_hold hold;
    for (uint32_t i = 0; i < 2; i++) {
        assert_ok(store_take_shard(&b->store.base, i, SHARD_TAKEOVER, &hold, &b->rig.err),
                  &b->rig.err);
    }
    script_put_load(&a->script, 1001, 2000);
    script_put_load(&a->script, 2001, 3000);
    script_wait(&a->script);
    wait_until(a->store.taken == 4); // ten seconds later
    wait_until(atomic_load(&a->shards) == 2);
    script_put_load(&a->script, 3001, 4000);
    script_wait(&a->script);
    process_end(a);
    assert_int_equal((int)atomic_load(&a->lost), 2);
    assert_non_null(strstr(buf_view(&a->rig.notices).p, "shard 1 was taken by another process"));
    world_check(&w);
    world_done(&w);
}

// ---- time ----------------------------------------------------------------------------------

// Nothing is final while others may own it by now.
static void test_not_current(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0];
    atomic_store(&a->script.current, false);
    process_begin(a);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_put_load(&a->script, 0, 1000);
    script_put_load(&a->script, 1001, 2000);
    script_put_load(&a->script, 2001, 3000);
    script_wait(&a->script);
    wait_until(rig_count(&w.rig, LEVEL_WINDOW, false) > 100);
    assert_i64(rig_count(&w.rig, LEVEL_WINDOW, true), 0);
    atomic_store(&a->script.current, true);
    wait_until(rig_count(&w.rig, LEVEL_WINDOW, true) > 100);
    script_put_load(&a->script, 3001, 4000);
    script_wait(&a->script);
    process_end(a);
    world_check(&w);
    world_done(&w);
}

// One topic of shard 0 lags: only shard 0 waits for it, and nothing is late.
static void test_a_lagging_topic(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0];
    process_begin(a);
    atomic_store(&a->script.behind[0], 1U << RECORD_USAGE);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    struct buf samples[2] = {load_only(0, 4000, false, 0), load_only(0, 4000, false, 1)};
    script_put(&a->script, &samples[0]);
    script_put(&a->script, &samples[1]);
    struct buf usage = load_only(0, 4000, true, 1);
    script_put(&a->script, &usage);
    script_wait(&a->script);
    wait_until(world_final_until(&w, 1) >= EPOCH_NS + 3600 * NS_PER_S);
    assert_true(world_final_until(&w, 0) == INT64_MIN);
    struct buf lagging = load_only(0, 4000, true, 0);
    script_put(&a->script, &lagging);
    script_wait(&a->script);
    atomic_store(&a->script.behind[0], 0);
    wait_until(world_final_until(&w, 0) >= EPOCH_NS + 3600 * NS_PER_S);
    process_end(a);
    assert_i64((int64_t)a->rig.progress.late, 0);
    for (size_t i = 0; i < 2; i++) {
        buf_done(&samples[i]);
    }
    buf_done(&usage);
    buf_done(&lagging);
    assert_true(rig_verify(&w.rig).rows_equal > 0);
    world_done(&w);
}

// ---- who may -------------------------------------------------------------------------------

static int open_alone(struct process *p)
{
    struct meter m;
    int r = meter_open(&m, &p->rig.config, &p->store.base, &p->rig.err);
    meter_close(&m);
    return r;
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0];
    struct buf b = load_only(0, 100, false, 0);
    const char *file = rig_file(&a->rig, "f.ndjson", &b);
    rig_inputs(&a->rig, a->uri, file, NULL);
    assert_int_equal(open_alone(a), -EINVAL);
    assert_non_null(strstr(a->rig.err.msg, "must be the only input"));
    rig_inputs(&a->rig, file, file, NULL);
    assert_int_equal(open_alone(a), -EINVAL);
    assert_non_null(strstr(a->rig.err.msg, "is given twice"));
    rig_inputs(&a->rig, a->uri, NULL);
    a->rig.config.shards = 3;
    assert_int_equal(open_alone(a), -EINVAL);
    assert_non_null(strstr(a->rig.err.msg, "--shards cannot be 3"));
    a->rig.config.shards = 0;
    process_begin(a);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_put(&a->script, &b);
    script_wait(&a->script);
    process_end(a);
    script_done(&a->script);
    script_init(&a->script, "a", 4);
    assert_int_equal(open_alone(a), -EINVAL);
    assert_non_null(strstr(a->rig.err.msg, "in 2: give it a store of its own"));
    buf_done(&b);
    world_done(&w);
}

// Of ordinary inputs a run takes all there are, once nobody else has them.
static void test_exclusive(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0], *b = &w.p[1];
    struct buf load;
    buf_init(&load, RIG_TEXT_MAX);
    put_whole_load(&load);
    rig_inputs(&b->rig, rig_file(&b->rig, "all.ndjson", &load), NULL);
    b->rig.config.until_end = true;
    struct shard_hold hold;
    assert_ok(store_set_shards(w.inner, 2, &a->rig.err), &a->rig.err);
    assert_ok(store_take_shard(&a->store.base, 1, SHARD_EXCLUSIVE, &hold, &a->rig.err),
              &a->rig.err);
    b->rig.config.claim_ns = NS_PER_S;
    assert_int_equal(open_alone(b), -EBUSY);
    assert_non_null(strstr(buf_view(&b->rig.notices).p, "waiting up to 1 s"));
    owned_store_die(&b->store);
    b->rig.config.claim_ns = NS_PER_HOUR;
    process_begin(b);
    owned_store_die(&a->store); // meanwhile
    pthread_join(b->thread, NULL);
    b->running = false;
    assert_ok(b->result, &b->rig.err);
    owned_store_die(&b->store);
    buf_done(&load);
    world_check(&w);
    world_done(&w);
}

int main(void)
{
    return TEST_RUN(TEST(test_handed_over), TEST(test_kept), TEST(test_lost),
                    TEST(test_zombie_writes_late), TEST(test_records_of_a_former_owner),
                    TEST(test_records_of_the_one_before), TEST(test_taken_by_mistake),
                    TEST(test_not_current), TEST(test_a_lagging_topic), TEST(test_what_is_refused),
                    TEST(test_exclusive));
}
