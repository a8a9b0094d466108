#include "cmd/kafka_options.h"

#include <string.h>
#include <unistd.h>

size_t kafka_options_topics(const struct kafka_options *o, const char *ret[2])
{
    if (o->topic && *o->topic) {
        ret[0] = o->topic;
        return 1;
    }
    ret[0] = o->topic_metric;
    ret[1] = o->topic_token;
    return strcmp(ret[0], ret[1]) == 0 ? 1 : 2;
}

int kafka_options_settings(struct cli *cli, const struct kafka_options *o,
                           struct kafka_settings *ret)
{
    struct error err;
    *ret = (struct kafka_settings){0};
    int r = kafka_settings_environment(ret, environ, &err);
    for (size_t i = 0; r == 0 && i < o->properties.n; i++) {
        r = kafka_settings_option(ret, str_of(o->properties.items[i]), &err);
    }
    if (r < 0) {
        kafka_settings_done(ret);
        return cli_fail(cli, &err);
    }
    return 0;
}

int kafka_options_uri(struct cli *cli, const struct kafka_options *o, struct buf *uri)
{
    const char *topics[2];
    size_t n = kafka_options_topics(o, topics);
    if (!o->bootstrap || !*o->bootstrap) {
        return cli_misuse(cli, "no brokers were named: --bootstrap HOST:PORT or KAFKA_BOOTSTRAP");
    }
    buf_printf(uri, "kafka://%s/", o->bootstrap);
    for (size_t i = 0; i < n; i++) {
        buf_printf(uri, "%s%s", i ? "," : "", topics[i]);
    }
    return 0;
}

static bool stands_for_itself(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("-._~", c) != NULL;
}

void kafka_uri_option(struct buf *uri, const char *name, const char *value)
{
    if (!value) {
        return;
    }
    bool first = memchr(uri->p, '?', uri->n) == NULL;
    buf_printf(uri, "%c%s=", first ? '?' : '&', name);
    for (const char *p = value; *p; p++) {
        if (stands_for_itself(*p)) {
            buf_char(uri, *p);
        } else {
            buf_printf(uri, "%%%02X", (unsigned)(unsigned char)*p);
        }
    }
}
