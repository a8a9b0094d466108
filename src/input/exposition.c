#include "input/exposition.h"

#include <errno.h>
#include <stdlib.h>

#include "base/decimal.h"

// ---- names ----------------------------------------------------------------------------------

enum { IN_NAME = 1, FIRST_IN_NAME = 2, IN_NUMBER = 4 };

#define LETTER (IN_NAME | FIRST_IN_NAME)
#define DIGIT (IN_NAME | IN_NUMBER)

// What a byte may stand in: names are [a-zA-Z_:][a-zA-Z0-9_:]*.
static const unsigned char kinds[256] = {
    ['a' ... 'd'] = LETTER,
    ['f' ... 'z'] = LETTER,
    ['A' ... 'D'] = LETTER,
    ['F' ... 'Z'] = LETTER,
    ['_'] = LETTER,
    [':'] = LETTER,
    ['e'] = LETTER | IN_NUMBER,
    ['E'] = LETTER | IN_NUMBER,
    ['0' ... '9'] = DIGIT,
    ['+'] = IN_NUMBER,
    ['-'] = IN_NUMBER,
    ['.'] = IN_NUMBER,
};

static bool is_kind(char c, unsigned kind)
{
    return kinds[(unsigned char)c] & kind;
}

static size_t name_length(const char *p, const char *end)
{
    if (p == end || !is_kind(*p, FIRST_IN_NAME)) {
        return 0;
    }
    const char *at = p + 1;
    while (at < end && is_kind(*at, IN_NAME)) {
        at++;
    }
    return (size_t)(at - p);
}

// Names of one length differ in their last bytes mostly.
static size_t slot_of(struct str name)
{
    uint64_t head = 0, tail = 0;
    size_t n = MIN(name.n, sizeof(head));
    memcpy(&head, name.p, n);
    memcpy(&tail, name.p + name.n - n, n);
    uint64_t mixed = (head ^ (tail << 1 | tail >> 63) ^ name.n) * 0x9e3779b97f4a7c15U;
    return (size_t)(mixed >> 56) % EXPOSITION_SLOTS;
}

enum { HEAD_BYTES = 16 };

// A number below EXPOSITION_SLOTS for the first HEAD_BYTES of a line.
static size_t head_of(const char *p)
{
    uint64_t words[2];
    memcpy(words, p, sizeof(words));
    uint64_t mixed = (words[0] * 0x9e3779b97f4a7c15U ^ words[1]) * 0xd6e8feb86659fd93U;
    return (size_t)(mixed >> 56) % EXPOSITION_SLOTS;
}

static bool may_be_wanted(const struct exposition_names *names, struct str line)
{
    if (names->any_short || line.n < HEAD_BYTES) {
        return true;
    }
    size_t head = head_of(line.p);
    return names->heads[head / 64] >> head % 64 & 1;
}

static void note_head(struct exposition_names *names, struct str name)
{
    if (name.n < HEAD_BYTES) {
        names->any_short = true;
        return;
    }
    size_t head = head_of(name.p);
    names->heads[head / 64] |= UINT64_C(1) << head % 64;
}

static size_t find_slot(const struct exposition_names *names, struct str name)
{
    size_t slot = slot_of(name);
    while (str_present(names->slots[slot].text) && !str_eq(names->slots[slot].text, name)) {
        slot = (slot + 1) % EXPOSITION_SLOTS;
    }
    return slot;
}

int exposition_want(struct exposition_names *names, const char *name, uint32_t id)
{
    struct exposition_name *slot = &names->slots[find_slot(names, str_of(name))];
    if (str_present(slot->text)) {
        return -EEXIST;
    }
    if (names->n == EXPOSITION_NAMES_MAX) {
        return -ENOSPC;
    }
    *slot = (struct exposition_name){str_of(name), id};
    names->n++;
    note_head(names, slot->text);
    return 0;
}

// ---- a line ---------------------------------------------------------------------------------

static void skip(struct str *s, size_t n)
{
    s->p += n;
    s->n -= n;
}

static void skip_blanks(struct str *s)
{
    while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t')) {
        skip(s, 1);
    }
}

static bool eat(struct str *s, char c)
{
    bool found = s->n > 0 && s->p[0] == c;
    skip(s, found);
    return found;
}

// A label value up to its closing quote, the opening one being gone.
static bool take_value(struct str *s, struct exposition_label *ret)
{
    *ret = (struct exposition_label){.name = ret->name, .value = {s->p, 0}};
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i] == '"') {
            ret->value.n = i;
            skip(s, i + 1);
            return true;
        }
        if (s->p[i] == '\\') {
            ret->has_escapes = true;
            i++;
        }
    }
    return false;
}

static bool take_label(struct str *s, struct exposition_label *ret)
{
    ret->name = (struct str){s->p, name_length(s->p, s->p + s->n)};
    skip(s, ret->name.n);
    skip_blanks(s);
    if (ret->name.n == 0 || !eat(s, '=')) {
        return false;
    }
    skip_blanks(s);
    return eat(s, '"') && take_value(s, ret);
}

// Behind a label: its comma and the blanks around that.
static bool skip_comma(struct str *s)
{
    skip_blanks(s);
    bool comma = eat(s, ',');
    skip_blanks(s);
    return comma;
}

bool exposition_label(struct str *labels, struct exposition_label *ret)
{
    if (labels->n == 0) {
        return false;
    }
    skip_blanks(labels);
    if (labels->n == 0 || !take_label(labels, ret)) {
        return false;
    }
    skip_comma(labels);
    return true;
}

struct str exposition_value(const struct exposition_label *label, char *room)
{
    if (!label->has_escapes) {
        return label->value;
    }
    size_t n = 0;
    for (size_t i = 0; i < label->value.n; i++) {
        char c = label->value.p[i];
        if (c == '\\' && i + 1 < label->value.n) {
            c = label->value.p[++i];
            if (c != '\\' && c != '"' && c != 'n') {
                room[n++] = '\\'; // no escape of the format's: left as it stands
            }
            c = c == 'n' ? '\n' : c;
        }
        room[n++] = c;
    }
    return (struct str){room, n};
}

// {a="b",c="d"} with a comma allowed behind the last one.
static bool take_labels(struct str *s, struct str *ret)
{
    *ret = STR_NONE;
    if (!eat(s, '{')) {
        return true;
    }
    const char *begin = s->p;
    size_t n = 0;
    bool more = true;
    skip_blanks(s);
    while (s->n > 0 && s->p[0] != '}') {
        struct exposition_label label;
        if (!more || n++ == EXPOSITION_LABELS_MAX || !take_label(s, &label)) {
            return false;
        }
        more = skip_comma(s);
    }
    *ret = (struct str){begin, (size_t)(s->p - begin)};
    return eat(s, '}');
}

static struct str take_word(struct str *s)
{
    skip_blanks(s);
    struct str word = {s->p, 0};
    while (word.n < s->n && s->p[word.n] != ' ' && s->p[word.n] != '\t') {
        word.n++;
    }
    skip(s, word.n);
    return word;
}

static bool same_letters(struct str s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

// Values that are no decimal numbers: strtod() would take more, hexadecimal numbers among it.
static bool read_special(struct str number, double *ret)
{
    static const struct {
        const char *name;
        double value;
    } specials[] = {
        {"+Inf", __builtin_inf()},      {"Inf", __builtin_inf()},   {"-Inf", -__builtin_inf()},
        {"+Infinity", __builtin_inf()}, {"NaN", __builtin_nan("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
        if (same_letters(number, specials[i].name)) {
            *ret = specials[i].value;
            return true;
        }
    }
    return false;
}

static bool read_number(struct str number, double *ret)
{
    char text[EXPOSITION_NUMBER_MAX];
    char *end;
    if (number.n == 0 || number.n >= sizeof(text)) {
        return false;
    }
    for (size_t i = 0; i < number.n; i++) {
        if (!is_kind(number.p[i], IN_NUMBER)) {
            return read_special(number, ret);
        }
        text[i] = number.p[i];
    }
    text[number.n] = '\0';
    *ret = strtod(text, &end);
    return *end == '\0';
}

// Milliseconds in the text format, seconds with decimals in OpenMetrics: 13 digits before the
// point are milliseconds until the year 2286, 10 are seconds.
static bool read_time(struct str word, struct exposition_sample *ret)
{
    int64_t ms;
    if (decimal_parse(word, 0, &ms) < 0) {
        return false;
    }
    bool seconds = ms < INT64_C(100000000000) && ms > -INT64_C(100000000000);
    if (seconds && decimal_parse(word, 3, &ms) < 0) {
        return false;
    }
    ret->has_time = true;
    ret->time_ms = ms;
    return true;
}

// What stands behind the name.
static bool read_rest(struct str rest, struct exposition_sample *ret)
{
    skip_blanks(&rest);
    if (!take_labels(&rest, &ret->labels)) {
        return false;
    }
    ret->number = take_word(&rest);
    if (!read_number(ret->number, &ret->value)) {
        return false;
    }
    struct str word = take_word(&rest);
    if (word.n > 0 && word.p[0] != '#') {
        if (!read_time(word, ret)) {
            return false;
        }
        word = take_word(&rest);
    }
    return word.n == 0 || str_eq(word, STR("#")); // an exemplar
}

// ---- the page -------------------------------------------------------------------------------

void exposition_init(struct exposition *e, struct str page, const struct exposition_names *wanted)
{
    *e =
        (struct exposition){.at = page.p, .end = page.p ? page.p + page.n : NULL, .wanted = wanted};
}

static void note_comment(struct exposition *e, struct str line)
{
    if (str_starts(line, STR("# TYPE "))) {
        e->type_line = line;
        skip(&e->type_line, sizeof("# TYPE ") - 1);
    } else if (str_eq(line, STR("# EOF"))) {
        e->eof = true;
    }
}

// A sample's name is its family's, maybe with a suffix that the TYPE line leaves out.
static enum exposition_type type_of(const struct exposition *e, struct str name)
{
    static const struct {
        const char *name;
        enum exposition_type type;
    } types[] = {{"counter", TYPE_COUNTER}, {"gauge", TYPE_GAUGE}};
    if (!str_present(e->type_line)) {
        return TYPE_UNTOLD;
    }
    struct str rest = e->type_line;
    struct str family = take_word(&rest), type = take_word(&rest);
    struct str suffix = {name.p + MIN(family.n, name.n), name.n - MIN(family.n, name.n)};
    bool ours = suffix.n == 0 || str_eq(suffix, STR("_total"));
    if (!str_starts(name, family) || !ours) {
        return TYPE_UNTOLD;
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (same_letters(type, types[i].name)) {
            return types[i].type;
        }
    }
    return TYPE_OTHER;
}

// Whether this line is a sample that is wanted and can be read.
static bool read_line(struct exposition *e, struct str line, struct exposition_sample *ret)
{
    if (line.p[0] == '#') {
        note_comment(e, line);
        return false;
    }
    if (!is_kind(line.p[0], FIRST_IN_NAME)) {
        e->bad += str_trim(line).n > 0;
        return false;
    }
    e->samples++;
    if (e->wanted && !may_be_wanted(e->wanted, line)) {
        return false;
    }
    struct str name = {line.p, name_length(line.p, line.p + line.n)};
    *ret = (struct exposition_sample){.name = name};
    if (e->wanted) {
        const struct exposition_name *slot = &e->wanted->slots[find_slot(e->wanted, name)];
        if (!str_present(slot->text)) {
            return false;
        }
        ret->id = slot->id;
    }
    skip(&line, name.n);
    if (!read_rest(line, ret)) {
        e->bad++;
        return false;
    }
    ret->type = type_of(e, name);
    return true;
}

bool exposition_next(struct exposition *e, struct exposition_sample *ret)
{
    while (e->at < e->end && !e->eof) {
        const char *newline = memchr(e->at, '\n', (size_t)(e->end - e->at));
        struct str line = {e->at, (size_t)((newline ? newline : e->end) - e->at)};
        e->at = newline ? newline + 1 : e->end;
        line.n -= line.n > 0 && line.p[line.n - 1] == '\r';
        if (line.n > 0 && read_line(e, line, ret)) {
            return true;
        }
    }
    return false;
}

// ---- a page in a JSON string ----------------------------------------------------------------

// What \c stands for; 0: another escape, which no page has use for.
static char unescaped(char c)
{
    static const char pairs[] = "n\nr\rt\t\"\"\\\\//";
    for (const char *p = pairs; *p; p += 2) {
        if (p[0] == c) {
            return p[1];
        }
    }
    return 0;
}

size_t exposition_unquote(char *page, size_t n)
{
    struct str inside = str_trim((struct str){page, n});
    if (inside.n < 2 || inside.p[0] != '"' || inside.p[inside.n - 1] != '"') {
        return n;
    }
    size_t out = 0;
    for (size_t i = 1; i + 1 < inside.n; i++) {
        char c = inside.p[i];
        if (c == '\\' && i + 2 < inside.n && unescaped(inside.p[i + 1])) {
            c = unescaped(inside.p[++i]);
        }
        page[out++] = c;
    }
    return out;
}
