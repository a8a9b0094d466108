#include "cost/timeline.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "ledger.h"

// What a GPU's evidence comes to, in seconds. A sample's price -1: it states none.
struct piece_want {
    int64_t from, to; // ns
    int64_t price;
    char covered; // 'c' or '-'
    double power; // 0: unknown
};

enum { EVIDENCE_MAX = 6, WANT_MAX = 8 };

static const struct timeline_case {
    const char *name;
    struct {
        int64_t ts, price; // ns, nano-USD per hour
        double power;      // 0: none
    } samples[EVIDENCE_MAX];
    size_t n_samples;
    struct time_range busy[EVIDENCE_MAX]; // of requests
    size_t n_busy;
    int64_t from, to;
    struct piece_want want[WANT_MAX]; // ends with an empty one
} cases[] = {
    {"nothing known, nothing billed", {{0}}, 0, {{0}}, 0, 0, 60 * S, {{0}}},
    {"a lone sample bills nothing", {{5 * S, 7, 0}}, 1, {{0}}, 0, 0, 60 * S, {{0}}},
    {"a gap of max_gap is covered",
     {{0, 7, 0}, {30 * S, 7, 0}},
     2,
     {{0}},
     0,
     0,
     60 * S,
     {{0, 30 * S, 7, 'c', 0}}},
    {"one ns more is billed, but not covered",
     {{0, 7, 0}, {30 * S + 1, 7, 0}},
     2,
     {{0}},
     0,
     0,
     60 * S,
     {{0, 30 * S + 1, 7, '-', 0}}},
    {"a gap of gpu_timeout is billed",
     {{0, 7, 0}, {300 * S, 7, 0}},
     2,
     {{0}},
     0,
     0,
     600 * S,
     {{0, 300 * S, 7, '-', 0}}},
    {"one ns more is not", {{0, 7, 0}, {300 * S + 1, 7, 0}}, 2, {{0}}, 0, 0, 600 * S, {{0}}},
    {"covered, gap, covered",
     {{0, 7, 0}, {30 * S, 7, 0}, {330 * S, 7, 0}, {360 * S, 7, 0}},
     4,
     {{0}},
     0,
     0,
     600 * S,
     {{0, 30 * S, 7, 'c', 0}, {30 * S, 330 * S, 7, '-', 0}, {330 * S, 360 * S, 7, 'c', 0}}},
    {"covered, too wide a gap, covered",
     {{0, 7, 0}, {30 * S, 7, 0}, {330 * S + 1, 7, 0}, {360 * S + 1, 7, 0}},
     4,
     {{0}},
     0,
     0,
     600 * S,
     {{0, 30 * S, 7, 'c', 0}, {330 * S + 1, 360 * S + 1, 7, 'c', 0}}},
    {"a request alone is billed, at the default price",
     {{0}},
     0,
     {{10 * S, 20 * S}},
     1,
     0,
     60 * S,
     {{10 * S, 20 * S, 1, '-', 0}}},
    {"requests a gpu_timeout apart",
     {{0}},
     0,
     {{0, 10 * S}, {310 * S, 320 * S}},
     2,
     0,
     600 * S,
     {{0, 320 * S, 1, '-', 0}}},
    {"requests further apart",
     {{0}},
     0,
     {{0, 10 * S}, {310 * S + 1, 320 * S}},
     2,
     0,
     600 * S,
     {{0, 10 * S, 1, '-', 0}, {310 * S + 1, 320 * S, 1, '-', 0}}},
    {"a request inside another ends earlier, not the billing",
     {{0}},
     0,
     {{0, 100 * S}, {10 * S, 20 * S}, {400 * S, 410 * S}},
     3,
     0,
     600 * S,
     {{0, 410 * S, 1, '-', 0}}},
    {"a lone sample bridges two gaps",
     {{200 * S, -1, 0}},
     1,
     {{0, 10 * S}, {490 * S, 500 * S}},
     2,
     0,
     600 * S,
     {{0, 170 * S, 1, '-', 0}, {170 * S, 200 * S, 1, '-', 0}, {200 * S, 500 * S, 1, '-', 0}}},
    {"the price holds one gpu_timeout",
     {{0, 7, 0}},
     1,
     {{0, 400 * S}},
     1,
     0,
     600 * S,
     {{0, 300 * S, 7, '-', 0}, {300 * S, 400 * S, 1, '-', 0}}},
    {"before a sample its price holds max_gap back",
     {{100 * S, 7, 0}},
     1,
     {{0, 101 * S}},
     1,
     0,
     600 * S,
     {{0, 70 * S, 1, '-', 0}, {70 * S, 100 * S, 7, '-', 0}, {100 * S, 101 * S, 7, '-', 0}}},
    {"an older sample in force before a younger one after",
     {{0, 7, 0}, {310 * S, 9, 0}},
     2,
     {{0, 310 * S}},
     1,
     0,
     600 * S,
     {{0, 300 * S, 7, '-', 0}, {300 * S, 310 * S, 9, '-', 0}}},
    {"a new price at its sample",
     {{0, 7, 0}, {20 * S, 9, 0}, {40 * S, 9, 0}},
     3,
     {{0}},
     0,
     0,
     60 * S,
     {{0, 20 * S, 7, 'c', 0}, {20 * S, 40 * S, 9, 'c', 0}}},
    {"power holds until the next sample, where covered",
     {{0, 7, 100}, {30 * S, 7, 200}, {61 * S, 7, 300}},
     3,
     {{0}},
     0,
     0,
     120 * S,
     {{0, 30 * S, 7, 'c', 100}, {30 * S, 61 * S, 7, '-', 0}}},
    {"the range cuts on both sides",
     {{0, 7, 0}, {30 * S, 7, 0}, {60 * S, 7, 0}},
     3,
     {{0}},
     0,
     10 * S,
     40 * S,
     {{10 * S, 30 * S, 7, 'c', 0}, {30 * S, 40 * S, 7, 'c', 0}}},
    {"evidence before the range bridges into it",
     {{0}},
     0,
     {{0, 10 * S}, {300 * S, 310 * S}},
     2,
     100 * S,
     200 * S,
     {{100 * S, 200 * S, 1, '-', 0}}},
};

static struct gpu *gpu_of_case(const struct timeline_case *c, struct request *requests)
{
    struct gpu *g = x_zalloc(sizeof(*g));
    g->key.instance = GPU_INSTANCE_NONE;
    for (size_t i = 0; i < c->n_samples; i++) {
        struct sample s = {.ts = c->samples[i].ts,
                           .price_nusd = c->samples[i].price < 0 ? PRICE_NONE : c->samples[i].price,
                           .power_w = c->samples[i].power > 0 ? c->samples[i].power : (double)NAN,
                           .name = NO_TEXT,
                           .site = NO_TEXT,
                           .id = short_id_make(NULL, STR("s"))};
        gpu_add_sample(g, &s);
    }
    for (size_t i = 0; i < c->n_busy; i++) {
        requests[i] = (struct request){.start = c->busy[i].from, .end = c->busy[i].to};
        gpu_add_use(g, (struct use){c->busy[i].from, c->busy[i].to, &requests[i], 0});
    }
    gpu_sort(g);
    return g;
}

static bool piece_is(const struct piece *p, const struct piece_want *w)
{
    bool power = w->power > 0 ? p->power_w == w->power : isnan(p->power_w);
    return p->from == w->from && p->to == w->to && p->price_nusd == w->price &&
           p->covered == (w->covered == 'c') && power;
}

static void check(const struct timeline_case *c)
{
    struct request requests[EVIDENCE_MAX];
    struct gpu *g = gpu_of_case(c, requests);
    struct settings settings = settings_default;
    settings.default_price_nusd = 1;
    struct price_book book = {NULL, 0};
    struct intern *names = intern_new();
    timeline_build(g, c->from, c->to, &settings, &book, names);
    size_t n = 0;
    while (n < WANT_MAX && c->want[n].from < c->want[n].to) {
        n++;
    }
    if (g->n_pieces != n) {
        fail_at(__FILE__, __LINE__, "%s: %zu pieces, not %zu\n", c->name, g->n_pieces, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (!piece_is(&g->pieces[i], &c->want[i])) {
            fail_at(__FILE__, __LINE__, "%s: piece %zu is [%lld, %lld) at %lld\n", c->name, i,
                    (long long)g->pieces[i].from, (long long)g->pieces[i].to,
                    (long long)g->pieces[i].price_nusd);
        }
    }
    gpu_done(g);
    free(g);
    intern_free(names);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check(&cases[i]);
    }
}

static void add_named(struct gpu *g, int64_t ts, uint32_t name, uint32_t site)
{
    struct sample s = {.ts = ts,
                       .price_nusd = PRICE_NONE,
                       .power_w = (double)NAN,
                       .name = name,
                       .site = site,
                       .id = short_id_make(NULL, STR("s"))};
    gpu_add_sample(g, &s);
}

// The book's price changes in the middle of a sample's time, and with the name and the site that
// the samples state.
static void test_book(void **state)
{
    (void)state;
    const struct price_entry entries[] = {
        {.id = 1, .effective_from = 0, .price_nusd_hour = 10, .name = STR("H100")},
        {.id = 2, .effective_from = 15 * S, .price_nusd_hour = 20, .name = STR("H100")},
        {.id = 3, .effective_from = 0, .price_nusd_hour = 30, .name = STR("L4")},
        {.id = 4,
         .effective_from = 0,
         .price_nusd_hour = 40,
         .name = STR("L4"),
         .site = STR("ams")},
    };
    const struct price_book book = {entries, ARRAY_LEN(entries)};
    struct intern *names = intern_new();
    uint32_t h100 = intern_id(names, STR("H100")), l4 = intern_id(names, STR("L4"));
    uint32_t ams = intern_id(names, STR("ams")), other = intern_id(names, STR("A1"));
    struct gpu g = {0};
    add_named(&g, 0, h100, NO_TEXT);
    add_named(&g, 30 * S, l4, NO_TEXT);
    add_named(&g, 40 * S, l4, ams);
    add_named(&g, 50 * S, other, ams);
    add_named(&g, 60 * S, NO_TEXT, ams);
    add_named(&g, 70 * S, h100, NO_TEXT);
    gpu_sort(&g);
    timeline_build(&g, 0, 70 * S, &settings_default, &book, names);
    const struct piece_want want[] = {
        {0, 15 * S, 10, 'c', 0},
        {15 * S, 30 * S, 20, 'c', 0},
        {30 * S, 40 * S, 30, 'c', 0},
        {40 * S, 50 * S, 40, 'c', 0},
        {50 * S, 60 * S, PRICE_NONE, 'c', 0},
        {60 * S, 70 * S, PRICE_NONE, 'c', 0},
    };
    assert_int_equal(g.n_pieces, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_i64(g.pieces[i].to, want[i].to);
        assert_i64(g.pieces[i].price_nusd, want[i].price);
        assert_true(piece_is(&g.pieces[i], &want[i]));
    }
    gpu_done(&g);
    intern_free(names);
}

int main(void)
{
    return TEST_RUN(TEST(test_cases), TEST(test_book));
}
