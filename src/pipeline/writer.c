#include "pipeline/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "pipeline/source.h"

enum { GROUP_MAX = 16, EXPIRE_ROWS = 20000 };

struct writer {
    struct store *store;
    struct queue *queue, *done;
    int64_t retain_ns[4];
    pthread_t thread;
    bool failed; // nothing is committed after a failure: what follows would leave a gap
    struct error err;

    // One commit's worth, put together from its parcels.
    struct store_record *records;
    size_t n_records, cap_records;
    struct dead_letter *dead;
    size_t n_dead, cap_dead;
    struct input_position positions[GROUP_MAX];
    size_t n_positions;
    struct window_rows *windows;
    size_t cap_windows;
    struct outbox outbox;
};

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
    for (size_t i = 0; i < p->batch.n_records; i++) {
        ARRAY_RESERVE(w->records, w->n_records, w->cap_records);
        w->records[w->n_records++] = p->entries[i];
    }
    for (size_t i = 0; i < p->batch.n_dead; i++) {
        ARRAY_RESERVE(w->dead, w->n_dead, w->cap_dead);
        w->dead[w->n_dead++] = p->batch.dead[i];
    }
    if (p->source && p->batch.n_records + p->batch.n_dead > 0) {
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

static int commit(struct writer *w, struct parcel *const *parcels, size_t n)
{
    w->n_records = w->n_dead = w->n_positions = 0;
    outbox_clear(&w->outbox);
    for (size_t i = 0; i < n; i++) {
        add_parcel(w, parcels[i]);
    }
    if (w->cap_windows < w->outbox.n_windows) {
        w->cap_windows = w->outbox.n_windows + w->outbox.n_windows / 2;
        w->windows = x_realloc_array(w->windows, w->cap_windows, sizeof(w->windows[0]));
    }
    struct store_write write = {
        .records = w->records,
        .n_records = w->n_records,
        .dead_letters = w->dead,
        .n_dead_letters = w->n_dead,
        .positions = w->positions,
        .n_positions = w->n_positions,
    };
    outbox_fill(&w->outbox, w->windows, &write);
    if (write.n_records + write.n_dead_letters + write.n_windows + write.n_costs + write.n_shards ==
        0) {
        return 0;
    }
    int r = store_commit(w->store, &write, &w->err);
    if (r == 0) {
        hand_verdicts_back(w, parcels, n);
    }
    return r;
}

static int expire(struct writer *w, int64_t newest, int64_t now)
{
    for (size_t c = 0; c < ARRAY_LEN(w->retain_ns); c++) {
        if (w->retain_ns[c] <= 0) {
            continue;
        }
        int64_t before = (c == STORE_DEAD_LETTERS ? now : newest) - w->retain_ns[c];
        size_t removed = EXPIRE_ROWS;
        while (removed == EXPIRE_ROWS) {
            int r = store_expire(w->store, (enum store_collection)c, before, EXPIRE_ROWS, &removed,
                                 &w->err);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static int serve_wishes(struct writer *w, struct parcel *p)
{
    if (p->expire_newest != INT64_MIN) {
        int r = expire(w, p->expire_newest, p->expire_now);
        if (r < 0) {
            return r;
        }
    }
    if (!p->reload_prices) {
        return 0;
    }
    arena_reset(&p->price_arena);
    return store_prices(w->store, &p->price_arena, &p->prices, &w->err);
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
        if (queue_push(w->done, parcels[i]) < 0) {
            parcel_free(parcels[i]->source ? NULL : parcels[i]);
        }
    }
}

static void *writer_main(void *ctx)
{
    struct writer *w = ctx;
    struct parcel *parcels[GROUP_MAX];
    while ((parcels[0] = queue_pop(w->queue, -1))) {
        size_t n = 1;
        while (n < GROUP_MAX && (parcels[n] = queue_pop(w->queue, 0))) {
            n++;
        }
        serve(w, parcels, n);
    }
    return NULL;
}

int writer_start(struct store *store, struct queue *done, const int64_t retain_ns[4],
                 struct writer **ret, struct queue **ret_queue, struct error *err)
{
    struct writer *w = x_zalloc(sizeof(*w));
    w->store = store;
    w->done = done;
    memcpy(w->retain_ns, retain_ns, sizeof(w->retain_ns));
    w->queue = queue_new(1024);
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
    free(w->records);
    free(w->dead);
    free(w->windows);
    free(w);
}
