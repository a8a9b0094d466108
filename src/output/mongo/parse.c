// Documents as records, rows and states. Fields that nobody knows are passed over: a database may
// be added to.
#include <errno.h>

#include "model/fields.h"
#include "output/mongo/documents.h"

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

static const struct field *field_named(const char *name)
{
    for (size_t i = 0; i < n_record_fields; i++) {
        if (strcmp(record_fields[i].name, name) == 0) {
            return &record_fields[i];
        }
    }
    return NULL;
}

// The exact forms of fields that stand in a document twice; NULL: the name says nothing of a
// record.
static const struct field *field_of_key(const char *key)
{
    static const char *const exact[][2] = {
        {"ts_ns", "ts"},        {"latency_ns", "latency_ms"},
        {"ttft_ns", "ttft_ms"}, {"price_nusd_hour", "price_per_hour_usd"},
        {"_id", "event_id"},
    };
    for (size_t i = 0; i < ARRAY_LEN(exact); i++) {
        if (strcmp(key, exact[i][0]) == 0) {
            return field_named(exact[i][1]);
        }
        if (strcmp(key, exact[i][1]) == 0) {
            return NULL;
        }
    }
    return field_named(key);
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

// Whether the key is one of a record that its producer did not send.
static bool read_origin(const bson_iter_t *it, struct record *r)
{
    const char *key = bson_iter_key(it);
    if (strcmp(key, "seq") == 0) {
        r->seq = bson_iter_as_int64(it);
    } else if (strcmp(key, "digest") == 0) {
        r->digest = (uint64_t)bson_iter_as_int64(it);
    } else if (strcmp(key, "partition") == 0) {
        r->shard = (uint32_t)bson_iter_as_int64(it);
    } else if (strcmp(key, "position") == 0) {
        r->position = bson_iter_as_int64(it);
    } else if (strcmp(key, "extra") == 0) {
        r->extra = inside_braces(mg_iter_str(it));
    } else {
        return false;
    }
    return true;
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

static bool read_cost(const bson_iter_t *it, struct cost_fields *ret)
{
    struct usage_cost *c = &ret->cost;
    const char *key = bson_iter_key(it);
    if (strcmp(key, "cost_in_nusd") == 0) {
        c->cost_in_nusd = bson_iter_as_int64(it);
    } else if (strcmp(key, "cost_out_nusd") == 0) {
        c->cost_out_nusd = bson_iter_as_int64(it);
    } else if (strcmp(key, "priced_part") == 0) {
        read_part(it, c);
    } else if (strcmp(key, "priced") == 0) {
        c->priced = bson_iter_as_bool(it);
    } else if (strcmp(key, "unpriced_ns") == 0) {
        c->unpriced_ns = bson_iter_as_int64(it);
    } else if (strcmp(key, "energy_j") == 0) {
        c->energy_j = bson_iter_as_double(it);
        c->has_energy = true;
    } else if (strcmp(key, "final") == 0) {
        c->final = bson_iter_as_bool(it);
    } else if (strcmp(key, "late") == 0) {
        c->late = bson_iter_as_bool(it);
    } else if (strcmp(key, "revision") == 0) {
        c->revision = (int32_t)bson_iter_as_int64(it);
    } else if (strcmp(key, "computed") == 0) {
        ret->computed = bson_iter_as_bool(it);
    } else if (strcmp(key, "method") == 0) {
        ret->known = method_parse(mg_iter_str(it), &c->method) == 0;
    } else {
        return false;
    }
    return true;
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

static bool parse(const bson_t *doc, struct arena *a, struct record *r, struct cost_fields *cost)
{
    bson_iter_t it;
    if (!bson_iter_init(&it, doc)) {
        return false;
    }
    while (bson_iter_next(&it)) {
        union field_value v;
        const struct field *f = field_of_key(bson_iter_key(&it));
        if (f && field_of(f, r->kind)) {
            if (!read_value(&it, f->type, a, &v)) {
                return false;
            }
            field_store(f, r, v, a);
        } else if (!read_origin(&it, r) && cost && r->kind == RECORD_USAGE) {
            (void)read_cost(&it, cost);
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
    if (!bson_iter_init(&it, doc)) {
        return -EBADMSG;
    }
    while (bson_iter_next(&it)) {
        union field_value v;
        const char *key = bson_iter_key(&it);
        const struct field *f = strcmp(key, "_id") == 0 ? NULL : field_of_key(key);
        if (f && f->tag && field_of(f, r.kind) && read_value(&it, f->type, a, &v)) {
            field_store(f, &r, v, a);
        }
    }
    *ret = r.sample;
    return str_present(r.sample.gpu.host) ? 0 : -EBADMSG;
}

// ---- rows ----------------------------------------------------------------------------------

static bool read_row_key(const bson_iter_t *it, struct window_row *row)
{
    const char *key = bson_iter_key(it);
    if (strcmp(key, "host") == 0) {
        row->gpu.host = mg_iter_str(it);
    } else if (strcmp(key, "gpu_index") == 0) {
        row->gpu.index = (int32_t)bson_iter_as_int64(it);
    } else if (strcmp(key, "gpu_instance") == 0) {
        row->gpu.instance = (int32_t)bson_iter_as_int64(it);
    } else if (strcmp(key, "site") == 0) {
        row->site = mg_iter_str(it);
    } else if (strcmp(key, "model") == 0) {
        row->model = mg_iter_str(it);
    } else if (strcmp(key, "tenant") == 0) {
        row->tenant = mg_iter_str(it);
    } else {
        return false;
    }
    return true;
}

static int64_t *row_number(const char *key, struct window_row *row)
{
    const struct {
        const char *key;
        int64_t *at;
    } numbers[] = {
        {"window_start_ns", &row->window_start},
        {"cost_nusd", &row->cost_nusd},
        {"cost_in_nusd", &row->cost_in_nusd},
        {"cost_out_nusd", &row->cost_out_nusd},
        {"prompt_tokens", &row->prompt_tokens},
        {"completion_tokens", &row->completion_tokens},
        {"cached_prompt_tokens", &row->cached_prompt_tokens},
        {"requests", &row->requests},
        {"unpriced_requests", &row->unpriced_requests},
        {"busy_ns", &row->busy_ns},
        {"unpriced_ns", &row->unpriced_ns},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (strcmp(key, numbers[i].key) == 0) {
            return numbers[i].at;
        }
    }
    return NULL;
}

int mg_parse_row(const bson_t *doc, struct window_row *ret)
{
    bson_iter_t it;
    bool kind = false, method = false;
    *ret = (struct window_row){.gpu = {.index = -1, .instance = GPU_INSTANCE_NONE}};
    if (!bson_iter_init(&it, doc)) {
        return -EBADMSG;
    }
    while (bson_iter_next(&it)) {
        const char *key = bson_iter_key(&it);
        int64_t *number = row_number(key, ret);
        if (number) {
            *number = bson_iter_as_int64(&it);
        } else if (read_row_key(&it, ret)) {
            continue;
        } else if (strcmp(key, "kind") == 0) {
            kind = row_kind_parse(mg_iter_str(&it), &ret->kind) == 0;
        } else if (strcmp(key, "energy_j") == 0) {
            ret->energy_j = bson_iter_as_double(&it);
            ret->has_energy = true;
        } else if (strcmp(key, "final") == 0) {
            ret->final = bson_iter_as_bool(&it);
        } else if (strcmp(key, "revision") == 0) {
            ret->revision = (int32_t)bson_iter_as_int64(&it);
        } else if (strcmp(key, "method") == 0) {
            method = method_parse(mg_iter_str(&it), &ret->method) == 0;
        }
    }
    return kind && method ? 0 : -EBADMSG;
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
