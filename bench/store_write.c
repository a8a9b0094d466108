// How fast the SQLite store takes records: samples and usage half and half, with ids in the order
// of time as UUIDv7 gives them, in commits of 16,384, each with the final costs of the usage before
// it. Beside it, what SQLite itself can do: the same columns into plain tables without any index,
// by prepared statements, with the same settings. Prints both and their ratio.
//
//     store_write [RECORDS [DIRECTORY]]
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/time.h"
#include "output/store.h"

enum { GROUP = 16384, GPUS = 64, HOSTS = 16, MODELS = 4, TENANTS = 8, SHARDS = 4, ID_SIZE = 37 };

struct group {
    struct record records[GROUP];
    char ids[GROUP][ID_SIZE];
    struct store_record stored[GROUP];
    struct usage_cost estimates[GROUP];
    struct usage_cost costs[GROUP];
    size_t n_costs;
};

struct workload {
    struct group *group;
    uint64_t random;
    int64_t now, position;
    int64_t usage_seq, costed_seq; // highest usage seq stored, and with a cost
    char names[4][GPUS][24];
};

enum { HOST_NAMES, UUIDS, MODEL_NAMES, TENANT_NAMES };

static uint64_t draw(struct workload *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

static void name_all(struct workload *w)
{
    static const char *const formats[] = {"gpu-node-%02d", "GPU-5f0c21aa-%08d", "model-%d-70b",
                                          "tenant-%d"};
    for (size_t k = 0; k < ARRAY_LEN(formats); k++) {
        for (int i = 0; i < (int)ARRAY_LEN(w->names[k]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(w->names[k][i], sizeof(w->names[k][i]), formats[k], i);
#pragma GCC diagnostic pop
        }
    }
}

static struct str name_of(struct workload *w, size_t kind, size_t i)
{
    return str_of(w->names[kind][i]);
}

// RFC 9562: 48 bits of milliseconds, then a counter, then noise.
static void make_id(struct workload *w, char *id)
{
    uint64_t ms = (uint64_t)(w->now / NS_PER_MS);
    snprintf(id, ID_SIZE, "%08" PRIx64 "-%04" PRIx64 "-7%03x-%04x-%012" PRIx64, ms >> 16,
             ms & 0xffff, (unsigned)(w->now % NS_PER_MS / 250) & 0xfff,
             0x8000 | (unsigned)draw(w, 0x4000), draw(w, UINT64_C(1) << 48));
}

static void make_sample(struct workload *w, struct gpu_sample *g)
{
    size_t gpu = draw(w, GPUS);
    *g = (struct gpu_sample){
        .ts = w->now,
        .gpu = {name_of(w, HOST_NAMES, gpu / (GPUS / HOSTS)), (int32_t)(gpu % (GPUS / HOSTS)), -1},
        .has = SAMPLE_UTILIZATION | SAMPLE_MEM_USED | SAMPLE_MEM_TOTAL | SAMPLE_POWER |
               SAMPLE_TEMPERATURE | SAMPLE_SM_CLOCK | SAMPLE_ENERGY,
        .utilization = (double)draw(w, 101) / 100,
        .mem_used_mb = (double)draw(w, 80000),
        .mem_total_mb = 81559,
        .power_w = (double)draw(w, 7000) / 10,
        .temperature_c = (double)draw(w, 90),
        .sm_clock_mhz = (double)draw(w, 1980),
        .energy_mj = w->now / NS_PER_MS,
        .name = STR("NVIDIA H100 80GB HBM3"),
        .uuid = name_of(w, UUIDS, gpu),
        .source = STR("nvml"),
    };
}

static void make_usage(struct workload *w, struct usage_record *u, struct usage_cost *estimate)
{
    static const int32_t indices[] = {0, 1, 2, 3, 4, 5, 6, 7};
    size_t gpu = draw(w, GPUS);
    *u = (struct usage_record){
        .ts = w->now,
        .latency_ns = (int64_t)draw(w, (uint64_t)(20 * NS_PER_S)),
        .has = USAGE_TTFT,
        .prompt_tokens = (int64_t)draw(w, 4000),
        .completion_tokens = (int64_t)draw(w, 1000),
        .requests = 1,
        .model = name_of(w, MODEL_NAMES, draw(w, MODELS)),
        .tenant = name_of(w, TENANT_NAMES, draw(w, TENANTS)),
        .host = name_of(w, HOST_NAMES, gpu / (GPUS / HOSTS)),
        .gpus = &indices[gpu % (GPUS / HOSTS)],
        .n_gpus = 1,
        .gpu_instance = GPU_INSTANCE_NONE,
    };
    u->ttft_ns = u->latency_ns / 10;
    *estimate = (struct usage_cost){
        .priced = true,
        .cost_in_nusd = (int64_t)draw(w, 1000000),
        .cost_out_nusd = (int64_t)draw(w, 1000000),
    };
}

static void make_costs(struct workload *w)
{
    struct group *g = w->group;
    g->n_costs = (size_t)(w->usage_seq - w->costed_seq);
    for (size_t i = 0; i < g->n_costs; i++) {
        g->costs[i] = (struct usage_cost){
            .seq = ++w->costed_seq,
            .priced = true,
            .cost_in_nusd = (int64_t)draw(w, 1000000),
            .cost_out_nusd = (int64_t)draw(w, 1000000),
            .energy_j = (double)draw(w, 1000000) / 7,
            .has_energy = true,
            .final = true,
            .revision = 1,
        };
    }
}

static void make_group(struct workload *w)
{
    struct group *g = w->group;
    make_costs(w);
    for (size_t i = 0; i < GROUP; i++) {
        struct record *r = &g->records[i];
        w->now += 2 * NS_PER_MS / 8; // 4,000 records a second
        *r = (struct record){.kind = i % 2 ? RECORD_USAGE : RECORD_SAMPLE,
                             .position = ++w->position};
        make_id(w, g->ids[i]);
        r->event_id = str_of(g->ids[i]);
        if (r->kind == RECORD_USAGE) {
            make_usage(w, &r->usage, &g->estimates[i]);
        } else {
            make_sample(w, &r->sample);
        }
        r->shard = record_shard(record_host(r), SHARDS);
        r->digest = record_digest(r);
        g->stored[i] = (struct store_record){
            .record = r,
            .provisional = r->kind == RECORD_USAGE ? &g->estimates[i] : NULL,
        };
    }
    w->usage_seq += GROUP / 2;
}

// ---- what SQLite can do ----------------------------------------------------------------------

struct bare {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *sample, *usage, *cost;
    int64_t seq[2];
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "store_write: %s\n", what);
        exit(1);
    }
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    must(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) == SQLITE_OK,
         sqlite3_errmsg(db));
    return stmt;
}

static void run(sqlite3_stmt *stmt)
{
    must(sqlite3_step(stmt) == SQLITE_DONE, sqlite3_errmsg(sqlite3_db_handle(stmt)));
    (void)sqlite3_reset(stmt);
}

static void bare_open(struct bare *b, const char *path)
{
    static const char schema[] =
        "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=4000;"
        "CREATE TABLE sample(seq INTEGER PRIMARY KEY, event_id TEXT, digest INTEGER, shard INTEGER,"
        " ts INTEGER, device INTEGER, utilization REAL, mem_used_mb REAL, mem_total_mb REAL,"
        " power_w REAL, temperature_c REAL, sm_clock_mhz REAL, energy_mj INTEGER,"
        " price_nusd_hour INTEGER, extra TEXT, position INTEGER);"
        "CREATE TABLE usage(seq INTEGER PRIMARY KEY, event_id TEXT, digest INTEGER, shard INTEGER,"
        " start INTEGER, latency_ns INTEGER, ttft_ns INTEGER, place INTEGER, placed INTEGER,"
        " consumer INTEGER, prompt_tokens INTEGER, completion_tokens INTEGER,"
        " cached_prompt_tokens INTEGER, requests INTEGER, request_id TEXT, est_in_nusd INTEGER,"
        " est_out_nusd INTEGER, est_method INTEGER, extra TEXT, position INTEGER);"
        "CREATE TABLE cost(seq INTEGER PRIMARY KEY, priced INTEGER, cost_in_nusd INTEGER,"
        " cost_out_nusd INTEGER, unpriced_ns INTEGER, energy_j REAL, final INTEGER, late INTEGER,"
        " revision INTEGER, method INTEGER);";
    must(sqlite3_open_v2(path, &b->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                         NULL) == SQLITE_OK,
         "cannot open the bare file");
    must(sqlite3_exec(b->db, schema, NULL, NULL, NULL) == SQLITE_OK, sqlite3_errmsg(b->db));
    b->begin = prepare(b->db, "BEGIN IMMEDIATE");
    b->commit = prepare(b->db, "COMMIT");
    b->sample = prepare(b->db, "INSERT INTO sample VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    b->usage = prepare(b->db, "INSERT INTO usage VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    b->cost = prepare(b->db, "INSERT INTO cost VALUES (?,?,?,?,?,?,?,?,?,?)");
}

static void bare_close(struct bare *b)
{
    sqlite3_stmt *const all[] = {b->begin, b->commit, b->sample, b->usage, b->cost};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        (void)sqlite3_finalize(all[i]);
    }
    (void)sqlite3_close(b->db);
}

static int bind_origin(sqlite3_stmt *stmt, struct bare *b, const struct record *r)
{
    (void)sqlite3_bind_int64(stmt, 1, ++b->seq[r->kind]);
    (void)sqlite3_bind_text(stmt, 2, r->event_id.p, (int)r->event_id.n, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)r->digest);
    (void)sqlite3_bind_int64(stmt, 4, r->shard);
    return 5;
}

static void bare_sample(struct bare *b, const struct record *r)
{
    sqlite3_stmt *stmt = b->sample;
    const struct gpu_sample *g = &r->sample;
    int at = bind_origin(stmt, b, r);
    (void)sqlite3_bind_int64(stmt, at++, g->ts);
    (void)sqlite3_bind_int64(stmt, at++, g->gpu.index + 1);
    (void)sqlite3_bind_double(stmt, at++, g->utilization);
    (void)sqlite3_bind_double(stmt, at++, g->mem_used_mb);
    (void)sqlite3_bind_double(stmt, at++, g->mem_total_mb);
    (void)sqlite3_bind_double(stmt, at++, g->power_w);
    (void)sqlite3_bind_double(stmt, at++, g->temperature_c);
    (void)sqlite3_bind_double(stmt, at++, g->sm_clock_mhz);
    (void)sqlite3_bind_int64(stmt, at++, g->energy_mj);
    (void)sqlite3_bind_null(stmt, at++);
    (void)sqlite3_bind_null(stmt, at++);
    (void)sqlite3_bind_int64(stmt, at++, r->position);
    run(stmt);
}

static void bare_usage(struct bare *b, const struct store_record *sr)
{
    sqlite3_stmt *stmt = b->usage;
    const struct record *r = sr->record;
    const struct usage_record *u = &r->usage;
    int at = bind_origin(stmt, b, r);
    (void)sqlite3_bind_int64(stmt, at++, usage_start(u));
    (void)sqlite3_bind_int64(stmt, at++, u->latency_ns);
    (void)sqlite3_bind_int64(stmt, at++, u->ttft_ns);
    (void)sqlite3_bind_int64(stmt, at++, u->gpus[0] + 1);
    (void)sqlite3_bind_int(stmt, at++, 1);
    (void)sqlite3_bind_int64(stmt, at++, (int64_t)u->model.n);
    (void)sqlite3_bind_int64(stmt, at++, u->prompt_tokens);
    (void)sqlite3_bind_int64(stmt, at++, u->completion_tokens);
    (void)sqlite3_bind_null(stmt, at++);
    (void)sqlite3_bind_null(stmt, at++);
    (void)sqlite3_bind_null(stmt, at++);
    (void)sqlite3_bind_int64(stmt, at++, sr->provisional->cost_in_nusd);
    (void)sqlite3_bind_int64(stmt, at++, sr->provisional->cost_out_nusd);
    (void)sqlite3_bind_int(stmt, at++, (int)sr->provisional->method);
    (void)sqlite3_bind_null(stmt, at++);
    (void)sqlite3_bind_int64(stmt, at++, r->position);
    run(stmt);
}

static void bare_cost(struct bare *b, const struct usage_cost *c)
{
    sqlite3_stmt *stmt = b->cost;
    (void)sqlite3_bind_int64(stmt, 1, c->seq);
    (void)sqlite3_bind_int(stmt, 2, c->priced);
    (void)sqlite3_bind_int64(stmt, 3, c->cost_in_nusd);
    (void)sqlite3_bind_int64(stmt, 4, c->cost_out_nusd);
    (void)sqlite3_bind_int64(stmt, 5, c->unpriced_ns);
    (void)sqlite3_bind_double(stmt, 6, c->energy_j);
    (void)sqlite3_bind_int(stmt, 7, c->final);
    (void)sqlite3_bind_int(stmt, 8, c->late);
    (void)sqlite3_bind_int(stmt, 9, c->revision);
    (void)sqlite3_bind_int(stmt, 10, (int)c->method);
    run(stmt);
}

static void bare_put(void *ctx, struct group *g, int64_t position)
{
    struct bare *b = ctx;
    (void)position;
    run(b->begin);
    for (size_t i = 0; i < GROUP; i++) {
        if (g->records[i].kind == RECORD_USAGE) {
            bare_usage(b, &g->stored[i]);
        } else {
            bare_sample(b, &g->records[i]);
        }
    }
    for (size_t i = 0; i < g->n_costs; i++) {
        bare_cost(b, &g->costs[i]);
    }
    run(b->commit);
}

// ---- what gtap does --------------------------------------------------------------------------

static void store_put(void *ctx, struct group *g, int64_t position)
{
    const struct input_position p = {.input = STR("bench"), .records = position, .offset = -1};
    struct shard_state shards[SHARDS];
    for (uint32_t i = 0; i < SHARDS; i++) {
        shards[i] = (struct shard_state){.shard = i, .frontier = 0, .oldest_pending = 0};
    }
    struct store_write w = {
        .records = g->stored,
        .n_records = GROUP,
        .positions = &p,
        .n_positions = 1,
        .costs = g->costs,
        .n_costs = g->n_costs,
        .shards = shards,
        .n_shards = SHARDS,
    };
    struct error err = {0};
    must(store_commit(ctx, &w, &err) == 0, err.msg);
}

struct result {
    double wall_s, cpu_s;
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    must(clock_gettime(clock, &t) == 0, "no clock");
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct result measure(int64_t records, void (*put)(void *ctx, struct group *g, int64_t),
                             void *ctx)
{
    struct workload w = {
        .group = x_zalloc(sizeof(*w.group)),
        .random = 88172645463325252,
        .now = INT64_C(1800000000) * NS_PER_S,
    };
    struct result sum = {0};
    name_all(&w);
    while (w.position < records) {
        make_group(&w);
        double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
        put(ctx, w.group, w.position);
        sum.wall_s += seconds(CLOCK_MONOTONIC) - wall;
        sum.cpu_s += seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    }
    free(w.group);
    return sum;
}

static void print(const char *what, int64_t records, struct result r)
{
    printf("%-6s %9.0f records/s   %9.0f records/s of processor time   %.2f us a record\n", what,
           (double)records / r.wall_s, (double)records / r.cpu_s, r.cpu_s * 1e6 / (double)records);
}

static char *fresh_file(const char *folder, const char *name)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock"};
    char *path = x_asprintf("%s/%s.db", folder, name);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char *file AUTO_FREE = x_asprintf("%s%s", path, suffixes[i]);
        must(unlink(file) == 0 || errno == ENOENT, "cannot remove an old file");
    }
    return path;
}

static struct result measure_store(int64_t records, const char *folder)
{
    char *path AUTO_FREE = fresh_file(folder, "store_write_gtap");
    char *uri AUTO_FREE = x_asprintf("sqlite:%s", path);
    struct error err = {0};
    struct store *s = NULL;
    must(store_open(uri, STORE_WRITE, &s, &err) == 0, err.msg);
    must(store_set_shards(s, SHARDS, &err) == 0, err.msg);
    struct result r = measure(records, store_put, s);
    store_close(s);
    return r;
}

static struct result measure_bare(int64_t records, const char *folder)
{
    char *path AUTO_FREE = fresh_file(folder, "store_write_bare");
    struct bare b = {0};
    bare_open(&b, path);
    struct result r = measure(records, bare_put, &b);
    bare_close(&b);
    return r;
}

int main(int argc, char **argv)
{
    int64_t records = 2000000;
    const char *folder = argc > 2 ? argv[2] : ".";
    if (argc > 1 && (decimal_parse(str_of(argv[1]), 0, &records) < 0 || records < GROUP)) {
        fprintf(stderr, "usage: store_write [RECORDS [DIRECTORY]], at least %d records\n", GROUP);
        return 2;
    }
    records = time_ceil(records, GROUP);
    struct result bare = measure_bare(records, folder), gtap = measure_store(records, folder);
    print("bare", records, bare);
    print("gtap", records, gtap);
    printf("gtap does %.2f of bare (%.2f by processor time)\n", bare.wall_s / gtap.wall_s,
           bare.cpu_s / gtap.cpu_s);
    return 0;
}
