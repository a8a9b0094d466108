#include "pipeline/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time.h"
#include "output/refusal.h"
#include "pipeline/source.h"

enum { GROUP_MAX = 16, GROUP_LOAD = 16384, EXPIRE_ROWS = 20000 };
// Of a commit to a server: a quarter of what an input has parcels for, so that others are filled,
// and taken in by the engines, while it works. A database on this machine takes the more at once
// the better.
enum { SERVER_LOAD = SOURCE_PARCELS * BATCH_RECORDS / 4 };
#define LOOK_NS (20 * NS_PER_S)       // how often it looks up while there is nothing to do
#define ALIVE_EVERY_NS (2 * NS_PER_S) // see store_alive()
#define ALIVE_LOOK_NS (500 * NS_PER_MS)
#define STILL_MAX_NS (60 * NS_PER_S) // without moving, when it is not in the store
#define CALL_MAX_NS (600 * NS_PER_S) // for one call of the store

struct writer {
    struct writer_config c;
    struct queue *queue;
    pthread_t thread;
    bool failed; // nothing is committed after a failure: what follows would leave a gap
    struct error err;
    struct attempts attempts;
    struct mono alive;
    struct mono since;        // of the stage it is in
    _Atomic int64_t moved_at; // real time, monotonic
    atomic_bool calling;      // the store

    // One commit's worth, put together from its parcels.
    struct store_record *records;
    size_t n_records, cap_records;
    struct dead_letter *dead;
    size_t n_dead, cap_dead;
    struct input_position positions[GROUP_MAX];
    size_t n_positions;
    struct window_rows *windows;
    size_t cap_windows;
    bool *lost;
    size_t cap_lost;
    struct outbox outbox;
    struct buf *payloads; // of the letters of refused records
    size_t n_payloads, cap_payloads;
};

static void move(struct writer *w, bool calling)
{
    atomic_store(&w->calling, calling);
    atomic_store(&w->moved_at, gauges_now().ns);
}

bool writer_moves(const struct writer *w)
{
    int64_t still = gauges_now().ns - atomic_load(&w->moved_at);
    return still < (atomic_load(&w->calling) ? CALL_MAX_NS : STILL_MAX_NS);
}

static void while_waiting(void *ctx)
{
    move(ctx, false);
}

// After a failure: whether to try again. *since is the stage that failed.
static bool again(struct writer *w, enum stage stage)
{
    gauges_spent(w->c.gauges, stage, &w->since);
    bool yes = patience_again(w->c.patience, &w->attempts, &w->err, while_waiting, w);
    gauges_spent(w->c.gauges, STAGE_RETRY, &w->since);
    return yes;
}

static void well(struct writer *w)
{
    patience_well(w->c.patience, &w->attempts);
}

static void add_position(struct writer *w, const struct parcel *p)
{
    const struct input_info *info = input_info(p->source->input);
    w->positions[w->n_positions++] = (struct input_position){
        .input = str_of(info->name),
        .records = p->batch.position,
        .offset = p->batch.offset,
        .fingerprint = info->fingerprint,
    };
}

static void add_parcel(struct writer *w, struct parcel *p)
{
    const struct input_info *info = p->source ? input_info(p->source->input) : NULL;
    bool counted = info && !info->keeps_position; // the store keeps how far it was read
    for (size_t i = 0; i < p->batch.n_records; i++) {
        ARRAY_RESERVE(w->records, w->n_records, w->cap_records);
        w->records[w->n_records] = p->entries[i];
        w->records[w->n_records++].origin = counted ? str_of(info->name) : STR_NONE;
    }
    for (size_t i = 0; i < p->batch.n_dead; i++) {
        ARRAY_RESERVE(w->dead, w->n_dead, w->cap_dead);
        w->dead[w->n_dead++] = p->batch.dead[i];
    }
    if (counted && p->batch.n_records + p->batch.n_dead > 0) {
        add_position(w, p);
    }
    outbox_append(&w->outbox, &p->outbox);
}

static void hand_verdicts_back(const struct writer *w, struct parcel *const *parcels, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < parcels[i]->batch.n_records; j++) {
            parcels[i]->entries[j].verdict = w->records[at++].verdict;
        }
    }
}

// ---- dead letters --------------------------------------------------------------------------

// The letter that the store wrote of a record that it did not take.
static void add_refusal(struct writer *w, const struct store_record *sr)
{
    if (!verdict_refuses(sr->verdict)) {
        return;
    }
    ARRAY_RESERVE(w->payloads, w->n_payloads, w->cap_payloads);
    ARRAY_RESERVE(w->dead, w->n_dead, w->cap_dead);
    w->dead[w->n_dead++] =
        refusal_letter(sr, clock_wall(w->c.run->env.clock), &w->payloads[w->n_payloads++]);
}

static void drop_payloads(struct writer *w)
{
    while (w->n_payloads > 0) {
        buf_done(&w->payloads[--w->n_payloads]);
    }
}

// Refused records come back with the commit, so their letters follow those that went into it.
static int publish(struct writer *w, struct parcel *const *parcels, size_t n)
{
    const struct run_config *c = w->c.run;
    size_t at = 0;
    int r = 0;
    if (!c->letters.publish) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < parcels[i]->batch.n_records; j++) {
            add_refusal(w, &w->records[at++]);
        }
    }
    while (w->n_dead > 0) {
        move(w, true);
        r = c->letters.publish(c->letters.ctx, w->dead, w->n_dead, &w->err);
        move(w, false);
        if (r == 0 || !again(w, STAGE_LETTERS)) {
            break;
        }
    }
    if (r == 0 && w->n_dead > 0) {
        well(w);
        gauges_spent(w->c.gauges, STAGE_LETTERS, &w->since);
    }
    drop_payloads(w);
    return r;
}

// ---- one commit ----------------------------------------------------------------------------

static void gather(struct writer *w, struct parcel *const *parcels, size_t n,
                   struct store_write *ret)
{
    w->n_records = w->n_dead = w->n_positions = 0;
    outbox_clear(&w->outbox);
    for (size_t i = 0; i < n; i++) {
        add_parcel(w, parcels[i]);
    }
    if (w->outbox.preview_rows > 0) {
        outbox_drop_superseded(&w->outbox);
    }
    if (w->cap_windows < w->outbox.n_windows) {
        w->cap_windows = w->outbox.n_windows + w->outbox.n_windows / 2;
        w->windows = x_realloc_array(w->windows, w->cap_windows, sizeof(w->windows[0]));
    }
    if (w->cap_lost < w->outbox.n_shards) {
        w->cap_lost = w->outbox.n_shards;
        w->lost = x_realloc_array(w->lost, w->cap_lost, sizeof(w->lost[0]));
    }
    *ret = (struct store_write){
        .records = w->records,
        .n_records = w->n_records,
        .dead_letters = w->dead,
        .n_dead_letters = w->n_dead,
        .positions = w->positions,
        .n_positions = w->n_positions,
        .lost = w->lost,
    };
    outbox_fill(&w->outbox, w->windows, ret);
}

// Who owns what is not ours any more is told once, by the first parcel of the commit.
static void note_lost(const struct writer *w, const struct store_write *write, struct parcel *p)
{
    for (size_t i = 0; i < write->n_shards; i++) {
        if (w->lost[i]) {
            ARRAY_RESERVE(p->lost, p->n_lost, p->cap_lost);
            p->lost[p->n_lost++] = write->shards[i].shard;
        }
    }
}

// What of the commit's time the rows of open windows took, by their share in all that was written.
static int64_t preview_part(const struct writer *w, const struct store_write *write, int64_t took)
{
    size_t all = write->n_records + write->n_costs + w->outbox.n_rows;
    return all == 0 ? 0 : (int64_t)((double)took * (double)w->outbox.preview_rows / (double)all);
}

static int commit_trying(struct writer *w, struct store_write *write)
{
    for (;;) {
        for (size_t i = 0; i < write->n_shards; i++) {
            w->lost[i] = false;
        }
        move(w, true);
        int r = store_commit(w->c.store, write, &w->err);
        move(w, false);
        if (r == 0 || !again(w, STAGE_COMMIT)) {
            return r;
        }
    }
}

static int commit(struct writer *w, struct parcel *const *parcels, size_t n)
{
    struct store_write write;
    gather(w, parcels, n, &write);
    if (write.n_records + write.n_dead_letters + write.n_windows + write.n_costs + write.n_shards ==
        0) {
        return 0;
    }
    struct mono begin = w->since;
    int r = commit_trying(w, &write);
    if (r < 0) {
        return r;
    }
    well(w);
    gauges_spent(w->c.gauges, STAGE_COMMIT, &w->since);
    int64_t took = w->since.ns - begin.ns;
    histogram_add(&w->c.gauges->commit_seconds, (double)took / (double)NS_PER_S);
    histogram_add(&w->c.gauges->commit_records, (double)write.n_records);
    hand_verdicts_back(w, parcels, n);
    note_lost(w, &write, parcels[0]);
    parcels[0]->preview_took = preview_part(w, &write, took);
    return publish(w, parcels, n);
}

// ---- what else is to be done ---------------------------------------------------------------

static int expire_trying(struct writer *w, enum store_collection c, int64_t before,
                         size_t *ret_removed)
{
    int r;
    do {
        move(w, true);
        r = store_expire(w->c.store, c, before, EXPIRE_ROWS, ret_removed, &w->err);
        move(w, false);
    } while (r < 0 && again(w, STAGE_UPKEEP));
    return r;
}

static int expire(struct writer *w, int64_t newest, int64_t now)
{
    const int64_t *retain_ns = w->c.run->retain_ns;
    for (size_t c = 0; c < ARRAY_LEN(w->c.run->retain_ns); c++) {
        if (retain_ns[c] <= 0) {
            continue;
        }
        int64_t before = (c == STORE_DEAD_LETTERS ? now : newest) - retain_ns[c];
        size_t removed = EXPIRE_ROWS;
        while (removed == EXPIRE_ROWS) {
            int r = expire_trying(w, (enum store_collection)c, before, &removed);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static int serve_wishes(struct writer *w, struct parcel *p)
{
    int r = 0;
    if (p->expire_newest != INT64_MIN) {
        r = expire(w, p->expire_newest, p->expire_now);
    }
    while (r == 0 && p->reload_prices) {
        arena_reset(&p->price_arena);
        move(w, true);
        int read = store_prices(w->c.store, &p->price_arena, &p->prices, &w->err);
        move(w, false);
        if (read == 0) {
            well(w);
            break;
        }
        r = again(w, STAGE_UPKEEP) ? 0 : read;
    }
    gauges_spent(w->c.gauges, STAGE_UPKEEP, &w->since);
    return r;
}

// Others may wait for shards of ours until we are known to be gone. The meter says it itself while
// it uses the store.
static void keep_alive(struct writer *w)
{
    struct mono now = clock_mono(w->c.run->env.clock);
    move(w, false);
    if (w->failed) {
        return; // to say so would take long where the store is away, and those who stop us wait
    }
    if (!store_is_shared(w->c.store) || now.ns - w->alive.ns < ALIVE_EVERY_NS ||
        pthread_mutex_trylock(&w->c.patience->use) != 0) {
        return;
    }
    struct error err;
    w->alive = now;
    move(w, true);
    int r = store_alive(w->c.store, &err);
    move(w, false);
    pthread_mutex_unlock(&w->c.patience->use);
    patience_note(w->c.patience, r < 0 ? &err : NULL);
}

static void serve(struct writer *w, struct parcel *const *parcels, size_t n)
{
    int r = w->failed ? w->err.code : commit(w, parcels, n);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = serve_wishes(w, parcels[i]);
    }
    w->failed |= r < 0;
    for (size_t i = 0; i < n; i++) {
        parcels[i]->stored = true;
        if (r < 0) {
            parcels[i]->err = w->err;
            parcels[i]->err.code = r;
        }
        parcels[i]->result = r < 0 ? r : parcels[i]->result;
        parcels[i]->calm &= r == 0 && parcels[i]->n_lost == 0;
        if (parcel_push(w->c.done, parcels[i]) < 0) {
            parcel_free(parcels[i]->source ? NULL : parcels[i]);
        }
    }
}

// NULL: that was all.
static struct parcel *next_parcel(struct writer *w)
{
    int64_t look = store_is_shared(w->c.store) ? ALIVE_LOOK_NS : LOOK_NS;
    for (;;) {
        bool closed = queue_closed(w->queue);
        struct parcel *p = queue_pop(w->queue, look);
        keep_alive(w);
        if (p || closed) {
            return p;
        }
    }
}

static size_t load_of(const struct parcel *p)
{
    return p->batch.n_records + p->outbox.n_costs + p->outbox.n_rows;
}

// What lies in the queue, up to a bound: what comes next waits for all of it.
static size_t group(struct writer *w, struct parcel **parcels)
{
    size_t n = 1, load = load_of(parcels[0]);
    size_t most = store_is_shared(w->c.store) ? SERVER_LOAD : GROUP_LOAD;
    while (n < GROUP_MAX && load < most && (parcels[n] = queue_pop(w->queue, 0))) {
        load += load_of(parcels[n++]);
    }
    return n;
}

static void *writer_main(void *ctx)
{
    struct writer *w = ctx;
    struct parcel *parcels[GROUP_MAX];
    while ((parcels[0] = next_parcel(w))) {
        size_t n = group(w, parcels);
        gauges_spent(w->c.gauges, STAGE_IDLE, &w->since);
        serve(w, parcels, n);
    }
    return NULL;
}

int writer_start(const struct writer_config *c, struct writer **ret, struct queue **ret_queue,
                 struct error *err)
{
    struct writer *w = x_zalloc(sizeof(*w));
    w->c = *c;
    w->queue = queue_new(1024);
    w->since = gauges_now();
    w->alive = clock_mono(c->run->env.clock);
    attempts_init(&w->attempts, (uint64_t)w->since.ns);
    move(w, false);
    int r = pthread_create(&w->thread, NULL, writer_main, w);
    if (r != 0) {
        queue_free(w->queue);
        free(w);
        return error_set(err, -r, "cannot start the writer's thread");
    }
    *ret = w;
    *ret_queue = w->queue;
    return 0;
}

void writer_stop(struct writer *w)
{
    if (!w) {
        return;
    }
    queue_close(w->queue);
    pthread_join(w->thread, NULL);
    queue_free(w->queue);
    outbox_done(&w->outbox);
    drop_payloads(w);
    free(w->payloads);
    free(w->records);
    free(w->dead);
    free(w->windows);
    free(w->lost);
    free(w);
}
