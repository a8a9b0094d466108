#include <stdlib.h>

#include "base/alloc.h"
#include "cmd/emit.h"
#include "cmd/price.h"
#include "cmd/shared_options.h"
#include "report/table.h"

enum { ANSWER_MAX = 64 << 20, USD_SCALE = 9 };

struct options {
    struct common common;
    const char *store, *tz;
    struct time_spec at;
    bool all, json;
};

static const struct option options[] = {
    OPTION_STORE(struct options, "the store whose price book it is"),
    {.name = "at",
     .type = OPTION_TIME,
     .offset = offsetof(struct options, at),
     .value = "TIME",
     .help = "what is in force at this time (default: now)"},
    {.name = "all",
     .letter = 'a',
     .type = OPTION_FLAG,
     .offset = offsetof(struct options, all),
     .help = "the whole history, corrections included"},
    OPTION_TZ(struct options),
    OPTION_JSON(struct options),
    {0},
};

static int by_name_and_time(const void *a, const void *b)
{
    const struct price_entry *x = *(const struct price_entry *const *)a;
    const struct price_entry *y = *(const struct price_entry *const *)b;
    int order = str_cmp(x->name, y->name);
    order = order ? order : str_cmp(x->site, y->site);
    if (order == 0 && x->effective_from != y->effective_from) {
        order = x->effective_from < y->effective_from ? -1 : 1;
    }
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

// Of the entries for one name and site, sorted, the last that holds at `at`.
static size_t keep_in_force(const struct price_entry **list, size_t n, int64_t at)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct price_entry *e = list[i], *last = kept > 0 ? list[kept - 1] : NULL;
        bool same = last && str_eq(last->name, e->name) && str_eq(last->site, e->site);
        if (e->effective_from <= at) {
            list[kept - (same ? 1 : 0)] = e;
            kept += !same;
        }
    }
    return kept;
}

static void put_row(struct table *t, const struct price_entry *e, const struct zone *zone,
                    int64_t now)
{
    struct buf text;
    buf_init(&text, 256);
    table_row(t);
    table_set(t, 0, e->name);
    table_set(t, 1, str_present(e->site) ? e->site : STR("any"));
    price_format(&text, e->price_nusd_hour);
    table_set_buf(t, 2, &text);
    zone_format(&text, zone, e->effective_from, now);
    table_set_buf(t, 3, &text);
    zone_format(&text, zone, e->added_at, now);
    table_set_buf(t, 4, &text);
    table_set(t, 5, e->source);
    buf_done(&text);
}

// "from (UTC)"
static const char *titled(struct cli *cli, const char *name, const struct zone *zone)
{
    AUTO_FREE char *text = x_asprintf("%s (%s)", name, zone->name);
    return arena_copy(&cli->arena, str_of(text)).p;
}

static void put_table(struct cli *cli, const struct price_entry *const *list, size_t n,
                      const struct zone *zone, struct buf *b)
{
    struct table t;
    table_init(&t, &cli->arena);
    table_column(&t, "name", TABLE_LEFT, 0);
    table_column(&t, "site", TABLE_LEFT, 1);
    table_column(&t, "$/h", TABLE_RIGHT, 0);
    table_column(&t, titled(cli, "from", zone), TABLE_LEFT, 0);
    table_column(&t, titled(cli, "added", zone), TABLE_LEFT, 3);
    table_column(&t, "source", TABLE_LEFT, 2);
    for (size_t i = 0; i < n; i++) {
        put_row(&t, list[i], zone, cli_now(cli));
    }
    struct table_style style = {cli->out_terminal.width, cli->out_terminal.color};
    table_write(&t, &style, b);
    table_done(&t);
}

static void put_json(const struct price_entry *const *list, size_t n, struct buf *b)
{
    struct json j = {.b = b};
    json_open(&j, NULL, '[');
    for (size_t i = 0; i < n; i++) {
        const struct price_entry *e = list[i];
        json_open(&j, NULL, '{');
        json_int(&j, "id", e->id);
        json_str(&j, "name", e->name);
        json_str(&j, "site", e->site);
        json_int(&j, "price_nusd_hour", e->price_nusd_hour);
        json_time(&j, "effective_from", e->effective_from);
        json_time(&j, "added_at", e->added_at);
        json_str(&j, "source", e->source);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    buf_char(b, '\n');
}

static int answer(struct cli *cli, const struct options *o, const struct price_book *book,
                  const struct zone *zone)
{
    int64_t at = time_spec_resolve(&o->at, zone, cli_now(cli), cli_now(cli));
    AUTO_FREE const struct price_entry **list = x_array(book->n, sizeof(struct price_entry *));
    for (size_t i = 0; i < book->n; i++) {
        list[i] = &book->entries[i];
    }
    qsort(list, book->n, sizeof(list[0]), by_name_and_time);
    size_t n = o->all ? book->n : keep_in_force(list, book->n, at);
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    if (o->json) {
        put_json(list, n, &b);
    } else if (n == 0) {
        buf_cstr(&b, book->n == 0 ? "The price book is empty: gtap price add NAME USD_PER_HOUR\n"
                                  : "No price is in force at that time: see --all.\n");
    } else {
        put_table(cli, list, n, zone, &b);
    }
    return cli_print(cli, &b);
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    AUTO_STORE struct store *store = NULL;
    struct price_book book;
    struct error err = {0};
    struct zone zone;
    int status = cli_zone(cli, o->tz, &zone);
    status = status ? status : cli_open(cli, o->store, STORE_READ, &store);
    if (status != 0) {
        return status;
    }
    if (store_prices(store, &cli->arena, &book, &err) < 0) {
        return cli_fail(cli, &err);
    }
    return answer(cli, o, &book, &zone);
}

const struct command command_price_list = {
    .name = "price list",
    .args = "",
    .summary = "the prices in force, or all there ever were",
    .about = "A GPU's own price, stated in its samples, goes before the book; --price of gtap run "
             "comes last.",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
