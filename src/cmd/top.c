#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "cmd/metering.h"
#include "cmd/shared_options.h"
#include "cmd/stop.h"
#include "cmd/terminal.h"
#include "input/fetch.h"
#include "top/grid.h"
#include "top/top.h"

#define API_TIMEOUT_NS (10 * NS_PER_S)
#define FIRST_LOOK_NS (10 * NS_PER_S)
#define LEAST_DELAY_NS (100 * NS_PER_MS)
enum { FRAME_BYTES_MAX = 64 << 20 };

struct options {
    struct common common;
    struct text_list in;
    const char *store, *tz, *token_file, *ca_file;
    struct time_spec at;
    int window, by, basis, sort;
    int64_t delay, price, width;
    bool once, json;
};

// In the order of the enums of src/top.
static const char *const windows[] = {"1m", "5m", "1h", "24h", "today", NULL};
static const char *const groups[] = {"model/tenant", "model", "tenant", "gpu/model", NULL};
static const char *const bases[] = {"busy", "loaded", NULL};
static const char *const sorts[] = {"cost", "tokens", "requests", "rate", "name", NULL};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    OPTION_STORE(struct options, "the store to look at"),
    {.name = "in",
     .letter = 'i',
     .type = OPTION_LIST,
     .offset = AT(in),
     .value = "URI",
     .help = "meter this input in memory instead of looking at a store, as gtap run would; may be "
             "given several times",
     .secrecy = OPTION_URI_SECRET},
    {.name = "price",
     .type = OPTION_MONEY,
     .offset = AT(price),
     .value = "USD_PER_HOUR",
     .help = "with --in: of a GPU whose samples name no price",
     .fallback = "none",
     .key = "price",
     .env = "PRICE_PER_HOUR_USD"},
    {.name = "window",
     .letter = 'w',
     .type = OPTION_CHOICE,
     .offset = AT(window),
     .value = "WINDOW",
     .help = "what is added up at first: the last 1m, 5m, 1h, 24h, or today",
     .fallback = "5m",
     .key = "window",
     .choices = windows},
    {.name = "by",
     .letter = 'b',
     .type = OPTION_CHOICE,
     .offset = AT(by),
     .value = "GROUP",
     .help = "rows at first: model/tenant, model, tenant or gpu/model",
     .fallback = "model/tenant",
     .key = "by",
     .choices = groups},
    {.name = "basis",
     .type = OPTION_CHOICE,
     .offset = AT(basis),
     .value = "BASIS",
     .help = "busy: rows show what their requests cost; loaded: with their share of idle and "
             "unattributed time",
     .fallback = "busy",
     .key = "basis",
     .choices = bases},
    {.name = "sort",
     .type = OPTION_CHOICE,
     .offset = AT(sort),
     .value = "ORDER",
     .help = "cost, tokens, requests, rate or name",
     .fallback = "cost",
     .key = "sort",
     .choices = sorts},
    {.name = "delay",
     .letter = 'd',
     .type = OPTION_DURATION,
     .offset = AT(delay),
     .value = "DURATION",
     .help = "time between two looks",
     .fallback = "2s",
     .key = "delay"},
    {.name = "at",
     .type = OPTION_TIME,
     .offset = AT(at),
     .value = "TIME",
     .help = "as if it were this time (default: now)"},
    OPTION_TZ(struct options),
    {.name = "once", .type = OPTION_FLAG, .offset = AT(once), .help = "print one frame and end"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = AT(json),
     .help = "print one frame's numbers as JSON and end"},
    {.name = "width",
     .type = OPTION_INT,
     .offset = AT(width),
     .value = "COLUMNS",
     .help = "how wide a frame is printed; 0: as wide as the terminal or COLUMNS say, into a pipe "
             "as wide as it takes to cut nothing",
     .fallback = "0",
     .key = "width",
     .most = GRID_WIDTH_MAX},
    OPTIONS_ASKING(struct options, "the bearer token that the API at URL asks for"),
    {0},
};

static bool on_command_line(const struct cli *cli, const char *name)
{
    return option_given(cli, name)->origin == ORIGIN_COMMAND_LINE;
}

// One of a store, an address and inputs.
static int check_choice(struct cli *cli, const struct options *o)
{
    int given = (o->in.n > 0) + (cli->n_args > 0) + on_command_line(cli, "store");
    if (given > 1) {
        return cli_misuse(cli, "of --store, --in and URL only one can be looked at");
    }
    for (size_t i = 0; i < o->in.n; i++) {
        if (str_starts(str_of(o->in.items[i]), STR("kafka:"))) {
            return cli_misuse(cli, "--in: looking at kafka: would take its records from those who "
                                   "store them; look at the processor or its store instead");
        }
    }
    if (o->delay < LEAST_DELAY_NS) {
        return cli_misuse(cli, "--delay: must be 100ms or more");
    }
    return 0;
}

static int open_run(struct cli *cli, const struct options *o, struct top_source **ret,
                    struct error *err)
{
    struct run_config c = {
        .inputs = o->in.items,
        .n_inputs = o->in.n,
        .settings = settings_default,
        .settings_given =
            on_command_line(cli, "price") || o->price != PRICE_NONE ? SETTING_PRICE : 0,
        .env = {.clock = cli->clock, .now_start = cli_now(cli), .getenv = cli->getenv},
    };
    c.settings.default_price_nusd = o->price;
    return top_source_run(&c, "this machine, metered in memory", ret, err);
}

static int open_api(struct cli *cli, const struct options *o, int stop_fd, struct top_source **ret,
                    struct error *err)
{
    const struct top_api_config c = {
        .url = cli->args[0],
        .token_file = o->token_file,
        .ca_file = o->ca_file,
        .timeout_ns = API_TIMEOUT_NS,
        .fetch = &fetch_curl,
        .stop_fd = stop_fd,
        .clock = cli->clock,
    };
    return top_source_api(&c, ret, err);
}

static const char *store_label(struct cli *cli, const char *uri)
{
    const struct option *o;
    size_t i = 0;
    while ((o = option_at(cli->command, i)) && strcmp(o->name, "store") != 0) {
        i++;
    }
    return o ? option_mask(o, uri, &cli->arena) : uri;
}

static int open_source(struct cli *cli, const struct options *o, int stop_fd,
                       struct top_source **ret, struct error *err)
{
    if (o->in.n > 0) {
        return open_run(cli, o, ret, err);
    }
    if (cli->n_args > 0) {
        return open_api(cli, o, stop_fd, ret, err);
    }
    *ret = top_source_store(o->store, store_label(cli, o->store), cli->clock);
    return 0;
}

static size_t printed_width(const struct cli *cli, const struct options *o)
{
    size_t terminal = cli->out_terminal.width;
    return o->width > 0   ? (size_t)o->width
           : terminal > 0 ? terminal
                          : terminal_columns(cli->getenv);
}

static int print_once(struct cli *cli, const struct options *o, const struct top_config *c)
{
    struct error err = {0};
    struct buf b;
    buf_init(&b, FRAME_BYTES_MAX);
    enum top_print print = o->json ? TOP_PRINT_JSON : TOP_PRINT_TEXT;
    int64_t wait = o->in.n > 0 ? FIRST_LOOK_NS : 0;
    if (top_once(c, print, printed_width(cli, o), wait, &b, &err) < 0) {
        buf_done(&b);
        return cli->n_args == 0 && o->in.n == 0 ? cli_fail_store(cli, STORE_READ, &err)
                                                : cli_fail(cli, &err);
    }
    return cli_print(cli, &b);
}

// Whether there is a screen to keep; where there is none, one frame is all there can be.
static bool wants_screen(struct cli *cli, const struct options *o)
{
    if (o->once || o->json) {
        return false;
    }
    const char *term = cli->getenv("TERM");
    const char *why = !cli->out_terminal.is_terminal ? "standard output is no terminal"
                      : isatty(STDIN_FILENO) != 1    ? "standard input is no terminal"
                      : !term || !*term              ? "TERM does not say what terminal this is"
                      : strcmp(term, "dumb") == 0    ? "this terminal cannot place its cursor"
                                                     : NULL;
    if (why) {
        char text[160];
        snprintf(text, sizeof(text), "%s: one frame, as with --once", why);
        cli_note(cli, text);
    }
    return why == NULL;
}

static int look(struct cli *cli, const struct options *o, struct top_config *c)
{
    struct error err = {0};
    bool screen = wants_screen(cli, o);
    if (open_source(cli, o, c->stop_fd, &c->source, &err) < 0) {
        return cli_fail(cli, &err);
    }
    if (!screen) {
        return print_once(cli, o, c);
    }
    if (top_interactive(c, &err) < 0) {
        int status = cli_fail(cli, &err);
        cli_advise(cli, "--once prints one frame on any terminal.");
        return status;
    }
    return 0;
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct zone zone;
    struct error err = {0};
    int status = check_choice(cli, o);
    status = status ? status : cli_zone(cli, o->tz, &zone);
    if (status != 0) {
        return status;
    }
    struct top_config c = {
        .state = {.window = (enum top_window)o->window,
                  .group = (enum top_group)o->by,
                  .basis = (enum report_basis)o->basis,
                  .sort = (enum top_sort)o->sort},
        .zone = &zone,
        .at = time_spec_resolve(&o->at, &zone, cli_now(cli), INT64_MIN),
        .delay_ns = o->delay,
        .store = cli_store_words(cli, o->store),
        .color = cli->out_terminal.color,
        .clock = cli->clock,
    };
    if (stop_on_signals(&c.stop_fd, &err) < 0) {
        return cli_fail(cli, &err);
    }
    signal(SIGHUP, SIG_DFL); // the terminal is gone, and there is no file to read again
    status = look(cli, o, &c);
    close(c.stop_fd);
    return status;
}

const struct command command_top = {
    .name = "top",
    .args = "[URL]",
    .summary = "what GPUs and tokens cost now, on the terminal",
    .about =
        "Shows what the GPUs cost an hour, what a token costs, who spends it and what idles, and "
        "keeps it\ncurrent: from a store, from a gtap that serves at URL (http://HOST:PORT), or "
        "from inputs that are\nmetered in memory for as long as somebody looks (--in). F1 explains "
        "the keys, F9 the chosen row.\nWhere standard output is no terminal it prints one frame.",
    .examples = "gtap top\n"
                "gtap top http://gpu-gateway:8080 --window 1h\n"
                "gtap top --in nvml: --in vllm+http://localhost:8000/metrics --price 2.95\n"
                "gtap top --once --by tenant                # one frame, for a pipe\n"
                "gtap top --json | jq .usd_per_hour",
    .options = options,
    .size = sizeof(struct options),
    .most_args = 1,
    .run = run,
};
