// What the API answers (see docs of /api/v1), as JSON, into a snapshot. What is null there is not
// known here; nothing becomes 0 on the way.
#include <errno.h>
#include <jansson.h>
#include <math.h>

#include "base/decimal.h"
#include "top/api_problem.h"
#include "top/source.h"

enum { ITEMS_MAX = 100000 };

static json_t *parse(struct str text, struct error *err)
{
    json_error_t why;
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(root)) {
        json_decref(root);
        error_set(err, -EPROTO, "the answer is not what gtap's API answers: %s",
                  root ? "it is no JSON object" : why.text);
        return NULL;
    }
    return root;
}

bool top_api_problem(struct str json, char *ret, size_t n)
{
    json_t *root = json_loadb(json.p, json.n, 0, NULL);
    const char *detail = json_string_value(json_object_get(root, "detail"));
    if (detail) {
        snprintf(ret, n, "%s", detail);
    }
    json_decref(root);
    return detail != NULL;
}

static struct str text_of(const json_t *o, const char *name, struct arena *a)
{
    const json_t *v = json_object_get(o, name);
    const char *p = json_string_value(v);
    return p ? arena_copy(a, (struct str){p, json_string_length(v)}) : STR_NONE;
}

static int64_t int_of(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name)); // null: 0
}

// Of requests: so many at most that those of all rows add up.
static int64_t count_of(const json_t *o, const char *name)
{
    return MIN(MAX(int_of(o, name), INT64_C(0)), INT64_MAX / (4 * ITEMS_MAX));
}

// INT64_MIN: it has none.
static int64_t time_of(const json_t *o, const char *name)
{
    int64_t t;
    const char *p = json_string_value(json_object_get(o, name));
    return p && time_parse_iso(str_of(p), &t) == 0 ? t : INT64_MIN;
}

// Nano-USD: as an integer, or, where it is too large for one that all readers take, as decimals.
static bool money_of(const json_t *o, const char *nusd, const char *usd, int64_t *ret)
{
    const json_t *v = json_object_get(o, nusd);
    const char *p = json_string_value(json_object_get(o, usd));
    *ret = json_is_integer(v) ? json_integer_value(v) : 0;
    return json_is_integer(v) || (p && decimal_parse(str_of(p), 9, ret) == 0);
}

// ---- costs ----------------------------------------------------------------------------------

static void read_sums(const json_t *o, struct report_row *row)
{
    struct sums *s = &row->sums;
    int64_t cost = 0, in = 0, out = 0, loaded = 0;
    bool known = money_of(o, "cost_nusd", "cost_usd", &cost);
    (void)money_of(o, "cost_in_nusd", "cost_in_usd", &in);
    (void)money_of(o, "cost_out_nusd", "cost_out_usd", &out);
    if (!money_of(o, "loaded_nusd", "loaded_usd", &loaded)) {
        loaded = cost;
    }
    *s = (struct sums){
        .cost_nusd = cost,
        .cost_in_nusd = in,
        .cost_out_nusd = out,
        .prompt_tokens = int_of(o, "prompt_tokens"),
        .cached_prompt_tokens = int_of(o, "cached_prompt_tokens"),
        .completion_tokens = int_of(o, "completion_tokens"),
        .busy_ns = int_of(o, "busy_ns"),
        .unpriced_ns = int_of(o, "unpriced_ns"),
        .requests = count_of(o, "requests"),
        .unpriced_requests = count_of(o, "unpriced_requests"),
    };
    if (!known && row->kind != ROW_UNPLACED && s->unpriced_ns == 0) {
        s->unpriced_ns = s->busy_ns; // it says that nothing is known of it
    }
    row->loaded_nusd = loaded;
    row->loaded_in_nusd = cost > 0 ? (i128)loaded * in / cost : 0;
    row->loaded_out_nusd = loaded - row->loaded_in_nusd;
}

static int read_row(const json_t *o, const struct report_query *q, struct arena *a,
                    struct report_row *ret, struct error *err)
{
    const char *kind = json_string_value(json_object_get(o, "kind"));
    *ret = (struct report_row){0};
    if (kind == NULL || row_kind_parse(str_of(kind), &ret->kind) < 0) {
        return error_set(err, -EPROTO,
                         "a row of the answer has no kind that is known here: its "
                         "gtap may be newer than this one");
    }
    for (size_t i = 0; i < q->n_by; i++) {
        ret->values[i].text = text_of(o, report_dim_name(q->by[i]), a);
    }
    read_sums(o, ret);
    ret->sums.open = json_is_false(json_object_get(o, "final"));
    return 0;
}

static int read_rows(const json_t *list, struct top_snapshot *s, struct report *ret,
                     struct error *err)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > ITEMS_MAX) {
        return error_set(err, -EPROTO, "the answer has no rows, or more than %d", ITEMS_MAX);
    }
    ret->rows = arena_alloc(&s->arena, (n + 1) * sizeof(*ret->rows));
    for (size_t i = 0; i < n; i++) {
        int r = read_row(json_array_get(list, i), &ret->query, &s->arena, &ret->rows[i], err);
        if (r < 0) {
            return r;
        }
        ret->n_rows++;
    }
    return 0;
}

static int32_t weight_of(const json_t *o, const char *name)
{
    return (int32_t)MIN(MAX(int_of(o, name), INT64_C(1)), (int64_t)INT32_MAX);
}

static void read_splits(const json_t *list, struct arena *a, struct report *ret)
{
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    const char *method = json_string_value(json_object_get(last, "method"));
    struct settings *s = arena_alloc(a, sizeof(*s));
    *s = settings_default;
    if (method == NULL || method_parse(str_of(method), &s->method) < 0) {
        return;
    }
    s->weight_in = weight_of(last, "weight_in");
    s->weight_out = weight_of(last, "weight_out");
    ret->splits = s;
    ret->n_splits = 1;
}

int top_api_costs(struct str json, struct top_snapshot *s, struct report *ret, struct error *err)
{
    json_t *root = parse(json, err);
    if (root == NULL) {
        return -EPROTO;
    }
    int64_t from = time_of(root, "since"), to = time_of(root, "until");
    s->from = from != INT64_MIN ? from : s->from;
    s->to = to != INT64_MIN ? to : s->to;
    s->final_until = time_of(root, "final_until");
    int r = read_rows(json_object_get(root, "rows"), s, ret, err);
    read_splits(json_object_get(root, "splits"), &s->arena, ret);
    ret->has_open = json_is_true(json_object_get(root, "provisional"));
    json_decref(root);
    top_totals(ret);
    return r;
}

// ---- GPUs -----------------------------------------------------------------------------------

static void read_number(const json_t *o, const char *name, uint32_t bit, struct top_gpu *g,
                        double *ret)
{
    const json_t *v = json_object_get(o, name);
    if (json_is_number(v) && isfinite(json_number_value(v))) {
        *ret = json_number_value(v);
        g->has |= bit;
    }
}

static enum top_price_source price_source(const char *name)
{
    static const struct {
        const char *name;
        enum top_price_source source;
    } list[] = {
        {"sample", TOP_PRICE_SAMPLE}, {"book", TOP_PRICE_BOOK}, {"default", TOP_PRICE_DEFAULT}};
    for (size_t i = 0; name && i < ARRAY_LEN(list); i++) {
        if (strcmp(list[i].name, name) == 0) {
            return list[i].source;
        }
    }
    return TOP_PRICE_UNKNOWN;
}

static int read_gpu(const json_t *o, struct arena *a, struct top_gpu *g, struct error *err)
{
    const char *price = json_string_value(json_object_get(o, "price_per_hour_usd"));
    *g = (struct top_gpu){
        .label = text_of(o, "gpu", a),
        .name = text_of(o, "name", a),
        .first_seen = time_of(o, "first_seen"),
        .last_seen = time_of(o, "last_seen"),
        .price_nusd_hour = PRICE_NONE,
        .price_source = price_source(json_string_value(json_object_get(o, "price_source"))),
    };
    if (!str_present(g->label)) {
        return error_set(err, -EPROTO, "a GPU of the answer has no name");
    }
    if (price && decimal_parse(str_of(price), 9, &g->price_nusd_hour) < 0) {
        g->price_nusd_hour = PRICE_NONE;
    }
    read_number(o, "utilization", SAMPLE_UTILIZATION, g, &g->utilization);
    read_number(o, "mem_used_mb", SAMPLE_MEM_USED, g, &g->mem_used_mb);
    read_number(o, "mem_total_mb", SAMPLE_MEM_TOTAL, g, &g->mem_total_mb);
    read_number(o, "power_w", SAMPLE_POWER, g, &g->power_w);
    return 0;
}

int top_api_gpus(struct str json, struct top_snapshot *s, struct error *err)
{
    json_t *root = parse(json, err);
    if (root == NULL) {
        return -EPROTO;
    }
    const json_t *items = json_object_get(root, "items");
    size_t n = MIN(json_array_size(items), (size_t)ITEMS_MAX);
    int64_t at = time_of(root, "at");
    int r = json_is_array(items) ? 0 : error_set(err, -EPROTO, "the answer has no list of GPUs");
    s->gpus = arena_alloc(&s->arena, (n + 1) * sizeof(*s->gpus));
    for (size_t i = 0; i < n && r == 0; i++) {
        r = read_gpu(json_array_get(items, i), &s->arena, &s->gpus[i], err);
        s->n_gpus += r == 0;
    }
    json_decref(root);
    s->at = s->ask.at == INT64_MIN && at != INT64_MIN ? at : s->at;
    s->empty = s->n_gpus == 0 && s->groups.n_rows == 0;
    for (size_t i = 0; i < s->n_gpus; i++) {
        s->newest = MAX(s->newest, s->gpus[i].last_seen);
    }
    return r;
}
