#include "cmd/cli.h"
#include "report/json.h"

struct options {
    struct common common;
    bool json;
};

static const struct option options[] = {
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct options, json),
     .help = "as JSON"},
    {0},
};

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct buf b;
    buf_init(&b, 256);
    if (o->json) {
        struct json j = {.b = &b};
        json_open(&j, NULL, '{');
        json_str(&j, "version", STR(GTAP_VERSION));
        json_close(&j, '}');
        buf_char(&b, '\n');
    } else {
        buf_cstr(&b, "gtap " GTAP_VERSION "\n");
    }
    return cli_print(cli, &b);
}

const struct command command_version = {
    .name = "version",
    .args = "",
    .summary = "the version of this program",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
