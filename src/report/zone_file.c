// Time zones of the system's database, read anew for each who asks: TZif files (RFC 9636), and
// behind their last transition the rule that they end with (a TZ string of POSIX).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "report/zone.h"

#define DATABASE "/usr/share/zoneinfo/"
enum { FILE_MAX = 1 << 18, NAME_MAX_BYTES = 47, HEAD_BYTES = 44, TYPE_BYTES = 6, RULE_MAX = 64 };

// "M3.5.0/2": the 5th (last) day 0 (Sunday) of month 3, 2 h after midnight.
struct change {
    int month, week, day;
    int64_t seconds;
};

struct file_zone {
    struct zone zone;
    size_t n;
    const int64_t *at;      // seconds since the epoch, ascending
    const int32_t *offsets; // n + 1: before the first, from each on; seconds
    bool has_rule, has_summer;
    int32_t standard, summer;
    struct change begin, end; // of summer time
};

// ---- the rule behind the last transition -------------------------------------------------------

static bool take_number(const char **p, int64_t most, int64_t *ret)
{
    const char *at = *p;
    int64_t v = 0;
    while (*at >= '0' && *at <= '9' && v <= most) {
        v = v * 10 + (*at++ - '0');
    }
    bool good = at > *p && v <= most;
    *p = at;
    *ret = v;
    return good;
}

static bool take_name(const char **p)
{
    const char *at = *p;
    bool quoted = *at == '<';
    while (*at && (quoted ? *at != '>' : (*at | 0x20) >= 'a' && (*at | 0x20) <= 'z')) {
        at++;
    }
    at += quoted && *at == '>';
    bool good = at > *p;
    *p = at;
    return good;
}

// "[+-]hh[:mm[:ss]]"
static bool take_clock(const char **p, int64_t *ret)
{
    int64_t part, sign = **p == '-' ? -1 : 1, unit = 3600;
    *p += **p == '-' || **p == '+';
    if (!take_number(p, 167, &part)) {
        return false;
    }
    *ret = part * unit;
    while (**p == ':' && unit > 1) {
        (*p)++;
        unit /= 60;
        if (!take_number(p, 59, &part)) {
            return false;
        }
        *ret += part * unit;
    }
    *ret *= sign;
    return true;
}

// Only months, weeks and days: no zone there is uses the other two forms.
static bool take_change(const char **p, struct change *ret)
{
    int64_t v[3];
    if (*(*p)++ != ',' || *(*p)++ != 'M') {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if ((i > 0 && *(*p)++ != '.') || !take_number(p, 12, &v[i])) {
            return false;
        }
    }
    *ret = (struct change){(int)v[0], (int)v[1], (int)v[2], 7200};
    if (**p == '/') {
        (*p)++;
        if (!take_clock(p, &ret->seconds)) {
            return false;
        }
    }
    return v[0] >= 1 && v[1] >= 1 && v[1] <= 5 && v[2] <= 6;
}

static bool parse_rule(struct file_zone *z, const char *p)
{
    int64_t west;
    if (!take_name(&p) || !take_clock(&p, &west)) {
        return false;
    }
    z->standard = (int32_t)-west;
    if (*p == '\0') {
        return true;
    }
    z->summer = z->standard + 3600;
    if (!take_name(&p)) {
        return false;
    }
    if (*p != ',') {
        if (!take_clock(&p, &west)) {
            return false;
        }
        z->summer = (int32_t)-west;
    }
    z->has_summer = true;
    return take_change(&p, &z->begin) && take_change(&p, &z->end) && *p == '\0';
}

// The local time of a change in a year, as seconds as if it were UTC.
static int64_t change_in(const struct change *c, int year)
{
    int64_t first = time_from_civil((struct civil){.year = year, .month = c->month, .day = 1});
    int64_t days = first / NS_PER_DAY;
    int64_t weekday = ((days + 4) % 7 + 7) % 7; // the epoch was a Thursday
    int64_t day = (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
    struct civil next = {.year = year + c->month / 12, .month = c->month % 12 + 1, .day = 1};
    int64_t length = time_from_civil(next) / NS_PER_DAY - days;
    while (day >= length) {
        day -= 7;
    }
    return (days + day) * (NS_PER_DAY / NS_PER_S) + c->seconds;
}

static int32_t offset_by_rule(const struct file_zone *z, int64_t s)
{
    if (!z->has_summer) {
        return z->standard;
    }
    int year = time_civil((s + z->standard) * NS_PER_S).year;
    int64_t begin = change_in(&z->begin, year) - z->standard;
    int64_t end = change_in(&z->end, year) - z->summer;
    bool summer = begin < end ? s >= begin && s < end : s >= begin || s < end;
    return summer ? z->summer : z->standard;
}

// ---- asking ------------------------------------------------------------------------------------

static int64_t file_offset(const struct zone *base, int64_t t)
{
    const struct file_zone *z = (const struct file_zone *)(const void *)base;
    int64_t s = time_floor(t, NS_PER_S) / NS_PER_S;
    size_t low = 0, high = z->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->at[middle] <= s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    int32_t offset = low == z->n && z->has_rule ? offset_by_rule(z, s) : z->offsets[low];
    return offset * NS_PER_S;
}

// ---- reading -----------------------------------------------------------------------------------

static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t i64_at(const unsigned char *p)
{
    return (int64_t)((uint64_t)u32_at(p) << 32 | u32_at(p + 4));
}

// Counts in a header, and the bytes behind it that they stand for.
struct head {
    size_t is_ut, is_std, leaps, times, types, chars, bytes;
};

static bool read_head(const unsigned char *p, size_t n, size_t time_bytes, struct head *ret)
{
    if (n < HEAD_BYTES || memcmp(p, "TZif", 4) != 0 || p[4] < '2') {
        return false;
    }
    struct head h = {u32_at(p + 20),
                     u32_at(p + 24),
                     u32_at(p + 28),
                     u32_at(p + 32),
                     u32_at(p + 36),
                     u32_at(p + 40),
                     0};
    if (h.is_ut > 256 || h.is_std > 256 || h.leaps > 1000 || h.times > 10000 || h.types > 256 ||
        h.chars > 4096 || h.types == 0) {
        return false;
    }
    h.bytes = h.times * (time_bytes + 1) + h.types * TYPE_BYTES + h.chars +
              h.leaps * (time_bytes + 4) + h.is_std + h.is_ut;
    *ret = h;
    return n - HEAD_BYTES >= h.bytes;
}

static bool take_transitions(struct file_zone *z, const unsigned char *p, const struct head *h,
                             struct arena *a)
{
    const unsigned char *which = p + h->times * 8, *types = which + h->times;
    int64_t *at = arena_alloc(a, h->times * sizeof(*at) + 1);
    int32_t *offsets = arena_alloc(a, (h->times + 1) * sizeof(*offsets));
    offsets[0] = (int32_t)u32_at(types);
    for (size_t i = 0; i < h->times; i++) {
        at[i] = i64_at(p + i * 8);
        if (which[i] >= h->types || (i > 0 && at[i] <= at[i - 1])) {
            return false;
        }
        offsets[i + 1] = (int32_t)u32_at(types + which[i] * TYPE_BYTES);
    }
    for (size_t i = 0; i <= h->times; i++) {
        if (offsets[i] <= -86400 || offsets[i] >= 86400) {
            return false;
        }
    }
    z->n = h->times;
    z->at = at;
    z->offsets = offsets;
    return true;
}

// Behind the second header and its data: "\nRULE\n".
static bool take_footer(struct file_zone *z, const unsigned char *p, size_t n)
{
    char rule[RULE_MAX];
    const unsigned char *end = n > 1 ? memchr(p + 1, '\n', n - 1) : NULL;
    if (!end || p[0] != '\n' || end - p > RULE_MAX) {
        return false;
    }
    size_t length = (size_t)(end - p) - 1;
    memcpy(rule, p + 1, length);
    rule[length] = '\0';
    z->has_rule = length > 0 && parse_rule(z, rule);
    return length == 0 || z->has_rule;
}

static bool parse_file(struct file_zone *z, const unsigned char *p, size_t n, struct arena *a)
{
    struct head first, second;
    if (!read_head(p, n, 4, &first)) {
        return false;
    }
    p += HEAD_BYTES + first.bytes;
    n -= HEAD_BYTES + first.bytes;
    if (!read_head(p, n, 8, &second) || !take_transitions(z, p + HEAD_BYTES, &second, a)) {
        return false;
    }
    return take_footer(z, p + HEAD_BYTES + second.bytes, n - HEAD_BYTES - second.bytes);
}

// "Europe/Berlin", "Etc/GMT+3", and nothing that leads elsewhere.
static bool is_name(struct str s)
{
    if (s.n == 0 || s.n > NAME_MAX_BYTES || s.p[0] == '/' || str_glob(STR("*//*"), s)) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], lower = (char)(c | 0x20);
        bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
        if (!plain && !(c && strchr("_+-/", c))) { // no dots
            return false;
        }
    }
    return s.p[s.n - 1] != '/';
}

static size_t read_database(struct str name, unsigned char *to)
{
    char path[sizeof(DATABASE) + NAME_MAX_BYTES + 1];
    snprintf(path, sizeof(path), DATABASE STR_FMT, STR_ARG(name));
    FILE *f = fopen(path, "re");
    if (!f) {
        return 0;
    }
    size_t n = fread(to, 1, FILE_MAX, f); // a folder reads as nothing
    fclose(f);
    return n;
}

int zone_load(struct str name, struct arena *a, const struct zone **ret, struct error *err)
{
    struct file_zone *z = arena_alloc(a, sizeof(*z));
    *z = (struct file_zone){.zone = {.offset = file_offset}};
    if (zone_parse_fixed(name, &z->zone, err) == 0) {
        *ret = &z->zone;
        return 0;
    }
    AUTO_FREE unsigned char *file = x_alloc(FILE_MAX);
    size_t n = is_name(name) ? read_database(name, file) : 0;
    *z = (struct file_zone){.zone = {.offset = file_offset}};
    if (!parse_file(z, file, n, a)) {
        return error_set(err, -EINVAL,
                         "'" STR_FMT "' is no time zone: write UTC, +02:00 or a name such as "
                         "Europe/Berlin (these need the tzdata package on the server)",
                         STR_ARG(name));
    }
    snprintf(z->zone.name, sizeof(z->zone.name), STR_FMT, STR_ARG(name));
    *ret = &z->zone;
    return 0;
}
