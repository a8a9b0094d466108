// What becomes of records that are not plainly new: doubles, conflicts, refused and late ones.
#include "rig.h"

#include <unistd.h>

static void run_text(struct rig *r, const char *name, struct buf *text)
{
    rig_inputs(r, rig_file(r, name, text), NULL);
    rig_must_run(r);
    buf_done(text);
    buf_init(text, RIG_TEXT_MAX);
}

struct letters {
    int n;
    char reasons[512], payloads[1024];
};

static struct letters read_letters(struct rig *r)
{
    struct letters found = {0};
    struct store *s = rig_open(r, STORE_READ);
    struct store_cursor *c = NULL;
    struct dead_letter d;
    assert_ok(store_dead_letters(s, INT64_MIN, INT64_MAX, &c, &r->err), &r->err);
    while (store_dead_letters_next(c, &d, &r->err) > 0) {
        found.n++;
        size_t at = strlen(found.reasons);
        snprintf(found.reasons + at, sizeof(found.reasons) - at, "%lld " STR_FMT "|",
                 (long long)d.position, STR_ARG(d.reason));
        at = strlen(found.payloads);
        snprintf(found.payloads + at, sizeof(found.payloads) - at, STR_FMT "|", STR_ARG(d.payload));
    }
    store_cursor_close(c);
    store_close(s);
    return found;
}

// The same once more: in the same batch, in another batch, in another file, in another run.
static void test_duplicates(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct buf load, text;
        rig_init(&r, rig_stores[i]);
        buf_init(&load, RIG_TEXT_MAX);
        buf_init(&text, RIG_TEXT_MAX);
        int64_t n = put_load(&load, 0, 9000); // more than a batch
        buf_str(&text, buf_view(&load));
        buf_str(&text, buf_view(&load));
        put_sample(&text, "twice", 9001, 0, "");
        put_sample(&text, "twice", 9001, 0, "");
        rig_inputs(&r, rig_file(&r, "a.ndjson", &text), rig_file(&r, "b.ndjson", &load), NULL);
        rig_must_run(&r);
        assert_i64((int64_t)r.progress.records, n + 1);
        assert_i64((int64_t)r.progress.duplicates, 2 * n + 1);
        assert_i64((int64_t)r.progress.conflicts, 0);
        struct rederive_result before = rig_verify(&r);
        run_text(&r, "c.ndjson", &load);
        assert_i64((int64_t)r.progress.records, 0);
        assert_i64((int64_t)r.progress.duplicates, n);
        assert_i64((int64_t)r.progress.late, 0);
        struct rederive_result after = rig_verify(&r);
        assert_i64(after.bill_nusd, before.bill_nusd);
        assert_i64((int64_t)after.requests, (int64_t)before.requests);
        assert_int_equal(read_letters(&r).n, 0);
        buf_done(&text);
        buf_done(&load);
        rig_done(&r);
    }
}

// Of two records with one id the first to arrive counts; the other is kept where it does no harm.
static void test_conflicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct buf text;
        rig_init(&r, rig_stores[i]);
        buf_init(&text, RIG_TEXT_MAX);
        put_sample(&text, "s", 0, 0, ",\"price_per_hour_usd\":3.6");
        put_sample(&text, "s", 0, 0, ",\"price_per_hour_usd\":7.2");
        put_sample(&text, "t", 30, 0, ",\"price_per_hour_usd\":3.6");
        run_text(&r, "a.ndjson", &text);
        assert_i64((int64_t)r.progress.records, 2);
        assert_i64((int64_t)r.progress.conflicts, 1);
        put_sample(&text, "t", 31, 0, ",\"price_per_hour_usd\":3.6");
        put_sample(&text, "t", 30, 0, ",\"price_per_hour_usd\":3.6");
        run_text(&r, "b.ndjson", &text);
        assert_i64((int64_t)r.progress.records, 0);
        assert_i64((int64_t)r.progress.conflicts, 1);
        assert_i64((int64_t)r.progress.duplicates, 1);
        assert_i64(rig_verify(&r).bill_nusd, 30 * INT64_C(1000000));
        struct letters l = read_letters(&r);
        assert_int_equal(l.n, 2);
        assert_non_null(strstr(l.reasons, "2 conflict"));
        assert_non_null(strstr(l.reasons, "1 conflict"));
        assert_non_null(strstr(l.payloads, "7.2"));
        assert_i64(rig_info(&r).dead_letters, 2);
        buf_done(&text);
        rig_done(&r);
    }
}

static void test_dead_letters(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct buf text;
        rig_init(&r, rig_stores[i]);
        buf_init(&text, RIG_TEXT_MAX);
        put_sample(&text, "s", 0, 0, "");
        buf_cstr(&text, "{\"ts\":1,\"no\":\"kind\"}\n");
        put_usage(&text, "u", 10, 5, 0, ",\"cached_prompt_tokens\":101");
        put_sample(&text, "ahead", 31 * 86400, 0, ""); // a day later than the bench's wall clock
        put_sample(&text, "t", 30, 0, "");
        run_text(&r, "a.ndjson", &text);
        assert_i64((int64_t)r.progress.records, 2);
        assert_i64((int64_t)r.progress.dead_letters, 3);
        struct letters l = read_letters(&r);
        assert_int_equal(l.n, 3);
        assert_non_null(strstr(l.reasons, "2 "));
        assert_non_null(strstr(l.reasons, "3 cached_prompt_tokens"));
        assert_non_null(strstr(l.reasons, "4 "));
        assert_non_null(strstr(l.payloads, "{\"ts\":1,\"no\":\"kind\"}|"));
        rig_must_run(&r); // read already: not refused again
        assert_i64((int64_t)r.progress.dead_letters, 0);
        assert_int_equal(read_letters(&r).n, 3);
        buf_done(&text);
        rig_done(&r);
    }
}

struct late_request {
    bool late, final;
    int32_t revision;
};

static struct late_request find_request(struct rig *r, const char *id)
{
    struct late_request found = {.revision = -1};
    struct record_query q = {.kind = RECORD_USAGE, .from = INT64_MIN, .to = INT64_MAX, .shard = -1};
    struct store *s = rig_open(r, STORE_READ);
    struct store_cursor *c = NULL;
    struct stored_record row;
    assert_ok(store_records(s, &q, &c, &r->err), &r->err);
    while (store_records_next(c, &row, &r->err) > 0) {
        if (str_eq(row.record.event_id, str_of(id))) {
            found = (struct late_request){row.cost.late, row.cost.final, row.cost.revision};
        }
    }
    store_cursor_close(c);
    store_close(s);
    return found;
}

static int32_t revision_of_window(struct rig *r, int64_t at)
{
    struct window_query q = {LEVEL_WINDOW, EPOCH_NS + at * NS_PER_S, EPOCH_NS + at * NS_PER_S + 1,
                             -1};
    struct store *s = rig_open(r, STORE_READ);
    struct store_cursor *c = NULL;
    struct window_row row;
    int32_t newest = 0;
    assert_ok(store_windows(s, &q, &c, &r->err), &r->err);
    while (store_windows_next(c, &row, &r->err) > 0) {
        newest = MAX(newest, row.revision);
    }
    store_cursor_close(c);
    store_close(s);
    return newest;
}

// Hours late, in the same run or in the next one: in the end it is as if all had come in order.
static void test_late_records(void **state)
{
    (void)state;
    struct buf load, late, dump;
    buf_init(&load, RIG_TEXT_MAX);
    buf_init(&late, RIG_TEXT_MAX);
    (void)put_load(&load, 0, 9000);
    put_usage(&late, "late", 130, 20, 0, "");
    put_sample(&late, "late sample", 305, 1, ",\"price_per_hour_usd\":7.2");
    {
        struct rig r;
        rig_init(&r, "memory");
        rig_inputs(&r, rig_file(&r, "late.ndjson", &late), rig_file(&r, "load.ndjson", &load),
                   NULL);
        rig_must_run(&r);
        rig_dump(&r, &dump);
        rig_done(&r);
    }
    for (size_t i = 0; i < 2 * ARRAY_LEN(rig_stores); i++) {
        bool same_run = i % 2 == 0;
        struct rig r;
        rig_init(&r, rig_stores[i / 2]);
        struct buf text;
        buf_init(&text, RIG_TEXT_MAX);
        buf_str(&text, buf_view(&load));
        if (same_run) {
            buf_str(&text, buf_view(&late));
            run_text(&r, "all.ndjson", &text);
        } else {
            run_text(&r, "load.ndjson", &text);
            assert_int_equal(revision_of_window(&r, 120), 1);
            buf_str(&text, buf_view(&late));
            run_text(&r, "late.ndjson", &text);
        }
        assert_i64((int64_t)r.progress.late, 2);
        assert_i64(r.progress.settling, 0);
        struct late_request q = find_request(&r, "late");
        assert_true(q.late && q.final);
        assert_int_equal(q.revision,
                         1);            // its first final cost, though in a second revision of time
        q = find_request(&r, "r126-0"); // ran beside it
        assert_true(!q.late && q.final);
        assert_int_equal(q.revision, 2);
        q = find_request(&r, "r8995-0");
        assert_int_equal(q.revision, 1);
        assert_int_equal(revision_of_window(&r, 120), 2);
        assert_int_equal(revision_of_window(&r, 6000), 1);
        (void)rig_verify(&r);
        rig_check_same(&r, &dump);
        buf_done(&text);
        rig_done(&r);
    }
    buf_done(&dump);
    buf_done(&late);
    buf_done(&load);
}

static int pipe_fd = -1;

static void feed_one_late(struct rig *r)
{
    rig_wait_stored(r, r->wanted);
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    put_usage(&b, "late", 130, 20, 0, "");
    rig_write(pipe_fd, &b);
    rig_wait_stored(r, r->wanted + 1);
    rig_stop(r);
    buf_done(&b);
}

// What came late is settled before a run that was told to stop is over.
static void test_late_before_a_stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct buf load;
        rig_init(&r, rig_stores[i]);
        r.clock.step = 0; // no settlement is due while it runs
        rig_inputs(&r, rig_pipe(&r, "pipe", &pipe_fd), NULL);
        buf_init(&load, RIG_TEXT_MAX);
        r.wanted = put_load(&load, 0, 1000);
        rig_write(pipe_fd, &load);
        rig_help(&r, feed_one_late);
        rig_must_run(&r);
        assert_i64((int64_t)r.progress.late, 1);
        assert_i64(r.progress.settling, 0);
        assert_i64(r.progress.frontier, EPOCH_NS + 660 * NS_PER_S);
        struct late_request q = find_request(&r, "late");
        assert_true(q.late && q.final);
        (void)rig_verify(&r);
        close(pipe_fd);
        buf_done(&load);
        rig_done(&r);
    }
}

// It ends one ns behind the bound of a window, and nothing else is there.
static void test_the_last_nanosecond(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct buf text;
        rig_init(&r, rig_stores[i]);
        buf_init(&text, RIG_TEXT_MAX);
        buf_printf(&text,
                   "{\"event_id\":\"u\",\"ts\":%lld.000000001,\"latency_ms\":1000,\"model\":\"m\","
                   "\"prompt_tokens\":1,\"completion_tokens\":2}\n",
                   (long long)EPOCH_S + 60);
        run_text(&r, "a.ndjson", &text);
        assert_i64((int64_t)r.progress.unplaced, 1);
        assert_true(find_request(&r, "u").final);
        assert_i64((int64_t)rig_verify(&r).unplaced_requests, 1);
        buf_done(&text);
        rig_done(&r);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_duplicates), TEST(test_conflicts), TEST(test_dead_letters),
                    TEST(test_late_records), TEST(test_late_before_a_stop),
                    TEST(test_the_last_nanosecond));
}
