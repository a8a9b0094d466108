// An hour of a simulated vLLM, its counters driven by a known list of requests, with restarts,
// resets of one engine and times without an answer. Tokens must come out exactly: all that was
// counted, less what was counted between the last scrape of a life and its end. Time must come out
// rounded out to whole scrapes, and no further.
#include "base/alloc.h"
#include "input/random.h"
#include "pages.h"

enum { REQUESTS = 1200, ENGINES = 2, LIVES = 6, RECORDS_MAX = 8000 };

#define HOUR_NS NS_PER_HOUR
#define EVERY_NS NS_PER_S

struct request {
    int64_t start, first, end; // ns since the hour began
    int64_t prompt, cached, output;
    int engine;
};

struct span {
    int64_t from, to;
};

struct totals {
    int64_t prompt, computed, output, requests, running;
};

struct simulation {
    struct harness h;
    struct pages net;
    struct buf page;
    int64_t began; // the monotonic clock's
    struct request requests[REQUESTS];
    struct span lives[LIVES]; // of the process
    int64_t reset;            // when engine 1 alone began anew, in life 0
    bool tells_start;
    struct totals baseline[ENGINES], last[ENGINES]; // last: of the epoch that goes on
    struct totals expected;                         // summed over the epochs that are over
    int epoch[ENGINES];                             // of `last`; -1: none
    struct span records[RECORDS_MAX];
    size_t n_records;
    struct totals got;
    int64_t got_cached;
};

static void draw_requests(struct simulation *s, struct random *r)
{
    int64_t at = 0;
    for (int i = 0; i < REQUESTS; i++) {
        struct request *q = &s->requests[i];
        at += random_exponential(r, 3 * NS_PER_S);
        q->start = at;
        q->first = at + random_exponential(r, 300 * NS_PER_MS);
        q->end = q->first + random_exponential(r, 2 * NS_PER_S);
        q->prompt = 1 + (int64_t)random_below(r, 4000);
        q->cached = (int64_t)random_below(r, (uint64_t)q->prompt);
        q->output = 1 + (int64_t)random_below(r, 500);
        q->engine = (int)random_below(r, ENGINES);
    }
}

static int64_t now_of(const struct simulation *s)
{
    return s->h.clock.mono - s->began;
}

static int life_at(const struct simulation *s, int64_t t)
{
    for (int i = 0; i < LIVES; i++) {
        if (t >= s->lives[i].from && t < s->lives[i].to) {
            return i;
        }
    }
    return -1;
}

// What an engine has counted at t since its process began.
static struct totals count(const struct simulation *s, int engine, int life, int64_t t)
{
    struct totals sum = {0};
    for (int i = 0; i < REQUESTS; i++) {
        const struct request *q = &s->requests[i];
        if (q->engine != engine || life_at(s, q->start) != life || q->start > t) {
            continue;
        }
        bool read = t >= q->first, done = t >= q->end;
        sum.prompt += read ? q->prompt : 0;
        sum.computed += read ? q->prompt - q->cached : 0;
        sum.output += done ? q->output
                      : read
                          ? q->output * ((t - q->first) / 1000) / ((q->end - q->first) / 1000 + 1)
                          : 0;
        sum.requests += done;
        sum.running += !done;
    }
    return sum;
}

static struct totals less(struct totals a, struct totals b)
{
    return (struct totals){a.prompt - b.prompt, a.computed - b.computed, a.output - b.output,
                           a.requests - b.requests, a.running};
}

static struct totals plus(struct totals a, struct totals b)
{
    return (struct totals){a.prompt + b.prompt, a.computed + b.computed, a.output + b.output,
                           a.requests + b.requests, a.running};
}

// The counters as they stand on the page, and what of them must have been metered by then.
static struct totals stand(struct simulation *s, int engine, int life, int64_t t)
{
    bool anew = engine == 1 && life == 0 && t >= s->reset;
    struct totals now = count(s, engine, life, t);
    if (anew) {
        now = less(now, count(s, engine, life, s->reset - 1));
    }
    int epoch = 2 * life + anew;
    if (s->epoch[engine] < 0) {
        s->baseline[engine] = now;
    } else if (s->epoch[engine] != epoch) {
        s->expected = plus(s->expected, s->last[engine]);
    }
    s->epoch[engine] = epoch;
    s->last[engine] = now;
    return now;
}

static void add_engine(struct simulation *s, int engine, const struct totals *n)
{
    const struct {
        const char *name, *more;
        int64_t value;
    } rows[] = {
        {"prompt_tokens_total", "", n->prompt},
        {"generation_tokens_total", "", n->output},
        {"prompt_tokens_by_source_total", ",source=\"local_compute\"", n->computed},
        {"prompt_tokens_by_source_total", ",source=\"local_cache_hit\"", n->prompt - n->computed},
        {"request_success_total", ",finished_reason=\"stop\"", n->requests},
        {"num_requests_running", "", n->running},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_printf(&s->page, "vllm:%s{engine=\"%d\",model_name=\"m\"%s} %.1f\n", rows[i].name,
                   engine, rows[i].more, (double)rows[i].value);
    }
}

static const char *make_page(void *ctx)
{
    struct simulation *s = ctx;
    int64_t t = now_of(s);
    int life = life_at(s, t);
    if (life < 0) {
        return NULL;
    }
    buf_clear(&s->page);
    if (s->tells_start) {
        buf_printf(&s->page, "process_start_time_seconds %.3f\n",
                   (double)s->h.env.now_start / 1e9 + (double)s->lives[life].from / 1e9);
    }
    for (int engine = 0; engine < ENGINES; engine++) {
        struct totals n = stand(s, engine, life, t);
        add_engine(s, engine, &n);
    }
    return s->page.p;
}

static void take(struct simulation *s, const struct record *r)
{
    const struct usage_record *u = &r->usage;
    int64_t offset = s->h.clock.wall - s->h.clock.mono + s->began;
    assert_true(s->n_records < RECORDS_MAX);
    assert_true((u->has & USAGE_CACHED) && (u->has & USAGE_REQUESTS));
    assert_true(u->cached_prompt_tokens <= u->prompt_tokens);
    s->records[s->n_records++] = (struct span){u->ts - u->latency_ns - offset, u->ts - offset};
    s->got.prompt += u->prompt_tokens;
    s->got.output += u->completion_tokens;
    s->got.requests += u->requests;
    s->got_cached += u->cached_prompt_tokens;
}

static void run(struct simulation *s)
{
    struct input *in = harness_open(&s->h, "vllm+http://localhost:8000/metrics?gpus=0&host=h");
    struct batch b;
    struct error err;
    batch_init(&b);
    while (now_of(s) < HOUR_NS) {
        batch_clear(&b);
        assert_int_equal(input_next(in, &b, &err), INPUT_MORE);
        assert_int_equal(b.n_dead, 0);
        for (size_t i = 0; i < b.n_records; i++) {
            take(s, &b.records[i]);
        }
        harness_advance(&s->h, 50 * NS_PER_MS);
    }
    batch_done(&b);
    input_close(in);
}

static void check_tokens(const struct simulation *s)
{
    struct totals want = s->expected;
    for (int i = 0; i < ENGINES; i++) {
        want = less(plus(want, s->last[i]), s->baseline[i]);
    }
    assert_i64(s->got.prompt, want.prompt);
    assert_i64(s->got.output, want.output);
    assert_i64(s->got.requests, want.requests);
    assert_i64(s->got_cached, want.prompt - want.computed);
    assert_true(want.requests > 900); // most of them: only what restarts cut off is missing
}

static bool spans_a_restart(const struct simulation *s, struct span r)
{
    return life_at(s, r.from) != life_at(s, r.to);
}

// Time within r in which a request ran, and whether one ran all the time.
static int64_t busy_in(const struct simulation *s, struct span r)
{
    int64_t sum = 0, at = r.from;
    for (int i = 0; i < REQUESTS; i++) { // by start
        const struct request *q = &s->requests[i];
        int64_t from = MAX(q->start, at), to = MIN(q->end, r.to);
        if (life_at(s, q->start) >= 0 && to > from) {
            sum += to - from;
            at = to;
        }
    }
    return sum;
}

// Every interval had work in it, but those with a restart in them, and is as long as the rhythm.
static void check_time(const struct simulation *s)
{
    int64_t metered = 0, busy = 0;
    for (size_t i = 0; i < s->n_records; i++) {
        struct span r = s->records[i];
        assert_true(i == 0 || r.from >= s->records[i - 1].to);
        metered += r.to - r.from;
        busy += busy_in(s, r);
        if (!spans_a_restart(s, r)) {
            assert_true(busy_in(s, r) > 0 && r.to - r.from <= EVERY_NS + 50 * NS_PER_MS);
        }
    }
    assert_true(metered > busy && metered < HOUR_NS * 9 / 10); // and there was idle time
}

// And no work was outside of one, in any life from its first scrape to its last.
static void check_nothing_missed(const struct simulation *s)
{
    for (int i = 0; i < REQUESTS; i++) {
        const struct request *q = &s->requests[i];
        int life = life_at(s, q->start);
        bool whole = life >= 0 && q->start > s->lives[life].from + 2 * EVERY_NS &&
                     q->end + 2 * EVERY_NS < MIN(s->lives[life].to, HOUR_NS);
        int64_t metered = 0;
        for (size_t k = 0; k < s->n_records; k++) {
            int64_t from = MAX(s->records[k].from, q->start), to = MIN(s->records[k].to, q->end);
            metered += MAX(to - from, INT64_C(0));
        }
        if (whole && metered != q->end - q->start) {
            fail_msg("request %d: %lld of %lld ns", i, (long long)metered,
                     (long long)(q->end - q->start));
        }
    }
}

static void simulate(uint64_t seed, bool tells_start)
{
    struct simulation *s = x_zalloc(sizeof(*s));
    struct random r;
    random_init(&r, seed);
    harness_init(&s->h);
    pages_install(&s->net, &s->h);
    s->net.make = make_page;
    s->net.ctx = s;
    s->began = s->h.clock.mono;
    s->tells_start = tells_start;
    buf_init(&s->page, 1 << 16);
    draw_requests(s, &r);
    for (int i = 0; i < LIVES; i++) {
        int64_t length = HOUR_NS / LIVES, down = (int64_t)random_below(&r, 20 * NS_PER_S);
        s->lives[i] = (struct span){i * length + (i ? down : 0), (i + 1) * length};
    }
    s->lives[LIVES - 1].to = 2 * HOUR_NS;
    s->reset = HOUR_NS / LIVES / 2 + 12345;
    s->epoch[0] = s->epoch[1] = -1;
    run(s);
    check_tokens(s);
    check_time(s);
    check_nothing_missed(s);
    harness_done(&s->h);
    buf_done(&s->page);
    free(s);
}

static void test_an_hour(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        simulate(seed, true);
    }
}

// Servers in multiprocess mode do not say when they began: what falls tells.
static void test_an_hour_without_a_start_time(void **state)
{
    (void)state;
    for (uint64_t seed = 4; seed <= 6; seed++) {
        simulate(seed, false);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_an_hour), TEST(test_an_hour_without_a_start_time));
}
