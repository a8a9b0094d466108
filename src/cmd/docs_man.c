// man(7) source: gtap(1).
#include "cmd/docs.h"
#include "input/input_impl.h"

// When the page last changed in more than what the tables say: a page of today's date would differ
// with every build.
#define MAN_DATE "2026-11-26"

// Text that roff shall take as it stands.
static void put(struct buf *b, struct str s)
{
    bool line_start = true;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (line_start && (c == '.' || c == '\'')) {
            buf_cstr(b, "\\&");
        }
        if (c == '\\') {
            buf_cstr(b, "\\e");
        } else if (c == '-') {
            buf_cstr(b, "\\-");
        } else {
            buf_char(b, c);
        }
        line_start = c == '\n';
    }
}

static void put_cstr(struct buf *b, const char *z)
{
    put(b, str_of(z));
}

static void put_option(struct buf *b, const struct command *c, const struct option *o,
                       struct arena *a)
{
    buf_cstr(b, ".TP\n");
    if (o->letter) {
        buf_printf(b, "\\fB\\-%c\\fR, ", o->letter);
    }
    buf_cstr(b, "\\fB\\-\\-");
    put_cstr(b, o->name);
    buf_cstr(b, "\\fR");
    if (o->type != OPTION_FLAG) {
        buf_cstr(b, " \\fI");
        put_cstr(b, o->value);
        buf_cstr(b, "\\fR");
    }
    buf_char(b, '\n');
    put_cstr(b, o->help);
    if (o->fallback) {
        buf_cstr(b, " (default ");
        put_cstr(b, o->fallback);
        buf_char(b, ')');
    }
    buf_cstr(b, ".\n");
    if (option_env(o, command_section(c), 0, a)) {
        buf_cstr(b, "Environment: ");
        docs_env(b, c, o, a);
        buf_cstr(b, ".\n");
    }
}

static void put_examples(struct buf *b, const char *examples)
{
    buf_cstr(b, ".PP\n.nf\n");
    put_cstr(b, examples);
    buf_cstr(b, "\n.fi\n");
}

static void put_command(struct buf *b, const struct command *c, struct arena *a)
{
    buf_cstr(b, ".SS ");
    docs_usage(b, c);
    buf_char(b, '\n');
    put_cstr(b, c->summary);
    buf_cstr(b, ".\n");
    if (c->about) {
        buf_cstr(b, ".PP\n");
        put_cstr(b, c->about);
        buf_char(b, '\n');
    }
    for (const struct option *o = c->options; o && o->name; o++) {
        put_option(b, c, o, a);
    }
    if (c->examples) {
        put_examples(b, c->examples);
    }
}

static void put_input_options(struct buf *b, const struct input_option *options)
{
    for (const struct input_option *o = options; o->name; o++) {
        buf_cstr(b, ".TP\n\\fB");
        put_cstr(b, o->name);
        buf_cstr(b, "\\fR=\\fI");
        put_cstr(b, o->value);
        buf_cstr(b, "\\fR\n");
        put_cstr(b, o->help);
        buf_cstr(b, ".\n");
    }
}

static void put_inputs(struct buf *b)
{
    buf_cstr(b, ".SH INPUTS\n");
    for (size_t i = 0; input_drivers[i]; i++) {
        const struct input_driver *d = input_drivers[i];
        buf_cstr(b, ".SS ");
        put_cstr(b, d->synopsis);
        buf_char(b, '\n');
        put_cstr(b, d->help);
        buf_cstr(b, ".\n");
        if (!docs_shares_options(d, input_drivers[i + 1])) {
            put_input_options(b, d->options);
        }
    }
}

static const char head[] =
    ".TH GTAP 1 " MAN_DATE " \"gtap " GTAP_VERSION "\"\n"
    ".SH NAME\ngtap \\- meter what LLM tokens cost on your own GPUs, exactly\n"
    ".SH SYNOPSIS\n\\fBgtap\\fR \\fICOMMAND\\fR [\\fIoptions\\fR]\n"
    ".SH DESCRIPTION\n"
    "gtap reads samples of GPUs and records of requests, shares the price of every GPU out over "
    "the\n"
    "requests that ran on it, and stores both. Requests, idle and unattributed time add up to the\n"
    "bill, to the billionth of a dollar.\n"
    ".PP\n"
    "The answer goes to standard output, everything else to standard error.\n"
    ".SH OPTIONS OF EVERY COMMAND\n";

static const char tail[] =
    ".SH CONFIGURATION\n"
    "The command line goes before the environment, that before the configuration file, that "
    "before\n"
    "the default; \\fBgtap config\\fR prints what is in force and where it came from.\n"
    "The file is INI: a section for each command, and \\fB[gtap]\\fR for keys that mean the same "
    "to\n"
    "all. A variable with \\fB_FILE\\fR at its end names a file that holds what may be secret.\n"
    ".SH EXIT STATUS\n"
    ".TP\n\\fB0\\fR\nfine\n"
    ".TP\n\\fB1\\fR\nthe answer is no: \\fBgtap verify\\fR found rows that differ\n"
    ".TP\n\\fB2\\fR\nwrong usage\n"
    ".TP\n\\fB3\\fR\ncould not run\n"
    ".SH FILES\n"
    ".TP\n" CONFIG_PATH_DEFAULT "\nthe configuration file, where no other is named\n";

void docs_man(struct buf *b, struct arena *a)
{
    buf_cstr(b, head);
    for (const struct option *o = common_options; o->name; o++) {
        put_option(b, commands[0], o, a);
    }
    buf_cstr(b, ".SH COMMANDS\n");
    for (size_t i = 0; commands[i]; i++) {
        put_command(b, commands[i], a);
    }
    put_inputs(b);
    buf_cstr(b, tail);
}
