// synthetic: a made-up day of a cluster; see docs/inputs/synthetic.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "base/wide.h"
#include "input/input_impl.h"
#include "input/replay.h"
#include "input/workload.h"

#define RATE_MAX_MICRO INT64_C(100000000000) // 100,000 requests a second

struct synthetic_input {
    struct input base;
    struct replay replay;
    struct workload workload;
    int64_t rate_micro;                   // 0: the workload's own
    int64_t sleep_ns;                     // between deliveries; 0: none
    int64_t start, duration;              // duration 0: for ever
    uint32_t models[WORKLOAD_MODELS_MAX]; // ids in replay.names
    uint32_t *tenants;
};

static int next_request(void *ctx, struct replay *r, struct batch *b, struct replay_request *ret,
                        struct error *err)
{
    struct synthetic_input *s = ctx;
    struct workload_request request;
    (void)r, (void)b, (void)err;
    workload_next(&s->workload, &request);
    if (s->duration > 0 && request.arrival >= s->start + s->duration) {
        return ARRIVAL_END;
    }
    *ret = (struct replay_request){
        .serve = {.arrival = request.arrival,
                  .prompt = request.prompt,
                  .output = request.output,
                  .model = request.model},
        .model = s->models[request.model],
        .tenant = s->tenants[request.tenant],
    };
    return ARRIVAL_TAKEN;
}

// An option, else a variable of the environment; absent when neither is set.
static struct str setting(const struct input *in, const char *option, const char *variable)
{
    struct str s = uri_option(in->uri, option);
    if (str_present(s) || in->env->getenv == NULL) {
        return s;
    }
    const char *value = in->env->getenv(variable);
    return value && *value ? str_of(value) : STR_NONE;
}

static int bad_setting(const char *option, const char *variable, struct str value,
                       const char *expected, struct error *err)
{
    return error_set(err, -EINVAL, "option %s= (or %s in the environment) is '" STR_FMT "': %s",
                     option, variable, STR_ARG(value), expected);
}

// RATE is BATCH messages every SLEEP_SEC seconds: of the three, two say the third.
static int read_rate(struct synthetic_input *s, struct error *err)
{
    const struct input *in = &s->base;
    struct str rate = setting(in, "rate", "RATE"), batch = setting(in, "batch", "BATCH");
    struct str sleep = setting(in, "sleep", "SLEEP_SEC");
    int64_t n = 0;
    if (str_present(rate) && (decimal_parse(rate, 6, &s->rate_micro) < 0 || s->rate_micro < 1 ||
                              s->rate_micro > RATE_MAX_MICRO)) {
        return bad_setting("rate", "RATE", rate, "requests a second, up to 100000", err);
    }
    if (str_present(batch) && (decimal_parse(batch, 0, &n) < 0 || n < 1 || n > 1000000)) {
        return bad_setting("batch", "BATCH", batch, "requests, 1 to 1000000", err);
    }
    int r = str_present(sleep) ? duration_parse(sleep, &s->sleep_ns) : 0;
    bool within = s->sleep_ns == 0 || (s->sleep_ns >= NS_PER_MS && s->sleep_ns <= NS_PER_HOUR);
    if (r < 0 || !within) {
        return bad_setting("sleep", "SLEEP_SEC", sleep,
                           "a time like 0.5 or 500ms, up to 1h, or 0 for none", err);
    }
    if (n > 0 && s->rate_micro == 0 && s->sleep_ns > 0) {
        i128 micro = (i128)n * 1000000 * NS_PER_S / s->sleep_ns;
        s->rate_micro = (int64_t)MIN(MAX(micro, (i128)1), (i128)RATE_MAX_MICRO);
    } else if (n > 0 && s->rate_micro > 0 && s->sleep_ns == 0) {
        i128 sleep_ns = (i128)n * 1000000 * NS_PER_S / s->rate_micro;
        s->sleep_ns = (int64_t)MIN(sleep_ns, (i128)NS_PER_HOUR);
    }
    return 0;
}

static int read_options(struct synthetic_input *s, struct error *err)
{
    const struct uri *uri = s->base.uri;
    struct replay *r = &s->replay;
    int code = fleet_read(uri, &r->fleet, err);
    code = code < 0 ? code : uri_option_duration(uri, "duration", &s->duration, err);
    code = code < 0 ? code : read_rate(s, err);
    bool live = s->duration == 0;
    s->start = live ? s->base.env->now_start : PACE_START_DEFAULT;
    code = code < 0 ? code : pace_start(uri, s->base.env, &s->start, err);
    code = code < 0 ? code : pace_init(&r->pace, uri, s->base.env, live ? 1 : 0, err);
    r->pace.interval = s->sleep_ns;
    return code < 0 ? code : pace_check_end(&r->pace, uri, s->start, s->duration, err);
}

static void name_all(struct synthetic_input *s)
{
    const struct workload *w = &s->workload;
    for (uint32_t i = 0; i < w->n_models; i++) {
        s->models[i] = intern_id(s->replay.names, str_of(w->models[i].name));
    }
    s->tenants = x_array(w->n_tenants, sizeof(s->tenants[0]));
    for (uint32_t i = 0; i < w->n_tenants; i++) {
        s->tenants[i] = intern_id(s->replay.names, str_of(w->tenants[i].name));
    }
}

// Several producers of one deployment, told apart by their HOSTNAME only, simulate as many
// clusters.
static void name_hosts(struct synthetic_input *s)
{
    struct str given = setting(&s->base, "host", "HOSTNAME");
    bool usable = given.n > 0 && given.n <= FLEET_HOST_MAX && utf8_valid(given);
    if (s->duration == 0 && usable) {
        s->replay.fleet.host = given;
    }
}

static void start_simulation(struct synthetic_input *s)
{
    struct replay *r = &s->replay;
    const struct workload *w = &s->workload;
    r->speeds = x_array(w->n_models, sizeof(r->speeds[0]));
    for (uint32_t i = 0; i < w->n_models; i++) {
        r->speeds[i] = w->models[i].speed;
    }
    r->at_least = s->start + s->duration;
    r->serve = serve_new(&(struct serve_config){
        .gpu = r->fleet.gpu,
        .n_gpus = r->fleet.n_gpus,
        .speeds = r->speeds,
        .n_models = w->n_models,
        .places = r->places,
        .n_places = r->n_places,
        .epoch = s->start,
        .every = r->fleet.every,
    });
}

static void describe(struct synthetic_input *s)
{
    struct input_info *info = &s->base.info;
    const struct workload *w = &s->workload;
    const struct fleet *f = &s->replay.fleet;
    const int64_t parts[] = {s->start, w->rate_micro, s->duration};
    uint64_t fingerprint = hash_str(s->base.uri->text, hash_bytes(parts, sizeof(parts), 0));
    fingerprint = hash_str(f->host, fingerprint);
    *info = (struct input_info){
        .name = s->base.uri->text.p,
        .finite = s->duration > 0,
        .fingerprint = fingerprint ? fingerprint : 1,
        .total = -1,
    };
    struct buf rate;
    buf_init(&rate, ERROR_MSG_MAX);
    decimal_format_short(&rate, w->rate_micro / 10000, 2);
    snprintf(info->about, sizeof(info->about),
             "a made-up load of %s requests/s, %u models, %u tenants on %u simulated %s", rate.p,
             w->n_models, w->n_tenants, f->n_gpus, f->gpu->name);
    buf_done(&rate);
    origin_init(&s->replay.origin, STR("synthetic"), info->fingerprint);
}

static void synthetic_close(struct input *in)
{
    struct synthetic_input *s = (struct synthetic_input *)in;
    replay_done(&s->replay);
    workload_done(&s->workload);
    free(s->tenants);
    free(s);
}

static int set_up(struct synthetic_input *s, struct error *err)
{
    struct replay *r = &s->replay;
    if (s->base.uri->path.n > 0) {
        return error_set(err, -EINVAL, "synthetic: takes no path, only options: synthetic:?rate=5");
    }
    int code = read_options(s, err);
    code = code < 0
               ? code
               : workload_init(&s->workload, s->base.uri, &r->fleet, &r->places, &r->n_places, err);
    if (code < 0) {
        return code;
    }
    name_hosts(s);
    name_all(s);
    workload_start(&s->workload, s->rate_micro, s->start);
    start_simulation(s);
    describe(s);
    return 0;
}

static int synthetic_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                          struct error *err)
{
    struct synthetic_input *s = x_zalloc(sizeof(*s));
    s->base = (struct input){.driver = &input_synthetic, .env = env, .uri = uri};
    s->replay = (struct replay){
        .in = &s->base,
        .names = intern_new(),
        .source_name = "synthetic",
        .next = next_request,
        .ctx = s,
    };
    int r = set_up(s, err);
    if (r < 0) {
        synthetic_close(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}

static int synthetic_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    (void)offset;
    return replay_seek(&((struct synthetic_input *)in)->replay, records, err);
}

static int synthetic_next(struct input *in, struct batch *b, struct error *err)
{
    return replay_next(&((struct synthetic_input *)in)->replay, b, err);
}

static const struct input_option options[] = {
    {"duration", "TIME", "how much to make up; without it, live and without end"},
    {"rate", "N", "requests a second (default RATE, else as many as keep the GPUs busy)"},
    {"batch", "N", "requests in a delivery (default BATCH): rate is batch / sleep"},
    {"sleep", "TIME", "between two deliveries (default SLEEP_SEC, else none)"},
    {"models", "LIST", "models with weights: llama-3-70b:5,qwen3-30b:3,llama-3-8b:4"},
    {"tenants", "LIST", "names with weights, or how many (default 4)"},
    {"tp", "N", "GPUs that serve one request of a model of 60 billion parameters or more"},
    FLEET_OPTIONS,
    PACE_OPTIONS,
    {"seed", "N", "another run of the same kind (default 1)"},
    {NULL, NULL, NULL},
};

const struct input_driver input_synthetic = {
    .scheme = "synthetic",
    .synopsis = "synthetic:",
    .help = "a made-up cluster under a made-up load: reproducible, finite or live",
    .options = options,
    .open = synthetic_open,
    .seek = synthetic_seek,
    .next = synthetic_next,
    .close = synthetic_close,
};
