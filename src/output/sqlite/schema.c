// The layout of a store's file. Raw records are narrow rows, `sample` and `usage`, that are written
// once; text that rarely changes stands in `device`, `place` and `consumer`. What is computed
// stands apart: `usage_cost`, and `cost_window` with its sums by hour and day. Sets of rows that
// are replaced together are clustered by what replaces them, in the order they are read.
//
// People read the views: architecture.md's names and fields, costs in USD and nano-USD, NULL for
// what is not known.
#include <errno.h>

#include "output/sqlite/sqlite.h"

static const char raw_tables[] =
    "CREATE TABLE device("
    "  id INTEGER PRIMARY KEY, host TEXT NOT NULL, gpu_index INTEGER NOT NULL,"
    "  gpu_instance INTEGER, name TEXT, uuid TEXT, mig_profile TEXT, source TEXT, site TEXT);"
    "CREATE INDEX device_key ON device("
    "  host, gpu_index, gpu_instance, name, uuid, mig_profile, source, site);"

    // gpu_index: its only GPU; gpu_indices: a JSON array when there are several.
    "CREATE TABLE place("
    "  id INTEGER PRIMARY KEY, host TEXT, gpu_index INTEGER, gpu_indices TEXT,"
    "  gpu_instance INTEGER, site TEXT);"
    "CREATE INDEX place_key ON place(host, gpu_index, gpu_indices, gpu_instance, site);"

    "CREATE TABLE consumer(id INTEGER PRIMARY KEY, model TEXT, tenant TEXT);"
    "CREATE INDEX consumer_key ON consumer(model, tenant);"

    "CREATE TABLE sample("
    "  seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, digest INTEGER NOT NULL,"
    "  shard INTEGER NOT NULL, ts INTEGER NOT NULL, device INTEGER NOT NULL, utilization REAL,"
    "  mem_used_mb REAL, mem_total_mb REAL, power_w REAL, temperature_c REAL, sm_clock_mhz REAL,"
    "  energy_mj INTEGER, price_nusd_hour INTEGER, extra TEXT, position INTEGER NOT NULL);"
    "CREATE INDEX sample_time ON sample(shard, ts);"

    // ts = start + max(latency, 1 ms). est_*: the provisional cost; est_method is NULL when there
    // is none, the amounts are NULL when it is unpriced.
    "CREATE TABLE usage("
    "  seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, digest INTEGER NOT NULL,"
    "  shard INTEGER NOT NULL, start INTEGER NOT NULL, latency_ns INTEGER NOT NULL,"
    "  ttft_ns INTEGER, place INTEGER NOT NULL, placed INTEGER NOT NULL,"
    "  consumer INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,"
    "  completion_tokens INTEGER NOT NULL, cached_prompt_tokens INTEGER, requests INTEGER,"
    "  request_id TEXT, est_in_nusd INTEGER, est_out_nusd INTEGER, est_method INTEGER,"
    "  extra TEXT, position INTEGER NOT NULL);"
    "CREATE INDEX usage_time ON usage(shard, start);"
    "CREATE INDEX usage_unplaced ON usage(shard, start) WHERE NOT placed;";

#define WINDOW_COLUMNS                                                                             \
    "window_start INTEGER NOT NULL, shard INTEGER NOT NULL, n INTEGER NOT NULL,"                   \
    " place INTEGER NOT NULL, kind INTEGER NOT NULL, consumer INTEGER NOT NULL,"                   \
    " cost_nusd INTEGER NOT NULL, cost_in_nusd INTEGER NOT NULL, cost_out_nusd INTEGER NOT NULL,"  \
    " prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,"                         \
    " cached_prompt_tokens INTEGER NOT NULL, requests INTEGER NOT NULL,"                           \
    " unpriced_requests INTEGER NOT NULL, busy_ns INTEGER NOT NULL,"                               \
    " unpriced_ns INTEGER NOT NULL, energy_j REAL, final INTEGER NOT NULL,"                        \
    " revision INTEGER NOT NULL, method INTEGER NOT NULL,"                                         \
    " PRIMARY KEY (window_start, shard, n)) WITHOUT ROWID;"

// n: the row's place in the canonical order of its window.
static const char computed_tables[] =
    "CREATE TABLE usage_cost("
    "  seq INTEGER PRIMARY KEY, priced INTEGER NOT NULL, cost_in_nusd INTEGER NOT NULL,"
    "  cost_out_nusd INTEGER NOT NULL, unpriced_ns INTEGER NOT NULL, energy_j REAL,"
    "  final INTEGER NOT NULL, late INTEGER NOT NULL, revision INTEGER NOT NULL,"
    "  method INTEGER NOT NULL);"
    "CREATE INDEX cost_unpriced ON usage_cost(seq) WHERE final AND NOT priced;"
    "CREATE INDEX cost_late ON usage_cost(seq) WHERE late;"
    "CREATE TABLE cost_window(" WINDOW_COLUMNS "CREATE TABLE cost_hour(" WINDOW_COLUMNS
    "CREATE TABLE cost_day(" WINDOW_COLUMNS;

static const char state_tables[] =
    "CREATE TABLE setting("
    "  effective_from INTEGER PRIMARY KEY, window_ns INTEGER NOT NULL, max_gap_ns INTEGER NOT NULL,"
    "  gpu_timeout_ns INTEGER NOT NULL, horizon_ns INTEGER NOT NULL, default_price_nusd INTEGER,"
    "  weight_in INTEGER NOT NULL, weight_out INTEGER NOT NULL, method INTEGER NOT NULL,"
    "  added_at INTEGER NOT NULL);"
    "CREATE TABLE price("
    "  id INTEGER PRIMARY KEY, effective_from INTEGER NOT NULL, name TEXT NOT NULL, site TEXT,"
    "  price_nusd_hour INTEGER NOT NULL, source TEXT, added_at INTEGER NOT NULL);"
    "CREATE TABLE dead_letter("
    "  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, origin TEXT, position INTEGER NOT NULL,"
    "  reason TEXT NOT NULL, payload BLOB);"
    "CREATE INDEX dead_letter_at ON dead_letter(at);"
    "CREATE TABLE input("
    "  name TEXT PRIMARY KEY, records INTEGER NOT NULL, offset INTEGER NOT NULL,"
    "  fingerprint INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE shard("
    "  shard INTEGER PRIMARY KEY, has_records INTEGER NOT NULL, frontier INTEGER NOT NULL,"
    "  newest INTEGER NOT NULL, oldest_pending INTEGER NOT NULL, samples_seen INTEGER NOT NULL,"
    "  usage_seen INTEGER NOT NULL, windows_from INTEGER NOT NULL);"
    "CREATE TABLE unsettled(shard INTEGER NOT NULL, range_from INTEGER NOT NULL,"
    "  range_to INTEGER NOT NULL, PRIMARY KEY (shard, range_from, range_to)) WITHOUT ROWID;"
    "CREATE TABLE gpu("
    "  host TEXT NOT NULL, gpu_index INTEGER NOT NULL, gpu_instance INTEGER NOT NULL,"
    "  first_seen INTEGER NOT NULL, ts INTEGER NOT NULL, event_id TEXT NOT NULL,"
    "  device INTEGER NOT NULL, utilization REAL, mem_used_mb REAL, mem_total_mb REAL,"
    "  power_w REAL, temperature_c REAL, sm_clock_mhz REAL, energy_mj INTEGER,"
    "  price_nusd_hour INTEGER, PRIMARY KEY (host, gpu_index, gpu_instance)) WITHOUT ROWID;"
    "CREATE TABLE meta("
    "  id INTEGER PRIMARY KEY CHECK (id = 1), commits INTEGER NOT NULL, n_shards INTEGER NOT NULL,"
    "  last_sample_seq INTEGER NOT NULL, last_usage_seq INTEGER NOT NULL,"
    "  samples INTEGER NOT NULL, usages INTEGER NOT NULL, first_sample INTEGER NOT NULL,"
    "  first_usage INTEGER NOT NULL, last_sample INTEGER NOT NULL, last_usage INTEGER NOT NULL,"
    "  dead_letters INTEGER NOT NULL, longest_usage_ns INTEGER NOT NULL,"
    "  raw_from INTEGER NOT NULL);"
    "INSERT INTO meta VALUES (1, 0, 1, 0, 0, 0, 0, 9223372036854775807, 9223372036854775807,"
    "  -9223372036854775808, -9223372036854775808, 0, 0, -9223372036854775808);";

#define METHOD_NAME(column) "CASE " column " WHEN 0 THEN 'weighted' WHEN 1 THEN 'equal' END"
#define USD(column) column " / 1e9"

static const char record_views[] =
    "CREATE VIEW gpu_metrics AS SELECT"
    "  s.ts, d.host, d.gpu_index, d.gpu_instance, d.name, d.uuid, s.utilization, s.mem_used_mb,"
    "  s.mem_total_mb, s.power_w, s.temperature_c, s.sm_clock_mhz, s.energy_mj, d.mig_profile,"
    "  " USD(
        "s.price_nusd_hour") " AS price_per_hour_usd, d.source, d.site, s.event_id, s.extra,"
                             "  s.shard AS partition, s.position, s.seq"
                             " FROM sample s JOIN device d ON d.id = s.device;"

                             "CREATE VIEW token_usage AS SELECT ts, start, model, prompt_tokens, "
                             "completion_tokens,"
                             "  cached_prompt_tokens, latency_ms, ttft_ms, host, gpu_index, "
                             "gpu_indices, gpu_instance,"
                             "  requests, tenant, request_id, site, event_id,"
                             "  " USD(
                                 "cost_nusd") " / NULLIF(prompt_tokens + completion_tokens, 0) AS "
                                              "cost_per_token,"
                                              "  cost_nusd, cost_in_nusd, cost_out_nusd, energy_j, "
                                              "unpriced_ns, final, late, revision,"
                                              "  " METHOD_NAME(
                                                  "method") " AS method, extra, partition, "
                                                            "position, seq"
                                                            " FROM (SELECT u.start + "
                                                            "max(u.latency_ns, 1000000) AS ts, "
                                                            "u.start, u.prompt_tokens,"
                                                            "  u.completion_tokens, "
                                                            "u.cached_prompt_tokens, u.latency_ns "
                                                            "/ 1e6 AS latency_ms,"
                                                            "  u.ttft_ns / 1e6 AS ttft_ms, "
                                                            "u.requests, u.request_id, u.event_id, "
                                                            "u.extra,"
                                                            "  u.shard AS partition, u.position, "
                                                            "u.seq, p.host, p.gpu_index, "
                                                            "p.gpu_indices,"
                                                            "  p.gpu_instance, p.site, k.model, "
                                                            "k.tenant, c.energy_j, c.unpriced_ns,"
                                                            "  CASE WHEN c.seq IS NULL THEN "
                                                            "u.est_in_nusd + u.est_out_nusd"
                                                            "    WHEN c.priced THEN c.cost_in_nusd "
                                                            "+ c.cost_out_nusd END AS cost_nusd,"
                                                            "  CASE WHEN c.seq IS NULL THEN "
                                                            "u.est_in_nusd"
                                                            "    WHEN c.priced THEN c.cost_in_nusd "
                                                            "END AS cost_in_nusd,"
                                                            "  CASE WHEN c.seq IS NULL THEN "
                                                            "u.est_out_nusd"
                                                            "    WHEN c.priced THEN "
                                                            "c.cost_out_nusd END AS cost_out_nusd,"
                                                            "  coalesce(c.final, 0) AS final, "
                                                            "coalesce(c.late, 0) AS late,"
                                                            "  coalesce(c.revision, 0) AS revision,"
                                                            "  CASE WHEN c.seq IS NULL THEN "
                                                            "u.est_method ELSE c.method END AS "
                                                            "method"
                                                            " FROM usage u JOIN place p ON p.id = "
                                                            "u.place JOIN consumer k ON k.id = "
                                                            "u.consumer"
                                                            "  LEFT JOIN usage_cost c ON c.seq = "
                                                            "u.seq);";

// A row whose time has no price at all has no cost: NULL, never 0.
#define WINDOW_VIEW(view, table)                                                                   \
    "CREATE VIEW " view " AS SELECT"                                                               \
    "  w.window_start, p.host, p.gpu_index, p.gpu_instance, p.site,"                               \
    "  CASE w.kind WHEN 0 THEN 'usage' WHEN 1 THEN 'idle' WHEN 2 THEN 'unattributed'"              \
    "    WHEN 3 THEN 'unplaced' END AS kind, k.model, k.tenant,"                                   \
    "  iif(w.kind = 3 OR (w.unpriced_ns > 0 AND w.unpriced_ns >= w.busy_ns), NULL, w.cost_nusd)"   \
    "    AS cost_nusd,"                                                                            \
    "  iif(w.kind = 3 OR (w.unpriced_ns > 0 AND w.unpriced_ns >= w.busy_ns), NULL,"                \
    "    w.cost_in_nusd) AS cost_in_nusd,"                                                         \
    "  iif(w.kind = 3 OR (w.unpriced_ns > 0 AND w.unpriced_ns >= w.busy_ns), NULL,"                \
    "    w.cost_out_nusd) AS cost_out_nusd,"                                                       \
    "  w.prompt_tokens, w.completion_tokens, w.cached_prompt_tokens, w.requests,"                  \
    "  w.unpriced_requests, w.busy_ns, w.energy_j, w.unpriced_ns, w.final, w.revision,"            \
    "  " METHOD_NAME(                                                                              \
        "w.method") " AS method, w.shard AS partition"                                             \
                    " FROM " table                                                                 \
                    " w JOIN place p ON p.id = w.place JOIN consumer k ON k.id = w.consumer;"

static const char computed_views[] = WINDOW_VIEW("cost_windows", "cost_window")
    WINDOW_VIEW("cost_hours", "cost_hour") WINDOW_VIEW("cost_days", "cost_day");

static const char state_views[] =
    "CREATE VIEW gpus AS SELECT"
    "  g.host, g.gpu_index, nullif(g.gpu_instance, -1) AS gpu_instance, g.first_seen, g.ts, d.name,"
    "  d.uuid, g.utilization, g.mem_used_mb, g.mem_total_mb, g.power_w, g.temperature_c,"
    "  g.sm_clock_mhz, g.energy_mj, d.mig_profile,"
    "  " USD(
        "g.price_nusd_hour") " AS price_per_hour_usd, d.source, d.site"
                             " FROM gpu g JOIN device d ON d.id = g.device;"
                             "CREATE VIEW price_book AS SELECT"
                             "  id, effective_from, name, site, price_nusd_hour,"
                             "  " USD(
                                 "price_nusd_hour") " AS price_per_hour_usd, source, added_at FROM "
                                                    "price;"
                                                    "CREATE VIEW dead_letters AS SELECT"
                                                    "  id, at, origin, position, reason, "
                                                    "CAST(payload AS TEXT) AS payload FROM "
                                                    "dead_letter;"
                                                    "CREATE VIEW settings AS SELECT"
                                                    "  effective_from, window_ns, max_gap_ns, "
                                                    "gpu_timeout_ns, horizon_ns, "
                                                    "default_price_nusd,"
                                                    "  " USD(
                                                        "default_price_nusd") " AS "
                                                                              "price_per_hour_usd, "
                                                                              "weight_in, "
                                                                              "weight_out,"
                                                                              "  " METHOD_NAME(
                                                                                  "method") " AS "
                                                                                            "method"
                                                                                            ", "
                                                                                            "added_"
                                                                                            "at "
                                                                                            "FROM "
                                                                                            "settin"
                                                                                            "g;";

// What settlements changed in months that were closed: see output/corrections.h.
static const char corrections[] =
    "CREATE TABLE cost_correction("
    "  window_start INTEGER NOT NULL, shard INTEGER NOT NULL, place INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL, consumer INTEGER NOT NULL, n INTEGER NOT NULL,"
    "  settled_at INTEGER NOT NULL, gone INTEGER NOT NULL, cost_nusd INTEGER NOT NULL,"
    "  cost_in_nusd INTEGER NOT NULL, cost_out_nusd INTEGER NOT NULL,"
    "  prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,"
    "  cached_prompt_tokens INTEGER NOT NULL, requests INTEGER NOT NULL,"
    "  unpriced_requests INTEGER NOT NULL, busy_ns INTEGER NOT NULL,"
    "  unpriced_ns INTEGER NOT NULL, revision INTEGER NOT NULL, method INTEGER NOT NULL,"
    "  PRIMARY KEY (window_start, shard, place, kind, consumer, n)) WITHOUT ROWID;";

// Where somebody's requests are, among all the others': see report/seek.h. Hours and days are few,
// and written once; an index on windows or requests would cost each of them.
static const char consumer_indexes[] =
    "CREATE INDEX consumer_tenant ON consumer(tenant);"
    "CREATE INDEX cost_hour_consumer ON cost_hour(consumer, window_start);"
    "CREATE INDEX cost_day_consumer ON cost_day(consumer, window_start);";

// The rows of hours and days once more: see packs.c.
enum { PACKS_VERSION = 4 };
static const char packs[] =
    "CREATE TABLE cost_pack("
    "  id INTEGER PRIMARY KEY, level INTEGER NOT NULL, window_start INTEGER NOT NULL,"
    "  shard INTEGER NOT NULL, rows BLOB NOT NULL);"
    "CREATE UNIQUE INDEX cost_pack_span ON cost_pack(level, window_start, shard);";

const struct sq_migration sq_migrations[] = {
    {1, raw_tables},   {1, computed_tables},  {1, state_tables},
    {1, record_views}, {1, computed_views},   {1, state_views},
    {2, corrections},  {3, consumer_indexes}, {PACKS_VERSION, packs},
};
const size_t sq_n_migrations = ARRAY_LEN(sq_migrations);

static int read_number(struct sq_conn *c, const char *sql, int64_t *ret, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(c, sql, &stmt, err);
    r = r < 0 ? r : sq_row(c, stmt, err);
    if (r <= 0) {
        return r < 0 ? r : sq_fail(c, SQLITE_CORRUPT, err);
    }
    *ret = sq_i64(stmt, 0);
    sq_reset(stmt);
    return 0;
}

static int read_version(struct sq_conn *c, int *ret, struct error *err)
{
    int64_t version;
    int r = read_number(c, "PRAGMA user_version", &version, err);
    *ret = r < 0 ? 0 : (int)version;
    return r;
}

int sq_inspect(struct sq_conn *c, enum sq_found *ret, int *ret_version, struct error *err)
{
    int64_t application, objects;
    int r = read_number(c, "PRAGMA application_id", &application, err);
    r = r < 0 ? r : read_version(c, ret_version, err);
    r = r < 0 ? r : read_number(c, "SELECT count(*) FROM sqlite_schema", &objects, err);
    if (r < 0) {
        return r;
    }
    bool empty = application == 0 && *ret_version == 0 && objects == 0;
    *ret = application == SQ_APPLICATION_ID ? SQ_OURS : empty ? SQ_EMPTY : SQ_FOREIGN;
    return 0;
}

static int set_version(struct sq_conn *c, int version, struct error *err)
{
    char sql[96];
    sqlite3_snprintf(sizeof(sql), sql, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                     SQ_APPLICATION_ID, version);
    return sq_exec(c, sql, err);
}

// Within a transaction: another process may have migrated since the file was inspected.
static int apply(struct sq_conn *c, const struct sq_migration *migrations, size_t n,
                 struct error *err)
{
    int version, newest = migrations[n - 1].version;
    int r = read_version(c, &version, err);
    if (r == 0 && version > newest) {
        return error_set(
            err, -EPROTONOSUPPORT,
            "%s: a newer gtap has just brought it to schema %d, this one knows %d: use "
            "that gtap",
            c->name, version, newest);
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (migrations[i].version > version) {
            r = sq_exec(c, migrations[i].sql, err);
        }
    }
    if (r == 0 && version < PACKS_VERSION && newest >= PACKS_VERSION) {
        r = sq_pack_all(c, err);
    }
    return r < 0 ? r : set_version(c, newest, err);
}

int sq_migrate(struct sq_conn *c, const struct sq_migration *migrations, size_t n,
               struct error *err)
{
    int r = sq_exec(c, "BEGIN IMMEDIATE", err);
    if (r < 0) {
        return r;
    }
    r = apply(c, migrations, n, err);
    r = r < 0 ? r : sq_exec(c, "COMMIT", err);
    if (r < 0 && !sqlite3_get_autocommit(c->db)) {
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}
