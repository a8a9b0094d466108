#include "pipeline/gauges.h"

#include "pipeline/meter.h"

#define SECONDS(ns) ((double)(ns) / (double)NS_PER_S)

void gauges_init(struct gauges *g)
{
    *g = (struct gauges){.commit_seconds.least = 1e-4, .commit_records.least = 1};
}

void gauges_spent(struct gauges *g, enum stage stage, struct mono *since)
{
    struct mono now = gauges_now();
    int64_t sum = atomic_load_explicit(&g->stage_ns[stage], memory_order_relaxed);
    atomic_store_explicit(&g->stage_ns[stage], sum + now.ns - since->ns, memory_order_relaxed);
    *since = now;
}

// ---- families ------------------------------------------------------------------------------

static const struct metric_def commit_seconds = {
    "gtap_commit_seconds", "How long commits to the store took.", METRIC_HISTOGRAM};
static const struct metric_def commit_records = {"gtap_commit_records", "Records in a commit.",
                                                 METRIC_HISTOGRAM};
static const struct metric_def stage_seconds = {
    "gtap_stage_seconds_total", "Where time went: thread by thread, what it was spent on.",
    METRIC_COUNTER};
static const struct metric_def store_up = {
    "gtap_store_up", "1: the last attempt to use the store went well.", METRIC_GAUGE};
static const struct metric_def store_retries = {
    "gtap_store_retries_total", "Attempts that followed a failure of the store.", METRIC_COUNTER};
static const struct metric_def watermark_delay = {
    "gtap_watermark_delay_seconds",
    "How far behind the clock the event time is up to which records are expected to be complete, "
    "in the shard where it is furthest.",
    METRIC_GAUGE};
static const struct metric_def open_age = {
    "gtap_oldest_open_window_age_seconds",
    "How far behind the clock the oldest window is that is not final.", METRIC_GAUGE};
static const struct metric_def shards_here = {
    "gtap_shards", "Shards whose costs are computed here.", METRIC_GAUGE};
static const struct metric_def shards_taken = {
    "gtap_shards_taken_total",
    "Shards taken; kept: nobody else had them meanwhile, so that their engines went on.",
    METRIC_COUNTER};
static const struct metric_def shards_lost = {
    "gtap_shards_lost_total", "Shards that other processes took before they were left.",
    METRIC_COUNTER};
static const struct metric_def adopted = {
    "gtap_adopted_records_total",
    "Records that a former owner of a shard had stored, found out only when they came again.",
    METRIC_COUNTER};
static const struct metric_def refused = {
    "gtap_refused_total", "Records that the store cannot hold; they are in the dead letters.",
    METRIC_COUNTER};

// ---- what there is to say ------------------------------------------------------------------

static void put_stage(struct metric_list *to, const char *thread, const char *what, int64_t ns)
{
    struct metric *m = metric_add(to, &stage_seconds, SECONDS(ns));
    metric_label(m, "thread", thread);
    metric_label(m, "stage", what);
}

static void put_stages(const struct meter *m, struct metric_list *to)
{
    static const struct {
        const char *thread, *what;
    } stages[] = {
        [STAGE_COMMIT] = {"writer", "commit"}, [STAGE_LETTERS] = {"writer", "letters"},
        [STAGE_UPKEEP] = {"writer", "upkeep"}, [STAGE_RETRY] = {"writer", "retry"},
        [STAGE_IDLE] = {"writer", "idle"},     [STAGE_METER] = {"meter", "compute"},
        [STAGE_SETTLE] = {"meter", "settle"},  [STAGE_WAIT] = {"meter", "idle"},
    };
    int64_t reading = 0, starved = 0;
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        put_stage(to, stages[i].thread, stages[i].what,
                  atomic_load_explicit(&m->gauges.stage_ns[i], memory_order_relaxed));
    }
    for (size_t i = 0; i < m->n_sources; i++) {
        reading += atomic_load_explicit(&m->sources[i].read_ns, memory_order_relaxed);
        starved += atomic_load_explicit(&m->sources[i].starved_ns, memory_order_relaxed);
    }
    put_stage(to, "input", "read", reading);
    put_stage(to, "input", "blocked", starved);
}

static void put_store(const struct meter *m, struct metric_list *to)
{
    const struct run_store *s = &m->progress.store;
    metric_add_histogram(to, &commit_seconds, &m->gauges.commit_seconds);
    metric_add_histogram(to, &commit_records, &m->gauges.commit_records);
    metric_add(to, &store_up, s->ok);
    metric_add(to, &store_retries, (double)s->retries);
    metric_add(to, &refused, (double)m->progress.refused);
}

static void put_shards(const struct meter *m, struct metric_list *to)
{
    metric_add(to, &shards_here, (double)m->progress.shards);
    metric_label(metric_add(to, &shards_taken, (double)m->kept), "kept", "yes");
    metric_label(metric_add(to, &shards_taken, (double)(m->taken - m->kept)), "kept", "no");
    metric_add(to, &shards_lost, (double)m->lost);
    metric_add(to, &adopted, (double)m->adopted);
}

// Nothing where no time is known yet.
static void put_delays(const struct meter *m, struct metric_list *to)
{
    int64_t now = clock_wall(m->config->env.clock), oldest = INT64_MAX;
    int64_t watermark = m->owner ? feeds_watermark(m) : m->advanced_to;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct engine *e = m->shards[i].engine;
        if (e && engine_newest(e) != INT64_MIN && engine_newest(e) > engine_frontier(e)) {
            oldest = MIN(oldest, engine_frontier(e));
        }
    }
    if (watermark != INT64_MIN) {
        metric_add(to, &watermark_delay, SECONDS(now - watermark));
    }
    if (oldest != INT64_MAX && oldest != INT64_MIN) {
        metric_add(to, &open_age, SECONDS(now - oldest));
    }
}

void gauges_list(const struct meter *m, struct metric_list *to)
{
    metric_list_clear(to);
    put_stages(m, to);
    put_store(m, to);
    put_shards(m, to);
    put_delays(m, to);
    for (size_t i = 0; i < m->n_sources; i++) {
        input_metrics(m->sources[i].input, to);
    }
}
