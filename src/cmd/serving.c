#include "cmd/serving.h"

#include "cmd/stop.h"

enum { TOLD_MAX = 512 };
static const char stopping[] = "STOPPING=1";

// An input with routes of its own on the main listener.
static bool is_sent_to(const char *uri)
{
    static const char *const schemes[] = {"http:", "otlp:"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(uri, schemes[i], n) == 0 && (uri[n] == '\0' || uri[n] == '?')) {
            return true;
        }
    }
    return false;
}

static bool serves(const struct serving_options *o, const char *const *inputs, size_t n)
{
    bool any = o->listen != NULL;
    for (size_t i = 0; i < n; i++) {
        any |= is_sent_to(inputs[i]);
    }
    return any;
}

int serving_open(struct serving *s, struct cli *cli, const struct serving_options *o,
                 const char *const *inputs, size_t n_inputs, const char *output)
{
    struct error err;
    struct http_config http = {
        .address = o->listen ? o->listen : LISTEN_DEFAULT,
        .token_file = o->token_file,
        .cert_file = o->cert_file,
        .key_file = o->key_file,
        .cors_origins = o->cors_origins,
        .requests_per_s = (unsigned)o->requests_per_s,
    };
    struct api_config api = {
        .store = output, .serving_only = o->only, .version = GTAP_VERSION, .clock = cli->clock};
    *s = (struct serving){.cli = cli};
    int r = http_server_new(&http, &s->server, &err);
    if (r == 0 && serves(o, inputs, n_inputs)) {
        r = api_new(&api, s->server, &s->api, &err);
    }
    notifier_init(&s->notifier, cli->getenv);
    stop_tells(s->notifier.fd, stopping);
    if (r < 0) {
        serving_close(s);
        return cli_fail(cli, &err);
    }
    return 0;
}

void serving_close(struct serving *s)
{
    stop_tells(-1, NULL);
    notifier_tell(&s->notifier, stopping); // once more, or for an end that no signal asked for
    notifier_done(&s->notifier);
    api_free(s->api);
    http_server_free(s->server);
    *s = (struct serving){.notifier = {.fd = -1}};
}

static void announce(struct serving *s)
{
    char text[TOLD_MAX];
    const char *url = http_server_url(s->server);
    s->announced = true;
    if (*url) {
        snprintf(text, sizeof(text), "serving at %s%s", url,
                 s->api ? " (/metrics, /ready, /api/v1)" : "");
        cli_note(s->cli, text);
    }
}

int serving_start(struct serving *s)
{
    struct error err;
    if (http_server_start(s->server, &err) < 0) {
        return cli_fail(s->cli, &err);
    }
    announce(s);
    return 0;
}

static void reload(struct serving *s)
{
    struct error err;
    notifier_tell(&s->notifier, "RELOADING=1");
    int r = http_server_reload(s->server, &err);
    cli_note(s->cli, r < 0 ? err.msg : "read the token and the certificates again");
    notifier_tell(&s->notifier, "READY=1");
}

void serving_progress(struct serving *s, const struct run_progress *p, const char *status)
{
    char text[TOLD_MAX];
    if (s->api) {
        api_progress(s->api, p);
    }
    if (!s->announced) {
        announce(s);
    }
    if (!s->notifier.ready) {
        s->notifier.ready = true;
        notifier_tell(&s->notifier, "READY=1");
    }
    if (stop_reload_asked()) {
        reload(s);
    }
    snprintf(text, sizeof(text), "STATUS=%s", status);
    notifier_tell(&s->notifier, text);
    notifier_alive(&s->notifier, clock_mono(s->cli->clock));
}
