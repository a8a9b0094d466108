#include "input/counters.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/decimal.h"
#include "base/hash.h"
#include "base/intern.h"
#include "base/map.h"
#include "base/time.h"
#include "input/exposition.h"
#include "input/series.h"

// Ids of wanted names: a metric's, its _created's, the process's start.
enum {
    METRICS = SERVER_COUNTS * SERVER_NAMES_MAX,
    ID_CREATED = METRICS,
    ID_START = 2 * METRICS,
    CHOSEN_NONE = -1,
    MOVED_MS = 1500, // clocks of hosts are read to a second: less is no restart
    SKEW_MS = 60000, // by which a server's clock may be behind ours
};

struct cell {
    uint32_t model, tenant;       // interned
    int64_t moved[SERVER_COUNTS]; // on this page; COUNT_RUNNING: how many run
    bool ran;                     // at the page before
    int64_t carry; // cached tokens whose prompts have not come, or those to make good
};

// One thing that is counted, by one of several names.
struct role {
    int chosen;       // place in the server's list, or CHOSEN_NONE
    uint32_t missing; // pages without it, in a row
    bool present;     // the chosen one is on this page
    bool switched;    // it was chosen on this page
};

struct counters {
    struct counters_config config;
    struct arena arena; // names made
    struct exposition_names wanted;
    struct intern *models, *tenants;
    struct series_set set;
    struct cell *cells;
    size_t n_cells, cap_cells;
    struct map cell_of; // by model and tenant
    struct counted *counted;
    size_t n_counted, cap_counted;
    struct role roles[SERVER_COUNTS];
    uint32_t page;     // number of this page; 0: none yet
    bool has_baseline; // a page was taken
    bool incomplete;   // the baseline has unreadable lines, and no page since has been without
    int64_t start;     // of the process, ms; 0: not stated
    int64_t taken;     // wall time of the page before, ms
    uint32_t foreign;  // pages refused in a row
    struct map fell;   // lineages that began anew, on this page
    struct error complaint;
};

// What is found on a page before anything is made of it.
struct findings {
    bool on[METRICS];
    int64_t start;
    uint64_t bad, kept_out;
    bool requests;  // some have ended
    bool restarted; // the process has
};

static const struct server_metric *metric_at(const struct counters *c, size_t i)
{
    return &c->config.server->counts[i / SERVER_NAMES_MAX][i % SERVER_NAMES_MAX];
}

// ---- life -----------------------------------------------------------------------------------

// vllm:prompt_tokens_total and vllm:prompt_tokens_created; a histogram's _sum and _count share one.
static const char *created_name(struct counters *c, const char *name)
{
    static const char *const suffixes[] = {"_total", "_sum", "_count"};
    struct str base = str_of(name);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (str_ends(base, str_of(suffixes[i]))) {
            base.n -= strlen(suffixes[i]);
            break;
        }
    }
    AUTO_FREE char *text = x_asprintf(STR_FMT "_created", STR_ARG(base));
    return arena_copy(&c->arena, str_of(text)).p;
}

static void want(struct counters *c, const char *name, size_t id)
{
    int r = exposition_want(&c->wanted, name, (uint32_t)id);
    assert(r == 0 || r == -EEXIST); // two metrics of a histogram share their _created
    (void)r;
}

struct counters *counters_new(const struct counters_config *config)
{
    _Static_assert(ID_START + 1 <= EXPOSITION_NAMES_MAX, "all names are wanted at once");
    struct counters *c = x_zalloc(sizeof(*c));
    c->config = *config;
    c->models = intern_new();
    c->tenants = intern_new();
    for (size_t i = 0; i < METRICS; i++) {
        const char *name = metric_at(c, i)->name;
        if (name) {
            want(c, name, i);
            want(c, created_name(c, name), ID_CREATED + i);
        }
    }
    want(c, "process_start_time_seconds", ID_START);
    for (size_t i = 0; i < SERVER_COUNTS; i++) {
        c->roles[i].chosen = CHOSEN_NONE;
    }
    return c;
}

void counters_free(struct counters *c)
{
    if (c == NULL) {
        return;
    }
    intern_free(c->models);
    intern_free(c->tenants);
    series_done(&c->set);
    map_done(&c->cell_of);
    map_done(&c->fell);
    arena_done(&c->arena);
    free(c->cells);
    free(c->counted);
    free(c);
}

// ---- labels ---------------------------------------------------------------------------------

// What the labels of a sample say.
struct identity {
    uint64_t key, lineage;
    struct str texts[2][SERVER_LABELS_MAX]; // of the model's and the tenant's labels, by preference
    bool matches;                           // the label that the metric asks for has its value
};

enum { OF_MODEL, OF_TENANT };

// Labels of one metric that its engine's other metrics do not have.
static bool is_metrics_own(struct str name)
{
    return str_eq(name, STR("finished_reason")) || str_eq(name, STR("source"));
}

static void note_text(struct identity *id, int kind, const char *const *labels, struct str name,
                      struct str value)
{
    bool says = value.n > 0 && !str_eq(value, STR("None"));
    for (size_t i = 0; says && labels[i]; i++) {
        if (str_eq(name, str_of(labels[i]))) {
            id->texts[kind][i] = value;
        }
    }
}

static void note_label(const struct counters *c, const struct server_metric *m, struct identity *id,
                       struct str name, struct str value)
{
    const char *const own[] = {c->config.tenant_label, NULL};
    const struct server *server = c->config.server;
    uint64_t hash = hash_str(value, hash_str(name, 0));
    id->key += hash;
    id->lineage += is_metrics_own(name) ? 0 : hash;
    if (m->label && str_eq(name, str_of(m->label))) {
        id->matches = str_eq(value, str_of(m->value));
    }
    note_text(id, OF_MODEL, server->model, name, value);
    note_text(id, OF_TENANT, own[0] ? own : server->tenant, name, value);
}

// Values with escapes are written to `room`, which is as large as they are.
static void identify(const struct counters *c, const struct exposition_sample *s, size_t metric,
                     char *room, struct identity *ret)
{
    const struct server_metric *m = metric_at(c, metric);
    struct str labels = s->labels;
    *ret = (struct identity){.matches = m->label == NULL};
    for (struct exposition_label label; exposition_label(&labels, &label);) {
        struct str value = exposition_value(&label, room);
        room += label.has_escapes ? value.n : 0;
        note_label(c, m, ret, label.name, value);
    }
    const uint64_t parts[] = {ret->key, metric};
    ret->key = hash_bytes(parts, sizeof(parts), 0);
}

static struct str first_present(const struct str *texts)
{
    size_t i = 0;
    while (i + 1 < SERVER_LABELS_MAX && !str_present(texts[i])) {
        i++;
    }
    return texts[i];
}

// The sums of a model and tenant; -ENOSPC: one too many.
static int find_cell(struct counters *c, const struct identity *id, uint32_t *ret)
{
    struct str model = first_present(id->texts[OF_MODEL]);
    struct str tenant = first_present(id->texts[OF_TENANT]);
    if (!str_present(model)) {
        model = str_present(c->config.model) ? c->config.model : STR("unknown");
    }
    if (intern_find(c->models, model) < 0 && intern_count(c->models) >= COUNTERS_MODELS_MAX) {
        return -ENOSPC;
    }
    uint32_t m = intern_id(c->models, model), t = intern_id(c->tenants, tenant);
    int64_t key = (int64_t)m << 32 | t;
    uint32_t *place = map_get(&c->cell_of, key);
    if (place == NULL && c->n_cells == COUNTERS_SERIES_MAX) {
        return -ENOSPC;
    }
    if (place == NULL) {
        ARRAY_RESERVE(c->cells, c->n_cells, c->cap_cells);
        place = arena_alloc(&c->arena, sizeof(*place));
        *place = (uint32_t)c->n_cells;
        c->cells[c->n_cells++] = (struct cell){.model = m, .tenant = t};
        map_put(&c->cell_of, key, place);
    }
    *ret = *place;
    return 0;
}

// ---- reading --------------------------------------------------------------------------------

// The series of a sample, made where it is new; NULL: kept out.
static struct series *series_of(struct counters *c, const struct identity *id, size_t metric,
                                struct findings *f)
{
    struct series *s = series_find(&c->set, id->key);
    if (s) {
        return s;
    }
    uint32_t cell;
    if (c->set.n >= COUNTERS_SERIES_MAX || find_cell(c, id, &cell) < 0) {
        f->kept_out++;
        return NULL;
    }
    s = series_add(&c->set, id->key);
    s->lineage = id->lineage & INT64_MAX;
    s->metric = (uint8_t)metric;
    s->cell = cell;
    return s;
}

// Seconds since the epoch as they are stated, in milliseconds.
static int64_t read_instant(const struct exposition_sample *s)
{
    int64_t ms;
    return decimal_parse(s->number, 3, &ms) == 0 && ms > 0 ? ms : 0;
}

static void take_total(struct counters *c, struct series *series, const struct exposition_sample *s,
                       struct findings *f)
{
    int64_t now;
    if (decimal_parse(s->number, 0, &now) < 0 || now < 0) {
        f->bad++; // NaN, below zero, or beyond what we count
        return;
    }
    series->now = now;
    series->seen = c->page;
    series->gauge = s->type == TYPE_GAUGE;
    f->on[series->metric] = true;
    f->requests = f->requests || (series->metric / SERVER_NAMES_MAX == COUNT_REQUESTS && now > 0);
}

static void take_sample(struct counters *c, const struct exposition_sample *s, char *room,
                        struct findings *f)
{
    struct identity id;
    if (s->id == ID_START) {
        f->start = MAX(f->start, read_instant(s));
        return;
    }
    bool created = s->id >= ID_CREATED;
    size_t metric = created ? s->id - ID_CREATED : s->id;
    identify(c, s, metric, room, &id);
    struct series *series = id.matches ? series_of(c, &id, metric, f) : NULL;
    if (series && created) {
        series->created_now = read_instant(s);
    } else if (series) {
        take_total(c, series, s, f);
    }
}

static bool is_page(struct str page)
{
    struct exposition e;
    struct exposition_sample s;
    exposition_init(&e, page, NULL);
    return exposition_next(&e, &s);
}

static int read_page(struct counters *c, struct str page, struct findings *f, struct error *err)
{
    struct exposition e;
    AUTO_FREE char *room = x_alloc(page.n + 1);
    *f = (struct findings){0};
    c->page++;
    exposition_init(&e, page, &c->wanted);
    for (struct exposition_sample s; exposition_next(&e, &s);) {
        take_sample(c, &s, room, f);
    }
    f->bad += e.bad;
    if (!is_page(page)) {
        return error_set(err, -EBADMSG, "it is no page of metrics");
    }
    bool tokens = c->roles[COUNT_PROMPT].chosen >= 0 || c->roles[COUNT_COMPLETION].chosen >= 0;
    for (size_t i = 0; i < SERVER_NAMES_MAX; i++) {
        tokens = tokens || f->on[COUNT_PROMPT * SERVER_NAMES_MAX + i] ||
                 f->on[COUNT_COMPLETION * SERVER_NAMES_MAX + i];
    }
    if (f->requests && !tokens) {
        return error_set(err, -ENODATA, "the page counts requests but no tokens: it has no %s",
                         c->config.server->counts[COUNT_PROMPT][0].name);
    }
    return 0;
}

// ---- restarts -------------------------------------------------------------------------------

static bool moved_on(int64_t then, int64_t now)
{
    return then > 0 && now > then + MOVED_MS;
}

// Forgets all that was counted: this page is the first.
static void start_over(struct counters *c)
{
    c->has_baseline = false;
    c->start = 0;
    for (size_t i = 0; i < c->set.n; i++) {
        c->set.v[i].known = false;
    }
}

// Whether this is not the process of the page before, nor one that has replaced it since.
static bool is_foreign(const struct counters *c, const struct findings *f)
{
    bool replaced = moved_on(c->start, f->start);
    return f->start > 0 && c->has_baseline &&
           (moved_on(f->start, c->start) || (replaced && f->start < c->taken - SKEW_MS));
}

static int check_process(struct counters *c, struct findings *f, struct error *err)
{
    if (is_foreign(c, f)) {
        if (++c->foreign < COUNTERS_FOREIGN_PAGES) {
            return error_set(err, -EPROTO,
                             "another server answers at this address than before: where there are "
                             "several, each needs an input of its own");
        }
        start_over(c);
    }
    c->foreign = 0;
    f->restarted = moved_on(c->start, f->start);
    c->start = f->start > 0 ? f->start : c->start;
    return 0;
}

static bool is_running(const struct series *s)
{
    return s->metric / SERVER_NAMES_MAX == COUNT_RUNNING;
}

static bool began_anew(const struct series *s)
{
    bool fell = !s->gauge && s->now < s->last;
    return s->known && !is_running(s) && (fell || moved_on(s->created, s->created_now));
}

static void find_fallen(struct counters *c)
{
    map_done(&c->fell);
    for (size_t i = 0; i < c->set.n; i++) {
        struct series *s = &c->set.v[i];
        if (s->seen == c->page && began_anew(s)) {
            map_put(&c->fell, (int64_t)s->lineage, c);
        }
    }
}

// ---- differences ----------------------------------------------------------------------------

static int choose(const struct counters *c, size_t count, const struct findings *f)
{
    for (int i = 0; i < SERVER_NAMES_MAX; i++) {
        if (c->config.server->counts[count][i].name &&
            f->on[count * SERVER_NAMES_MAX + (size_t)i]) {
            return i;
        }
    }
    return CHOSEN_NONE;
}

static void update_role(const struct counters *c, struct role *r, size_t count,
                        const struct findings *f)
{
    int best = choose(c, count, f);
    r->present = r->chosen >= 0 && f->on[count * SERVER_NAMES_MAX + (size_t)r->chosen];
    r->missing = r->present ? 0 : r->missing + 1;
    r->switched = false;
    bool anew = r->chosen < 0 || f->restarted || !c->has_baseline;
    if (best >= 0 && (anew || r->missing >= COUNTERS_SWITCH_PAGES)) {
        *r = (struct role){.chosen = best, .present = true, .switched = best != r->chosen};
    }
}

// What a series has added since it was counted last.
static int64_t difference(const struct counters *c, const struct series *s, bool restarted)
{
    if (restarted || map_get(&c->fell, (int64_t)s->lineage)) {
        return s->now;
    }
    if (!s->known) {
        return c->incomplete ? 0 : s->now;
    }
    return s->now >= s->last ? s->now - s->last : 0; // a gauge that fell
}

static void add_moved(struct counters *c, struct cell *cell, size_t count, int64_t moved)
{
    int64_t sum;
    bool wild =
        __builtin_add_overflow(cell->moved[count], moved, &sum) || sum > COUNTERS_TOKENS_MAX;
    if (wild) {
        error_set(&c->complaint, -ERANGE, "%s jumped by %lld: not counted",
                  c->config.server->counts[count][MAX(c->roles[count].chosen, 0)].name,
                  (long long)moved);
        return;
    }
    cell->moved[count] = sum;
}

// A name that is not the chosen one keeps up with it, and stands still while that is missing, so
// that it can take over from there.
static void count_series(struct counters *c, struct series *s, const struct findings *f)
{
    size_t count = s->metric / SERVER_NAMES_MAX;
    const struct role *role = &c->roles[count];
    bool chosen = role->chosen == (int)(s->metric % SERVER_NAMES_MAX);
    int64_t moved = count == COUNT_RUNNING ? s->now : difference(c, s, f->restarted);
    if (chosen && (c->has_baseline || count == COUNT_RUNNING)) {
        add_moved(c, &c->cells[s->cell], count, moved);
    }
    s->last = chosen || role->present ? s->now : s->now - moved;
    s->known = true;
    s->created = s->created_now > 0 ? s->created_now : s->created;
}

static void count_all(struct counters *c, const struct findings *f)
{
    for (size_t i = 0; i < c->n_cells; i++) {
        struct cell *cell = &c->cells[i];
        cell->ran = cell->moved[COUNT_RUNNING] > 0;
        memset(cell->moved, 0, sizeof(cell->moved));
    }
    if (f->restarted) {
        series_keep(&c->set, c->page);
    }
    for (size_t i = 0; i < c->set.n; i++) {
        if (c->set.v[i].seen == c->page) {
            count_series(c, &c->set.v[i], f);
        }
    }
}

// Cached tokens of this interval, never more than its prompt's.
static int64_t take_cached(const struct counters *c, struct cell *cell)
{
    const struct role *role = &c->roles[COUNT_CACHED];
    bool rest = role->chosen >= 0 && c->config.server->counts[COUNT_CACHED][role->chosen].rest;
    int64_t prompt = cell->moved[COUNT_PROMPT], moved = cell->moved[COUNT_CACHED];
    cell->carry += rest ? prompt - moved : moved;
    if (!role->present) {
        return 0;
    }
    int64_t cached = MAX(MIN(cell->carry, prompt), INT64_C(0));
    bool idle =
        cell->moved[COUNT_RUNNING] == 0 && (c->roles[COUNT_RUNNING].present || prompt + moved == 0);
    cell->carry = idle ? 0 : cell->carry - cached;
    return cached;
}

static void give_cell(struct counters *c, struct cell *cell, bool restarted)
{
    const int64_t *moved = cell->moved;
    if (restarted || c->roles[COUNT_CACHED].switched) {
        cell->carry = 0;
    }
    int64_t cached = take_cached(c, cell);
    bool any = cell->ran;
    for (size_t i = 0; i < SERVER_COUNTS; i++) {
        any = any || moved[i] > 0;
    }
    if (!any) {
        return;
    }
    ARRAY_RESERVE(c->counted, c->n_counted, c->cap_counted);
    c->counted[c->n_counted++] = (struct counted){
        .model = intern_str(c->models, cell->model),
        .tenant = intern_str(c->tenants, cell->tenant),
        .has_cached = c->roles[COUNT_CACHED].present,
        .has_requests = c->roles[COUNT_REQUESTS].present,
        .prompt = moved[COUNT_PROMPT],
        .completion = moved[COUNT_COMPLETION],
        .cached = cached,
        .requests = moved[COUNT_REQUESTS],
    };
}

static void complain(struct counters *c, const struct findings *f)
{
    if (c->complaint.code < 0) {
        return;
    }
    if (f->kept_out > 0) {
        error_set(&c->complaint, -ENOSPC,
                  "%llu series are not counted: there are more than %d, or more than %d models",
                  (unsigned long long)f->kept_out, COUNTERS_SERIES_MAX, COUNTERS_MODELS_MAX);
    } else if (f->bad > 0) {
        error_set(&c->complaint, -EBADMSG, "%llu lines of the page cannot be read",
                  (unsigned long long)f->bad);
    }
}

int counters_take(struct counters *c, struct str page, int64_t wall, struct error *err)
{
    struct findings f;
    c->n_counted = 0;
    c->complaint.code = 0;
    int r = read_page(c, page, &f, err);
    r = r < 0 ? r : check_process(c, &f, err);
    if (r < 0) {
        return r;
    }
    find_fallen(c);
    for (size_t i = 0; i < SERVER_COUNTS; i++) {
        update_role(c, &c->roles[i], i, &f);
    }
    count_all(c, &f);
    bool interval = c->has_baseline;
    for (size_t i = 0; interval && i < c->n_cells; i++) {
        give_cell(c, &c->cells[i], f.restarted);
    }
    c->incomplete = f.bad > 0 && (c->incomplete || !interval);
    c->has_baseline = true;
    c->taken = wall / NS_PER_MS;
    complain(c, &f);
    return interval ? COUNTERS_INTERVAL : COUNTERS_BASELINE;
}

const struct counted *counters_counted(const struct counters *c, size_t *ret_n)
{
    *ret_n = c->n_counted;
    return c->counted;
}

const struct error *counters_complaint(const struct counters *c)
{
    return c->complaint.code < 0 ? &c->complaint : NULL;
}
