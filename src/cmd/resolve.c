#include "cmd/resolve.h"

#include <errno.h>

#include "cmd/config_check.h"
#include "cmd/read_file.h"
#include "cmd/suggest.h"

enum { SECRET_FILE_MAX = 64 * 1024, NAMES_MAX = 96 };

const struct option common_options[] = {
    {.name = "config",
     .letter = 'c',
     .type = OPTION_TEXT,
     .offset = offsetof(struct common, config),
     .value = "FILE",
     .help = "configuration file (default " CONFIG_PATH_DEFAULT ", where it is)",
     .env = "GTAP_CONFIG"},
    {.name = "color",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct common, color),
     .value = "WHEN",
     .help = "colour: auto, always or never; auto heeds NO_COLOR",
     .fallback = "auto",
     .key = "color",
     .shared = true,
     .choices = (const char *const[]){"auto", "always", "never", NULL}},
    {.name = "help", .letter = 'h', .type = OPTION_FLAG, .help = "this help"},
    {0},
};

size_t option_count(const struct command *c)
{
    size_t n = 0;
    while (option_at(c, n)) {
        n++;
    }
    return n;
}

const struct option *option_at(const struct command *c, size_t i)
{
    for (const struct option *o = c->options; o && o->name; o++) {
        if (i-- == 0) {
            return o;
        }
    }
    for (const struct option *o = common_options; o->name; o++) {
        if (i-- == 0) {
            return o;
        }
    }
    return NULL;
}

struct str command_section(const struct command *c)
{
    struct str name = str_of(c->name), first = name;
    (void)str_split(&name, ' ', &first);
    return first;
}

static size_t find_option(const struct command *c, struct str name)
{
    size_t i = 0;
    for (const struct option *o; (o = option_at(c, i)) != NULL; i++) {
        if (str_eq(name, str_of(o->name))) {
            break;
        }
    }
    return i;
}

const struct given *option_given(const struct cli *cli, const char *name)
{
    return &cli->given[find_option(cli->command, str_of(name))];
}

static size_t find_letter(const struct command *c, char letter)
{
    size_t i = 0;
    for (const struct option *o; (o = option_at(c, i)) != NULL && o->letter != letter; i++) {
    }
    return i;
}

// The reading of one command line.
struct reading {
    struct cli *cli;
    const struct command *command;
    size_t n_options;
    const char *const *words;
    size_t n, at;
    struct error *err;
};

static int unknown_option(const struct reading *r, const char *word, struct str name)
{
    const char *names[NAMES_MAX + 1] = {0};
    for (size_t i = 0; i < r->n_options && i < NAMES_MAX; i++) {
        names[i] = option_at(r->command, i)->name;
    }
    const char *near = suggest(arena_copy(&r->cli->arena, name).p, names);
    return error_set(r->err, -EINVAL, "unknown option '%s'%s%s%s", word,
                     near ? ": did you mean --" : "", near ? near : "", near ? "?" : "");
}

// The room for texts is a power of two, so that thousands of them cost no more than they take.
static void give(struct cli *cli, size_t i, enum origin origin, const char *where, const char *text)
{
    struct given *g = &cli->given[i];
    size_t n = g->texts.n;
    const char **items = g->texts.items;
    if ((n & (n - 1)) == 0) {
        items = arena_alloc(&cli->arena, (n > 0 ? 2 * n : 1) * sizeof(*items));
        if (n > 0) {
            memcpy(items, g->texts.items, n * sizeof(*items));
        }
    }
    items[n] = text;
    *g = (struct given){origin, where, {items, n + 1}};
}

// The last one counts, but of a list all do.
static void give_word(struct reading *r, size_t i, const char *text)
{
    const struct option *o = option_at(r->command, i);
    if (o->type != OPTION_LIST) {
        r->cli->given[i].texts.n = 0;
    }
    struct buf where;
    buf_init(&where, NAMES_MAX);
    buf_printf(&where, "--%s", o->name);
    give(r->cli, i, ORIGIN_COMMAND_LINE, arena_copy(&r->cli->arena, buf_view(&where)).p, text);
    buf_done(&where);
    r->cli->wants_help |= strcmp(o->name, "help") == 0;
}

// The value of option i: what followed '=' (or a letter), else the next word.
static int take_value(struct reading *r, size_t i, const char *attached)
{
    const struct option *o = option_at(r->command, i);
    if (attached == NULL && o->type == OPTION_FLAG) {
        attached = "yes";
    }
    if (attached == NULL && r->at >= r->n) {
        return error_set(r->err, -EINVAL, "--%s needs a value: --%s %s", o->name, o->name,
                         o->value);
    }
    give_word(r, i, attached ? attached : r->words[r->at++]);
    return 0;
}

static int read_long(struct reading *r, const char *word)
{
    struct str rest = str_of(word + 2), name = rest;
    (void)str_split(&rest, '=', &name);
    size_t i = find_option(r->command, name);
    if (i < r->n_options) {
        return take_value(r, i, rest.p);
    }
    struct str no = STR("no-");
    if (str_starts(name, no) && !str_present(rest)) {
        i = find_option(r->command, (struct str){name.p + no.n, name.n - no.n});
        if (i < r->n_options && option_at(r->command, i)->type == OPTION_FLAG) {
            give_word(r, i, "no");
            return 0;
        }
    }
    return unknown_option(r, word, name);
}

static int read_letter(struct reading *r, const char *word)
{
    size_t i = find_letter(r->command, word[1]);
    if (i >= r->n_options) {
        return unknown_option(r, word, str_of(word + 1));
    }
    bool flag = option_at(r->command, i)->type == OPTION_FLAG;
    if (flag && word[2] != '\0') {
        return unknown_option(r, word, str_of(word + 1));
    }
    return take_value(r, i, word[2] != '\0' ? word + 2 : NULL);
}

static int read_words(struct reading *r)
{
    struct cli *cli = r->cli;
    bool only_args = false;
    cli->args = arena_alloc(&cli->arena, (r->n + 1) * sizeof(*cli->args));
    cli->n_args = 0;
    while (r->at < r->n) {
        const char *word = r->words[r->at++];
        int result = 0;
        if (only_args || word[0] != '-' || word[1] == '\0') {
            cli->args[cli->n_args++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_args = true;
        } else {
            result = word[1] == '-' ? read_long(r, word) : read_letter(r, word);
        }
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

static int check_args(const struct cli *cli, const struct command *c, struct error *err)
{
    if (cli->n_args > c->most_args) {
        return error_set(err, -EINVAL, "unexpected argument '%s'", cli->args[c->most_args]);
    }
    if (cli->n_args < c->least_args) {
        return error_set(err, -EINVAL, "expected %s", c->args);
    }
    return 0;
}

// A list in a variable is separated by white space.
static void give_env(struct cli *cli, size_t i, const struct option *o, const char *where,
                     const char *text)
{
    struct str rest = str_of(text), item;
    if (o->type != OPTION_LIST) {
        give(cli, i, ORIGIN_ENVIRONMENT, where, text);
        return;
    }
    while (str_split(&rest, ' ', &item)) {
        if (item.n > 0) {
            give(cli, i, ORIGIN_ENVIRONMENT, where, arena_copy(&cli->arena, item).p);
        }
    }
}

static int find_secret_file(struct cli *cli, size_t i, const char *name, struct error *err)
{
    struct buf var;
    buf_init(&var, NAMES_MAX);
    buf_printf(&var, "%s_FILE", name);
    const char *where = arena_copy(&cli->arena, buf_view(&var)).p;
    buf_done(&var);
    const char *path = cli->getenv(where);
    struct str text;
    if (path == NULL || path[0] == '\0') {
        return 0;
    }
    int r = read_file(path, SECRET_FILE_MAX, &cli->arena, &text, err);
    if (r == 0) {
        give(cli, i, ORIGIN_ENVIRONMENT, where, arena_copy(&cli->arena, str_trim(text)).p);
    }
    return r < 0 ? error_prefix(err, "%s", where) : 0;
}

// An empty variable is as good as none: that is how deployment tools say "not set".
static int find_env(struct cli *cli, const struct command *c, size_t i, struct error *err)
{
    const struct option *o = option_at(c, i);
    const char *name;
    for (size_t k = 0; (name = option_env(o, command_section(c), k, &cli->arena)) != NULL; k++) {
        const char *text = cli->getenv(name);
        if (text != NULL && text[0] != '\0') {
            give_env(cli, i, o, name, text);
            return 0;
        }
        int r = o->secrecy != OPTION_PUBLIC ? find_secret_file(cli, i, name, err) : 0;
        if (r < 0 || cli->given[i].origin == ORIGIN_ENVIRONMENT) {
            return r;
        }
    }
    return 0;
}

static int find_in_section(struct cli *cli, size_t i, const struct option *o, struct str section,
                           struct error *err)
{
    for (size_t k = 0; k < cli->file.n; k++) {
        const struct config_entry *e = &cli->file.entries[k];
        if (!str_eq(str_of(e->section), section) || strcmp(e->key, o->key) != 0) {
            continue;
        }
        struct buf where;
        buf_init(&where, ERROR_MSG_MAX);
        buf_printf(&where, "%s:%d", cli->file.path, e->line);
        const char *place = arena_copy(&cli->arena, buf_view(&where)).p;
        buf_done(&where);
        if (cli->given[i].texts.n > 0 && o->type != OPTION_LIST) {
            return error_set(err, -EINVAL, "%s: %s is given a second time", place, e->key);
        }
        give(cli, i, ORIGIN_FILE, place, e->value);
    }
    return 0;
}

// The command's own section goes before [gtap].
static int find_in_file(struct cli *cli, const struct command *c, size_t i, struct error *err)
{
    const struct option *o = option_at(c, i);
    struct str sections[] = {command_section(c), STR("gtap")};
    size_t n_sections = o->shared ? 2 : 1;
    int r = 0;
    for (size_t s = 0; s < n_sections && cli->given[i].texts.n == 0 && r == 0; s++) {
        r = o->key ? find_in_section(cli, i, o, sections[s], err) : 0;
    }
    return r;
}

static int find_value(struct cli *cli, const struct command *c, size_t i, struct error *err)
{
    const struct option *o = option_at(c, i);
    int r = find_env(cli, c, i, err);
    if (r == 0 && cli->given[i].texts.n == 0) {
        r = find_in_file(cli, c, i, err);
    }
    if (r == 0 && cli->given[i].texts.n == 0 && o->fallback) {
        give(cli, i, ORIGIN_DEFAULT, NULL, o->fallback);
    }
    return r;
}

static int parse_value(struct cli *cli, const struct command *c, size_t i, void *values,
                       struct error *err)
{
    const struct option *o = option_at(c, i);
    const struct given *g = &cli->given[i];
    if (strcmp(o->name, "help") == 0) {
        return 0;
    }
    for (size_t k = 0; k < g->texts.n; k++) {
        if (option_parse(o, g->texts.items[k], values, &cli->arena, err) < 0) {
            const char *key = g->origin == ORIGIN_FILE ? o->key : NULL;
            return error_prefix(err, "%s%s%s", g->where ? g->where : o->name, key ? ": " : "",
                                key ? key : "");
        }
    }
    return 0;
}

static int find_file(struct cli *cli, const struct command *c, struct error *err)
{
    size_t i = find_option(c, STR("config"));
    int r = cli->given[i].texts.n == 0 ? find_env(cli, c, i, err) : 0;
    if (r < 0) {
        return r;
    }
    const struct given *g = &cli->given[i];
    const char *path = g->texts.n > 0 ? g->texts.items[0] : CONFIG_PATH_DEFAULT;
    return config_read(path, g->texts.n > 0, &cli->arena, &cli->file, err);
}

int resolve(struct cli *cli, const struct command *command, const char *const *words, size_t n,
            void *values, struct error *err)
{
    size_t n_options = option_count(command);
    struct reading reading = {cli, command, n_options, words, n, 0, err};
    cli->command = command;
    cli->given = arena_alloc(&cli->arena, n_options * sizeof(*cli->given));
    memset(cli->given, 0, n_options * sizeof(*cli->given));
    int r = read_words(&reading);
    if (r < 0 || cli->wants_help) {
        return r;
    }
    r = check_args(cli, command, err);
    r = r < 0 ? r : find_file(cli, command, err);
    r = r < 0 ? r : config_check(&cli->file, &cli->arena, err);
    for (size_t i = 0; i < n_options && r == 0; i++) {
        if (cli->given[i].texts.n == 0) {
            r = find_value(cli, command, i, err);
        }
        r = r < 0 ? r : parse_value(cli, command, i, values, err);
    }
    return r;
}
