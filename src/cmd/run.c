#include <string.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "cmd/run_status.h"
#include "cmd/serving.h"
#include "cmd/shared_options.h"
#include "cmd/stop.h"
#include "pipeline/run.h"
#include "report/json.h"

#define COMMIT_INTERVAL_NS NS_PER_S

struct options {
    struct common common;
    struct text_list in;
    const char *store, *weights;
    bool until_end, json;
    int64_t price, window, max_gap, gpu_timeout, horizon, shards;
    int64_t retain_raw, retain_windows, retain_dead;
    int method;
    struct serving_options serving;
};

// In the order of enum cost_method.
static const char *const methods[] = {"weighted", "equal", NULL};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    {.name = "in",
     .letter = 'i',
     .type = OPTION_LIST,
     .offset = AT(in),
     .value = "URI",
     .help = "where records come from; may be given several times",
     .key = "in",
     .secrecy = OPTION_URI_SECRET},
    {.name = "out",
     .letter = 'o',
     .type = OPTION_TEXT,
     .offset = AT(store),
     .value = "URI",
     .help = "the store, or null: or stdout: to pass records through",
     .fallback = STORE_DEFAULT,
     .key = STORE_KEY,
     .shared = true,
     .secrecy = OPTION_URI_SECRET},
    {.name = "until-end",
     .type = OPTION_FLAG,
     .offset = AT(until_end),
     .help = "stop when the finite inputs are exhausted and everything is final",
     .key = "until-end"},
    {.name = "price",
     .type = OPTION_MONEY,
     .offset = AT(price),
     .value = "USD_PER_HOUR",
     .help = "of a GPU that neither its samples nor the price book name a price for",
     .fallback = "none",
     .key = "price",
     .env = "PRICE_PER_HOUR_USD"},
    {.name = "weights",
     .type = OPTION_TEXT,
     .offset = AT(weights),
     .value = "IN:OUT",
     .help = "what an input token weighs beside an output token",
     .fallback = "1:4",
     .key = "weights"},
    {.name = "method",
     .type = OPTION_CHOICE,
     .offset = AT(method),
     .value = "METHOD",
     .help = "how requests share a GPU: weighted by tokens, or equal parts",
     .fallback = "weighted",
     .key = "method",
     .choices = methods},
    {.name = "window",
     .type = OPTION_DURATION,
     .offset = AT(window),
     .value = "DURATION",
     .help = "length of a cost window; divides an hour",
     .fallback = "60s",
     .key = "window"},
    {.name = "max-gap",
     .type = OPTION_DURATION,
     .offset = AT(max_gap),
     .value = "DURATION",
     .help = "samples further apart leave a gap without telemetry",
     .fallback = "30s",
     .key = "max-gap"},
    {.name = "gpu-timeout",
     .type = OPTION_DURATION,
     .offset = AT(gpu_timeout),
     .value = "DURATION",
     .help = "a GPU unheard of for longer is not billed",
     .fallback = "5m",
     .key = "gpu-timeout"},
    {.name = "horizon",
     .type = OPTION_DURATION,
     .offset = AT(horizon),
     .value = "DURATION",
     .help = "how long after its end a window becomes final",
     .fallback = "5m",
     .key = "horizon"},
    {.name = "shards",
     .type = OPTION_INT,
     .offset = AT(shards),
     .value = "N",
     .help = "engines to spread the hosts over; fixed once records are stored; 0: as stored",
     .fallback = "0",
     .key = "shards",
     .most = 4096},
    {.name = "retain-raw",
     .type = OPTION_DURATION,
     .offset = AT(retain_raw),
     .value = "DURATION",
     .help = "keep raw records this long; 0 keeps them",
     .fallback = "0s",
     .key = "retain-raw"},
    {.name = "retain-windows",
     .type = OPTION_DURATION,
     .offset = AT(retain_windows),
     .value = "DURATION",
     .help = "keep cost windows this long (hours and days stay); 0 keeps them",
     .fallback = "0s",
     .key = "retain-windows"},
    {.name = "retain-dead",
     .type = OPTION_DURATION,
     .offset = AT(retain_dead),
     .value = "DURATION",
     .help = "keep dead letters this long; 0 keeps them",
     .fallback = "0s",
     .key = "retain-dead"},
    {.name = "listen",
     .type = OPTION_TEXT,
     .offset = AT(serving.listen),
     .value = "ADDRESS:PORT",
     .help = "serve /metrics, /ready, /health and /gpu/info there; with the inputs http: and otlp: "
             "127.0.0.1:8080 without being told",
     .key = "listen"},
    {.name = "api-token-file",
     .type = OPTION_TEXT,
     .offset = AT(serving.token_file),
     .value = "FILE",
     .help = "ask those who send records in for the bearer token in this file; without one only "
             "this host may",
     .key = "api-token-file",
     .env = "GTAP_API_TOKEN_FILE"},
    {.name = "tls-cert",
     .type = OPTION_TEXT,
     .offset = AT(serving.cert_file),
     .value = "FILE",
     .help = "serve TLS with this certificate chain (PEM)",
     .key = "tls-cert"},
    {.name = "tls-key",
     .type = OPTION_TEXT,
     .offset = AT(serving.key_file),
     .value = "FILE",
     .help = "and its key",
     .key = "tls-key"},
    {.name = "request-rate",
     .type = OPTION_INT,
     .offset = AT(serving.requests_per_s),
     .value = "N",
     .help = "POSTs a second that one address may make; 0: no limit",
     .fallback = "0",
     .key = "request-rate",
     .most = 1000000},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = AT(json),
     .help = "at the end, print what was done as JSON"},
    {0},
};

static bool is_given(const struct cli *cli, const char *name)
{
    return option_given(cli, name)->origin != ORIGIN_DEFAULT;
}

// What the store was told last: options that are not given keep it. A store that is not there or
// cannot be read tells nothing here; run_pipeline says why.
static struct settings stored_settings(struct cli *cli, const char *uri)
{
    AUTO_STORE struct store *store = NULL;
    struct settings_history history = {0};
    struct error err;
    if (store_open(uri, STORE_READ, &store, &err) < 0 ||
        store_settings(store, &cli->arena, &history, &err) < 0 || history.n == 0) {
        return settings_default;
    }
    return history.epochs[history.n - 1];
}

static int set_settings(struct cli *cli, const struct options *o, struct run_config *c)
{
    struct settings s = stored_settings(cli, o->store);
    const struct {
        const char *name;
        int64_t value, *at;
    } numbers[] = {
        {"price", o->price, &s.default_price_nusd},
        {"window", o->window, &s.window_ns},
        {"max-gap", o->max_gap, &s.max_gap_ns},
        {"gpu-timeout", o->gpu_timeout, &s.gpu_timeout_ns},
        {"horizon", o->horizon, &s.horizon_ns},
    };
    struct error err;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (is_given(cli, numbers[i].name)) {
            *numbers[i].at = numbers[i].value;
            c->settings_given = true;
        }
    }
    if (is_given(cli, "method")) {
        s.method = (enum cost_method)o->method;
        c->settings_given = true;
    }
    if (is_given(cli, "weights")) {
        if (weights_parse(str_of(o->weights), &s.weight_in, &s.weight_out) < 0) {
            return cli_misuse(cli, "--weights: must be IN:OUT such as 1:4, not '%s'", o->weights);
        }
        c->settings_given = true;
    }
    c->settings = s;
    return settings_check(&s, &err) < 0 ? cli_misuse(cli, "--%s", err.msg) : 0;
}

static void print_json(struct cli *cli, const struct run_progress *p)
{
    struct buf b;
    buf_init(&b, 4096);
    struct json j = {.b = &b};
    json_open(&j, NULL, '{');
    json_int(&j, "records", (i128)p->records);
    json_int(&j, "requests", (i128)p->usages);
    json_int(&j, "samples", (i128)p->samples);
    json_int(&j, "tokens", (i128)p->tokens);
    json_int(&j, "duplicates", (i128)p->duplicates);
    json_int(&j, "conflicts", (i128)p->conflicts);
    json_int(&j, "expired", (i128)p->expired);
    json_int(&j, "dead_letters", (i128)p->dead_letters);
    json_int(&j, "late", (i128)p->late);
    json_int(&j, "unplaced", (i128)p->unplaced);
    if (p->frontier == INT64_MIN) {
        json_null(&j, "final_until");
    } else {
        json_time(&j, "final_until", p->frontier);
    }
    json_close(&j, '}');
    buf_char(&b, '\n');
    (void)cli_print(cli, &b);
}

// Who is told how the run goes.
struct listeners {
    struct run_status status;
    struct serving serving;
};

static void tell_progress(void *ctx, const struct run_progress *p)
{
    struct listeners *l = ctx;
    struct buf line;
    buf_init(&line, STATUS_LINE_MAX);
    run_status_progress(&l->status, p, &line);
    serving_progress(&l->serving, p, buf_view(&line).p);
    buf_done(&line);
}

static void tell_notice(void *ctx, const char *text)
{
    struct listeners *l = ctx;
    run_status_notice(&l->status, text);
}

static int run_and_report(struct cli *cli, const struct options *o, struct run_config *c)
{
    struct listeners to;
    struct run_progress done = {.newest = INT64_MIN, .frontier = INT64_MIN};
    struct error err = {0};
    int exit_status = serving_open(&to.serving, cli, &o->serving, &o->in, o->store);
    if (exit_status != 0) {
        return exit_status;
    }
    run_status_init(&to.status, cli, o->store);
    c->env.http = to.serving.server;
    c->progress = tell_progress;
    c->notice = tell_notice;
    c->ctx = &to;
    int r = run_pipeline(c, &done, &err);
    serving_close(&to.serving);
    if (r < 0) {
        exit_status = run_status_failure(&to.status, &done, &err);
    } else {
        run_status_summary(&to.status, &done);
    }
    if (o->json) {
        print_json(cli, &done);
    }
    run_status_done(&to.status);
    return exit_status;
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct error err = {0};
    if (o->in.n == 0) {
        return cli_misuse(cli, "there is no input: gtap run --in URI");
    }
    struct run_config c = {
        .inputs = o->in.items,
        .n_inputs = o->in.n,
        .output = o->store,
        .shards = (uint32_t)o->shards,
        .until_end = o->until_end,
        .commit_interval_ns = COMMIT_INTERVAL_NS,
        .retain_ns = {[STORE_GPU_METRICS] = o->retain_raw,
                      [STORE_TOKEN_USAGE] = o->retain_raw,
                      [STORE_COST_WINDOWS] = o->retain_windows,
                      [STORE_DEAD_LETTERS] = o->retain_dead},
        .env = {.clock = cli->clock,
                .now_start = cli_now(cli),
                .stop_fd = -1,
                .getenv = cli->getenv},
    };
    int status = set_settings(cli, o, &c);
    if (status != 0) {
        return status;
    }
    if (stop_on_signals(&c.env.stop_fd, &err) < 0) {
        return cli_fail(cli, &err);
    }
    status = run_and_report(cli, o, &c);
    close(c.env.stop_fd);
    return status;
}

const struct command command_run = {
    .name = "run",
    .args = "",
    .summary = "meter: read records, compute costs, store both",
    .about =
        "Reads GPU samples and token usage from its inputs, shares every GPU's price out over the "
        "requests\nthat ran on it, and stores records and costs. It can be stopped at any moment, "
        "even killed: the\nsame command goes on where it stopped. Options about costs hold from "
        "then on and are kept in the\nstore; those not given stay as the store has them. SIGINT "
        "and SIGTERM end it in order, a second\none at once.",
    .examples = "gtap run --in file:day.ndjson.zst --until-end\n"
                "gtap run --in synthetic: --price 2.95          # a made-up load, to look around\n"
                "gtap run --in 'trace:azure.csv?gpus=8&price=2.5' --out sqlite:t.db --until-end",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
