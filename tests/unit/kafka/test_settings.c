#include "kafka/settings.h"

#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "test.h"

static const char *value_of(const struct kafka_settings *s, const char *name)
{
    const struct kafka_property *p = kafka_settings_find(s, name);
    return p ? p->value : NULL;
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *value, *message; // message: NULL where it is taken
    } rows[] = {
        {"security.protocol=SASL_SSL", "security.protocol", "SASL_SSL", NULL},
        {"ssl.ca.location=/a=b", "ssl.ca.location", "/a=b", NULL},
        {"client.rack=", "client.rack", "", NULL},
        {"nothing", NULL, NULL, "NAME=VALUE"},
        {"=x", NULL, NULL, "is no property"},
        {"SASL.mechanism=x", NULL, NULL, "is no property"},
        {"a b=x", NULL, NULL, "is no property"},
        {"sasl.password=hunter2", NULL, NULL, "KAFKA_PROPERTY_SASL_PASSWORD_FILE"},
        {"ssl.key.password=hunter2", NULL, NULL, "KAFKA_PROPERTY_SSL_KEY_PASSWORD_FILE"},
        {"ssl.key.pem=hunter2", NULL, NULL, "KAFKA_PROPERTY_SSL_KEY_PEM_FILE"},
        {"sasl.oauthbearer.client.secret=hunter2", NULL, NULL, "is a secret"},
        {"sasl.oauthbearer.config=hunter2", NULL, NULL, "a command line is seen by others"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kafka_settings s = {0};
        struct error err = {0};
        int r = kafka_settings_option(&s, str_of(rows[i].text), &err);
        assert_i64(r, rows[i].message ? -EINVAL : 0);
        if (rows[i].message) {
            assert_non_null(strstr(err.msg, rows[i].message));
            assert_null(strstr(err.msg, "hunter2"));
        } else {
            assert_string_equal(value_of(&s, rows[i].name), rows[i].value);
        }
        kafka_settings_done(&s);
    }
}

static void test_environment(void **state)
{
    (void)state;
    char path[] = "/tmp/gtap-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_i64(write(fd, "hunter2 \r\n", 10), 10);
    close(fd);
    AUTO_FREE char *file = x_asprintf("KAFKA_PROPERTY_SASL_PASSWORD_FILE=%s", path);
    char user[] = "KAFKA_PROPERTY_SASL_USERNAME=gtap", other[] = "KAFKA_PROPERTYX=1";
    char bootstrap[] = "KAFKA_BOOTSTRAP=b:9092", odd[] = "no assignment";
    char *const environment[] = {user, other, odd, file, bootstrap, NULL};
    struct kafka_settings s = {0};
    struct error err;
    assert_ok(kafka_settings_environment(&s, environment, &err), &err);
    assert_i64((int64_t)s.n, 2);
    assert_string_equal(value_of(&s, "sasl.username"), "gtap");
    assert_string_equal(value_of(&s, "sasl.password"), "hunter2 ");
    assert_string_equal(kafka_settings_find(&s, "sasl.password")->where,
                        "KAFKA_PROPERTY_SASL_PASSWORD_FILE");
    assert_string_equal(s.bootstrap, "b:9092");
    kafka_settings_done(&s);
    assert_i64(unlink(path), 0);
    assert_i64(kafka_settings_environment(&s, environment, &err), -ENOENT);
    assert_non_null(strstr(err.msg, path));
    assert_non_null(strstr(err.msg, "KAFKA_PROPERTY_SASL_PASSWORD_FILE"));
    kafka_settings_done(&s);
}

static void test_bad_variables(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "KAFKA_PROPERTY_=x", "KAFKA_PROPERTY__FILE=/x", "KAFKA_PROPERTY_A-B=x",
        "KAFKA_PROPERTY_A_FILE=/dev/zero", // longer than anything may be
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE char *one = x_strdup(rows[i]);
        char *const environment[] = {one, NULL};
        struct kafka_settings s = {0};
        struct error err = {0};
        if (kafka_settings_environment(&s, environment, &err) >= 0) {
            fail_msg("%s is taken", rows[i]);
        }
        assert_non_null(strstr(err.msg, "KAFKA_PROPERTY_"));
        kafka_settings_done(&s);
    }
}

static struct uri parsed(struct arena *a, const char *text)
{
    struct uri u;
    struct error err = {0};
    assert_ok(uri_parse(a, str_of(text), &u, &err), &err);
    return u;
}

// The URI over the option over the environment, whichever is read first.
static void test_who_wins(void **state)
{
    (void)state;
    struct arena a = {0};
    struct kafka_settings s = {0}, copy;
    struct error err;
    char env[] = "KAFKA_PROPERTY_LINGER_MS=1", more[] = "KAFKA_PROPERTY_CLIENT_RACK=e";
    char *const environment[] = {env, more, NULL};
    struct uri u = parsed(&a, "kafka://h/t?group=g&property.linger.ms=3&property.acks=all");
    assert_ok(kafka_settings_option(&s, STR("linger.ms=2"), &err), &err);
    assert_ok(kafka_settings_environment(&s, environment, &err), &err);
    assert_string_equal(value_of(&s, "linger.ms"), "2");
    kafka_settings_copy(&copy, &s);
    assert_ok(kafka_settings_uri(&copy, &u, &err), &err);
    assert_string_equal(value_of(&s, "linger.ms"), "2");
    kafka_settings_done(&s);
    assert_string_equal(value_of(&copy, "linger.ms"), "3");
    assert_string_equal(value_of(&copy, "client.rack"), "e");
    assert_string_equal(value_of(&copy, "acks"), "all");
    assert_null(kafka_settings_find(&copy, "group"));
    struct uri secret = parsed(&a, "kafka://h/t?property.sasl.password=hunter2");
    assert_i64(kafka_settings_uri(&copy, &secret, &err), -EINVAL);
    assert_null(strstr(err.msg, "hunter2"));
    assert_non_null(strstr(err.msg, "a URI is seen by others"));
    kafka_settings_done(&copy);
    kafka_settings_copy(&copy, NULL);
    assert_i64((int64_t)copy.n, 0);
    arena_done(&a);
}

int main(void)
{
    return TEST_RUN(TEST(test_options), TEST(test_environment), TEST(test_bad_variables),
                    TEST(test_who_wins));
}
