// What librdkafka is told, and who says so: any of its properties, by the environment
// (KAFKA_PROPERTY_SASL_MECHANISM=PLAIN), by an option (sasl.mechanism=PLAIN) or by a URI
// (?property.sasl.mechanism=PLAIN); the last of these wins. librdkafka knows the names and judges
// the values (kafka/client.h); here is only what is read before there is a client.
//
// Secrets come by the environment or, better, a file (KAFKA_PROPERTY_SASL_PASSWORD_FILE=/run/...):
// on a command line every user of the machine could read them. No message shows one. Not
// thread-safe; may be read by many once it is complete.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/uri.h"

enum { KAFKA_PROPERTIES_MAX = 128, KAFKA_VALUE_MAX = 64 * 1024, KAFKA_TOPICS_MAX = 16 };

enum kafka_from { KAFKA_FROM_ENVIRONMENT, KAFKA_FROM_OPTION, KAFKA_FROM_URI };

struct kafka_property {
    const char *name;  // "sasl.mechanism"
    const char *value; // may be a secret
    const char *where; // how the user wrote it: "KAFKA_PROPERTY_SASL_MECHANISM"
    enum kafka_from from;
};

struct kafka_settings {
    struct arena arena; // holds all texts
    struct kafka_property v[KAFKA_PROPERTIES_MAX];
    size_t n;
    const char *bootstrap; // KAFKA_BOOTSTRAP: brokers of URIs that name none; NULL: not given
};

// All zero is empty.
void kafka_settings_done(struct kafka_settings *s);

// "name=value". -EINVAL with a message, also for secrets.
int kafka_settings_option(struct kafka_settings *s, struct str text, struct error *err) GTAP_CHECK;

// Takes KAFKA_BOOTSTRAP, KAFKA_PROPERTY_... and KAFKA_PROPERTY_..._FILE out of "NAME=value" texts,
// NULL-terminated as environ(7). '_' stands for '.', letters become small. Of a file, one line
// break at its end does not count. -EINVAL, or the errno of a file that cannot be read.
int kafka_settings_environment(struct kafka_settings *s, char *const *environment,
                               struct error *err) GTAP_CHECK;

// The options of the URI that begin with "property.". -EINVAL with a message.
int kafka_settings_uri(struct kafka_settings *s, const struct uri *uri, struct error *err)
    GTAP_CHECK;

// Makes *to the same as `from`, with copies of all texts; NULL: empty.
void kafka_settings_copy(struct kafka_settings *to, const struct kafka_settings *from);

const struct kafka_property *kafka_settings_find(const struct kafka_settings *s, const char *name);

// Whether nobody may see the value of this property.
bool kafka_is_secret(struct str name) GTAP_PURE;

// kafka://HOST[:PORT][,HOST[:PORT]...][/TOPIC[,TOPIC...]]; kafka:///TOPIC takes the brokers of
// KAFKA_BOOTSTRAP.
struct kafka_target {
    const char *bootstrap;                // "kafka-1:9092,kafka-2:9092"
    const char *topics[KAFKA_TOPICS_MAX]; // distinct, in the order given
    size_t n_topics;                      // 0: none was named
};

// Texts are in the arena. settings may be NULL. -EINVAL with a message that says what is wrong and
// how it would be right: no broker, a user in the URI, a bad port, a name that Kafka does not take.
int kafka_target_read(const struct uri *uri, const struct kafka_settings *settings, struct arena *a,
                      struct kafka_target *ret, struct error *err) GTAP_CHECK;

// The entry for drivers' tables of options that lets any property through.
#define KAFKA_PROPERTY_OPTION                                                                      \
    {                                                                                              \
        "property.*", "VALUE", "any property of librdkafka that is no secret"                      \
    }
