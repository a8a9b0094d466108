// librdkafka's mock cluster in a process of its own: what is told to it, a producer and a consumer
// of another process see.
#include "harness.h" // the driver's headers before base/macros.h

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "base/alloc.h"

static const char *program;
static struct fake fake;

static const char *bootstrap(void)
{
    return fake.ready + strlen("bootstrap ");
}

static void must_say(const char *line)
{
    const char *answer = fake_say(&fake, "%s", line);
    if (strcmp(answer, "ok") != 0) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", line, answer);
    }
}

// ---- clients -------------------------------------------------------------------------------

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *ctx)
{
    (void)rk;
    (void)ctx;
    *(rd_kafka_resp_err_t *)m->_private = m->err;
}

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    (void)rk;
    (void)level;
    (void)fac;
    (void)text;
}

// settings: names and values, NULL at the end.
static rd_kafka_t *client(rd_kafka_type_t type, const char *const *settings)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_dr_msg_cb(conf, type == RD_KAFKA_PRODUCER ? on_delivery : NULL);
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap(), why, sizeof(why));
    for (size_t i = 0; settings[i]; i += 2) {
        assert_int_equal(rd_kafka_conf_set(conf, settings[i], settings[i + 1], why, sizeof(why)),
                         RD_KAFKA_CONF_OK);
    }
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof(why));
    assert_non_null(rk);
    return rk;
}

// What becomes of one message.
static rd_kafka_resp_err_t produce(rd_kafka_t *rk, const char *topic, int32_t partition,
                                   const char *text)
{
    rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR__IN_PROGRESS;
    rd_kafka_resp_err_t refused = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)text, strlen(text)),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(&result), RD_KAFKA_V_END);
    if (refused) {
        return refused; // the client knows already
    }
    assert_int_equal(rd_kafka_flush(rk, TEST_PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    return result;
}

static rd_kafka_t *producer(const char *timeout_ms)
{
    const char *const settings[] = {"message.timeout.ms", timeout_ms, "retries", "0",
                                    "linger.ms",          "0",        NULL};
    return client(RD_KAFKA_PRODUCER, settings);
}

// How many partitions the cluster says the topic has, or the error that it says.
static int count_partitions(rd_kafka_t *rk, const char *topic, rd_kafka_resp_err_t *ret_error)
{
    const struct rd_kafka_metadata *all;
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    assert_int_equal(rd_kafka_metadata(rk, 0, t, &all, TEST_PATIENCE_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(all->topic_cnt, 1);
    int n = all->topics[0].partition_cnt;
    *ret_error = all->topics[0].err;
    rd_kafka_metadata_destroy(all);
    rd_kafka_topic_destroy(t);
    return n;
}

// ---- tests ---------------------------------------------------------------------------------

static void test_topics(void **state)
{
    (void)state;
    must_say("topic made 12");
    rd_kafka_t *rk = producer("10000");
    rd_kafka_resp_err_t err;
    assert_i64(count_partitions(rk, "made", &err), 12);
    assert_i64(err, RD_KAFKA_RESP_ERR_NO_ERROR);
    must_say("topic-error made TOPIC_AUTHORIZATION_FAILED");
    count_partitions(rk, "made", &err);
    assert_i64(err, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    rd_kafka_destroy(rk);
}

static void test_produce_errors_as_often_as_told(void **state)
{
    (void)state;
    must_say("topic errors 1");
    must_say("error Produce MSG_SIZE_TOO_LARGE 2");
    must_say("error 0 87"); // INVALID_RECORD
    rd_kafka_t *rk = producer("10000");
    static const rd_kafka_resp_err_t want[] = {
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        RD_KAFKA_RESP_ERR_INVALID_RECORD,
        RD_KAFKA_RESP_ERR_NO_ERROR,
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_i64(produce(rk, "errors", 0, "x"), want[i]);
    }
    must_say("error Produce MSG_SIZE_TOO_LARGE 5");
    must_say("clear Produce");
    assert_i64(produce(rk, "errors", 0, "x"), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
}

static void test_brokers_down_and_up(void **state)
{
    (void)state;
    must_say("topic outage 1");
    rd_kafka_t *rk = producer("10000");
    assert_i64(produce(rk, "outage", 0, "before"), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
    must_say("broker down all");
    rk = producer("300");
    assert_i64(produce(rk, "outage", 0, "meanwhile"), RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    rd_kafka_destroy(rk);
    must_say("broker up all");
    rk = producer("10000");
    assert_i64(produce(rk, "outage", 0, "after"), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
}

static void test_a_partition_without_a_leader(void **state)
{
    (void)state;
    must_say("topic led 2");
    must_say("leader led 0 -1");
    rd_kafka_t *rk = producer("10000");
    assert_i64(produce(rk, "led", 1, "x"), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
    rk = producer("300");
    assert_i64(produce(rk, "led", 0, "x"), RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    rd_kafka_destroy(rk);
    must_say("leader led 0 2");
    rk = producer("10000");
    assert_i64(produce(rk, "led", 0, "x"), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
}

static void test_round_trips(void **state)
{
    (void)state;
    must_say("topic far 1");
    rd_kafka_t *rk = producer("10000");
    assert_i64(produce(rk, "far", 0, "x"), RD_KAFKA_RESP_ERR_NO_ERROR);
    must_say("rtt 150");
    int64_t before = bson_get_monotonic_time();
    assert_i64(produce(rk, "far", 0, "x"), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_true(bson_get_monotonic_time() - before >= 149000);
    must_say("rtt 0");
    must_say("broker-error 1 Produce MSG_SIZE_TOO_LARGE 150");
    must_say("leader far 0 1");
    rd_kafka_destroy(rk);
    rk = producer("10000");
    rd_kafka_resp_err_t err;
    assert_i64(count_partitions(rk, "far", &err), 1);
    before = bson_get_monotonic_time();
    assert_i64(produce(rk, "far", 0, "x"), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_true(bson_get_monotonic_time() - before >= 149000);
    rd_kafka_destroy(rk);
}

static void test_a_group_and_its_coordinator(void **state)
{
    (void)state;
    static const char *const settings[] = {"group.id",
                                           "g",
                                           "auto.offset.reset",
                                           "earliest",
                                           "enable.auto.commit",
                                           "false",
                                           "session.timeout.ms",
                                           "6000",
                                           NULL};
    must_say("topic read 1");
    must_say("coordinator group g 3");
    rd_kafka_t *rk = producer("10000");
    assert_i64(produce(rk, "read", 0, "hello"), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
    rk = client(RD_KAFKA_CONSUMER, settings);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, "read", RD_KAFKA_PARTITION_UA);
    assert_int_equal(rd_kafka_subscribe(rk, topics), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, TEST_PATIENCE_MS);
    assert_non_null(m);
    assert_int_equal(m->err, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_str(((struct str){m->payload, m->len}), "hello");
    must_say("error OffsetCommit GROUP_AUTHORIZATION_FAILED");
    assert_i64(rd_kafka_commit_message(rk, m, 0), RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    assert_i64(rd_kafka_commit_message(rk, m, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_message_destroy(m);
    rd_kafka_topic_partition_list_destroy(topics);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static void test_what_it_does_not_take(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "nonsense",
        "topic x",
        "topic x 0",
        "topic x many",
        "error",
        "error Produce",
        "error Nothing 3",
        "error Produce NOTHING",
        "broker down",
        "broker sideways 1",
        "broker down nine",
        "rtt -1",
        "rtt 5 77",
        "leader t",
        "version Fetch 1",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const char *answer = fake_say(&fake, "%s", lines[i]);
        if (strncmp(answer, "error ", 6) != 0) {
            fail_at(__FILE__, __LINE__, "%s: %s\n", lines[i], answer);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    static const char *const options[] = {NULL};
    fake_start(&fake, program, options);
    return strncmp(fake.ready, "bootstrap ", 10);
}

static int tear_down(void **state)
{
    (void)state;
    fake_stop(&fake);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s MOCK_KAFKA\n", argv[0]);
        return 2;
    }
    program = argv[1];
    static const struct CMUnitTest tests[] = {
        TEST(test_topics),
        TEST(test_produce_errors_as_often_as_told),
        TEST(test_brokers_down_and_up),
        TEST(test_a_partition_without_a_leader),
        TEST(test_round_trips),
        TEST(test_a_group_and_its_coordinator),
        TEST(test_what_it_does_not_take),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
