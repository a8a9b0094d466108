// Whole runs: to the end, from several inputs, stopped and taken up again.
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "faulty_store.h"
#include "pipeline/meter.h"
#include "pipeline/source.h"

// What the same records come to in one run of one file, on a store in memory.
static void plain_dump(const struct buf *load, struct buf *ret)
{
    struct rig r;
    rig_init(&r, "memory");
    rig_inputs(&r, rig_file(&r, "plain.ndjson", load), NULL);
    rig_must_run(&r);
    (void)rig_verify(&r);
    rig_dump(&r, ret);
    rig_done(&r);
}

static void test_to_the_end(void **state)
{
    (void)state;
    struct buf load, plain;
    buf_init(&load, RIG_TEXT_MAX);
    int64_t n = put_load(&load, 0, 1200);
    plain_dump(&load, &plain);
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        rig_init(&r, rig_stores[i]);
        rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
        rig_must_run(&r);
        assert_i64((int64_t)r.progress.records, n);
        assert_i64((int64_t)r.progress.samples, 2 * 121);
        assert_i64((int64_t)r.progress.usages, 2 * 171);
        assert_i64((int64_t)r.progress.tokens, 2 * 171 * 140);
        assert_i64((int64_t)r.progress.late, 0);
        assert_i64(r.progress.newest, EPOCH_NS + 1200 * NS_PER_S);
        assert_i64(r.progress.frontier, EPOCH_NS + 1200 * NS_PER_S);
        assert_i64(r.progress.settling, 0);
        assert_i64(r.progress.input_done, (int64_t)load.n);
        assert_i64(r.progress.input_total, (int64_t)load.n);
        struct rederive_result v = rig_verify(&r);
        assert_i64(v.bill_nusd, 2 * INT64_C(1200000000)); // 1,000,000 nano-USD a second
        assert_i64(v.requests_nusd, 2 * INT64_C(171 * 5000000));
        assert_i64((int64_t)v.gpus, 2);
        assert_i64(rig_count(&r, LEVEL_WINDOW, false), 0);
        rig_check_same(&r, &plain);
        rig_done(&r);
    }
    buf_done(&plain);
    buf_done(&load);
}

// Samples in one file, requests in another, and a third that is empty.
static void test_several_inputs(void **state)
{
    (void)state;
    struct buf load, plain, samples, usages, empty;
    struct buf *all[] = {&load, &samples, &usages, &empty};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        buf_init(all[i], RIG_TEXT_MAX);
    }
    (void)put_load(&load, 0, 20000);
    plain_dump(&load, &plain);
    struct str rest = buf_view(&load), line;
    while (rest.n > 0 && str_split(&rest, '\n', &line)) {
        bool usage = memmem(line.p, line.n, "model", 5) != NULL;
        buf_str(usage ? &usages : &samples, line);
        buf_char(usage ? &usages : &samples, '\n');
    }
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        rig_init(&r, rig_stores[i]);
        rig_inputs(&r, rig_file(&r, "usages.ndjson", &usages),
                   rig_file(&r, "samples.ndjson", &samples), rig_file(&r, "empty.ndjson", &empty),
                   NULL);
        rig_must_run(&r);
        assert_i64((int64_t)r.progress.late, 0); // nobody runs ahead of the others
        (void)rig_verify(&r);
        rig_check_same(&r, &plain);
        rig_done(&r);
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        buf_done(all[i]);
    }
    buf_done(&plain);
}

// Inputs that make their records up go on where they stopped, too.
static void test_made_up_inputs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        rig_init(&r, rig_stores[i]);
        rig_inputs(&r, "synthetic:?duration=120s&rate=5&gpus=2&start=2026-01-01",
                   "seed:?duration=60s&host=other&start=2026-01-01", NULL);
        rig_must_run(&r);
        assert_true(r.progress.samples > 0 && r.progress.usages > 0);
        struct store_info info = rig_info(&r);
        (void)rig_verify(&r);
        rig_must_run(&r);
        assert_i64((int64_t)r.progress.records, 0);
        assert_i64((int64_t)r.progress.duplicates, 0);
        assert_non_null(strstr(r.notices.p, "going on behind record"));
        assert_i64(rig_info(&r).samples, info.samples);
        rig_done(&r);
    }
}

static void stop_after_some(struct rig *r, const struct run_progress *p)
{
    if ((int64_t)p->records >= r->wanted && !p->ending) {
        r->wanted = INT64_MAX;
        rig_stop(r);
    }
}

// Stopped again and again in the middle of the file, it ends as if it had never been.
static void test_stop_and_go_on(void **state)
{
    (void)state;
    struct buf load, plain;
    buf_init(&load, RIG_TEXT_MAX);
    int64_t n = put_load(&load, 0, 160000);
    // The first commit may be of all parcels, which may be full again before it is told.
    assert_true(n > 2 * SOURCE_PARCELS * BATCH_RECORDS + BATCH_RECORDS);
    plain_dump(&load, &plain);
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        rig_init(&r, rig_stores[i]);
        r.clock.step = NS_PER_S; // progress is told at every turn
        rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
        r.on_progress = stop_after_some;
        int64_t stored = 0;
        int runs = 0;
        for (; stored < n && runs < 100; runs++) {
            r.wanted = 1;
            rig_must_run(&r);
            stored += (int64_t)r.progress.records;
            struct store_info info = rig_info(&r);
            assert_i64(info.samples + info.usages, stored);
            if (r.wanted == INT64_MAX) {
                rig_unstop(&r);
            }
        }
        assert_true(runs > 1);
        r.on_progress = NULL;
        rig_must_run(&r); // and once to its end, should the last stop have come behind all records
        (void)rig_verify(&r);
        rig_check_same(&r, &plain);
        rig_done(&r);
    }
    buf_done(&plain);
    buf_done(&load);
}

static void test_in_shards(void **state)
{
    (void)state;
    struct buf load;
    buf_init(&load, RIG_TEXT_MAX);
    const char *const hosts[] = {"alpha", "beta", "gamma", "delta"};
    for (int64_t t = 0; t <= 600; t += 10) {
        for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
            buf_printf(&load,
                       "{\"ts\":%lld,\"host\":\"%s\",\"gpu_index\":0,\"utilization\":1,"
                       "\"price_per_hour_usd\":3.6}\n",
                       (long long)(EPOCH_S + t), hosts[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        rig_init(&r, rig_stores[i]);
        r.config.shards = 3;
        rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
        rig_must_run(&r);
        assert_i64(rig_info(&r).n_shards, 3);
        struct rederive_result v = rig_verify(&r);
        assert_i64(v.idle_nusd, 4 * 600 * INT64_C(1000000));
        r.config.shards = 2; // its records are where they are
        assert_true(rig_run(&r) < 0);
        rig_done(&r);
    }
    buf_done(&load);
}

static void put_one(struct buf *b, const char *id, int64_t at)
{
    buf_init(b, RIG_TEXT_MAX);
    put_sample(b, id, at, 0, ",\"price_per_hour_usd\":3.6");
}

static int pipe_fd = -1;

static void feed_and_stop(struct rig *r)
{
    rig_wait_stored(r, r->wanted);
    rig_stop(r);
}

// A pipe gives each run something new, under the name that it had before.
static void test_a_pipe_in_every_run(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, "sqlite");
    rig_inputs(&r, rig_pipe(&r, "pipe", &pipe_fd), NULL);
    for (int64_t i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof(id), "p%d", (int)i);
        struct buf b;
        put_one(&b, id, i);
        rig_write(pipe_fd, &b);
        buf_done(&b);
        r.wanted = i + 1;
        rig_help(&r, feed_and_stop);
        rig_must_run(&r);
        rig_unstop(&r);
        assert_i64(rig_info(&r).samples, i + 1);
    }
    close(pipe_fd);
    rig_done(&r);
}

static atomic_int times_told;

static void count_progress(struct rig *r, const struct run_progress *p)
{
    (void)r;
    (void)p;
    atomic_fetch_add(&times_told, 1);
}

static void feed_late(struct rig *r)
{
    while (atomic_load(&times_told) < 2) {
        (void)poll(NULL, 0, 1);
    }
    int64_t step = atomic_exchange(&r->clock.step, 0); // time stands still
    struct buf b;
    put_one(&b, "late", 0);
    rig_write(pipe_fd, &b);
    buf_done(&b);
    rig_wait_stored(r, 1);
    atomic_store(&r->clock.step, step);
    rig_stop(r);
}

// What a start writes does not make the first record of a trickle wait for the next commit.
static void test_the_first_record_at_once(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, "sqlite");
    r.config.commit_interval_ns = NS_PER_HOUR;
    r.on_progress = count_progress;
    rig_inputs(&r, rig_pipe(&r, "pipe", &pipe_fd), NULL);
    rig_help(&r, feed_late);
    rig_must_run(&r);
    close(pipe_fd);
    rig_done(&r);
}

static atomic_int states_told, told_of_eight;

static void count_states(void *ctx, const struct store_write *w)
{
    (void)ctx;
    atomic_fetch_add(&states_told, w->n_shards > 0);
}

static void feed_trickle(struct rig *r)
{
    struct buf b;
    char id[8];
    int64_t step = atomic_exchange(&r->clock.step, 0); // time stands still
    for (int64_t i = 0; i < 9; i++) {
        if (i == 8) {
            atomic_store(&told_of_eight, atomic_load(&states_told));
            atomic_fetch_add(&r->clock.ns, 11 * NS_PER_S);
        }
        snprintf(id, sizeof(id), "t%d", (int)i);
        put_one(&b, id, i);
        rig_write(pipe_fd, &b);
        buf_done(&b);
        rig_wait_stored(r, i + 1);
    }
    atomic_store(&r->clock.step, step);
    while (atomic_load(&states_told) <= atomic_load(&told_of_eight)) { // meson has the deadline
        (void)poll(NULL, 0, 1);
    }
    rig_stop(r);
}

// A store of our own hears how far the engines are every 10 s, not with each of a few records: it
// would be a page more in every commit.
static void test_states_of_a_trickle_lag(void **state)
{
    (void)state;
    struct rig r;
    struct meter m;
    struct faulty_store f;
    struct shard_state told;
    rig_init(&r, "sqlite");
    rig_inputs(&r, rig_pipe(&r, "pipe", &pipe_fd), NULL);
    struct store *inner = rig_open(&r, STORE_WRITE);
    faulty_store_init(&f, inner);
    f.on_commit = count_states;
    rig_help(&r, feed_trickle);
    rig_begin_help(&r);
    assert_ok(meter_open(&m, &r.config, &f.base, &r.err), &r.err);
    assert_ok(meter_run(&m, &r.err), &r.err);
    rig_end_help(&r);
    meter_close(&m);
    assert_in_range(told_of_eight, 1, 2); // the start, and where the engine begins
    assert_ok(store_shard(inner, 0, &told, &r.err), &r.err);
    assert_i64(told.samples_seen, 9);
    store_close(inner);
    close(pipe_fd);
    rig_done(&r);
}

// Nobody writes into the pipe: after 3 s the file is read to its end all the same.
static void test_a_silent_input_holds_nobody_up(void **state)
{
    (void)state;
    struct buf load;
    buf_init(&load, RIG_TEXT_MAX);
    int64_t n = put_load(&load, 0, 20000);
    struct rig r;
    rig_init(&r, "memory");
    r.clock.step = 50 * NS_PER_MS;
    r.wanted = n;
    rig_inputs(&r, rig_file(&r, "load.ndjson", &load), rig_pipe(&r, "pipe", &pipe_fd), NULL);
    rig_help(&r, feed_and_stop);
    rig_must_run(&r);
    assert_i64((int64_t)r.progress.records, n);
    close(pipe_fd);
    rig_done(&r);
    buf_done(&load);
}

static int ahead_fd = -1;

static void feed_one_ahead(struct rig *r)
{
    rig_wait_stored(r, 2);
    struct buf b;
    put_one(&b, "ahead", 36000);
    rig_write(ahead_fd, &b);
    buf_done(&b);
    rig_wait_read(ahead_fd);
    rig_stop(r);
}

// Ten hours ahead of the other, a record waits for it. A stop stores it nevertheless: from a pipe
// it could not be read again.
static void test_a_stop_stores_what_was_read(void **state)
{
    (void)state;
    struct buf b;
    struct rig r;
    rig_init(&r, "sqlite");
    r.clock.step = 0; // so nobody is ever silent
    rig_inputs(&r, rig_pipe(&r, "ahead", &ahead_fd), rig_pipe(&r, "behind", &pipe_fd), NULL);
    put_one(&b, "first", 0);
    rig_write(ahead_fd, &b);
    buf_done(&b);
    put_one(&b, "other", 1);
    rig_write(pipe_fd, &b);
    buf_done(&b);
    rig_help(&r, feed_one_ahead);
    rig_must_run(&r);
    assert_i64((int64_t)r.progress.records, 3);
    assert_i64(rig_info(&r).samples, 3);
    close(ahead_fd);
    close(pipe_fd);
    rig_done(&r);
}

// ---- a store that somebody else has ---------------------------------------------------------

static atomic_int absences; // told of

static void let_go(struct rig *r)
{
    int64_t until = atomic_load(&r->clock.ns) + 2 * NS_PER_S; // so long it has tried
    while (atomic_load(&r->clock.ns) < until || atomic_load(&absences) == 0) {
        (void)poll(NULL, 0, 1);
    }
    store_close(r->keeper);
    r->keeper = NULL;
}

static void note_absence(struct rig *r, const struct run_progress *p)
{
    assert_true(!p->opening || (!p->store.ok && p->store.error[0] && p->newest == INT64_MIN));
    (void)r;
    atomic_fetch_add(&absences, p->opening);
}

static void test_waits_for_the_store(void **state)
{
    (void)state;
    struct rig r;
    struct buf load;
    buf_init(&load, RIG_TEXT_MAX);
    int64_t n = put_load(&load, 0, 600);
    rig_init(&r, "sqlite");
    rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
    r.config.retry_ns = NS_PER_MS;
    r.keeper = rig_open(&r, STORE_WRITE);
    assert_int_equal(rig_run(&r), -EBUSY); // who is not told to does not wait
    r.config.wait_for_store = true;
    rig_stop(&r); // nor does it when there is nothing to do any more
    assert_int_equal(rig_run(&r), 0);
    assert_i64((int64_t)r.progress.records, 0);
    rig_unstop(&r);
    r.on_progress = note_absence;
    rig_help(&r, let_go);
    rig_must_run(&r);
    assert_false(r.progress.opening);
    assert_i64((int64_t)r.progress.records, n);
    buf_done(&load);
    rig_done(&r);
}

int main(void)
{
    return TEST_RUN(TEST(test_to_the_end), TEST(test_several_inputs), TEST(test_made_up_inputs),
                    TEST(test_stop_and_go_on), TEST(test_in_shards), TEST(test_a_pipe_in_every_run),
                    TEST(test_the_first_record_at_once), TEST(test_states_of_a_trickle_lag),
                    TEST(test_a_silent_input_holds_nobody_up),
                    TEST(test_a_stop_stores_what_was_read), TEST(test_waits_for_the_store));
}
