// kafka: one member of a group, from its first message through whatever befalls the brokers. A
// join takes the mock cluster three seconds, so all tests are about one member, in this order.
#include "kafka_rig.h"

#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "kafka/client.h"

enum { PARTITIONS = 4 };

static struct rig rig;
static struct member m;

#define USAGE(more)                                                                                \
    "{\"ts\":\"2026-11-23T15:00:00Z\",\"model\":\"m\",\"prompt_tokens\":3,\"completion_tokens\":"  \
    "4,"                                                                                           \
    "\"latency_ms\":10" more "}"

static int set_up(void **state)
{
    (void)state;
    rig_open(&rig, PARTITIONS);
    for (int p = 0; p < PARTITIONS; p++) {
        rig_put_samples(&rig, p, 50, 0);
        rig_put_usage(&rig, p, 50, 0);
    }
    member_open(&m, &rig, "host=assumed");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    member_close(&m);
    rig_close(&rig);
    return 0;
}

static double metric(const char *name)
{
    return member_metric(&m, name, NULL);
}

static void test_reads_both_topics(void **state)
{
    (void)state;
    assert_i64(input_info(m.in)->n_shards, PARTITIONS);
    assert_false(input_info(m.in)->finite);
    assert_true(input_info(m.in)->keeps_position);
    m.holds = true;
    MEMBER_UNTIL(&m, m.n_records == 400);
    assert_i64(m.taken, 1);
    assert_true(str_starts(buf_view(&m.notes), STR("taken 0 1 2 3\n")));
    assert_i64(member_count(&m, "record tok/2/49 shard 2 host "), 1);
    for (int64_t i = 0; i < 400; i++) {
        assert_i64(member_times(&m, (int)(i / 200), (int)(i / 50) % 4, i % 50), 1);
    }
    char about[INPUT_ABOUT_MAX];
    input_about(m.in, about);
    assert_non_null(strstr(about, "gpu, tok of 127.0.0.1:"));
    assert_non_null(strstr(about, "4 of 4 partitions here"));
}

// The pipeline holds everything: nothing may be committed, however long it takes.
static void test_offsets_follow_what_is_stored(void **state)
{
    (void)state;
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") > 1.2);
    assert_i64(rig_committed(&rig, "gpu", 0), -1);
    assert_near(metric("gtap_kafka_commits_total"), 0, 0);
    assert_near(metric("gtap_kafka_consumer_lag"), 0, 0);
    member_store(&m, m.position);
    MEMBER_UNTIL(&m, metric("gtap_kafka_commits_total") == 1);
    for (int p = 0; p < PARTITIONS; p++) {
        assert_i64(rig_committed(&rig, "gpu", p), 50);
        assert_i64(rig_committed(&rig, "tok", p), 50);
    }
    assert_near(metric("gtap_kafka_commit_lag"), 0, 0);
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") == 0);
    m.holds = false;
}

static void test_behind_and_current(void **state)
{
    (void)state;
    MEMBER_UNTIL(&m, input_behind(m.in, 1) == 0);
    assert_i64(input_behind(m.in, 99), 0);
    MEMBER_UNTIL(&m, input_is_current(m.in)); // a machine that stood still itself takes a while
    assert_true(input_is_awaited(m.in));
    assert_near(metric("gtap_kafka_assigned_partitions"), 8, 0);
}

static void expect_dead(const char *note)
{
    MEMBER_UNTIL(&m, member_count(&m, note) == 1);
}

static void test_dead_letters(void **state)
{
    (void)state;
    int64_t dead = m.n_dead;
    rig_send(&rig, "tok", 0, "k", STR_NONE);
    rig_send(&rig, "tok", 0, "k", STR("{\"ts\":"));
    rig_send(&rig, "tok", 0, "k", STR(""));
    rig_send(&rig, "tok", 0, NULL, STR("nonsense"));
    rig_flush(&rig);
    expect_dead("dead kafka:tok/0/50: message: empty (a tombstone)");
    expect_dead("dead kafka:tok/0/51: not JSON");
    expect_dead("dead kafka:tok/0/52: ");
    expect_dead("dead kafka:tok/0/53: not JSON");
    assert_i64(m.n_dead - dead, 4);
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") == 0);
    assert_i64(rig_committed(&rig, "tok", 0), 54);
}

static void test_assumed_host(void **state)
{
    (void)state;
    rig_put(&rig, "tok", 1, "k", USAGE(",\"event_id\":\"own\""));
    MEMBER_UNTIL(&m, member_count(&m, "record own shard 1 host assumed") == 1);
    rig_put(&rig, "gpu", 1, "k",
            "{\"ts\":\"2026-11-23T15:00:00Z\",\"gpu_index\":0,\"utilization\":1}");
    MEMBER_UNTIL(&m, member_count(&m, "record gpu/1/50 shard 1 host assumed") == 1);
    assert_near(metric("gtap_kafka_misplaced_total"),
                kafka_partition_of(STR("assumed"), PARTITIONS) == 1 ? 0 : 2, 0);
}

// A message without a key goes to its host's partition, once, under the name of its first place.
static void test_unkeyed(void **state)
{
    (void)state;
    double forwarded = metric("gtap_kafka_forwarded_total");
    double unkeyed = metric("gtap_kafka_unkeyed_total");
    AUTO_FREE char *away = x_asprintf(USAGE(",\"host\":\"%s\""), rig_host(&rig, 3));
    AUTO_FREE char *named =
        x_asprintf(USAGE(",\"host\":\"%s\",\"event_id\":\"n\""), rig_host(&rig, 0));
    AUTO_FREE char *at_home =
        x_asprintf(USAGE(",\"host\":\"%s\",\"event_id\":\"h\""), rig_host(&rig, 2));
    rig_put(&rig, "tok", 2, NULL, away);
    rig_put(&rig, "tok", 2, NULL, named);
    rig_put(&rig, "tok", 2, NULL, at_home);
    MEMBER_UNTIL(&m, member_count(&m, "record tok/2/50 shard 3 host") == 1);
    MEMBER_UNTIL(&m, member_count(&m, "record n shard 0 host") == 1);
    MEMBER_UNTIL(&m, member_count(&m, "record h shard 2 host") == 1);
    MEMBER_UNTIL(&m, metric("gtap_kafka_forwarded_total") == forwarded + 2);
    assert_near(metric("gtap_kafka_unkeyed_total") - unkeyed, 3, 0);
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") == 0);
    assert_i64(rig_committed(&rig, "tok", 2), 53);
    assert_i64(rig_committed(&rig, "tok", 3), 51);
}

// While the broker of the host's partition does not take it back, the offset stays.
static void test_unkeyed_waits_for_its_acknowledgement(void **state)
{
    (void)state;
    double forwarded = metric("gtap_kafka_forwarded_total");
    AUTO_FREE char *away = x_asprintf(USAGE(",\"host\":\"%s\""), rig_host(&rig, 3));
    AUTO_FREE char *home =
        x_asprintf(USAGE(",\"host\":\"%s\",\"event_id\":\"behind\""), rig_host(&rig, 2));
    rig_put(&rig, "tok", 2, NULL, away);
    rig_put(&rig, "tok", 2, "k", home);
    double commits = metric("gtap_kafka_commits_total");
    rd_kafka_mock_push_request_errors(rig.mock, 0, 12, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 19,
                                      19, 19, 19, 19, 19, 19, 19, 19, 19, 19);
    MEMBER_UNTIL(&m, member_count(&m, "record behind shard 2") == 1);
    rig_put_usage(&rig, 1, 1, 3600);
    MEMBER_UNTIL(&m, metric("gtap_kafka_commits_total") > commits + 1 ||
                         metric("gtap_kafka_forwarded_total") > forwarded);
    if (metric("gtap_kafka_forwarded_total") == forwarded) {
        assert_i64(rig_committed(&rig, "tok", 2), 53);
    }
    rd_kafka_mock_clear_request_errors(rig.mock, 0);
    MEMBER_UNTIL(&m, metric("gtap_kafka_forwarded_total") == forwarded + 1);
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") == 0);
    assert_i64(rig_committed(&rig, "tok", 2), 55);
    MEMBER_UNTIL(&m, member_count(&m, "record tok/2/53 shard 3 host") == 1);
}

// What Kafka does not take back is a dead letter; it holds up the offset only until that is stored.
static void test_unkeyed_and_refused(void **state)
{
    (void)state;
    AUTO_FREE char *away =
        x_asprintf(USAGE(",\"host\":\"%s\",\"event_id\":\"no\""), rig_host(&rig, 3));
    rd_kafka_mock_push_request_errors(rig.mock, 0, 2, 0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    rig_put(&rig, "tok", 2, NULL, away);
    MEMBER_UNTIL(&m, member_count(&m, "dead kafka:tok/2/55: message: has no key, and is not taken "
                                      "back with one: ") == 1);
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") == 0);
    assert_i64(rig_committed(&rig, "tok", 2), 56);
    assert_i64(member_count(&m, "record no "), 0);
}

static void commit_against(const rd_kafka_resp_err_t *errors, size_t n)
{
    rd_kafka_mock_push_request_errors_array(rig.mock, API_OFFSET_COMMIT, n, errors);
    int64_t records = m.n_records;
    rig_put_usage(&rig, 0, 1, 3600);
    MEMBER_UNTIL(&m, m.n_records == records + 1);
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") == 0);
}

// librdkafka repeats the first four by itself, we the others; the table is in
// docs/inputs/kafka.md.
static void test_commit_errors(void **state)
{
    (void)state;
    static const rd_kafka_resp_err_t passing[] = {
        RD_KAFKA_RESP_ERR__TRANSPORT,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    };
    static const rd_kafka_resp_err_t rebalance = RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
    static const rd_kafka_resp_err_t rights = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    struct input_health health;
    commit_against(passing, 2);
    commit_against(passing + 2, 2);
    assert_near(metric("gtap_kafka_commit_failures_total"), 0, 0);
    commit_against(&rebalance, 1);
    assert_near(metric("gtap_kafka_commit_failures_total"), 1, 0);
    commit_against(&rights, 1);
    assert_near(metric("gtap_kafka_commit_failures_total"), 2, 0);
    input_health(m.in, &health);
    assert_true(health.ok);
    assert_non_null(strstr(health.error, "GROUP_AUTHORIZATION_FAILED"));
    assert_i64(m.lost + m.left, 0);
}

// How many of so many records came as soon as they were there. fetch.wait.max.ms is 10 here, and
// the mock waits all of it. With a wait of ours that nothing ends it were 200, or 100 in the
// middle.
static int came_at_once(int rounds)
{
    int quick = 0;
    for (int i = 0; i < rounds; i++) {
        int64_t records = m.n_records;
        rig_put_usage(&rig, i % PARTITIONS, 1, 3600);
        struct mono from = clock_mono(&clock_system);
        MEMBER_UNTIL(&m, m.n_records == records + 1);
        quick += clock_mono(&clock_system).ns - from.ns < 60 * NS_PER_MS;
    }
    return quick;
}

// A busy machine is slow at times, not always.
static void test_wakes_at_once(void **state)
{
    (void)state;
    enum { ROUNDS = 21, TRIES = 20 };
    int tries = 1;
    while (came_at_once(ROUNDS) <= ROUNDS * 2 / 3) {
        assert_true(tries++ < TRIES);
    }
}

static void test_stop_ends_waiting(void **state)
{
    (void)state;
    enum { TRIES = 50 };
    uint64_t one = 1;
    int64_t took = INT64_MAX;
    assert_i64(write(m.env.stop_fd, &one, sizeof(one)), sizeof(one));
    for (int i = 0; took > 150 * NS_PER_MS && i < TRIES; i++) {
        struct mono from = clock_mono(&clock_system);
        member_step(&m);
        took = clock_mono(&clock_system).ns - from.ns;
    }
    assert_true(took < 150 * NS_PER_MS);
    assert_i64(read(m.env.stop_fd, &one, sizeof(one)), sizeof(one));
}

static void test_leaderless_partition(void **state)
{
    (void)state;
    int64_t records = m.n_records;
    rig_put_usage(&rig, 3, 1, 3600);
    MEMBER_UNTIL(&m, m.n_records == records + 1);
    rd_kafka_mock_partition_set_leader(rig.mock, "tok", 3, -1);
    rig_put_usage(&rig, 0, 5, 3600); // the others go on
    MEMBER_UNTIL(&m, m.n_records == records + 6);
    rd_kafka_mock_partition_set_leader(rig.mock, "tok", 3, 2);
    rig_put_usage(&rig, 3, 5, 3600);
    MEMBER_UNTIL(&m, m.n_records == records + 11);
}

static void test_coordinator_moves(void **state)
{
    (void)state;
    for (int broker = 1; broker <= 3; broker++) {
        double commits = metric("gtap_kafka_commits_total");
        assert_i64(rd_kafka_mock_coordinator_set(rig.mock, "group", "g", broker), 0);
        rig_put_usage(&rig, 1, 1, 3600);
        MEMBER_UNTIL(&m, metric("gtap_kafka_commits_total") > commits);
    }
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") == 0);
}

// For less than a session: the assignment stays, and reading goes on where it was.
static void test_brokers_away(void **state)
{
    (void)state;
    struct input_health health;
    int64_t records = m.n_records;
    int left = m.left, lost = m.lost;
    assert_i64(rd_kafka_mock_broker_set_down(rig.mock, -1), 0);
    for (input_health(m.in, &health); health.ok; input_health(m.in, &health)) {
        member_step(&m);
    }
    assert_true(strlen(health.error) > 0);
    assert_i64(rd_kafka_mock_broker_set_up(rig.mock, -1), 0);
    for (input_health(m.in, &health); !health.ok; input_health(m.in, &health)) {
        member_step(&m);
    }
    rig_put_usage(&rig, 1, 5, 3600);
    MEMBER_UNTIL(&m, m.n_records == records + 5);
    assert_i64(m.left - left, 0);
    assert_i64(m.lost - lost, 0);
}

// The group does not know this member any more: it loses its shards, and joins again. Nothing is
// passed over, and what is read twice has the same ids.
static void test_forgotten_by_the_group(void **state)
{
    (void)state;
    m.holds = true;
    rig_put_usage(&rig, 2, 3, 3600);
    int64_t records = m.n_records;
    MEMBER_UNTIL(&m, m.n_records == records + 3);
    rd_kafka_mock_push_request_errors(rig.mock, API_OFFSET_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    rig_put_usage(&rig, 1, 1, 3600);
    MEMBER_UNTIL(&m, m.n_records == records + 4);
    member_store(&m, m.position - 3); // something to commit
    MEMBER_UNTIL(&m, m.lost == 1);
    assert_false(input_is_current(m.in)); // the pipeline has not heard yet
    m.holds = false;
    MEMBER_UNTIL(&m, m.taken == 2);
    assert_i64(member_owned(&m), PARTITIONS);
    assert_true(input_is_current(m.in));
    MEMBER_UNTIL(&m, metric("gtap_kafka_commit_age_seconds") == 0);
    assert_near(member_metric(&m, "gtap_kafka_rebalances_total", "lost"), 1, 0);
    assert_near(metric("gtap_kafka_expired_total"), 0, 0);
}

// Another process has our group.instance.id: one of the two must go.
static void test_fenced(void **state)
{
    (void)state;
    enum { API_HEARTBEAT = 12 };
    rd_kafka_mock_push_request_errors(rig.mock, API_HEARTBEAT, 1,
                                      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
    MEMBER_UNTIL(&m, m.result < 0);
    assert_non_null(strstr(m.err.msg, "another member of group g has this group.instance.id"));
    assert_non_null(strstr(m.err.msg, "FENCED_INSTANCE_ID"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_both_topics),
        TEST(test_offsets_follow_what_is_stored),
        TEST(test_behind_and_current),
        TEST(test_dead_letters),
        TEST(test_assumed_host),
        TEST(test_unkeyed),
        TEST(test_unkeyed_waits_for_its_acknowledgement),
        TEST(test_unkeyed_and_refused),
        TEST(test_commit_errors),
        TEST(test_wakes_at_once),
        TEST(test_stop_ends_waiting),
        TEST(test_leaderless_partition),
        TEST(test_coordinator_moves),
        TEST(test_brokers_away),
        TEST(test_forgotten_by_the_group),
        TEST(test_fenced),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
