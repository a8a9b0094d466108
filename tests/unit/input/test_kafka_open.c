// kafka: URIs and topics that cannot be opened, brokers that are away at the start, runs that end.
#include "kafka_rig.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/alloc.h"
#include "kafka/client.h"

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_open(&rig, 3);
    assert_i64(rd_kafka_mock_topic_create(rig.mock, "few", 2, 1), 0);
    assert_i64(rd_kafka_mock_topic_create(rig.mock, "old", 1, 1), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static void check_refused(const char *rest, int code, const char *message)
{
    struct member m;
    AUTO_FREE char *uri =
        x_asprintf("kafka://%s%s", rd_kafka_mock_cluster_bootstraps(rig.mock), rest);
    assert_i64(member_try(&m, &rig, uri), code);
    if (!strstr(m.err.msg, message)) {
        fail_msg("%s: %s", rest, m.err.msg);
    }
    assert_null(strstr(m.err.msg, "hunter2"));
    member_close(&m);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        int code;
        const char *message;
    } rows[] = {
        {"/gpu,absent", -ENOENT,
         "there is no topic 'absent' that this user may read: create it with gtap processor "
         "--create-topics, or kafka-topics.sh --create --topic absent --partitions 3"},
        {"", -ENOENT, "--topic gpu.metrics.v1 --partitions 12"},
        {"/few,gpu", -EINVAL,
         "topic 'few' has 2 partitions, 'gpu' has 3: give them the same number (kafka-topics.sh "
         "--alter --topic few --partitions 3)"},
        {"/gpu?group=", -EINVAL, "group= is a name"},
        {"/gpu?host=", -EINVAL, "host= is a name"},
        {"/gpu?until=never", -EINVAL, "until=never is not known: there is until=end"},
        {"/gpu?property.enable.auto.commit=true", -EINVAL,
         "enable.auto.commit is not to be set here: offsets are committed when what was read is "
         "stored"},
        {"/gpu?property.partition.assignment.strategy=roundrobin", -EINVAL,
         "a host's samples and usage would go to different processors"},
        {"/gpu?property.group.id=x", -EINVAL, "it is group= of the URI"},
        {"/gpu?property.sasl.password=hunter2", -EINVAL, "KAFKA_PROPERTY_SASL_PASSWORD_FILE"},
        {"/gpu?property.acks=1", -EINVAL,
         "acks is not to be set here: a message must not be lost or doubled on its way back"},
        {"/gpu?property.absent=1", -EINVAL, "has no property 'absent'"},
        {"/gpu?other=1", -EINVAL, "unknown option 'other'"},
        {"/g pu", -EINVAL, "is no name of a topic"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_refused(rows[i].rest, rows[i].code, rows[i].message);
    }
}

static void test_not_allowed(void **state)
{
    (void)state;
    rd_kafka_mock_topic_set_error(rig.mock, "few", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    check_refused("/few", -EKEYREJECTED, "TOPIC_AUTHORIZATION_FAILED");
    rd_kafka_mock_topic_set_error(rig.mock, "few", RD_KAFKA_RESP_ERR_NO_ERROR);
}

// ---- brokers that are away
// -----------------------------------------------------------------------

struct opening {
    struct member m;
    const char *uri;
    int result;
};

static void *open_main(void *ctx)
{
    struct opening *o = ctx;
    o->result = input_open(&o->m.uri, &o->m.env, &o->m.in, &o->m.err);
    return NULL;
}

static void begin_opening(struct opening *o, const char *options, pthread_t *thread)
{
    AUTO_FREE char *uri = x_asprintf("kafka://%s/gpu,tok?property.reconnect.backoff.max.ms=200%s",
                                     rd_kafka_mock_cluster_bootstraps(rig.mock), options);
    AUTO_FREE char *bad = x_asprintf("kafka://%s", "");
    assert_true(member_try(&o->m, &rig, bad) < 0); // sets all up but the input
    struct error err;
    assert_ok(uri_parse(&rig.arena, str_of(uri), &o->m.uri, &err), &err);
    assert_i64(pthread_create(thread, NULL, open_main, o), 0);
}

static void test_waits_for_brokers(void **state)
{
    (void)state;
    struct opening o;
    pthread_t thread;
    assert_i64(rd_kafka_mock_broker_set_down(rig.mock, -1), 0);
    begin_opening(&o, "", &thread);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++; // it goes on trying
    assert_i64(pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until), ETIMEDOUT);
    assert_i64(rd_kafka_mock_broker_set_up(rig.mock, -1), 0);
    assert_i64(pthread_join(thread, NULL), 0);
    assert_ok(o.result, &o.m.err);
    assert_i64(input_info(o.m.in)->n_shards, 3);
    member_close(&o.m);
}

static void test_stops_while_it_waits(void **state)
{
    (void)state;
    struct opening o;
    pthread_t thread;
    uint64_t one = 1;
    assert_i64(rd_kafka_mock_broker_set_down(rig.mock, -1), 0);
    begin_opening(&o, "", &thread);
    assert_i64(write(o.m.env.stop_fd, &one, sizeof(one)), sizeof(one));
    assert_i64(pthread_join(thread, NULL), 0);
    assert_i64(o.result, -ECANCELED);
    assert_non_null(strstr(o.m.err.msg, "stopped while waiting for Kafka"));
    member_close(&o.m);
    assert_i64(rd_kafka_mock_broker_set_up(rig.mock, -1), 0);
}

// ---- runs that end -----------------------------------------------------------------------------

// Commits an offset for somebody who was here before.
static void commit_before(const char *group, const char *topic, int partition, int64_t offset)
{
    char text[256];
    struct error err;
    struct kafka_log *log = kafka_log_new(NULL);
    const struct kafka_plan plan = {NULL, NULL};
    rd_kafka_conf_t *conf;
    rd_kafka_t *rk;
    const char *brokers = rd_kafka_mock_cluster_bootstraps(rig.mock);
    assert_ok(kafka_conf_new(NULL, &plan, brokers, log, &conf, &err), &err);
    assert_i64(rd_kafka_conf_set(conf, "group.id", group, text, sizeof(text)), 0);
    assert_ok(kafka_client_new(RD_KAFKA_CONSUMER, conf, &rk, &err), &err);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    assert_i64(rd_kafka_commit(rk, list, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
    assert_true(kafka_client_destroy(rk, TEST_PATIENCE_MS));
    kafka_log_free(log);
}

static void read_to_end(struct member *m)
{
    MEMBER_UNTIL(m, m->result != INPUT_MORE);
    assert_i64(m->result, INPUT_END);
}

// What comes later is not read; what is sent back with a key is.
static void test_until_end(void **state)
{
    (void)state;
    struct member m;
    rig_put_samples(&rig, 0, 100, 0);
    rig_put_usage(&rig, 1, 10000, 0);
    commit_before("g", "tok", 1, 40);
    AUTO_FREE char *away = x_asprintf("{\"ts\":\"2026-11-23T15:00:00Z\",\"model\":\"m\",\"host\":"
                                      "\"%s\",\"prompt_tokens\":1,\"completion_tokens\":1,"
                                      "\"latency_ms\":10}",
                                      rig_host(&rig, 2));
    rig_put(&rig, "tok", 1, NULL, away);
    member_open(&m, &rig, "until=end");
    assert_true(input_info(m.in)->finite);
    rig_put_usage(&rig, 1, 10, 0);
    read_to_end(&m);
    assert_true(m.n_records >= 10061); // the fetch that has the end may have more
    assert_i64(member_times(&m, 1, 1, 39), 0);
    assert_i64(member_times(&m, 1, 1, 40), 1);
    assert_i64(member_times(&m, 1, 1, 9999), 1);
    assert_i64(member_times(&m, 1, 1, 10000), 1); // by its first place, read in partition 2
    member_close(&m);
    assert_true(rig_committed(&rig, "tok", 1) >= 10001);
    assert_i64(rig_committed(&rig, "gpu", 0), 100);
}

// More than the mock keeps of a partition (5 MiB), in text that does not pack.
static void overrun(const char *topic, int n)
{
    enum { SIZE = 600 * 1024 };
    AUTO_FREE char *text = x_alloc(SIZE);
    uint64_t x = 88172645463325252U;
    for (int i = 0; i < n; i++) {
        int head = snprintf(text, SIZE,
                            "{\"ts\":\"2026-11-23T15:00:00Z\",\"host\":\"h\",\"gpu_index\":0,"
                            "\"utilization\":1,\"more\":\"");
        for (int at = head; at < SIZE - 2; at++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            text[at] = (char)('a' + x % 26);
        }
        memcpy(text + SIZE - 2, "\"}", 2);
        rig_send(&rig, topic, 0, "h", (struct str){text, SIZE});
        rig_flush(&rig);
    }
}

// Retention was shorter than this group was away: what is gone is counted, and said.
static void test_expired(void **state)
{
    (void)state;
    struct member m;
    overrun("old", 2);
    commit_before("h", "old", 0, 1);
    overrun("old", 14);
    AUTO_FREE char *uri = x_asprintf("kafka://%s/old?group=h&until=end&property.fetch.wait.max.ms="
                                     "10&property.session.timeout.ms=4000",
                                     rd_kafka_mock_cluster_bootstraps(rig.mock));
    struct input_health health;
    assert_ok(member_try(&m, &rig, uri), &m.err);
    read_to_end(&m);
    double lost = member_metric(&m, "gtap_kafka_expired_total", NULL);
    assert_true(lost > 0);
    assert_i64(m.n_records + (int64_t)lost, 15); // 1 to 15
    input_health(m.in, &health);
    assert_non_null(strstr(health.error, "messages of old [0] from offset 1 on were deleted"));
    member_close(&m);
}

// Each message is a batch of its own and fills the queue, and the thread that fetches sleeps for a
// second once all that it fetches are full: so many would take half a minute. A busy machine is
// slow at times, not always.
static void test_full_queue_does_not_stall(void **state)
{
    (void)state;
    enum { MESSAGES = 30, TRIES = 4 };
    struct member full;
    assert_i64(rd_kafka_mock_topic_create(rig.mock, "full", 1, 1), 0);
    for (int i = 0; i < MESSAGES; i++) {
        rig_put(&rig, "full", 0, "h",
                "{\"ts\":1795442400,\"host\":\"h\",\"gpu_index\":0,\"power_w\":1}");
    }
    int64_t took = INT64_MAX;
    for (int i = 0; took >= MESSAGES / 2 * NS_PER_S && i < TRIES; i++) {
        AUTO_FREE char *uri =
            x_asprintf("kafka://%s/full?group=full%d&property.queued.min.messages=1",
                       rd_kafka_mock_cluster_bootstraps(rig.mock), i);
        assert_ok(member_try(&full, &rig, uri), &full.err);
        MEMBER_UNTIL(&full, full.n_records > 0);
        struct mono from = clock_mono(&clock_system);
        MEMBER_UNTIL(&full, full.n_records == MESSAGES);
        took = clock_mono(&clock_system).ns - from.ns;
        member_close(&full);
    }
    assert_true(took < MESSAGES / 2 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refused),
        TEST(test_not_allowed),
        TEST(test_waits_for_brokers),
        TEST(test_stops_while_it_waits),
        TEST(test_until_end),
        TEST(test_expired),
        TEST(test_full_queue_does_not_stall),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
