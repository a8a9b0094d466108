// A store that goes away and comes back, and one that does not before the run is told to stop; and
// where dead letters go.
#include "rig.h"

#include <errno.h>
#include <poll.h>

#include "base/alloc.h"
#include "faulty_store.h"
#include "owned_store.h"
#include "pipeline/meter.h"
#include "script.h"

struct bench {
    struct rig rig; // first: on_progress is given it
    struct store *inner;
    struct owned_db db;
    struct owned_store owned;
    struct faulty_store store;
    struct script script;
    pthread_t thread;
    int result;
    atomic_bool done, ready, seen_failing;
    _Atomic uint64_t retries;
    atomic_int n_progress;
};

static void note(struct rig *r, const struct run_progress *p)
{
    struct bench *b = (struct bench *)r;
    atomic_store(&b->ready, p->store.ok);
    atomic_store(&b->retries, p->store.retries);
    atomic_fetch_add(&b->n_progress, 1);
    if (!p->store.ok && p->store.error[0] && p->writer_moves) {
        atomic_store(&b->seen_failing, true);
    }
}

// shared: over a store with owners, fed by a script; else over a plain one.
static void bench_init(struct bench *b, bool shared)
{
    *b = (struct bench){.result = 0};
    rig_init(&b->rig, "memory");
    b->inner = rig_open(&b->rig, STORE_WRITE);
    owned_db_init(&b->db, b->inner);
    owned_store_init(&b->owned, &b->db);
    faulty_store_init(&b->store, shared ? &b->owned.base : b->inner);
    script_init(&b->script, "x", 2);
    if (shared) {
        rig_inputs(&b->rig, "script:x", NULL);
        b->rig.config.until_end = false;
    }
    b->rig.config.env.extra = &script_driver;
    b->rig.config.retry_ns = NS_PER_MS;
    b->rig.config.retry_max_ns = 8 * NS_PER_MS;
    b->rig.on_progress = note;
}

static void bench_done(struct bench *b)
{
    script_done(&b->script);
    owned_db_done(&b->db);
    store_close(b->inner);
    rig_done(&b->rig);
}

static void *bench_main(void *ctx)
{
    struct bench *b = ctx;
    struct meter m;
    b->result = meter_open(&m, &b->rig.config, &b->store.base, &b->rig.err);
    if (b->result == 0) {
        b->result = meter_run(&m, &b->rig.err);
    }
    b->rig.progress = m.progress;
    meter_close(&m);
    atomic_store(&b->done, true);
    return NULL;
}

static void begin(struct bench *b)
{
    assert_int_equal(pthread_create(&b->thread, NULL, bench_main, b), 0);
}

static void end(struct bench *b)
{
    rig_stop(&b->rig);
    pthread_join(b->thread, NULL);
    rig_unstop(&b->rig);
}

static void put(struct script *s, int64_t from, int64_t to)
{
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    (void)put_load(&b, from, to);
    script_put(s, &b);
    buf_done(&b);
}

// ---- coming back ---------------------------------------------------------------------------

// Away at every point: while shards are taken, while records are stored, while late ones are
// settled. Each time it comes back, and at the end all is there once.
static void test_nothing_is_lost_or_doubled(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, true);
    b.rig.config.wait_for_store = true;
    begin(&b);
    int64_t records = 0;
    for (int64_t at = 0; at < 4000; at += 1000) {
        struct buf load;
        buf_init(&load, RIG_TEXT_MAX);
        records += put_load(&load, at + (at > 0), at + 1000);
        int before = atomic_load(&b.store.refused);
        atomic_store(&b.store.away, true);
        script_change(&b.script, SHARDS_TAKEN, 0, 1, -1);
        script_put(&b.script, &load);
        wait_until(atomic_load(&b.store.refused) > before + 3);
        assert_false(script_answered(&b.script));
        atomic_store(&b.store.lost_replies, 2);
        atomic_store(&b.store.away, false);
        script_wait(&b.script);
        before = atomic_load(&b.store.refused);
        atomic_store(&b.store.away, true);
        script_change(&b.script, SHARDS_LEFT, 0, 1, -1);
        put(&b.script, 0, 1);
        wait_until(atomic_load(&b.store.refused) > before);
        atomic_store(&b.store.away, false);
        script_wait(&b.script);
        buf_done(&load);
    }
    end(&b);
    assert_ok(b.result, &b.rig.err);
    assert_true(atomic_load(&b.seen_failing));
    assert_true(atomic_load(&b.retries) > 10);
    struct store_info info = rig_info(&b.rig);
    assert_i64(info.samples + info.usages, records);
    assert_i64((int64_t)b.rig.progress.records, records);
    assert_true(rig_verify(&b.rig).rows_equal > 0);
    bench_done(&b);
}

// Everything that a run asks of a store, of a kind that owns nothing: the file is read as if the
// store had never been away.
static void *come_and_go(void *ctx)
{
    struct bench *b = ctx;
    for (int i = 0; i < 20; i++) {
        int before = atomic_load(&b->store.refused);
        atomic_store(&b->store.away, true);
        wait_until(atomic_load(&b->store.refused) > before || atomic_load(&b->done));
        atomic_store(&b->store.away, false);
        (void)poll(NULL, 0, 1);
    }
    return NULL;
}

static void test_an_ordinary_run(void **state)
{
    (void)state;
    struct bench b;
    struct buf load, plain;
    struct rig single;
    pthread_t disturber;
    buf_init(&load, RIG_TEXT_MAX);
    (void)put_load(&load, 0, 20000);
    put_usage(&load, "late", 130, 20, 0, "");
    rig_init(&single, "memory");
    rig_inputs(&single, rig_file(&single, "load.ndjson", &load), NULL);
    rig_must_run(&single);
    rig_dump(&single, &plain);
    bench_init(&b, false);
    rig_inputs(&b.rig, rig_file(&b.rig, "load.ndjson", &load), NULL);
    b.rig.config.wait_for_store = true;
    assert_int_equal(pthread_create(&disturber, NULL, come_and_go, &b), 0);
    wait_until(atomic_load(&b.store.away));
    begin(&b);
    pthread_join(disturber, NULL);
    pthread_join(b.thread, NULL);
    assert_ok(b.result, &b.rig.err);
    rig_check_same(&b.rig, &plain);
    (void)rig_verify(&b.rig);
    bench_done(&b);
    rig_done(&single);
    buf_done(&plain);
    buf_done(&load);
}

// While nobody can store, the input is told that nobody takes its batches, and the loop goes on.
static void test_meanwhile(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, true);
    begin(&b);
    script_change(&b.script, SHARDS_TAKEN, 0, 1, -1);
    script_wait(&b.script);
    atomic_store(&b.store.away, true);
    for (int64_t at = 0; at < 20000; at += 1000) {
        put(&b.script, at, at + 1000);
    }
    int idle = atomic_load(&b.script.idle);
    wait_until(atomic_load(&b.script.idle) > idle + 2);
    int progress = atomic_load(&b.n_progress);
    wait_until(atomic_load(&b.n_progress) > progress + 2);
    assert_false(atomic_load(&b.ready));
    atomic_store(&b.store.away, false);
    script_wait(&b.script);
    wait_until(atomic_load(&b.ready));
    end(&b);
    assert_ok(b.result, &b.rig.err);
    bench_done(&b);
}

// ---- giving up -----------------------------------------------------------------------------

// What keeps its own place is not harmed by a stop that cannot store.
static void test_a_stop_gives_up(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, true);
    b.rig.config.drain_ns = NS_PER_S;
    begin(&b);
    script_change(&b.script, SHARDS_TAKEN, 0, 1, -1);
    put(&b.script, 0, 1000);
    script_wait(&b.script);
    atomic_store(&b.store.away, true);
    put(&b.script, 1001, 2000);
    wait_until(atomic_load(&b.store.refused) > 2);
    end(&b);
    assert_int_equal(b.result, 0);
    assert_non_null(strstr(buf_view(&b.rig.notices).p,
                           "stopped while the store could not be written: the store is away"));
    assert_false(script_answered(&b.script));
    struct store_info info = rig_info(&b.rig);
    assert_i64(info.samples + info.usages, (int64_t)b.rig.progress.records);
    bench_done(&b);
}

static void test_a_stop_of_a_file_fails(void **state)
{
    (void)state;
    struct bench b;
    struct buf load;
    buf_init(&load, RIG_TEXT_MAX);
    (void)put_load(&load, 0, 3000);
    bench_init(&b, false);
    rig_inputs(&b.rig, rig_file(&b.rig, "load.ndjson", &load), NULL);
    b.rig.config.drain_ns = NS_PER_S;
    atomic_store(&b.store.away, false);
    b.store.lost_replies = INT32_MAX;
    begin(&b);
    wait_until(atomic_load(&b.store.refused) > 2);
    end(&b);
    assert_int_equal(b.result, -ETIMEDOUT);
    assert_string_equal(b.rig.err.msg, "the answer got lost");
    buf_done(&load);
    bench_done(&b);
}

// At the start, only who is told to waits.
static void test_not_there_at_the_start(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, true);
    atomic_store(&b.store.away, true);
    (void)bench_main(&b);
    assert_int_equal(b.result, -ETIMEDOUT);
    b.rig.config.wait_for_store = true;
    begin(&b);
    wait_until(atomic_load(&b.store.refused) > 5);
    atomic_store(&b.store.away, false);
    script_change(&b.script, SHARDS_TAKEN, 0, 1, -1);
    script_wait(&b.script);
    end(&b);
    assert_ok(b.result, &b.rig.err);
    bench_done(&b);
}

// ---- dead letters --------------------------------------------------------------------------

struct mailbox {
    struct bench *bench;
    struct buf text; // a line each
    int fail;        // so often
    bool early;      // something of it counted as stored before
};

static int publish(void *ctx, const struct dead_letter *letters, size_t n, struct error *err)
{
    struct mailbox *m = ctx;
    m->early |= script_answered(&m->bench->script);
    if (m->fail > 0) {
        m->fail--;
        return error_set(err, -ETIMEDOUT, "no broker");
    }
    for (size_t i = 0; i < n; i++) {
        buf_printf(&m->text, STR_FMT " " STR_FMT ": " STR_FMT "\n", STR_ARG(letters[i].origin),
                   STR_ARG(letters[i].reason), STR_ARG(letters[i].payload));
    }
    return 0;
}

static void test_letters(void **state)
{
    (void)state;
    struct bench b;
    struct mailbox box = {.bench = &b, .fail = 3};
    struct buf good, bad;
    buf_init(&box.text, RIG_TEXT_MAX);
    buf_init(&good, RIG_TEXT_MAX);
    buf_init(&bad, RIG_TEXT_MAX);
    bench_init(&b, true);
    b.rig.config.letters.publish = publish;
    b.rig.config.letters.ctx = &box;
    put_sample(&good, "one", 10, 0, ",\"power_w\":250");
    put_sample(&bad, "one", 10, 0, ",\"power_w\":251");         // a conflict
    put_sample(&bad, "two", 50 * 86400, 0, ",\"power_w\":251"); // of the future
    put_sample(&bad, "three", 10, 1, ",\"power_w\":251");
    begin(&b);
    script_change(&b.script, SHARDS_TAKEN, 0, 1, -1);
    script_put(&b.script, &good);
    script_wait(&b.script);
    assert_int_equal(box.text.n, 0);
    script_put(&b.script, &bad);
    script_wait(&b.script);
    end(&b);
    assert_ok(b.result, &b.rig.err);
    assert_int_equal(box.fail, 0);
    assert_false(box.early);
    const char *text = buf_view(&box.text).p;
    assert_non_null(strstr(text, "x ts: "));
    assert_non_null(
        strstr(text, "event_id:one conflict: another record with this event_id is stored"));
    assert_non_null(strstr(text, "\"event_id\":\"one\""));
    assert_null(strstr(text, "three"));
    assert_i64((int64_t)b.rig.progress.conflicts, 1);
    assert_i64(rig_info(&b.rig).dead_letters, 2);
    buf_done(&good);
    buf_done(&bad);
    buf_done(&box.text);
    bench_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_nothing_is_lost_or_doubled), TEST(test_an_ordinary_run),
                    TEST(test_meanwhile), TEST(test_a_stop_gives_up),
                    TEST(test_a_stop_of_a_file_fails), TEST(test_not_there_at_the_start),
                    TEST(test_letters));
}
