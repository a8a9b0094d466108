#include "world.h"

#include "pipeline/meter.h"

static void note(struct rig *r, const struct run_progress *progress)
{
    struct process *p = (struct process *)r; // the rig is its first member
    atomic_store(&p->shards, (int)progress->shards);
    atomic_store(&p->frontier, progress->frontier);
    atomic_store(&p->late, (long long)progress->late);
    atomic_store(&p->duplicates, (long long)progress->duplicates);
    atomic_store(&p->records, (long long)progress->records);
}

void process_init(struct process *p, const char *name, struct owned_db *db)
{
    *p = (struct process){.result = 0};
    rig_init(&p->rig, "memory");
    script_init(&p->script, name, 2);
    owned_store_init(&p->store, db);
    snprintf(p->uri, sizeof(p->uri), "script:%s", name);
    rig_inputs(&p->rig, p->uri, NULL);
    p->rig.config.env.extra = &script_driver;
    p->rig.config.until_end = false;
    p->rig.config.audit_ns = NS_PER_S;
    p->rig.config.retry_ns = NS_PER_MS;
    p->rig.on_progress = note;
    p->rig.clock.step = 50 * NS_PER_MS;
}

void world_init(struct world *w)
{
    rig_init(&w->rig, "memory");
    w->inner = rig_open(&w->rig, STORE_WRITE);
    owned_db_init(&w->db, w->inner);
    process_init(&w->p[0], "a", &w->db);
    process_init(&w->p[1], "b", &w->db);
}

static void *process_main(void *ctx)
{
    struct process *p = ctx;
    struct meter m;
    p->result = meter_open(&m, &p->rig.config, &p->store.base, &p->rig.err);
    if (p->result == 0) {
        p->result = meter_run(&m, &p->rig.err);
    }
    atomic_store(&p->adopted, m.adopted);
    atomic_store(&p->kept, m.kept);
    atomic_store(&p->lost, m.lost);
    p->rig.progress = m.progress;
    meter_close(&m);
    return NULL;
}

void process_begin(struct process *p)
{
    p->running = true;
    assert_int_equal(pthread_create(&p->thread, NULL, process_main, p), 0);
}

void process_end(struct process *p)
{
    rig_stop(&p->rig);
    pthread_join(p->thread, NULL);
    rig_unstop(&p->rig);
    owned_store_die(&p->store);
    p->running = false;
    assert_ok(p->result, &p->rig.err);
}

void world_done(struct world *w)
{
    for (size_t i = 0; i < ARRAY_LEN(w->p); i++) {
        if (w->p[i].running) {
            process_end(&w->p[i]);
        }
        script_done(&w->p[i].script);
        rig_done(&w->p[i].rig);
    }
    owned_db_done(&w->db);
    store_close(w->inner);
    rig_done(&w->rig);
}

void script_put_load(struct script *s, int64_t from, int64_t to)
{
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    (void)put_load(&b, from, to);
    script_put(s, &b);
    buf_done(&b);
}

void put_whole_load(struct buf *b)
{
    for (int64_t at = 0; at < END_S; at += 1000) {
        (void)put_load(b, at + (at > 0), at + 1000);
    }
}

void world_check(struct world *w)
{
    struct buf all, plain;
    struct rig single, *last = &w->p[1].rig;
    buf_init(&all, RIG_TEXT_MAX);
    put_whole_load(&all);
    rig_init(&single, "memory");
    rig_inputs(&single, rig_file(&single, "all.ndjson", &all), NULL);
    rig_must_run(&single);
    rig_dump(&single, &plain);
    // Ends what is open: a run over the same records, none of which is new.
    assert_false(w->p[0].running || w->p[1].running);
    rig_inputs(last, rig_file(last, "all.ndjson", &all), NULL);
    last->config.until_end = true;
    struct owned_store finisher;
    struct meter m;
    owned_store_init(&finisher, &w->db);
    assert_ok(meter_open(&m, &last->config, &finisher.base, &last->err), &last->err);
    assert_ok(meter_run(&m, &last->err), &last->err);
    assert_i64((int64_t)m.progress.records, 0);
    meter_close(&m);
    rig_check_same(&w->rig, &plain);
    assert_true(rig_verify(&w->rig).rows_equal > 0);
    buf_done(&plain);
    buf_done(&all);
    rig_done(&single);
}

int64_t world_final_until(struct world *w, uint32_t shard)
{
    struct shard_state s;
    struct error err;
    assert_ok(store_shard(w->inner, shard, &s, &err), &err);
    return s.frontier;
}

struct buf load_only(int64_t from, int64_t to, bool usage, int gpu)
{
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    for (int64_t t = from; t <= to; t++) {
        char id[32];
        if (usage && t % 7 == 0 && t > from) {
            snprintf(id, sizeof(id), "r%d-%d", (int)t, gpu);
            put_usage(&b, id, t, 5, gpu, ",\"ttft_ms\":900");
        } else if (!usage && t % 10 == 0) {
            snprintf(id, sizeof(id), "s%d-%d", (int)t, gpu);
            put_sample(&b, id, t, gpu, ",\"price_per_hour_usd\":3.6,\"power_w\":250");
        }
    }
    return b;
}
