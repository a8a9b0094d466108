// Damaged files: whatever a page, the end of the file or the log has become, reading and writing
// end in an error that says so or in what was stored, never in a crash or in another record.
#include <errno.h>
#include <unistd.h>

#include "output/sqlite/sqlite.h"
#include "sqlite_file.h"

enum { PAGE = 16384, WRITES = 40, SEEDS = 100 };

struct tally {
    int refused, failed, whole;
};

// ---- reading as far as it goes ---------------------------------------------------------------

static int read_records(struct fixture *f, struct store *s, enum record_kind kind, int64_t *ret_n)
{
    const struct record_query q = query(kind, RECORDS_BY_TIME, RECORDS_ALL);
    struct store_cursor *c = NULL;
    struct stored_record r;
    int more = store_records(s, &q, &c, &f->err);
    while (more >= 0 && (more = store_records_next(c, &r, &f->err)) > 0) {
        assert_i64((int64_t)record_digest(&r.record), (int64_t)r.record.digest);
        ++*ret_n;
    }
    store_cursor_close(c);
    return more;
}

static int read_windows(struct fixture *f, struct store *s, enum window_level level)
{
    const struct window_query q = {level, INT64_MIN, INT64_MAX, -1};
    struct store_cursor *c = NULL;
    struct window_row row;
    int more = store_windows(s, &q, &c, &f->err);
    while (more >= 0 && (more = store_windows_next(c, &row, &f->err)) > 0) {
    }
    store_cursor_close(c);
    return more;
}

static int read_letters(struct fixture *f, struct store *s)
{
    struct store_cursor *c = NULL;
    struct dead_letter d;
    int more = store_dead_letters(s, INT64_MIN, INT64_MAX, &c, &f->err);
    while (more >= 0 && (more = store_dead_letters_next(c, &d, &f->err)) > 0) {
    }
    store_cursor_close(c);
    return more;
}

static int read_rest(struct fixture *f, struct store *s)
{
    struct settings_history h;
    struct price_book book;
    struct unsettled_range *ranges;
    struct gpu_info *gpus;
    struct shard_state state;
    size_t n;
    int r = store_settings(s, &f->arena, &h, &f->err);
    r = r < 0 ? r : store_prices(s, &f->arena, &book, &f->err);
    r = r < 0 ? r : store_unsettled(s, &f->arena, &ranges, &n, &f->err);
    r = r < 0 ? r : store_gpus(s, &f->arena, &gpus, &n, &f->err);
    return r < 0 ? r : store_shard(s, 0, &state, &f->err);
}

// All that can be read, going on after failures: 0, or the first of them. Counts the records.
static int read_all(struct fixture *f, struct store *s, int64_t *ret_n)
{
    struct store_info info;
    int first = store_info(s, &info, &f->err);
    for (enum record_kind kind = RECORD_SAMPLE; kind <= RECORD_USAGE; kind++) {
        int r = read_records(f, s, kind, ret_n);
        first = first < 0 ? first : r;
    }
    for (enum window_level level = LEVEL_WINDOW; level <= LEVEL_DAY; level++) {
        int r = read_windows(f, s, level);
        first = first < 0 ? first : r;
    }
    int r = read_letters(f, s);
    first = first < 0 ? first : r;
    r = read_rest(f, s);
    return first < 0 ? first : r;
}

// ---- damaging --------------------------------------------------------------------------------

static void overwrite(struct buf *b, uint64_t *random)
{
    enum { NOISE, ZEROS, ANOTHER_PAGE, FEW_BYTES, KINDS };
    size_t pages = b->n / PAGE, at = draw(random, pages) * PAGE;
    char *page = b->p + at;
    switch (draw(random, KINDS)) {
    case NOISE:
        for (size_t i = 0; i < PAGE; i++) {
            page[i] = (char)draw(random, 256);
        }
        break;
    case ZEROS:
        memset(page, 0, PAGE);
        break;
    case ANOTHER_PAGE:
        memmove(page, b->p + draw(random, pages) * PAGE, PAGE);
        break;
    default:
        for (int i = 0; i < 20; i++) {
            page[draw(random, PAGE)] = (char)draw(random, 256);
        }
    }
}

static bool tells_damage(int code)
{
    return code == -EBADMSG || code == -EMEDIUMTYPE || code == -EPROTONOSUPPORT || code == -ENOENT;
}

// What one damaged file does to a reader and then to a writer. `records`: how many there were.
static void try_damaged(struct fixture *f, int64_t records, struct tally *t)
{
    struct store *s = NULL;
    int64_t n = 0;
    int r = store_open(uri_in(f, "damaged.db"), STORE_READ, &s, &f->err);
    if (r < 0) {
        assert_true(tells_damage(r));
        t->refused++;
    } else {
        r = read_all(f, s, &n);
        assert_true(r == 0 || r == -EBADMSG);
        t->failed += r < 0;
        t->whole += r == 0 && n == records;
        store_close(s);
    }
    r = store_open(uri_in(f, "damaged.db"), STORE_WRITE, &s, &f->err);
    if (r < 0) {
        assert_true(tells_damage(r) || r == -EIO);
        return;
    }
    struct store *own = f->s;
    size_t removed;
    f->s = s;
    add_usage(f, "new", "h", 0, at(100000), at(100001));
    add_idle(f, 0, at(0), "h1", 0, 7);
    add_shard(f, 0, at(86400));
    r = try_put(f);
    r = r < 0 ? r : store_expire(s, STORE_TOKEN_USAGE, INT64_MAX, 10, &removed, &f->err);
    assert_true(r == 0 || r == -EBADMSG || r == -EIO || r == -EINVAL);
    f->s = own;
    store_close(s);
}

static void remove_damaged(struct fixture *f)
{
    static const char *const names[] = {"damaged.db", "damaged.db-wal", "damaged.db-shm"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)unlink(path_in(f, names[i]));
    }
}

// The store closed and in one file.
static struct buf whole_file(struct fixture *f, int64_t *ret_records)
{
    fill(f, WRITES);
    struct store_info info = info_of(f, f->s);
    *ret_records = info.samples + info.usages;
    store_close(f->s);
    f->s = NULL;
    struct buf b = read_file(path_in(f, "t.db"));
    assert_true(b.n > 20 * (size_t)PAGE);
    return b;
}

static void test_pages_overwritten(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    int64_t records;
    struct buf good = whole_file(f, &records), b = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15);
        buf_init(&b, good.n);
        buf_add(&b, good.p, good.n);
        for (uint64_t n = draw(&random, 3); n < 3; n++) {
            overwrite(&b, &random);
        }
        write_file(path_in(f, "damaged.db"), b.p, b.n);
        buf_done(&b);
        try_damaged(f, records, &t);
        remove_damaged(f);
        arena_reset(&f->arena);
    }
    buf_done(&good);
    assert_true(t.refused > 0 && t.failed > SEEDS / 2);
}

static void test_file_cut_short(void **state)
{
    struct fixture *f = *state;
    struct tally t = {0};
    int64_t records;
    struct buf good = whole_file(f, &records);
    for (size_t n = 512; n < good.n; n += PAGE / 2 + 1000) {
        write_file(path_in(f, "damaged.db"), good.p, n);
        try_damaged(f, records, &t);
        remove_damaged(f);
        arena_reset(&f->arena);
    }
    buf_done(&good);
    assert_i64(t.whole, 0);
}

// A record whose numbers were changed, in a page that is in order.
static void test_changed_by_hand(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *sql;
        enum record_kind kind;
    } cases[] = {
        {"UPDATE usage SET prompt_tokens = prompt_tokens + 1 WHERE seq = 1", RECORD_USAGE},
        {"UPDATE usage SET start = 9223372036854775806 WHERE seq = 1", RECORD_USAGE},
        {"UPDATE usage SET latency_ns = -1 WHERE seq = 1", RECORD_USAGE},
        {"UPDATE usage SET request_id = 'other' WHERE seq = 1", RECORD_USAGE},
        {"UPDATE consumer SET model = 'cheaper'", RECORD_USAGE},
        {"UPDATE sample SET power_w = power_w / 2 WHERE seq = 1", RECORD_SAMPLE},
        {"UPDATE sample SET device = 999 WHERE seq = 1", RECORD_SAMPLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store *s = NULL;
        int64_t n = 0;
        add_usage(f, "a", "h", 0, at(0), at(1));
        add_sample(f, "a", "h", 0, at(0));
        put(f);
        copy_file(path_in(f, "t.db"), path_in(f, "damaged.db"));
        copy_file(path_in(f, "t.db-wal"), path_in(f, "damaged.db-wal"));
        run_sql(path_in(f, "damaged.db"), cases[i].sql);
        assert_ok(store_open(uri_in(f, "damaged.db"), STORE_READ, &s, &f->err), &f->err);
        assert_i64(read_records(f, s, cases[i].kind, &n), -EBADMSG);
        assert_i64(n, 0);
        store_close(s);
        remove_damaged(f);
    }
}

static void test_absurd_settings(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[] = {
        "UPDATE meta SET n_shards = 4294967296",
        "UPDATE meta SET n_shards = 0",
        "DELETE FROM meta",
        "UPDATE setting SET window_ns = 0",
        "UPDATE setting SET method = 77",
        "UPDATE price SET price_nusd_hour = -9223372036854775808",
        "UPDATE cost_window SET kind = 9",
        "UPDATE cost_window SET place = -1",
        "UPDATE usage_cost SET cost_in_nusd = 9223372036854775807, cost_out_nusd = 1",
    };
    const struct price_entry price = {.name = STR("H100"), .price_nusd_hour = 1};
    int64_t id;
    fill(f, WRITES);
    assert_ok(store_add_settings(f->s, &settings_default, 1, &f->err), &f->err);
    assert_ok(store_add_price(f->s, &price, &id, &f->err), &f->err);
    store_close(f->s);
    f->s = NULL;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store *s = NULL;
        int64_t n = 0;
        copy_file(path_in(f, "t.db"), path_in(f, "damaged.db"));
        run_sql(path_in(f, "damaged.db"), cases[i]);
        assert_ok(store_open(uri_in(f, "damaged.db"), STORE_READ, &s, &f->err), &f->err);
        int r = read_all(f, s, &n);
        if (r != -EBADMSG) {
            fail_at(__FILE__, __LINE__, "%s: got %d\n", cases[i], r);
        }
        store_close(s);
        remove_damaged(f);
    }
}

// ---- the log ---------------------------------------------------------------------------------

static int64_t count_usages(struct fixture *f, const char *name)
{
    struct store *s = NULL;
    assert_ok(store_open(uri_in(f, name), STORE_WRITE, &s, &f->err), &f->err);
    int64_t stored = info_of(f, s).usages, n = 0;
    assert_ok(read_records(f, s, RECORD_USAGE, &n), &f->err);
    assert_i64(n, stored);
    store_close(s);
    return n;
}

// After a crash the log may end anywhere, or in rubbish: what is whole counts, commit by commit.
static void test_log_cut_short(void **state)
{
    struct fixture *f = *state;
    int64_t last = 0;
    for (int i = 0; i < 12; i++) {
        char id[2] = {(char)('a' + i), '\0'};
        add_usage(f, id, "h", 0, at(i), at(i + 1));
        put(f);
    }
    struct buf log = read_file(path_in(f, "t.db-wal"));
    for (size_t n = 0; n <= log.n; n = n < log.n ? MIN(n + 9001, log.n) : n + 1) {
        copy_file(path_in(f, "t.db"), path_in(f, "damaged.db"));
        write_file(path_in(f, "damaged.db-wal"), log.p, n);
        int64_t usages = count_usages(f, "damaged.db");
        assert_true(usages >= last);
        last = usages;
        remove_damaged(f);
    }
    assert_i64(last, 12);
    uint64_t random = 42;
    for (int i = 0; i < 30; i++) {
        size_t at = 32 + draw(&random, log.n - 32);
        copy_file(path_in(f, "t.db"), path_in(f, "damaged.db"));
        log.p[at] = (char)~log.p[at];
        write_file(path_in(f, "damaged.db-wal"), log.p, log.n);
        log.p[at] = (char)~log.p[at];
        assert_true(count_usages(f, "damaged.db") <= 12);
        remove_damaged(f);
    }
    buf_done(&log);
}

#define ON_SQLITE(t) ON(t, "sqlite")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SQLITE(test_pages_overwritten), ON_SQLITE(test_file_cut_short),
        ON_SQLITE(test_changed_by_hand),   ON_SQLITE(test_absurd_settings),
        ON_SQLITE(test_log_cut_short),
    };
    return cmocka_run_group_tests_name("sqlite_damage", tests, NULL, NULL);
}
