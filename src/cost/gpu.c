#include "cost/gpu.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/sort.h"
#include "cost/ranges.h"

static bool sample_less(const struct sample *a, const struct sample *b)
{
    return a->ts != b->ts ? a->ts < b->ts : short_id_cmp(a->id, b->id) < 0;
}

static bool use_less(const struct use *a, const struct use *b)
{
    return a->start != b->start ? a->start < b->start
                                : short_id_cmp(a->request->id, b->request->id) < 0;
}

DEFINE_SORT(sort_samples, struct sample, sample_less);
DEFINE_SORT(sort_uses, struct use, use_less);

enum { ROOM_FIRST = 16 };

// Room for one more element, as ARRAY_RESERVE, but growing by a quarter: thousands of GPUs hold
// about the same from window to window, and what each has to spare adds up.
#define RESERVE(a, n, cap)                                                                         \
    do {                                                                                           \
        if ((n) >= (cap)) {                                                                        \
            (cap) += (cap) / 4 + ROOM_FIRST;                                                       \
            (a) = x_realloc_array((a), (cap), sizeof((a)[0]));                                     \
        }                                                                                          \
    } while (0)

// Gives back what a burst has left behind: more than half of the room.
#define RETURN_ROOM(a, n, cap)                                                                     \
    do {                                                                                           \
        if ((n) + ROOM_FIRST < (cap) / 2) {                                                        \
            (cap) = (n) + (n) / 4 + ROOM_FIRST;                                                    \
            (a) = x_realloc_array((a), (cap), sizeof((a)[0]));                                     \
        }                                                                                          \
    } while (0)

void request_free(struct request *r)
{
    if (r) {
        short_id_done(r->id);
        free(r);
    }
}

void gpu_done(struct gpu *g)
{
    for (size_t i = 0; i < g->n_samples; i++) {
        short_id_done(g->samples[i].id);
    }
    free(g->samples);
    free(g->uses);
    free(g->busy);
    free(g->pieces);
    free(g->running);
    *g = (struct gpu){0};
}

void gpu_add_sample(struct gpu *g, const struct sample *s)
{
    RESERVE(g->samples, g->n_samples, g->cap_samples);
    bool in_order = g->sorted_samples == g->n_samples &&
                    (g->n_samples == 0 || g->samples[g->n_samples - 1].ts < s->ts);
    g->samples[g->n_samples++] = *s;
    g->sorted_samples += in_order;
}

void gpu_add_use(struct gpu *g, struct use u)
{
    RESERVE(g->uses, g->n_uses, g->cap_uses);
    bool in_order = g->sorted_uses == g->n_uses &&
                    (g->n_uses == g->head_uses || g->uses[g->n_uses - 1].start < u.start);
    g->uses[g->n_uses++] = u;
    g->sorted_uses += in_order;
}

void gpu_add_busy(struct gpu *g, int64_t from, int64_t to)
{
    struct ranges busy = {g->busy, g->n_busy, g->cap_busy};
    ranges_add(&busy, from, to);
    g->busy = busy.v;
    g->n_busy = busy.n;
    g->cap_busy = busy.cap;
}

// Of samples at one instant the first in order counts; the others go.
static void drop_simultaneous(struct gpu *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->n_samples; i++) {
        if (kept > 0 && g->samples[kept - 1].ts == g->samples[i].ts) {
            short_id_done(g->samples[i].id);
        } else {
            g->samples[kept++] = g->samples[i];
        }
    }
    g->n_samples = kept;
}

static void settle_samples(struct gpu *g)
{
    size_t tail = g->n_samples - g->sorted_samples;
    if (tail == 0) {
        return;
    }
    AUTO_FREE struct sample *scratch = x_realloc_array(NULL, g->n_samples, sizeof(*scratch));
    sort_samples(&g->samples[g->sorted_samples], tail, scratch);
    sort_samples_merge(g->samples, g->sorted_samples, g->n_samples, scratch);
    drop_simultaneous(g);
    g->sorted_samples = g->n_samples;
}

static void settle_uses(struct gpu *g)
{
    size_t tail = g->n_uses - g->sorted_uses;
    if (tail == 0) {
        return;
    }
    AUTO_FREE struct use *scratch = x_realloc_array(NULL, g->n_uses, sizeof(*scratch));
    sort_uses(&g->uses[g->sorted_uses], tail, scratch);
    // Only the end of the sorted part can be behind the tail's beginning.
    size_t first = g->sorted_uses;
    while (first > g->head_uses && use_less(&g->uses[g->sorted_uses], &g->uses[first - 1])) {
        first--;
    }
    sort_uses_merge(&g->uses[first], g->sorted_uses - first, g->n_uses - first, scratch);
    g->sorted_uses = g->n_uses;
}

void gpu_sort(struct gpu *g)
{
    settle_samples(g);
    settle_uses(g);
}

void gpu_drop_pieces(struct gpu *g)
{
    free(g->pieces);
    g->pieces = NULL;
    g->n_pieces = g->cap_pieces = g->at_piece = 0;
}

static void forget_samples(struct gpu *g, int64_t before)
{
    size_t gone = 0;
    while (gone < g->n_samples && g->samples[gone].ts <= before) {
        short_id_done(g->samples[gone++].id);
    }
    ARRAY_DROP_FRONT(g->samples, g->n_samples, gone);
    RETURN_ROOM(g->samples, g->n_samples, g->cap_samples);
    g->sorted_samples = g->n_samples;
}

// What ran up to the frontier is remembered as busy time; what runs on moves to the new head.
static void forget_uses(struct gpu *g, int64_t frontier)
{
    for (size_t i = g->head_uses; i < g->at_use; i++) {
        if (g->uses[i].end <= frontier) {
            gpu_add_busy(g, g->uses[i].start, g->uses[i].end);
        }
    }
    size_t head = g->at_use;
    for (size_t i = g->n_running; i-- > 0;) {
        g->uses[--head] = g->uses[g->running[i]];
    }
    g->head_uses = head;
    if (head < g->n_uses / 4) {
        return;
    }
    ARRAY_DROP_FRONT(g->uses, g->n_uses, head);
    RETURN_ROOM(g->uses, g->n_uses, g->cap_uses);
    g->head_uses = 0;
    g->sorted_uses = g->n_uses;
}

static void forget_busy(struct gpu *g, int64_t before)
{
    size_t gone = 0;
    while (gone < g->n_busy && g->busy[gone].to <= before) {
        gone++;
    }
    ARRAY_DROP_FRONT(g->busy, g->n_busy, gone);
}

static void note_neighbours(struct gpu *g, int64_t frontier)
{
    g->before = g->n_busy > 0 ? g->busy[g->n_busy - 1].to : INT64_MIN;
    g->after = g->sample_after = g->sited_after = INT64_MAX;
    for (size_t i = g->n_samples; i-- > 0;) {
        int64_t ts = g->samples[i].ts;
        if (ts < frontier) {
            g->before = MAX(g->before, ts);
            break;
        }
        g->sample_after = ts;
        if (g->samples[i].site != NO_TEXT) {
            g->sited_after = ts;
        }
    }
    g->after = g->sample_after;
    if (g->head_uses < g->n_uses) {
        g->after = MIN(g->after, MAX(g->uses[g->head_uses].start, frontier));
    }
    if (g->before == frontier) { // the end of a request: evidence on both sides
        g->before = frontier - 1;
        g->after = frontier;
    }
}

void gpu_forget(struct gpu *g, int64_t frontier, int64_t before)
{
    forget_samples(g, before);
    forget_uses(g, frontier);
    forget_busy(g, before);
    note_neighbours(g, frontier);
}

bool gpu_empty(const struct gpu *g)
{
    return g->n_samples == 0 && g->n_busy == 0 && g->head_uses == g->n_uses;
}
