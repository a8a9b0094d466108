// The ledger of what settlements change in months that are closed. T0 is of January 2026, which is
// over; what has not been settled, or is of a month to come, leaves nothing there.
#include "fixture.h"

static struct window_row idle(int64_t start, int32_t gpu, int64_t cost, int32_t revision)
{
    return (struct window_row){.window_start = start,
                               .gpu = {STR("h"), gpu, GPU_INSTANCE_NONE},
                               .kind = ROW_IDLE,
                               .cost_nusd = cost,
                               .busy_ns = 10 * cost,
                               .final = revision > 0,
                               .revision = revision};
}

static void put_rows(struct fixture *f, const struct window_row *rows, size_t n, int64_t start,
                     bool settled)
{
    f->windows[f->n_windows++] = (struct window_rows){.window_start = start,
                                                      .window_end = start + 60 * NS_PER_S,
                                                      .rows = rows,
                                                      .n = n,
                                                      .settled = settled};
    put(f);
}

static struct str site_name(const struct window_row *row)
{
    return !str_present(row->site)       ? STR("")
           : str_eq(row->site, STR("a")) ? STR(" at a")
                                         : STR(" at b");
}

static struct window_row idle_at(struct str site, int64_t cost, int32_t revision)
{
    struct window_row row = idle(at(0), 0, cost, revision);
    row.site = site;
    return row;
}

// "h0 #0 +5, h1 #0 -3 gone": GPU, number and difference, in the order of these.
static void check(struct fixture *f, const char *want)
{
    struct store_cursor *c = NULL;
    struct correction all[16], one;
    size_t n = 0;
    char text[512] = "";
    assert_ok(store_corrections(f->s, INT64_MIN, INT64_MAX, &c, &f->err), &f->err);
    while (store_corrections_next(c, &one, &f->err) > 0 && n < ARRAY_LEN(all)) {
        size_t i = n++;
        assert_true(one.settled_at > T0);
        assert_i64(one.row.busy_ns, 10 * one.row.cost_nusd);
        one.row.site = site_name(&one.row); // the cursor's is of now alone
        for (; i > 0 && (all[i - 1].row.gpu.index > one.row.gpu.index ||
                         (all[i - 1].row.gpu.index == one.row.gpu.index && all[i - 1].n > one.n));
             i--) {
            all[i] = all[i - 1];
        }
        all[i] = one;
    }
    store_cursor_close(c);
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(text);
        (void)snprintf(text + at, sizeof(text) - at, "%sh%d #%d %+lld" STR_FMT "%s", i ? ", " : "",
                       (int)all[i].row.gpu.index, (int)all[i].n, (long long)all[i].row.cost_nusd,
                       STR_ARG(all[i].row.site), all[i].gone ? " gone" : "");
    }
    assert_string_equal(text, want);
}

struct sums_found {
    size_t right, wrong;
};

static void on_corrected(void *ctx, const struct ledger_row *row)
{
    struct sums_found *found = ctx;
    bool same = row->told && ledger_same(row->told, row->stored);
    found->right += same;
    found->wrong += !same;
    assert_true(row->key->window_start == at(0));
}

// So many rows are what their openings and corrections add up to, and so many are not.
static void adds_up(struct fixture *f, size_t right, size_t wrong)
{
    struct sums_found found = {0};
    assert_ok(store_each_corrected(f->s, INT64_MIN, INT64_MAX, 0, on_corrected, &found, &f->err),
              &f->err);
    assert_i64((int64_t)found.right, (int64_t)right);
    assert_i64((int64_t)found.wrong, (int64_t)wrong);
    assert_ok(store_each_corrected(f->s, at(60), INT64_MAX, 0, on_corrected, &found, &f->err),
              &f->err);
    assert_ok(store_each_corrected(f->s, INT64_MIN, INT64_MAX, 1, on_corrected, &found, &f->err),
              &f->err);
    assert_i64((int64_t)(found.right + found.wrong), (int64_t)(right + wrong));
}

static void test_settlements(void **state)
{
    struct fixture *f = *state;
    const struct window_row first[] = {idle(at(0), 0, 5, 1), idle(at(0), 1, 3, 1)};
    put_rows(f, first, 2, at(0), false);
    check(f, "");
    const struct window_row second[] = {idle(at(0), 0, 7, 2), idle(at(0), 1, 3, 1),
                                        idle(at(0), 2, 4, 2)};
    put_rows(f, second, 3, at(0), true);
    check(f, "h0 #0 +2, h2 #0 +4");
    adds_up(f, 2, 0);
    put_rows(f, second, 3, at(0), true); // nothing new
    check(f, "h0 #0 +2, h2 #0 +4");
    const struct window_row third[] = {idle(at(0), 0, 1, 3)};
    put_rows(f, third, 1, at(0), true);
    check(f, "h0 #0 +2, h0 #1 -6, h1 #0 -3 gone, h2 #0 +4, h2 #1 -4 gone");
    const struct window_row fourth[] = {idle(at(0), 0, 1, 3), idle(at(0), 1, 9, 4)};
    put_rows(f, fourth, 2, at(0), true); // it is there again
    fixture_reopen(f);
    check(f, "h0 #0 +2, h0 #1 -6, h1 #0 -3 gone, h1 #1 +9, h2 #0 +4, h2 #1 -4 gone");
    adds_up(f, 3, 0);
}

// A row that changed behind the ledger's back is found, and the next settlement says what was left
// out: the ledger adds up again.
static void test_behind_its_back(void **state)
{
    struct fixture *f = *state;
    const struct window_row first[] = {idle(at(0), 0, 5, 1)}, second[] = {idle(at(0), 0, 7, 2)};
    put_rows(f, first, 1, at(0), false);
    put_rows(f, second, 1, at(0), true);
    adds_up(f, 1, 0);
    const struct window_row other[] = {idle(at(0), 0, 100, 3)}, third[] = {idle(at(0), 0, 8, 4)};
    put_rows(f, other, 1, at(0), false);
    adds_up(f, 0, 1);
    put_rows(f, third, 1, at(0), true);
    check(f, "h0 #0 +2, h0 #1 +1");
    adds_up(f, 1, 0);
}

// Nobody sees windows any more that were expired: what is settled there is no correction. Entries
// of before stay.
static void test_expired(void **state)
{
    struct fixture *f = *state;
    const struct window_row first[] = {idle(at(0), 0, 5, 1), idle(at(0), 1, 3, 1)};
    const struct window_row second[] = {idle(at(0), 0, 7, 2), idle(at(0), 1, 3, 1)};
    put_rows(f, first, 2, at(0), false);
    put_rows(f, second, 2, at(0), true);
    set_seen(f, add_shard(f, 0, at(7200)), 0, 0);
    put(f);
    size_t removed = 0;
    assert_ok(store_expire(f->s, STORE_COST_WINDOWS, at(1800), 100, &removed, &f->err), &f->err);
    assert_i64((int64_t)removed, 2);
    check(f, "h0 #0 +2");
    const struct window_row late[] = {idle(at(0), 0, 7, 2), idle(at(0), 1, 4, 3)};
    put_rows(f, late, 2, at(0), true);
    check(f, "h0 #0 +2");
    const struct window_row later[] = {idle(at(1860), 0, 1, 2)}; // of an hour that lacks some
    put_rows(f, later, 1, at(1860), true);
    check(f, "h0 #0 +2");
}

static void test_not_closed(void **state)
{
    struct fixture *f = *state;
    const struct window_row open[] = {idle(at(0), 0, 5, 0)}, done[] = {idle(at(0), 0, 6, 1)};
    put_rows(f, open, 1, at(0), false);
    put_rows(f, done, 1, at(0), true);           // was not final before
    const int64_t later = TIME_MAX - NS_PER_DAY; // its month is open
    const struct window_row to_come[] = {idle(later, 0, 5, 1)}, changed[] = {idle(later, 0, 6, 2)};
    put_rows(f, to_come, 1, later, false);
    put_rows(f, changed, 1, later, true);
    check(f, "");
}

// A commit without transactions was cut short between the ledger and the rows: what is then settled
// again, be it otherwise, is right. The entries are put where only they arrive.
static void test_cut_short(void **state)
{
    struct fixture *f = *state;
    const struct window_row first[] = {idle(at(0), 0, 5, 1), idle(at(0), 1, 3, 1)};
    put_rows(f, first, 2, at(0), false);
    const struct window_row lost[] = {idle(at(0), 0, 50, 2), idle(at(0), 1, 30, 2),
                                      idle(at(0), 2, 20, 2)};
    put_rows(f, lost, 3, at(0), true);
    check(f, "h0 #0 +45, h1 #0 +27, h2 #0 +20");
    const struct window_row kept[] = {idle(at(0), 0, 50, 2), idle(at(0), 1, 3, 1)};
    put_rows(f, kept, 2, at(0), false); // as if of these rows only the first had been written
    const struct window_row again[] = {idle(at(0), 0, 50, 2), idle(at(0), 1, 4, 3)};
    put_rows(f, again, 2, at(0), true);
    check(f, "h0 #0 +45, h1 #0 +1");
    adds_up(f, 3, 0);
}

// A row of another site than before is taken from the one and given to the other; also where the
// rows of such entries never followed, whatever comes of the row then.
static void test_other_site(void **state)
{
    struct fixture *f = *state;
    const struct window_row a[] = {idle_at(STR("a"), 5, 1)}, b[] = {idle_at(STR("b"), 5, 2)};
    const struct window_row more[] = {idle_at(STR("b"), 6, 3)};
    put_rows(f, a, 1, at(0), false);
    put_rows(f, b, 1, at(0), true);
    check(f, "h0 #0 -5 at a, h0 #1 +5 at b");
    put_rows(f, more, 1, at(0), true);
    check(f, "h0 #0 -5 at a, h0 #1 +5 at b, h0 #2 +1 at b");
    adds_up(f, 1, 0);
}

static void test_other_site_cut_short(void **state)
{
    struct fixture *f = *state;
    const struct window_row a[] = {idle_at(STR("a"), 5, 1)}, b[] = {idle_at(STR("b"), 5, 2)};
    const struct window_row more[] = {idle_at(STR("b"), 6, 2)}, same[] = {idle_at(STR("a"), 6, 2)};
    const struct window_row *const later[] = {more, same};
    static const char *const wanted[] = {"h0 #0 -5 at a, h0 #1 +6 at b", "h0 #0 +1 at a"};
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        put_rows(f, a, 1, at(0), false); // as if of what follows only the entries had been written
        if (i == 0) {
            put_rows(f, b, 1, at(0), true);
            put_rows(f, a, 1, at(0), false);
        }
        put_rows(f, later[i], 1, at(0), true);
        check(f, wanted[i]);
        adds_up(f, 1, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_settlements),
        ON_ALL(test_behind_its_back),
        ON_ALL(test_expired),
        ON_ALL(test_not_closed),
        ON_ALL(test_cut_short),
        ON_ALL(test_other_site),
        ON(test_other_site_cut_short, "memory"),
        ON(test_other_site_cut_short, "mongodb"),
    };
    return fixture_run("corrections", tests);
}
