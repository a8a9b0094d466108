#include "base/decimal.h"
#include "cmd/price.h"
#include "cmd/price_file.h"
#include "cmd/shared_options.h"
#include "report/json.h"

enum { USD_SCALE = 9, ANSWER_MAX = 8192 };

struct options {
    struct common common;
    const char *store, *tz, *site, *source;
    struct time_spec from;
    bool json;
};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    OPTION_STORE(struct options, "the store whose price book it is"),
    {.name = "from",
     .type = OPTION_TIME,
     .offset = AT(from),
     .value = "TIME",
     .help = "the price holds from this time on (default: now)"},
    {.name = "site",
     .type = OPTION_TEXT,
     .offset = AT(site),
     .value = "SITE",
     .help = "only for GPUs at this site"},
    {.name = "source",
     .type = OPTION_TEXT,
     .offset = AT(source),
     .value = "TEXT",
     .help = "where the price is from: an invoice, a contract"},
    OPTION_TZ(struct options),
    OPTION_JSON(struct options),
    {0},
};

static int read_entry(struct cli *cli, const struct options *o, const struct zone *zone,
                      struct price_entry *e)
{
    struct error err;
    *e = (struct price_entry){
        .name = str_of(cli->args[0]),
        .site = str_of(o->site),
        .source = str_of(o->source),
        .added_at = cli_now(cli),
        .effective_from = time_spec_resolve(&o->from, zone, cli_now(cli), cli_now(cli)),
    };
    if (decimal_parse(str_of(cli->args[1]), USD_SCALE, &e->price_nusd_hour) < 0) {
        return cli_misuse(cli, "the price must be an amount in USD per hour such as 2.95, not '%s'",
                          cli->args[1]);
    }
    return price_entry_check(e, &err) < 0 ? cli_misuse(cli, "%s", err.msg) : 0;
}

static int answer(struct cli *cli, const struct options *o, struct store *store,
                  const struct price_entry *e, const struct zone *zone)
{
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    if (o->json) {
        struct json j = {.b = &b};
        json_open(&j, NULL, '{');
        json_int(&j, "id", e->id);
        json_str(&j, "name", e->name);
        json_str(&j, "site", e->site);
        json_int(&j, "price_nusd_hour", e->price_nusd_hour);
        json_time(&j, "effective_from", e->effective_from);
        json_close(&j, '}');
        buf_char(&b, '\n');
        return cli_print(cli, &b);
    }
    buf_printf(&b, "%s costs $", cli->args[0]);
    price_format(&b, e->price_nusd_hour);
    buf_cstr(&b, " an hour from ");
    zone_format(&b, zone, e->effective_from, cli_now(cli));
    buf_printf(&b, " %s on (entry %lld).\n", zone->name, (long long)e->id);
    int status = cli_print(cli, &b);
    return status ? status : price_explain(cli, store, o->store, e, 1, zone);
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    AUTO_STORE struct store *store = NULL;
    struct error err = {0};
    struct zone zone;
    struct price_entry e;
    int status = cli_zone(cli, o->tz, &zone);
    status = status ? status : read_entry(cli, o, &zone, &e);
    status = status ? status : cli_open(cli, o->store, STORE_ADMIN, &store);
    if (status != 0) {
        return status;
    }
    if (store_add_price(store, &e, &e.id, &err) < 0) {
        return cli_fail(cli, &err);
    }
    return answer(cli, o, store, &e, &zone);
}

const struct command command_price_add = {
    .name = "price add",
    .args = "NAME USD_PER_HOUR",
    .summary = "say what GPUs of a name cost",
    .about = "NAME is the GPU's name as it reports it, or a pattern with * and ?; letter case does "
             "not matter.\nHistory is never edited: to correct a price, add it again with the same "
             "--from, and recompute.\nA running gtap run takes a new price up by itself.",
    .examples = "gtap price add 'NVIDIA H100*' 2.95\n"
                "gtap price add 'NVIDIA L4' 0.71 --from 2026-11-01 --source 'contract 4711'",
    .options = options,
    .size = sizeof(struct options),
    .least_args = 2,
    .most_args = 2,
    .run = run,
};
