// The options of commands that read from Kafka or write to it, and the URI and settings that come
// of them. The names of variables are those that the pipeline's deployments use.
#pragma once

#include "cmd/cli.h"
#include "kafka/settings.h"

#define TOPIC_METRIC_DEFAULT "gpu.metrics.v1"
#define TOPIC_TOKEN_DEFAULT "token.usage.v1"

// As options say it; a member `kafka` of the command's options.
struct kafka_options {
    const char *bootstrap, *topic, *topic_metric, *topic_token;
    struct text_list properties;
};

// The topics: one for both kinds of records, or one for each.
size_t kafka_options_topics(const struct kafka_options *o, const char *ret[2]);

// Reads properties of options and environment. The caller calls kafka_settings_done(). 0, or the
// exit status after saying what is wrong.
int kafka_options_settings(struct cli *cli, const struct kafka_options *o,
                           struct kafka_settings *ret) GTAP_CHECK;

// Appends "kafka://BOOTSTRAP/TOPIC,TOPIC"; 0, or the exit status after saying that no brokers were
// named.
int kafka_options_uri(struct cli *cli, const struct kafka_options *o, struct buf *uri) GTAP_CHECK;
// Appends "?name=value" or "&name=value", with escapes; nothing when value is NULL.
void kafka_uri_option(struct buf *uri, const char *name, const char *value);

// clang-format off
#define OPTIONS_KAFKA(T)                                                                           \
    {.name = "bootstrap",                                                                          \
     .letter = 'b',                                                                                \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, kafka.bootstrap),                                                       \
     .value = "HOST:PORT,...",                                                                     \
     .help = "Kafka's brokers, some of them",                                                      \
     .key = "bootstrap",                                                                           \
     .shared = true,                                                                               \
     .env = "KAFKA_BOOTSTRAP"},                                                                    \
    {.name = "topic-metric",                                                                       \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, kafka.topic_metric),                                                    \
     .value = "TOPIC",                                                                             \
     .help = "of GPU samples",                                                                     \
     .fallback = TOPIC_METRIC_DEFAULT,                                                             \
     .key = "topic-metric",                                                                        \
     .shared = true,                                                                               \
     .env = "TOPIC_METRIC"},                                                                       \
    {.name = "topic-token",                                                                        \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, kafka.topic_token),                                                     \
     .value = "TOPIC",                                                                             \
     .help = "of token usage",                                                                     \
     .fallback = TOPIC_TOKEN_DEFAULT,                                                              \
     .key = "topic-token",                                                                         \
     .shared = true,                                                                               \
     .env = "TOPIC_TOKEN"},                                                                        \
    {.name = "topic",                                                                              \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, kafka.topic),                                                           \
     .value = "TOPIC",                                                                             \
     .help = "one topic of both kinds, in place of these two",                                     \
     .key = "topic",                                                                               \
     .shared = true,                                                                               \
     .env = "KAFKA_TOPIC"},                                                                        \
    {.name = "kafka-property",                                                                     \
     .type = OPTION_LIST,                                                                          \
     .offset = offsetof(T, kafka.properties),                                                      \
     .value = "NAME=VALUE",                                                                        \
     .help = "any property of librdkafka; secrets only by KAFKA_PROPERTY_NAME or, from a file, "   \
             "KAFKA_PROPERTY_NAME_FILE",                                                           \
     .key = "kafka-property",                                                                      \
     .shared = true}
// clang-format on
