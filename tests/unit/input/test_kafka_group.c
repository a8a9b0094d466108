// kafka: several members of a group that come and go, on librdkafka's mock cluster. The mock
// refuses the last commit of a member that a rebalance takes partitions from (a real broker takes
// it), so messages are delivered again here: never lost, never under another id.
#include "kafka_rig.h"

#include <poll.h>

#include "base/alloc.h"

enum { PARTITIONS = 6, EACH = 300 };

static struct rig rig;
static struct member a, b;

// The members' clock, and then some; or where it stands still.
static _Atomic int64_t skew, still;

static int64_t skewed_wall(const struct clock *c)
{
    (void)c;
    return clock_wall(&rig_clock);
}

static struct mono skewed_mono(const struct clock *c)
{
    (void)c;
    int64_t at = atomic_load(&still);
    return (struct mono){at ? at : clock_mono(&rig_clock).ns + atomic_load(&skew)};
}

static const struct clock skewed = {skewed_wall, skewed_mono};

#define BOTH_UNTIL(condition)                                                                      \
    do {                                                                                           \
        struct mono from_ = clock_mono(&clock_system);                                             \
        while (!(condition)) {                                                                     \
            if (clock_mono(&clock_system).ns - from_.ns > TEST_PATIENCE_MS * NS_PER_MS) {          \
                fail_msg("not within %d ms: %s", TEST_PATIENCE_MS, #condition);                    \
            }                                                                                      \
            member_step(&a);                                                                       \
            member_step(&b);                                                                       \
        }                                                                                          \
    } while (0)

static void produce(int from)
{
    for (int p = 0; p < PARTITIONS; p++) {
        rig_put_samples(&rig, p, EACH, from);
        rig_put_usage(&rig, p, EACH, from);
    }
}

// Whether every message up to the offset came to one of the two.
static bool all_came(int64_t upto)
{
    bool all = true;
    for (int64_t i = 0; all && i < 2 * PARTITIONS * upto; i++) {
        int topic = (int)(i / (PARTITIONS * upto)), p = (int)(i / upto) % PARTITIONS;
        all = member_times(&a, topic, p, i % upto) + member_times(&b, topic, p, i % upto) > 0;
    }
    return all;
}

static int set_up(void **state)
{
    (void)state;
    rig_open(&rig, PARTITIONS);
    produce(0);
    member_open(&a, &rig, "");
    MEMBER_UNTIL(&a, a.n_records == 2 * PARTITIONS * EACH);
    assert_i64(member_owned(&a), PARTITIONS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    member_close(&b);
    rig_close(&rig);
    return 0;
}

// A second one comes: the first leaves everything in order, and both take whole shards.
static void test_joins(void **state)
{
    (void)state;
    member_open(&b, &rig, "");
    BOTH_UNTIL(member_owned(&a) == 3 && member_owned(&b) == 3);
    assert_true(a.left >= 1); // a slow machine may take the group two joins
    assert_i64(a.lost + b.lost, 0);
    for (int p = 0; p < PARTITIONS; p++) {
        assert_true(a.owns[p] != b.owns[p]);
    }
    produce(EACH);
    BOTH_UNTIL(all_came(2 * EACH));
    assert_near(member_metric(&a, "gtap_kafka_mismatches_total", NULL), 0, 0);
    assert_near(member_metric(&a, "gtap_kafka_expired_total", NULL), 0, 0);
}

// The second one leaves while its pipeline still stores: what it did not store is not committed,
// and comes to the first.
static void test_leaves_with_work_undone(void **state)
{
    (void)state;
    BOTH_UNTIL(member_metric(&b, "gtap_kafka_commit_age_seconds", NULL) == 0);
    b.holds = true;
    produce(2 * EACH);
    BOTH_UNTIL(all_came(3 * EACH));
    int p = 0;
    while (!b.owns[p]) {
        p++;
    }
    assert_i64(rig_committed(&rig, "tok", p), 2 * EACH);
    member_close(&b);
    MEMBER_UNTIL(&a, member_owned(&a) == PARTITIONS);
    MEMBER_UNTIL(&a, member_times(&a, 1, p, 3 * EACH - 1) == 1);
    for (int64_t i = 2 * EACH; i < 3 * EACH; i++) {
        assert_i64(member_times(&a, 1, p, i), 1);
    }
    MEMBER_UNTIL(&a, member_metric(&a, "gtap_kafka_commit_age_seconds", NULL) == 0);
    assert_i64(rig_committed(&rig, "tok", p), 3 * EACH);
}

// The pipeline does not store what a member leaves in time: it is given up, said so, and read
// again by whoever has it then. A late answer moves nothing.
static void test_gives_up_what_is_not_stored(void **state)
{
    (void)state;
    a.env.clock = &skewed;
    a.holds = true;
    int64_t before = a.n_records;
    rig_put_usage(&rig, 0, EACH, 3 * EACH);
    MEMBER_UNTIL(&a, a.n_records == before + EACH);
    int left = a.left, lost = a.lost;
    member_open(&b, &rig, "");
    BOTH_UNTIL(a.left == left + 1);
    struct mono from = clock_mono(&clock_system); // it waits for the pipeline, a third of 20 s
    for (int i = 0; i < 20 && clock_mono(&clock_system).ns - from.ns < 3 * NS_PER_S; i++) {
        member_step(&a);
        assert_i64(a.lost - lost, 0);
    }
    atomic_store(&skew, 21 * NS_PER_S);
    BOTH_UNTIL(a.lost == lost + 1);
    int64_t answered = a.position;
    BOTH_UNTIL(member_owned(&a) == 3 && member_owned(&b) == 3);
    struct member *owner = a.owns[0] ? &a : &b;
    BOTH_UNTIL(member_times(owner, 1, 0, 4 * EACH - 1) >= 1);
    member_store(&a, answered); // of the assignment before
    member_step(&a);
    b.holds = true;
    a.holds = false;
    BOTH_UNTIL(a.owns[0] || rig_committed(&rig, "tok", 0) == 4 * EACH);
    member_close(&b);
    MEMBER_UNTIL(&a, member_owned(&a) == PARTITIONS);
    MEMBER_UNTIL(&a, member_metric(&a, "gtap_kafka_commit_age_seconds", NULL) == 0);
}

// A member that reads only one of the topics splits the pairs: what is left whole is read, the rest
// is not, and said.
static void test_pairs_that_were_split(void **state)
{
    (void)state;
    char text[256];
    struct input_health health;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const set[][2] = {
        {"group.id", "g"},
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(rig.mock)},
        {"partition.assignment.strategy", "range"},
        {"session.timeout.ms", "4000"},
        {"heartbeat.interval.ms", "300"},
    };
    for (size_t i = 0; i < ARRAY_LEN(set); i++) {
        assert_i64(rd_kafka_conf_set(conf, set[i][0], set[i][1], text, sizeof(text)), 0);
    }
    rd_kafka_t *other = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "gpu", RD_KAFKA_PARTITION_UA);
    assert_i64(rd_kafka_subscribe(other, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    for (int owned = PARTITIONS; owned != PARTITIONS / 2;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(other, 0);
        if (m) {
            rd_kafka_message_destroy(m);
        }
        member_step(&a);
        owned = member_owned(&a);
    }
    assert_near(member_metric(&a, "gtap_kafka_mismatches_total", NULL), 3, 0); // of "tok"
    assert_near(member_metric(&a, "gtap_kafka_assigned_partitions", NULL), 6, 0);
    input_health(a.in, &health);
    assert_non_null(strstr(health.error, "3 partitions without their counterpart"));
    rd_kafka_consumer_close(other);
    rd_kafka_destroy(other);
    MEMBER_UNTIL(&a, member_owned(&a) == PARTITIONS);
}

// Whether it was current all the time; true as well, and no answer, where the whole process stood
// still for so long that it may not trust itself: half of the session of 4 s, of a clock that goes
// three times as fast, of which one of two turns has the half.
static bool current_while_idle(bool *ret_stood_still)
{
    bool current = true;
    struct mono from = clock_mono(&clock_system), last = from;
    *ret_stood_still = false;
    while (current && !*ret_stood_still && last.ns - from.ns < 1500 * NS_PER_MS) {
        input_idle(a.in);
        current = input_is_current(a.in);
        struct mono now = clock_mono(&clock_system);
        *ret_stood_still = now.ns - last.ns > 300 * NS_PER_MS;
        last = now;
        poll(NULL, 0, 50);
    }
    return current || *ret_stood_still;
}

// Nobody calls input_next() while a batch waits for room: input_idle() keeps the shards.
static void test_idle_keeps_the_shards(void **state)
{
    (void)state;
    enum { TRIES = 50 };
    int left = a.left, lost = a.lost, tries = 1;
    bool stood_still;
    do {
        MEMBER_UNTIL(&a, input_is_current(a.in));
        assert_true(current_while_idle(&stood_still));
    } while (stood_still && tries++ < TRIES);
    assert_false(stood_still);
    member_step(&a);
    assert_i64(a.left - left, 0);
    assert_i64(a.lost - lost, 0);
}

// A process that stood still does not trust its assignment until the group has answered.
static void test_stood_still(void **state)
{
    (void)state;
    atomic_store(&skew, atomic_load(&skew) + 10 * NS_PER_S);
    assert_false(input_is_current(a.in)); // before anything was polled
    double commits = member_metric(&a, "gtap_kafka_commits_total", NULL);
    member_step(&a);
    MEMBER_UNTIL(&a, input_is_current(a.in));
    assert_true(member_metric(&a, "gtap_kafka_commits_total", NULL) > commits);
}

// It is stopped while it leaves its shards: it does not wait for what cannot come any more, and
// the other has them soon.
static void test_closes_while_it_leaves(void **state)
{
    (void)state;
    a.holds = true;
    rig_put_usage(&rig, 0, 1, 3600);
    int64_t before = a.n_records;
    MEMBER_UNTIL(&a, a.n_records == before + 1);
    int left = a.left;
    member_open(&b, &rig, "");
    BOTH_UNTIL(a.left == left + 1);
    atomic_store(&still, clock_mono(&skewed).ns); // no deadline comes any more
    member_close(&a);
    MEMBER_UNTIL(&b, member_owned(&b) == PARTITIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_joins),
        TEST(test_leaves_with_work_undone),
        TEST(test_gives_up_what_is_not_stored),
        TEST(test_pairs_that_were_split),
        TEST(test_idle_keeps_the_shards),
        TEST(test_stood_still),
        TEST(test_closes_while_it_leaves),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
