#include "base/alloc.h"
#include "cmd/cli.h"
#include "cmd/resolve.h"
#include "report/json.h"
#include "report/table.h"

enum { ANSWER_MAX = 4 << 20, VALUE_MAX = 64 * 1024 };

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

// What is written while the commands are gone through.
struct listing {
    struct cli *cli;
    struct str only; // a command's name or what several begin with; absent: all
    struct json json;
    struct table table;
    struct buf value; // scratch
    bool as_json;
};

static const char *const origin_names[] = {
    [ORIGIN_DEFAULT] = "default",
    [ORIGIN_FILE] = "file",
    [ORIGIN_ENVIRONMENT] = "environment",
    [ORIGIN_COMMAND_LINE] = "command line",
};

// A flag that nobody has set says no.
static void put_value(struct listing *l, const struct option *o, const struct given *g)
{
    buf_clear(&l->value);
    if (g->texts.n == 0 && o->type == OPTION_FLAG) {
        buf_cstr(&l->value, "no");
    }
    for (size_t i = 0; i < g->texts.n; i++) {
        buf_cstr(&l->value, i > 0 ? " " : "");
        buf_cstr(&l->value, option_mask(o, g->texts.items[i], &l->cli->arena));
    }
}

static void put_json(struct listing *l, const struct option *o, const struct given *g)
{
    json_open(&l->json, o->key ? o->key : o->name, '{');
    json_str(&l->json, "value", l->value.n > 0 || g->texts.n > 0 ? buf_view(&l->value) : STR_NONE);
    json_str(&l->json, "origin", str_of(origin_names[g->origin]));
    json_str(&l->json, "where", str_of(g->where));
    json_close(&l->json, '}');
}

static void put_row(struct listing *l, const struct command *c, const struct option *o,
                    const struct given *g)
{
    struct buf from;
    buf_init(&from, VALUE_MAX);
    buf_cstr(&from, g->where ? g->where : origin_names[g->origin]);
    buf_cstr(&from, g->origin == ORIGIN_ENVIRONMENT ? " (environment)" : "");
    table_row(&l->table);
    table_set(&l->table, 0, str_of(c->name));
    table_set(&l->table, 1, str_of(o->key ? o->key : o->name));
    table_set(&l->table, 2, l->value.n > 0 ? buf_view(&l->value) : STR("-"));
    table_set_buf(&l->table, 3, &from);
    buf_done(&from);
}

static bool configurable(const struct command *c)
{
    for (const struct option *o = c->options; o && o->name; o++) {
        if (o->key) {
            return true;
        }
    }
    return false;
}

// Resolves the command's options as a run of it would, in a cli of its own.
static int list_command(struct listing *l, const struct command *c, const char *file)
{
    struct cli inner = {.getenv = l->cli->getenv, .clock = l->cli->clock, .arena = {0}};
    struct command any = *c;
    struct error err = {0};
    AUTO_FREE char *word = file ? x_asprintf("--config=%s", file) : NULL;
    AUTO_FREE void *values = x_zalloc(c->size);
    any.least_args = 0;
    int r = resolve(&inner, &any, (const char *const *)&word, file != NULL, values, &err);
    const struct option *o;
    if (l->as_json && r == 0) {
        json_open(&l->json, c->name, '{');
    }
    for (size_t i = 0; r == 0 && (o = option_at(c, i)) != NULL; i++) {
        if (o->key == NULL) {
            continue;
        }
        put_value(l, o, &inner.given[i]);
        if (l->as_json) {
            put_json(l, o, &inner.given[i]);
        } else {
            put_row(l, c, o, &inner.given[i]);
        }
    }
    if (l->as_json && r == 0) {
        json_close(&l->json, '}');
    }
    arena_done(&inner.arena);
    return r < 0 ? cli_fail(l->cli, &err) : 0;
}

static bool wanted(const struct listing *l, const struct command *c)
{
    if (!str_present(l->only)) {
        return configurable(c);
    }
    return str_eq(l->only, str_of(c->name)) || str_eq(l->only, command_section(c));
}

static int list_all(struct listing *l, const char *file)
{
    int status = 0;
    for (size_t i = 0; commands[i] && status == 0; i++) {
        if (wanted(l, commands[i])) {
            status = list_command(l, commands[i], file);
        }
    }
    return status;
}

static void put_file(struct listing *l, struct buf *b)
{
    const struct config_file *f = &l->cli->file;
    if (l->as_json) {
        json_str(&l->json, "file", str_of(f->path));
        json_bool(&l->json, "file_is_there", f->present);
    } else {
        buf_printf(b, "configuration file: %s%s\n\n", f->path, f->present ? "" : " (not there)");
    }
}

static int list(struct listing *l, const char *file, struct buf *b)
{
    if (l->as_json) {
        json_open(&l->json, NULL, '{');
        put_file(l, b);
        json_open(&l->json, "commands", '{');
        int status = list_all(l, file);
        json_close(&l->json, '}');
        json_close(&l->json, '}');
        buf_char(b, '\n');
        return status;
    }
    put_file(l, b);
    table_init(&l->table, &l->cli->arena);
    table_column(&l->table, "command", TABLE_LEFT, 0);
    table_column(&l->table, "key", TABLE_LEFT, 0);
    table_column(&l->table, "value", TABLE_LEFT, 0);
    table_column(&l->table, "from", TABLE_LEFT, 0);
    int status = list_all(l, file);
    struct table_style style = {l->cli->out_terminal.width, l->cli->out_terminal.color};
    table_write(&l->table, &style, b);
    table_done(&l->table);
    return status;
}

// Sets `only` to the command that the arguments name. 0 or an exit status.
static int find_only(struct cli *cli, struct str *only)
{
    size_t used;
    const struct command *c = command_find(cli->args, cli->n_args, &used);
    if (c != NULL && used == cli->n_args) {
        *only = str_of(c->name);
    } else if (cli->n_args == 1 && command_is_group(cli->args[0])) {
        *only = str_of(cli->args[0]);
    } else if (cli->n_args > 0) {
        return cli_unknown_command(cli, cli->args, cli->n_args);
    }
    return 0;
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct listing l = {.cli = cli, .as_json = o->json};
    struct buf b;
    int status = find_only(cli, &l.only);
    if (status != 0) {
        return status;
    }
    buf_init(&b, ANSWER_MAX);
    buf_init(&l.value, VALUE_MAX);
    l.json.b = &b;
    status = list(&l, o->common.config, &b);
    if (status != 0) {
        buf_clear(&b);
    }
    buf_done(&l.value);
    int printed = cli_print(cli, &b);
    return status ? status : printed;
}

const struct command command_config = {
    .name = "config",
    .args = "[COMMAND]",
    .summary = "the settings in force, and where each came from",
    .about =
        "Command line goes before environment, environment before the configuration file, that "
        "before the\ndefault. Secrets are masked.",
    .examples = "gtap config run\n"
                "gtap config --config ./gtap.conf --json",
    .options = options,
    .size = sizeof(struct options),
    .most_args = 2, // "price add"
    .run = run,
};
