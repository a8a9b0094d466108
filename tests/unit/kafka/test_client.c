// Configurations, and topics of librdkafka's mock cluster.
#include "kafka/client.h"

#include <errno.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/time.h"
#include "test.h"

static const struct kafka_value defaults[] = {
    {"fetch.wait.max.ms", "100", NULL},
    {NULL, NULL, NULL},
};
static const struct kafka_value forced[] = {
    {"enable.auto.commit", "false", "offsets are committed when records are stored"},
    {"group.id", NULL, "it is the URI's group="},
    {NULL, NULL, NULL},
};
static const struct kafka_plan plan = {defaults, forced};

static int with_property(const char *text, rd_kafka_conf_t **ret, struct error *err)
{
    struct kafka_settings s = {0};
    struct kafka_log *log = kafka_log_new(NULL);
    assert_ok(kafka_settings_option(&s, str_of(text), err), err);
    int r = kafka_conf_new(&s, &plan, "localhost:1", log, ret, err);
    kafka_settings_done(&s);
    kafka_log_free(log); // no client was made of it
    return r;
}

static void test_settings_win_over_defaults(void **state)
{
    (void)state;
    rd_kafka_conf_t *conf;
    struct error err;
    assert_ok(with_property("fetch.wait.max.ms=7", &conf, &err), &err);
    assert_i64(kafka_conf_i64(conf, "fetch.wait.max.ms", -1), 7);
    assert_i64(kafka_conf_i64(conf, "client.id", -1), -1);
    rd_kafka_conf_destroy(conf);
    assert_ok(with_property("client.rack=x", &conf, &err), &err);
    assert_i64(kafka_conf_i64(conf, "fetch.wait.max.ms", -1), 100);
    assert_i64(kafka_conf_set(conf, "fetch.wait.max.ms", "x", &err), -EINVAL);
    rd_kafka_conf_destroy(conf);
    assert_ok(with_property("enable.auto.commit=false", &conf, &err), &err); // as we would
    rd_kafka_conf_destroy(conf);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *property, *message;
    } rows[] = {
        {"enable.auto.commit=true", "enable.auto.commit is not to be set here: offsets are "
                                    "committed when records are stored"},
        {"group.id=x", "it is the URI's group="},
        {"bootstrap.servers=x:1", "KAFKA_BOOTSTRAP"},
        {"metadata.broker.list=x:1", "KAFKA_BOOTSTRAP"},
        {"no.such.thing=1", "has no property 'no.such.thing'"},
        {"fetch.wait.max.ms=-7", "Kafka property fetch.wait.max.ms: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rd_kafka_conf_t *conf;
        struct error err = {0};
        assert_i64(with_property(rows[i].property, &conf, &err), -EINVAL);
        if (!strstr(err.msg, rows[i].message)) {
            fail_msg("%s: %s", rows[i].property, err.msg);
        }
    }
}

static void test_secrets_are_not_shown(void **state)
{
    (void)state;
    struct kafka_settings s = {0};
    struct error err = {0};
    rd_kafka_conf_t *conf;
    char secret[] = "KAFKA_PROPERTY_SASL_OAUTHBEARER_CLIENT_SECRET_PASSWORD=hunter2";
    char *const environment[] = {secret, NULL};
    assert_ok(kafka_settings_environment(&s, environment, &err), &err);
    struct kafka_log *log = kafka_log_new(NULL);
    assert_i64(kafka_conf_new(&s, &plan, "localhost:1", log, &conf, &err), -EINVAL);
    assert_null(strstr(err.msg, "hunter2"));
    kafka_log_free(log);
    kafka_settings_done(&s);
}

static void test_errors(void **state)
{
    (void)state;
    struct error err;
    assert_true(kafka_is_permanent(RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED));
    assert_true(kafka_is_permanent(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID));
    assert_false(kafka_is_permanent(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN));
    assert_false(kafka_is_permanent(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS));
    assert_i64(kafka_error(&err, RD_KAFKA_RESP_ERR__TIMED_OUT, "commit of %d", 3), -ETIMEDOUT);
    assert_str(str_of(err.msg), "commit of 3: Local: Timed out (_TIMED_OUT)");
    assert_true(err.retryable);
    assert_i64(kafka_error(&err, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "x"), -EKEYREJECTED);
    assert_false(err.retryable);
}

// Java's values: org.apache.kafka.common.utils.Utils.murmur2, sign bit off, modulo.
static void test_partitions_of_keys(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int64_t hash;
    } rows[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_i64(kafka_partition_of(str_of(rows[i].key), 12), (rows[i].hash & 0x7fffffff) % 12);
    }
}

// ---- a cluster ---------------------------------------------------------------------------------

struct cluster {
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *mock;
};

static void cluster_open(struct cluster *c)
{
    char text[256];
    c->host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text));
    assert_non_null(c->host);
    c->mock = rd_kafka_mock_cluster_new(c->host, 1);
    assert_non_null(c->mock);
}

static void cluster_close(struct cluster *c)
{
    rd_kafka_mock_cluster_destroy(c->mock);
    rd_kafka_destroy(c->host);
}

static rd_kafka_t *consumer_of(const char *bootstrap, struct kafka_log *log)
{
    rd_kafka_conf_t *conf;
    rd_kafka_t *rk;
    struct error err;
    assert_ok(kafka_conf_new(NULL, &plan, bootstrap, log, &conf, &err), &err);
    assert_ok(kafka_conf_set(conf, "group.id", "g", &err), &err);
    assert_ok(kafka_client_new(RD_KAFKA_CONSUMER, conf, &rk, &err), &err);
    return rk;
}

static void test_topics(void **state)
{
    (void)state;
    struct cluster c;
    struct error err;
    int32_t n = 0;
    cluster_open(&c);
    assert_i64(rd_kafka_mock_topic_create(c.mock, "tokens", 7, 1), 0);
    struct kafka_log *log = kafka_log_new(NULL);
    rd_kafka_t *rk = consumer_of(rd_kafka_mock_cluster_bootstraps(c.mock), log);
    assert_ok(kafka_topic_partitions(rk, "tokens", TEST_PATIENCE_MS, &n, &err), &err);
    assert_i64(n, 7);
    assert_i64(kafka_topic_partitions(rk, "absent", TEST_PATIENCE_MS, &n, &err), -ENOENT);
    assert_i64(kafka_topic_partitions(rk, "absent", TEST_PATIENCE_MS, &n, &err), -ENOENT);
    assert_str(str_of(err.msg), "kafka: there is no topic 'absent' (or this user may not see it)");
    rd_kafka_mock_topic_set_error(c.mock, "tokens", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_i64(kafka_topic_partitions(rk, "tokens", TEST_PATIENCE_MS, &n, &err), -EKEYREJECTED);
    assert_false(err.retryable);
    assert_true(kafka_client_destroy(rk, TEST_PATIENCE_MS));
    kafka_log_free(log);
    cluster_close(&c);
}

static void test_brokers_away(void **state)
{
    (void)state;
    struct error err;
    int32_t n;
    struct kafka_log *log = kafka_log_new(&n);
    assert_ptr_equal(kafka_log_owner(log), &n);
    rd_kafka_t *rk = consumer_of("127.0.0.1:1", log); // nobody listens on port 1
    assert_true(kafka_topic_partitions(rk, "tokens", 300, &n, &err) < 0);
    assert_true(err.retryable);
    struct kafka_trouble trouble = {0};
    struct mono from = clock_mono(&clock_system);
    while (trouble.count == 0 &&
           clock_mono(&clock_system).ns - from.ns < TEST_PATIENCE_MS * NS_PER_MS) {
        rd_kafka_poll(rk, 50);
        kafka_log_trouble(log, &trouble);
    }
    assert_true(trouble.count > 0);
    assert_false(kafka_is_permanent(trouble.code));
    assert_true(strlen(trouble.text) > 0);
    assert_true(kafka_client_destroy(rk, TEST_PATIENCE_MS));
    kafka_log_free(log);
}

int main(void)
{
    return TEST_RUN(TEST(test_settings_win_over_defaults), TEST(test_refused),
                    TEST(test_secrets_are_not_shown), TEST(test_errors),
                    TEST(test_partitions_of_keys), TEST(test_topics), TEST(test_brokers_away));
}
