// The brokers and topics of a URI.
#include <errno.h>

#include "base/buf.h"
#include "kafka/settings.h"

enum { TOPIC_BYTES_MAX = 249, HOST_BYTES_MAX = 253, BROKERS_BYTES_MAX = 2048 };

#define FORM "kafka://HOST:9092[,HOST:9092...]/TOPIC[,TOPIC...]"

static bool topic_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool good_topic(struct str s)
{
    bool good = s.n > 0 && s.n <= TOPIC_BYTES_MAX && !str_eq(s, STR(".")) && !str_eq(s, STR(".."));
    for (size_t i = 0; good && i < s.n; i++) {
        good = topic_char(s.p[i]);
    }
    return good;
}

static bool has_topic(const struct kafka_target *t, struct str name)
{
    bool found = false;
    for (size_t i = 0; i < t->n_topics; i++) {
        found = found || str_eq(str_of(t->topics[i]), name);
    }
    return found;
}

static int read_topics(struct str text, struct arena *a, struct kafka_target *t, struct error *err)
{
    for (struct str one; str_split(&text, ',', &one);) {
        if (!good_topic(one)) {
            return error_set(err, -EINVAL,
                             "kafka: '" STR_FMT "' is no name of a topic: up to %d of letters, "
                             "digits, '.', '_' and '-', as in " FORM,
                             STR_ARG(one), TOPIC_BYTES_MAX);
        }
        if (has_topic(t, one)) {
            return error_set(err, -EINVAL, "kafka: topic '" STR_FMT "' is named twice",
                             STR_ARG(one));
        }
        if (t->n_topics == KAFKA_TOPICS_MAX) {
            return error_set(err, -EINVAL, "kafka: more than %d topics", KAFKA_TOPICS_MAX);
        }
        t->topics[t->n_topics++] = arena_copy(a, one).p;
    }
    return 0;
}

static bool good_port(struct str s)
{
    unsigned port = 0;
    bool good = s.n > 0 && s.n <= 5;
    for (size_t i = 0; good && i < s.n; i++) {
        good = s.p[i] >= '0' && s.p[i] <= '9';
        port = port * 10 + (unsigned)(s.p[i] - '0');
    }
    return good && port > 0 && port <= 65535;
}

static bool host_char(char c, bool bracketed)
{
    return topic_char(c) || (bracketed && c == ':');
}

// HOST, HOST:PORT, [IPv6], [IPv6]:PORT.
static bool good_broker(struct str s)
{
    bool bracketed = str_starts(s, STR("["));
    const char *close = bracketed ? memchr(s.p, ']', s.n) : NULL;
    if (bracketed && !close) {
        return false;
    }
    const char *from = close ? close + 1 : s.p;
    const char *end = s.p + s.n;
    const char *colon = s.n ? memchr(from, ':', (size_t)(end - from)) : NULL;
    struct str host = {s.p, (size_t)((colon ? colon : end) - s.p)};
    if (close) {
        if (close + 1 != (colon ? colon : end)) {
            return false;
        }
        host = (struct str){s.p + 1, (size_t)(close - s.p - 1)};
    }
    bool good = host.n > 0 && host.n <= HOST_BYTES_MAX;
    for (size_t i = 0; good && i < host.n; i++) {
        good = host_char(host.p[i], bracketed);
    }
    return good && (!colon || good_port((struct str){colon + 1, (size_t)(end - colon - 1)}));
}

static int check_brokers(struct str text, const char *from, struct error *err)
{
    if (text.n > BROKERS_BYTES_MAX) {
        return error_set(err, -EINVAL, "%s names more brokers than %d bytes hold", from,
                         BROKERS_BYTES_MAX);
    }
    if (text.n && memchr(text.p, '@', text.n)) {
        return error_set(err, -EINVAL,
                         "%s: no user stands in front of a broker: set "
                         "KAFKA_PROPERTY_SASL_USERNAME and KAFKA_PROPERTY_SASL_PASSWORD_FILE",
                         from);
    }
    for (struct str one; str_split(&text, ',', &one);) {
        if (!good_broker(one)) {
            return error_set(err, -EINVAL, "%s: '" STR_FMT "' is no broker: expected HOST:PORT",
                             from, STR_ARG(one));
        }
    }
    return 0;
}

static int read_brokers(struct str text, const struct kafka_settings *settings, struct arena *a,
                        struct kafka_target *t, struct error *err)
{
    const char *from = "kafka:";
    if (text.n == 0 && settings && settings->bootstrap) {
        text = str_of(settings->bootstrap);
        from = "KAFKA_BOOTSTRAP";
    }
    if (text.n == 0) {
        return error_set(err, -EINVAL,
                         "kafka: names no broker: expected " FORM
                         ", or set KAFKA_BOOTSTRAP=HOST:9092");
    }
    t->bootstrap = arena_copy(a, text).p;
    return check_brokers(text, from, err);
}

int kafka_target_read(const struct uri *uri, const struct kafka_settings *settings, struct arena *a,
                      struct kafka_target *ret, struct error *err)
{
    *ret = (struct kafka_target){0};
    struct str path = uri->path, brokers;
    if (path.n > 0 && !str_starts(path, STR("//"))) {
        return error_set(err, -EINVAL, "'kafka:" STR_FMT "' is not of the form " FORM,
                         STR_ARG(path));
    }
    if (path.n > 0) {
        path = (struct str){path.p + 2, path.n - 2};
    }
    str_split(&path, '/', &brokers);
    int r = read_brokers(brokers, settings, a, ret, err);
    return r < 0 || path.n == 0 ? r : read_topics(path, a, ret, err);
}
