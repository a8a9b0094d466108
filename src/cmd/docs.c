#include "cmd/docs.h"

#include <string.h>

#include "cmd/cli.h"
#include "input/input_impl.h"

enum { DOCS_MAX = 4 << 20 };

static const struct form {
    const char *name;
    void (*write)(struct buf *b, struct arena *a);
} forms[] = {
    {"markdown", docs_markdown}, {"man", docs_man},   {"bash", docs_bash},
    {"zsh", docs_zsh},           {"fish", docs_fish},
};

// The same, for completions.
static const char *const form_names[] = {"markdown", "man", "bash", "zsh", "fish", NULL};

void docs_usage(struct buf *b, const struct command *c)
{
    buf_printf(b, "gtap %s", c->name);
    if (c->args && c->args[0]) {
        buf_printf(b, " %s", c->args);
    }
    buf_cstr(b, " [options]");
}

bool docs_first_of_section(size_t i)
{
    return i == 0 || !str_eq(command_section(commands[i - 1]), command_section(commands[i]));
}

bool docs_shares_options(const struct input_driver *d, const struct input_driver *next)
{
    return next != NULL && next->options == d->options;
}

void docs_env(struct buf *b, const struct command *c, const struct option *o, struct arena *a)
{
    const char *name;
    for (size_t k = 0; (name = option_env(o, command_section(c), k, a)) != NULL; k++) {
        buf_printf(b, "%s%s", k > 0 ? ", " : "", name);
    }
}

static int run(struct cli *cli, const void *given)
{
    (void)given;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (strcmp(cli->args[0], forms[i].name) == 0) {
            struct buf b;
            buf_init(&b, DOCS_MAX);
            forms[i].write(&b, &cli->arena);
            return cli_print(cli, &b);
        }
    }
    return cli_misuse(cli, "there is no form '%s': choose from markdown, man, bash, zsh, fish",
                      cli->args[0]);
}

const struct command command_docs = {
    .name = "docs",
    .args = "FORM",
    .choices = form_names,
    .summary = "this documentation as markdown or man page, or completions for a shell",
    .about = "FORM is markdown, man, bash, zsh or fish. Everything is made from the tables the "
             "program itself\nworks by.",
    .examples = "gtap docs bash > /usr/share/bash-completion/completions/gtap\n"
                "gtap docs man | man -l -",
    .size = sizeof(struct common),
    .least_args = 1,
    .most_args = 1,
    .run = run,
};
