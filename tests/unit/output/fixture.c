#include "fixture.h"

#include <ftw.h>
#include <unistd.h>

#include "mongodb.h"
#include "output/store_impl.h"

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void open_keeper(struct fixture *f)
{
    if (strcmp(f->scheme, "memory") == 0) {
        assert_ok(store_open(f->uri, STORE_ADMIN, &f->keeper, &f->err), &f->err);
    }
}

static char *make_uri(const struct fixture *f)
{
    if (strcmp(f->scheme, "mongodb") == 0) {
        return mongodb_uri(strrchr(f->folder, '/') + 1);
    }
    return strcmp(f->scheme, "memory") == 0 ? x_asprintf("memory:%s", f->folder)
                                            : x_asprintf("sqlite:%s/t.db", f->folder);
}

int run_fixture_tests(const char *name, const struct CMUnitTest *tests, size_t n)
{
    const char *store = getenv("GTAP_TEST_STORE");
    if (store && strcmp(store, "mongodb") == 0) {
        cmocka_set_test_filter("*(mongodb)");
    } else {
        cmocka_set_skip_filter("*(mongodb)");
    }
    return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

bool has_transactions(const struct fixture *f)
{
    return f->s->ops->transactions;
}

char *other_uri(struct fixture *f)
{
    const char *options = strchr(f->uri, '?');
    size_t n = options ? (size_t)(options - f->uri) : strlen(f->uri);
    char *uri AUTO_FREE = x_asprintf("%.*s-other%s", (int)n, f->uri, options ? options : "");
    return (char *)(uintptr_t)arena_copy(&f->arena, str_of(uri)).p;
}

int fixture_setup(void **state)
{
    struct fixture *f = x_zalloc(sizeof(*f));
    f->scheme = *state;
    const char *tmp = getenv("TMPDIR");
    f->folder = x_asprintf("%s/gtap-store-XXXXXX", tmp ? tmp : "/tmp");
    if (mkdtemp(f->folder) == NULL) {
        return -1;
    }
    f->uri = make_uri(f);
    *state = f;
    open_keeper(f);
    return store_open(f->uri, STORE_WRITE, &f->s, &f->err);
}

int fixture_teardown(void **state)
{
    enum { OPEN_FILES = 8 };
    struct fixture *f = *state;
    store_close(f->s);
    store_close(f->keeper);
    if (strcmp(f->scheme, "mongodb") == 0) {
        mongodb_drop(f->uri);
    }
    arena_done(&f->arena);
    (void)nftw(f->folder, remove_entry, OPEN_FILES, FTW_DEPTH | FTW_PHYS);
    free(f->folder);
    free(f->uri);
    free(f);
    return 0;
}

void fixture_reopen(struct fixture *f)
{
    store_close(f->s);
    f->s = NULL;
    assert_ok(store_open(f->uri, STORE_WRITE, &f->s, &f->err), &f->err);
}

static struct str keep(struct fixture *f, const char *text)
{
    return arena_copy(&f->arena, str_of(text));
}

static struct record *add_record(struct fixture *f, enum record_kind kind, const char *id)
{
    assert_true(f->n_records < WRITE_MAX);
    struct record *r = arena_alloc(&f->arena, sizeof(*r));
    *r = (struct record){.kind = kind, .event_id = keep(f, id), .position = 1};
    f->records[f->n_records++] = (struct store_record){.record = r};
    return r;
}

void set_digest(struct record *r)
{
    r->digest = record_digest(r);
}

struct record *add_sample(struct fixture *f, const char *id, const char *host, int32_t gpu,
                          int64_t ts)
{
    struct record *r = add_record(f, RECORD_SAMPLE, id);
    r->sample = (struct gpu_sample){
        .ts = ts,
        .gpu = {keep(f, host), gpu, GPU_INSTANCE_NONE},
        .has = SAMPLE_POWER,
        .power_w = 431.25,
    };
    set_digest(r);
    return r;
}

struct record *add_usage(struct fixture *f, const char *id, const char *host, int32_t gpu,
                         int64_t start, int64_t end)
{
    struct record *r = add_record(f, RECORD_USAGE, id);
    int32_t *gpus = arena_alloc(&f->arena, sizeof(*gpus));
    *gpus = gpu;
    r->usage = (struct usage_record){
        .ts = end,
        .latency_ns = end - start,
        .prompt_tokens = 100,
        .completion_tokens = 20,
        .requests = 1,
        .model = STR("llama-3-70b"),
        .host = keep(f, host),
        .gpus = host ? gpus : NULL,
        .n_gpus = host ? 1 : 0,
        .gpu_instance = GPU_INSTANCE_NONE,
    };
    set_digest(r);
    return r;
}

int64_t nth_seq(const struct fixture *f, enum record_kind kind, int64_t n)
{
    return n >= 1 && n <= (int64_t)f->n_seqs[kind] ? f->seqs[kind][n - 1] : n;
}

int64_t shown_seq(const struct fixture *f, enum record_kind kind, int64_t seq)
{
    for (size_t i = 0; f->shown && i < f->shown->n[kind]; i++) {
        if (f->shown->there[kind][i] == seq) {
            return f->shown->here[kind][i];
        }
    }
    return seq;
}

void set_seen(const struct fixture *f, struct shard_state *s, int64_t samples, int64_t usages)
{
    s->samples_seen = nth_seq(f, RECORD_SAMPLE, samples);
    s->usage_seen = nth_seq(f, RECORD_USAGE, usages);
}

struct usage_cost *add_cost(struct fixture *f, int64_t n, int64_t in, int64_t out)
{
    assert_true(f->n_costs < WRITE_MAX);
    struct usage_cost *c = &f->costs[f->n_costs++];
    *c = (struct usage_cost){
        .seq = nth_seq(f, RECORD_USAGE, n),
        .priced = true,
        .cost_nusd = in + out,
        .cost_in_nusd = in,
        .cost_out_nusd = out,
        .final = true,
        .revision = 1,
    };
    return c;
}

struct shard_state *add_shard(struct fixture *f, uint32_t shard, int64_t frontier)
{
    assert_true(f->n_shards < ARRAY_LEN(f->shards));
    struct shard_state *s = &f->shards[f->n_shards++];
    *s = (struct shard_state){
        .shard = shard,
        .frontier = frontier,
        .newest = frontier,
        .oldest_pending = INT64_MAX,
        .samples_seen = INT64_MAX,
        .usage_seen = INT64_MAX,
    };
    return s;
}

void add_unsettled(struct fixture *f, uint32_t shard, int64_t from, int64_t to)
{
    assert_true(f->n_unsettled < ARRAY_LEN(f->unsettled));
    f->unsettled[f->n_unsettled++] = (struct unsettled_range){shard, from, to};
}

static struct window_rows *window_of(struct fixture *f, uint32_t shard, int64_t start)
{
    for (size_t i = 0; i < f->n_windows; i++) {
        if (f->windows[i].window_start == start && f->windows[i].shard == shard) {
            return &f->windows[i];
        }
    }
    assert_true(f->n_windows < WRITE_MAX);
    struct window_rows *w = &f->windows[f->n_windows++];
    *w = (struct window_rows){
        .window_start = start,
        .window_end = start + 60 * NS_PER_S,
        .shard = shard,
        .rows = arena_alloc(&f->arena, WRITE_MAX * sizeof(struct window_row)),
    };
    return w;
}

struct window_row *add_idle(struct fixture *f, uint32_t shard, int64_t start, const char *host,
                            int32_t gpu, int64_t cost)
{
    struct window_rows *w = window_of(f, shard, start);
    assert_true(w->n < WRITE_MAX);
    struct window_row *row = (struct window_row *)(uintptr_t)&w->rows[w->n++];
    *row = (struct window_row){
        .window_start = start,
        .gpu = {keep(f, host), gpu, GPU_INSTANCE_NONE},
        .kind = ROW_IDLE,
        .cost_nusd = cost,
        .busy_ns = 60 * NS_PER_S,
        .final = true,
        .revision = 1,
    };
    return row;
}

void drop_write(struct fixture *f)
{
    f->n_records = f->n_costs = f->n_windows = f->n_shards = 0;
    f->n_unsettled = f->n_letters = f->n_positions = 0;
}

static void note_seqs(struct fixture *f)
{
    for (size_t i = 0; i < f->n_records; i++) {
        const struct store_record *sr = &f->records[i];
        size_t *n = &f->n_seqs[sr->record->kind];
        if (sr->verdict == STORE_NEW && *n < SEQS_MAX) {
            f->seqs[sr->record->kind][(*n)++] = sr->record->seq;
        }
    }
}

int try_put(struct fixture *f)
{
    struct store_write w = {
        .records = f->records,
        .n_records = f->n_records,
        .dead_letters = f->letters,
        .n_dead_letters = f->n_letters,
        .positions = f->positions,
        .n_positions = f->n_positions,
        .windows = f->windows,
        .n_windows = f->n_windows,
        .costs = f->costs,
        .n_costs = f->n_costs,
        .shards = f->shards,
        .n_shards = f->n_shards,
        .unsettled = f->unsettled,
        .n_unsettled = f->n_unsettled,
    };
    int r = store_commit(f->s, &w, &f->err);
    if (r == 0) {
        note_seqs(f);
    }
    drop_write(f);
    return r;
}

void put(struct fixture *f)
{
    assert_ok(try_put(f), &f->err);
}

struct record_query query(enum record_kind kind, enum record_order order, enum record_filter filter)
{
    return (struct record_query){
        .kind = kind,
        .order = order,
        .filter = filter,
        .from = INT64_MIN,
        .to = INT64_MAX,
        .shard = -1,
    };
}

struct store_info info_of(struct fixture *f, struct store *s)
{
    struct store_info i;
    assert_ok(store_info(s, &i, &f->err), &f->err);
    return i;
}

struct dead_letter only_letter(struct fixture *f)
{
    struct store_cursor *c = NULL;
    struct dead_letter d, copy;
    assert_ok(store_dead_letters(f->s, INT64_MIN, INT64_MAX, &c, &f->err), &f->err);
    assert_i64(store_dead_letters_next(c, &d, &f->err), 1);
    copy = d;
    copy.origin = arena_copy(&f->arena, d.origin);
    copy.reason = arena_copy(&f->arena, d.reason);
    copy.payload = arena_copy(&f->arena, d.payload);
    assert_i64(store_dead_letters_next(c, &d, &f->err), 0);
    store_cursor_close(c);
    return copy;
}

void check_text(const char *got, const char *want, const char *file, int line)
{
    struct str g = str_of(got), w = str_of(want);
    bool more = true;
    for (int n = 1; more; n++) {
        struct str got_line = STR_NONE, want_line = STR_NONE;
        more = str_split(&g, '\n', &got_line);
        more |= str_split(&w, '\n', &want_line);
        if (!str_eq(got_line, want_line)) {
            fail_at(file, line, "line %d differs:\n got  " STR_FMT "\n want " STR_FMT "\n", n,
                    STR_ARG(got_line), STR_ARG(want_line));
        }
    }
}

uint64_t draw(uint64_t *state, uint64_t below)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d) % below;
}
