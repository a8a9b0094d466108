#include "cmd/price.h"

#include "base/decimal.h"
#include "report/digits.h"

enum { NANO = 9, CENTS = 10000000, TEXT_MAX = 1024 };

void price_format(struct buf *b, int64_t nusd)
{
    if (nusd % CENTS == 0) {
        digits_grouped(b, nusd / CENTS, 2);
    } else {
        decimal_format_short(b, nusd, NANO);
    }
}

struct affected {
    size_t gpus, stating; // of the store's GPUs: named by an entry; of these, stating their own
    int64_t from;         // the earliest effective_from
};

static bool names(const struct price_entry *e, const struct gpu_sample *g)
{
    bool site = !str_present(e->site) || str_eq(e->site, g->site);
    return str_present(g->name) && site && str_glob(e->name, g->name);
}

static struct affected find_affected(const struct gpu_info *gpus, size_t n_gpus,
                                     const struct price_entry *entries, size_t n)
{
    struct affected a = {.from = INT64_MAX};
    for (size_t i = 0; i < n; i++) {
        a.from = MIN(a.from, entries[i].effective_from);
    }
    for (size_t g = 0; g < n_gpus; g++) {
        bool named = false;
        for (size_t i = 0; i < n && !named; i++) {
            named = names(&entries[i], &gpus[g].newest);
        }
        a.gpus += named;
        a.stating += named && (gpus[g].newest.has & SAMPLE_PRICE);
    }
    return a;
}

static void put_gpus(const struct affected *a, struct buf *b)
{
    if (a->gpus == 0) {
        buf_cstr(b, "No GPU of such a name has reported yet; the price waits for it.\n");
        return;
    }
    digits_count(b, (int64_t)a->gpus, "known GPU");
    buf_cstr(b, a->gpus == 1 ? " has this name" : " have such a name");
    if (a->stating > 0) {
        buf_cstr(b, "; ");
        digits_grouped(b, (i128)a->stating, 0);
        buf_cstr(b, a->stating == 1 ? " states its own price, which goes first"
                                    : " state their own price, which goes first");
    }
    buf_cstr(b, ".\n");
}

static void put_past(struct cli *cli, const struct affected *a, const struct store_info *info,
                     const char *uri, const struct zone *zone, struct buf *b)
{
    if (info->final_until == INT64_MIN || a->from >= info->final_until || a->gpus == 0) {
        return;
    }
    buf_cstr(b, "Costs from ");
    zone_format(b, zone, a->from, cli_now(cli));
    buf_cstr(b, " on were computed without it, up to ");
    zone_format(b, zone, info->final_until, cli_now(cli));
    buf_cstr(b, ", and stay so until: gtap recompute --since ");
    time_format_iso(b, a->from);
    buf_printf(b, "%s\n", cli_store_words(cli, uri));
}

int price_explain(struct cli *cli, struct store *s, const char *uri,
                  const struct price_entry *entries, size_t n, const struct zone *zone)
{
    struct error err = {0};
    struct gpu_info *gpus;
    struct store_info info;
    size_t n_gpus;
    if (n == 0) {
        return 0;
    }
    if (store_gpus(s, &cli->arena, &gpus, &n_gpus, &err) < 0 || store_info(s, &info, &err) < 0) {
        return cli_fail(cli, &err);
    }
    struct buf b;
    buf_init(&b, TEXT_MAX);
    struct affected a = find_affected(gpus, n_gpus, entries, n);
    put_gpus(&a, &b);
    put_past(cli, &a, &info, uri, zone, &b);
    return cli_print(cli, &b);
}
