#include "cmd/docs.h"
#include "input/input_impl.h"

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '<') {
            buf_char(b, '\\');
        }
        buf_char(b, *text == '\n' ? ' ' : *text);
    }
}

static void put_option(struct buf *b, const struct command *c, const struct option *o,
                       struct arena *a)
{
    buf_printf(b, "| `--%s%s%s`", o->name, o->type == OPTION_FLAG ? "" : " ",
               o->type == OPTION_FLAG ? "" : o->value);
    if (o->letter) {
        buf_printf(b, ", `-%c`", o->letter);
    }
    buf_cstr(b, " | ");
    put_escaped(b, o->help);
    buf_cstr(b, " | ");
    if (o->fallback) {
        buf_printf(b, "`%s`", o->fallback);
    }
    buf_cstr(b, " | ");
    if (o->key) {
        buf_printf(b, "`%s`", o->key);
    }
    buf_cstr(b, " | ");
    docs_env(b, c, o, a);
    buf_cstr(b, " |\n");
}

static void put_options(struct buf *b, const struct command *c, const struct option *list,
                        struct arena *a)
{
    buf_cstr(b, "| option | | default | key | environment |\n|-|-|-|-|-|\n");
    for (const struct option *o = list; o->name; o++) {
        put_option(b, c, o, a);
    }
    buf_char(b, '\n');
}

static void put_command(struct buf *b, const struct command *c, struct arena *a)
{
    buf_printf(b, "## gtap %s\n\n", c->name);
    put_escaped(b, c->summary);
    buf_cstr(b, ".\n\n    ");
    docs_usage(b, c);
    buf_cstr(b, "\n\n");
    if (c->about) {
        buf_printf(b, "%s\n\n", c->about);
    }
    if (c->options && c->options[0].name) {
        put_options(b, c, c->options, a);
    }
    if (c->examples) {
        struct str rest = str_of(c->examples), line;
        while (str_split(&rest, '\n', &line)) {
            buf_printf(b, "    " STR_FMT "\n", STR_ARG(line));
        }
        buf_char(b, '\n');
    }
}

static void put_input_options(struct buf *b, const struct input_option *options)
{
    if (options[0].name == NULL) {
        return;
    }
    buf_cstr(b, "| option | |\n|-|-|\n");
    for (const struct input_option *o = options; o->name; o++) {
        buf_printf(b, "| `%s=%s` | ", o->name, o->value);
        put_escaped(b, o->help);
        buf_cstr(b, " |\n");
    }
    buf_char(b, '\n');
}

// Inputs that share their options share the table, behind the last of them.
static void put_inputs(struct buf *b)
{
    buf_cstr(b, "## Inputs\n\nAn input is a URI: `scheme:rest?option=value&option=value`.\n\n");
    for (size_t i = 0; input_drivers[i]; i++) {
        const struct input_driver *d = input_drivers[i];
        buf_printf(b, "### `%s`\n\n", d->synopsis);
        put_escaped(b, d->help);
        buf_cstr(b, ".\n\n");
        if (!docs_shares_options(d, input_drivers[i + 1])) {
            put_input_options(b, d->options);
        }
    }
}

static const char intro[] =
    "<!-- Made by `gtap docs markdown`; edit the tables in src/cmd instead. -->\n"
    "# Commands\n\n"
    "stdout is the answer, stderr the rest. `--json` wherever something is printed. Exit status: 0 "
    "fine,\n1 the answer is no, 2 wrong usage, 3 could not run.\n\n"
    "## Configuration\n\n"
    "Command line goes before environment, environment before the configuration file "
    "(`" CONFIG_PATH_DEFAULT "`,\n`--config FILE` or `GTAP_CONFIG`), that before the default; "
    "`gtap config` prints what is in force and\nwhere it came from. The file is INI: sections are "
    "commands (`[run]`, `[report]`, `[price]`, ...), and\n`[gtap]` for keys that mean the same "
    "everywhere (store, tz, color). A key that can be given several\ntimes has a line for each; in "
    "the environment its values are separated by blanks. What may hold a\npassword can also come "
    "from a file: put its path into the variable with `_FILE` at its end. An empty\nvariable "
    "counts as not set. `--no-NAME` says no to a flag that the file or environment has set.\n\n"
    "    [gtap]\n"
    "    store = sqlite:/var/lib/gtap/gtap.db\n\n"
    "    [run]\n"
    "    in = file:/var/spool/gtap/events.ndjson?follow=1\n"
    "    price = 2.95\n\n"
    "Every command has these options:\n\n";

void docs_markdown(struct buf *b, struct arena *a)
{
    buf_cstr(b, intro);
    put_options(b, commands[0], common_options, a);
    for (size_t i = 0; commands[i]; i++) {
        put_command(b, commands[i], a);
    }
    put_inputs(b);
    while (b->n > 1 && b->p[b->n - 2] == '\n') {
        b->n--;
    }
}
