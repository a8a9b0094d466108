#include <string.h>

#include "cmd/cli.h"
#include "cmd/shared_options.h"
#include "report/format.h"

#define BY_DEFAULT "model,tenant"
enum { REPORT_BYTES_MAX = 1 << 30 };

struct options {
    struct common common;
    const char *store, *by, *tz, *step;
    struct text_list where;
    struct time_spec since, until;
    int basis, format, sort;
    int64_t limit;
    bool json, exact, provisional;
    struct focus_names focus;
};

// In the order of enum report_basis, report_formats[] and enum report_sort.
static const char *const bases[] = {"busy", "loaded", NULL};
static const char *const formats[] = {"table", "csv", "json", "html", "focus", NULL};
static const char *const sorts[] = {"auto", "cost", "tokens", "requests", "rate", "name", NULL};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    OPTION_STORE(struct options, "the store to read"),
    {.name = "by",
     .letter = 'b',
     .type = OPTION_TEXT,
     .offset = AT(by),
     .value = "LIST",
     .help =
         "group by any of model, tenant, gpu, host, site, hour, day, time, kind, in this order; "
         "'' for the total alone",
     .fallback = BY_DEFAULT,
     .key = "by"},
    {.name = "step",
     .type = OPTION_TEXT,
     .offset = AT(step),
     .value = "STEP",
     .help =
         "how long a `time` of --by is, which comes first unless it is named there: window, 5m, "
         "15m, 1h, 1d, or whatever divides a day",
     .key = "step"},
    {.name = "where",
     .letter = 'w',
     .type = OPTION_LIST,
     .offset = AT(where),
     .value = "NAME=VALUE",
     .help =
         "only what this holds for, of model, tenant, gpu, host, site, kind; again for one name: "
         "or, for another: and",
     .key = "where"},
    OPTION_SINCE(struct options),
    OPTION_UNTIL(struct options),
    OPTION_TZ(struct options),
    {.name = "basis",
     .type = OPTION_CHOICE,
     .offset = AT(basis),
     .value = "BASIS",
     .help = "busy: rows show what their requests cost; loaded: with their share of idle and "
             "unattributed time, so that they add up to the bill",
     .fallback = "busy",
     .key = "basis",
     .choices = bases},
    {.name = "format",
     .letter = 'f',
     .type = OPTION_CHOICE,
     .offset = AT(format),
     .value = "FORMAT",
     .help = "table, csv, json, html (one page with charts, for a mail or for paper), or focus "
             "(FOCUS 1.4 for finance: by GPU, tenant, model and token type, an hour a row or, "
             "with --by day, a day)",
     .fallback = "table",
     .key = "format",
     .choices = formats},
    {.name = "json", .type = OPTION_FLAG, .offset = AT(json), .help = "same as --format json"},
    {.name = "exact",
     .type = OPTION_FLAG,
     .offset = AT(exact),
     .help = "nine decimals and single tokens",
     .key = "exact"},
    {.name = "sort",
     .type = OPTION_CHOICE,
     .offset = AT(sort),
     .value = "ORDER",
     .help = "auto (hours and days as they pass, the rest by cost), cost, tokens, requests, rate "
             "or name",
     .fallback = "auto",
     .key = "sort",
     .choices = sorts},
    {.name = "limit",
     .letter = 'n',
     .type = OPTION_INT,
     .offset = AT(limit),
     .value = "N",
     .help = "show N groups and add up the others; 0 shows all",
     .fallback = "0",
     .key = "limit",
     .most = 1000000},
    {.name = "provisional",
     .type = OPTION_FLAG,
     .offset = AT(provisional),
     .help = "with the windows that are not final yet",
     .key = "provisional"},
    {.name = "billing-account",
     .type = OPTION_TEXT,
     .offset = AT(focus.account_id),
     .value = "ID",
     .help = "with --format focus: the BillingAccountId",
     .fallback = "gtap",
     .key = "billing_account"},
    {.name = "billing-account-name",
     .type = OPTION_TEXT,
     .offset = AT(focus.account_name),
     .value = "NAME",
     .help = "with --format focus: the BillingAccountName",
     .key = "billing_account_name"},
    {.name = "provider",
     .type = OPTION_TEXT,
     .offset = AT(focus.provider),
     .value = "NAME",
     .help = "with --format focus: the ServiceProviderName and HostProviderName",
     .fallback = "self-hosted",
     .key = "provider"},
    {.name = "invoice-issuer",
     .type = OPTION_TEXT,
     .offset = AT(focus.issuer),
     .value = "NAME",
     .help = "with --format focus: the InvoiceIssuerName (default: the provider)",
     .key = "invoice_issuer"},
    {.name = "service",
     .type = OPTION_TEXT,
     .offset = AT(focus.service),
     .value = "NAME",
     .help = "with --format focus: the ServiceName",
     .fallback = "LLM inference",
     .key = "service"},
    {0},
};

static int add_step(struct cli *cli, const struct options *o, struct report_query *q)
{
    struct error err;
    size_t at = 0;
    while (at < q->n_by && q->by[at] != DIM_TIME) {
        at++;
    }
    if (!o->step) {
        return at < q->n_by ? cli_misuse(cli, "--by time needs --step, such as --step 1h") : 0;
    }
    if (report_step_parse(str_of(o->step), &q->step, &err) < 0) {
        return cli_misuse(cli, "--step: %s", err.msg);
    }
    if (at == q->n_by) {
        memmove(q->by + 1, q->by, q->n_by * sizeof(q->by[0]));
        q->by[0] = DIM_TIME;
        q->n_by++;
    }
    return 0;
}

static int add_filters(struct cli *cli, const struct options *o, struct report_query *q)
{
    struct error err;
    struct report_filter *filters = arena_alloc(&cli->arena, o->where.n * sizeof(*filters) + 1);
    for (size_t i = 0; i < o->where.n; i++) {
        if (report_filter_parse(str_of(o->where.items[i]), &filters[i], &err) < 0) {
            return cli_misuse(cli, "--where: %s", err.msg);
        }
    }
    q->filters = filters;
    q->n_filters = o->where.n;
    return 0;
}

static const struct report_format *format_of(const struct options *o)
{
    return o->json ? &format_json : report_formats[o->format];
}

// A format with groups of its own: of --by it takes whether rows are hours or days, and nothing
// else.
static int own_groups(struct cli *cli, const struct report_format *format, struct report_query *q,
                      const struct options *o)
{
    bool hours = q->n_by == 1 && q->by[0] == DIM_HOUR, days = q->n_by == 1 && q->by[0] == DIM_DAY;
    if (!hours && !days && strcmp(o->by, BY_DEFAULT) != 0) {
        return cli_misuse(cli,
                          "--by: --format %s has a row for every GPU, tenant and model; it takes "
                          "--by hour or --by day",
                          format->name);
    }
    if (strcmp(q->zone->name, zone_utc.name) != 0) {
        return cli_misuse(cli, "--tz: --format %s is in UTC alone", format->name);
    }
    const char *part = o->limit > 0 ? "--limit"
                       : o->step    ? "--step"
                       : o->where.n ? "--where"
                                    : NULL;
    if (part) {
        return cli_misuse(cli, "%s: --format %s is the whole bill", part, format->name);
    }
    q->n_by = format->n_by;
    memcpy(q->by, format->by, format->n_by * sizeof(q->by[0]));
    q->by[0] = days ? DIM_DAY : DIM_HOUR;
    q->corrections = true;
    return 0;
}

static int make_query(struct cli *cli, const struct options *o, struct zone *zone,
                      struct report_query *q)
{
    struct error err;
    int status = cli_zone(cli, o->tz, zone);
    if (status != 0) {
        return status;
    }
    *q = (struct report_query){
        .provisional = o->provisional,
        .zone = zone,
        .sort = (enum report_sort)o->sort,
        .limit = (size_t)o->limit,
        .now = cli_now(cli),
    };
    q->from = time_spec_resolve(&o->since, zone, q->now, INT64_MIN);
    q->to = time_spec_resolve(&o->until, zone, q->now, INT64_MAX);
    if (q->from >= q->to) {
        return cli_misuse(cli, "--since must be before --until");
    }
    if (report_dims_parse(str_of(o->by), q->by, &q->n_by, &err) < 0) {
        return cli_misuse(cli, "--by: %s", err.msg);
    }
    if (format_of(o)->by) {
        return own_groups(cli, format_of(o), q, o);
    }
    status = add_step(cli, o, q);
    return status ? status : add_filters(cli, o, q);
}

// With a start but no end, the end is now, so that "since 24h" says 24 h in its header.
static void close_range(struct report_query *q)
{
    if (q->from != INT64_MIN && q->to == INT64_MAX && q->from < q->now) {
        q->to = q->now;
    }
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct report_query q;
    struct zone zone;
    AUTO_STORE struct store *store = NULL;
    struct report report;
    struct error err = {0};
    int status = make_query(cli, o, &zone, &q);
    status = status ? status : cli_open(cli, o->store, STORE_READ, &store);
    if (status != 0) {
        return status;
    }
    close_range(&q);
    const struct report_format *format = format_of(o);
    if (report_load_more(store, &q, format->more, &cli->arena, &report, &err) < 0) {
        return cli_fail(cli, &err);
    }
    struct report_style style = {
        .basis = (enum report_basis)o->basis,
        .exact = o->exact,
        .width = cli->out_terminal.width,
        .color = cli->out_terminal.color,
        .focus = &o->focus,
        .store = cli_store_words(cli, o->store),
    };
    struct buf b;
    buf_init(&b, REPORT_BYTES_MAX);
    format->write(&report, &style, &b);
    return cli_print(cli, &b);
}

const struct command command_report = {
    .name = "report",
    .args = "",
    .summary = "what tokens cost, by model, tenant, GPU or time",
    .about = "Costs come from the store's final windows, so a report of a year takes about as long "
             "as one of\nan hour. Rows, idle and unattributed time add up to the bill, to the last "
             "digit shown. The range\nis widened to whole windows. Rates ($/Mtok) are made from "
             "sums: busy counts what requests cost,\nloaded idle and unattributed time as well.",
    .examples = "gtap report --by model,tenant --since 24h\n"
                "gtap report --by day --tz Europe/Berlin   # every day's bill, local midnights\n"
                "gtap report --by gpu --exact              # every GPU's bill to the nano-dollar\n"
                "gtap report --by model --step 15m --since 3h --limit 5\n"
                "gtap report --by tenant --where model=llama-3-70b --where gpu=gpu-01/0\n"
                "gtap report --by tenant --basis loaded --format csv > bill.csv\n"
                "gtap report --since 30d --format html > costs.html\n"
                "gtap report --since 2026-10-01 --until 2026-11-01 --format focus > october.csv",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
