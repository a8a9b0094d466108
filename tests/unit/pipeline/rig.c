#include "rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

enum { PIPE_BYTES = 256 << 10 }; // what a test writes before anybody reads
#define MONTH_NS (30 * NS_PER_DAY)

const char *const rig_stores[2] = {"memory", "sqlite"};

static struct mono clock_mono_of(const struct clock *c)
{
    struct rig_clock *clock = (struct rig_clock *)(uintptr_t)c;
    return (struct mono){atomic_fetch_add(&clock->ns, clock->step)};
}

static int64_t clock_wall_of(const struct clock *c)
{
    return EPOCH_NS + MONTH_NS + ((const struct rig_clock *)c)->ns;
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static void on_progress(void *ctx, const struct run_progress *p)
{
    struct rig *r = ctx;
    r->n_progress++;
    if (r->on_progress) {
        r->on_progress(r, p);
    }
}

static void on_notice(void *ctx, const char *text)
{
    struct rig *r = ctx;
    buf_printf(&r->notices, "%s\n", text);
}

void rig_init(struct rig *r, const char *store)
{
    static atomic_int number;
    *r = (struct rig){.dir = "/tmp/gtap-pipeline-XXXXXX"};
    assert_non_null(mkdtemp(r->dir));
    r->clock.base = (struct clock){.wall = clock_wall_of, .mono = clock_mono_of};
    r->clock.step = 10 * NS_PER_MS;
    bool memory = strcmp(store, "memory") == 0;
    r->store_text = memory ? x_asprintf("memory:rig%d", atomic_fetch_add(&number, 1))
                           : x_asprintf("sqlite:%s/store.db", r->dir);
    if (memory) {
        assert_ok(store_open(r->store_text, STORE_ADMIN, &r->keeper, &r->err), &r->err);
    }
    buf_init(&r->notices, RIG_TEXT_MAX);
    r->config = (struct run_config){
        .inputs = r->inputs,
        .output = r->store_text,
        .settings = settings_default,
        .settings_given = SETTINGS_ALL,
        .until_end = true,
        .env = {.clock = &r->clock.base, .stop_fd = eventfd(0, EFD_CLOEXEC), .getenv = no_env},
        .progress = on_progress,
        .notice = on_notice,
        .ctx = r,
    };
    r->config.env.now_start = clock_wall(&r->clock.base);
    assert_true(r->config.env.stop_fd >= 0);
}

static void remove_files(const char *dir)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
        }
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

void rig_done(struct rig *r)
{
    store_close(r->keeper);
    close(r->config.env.stop_fd);
    remove_files(r->dir);
    buf_done(&r->notices);
    arena_done(&r->arena);
    free(r->store_text);
}

const char *rig_path(struct rig *r, const char *name)
{
    AUTO_FREE char *path = x_asprintf("%s/%s", r->dir, name);
    return arena_copy(&r->arena, str_of(path)).p;
}

static const char *uri_of(struct rig *r, const char *path)
{
    AUTO_FREE char *uri = x_asprintf("file:%s", path);
    return arena_copy(&r->arena, str_of(uri)).p;
}

const char *rig_file(struct rig *r, const char *name, const struct buf *text)
{
    const char *path = rig_path(r, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    rig_write(fd, text);
    close(fd);
    return uri_of(r, path);
}

// Open at both ends, so that neither opening it nor reading it waits, and it has no end before this
// one is closed.
const char *rig_pipe(struct rig *r, const char *name, int *ret_fd)
{
    const char *path = rig_path(r, name);
    assert_int_equal(mkfifo(path, 0600), 0);
    *ret_fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(*ret_fd >= 0);
    assert_true(fcntl(*ret_fd, F_SETPIPE_SZ, PIPE_BYTES) >= PIPE_BYTES);
    return uri_of(r, path);
}

void rig_write(int fd, const struct buf *text)
{
    assert_true(buf_ok(text));
    for (size_t at = 0; at < text->n;) {
        ssize_t n = write(fd, text->p + at, text->n - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

// Looks again every millisecond; ends the test when it takes too long, from whatever thread.
struct patience {
    struct mono until;
};

static struct patience patience(void)
{
    return (struct patience){{clock_mono(&clock_system).ns + TEST_PATIENCE_MS * NS_PER_MS}};
}

static void wait_a_little(const struct patience *p)
{
    if (clock_mono(&clock_system).ns > p->until.ns) {
        print_error("what was waited for did not come about\n");
        abort();
    }
    (void)poll(NULL, 0, 1);
}

void rig_wait_read(int fd)
{
    struct patience p = patience();
    int left = 1;
    while (ioctl(fd, FIONREAD, &left) == 0 && left > 0) {
        wait_a_little(&p);
    }
}

void rig_wait_stored(struct rig *r, int64_t records)
{
    struct patience p = patience();
    for (;;) {
        struct store *s = NULL;
        struct store_info info = {0};
        struct error err;
        if (store_open(r->store_text, STORE_READ, &s, &err) == 0 &&
            store_info(s, &info, &err) == 0 && info.samples + info.usages >= records) {
            store_close(s);
            return;
        }
        store_close(s);
        wait_a_little(&p);
    }
}

void rig_inputs(struct rig *r, const char *first, ...)
{
    va_list args;
    va_start(args, first);
    r->config.n_inputs = 0;
    for (const char *uri = first; uri; uri = va_arg(args, const char *)) {
        assert_true(r->config.n_inputs < RIG_INPUTS_MAX);
        r->inputs[r->config.n_inputs++] = uri;
    }
    va_end(args);
}

static void *helper_main(void *ctx)
{
    struct rig *r = ctx;
    r->help(r);
    return NULL;
}

void rig_help(struct rig *r, void (*help)(struct rig *r))
{
    r->help = help;
}

void rig_begin_help(struct rig *r)
{
    if (r->help) {
        assert_int_equal(pthread_create(&r->helper, NULL, helper_main, r), 0);
    }
}

void rig_end_help(struct rig *r)
{
    if (r->help) {
        pthread_join(r->helper, NULL);
    }
    r->help = NULL;
}

int rig_run(struct rig *r)
{
    r->err = (struct error){0};
    r->progress = (struct run_progress){0};
    r->n_progress = 0;
    rig_begin_help(r);
    int result = run_pipeline(&r->config, &r->progress, &r->err);
    rig_end_help(r);
    return result;
}

void rig_must_run(struct rig *r)
{
    assert_ok(rig_run(r), &r->err);
}

void rig_stop(struct rig *r)
{
    const uint64_t one = 1;
    assert_int_equal(write(r->config.env.stop_fd, &one, sizeof(one)), sizeof(one));
}

void rig_unstop(struct rig *r)
{
    uint64_t n;
    assert_int_equal(read(r->config.env.stop_fd, &n, sizeof(n)), sizeof(n));
}

// ---- looking into the store ----------------------------------------------------------------

struct store *rig_open(struct rig *r, enum store_access access)
{
    struct store *s = NULL;
    struct error err; // a helper may be the caller, while a run uses the bench's own
    assert_ok(store_open(r->store_text, access, &s, &err), &err);
    return s;
}

struct store_info rig_info(struct rig *r)
{
    struct store_info info;
    struct store *s = rig_open(r, STORE_READ);
    assert_ok(store_info(s, &info, &r->err), &r->err);
    store_close(s);
    return info;
}

int64_t rig_count(struct rig *r, enum window_level level, bool final)
{
    struct window_query q = {level, INT64_MIN, INT64_MAX, -1};
    struct store *s = rig_open(r, STORE_READ);
    struct store_cursor *c = NULL;
    struct window_row row;
    int64_t n = 0;
    assert_ok(store_windows(s, &q, &c, &r->err), &r->err);
    while (store_windows_next(c, &row, &r->err) > 0) {
        n += row.final == final;
    }
    store_cursor_close(c);
    store_close(s);
    return n;
}

static void dump_row(struct buf *b, const struct window_row *w)
{
    buf_printf(b, "%" PRId64 " " STR_FMT "/%d/%d " STR_FMT " %s " STR_FMT " " STR_FMT,
               w->window_start, STR_ARG(w->gpu.host), w->gpu.index, w->gpu.instance,
               STR_ARG(w->site), row_kind_name(w->kind), STR_ARG(w->model), STR_ARG(w->tenant));
    buf_printf(b, " cost %" PRId64 " %" PRId64 " %" PRId64, w->cost_nusd, w->cost_in_nusd,
               w->cost_out_nusd);
    buf_printf(b, " tokens %" PRId64 " %" PRId64 " %" PRId64 " of %" PRId64 " (%" PRId64 ")",
               w->prompt_tokens, w->cached_prompt_tokens, w->completion_tokens, w->requests,
               w->unpriced_requests);
    buf_printf(b, " time %" PRId64 " %" PRId64 " energy %d %a final %d %s\n", w->busy_ns,
               w->unpriced_ns, w->has_energy, w->has_energy ? w->energy_j : 0, w->final,
               method_name(w->method));
}

static void dump_rows(struct rig *r, struct store *s, struct buf *b)
{
    struct window_query q = {LEVEL_WINDOW, INT64_MIN, INT64_MAX, -1};
    struct store_cursor *c = NULL;
    struct window_row row;
    int n;
    assert_ok(store_windows(s, &q, &c, &r->err), &r->err);
    while ((n = store_windows_next(c, &row, &r->err)) > 0) {
        dump_row(b, &row);
    }
    assert_ok(n, &r->err);
    store_cursor_close(c);
}

static void dump_costs(struct rig *r, struct store *s, struct buf *b)
{
    struct record_query q = {.kind = RECORD_USAGE, .from = INT64_MIN, .to = INT64_MAX, .shard = -1};
    struct store_cursor *c = NULL;
    struct stored_record row;
    int n;
    assert_ok(store_records(s, &q, &c, &r->err), &r->err);
    while ((n = store_records_next(c, &row, &r->err)) > 0) {
        const struct usage_cost *u = &row.cost;
        buf_printf(b, STR_FMT " priced %d %" PRId64 " %" PRId64 " %" PRId64 " energy %a final %d\n",
                   STR_ARG(row.record.event_id), u->priced, u->cost_in_nusd, u->cost_out_nusd,
                   u->unpriced_ns, u->has_energy ? u->energy_j : -1, u->final);
    }
    assert_ok(n, &r->err);
    store_cursor_close(c);
}

void rig_dump(struct rig *r, struct buf *ret)
{
    struct store *s = rig_open(r, STORE_READ);
    buf_init(ret, RIG_TEXT_MAX);
    dump_rows(r, s, ret);
    dump_costs(r, s, ret);
    assert_true(buf_ok(ret) && ret->n > 0);
    store_close(s);
}

void rig_check_same(struct rig *r, const struct buf *dump)
{
    struct buf own;
    rig_dump(r, &own);
    struct str a = buf_view(&own), b = buf_view(dump), x, y;
    while (a.n > 0 && b.n > 0 && str_split(&a, '\n', &x) && str_split(&b, '\n', &y)) {
        test_str(x, y, "a line of what was computed", __FILE__, __LINE__);
    }
    assert_int_equal(own.n, dump->n);
    buf_done(&own);
}

static void print_difference(void *ctx, const struct difference *d)
{
    (void)ctx;
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    const struct window_row *rows[] = {d->stored, d->derived};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_printf(&b, "%s %s: ", d->level, i ? "derived" : "stored");
        if (rows[i]) {
            dump_row(&b, rows[i]);
        } else {
            buf_cstr(&b, "none\n");
        }
    }
    print_error("%s", b.p);
    buf_done(&b);
}

struct rederive_result rig_verify(struct rig *r)
{
    struct rederive_result result;
    struct rederive_config c = {.store = r->store_text,
                                .from = INT64_MIN,
                                .to = INT64_MAX,
                                .max_differences = 2,
                                .difference = print_difference};
    assert_ok(verify_store(&c, &result, &r->err), &r->err);
    assert_int_equal(result.rows_different, 0);
    assert_i64(result.bill_nusd,
               result.requests_nusd + result.idle_nusd + result.unattributed_nusd);
    return result;
}

// ---- records as NDJSON ---------------------------------------------------------------------

void put_sample(struct buf *b, const char *id, int64_t at, int gpu, const char *more)
{
    buf_printf(b,
               "{\"event_id\":\"%s\",\"ts\":%" PRId64
               ",\"host\":\"h\",\"gpu_index\":%d,\"utilization\":0.5%s}\n",
               id, EPOCH_S + at, gpu, more);
}

void put_usage(struct buf *b, const char *id, int64_t end, int64_t seconds, int gpu,
               const char *more)
{
    buf_printf(b,
               "{\"event_id\":\"%s\",\"ts\":%" PRId64 ",\"latency_ms\":%" PRId64
               ",\"host\":\"h\",\"gpu_index\":%d,\"model\":\"m\",\"prompt_tokens\":100,"
               "\"completion_tokens\":40%s}\n",
               id, EPOCH_S + end, seconds * 1000, gpu, more);
}

int64_t put_load(struct buf *b, int64_t from, int64_t to)
{
    int64_t n = 0;
    for (int64_t t = from; t <= to; t++) {
        for (int gpu = 0; gpu < 2; gpu++) {
            char id[48];
            if (t % 7 == 0 && t > from) {
                snprintf(id, sizeof(id), "r%" PRId64 "-%d", t, gpu);
                put_usage(b, id, t, 5, gpu, ",\"ttft_ms\":900");
                n++;
            }
            if (t % 10 == 0) {
                snprintf(id, sizeof(id), "s%" PRId64 "-%d", t, gpu);
                put_sample(b, id, t, gpu, ",\"price_per_hour_usd\":3.6,\"power_w\":250");
                n++;
            }
        }
    }
    return n;
}
