// Help is made from the tables, so that it cannot be out of date.
#include "cmd/cli.h"
#include "cmd/docs.h"

enum { HELP_COLUMN = 30, WORDS_MOST = 2, HELP_MAX = 256 * 1024 };

static void pad_to(struct buf *b, size_t line_start, size_t column)
{
    size_t used = b->n - line_start;
    if (used >= column) {
        buf_char(b, '\n');
        used = 0;
    }
    for (; used < column; used++) {
        buf_char(b, ' ');
    }
}

static void put_option(struct buf *b, const struct option *o)
{
    size_t start = b->n;
    if (o->letter) {
        buf_printf(b, "  -%c, --%s", o->letter, o->name);
    } else {
        buf_printf(b, "      --%s", o->name);
    }
    if (o->type != OPTION_FLAG) {
        buf_printf(b, " %s", o->value);
    }
    pad_to(b, start, HELP_COLUMN);
    buf_cstr(b, o->help);
    if (o->fallback && o->type != OPTION_FLAG) {
        buf_printf(b, " (default %s)", o->fallback);
    }
    buf_char(b, '\n');
}

// "command # what for" lines, as a shell would take them.
static void put_examples(struct buf *b, const char *examples)
{
    struct str rest = str_of(examples), line;
    buf_cstr(b, "\nexamples:\n");
    while (str_split(&rest, '\n', &line)) {
        buf_printf(b, "  " STR_FMT "\n", STR_ARG(line));
    }
}

void help_command(struct cli *cli, const struct command *c, struct buf *b)
{
    (void)cli;
    buf_printf(b, "gtap %s: %s\n\nusage: ", c->name, c->summary);
    docs_usage(b, c);
    buf_char(b, '\n');
    if (c->about) {
        buf_printf(b, "\n%s\n", c->about);
    }
    const struct option *o;
    buf_cstr(b, "\noptions:\n");
    for (size_t i = 0; (o = option_at(c, i)) != NULL; i++) {
        put_option(b, o);
    }
    if (c->examples) {
        put_examples(b, c->examples);
    }
}

void help_all(struct buf *b)
{
    buf_cstr(b, "gtap meters what LLM tokens cost on your own GPUs, exactly.\n\n"
                "usage: gtap COMMAND [options]\n\n"
                "commands:\n");
    for (size_t i = 0; commands[i]; i++) {
        size_t start = b->n;
        buf_printf(b, "  %s", commands[i]->name);
        pad_to(b, start, HELP_COLUMN / 2);
        buf_printf(b, "%s\n", commands[i]->summary);
    }
    buf_cstr(b, "\nHelp on one: gtap help COMMAND\n"
                "Start here:  gtap run --in file:events.ndjson --out " STORE_DEFAULT
                " --until-end && gtap report\n");
}

static int run(struct cli *cli, const void *given)
{
    (void)given;
    struct buf b;
    char *words[WORDS_MOST];
    size_t used;
    for (size_t i = 0; i < cli->n_args; i++) {
        // Copied: a command line's words are not const.
        struct str copy = str_of(cli->args[i]);
        char *p = arena_alloc(&cli->arena, copy.n + 1);
        memcpy(p, copy.p, copy.n + 1);
        words[i] = p;
    }
    buf_init(&b, HELP_MAX);
    if (cli->n_args == 0) {
        help_all(&b);
        return cli_print(cli, &b);
    }
    const struct command *c = command_find(words, cli->n_args, &used);
    if (c == NULL || used != cli->n_args) {
        return cli_misuse(cli, "there is no command '%s%s%s': gtap help lists them", words[0],
                          cli->n_args > 1 ? " " : "", cli->n_args > 1 ? words[1] : "");
    }
    help_command(cli, c, &b);
    return cli_print(cli, &b);
}

const struct command command_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "help on a command",
    .size = sizeof(struct common),
    .most_args = WORDS_MOST,
    .run = run,
};
