// Drives the cost engine for the property tests: commands come in on stdin, one a line, and what
// the engine said goes out on stdout as JSON lines. It plays the pipeline and the store: it drops
// duplicates, keeps rows by window and costs by request, settles dirty ranges, and restarts.
//
//   case NAME                                    forget everything
//   settings FROM WINDOW MAX_GAP GPU_TIMEOUT HORIZON DEFAULT_PRICE W_IN W_OUT METHOD
//   price FROM NUSD_PER_HOUR SITE NAME           SITE is "-" for any; NAME goes to the line's end
//   record JSON                                  wire format, with an event_id
//   start_at T | advance T | watermark T         watermark: advance as far as it allows
//   settle | restart                             see engine_driver.h
//   preview LABEL | dump LABEL
//
// Times are ns, prices nano-USD, -1 is "no price". Anything unexpected ends it with a message.
#include "engine_driver.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/intern.h"
#include "model/decode.h"
#include "model/validate.h"

enum { OUTPUT_MAX = 1 << 30 };

_Noreturn void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("engine_driver: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(3);
}

static struct str next_word(struct str *line)
{
    struct str word;
    if (!str_split(line, ' ', &word) || word.n == 0) {
        die("a word is missing");
    }
    return word;
}

static int64_t next_i64(struct str *line)
{
    struct str word = next_word(line);
    int64_t v;
    if (decimal_parse(word, 0, &v) < 0) {
        die("not an integer: " STR_FMT, STR_ARG(word));
    }
    return v;
}

static void case_done(struct driver *d)
{
    engine_free(d->engine);
    intern_free(d->texts);
    intern_free(d->ids[RECORD_SAMPLE]);
    intern_free(d->ids[RECORD_USAGE]);
    arena_reset(&d->arena);
}

static void command_case(struct driver *d, struct str name)
{
    (void)name;
    case_done(d);
    d->engine = NULL;
    d->texts = intern_new();
    d->ids[RECORD_SAMPLE] = intern_new();
    d->ids[RECORD_USAGE] = intern_new();
    d->settings = (struct settings_history){.epochs = d->epochs};
    d->prices = (struct price_book){.entries = d->entries};
    d->n_records = 0;
    d->rows.n = 0;
}

struct engine *driver_engine(struct driver *d)
{
    if (d->engine == NULL) {
        d->engine = engine_new(&d->settings, &d->prices);
    }
    return d->engine;
}

static void configured(struct driver *d)
{
    if (d->engine != NULL) {
        engine_configure(d->engine, &d->settings, &d->prices);
    }
}

static void command_settings(struct driver *d, struct str args)
{
    if (d->settings.n == EPOCHS_MAX) {
        die("too many settings");
    }
    struct settings s = {
        .effective_from = next_i64(&args),
        .window_ns = next_i64(&args),
        .max_gap_ns = next_i64(&args),
        .gpu_timeout_ns = next_i64(&args),
        .horizon_ns = next_i64(&args),
        .default_price_nusd = next_i64(&args),
        .weight_in = (int32_t)next_i64(&args),
        .weight_out = (int32_t)next_i64(&args),
    };
    struct error err;
    if (method_parse(next_word(&args), &s.method) < 0 || settings_check(&s, &err) < 0) {
        die("bad settings: %s", err.msg);
    }
    d->epochs[d->settings.n++] = s;
    configured(d);
}

static void command_price(struct driver *d, struct str args)
{
    if (d->prices.n == PRICES_MAX) {
        die("too many prices");
    }
    struct price_entry e = {
        .id = (int64_t)d->prices.n + 1,
        .effective_from = next_i64(&args),
        .price_nusd_hour = next_i64(&args),
    };
    struct str site = next_word(&args);
    e.site = str_eq(site, STR("-")) ? STR_NONE : arena_copy(&d->arena, site);
    e.name = arena_copy(&d->arena, args);
    d->entries[d->prices.n++] = e;
    configured(d);
}

static bool seen_before(struct driver *d, const struct record *r)
{
    struct intern *ids = d->ids[r->kind];
    uint32_t known = intern_count(ids);
    return intern_id(ids, r->event_id) < known;
}

static void command_record(struct driver *d, struct str json)
{
    struct record r;
    struct error err;
    if (decoder_record(d->decoder, json, &d->arena, &r, &err) < 0 || record_check(&r, &err) < 0) {
        die("bad record: %s: " STR_FMT, err.msg, STR_ARG(json));
    }
    if (!str_present(r.event_id)) {
        die("a record without event_id");
    }
    if (seen_before(d, &r)) {
        return;
    }
    ARRAY_RESERVE(d->records, d->n_records, d->records_cap);
    if (d->costs_cap < d->records_cap) {
        d->costs = x_realloc_array(d->costs, d->records_cap, sizeof(*d->costs));
        d->costs_cap = d->records_cap;
    }
    r.seq = r.position = (int64_t)d->n_records + 1;
    d->costs[d->n_records] = (struct usage_cost){.seq = 0};
    d->records[d->n_records++] = r;
    engine_add(driver_engine(d), &r);
}

static struct str keep(struct driver *d, struct str s)
{
    return str_present(s) ? intern_str(d->texts, intern_id(d->texts, s)) : s;
}

void driver_drop_rows(struct driver *d, int64_t from, int64_t to)
{
    struct rows *rows = &d->rows;
    size_t kept = 0;
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->v[i].window_start < from || rows->v[i].window_start >= to) {
            rows->v[kept++] = rows->v[i];
        }
    }
    rows->n = kept;
}

void driver_keep_row(struct driver *d, const struct window_row *row)
{
    struct rows *rows = &d->rows;
    ARRAY_RESERVE(rows->v, rows->n, rows->cap);
    struct window_row *kept = &rows->v[rows->n++];
    *kept = *row;
    kept->gpu.host = keep(d, row->gpu.host);
    kept->site = keep(d, row->site);
    kept->model = keep(d, row->model);
    kept->tenant = keep(d, row->tenant);
}

void driver_keep_cost(struct driver *d, const struct usage_cost *cost)
{
    if (cost->seq < 1 || cost->seq > (int64_t)d->n_records) {
        die("a cost for the unknown seq %" PRId64, cost->seq);
    }
    d->costs[cost->seq - 1] = *cost;
    d->costs[cost->seq - 1].event_id = driver_record(d, cost->seq)->event_id;
}

static void live_window(void *ctx, int64_t start, int64_t end)
{
    driver_drop_rows(ctx, start, end);
}

static void live_row(void *ctx, const struct window_row *row)
{
    driver_keep_row(ctx, row);
}

static void live_cost(void *ctx, const struct usage_cost *cost)
{
    driver_keep_cost(ctx, cost);
}

// Time only moves forward: an earlier instant than one already reached is nobody's mistake here.
static void advance(struct driver *d, int64_t until)
{
    if (until <= engine_frontier(driver_engine(d))) {
        return;
    }
    struct engine_sink sink = {
        .window_begin = live_window, .row = live_row, .cost = live_cost, .ctx = d};
    engine_advance(d->engine, until, &sink);
}

static void command_advance(struct driver *d, struct str args)
{
    advance(d, next_i64(&args));
}

static void command_watermark(struct driver *d, struct str args)
{
    advance(d, engine_settled_until(driver_engine(d), next_i64(&args)));
}

static void command_start_at(struct driver *d, struct str args)
{
    engine_start_at(driver_engine(d), next_i64(&args));
}

static const struct command {
    const char *name;
    void (*run)(struct driver *d, struct str args);
} commands[] = {
    {"record", command_record}, {"advance", command_advance},   {"watermark", command_watermark},
    {"settle", driver_settle},  {"restart", driver_restart},    {"preview", driver_preview},
    {"dump", driver_dump},      {"case", command_case},         {"settings", command_settings},
    {"price", command_price},   {"start_at", command_start_at},
};

static void run_line(struct driver *d, struct str line)
{
    struct str name = next_word(&line);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (str_eq(name, str_of(commands[i].name))) {
            commands[i].run(d, line);
            return;
        }
    }
    die("unknown command: " STR_FMT, STR_ARG(name));
}

int main(void)
{
    static struct driver d;
    d.decoder = decoder_new();
    buf_init(&d.out, OUTPUT_MAX);
    command_case(&d, STR_NONE);
    struct buf line;
    buf_init(&line, RECORD_BYTES_MAX + DECODER_PADDING);
    char *text = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&text, &cap, stdin)) > 0;) {
        buf_clear(&line);
        buf_add(&line, text, (size_t)n - (text[n - 1] == '\n'));
        if (buf_reserve(&line, DECODER_PADDING) == NULL) {
            die("too long a line");
        }
        run_line(&d, buf_view(&line));
    }
    free(text);
    buf_done(&line);
    case_done(&d);
    arena_done(&d.arena);
    free(d.records);
    free(d.costs);
    free(d.rows.v);
    buf_done(&d.out);
    decoder_free(d.decoder);
    return 0;
}
