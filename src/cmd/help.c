// Help is made from the tables, so that it cannot be out of date.
#include "cmd/cli.h"
#include "cmd/docs.h"

enum { HELP_COLUMN = 30, NAME_COLUMN = 16, WORDS_MOST = 2, HELP_MAX = 256 * 1024 };
enum { WIDTH_USUAL = 80, WIDTH_MOST = 100, WIDTH_LEAST = HELP_COLUMN + 20 };

// Lines under way. What belongs to a column is indented by it.
struct page {
    struct buf *b;
    size_t width;
    size_t line; // where the line at hand begins in the buffer
};

static struct page page_of(const struct cli *cli, struct buf *b)
{
    size_t width = cli->out_terminal.width ? cli->out_terminal.width : WIDTH_USUAL;
    return (struct page){b, MAX(MIN(width, (size_t)WIDTH_MOST), (size_t)WIDTH_LEAST), b->n};
}

static void end_line(struct page *p)
{
    buf_char(p->b, '\n');
    p->line = p->b->n;
}

static void pad_to(struct page *p, size_t column)
{
    if (p->b->n - p->line >= column) {
        end_line(p);
    }
    while (p->b->n - p->line < column) {
        buf_char(p->b, ' ');
    }
}

// Words from the line's position on, further lines indented. Line ends in the text are blanks.
static void put_words(struct page *p, struct str text, size_t indent)
{
    bool begun = false;
    while (text.n > 0) {
        size_t n = 0;
        while (n < text.n && text.p[n] != ' ' && text.p[n] != '\n') {
            n++;
        }
        if (begun && p->b->n - p->line + 1 + n > p->width) {
            end_line(p);
            buf_printf(p->b, "%*s", (int)indent, "");
        } else if (begun && n > 0) {
            buf_char(p->b, ' ');
        }
        buf_add(p->b, text.p, n);
        begun |= n > 0;
        text = (struct str){text.p + MIN(n + 1, text.n), text.n - MIN(n + 1, text.n)};
    }
}

static void put_option(struct page *p, const struct option *o)
{
    struct buf text;
    buf_init(&text, HELP_MAX);
    if (o->letter) {
        buf_printf(p->b, "  -%c, --%s", o->letter, o->name);
    } else {
        buf_printf(p->b, "      --%s", o->name);
    }
    if (o->type != OPTION_FLAG) {
        buf_printf(p->b, " %s", o->value);
    }
    pad_to(p, HELP_COLUMN);
    buf_cstr(&text, o->help);
    if (o->fallback && o->type != OPTION_FLAG) {
        buf_printf(&text, " (default %s)", o->fallback);
    }
    put_words(p, buf_view(&text), HELP_COLUMN);
    end_line(p);
    buf_done(&text);
}

// "command # what for" lines, as a shell would take them.
static void put_examples(struct page *p, const char *examples)
{
    struct str rest = str_of(examples), line;
    buf_cstr(p->b, "\nexamples:\n");
    while (str_split(&rest, '\n', &line)) {
        buf_printf(p->b, "  " STR_FMT "\n", STR_ARG(line));
    }
}

void help_command(struct cli *cli, const struct command *c, struct buf *b)
{
    struct page p = page_of(cli, b);
    buf_printf(b, "gtap %s: ", c->name);
    put_words(&p, str_of(c->summary), 0);
    buf_cstr(b, "\n\nusage: ");
    docs_usage(b, c);
    end_line(&p);
    if (c->about) {
        end_line(&p);
        put_words(&p, str_of(c->about), 0);
        end_line(&p);
    }
    const struct option *o;
    buf_cstr(b, "\noptions:");
    end_line(&p);
    for (size_t i = 0; (o = option_at(c, i)) != NULL; i++) {
        put_option(&p, o);
    }
    if (c->examples) {
        put_examples(&p, c->examples);
    }
}

static void put_summary(struct buf *b, const struct command *c)
{
    buf_printf(b, "  %-*s%s\n", NAME_COLUMN - 2, c->name, c->summary);
}

void help_all(struct buf *b)
{
    buf_cstr(b, "gtap meters what LLM tokens cost on your own GPUs, exactly.\n\n"
                "usage: gtap COMMAND [options]\n\n"
                "commands:\n");
    for (size_t i = 0; commands[i]; i++) {
        put_summary(b, commands[i]);
    }
    buf_cstr(b, "\nHelp on one: gtap help COMMAND\n"
                "Start here:  gtap run --in file:events.ndjson --out " STORE_DEFAULT
                " --until-end && gtap report\n");
}

void help_group(struct str section, struct buf *b)
{
    buf_printf(b, "usage: gtap " STR_FMT " COMMAND [options]\n\ncommands:\n", STR_ARG(section));
    for (size_t i = 0; commands[i]; i++) {
        if (str_eq(command_section(commands[i]), section)) {
            put_summary(b, commands[i]);
        }
    }
    buf_printf(b, "\nHelp on one: gtap help " STR_FMT " COMMAND\n", STR_ARG(section));
}

static int run(struct cli *cli, const void *given)
{
    (void)given;
    struct buf b;
    size_t used = 0;
    buf_init(&b, HELP_MAX);
    const struct command *c = command_find(cli->args, cli->n_args, &used);
    if (cli->n_args == 0) {
        help_all(&b);
    } else if (c != NULL && used == cli->n_args) {
        help_command(cli, c, &b);
    } else if (cli->n_args == 1 && command_is_group(cli->args[0])) {
        help_group(str_of(cli->args[0]), &b);
    } else if (c != NULL) {
        return cli_misuse(cli, "'gtap %s' is the whole command: unexpected argument '%s'", c->name,
                          cli->args[used]);
    } else {
        return cli_unknown_command(cli, cli->args, cli->n_args);
    }
    return cli_print(cli, &b);
}

const struct command command_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "help on a command",
    .examples = "gtap help report\n"
                "gtap help price add",
    .size = sizeof(struct common),
    .most_args = WORDS_MOST,
    .run = run,
};
