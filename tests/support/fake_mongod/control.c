#include "control.h"

#include "base/alloc.h"
#include "json.h"

typedef enum control_act line_fn(struct server *s, struct str rest, struct buf *to);

static enum control_act answer(struct buf *to, const char *text)
{
    buf_cstr(to, text);
    buf_char(to, '\n');
    return CONTROL_NONE;
}

static enum control_act line_fail(struct server *s, struct str rest, struct buf *to)
{
    const char *why = NULL;
    const struct fault *f = faults_add(&s->faults, rest, &why);
    if (f) {
        buf_printf(to, "ok %d\n", f->id);
    } else {
        buf_printf(to, "error %s\n", why);
    }
    return CONTROL_NONE;
}

static enum control_act line_clear(struct server *s, struct str rest, struct buf *to)
{
    (void)rest;
    faults_clear(&s->faults);
    return answer(to, "ok");
}

static enum control_act line_primary(struct server *s, struct str rest, struct buf *to)
{
    (void)rest;
    s->primary = true;
    return answer(to, "ok");
}

static enum control_act line_reset(struct server *s, struct str rest, struct buf *to)
{
    (void)rest;
    server_reset(s);
    return answer(to, "ok");
}

static enum control_act line_down(struct server *s, struct str rest, struct buf *to)
{
    (void)s;
    (void)rest;
    answer(to, "ok");
    return CONTROL_DOWN;
}

static enum control_act line_up(struct server *s, struct str rest, struct buf *to)
{
    (void)s;
    (void)rest;
    answer(to, "ok");
    return CONTROL_UP;
}

static enum control_act line_quit(struct server *s, struct str rest, struct buf *to)
{
    (void)s;
    (void)rest;
    answer(to, "ok");
    return CONTROL_QUIT;
}

static enum control_act line_stats(struct server *s, struct str rest, struct buf *to)
{
    (void)rest;
    struct buf doc;
    buf_init(&doc, DOC_MAX);
    server_stats(s, &doc);
    buf_cstr(to, "ok ");
    doc_json(to, doc_of(&doc, 0));
    buf_done(&doc);
    return answer(to, "");
}

static struct coll *named_coll(const struct server *s, struct str name)
{
    struct coll *c = s->docs.colls;
    while (c && !ns_is(str_of(c->ns), name)) {
        c = c->next;
    }
    return c;
}

static enum control_act line_ids(struct server *s, struct str rest, struct buf *to)
{
    const struct coll *c = named_coll(s, rest);
    buf_printf(to, "ok %llu\n", c ? (unsigned long long)c->count : 0);
    return CONTROL_NONE;
}

static enum control_act line_has(struct server *s, struct str rest, struct buf *to)
{
    struct str name;
    struct buf id;
    str_split(&rest, ' ', &name);
    if (!str_present(rest)) {
        return answer(to, "error has needs a collection and an _id");
    }
    const struct coll *c = named_coll(s, name);
    buf_init(&id, DOC_MAX);
    json_value(&id, str_trim(rest));
    answer(to, c && coll_has(c, doc_get(doc_of(&id, 0), "v")) ? "ok 1" : "ok 0");
    buf_done(&id);
    return CONTROL_NONE;
}

static void answer_docs(struct buf *to, const struct list *l)
{
    buf_printf(to, "ok %zu\n", l->n);
    for (size_t i = 0; i < l->n; i++) {
        doc_json(to, l->v[i]);
        buf_char(to, '\n');
    }
}

static enum control_act line_find(struct server *s, struct str rest, struct buf *to)
{
    struct str name;
    struct buf filter;
    struct list l = {0};
    const char *what = "no JSON object";
    str_split(&rest, ' ', &name);
    buf_init(&filter, DOC_MAX);
    bool good = json_doc(&filter, str_present(rest) ? rest : STR("{}")) &&
                list_matches(named_coll(s, name), doc_of(&filter, 0), &l, &what);
    if (good) {
        answer_docs(to, &l);
    } else {
        buf_printf(to, "error %s\n", what);
    }
    buf_done(&filter);
    free(l.v);
    return CONTROL_NONE;
}

static const struct {
    const char *name;
    line_fn *fn;
} lines[] = {
    {"fail", line_fail}, {"clear", line_clear}, {"primary", line_primary}, {"down", line_down},
    {"up", line_up},     {"stats", line_stats}, {"ids", line_ids},         {"has", line_has},
    {"find", line_find}, {"reset", line_reset}, {"quit", line_quit},
};

enum control_act control_run(struct server *s, struct str line, struct buf *to)
{
    struct str word, rest = line;
    str_split(&rest, ' ', &word);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (str_eq(word, str_of(lines[i].name))) {
            return lines[i].fn(s, str_present(rest) ? str_trim(rest) : STR_NONE, to);
        }
    }
    return answer(to, "error no such command");
}
