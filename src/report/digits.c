#include "report/digits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/time.h"

enum { NUMBER_TEXT_MAX = 64, RATE_EXPONENT_MAX = 30 };

i128 digits_round(i128 exact, i128 unit)
{
    return (exact + unit / 2) / unit;
}

struct remainder {
    i128 rest;
    size_t at;
};

static int by_rest(const void *a, const void *b)
{
    const struct remainder *x = a, *y = b;
    if (x->rest != y->rest) {
        return x->rest > y->rest ? -1 : 1;
    }
    return x->at < y->at ? -1 : 1;
}

void digits_share(const i128 *exact, size_t n, i128 unit, i128 total, i128 *shown)
{
    AUTO_FREE struct remainder *order = x_array(n, sizeof(*order));
    i128 left = total;
    for (size_t i = 0; i < n; i++) {
        shown[i] = exact[i] / unit;
        left -= shown[i];
        order[i] = (struct remainder){exact[i] % unit, i};
    }
    qsort(order, n, sizeof(*order), by_rest);
    for (size_t i = 0; i < n && left > 0 && order[i].rest > 0; i++, left--) {
        shown[order[i].at]++;
    }
}

void digits_grouped(struct buf *b, i128 v, int scale)
{
    struct buf text;
    buf_init(&text, NUMBER_TEXT_MAX);
    decimal_format_i128(&text, v, scale);
    size_t sign = v < 0, whole = text.n - (scale > 0 ? (size_t)scale + 1 : 0);
    for (size_t i = 0; i < text.n; i++) {
        if (i > sign && i < whole && (whole - i) % 3 == 0) {
            buf_char(b, ',');
        }
        buf_char(b, text.p[i]);
    }
    buf_done(&text);
}

// The exponent of printf's "1.23e+05".
static int exponent_of(const char *text)
{
    int exponent = 0;
    for (const char *p = text + 6; *p; p++) {
        exponent = exponent * 10 + (*p - '0');
    }
    return text[5] == '-' ? -exponent : exponent;
}

// printf rounds to three digits; what it leaves is an integer and a power of ten, so that nothing
// is rounded twice.
void digits_rate(struct buf *b, double v)
{
    char text[NUMBER_TEXT_MAX];
    if (v == 0 || !isfinite(v)) {
        buf_cstr(b, v == 0 ? "0" : "-");
        return;
    }
    snprintf(text, sizeof(text), "%.2e", fabs(v));
    int exponent = exponent_of(text) - 2;
    i128 digits = (text[0] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0');
    for (; exponent > 0 && exponent < RATE_EXPONENT_MAX; exponent--) {
        digits *= 10;
    }
    int scale = exponent < -RATE_EXPONENT_MAX ? RATE_EXPONENT_MAX : -exponent;
    digits_grouped(b, v < 0 ? -digits : digits, scale);
}

void digits_duration(struct buf *b, int64_t ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"d", NS_PER_DAY}, {"h", NS_PER_HOUR}, {"min", 60 * NS_PER_S}, {"s", NS_PER_S}};
    if (ns < NS_PER_S) {
        buf_printf(b, "%.1f s", (double)ns / (double)NS_PER_S);
        return;
    }
    size_t i = 0;
    while (ns < units[i].ns) {
        i++;
    }
    buf_printf(b, "%lld %s", (long long)(ns / units[i].ns), units[i].name);
    int64_t rest = i + 1 < ARRAY_LEN(units) ? ns % units[i].ns / units[i + 1].ns : 0;
    if (rest > 0) {
        buf_printf(b, " %lld %s", (long long)rest, units[i + 1].name);
    }
}

void digits_count(struct buf *b, int64_t n, const char *thing)
{
    digits_grouped(b, n, 0);
    buf_printf(b, " %s%s", thing, n == 1 ? "" : "s");
}

bool digits_per_mtok(i128 cost_nusd, i128 tokens, double *ret)
{
    *ret = tokens > 0 ? (double)cost_nusd / (double)tokens / 1e3 : 0;
    return tokens > 0;
}
