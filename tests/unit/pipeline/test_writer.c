// What goes into one commit, in which order, and what becomes of what waits behind one that fails.
// The store is one that looks into every commit and keeps nothing but counts. What it is given it
// holds up, where a test says so, until all that the test has is in the writer's queue: so what
// could go together does not depend on who is quicker.
#include "pipeline/writer.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "input/random.h"
#include "output/store_impl.h"
#include "rig.h"

// Of one commit. No parcel is cut, and the last one taken may be of any size.
enum { PARCELS_MAX = 16, LOAD_MAX = 16384 };
enum { MANY = 200, COMMITS_MAX = 2 * MANY, KNOWN_EVERY = 7, WINDOW_ROWS = 100 };

struct seen { // in one commit
    size_t parcels, load;
};

struct keeper {
    struct store base;
    atomic_bool shut;           // the next commit waits until it is opened
    struct queue *until_closed; // or, if it is there, until this is closed
    atomic_bool reached;
    int fail_at, fail_times, error; // the commit that fails (from 1), so often
    int calls;
    int64_t letters, records, costs, rows; // so many were stored: numbers of the last ones
    struct seen seen[COMMITS_MAX];
    size_t n;
    atomic_bool disorder;
};

// One parcel has one dead letter, so that parcels can be counted.
static size_t look_at_all(struct keeper *k, const struct store_write *w)
{
    bool right = true;
    size_t rows = 0;
    for (size_t i = 0; i < w->n_dead_letters; i++) {
        right &= w->dead_letters[i].position == k->letters + (int64_t)i + 1;
    }
    for (size_t i = 0; i < w->n_records; i++) {
        const struct record *r = w->records[i].record;
        right &= r->position == k->records + (int64_t)i + 1;
        w->records[i].verdict = r->position % KNOWN_EVERY == 0 ? STORE_DUPLICATE : STORE_NEW;
    }
    for (size_t i = 0; i < w->n_costs; i++) {
        right &= w->costs[i].seq == k->costs + (int64_t)i + 1;
    }
    for (size_t i = 0; i < w->n_windows; i++) {
        for (size_t j = 0; j < w->windows[i].n; j++) {
            right &= w->windows[i].rows[j].cost_nusd == k->rows + (int64_t)++rows;
        }
    }
    atomic_store(&k->disorder, atomic_load(&k->disorder) || !right);
    return rows;
}

static void stand(struct keeper *k)
{
    atomic_store(&k->reached, true);
    while (k->until_closed ? !queue_closed(k->until_closed) : atomic_load(&k->shut)) {
        (void)poll(NULL, 0, 1);
    }
}

static int keeper_commit(struct store *s, struct store_write *w, struct error *err)
{
    struct keeper *k = (struct keeper *)s;
    k->calls++;
    stand(k);
    size_t rows = look_at_all(k, w);
    if (k->fail_at == (int)k->n + 1 && k->fail_times > 0) {
        k->fail_times--;
        return error_set(err, k->error, "told to fail");
    }
    k->letters += (int64_t)w->n_dead_letters;
    k->records += (int64_t)w->n_records;
    k->costs += (int64_t)w->n_costs;
    k->rows += (int64_t)rows;
    if (k->n < COMMITS_MAX) {
        k->seen[k->n++] = (struct seen){w->n_dead_letters, w->n_records + w->n_costs + rows};
    }
    return 0;
}

static const struct store_ops keeper_ops = {.scheme = "keeper", .commit = keeper_commit};

static int never_taken(struct store *s, uint32_t shard, enum shard_claim claim,
                       struct shard_hold *ret, struct error *err)
{
    (void)s, (void)shard, (void)claim, (void)ret, (void)err;
    fail();
    return -1;
}

static int is_alive(struct store *s, struct error *err)
{
    (void)s, (void)err;
    return 0;
}

// Of many processes.
static const struct store_ops shared_ops = {
    .scheme = "shared", .commit = keeper_commit, .take_shard = never_taken, .alive = is_alive};

struct bench {
    struct keeper store;
    struct run_config config;
    struct patience patience;
    struct gauges gauges;
    struct queue *done, *queue;
    struct writer *writer;
    struct parcel *parcels[MANY];
    size_t loads[MANY];
    size_t n;
    int64_t records, costs, rows; // so many are in the parcels
};

static void bench_open(struct bench *b, const struct store_ops *ops)
{
    *b = (struct bench){.store = {.base = {.ops = ops, .access = STORE_WRITE}}};
    b->store.base.name = x_strdup("keeper");
    b->config.env = (struct input_env){.clock = &clock_system, .stop_fd = -1};
    b->config.retry_ns = b->config.retry_max_ns = NS_PER_MS;
    patience_init(&b->patience, &b->config);
    gauges_init(&b->gauges);
    b->done = queue_new(MANY);
    struct writer_config c = {&b->store.base, b->done, &b->config, &b->patience, &b->gauges};
    struct error err;
    assert_ok(writer_start(&c, &b->writer, &b->queue, &err), &err);
}

static void bench_init(struct bench *b)
{
    bench_open(b, &keeper_ops);
}

static void bench_stop(struct bench *b)
{
    writer_stop(TAKE_PTR(b->writer));
}

static void bench_done(struct bench *b)
{
    bench_stop(b);
    queue_free(b->done);
    patience_done(&b->patience);
    free(b->store.base.name);
}

// ---- parcels -------------------------------------------------------------------------------

static void add_records(struct bench *b, struct parcel *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct record *r = batch_add(&p->batch);
        char id[24];
        int len = snprintf(id, sizeof(id), "r%d", (int)++b->records);
        r->position = b->records;
        r->sample.ts = r->position;
        r->event_id = arena_copy(&p->batch.arena, (struct str){id, (size_t)len});
    }
}

static void add_rows(struct bench *b, struct parcel *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i % WINDOW_ROWS == 0) {
            outbox_add_window(&p->outbox, b->rows, b->rows + WINDOW_ROWS);
        }
        const struct window_row row = {.window_start = b->rows, .cost_nusd = ++b->rows};
        outbox_add_row(&p->outbox, &row);
    }
}

static void add_costs(struct bench *b, struct parcel *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct usage_cost cost = {.seq = ++b->costs};
        outbox_add_cost(&p->outbox, &cost);
    }
}

static void put(struct bench *b, size_t records, size_t costs, size_t rows)
{
    struct parcel *p = parcel_new(NULL);
    assert_true(b->n < MANY);
    batch_add_dead(&p->batch)->position = (int64_t)b->n + 1;
    add_records(b, p, records);
    add_costs(b, p, costs);
    add_rows(b, p, rows);
    parcel_make_entries(p);
    b->loads[b->n] = records + costs + rows;
    b->parcels[b->n++] = p;
    assert_int_equal(queue_push(b->queue, p), 0);
}

// The writer stands in a commit of one parcel, and all that is put from now on waits.
static void hold_up(struct bench *b)
{
    atomic_store(&b->store.shut, true);
    atomic_store(&b->store.reached, false);
    put(b, 1, 0, 0);
    wait_until(atomic_load(&b->store.reached));
}

static void let_go(struct bench *b)
{
    atomic_store(&b->store.shut, false);
}

static void check_parcel(const struct parcel *p, int result)
{
    assert_true(p->stored);
    assert_int_equal(p->result, result);
    assert_int_equal(result < 0 ? p->err.code : 0, result);
    for (size_t i = 0; i < p->batch.n_records && result == 0; i++) {
        bool known = p->batch.records[i].position % KNOWN_EVERY == 0;
        assert_int_equal(p->entries[i].verdict, known ? STORE_DUPLICATE : STORE_NEW);
    }
}

// All come back in their order: the first so many well, the others with this error.
static void take_back(struct bench *b, size_t well, int error)
{
    for (size_t i = 0; i < b->n; i++) {
        struct parcel *p = queue_pop(b->done, TEST_PATIENCE_MS * NS_PER_MS);
        assert_ptr_equal(p, b->parcels[i]);
        check_parcel(p, i < well ? 0 : error);
        parcel_free(p);
    }
}

// ---- how much ------------------------------------------------------------------------------

// Each commit ended where it had to: at the bound, and not before it.
static void check_commits(const struct bench *b)
{
    const struct keeper *k = &b->store;
    size_t at = 0;
    for (size_t i = 0; i < k->n; i++) {
        size_t load = 0, last = 0;
        for (size_t j = 0; j < k->seen[i].parcels; j++) {
            last = b->loads[at++];
            load += last;
        }
        assert_int_equal(k->seen[i].load, load);
        assert_true(k->seen[i].parcels <= PARCELS_MAX);
        assert_true(load - last < LOAD_MAX);
        assert_true(i == 0 || at == b->n || load >= LOAD_MAX || k->seen[i].parcels == PARCELS_MAX);
    }
    assert_int_equal(at, b->n);
}

static void check_all(struct bench *b)
{
    take_back(b, b->n, 0);
    bench_stop(b);
    assert_false(atomic_load(&b->store.disorder));
    assert_i64(b->store.letters, (int64_t)b->n);
    assert_i64(b->store.records, b->records);
    assert_i64(b->store.costs, b->costs);
    assert_i64(b->store.rows, b->rows);
    check_commits(b);
}

// A quarter of a million at once, of all mixtures.
static void test_a_commit_is_bounded(void **state)
{
    (void)state;
    struct bench b;
    struct random random;
    random_init(&random, 5);
    bench_init(&b);
    hold_up(&b);
    while (b.n < MANY) {
        size_t large = random_below(&random, 4) == 0 ? 6000 : 60;
        put(&b, random_below(&random, BATCH_RECORDS), random_below(&random, large),
            random_below(&random, large));
    }
    let_go(&b);
    check_all(&b);
    assert_true(b.records + b.costs + b.rows > 10 * LOAD_MAX);
    bench_done(&b);
}

// A parcel that is above the bound by itself: what stood before it goes with it, what comes behind
// waits.
static void test_one_above_the_bound(void **state)
{
    (void)state;
    static const struct {
        size_t loads[3][4]; // records, costs, rows, times
        size_t commits[6];  // parcels of each
    } rows[] = {
        {{{0, 40000, 0, 1}, {100, 0, 0, 3}}, {1, 1, 3}},
        {{{0, 0, 40000, 1}, {100, 0, 0, 3}}, {1, 1, 3}},
        {{{20000, 0, 0, 1}, {0, 20000, 0, 1}, {0, 0, 20000, 1}}, {1, 1, 1, 1}},
        {{{100, 0, 0, 3}, {0, 40000, 0, 1}, {100, 0, 0, 2}}, {1, 4, 2}},
        {{{0, LOAD_MAX - 1, 0, 1}, {1, 0, 0, 3}}, {1, 2, 2}},
        {{{0, 0, LOAD_MAX, 1}, {1, 0, 0, 3}}, {1, 1, 3}},
        {{{5000, 6000, 5383, 1}, {2048, 0, 0, 9}}, {1, 2, 8}},
        {{{1, 0, 0, 40}}, {1, 16, 16, 8}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bench b;
        bench_init(&b);
        hold_up(&b);
        for (size_t j = 0; j < ARRAY_LEN(rows[i].loads); j++) {
            const size_t *load = rows[i].loads[j];
            for (size_t n = 0; n < load[3]; n++) {
                put(&b, load[0], load[1], load[2]);
            }
        }
        let_go(&b);
        check_all(&b);
        for (size_t j = 0; j < ARRAY_LEN(rows[i].commits); j++) {
            size_t got = j < b.store.n ? b.store.seen[j].parcels : 0;
            if (got != rows[i].commits[j]) {
                fail_at(__FILE__, __LINE__, "row %zu, commit %zu: %zu parcels\n", i, j, got);
            }
        }
        bench_done(&b);
    }
}

// A server works while the input's other parcels are filled.
static void test_half_to_a_server(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, &shared_ops);
    hold_up(&b);
    for (int i = 0; i < 10; i++) {
        put(&b, BATCH_RECORDS, 0, 0);
    }
    let_go(&b);
    take_back(&b, b.n, 0);
    bench_stop(&b);
    static const size_t parcels[] = {1, 4, 4, 2};
    assert_int_equal(b.store.n, ARRAY_LEN(parcels));
    for (size_t i = 0; i < ARRAY_LEN(parcels); i++) {
        assert_int_equal(b.store.seen[i].parcels, parcels[i]);
    }
    bench_done(&b);
}

// Rows of open windows that came twice go once, as they were last, whichever parcel brought them.
static void test_open_windows_go_once(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    hold_up(&b);
    for (int i = 0; i < 3; i++) {
        struct parcel *p = parcel_new(NULL);
        batch_add_dead(&p->batch)->position = (int64_t)b.n + 1;
        outbox_add_window(&p->outbox, 60, 120);
        const struct window_row row = {.window_start = 60, .cost_nusd = i - 1};
        outbox_add_row(&p->outbox, &row);
        p->outbox.preview_rows = 1;
        b.loads[b.n] = 1;
        b.parcels[b.n++] = p;
        assert_int_equal(queue_push(b.queue, p), 0);
    }
    let_go(&b);
    take_back(&b, b.n, 0);
    bench_stop(&b);
    assert_int_equal(b.store.n, 2);
    assert_int_equal(b.store.seen[1].parcels, 3);
    assert_i64(b.store.rows, 1);
    assert_false(atomic_load(&b.store.disorder)); // and it was the last: its cost is 1
    bench_done(&b);
}

// ---- what fails ----------------------------------------------------------------------------

static void put_some(struct bench *b)
{
    for (int i = 0; i < 50; i++) {
        put(b, 2000, 100, 100);
    }
}

// A commit that fails for now is sent again as it was, before anything that came behind it.
static void test_again(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.store.fail_at = 3;
    b.store.fail_times = 4;
    b.store.error = -ETIMEDOUT;
    hold_up(&b);
    put_some(&b);
    let_go(&b);
    check_all(&b);
    assert_int_equal(b.store.calls, b.store.n + 4);
    struct run_store told;
    patience_state(&b.patience, &told);
    assert_true(told.ok);
    assert_i64((int64_t)told.retries, 4);
    bench_done(&b);
}

// Behind one that fails for good nothing is committed: it would leave a gap. Everything comes back,
// saying so.
static void test_for_good(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.store.fail_at = 3;
    b.store.fail_times = 1;
    b.store.error = -ENOSPC;
    hold_up(&b);
    put_some(&b);
    let_go(&b);
    take_back(&b, 1 + (LOAD_MAX - 1) / 2200 + 1, -ENOSPC);
    b.n = 0;
    put(&b, 1, 1, 1); // not what comes later, either
    take_back(&b, 0, -ENOSPC);
    bench_stop(&b);
    assert_int_equal(b.store.calls, 3);
    assert_int_equal(b.store.n, 2);
    bench_done(&b);
}

// Told to end in the middle of a commit, it commits what is queued behind it first.
static void test_stopped_in_a_commit(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.store.until_closed = b.queue;
    hold_up(&b);
    put_some(&b);
    bench_stop(&b);
    check_all(&b);
    assert_true(b.store.n > 3);
    bench_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_a_commit_is_bounded), TEST(test_one_above_the_bound),
                    TEST(test_half_to_a_server), TEST(test_open_windows_go_once), TEST(test_again),
                    TEST(test_for_good), TEST(test_stopped_in_a_commit));
}
