// `gtap health`: the health check of images, units and scripts, where there is no shell and no
// curl.
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "cmd/shared_options.h"
#include "cmd/stop.h"
#include "input/fetch.h"
#include "top/api_problem.h"

#define HEALTH_URL "http://127.0.0.1:8080/health"
#define SLICE_NS (200 * NS_PER_MS)

struct options {
    struct common common;
    const char *url, *token_file, *ca_file;
    int64_t timeout;
};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    {.name = "url",
     .type = OPTION_TEXT,
     .offset = AT(url),
     .value = "URL",
     .help = "as the argument, for the variable: what the image's health check asks",
     .fallback = HEALTH_URL,
     .key = "url"},
    {.name = "timeout",
     .letter = 't',
     .type = OPTION_DURATION,
     .offset = AT(timeout),
     .value = "DURATION",
     .help = "how long the whole answer may take",
     .fallback = "3s",
     .key = "timeout"},
    OPTIONS_ASKING(struct options,
                   "the bearer token that URL asks for; /health and /ready ask for none"),
    {0},
};

static bool told_to_stop(int stop_fd)
{
    struct pollfd p = {.fd = stop_fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

// One GET. 0, or a negative errno with a message.
static int get(struct cli *cli, const struct fetch_config *c, int stop_fd, struct buf *page,
               struct error *err)
{
    struct input_env env = {.clock = cli->clock, .stop_fd = stop_fd};
    void *fetch = NULL;
    int r = fetch_curl.open(c, &fetch, err);
    if (r < 0) {
        return r;
    }
    do {
        r = fetch_curl.run(fetch, &env, SLICE_NS, page, err);
        if (r == FETCH_GOING && told_to_stop(stop_fd)) {
            r = error_set(err, -ECANCELED, "%s: told to stop", c->url);
        }
    } while (r == FETCH_GOING);
    fetch_curl.close(fetch);
    return MIN(r, 0);
}

// What is said of a server that is not well: the one line that `docker inspect` shows.
static int unhealthy(struct cli *cli, const char *url, int r, const struct buf *page,
                     const struct error *err)
{
    char detail[ERROR_MSG_MAX];
    struct error said = *err;
    if (r == -EACCES) {
        (void)error_set(&said, r, "%s: does not let us in: see --api-token-file", url);
    } else if (top_api_problem(buf_view(page), detail, sizeof(detail))) {
        (void)error_set(&said, r, "%s: %s", err->msg, detail);
    }
    (void)cli_fail(cli, &said);
    return EXIT_ANSWER_NO;
}

static int check(struct cli *cli, const struct options *o, const char *url, int stop_fd)
{
    const struct fetch_config c = {.url = url,
                                   .auth_file = o->token_file,
                                   .ca_file = o->ca_file,
                                   .timeout_ns = o->timeout,
                                   .any_success = true};
    struct error err = {0};
    struct buf page, answer;
    buf_init(&page, FETCH_PAGE_MAX);
    int status = 0, r = get(cli, &c, stop_fd, &page, &err);
    if (r == -EOPNOTSUPP) { // libcurl is missing: that says nothing of the server
        status = cli_fail(cli, &err);
    } else if (r < 0) {
        status = unhealthy(cli, url, r, &page, &err);
    } else {
        buf_init(&answer, ERROR_MSG_MAX + 64);
        buf_printf(&answer, "%s: ok\n", url);
        status = cli_print(cli, &answer);
    }
    buf_done(&page);
    return status;
}

// An address, and not with a password for all who list processes.
static bool is_address(struct str url)
{
    struct str rest = url, scheme;
    bool good = url.n < ERROR_MSG_MAX && str_split(&rest, ':', &scheme) &&
                (str_eq(scheme, STR("http")) || str_eq(scheme, STR("https"))) &&
                str_starts(rest, STR("//")) && rest.n > 2 && rest.p[2] != '/';
    for (size_t i = 0; good && i < rest.n; i++) {
        good = rest.p[i] > ' ' && rest.p[i] < 127 && rest.p[i] != '@';
    }
    return good;
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    const char *url = cli->n_args > 0 ? cli->args[0] : o->url;
    struct error err = {0};
    int stop_fd;
    if (!is_address(str_of(url))) {
        return cli_misuse(cli, "'%s' is no address: expected http://HOST:PORT/health", url);
    }
    if (o->timeout < NS_PER_MS) {
        return cli_misuse(cli, "--timeout: must be 1ms or more");
    }
    if (stop_on_signals(&stop_fd, &err) < 0) {
        return cli_fail(cli, &err);
    }
    int status = check(cli, o, url, stop_fd);
    close(stop_fd);
    return status;
}

const struct command command_health = {
    .name = "health",
    .args = "[URL]",
    .summary = "ask a gtap that serves whether it is well",
    .about =
        "GETs URL, by default " HEALTH_URL
        ", once. Exit status 0: the answer\nwas a success (2xx); 1: another answer, none in "
        "time, or nobody there, and why. For health checks of\ncontainers, which need neither "
        "a shell nor curl for it; /ready instead of /health asks whether records\ncan come in.",
    .examples = "gtap health\n"
                "gtap health http://127.0.0.1:8080/ready --timeout 1s\n"
                "gtap health https://gpu-gateway:8443/health --tls-ca ca.pem",
    .options = options,
    .size = sizeof(struct options),
    .most_args = 1,
    .run = run,
};
