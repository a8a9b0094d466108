// Explanations: they add up to what the engine charged, on a store as a meter leaves it, and a
// known answer (cost-model.md, "Known answers", 1).
#include <errno.h>

#include "metered.h"
#include "report/explain.h"

enum { REQUESTS = 300, REQUESTS_ON_A_SERVER = 90 };

static void add_up(const struct explanation *e)
{
    int64_t cost = 0;
    for (size_t i = 0; i < e->n_gpus; i++) {
        const struct explain_gpu *g = &e->gpus[i];
        int64_t windows = 0;
        i128 gpu_cost = 0;
        for (size_t w = 0; w < g->n_windows; w++) {
            assert_true(w == 0 || g->windows[w].start > g->windows[w - 1].start);
            assert_i64(g->windows[w].cost_nusd,
                       g->windows[w].cost_in_nusd + g->windows[w].cost_out_nusd);
            windows += g->windows[w].cost_nusd;
            gpu_cost += g->windows[w].gpu_cost_nusd;
        }
        assert_i64(windows, g->cost_nusd);
        assert_true(gpu_cost == g->gpu_cost_nusd);
        cost += g->cost_nusd;
    }
    assert_i64(cost, e->cost_nusd);
}

static bool on(const struct usage_record *u, const struct gpu_key *g)
{
    for (uint32_t i = 0; i < u->n_gpus; i++) {
        if (str_eq(u->host, g->host) && u->gpus[i] == g->index) {
            return true;
        }
    }
    return false;
}

// Who ran at some time together with it, of all that were stored.
static size_t count_beside(const struct metered *m, const struct record *of,
                           const struct gpu_key *g)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct usage_record *u = &m->arriving[i]->usage, *v = &of->usage;
        n += m->arriving[i] != of && on(u, g) && usage_start(u) < v->ts && u->ts > usage_start(v);
    }
    return n;
}

// Its prices are of all the time that it ran, without gaps.
static void check_prices(const struct explanation *e, const struct explain_gpu *g)
{
    const struct usage_record *u = &e->request.record.usage;
    assert_true(g->n_prices > 0);
    assert_i64(g->prices[0].from, usage_start(u));
    assert_i64(g->prices[g->n_prices - 1].to, u->ts);
    for (size_t i = 1; i < g->n_prices; i++) {
        assert_i64(g->prices[i].from, g->prices[i - 1].to);
    }
}

static void test_adds_up(void **state)
{
    struct fixture *f = *state;
    struct metered m;
    struct explanation e;
    size_t final = 0, differ = 0;
    metered_init(&m, f, 3, strcmp(f->scheme, "mongodb") == 0 ? REQUESTS_ON_A_SERVER : REQUESTS, 0);
    for (size_t i = 0; i < m.n; i++) {
        const struct record *r = m.arriving[i];
        assert_ok(explain_request(f->s, r->event_id, &f->arena, &e, &f->err), &f->err);
        assert_true(e.provisional == !e.request.cost.final);
        assert_i64(e.n_gpus, usage_placed(&r->usage) ? (int64_t)r->usage.n_gpus : 0);
        add_up(&e);
        for (size_t g = 0; g < e.n_gpus; g++) {
            assert_i64(e.gpus[g].beside, count_beside(&m, r, &e.gpus[g].gpu));
            check_prices(&e, &e.gpus[g]);
        }
        if (e.request.cost.final && e.n_gpus > 0) {
            final++;
            differ += !e.agrees;
            assert_i64(e.cost_nusd, e.request.cost.cost_nusd);
        }
    }
    assert_true(final > m.n / 3);
    assert_i64(differ, 0);
}

// One GPU at $3.60 an hour, covered over [0, 120) s; A(0, 10, 50, 100, 40), B(20, 30, 60, 200, 60),
// C(80, 90, 100, 50, 20).
static void add_known(struct fixture *f)
{
    static const struct {
        const char *id;
        int64_t start, first, end, in, out;
    } requests[] = {
        {"A", 0, 10, 50, 100, 40}, {"B", 20, 30, 60, 200, 60}, {"C", 80, 90, 100, 50, 20}};
    static const struct {
        const char *id;
        int64_t in, out;
    } costs[] = {{"A", 0, 28333334}, {"B", 0, 31666666}, {"C", 0, 20000000}};
    struct settings e = settings_default;
    e.default_price_nusd = INT64_C(3600000000);
    assert_ok(store_add_settings(f->s, &e, 1, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct record *r =
            add_usage(f, requests[i].id, "gpu-01", 0, at(requests[i].start), at(requests[i].end));
        r->usage.has |= USAGE_TTFT;
        r->usage.ttft_ns = (requests[i].first - requests[i].start) * NS_PER_S;
        r->usage.prompt_tokens = requests[i].in;
        r->usage.completion_tokens = requests[i].out;
        set_digest(r);
    }
    for (int64_t t = 0; t <= 120; t += 10) {
        char *id AUTO_FREE = x_asprintf("s%d", (int)t);
        add_sample(f, id, "gpu-01", 0, at(t));
    }
    put(f);
    for (size_t i = 0; i < ARRAY_LEN(costs); i++) {
        add_cost(f, (int64_t)i + 1, costs[i].in, costs[i].out);
    }
    add_shard(f, 0, at(600));
    put(f);
}

static void check_words(struct fixture *f, const char *id, const char *sentence, const char *notes)
{
    struct explanation e;
    struct buf b;
    buf_init(&b, 4000);
    assert_ok(explain_request(f->s, str_of(id), &f->arena, &e, &f->err), &f->err);
    explain_sentence(&b, &e);
    assert_string_equal(buf_view(&b).p, sentence);
    buf_clear(&b);
    for (size_t i = 0; i < explain_notes(&e); i++) {
        explain_note(&b, &e, i);
    }
    assert_string_equal(buf_view(&b).p, notes);
    buf_done(&b);
}

static void test_known_answer(void **state)
{
    struct fixture *f = *state;
    struct explanation e;
    add_known(f);
    assert_ok(explain_request(f->s, STR("A"), &f->arena, &e, &f->err), &f->err);
    assert_i64(e.cost_nusd, 28333334);
    assert_true(e.agrees);
    assert_i64(e.gpus[0].n_windows, 1);
    assert_i64((int64_t)e.gpus[0].gpu_cost_nusd, 50000000);
    assert_i64(e.gpus[0].beside, 1);
    assert_string_equal(explain_price_source(&e.gpus[0].prices[0]), "default");
    assert_i64(e.split.weight_out, 4);
    check_words(f, "A",
                "ran 50 s on gpu-01/0 beside 1 other; 56.7 % of the GPU's 0.05 $ in that time", "");
    check_words(f, "C", "ran 20 s on gpu-01/0 alone; 100 % of the GPU's 0.02 $ in that time", "");
    assert_i64(explain_request(f->s, STR("D"), &f->arena, &e, &f->err), -ENOENT);
}

// A cost stands until it is recomputed: the price that is younger is left out, and named.
static void test_newer_price(void **state)
{
    struct fixture *f = *state;
    const struct price_entry price = {.name = STR("H100"), .price_nusd_hour = 7200000000};
    struct explanation e;
    int64_t id;
    add_known(f);
    for (int64_t t = 0; t <= 120; t += 10) { // they come first of those at one instant
        char *name AUTO_FREE = x_asprintf("n%d", (int)t);
        struct record *r = add_sample(f, name, "gpu-01", 0, at(t));
        r->sample.name = STR("H100");
        set_digest(r);
    }
    put(f);
    assert_ok(store_add_price(f->s, &price, &id, &f->err), &f->err);
    assert_ok(explain_request(f->s, STR("C"), &f->arena, &e, &f->err), &f->err);
    assert_true(e.agrees);
    assert_i64(e.newer_prices, 1);
    check_words(f, "C", "ran 20 s on gpu-01/0 alone; 100 % of the GPU's 0.02 $ in that time",
                "1 price was added since its cost was computed; `gtap recompute` applies it.");
    add_cost(f, 3, 0, 40000000)->revision = 2;
    put(f);
    assert_ok(explain_request(f->s, STR("C"), &f->arena, &e, &f->err), &f->err);
    assert_true(e.agrees);
    assert_i64(e.newer_prices, 0);
    assert_i64(e.gpus[0].prices[0].entry, id);
    assert_string_equal(explain_price_source(&e.gpus[0].prices[0]), "book");
    add_cost(f, 3, 0, 5)->revision = 3;
    put(f);
    check_words(f, "C", "ran 20 s on gpu-01/0 alone; 100 % of the GPU's 0.04 $ in that time",
                "Its stored cost is 5e-09 $, the records now say 0.04 $: late records are settled "
                "within a minute, else run `gtap recompute`.");
}

static void test_without_a_gpu(void **state)
{
    struct fixture *f = *state;
    add_usage(f, "lost", NULL, 0, at(0), at(90));
    put(f);
    check_words(f, "lost", "ran 1 min 30 s on no known GPU; its cost is unknown",
                "It names no GPU, so no GPU's time pays for it and its cost is unknown.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_adds_up),
        ON_ALL(test_known_answer),
        ON_ALL(test_newer_price),
        ON_ALL(test_without_a_gpu),
    };
    return fixture_run("explain", tests);
}
