#include "faults.h"

#include "base/alloc.h"
#include "base/decimal.h"
#include "filter.h"
#include "json.h"

static const struct {
    const char *name;
    enum fault_kind kind;
    int code;    // what an alias stands for
    int numbers; // words behind it that are numbers
} kinds[] = {
    {"stall", FAULT_STALL, 0, 0},
    {"stall-after", FAULT_STALL_AFTER, 0, 0},
    {"slow", FAULT_SLOW, 0, 1},
    {"reset", FAULT_RESET, 0, 0},
    {"lost", FAULT_LOST, 0, 0},
    {"drop", FAULT_DROP, 0, 0},
    {"not-primary", FAULT_NOT_PRIMARY, 10107, 0},
    {"error", FAULT_ERROR, 0, 1},
    {"unauthorized", FAULT_ERROR, 13, 0},
    {"quota", FAULT_ERROR, 8000, 0},
    {"shutdown", FAULT_ERROR, 11600, 0},
    {"write-concern", FAULT_WRITE_CONCERN, 64, 0},
    {"rolled-back", FAULT_ROLLED_BACK, 64, 0},
    {"validation", FAULT_VALIDATION, 121, 0},
    {"partial", FAULT_PARTIAL, 0, 2},
};

static const char *const writes[] = {"insert", "update", "delete", "findAndModify"};

const char *fault_name(enum fault_kind kind)
{
    size_t i = 0;
    while (kinds[i].kind != kind) {
        i++;
    }
    return kinds[i].name;
}

static void fault_free(struct fault *f)
{
    free(f->field);
    free(f->value);
    free(f->on);
    free(f->collection);
    free(f);
}

void faults_clear(struct faults *f)
{
    while (f->first) {
        struct fault *gone = f->first;
        f->first = gone->next;
        fault_free(gone);
    }
}

// ---- reading a line ------------------------------------------------------------------------

static struct str next_word(struct str *words)
{
    struct str word = STR_NONE;
    *words = str_trim(*words);
    if (words->n > 0) {
        str_split(words, ' ', &word);
    }
    return word;
}

static bool next_number(struct str *words, int64_t *ret)
{
    struct str word = next_word(words);
    return str_present(word) && decimal_parse(word, 0, ret) == 0 && *ret >= 0;
}

static bool parse_kind(struct fault *f, struct str *words)
{
    struct str what = next_word(words);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(what, str_of(kinds[i].name))) {
            f->kind = kinds[i].kind;
            f->code = kinds[i].code;
            return (kinds[i].numbers < 1 || next_number(words, &f->number)) &&
                   (kinds[i].numbers < 2 || next_number(words, &f->code));
        }
    }
    return false;
}

static bool parse_validation(struct fault *f, struct str *words)
{
    struct str field = next_word(words), value = next_word(words);
    if (!str_present(value)) {
        return false;
    }
    struct buf doc;
    buf_init(&doc, DOC_MAX);
    json_value(&doc, value);
    f->field = x_strndup(field.p, field.n);
    f->value = (uint8_t *)doc.p; // the bytes are the fault's from here on
    return true;
}

static bool parse_option(struct fault *f, struct str *words)
{
    struct str key = next_word(words);
    int64_t n = 0;
    bool is_after = str_eq(key, STR("after"));
    if (is_after || str_eq(key, STR("times"))) {
        bool good = next_number(words, &n);
        *(is_after ? &f->after : &f->times) = (uint64_t)n;
        return good;
    }
    bool is_on = str_eq(key, STR("on"));
    struct str value = next_word(words);
    if (!str_present(value) || (!is_on && !str_eq(key, STR("collection")))) {
        return false;
    }
    char **to = is_on ? &f->on : &f->collection;
    free(*to);
    *to = x_strndup(value.p, value.n);
    return true;
}

static const char *parse(struct fault *f, struct str words)
{
    if (!parse_kind(f, &words)) {
        return "no such fault, or its numbers are missing";
    }
    if (f->kind == FAULT_VALIDATION && !parse_validation(f, &words)) {
        return "validation needs a field and a value";
    }
    if (f->kind == FAULT_PARTIAL && f->number == 0) {
        return "every how manyth document must be 1 or more";
    }
    f->code = f->kind == FAULT_ERROR && f->code == 0 ? f->number : f->code;
    while (str_trim(words).n > 0) {
        if (!parse_option(f, &words)) {
            return "expected times N, after N, on COMMAND or collection NAME";
        }
    }
    return NULL;
}

const struct fault *faults_add(struct faults *f, struct str words, const char **ret_why)
{
    struct fault *new = x_zalloc(sizeof(*new));
    *ret_why = parse(new, words);
    if (*ret_why) {
        fault_free(new);
        return NULL;
    }
    new->id = ++f->last_id;
    struct fault **at = &f->first;
    while (*at) {
        at = &(*at)->next;
    }
    *at = new;
    return new;
}

// ---- does it apply? ------------------------------------------------------------------------

bool ns_is(struct str ns, struct str name)
{
    struct str db, coll = ns;
    str_split(&coll, '.', &db);
    return str_eq(ns, name) || str_eq(coll, name);
}

static bool is_write(struct str command)
{
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        if (str_eq(command, str_of(writes[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_on(const struct fault *f, struct str command)
{
    struct str word, rest = str_of(f->on ? f->on : "writes");
    while (str_split(&rest, ',', &word)) {
        bool connecting = str_eq(command, STR("connect"));
        if (str_eq(word, command) || (str_eq(word, STR("any")) && !connecting) ||
            (str_eq(word, STR("writes")) && is_write(command))) {
            return true;
        }
    }
    return false;
}

static bool applies(const struct fault *f, struct str command, struct str ns)
{
    return is_on(f, command) && (!f->collection || ns_is(ns, str_of(f->collection)));
}

static bool strikes(struct fault *f)
{
    f->seen++;
    bool due = f->seen > f->after && (f->times == 0 || f->hits < f->times);
    f->hits += due;
    return due;
}

const struct fault *faults_pick(struct faults *f, struct str command, struct str ns,
                                bool *ret_documents)
{
    const struct fault *picked = NULL;
    *ret_documents = false;
    for (struct fault *i = f->first; i; i = i->next) {
        bool about_documents = i->kind >= FAULT_VALIDATION;
        i->active = false;
        if ((picked && !about_documents) || !applies(i, command, ns) || !strikes(i)) {
            continue;
        }
        if (about_documents) {
            i->active = *ret_documents = true;
        } else {
            picked = i;
        }
    }
    return picked;
}

static bool has_value(const struct fault *f, struct doc d)
{
    struct value have = path_get(d, str_of(f->field));
    struct value want = doc_get(doc_at(f->value, read_u32(f->value)), "v");
    return have.type != BSON_NONE && value_cmp(have, want) == 0;
}

int faults_refuse(const struct faults *f, struct doc d, size_t i)
{
    for (const struct fault *at = f->first; at; at = at->next) {
        if (!at->active) {
            continue;
        }
        if (at->kind == FAULT_VALIDATION ? has_value(at, d) : (i + 1) % (size_t)at->number == 0) {
            return (int)at->code;
        }
    }
    return 0;
}
