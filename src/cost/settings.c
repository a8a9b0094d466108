#include "cost/settings.h"

#include <errno.h>
#include <string.h>

#include "base/decimal.h"
#include "base/time.h"
#include "model/record.h"

const struct settings settings_default = {
    .effective_from = 0,
    .window_ns = 60 * NS_PER_S,
    .max_gap_ns = 30 * NS_PER_S,
    .gpu_timeout_ns = 300 * NS_PER_S,
    .horizon_ns = 300 * NS_PER_S,
    .default_price_nusd = PRICE_NONE,
    .weight_in = 1,
    .weight_out = 4,
    .method = METHOD_WEIGHTED,
};

enum { WEIGHT_MAX = 65535, WEIGHT_PLACES = 4 };

static const char *settings_fault(const struct settings *s)
{
    if (s->window_ns <= 0 || NS_PER_HOUR % s->window_ns != 0) {
        return "window: must divide one hour (60s, 5m, 1h, ...)";
    }
    if (s->max_gap_ns <= 0) {
        return "max-gap: must be longer than 0";
    }
    if (s->gpu_timeout_ns < s->max_gap_ns) {
        return "gpu-timeout: must not be shorter than max-gap";
    }
    if (s->gpu_timeout_ns > NS_PER_DAY) {
        return "gpu-timeout: must not be longer than one day";
    }
    if (s->horizon_ns < s->gpu_timeout_ns) {
        return "horizon: must not be shorter than gpu-timeout";
    }
    if (s->horizon_ns > 7 * NS_PER_DAY) {
        return "horizon: must not be longer than seven days";
    }
    if (s->default_price_nusd < PRICE_NONE || s->default_price_nusd > RECORD_PRICE_MAX) {
        return "price: must be between 0 and 1,000,000 USD per hour";
    }
    if (s->weight_in < 1 || s->weight_in > WEIGHT_MAX || s->weight_out < 1 ||
        s->weight_out > WEIGHT_MAX) {
        return "weights: both must be above 0, with a ratio of at most 65535";
    }
    if (s->effective_from < 0 || s->effective_from % s->window_ns != 0) {
        return "effective_from: must be a multiple of the window";
    }
    return NULL;
}

int settings_check(const struct settings *s, struct error *err)
{
    const char *fault = settings_fault(s);
    return fault ? error_set(err, -EINVAL, "%s", fault) : 0;
}

void settings_take(struct settings *to, const struct settings *from, unsigned which)
{
    const struct settings old = *to;
    *to = *from;
    to->effective_from = old.effective_from;
    to->window_ns = which & SETTING_WINDOW ? from->window_ns : old.window_ns;
    to->max_gap_ns = which & SETTING_MAX_GAP ? from->max_gap_ns : old.max_gap_ns;
    to->gpu_timeout_ns = which & SETTING_GPU_TIMEOUT ? from->gpu_timeout_ns : old.gpu_timeout_ns;
    to->horizon_ns = which & SETTING_HORIZON ? from->horizon_ns : old.horizon_ns;
    if (!(which & SETTING_PRICE)) {
        to->default_price_nusd = old.default_price_nusd;
    }
    if (!(which & SETTING_WEIGHTS)) {
        to->weight_in = old.weight_in;
        to->weight_out = old.weight_out;
    }
    to->method = which & SETTING_METHOD ? from->method : old.method;
}

bool settings_same(const struct settings *a, const struct settings *b)
{
    return a->window_ns == b->window_ns && a->max_gap_ns == b->max_gap_ns &&
           a->gpu_timeout_ns == b->gpu_timeout_ns && a->horizon_ns == b->horizon_ns &&
           a->default_price_nusd == b->default_price_nusd && a->weight_in == b->weight_in &&
           a->weight_out == b->weight_out && a->method == b->method;
}

static const char *const method_names[] = {
    [METHOD_WEIGHTED] = "weighted",
    [METHOD_EQUAL] = "equal",
};

const char *method_name(enum cost_method m)
{
    return method_names[m];
}

int method_parse(struct str s, enum cost_method *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(method_names); i++) {
        if (!str_eq(s, str_of(method_names[i]))) {
            continue;
        }
        *ret = (enum cost_method)i;
        return 0;
    }
    return -EINVAL;
}

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

int weights_parse(struct str s, int32_t *ret_in, int32_t *ret_out)
{
    struct str head = STR_NONE;
    int64_t in = 0, out = 0;
    if (!str_split(&s, ':', &head) || !str_present(s)) {
        return -EINVAL;
    }
    if (decimal_parse(head, WEIGHT_PLACES, &in) < 0 || decimal_parse(s, WEIGHT_PLACES, &out) < 0) {
        return -EINVAL;
    }
    if (in <= 0 || out <= 0) {
        return -EINVAL;
    }
    int64_t divisor = greatest_common_divisor(in, out);
    if (in / divisor > WEIGHT_MAX || out / divisor > WEIGHT_MAX) {
        return -EINVAL;
    }
    *ret_in = (int32_t)(in / divisor);
    *ret_out = (int32_t)(out / divisor);
    return 0;
}

const struct settings *settings_at(const struct settings_history *h, int64_t t)
{
    const struct settings *best = &h->epochs[0];
    for (size_t i = 1; i < h->n && h->epochs[i].effective_from <= t; i++) {
        best = &h->epochs[i];
    }
    return best;
}
