// Documents as records, rows and states. Fields that nobody knows are passed over: a database may
// be added to.
#include <errno.h>
#include <pthread.h>

#include "model/fields.h"
#include "output/mongo/documents.h"
#include "output/mongo/keys.h"

struct str mg_iter_str(const bson_iter_t *it)
{
    uint32_t n = 0;
    if (BSON_ITER_HOLDS_UTF8(it)) {
        const char *p = bson_iter_utf8(it, &n);
        return (struct str){p, n};
    }
    if (BSON_ITER_HOLDS_BINARY(it)) {
        const uint8_t *p = NULL;
        bson_iter_binary(it, NULL, &n, &p);
        return (struct str){p ? (const char *)p : "", n};
    }
    return STR_NONE;
}

bool mg_find_int(const bson_t *doc, const char *field, int64_t *ret)
{
    bson_iter_t it;
    if (!bson_iter_init_find(&it, doc, field) || !BSON_ITER_HOLDS_NUMBER(&it)) {
        return false;
    }
    *ret = bson_iter_as_int64(&it);
    return true;
}

struct str mg_find_str(const bson_t *doc, const char *field)
{
    bson_iter_t it;
    return bson_iter_init_find(&it, doc, field) ? mg_iter_str(&it) : STR_NONE;
}

// ---- records -------------------------------------------------------------------------------

// What a key of a record's document says: of a field, its place in record_fields; else one of
// these.
enum {
    OF_CORE = FIELDS_MAX,
    IS_SEQ = OF_CORE,
    IS_DIGEST,
    IS_PARTITION,
    IS_POSITION,
    IS_EXTRA,
    OF_COST,
    IS_COST_IN = OF_COST,
    IS_COST_OUT,
    IS_PRICED_PART,
    IS_PRICED,
    IS_UNPRICED_NS,
    IS_ENERGY,
    IS_FINAL,
    IS_LATE,
    IS_REVISION,
    IS_COMPUTED,
    IS_METHOD,
};

static const char *const other_keys[] = {
    [IS_SEQ] = "seq",
    [IS_DIGEST] = "digest",
    [IS_PARTITION] = "partition",
    [IS_POSITION] = "position",
    [IS_EXTRA] = "extra",
    [IS_COST_IN] = "cost_in_nusd",
    [IS_COST_OUT] = "cost_out_nusd",
    [IS_PRICED_PART] = "priced_part",
    [IS_PRICED] = "priced",
    [IS_UNPRICED_NS] = "unpriced_ns",
    [IS_ENERGY] = "energy_j",
    [IS_FINAL] = "final",
    [IS_LATE] = "late",
    [IS_REVISION] = "revision",
    [IS_COMPUTED] = "computed",
    [IS_METHOD] = "method",
};

// The key of a field; those that stand in a document twice are read from their exact form.
static const char *key_of_field(const char *name)
{
    static const char *const exact[][2] = {
        {"ts_ns", "ts"},        {"latency_ns", "latency_ms"},
        {"ttft_ns", "ttft_ms"}, {"price_nusd_hour", "price_per_hour_usd"},
        {"_id", "event_id"},
    };
    for (size_t i = 0; i < ARRAY_LEN(exact); i++) {
        if (strcmp(name, exact[i][1]) == 0) {
            return exact[i][0];
        }
    }
    return name;
}

static struct mg_keys record_keys, row_keys; // see keys_ready()

static void fill_record_keys(void)
{
    for (size_t i = 0; i < n_record_fields; i++) {
        mg_keys_put(&record_keys, key_of_field(record_fields[i].name), (int)i);
    }
    for (int i = OF_CORE; i < (int)ARRAY_LEN(other_keys); i++) {
        mg_keys_put(&record_keys, other_keys[i], i);
    }
}

enum row_type { ROW_I64, ROW_I32, ROW_TEXT, ROW_BOOL, ROW_ENERGY, ROW_KIND, ROW_METHOD };

#define AT(member) offsetof(struct window_row, member)
static const struct row_field {
    const char *key;
    enum row_type type;
    size_t at;
} row_fields[] = {
    {"window_start_ns", ROW_I64, AT(window_start)},
    {"host", ROW_TEXT, AT(gpu.host)},
    {"gpu_index", ROW_I32, AT(gpu.index)},
    {"gpu_instance", ROW_I32, AT(gpu.instance)},
    {"site", ROW_TEXT, AT(site)},
    {"kind", ROW_KIND, 0},
    {"model", ROW_TEXT, AT(model)},
    {"tenant", ROW_TEXT, AT(tenant)},
    {"cost_nusd", ROW_I64, AT(cost_nusd)},
    {"cost_in_nusd", ROW_I64, AT(cost_in_nusd)},
    {"cost_out_nusd", ROW_I64, AT(cost_out_nusd)},
    {"prompt_tokens", ROW_I64, AT(prompt_tokens)},
    {"completion_tokens", ROW_I64, AT(completion_tokens)},
    {"cached_prompt_tokens", ROW_I64, AT(cached_prompt_tokens)},
    {"requests", ROW_I64, AT(requests)},
    {"unpriced_requests", ROW_I64, AT(unpriced_requests)},
    {"busy_ns", ROW_I64, AT(busy_ns)},
    {"unpriced_ns", ROW_I64, AT(unpriced_ns)},
    {"energy_j", ROW_ENERGY, 0},
    {"final", ROW_BOOL, AT(final)},
    {"revision", ROW_I32, AT(revision)},
    {"method", ROW_METHOD, 0},
};

static void fill_keys(void)
{
    fill_record_keys();
    for (size_t i = 0; i < ARRAY_LEN(row_fields); i++) {
        mg_keys_put(&row_keys, row_fields[i].key, (int)i);
    }
}

static void keys_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_keys);
}

static bool read_gpus(const bson_iter_t *it, struct arena *a, struct gpu_list *ret)
{
    bson_iter_t in;
    int32_t *v = arena_alloc(a, RECORD_GPUS_MAX * sizeof(*v));
    uint32_t n = 0;
    if (!BSON_ITER_HOLDS_ARRAY(it) || !bson_iter_recurse(it, &in)) {
        return false;
    }
    while (bson_iter_next(&in)) {
        if (n == RECORD_GPUS_MAX || !BSON_ITER_HOLDS_NUMBER(&in)) {
            return false;
        }
        v[n++] = (int32_t)bson_iter_as_int64(&in);
    }
    *ret = (struct gpu_list){v, n};
    return true;
}

static bool read_value(const bson_iter_t *it, enum field_type type, struct arena *a,
                       union field_value *ret)
{
    switch (type) {
    case FIELD_TEXT:
        ret->s = mg_iter_str(it);
        return str_present(ret->s);
    case FIELD_REAL:
        ret->d = bson_iter_as_double(it);
        return BSON_ITER_HOLDS_NUMBER(it);
    case FIELD_GPUS:
        return read_gpus(it, a, &ret->gpus);
    case FIELD_TIME:
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        ret->i = bson_iter_as_int64(it);
        return BSON_ITER_HOLDS_NUMBER(it);
    }
    return false;
}

static struct str inside_braces(struct str s)
{
    return s.n >= 2 ? (struct str){s.p + 1, s.n - 2} : STR_NONE;
}

// What a record has that its producer did not send.
static void read_core(const bson_iter_t *it, int what, struct record *r)
{
    switch (what) {
    case IS_SEQ:
        r->seq = bson_iter_as_int64(it);
        break;
    case IS_DIGEST:
        r->digest = (uint64_t)bson_iter_as_int64(it);
        break;
    case IS_PARTITION:
        r->shard = (uint32_t)bson_iter_as_int64(it);
        break;
    case IS_POSITION:
        r->position = bson_iter_as_int64(it);
        break;
    case IS_EXTRA:
        r->extra = inside_braces(mg_iter_str(it));
        break;
    default:
        break;
    }
}

static void read_part(const bson_iter_t *it, struct usage_cost *c)
{
    bson_iter_t in;
    if (!BSON_ITER_HOLDS_DOCUMENT(it) || !bson_iter_recurse(it, &in)) {
        return;
    }
    while (bson_iter_next(&in)) {
        bool side_in = strcmp(bson_iter_key(&in), "in_nusd") == 0;
        *(side_in ? &c->cost_in_nusd : &c->cost_out_nusd) = bson_iter_as_int64(&in);
    }
}

struct cost_fields {
    struct usage_cost cost;
    bool computed, known; // known: computed or estimated
};

static void read_cost(const bson_iter_t *it, int what, struct cost_fields *ret)
{
    struct usage_cost *c = &ret->cost;
    switch (what) {
    case IS_COST_IN:
        c->cost_in_nusd = bson_iter_as_int64(it);
        break;
    case IS_COST_OUT:
        c->cost_out_nusd = bson_iter_as_int64(it);
        break;
    case IS_PRICED_PART:
        read_part(it, c);
        break;
    case IS_PRICED:
        c->priced = bson_iter_as_bool(it);
        break;
    case IS_UNPRICED_NS:
        c->unpriced_ns = bson_iter_as_int64(it);
        break;
    case IS_ENERGY:
        c->energy_j = bson_iter_as_double(it);
        c->has_energy = true;
        break;
    case IS_FINAL:
        c->final = bson_iter_as_bool(it);
        break;
    case IS_LATE:
        c->late = bson_iter_as_bool(it);
        break;
    case IS_REVISION:
        c->revision = (int32_t)bson_iter_as_int64(it);
        break;
    case IS_COMPUTED:
        ret->computed = bson_iter_as_bool(it);
        break;
    case IS_METHOD:
        ret->known = method_parse(mg_iter_str(it), &c->method) == 0;
        break;
    default:
        break;
    }
}

static bool set_cost(struct cost_fields *given, struct stored_record *ret)
{
    struct usage_cost *c = &given->cost;
    if (!given->known) {
        return !given->computed;
    }
    c->seq = ret->record.seq;
    c->event_id = ret->record.event_id;
    c->ts = ret->record.usage.ts;
    c->tokens = ret->record.usage.prompt_tokens + ret->record.usage.completion_tokens;
    ret->cost = *c;
    return !__builtin_add_overflow(c->cost_in_nusd, c->cost_out_nusd, &ret->cost.cost_nusd);
}

static bool read_field(const bson_iter_t *it, const struct field *f, struct arena *a,
                       struct record *r)
{
    union field_value v;
    if (!field_of(f, r->kind)) {
        return true; // somebody else's
    }
    if (!read_value(it, f->type, a, &v)) {
        return false;
    }
    field_store(f, r, v, a);
    return true;
}

static bool parse(const bson_t *doc, struct arena *a, struct record *r, struct cost_fields *cost)
{
    bson_iter_t it;
    keys_ready();
    if (!bson_iter_init(&it, doc)) {
        return false;
    }
    while (bson_iter_next(&it)) {
        int what = mg_keys_find(&record_keys, bson_iter_key(&it));
        if (what >= OF_COST && r->kind == RECORD_USAGE) {
            read_cost(&it, what, cost);
        } else if (what >= OF_CORE) {
            read_core(&it, what, r);
        } else if (what >= 0 && !read_field(&it, &record_fields[what], a, r)) {
            return false;
        }
    }
    return true;
}

// The raw records are the evidence for everything else, so each is read as it was stored or not at
// all.
int mg_parse_record(const struct mg_conn *c, const bson_t *doc, enum record_kind kind,
                    struct arena *a, struct stored_record *ret, bool *ret_computed,
                    struct error *err)
{
    struct cost_fields cost = {0};
    *ret = (struct stored_record){0};
    record_clear(&ret->record, kind);
    bool good = parse(doc, a, &ret->record, &cost) && str_present(ret->record.event_id) &&
                record_digest(&ret->record) == ret->record.digest;
    good = good && (kind == RECORD_SAMPLE || set_cost(&cost, ret));
    *ret_computed = cost.computed;
    return good ? 0 : mg_fail_corrupt(c, mg_record_collection[kind], err);
}

int mg_parse_sample(const bson_t *doc, struct arena *a, struct gpu_sample *ret)
{
    struct record r;
    bson_iter_t it;
    record_clear(&r, RECORD_SAMPLE);
    keys_ready();
    if (!bson_iter_init(&it, doc)) {
        return -EBADMSG;
    }
    while (bson_iter_next(&it)) {
        int what = mg_keys_find(&record_keys, bson_iter_key(&it));
        if (what >= 0 && what < OF_CORE && record_fields[what].tag) { // _id is the GPU's
            (void)read_field(&it, &record_fields[what], a, &r);
        }
    }
    *ret = r.sample;
    return str_present(r.sample.gpu.host) ? 0 : -EBADMSG;
}

// ---- rows ----------------------------------------------------------------------------------

static bool read_row_field(const bson_iter_t *it, const struct row_field *f, struct window_row *row)
{
    void *at = (char *)row + f->at;
    switch (f->type) {
    case ROW_I64:
        *(int64_t *)at = bson_iter_as_int64(it);
        return true;
    case ROW_I32:
        *(int32_t *)at = (int32_t)bson_iter_as_int64(it);
        return true;
    case ROW_TEXT:
        *(struct str *)at = mg_iter_str(it);
        return true;
    case ROW_BOOL:
        *(bool *)at = bson_iter_as_bool(it);
        return true;
    case ROW_ENERGY:
        row->energy_j = bson_iter_as_double(it);
        row->has_energy = true;
        return true;
    case ROW_KIND:
        return row_kind_parse(mg_iter_str(it), &row->kind) == 0;
    case ROW_METHOD:
        return method_parse(mg_iter_str(it), &row->method) == 0;
    }
    return false;
}

int mg_parse_row(const bson_t *doc, struct window_row *ret)
{
    bson_iter_t it;
    unsigned seen = 0; // bits of enum row_type
    *ret = (struct window_row){.gpu = {.index = -1, .instance = GPU_INSTANCE_NONE}};
    keys_ready();
    if (!bson_iter_init(&it, doc)) {
        return -EBADMSG;
    }
    while (bson_iter_next(&it)) {
        int what = mg_keys_find(&row_keys, bson_iter_key(&it));
        if (what >= 0 && read_row_field(&it, &row_fields[what], ret)) {
            seen |= 1U << row_fields[what].type;
        }
    }
    return seen & 1U << ROW_KIND && seen & 1U << ROW_METHOD ? 0 : -EBADMSG;
}

// ---- shards --------------------------------------------------------------------------------

struct number {
    const char *key;
    int64_t *at;
};

static void read_numbers(const bson_iter_t *it, const struct number *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(bson_iter_key(it), numbers[i].key) == 0) {
            *numbers[i].at = bson_iter_as_int64(it);
        }
    }
}

static int read_ranges(const bson_iter_t *it, uint32_t shard, struct arena *a,
                       struct mg_shard_doc *d)
{
    bson_iter_t in, range;
    size_t n = 0;
    if (!BSON_ITER_HOLDS_ARRAY(it) || !bson_iter_recurse(it, &in)) {
        return -EBADMSG;
    }
    for (bson_iter_t count = in; bson_iter_next(&count);) {
        n++;
    }
    d->ranges = arena_alloc(a, n * sizeof(d->ranges[0]));
    while (bson_iter_next(&in)) {
        struct unsettled_range *u = &d->ranges[d->n_ranges++];
        *u = (struct unsettled_range){.shard = shard};
        if (!BSON_ITER_HOLDS_DOCUMENT(&in) || !bson_iter_recurse(&in, &range)) {
            return -EBADMSG;
        }
        const struct number numbers[] = {{"from_ns", &u->from}, {"to_ns", &u->to}};
        while (bson_iter_next(&range)) {
            read_numbers(&range, numbers, ARRAY_LEN(numbers));
        }
    }
    return 0;
}

static int read_gaps(const bson_iter_t *it, struct shard_gaps *g)
{
    bson_iter_t in, gap;
    if (!BSON_ITER_HOLDS_ARRAY(it) || !bson_iter_recurse(it, &in)) {
        return -EBADMSG;
    }
    while (bson_iter_next(&in)) {
        if (g->n == SHARD_GAPS_MAX || !BSON_ITER_HOLDS_DOCUMENT(&in) ||
            !bson_iter_recurse(&in, &gap)) {
            return -EBADMSG;
        }
        const struct number numbers[] = {{"from", &g->v[g->n].from}, {"to", &g->v[g->n].to}};
        while (bson_iter_next(&gap)) {
            read_numbers(&gap, numbers, ARRAY_LEN(numbers));
        }
        g->n++;
    }
    return 0;
}

static int read_state(const bson_iter_t *it, struct arena *a, struct mg_shard_doc *d)
{
    bson_iter_t in;
    int r = 0;
    const struct number numbers[] = {
        {"frontier_ns", &d->state.frontier},
        {"newest_ns", &d->state.newest},
        {"oldest_pending_ns", &d->state.oldest_pending},
        {"samples_seen", &d->state.samples_seen},
        {"usage_seen", &d->state.usage_seen},
    };
    if (!BSON_ITER_HOLDS_DOCUMENT(it) || !bson_iter_recurse(it, &in)) {
        return -EBADMSG;
    }
    while (r == 0 && bson_iter_next(&in)) {
        read_numbers(&in, numbers, ARRAY_LEN(numbers));
        const char *key = bson_iter_key(&in);
        if (strcmp(key, "unsettled") == 0) {
            r = read_ranges(&in, d->state.shard, a, d);
        } else if (strcmp(key, "samples_gaps") == 0) {
            r = read_gaps(&in, &d->state.gaps[RECORD_SAMPLE]);
        } else if (strcmp(key, "usage_gaps") == 0) {
            r = read_gaps(&in, &d->state.gaps[RECORD_USAGE]);
        }
    }
    return r;
}

static void read_owner(const bson_iter_t *it, struct mg_shard_doc *d)
{
    struct str owner = mg_iter_str(it);
    size_t n = MIN(owner.n, sizeof(d->owner) - 1);
    memcpy(d->owner, owner.p ? owner.p : "", n);
    d->owner[n] = '\0';
}

int mg_parse_shard(const bson_t *doc, struct arena *a, uint32_t *ret_shard,
                   struct mg_shard_doc *ret)
{
    int64_t shard;
    if (!mg_find_int(doc, "_id", &shard) || shard < 0 || shard >= STORE_SHARDS_MAX) {
        return -EBADMSG;
    }
    *ret_shard = (uint32_t)shard;
    *ret =
        (struct mg_shard_doc){.state = store_no_state((uint32_t)shard), .bounds = mg_no_bounds()};
    const struct number numbers[] = {
        {"epoch", &ret->epoch},
        {"version", &ret->version},
        {"first_sample_ns", &ret->bounds.first[RECORD_SAMPLE]},
        {"last_sample_ns", &ret->bounds.last[RECORD_SAMPLE]},
        {"first_usage_ns", &ret->bounds.first[RECORD_USAGE]},
        {"last_usage_ns", &ret->bounds.last[RECORD_USAGE]},
        {"longest_usage_ns", &ret->bounds.longest_usage_ns},
        {"raw_from_ns", &ret->bounds.raw_from},
        {"windows_from_ns", &ret->bounds.windows_from},
        {"gpus_seq", &ret->gpus_seq},
    };
    bson_iter_t it;
    int r = bson_iter_init(&it, doc) ? 0 : -EBADMSG;
    while (r == 0 && bson_iter_next(&it)) {
        const char *key = bson_iter_key(&it);
        read_numbers(&it, numbers, ARRAY_LEN(numbers));
        if (strcmp(key, "state") == 0) {
            r = read_state(&it, a, ret);
        } else if (strcmp(key, "owner") == 0) {
            read_owner(&it, ret);
        } else if (strcmp(key, "has_records") == 0) {
            ret->bounds.has_records = bson_iter_as_bool(&it);
        }
    }
    return r;
}
