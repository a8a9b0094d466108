// Shards that change hands: between runs, while a former owner still writes, and without warning.
// Several "processes" are meters on threads, over one memory store that has owners.
#include "rig.h"

#include <errno.h>
#include <poll.h>

#include "base/alloc.h"
#include "owned_store.h"
#include "pipeline/meter.h"
#include "script.h"

#define END_S 4000 // of every load, which is of two GPUs: shard 0 and shard 1

// One "process".
struct process {
    struct rig rig;
    struct script script;
    struct owned_store store;
    char uri[32];
    pthread_t thread;
    bool running;
    int result;
    // As last told.
    atomic_int shards;
    atomic_llong frontier, late, duplicates, records;
    _Atomic uint64_t adopted, kept, lost;
};

// All of them, and what they share.
struct world {
    struct rig rig; // whose store it is
    struct store *inner;
    struct owned_db db;
    struct process p[2];
};

static void note(struct rig *r, const struct run_progress *progress)
{
    struct process *p = (struct process *)r; // the rig is its first member
    atomic_store(&p->shards, (int)progress->shards);
    atomic_store(&p->frontier, progress->frontier);
    atomic_store(&p->late, (long long)progress->late);
    atomic_store(&p->duplicates, (long long)progress->duplicates);
    atomic_store(&p->records, (long long)progress->records);
}

static void process_init(struct process *p, const char *name, struct owned_db *db)
{
    *p = (struct process){.result = 0};
    rig_init(&p->rig, "memory");
    script_init(&p->script, name, 2);
    owned_store_init(&p->store, db);
    snprintf(p->uri, sizeof(p->uri), "script:%s", name);
    rig_inputs(&p->rig, p->uri, NULL);
    p->rig.config.env.extra = &script_driver;
    p->rig.config.until_end = false;
    p->rig.config.audit_ns = NS_PER_S;
    p->rig.config.retry_ns = NS_PER_MS;
    p->rig.on_progress = note;
    p->rig.clock.step = 50 * NS_PER_MS;
}

static void world_init(struct world *w)
{
    rig_init(&w->rig, "memory");
    w->inner = rig_open(&w->rig, STORE_WRITE);
    owned_db_init(&w->db, w->inner);
    process_init(&w->p[0], "a", &w->db);
    process_init(&w->p[1], "b", &w->db);
}

static void *process_main(void *ctx)
{
    struct process *p = ctx;
    struct meter m;
    p->result = meter_open(&m, &p->rig.config, &p->store.base, &p->rig.err);
    if (p->result == 0) {
        p->result = meter_run(&m, &p->rig.err);
    }
    atomic_store(&p->adopted, m.adopted);
    atomic_store(&p->kept, m.kept);
    atomic_store(&p->lost, m.lost);
    p->rig.progress = m.progress;
    meter_close(&m);
    return NULL;
}

static void begin(struct process *p)
{
    p->running = true;
    assert_int_equal(pthread_create(&p->thread, NULL, process_main, p), 0);
}

static void end(struct process *p)
{
    rig_stop(&p->rig);
    pthread_join(p->thread, NULL);
    rig_unstop(&p->rig);
    owned_store_die(&p->store);
    p->running = false;
    assert_ok(p->result, &p->rig.err);
}

static void world_done(struct world *w)
{
    for (size_t i = 0; i < ARRAY_LEN(w->p); i++) {
        if (w->p[i].running) {
            end(&w->p[i]);
        }
        script_done(&w->p[i].script);
        rig_done(&w->p[i].rig);
    }
    owned_db_done(&w->db);
    store_close(w->inner);
    rig_done(&w->rig);
}

// By looking again; ends the test process when it does not come about.
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        struct mono until_ = {clock_mono(&clock_system).ns + TEST_PATIENCE_MS * NS_PER_MS};        \
        while (!(condition)) {                                                                     \
            if (clock_mono(&clock_system).ns > until_.ns) {                                        \
                print_error("%s:%d: %s did not come about\n", __FILE__, __LINE__, #condition);     \
                abort();                                                                           \
            }                                                                                      \
            (void)poll(NULL, 0, 1);                                                                \
        }                                                                                          \
    } while (0)

static void put(struct script *s, int64_t from, int64_t to)
{
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    (void)put_load(&b, from, to);
    script_put(s, &b);
    buf_done(&b);
}

// What the store must hold once all is final: as one run makes of all records at once.
static void put_all(struct buf *b)
{
    for (int64_t at = 0; at < END_S; at += 1000) {
        (void)put_load(b, at + (at > 0), at + 1000);
    }
}

static void check_world(struct world *w)
{
    struct buf all, plain;
    struct rig single, *last = &w->p[1].rig;
    buf_init(&all, RIG_TEXT_MAX);
    put_all(&all);
    rig_init(&single, "memory");
    rig_inputs(&single, rig_file(&single, "all.ndjson", &all), NULL);
    rig_must_run(&single);
    rig_dump(&single, &plain);
    // Ends what is open: a run over the same records, none of which is new.
    assert_false(w->p[0].running || w->p[1].running);
    rig_inputs(last, rig_file(last, "all.ndjson", &all), NULL);
    last->config.until_end = true;
    struct owned_store finisher;
    struct meter m;
    owned_store_init(&finisher, &w->db);
    assert_ok(meter_open(&m, &last->config, &finisher.base, &last->err), &last->err);
    assert_ok(meter_run(&m, &last->err), &last->err);
    assert_i64((int64_t)m.progress.records, 0);
    meter_close(&m);
    rig_check_same(&w->rig, &plain);
    assert_true(rig_verify(&w->rig).rows_equal > 0);
    buf_done(&plain);
    buf_done(&all);
    rig_done(&single);
}

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

static int64_t final_until(struct world *w, uint32_t shard)
{
    struct shard_state s;
    struct error err;
    assert_ok(store_shard(w->inner, shard, &s, &err), &err);
    return s.frontier;
}

// ---- in order ------------------------------------------------------------------------------

static void test_handed_over(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0], *b = &w.p[1];
    begin(a);
    begin(b);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_change(&b->script, SHARDS_TAKEN, -1);
    put(&a->script, 0, 1000);
    script_change(&a->script, SHARDS_LEFT, 0, 1, -1);
    script_wait(&a->script);
    script_wait(&b->script);
    script_change(&a->script, SHARDS_TAKEN, 0, -1);
    script_change(&b->script, SHARDS_TAKEN, 1, -1);
    wait_until(atomic_load(&a->shards) == 1 && atomic_load(&b->shards) == 1);
    // Each puts its own; what is of the other's shard is stored by it all the same.
    put(&a->script, 1001, 2000);
    script_wait(&a->script);
    put(&b->script, 1001, 2000);
    put(&b->script, 2001, 3000);
    script_wait(&b->script);
    put(&a->script, 2001, 3000);
    put(&a->script, 3001, 4000);
    put(&b->script, 3001, 4000);
    script_wait(&a->script);
    script_wait(&b->script);
    end(a);
    end(b);
    assert_true(atomic_load(&a->kept) >= 1); // shard 0, which nobody had meanwhile
    assert_int_equal(a->store.taken, 3);
    assert_int_equal(b->store.taken, 1);
    check_world(&w);
    world_done(&w);
}

// The engine that was parked goes on; nothing is read again.
static void test_kept(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0];
    begin(a);
    for (int64_t at = 0; at < END_S; at += 1000) {
        script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
        put(&a->script, at + (at > 0), at + 1000);
        script_change(&a->script, SHARDS_LEFT, 0, 1, -1);
    }
    script_wait(&a->script);
    end(a);
    assert_int_equal(a->store.taken, 8);
    assert_int_equal(a->store.kept, 6);
    assert_int_equal((int)atomic_load(&a->kept), 6);
    assert_i64((int64_t)a->rig.progress.late, 0);
    check_world(&w);
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
    begin(a);
    begin(b);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    put(&a->script, 0, 1000);
    script_change(&a->script, SHARDS_LOST, 0, 1, -1);
    put(&a->script, 1001, 2000);
    script_wait(&a->script);
    wait_until(atomic_load(&a->shards) == 0);
    script_change(&b->script, SHARDS_TAKEN, 0, 1, -1);
    put(&b->script, 1001, 2000);
    put(&b->script, 2001, 3000);
    put(&b->script, 3001, 4000);
    script_wait(&b->script);
    end(a);
    end(b);
    assert_int_equal((int)atomic_load(&a->lost), 2);
    check_world(&w);
    world_done(&w);
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
    a->store.ctx = &gate;
    a->store.between = stand_at_gate;
    begin(a);
    begin(b);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    put(&a->script, 0, 1000);
    script_wait(&a->script);
    atomic_store(&gate.shut, true);
    put(&a->script, 1001, 2000);
    wait_until(atomic_load(&gate.reached));
    script_change(&b->script, SHARDS_TAKEN, 0, 1, -1);
    put(&b->script, 1001, 2000);
    put(&b->script, 2001, 3000);
    put(&b->script, 3001, 4000);
    script_wait(&b->script);
    for (uint32_t i = 0; i < 2; i++) {
        wait_until(final_until(&w, i) > EPOCH_NS + 3000 * NS_PER_S);
    }
    atomic_store(&gate.shut, false);
    script_wait(&a->script);
    end(a);                                   // its last commits tell it
    assert_true(count_early(&w, false) > 10); // what it broke
    assert_i64(count_early(&w, true), 0);
    atomic_fetch_add(&b->rig.clock.ns, NS_PER_HOUR);
    wait_until(count_early(&w, true) > 10 && count_early(&w, false) == 0);
    end(b);
    check_world(&w);
    world_done(&w);
}

// Raw records that A stored after B had read what there was come to B as duplicates.
static void test_records_of_a_former_owner(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0], *b = &w.p[1];
    begin(a);
    begin(b);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    put(&a->script, 0, 1000);
    script_wait(&a->script);
    script_change(&b->script, SHARDS_TAKEN, 0, 1, -1);
    script_wait(&b->script);
    put(&a->script, 1001, 2000);
    script_wait(&a->script);
    for (int i = 0; i < 2; i++) { // once
        put(&b->script, 0, 1000);
        put(&b->script, 1001, 2000);
    }
    put(&b->script, 2001, 3000);
    put(&b->script, 3001, 4000);
    script_wait(&b->script);
    end(a);
    end(b);
    struct buf of_a;
    buf_init(&of_a, RIG_TEXT_MAX);
    assert_i64((int64_t)atomic_load(&b->adopted), put_load(&of_a, 1001, 2000));
    buf_done(&of_a);
    check_world(&w);
    world_done(&w);
}

// What a process stores as A did, of time that is final, before anybody has read it from its input.
static void store_late(struct process *p, int64_t from, int64_t to)
{
    put(&p->script, from, to);
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
    begin(a);
    begin(b);
    begin(&c);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    put(&a->script, 0, 500);
    script_wait(&a->script);
    script_change(&b->script, SHARDS_TAKEN, 0, 1, -1);
    put(&b->script, 2001, 3000);
    put(&b->script, 3001, 4000);
    script_wait(&b->script);
    for (uint32_t i = 0; i < 2; i++) {
        wait_until(final_until(&w, i) > EPOCH_NS + 3000 * NS_PER_S);
    }
    store_late(a, 501, 1000);
    end(b);
    script_change(&c.script, SHARDS_TAKEN, 0, 1, -1);
    script_wait(&c.script);
    wait_until(atomic_load(&c.late) > 0);
    store_late(a, 1001, 2000);
    store_late(&c, 501, 1000);
    store_late(&c, 1001, 2000);
    end(&c);
    end(a);
    struct buf of_a;
    buf_init(&of_a, RIG_TEXT_MAX);
    assert_i64((int64_t)atomic_load(&c.adopted), put_load(&of_a, 1001, 2000));
    buf_done(&of_a);
    check_world(&w);
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
    begin(a);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    put(&a->script, 0, 1000);
    script_wait(&a->script);
    struct shard_hold hold;
    for (uint32_t i = 0; i < 2; i++) {
        assert_ok(store_take_shard(&b->store.base, i, SHARD_TAKEOVER, &hold, &b->rig.err),
                  &b->rig.err);
    }
    put(&a->script, 1001, 2000);
    put(&a->script, 2001, 3000);
    script_wait(&a->script);
    wait_until(a->store.taken == 4); // ten seconds later
    wait_until(atomic_load(&a->shards) == 2);
    put(&a->script, 3001, 4000);
    script_wait(&a->script);
    end(a);
    assert_int_equal((int)atomic_load(&a->lost), 2);
    assert_non_null(strstr(buf_view(&a->rig.notices).p, "shard 1 was taken by another process"));
    check_world(&w);
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
    begin(a);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    put(&a->script, 0, 1000);
    put(&a->script, 1001, 2000);
    put(&a->script, 2001, 3000);
    script_wait(&a->script);
    wait_until(rig_count(&w.rig, LEVEL_WINDOW, false) > 100);
    assert_i64(rig_count(&w.rig, LEVEL_WINDOW, true), 0);
    atomic_store(&a->script.current, true);
    wait_until(rig_count(&w.rig, LEVEL_WINDOW, true) > 100);
    put(&a->script, 3001, 4000);
    script_wait(&a->script);
    end(a);
    check_world(&w);
    world_done(&w);
}

static struct buf only(int64_t from, int64_t to, bool usage, int gpu)
{
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    for (int64_t t = from; t <= to; t++) {
        char id[32];
        if (usage && t % 7 == 0 && t > from) {
            snprintf(id, sizeof(id), "r%d-%d", (int)t, gpu);
            put_usage(&b, id, t, 5, gpu, ",\"ttft_ms\":900");
        } else if (!usage && t % 10 == 0) {
            snprintf(id, sizeof(id), "s%d-%d", (int)t, gpu);
            put_sample(&b, id, t, gpu, ",\"price_per_hour_usd\":3.6,\"power_w\":250");
        }
    }
    return b;
}

// One topic of shard 0 lags: only shard 0 waits for it, and nothing is late.
static void test_a_lagging_topic(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct process *a = &w.p[0];
    begin(a);
    atomic_store(&a->script.behind[0], 1U << RECORD_USAGE);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    struct buf samples[2] = {only(0, 4000, false, 0), only(0, 4000, false, 1)};
    script_put(&a->script, &samples[0]);
    script_put(&a->script, &samples[1]);
    struct buf usage = only(0, 4000, true, 1);
    script_put(&a->script, &usage);
    script_wait(&a->script);
    wait_until(final_until(&w, 1) >= EPOCH_NS + 3600 * NS_PER_S);
    assert_true(final_until(&w, 0) == INT64_MIN);
    struct buf lagging = only(0, 4000, true, 0);
    script_put(&a->script, &lagging);
    script_wait(&a->script);
    atomic_store(&a->script.behind[0], 0);
    wait_until(final_until(&w, 0) >= EPOCH_NS + 3600 * NS_PER_S);
    end(a);
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
    struct buf b = only(0, 100, false, 0);
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
    begin(a);
    script_change(&a->script, SHARDS_TAKEN, 0, 1, -1);
    script_put(&a->script, &b);
    script_wait(&a->script);
    end(a);
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
    put_all(&load);
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
    begin(b);
    owned_store_die(&a->store); // meanwhile
    pthread_join(b->thread, NULL);
    b->running = false;
    assert_ok(b->result, &b->rig.err);
    owned_store_die(&b->store);
    buf_done(&load);
    check_world(&w);
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
