#include "cmd/config_file.h"

#include <errno.h>
#include <ini.h>

#include "base/alloc.h"
#include "cmd/read_file.h"

// What inih's callbacks work on. It does not hand line numbers out, so they are counted where it
// asks for lines: one call is one line, as none is longer than its buffer.
struct parse {
    struct str rest;
    struct arena *arena;
    struct config_entry *entries;
    size_t n, cap;
    int line;
    int too_long; // line, 0: none
};

static char *next_line(char *to, int room, void *stream)
{
    struct parse *p = stream;
    struct str line;
    if (p->rest.n == 0 || !str_split(&p->rest, '\n', &line)) {
        return NULL;
    }
    p->line++;
    if (line.n + 2 > (size_t)room) {
        p->too_long = p->too_long ? p->too_long : p->line;
        line.n = 0;
    }
    memcpy(to, line.p, line.n);
    to[line.n] = '\n';
    to[line.n + 1] = '\0';
    return to;
}

static int add_entry(void *user, const char *section, const char *key, const char *value)
{
    struct parse *p = user;
    ARRAY_RESERVE(p->entries, p->n, p->cap);
    p->entries[p->n++] = (struct config_entry){
        .section = arena_copy(p->arena, str_of(section)).p,
        .key = arena_copy(p->arena, str_of(key)).p,
        .value = arena_copy(p->arena, str_of(value)).p,
        .line = p->line,
    };
    return 1;
}

static int fault(const struct parse *p, int ini_result, const char *path, struct error *err)
{
    if (p->too_long > 0) {
        return error_set(err, -EINVAL, "%s:%d: the line is longer than %d bytes", path, p->too_long,
                         CONFIG_LINE_MAX - 2);
    }
    if (ini_result > 0) {
        return error_set(err, -EINVAL, "%s:%d: must be [section], key = value or # comment", path,
                         ini_result);
    }
    return 0;
}

int config_parse(struct str text, const char *path, struct arena *a, struct config_file *ret,
                 struct error *err)
{
    if (text.n > CONFIG_BYTES_MAX || memchr(text.p, '\0', text.n) != NULL) {
        return error_set(err, -EINVAL, "%s: is no configuration file", path);
    }
    ini_use_stack = false;
    ini_max_line = CONFIG_LINE_MAX;
    ini_initial_alloc = CONFIG_LINE_MAX;
    struct parse p = {.rest = text, .arena = a};
    int r = fault(&p, ini_parse_stream(next_line, &p, add_entry, &p), path, err);
    struct config_entry *entries = arena_alloc(a, (p.n + 1) * sizeof(*entries));
    if (p.n > 0) {
        memcpy(entries, p.entries, p.n * sizeof(*entries));
    }
    x_freep(&p.entries);
    *ret = (struct config_file){.path = path, .present = true, .entries = entries, .n = p.n};
    return r;
}

int config_read(const char *path, bool required, struct arena *a, struct config_file *ret,
                struct error *err)
{
    struct str text;
    *ret = (struct config_file){.path = path};
    int r = read_file(path, CONFIG_BYTES_MAX, a, &text, err);
    if (r == -ENOENT && !required) {
        return 0;
    }
    return r < 0 ? r : config_parse(text, path, a, ret, err);
}
