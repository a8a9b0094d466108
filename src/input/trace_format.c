#include "input/trace_format.h"

#include <errno.h>
#include <strings.h>

#include "base/decimal.h"
#include "base/time.h"
#include "input/json_scan.h"
#include "model/record.h"
#include "model/token.h"

enum { QUOTED_MAX = 40 }; // of a bad value, in a message

// Azure: AzurePublicDataset, 2023 (code, conversation), 2024 and 2025 (with NumImages).
// BurstGPT: HPMLL/BurstGPT, with and without sessions. Vidur: microsoft/vidur's processed traces.
// Mooncake: kvcache-ai/Mooncake.
const struct trace_format trace_formats[] = {
    {"Azure", false, TRACE_DATE, {"TIMESTAMP", "ContextTokens", "GeneratedTokens", NULL}},
    {"BurstGPT", false, TRACE_SECONDS, {"Timestamp", "Request tokens", "Response tokens", "Model"}},
    {"Vidur",
     false,
     TRACE_SECONDS,
     {"arrived_at", "num_prefill_tokens", "num_decode_tokens", NULL}},
    {"Mooncake", true, TRACE_MILLISECONDS, {"timestamp", "input_length", "output_length", NULL}},
    {.name = NULL},
};

// Quotes around a whole field are taken off; inside of one they are more than any trace has.
static int split_csv(struct str line, struct str *fields, size_t *ret_n)
{
    size_t n = 0;
    while (str_present(line)) {
        if (n == TRACE_COLUMNS_MAX) {
            return -E2BIG;
        }
        struct str field;
        if (line.n > 0 && line.p[0] == '"') {
            const char *end = memchr(line.p + 1, '"', line.n - 1);
            size_t after = end ? (size_t)(end + 1 - line.p) : 0;
            if (end == NULL || (after < line.n && line.p[after] != ',')) {
                return -EINVAL;
            }
            field = (struct str){line.p + 1, after - 2};
            line = after < line.n ? (struct str){line.p + after + 1, line.n - after - 1} : STR_NONE;
        } else {
            str_split(&line, ',', &field);
        }
        fields[n++] = str_trim(field);
    }
    *ret_n = n;
    return 0;
}

static bool same_name(struct str s, const char *name)
{
    return s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

// False, too, when there are two of it: which one counts, nobody knows.
static bool find_column(const struct str *header, size_t n, const char *name, size_t *ret)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (same_name(header[i], name)) {
            *ret = i;
            found++;
        }
    }
    return found == 1;
}

static bool recognise_csv(const struct trace_format *f, struct str line, struct trace_layout *ret)
{
    struct str header[TRACE_COLUMNS_MAX];
    bool found = split_csv(line, header, &ret->n_columns) == 0;
    for (size_t i = 0; i < TRACE_FIELDS && found; i++) {
        found = f->fields[i] == NULL ||
                find_column(header, ret->n_columns, f->fields[i], &ret->columns[i]);
    }
    return found;
}

// Which of the format's fields a key names; TRACE_FIELDS: none.
static size_t find_field(const struct trace_format *f, struct str key)
{
    size_t i = 0;
    while (i < TRACE_FIELDS && !(f->fields[i] && str_eq(key, str_of(f->fields[i])))) {
        i++;
    }
    return i;
}

// Finds the values of the format's fields. -EINVAL when the text is not an object, or has one of
// them twice.
static int find_members(const struct trace_format *f, struct str line, struct str *values,
                        struct error *err)
{
    struct json_walk walk;
    struct str key, value;
    bool object = json_walk_begin(&walk, line, '{');
    while (object && json_walk_member(&walk, &key, &value)) {
        size_t i = find_field(f, key);
        if (i < TRACE_FIELDS && str_present(values[i])) {
            return error_set(err, -EINVAL, "%s: given twice", f->fields[i]);
        }
        if (i < TRACE_FIELDS) {
            values[i] = value;
        }
    }
    return object && !walk.failed ? 0 : error_set(err, -EINVAL, "not JSON");
}

static bool recognise_json(const struct trace_format *f, struct str line)
{
    struct str values[TRACE_FIELDS] = {STR_NONE};
    bool found = find_members(f, line, values, NULL) == 0;
    for (size_t i = 0; i < TRACE_FIELDS; i++) {
        found = found && (f->fields[i] == NULL || str_present(values[i]));
    }
    return found;
}

bool trace_recognise(struct str line, struct trace_layout *ret)
{
    for (const struct trace_format *f = trace_formats; f->name; f++) {
        *ret = (struct trace_layout){.format = f};
        if (f->json ? recognise_json(f, line) : recognise_csv(f, line, ret)) {
            return true;
        }
    }
    return false;
}

static int find_values(const struct trace_layout *l, struct str line, struct str *values,
                       struct error *err)
{
    if (l->format->json) {
        return find_members(l->format, line, values, err);
    }
    struct str fields[TRACE_COLUMNS_MAX];
    size_t n;
    if (split_csv(line, fields, &n) < 0) {
        return error_set(err, -EINVAL, "not CSV");
    }
    if (n != l->n_columns) {
        return error_set(err, -EINVAL, "%zu fields instead of %zu", n, l->n_columns);
    }
    for (size_t i = 0; i < TRACE_FIELDS; i++) {
        values[i] = l->format->fields[i] ? fields[l->columns[i]] : STR_NONE;
    }
    return 0;
}

static int bad_value(const struct trace_layout *l, enum trace_field field, const char *what,
                     struct str value, struct error *err)
{
    struct str shown = {value.p, MIN(value.n, (size_t)QUOTED_MAX)};
    while (shown.n < value.n && shown.n > 0 && ((unsigned char)value.p[shown.n] & 0xc0) == 0x80) {
        shown.n--; // not in the middle of a character
    }
    return error_set(err, -EINVAL, "%s: %s: '" STR_FMT "'", l->format->fields[field], what,
                     STR_ARG(shown));
}

static int parse_time(const struct trace_layout *l, struct str value, int64_t *ret,
                      struct error *err)
{
    int r = l->format->time == TRACE_DATE
                ? time_parse_iso(value, ret)
                : decimal_parse(value, l->format->time == TRACE_SECONDS ? 9 : 6, ret);
    if (r < 0) {
        return bad_value(l, TRACE_TIME, "not a time", value, err);
    }
    if (*ret < 0 || *ret >= TIME_MAX) {
        return bad_value(l, TRACE_TIME, "out of range", value, err);
    }
    return 0;
}

// Some tools write whole numbers as "12.0".
static int parse_tokens(const struct trace_layout *l, enum trace_field field, struct str value,
                        int64_t most, int64_t *ret, struct error *err)
{
    int r = value.n > 0 ? number_integer(value, ret) : -EINVAL;
    if (r == -EINVAL || r == -EDOM) {
        return bad_value(l, field, "not a whole number", value, err);
    }
    if (r < 0 || *ret < 0 || *ret > most) {
        return bad_value(l, field, "out of range", value, err);
    }
    return 0;
}

static int parse_model(const struct trace_layout *l, struct str value, struct error *err)
{
    bool fine = value.n > 0 && value.n <= RECORD_TEXT_MAX;
    for (size_t i = 0; i < value.n; i++) {
        fine = fine && value.p[i] >= ' ' && value.p[i] <= '~';
    }
    return fine ? 0 : bad_value(l, TRACE_MODEL, "not a name", value, err);
}

int trace_parse(const struct trace_layout *l, struct str line, struct trace_request *ret,
                struct error *err)
{
    struct str values[TRACE_FIELDS] = {STR_NONE};
    int r = find_values(l, line, values, err);
    for (size_t i = 0; i < TRACE_FIELDS && r == 0; i++) {
        if (l->format->fields[i] && !str_present(values[i])) {
            r = error_set(err, -EINVAL, "%s: missing", l->format->fields[i]);
        }
    }
    *ret = (struct trace_request){.model = values[TRACE_MODEL]};
    r = r < 0 ? r : parse_time(l, values[TRACE_TIME], &ret->time, err);
    r = r < 0 ? r
              : parse_tokens(l, TRACE_PROMPT, values[TRACE_PROMPT], TRACE_PROMPT_MAX, &ret->prompt,
                             err);
    r = r < 0 ? r
              : parse_tokens(l, TRACE_OUTPUT, values[TRACE_OUTPUT], TRACE_OUTPUT_MAX, &ret->output,
                             err);
    if (r < 0 || l->format->fields[TRACE_MODEL] == NULL) {
        return r;
    }
    return parse_model(l, ret->model, err);
}
