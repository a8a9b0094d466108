#include "cmd/metering.h"

const char *const metering_methods[] = {"weighted", "equal", NULL};

static bool is_given(const struct cli *cli, const char *name)
{
    return option_given(cli, name)->origin != ORIGIN_DEFAULT;
}

// A rule between what is given and a default may not be one: the store may say something else
// than the default. Whoever knows both checks it; here it is only what can never be right.
static int check_alone(struct cli *cli, const struct settings *given, unsigned which)
{
    struct settings s = *given;
    struct error err;
    if (!(which & SETTING_HORIZON)) {
        s.horizon_ns = MAX(s.horizon_ns, s.gpu_timeout_ns);
    }
    if (!(which & SETTING_GPU_TIMEOUT)) {
        s.gpu_timeout_ns = MIN(s.horizon_ns, MAX(s.gpu_timeout_ns, s.max_gap_ns));
    }
    if (!(which & SETTING_MAX_GAP)) {
        s.max_gap_ns = MIN(s.max_gap_ns, s.gpu_timeout_ns);
    }
    return settings_check(&s, &err) < 0 ? cli_misuse(cli, "--%s", err.msg) : 0;
}

int metering_configure(struct cli *cli, const struct metering_options *o, struct run_config *c)
{
    struct settings s = {
        .window_ns = o->window,
        .max_gap_ns = o->max_gap,
        .gpu_timeout_ns = o->gpu_timeout,
        .horizon_ns = o->horizon,
        .default_price_nusd = o->price,
        .method = (enum cost_method)o->method,
    };
    static const struct {
        const char *name;
        enum setting which;
    } names[] = {
        {"window", SETTING_WINDOW},
        {"max-gap", SETTING_MAX_GAP},
        {"gpu-timeout", SETTING_GPU_TIMEOUT},
        {"horizon", SETTING_HORIZON},
        {"price", SETTING_PRICE},
        {"weights", SETTING_WEIGHTS},
        {"method", SETTING_METHOD},
    };
    if (weights_parse(str_of(o->weights), &s.weight_in, &s.weight_out) < 0) {
        return cli_misuse(cli, "--weights: must be IN:OUT such as 1:4, not '%s'", o->weights);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        c->settings_given |= is_given(cli, names[i].name) ? names[i].which : 0U;
    }
    c->settings = s;
    c->retain_ns[STORE_GPU_METRICS] = c->retain_ns[STORE_TOKEN_USAGE] = o->retain_raw;
    c->retain_ns[STORE_COST_WINDOWS] = o->retain_windows;
    c->retain_ns[STORE_DEAD_LETTERS] = o->retain_dead;
    return check_alone(cli, &s, c->settings_given);
}
