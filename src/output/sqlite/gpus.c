// The newest sample of each GPU. A commit brings many samples of few GPUs: the newest of each are
// found first, then written.
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

struct seen {
    const struct sq_new *newest;
    int64_t first;
};

static bool newer(const struct record *a, const struct record *b)
{
    return a->sample.ts != b->sample.ts ? a->sample.ts > b->sample.ts
                                        : str_cmp(a->event_id, b->event_id) < 0;
}

static void bind_real(sqlite3_stmt *stmt, int at, const struct gpu_sample *g, uint32_t bit,
                      double value)
{
    if (g->has & bit) {
        (void)sqlite3_bind_double(stmt, at, value);
    }
}

static void bind_sample(sqlite3_stmt *stmt, const struct sq_new *n)
{
    const struct gpu_sample *g = &n->stored->record->sample;
    (void)sqlite3_bind_int64(stmt, 5, g->ts);
    sq_bind_str(stmt, 6, n->stored->record->event_id);
    (void)sqlite3_bind_int64(stmt, 7, n->device);
    bind_real(stmt, 8, g, SAMPLE_UTILIZATION, g->utilization);
    bind_real(stmt, 9, g, SAMPLE_MEM_USED, g->mem_used_mb);
    bind_real(stmt, 10, g, SAMPLE_MEM_TOTAL, g->mem_total_mb);
    bind_real(stmt, 11, g, SAMPLE_POWER, g->power_w);
    bind_real(stmt, 12, g, SAMPLE_TEMPERATURE, g->temperature_c);
    bind_real(stmt, 13, g, SAMPLE_SM_CLOCK, g->sm_clock_mhz);
    if (g->has & SAMPLE_ENERGY) {
        (void)sqlite3_bind_int64(stmt, 14, g->energy_mj);
    }
    if (g->has & SAMPLE_PRICE) {
        (void)sqlite3_bind_int64(stmt, 15, g->price_nusd_hour);
    }
}

static void bind_key(sqlite3_stmt *stmt, const struct seen *seen)
{
    const struct gpu_key *gpu = &seen->newest->stored->record->sample.gpu;
    sq_bind_str(stmt, 1, gpu->host);
    (void)sqlite3_bind_int64(stmt, 2, gpu->index);
    (void)sqlite3_bind_int64(stmt, 3, gpu->instance);
    (void)sqlite3_bind_int64(stmt, 4, seen->first);
}

static int put(struct sq_store *s, const struct seen *seen, struct error *err)
{
    static const char newest_sql[] =
        "INSERT INTO gpu VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
        " ON CONFLICT(host, gpu_index, gpu_instance) DO UPDATE SET ts = excluded.ts,"
        " event_id = excluded.event_id, device = excluded.device,"
        " utilization = excluded.utilization, mem_used_mb = excluded.mem_used_mb,"
        " mem_total_mb = excluded.mem_total_mb, power_w = excluded.power_w,"
        " temperature_c = excluded.temperature_c, sm_clock_mhz = excluded.sm_clock_mhz,"
        " energy_mj = excluded.energy_mj, price_nusd_hour = excluded.price_nusd_hour"
        " WHERE excluded.ts > ts OR (excluded.ts = ts AND excluded.event_id < event_id)";
    static const char first_sql[] =
        "UPDATE gpu SET first_seen = ?4"
        " WHERE host = ?1 AND gpu_index = ?2 AND gpu_instance = ?3 AND first_seen > ?4";
    sqlite3_stmt *newest = NULL, *first = NULL;
    int r = sq_statement(s->main, newest_sql, &newest, err);
    r = r < 0 ? r : sq_statement(s->main, first_sql, &first, err);
    if (r < 0) {
        return r;
    }
    bind_key(newest, seen);
    bind_sample(newest, seen->newest);
    r = sq_run(s->main, newest, err);
    if (r < 0) {
        return r;
    }
    bind_key(first, seen);
    return sq_run(s->main, first, err);
}

// One entry a device: a GPU that changed its name within the commit has two, which is no harm.
static void see(struct map *devices, const struct sq_new *n)
{
    int64_t ts = n->stored->record->sample.ts;
    struct seen *seen = map_get(devices, n->device);
    if (seen == NULL) {
        seen = x_zalloc(sizeof(*seen));
        *seen = (struct seen){n, ts};
        map_put(devices, n->device, seen);
        return;
    }
    seen->first = MIN(seen->first, ts);
    if (newer(n->stored->record, seen->newest->stored->record)) {
        seen->newest = n;
    }
}

int sq_put_gpus(struct sq_store *s, const struct sq_new_list *samples, struct error *err)
{
    struct map devices = {0};
    struct map_slot slot;
    for (size_t i = 0; i < samples->n; i++) {
        see(&devices, &samples->v[i]);
    }
    int r = 0;
    for (size_t at = 0; map_next(&devices, &at, &slot);) {
        r = r < 0 ? r : put(s, slot.value, err);
        free(slot.value);
    }
    map_done(&devices);
    return r;
}
