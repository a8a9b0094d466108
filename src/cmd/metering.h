// The options of commands that compute costs (`run`, `processor`), and what a run is told by them.
#pragma once

#include "cmd/cli.h"
#include "pipeline/run.h"

// As options say it; a member `metering` of the command's options.
struct metering_options {
    const char *weights;
    int64_t price, window, max_gap, gpu_timeout, horizon;
    int64_t retain_raw, retain_windows, retain_dead;
    int method;
};

extern const char *const metering_methods[]; // in the order of enum cost_method

// Sets what the run is told, and what it keeps for how long. Options that are not given stay as the
// store has them. 0, or the exit status after saying what is wrong.
int metering_configure(struct cli *cli, const struct metering_options *o, struct run_config *c)
    GTAP_CHECK;

// clang-format off
#define OPTIONS_METERING(T)                                                                        \
    {.name = "price",                                                                              \
     .type = OPTION_MONEY,                                                                         \
     .offset = offsetof(T, metering.price),                                                        \
     .value = "USD_PER_HOUR",                                                                      \
     .help = "of a GPU that neither its samples nor the price book name a price for",              \
     .fallback = "none",                                                                           \
     .key = "price",                                                                               \
     .env = "PRICE_PER_HOUR_USD"},                                                                 \
    {.name = "weights",                                                                            \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, metering.weights),                                                      \
     .value = "IN:OUT",                                                                            \
     .help = "what an input token weighs beside an output token",                                  \
     .fallback = "1:4",                                                                            \
     .key = "weights"},                                                                            \
    {.name = "method",                                                                             \
     .type = OPTION_CHOICE,                                                                        \
     .offset = offsetof(T, metering.method),                                                       \
     .value = "METHOD",                                                                            \
     .help = "how requests share a GPU: weighted by tokens, or equal parts",                       \
     .fallback = "weighted",                                                                       \
     .key = "method",                                                                              \
     .choices = metering_methods},                                                                          \
    {.name = "window",                                                                             \
     .type = OPTION_DURATION,                                                                      \
     .offset = offsetof(T, metering.window),                                                       \
     .value = "DURATION",                                                                          \
     .help = "length of a cost window; divides an hour",                                           \
     .fallback = "60s",                                                                            \
     .key = "window"},                                                                             \
    {.name = "max-gap",                                                                            \
     .type = OPTION_DURATION,                                                                      \
     .offset = offsetof(T, metering.max_gap),                                                      \
     .value = "DURATION",                                                                          \
     .help = "samples further apart leave a gap without telemetry",                                \
     .fallback = "30s",                                                                            \
     .key = "max-gap"},                                                                            \
    {.name = "gpu-timeout",                                                                        \
     .type = OPTION_DURATION,                                                                      \
     .offset = offsetof(T, metering.gpu_timeout),                                                  \
     .value = "DURATION",                                                                          \
     .help = "a GPU unheard of for longer is not billed",                                          \
     .fallback = "5m",                                                                             \
     .key = "gpu-timeout"},                                                                        \
    {.name = "horizon",                                                                            \
     .type = OPTION_DURATION,                                                                      \
     .offset = offsetof(T, metering.horizon),                                                      \
     .value = "DURATION",                                                                          \
     .help = "how long after its end a window becomes final",                                      \
     .fallback = "5m",                                                                             \
     .key = "horizon"},                                                                            \
    {.name = "retain-raw",                                                                         \
     .type = OPTION_DURATION,                                                                      \
     .offset = offsetof(T, metering.retain_raw),                                                   \
     .value = "DURATION",                                                                          \
     .help = "keep raw records this long; 0 keeps them",                                           \
     .fallback = "0s",                                                                             \
     .key = "retain-raw"},                                                                         \
    {.name = "retain-windows",                                                                     \
     .type = OPTION_DURATION,                                                                      \
     .offset = offsetof(T, metering.retain_windows),                                               \
     .value = "DURATION",                                                                          \
     .help = "keep cost windows this long (hours and days stay); 0 keeps them",                    \
     .fallback = "0s",                                                                             \
     .key = "retain-windows"},                                                                     \
    {.name = "retain-dead",                                                                        \
     .type = OPTION_DURATION,                                                                      \
     .offset = offsetof(T, metering.retain_dead),                                                  \
     .value = "DURATION",                                                                          \
     .help = "keep dead letters this long; 0 keeps them",                                          \
     .fallback = "0s",                                                                             \
     .key = "retain-dead"}
// clang-format on
