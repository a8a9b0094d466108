#include <errno.h>
#include <string.h>

#include "cmd/cli.h"
#include "cmd/export_rows.h"
#include "cmd/shared_options.h"
#include "cmd/suggest.h"
#include "report/digits.h"

#define PROGRESS_EVERY_NS (200 * NS_PER_MS)
enum { PROGRESS_ROWS = 256, LINE_BYTES_MAX = 256 };

struct options {
    struct common common;
    const char *store, *tz;
    struct time_spec since, until;
    int where, format, level;
};

// In the order of enum record_filter, enum emit_format and enum window_level.
static const char *const filters[] = {"all", "unplaced", "unpriced", "late", "open", NULL};
static const char *const formats[] = {"ndjson", "csv", NULL};
static const char *const levels[] = {"window", "hour", "day", NULL};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    OPTION_STORE(struct options, "the store to read"),
    OPTION_SINCE(struct options),
    OPTION_UNTIL(struct options),
    OPTION_TZ(struct options),
    {.name = "where",
     .letter = 'w',
     .type = OPTION_CHOICE,
     .offset = AT(where),
     .value = "WHICH",
     .help = "of token_usage: all, unplaced (on no known GPU), unpriced, late or open (not final)",
     .fallback = "all",
     .choices = filters},
    {.name = "level",
     .type = OPTION_CHOICE,
     .offset = AT(level),
     .value = "LEVEL",
     .help = "of cost_windows: window, hour or day",
     .fallback = "window",
     .choices = levels},
    {.name = "format",
     .letter = 'f',
     .type = OPTION_CHOICE,
     .offset = AT(format),
     .value = "FORMAT",
     .help = "ndjson or csv",
     .fallback = "ndjson",
     .choices = formats},
    {0},
};

static const struct collection {
    const char *name;
    int (*run)(struct export *x, struct error *err);
    bool ranged, filtered, levelled;
} collections[] = {
    {.name = "token_usage", .run = export_token_usage, .ranged = true, .filtered = true},
    {.name = "gpu_metrics", .run = export_gpu_metrics, .ranged = true},
    {.name = "cost_windows", .run = export_cost_windows, .ranged = true, .levelled = true},
    {.name = "dead_letters", .run = export_dead_letters, .ranged = true},
    {.name = "price_book", .run = export_price_book},
    {.name = "gpus", .run = export_gpus},
    {.name = "settings", .run = export_settings},
};

// The same, for completions.
static const char *const collection_names[] = {"token_usage",  "gpu_metrics", "cost_windows",
                                               "dead_letters", "price_book",  "gpus",
                                               "settings",     NULL};

static const struct collection *find_collection(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(collections); i++) {
        if (strcmp(collections[i].name, name) == 0) {
            return &collections[i];
        }
    }
    return NULL;
}

static int unknown_collection(struct cli *cli)
{
    const char *near = suggest(cli->args[0], collection_names);
    return cli_misuse(cli,
                      "there is no collection '%s'%s%s: choose from token_usage, gpu_metrics, "
                      "cost_windows, dead_letters, price_book, gpus, settings",
                      cli->args[0], near ? "; did you mean " : "", near ? near : "");
}

// An option that would silently do nothing is a mistake.
static int check_use(struct cli *cli, const struct options *o, const struct collection *c)
{
    bool ranged = o->since.kind != TIME_UNSET || o->until.kind != TIME_UNSET;
    const char *bad = ranged && !c->ranged            ? "--since and --until do"
                      : o->where != 0 && !c->filtered ? "--where does"
                      : o->level != 0 && !c->levelled ? "--level does"
                                                      : NULL;
    return bad ? cli_misuse(cli, "%s not apply to %s", bad, c->name) : 0;
}

// From what the rows' times say of the range: an estimate, as rows are not spread evenly.
static void put_progress(const struct export *x, double part, double passed, struct buf *b)
{
    buf_printf(b, "exporting: %.0f %% · ", 100 * part);
    digits_count(b, (int64_t)x->rows, "row");
    if (passed > 1 && part > 0) {
        buf_cstr(b, " · ");
        digits_grouped(b, (i128)((double)x->rows / passed), 0);
        buf_cstr(b, "/s · ");
        digits_duration(b, (int64_t)(passed * (1 - part) / part * (double)NS_PER_S));
        buf_cstr(b, " left");
    }
}

void export_wrote(struct export *x, int64_t t)
{
    x->rows++;
    if (x->rows % PROGRESS_ROWS != 0 || x->last <= x->first) {
        return;
    }
    struct mono now = clock_mono(x->cli->clock);
    if (x->shown.ns != 0 && now.ns - x->shown.ns < PROGRESS_EVERY_NS) {
        return;
    }
    x->shown = now;
    double part = (double)(t - x->first) / (double)(x->last - x->first);
    struct buf b;
    buf_init(&b, LINE_BYTES_MAX);
    put_progress(x, MIN(MAX(part, 0.0), 1.0), (double)(now.ns - x->began.ns) / (double)NS_PER_S,
                 &b);
    cli_progress(x->cli, buf_view(&b).p);
    buf_done(&b);
}

// Progress is for whoever waits for a file: rows on the same terminal show it themselves.
static int begin_progress(struct export *x, struct error *err)
{
    struct store_info info;
    if (!x->cli->err_terminal.is_terminal || x->cli->out_terminal.is_terminal) {
        return 0;
    }
    int r = store_info(x->store, &info, err);
    x->began = clock_mono(x->cli->clock);
    x->first = MAX(x->from, info.first);
    x->last = MIN(x->to, info.last);
    return r;
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    const struct collection *c = find_collection(cli->args[0]);
    if (c == NULL) {
        return unknown_collection(cli);
    }
    struct zone zone;
    AUTO_STORE struct store *store = NULL;
    struct error err = {0};
    int status = check_use(cli, o, c);
    status = status ? status : cli_zone(cli, o->tz, &zone);
    status = status ? status : cli_open(cli, o->store, STORE_READ, &store);
    if (status != 0) {
        return status;
    }
    struct export x = {
        .store = store,
        .arena = &cli->arena,
        .from = time_spec_resolve(&o->since, &zone, cli_now(cli), 0),
        .to = time_spec_resolve(&o->until, &zone, cli_now(cli), TIME_MAX),
        .filter = (enum record_filter)o->where,
        .level = (enum window_level)o->level,
        .cli = cli,
    };
    emitter_init(&x.emitter, (enum emit_format)o->format, cli->out);
    int r = begin_progress(&x, &err);
    r = r < 0 ? r : c->run(&x, &err);
    cli_progress(cli, NULL);
    int written = emitter_done(&x.emitter);
    if (written < 0 && r == 0) {
        r = export_failed(written, &err);
    }
    if (r == -EPIPE) { // whoever reads has enough
        return EXIT_COULD_NOT;
    }
    return r < 0 ? cli_fail(cli, &err) : 0;
}

const struct command command_export = {
    .name = "export",
    .args = "COLLECTION",
    .choices = collection_names,
    .summary = "stored rows as NDJSON or CSV",
    .about = "COLLECTION is token_usage, gpu_metrics, cost_windows, dead_letters, price_book, gpus "
             "or settings.\nWhat was exported as NDJSON from token_usage and gpu_metrics can be "
             "read again by gtap run\n--in file:... and gives the same records; the computed "
             "fields in it are left aside there.\nRecords are picked by the time they begin "
             "(requests) or are of (samples).",
    .examples = "gtap export token_usage --where unplaced\n"
                "gtap export cost_windows --level day --format csv > days.csv\n"
                "gtap export gpu_metrics | zstd > samples.ndjson.zst",
    .options = options,
    .size = sizeof(struct options),
    .least_args = 1,
    .most_args = 1,
    .run = run,
};
