// trace: the requests of a public trace, served by simulated GPUs; see docs/inputs/trace.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "input/input_impl.h"
#include "input/lines.h"
#include "input/replay.h"
#include "input/tenants.h"
#include "input/trace_format.h"
#include "model/record.h"

enum { LABELS_MAX = 4096 };
#define START_NONE INT64_MIN
#define GAP_MAX_NS (7 * NS_PER_DAY) // one wrong date must not cost years of idle samples

struct trace_input {
    struct input base;
    struct replay replay;
    struct lines lines;
    struct trace_layout layout;
    int64_t start; // option start=, or START_NONE
    int64_t shift; // what makes a trace's time an event time
    int64_t last;  // arrival before this one
    int64_t taken, limit;
    uint64_t seed;
    struct str tenant; // of all requests, or absent
    int64_t tenants;   // or so many; 0: none
    uint32_t model;    // name of all requests, unless the trace names them
    bool names_models;
};

static int open_lines(struct trace_input *t, struct lines *ret, struct error *err)
{
    struct reader *reader;
    int r = reader_open(t->base.uri->path.p, false, t->base.env, &reader, err);
    if (r < 0) {
        return r;
    }
    if (!reader_is_regular(reader)) {
        reader_close(reader);
        return error_set(err, -EINVAL, "'%s' is no regular file: a trace is read twice",
                         t->base.uri->path.p);
    }
    lines_init(ret, reader, RECORD_BYTES_MAX);
    return 0;
}

static int take_line(struct lines *l, struct str *ret, enum line_result *ret_what,
                     struct error *err)
{
    int r = READER_DATA;
    *ret_what = LINE_NONE;
    while (r == READER_DATA && *ret_what == LINE_NONE) {
        *ret_what = lines_take(l, ret);
        r = *ret_what == LINE_NONE ? lines_fill(l, err) : READER_DATA;
    }
    return r;
}

static int not_a_trace(const struct trace_input *t, struct str line, struct error *err)
{
    struct buf known;
    buf_init(&known, ERROR_MSG_MAX);
    for (const struct trace_format *f = trace_formats; f->name; f++) {
        buf_printf(&known, "%s%s (%s,%s,%s)", f == trace_formats ? "" : ", ", f->name,
                   f->fields[TRACE_TIME], f->fields[TRACE_PROMPT], f->fields[TRACE_OUTPUT]);
    }
    struct str shown = {line.p, MIN(line.n, (size_t)60)};
    int r = error_set(err, -EINVAL,
                      "'%s' is no trace: it begins with '" STR_FMT "'; there are: " STR_FMT,
                      t->base.uri->path.p, STR_ARG(shown), STR_ARG(buf_view(&known)));
    buf_done(&known);
    return r;
}

static int take_header(struct trace_input *t, struct lines *l, struct error *err)
{
    struct str line = lines_peek(l);
    enum line_result what;
    if (!trace_recognise(line, &t->layout)) {
        // What stops the reading of a damaged file is the better answer.
        int r = str_present(line) ? READER_DATA : take_line(l, &line, &what, err);
        return r < 0 ? r : not_a_trace(t, str_present(line) ? line : STR(""), err);
    }
    return t->layout.format->json ? 0 : take_line(l, &line, &what, err);
}

// The shift that puts the first request where start= says. Without it dates stay as they are, and
// times from a beginning count from PACE_START_DEFAULT.
static int64_t shift_of(const struct trace_input *t, int64_t first)
{
    if (t->start != START_NONE) {
        return t->start - first;
    }
    return t->layout.format->time == TRACE_DATE ? 0 : PACE_START_DEFAULT;
}

static bool in_range(int64_t time, int64_t shift, int64_t *ret_arrival)
{
    bool over = __builtin_add_overflow(time, shift, ret_arrival);
    return !over && *ret_arrival >= 0 && *ret_arrival < TIME_MAX;
}

static bool may_be_first(const struct trace_input *t, struct str line, int64_t *ret_time)
{
    struct trace_request request;
    int64_t arrival;
    if (trace_parse(&t->layout, line, &request, NULL) < 0) {
        return false;
    }
    *ret_time = request.time;
    return in_range(request.time, shift_of(t, request.time), &arrival);
}

// The first request decides where the simulation begins. Also hashes it: traces of one kind have
// the same first line.
static int find_first(struct trace_input *t, int64_t *ret_time, uint64_t *ret_hash,
                      struct error *err)
{
    struct lines l;
    struct str line = STR_NONE;
    enum line_result what;
    int r = open_lines(t, &l, err);
    if (r < 0) {
        return r;
    }
    r = take_header(t, &l, err);
    bool found = false;
    while (r >= 0 && !found) {
        r = take_line(&l, &line, &what, err);
        if (r != READER_DATA) {
            break;
        }
        found = what == LINE_TAKEN && may_be_first(t, line, ret_time);
    }
    *ret_time = found ? *ret_time : 0;
    *ret_hash = hash_str(found ? line : STR_NONE, 0);
    bool readable = r >= 0 || found;
    lines_done(&l);
    return readable ? 0 : r;
}

static int refuse_line(struct trace_input *t, struct batch *b, struct str line, const char *why)
{
    struct buf reason;
    buf_init(&reason, ERROR_MSG_MAX);
    buf_printf(&reason, "line %lld: %.400s", (long long)t->lines.number, why);
    replay_refuse(&t->replay, b, buf_view(&reason), line);
    buf_done(&reason);
    return ARRIVAL_REFUSED;
}

static uint32_t pick_tenant(const struct trace_input *t)
{
    if (str_present(t->tenant)) {
        return intern_id(t->replay.names, t->tenant);
    }
    if (t->tenants == 0) {
        return REPLAY_NAME_NONE;
    }
    uint64_t u = hash_bytes(&t->taken, sizeof(t->taken), t->seed);
    struct tenant_class c = tenant_class_at(tenant_pick((size_t)t->tenants, u));
    return intern_id(t->replay.names, str_of(c.name));
}

// -E2BIG when the trace names more models than anyone serves.
static int pick_model(struct trace_input *t, struct str name, uint32_t *ret)
{
    *ret = t->model;
    if (!t->names_models) {
        return 0;
    }
    if (intern_find(t->replay.names, name) < 0 && intern_count(t->replay.names) >= LABELS_MAX) {
        return -E2BIG;
    }
    *ret = intern_id(t->replay.names, name);
    return 0;
}

static int take_request(struct trace_input *t, struct batch *b, struct str line,
                        struct replay_request *ret)
{
    struct trace_request request;
    struct error why;
    int64_t arrival;
    if (trace_parse(&t->layout, line, &request, &why) < 0) {
        return refuse_line(t, b, line, why.msg);
    }
    if (!in_range(request.time, t->shift, &arrival)) {
        return refuse_line(t, b, line, "time: out of range");
    }
    if (arrival < t->last) {
        return refuse_line(t, b, line, "time: before that of the request above; sort the trace");
    }
    if (t->taken > 0 && arrival - t->last > GAP_MAX_NS) {
        return refuse_line(t, b, line, "time: more than 7 days after the request above");
    }
    if (pick_model(t, request.model, &ret->model) < 0) {
        return refuse_line(t, b, line, "model: too many different ones");
    }
    t->last = arrival;
    t->taken++;
    ret->tenant = pick_tenant(t);
    ret->serve = (struct serve_request){
        .arrival = arrival, .prompt = request.prompt, .output = request.output};
    return ARRIVAL_TAKEN;
}

static int next_request(void *ctx, struct replay *r, struct batch *b, struct replay_request *ret,
                        struct error *err)
{
    struct trace_input *t = ctx;
    struct str line;
    enum line_result what;
    (void)r;
    if (t->taken == t->limit) {
        return ARRIVAL_END;
    }
    int code = take_line(&t->lines, &line, &what, err);
    if (code != READER_DATA) {
        return code < 0 ? code : ARRIVAL_END;
    }
    if (what == LINE_TOO_LONG) {
        return refuse_line(t, b, line, "longer than 1 MiB");
    }
    return take_request(t, b, line, ret);
}

static int read_options(struct trace_input *t, struct error *err)
{
    const struct uri *uri = t->base.uri;
    int64_t seed = 1;
    int r = fleet_read(uri, &t->replay.fleet, err);
    r = r < 0 ? r : uri_option_i64(uri, "limit", 1, INT64_MAX, &t->limit, err);
    r = r < 0 ? r : uri_option_i64(uri, "seed", 0, INT64_MAX, &seed, err);
    r = r < 0 ? r : uri_option_i64(uri, "tenants", 0, TENANTS_MAX, &t->tenants, err);
    r = r < 0 ? r : pace_start(uri, t->base.env, &t->start, err);
    r = r < 0 ? r : pace_init(&t->replay.pace, uri, t->base.env, 0, err);
    t->seed = (uint64_t)seed;
    t->tenant = uri_option(uri, "tenant");
    if (r == 0 && str_present(t->tenant) && t->tenants > 0) {
        return error_set(err, -EINVAL, "trace: takes tenant= or tenants=, not both");
    }
    struct str texts[] = {t->tenant, uri_option(uri, "model")};
    for (size_t i = 0; i < ARRAY_LEN(texts) && r == 0; i++) {
        if (str_present(texts[i]) && (texts[i].n == 0 || texts[i].n > RECORD_TEXT_MAX)) {
            return error_set(err, -EINVAL, "trace: tenant= and model= must have 1 to %d bytes",
                             RECORD_TEXT_MAX);
        }
    }
    return r;
}

// One class of server on all GPUs: a model that the trace names is a name, not another server.
static int place_servers(struct trace_input *t, struct str model, struct error *err)
{
    struct replay *r = &t->replay;
    const struct fleet *f = &r->fleet;
    struct model_class class;
    model_class_find(model, &class);
    int64_t tp = 0, most = MIN((int64_t)f->per_host, RECORD_GPUS_MAX);
    struct serve_speed *speed = r->speeds = x_array(1, sizeof(r->speeds[0]));
    r->places = x_array(f->n_gpus, sizeof(r->places[0]));
    AUTO_FREE uint32_t *used = x_array(f->n_hosts, sizeof(used[0]));
    int code = uri_option_i64(t->base.uri, "tp", 1, most, &tp, err);
    if (code == 0) {
        code = tp > 0 ? serve_speed_of(&class, model, f->gpu, (int32_t)tp, speed, err)
                      : serve_speed_fit(&class, model, f->gpu, (int32_t)most, speed, err);
    }
    while (code == 0 && fleet_take(f, used, speed->tp, &r->places[r->n_places].first_gpu)) {
        r->n_places++;
    }
    return code;
}

static void start_simulation(struct trace_input *t, int64_t first)
{
    struct replay *r = &t->replay;
    int64_t epoch = time_floor(first, NS_PER_S) - NS_PER_S; // the GPUs are seen before they work
    r->at_least = first;
    r->serve = serve_new(&(struct serve_config){
        .gpu = r->fleet.gpu,
        .n_gpus = r->fleet.n_gpus,
        .speeds = r->speeds,
        .n_models = 1,
        .places = r->places,
        .n_places = r->n_places,
        .epoch = MAX(epoch, (int64_t)0),
        .every = r->fleet.every,
    });
}

static void describe(struct trace_input *t, uint64_t hash)
{
    struct input_info *info = &t->base.info;
    const struct fleet *f = &t->replay.fleet;
    const int64_t parts[] = {(int64_t)hash, t->shift};
    uint64_t fingerprint = hash_str(t->base.uri->text, hash_bytes(parts, sizeof(parts), 0));
    bool plain = reader_can_seek(t->lines.reader);
    *info = (struct input_info){
        .name = t->base.uri->text.p,
        .finite = true,
        .fingerprint = fingerprint ? fingerprint : 1,
        .total = plain ? reader_size(t->lines.reader) : -1,
        .total_is_bytes = plain,
    };
    snprintf(info->about, sizeof(info->about), "the %s trace %.60s on %u simulated %s",
             t->layout.format->name, origin_file_name(t->base.uri->path).p, f->n_gpus,
             f->gpu->name);
    origin_init(&t->replay.origin, origin_file_name(t->base.uri->path), info->fingerprint);
}

static int set_up(struct trace_input *t, struct error *err)
{
    int64_t first;
    uint64_t hash;
    struct str model = uri_option(t->base.uri, "model");
    int r = read_options(t, err);
    r = r < 0 ? r : find_first(t, &first, &hash, err);
    r = r < 0 ? r : place_servers(t, str_present(model) ? model : STR("llama-3-8b"), err);
    r = r < 0 ? r : open_lines(t, &t->lines, err);
    r = r < 0 ? r : take_header(t, &t->lines, err);
    if (r < 0) {
        return r;
    }
    t->shift = shift_of(t, first);
    t->names_models = !str_present(model) && t->layout.format->fields[TRACE_MODEL];
    t->model = intern_id(t->replay.names, str_present(model) ? model : STR("llama-3-8b"));
    start_simulation(t, MAX(first + t->shift, (int64_t)0));
    describe(t, hash);
    return 0;
}

static void trace_close(struct input *in)
{
    struct trace_input *t = (struct trace_input *)in;
    replay_done(&t->replay);
    lines_done(&t->lines);
    free(t);
}

static int trace_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                      struct error *err)
{
    if (uri->path.n == 0) {
        return error_set(err, -EINVAL, "trace: needs the path of a trace");
    }
    struct trace_input *t = x_zalloc(sizeof(*t));
    t->base = (struct input){.driver = &input_trace, .env = env, .uri = uri};
    t->limit = -1;
    t->start = START_NONE;
    t->replay = (struct replay){
        .in = &t->base,
        .names = intern_new(),
        .source_name = "trace",
        .next = next_request,
        .ctx = t,
    };
    int r = set_up(t, err);
    if (r < 0) {
        trace_close(&t->base);
        return r;
    }
    *ret = &t->base;
    return 0;
}

static int trace_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct trace_input *t = (struct trace_input *)in;
    (void)offset;
    return replay_seek(&t->replay, records, err);
}

static int trace_next(struct input *in, struct batch *b, struct error *err)
{
    struct trace_input *t = (struct trace_input *)in;
    int r = replay_next(&t->replay, b, err);
    b->offset = in->info.total_is_bytes ? t->lines.offset : -1;
    return r;
}

static const struct input_option options[] = {
    FLEET_OPTIONS,
    {"tp", "N", "GPUs that serve one request together (default: as the model needs)"},
    {"model", "NAME", "the model served (default: as the trace says, else llama-3-8b)"},
    {"tenants", "N", "spread the requests over N tenants"},
    {"tenant", "NAME", "the tenant of all requests"},
    PACE_OPTIONS,
    {"limit", "N", "only the first N requests"},
    {"seed", "N", "another spreading over tenants (default 1)"},
    {NULL, NULL, NULL},
};

const struct input_driver input_trace = {
    .scheme = "trace",
    .synopsis = "trace:PATH",
    .help = "the requests of a public trace (Azure, BurstGPT, Mooncake, Vidur), on simulated GPUs",
    .options = options,
    .open = trace_open,
    .seek = trace_seek,
    .next = trace_next,
    .close = trace_close,
};
