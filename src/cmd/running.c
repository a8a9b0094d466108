#include "cmd/running.h"

#include <unistd.h>

#include "cmd/run_status.h"
#include "cmd/stop.h"
#include "report/json.h"

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

static int run_with_listeners(struct cli *cli, struct run_config *c, const struct run_options *o)
{
    struct listeners to;
    struct run_progress done = {.newest = INT64_MIN, .frontier = INT64_MIN};
    struct error err = {0};
    int exit_status = serving_open(&to.serving, cli, o->serving, c->inputs, c->n_inputs, c->output);
    if (exit_status != 0) {
        return exit_status;
    }
    if (c->wait_for_store) {
        exit_status = serving_start(&to.serving);
    } else {
        c->env.http = to.serving.server;
    }
    if (exit_status != 0) {
        serving_close(&to.serving);
        return exit_status;
    }
    run_status_init(&to.status, cli, c->output);
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

int run_and_report(struct cli *cli, struct run_config *c, const struct run_options *o)
{
    struct error err;
    c->env.clock = cli->clock;
    c->env.now_start = cli_now(cli);
    c->env.getenv = cli->getenv;
    if (stop_on_signals(&c->env.stop_fd, &err) < 0) {
        return cli_fail(cli, &err);
    }
    int status = run_with_listeners(cli, c, o);
    close(c->env.stop_fd);
    return status;
}
