// The Kafka sink against librdkafka's mock cluster: up, down, up again, restarted over a full
// spool, and told by brokers that they do not want a record.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/alloc.h"
#include "kafka/client.h"
#include "model/encode.h"
#include "output/sink.h"
#include "test.h"

#include <librdkafka/rdkafka_mock.h> // behind rdkafka.h

enum { API_PRODUCE = 0, PARTITIONS = 3, SEEN_MAX = 20000 };
#define DEADLINE_NS (TEST_PATIENCE_MS * NS_PER_MS)

struct rig {
    rd_kafka_t *rk; // owns the cluster
    rd_kafka_mock_cluster_t *cluster;
    rd_kafka_t *consumer;
    char dir[64], uri[512];
    const char *options; // of the URI
    struct kafka_settings settings;
    struct sink_env env;
    struct sink *sink;
    struct error err;
    int64_t next;  // number of the next record
    int64_t *seen; // numbers as they stand in Kafka, those of one host
    size_t n_seen;
};

// ---- the cluster -----------------------------------------------------------------------------

static void make_cluster(struct rig *r)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    r->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(r->rk);
    r->cluster = rd_kafka_mock_cluster_new(r->rk, 1);
    assert_non_null(r->cluster);
    static const char *const topics[] = {"gpu.metrics.v1", "token.usage.v1", "one"};
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        assert_int_equal(rd_kafka_mock_topic_create(r->cluster, topics[i], PARTITIONS, 1), 0);
    }
}

// A machine that is busy is no broker that is away: only then is there little patience.
static void down(struct rig *r)
{
    r->env.patience_ns = NS_PER_S / 2;
    assert_int_equal(rd_kafka_mock_broker_set_down(r->cluster, 1), 0);
}

static void up(struct rig *r)
{
    r->env.patience_ns = DEADLINE_NS;
    assert_int_equal(rd_kafka_mock_broker_set_up(r->cluster, 1), 0);
}

static void start_consumer(struct rig *r)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    static const char *const values[][2] = {{"group.id", "test"},
                                            {"auto.offset.reset", "earliest"},
                                            {"fetch.wait.max.ms", "10"},
                                            {"reconnect.backoff.max.ms", "100"}};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        assert_int_equal(rd_kafka_conf_set(conf, values[i][0], values[i][1], text, sizeof(text)),
                         0);
    }
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers",
                                       rd_kafka_mock_cluster_bootstraps(r->cluster), text,
                                       sizeof(text)),
                     0);
    r->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert_non_null(r->consumer);
    rd_kafka_poll_set_consumer(r->consumer);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(3 * PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        rd_kafka_topic_partition_list_add(all, "gpu.metrics.v1", i)->offset = 0;
        rd_kafka_topic_partition_list_add(all, "token.usage.v1", i)->offset = 0;
        rd_kafka_topic_partition_list_add(all, "one", i)->offset = 0;
    }
    assert_int_equal(rd_kafka_assign(r->consumer, all), 0);
    rd_kafka_topic_partition_list_destroy(all);
}

// ---- the sink --------------------------------------------------------------------------------

static void open_sink(struct rig *r)
{
    snprintf(r->uri, sizeof(r->uri), "kafka://%s/%s", rd_kafka_mock_cluster_bootstraps(r->cluster),
             r->options ? r->options : "");
    assert_ok(sink_open(r->uri, &r->env, &r->sink, &r->err), &r->err);
}

static void close_sink(struct rig *r)
{
    sink_close(r->sink);
    r->sink = NULL;
}

static int setup(void **state)
{
    struct rig *r = x_zalloc(sizeof(*r));
    snprintf(r->dir, sizeof(r->dir), "/tmp/gtap-sink-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->seen = x_array(SEEN_MAX, sizeof(r->seen[0]));
    r->env = (struct sink_env){.clock = &clock_system,
                               .kafka = &r->settings,
                               .spool_dir = r->dir,
                               .patience_ns = DEADLINE_NS};
    assert_ok(kafka_settings_option(&r->settings, STR("reconnect.backoff.max.ms=100"), &r->err),
              &r->err);
    make_cluster(r);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    close_sink(r);
    if (r->consumer) {
        rd_kafka_destroy(r->consumer);
    }
    rd_kafka_mock_cluster_destroy(r->cluster);
    rd_kafka_destroy(r->rk);
    kafka_settings_done(&r->settings);
    DIR *d = opendir(r->dir);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) {
        closedir(d);
    }
    rmdir(r->dir);
    free(r->seen);
    free(r);
    return 0;
}

// ---- records ---------------------------------------------------------------------------------

static struct record sample(int64_t number, const char *host, char id[32])
{
    snprintf(id, 32, "id-%lld", (long long)number);
    return (struct record){
        .kind = RECORD_SAMPLE,
        .event_id = str_of(id),
        .sample = {.ts = (1700000000 + number) * NS_PER_S,
                   .gpu = {.host = str_of(host), .instance = GPU_INSTANCE_NONE},
                   .has = SAMPLE_POWER,
                   .power_w = 300},
    };
}

// Writes n records of one host; where they went. -EAGAIN: nowhere.
static int write_some(struct rig *r, size_t n)
{
    char(*ids)[32] = x_array(n, sizeof(*ids));
    struct record *records = x_array(n, sizeof(records[0]));
    enum sink_place place;
    for (size_t i = 0; i < n; i++) {
        records[i] = sample(r->next + (int64_t)i, "gpu-7", ids[i]);
    }
    int result = sink_write(r->sink, records, n, &place, &r->err);
    if (result == 0) {
        r->next += (int64_t)n;
    }
    free(records);
    free(ids);
    return result < 0 ? result : (int)place;
}

static void look_at(struct rig *r, const rd_kafka_message_t *m)
{
    const char *id = strstr(m->payload, "\"event_id\":\"id-");
    assert_non_null(id);
    assert_true(str_eq((struct str){m->key, m->key_len}, STR("gpu-7")));
    assert_int_equal(m->partition, kafka_partition_of(STR("gpu-7"), PARTITIONS));
    assert_true(r->n_seen < SEEN_MAX);
    r->seen[r->n_seen++] = strtoll(id + 15, NULL, 10);
}

// The number of the i-th record there is, awaited.
static int64_t seen_at(struct rig *r, size_t i)
{
    int64_t until = clock_mono(&clock_system).ns + DEADLINE_NS;
    if (!r->consumer) {
        start_consumer(r);
    }
    while (i == r->n_seen) {
        assert_true(clock_mono(&clock_system).ns < until);
        rd_kafka_message_t *m = rd_kafka_consumer_poll(r->consumer, 100);
        if (m && m->err == 0) {
            look_at(r, m);
        }
        if (m) {
            rd_kafka_message_destroy(m);
        }
    }
    return r->seen[i];
}

// Reads until all records below `end` were seen: in order, though some may come again.
static void expect_all(struct rig *r, int64_t end)
{
    int64_t next = 0;
    for (size_t i = 0; next < end; i++) {
        int64_t number = seen_at(r, i);
        assert_true(number <= next);
        next = MAX(next, number + 1);
    }
}

// The same, in any order. Where a broker refuses a batch, what went in another one is there first:
// and librdkafka makes two of what is written at once when this machine stops for longer than it
// lingers, 2 ms.
static void expect_each(struct rig *r, int64_t end)
{
    AUTO_FREE bool *there = x_array((size_t)end, sizeof(there[0]));
    int64_t found = 0;
    for (size_t i = 0; found < end; i++) {
        int64_t number = seen_at(r, i);
        assert_true(number >= 0 && number < end);
        found += !there[number];
        there[number] = true;
    }
}

static double metric(struct rig *r, const char *name)
{
    struct metric_list list = {0};
    double found = -1;
    sink_metrics(r->sink, &list);
    for (size_t i = 0; i < list.n; i++) {
        if (strcmp(list.v[i].def->name, name) == 0) {
            found = list.v[i].number;
        }
    }
    metric_list_done(&list);
    return found;
}

static void wait_for_metric(struct rig *r, const char *name, double value)
{
    int64_t until = clock_mono(&clock_system).ns + DEADLINE_NS;
    while (metric(r, name) != value) {
        assert_true(clock_mono(&clock_system).ns < until);
        sched_yield();
    }
}

// ---- the tests -------------------------------------------------------------------------------

static void test_direct(void **state)
{
    struct rig *r = *state;
    struct sink_health health;
    open_sink(r);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(write_some(r, 100), SINK_KAFKA);
    }
    expect_all(r, 2000);
    assert_i64((int64_t)r->n_seen, 2000);
    assert_near(metric(r, "gtap_kafka_sent_total"), 2000, 0);
    assert_near(metric(r, "gtap_spool_bytes"), 0, 0);
    sink_health(r->sink, &health);
    assert_true(health.ok && health.failures == 0);
}

// Both kinds, in their topics or in one, as they are encoded.
static void test_topics(void **state)
{
    struct rig *r = *state;
    static const char *const options[] = {"", "one", "token.usage.v1,gpu.metrics.v1"};
    static const char *const want[][2] = {
        {"gpu.metrics.v1", "token.usage.v1"}, {"one", "one"}, {"token.usage.v1", "gpu.metrics.v1"}};
    char id[32];
    start_consumer(r);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        r->options = options[i];
        open_sink(r);
        struct record records[2] = {sample((int64_t)i, "a", id)};
        records[1] = (struct record){
            .kind = RECORD_USAGE,
            .event_id = STR("u"),
            .usage = {.ts = NS_PER_S, .model = STR("m"), .gpu_instance = GPU_INSTANCE_NONE}};
        enum sink_place place;
        assert_ok(sink_write(r->sink, records, 2, &place, &r->err), &r->err);
        for (int got = 0; got < 2;) {
            rd_kafka_message_t *m = rd_kafka_consumer_poll(r->consumer, 1000);
            if (m && m->err == 0) {
                struct buf text;
                buf_init(&text, 10000);
                bool usage = strstr(m->payload, "\"u\"") != NULL;
                record_encode(&text, &records[usage]);
                assert_true(str_eq(buf_view(&text), (struct str){m->payload, m->len}));
                assert_string_equal(rd_kafka_topic_name(m->rkt), want[i][usage]);
                assert_i64((int64_t)m->key_len, usage ? 0 : 1);
                buf_done(&text);
                got++;
            }
            if (m) {
                rd_kafka_message_destroy(m);
            }
        }
        close_sink(r);
    }
}

static void test_away_and_back(void **state)
{
    struct rig *r = *state;
    struct sink_health health;
    open_sink(r);
    assert_int_equal(write_some(r, 50), SINK_KAFKA);
    for (int round = 0; round < 2; round++) {
        down(r);
        assert_int_equal(write_some(r, 50), SINK_SPOOL);
        sink_health(r->sink, &health);
        assert_true(!health.ok && health.error[0]);
        int64_t begun = clock_mono(&clock_system).ns;
        for (int i = 0; i < 50; i++) { // at once, now that it is known
            assert_int_equal(write_some(r, 10), SINK_SPOOL);
        }
        assert_true(clock_mono(&clock_system).ns - begun < 10 * NS_PER_S);
        assert_true(metric(r, "gtap_spool_waiting_bytes") > 0);
        up(r);
        expect_all(r, r->next);
        wait_for_metric(r, "gtap_spool_bytes", 0);
        wait_for_metric(r, "gtap_kafka_up", 1);
        int place = write_some(r, 50);
        while (place == SINK_SPOOL) { // until the drainer is done
            place = write_some(r, 1);
        }
        assert_int_equal(place, SINK_KAFKA);
    }
    expect_all(r, r->next);
    assert_near(metric(r, "gtap_kafka_refused_total"), 0, 0);
}

// The process ends while brokers are away; the next one sends what it left behind, first.
static void test_restart(void **state)
{
    struct rig *r = *state;
    down(r);
    open_sink(r);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(write_some(r, 40), SINK_SPOOL);
    }
    close_sink(r);
    open_sink(r);
    assert_int_equal(write_some(r, 40), SINK_SPOOL); // at once: something is in the spool already
    close_sink(r);
    up(r);
    open_sink(r);
    expect_all(r, r->next);
    wait_for_metric(r, "gtap_spool_bytes", 0);
}

static void test_no_room(void **state)
{
    struct rig *r = *state;
    r->env.spool_limit = 64 << 10;
    down(r);
    open_sink(r);
    int result;
    while ((result = write_some(r, 20)) == SINK_SPOOL) {
        continue;
    }
    assert_int_equal(result, -EAGAIN);
    assert_int_equal(r->err.code, -EAGAIN);
    assert_true(r->next > 100);
    assert_near(metric(r, "gtap_spool_refused_total"), 20, 0);
    up(r);
    expect_all(r, r->next);
    int64_t until = clock_mono(&clock_system).ns + DEADLINE_NS;
    while (write_some(r, 20) < 0) { // there is room again
        assert_true(clock_mono(&clock_system).ns < until);
    }
    expect_all(r, r->next);
}

static void test_no_spool(void **state)
{
    struct rig *r = *state;
    r->env.spool_dir = NULL;
    down(r);
    open_sink(r);
    assert_int_equal(write_some(r, 20), -EAGAIN);
    assert_non_null(strstr(r->err.msg, "kafka"));
    up(r);
    assert_int_equal(write_some(r, 20), SINK_KAFKA);
    expect_all(r, 20);
}

static size_t count_refused(struct rig *r)
{
    char path[80], text[65536];
    snprintf(path, sizeof(path), "%s/refused.ndjson", r->dir);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text));
    close(fd);
    size_t lines = 0;
    for (ssize_t i = 0; i < n; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

// One record that is too long does not keep the others; it is kept beside the spool.
static void test_too_long(void **state)
{
    struct rig *r = *state;
    assert_ok(kafka_settings_option(&r->settings, STR("message.max.bytes=2000"), &r->err), &r->err);
    open_sink(r);
    AUTO_FREE char *extra = x_zalloc(4000);
    snprintf(extra, 4000, "\"a\":\"%03000d\"", 0);
    char ids[3][32];
    struct record records[3];
    for (int i = 0; i < 3; i++) {
        records[i] = sample(i < 2 ? 0 : 1, "gpu-7", ids[i]);
    }
    records[0].extra = str_of(extra);
    enum sink_place place;
    assert_ok(sink_write(r->sink, records, 3, &place, &r->err), &r->err);
    assert_int_equal(place, SINK_KAFKA);
    expect_all(r, 2);
    assert_near(metric(r, "gtap_kafka_refused_total"), 1, 0);
    assert_near(metric(r, "gtap_kafka_refused_lost_total"), 0, 0);
    assert_i64((int64_t)count_refused(r), 1);
    struct sink_health health;
    sink_health(r->sink, &health);
    assert_non_null(strstr(health.error, "max.message.bytes"));
}

static void push_errors(struct rig *r, size_t n, rd_kafka_resp_err_t code)
{
    for (size_t i = 0; i < n; i++) {
        rd_kafka_mock_push_request_errors(r->cluster, API_PRODUCE, 1, code);
    }
}

// A broker that finds a batch too long refuses all of it: they are sent one by one then.
static void test_batch_too_long(void **state)
{
    struct rig *r = *state;
    open_sink(r);
    push_errors(r, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(write_some(r, 30), SINK_KAFKA);
    expect_each(r, 30);
    assert_near(metric(r, "gtap_kafka_refused_total"), 0, 0);
}

static void test_no_right(void **state)
{
    struct rig *r = *state;
    open_sink(r);
    assert_int_equal(write_some(r, 1), SINK_KAFKA);
    push_errors(r, 3, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED); // if each is a batch
    assert_int_equal(write_some(r, 3), SINK_KAFKA);
    assert_near(metric(r, "gtap_kafka_refused_total"), 3, 0);
    assert_i64((int64_t)count_refused(r), 3);
    int64_t until = clock_mono(&clock_system).ns + DEADLINE_NS;
    double refused;
    do { // librdkafka asks again after a second
        assert_true(clock_mono(&clock_system).ns < until);
        refused = metric(r, "gtap_kafka_refused_total");
        r->next = 1;
        assert_int_equal(write_some(r, 3), SINK_KAFKA);
        sched_yield();
    } while (metric(r, "gtap_kafka_refused_total") > refused);
    expect_each(r, 4);
}

// What passes by itself is waited for; what breaks a producer for good makes another one.
static void test_errors(void **state)
{
    struct rig *r = *state;
    static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                                RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                                RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                                RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                                                RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
                                                RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                                                RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
                                                RD_KAFKA_RESP_ERR__TRANSPORT,
                                                RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
                                                RD_KAFKA_RESP_ERR_INVALID_MSG};
    open_sink(r);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        assert_true(write_some(r, 5) >= 0);
        push_errors(r, 1, codes[i]);
        assert_true(write_some(r, 5) >= 0);
    }
    expect_each(r, r->next);
}

int main(void)
{
#define RIG(f) TEST_WITH(f, setup, teardown)
    return TEST_RUN(RIG(test_direct), RIG(test_topics), RIG(test_away_and_back), RIG(test_restart),
                    RIG(test_no_room), RIG(test_no_spool), RIG(test_too_long),
                    RIG(test_batch_too_long), RIG(test_no_right), RIG(test_errors));
}
