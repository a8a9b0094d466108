// Searches against looking at everything: random requests, filters and pages, on every store.
#include <errno.h>
#include <stdlib.h>

#include "metered.h"
#include "report/search.h"

enum { REQUESTS = 900, SEARCHES = 60, SEARCHES_ON_A_SERVER = 30, EXPIRED_S = 100000 };

struct everything {
    struct stored_record *v; // newest first
    size_t n;
};

static int newest_first(const void *a, const void *b)
{
    const struct stored_record *x = a, *y = b;
    int64_t s = usage_start(&x->record.usage), t = usage_start(&y->record.usage);
    return s != t ? (s > t ? -1 : 1) : -str_cmp(x->record.event_id, y->record.event_id);
}

static struct everything read_all(struct fixture *f)
{
    struct everything all = {arena_alloc(&f->arena, METERED_MAX * sizeof(*all.v)), 0};
    const struct record_query q = query(RECORD_USAGE, RECORDS_BY_SEQ, RECORDS_ALL);
    struct store_cursor *c = NULL;
    struct stored_record r;
    int more;
    assert_ok(store_records(f->s, &q, &c, &f->err), &f->err);
    while ((more = store_records_next(c, &r, &f->err)) > 0) {
        struct stored_record *copy = &all.v[all.n++];
        *copy = r;
        copy->record = store_copy_record(&f->arena, &r.record);
    }
    assert_ok(more, &f->err);
    store_cursor_close(c);
    qsort(all.v, all.n, sizeof(*all.v), newest_first);
    return all;
}

static bool passes(enum record_filter filter, const struct stored_record *r)
{
    bool final = r->cost.seq && r->cost.final, placed = usage_placed(&r->record.usage);
    switch (filter) {
    case RECORDS_ALL:
        return true;
    case RECORDS_UNPLACED:
        return !placed;
    case RECORDS_UNPRICED:
        return final && placed && !r->cost.priced;
    case RECORDS_LATE:
        return r->cost.late;
    case RECORDS_OPEN:
        return !final;
    }
    return false;
}

static bool on_gpu(const struct search_query *q, const struct usage_record *u)
{
    bool on = q->n_gpus == 0;
    for (size_t i = 0; i < q->n_gpus; i++) {
        for (uint32_t g = 0; g < u->n_gpus; g++) {
            on |= str_eq(q->gpus[i].host, u->host) && q->gpus[i].index == u->gpus[g] &&
                  q->gpus[i].instance == u->gpu_instance;
        }
    }
    return on;
}

static bool wanted(const struct search_query *q, const struct stored_record *r)
{
    const struct usage_record *u = &r->record.usage;
    int64_t start = usage_start(u);
    bool dear =
        q->min_nusd == 0 || (r->cost.seq && r->cost.priced && r->cost.cost_nusd >= q->min_nusd);
    return start >= q->from && start < q->to && passes(q->filter, r) && dear && on_gpu(q, u) &&
           store_match_takes(&q->match, u->model, u->tenant) &&
           str_list_takes(&q->hosts, u->host) && str_list_takes(&q->sites, u->site);
}

// ---- random searches -----------------------------------------------------------------------

static const struct str models[] = {STR("llama-3-70b"), STR("nobody's")};
static const struct str whose[] = {STR("rare"), STR_NONE, STR("chat")};
static const struct str where[] = {STR("gpu-02"), STR("gpu-01")};
static const struct str sites[] = {STR("paris"), STR_NONE};

static struct str_list pick_list(struct metered *m, const struct str *of, uint64_t n)
{
    uint64_t from = metered_draw(m, n);
    return (struct str_list){of + from, metered_draw(m, 3) ? 0 : 1 + metered_draw(m, n - from)};
}

static struct search_query random_search(struct metered *m)
{
    static struct gpu_key gpus[2];
    int64_t whole = (int64_t)METERED_DAYS * METERED_DAY;
    gpus[0] = (struct gpu_key){where[metered_draw(m, 2)], (int32_t)metered_draw(m, 3), -1};
    gpus[1] = (struct gpu_key){where[0], 1, GPU_INSTANCE_NONE};
    struct search_query q = {.from = INT64_MIN,
                             .to = INT64_MAX,
                             .gpus = gpus,
                             .limit = 1 + metered_draw(m, 60),
                             .most_read = metered_draw(m, 2) ? 1 + metered_draw(m, 200) : 0};
    if (metered_draw(m, 2)) {
        q.from = at((int64_t)metered_draw(m, (uint64_t)whole)) + (int64_t)metered_draw(m, 2);
        q.to = q.from + (int64_t)metered_draw(m, (uint64_t)whole) * NS_PER_S;
    }
    q.filter = metered_draw(m, 2) ? RECORDS_ALL : (enum record_filter)metered_draw(m, 5);
    q.match.models = pick_list(m, models, ARRAY_LEN(models));
    q.match.tenants = pick_list(m, whose, ARRAY_LEN(whose));
    q.hosts = pick_list(m, where, ARRAY_LEN(where));
    q.sites = metered_draw(m, 3) ? (struct str_list){NULL, 0} : pick_list(m, sites, 2);
    q.n_gpus = metered_draw(m, 3) ? 0 : 1 + metered_draw(m, 2);
    q.min_nusd = metered_draw(m, 4) ? 0 : 1 + (int64_t)metered_draw(m, 20000000);
    return q;
}

// All pages, one after the other, are what looking at everything finds.
static size_t check_search(struct fixture *f, const struct search_query *first,
                           const struct everything *all)
{
    struct search_query q = *first;
    struct search_result page = {.more = true};
    size_t next = 0, found = 0, pages = 0;
    while (page.more) {
        assert_ok(search_requests(f->s, &q, &f->arena, &page, &f->err), &f->err);
        assert_true(page.n <= q.limit);
        for (size_t i = 0; i < page.n; i++, found++) {
            while (next < all->n && !wanted(first, &all->v[next])) {
                next++;
            }
            assert_true(next < all->n);
            assert_true(str_eq(page.items[i].record.event_id, all->v[next].record.event_id));
            assert_i64(page.items[i].cost.cost_nusd, all->v[next].cost.cost_nusd);
            next++;
        }
        assert_true(q.most_read == 0 || page.more || pages < all->n * 10);
        assert_true(++pages < 100000);
        q.to = page.next_to;
        q.before = page.next_before;
    }
    for (; next < all->n; next++) {
        assert_false(wanted(first, &all->v[next]));
    }
    return found;
}

static void search_all(struct fixture *f, struct metered *m)
{
    struct everything all = read_all(f);
    int n = strcmp(f->scheme, "mongodb") == 0 ? SEARCHES_ON_A_SERVER : SEARCHES;
    size_t found = 0;
    for (int i = 0; i < n; i++) {
        struct search_query q = random_search(m);
        found += check_search(f, &q, &all);
    }
    assert_true(found > 500);
}

static void test_finds_what_there_is(void **state)
{
    struct fixture *f = *state;
    struct metered m;
    metered_init(&m, f, 1, REQUESTS, 2);
    search_all(f, &m);
}

// Where windows were expired their hours stay.
static void test_after_windows_expired(void **state)
{
    struct fixture *f = *state;
    struct metered m;
    size_t removed = 0;
    metered_init(&m, f, 2, REQUESTS, 0);
    assert_ok(store_expire(f->s, STORE_COST_WINDOWS, at(EXPIRED_S), 1000000, &removed, &f->err),
              &f->err);
    assert_true(removed > 100);
    search_all(f, &m);
}

// A page goes on where the last one ended, whatever came in meanwhile.
static void test_pages_stay(void **state)
{
    struct fixture *f = *state;
    struct search_result page;
    struct search_query q = {.from = INT64_MIN, .to = INT64_MAX, .limit = 2};
    add_usage(f, "a", "h", 0, at(1), at(9));
    add_usage(f, "b", "h", 0, at(5), at(6));
    add_usage(f, "c", "h", 0, at(5), at(8));
    put(f);
    assert_ok(search_requests(f->s, &q, &f->arena, &page, &f->err), &f->err);
    assert_i64(page.n, 2);
    assert_str(page.items[0].record.event_id, "c");
    assert_str(page.next_before, "b");
    add_usage(f, "d", "h", 0, at(7), at(8));
    add_usage(f, "aa", "h", 0, at(5), at(8));
    put(f);
    q.to = page.next_to;
    q.before = page.next_before;
    assert_ok(search_requests(f->s, &q, &f->arena, &page, &f->err), &f->err);
    assert_i64(page.n, 2);
    assert_str(page.items[0].record.event_id, "aa");
    assert_str(page.items[1].record.event_id, "a");
}

static void test_nothing_there(void **state)
{
    struct fixture *f = *state;
    struct search_result page;
    const struct str model = STR("m");
    struct search_query q = {.from = INT64_MIN, .to = INT64_MAX, .limit = 2};
    assert_ok(search_requests(f->s, &q, &f->arena, &page, &f->err), &f->err);
    assert_i64(page.n, 0);
    assert_false(page.more);
    q.match.models = (struct str_list){&model, 1};
    assert_ok(search_requests(f->s, &q, &f->arena, &page, &f->err), &f->err);
    assert_false(page.more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_finds_what_there_is),
        ON_ALL(test_after_windows_expired),
        ON_ALL(test_pages_stay),
        ON_ALL(test_nothing_there),
    };
    return fixture_run("search", tests);
}
