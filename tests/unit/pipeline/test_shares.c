// What takes long is done shard by shard, between what comes in: rows of open windows, and of those
// that become final. No threads here, and time is set by hand.
#include "pipeline/meter.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "input/input_impl.h"
#include "test.h"

enum { SHARDS = 3 };
#define BEGIN (1000 * NS_PER_S) // monotonic
#define HOURS (400000 * NS_PER_HOUR)

// Each look at the time takes `step`.
struct stepping {
    struct clock clock;
    int64_t *at, step;
};

static struct mono step_mono(const struct clock *c)
{
    const struct stepping *s = (const struct stepping *)c;
    *s->at += s->step;
    return (struct mono){*s->at};
}

static bool is_current(const struct input *in)
{
    (void)in;
    return true;
}

static unsigned is_behind(const struct input *in, uint32_t shard)
{
    (void)in, (void)shard;
    return 0;
}

static const struct input_driver driver = {.current = is_current, .behind = is_behind};
static const struct price_book no_prices = {NULL, 0};

struct rig {
    int64_t at;
    struct stepping clock;
    struct run_config config;
    struct settings epoch;
    struct settings_history settings;
    struct input input;
    struct source source;
    struct shard shards[SHARDS];
    struct meter m;
};

static void add_sample(struct rig *r, uint32_t shard, int32_t gpu, int64_t ts)
{
    struct record record = {.kind = RECORD_SAMPLE, .event_id = STR("id"), .seq = 1};
    record.sample = (struct gpu_sample){.ts = ts, .gpu = {STR("host"), gpu, GPU_INSTANCE_NONE}};
    assert_i64(engine_add(r->shards[shard].engine, &record), 0);
}

static int setup(void **state)
{
    struct rig *r = x_zalloc(sizeof(*r));
    r->at = BEGIN;
    r->clock = (struct stepping){{.mono = step_mono}, &r->at, 0};
    r->config.env.clock = &r->clock.clock;
    r->epoch = settings_default;
    r->settings = (struct settings_history){&r->epoch, 1};
    r->input.driver = &driver;
    r->source.input = &r->input;
    r->m = (struct meter){.config = &r->config,
                          .settings = r->settings,
                          .sources = &r->source,
                          .n_sources = 1,
                          .owner = &r->source,
                          .shards = r->shards,
                          .n_shards = SHARDS,
                          .now = {BEGIN},
                          .preview_due = true};
    for (uint32_t i = 0; i < SHARDS; i++) {
        r->shards[i] = (struct shard){.state.shard = i, .advanced_to = INT64_MIN};
        r->shards[i].engine = engine_new(&r->settings, &no_prices);
        add_sample(r, i, (int32_t)i, HOURS);
        add_sample(r, i, (int32_t)i, HOURS + 20 * NS_PER_S);
    }
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    for (uint32_t i = 0; i < SHARDS; i++) {
        engine_free(r->shards[i].engine);
    }
    outbox_done(&r->m.outbox);
    free(r);
    return 0;
}

// The meter looks at the time before it goes on.
static void preview_at(struct rig *r, int64_t at)
{
    r->at = r->m.now.ns = at;
    upkeep_preview(&r->m);
}

static void test_brief_previews_follow_each_other(void **state)
{
    struct rig *r = *state;
    assert_true(upkeep_preview_in(&r->m) == INT64_MAX);
    for (size_t i = 1; i <= SHARDS; i++) {
        preview_at(r, BEGIN + NS_PER_S);
        assert_i64((int64_t)r->m.outbox.n_windows, (int64_t)i);
        assert_i64(r->m.outbox.windows[i - 1].shard, (int64_t)i - 1);
        assert_true(upkeep_preview_in(&r->m) == (i < SHARDS ? 0 : INT64_MAX));
    }
    assert_i64((int64_t)r->m.outbox.preview_rows, (int64_t)r->m.outbox.n_rows);
    add_sample(r, 0, 0, HOURS + 40 * NS_PER_S);
    r->m.preview_due = true;
    preview_at(r, BEGIN + NS_PER_S + NS_PER_S / 2);
    assert_i64((int64_t)r->m.outbox.n_windows, SHARDS);
    preview_at(r, BEGIN + 2 * NS_PER_S); // the next one, about a second after this one began
    assert_i64((int64_t)r->m.outbox.n_windows, SHARDS + 1);
}

// 10 ms a shard: each waits until that was a twentieth of the time.
static void test_long_previews_are_spread(void **state)
{
    struct rig *r = *state;
    int64_t at = BEGIN + NS_PER_S, took = 10 * NS_PER_MS;
    r->clock.step = took;
    for (size_t i = 1; i <= SHARDS; i++) {
        preview_at(r, at);
        assert_i64((int64_t)r->m.outbox.n_windows, (int64_t)i);
        at = r->at + 19 * took;
        preview_at(r, at - 1);
        assert_i64((int64_t)r->m.outbox.n_windows, (int64_t)i);
    }
    assert_i64(r->m.preview_cost, SHARDS * took);
}

// Nor does a shard with much open keep what comes from its turn: it goes on with the same window,
// whose rows come together.
static void test_large_previews_go_step_by_step(void **state)
{
    struct rig *r = *state;
    enum { GPUS = 3000 };
    for (int32_t i = 0; i < GPUS; i++) {
        add_sample(r, 0, SHARDS + i, HOURS);
        add_sample(r, 0, SHARDS + i, HOURS + 20 * NS_PER_S);
    }
    int64_t at = BEGIN + NS_PER_S, took = 0;
    size_t steps = 0;
    r->clock.step = 10 * NS_PER_MS;
    for (; r->m.outbox.n_windows == 0; steps++) {
        preview_at(r, at);
        took += r->at - at;
        at = BEGIN + NS_PER_S * (int64_t)(steps + 2);
    }
    assert_in_range(steps, 3, GPUS / 100);
    assert_i64((int64_t)r->m.outbox.n_windows, 1);
    assert_true(r->m.outbox.n_rows > GPUS);
    for (uint32_t i = 1; i < SHARDS; i++) {
        preview_at(r, at);
        took += r->at - at;
        at += NS_PER_S;
        assert_i64(r->m.outbox.windows[i].shard, i);
    }
    assert_true(upkeep_preview_in(&r->m) == INT64_MAX);
    assert_true(r->m.preview_cost <= took);
}

static void test_final_windows_come_shard_by_shard(void **state)
{
    struct rig *r = *state;
    for (uint32_t i = 0; i < SHARDS; i++) {
        int64_t later = HOURS + 600 * NS_PER_S;
        add_sample(r, i, (int32_t)i, later);
        r->shards[i].newest[0] = r->shards[i].newest[1] = later;
    }
    for (size_t i = 1; i <= SHARDS; i++) {
        intake_advance(&r->m, false);
        assert_true(r->m.advance_due); // there may be more
        assert_true(r->shards[i - 1].state_due);
        assert_true(i == SHARDS || !r->shards[i].state_due);
    }
    intake_advance(&r->m, false);
    assert_false(r->m.advance_due);
}

static void test_all_at_once_at_the_end(void **state)
{
    struct rig *r = *state;
    for (uint32_t i = 0; i < SHARDS; i++) {
        int64_t later = HOURS + 600 * NS_PER_S;
        add_sample(r, i, (int32_t)i, later);
        r->shards[i].newest[0] = r->shards[i].newest[1] = later;
    }
    intake_advance(&r->m, true);
    assert_false(r->m.advance_due);
    for (uint32_t i = 0; i < SHARDS; i++) {
        assert_true(r->shards[i].state_due);
    }
}

#define RIGGED(f) TEST_WITH(f, setup, teardown)

int main(void)
{
    return TEST_RUN(
        RIGGED(test_brief_previews_follow_each_other), RIGGED(test_long_previews_are_spread),
        RIGGED(test_large_previews_go_step_by_step), RIGGED(test_final_windows_come_shard_by_shard),
        RIGGED(test_all_at_once_at_the_end));
}
