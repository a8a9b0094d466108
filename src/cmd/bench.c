#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cmd/cli.h"
#include "input/input.h"
#include "model/encode.h"
#include "pipeline/run.h"
#include "report/digits.h"
#include "report/json.h"
#include "report/table.h"

// Eight servers of eight GPUs, sampled once a second, that answer ten requests a second each: the
// load is what the answer speaks of. It lies in the past, as that of synthetic: does by itself.
#define SERVER_RECORDS_PER_S 18
#define SYNTHETIC_LOAD "synthetic:?duration=365d&gpus=64&rate=80"
#define COMMIT_INTERVAL_NS (200 * NS_PER_MS)
enum { LOAD_BUFFER_MAX = 64 << 20, ANSWER_MAX = 64 * 1024 };

struct options {
    struct common common;
    const char *dir;
    int64_t records;
    bool json;
};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    {.name = "records",
     .letter = 'n',
     .type = OPTION_INT,
     .offset = AT(records),
     .value = "N",
     .help = "size of the load",
     .fallback = "200000",
     .least = 1000,
     .most = 100000000},
    {.name = "dir",
     .type = OPTION_TEXT,
     .offset = AT(dir),
     .value = "DIR",
     .help = "where the load and the store are put meanwhile; measure the disk you will use",
     .fallback = "/tmp",
     .env = "TMPDIR"},
    {.name = "json", .type = OPTION_FLAG, .offset = AT(json), .help = "as JSON"},
    {0},
};

// A folder of our own, with what is put in there.
struct workplace {
    char *dir, *load, *store;
};

static int workplace_make(struct workplace *w, const char *parent, struct error *err)
{
    *w = (struct workplace){.dir = x_asprintf("%s/gtap-bench-XXXXXX", parent)};
    if (mkdtemp(w->dir) == NULL) {
        int code = -errno;
        free(TAKE_PTR(w->dir));
        return error_set(err, code, "%s: %s", parent, error_name(code));
    }
    w->load = x_asprintf("%s/load.ndjson", w->dir);
    w->store = x_asprintf("%s/store.db", w->dir);
    return 0;
}

static void workplace_remove(struct workplace *w)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock", ".lock"};
    for (size_t i = 0; w->dir && i < ARRAY_LEN(suffixes); i++) {
        AUTO_FREE char *path = x_asprintf("%s%s", w->store, suffixes[i]);
        unlink(path);
    }
    if (w->dir) {
        unlink(w->load);
        rmdir(w->dir);
    }
    free(w->dir);
    free(w->load);
    free(w->store);
}

static int write_batch(FILE *f, const struct batch *batch, int64_t *left, struct error *err)
{
    struct buf b;
    buf_init(&b, LOAD_BUFFER_MAX);
    for (size_t i = 0; i<batch->n_records && * left> 0; i++, --*left) {
        record_encode(&b, &batch->records[i]);
        buf_char(&b, '\n');
    }
    bool good = buf_ok(&b) && (b.n == 0 || fwrite(b.p, b.n, 1, f) == 1);
    buf_done(&b);
    return good ? 0 : error_set(err, -EIO, "writing the load: %s", error_name(errno));
}

static int write_records(FILE *f, struct input *in, int64_t n, struct error *err)
{
    struct batch batch;
    batch_init(&batch);
    int r = INPUT_MORE;
    while (n > 0 && r == INPUT_MORE) {
        batch_clear(&batch);
        r = input_next(in, &batch, err);
        int written = r < 0 ? r : write_batch(f, &batch, &n, err);
        r = written < 0 ? written : r;
    }
    batch_done(&batch);
    return r < 0 ? r : 0;
}

// The load as a file, so that decoding is measured as well.
static int make_load(struct cli *cli, const char *path, int64_t n, struct error *err)
{
    struct uri uri;
    struct input *in;
    // RATE and its like are for inputs that the user names.
    struct input_env env = {.clock = cli->clock, .now_start = cli_now(cli), .stop_fd = -1};
    int r = uri_parse(&cli->arena, STR(SYNTHETIC_LOAD), &uri, err);
    r = r < 0 ? r : input_open(&uri, &env, &in, err);
    if (r < 0) {
        return r;
    }
    FILE *f = fopen(path, "we");
    if (f == NULL) {
        r = error_set(err, -errno, "%s: %s", path, error_name(errno));
    } else {
        r = write_records(f, in, n, err);
        if (fclose(f) != 0 && r == 0) {
            r = error_set(err, -errno, "%s: %s", path, error_name(errno));
        }
    }
    input_close(in);
    return r;
}

struct measure {
    const char *name; // "null:", "sqlite:"
    uint64_t records;
    double seconds;
};

static int measure(struct cli *cli, const char *load, const char *store, struct measure *m,
                   struct error *err)
{
    AUTO_FREE char *input = x_asprintf("file:%s", load);
    const char *inputs[] = {input};
    struct run_config c = {
        .inputs = inputs,
        .n_inputs = 1,
        .output = store,
        .settings = settings_default,
        .settings_given = SETTINGS_ALL,
        .until_end = true,
        .commit_interval_ns = COMMIT_INTERVAL_NS,
        .env = {.clock = cli->clock,
                .now_start = cli_now(cli),
                .stop_fd = -1,
                .getenv = cli->getenv},
    };
    c.settings.default_price_nusd = 2 * INT64_C(1000000000);
    struct run_progress done = {0};
    struct mono began = clock_mono(cli->clock);
    int r = run_pipeline(&c, &done, err);
    m->records = done.records;
    m->seconds = (double)(clock_mono(cli->clock).ns - began.ns) / (double)NS_PER_S;
    return r;
}

static double rate_of(const struct measure *m)
{
    return m->seconds > 0 ? (double)m->records / m->seconds : 0;
}

static void put_json(const struct measure *m, size_t n, struct buf *b)
{
    struct json j = {.b = b};
    json_open(&j, NULL, '[');
    for (size_t i = 0; i < n; i++) {
        json_open(&j, NULL, '{');
        json_str(&j, "store", str_of(m[i].name));
        json_int(&j, "records", (i128)m[i].records);
        json_double(&j, "seconds", m[i].seconds);
        json_double(&j, "records_per_second", rate_of(&m[i]));
        json_close(&j, '}');
    }
    json_close(&j, ']');
    buf_char(b, '\n');
}

static void put_table(struct cli *cli, const struct measure *m, size_t n, struct buf *b)
{
    struct table t;
    struct buf text;
    table_init(&t, &cli->arena);
    buf_init(&text, 64);
    table_column(&t, "store", TABLE_LEFT, 0);
    table_column(&t, "records", TABLE_RIGHT, 0);
    table_column(&t, "seconds", TABLE_RIGHT, 0);
    table_column(&t, "records/s", TABLE_RIGHT, 0);
    for (size_t i = 0; i < n; i++) {
        table_row(&t);
        table_set(&t, 0, str_of(m[i].name));
        digits_grouped(&text, (i128)m[i].records, 0);
        table_set_buf(&t, 1, &text);
        buf_printf(&text, "%.2f", m[i].seconds);
        table_set_buf(&t, 2, &text);
        digits_grouped(&text, (i128)rate_of(&m[i]), 0);
        table_set_buf(&t, 3, &text);
    }
    struct table_style style = {cli->out_terminal.width, cli->out_terminal.color};
    table_write(&t, &style, b);
    table_done(&t);
    buf_done(&text);
}

// Two digits: no measurement of a few seconds has more.
static i128 roughly(double v)
{
    i128 n = (i128)v, unit = 1;
    while (n / unit >= 100) {
        unit *= 10;
    }
    return n / unit * unit;
}

static int answer(struct cli *cli, const struct options *o, const struct measure *m, size_t n)
{
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    if (o->json) {
        put_json(m, n, &b);
        return cli_print(cli, &b);
    }
    put_table(cli, m, n, &b);
    buf_cstr(
        &b,
        "\nnull: is reading and decoding alone, sqlite: cost engine and store as well. Whatever "
        "else the machine\ndid meanwhile counts. A server of 8 GPUs, sampled once a second, "
        "that answers 10 requests a second\nmakes 18 records a second: with SQLite this "
        "machine keeps up with about ");
    digits_grouped(&b, roughly(rate_of(&m[n - 1]) / SERVER_RECORDS_PER_S), 0);
    buf_cstr(&b, " of them.\n");
    return cli_print(cli, &b);
}

static int bench_in(struct cli *cli, const struct options *o, const struct workplace *w,
                    struct error *err)
{
    AUTO_FREE char *sqlite = x_asprintf("sqlite:%s", w->store);
    struct measure m[] = {{.name = "null:"}, {.name = "sqlite:"}};
    cli_progress(cli, "making up a load");
    int r = make_load(cli, w->load, o->records, err);
    cli_progress(cli, "reading it");
    r = r < 0 ? r : measure(cli, w->load, m[0].name, &m[0], err);
    cli_progress(cli, "metering it into sqlite:");
    r = r < 0 ? r : measure(cli, w->load, sqlite, &m[1], err);
    cli_progress(cli, NULL);
    return r < 0 ? cli_fail(cli, err) : answer(cli, o, m, ARRAY_LEN(m));
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct error err = {0};
    struct workplace w;
    int status =
        workplace_make(&w, o->dir, &err) < 0 ? cli_fail(cli, &err) : bench_in(cli, o, &w, &err);
    workplace_remove(&w);
    return status;
}

const struct command command_bench = {
    .name = "bench",
    .args = "",
    .summary = "how much this machine can meter",
    .about = "Makes up a load, reads it, meters it into SQLite, and says how many records a second "
             "that was.\nLeaves nothing behind.",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
