#include <errno.h>

#include "base/decimal.h"
#include "cmd/cli.h"
#include "cmd/shared_options.h"
#include "report/query.h"
#include "report/request_json.h"
#include "report/table.h"

enum { ANSWER_MAX = 64 << 20, TEXT_MAX = 2048, NANO = 9 };

struct options {
    struct common common;
    const char *store, *tz;
    bool json;
};

static const struct option options[] = {
    OPTION_STORE(struct options, "the store that the request is in"),
    OPTION_TZ(struct options),
    OPTION_JSON(struct options),
    {0},
};

static void put_amount(struct buf *b, bool known, i128 nusd)
{
    if (known) {
        decimal_format_i128(b, nusd, NANO);
        buf_cstr(b, " $");
    } else {
        buf_char(b, '-');
    }
}

// "llama-3-70b for search, 1,024 tokens in and 128 out"
static void put_head(struct cli *cli, const struct explanation *e, const struct zone *zone,
                     struct buf *b)
{
    const struct usage_record *u = &e->request.record.usage;
    const struct usage_cost *c = &e->request.cost;
    buf_str(b, e->request.record.event_id);
    buf_cstr(b, "  ");
    zone_format(b, zone, usage_start(u), cli_now(cli));
    buf_printf(b, " %s  " STR_FMT, zone->name, STR_ARG(u->model));
    if (str_present(u->tenant)) {
        buf_printf(b, " for " STR_FMT, STR_ARG(u->tenant));
    }
    buf_cstr(b, "  ");
    put_amount(b, c->seq > 0 && c->priced, c->cost_nusd);
    buf_cstr(b, c->final ? "\n" : " (provisional)\n");
    explain_sentence(b, e);
    buf_char(b, '\n');
}

static void set_amount(struct table *t, size_t column, i128 nusd)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    decimal_format_i128(&text, nusd, NANO);
    table_set_buf(t, column, &text);
    buf_done(&text);
}

static void put_window(struct cli *cli, struct table *t, const struct explain_gpu *g,
                       const struct explain_window *w, const struct zone *zone)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    table_row(t);
    report_gpu_name(&text, &g->gpu);
    table_set_buf(t, 0, &text);
    zone_format(&text, zone, w->start, cli_now(cli));
    table_set_buf(t, 1, &text);
    set_amount(t, 2, w->cost_nusd);
    set_amount(t, 3, w->gpu_cost_nusd);
    buf_printf(&text, "%zu", w->beside);
    table_set_buf(t, 4, &text);
    table_set(t, 5, w->final ? STR("") : STR("open"));
    buf_done(&text);
}

// The windows, which add up to the cost.
static void put_windows(struct cli *cli, const struct explanation *e, const struct zone *zone,
                        struct buf *b)
{
    struct table t;
    const struct table_style style = {cli->out_terminal.width, cli->out_terminal.color};
    table_init(&t, &cli->arena);
    table_column(&t, "GPU", TABLE_LEFT, 0);
    table_column(&t, "window", TABLE_LEFT, 0);
    table_column(&t, "$", TABLE_RIGHT, 0);
    table_column(&t, "GPU's $", TABLE_RIGHT, 0);
    table_column(&t, "others", TABLE_RIGHT, 0);
    table_column(&t, "", TABLE_LEFT, 0);
    for (size_t i = 0; i < e->n_gpus; i++) {
        for (size_t w = 0; w < e->gpus[i].n_windows; w++) {
            put_window(cli, &t, &e->gpus[i], &e->gpus[i].windows[w], zone);
        }
    }
    buf_char(b, '\n');
    table_write(&t, &style, b);
    table_done(&t);
    buf_cstr(b, "\nIn all ");
    put_amount(b, true, e->cost_nusd);
    buf_cstr(b, ".\n");
}

static void put_price(struct buf *b, const struct explain_gpu *g, const struct explain_price *p)
{
    const char *source = explain_price_source(p);
    report_gpu_name(b, &g->gpu);
    if (source == NULL) {
        buf_cstr(b, ": no price\n");
        return;
    }
    buf_cstr(b, ": ");
    decimal_format_i128(b, p->price_nusd_hour, NANO);
    if (p->entry > 0) {
        buf_printf(b, " $/h, entry %lld of the price book\n", (long long)p->entry);
    } else {
        buf_cstr(b, p->entry == PRICE_OF_SAMPLE ? " $/h, stated by the GPU's samples\n"
                                                : " $/h, the default price (--price)\n");
    }
}

static void put_text(struct cli *cli, const struct explanation *e, const struct zone *zone,
                     struct buf *b)
{
    put_head(cli, e, zone, b);
    if (e->n_gpus > 0 && !e->expired) {
        put_windows(cli, e, zone, b);
        for (size_t i = 0; i < e->n_gpus; i++) {
            for (size_t p = 0; p < e->gpus[i].n_prices; p++) {
                put_price(b, &e->gpus[i], &e->gpus[i].prices[p]);
            }
        }
    }
    for (size_t i = 0; i < explain_notes(e); i++) {
        explain_note(b, e, i);
        buf_char(b, '\n');
    }
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    AUTO_STORE struct store *store = NULL;
    struct explanation e;
    struct error err = {0};
    struct zone zone;
    struct buf b;
    int status = cli_zone(cli, o->tz, &zone);
    status = status ? status : cli_open(cli, o->store, STORE_READ, &store);
    if (status != 0) {
        return status;
    }
    if (explain_request(store, str_of(cli->args[0]), &cli->arena, &e, &err) < 0) {
        return cli_fail(cli, &err);
    }
    buf_init(&b, ANSWER_MAX);
    if (o->json) {
        struct json j = {.b = &b};
        json_explained(&j, NULL, &e);
        buf_char(&b, '\n');
    } else {
        put_text(cli, &e, &zone, &b);
    }
    return cli_print(cli, &b);
}

const struct command command_explain = {
    .name = "explain",
    .args = "EVENT_ID",
    .summary = "where the cost of one request came from",
    .about = "Its windows on each of its GPUs, which add up to its cost, what the GPU cost in that "
             "time, how many others\nran beside it, and the prices that held. The event_id is a "
             "field of `gtap export token_usage`.",
    .examples = "gtap explain 0199f3c2-7b1e-7c55-a8b1-6a2f0d6c2e11\n"
                "gtap explain --json 0199f3c2-7b1e-7c55-a8b1-6a2f0d6c2e11",
    .options = options,
    .size = sizeof(struct options),
    .least_args = 1,
    .most_args = 1,
    .run = run,
};
