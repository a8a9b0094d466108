#include "cmd/run_prices.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "report/query.h"
#include "report/text.h"

enum { NOTE_MAX = 2048, SAID_MOST = 16 };

void run_prices_init(struct run_prices *p, struct cli *cli, const char *output)
{
    *p = (struct run_prices){.cli = cli, .output = output};
}

void run_prices_done(struct run_prices *p)
{
    free(p->said);
    arena_done(&p->arena);
}

// What a store says about prices.
struct known {
    struct gpu_info *gpus;
    size_t n_gpus;
    struct price_book book;
    struct settings_history settings;
};

static int read_known(struct store *s, struct arena *a, struct known *ret)
{
    struct error err;
    int r = store_gpus(s, a, &ret->gpus, &ret->n_gpus, &err);
    r = r < 0 ? r : store_prices(s, a, &ret->book, &err);
    return r < 0 ? r : store_settings(s, a, &ret->settings, &err);
}

enum priced { PRICED_NOT, PRICED_FIT, PRICED_AS_WHOLE };

// An entry of the book is a slice's when the name is: sources that know the slices put the profile
// in front (input/mig.h), so that no whole GPU's matches.
static enum priced how_priced(const struct known *k, const struct gpu_sample *g)
{
    bool slice = g->gpu.instance != GPU_INSTANCE_NONE;
    bool fallback =
        k->settings.n > 0 && settings_at(&k->settings, g->ts)->default_price_nusd != PRICE_NONE;
    if (g->has & SAMPLE_PRICE) {
        return PRICED_FIT;
    }
    if (price_at(&k->book, g->name, g->site, g->ts)) {
        bool of_gpu = str_present(g->mig_profile) && !str_starts(g->name, STR("MIG"));
        return slice && of_gpu ? PRICED_AS_WHOLE : PRICED_FIT;
    }
    return !fallback ? PRICED_NOT : slice ? PRICED_AS_WHOLE : PRICED_FIT;
}

// False: there was a note about it, or there were enough of them.
static bool is_news(struct run_prices *p, struct str name)
{
    for (size_t i = 0; i < p->n_said; i++) {
        if (str_eq(p->said[i], name)) {
            return false;
        }
    }
    if (p->n_said == SAID_MOST) {
        return false;
    }
    ARRAY_RESERVE(p->said, p->n_said, p->cap_said);
    p->said[p->n_said++] = arena_copy(&p->arena, name);
    return true;
}

static void say(struct run_prices *p, const struct gpu_info *info)
{
    const struct gpu_sample *g = &info->newest;
    struct buf b;
    buf_init(&b, NOTE_MAX);
    buf_cstr(&b, "no price is known for ");
    if (str_present(g->name)) {
        struct str name = text_quotable(g->name) ? g->name : STR("GPU-NAME");
        buf_printf(&b,
                   STR_FMT ": its costs stay empty until gtap price add '" STR_FMT
                           "' USD-PER-HOUR --from ",
                   STR_ARG(g->name), STR_ARG(name));
        time_format_iso(&b, time_floor(info->first_seen, NS_PER_S));
        buf_cstr(&b, cli_store_words(p->cli, p->output));
    } else {
        report_gpu_name(&b, &g->gpu);
        buf_cstr(&b, ", whose samples have no name: its costs stay empty without gtap run --price");
    }
    cli_note(p->cli, buf_view(&b).p);
    buf_done(&b);
}

static void say_whole(struct run_prices *p, const struct gpu_info *info)
{
    const struct gpu_sample *g = &info->newest;
    struct buf b;
    buf_init(&b, NOTE_MAX);
    buf_cstr(&b, "MIG slice ");
    report_gpu_name(&b, &g->gpu);
    if (str_present(g->name)) {
        buf_printf(&b, " (" STR_FMT ")", STR_ARG(g->name));
    }
    buf_cstr(&b, " is billed the price of a whole GPU: its input's option price= says what the GPU "
                 "costs, and gives each slice its share");
    cli_note(p->cli, buf_view(&b).p);
    buf_done(&b);
}

bool run_prices_check(struct run_prices *p, struct store *store)
{
    struct arena a = {0};
    struct known k;
    bool read = read_known(store, &a, &k) == 0;
    for (size_t i = 0; read && i < k.n_gpus; i++) {
        const struct gpu_sample *g = &k.gpus[i].newest;
        enum priced how = how_priced(&k, g);
        if (how != PRICED_FIT && is_news(p, g->name)) {
            (how == PRICED_NOT ? say : say_whole)(p, &k.gpus[i]);
        }
    }
    arena_done(&a);
    return read;
}
