#include "cmd/config_check.h"

#include <errno.h>

#include "cmd/command.h"
#include "cmd/suggest.h"

enum { NAMES_MAX = 256 };

struct names {
    const char *list[NAMES_MAX + 1];
    size_t n;
};

static bool add_name(struct names *names, struct str name, struct arena *a)
{
    for (size_t i = 0; i < names->n; i++) {
        if (str_eq(name, str_of(names->list[i]))) {
            return false;
        }
    }
    if (names->n < NAMES_MAX) {
        names->list[names->n++] = arena_copy(a, name).p;
    }
    return true;
}

static bool has_keys(const struct command *c)
{
    for (const struct option *o = c->options; o && o->name; o++) {
        if (o->key) {
            return true;
        }
    }
    return false;
}

static void list_sections(struct names *names, struct arena *a)
{
    add_name(names, STR("gtap"), a);
    for (size_t i = 0; commands[i]; i++) {
        if (has_keys(commands[i])) {
            add_name(names, command_section(commands[i]), a);
        }
    }
}

// [gtap] has the shared keys of all commands.
static void list_keys(struct names *names, struct str section, struct arena *a)
{
    bool all = str_eq(section, STR("gtap"));
    for (size_t i = 0; commands[i]; i++) {
        if (!all && !str_eq(command_section(commands[i]), section)) {
            continue;
        }
        const struct option *o;
        for (size_t k = 0; (o = option_at(commands[i], k)) != NULL; k++) {
            if (o->key && (o->shared || !all)) {
                add_name(names, str_of(o->key), a);
            }
        }
    }
}

static bool known(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int check_entry(const struct config_file *f, const struct config_entry *e, struct arena *a,
                       struct error *err)
{
    struct names sections = {0}, keys = {0};
    list_sections(&sections, a);
    if (!known(&sections, e->section)) {
        const char *near = suggest(e->section, sections.list);
        return error_set(err, -EINVAL, "%s:%d: unknown section [%s]%s%s%s", f->path, e->line,
                         e->section, near ? ": did you mean [" : "", near ? near : "",
                         near ? "]?" : "");
    }
    list_keys(&keys, str_of(e->section), a);
    if (!known(&keys, e->key)) {
        const char *near = suggest(e->key, keys.list);
        return error_set(err, -EINVAL, "%s:%d: unknown key '%s' in [%s]%s%s%s", f->path, e->line,
                         e->key, e->section, near ? ": did you mean " : "", near ? near : "",
                         near ? "?" : "");
    }
    return 0;
}

int config_check(const struct config_file *f, struct arena *a, struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < f->n && r == 0; i++) {
        r = check_entry(f, &f->entries[i], a, err);
    }
    return r;
}
