#include "input/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/time.h"
#include "base/wide.h"
#include "model/record.h"

enum {
    TENANTS_DEFAULT = 4,
    WEIGHT_MAX = 1000,
    SIGMA_PROMPT = 900, // thousandths: two thirds lie within a factor of 2.5 of the median
    SIGMA_COMPLETION = 800,
    PROMPT_MAX = 131072, // the models' context
    COMPLETION_MAX = 8192,
    LARGE_MODEL_M = 60000, // parameters, millions: these are split by tp=
    LOAD_PERMILLE = 1050,  // requests on a server in the mean: at work 65 % of the time
    FULL_PERMILLE = 700,   // of what a server could do with large batches: more cannot be held
    FULL_BATCH = 32,
};

static const struct {
    const char *name;
    uint32_t weight;
} default_models[] = {{"llama-3-70b", 5}, {"qwen3-30b", 3}, {"llama-3-8b", 4}};

// "name:3" or "name", off the front of a list that is present.
static int take_weighted(struct str *list, struct str *ret_name, uint32_t *ret_weight)
{
    struct str item;
    int64_t weight = 1;
    str_split(list, ',', &item);
    str_split(&item, ':', ret_name);
    if (str_present(item) && (decimal_parse(item, 0, &weight) < 0 || weight < 1)) {
        return -EINVAL;
    }
    *ret_weight = (uint32_t)weight;
    bool fine = ret_name->n > 0 && ret_name->n < WORKLOAD_NAME_MAX && weight <= WEIGHT_MAX;
    return fine ? 0 : -EINVAL;
}

static int bad_list(const char *option, struct str text, struct error *err)
{
    return error_set(err, -EINVAL,
                     "option %s=" STR_FMT " must be names with weights from 1 to %d, like a:3,b:1",
                     option, STR_ARG(text), WEIGHT_MAX);
}

static void add_model(struct workload *w, struct str name, uint32_t weight)
{
    struct workload_model *m = &w->models[w->n_models++];
    *m = (struct workload_model){.weight = weight};
    snprintf(m->name, sizeof(m->name), STR_FMT, STR_ARG(name));
    model_class_find(name, &m->class);
}

static int read_models(struct workload *w, struct str list, struct error *err)
{
    struct str text = list, name;
    uint32_t weight;
    for (size_t i = 0; i < ARRAY_LEN(default_models) && !str_present(text); i++) {
        add_model(w, str_of(default_models[i].name), default_models[i].weight);
    }
    while (str_present(list)) {
        if (take_weighted(&list, &name, &weight) < 0 || w->n_models == WORKLOAD_MODELS_MAX) {
            return bad_list("models", text, err);
        }
        add_model(w, name, weight);
    }
    return 0;
}

static void add_tenant(struct workload *w, const struct tenant_class *class, size_t *cap)
{
    ARRAY_RESERVE(w->tenants, w->n_tenants, *cap);
    w->tenants[w->n_tenants++] = *class;
}

// A tenant we know keeps its habits, with another weight.
static struct tenant_class tenant_named(struct str name, uint32_t weight)
{
    struct tenant_class c = tenant_class_at(TENANTS_MAX - 1);
    for (size_t i = 0; i < TENANTS_MAX; i++) {
        struct tenant_class known = tenant_class_at(i);
        if (str_eq(name, str_of(known.name))) {
            c = known;
        }
    }
    snprintf(c.name, sizeof(c.name), STR_FMT, STR_ARG(name));
    c.weight = weight;
    return c;
}

static int read_tenants(struct workload *w, struct str list, struct error *err)
{
    struct str text = list, name;
    uint32_t weight;
    size_t cap = 0;
    int64_t n = TENANTS_DEFAULT;
    if (!str_present(list) || decimal_parse(list, 0, &n) == 0) {
        if (n < 1 || n > TENANTS_MAX) {
            return error_set(err, -EINVAL, "option tenants= must be 1 to %d, or names",
                             TENANTS_MAX);
        }
        for (int64_t i = 0; i < n; i++) {
            struct tenant_class c = tenant_class_at((size_t)i);
            add_tenant(w, &c, &cap);
        }
        return 0;
    }
    while (str_present(list)) {
        if (take_weighted(&list, &name, &weight) < 0 || name.n >= TENANT_NAME_MAX ||
            w->n_tenants == TENANTS_MAX) {
            return bad_list("tenants", text, err);
        }
        struct tenant_class c = tenant_named(name, weight);
        add_tenant(w, &c, &cap);
    }
    return 0;
}

// Bursts are drawn by weight / burst, so that requests come out by weight.
static uint64_t burst_weight(const struct tenant_class *c)
{
    return (uint64_t)c->weight * 1000 / (uint64_t)c->burst;
}

static void average_tenants(struct workload *w)
{
    uint64_t weights = 0, prompt = 0, completion = 0, bursts = 0;
    for (uint32_t i = 0; i < w->n_tenants; i++) {
        const struct tenant_class *c = &w->tenants[i];
        weights += c->weight;
        prompt += (uint64_t)c->weight * (uint64_t)c->prompt_permille;
        completion += (uint64_t)c->weight * (uint64_t)c->completion_permille;
        bursts += burst_weight(c);
    }
    w->prompt_permille = (int64_t)(prompt / weights);
    w->completion_permille = (int64_t)(completion / weights);
    w->burst_permille = (int64_t)(weights * 1000000 / bursts);
}

// What a mean request takes of a server that runs `batch` of them at a time.
static int64_t request_ns(const struct workload *w, const struct workload_model *m, int64_t batch)
{
    const struct serve_speed *s = &m->speed;
    int64_t prompt = random_lognormal_mean(m->class.prompt_median, SIGMA_PROMPT);
    int64_t completion = random_lognormal_mean(m->class.completion_median, SIGMA_COMPLETION);
    return prompt * w->prompt_permille / 1000 * s->prefill_ps / 1000 +
           completion * w->completion_permille / 1000 * (s->step_ns / batch + s->sequence_ns);
}

static int read_speeds(struct workload *w, const struct uri *uri, const struct fleet *fleet,
                       struct error *err)
{
    bool chosen = str_present(uri_option(uri, "models"));
    int64_t tp_large = 0, most = MIN((int64_t)fleet->per_host, RECORD_GPUS_MAX);
    int r = uri_option_i64(uri, "tp", 1, most, &tp_large, err);
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n_models && r == 0; i++) {
        struct workload_model m = w->models[i];
        struct str name = str_of(m.name);
        bool split = m.class.params_m >= LARGE_MODEL_M && tp_large > 0;
        r = split ? serve_speed_of(&m.class, name, fleet->gpu, (int32_t)tp_large, &m.speed, err)
                  : serve_speed_fit(&m.class, name, fleet->gpu, (int32_t)most, &m.speed, err);
        if (r == 0) {
            w->models[n++] = m;
        }
        r = chosen || i + 1 == w->n_models ? r : 0; // of those we propose, the ones that fit
    }
    w->n_models = n;
    return n > 0 && !chosen ? 0 : r;
}

struct plan {
    const struct fleet *fleet;
    uint32_t *used;
    struct serve_place *places;
    uint32_t n_places;
};

static bool place(struct plan *p, struct workload *w, uint32_t model)
{
    struct serve_place *at = &p->places[p->n_places];
    struct workload_model *m = &w->models[model];
    if (!fleet_take(p->fleet, p->used, m->speed.tp, &at->first_gpu)) {
        return false;
    }
    at->model = model;
    m->instances++;
    p->n_places++;
    return true;
}

// The widest first, so that they find GPUs side by side.
static void place_first(struct plan *p, struct workload *w)
{
    for (int32_t tp = RECORD_GPUS_MAX; tp > 0; tp--) {
        for (uint32_t i = 0; i < w->n_models; i++) {
            if (w->models[i].speed.tp == tp) {
                place(p, w, i);
            }
        }
    }
}

// Then always one more of the model whose servers have most to do.
static void place_rest(struct plan *p, struct workload *w)
{
    bool full[WORKLOAD_MODELS_MAX] = {false};
    for (;;) {
        int64_t most = -1;
        uint32_t next = 0;
        for (uint32_t i = 0; i < w->n_models; i++) {
            const struct workload_model *m = &w->models[i];
            int64_t work = full[i] ? -1 : m->weight * request_ns(w, m, 1) / m->instances;
            if (work > most) {
                most = work;
                next = i;
            }
        }
        if (most < 0) {
            return;
        }
        full[next] = !place(p, w, next);
    }
}

// Of the models we propose those without a place are left out; of those asked for none may be.
static int drop_homeless(struct plan *p, struct workload *w, bool chosen, struct error *err)
{
    uint32_t n = 0, moved[WORKLOAD_MODELS_MAX];
    for (uint32_t i = 0; i < w->n_models; i++) {
        const struct workload_model *m = &w->models[i];
        if (m->instances == 0 && chosen) {
            return error_set(err, -EINVAL, "%u GPUs have no room for model %s, which needs %d",
                             p->fleet->n_gpus, m->name, m->speed.tp);
        }
        moved[i] = n;
        if (m->instances > 0) {
            w->models[n++] = *m;
        }
    }
    w->n_models = n;
    for (uint32_t i = 0; i < p->n_places; i++) {
        p->places[i].model = moved[p->places[i].model];
    }
    return 0;
}

static int plan_fleet(struct workload *w, const struct fleet *fleet, bool chosen,
                      struct serve_place **ret_places, uint32_t *ret_n, struct error *err)
{
    AUTO_FREE uint32_t *used = x_array(fleet->n_hosts, sizeof(used[0]));
    AUTO_FREE struct serve_place *places = x_array(fleet->n_gpus, sizeof(places[0]));
    struct plan p = {.fleet = fleet, .used = used, .places = places};
    place_first(&p, w);
    int r = drop_homeless(&p, w, chosen, err);
    if (r < 0) {
        return r;
    }
    place_rest(&p, w);
    *ret_n = p.n_places;
    *ret_places = TAKE_PTR(places);
    return 0;
}

int workload_init(struct workload *w, const struct uri *uri, const struct fleet *fleet,
                  struct serve_place **ret_places, uint32_t *ret_n_places, struct error *err)
{
    int64_t seed = 1;
    *w = (struct workload){.scale_permille = 1000};
    struct str models = uri_option(uri, "models");
    int r = uri_option_i64(uri, "seed", 0, INT64_MAX, &seed, err);
    r = r < 0 ? r : read_models(w, models, err);
    r = r < 0 ? r : read_tenants(w, uri_option(uri, "tenants"), err);
    if (r < 0) {
        return r;
    }
    random_init(&w->random, (uint64_t)seed);
    average_tenants(w);
    r = read_speeds(w, uri, fleet, err);
    r = r < 0 ? r : plan_fleet(w, fleet, str_present(models), ret_places, ret_n_places, err);
    for (uint32_t i = 0; i < w->n_models; i++) {
        w->models_weight += w->models[i].weight;
    }
    return r;
}

void workload_done(struct workload *w)
{
    free(w->tenants);
}

static int64_t usual_rate(const struct workload *w)
{
    int64_t servers = 0;
    i128 work_ns = 0;
    for (uint32_t i = 0; i < w->n_models; i++) {
        const struct workload_model *m = &w->models[i];
        servers += m->instances;
        work_ns += (i128)m->weight * request_ns(w, m, 1);
    }
    i128 rate = (i128)servers * LOAD_PERMILLE * NS_PER_S * 1000 * w->models_weight / work_ns;
    return MAX((int64_t)rate, (int64_t)1);
}

// The load of the busiest model's servers, thousandths of what they could do.
static int64_t fullest(const struct workload *w, int64_t rate_micro)
{
    i128 most = 0;
    for (uint32_t i = 0; i < w->n_models; i++) {
        const struct workload_model *m = &w->models[i];
        i128 load = (i128)rate_micro * m->weight * request_ns(w, m, FULL_BATCH) /
                    ((i128)w->models_weight * m->instances * 1000 * NS_PER_S);
        most = MAX(most, load);
    }
    return (int64_t)MIN(most, (i128)INT64_MAX / 1000);
}

static int64_t burst_gap(struct workload *w)
{
    int64_t mean = INT64_C(1000000000000) * w->burst_permille / w->rate_micro;
    return random_exponential(&w->random, mean);
}

void workload_start(struct workload *w, int64_t rate_micro, int64_t from)
{
    w->rate_micro = rate_micro > 0 ? rate_micro : usual_rate(w);
    int64_t load = fullest(w, w->rate_micro);
    if (load > FULL_PERMILLE) {
        w->scale_permille = MAX(FULL_PERMILLE * INT64_C(1000) / load, (int64_t)1);
    }
    w->next_at = from + burst_gap(w);
}

static uint32_t pick_model(struct workload *w)
{
    uint64_t at = random_below(&w->random, w->models_weight);
    uint32_t i = 0;
    while (at >= w->models[i].weight) {
        at -= w->models[i++].weight;
    }
    return i;
}

static uint32_t pick_tenant(struct workload *w)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < w->n_tenants; i++) {
        all += burst_weight(&w->tenants[i]);
    }
    uint64_t at = random_below(&w->random, all);
    uint32_t i = 0;
    while (at >= burst_weight(&w->tenants[i])) {
        at -= burst_weight(&w->tenants[i++]);
    }
    return i;
}

static void begin_burst(struct workload *w)
{
    w->at = w->next_at;
    w->next_at += burst_gap(w);
    w->tenant = pick_tenant(w);
    w->model = pick_model(w);
    uint64_t mean = (uint64_t)w->tenants[w->tenant].burst;
    w->left = 1 + (uint32_t)random_below(&w->random, 2 * mean - 1);
}

static int64_t draw_length(struct workload *w, int64_t median, int32_t sigma, int64_t permille,
                           int64_t most)
{
    int64_t n = random_lognormal(&w->random, median * permille, sigma) / 1000;
    n = n * w->scale_permille / 1000;
    return MIN(MAX(n, (int64_t)1), most);
}

void workload_next(struct workload *w, struct workload_request *ret)
{
    if (w->left == 0) {
        begin_burst(w);
    }
    w->left--;
    const struct model_class *m = &w->models[w->model].class;
    const struct tenant_class *t = &w->tenants[w->tenant];
    *ret = (struct workload_request){.arrival = w->at, .model = w->model, .tenant = w->tenant};
    ret->prompt = draw_length(w, m->prompt_median, SIGMA_PROMPT, t->prompt_permille, PROMPT_MAX);
    ret->output = draw_length(w, m->completion_median, SIGMA_COMPLETION, t->completion_permille,
                              COMPLETION_MAX);
}
