// Event time over several inputs: what the watermark is, and whose turn it is. No threads here: the
// state of the sources is set by hand.
#include "pipeline/meter.h"

#include "base/time.h"
#include "input/input_impl.h"
#include "test.h"

#define NEVER INT64_MIN
#define NOW (1000 * NS_PER_S) // monotonic

enum { SOURCES_MAX = 3 };

struct source_case {
    int64_t samples, usages;         // newest event time taken in
    int64_t samples_ago, usages_ago; // ns since then
    int64_t heard_ago;
    bool ended;
    size_t in_flight;
};

static const struct watermark_case {
    const char *name;
    size_t n;
    struct source_case s[SOURCES_MAX];
    int64_t want;
} watermarks[] = {
    {"nothing known", 1, {{NEVER, NEVER, 0, 0, 0, false, 0}}, NEVER},
    {"one feed", 1, {{100, NEVER, 0, 0, 0, false, 0}}, 100},
    {"the lower of two kinds", 1, {{100, 70, 0, 0, 0, false, 0}}, 70},
    {"the lower of two sources",
     2,
     {{100, NEVER, 0, 0, 0, false, 0}, {NEVER, 90, 0, 0, 0, false, 0}},
     90},
    {"3 s of silence are not too long", 1, {{100, 70, 0, 3 * NS_PER_S, 0, false, 0}}, 70},
    {"one ns more is", 1, {{100, 70, 0, 3 * NS_PER_S + 1, 0, false, 0}}, 100},
    {"but not while its records are on their way",
     1,
     {{100, 70, 0, 3 * NS_PER_S + 1, 0, false, 1}},
     70},
    {"all silent: the newest of all",
     1,
     {{100, 170, 4 * NS_PER_S, 4 * NS_PER_S, 4 * NS_PER_S, false, 0}},
     170},
    {"one that ended is left out",
     2,
     {{100, NEVER, 0, 0, 0, false, 0}, {NEVER, 90, 0, 0, 0, true, 0}},
     100},
    {"but not while its last records are on their way",
     2,
     {{100, NEVER, 0, 0, 0, false, 0}, {NEVER, 90, 0, 0, 0, true, 1}},
     90},
    {"all ended: the newest of all",
     2,
     {{100, NEVER, 0, 0, 0, true, 0}, {NEVER, 90, 0, 0, 0, true, 0}},
     100},
    {"one that has not begun holds all back",
     2,
     {{100, 90, 0, 0, 0, false, 0}, {NEVER, NEVER, 0, 0, NS_PER_S, false, 0}},
     NEVER},
    {"for 3 s",
     2,
     {{100, 90, 0, 0, 0, false, 0}, {NEVER, NEVER, 0, 0, 3 * NS_PER_S + 1, false, 0}},
     90},
    {"or until it ends without a word",
     2,
     {{100, 90, 0, 0, 0, false, 0}, {NEVER, NEVER, 0, 0, 0, true, 0}},
     90},
};

static void set_source(struct source *s, const struct source_case *c)
{
    *s = (struct source){
        .ended = c->ended,
        .in_flight = c->in_flight,
        .heard = {NOW - c->heard_ago},
        .newest = {c->samples, c->usages},
        .fed = {{NOW - c->samples_ago}, {NOW - c->usages_ago}},
    };
}

static void test_watermark(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(watermarks); i++) {
        const struct watermark_case *c = &watermarks[i];
        struct source sources[SOURCES_MAX];
        struct meter m = {.sources = sources, .n_sources = c->n, .now = {NOW}, .listened = {NOW}};
        for (size_t j = 0; j < c->n; j++) {
            set_source(&sources[j], &c->s[j]);
        }
        if (feeds_watermark(&m) != c->want) {
            fail_at(__FILE__, __LINE__, "%s: %lld, not %lld\n", c->name,
                    (long long)feeds_watermark(&m), (long long)c->want);
        }
    }
}

// However late it is, only the time counts in which somebody listened.
static void test_only_what_was_listened_to(void **state)
{
    (void)state;
    struct source source;
    struct meter m = {.sources = &source, .n_sources = 1, .now = {NOW}, .listened = {NOW}};
    set_source(&source, &watermarks[2].s[0]);
    m.now.ns += NS_PER_HOUR;
    assert_i64(feeds_watermark(&m), 70);
    m.listened.ns += 3 * NS_PER_S + 1;
    source.fed[RECORD_SAMPLE] = m.listened;
    assert_i64(feeds_watermark(&m), 100);
}

#define AHEAD (60 * NS_PER_S)

static const struct turn_case {
    const char *name;
    size_t n;
    struct {
        int64_t passed;
        size_t waiting;
        int64_t heard_ago;
        bool ended;
    } s[SOURCES_MAX];
    int want; // -1: nobody
} turns[] = {
    {"nobody has anything", 2, {{5, 0, 0, false}, {7, 0, 0, false}}, -1},
    {"the only one", 1, {{5, 1, 0, false}}, 0},
    {"the one behind first", 2, {{7, 1, 0, false}, {5, 1, 0, false}}, 1},
    {"a beginner first", 2, {{7, 1, 0, false}, {NEVER, 1, 0, false}}, 1},
    {"a minute ahead it may be", 2, {{AHEAD, 1, 0, false}, {0, 0, 0, false}}, 0},
    {"no more", 2, {{AHEAD + 1, 1, 0, false}, {0, 0, 0, false}}, -1},
    {"but for one that is silent",
     2,
     {{AHEAD + 1, 1, 0, false}, {0, 0, 3 * NS_PER_S + 1, false}},
     0},
    {"or at its end", 2, {{AHEAD + 1, 1, 0, false}, {0, 0, 0, true}}, 0},
    {"not before one that has not begun", 2, {{AHEAD, 1, 0, false}, {NEVER, 0, 0, false}}, -1},
    {"both at their ends: in order", 2, {{AHEAD + 1, 1, 0, true}, {0, 1, 0, true}}, 1},
    {"silent, but with something waiting: in order",
     2,
     {{AHEAD + 1, 1, 0, false}, {0, 1, 9 * NS_PER_S, false}},
     1},
};

static void test_turns(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
        const struct turn_case *c = &turns[i];
        struct source sources[SOURCES_MAX];
        struct meter m = {.sources = sources, .n_sources = c->n, .listened = {NOW}};
        for (size_t j = 0; j < c->n; j++) {
            sources[j] = (struct source){.passed_ts = c->s[j].passed,
                                         .n_waiting = c->s[j].waiting,
                                         .heard = {NOW - c->s[j].heard_ago},
                                         .ended = c->s[j].ended};
        }
        const struct source *next = feeds_next(&m);
        int got = next ? (int)(next - sources) : -1;
        if (got != c->want) {
            fail_at(__FILE__, __LINE__, "%s: %d, not %d\n", c->name, got, c->want);
        }
    }
}

// What a parcel says of its kinds; it never goes back.
static void test_note(void **state)
{
    (void)state;
    struct source s = {.newest = {NEVER, 50}, .fed = {{1}, {2}}};
    struct meter m = {.sources = &s, .n_sources = 1, .listened = {NOW}};
    struct parcel p = {.newest_ts = {70, INT64_MIN}};
    feeds_note(&m, &s, &p);
    assert_i64(s.newest[RECORD_SAMPLE], 70);
    assert_i64(s.fed[RECORD_SAMPLE].ns, NOW);
    assert_i64(s.newest[RECORD_USAGE], 50);
    assert_i64(s.fed[RECORD_USAGE].ns, 2);
    p = (struct parcel){.newest_ts = {60, 40}};
    feeds_note(&m, &s, &p);
    assert_i64(s.newest[RECORD_SAMPLE], 70);
    assert_i64(s.newest[RECORD_USAGE], 50);
    assert_i64(s.fed[RECORD_USAGE].ns, NOW); // late, but not silent
}

// ---- shards that are owned for a time ------------------------------------------------------

enum { SHARDS_MAX = 3 };

struct shard_case {
    int64_t samples, usages; // newest event time taken in
    int64_t samples_ago, usages_ago;
    unsigned behind;
    size_t coming;  // samples
    int64_t newest; // of its engine; NEVER: it has none
    int64_t want;
};

#define SILENT (3 * NS_PER_S + 1)
#define USAGES (1U << RECORD_USAGE)

static const struct owned_case {
    const char *name;
    struct shard_case s[SHARDS_MAX];
} owned[] = {
    {"each has its own",
     {{100, 90, 0, 0, 0, 0, 100, 90}, {500, 700, 0, 0, 0, 0, 700, 500}, {7, 8, 0, 0, 0, 0, 8, 7}}},
    {"a kind that has not come holds its shard back, for 3 s",
     {{100, NEVER, 0, 0, 0, 0, 100, NEVER},
      {100, NEVER, 0, SILENT, 0, 0, 100, 100},
      {100, NEVER, 0, 3 * NS_PER_S, 0, 0, 100, NEVER}}},
    {"or for as long as it waits to be read",
     {{100, NEVER, 0, SILENT, USAGES, 0, 100, NEVER},
      {100, 40, 0, SILENT, USAGES, 0, 100, 40},
      {100, 40, 0, SILENT, 0, 0, 100, 100}}},
    {"or is on its way",
     {{30, 200, SILENT, 0, 0, 1, 200, 30},
      {30, 200, SILENT, 0, 0, 0, 200, 200},
      {50, 60, 0, 0, 0, 0, 60, 50}}},
    {"a silent one follows the lowest of the others",
     {{100, 100, SILENT, SILENT, 0, 0, 100, 500},
      {600, 700, 0, 0, 0, 0, 700, 600},
      {500, 900, 0, 0, 0, 0, 900, 500}}},
    {"but never behind its own newest",
     {{100, 650, SILENT, SILENT, 0, 0, 650, 650},
      {600, 700, 0, 0, 0, 0, 700, 600},
      {NEVER, NEVER, SILENT, SILENT, 0, 0, NEVER, NEVER}}},
    {"all silent: each its own newest",
     {{100, 80, SILENT, SILENT, 0, 0, 100, 100},
      {300, 400, SILENT, SILENT, 0, 0, 400, 400},
      {NEVER, NEVER, SILENT, SILENT, 0, 0, NEVER, NEVER}}},
};

static const struct owned_case *at_hand; // whose `behind` the input below tells

static unsigned told_behind(const struct input *in, uint32_t shard)
{
    (void)in;
    return at_hand->s[shard].behind;
}

static struct engine *engine_with(int64_t newest)
{
    static const struct price_book no_prices = {NULL, 0};
    static struct settings epoch;
    static const struct settings_history settings = {&epoch, 1};
    epoch = settings_default;
    struct engine *e = newest == NEVER ? NULL : engine_new(&settings, &no_prices);
    if (e) {
        struct record r = {.kind = RECORD_SAMPLE, .event_id = STR("x")};
        r.sample = (struct gpu_sample){.ts = newest, .gpu = {STR("h"), 0, GPU_INSTANCE_NONE}};
        assert_int_equal(engine_add(e, &r), 0);
    }
    return e;
}

static void set_shard(struct shard *s, const struct shard_case *c)
{
    *s = (struct shard){
        .engine = engine_with(c->newest),
        .newest = {c->samples, c->usages},
        .fed = {{NOW - c->samples_ago}, {NOW - c->usages_ago}},
        .coming = {c->coming, 0},
        .watermark = NEVER,
    };
}

static void test_shards(void **state)
{
    (void)state;
    static const struct input_driver driver = {.scheme = "test", .behind = told_behind};
    struct input input = {.driver = &driver};
    struct source source = {.input = &input};
    for (size_t i = 0; i < ARRAY_LEN(owned); i++) {
        struct shard shards[SHARDS_MAX];
        struct meter m = {.owner = &source, .shards = shards, .n_shards = SHARDS_MAX};
        m.listened.ns = NOW;
        at_hand = &owned[i];
        for (size_t j = 0; j < SHARDS_MAX; j++) {
            set_shard(&shards[j], &owned[i].s[j]);
        }
        feeds_find_watermarks(&m);
        for (size_t j = 0; j < SHARDS_MAX; j++) {
            if (shards[j].watermark != owned[i].s[j].want) {
                fail_at(__FILE__, __LINE__, "%s: %lld, not %lld\n", owned[i].name,
                        (long long)shards[j].watermark, (long long)owned[i].s[j].want);
            }
            engine_free(shards[j].engine);
        }
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_shards), TEST(test_watermark), TEST(test_only_what_was_listened_to),
                    TEST(test_turns), TEST(test_note));
}
