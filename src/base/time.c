#include "base/time.h"

#include <errno.h>
#include <time.h>

#include "base/decimal.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t system_wall(const struct clock *c)
{
    (void)c;
    return read_clock(CLOCK_REALTIME);
}

static struct mono system_mono(const struct clock *c)
{
    (void)c;
    return (struct mono){read_clock(CLOCK_MONOTONIC)};
}

const struct clock clock_system = {.wall = system_wall, .mono = system_mono};

// Days and dates by Howard Hinnant's chrono-compatible low-level date algorithms
// (howardhinnant.github.io/date_algorithms.html): years start in March, so that the leap day is
// the last of its year, and 400 years ("era") always have DAYS_PER_ERA days.
enum { DAYS_PER_ERA = 146097, DAYS_FROM_0000_03_01_TO_1970 = 719468 };

static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? (int64_t)year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_FROM_0000_03_01_TO_1970;
}

static struct civil civil_from_days(int64_t days)
{
    days += DAYS_FROM_0000_03_01_TO_1970;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t doe = days - era * DAYS_PER_ERA;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / (DAYS_PER_ERA - 1)) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    return (struct civil){
        .year = (int)(yoe + era * 400) + (month <= 2),
        .month = month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
    };
}

struct civil time_civil(int64_t t)
{
    int64_t midnight = time_floor(t, NS_PER_DAY);
    struct civil c = civil_from_days(midnight / NS_PER_DAY);
    int second_of_day = (int)((t - midnight) / NS_PER_S);
    c.hour = second_of_day / 3600;
    c.minute = second_of_day / 60 % 60;
    c.second = second_of_day % 60;
    return c;
}

static int64_t seconds_from_civil(struct civil c)
{
    int64_t days = days_from_civil(c.year, c.month, c.day);
    return days * 86400 + c.hour * INT64_C(3600) + c.minute * INT64_C(60) + c.second;
}

int64_t time_from_civil(struct civil c)
{
    return seconds_from_civil(c) * NS_PER_S;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool eat(struct str *s, char c)
{
    bool found = s->n > 0 && s->p[0] == c;
    if (found) {
        s->p++;
        s->n--;
    }
    return found;
}

static bool eat_digits(struct str *s, size_t count, int *ret)
{
    int v = 0;
    for (size_t i = 0; i < count; i++) {
        if (i >= s->n || !is_digit(s->p[i])) {
            return false;
        }
        v = v * 10 + (s->p[i] - '0');
    }
    s->p += count;
    s->n -= count;
    *ret = v;
    return true;
}

static bool eat_date(struct str *s, struct civil *c)
{
    return eat_digits(s, 4, &c->year) && eat(s, '-') && eat_digits(s, 2, &c->month) &&
           eat(s, '-') && eat_digits(s, 2, &c->day) && c->month >= 1 && c->month <= 12 &&
           c->day >= 1 && c->day <= days_in_month(c->year, c->month);
}

static bool eat_clock(struct str *s, struct civil *c)
{
    return eat_digits(s, 2, &c->hour) && eat(s, ':') && eat_digits(s, 2, &c->minute) &&
           eat(s, ':') && eat_digits(s, 2, &c->second) && c->hour <= 23 && c->minute <= 59 &&
           c->second <= 59;
}

static bool eat_fraction(struct str *s, int64_t *ret_ns)
{
    *ret_ns = 0;
    if (!eat(s, '.')) {
        return true;
    }
    int64_t unit = NS_PER_S / 10;
    bool any = false;
    for (int digit; eat_digits(s, 1, &digit); unit /= 10) {
        *ret_ns += digit * unit;
        any = true;
    }
    return any;
}

static bool eat_zone(struct str *s, int *ret_seconds)
{
    *ret_seconds = 0;
    if (s->n == 0 || eat(s, 'Z') || eat(s, 'z')) {
        return true;
    }
    bool west = eat(s, '-');
    int hours, minutes;
    if ((!west && !eat(s, '+')) || !eat_digits(s, 2, &hours)) {
        return false;
    }
    eat(s, ':');
    if (!eat_digits(s, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *ret_seconds = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

int time_parse_iso(struct str s, int64_t *ret)
{
    struct civil c = {0};
    int64_t fraction = 0;
    int zone = 0;
    if (!eat_date(&s, &c)) {
        return -EINVAL;
    }
    if (eat(&s, 'T') || eat(&s, 't') || eat(&s, ' ')) {
        if (!eat_clock(&s, &c) || !eat_fraction(&s, &fraction) || !eat_zone(&s, &zone)) {
            return -EINVAL;
        }
    }
    if (s.n > 0) {
        return -EINVAL;
    }
    int64_t seconds = seconds_from_civil(c) - zone;
    if (seconds < 0 || seconds >= TIME_MAX / NS_PER_S) {
        return -ERANGE;
    }
    *ret = seconds * NS_PER_S + fraction;
    return 0;
}

// So many digits, and what follows them; returns where it ends.
static char *put_digits(char *at, int v, int digits, char next)
{
    for (int i = digits - 1; i >= 0; i--, v /= 10) {
        at[i] = (char)('0' + v % 10);
    }
    at[digits] = next;
    return at + digits + 1;
}

// Every int64 of ns is of a year of four digits.
void time_format_iso(struct buf *b, int64_t t)
{
    struct civil c = time_civil(t);
    int ns = (int)(t - time_floor(t, NS_PER_S));
    char text[sizeof("2262-04-11T23:47:16.854775807Z")], *at = text;
    at = put_digits(at, c.year, 4, '-');
    at = put_digits(at, c.month, 2, '-');
    at = put_digits(at, c.day, 2, 'T');
    at = put_digits(at, c.hour, 2, ':');
    at = put_digits(at, c.minute, 2, ':');
    at = put_digits(at, c.second, 2, ns == 0 ? 'Z' : '.');
    if (ns % 1000 != 0) {
        at = put_digits(at, ns, 9, 'Z');
    } else if (ns % 1000000 != 0) {
        at = put_digits(at, ns / 1000, 6, 'Z');
    } else if (ns != 0) {
        at = put_digits(at, ns / 1000000, 3, 'Z');
    }
    buf_add(b, text, (size_t)(at - text));
}

// From long to short. A number of a unit is read at `scale` decimals and multiplied: that is exact
// to the nanosecond, and overflows no earlier than the result does.
static const struct unit {
    const char *name;
    int64_t ns;
    int scale;
    int64_t factor;
} units[] = {
    {"d", NS_PER_DAY, 9, 86400},
    {"h", NS_PER_HOUR, 9, 3600},
    {"m", 60 * NS_PER_S, 9, 60},
    {"s", NS_PER_S, 9, 1},
    {"ms", NS_PER_MS, 6, 1},
    {"us", NS_PER_US, 3, 1},
    {"ns", 1, 0, 1},
};

enum { UNIT_SECOND = 3 };

static struct str eat_while(struct str *s, bool (*belongs)(char c))
{
    struct str head = {s->p, 0};
    while (head.n < s->n && belongs(s->p[head.n])) {
        head.n++;
    }
    *s = (struct str){s->p + head.n, s->n - head.n};
    return head;
}

static bool is_number_char(char c)
{
    return is_digit(c) || c == '.';
}

static bool is_unit_char(char c)
{
    return c >= 'a' && c <= 'z';
}

static size_t find_unit(struct str name)
{
    size_t i = 0;
    while (i < ARRAY_LEN(units) && !str_eq(name, str_of(units[i].name))) {
        i++;
    }
    return i;
}

static int add_units(struct str number, const struct unit *unit, int64_t *total)
{
    int64_t v;
    int r = decimal_parse(number, unit->scale, &v);
    if (r < 0) {
        return r;
    }
    bool over =
        __builtin_mul_overflow(v, unit->factor, &v) || __builtin_add_overflow(*total, v, total);
    return over ? -ERANGE : 0;
}

int duration_parse(struct str s, int64_t *ret)
{
    int64_t total = 0;
    size_t next = 0; // units only get shorter: "1h30m", not "30m1h"
    if (s.n == 0) {
        return -EINVAL;
    }
    while (s.n > 0) {
        struct str number = eat_while(&s, is_number_char);
        struct str name = eat_while(&s, is_unit_char);
        bool bare = name.n == 0 && next == 0 && s.n == 0;
        size_t i = bare ? UNIT_SECOND : find_unit(name);
        if (i >= ARRAY_LEN(units) || i < next) {
            return -EINVAL;
        }
        int r = add_units(number, &units[i], &total);
        if (r < 0) {
            return r;
        }
        next = i + 1;
    }
    *ret = total;
    return 0;
}

void duration_format(struct buf *b, int64_t ns)
{
    if (ns == 0) {
        buf_cstr(b, "0s");
    }
    for (size_t i = 0; i < ARRAY_LEN(units) && ns > 0; i++) {
        if (ns >= units[i].ns) {
            buf_i64(b, ns / units[i].ns);
            buf_cstr(b, units[i].name);
            ns %= units[i].ns;
        }
    }
}
