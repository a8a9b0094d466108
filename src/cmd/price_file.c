#include "cmd/price_file.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/flat_json.h"
#include "base/time.h"
#include "model/record.h"

enum { USD_SCALE = 9, COLUMNS_MAX = 32 };

enum column { COLUMN_NAME, COLUMN_PRICE, COLUMN_FROM, COLUMN_SITE, COLUMN_SOURCE, COLUMN_COUNT };

static const char *const column_names[COLUMN_COUNT] = {
    "name", "price_per_hour_usd", "effective_from", "site", "source",
};

static enum column find_column(struct str name)
{
    enum column c = 0;
    while (c < COLUMN_COUNT && !str_eq(name, str_of(column_names[c]))) {
        c++;
    }
    return c;
}

struct list {
    struct arena *arena;
    struct price_entry *entries;
    size_t n, cap;
};

static struct str filled(struct str s)
{
    return s.n > 0 ? s : STR_NONE;
}

static int add_entry(struct list *l, const struct str *values, struct error *err)
{
    struct price_entry e = {
        .name = values[COLUMN_NAME],
        .site = filled(values[COLUMN_SITE]),
        .source = filled(values[COLUMN_SOURCE]),
    };
    if (l->n >= PRICE_ENTRIES_MAX) {
        return error_set(err, -EINVAL, "is one of more than %d prices", PRICE_ENTRIES_MAX);
    }
    if (decimal_parse(values[COLUMN_PRICE], USD_SCALE, &e.price_nusd_hour) < 0) {
        return error_set(err, -EINVAL,
                         "price_per_hour_usd: must be an amount in USD, not '" STR_FMT "'",
                         STR_ARG(values[COLUMN_PRICE]));
    }
    if (time_parse_iso(values[COLUMN_FROM], &e.effective_from) < 0) {
        return error_set(err, -EINVAL,
                         "effective_from: must be a time such as 2026-11-01 or "
                         "2026-11-01T00:00:00Z, not '" STR_FMT "'",
                         STR_ARG(values[COLUMN_FROM]));
    }
    int r = price_entry_check(&e, err);
    if (r == 0) {
        ARRAY_RESERVE(l->entries, l->n, l->cap);
        l->entries[l->n++] = e;
    }
    return r;
}

static struct str drop(struct str s, size_t n)
{
    return (struct str){s.p + n, s.n - n};
}

// What stands between quotes, after the first of them; line ends may be part of it.
static int eat_quoted(struct str *s, struct arena *a, struct str *ret, int *line)
{
    size_t n = 0;
    while (n < s->n && (s->p[n] != '"' || (n + 1 < s->n && s->p[n + 1] == '"'))) {
        *line += s->p[n] == '\n';
        n += s->p[n] == '"' ? 2 : 1;
    }
    if (n >= s->n) {
        return -EINVAL;
    }
    char *out = arena_alloc(a, n + 1);
    size_t written = 0;
    for (size_t i = 0; i < n; i += s->p[i] == '"' ? 2 : 1) {
        out[written++] = s->p[i];
    }
    *ret = (struct str){out, written};
    *s = drop(*s, n + 1);
    return 0;
}

static struct str eat_plain(struct str *s)
{
    size_t n = 0;
    while (n < s->n && s->p[n] != ',' && s->p[n] != '\n') {
        n++;
    }
    struct str field = {s->p, n};
    *s = drop(*s, n);
    return str_trim(field);
}

// One field from the front of *s with what ends it, and whether that ends the record.
static int eat_field(struct str *s, struct arena *a, struct str *ret, bool *ret_last, int *line)
{
    if (s->n > 0 && s->p[0] == '"') {
        *s = drop(*s, 1);
        if (eat_quoted(s, a, ret, line) < 0 || eat_plain(s).n > 0) {
            return -EINVAL;
        }
    } else {
        *ret = eat_plain(s);
    }
    *ret_last = s->n == 0 || s->p[0] == '\n';
    *s = drop(*s, s->n > 0);
    return 0;
}

static int eat_record(struct str *s, struct arena *a, struct str *fields, size_t *ret_n, int *line,
                      struct error *err)
{
    bool last = false;
    for (*ret_n = 0; !last; (*ret_n)++) {
        if (*ret_n == COLUMNS_MAX) {
            return error_set(err, -EINVAL, "has more than %d fields", COLUMNS_MAX);
        }
        if (eat_field(s, a, &fields[*ret_n], &last, line) < 0) {
            return error_set(err, -EINVAL, "a quoted field does not end");
        }
    }
    return 0;
}

static int read_header(struct str *s, struct arena *a, enum column *columns, size_t *ret_n,
                       int *line, struct error *err)
{
    struct str fields[COLUMNS_MAX];
    bool has[COLUMN_COUNT + 1] = {false};
    int r = eat_record(s, a, fields, ret_n, line, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < *ret_n; i++) {
        columns[i] = find_column(fields[i]);
        if (columns[i] < COLUMN_COUNT && has[columns[i]]) {
            return error_set(err, -EINVAL, "the header names %s twice", column_names[columns[i]]);
        }
        has[columns[i]] = true;
    }
    for (enum column c = COLUMN_NAME; c <= COLUMN_FROM; c++) {
        if (!has[c]) {
            return error_set(err, -EINVAL, "the header names no column %s", column_names[c]);
        }
    }
    return 0;
}

static int add_record(struct list *l, const enum column *columns, size_t n_columns,
                      const struct str *fields, size_t n, struct error *err)
{
    struct str values[COLUMN_COUNT + 1] = {0};
    if (n != n_columns) {
        return error_set(err, -EINVAL, "has %zu fields, the header %zu", n, n_columns);
    }
    for (size_t i = 0; i < n; i++) {
        values[columns[i]] = fields[i];
    }
    return add_entry(l, values, err);
}

static int parse_csv(struct str s, struct list *l, int *line, struct error *err)
{
    enum column columns[COLUMNS_MAX];
    size_t n_columns, n;
    int r = read_header(&s, l->arena, columns, &n_columns, line, err);
    while (r == 0 && s.n > 0) {
        struct str fields[COLUMNS_MAX];
        int first = ++*line;
        r = eat_record(&s, l->arena, fields, &n, line, err);
        bool blank = r == 0 && n == 1 && fields[0].n == 0;
        if (r == 0 && !blank) {
            r = add_record(l, columns, n_columns, fields, n, err);
        }
        *line = r < 0 ? first : *line;
    }
    return r;
}

static int parse_object(struct str text, struct list *l, struct error *err)
{
    struct flat_json j = {.rest = text, .arena = l->arena};
    struct str name, value, values[COLUMN_COUNT + 1] = {0};
    bool has[COLUMN_COUNT + 1] = {false};
    int r;
    while ((r = flat_json_next(&j, &name, &value, err)) > 0) {
        enum column c = find_column(name);
        if (c < COLUMN_COUNT && has[c]) {
            return error_set(err, -EINVAL, "names %s twice", column_names[c]);
        }
        has[c] = true;
        values[c] = value;
    }
    return r < 0 ? r : add_entry(l, values, err);
}

static int parse_ndjson(struct str s, struct list *l, int *line, struct error *err)
{
    struct str text;
    int r = 0;
    for (*line = 0; r == 0 && str_split(&s, '\n', &text);) {
        ++*line;
        r = str_trim(text).n > 0 ? parse_object(text, l, err) : 0;
    }
    return r;
}

int price_file_parse(struct str text, struct arena *a, struct price_book *ret, struct error *err)
{
    struct list l = {.arena = a};
    int line = 1;
    struct str bom = STR("\xef\xbb\xbf");
    if (str_starts(text, bom)) {
        text = (struct str){text.p + bom.n, text.n - bom.n};
    }
    bool json = str_starts(str_trim(text), STR("{"));
    int r = json ? parse_ndjson(text, &l, &line, err) : parse_csv(text, &l, &line, err);
    if (r < 0) {
        free(l.entries);
        return error_prefix(err, "line %d", line);
    }
    struct price_entry *entries = arena_alloc(a, (l.n + 1) * sizeof(*entries));
    for (size_t i = 0; i < l.n; i++) {
        entries[i] = l.entries[i];
    }
    free(l.entries);
    *ret = (struct price_book){entries, l.n};
    return 0;
}
