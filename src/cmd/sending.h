// What commands that send records to Kafka share (`agent`, `gateway`): their options, and running
// them. The spool is where records wait while Kafka is away; see docs/outputs/kafka.md.
#pragma once

#include "cmd/kafka_options.h"
#include "cmd/running.h"

#define SPOOL_DEFAULT "/var/lib/gtap/spool"
#define SPOOL_MAX_DEFAULT "1G"

// As options say it; texts borrowed. spool NULL: where it is by default, "": nowhere.
struct sending_options {
    const char *spool, *spool_max;
    bool json;
};

struct sending {
    const struct kafka_options *kafka;
    const struct sending_options *own;
    const struct serving_options *serving;
};

// Sends the inputs' records until they end or a signal comes. The exit status.
int send_records(struct cli *cli, const struct sending *s, const char *const *inputs,
                 size_t n_inputs) GTAP_CHECK;

// "512M": bytes, with K, M, G or T for 1024 and so on. -EINVAL.
int size_parse(struct str text, int64_t *ret) GTAP_CHECK;

// clang-format off
#define OPTIONS_SPOOL(T)                                                                           \
    {.name = "spool",                                                                              \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, sending.spool),                                                         \
     .value = "DIR",                                                                               \
     .help = "where records wait while Kafka is away; '' for nowhere (default: "                   \
             "$STATE_DIRECTORY/spool, else " SPOOL_DEFAULT " where that can be written to)",       \
     .key = "spool"},                                                                              \
    {.name = "spool-max",                                                                          \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, sending.spool_max),                                                     \
     .value = "SIZE",                                                                              \
     .help = "what it may hold; then what is there is kept, and what is new refused",              \
     .fallback = SPOOL_MAX_DEFAULT,                                                                \
     .key = "spool-max"}

// All options of such a command, whose struct has `in`, `kafka`, `sending` and `serving`.
#define OPTIONS_SENDING(T, in_help, listen_help)                                                   \
    {.name = "in",                                                                                 \
     .letter = 'i',                                                                                \
     .type = OPTION_LIST,                                                                          \
     .offset = offsetof(T, in),                                                                    \
     .value = "URI",                                                                               \
     .help = in_help,                                                                              \
     .key = "in",                                                                                  \
     .secrecy = OPTION_URI_SECRET},                                                                \
    OPTIONS_KAFKA(T),                                                                              \
    OPTIONS_SPOOL(T),                                                                              \
    OPTIONS_SERVING(T, listen_help),                                                               \
    {.name = "json",                                                                               \
     .type = OPTION_FLAG,                                                                          \
     .offset = offsetof(T, sending.json),                                                          \
     .help = "at the end, print what was done as JSON"}
// clang-format on
