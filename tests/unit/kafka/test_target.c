#include <errno.h>

#include "base/buf.h"
#include "kafka/settings.h"
#include "test.h"

struct row {
    const char *uri, *bootstrap, *topics; // topics joined by '+'
    const char *message;                  // or what is said instead
};

static void join(const struct kafka_target *t, struct buf *ret)
{
    for (size_t i = 0; i < t->n_topics; i++) {
        buf_printf(ret, "%s%s", i ? "+" : "", t->topics[i]);
    }
}

static void check(const struct row *row, const struct kafka_settings *settings)
{
    struct arena a = {0};
    struct uri u;
    struct kafka_target t;
    struct error err = {0};
    struct buf topics;
    buf_init(&topics, 1 << 16);
    assert_ok(uri_parse(&a, str_of(row->uri), &u, &err), &err);
    int r = kafka_target_read(&u, settings, &a, &t, &err);
    if (row->message) {
        assert_i64(r, -EINVAL);
        if (!strstr(err.msg, row->message)) {
            fail_msg("%s: %s", row->uri, err.msg);
        }
    } else {
        assert_ok(r, &err);
        assert_string_equal(t.bootstrap, row->bootstrap);
        join(&t, &topics);
        assert_str(buf_view(&topics), row->topics);
    }
    buf_done(&topics);
    arena_done(&a);
}

static void test_targets(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"kafka://k:9092/tokens", "k:9092", "tokens", NULL},
        {"kafka://k/tokens", "k", "tokens", NULL},
        {"kafka://k:9092", "k:9092", "", NULL},
        {"kafka://k:9092/", "k:9092", "", NULL},
        {"kafka://a:1,b:2,c/gpu.metrics.v1,token.usage.v1?group=x", "a:1,b:2,c",
         "gpu.metrics.v1+token.usage.v1", NULL},
        {"kafka://[::1]:9092,[fe80::1]/t_-.1", "[::1]:9092,[fe80::1]", "t_-.1", NULL},
        {"kafka:///t", NULL, NULL, "names no broker"},
        {"kafka:", NULL, NULL, "KAFKA_BOOTSTRAP=HOST:9092"},
        {"kafka:k:9092/t", NULL, NULL, "is not of the form kafka://HOST:9092"},
        {"kafka://u:p@k:9092/t", NULL, NULL, "KAFKA_PROPERTY_SASL_USERNAME"},
        {"kafka://k:0/t", NULL, NULL, "'k:0' is no broker: expected HOST:PORT"},
        {"kafka://k:65536/t", NULL, NULL, "no broker"},
        {"kafka://k:/t", NULL, NULL, "no broker"},
        {"kafka://k,,l/t", NULL, NULL, "'' is no broker"},
        {"kafka://k k/t", NULL, NULL, "no broker"},
        {"kafka://::1/t", NULL, NULL, "no broker"},
        {"kafka://[::1/t", NULL, NULL, "no broker"},
        {"kafka://[::1]x:1/t", NULL, NULL, "no broker"},
        {"kafka://k/a/b", NULL, NULL, "'a/b' is no name of a topic"},
        {"kafka://k/^tok.*", NULL, NULL, "is no name of a topic"},
        {"kafka://k/a,", NULL, NULL, "'' is no name of a topic"},
        {"kafka://k/.", NULL, NULL, "is no name of a topic"},
        {"kafka://k/a,b,a", NULL, NULL, "topic 'a' is named twice"},
        {"kafka://k/1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", NULL, NULL, "more than 16 topics"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check(&rows[i], NULL);
    }
}

static void test_bootstrap(void **state)
{
    (void)state;
    const struct kafka_settings good = {.bootstrap = "k:9092"}, bad = {.bootstrap = "k:x"};
    static const struct row from_variable[] = {
        {"kafka:///t", "k:9092", "t", NULL},
        {"kafka:", "k:9092", "", NULL},
        {"kafka://l/t", "l", "t", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(from_variable); i++) {
        check(&from_variable[i], &good);
    }
    check(&(struct row){"kafka:///t", NULL, NULL, "KAFKA_BOOTSTRAP: 'k:x' is no broker"}, &bad);
}

static void test_long_names(void **state)
{
    (void)state;
    char uri[300] = "kafka://k/";
    size_t n = strlen(uri);
    memset(uri + n, 'x', 249);
    check(&(struct row){uri, "k", uri + n, NULL}, NULL);
    uri[n + 249] = 'x';
    check(&(struct row){uri, NULL, NULL, "up to 249"}, NULL);
}

int main(void)
{
    return TEST_RUN(TEST(test_targets), TEST(test_bootstrap), TEST(test_long_names));
}
