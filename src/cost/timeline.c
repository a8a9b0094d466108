#include "cost/timeline.h"

#include <math.h>

#include "base/alloc.h"

// Walks the merged evidence (covered intervals, busy intervals, lone samples) of a GPU in order of
// its beginning.
struct evidence {
    const struct gpu *gpu;
    int64_t max_gap;
    size_t at_sample, at_busy, at_use;
};

struct stretch {
    int64_t from, to; // from == to: a lone sample
};

static struct str text_of(const struct intern *names, uint32_t id)
{
    return id == NO_TEXT ? STR_NONE : intern_str(names, id);
}

// A sample's evidence: covered up to the next one when that is near, else its instant alone.
static struct stretch sample_stretch(const struct evidence *e)
{
    const struct sample *s = &e->gpu->samples[e->at_sample];
    bool has_next = e->at_sample + 1 < e->gpu->n_samples;
    bool covered = has_next && s[1].ts - s->ts <= e->max_gap;
    return (struct stretch){s->ts, covered ? s[1].ts : s->ts};
}

static bool next_single(struct evidence *e, struct stretch *ret)
{
    const struct gpu *g = e->gpu;
    int64_t sample = e->at_sample < g->n_samples ? g->samples[e->at_sample].ts : INT64_MAX;
    int64_t busy = e->at_busy < g->n_busy ? g->busy[e->at_busy].from : INT64_MAX;
    int64_t use = e->at_use < g->n_uses ? g->uses[e->at_use].start : INT64_MAX;
    if (sample <= busy && sample <= use) {
        if (sample == INT64_MAX) {
            return false;
        }
        *ret = sample_stretch(e);
        e->at_sample++;
    } else if (busy <= use) {
        *ret = (struct stretch){busy, g->busy[e->at_busy++].to};
    } else {
        *ret = (struct stretch){use, g->uses[e->at_use++].end};
    }
    return true;
}

// Billed time from the next evidence on: all of it that follows within gpu_timeout; what lies
// behind `enough` need not be found.
static bool next_billed(struct evidence *e, int64_t gpu_timeout, int64_t enough,
                        struct stretch *ret)
{
    if (!next_single(e, ret)) {
        return false;
    }
    struct stretch s;
    struct evidence ahead = *e;
    while (ret->to < enough && next_single(&ahead, &s) && s.from - ret->to <= gpu_timeout) {
        ret->to = MAX(ret->to, s.to);
        *e = ahead;
    }
    return true;
}

struct pricing {
    const struct settings *settings;
    const struct price_book *prices;
    const struct intern *names;
    // The book's last answer, and from when to when it holds: neighbouring samples ask the same.
    uint32_t name, site;
    int64_t from, until, price, entry;
    int64_t used; // the entry that the last price was from
};

static void look_up(struct pricing *p, uint32_t name, uint32_t site, int64_t t)
{
    struct str n = text_of(p->names, name), at = text_of(p->names, site);
    struct price_found found = price_at(p->prices, p->settings->default_price_nusd, n, at, t);
    p->name = name;
    p->site = site;
    p->from = t;
    p->until = price_next_change(p->prices, n, at, t);
    p->entry = found.entry ? found.entry->id : PRICE_OF_DEFAULT;
    p->price = found.nusd_hour;
}

// The price that sample s gives at t; lowers *until to where that may change.
static int64_t sample_price(struct pricing *p, const struct sample *s, int64_t t, int64_t *until)
{
    p->used = PRICE_OF_DEFAULT;
    if (s->price_nusd != PRICE_NONE) {
        p->used = PRICE_OF_SAMPLE;
        return s->price_nusd;
    }
    if (s->name == NO_TEXT) {
        return p->settings->default_price_nusd;
    }
    if (p->name != s->name || p->site != s->site || t < p->from || t >= p->until) {
        look_up(p, s->name, s->site, t);
    }
    *until = MIN(*until, p->until);
    p->used = p->entry;
    return p->price;
}

// The price at t, where `next` is the index of the first sample after t; lowers *until to where the
// sample in force, or its price, may change.
static int64_t price_in_force(struct pricing *p, const struct gpu *g, size_t next, int64_t t,
                              int64_t *until)
{
    const struct sample *old = next > 0 ? &g->samples[next - 1] : NULL;
    const struct sample *coming = next < g->n_samples ? &g->samples[next] : NULL;
    if (coming) {
        *until = MIN(*until, coming->ts);
    }
    if (old && t - old->ts < p->settings->gpu_timeout_ns) {
        *until = MIN(*until, old->ts + p->settings->gpu_timeout_ns);
        return sample_price(p, old, t, until);
    }
    if (coming && coming->ts - t <= p->settings->max_gap_ns) {
        return sample_price(p, coming, t, until);
    }
    if (coming) {
        *until = MIN(*until, coming->ts - p->settings->max_gap_ns);
    }
    p->used = PRICE_OF_DEFAULT; // which is a whole GPU's, and what share a slice has nobody says
    return g->key.instance == GPU_INSTANCE_NONE ? p->settings->default_price_nusd : PRICE_NONE;
}

static void add_piece(struct gpu *g, struct piece piece)
{
    ARRAY_RESERVE(g->pieces, g->n_pieces, g->cap_pieces);
    g->pieces[g->n_pieces++] = piece;
}

// Cuts [from, to), all billed, into pieces. *next: index of the first sample after `from`.
static void cut_billed(struct gpu *g, int64_t from, int64_t to, struct pricing *p, size_t *next)
{
    for (int64_t t = from; t < to;) {
        while (*next < g->n_samples && g->samples[*next].ts <= t) {
            (*next)++;
        }
        int64_t until = to;
        struct piece piece = {.from = t, .power_w = (double)NAN};
        piece.price_nusd = price_in_force(p, g, *next, t, &until);
        piece.entry = p->used;
        if (*next > 0 && *next < g->n_samples) {
            const struct sample *s = &g->samples[*next - 1];
            piece.covered = s[1].ts - s->ts <= p->settings->max_gap_ns;
            piece.power_w = piece.covered ? s->power_w : (double)NAN;
        }
        piece.to = t = until;
        add_piece(g, piece);
    }
}

void timeline_build(struct gpu *g, int64_t from, int64_t to, const struct settings *s,
                    const struct price_book *prices, const struct intern *names)
{
    struct evidence evidence = {.gpu = g, .max_gap = s->max_gap_ns, .at_use = g->head_uses};
    struct pricing pricing = {
        .settings = s, .prices = prices, .names = names, .name = NO_TEXT, .until = INT64_MIN};
    struct stretch billed;
    size_t next = 0;
    g->n_pieces = 0;
    for (int64_t done = from; done < to; done = MAX(done, billed.to)) {
        if (!next_billed(&evidence, s->gpu_timeout_ns, to, &billed)) {
            return;
        }
        if (billed.to > from && billed.from < to) {
            cut_billed(g, MAX(billed.from, from), MIN(billed.to, to), &pricing, &next);
        }
    }
}
