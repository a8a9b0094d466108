#include <errno.h>

#include "cmd/run_status.h"
#include "report/digits.h"
#include "test.h"

static int64_t fake_wall(const struct clock *c)
{
    (void)c;
    return INT64_C(1795442400000000000); // 2026-11-23T14:00:00Z
}

static int64_t mono_now;

static struct mono fake_mono(const struct clock *c)
{
    (void)c;
    return (struct mono){mono_now};
}

static const struct clock fake = {fake_wall, fake_mono};

struct stage {
    struct cli cli;
    struct run_status status;
    char *err;
    size_t n_err;
};

static void open_stage(struct stage *s)
{
    *s = (struct stage){0};
    s->cli = (struct cli){.out = stdout, .err = open_memstream(&s->err, &s->n_err), .clock = &fake};
    mono_now = 1000 * NS_PER_S;
    run_status_init(&s->status, &s->cli, "null:");
}

static void close_stage(struct stage *s)
{
    run_status_done(&s->status);
    fclose(s->cli.err);
    arena_done(&s->cli.arena);
    free(s->err);
}

static const struct run_progress nothing = {
    .input_total = -1, .newest = INT64_MIN, .frontier = INT64_MIN};

static void test_lines(void **state)
{
    (void)state;
    struct run_progress finite = nothing, ending = nothing, live = nothing;
    finite.input_total = 1000;
    finite.input_done = 250;
    finite.records = 41203;
    ending.ending = true;
    ending.records = 5;
    ending.settling = 18 * 60 * NS_PER_S;
    live.newest = fake_wall(NULL) - 1200 * NS_PER_MS;
    live.dead_letters = 1;
    const struct {
        const struct run_progress *p;
        bool has_cost;
        const char *want;
    } rows[] = {
        {&finite, false, "25.0 % · 41,203 records · 4,000/s · 30 s left"},
        {&ending, false, "5 records stored · finishing windows, 18 min to settle"},
        {&live, false, "612 k tok/min · 1 s behind · 1 dead letter"},
        {&live, true,
         "$22.40/h · $0.746/Mtok loaded · 612 k tok/min · 71 % busy · 1 s behind · "
         "1 dead letter"},
        {&nothing, false, "612 k tok/min · 0 dead letters"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stage s;
        struct buf b;
        open_stage(&s);
        buf_init(&b, 512);
        s.status.records_per_s = 4000;
        s.status.tokens_per_s = 10200;
        s.status.has_cost = rows[i].has_cost;
        s.status.usd_per_hour = 22.4;
        s.status.usd_per_mtok = 0.746;
        s.status.busy = 0.71;
        mono_now += 10 * NS_PER_S;
        run_status_line(&s.status, rows[i].p, &b);
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
        close_stage(&s);
    }
}

static void add_minute(struct store *s, int64_t start, int64_t cost_nusd)
{
    struct error err;
    struct window_row row = {
        .window_start = start,
        .gpu = {STR("gpu-01"), 0, GPU_INSTANCE_NONE},
        .kind = ROW_USAGE,
        .model = STR("m"),
        .cost_nusd = cost_nusd,
        .prompt_tokens = 1000,
        .requests = 1,
        .busy_ns = 60 * NS_PER_S,
        .final = true,
        .revision = 1,
    };
    struct window_rows window = {start, start + 60 * NS_PER_S, 0, &row, 1, false};
    struct shard_state shard = {.frontier = start + 60 * NS_PER_S,
                                .newest = start + 60 * NS_PER_S,
                                .oldest_pending = INT64_MAX};
    struct store_write w = {.windows = &window, .n_windows = 1, .shards = &shard, .n_shards = 1};
    assert_ok(store_commit(s, &w, &err), &err);
}

static void add_sample(struct store *s, int64_t ts)
{
    struct record record = {.kind = RECORD_SAMPLE, .event_id = STR("first")};
    struct store_record stored = {.record = &record};
    struct store_write w = {.records = &stored, .n_records = 1};
    struct error err;
    record.sample.ts = ts;
    record.sample.gpu = (struct gpu_key){STR("gpu-01"), 0, GPU_INSTANCE_NONE};
    record.digest = record_digest(&record);
    assert_ok(store_commit(s, &w, &err), &err);
}

// What is paid an hour is that also when there is less than the last five minutes to tell it from:
// at $3 an hour a minute costs 50 million nano-dollars.
static void test_cost_of_the_first_minutes(void **state)
{
    (void)state;
    static const struct {
        int64_t first_s;    // record, before the frontier
        int64_t minutes[6]; // costs of the minutes before the frontier, the oldest first; 0: none
    } rows[] = {
        {600, {50000000, 50000000, 50000000, 50000000, 50000000, 50000000}},
        {120, {0, 0, 0, 0, 50000000, 50000000}},
        {90, {0, 0, 0, 0, 25000000, 50000000}},
        {90000, {0, 0, 0, 50000000, 50000000, 50000000}}, // after a pause
    };
    int64_t frontier = fake_wall(NULL) - 360 * NS_PER_S;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stage s;
        struct store *store = NULL;
        struct run_progress p = nothing;
        struct settings settings = settings_default;
        struct error err;
        struct buf line;
        open_stage(&s);
        buf_init(&line, STATUS_LINE_MAX);
        s.status.output = "memory:status";
        s.cli.err_terminal.is_terminal = true;
        assert_ok(store_open(s.status.output, STORE_WRITE, &store, &err), &err);
        assert_ok(store_add_settings(store, &settings, 0, &err), &err);
        add_sample(store, frontier - rows[i].first_s * NS_PER_S);
        for (int64_t m = 0; m < 6; m++) {
            if (rows[i].minutes[m] > 0) {
                add_minute(store, frontier - (6 - m) * 60 * NS_PER_S, rows[i].minutes[m]);
            }
        }
        p.frontier = frontier;
        run_status_progress(&s.status, &p, &line);
        assert_true(s.status.has_cost);
        test_near(s.status.usd_per_hour, 3.0, 1e-9, "usd_per_hour", __FILE__, (int)i);
        buf_done(&line);
        close_stage(&s);
        store_close(store);
    }
}

static void test_summary(void **state)
{
    (void)state;
    struct stage s;
    struct run_progress p = nothing;
    p.records = 3;
    p.usages = 1;
    p.samples = 2;
    p.frontier = fake_wall(NULL) - 6 * 60 * NS_PER_S;
    p.duplicates = 1;
    p.conflicts = 2;
    p.late = 1200;
    p.unplaced = 1;
    open_stage(&s);
    mono_now += 75 * NS_PER_S;
    run_status_summary(&s.status, &p);
    fflush(s.cli.err);
    assert_str(str_of(s.err), "gtap: stored 3 records (1 request, 2 samples) in 1 min 15 s; final "
                              "up to 23 Nov 13:54 UTC; 0 dead letters; 1 duplicate ignored; 2 "
                              "conflicts kept as dead letters; 1,200 came late; 1 request on no "
                              "known GPU\n");
    close_stage(&s);
}

// What failed, what is safe, and what to do; before anything was read only the first.
static void test_failures(void **state)
{
    (void)state;
    static const struct {
        int code;
        uint64_t records;
        int status;
        const char *want;
    } rows[] = {
        {-ENOSPC, 41203, EXIT_COULD_NOT,
         "gtap: x: full. 41,203 records of this run are stored and safe; nothing after them was "
         "acknowledged.\n      Free some space and run the same command again: it goes on where it "
         "stopped.\n"},
        {-EROFS, 1, EXIT_COULD_NOT,
         "gtap: x: full. 1 record of this run is stored and safe; nothing after it was "
         "acknowledged.\n      Make it writable and run the same command again: it goes on where "
         "it stopped.\n"},
        {-EIO, 7, EXIT_COULD_NOT,
         "gtap: x: full. 7 records of this run are stored and safe; nothing after them was "
         "acknowledged.\n      Run the same command again when that is mended: it goes on where it "
         "stopped.\n"},
        {-EINVAL, 0, EXIT_WRONG_USAGE, "gtap: x: full\n"},
        {-ENOENT, 0, EXIT_COULD_NOT, "gtap: x: full\n"},
        {-EBUSY, 0, EXIT_COULD_NOT, "gtap: x: full\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stage s;
        struct run_progress p = nothing;
        struct error err;
        error_set(&err, rows[i].code, "x: full");
        p.records = rows[i].records;
        open_stage(&s);
        assert_i64(run_status_failure(&s.status, &p, &err), rows[i].status);
        fflush(s.cli.err);
        assert_str(str_of(s.err), rows[i].want);
        close_stage(&s);
    }
}

// What is said on stderr as the one input of a run fares like this, step by step.
static void test_inputs_are_told_of(void **state)
{
    (void)state;
    static const struct {
        bool ok;
        int64_t last_ok;
        const char *error, *want;
    } rows[] = {
        {true, INT64_MIN, "", ""}, // not read yet
        {false, INT64_MIN, "no driver", "gtap: nvml: no driver; trying again\n"},
        {false, INT64_MIN, "still no driver", ""},
        {true, 1, "", "gtap: nvml: 8 x H100\n"},
        {true, 2, "", ""},
        {false, 2, "GPU is lost", "gtap: nvml: GPU is lost; trying again\n"},
        {true, 3, "", "gtap: nvml: is back\n"},
    };
    struct stage s;
    open_stage(&s);
    size_t said = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run_source source = {.name = "nvml:", .about = "8 x H100", .live = true};
        struct run_progress p = nothing;
        struct buf line;
        source.health.ok = rows[i].ok;
        source.health.last_ok = rows[i].last_ok;
        snprintf(source.health.error, sizeof(source.health.error), "%s", rows[i].error);
        p.sources = &source;
        p.n_sources = 1;
        buf_init(&line, STATUS_LINE_MAX);
        run_status_progress(&s.status, &p, &line);
        buf_done(&line);
        fflush(s.cli.err);
        assert_str(((struct str){s.err + said, s.n_err - said}), rows[i].want);
        said = s.n_err;
    }
    close_stage(&s);
}

// The store, too, is told of when it begins to fail, and when it is back.
static void test_the_store_is_told_of(void **state)
{
    (void)state;
    static const struct {
        bool ok;
        const char *error, *want;
    } rows[] = {
        {true, "", ""},
        {false, "mongodb://m: no primary", "gtap: mongodb://m: no primary; trying again\n"},
        {false, "mongodb://m: still none", ""},
        {true, "mongodb://m: still none", "gtap: the store is back\n"},
        {true, "mongodb://m: still none", ""},
    };
    struct stage s;
    open_stage(&s);
    size_t said = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run_progress p = nothing;
        struct buf line;
        p.store.ok = rows[i].ok;
        snprintf(p.store.error, sizeof(p.store.error), "%s", rows[i].error);
        buf_init(&line, STATUS_LINE_MAX);
        run_status_progress(&s.status, &p, &line);
        assert_true(rows[i].ok || strstr(buf_view(&line).p, " · the store is away"));
        buf_done(&line);
        fflush(s.cli.err);
        assert_str(((struct str){s.err + said, s.n_err - said}), rows[i].want);
        said = s.n_err;
    }
    close_stage(&s);
}

int main(void)
{
    return TEST_RUN(TEST(test_lines), TEST(test_cost_of_the_first_minutes),
                    TEST(test_the_store_is_told_of), TEST(test_summary), TEST(test_failures),
                    TEST(test_inputs_are_told_of));
}
