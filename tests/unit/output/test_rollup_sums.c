// Hours and days are what a naive sum over the windows gives, whatever happened before.
#include "history.h"

enum { STEPS = 180 };

struct rows {
    struct window_row *v;
    size_t n, cap;
};

static struct str keep(struct fixture *f, struct str s)
{
    return arena_copy(&f->arena, s);
}

static struct rows load(struct fixture *f, enum window_level level, int64_t shard)
{
    const struct window_query q = {level, INT64_MIN, INT64_MAX, shard};
    struct store_cursor *c = NULL;
    struct rows rows = {0};
    struct window_row row;
    assert_ok(store_windows(f->s, &q, &c, &f->err), &f->err);
    while (store_windows_next(c, &row, &f->err) > 0) {
        ARRAY_RESERVE(rows.v, rows.n, rows.cap);
        row.gpu.host = keep(f, row.gpu.host);
        row.site = keep(f, row.site);
        row.model = keep(f, row.model);
        row.tenant = keep(f, row.tenant);
        rows.v[rows.n++] = row;
    }
    store_cursor_close(c);
    return rows;
}

// The row of `rows` with the key of `like`, moved to `start`; a new one goes to its place.
static struct window_row *row_like(struct rows *rows, const struct window_row *like, int64_t start)
{
    struct window_row key = {.window_start = start,
                             .gpu = like->gpu,
                             .kind = like->kind,
                             .model = like->model,
                             .tenant = like->tenant,
                             .final = true};
    size_t i = 0;
    while (i < rows->n && window_row_cmp(&rows->v[i], &key) < 0) {
        i++;
    }
    if (i < rows->n && window_row_cmp(&rows->v[i], &key) == 0) {
        return &rows->v[i];
    }
    ARRAY_RESERVE(rows->v, rows->n, rows->cap);
    memmove(&rows->v[i + 1], &rows->v[i], (rows->n - i) * sizeof(rows->v[0]));
    rows->n++;
    rows->v[i] = key;
    return &rows->v[i];
}

static struct rows sum_naively(const struct rows *below, int64_t span, int64_t frontier)
{
    struct rows sums = {0};
    for (size_t i = 0; i < below->n; i++) {
        const struct window_row *w = &below->v[i];
        int64_t start = time_floor(w->window_start, span);
        if (!w->final || start + span > frontier) {
            continue;
        }
        struct window_row *s = row_like(&sums, w, start);
        s->cost_nusd += w->cost_nusd;
        s->cost_in_nusd += w->cost_in_nusd;
        s->cost_out_nusd += w->cost_out_nusd;
        s->prompt_tokens += w->prompt_tokens;
        s->completion_tokens += w->completion_tokens;
        s->cached_prompt_tokens += w->cached_prompt_tokens;
        s->requests += w->requests;
        s->unpriced_requests += w->unpriced_requests;
        s->busy_ns += w->busy_ns;
        s->unpriced_ns += w->unpriced_ns;
        s->energy_j = w->has_energy ? s->energy_j + w->energy_j : s->energy_j;
        s->has_energy |= w->has_energy;
        s->revision = MAX(s->revision, w->revision);
        s->site = w->site; // of the newest: they come in ascending order
        s->method = w->method;
    }
    return sums;
}

static char *dump_rows(struct fixture *f, const struct rows *rows)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    for (size_t i = 0; i < rows->n; i++) {
        dump_row(&b, &rows->v[i]);
    }
    struct str text = keep(f, buf_view(&b));
    buf_done(&b);
    return (char *)(uintptr_t)text.p;
}

static void check_roll_ups(struct fixture *f, uint32_t shard)
{
    struct shard_state state;
    assert_ok(store_shard(f->s, shard, &state, &f->err), &f->err);
    struct rows windows = load(f, LEVEL_WINDOW, shard);
    struct rows hours = sum_naively(&windows, NS_PER_HOUR, state.frontier);
    struct rows days = sum_naively(&hours, NS_PER_DAY, state.frontier);
    assert_text(dump_windows(f, f->s, LEVEL_HOUR, shard), dump_rows(f, &hours));
    assert_text(dump_windows(f, f->s, LEVEL_DAY, shard), dump_rows(f, &days));
    free(windows.v);
    free(hours.v);
    free(days.v);
}

static void no_difference(void *ctx, const struct store_copy *copy)
{
    (void)ctx, (void)copy;
    fail_msg("a copy differs");
}

// What is read of all shards at once is what each has.
static void check_copies(struct fixture *f)
{
    assert_ok(store_check_copies(f->s, INT64_MIN, INT64_MAX, no_difference, NULL, &f->err),
              &f->err);
    for (enum window_level level = LEVEL_HOUR; level <= LEVEL_DAY; level++) {
        struct rows all = load(f, level, -1);
        size_t n = 0;
        for (uint32_t shard = 0; shard < SHARDS; shard++) {
            struct rows own = load(f, level, shard);
            n += own.n;
            free(own.v);
        }
        assert_i64((int64_t)all.n, (int64_t)n);
        free(all.v);
    }
}

static void test_roll_ups_are_sums(void **state)
{
    struct fixture *f = *state;
    size_t days_seen = 0;
    assert_ok(store_set_shards(f->s, SHARDS, &f->err), &f->err);
    struct history h = {.random = 0x5f0c21aa};
    for (int step = 0; step < STEPS; step++) {
        write_random(&h, f);
        put(f);
        if (chance(&h, 5)) {
            fixture_reopen(f);
        }
        for (uint32_t shard = 0; step % 15 == 14 && shard < SHARDS; shard++) {
            check_roll_ups(f, shard);
        }
        if (step % 15 == 14) {
            check_copies(f);
        }
        days_seen += step % 15 == 14 && dump_windows(f, f->s, LEVEL_DAY, -1)[0] != '\0';
        arena_reset(&f->arena);
    }
    assert_true(days_seen > 0); // so there was something to compare
}

int main(void)
{
    const struct CMUnitTest tests[] = {ON_ALL(test_roll_ups_are_sums)};
    return fixture_run("rollup_sums", tests);
}
