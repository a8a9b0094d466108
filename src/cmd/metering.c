#include "cmd/metering.h"

const char *const metering_methods[] = {"weighted", "equal", NULL};

static bool is_given(const struct cli *cli, const char *name)
{
    return option_given(cli, name)->origin != ORIGIN_DEFAULT;
}

// What the store was told last: options that are not given keep it. A store that is not there or
// cannot be read tells nothing here; run_pipeline says why.
static struct settings stored_settings(struct cli *cli, const char *uri)
{
    AUTO_STORE struct store *store = NULL;
    struct settings_history history = {0};
    struct error err;
    if (store_open(uri, STORE_READ, &store, &err) < 0 ||
        store_settings(store, &cli->arena, &history, &err) < 0 || history.n == 0) {
        return settings_default;
    }
    return history.epochs[history.n - 1];
}

int metering_configure(struct cli *cli, const struct metering_options *o, const char *store,
                       struct run_config *c)
{
    struct settings s = stored_settings(cli, store);
    const struct {
        const char *name;
        int64_t value, *at;
    } numbers[] = {
        {"price", o->price, &s.default_price_nusd},
        {"window", o->window, &s.window_ns},
        {"max-gap", o->max_gap, &s.max_gap_ns},
        {"gpu-timeout", o->gpu_timeout, &s.gpu_timeout_ns},
        {"horizon", o->horizon, &s.horizon_ns},
    };
    struct error err;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (is_given(cli, numbers[i].name)) {
            *numbers[i].at = numbers[i].value;
            c->settings_given = true;
        }
    }
    if (is_given(cli, "method")) {
        s.method = (enum cost_method)o->method;
        c->settings_given = true;
    }
    if (is_given(cli, "weights")) {
        if (weights_parse(str_of(o->weights), &s.weight_in, &s.weight_out) < 0) {
            return cli_misuse(cli, "--weights: must be IN:OUT such as 1:4, not '%s'", o->weights);
        }
        c->settings_given = true;
    }
    c->settings = s;
    c->retain_ns[STORE_GPU_METRICS] = c->retain_ns[STORE_TOKEN_USAGE] = o->retain_raw;
    c->retain_ns[STORE_COST_WINDOWS] = o->retain_windows;
    c->retain_ns[STORE_DEAD_LETTERS] = o->retain_dead;
    return settings_check(&s, &err) < 0 ? cli_misuse(cli, "--%s", err.msg) : 0;
}
