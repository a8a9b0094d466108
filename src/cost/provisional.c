#include "cost/provisional.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/intern.h"
#include "base/map.h"
#include "base/wide.h"
#include "model/mig.h"

// Tokens that ended at one instant.
struct passed {
    int64_t ts, tokens;
};

struct seen_gpu {
    bool sampled, slice;
    int64_t sample_ts, price_nusd; // the newest sample; PRICE_NONE when it stated none
    uint32_t name, site;           // ids, or NO_ID
    struct passed *ring;           // a queue of the last 30 s
    size_t head, n, cap;
    int64_t tokens, newest;
};

enum { NO_ID = -1 };

struct provisional {
    struct intern *texts;
    struct map gpus;
};

struct provisional *provisional_new(void)
{
    struct provisional *p = x_zalloc(sizeof(*p));
    p->texts = intern_new();
    return p;
}

void provisional_free(struct provisional *p)
{
    if (!p) {
        return;
    }
    struct map_slot slot;
    size_t at = 0;
    while (map_next(&p->gpus, &at, &slot)) {
        struct seen_gpu *g = slot.value;
        free(g->ring);
        free(g);
    }
    map_done(&p->gpus);
    intern_free(p->texts);
    free(p);
}

static struct seen_gpu *seen(struct provisional *p, struct str host, int32_t index,
                             int32_t instance)
{
    uint64_t id = intern_id(p->texts, host);
    int64_t key =
        (int64_t)(id << 33 | (uint64_t)(uint32_t)index << 17 | (uint64_t)(uint32_t)(instance + 1));
    struct seen_gpu *g = map_get(&p->gpus, key);
    if (g) {
        return g;
    }
    g = x_zalloc(sizeof(*g));
    g->slice = instance != GPU_INSTANCE_NONE;
    g->price_nusd = PRICE_NONE;
    g->newest = INT64_MIN;
    map_put(&p->gpus, key, g);
    return g;
}

static uint32_t text_id(struct provisional *p, struct str s)
{
    return str_present(s) ? intern_id(p->texts, s) : (uint32_t)NO_ID;
}

static struct str text(const struct provisional *p, uint32_t id)
{
    return id == (uint32_t)NO_ID ? STR_NONE : intern_str(p->texts, id);
}

void provisional_sample(struct provisional *p, const struct gpu_sample *s)
{
    char room[MIG_NAME_MAX];
    struct seen_gpu *g = seen(p, s->gpu.host, s->gpu.index, s->gpu.instance);
    if (g->sampled && s->ts < g->sample_ts) {
        return;
    }
    g->sampled = true;
    g->sample_ts = s->ts;
    g->price_nusd = s->has & SAMPLE_PRICE ? s->price_nusd_hour : PRICE_NONE;
    g->name = text_id(p, mig_sample_name(s, room));
    g->site = text_id(p, s->site);
}

static int64_t price_of(const struct provisional *p, const struct seen_gpu *g,
                        const struct settings *settings, const struct price_book *prices, int64_t t)
{
    if (!g->sampled) {
        return g->slice ? PRICE_NONE : settings->default_price_nusd;
    }
    if (g->price_nusd != PRICE_NONE) {
        return g->price_nusd;
    }
    return price_at(prices, settings->default_price_nusd, text(p, g->name), text(p, g->site), t)
        .nusd_hour;
}

// Moves the queue to the front of its memory without what is too old. One record that is dated
// ahead of the others keeps these from leaving at the head.
static void ring_compact(struct seen_gpu *g)
{
    size_t kept = 0;
    for (size_t i = g->head; i < g->head + g->n; i++) {
        if (g->ring[i].ts > g->newest - PROVISIONAL_SPAN_NS) {
            g->ring[kept++] = g->ring[i];
        } else {
            g->tokens -= g->ring[i].tokens;
        }
    }
    g->head = 0;
    g->n = kept;
}

static void ring_push(struct seen_gpu *g, struct passed passed)
{
    if (g->head + g->n == g->cap) {
        ring_compact(g);
        if (g->n > g->cap / 2 || g->cap == 0) { // else a push would be a move, again and again
            g->cap = 2 * g->cap + 16;
            g->ring = x_realloc_array(g->ring, g->cap, sizeof(g->ring[0]));
        }
    }
    size_t end = g->head + g->n;
    g->ring[end] = passed;
    g->n++;
    g->tokens += passed.tokens;
}

// Adds tokens at ts and says how many passed in the 30 s up to the newest instant seen.
static int64_t tokens_passed(struct seen_gpu *g, int64_t ts, int64_t tokens)
{
    g->newest = MAX(g->newest, ts);
    ring_push(g, (struct passed){ts, tokens});
    while (g->n > 1 && g->ring[g->head].ts <= g->newest - PROVISIONAL_SPAN_NS) {
        g->tokens -= g->ring[g->head].tokens;
        g->head++;
        g->n--;
    }
    return MAX(g->tokens, tokens);
}

// tokens * price per hour / (passed tokens per hour), shared by prompt and completion alike.
static void add_gpu_cost(struct usage_cost *ret, const struct usage_record *u, int64_t price,
                         int64_t passed)
{
    int64_t spans_an_hour = INT64_C(3600000000000) / PROVISIONAL_SPAN_NS;
    i128 divisor = (i128)passed * spans_an_hour;
    ret->cost_in_nusd += (int64_t)((i128)price * u->prompt_tokens / divisor);
    ret->cost_out_nusd += (int64_t)((i128)price * u->completion_tokens / divisor);
}

void provisional_usage(struct provisional *p, const struct settings *settings,
                       const struct price_book *prices, const struct usage_record *u,
                       struct usage_cost *ret)
{
    int64_t tokens = u->prompt_tokens + u->completion_tokens;
    *ret = (struct usage_cost){
        .ts = u->ts,
        .tokens = tokens,
        .priced = usage_placed(u) && tokens > 0,
        .method = settings->method,
    };
    for (uint32_t i = 0; i < u->n_gpus && usage_placed(u); i++) {
        struct seen_gpu *g = seen(p, u->host, u->gpus[i], u->gpu_instance);
        int64_t passed = tokens_passed(g, u->ts, tokens);
        int64_t price = price_of(p, g, settings, prices, u->ts);
        ret->priced &= price != PRICE_NONE;
        if (ret->priced) {
            add_gpu_cost(ret, u, price, passed);
        }
    }
    if (!ret->priced) {
        ret->cost_in_nusd = ret->cost_out_nusd = 0;
    }
    ret->cost_nusd = ret->cost_in_nusd + ret->cost_out_nusd;
}
