// An explanation in words.
#include "base/time.h"
#include "report/digits.h"
#include "report/explain.h"
#include "report/query.h"

#define NUSD 1e9
#define MINUTE_NS (60 * NS_PER_S)

enum note {
    NOTE_PROVISIONAL,
    NOTE_UNPLACED,
    NOTE_UNPRICED,
    NOTE_EXPIRED,
    NOTE_NEWER_PRICES,
    NOTE_DIFFERS,
    NOTE_INTERVAL,
    NOTE_COUNT,
};

static bool holds(const struct explanation *e, enum note n)
{
    const struct usage_record *u = &e->request.record.usage;
    const struct usage_cost *c = &e->request.cost;
    switch (n) {
    case NOTE_PROVISIONAL:
        return e->provisional && usage_placed(u);
    case NOTE_UNPLACED:
        return !usage_placed(u);
    case NOTE_UNPRICED:
        return usage_placed(u) && c->final && !c->priced;
    case NOTE_EXPIRED:
        return e->expired;
    case NOTE_NEWER_PRICES:
        return e->newer_prices > 0;
    case NOTE_DIFFERS:
        return e->n_gpus > 0 && c->final && !e->agrees;
    case NOTE_INTERVAL:
        return u->requests != 1;
    case NOTE_COUNT:
        break;
    }
    return false;
}

static void put_usd(struct buf *b, i128 nusd, int digits)
{
    buf_printf(b, "%.*g $", digits, (double)nusd / NUSD);
}

size_t explain_notes(const struct explanation *e)
{
    size_t n = 0;
    for (int i = 0; i < NOTE_COUNT; i++) {
        n += holds(e, (enum note)i);
    }
    return n;
}

static void put_note(struct buf *b, const struct explanation *e, enum note n)
{
    switch (n) {
    case NOTE_PROVISIONAL:
        buf_cstr(b, "It is not final: this is what the records say so far, and it can change until "
                    "its windows are.");
        break;
    case NOTE_UNPLACED:
        buf_cstr(b, "It names no GPU, so no GPU's time pays for it and its cost is unknown.");
        break;
    case NOTE_UNPRICED:
        buf_cstr(b, "Part of its GPU time has no price, so its cost is unknown; add one by `gtap "
                    "price add` and run `gtap recompute`.");
        break;
    case NOTE_EXPIRED:
        buf_cstr(b, "The raw records of that time were expired: its cost stands, but cannot be "
                    "explained any more.");
        break;
    case NOTE_NEWER_PRICES:
        digits_count(b, (int64_t)e->newer_prices, "price");
        buf_printf(b, " %s added since its cost was computed; `gtap recompute` applies %s.",
                   e->newer_prices == 1 ? "was" : "were", e->newer_prices == 1 ? "it" : "them");
        break;
    case NOTE_DIFFERS:
        buf_cstr(b, "Its stored cost is ");
        put_usd(b, e->request.cost.cost_nusd, 6);
        buf_cstr(b, ", the records now say ");
        put_usd(b, e->cost_nusd, 6);
        buf_cstr(b, ": late records are settled within a minute, else run `gtap recompute`.");
        break;
    case NOTE_INTERVAL:
        buf_cstr(b, "It is an interval of a server's counters and stands for ");
        digits_count(b, e->request.record.usage.requests, "request");
        buf_cstr(b, ".");
        break;
    case NOTE_COUNT:
        break;
    }
}

void explain_note(struct buf *b, const struct explanation *e, size_t i)
{
    for (int n = 0; n < NOTE_COUNT; n++) {
        if (holds(e, (enum note)n) && i-- == 0) {
            put_note(b, e, (enum note)n);
            return;
        }
    }
}

static void put_place(struct buf *b, const struct explanation *e)
{
    const struct usage_record *u = &e->request.record.usage;
    if (u->n_gpus == 1) {
        const struct gpu_key gpu = {u->host, u->gpus[0], u->gpu_instance};
        report_gpu_name(b, &gpu);
        return;
    }
    buf_printf(b, "%u GPUs of " STR_FMT " (", u->n_gpus, STR_ARG(u->host));
    for (uint32_t i = 0; i < u->n_gpus; i++) {
        buf_printf(b, "%s%d", i ? ", " : "", (int)u->gpus[i]);
    }
    buf_char(b, ')');
}

static void put_share(struct buf *b, const struct explanation *e)
{
    i128 all = 0;
    size_t beside = 0;
    for (size_t i = 0; i < e->n_gpus; i++) {
        all += e->gpus[i].gpu_cost_nusd;
        beside = MAX(beside, e->gpus[i].beside);
    }
    if (beside == 0) {
        buf_cstr(b, " alone");
    } else {
        buf_cstr(b, " beside ");
        digits_count(b, (int64_t)beside, "other");
        buf_cstr(b, e->n_gpus > 1 ? " on one of them" : "");
    }
    if (all > 0) {
        buf_printf(b, "; %.3g %% of the %s ", 100 * (double)e->cost_nusd / (double)all,
                   e->n_gpus == 1 ? "GPU's" : "GPUs'");
        put_usd(b, all, 3);
        buf_cstr(b, " in that time");
    }
}

void explain_sentence(struct buf *b, const struct explanation *e)
{
    const struct usage_record *u = &e->request.record.usage;
    int64_t ran = u->ts - usage_start(u);
    buf_cstr(b, "ran ");
    if (ran < MINUTE_NS) {
        buf_printf(b, "%.3g s", (double)ran / (double)NS_PER_S);
    } else {
        digits_duration(b, ran);
    }
    if (!usage_placed(u)) {
        buf_cstr(b, " on no known GPU; its cost is unknown");
        return;
    }
    buf_cstr(b, " on ");
    put_place(b, e);
    if (e->n_gpus > 0) {
        put_share(b, e);
    }
    buf_cstr(b, e->provisional ? " (so far)" : "");
}

const char *explain_price_source(const struct explain_price *p)
{
    if (p->price_nusd_hour == PRICE_NONE) {
        return NULL;
    }
    return p->entry > 0 ? "book" : p->entry == PRICE_OF_SAMPLE ? "sample" : "default";
}
