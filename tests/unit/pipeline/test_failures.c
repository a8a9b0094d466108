// What fails while a run goes on: the store, an input, the time.
#include "rig.h"

#include <errno.h>
#include <unistd.h>
#include <zlib.h>

#include "faulty_store.h"
#include "pipeline/meter.h"

// A run on a store that is open already.
static int run_on(struct rig *r, struct store *s)
{
    struct meter m;
    r->err = (struct error){0};
    int result = meter_open(&m, &r->config, s, &r->err);
    if (result == 0) {
        result = meter_run(&m, &r->err);
    }
    r->progress = m.progress;
    meter_close(&m);
    return result;
}

static void put_with_late(struct buf *load)
{
    buf_init(load, RIG_TEXT_MAX);
    (void)put_load(load, 0, 30000);
    put_usage(load, "late", 130, 20, 0, "");
}

// It fails at its first commit, at its second, ...: whatever was said to be stored is, and the next
// run goes on and ends as if nothing had been.
static void test_every_commit_fails_once(void **state)
{
    (void)state;
    struct buf load, plain = {0};
    put_with_late(&load);
    int failed = 0;
    for (int k = 0; k < 100; k++) {
        struct rig r;
        rig_init(&r, "memory");
        rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
        struct store *inner = rig_open(&r, STORE_WRITE);
        struct faulty_store f;
        faulty_store_init(&f, inner);
        f.fail_commit = k; // 0: never
        int result = run_on(&r, &f.base);
        store_close(inner);
        if (k == 0) {
            assert_ok(result, &r.err);
            rig_dump(&r, &plain);
            rig_done(&r);
            continue;
        }
        struct store_info info = rig_info(&r);
        assert_true(info.samples + info.usages >= (int64_t)r.progress.records);
        failed += result < 0;
        if (result < 0) {
            assert_int_equal(result, -ENOSPC);
            assert_int_equal(r.err.code, -ENOSPC);
            assert_string_equal(r.err.msg, "commit: told to fail");
            rig_must_run(&r);
        }
        (void)rig_verify(&r);
        rig_check_same(&r, &plain);
        rig_done(&r);
        if (result == 0 && k > 8) {
            break; // it made fewer than k commits
        }
    }
    assert_true(failed >= 3); // records, what they come to, what the late one changes
    buf_done(&plain);
    buf_done(&load);
}

static void test_the_price_book_cannot_be_read(void **state)
{
    (void)state;
    struct buf load;
    put_with_late(&load);
    for (int k = 1; k <= 2; k++) {
        struct rig r;
        rig_init(&r, "memory");
        r.clock.step = NS_PER_S; // it is looked at every 2 s
        rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
        struct store *inner = rig_open(&r, STORE_WRITE);
        struct faulty_store f;
        faulty_store_init(&f, inner);
        f.error = -EIO;
        f.fail_prices = k;
        assert_int_equal(run_on(&r, &f.base), -EIO);
        assert_string_equal(r.err.msg, "prices: told to fail");
        store_close(inner);
        rig_must_run(&r);
        (void)rig_verify(&r);
        rig_done(&r);
    }
    buf_done(&load);
}

// "file:..." of what gzip makes of the text, without its last bytes.
static const char *cut_gzip(struct rig *r, const struct buf *text)
{
    struct buf packed;
    z_stream z = {.next_in = (Bytef *)text->p, .avail_in = (uInt)text->n};
    buf_init(&packed, RIG_TEXT_MAX);
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, text->n);
    z.next_out = (Bytef *)buf_reserve(&packed, room);
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.n = z.total_out / 2;
    deflateEnd(&z);
    const char *uri = rig_file(r, "cut.gz", &packed);
    buf_done(&packed);
    return uri;
}

// The run ends with what is wrong; what both had read by then is stored, and once it is mended the
// rest is read.
static void test_an_input_breaks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rig_stores); i++) {
        struct rig r;
        struct buf good, bad;
        rig_init(&r, rig_stores[i]);
        buf_init(&good, RIG_TEXT_MAX);
        buf_init(&bad, RIG_TEXT_MAX);
        (void)put_load(&good, 0, 3000);
        for (int64_t t = 0; t < 20000; t++) {
            char id[24];
            snprintf(id, sizeof(id), "x%d", (int)t);
            put_sample(&bad, id, t, 5, ",\"price_per_hour_usd\":3.6");
        }
        const char *good_uri = rig_file(&r, "good.ndjson", &good);
        rig_inputs(&r, good_uri, cut_gzip(&r, &bad), NULL);
        assert_true(rig_run(&r) < 0);
        assert_non_null(strstr(r.err.msg, "cut.gz"));
        struct store_info info = rig_info(&r);
        assert_i64(info.samples + info.usages, (int64_t)r.progress.records);
        assert_true(info.samples > 0);
        rig_inputs(&r, good_uri, rig_file(&r, "whole.ndjson", &bad), NULL);
        rig_must_run(&r);
        assert_i64(rig_info(&r).samples, 20000 + 2 * 301);
        (void)rig_verify(&r);
        buf_done(&good);
        buf_done(&bad);
        rig_done(&r);
    }
}

// Each commit takes 10 s of a clock by which inputs are silent after 3. Requests come a batch
// behind their samples, half an hour of event time: nobody may call that silence.
static void slow_commit(void *ctx, const struct store_write *w)
{
    struct rig *r = ctx;
    (void)w;
    atomic_fetch_add(&r->clock.ns, 10 * NS_PER_S);
}

static void test_slow_commits_make_nothing_late(void **state)
{
    (void)state;
    struct buf load;
    buf_init(&load, RIG_TEXT_MAX);
    char id[32];
    put_usage(&load, "first", 10, 5, 0, "");
    for (int k = 0; k < 6; k++) {
        for (int i = k == 0; i < BATCH_RECORDS; i++) {
            snprintf(id, sizeof(id), "s%d", k * BATCH_RECORDS + i);
            put_sample(&load, id, k * BATCH_RECORDS + i, 0, ",\"price_per_hour_usd\":3.6");
        }
        for (int i = 0; i < BATCH_RECORDS; i++) {
            snprintf(id, sizeof(id), "u%d", k * BATCH_RECORDS + i);
            put_usage(&load, id, k * BATCH_RECORDS + i + 11, 5, 0, "");
        }
    }
    struct rig r;
    rig_init(&r, "memory");
    rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
    struct store *inner = rig_open(&r, STORE_WRITE);
    struct faulty_store f;
    faulty_store_init(&f, inner);
    f.on_commit = slow_commit;
    f.ctx = &r;
    assert_ok(run_on(&r, &f.base), &r.err);
    assert_i64((int64_t)r.progress.records, 12 * BATCH_RECORDS);
    assert_i64((int64_t)r.progress.late, 0);
    store_close(inner);
    (void)rig_verify(&r);
    rig_done(&r);
    buf_done(&load);
}

static void test_what_cannot_begin(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, "sqlite");
    assert_int_equal(rig_run(&r), -EINVAL); // no input
    rig_inputs(&r, "file:/nonexistent/gtap.ndjson", NULL);
    assert_int_equal(rig_run(&r), -ENOENT);
    rig_inputs(&r, "nosuch:thing", NULL);
    assert_int_equal(rig_run(&r), -EINVAL);
    rig_inputs(&r, "seed:?duration=1s&start=2026-01-01", NULL);
    r.config.settings.window_ns = 7 * NS_PER_S;
    assert_int_equal(rig_run(&r), -EINVAL);
    r.config.settings = settings_default;
    struct store *other = rig_open(&r, STORE_WRITE);
    assert_int_equal(rig_run(&r), -EBUSY);
    store_close(other);
    rig_must_run(&r);
    rig_done(&r);
}

int main(void)
{
    return TEST_RUN(TEST(test_every_commit_fails_once), TEST(test_the_price_book_cannot_be_read),
                    TEST(test_an_input_breaks), TEST(test_slow_commits_make_nothing_late),
                    TEST(test_what_cannot_begin));
}
