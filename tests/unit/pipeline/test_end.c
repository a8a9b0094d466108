// The end of a run whose inputs have ended, and a writer that is not done: in the middle of a
// commit, stalled, failing for a while or for good. Everything is computed only then, and comes to
// more than one parcel can carry: see finish() in meter.c.
#include "rig.h"

#include <errno.h>
#include <poll.h>

#include "faulty_store.h"
#include "pipeline/meter.h"

enum { SHARDS = 4, SAMPLE_EVERY = 30 };

// A request a second for each shard.
struct load {
    int64_t seconds;
    struct buf text, plain; // what it comes to when nothing happens
    int64_t records;
};
// Of one, each shard has more than an outbox has room for; the other takes fewer parcels than an
// input has, so that it ends while all of them are with the writer.
static struct load large = {.seconds = 9000}, small = {.seconds = 1980};

struct bench {
    struct rig rig; // first: on_progress is given it
    const struct load *load;
    struct store *inner;
    struct faulty_store store;
    struct meter meter;
    int64_t stored;          // records, by the commits that began
    bool early;              // costs came before, or with, the last of them
    atomic_int cost_commits; // that began, repetitions included
    bool stop;               // shall be told to, once a commit stands
    atomic_bool stands;      // a commit does, until the end has been looked at for some time
    atomic_bool stood;       // it did
    int looks;               // at the end while a commit stood
    size_t most_waiting;     // parcels with the writer
    int fail_at;             // the commit with costs that fails (from 1)
};

static void put_host(struct load *l, uint32_t shard, int64_t at)
{
    struct buf *b = &l->text;
    char host[24], id[48];
    for (int n = 0;; n++) {
        snprintf(host, sizeof(host), "h%d", n);
        if (record_shard(str_of(host), SHARDS) == shard) {
            break;
        }
    }
    if (at % SAMPLE_EVERY == 0) {
        snprintf(id, sizeof(id), "s%d-%s", (int)at, host);
        buf_printf(b,
                   "{\"event_id\":\"%s\",\"ts\":%d,\"host\":\"%s\",\"gpu_index\":0,"
                   "\"utilization\":0.5,\"price_per_hour_usd\":3.6}\n",
                   id, (int)(EPOCH_S + at), host);
        l->records++;
    }
    snprintf(id, sizeof(id), "r%d-%s", (int)at, host);
    buf_printf(b,
               "{\"event_id\":\"%s\",\"ts\":%d,\"latency_ms\":5000,\"host\":\"%s\",\"gpu_index\":0,"
               "\"model\":\"m\",\"prompt_tokens\":100,\"completion_tokens\":40}\n",
               id, (int)(EPOCH_S + at), host);
    l->records++;
}

static void rig_begin(struct rig *r, const struct load *l)
{
    rig_init(r, "memory");
    r->clock.step = NS_PER_S; // progress is told at every turn
    r->config.shards = SHARDS;
    r->config.settings.horizon_ns = NS_PER_DAY; // nothing is final before the end
    rig_inputs(r, rig_file(r, "load.ndjson", &l->text), NULL);
}

static void load_make(struct load *l)
{
    struct rig r;
    buf_init(&l->text, RIG_TEXT_MAX);
    for (int64_t at = 0; at < l->seconds; at++) {
        for (uint32_t shard = 0; shard < SHARDS; shard++) {
            put_host(l, shard, at);
        }
    }
    rig_begin(&r, l);
    rig_must_run(&r);
    (void)rig_verify(&r);
    rig_dump(&r, &l->plain);
    rig_done(&r);
}

static int set_up(void **state)
{
    (void)state;
    load_make(&large);
    load_make(&small);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct buf *all[] = {&large.text, &large.plain, &small.text, &small.plain};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        buf_done(all[i]);
    }
    return 0;
}

// On the meter's thread, so it may look at the meter.
static void look(struct rig *r, const struct run_progress *p)
{
    struct bench *b = (struct bench *)r;
    if (!p->ending) {
        return;
    }
    if (atomic_load(&b->cost_commits) > 0) { // those of records are back
        b->most_waiting = MAX(b->most_waiting, b->meter.in_flight);
    }
    if (!atomic_load(&b->stands)) {
        return;
    }
    if (b->stop && b->looks == 0) {
        rig_stop(r);
    }
    assert_true(p->writer_moves);
    atomic_store(&b->stands, ++b->looks < 2);
}

static void bench_init(struct bench *b, const struct load *load,
                       void (*on_commit)(void *, const struct store_write *))
{
    *b = (struct bench){.load = load};
    rig_begin(&b->rig, load);
    b->rig.on_progress = look;
    b->rig.config.retry_ns = NS_PER_MS;
    b->rig.config.retry_max_ns = 8 * NS_PER_MS;
    b->inner = rig_open(&b->rig, STORE_WRITE);
    faulty_store_init(&b->store, b->inner);
    b->store.on_commit = on_commit;
    b->store.ctx = b;
}

static int bench_run(struct bench *b)
{
    int r = meter_open(&b->meter, &b->rig.config, &b->store.base, &b->rig.err);
    if (r == 0) {
        r = meter_run(&b->meter, &b->rig.err);
    }
    b->rig.progress = b->meter.progress;
    meter_close(&b->meter);
    return r;
}

static void bench_done(struct bench *b)
{
    store_close(b->inner);
    rig_done(&b->rig);
}

// All is there and final, as if nothing had been.
static void check_whole(struct bench *b)
{
    struct store_info info = rig_info(&b->rig);
    assert_i64(info.samples + info.usages, b->load->records);
    assert_i64(rig_count(&b->rig, LEVEL_WINDOW, false), 0);
    assert_i64((int64_t)b->rig.progress.late, 0);
    assert_i64(b->rig.progress.frontier, EPOCH_NS + b->load->seconds * NS_PER_S);
    rig_check_same(&b->rig, &b->load->plain);
    (void)rig_verify(&b->rig);
}

// The next run takes up what a failed one left.
static void check_mended(struct bench *b)
{
    b->rig.on_progress = NULL;
    store_close(TAKE_PTR(b->inner));
    rig_must_run(&b->rig);
    check_whole(b);
}

static void stand(struct bench *b)
{
    if (!atomic_load(&b->stood)) {
        atomic_store(&b->stood, true);
        atomic_store(&b->stands, true);
        wait_until(!atomic_load(&b->stands));
    }
}

// ---- it is not done ------------------------------------------------------------------------

static void stand_with_records(void *ctx, const struct store_write *w)
{
    struct bench *b = ctx;
    b->early |= w->n_costs > 0 && b->stored < b->load->records;
    b->stored += (int64_t)w->n_records;
    if (b->stored == b->load->records) {
        stand(b);
    }
}

// The last records are being stored when there is nothing more to read: nothing is made final
// before they are in the engines.
static void test_in_a_commit_of_records(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, &small, stand_with_records);
    assert_ok(bench_run(&b), &b.rig.err);
    assert_int_equal(b.looks, 2);
    assert_false(b.early);
    check_whole(&b);
    bench_done(&b);
}

static void stand_with_costs(void *ctx, const struct store_write *w)
{
    struct bench *b = ctx;
    atomic_fetch_add(&b->cost_commits, w->n_costs > 0);
    if (w->n_costs > 0) {
        stand(b);
    }
}

// While the writer is at the costs of one shard, those of the next are computed, and no more. A run
// that is told to stop by then ends as it would have.
static void test_stalled(void **state)
{
    (void)state;
    for (int stop = 0; stop < 2; stop++) {
        struct bench b;
        bench_init(&b, &large, stand_with_costs);
        b.stop = stop;
        assert_ok(bench_run(&b), &b.rig.err);
        assert_int_equal(b.looks, 2);
        assert_int_equal(b.most_waiting, 2);
        assert_true(b.cost_commits > 1 && b.cost_commits <= SHARDS);
        check_whole(&b);
        bench_done(&b);
    }
}

// ---- it fails ------------------------------------------------------------------------------

static void go_away(void *ctx, const struct store_write *w)
{
    struct bench *b = ctx;
    if (w->n_costs == 0) {
        return;
    }
    int n = atomic_fetch_add(&b->cost_commits, 1) + 1;
    atomic_store(&b->store.away, n % 3 != 0);
    atomic_store(&b->store.lost_replies, n % 2);
}

// Each commit of costs fails several times, once after it was applied.
static void test_fails_for_a_while(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, &large, go_away);
    assert_ok(bench_run(&b), &b.rig.err);
    assert_true(atomic_load(&b.store.refused) > 4);
    assert_i64((int64_t)b.rig.progress.store.retries, atomic_load(&b.store.refused));
    assert_true(b.rig.progress.store.ok);
    assert_true(b.most_waiting <= 2);
    check_whole(&b);
    bench_done(&b);
}

static void stay_away(void *ctx, const struct store_write *w)
{
    struct bench *b = ctx;
    if (w->n_costs > 0 && atomic_fetch_add(&b->cost_commits, 1) + 1 == b->fail_at) {
        atomic_store(&b->store.away, true);
    }
    if (atomic_load(&b->store.refused) == 3) {
        rig_stop(&b->rig);
    }
}

// It tries until it is told to stop, and then as long as a stop may take.
static void test_stays_away(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, &large, stay_away);
    b.fail_at = 2;
    b.rig.config.drain_ns = 3 * NS_PER_S;
    assert_int_equal(bench_run(&b), -ETIMEDOUT);
    assert_string_equal(b.rig.err.msg, "the store is away");
    assert_true(atomic_load(&b.store.refused) > 3);
    assert_true(b.most_waiting <= 2);
    rig_unstop(&b.rig);
    check_mended(&b);
    bench_done(&b);
}

static void break_for_good(void *ctx, const struct store_write *w)
{
    struct bench *b = ctx;
    atomic_fetch_add(&b->cost_commits, w->n_costs > 0);
    if (b->cost_commits == b->fail_at - 1) {
        b->store.fail_commit = b->store.commits + 1;
    }
}

// The first error is the run's; behind it nothing is tried, whatever was computed meanwhile.
static void test_fails_for_good(void **state)
{
    (void)state;
    for (int k = 2; k <= 3; k++) {
        struct bench b;
        bench_init(&b, &large, break_for_good);
        b.fail_at = k;
        assert_int_equal(bench_run(&b), -ENOSPC);
        assert_string_equal(b.rig.err.msg, "commit: told to fail");
        assert_int_equal(b.store.commits, b.store.fail_commit);
        assert_true(b.most_waiting <= 2);
        check_mended(&b);
        bench_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_in_a_commit_of_records), TEST(test_stalled),
        TEST(test_fails_for_a_while),      TEST(test_stays_away),
        TEST(test_fails_for_good),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
