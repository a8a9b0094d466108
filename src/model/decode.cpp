#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <simdjson.h>

extern "C" {
#include "base/buf.h"
#include "base/time.h"
#include "model/computed.h"
#include "model/draft.h"
}
#include "model/decode.h"
#include "model/names.h"
#include "model/refuse.h"
#include "model/token.h"

namespace json = simdjson::ondemand;

// REAL_MAX: of numbers under 1 with more than 19 digits, simdjson 3.0.1 drops digits without
// counting them ("start_digits-src > 19"), and is wrong by orders of magnitude.
enum { NESTING_MAX = 32, REAL_MAX = 19 };
static_assert(DECODER_PADDING >= simdjson::SIMDJSON_PADDING);
static_assert(DECODER_PADDING >= int{NAME_BYTES});

struct decoder {
    json::parser parser;
    struct field_sets sets;
    struct draft draft;
    struct buf extra, copy;
    int32_t gpus[RECORD_GPUS_MAX];
    struct names names;
};

// One pass over a text. Which names are known depends on the kind of the record, and that on the
// names: the first pass takes all of them for known, which is right but for records that have a
// field of the other kind's as an unknown one.
struct walk {
    struct decoder *d;
    struct str text;
    uint64_t known;
    bool guessed;      // `known` is that first guess
    unsigned kind;     // FIELD_OF bit, when not guessed
    unsigned computed; // kinds that have computed fields of names that were kept as unknown ones
    struct error *err;
    json::document doc;
};

// Beside 0 and -EINVAL, inside this file: bad as the kind that was guessed, maybe not as the other.
enum { UNSURE = -EAGAIN };

// A value's first token: of a scalar, all of it.
static struct str token_of(json::value &v)
{
    std::string_view token = v.raw_json_token();
    size_t n = token.size();
    while (n > 1 && json_space(token[n - 1])) {
        n--;
    }
    return str{token.data(), n};
}

// Where the parser stopped.
static int fault_here(struct walk *w)
{
    const char *at = nullptr;
    return w->doc.current_location().get(at) ? refuse_text(w->err, "ends too early")
                                             : refuse_byte(w->err, w->text, at);
}

static int fault_of_text(const struct walk *w, simdjson::error_code code)
{
    switch (code) {
    case simdjson::EMPTY:
        return refuse_text(w->err, "empty");
    case simdjson::UTF8_ERROR:
        return refuse_text(w->err, "not UTF-8");
    case simdjson::UNESCAPED_CHARS:
        return refuse_text(w->err, "control character in a string");
    case simdjson::UNCLOSED_STRING:
        return refuse_text(w->err, "a string is not closed");
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT:
        return refuse_braces(w->err, w->text);
    default:
        return refuse_text(w->err, simdjson::error_message(code));
    }
}

// A string's text, borrowed from the input; false for one with escapes, and for no string.
static bool plain_text(json::value &v, struct str *ret)
{
    struct str token = token_of(v);
    json::raw_json_string unused;
    *ret = str{token.p + 1, token.n - 2};
    return token.p[0] == '"' && memchr(ret->p, '\\', ret->n) == nullptr &&
           v.get_raw_json_string().get(unused) == simdjson::SUCCESS;
}

// Any string's text, borrowed from the input or the parser.
static int unescape(struct walk *w, json::value &v, struct str token, struct str *ret)
{
    std::string_view text;
    if (plain_text(v, ret)) {
        return 0;
    }
    if (v.get_string().get(text)) {
        return refuse_string(w->err, w->text, token.p);
    }
    *ret = str{text.data(), text.size()};
    return 0;
}

// What nearly all values are: of the right type, in its usual form, within bounds. False for the
// others, which read_value() reads or refuses.
static inline bool read_plain(const struct field *f, json::value &v, union field_value *ret)
{
    struct str token;
    switch (f->type) {
    case FIELD_COUNT:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        return !v.get_int64().get(ret->i) && ret->i >= 0 && ret->i <= f->most.i;
    case FIELD_REAL:
        return v.raw_json_token().size() <= REAL_MAX && !v.get_double().get(ret->d) &&
               !std::signbit(ret->d) && ret->d <= f->most.d;
    case FIELD_DECIMAL:
        return number_plain(token_of(v), f->scale, &ret->i) && ret->i <= f->most.i;
    case FIELD_TIME:
        token = token_of(v);
        return token.p[0] == '"' ? plain_text(v, &token) && time_parse_iso(token, &ret->i) == 0
                                 : number_plain(token, f->scale, &ret->i) && ret->i <= f->most.i;
    case FIELD_TEXT:
        return plain_text(v, &ret->s) && ret->s.n > 0 && ret->s.n <= RECORD_TEXT_MAX;
    case FIELD_GPUS:
        break;
    }
    return false;
}

static int read_text(struct walk *w, const struct field *f, json::value &v, struct str token,
                     struct str *ret)
{
    if (token.p[0] != '"') {
        return refuse_type(w->err, w->text, f, token, "a string");
    }
    return unescape(w, v, token, ret);
}

// What the result of converting a number token means.
static int check_number(const struct walk *w, const struct field *f, struct str token, int result)
{
    if (token_malformed(token)) {
        return refuse_byte(w->err, w->text, token.p);
    }
    if (number_negative(token)) {
        return refuse_value(w->err, f, "is negative", token);
    }
    if (result == -EDOM) {
        return refuse_value(w->err, f, "is not an integer", token);
    }
    return result < 0 ? refuse_value(w->err, f, "is too large", token) : 0;
}

static int read_integer(struct walk *w, const struct field *f, struct str token, int64_t *ret)
{
    if (!token_is_number(token)) {
        return refuse_type(w->err, w->text, f, token, "an integer");
    }
    return check_number(w, f, token, number_integer(token, ret));
}

static int read_decimal(struct walk *w, const struct field *f, struct str token, int64_t *ret)
{
    if (!token_is_number(token)) {
        return refuse_type(w->err, w->text, f, token, "a number");
    }
    return check_number(w, f, token, number_scaled(token, f->scale, ret));
}

// Also of numbers that are longer than a double is wide, or closer to 0.
static int real_value(json::value &v, struct str token, double *ret)
{
    if (token.n <= REAL_MAX) {
        return v.get_double().get(*ret) ? -ERANGE : 0;
    }
    if (std::from_chars(token.p, token.p + token.n, *ret).ec == std::errc()) {
        return 0;
    }
    int64_t whole; // of what is too small for a double, 0
    *ret = 0;
    return number_scaled(token, 0, &whole);
}

static int read_real(struct walk *w, const struct field *f, json::value &v, struct str token,
                     double *ret)
{
    if (!token_is_number(token)) {
        return refuse_type(w->err, w->text, f, token, "a number");
    }
    int r = real_value(v, token, ret);
    *ret += 0.0; // no -0
    return check_number(w, f, token, r);
}

static int read_time(struct walk *w, const struct field *f, json::value &v, struct str token,
                     int64_t *ret)
{
    if (token_is_number(token)) {
        int r = number_scaled(token, f->scale, ret);
        bool late = r == -ERANGE || (r == 0 && *ret > f->most.i);
        return late && token.p[0] != '-'
                   ? refuse_value(w->err, f, "is after 2199, taken as seconds", token)
                   : check_number(w, f, token, r);
    }
    if (token.p[0] != '"') {
        return refuse_type(w->err, w->text, f, token, "an ISO 8601 time or a number of seconds");
    }
    struct str text;
    int r = unescape(w, v, token, &text);
    if (r < 0) {
        return r;
    }
    r = time_parse_iso(text, ret);
    if (r < 0) {
        return refuse_value(w->err, f,
                            r == -ERANGE ? "is not within 1970 to 2199" : "is not a time", token);
    }
    return 0;
}

static int add_gpu(struct walk *w, const struct field *f, struct str token, struct gpu_list *list)
{
    int64_t index;
    int r = read_integer(w, f, token, &index);
    if (r < 0) {
        return r;
    }
    if (index > f->most.i) {
        return refuse_value(w->err, f, "is too large", token);
    }
    if (list->n == RECORD_GPUS_MAX) {
        return error_set(w->err, -EINVAL, "%s: names more than %d GPUs", f->name, RECORD_GPUS_MAX);
    }
    w->d->gpus[list->n++] = static_cast<int32_t>(index);
    return 0;
}

static int read_gpus(struct walk *w, const struct field *f, json::value &v, struct str token,
                     struct gpu_list *ret)
{
    json::array array;
    if (v.get_array().get(array)) {
        return token.p[0] == '[' ? fault_here(w)
                                 : refuse_type(w->err, w->text, f, token, "an array of integers");
    }
    *ret = {w->d->gpus, 0};
    for (auto element : array) {
        json::value item;
        if (std::move(element).get(item)) {
            return fault_here(w);
        }
        int r = add_gpu(w, f, token_of(item), ret);
        if (r < 0) {
            return r;
        }
    }
    std::sort(w->d->gpus, w->d->gpus + ret->n);
    return 0;
}

static int read_value(struct walk *w, const struct field *f, json::value &v, struct str token,
                      union field_value *ret)
{
    switch (f->type) {
    case FIELD_TIME:
        return read_time(w, f, v, token, &ret->i);
    case FIELD_TEXT:
        return read_text(w, f, v, token, &ret->s);
    case FIELD_REAL:
        return read_real(w, f, v, token, &ret->d);
    case FIELD_DECIMAL:
        return read_decimal(w, f, token, &ret->i);
    case FIELD_GPUS:
        return read_gpus(w, f, v, token, &ret->gpus);
    case FIELD_COUNT:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        break;
    }
    return read_integer(w, f, token, &ret->i);
}

static int take_odd_field(struct walk *w, const struct field *f, json::value &v)
{
    struct str token = token_of(v);
    if (token_is_null(token)) {
        return 0;
    }
    union field_value *value = &w->d->draft.value[f - record_fields];
    int r = read_value(w, f, v, token, value);
    if (r < 0) {
        return r;
    }
    w->d->draft.given |= field_bit(f);
    return field_check(f, *value, w->err);
}

static int take_field(struct walk *w, const struct field *f, json::value &v)
{
    struct draft *draft = &w->d->draft;
    uint64_t bit = field_bit(f);
    if (draft->seen & bit) {
        return error_set(w->err, -EINVAL, "%s: given twice", f->name);
    }
    draft->seen |= bit;
    if (read_plain(f, v, &draft->value[f - record_fields])) {
        draft->given |= bit;
        return 0;
    }
    return take_odd_field(w, f, v);
}

// The field of a key that is no name as it stands: names have no escapes, but a key that has some
// may be one.
static int find_unescaped(struct walk *w, json::field &member, const struct field **ret)
{
    const char *raw = member.key().raw();
    std::string_view text;
    if (member.unescaped_key().get(text)) {
        return refuse_string(w->err, w->text, raw - 1);
    }
    char key[NAME_BYTES] = {};
    if (text.size() < NAME_BYTES && text.find('"') == text.npos) {
        memcpy(key, text.data(), text.size());
        key[text.size()] = '"';
        *ret = names_find(&w->d->names, key);
    }
    return 0;
}

// NULL for an unknown field.
static inline int find_field(struct walk *w, json::field &member, const struct field **ret)
{
    *ret = names_find(&w->d->names, member.key().raw());
    return *ret ? 0 : find_unescaped(w, member, ret);
}

static int copy_value(struct walk *w, json::value &v, int depth);

static void copy_key(struct walk *w, const char *key)
{
    struct buf *b = &w->d->extra;
    buf_char(b, '"');
    buf_str(b, token_key(w->text, key));
    buf_cstr(b, "\":");
}

static int copy_member(struct walk *w, json::field &member, int depth)
{
    const char *key = member.key().raw();
    std::string_view unused;
    if (member.unescaped_key().get(unused)) {
        return refuse_string(w->err, w->text, key - 1);
    }
    copy_key(w, key);
    return copy_value(w, member.value(), depth);
}

static int copy_object(struct walk *w, json::value &v, int depth)
{
    json::object object;
    if (v.get_object().get(object)) {
        return fault_here(w);
    }
    char before = '{';
    for (auto result : object) {
        if (result.error()) {
            return fault_here(w);
        }
        buf_char(&w->d->extra, before);
        json::field &&member = std::move(result).value_unsafe();
        int r = copy_member(w, member, depth);
        if (r < 0) {
            return r;
        }
        before = ',';
    }
    buf_cstr(&w->d->extra, before == '{' ? "{}" : "}");
    return 0;
}

static int copy_array(struct walk *w, json::value &v, int depth)
{
    json::array array;
    if (v.get_array().get(array)) {
        return fault_here(w);
    }
    char before = '[';
    for (auto result : array) {
        json::value item;
        if (std::move(result).get(item)) {
            return fault_here(w);
        }
        buf_char(&w->d->extra, before);
        int r = copy_value(w, item, depth);
        if (r < 0) {
            return r;
        }
        before = ',';
    }
    buf_cstr(&w->d->extra, before == '[' ? "[]" : "]");
    return 0;
}

// A value as it came, but for white space between tokens: the parser only looks at what it is
// asked for, so this is also what finds unknown fields well-formed.
static int copy_value(struct walk *w, json::value &v, int depth)
{
    struct str token = token_of(v);
    if (token_malformed(token)) {
        return refuse_byte(w->err, w->text, token.p);
    }
    if (token.p[0] == '{' || token.p[0] == '[') {
        if (depth == NESTING_MAX) {
            return refuse_text(w->err, "nested too deeply");
        }
        return token.p[0] == '{' ? copy_object(w, v, depth + 1) : copy_array(w, v, depth + 1);
    }
    struct str unused;
    int r = token.p[0] == '"' ? unescape(w, v, token, &unused) : 0;
    buf_str(&w->d->extra, token);
    return r;
}

static int keep_unknown(struct walk *w, const char *key, json::value &v)
{
    struct buf *b = &w->d->extra;
    size_t before = b->n;
    unsigned computed = computed_of(token_key(w->text, key));
    if (b->n > 0) {
        buf_char(b, ',');
    }
    copy_key(w, key);
    int r = copy_value(w, v, 1);
    if (computed & w->kind) {
        b->n = before; // looked at like any other, but gtap's own
    }
    w->computed |= computed;
    return r;
}

static int take_member(struct walk *w, json::field &member)
{
    const char *key = member.key().raw();
    const struct field *f;
    int r = find_field(w, member, &f);
    if (r < 0) {
        return r;
    }
    if (f == nullptr || !(w->known & field_bit(f))) {
        return keep_unknown(w, key, member.value());
    }
    r = take_field(w, f, member.value());
    return r < 0 && w->guessed && draft_may_be_unknown(&w->d->sets, f) ? UNSURE : r;
}

// Notes the known fields that are given, whatever their values.
static int note_member(struct walk *w, json::field &member)
{
    const struct field *f;
    int r = find_field(w, member, &f);
    if (r == 0 && f && !token_is_null(token_of(member.value()))) {
        w->d->draft.given |= field_bit(f);
    }
    return r;
}

// Hands each member of the text's object to int take(struct walk *, json::field &).
template <auto take> static int each_member(struct walk *w)
{
    struct decoder *d = w->d;
    d->draft.seen = d->draft.given = 0;
    buf_clear(&d->extra);
    simdjson::error_code code =
        d->parser.iterate(w->text.p, w->text.n, w->text.n + DECODER_PADDING).get(w->doc);
    if (code) {
        return fault_of_text(w, code);
    }
    json::object object;
    code = w->doc.get_object().get(object);
    if (code == simdjson::INCORRECT_TYPE) {
        return refuse_root(w->err, w->text);
    }
    if (code) {
        return fault_of_text(w, code);
    }
    for (auto result : object) {
        if (result.error()) {
            return fault_here(w);
        }
        json::field &&member = std::move(result).value_unsafe(); // in place: copies stall
        int r = take(w, member);
        if (r < 0) {
            return r;
        }
    }
    const char *rest;
    return w->doc.current_location().get(rest) ? 0 : refuse_byte(w->err, w->text, rest);
}

// The second look at a record that has fields of both kinds, or computed ones of its own: now only
// those of its own are known, and the computed ones are left aside.
static int read_again(struct walk *w, enum record_kind *ret)
{
    struct decoder *d = w->d;
    int r = each_member<note_member>(w);
    if (r == 0) {
        r = draft_kind(&d->sets, d->draft.given, ret, w->err);
    }
    if (r < 0) {
        return r;
    }
    w->known = d->sets.of[*ret];
    w->guessed = false;
    w->kind = FIELD_OF(*ret);
    if (w->err) {
        w->err->code = 0; // of the first look
    }
    return each_member<take_member>(w);
}

static int read_record(struct walk *w, enum record_kind *ret)
{
    struct decoder *d = w->d;
    int r = each_member<take_member>(w);
    if (r == 0) {
        r = draft_kind(&d->sets, d->draft.given, ret, w->err);
    }
    bool foreign = r == 0 && (d->draft.seen & ~d->sets.of[*ret]) != 0;
    bool computed = r == 0 && (w->computed & FIELD_OF(*ret)) != 0;
    return r == UNSURE || foreign || computed ? read_again(w, ret) : r;
}

struct decoder *decoder_new(void)
{
    struct decoder *d = new struct decoder();
    if (d->parser.allocate(RECORD_BYTES_MAX)) {
        abort(); // as base/alloc.h does
    }
    d->sets = record_field_sets();
    names_init(&d->names);
    buf_init(&d->extra, RECORD_BYTES_MAX);
    buf_init(&d->copy, size_t{RECORD_BYTES_MAX} + DECODER_PADDING);
    return d;
}

void decoder_free(struct decoder *d)
{
    if (d) {
        buf_done(&d->extra);
        buf_done(&d->copy);
        delete d;
    }
}

int decoder_record(struct decoder *d, struct str text, struct arena *a, struct record *ret,
                   struct error *err)
{
    if (text.n > RECORD_BYTES_MAX) {
        return error_set(err, -EINVAL, "record: is longer than %d bytes (%zu)", RECORD_BYTES_MAX,
                         text.n);
    }
    struct walk w = {};
    w.d = d;
    w.text = draft_text(text, &d->copy);
    w.known = ~UINT64_C(0);
    w.guessed = true;
    w.err = err;
    enum record_kind kind;
    int r = read_record(&w, &kind);
    if (r < 0) {
        return r;
    }
    d->draft.extra = d->extra.n > 0 ? buf_view(&d->extra) : STR_NONE;
    return draft_finish(&d->draft, &d->sets, kind, a, ret, err);
}
