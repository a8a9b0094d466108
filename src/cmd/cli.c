#include "cmd/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/resolve.h"
#include "cmd/suggest.h"
#include "cmd/terminal.h"
#include "report/text.h"

enum { MESSAGE_MAX = 2048, NAMES_MAX = 64, HELP_MAX = 256 * 1024 };

static const char *prefix(const struct cli *cli)
{
    return cli->err_terminal.color ? "\x1b[31mgtap:\x1b[0m" : "gtap:";
}

// Messages quote names that come from outside.
static void print_line(struct cli *cli, const char *before, const char *text)
{
    cli_progress(cli, NULL);
    struct str clean = text_clean(&cli->arena, str_of(text));
    fprintf(cli->err, "%s " STR_FMT "\n", before, STR_ARG(clean));
}

void cli_note(struct cli *cli, const char *text)
{
    print_line(cli, "gtap:", text);
}

int cli_fail(struct cli *cli, const struct error *err)
{
    print_line(cli, prefix(cli), err->msg);
    return err->code == -EINVAL ? EXIT_WRONG_USAGE : EXIT_COULD_NOT;
}

int cli_misuse(struct cli *cli, const char *fmt, ...)
{
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    print_line(cli, prefix(cli), text);
    const char *name = cli->command ? cli->command->name : "";
    if (name[0] == '\0' || cli->command == &command_help) {
        cli_advise(cli, "See: gtap help");
    } else {
        cli_advise(cli, "See: gtap %s --help", name);
    }
    return EXIT_WRONG_USAGE;
}

void cli_advise(struct cli *cli, const char *fmt, ...)
{
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    print_line(cli, "     ", text);
}

int cli_print(struct cli *cli, struct buf *b)
{
    int status = 0;
    if (!buf_ok(b)) {
        struct error err;
        error_set(&err, -EFBIG, "the answer is larger than %zu bytes: ask for less at once",
                  b->limit);
        status = cli_fail(cli, &err);
    } else if (b->n > 0) {
        fwrite(b->p, 1, b->n, cli->out);
    }
    buf_done(b);
    return status;
}

// What to do about a store that cannot be opened, where its own words do not say.
static const char *open_advice(int code, enum store_access access)
{
    switch (code) {
    case -ENOENT:
        return "gtap run --in INPUT --out URI makes a store; --store URI names another.";
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return "Nothing was changed. Free some space and run the same command again.";
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return access == STORE_READ
                   ? "Run it as a user who may read it, or give this one leave to."
                   : "Nothing was changed. Make it writable and run the same command again.";
    default:
        return NULL;
    }
}

static void tell_migration(struct cli *cli, struct store *s)
{
    struct store_info info;
    char text[96];
    if (store_info(s, &info, NULL) == 0 && info.migrated_from >= 0) {
        snprintf(text, sizeof(text), "the store was brought from schema %d to schema %d",
                 info.migrated_from, info.schema_version);
        cli_note(cli, text);
    }
}

int cli_open(struct cli *cli, const char *uri, enum store_access access, struct store **ret)
{
    struct error err = {0};
    int r = store_open(uri, access, ret, &err);
    if (r < 0) {
        return cli_fail_store(cli, access, &err);
    }
    tell_migration(cli, *ret);
    return 0;
}

int cli_fail_store(struct cli *cli, enum store_access access, const struct error *err)
{
    int status = cli_fail(cli, err);
    const char *advice = open_advice(err->code, access);
    if (advice) {
        cli_advise(cli, "%s", advice);
    }
    return status;
}

const char *cli_store_words(struct cli *cli, const char *uri)
{
    const struct option *o;
    size_t i = 0;
    while ((o = option_at(cli->command, i)) && !(o->key && strcmp(o->key, STORE_KEY) == 0)) {
        i++;
    }
    if (!o || cli->given[i].origin != ORIGIN_COMMAND_LINE || strchr(uri, '\'')) {
        return "";
    }
    AUTO_FREE char *text = x_asprintf(" --store '%s'", option_mask(o, uri, &cli->arena));
    return arena_copy(&cli->arena, str_of(text)).p;
}

void cli_progress(struct cli *cli, const char *line)
{
    if (!cli->err_terminal.is_terminal) {
        return;
    }
    struct arena arena = {0}; // progress may go on for months
    struct str text = line ? str_of(line) : STR("");
    if (cli->err_terminal.width > 1) {
        text = text_fit(&arena, text, cli->err_terminal.width - 1);
    }
    fprintf(cli->err, "\r" STR_FMT "\x1b[K", STR_ARG(text));
    fflush(cli->err);
    arena_done(&arena);
}

// Whether it is a time zone's file (RFC 8536): the folders hold tables and other folders, too.
static bool is_zone_file(const char *path)
{
    char magic[4] = {0};
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    bool good = fread(magic, sizeof(magic), 1, f) == 1 && memcmp(magic, "TZif", 4) == 0;
    fclose(f);
    return good;
}

static bool zone_exists(const char *name)
{
    static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo"};
    bool found = false, inside = name[0] != '/' && name[0] != '.' && strstr(name, "..") == NULL;
    for (size_t i = 0; i < ARRAY_LEN(folders) && inside; i++) {
        AUTO_FREE char *path = x_asprintf("%s/%s", folders[i], name);
        found |= is_zone_file(path);
    }
    return found;
}

int cli_zone(struct cli *cli, const char *text, struct zone *ret)
{
    struct error err;
    if (strcmp(text, "local") == 0) {
        tzset();
        *ret = zone_process(STR("local time"));
        return 0;
    }
    if (zone_parse_fixed(str_of(text), ret, &err) == 0) {
        return 0;
    }
    if (!zone_exists(text)) {
        return cli_misuse(cli,
                          "--tz: '%s' is no time zone: UTC, local, +02:00 or a name such as "
                          "Europe/Berlin (these need the tzdata package)",
                          text);
    }
    setenv("TZ", text, 1);
    tzset();
    *ret = zone_process(str_of(text));
    return 0;
}

static size_t word_count(const char *name)
{
    size_t n = 1;
    for (; *name; name++) {
        n += *name == ' ';
    }
    return n;
}

static bool named_by(const struct command *c, const char *const *words, size_t n)
{
    struct str rest = str_of(c->name), word;
    for (size_t i = 0; str_split(&rest, ' ', &word); i++) {
        if (i >= n || !str_eq(word, str_of(words[i]))) {
            return false;
        }
    }
    return true;
}

const struct command *command_find(const char *const *words, size_t n, size_t *ret_used)
{
    for (size_t i = 0; commands[i]; i++) {
        if (named_by(commands[i], words, n)) {
            *ret_used = word_count(commands[i]->name);
            return commands[i];
        }
    }
    return NULL;
}

bool command_is_group(const char *word)
{
    bool found = false;
    for (size_t i = 0; commands[i]; i++) {
        found |=
            word_count(commands[i]->name) > 1 && str_eq(command_section(commands[i]), str_of(word));
    }
    return found;
}

// "prise" is near to "price", "price lst" to "price list".
int cli_unknown_command(struct cli *cli, const char *const *words, size_t n)
{
    const char *names[NAMES_MAX + 1] = {0};
    bool verb = n > 1 && command_is_group(words[0]) && words[1][0] != '-';
    AUTO_FREE char *text = x_asprintf("%s%s%s", words[0], verb ? " " : "", verb ? words[1] : "");
    for (size_t i = 0; commands[i] && i < NAMES_MAX; i++) {
        struct str name = verb ? str_of(commands[i]->name) : command_section(commands[i]);
        names[i] = arena_copy(&cli->arena, name).p;
    }
    const char *near = suggest(text, names);
    return cli_misuse(cli, "unknown command '%s'%s%s%s", text, near ? ": did you mean gtap " : "",
                      near ? near : "", near ? "?" : "");
}

// Help that was asked for is the answer; else it belongs to what went wrong.
static int show_help(struct cli *cli, struct buf *b, bool wanted)
{
    if (wanted) {
        return cli_print(cli, b);
    }
    fwrite(b->p, 1, b->n, cli->err);
    buf_done(b);
    return EXIT_WRONG_USAGE;
}

static int run_command(struct cli *cli, const struct command *c, const char *const *words, size_t n)
{
    struct error err = {0};
    AUTO_FREE void *values = x_zalloc(c->size);
    int r = resolve(cli, c, words, n, values, &err);
    const struct common *common = values;
    cli->command = c;
    cli->out_terminal = terminal_of(cli->out, common->color, cli->getenv);
    cli->err_terminal = terminal_of(cli->err, common->color, cli->getenv);
    if (cli->wants_help && r == 0) {
        struct buf b;
        buf_init(&b, HELP_MAX);
        help_command(cli, c, &b);
        return cli_print(cli, &b);
    }
    if (r < 0) {
        return r == -EINVAL ? cli_misuse(cli, "%s", err.msg) : cli_fail(cli, &err);
    }
    return c->run(cli, values);
}

// A group's name alone is no command: its help, as the answer where that was asked for.
static int run_group(struct cli *cli, const char *word, bool wanted)
{
    struct buf b;
    buf_init(&b, HELP_MAX);
    help_group(str_of(word), &b);
    return show_help(cli, &b, wanted);
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static int dispatch(struct cli *cli, const char *const *words, size_t n)
{
    size_t used;
    if (n == 0 || is_one_of(words[0], "--help", "-h")) {
        struct buf b;
        buf_init(&b, HELP_MAX);
        help_all(&b);
        return show_help(cli, &b, n > 0);
    }
    if (is_one_of(words[0], "--version", "-V")) {
        return run_command(cli, &command_version, words + 1, n - 1);
    }
    const struct command *c = command_find(words, n, &used);
    if (c != NULL) {
        return run_command(cli, c, words + used, n - used);
    }
    bool help = n > 1 && is_one_of(words[1], "--help", "-h");
    if (command_is_group(words[0]) && (n == 1 || help)) {
        return run_group(cli, words[0], help);
    }
    cli->err_terminal = terminal_of(cli->err, COLOR_AUTO, cli->getenv);
    return cli_unknown_command(cli, words, n);
}

// An answer that did not reach its reader is no answer: a full disk behind a pipe shows only here.
static int check_output(struct cli *cli, int status)
{
    if (fflush(cli->out) == 0 && !ferror(cli->out)) {
        return status;
    }
    int code = errno ? -errno : -EIO;
    struct error err;
    error_set(&err, code, "standard output: %s", error_name(code));
    bool said = code == -EPIPE || status == EXIT_COULD_NOT; // nobody listens, or was told
    return said ? EXIT_COULD_NOT : cli_fail(cli, &err);
}

int cli_main(struct cli *cli, int argc, char *const *argv)
{
    size_t n = argc > 1 ? (size_t)argc - 1 : 0;
    int status = check_output(cli, dispatch(cli, (const char *const *)argv + (argc > 0), n));
    arena_done(&cli->arena);
    return status;
}
