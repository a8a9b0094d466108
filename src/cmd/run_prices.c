#include "cmd/run_prices.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "model/mig.h"
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

static bool is_priced(const struct known *k, const struct gpu_sample *g)
{
    char room[MIG_NAME_MAX];
    int64_t fallback =
        k->settings.n > 0 ? settings_at(&k->settings, g->ts)->default_price_nusd : PRICE_NONE;
    return g->has & SAMPLE_PRICE ||
           price_at(&k->book, fallback, mig_sample_name(g, room), g->site, g->ts).nusd_hour !=
               PRICE_NONE;
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

static void put_remedy(const struct run_prices *p, const struct gpu_info *info, struct str name,
                       struct buf *b)
{
    struct str quoted = text_quotable(name) ? name : STR("GPU-NAME");
    buf_printf(
        b, STR_FMT ": its costs stay empty until gtap price add '" STR_FMT "' USD-PER-HOUR --from ",
        STR_ARG(name), STR_ARG(quoted));
    time_format_iso(b, time_floor(info->first_seen, NS_PER_S));
    buf_cstr(b, cli_store_words(p->cli, p->output));
}

static void say(struct run_prices *p, const struct gpu_info *info, struct str name)
{
    struct mig_slice slice;
    struct buf b;
    buf_init(&b, NOTE_MAX);
    buf_cstr(&b, "no price is known for ");
    if (!str_present(name)) {
        report_gpu_name(&b, &info->newest.gpu);
        buf_cstr(&b, ", whose samples have no name: its costs stay empty without gtap run --price");
    } else {
        put_remedy(p, info, name, &b);
    }
    if (mig_slice_of(name, &slice) && slice.of == 0) {
        buf_cstr(&b, "; a MIG slice takes its share of its GPU's price only where its profile and "
                     "the GPU are known");
    }
    cli_note(p->cli, buf_view(&b).p);
    buf_done(&b);
}

bool run_prices_check(struct run_prices *p, struct store *store)
{
    struct arena a = {0};
    struct known k;
    bool read = read_known(store, &a, &k) == 0;
    for (size_t i = 0; read && i < k.n_gpus; i++) {
        char room[MIG_NAME_MAX];
        struct str name = mig_sample_name(&k.gpus[i].newest, room);
        if (!is_priced(&k, &k.gpus[i].newest) && is_news(p, name)) {
            say(p, &k.gpus[i], name);
        }
    }
    arena_done(&a);
    return read;
}
