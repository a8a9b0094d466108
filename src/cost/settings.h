// What the engine was told, and from when it held. A store keeps these, so that `verify` and
// `recompute` need no environment and answer the same on any machine. An epoch holds for every
// window that begins at or after its effective_from and before the next one's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum cost_method { METHOD_WEIGHTED, METHOD_EQUAL };

#define PRICE_NONE INT64_C(-1) // unpriced: never the same as 0

struct settings {
    int64_t effective_from;        // ns; a multiple of window_ns of this and the previous epoch
    int64_t window_ns;             // W; divides one hour. 60 s
    int64_t max_gap_ns;            // 30 s
    int64_t gpu_timeout_ns;        // >= max_gap_ns. 5 min
    int64_t horizon_ns;            // >= gpu_timeout_ns. 5 min
    int64_t default_price_nusd;    // per hour, PRICE_NONE when there is none
    int32_t weight_in, weight_out; // 1..65535, in lowest terms. 1:4
    enum cost_method method;
};

extern const struct settings settings_default;

// -EINVAL naming the first rule above that is broken.
int settings_check(const struct settings *s, struct error *err) GTAP_CHECK;

// Members of settings, as somebody gives some of them.
enum setting {
    SETTING_WINDOW = 1 << 0,
    SETTING_MAX_GAP = 1 << 1,
    SETTING_GPU_TIMEOUT = 1 << 2,
    SETTING_HORIZON = 1 << 3,
    SETTING_PRICE = 1 << 4,
    SETTING_WEIGHTS = 1 << 5,
    SETTING_METHOD = 1 << 6,
    SETTINGS_ALL = (1 << 7) - 1,
};
void settings_take(struct settings *to, const struct settings *from, unsigned which);

bool settings_same(const struct settings *a, const struct settings *b); // but for effective_from
const char *method_name(enum cost_method m);                            // "weighted", "equal"
int method_parse(struct str s, enum cost_method *ret) GTAP_CHECK;
// "1:4", "0.25:1": decimals with up to 4 places, reduced. -EINVAL otherwise.
int weights_parse(struct str s, int32_t *ret_in, int32_t *ret_out) GTAP_CHECK;

// All epochs, oldest first; the first is effective from 0. n >= 1.
struct settings_history {
    struct settings *epochs;
    size_t n;
};

const struct settings *settings_at(const struct settings_history *h, int64_t t);
