#include "kafka/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"

#define VARIABLE "KAFKA_PROPERTY_"
#define FILE_SUFFIX "_FILE"
#define URI_PREFIX "property."

enum { NAME_MAX_BYTES = 128 };

void kafka_settings_done(struct kafka_settings *s)
{
    arena_done(&s->arena);
    *s = (struct kafka_settings){0};
}

static bool contains(struct str s, const char *word)
{
    return s.n > 0 && memmem(s.p, s.n, word, strlen(word)) != NULL;
}

bool kafka_is_secret(struct str name)
{
    static const char *const words[] = {
        "password", "secret", "key.pem", "oauthbearer.config", "oauthbearer.extensions",
    };
    bool secret = false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        secret = secret || contains(name, words[i]);
    }
    return secret;
}

static struct kafka_property *find(struct kafka_settings *s, struct str name)
{
    size_t i = 0;
    while (i < s->n && !str_eq(str_of(s->v[i].name), name)) {
        i++;
    }
    return i < s->n ? &s->v[i] : NULL;
}

const struct kafka_property *kafka_settings_find(const struct kafka_settings *s, const char *name)
{
    size_t i = 0;
    while (i < s->n && strcmp(s->v[i].name, name) != 0) {
        i++;
    }
    return i < s->n ? &s->v[i] : NULL;
}

static bool good_name(struct str name)
{
    bool good = name.n > 0 && name.n <= NAME_MAX_BYTES;
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
    }
    return good;
}

static int put(struct kafka_settings *s, struct str name, struct str value, const char *where,
               enum kafka_from from, struct error *err)
{
    if (!good_name(name)) {
        return error_set(err, -EINVAL,
                         "%s: '" STR_FMT "' is no property of librdkafka: they look like "
                         "security.protocol",
                         where, STR_ARG(name));
    }
    if (value.n > KAFKA_VALUE_MAX || (value.n > 0 && memchr(value.p, '\0', value.n))) {
        return error_set(err, -EINVAL, "%s: longer than 64 KiB, or with a NUL in it", where);
    }
    struct kafka_property *old = find(s, name);
    if (old && old->from > from) {
        return 0;
    }
    if (!old && s->n == KAFKA_PROPERTIES_MAX) {
        return error_set(err, -EINVAL, "%s: more than %d Kafka properties", where,
                         KAFKA_PROPERTIES_MAX);
    }
    struct kafka_property *p = old ? old : &s->v[s->n++];
    *p = (struct kafka_property){
        .name = arena_copy(&s->arena, name).p,
        .value = arena_copy(&s->arena, value).p,
        .where = arena_copy(&s->arena, str_of(where)).p,
        .from = from,
    };
    return 0;
}

void kafka_settings_copy(struct kafka_settings *to, const struct kafka_settings *from)
{
    *to = (struct kafka_settings){0};
    for (size_t i = 0; from && i < from->n; i++) {
        const struct kafka_property *p = &from->v[i];
        to->v[to->n++] = (struct kafka_property){
            .name = arena_copy(&to->arena, str_of(p->name)).p,
            .value = arena_copy(&to->arena, str_of(p->value)).p,
            .where = arena_copy(&to->arena, str_of(p->where)).p,
            .from = p->from,
        };
    }
    if (from) {
        to->bootstrap = arena_copy(&to->arena, str_of(from->bootstrap)).p;
    }
}

// ---- options and URIs: what others may see ---------------------------------------------------

// "sasl.password" as the variable it should have been.
static void variable_of(struct str name, char ret[NAME_MAX_BYTES + 1])
{
    size_t n = MIN(name.n, (size_t)NAME_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        char c = name.p[i];
        ret[i] = c == '.' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    ret[n] = '\0';
}

static int refuse_secret(struct str name, const char *place, struct error *err)
{
    char variable[NAME_MAX_BYTES + 1];
    variable_of(name, variable);
    return error_set(err, -EINVAL,
                     STR_FMT " is a secret, and %s is seen by others: set " VARIABLE
                             "%s" FILE_SUFFIX " to the path of a file that holds it, or " VARIABLE
                             "%s to it",
                     STR_ARG(name), place, variable, variable);
}

static int put_open(struct kafka_settings *s, struct str name, struct str value, const char *where,
                    enum kafka_from from, const char *place, struct error *err)
{
    if (good_name(name) && kafka_is_secret(name)) {
        return refuse_secret(name, place, err);
    }
    return put(s, name, value, where, from, err);
}

int kafka_settings_option(struct kafka_settings *s, struct str text, struct error *err)
{
    struct str value = text, name;
    if (!str_split(&value, '=', &name) || !str_present(value)) {
        return error_set(err, -EINVAL,
                         "a Kafka property is NAME=VALUE, as in security.protocol=SASL_SSL");
    }
    char where[NAME_MAX_BYTES + 32];
    snprintf(where, sizeof(where), "Kafka property %.*s", (int)MIN(name.n, (size_t)NAME_MAX_BYTES),
             name.p);
    return put_open(s, name, value, where, KAFKA_FROM_OPTION, "a command line", err);
}

int kafka_settings_uri(struct kafka_settings *s, const struct uri *uri, struct error *err)
{
    for (size_t i = 0; i < uri->n_options; i++) {
        struct str key = uri->options[i].key;
        if (!str_starts(key, STR(URI_PREFIX))) {
            continue;
        }
        struct str name = {key.p + sizeof(URI_PREFIX) - 1, key.n - (sizeof(URI_PREFIX) - 1)};
        char where[NAME_MAX_BYTES + 32];
        snprintf(where, sizeof(where), "URI option %.*s", (int)MIN(key.n, (size_t)NAME_MAX_BYTES),
                 key.p);
        int r = put_open(s, name, uri->options[i].value, where, KAFKA_FROM_URI, "a URI", err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

// ---- the environment -------------------------------------------------------------------------

static int read_value_file(const char *path, struct buf *b)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    char *at = buf_reserve(b, KAFKA_VALUE_MAX + 1);
    ssize_t n;
    while ((n = read(fd, at + b->n, KAFKA_VALUE_MAX + 1 - b->n)) > 0) {
        b->n += (size_t)n;
    }
    int r = n < 0 ? -errno : 0;
    close(fd);
    return r == 0 && b->n > KAFKA_VALUE_MAX ? -EFBIG : r;
}

static int put_file(struct kafka_settings *s, struct str name, const char *variable,
                    const char *path, struct error *err)
{
    struct buf b;
    buf_init(&b, KAFKA_VALUE_MAX + 1);
    int r = read_value_file(path, &b);
    if (r < 0) {
        error_set(err, r, "%s: cannot read '%s': %s", variable, path, error_name(r));
    } else {
        struct str value = buf_view(&b);
        value.n -= str_ends(value, STR("\n"));
        value.n -= str_ends(value, STR("\r"));
        r = put(s, name, value, variable, KAFKA_FROM_ENVIRONMENT, err);
    }
    if (b.p) {
        explicit_bzero(b.p, b.cap);
    }
    buf_done(&b);
    return r;
}

// `rest` is what follows KAFKA_PROPERTY_ in the variable's name.
static int put_variable(struct kafka_settings *s, const char *variable, struct str rest,
                        struct str value, struct error *err)
{
    bool file = str_ends(rest, STR(FILE_SUFFIX));
    rest.n -= file ? sizeof(FILE_SUFFIX) - 1 : 0;
    char name[NAME_MAX_BYTES + 1];
    if (rest.n == 0 || rest.n > NAME_MAX_BYTES) {
        return error_set(err, -EINVAL, "%s names no property of librdkafka", variable);
    }
    for (size_t i = 0; i < rest.n; i++) {
        char c = rest.p[i];
        name[i] = c == '_' ? '.' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    struct str property = {name, rest.n};
    return file ? put_file(s, property, variable, value.p, err)
                : put(s, property, value, variable, KAFKA_FROM_ENVIRONMENT, err);
}

int kafka_settings_environment(struct kafka_settings *s, char *const *environment,
                               struct error *err)
{
    int r = 0;
    for (; environment && *environment && r == 0; environment++) {
        struct str value = str_of(*environment), name;
        if (!str_split(&value, '=', &name) || !str_present(value)) {
            continue;
        }
        if (str_eq(name, STR("KAFKA_BOOTSTRAP")) && value.n > 0) {
            s->bootstrap = arena_copy(&s->arena, value).p;
        } else if (str_starts(name, STR(VARIABLE))) {
            struct str rest = {name.p + sizeof(VARIABLE) - 1, name.n - (sizeof(VARIABLE) - 1)};
            r = put_variable(s, arena_copy(&s->arena, name).p, rest, value, err);
        }
    }
    return r;
}
