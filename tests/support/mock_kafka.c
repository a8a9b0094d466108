// librdkafka's mock cluster as a process of its own, for other processes to connect to and for
// tests to make trouble with.
//
//     mock_kafka [--brokers N]                three where not said
//
// The first line of stdout is "bootstrap HOST:PORT,..."; then each line of stdin is answered by
// one: "ok", or "error" and why. It ends with `quit` or when stdin does.
//
//     topic NAME PARTITIONS [REPLICAS]        made; topics that nobody made get four partitions
//     topic-error NAME ERROR                  what metadata says of it
//     error API ERROR [N]                     the next N (1) requests of this kind, whoever gets
//     them broker-error BROKER API ERROR RTT_MS [N]   likewise, for one broker, and after so long
//     clear API                               no more of these errors
//     broker down|up BROKER|all               ports closed, connections cut; data is kept
//     rtt MS [BROKER|all]                     every answer takes so long
//     leader TOPIC PARTITION BROKER           -1: nobody leads it
//     follower TOPIC PARTITION BROKER
//     coordinator group|transaction KEY BROKER   moves it
//     version API MIN MAX                     as an old broker; -1 -1: does not know the request
//     quit
//
// API is a name (Produce, Fetch, OffsetCommit, ...) or a number, ERROR librdkafka's name
// (NOT_COORDINATOR; _TRANSPORT cuts the connection) or a number; BROKER counts from 1.
//
// What the mock cannot do (librdkafka 2.0.2): static membership, offsets by time, admin requests,
// TLS, SASL; a partition keeps 5 MiB or 100,000 batches, the oldest are dropped.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/decimal.h"

enum { ERRORS_MAX = 1000, WORDS_MAX = 8 };

struct words {
    struct str v[WORDS_MAX]; // the first is the command
    size_t n;
};

typedef rd_kafka_resp_err_t command_fn(rd_kafka_mock_cluster_t *cluster, const struct words *w);

static const struct {
    const char *name;
    int16_t key;
} apis[] = {
    {"Produce", 0},          {"Fetch", 1},
    {"ListOffsets", 2},      {"Metadata", 3},
    {"OffsetCommit", 8},     {"OffsetFetch", 9},
    {"FindCoordinator", 10}, {"JoinGroup", 11},
    {"Heartbeat", 12},       {"LeaveGroup", 13},
    {"SyncGroup", 14},       {"ApiVersions", 18},
    {"InitProducerId", 22},  {"AddPartitionsToTxn", 24},
    {"EndTxn", 26},          {"TxnOffsetCommit", 28},
};

// ---- words ---------------------------------------------------------------------------------

static struct words split(struct str line)
{
    struct words w = {0};
    struct str rest = str_trim(line);
    while (rest.n > 0 && w.n < WORDS_MAX) {
        str_split(&rest, ' ', &w.v[w.n++]);
        rest = str_trim(rest);
    }
    return w;
}

// A number at this place, otherwise where there is no such word; false where it is none.
static bool number(const struct words *w, size_t i, int64_t otherwise, int64_t *ret)
{
    *ret = otherwise;
    return i >= w->n ||
           (decimal_parse(w->v[i], 0, ret) == 0 && *ret >= INT32_MIN && *ret <= INT32_MAX);
}

static bool broker(const struct words *w, size_t i, int32_t *ret)
{
    int64_t n = -1;
    if (i < w->n && str_eq(w->v[i], STR("all"))) {
        *ret = -1;
        return true;
    }
    bool good = number(w, i, -1, &n);
    *ret = (int32_t)n;
    return good;
}

static bool api(const struct words *w, size_t i, int16_t *ret)
{
    int64_t n = -1;
    for (size_t j = 0; j < ARRAY_LEN(apis); j++) {
        if (str_eq(w->v[i], str_of(apis[j].name))) {
            *ret = apis[j].key;
            return true;
        }
    }
    bool good = i < w->n && number(w, i, -1, &n) && n >= 0 && n <= INT16_MAX;
    *ret = (int16_t)n;
    return good;
}

static bool error_code(const struct words *w, size_t i, rd_kafka_resp_err_t *ret)
{
    const struct rd_kafka_err_desc *all;
    size_t count;
    int64_t n = 0;
    rd_kafka_get_err_descs(&all, &count);
    for (size_t j = 0; j < count; j++) {
        if (all[j].name && str_eq(w->v[i], str_of(all[j].name))) {
            *ret = all[j].code;
            return true;
        }
    }
    bool good = i < w->n && number(w, i, 0, &n);
    *ret = (rd_kafka_resp_err_t)n;
    return good;
}

// ---- commands ------------------------------------------------------------------------------

static const rd_kafka_resp_err_t INVALID = RD_KAFKA_RESP_ERR__INVALID_ARG;

static rd_kafka_resp_err_t run_topic(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    int64_t partitions, replicas;
    char name[256];
    if (!number(w, 2, 0, &partitions) || !number(w, 3, 1, &replicas) || partitions < 1 ||
        w->v[1].n >= sizeof(name)) {
        return INVALID;
    }
    snprintf(name, sizeof(name), STR_FMT, STR_ARG(w->v[1]));
    return rd_kafka_mock_topic_create(cluster, name, (int)partitions, (int)replicas);
}

static rd_kafka_resp_err_t run_topic_error(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    rd_kafka_resp_err_t err;
    if (!error_code(w, 2, &err)) {
        return INVALID;
    }
    char *name AUTO_FREE = x_strndup(w->v[1].p, w->v[1].n);
    rd_kafka_mock_topic_set_error(cluster, name, err);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t run_error(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    int16_t key;
    rd_kafka_resp_err_t err, errors[ERRORS_MAX];
    int64_t n;
    if (!api(w, 1, &key) || !error_code(w, 2, &err) || !number(w, 3, 1, &n) || n < 1 ||
        n > ERRORS_MAX) {
        return INVALID;
    }
    for (int64_t i = 0; i < n; i++) {
        errors[i] = err;
    }
    rd_kafka_mock_push_request_errors_array(cluster, key, (size_t)n, errors);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t run_broker_error(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    int16_t key;
    int32_t id;
    int64_t rtt, n;
    rd_kafka_resp_err_t err, r = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!broker(w, 1, &id) || !api(w, 2, &key) || !error_code(w, 3, &err) ||
        !number(w, 4, 0, &rtt) || !number(w, 5, 1, &n) || n < 1 || n > ERRORS_MAX) {
        return INVALID;
    }
    for (int64_t i = 0; i < n && r == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        r = rd_kafka_mock_broker_push_request_error_rtts(cluster, id, key, 1, err, (int)rtt);
    }
    return r;
}

static rd_kafka_resp_err_t run_clear(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    int16_t key;
    if (!api(w, 1, &key)) {
        return INVALID;
    }
    rd_kafka_mock_clear_request_errors(cluster, key);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t run_broker(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    int32_t id;
    bool down = str_eq(w->v[1], STR("down"));
    if (!broker(w, 2, &id) || (!down && !str_eq(w->v[1], STR("up")))) {
        return INVALID;
    }
    return down ? rd_kafka_mock_broker_set_down(cluster, id)
                : rd_kafka_mock_broker_set_up(cluster, id);
}

static rd_kafka_resp_err_t run_rtt(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    int64_t ms;
    int32_t id;
    if (!number(w, 1, 0, &ms) || ms < 0 || !broker(w, 2, &id)) {
        return INVALID;
    }
    return rd_kafka_mock_broker_set_rtt(cluster, id, (int)ms);
}

static rd_kafka_resp_err_t move_partition(rd_kafka_mock_cluster_t *cluster, const struct words *w,
                                          rd_kafka_resp_err_t move(rd_kafka_mock_cluster_t *,
                                                                   const char *, int32_t, int32_t))
{
    int64_t partition, id;
    if (!number(w, 2, 0, &partition) || !number(w, 3, -1, &id)) {
        return INVALID;
    }
    char *name AUTO_FREE = x_strndup(w->v[1].p, w->v[1].n);
    return move(cluster, name, (int32_t)partition, (int32_t)id);
}

static rd_kafka_resp_err_t run_leader(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    return move_partition(cluster, w, rd_kafka_mock_partition_set_leader);
}

static rd_kafka_resp_err_t run_follower(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    return move_partition(cluster, w, rd_kafka_mock_partition_set_follower);
}

static rd_kafka_resp_err_t run_coordinator(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    int64_t id;
    if (!number(w, 3, -1, &id)) {
        return INVALID;
    }
    char *type AUTO_FREE = x_strndup(w->v[1].p, w->v[1].n);
    char *key AUTO_FREE = x_strndup(w->v[2].p, w->v[2].n);
    return rd_kafka_mock_coordinator_set(cluster, type, key, (int32_t)id);
}

static rd_kafka_resp_err_t run_version(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    int16_t key;
    int64_t least, most;
    if (!api(w, 1, &key) || !number(w, 2, -1, &least) || !number(w, 3, -1, &most)) {
        return INVALID;
    }
    return rd_kafka_mock_set_apiversion(cluster, key, (int16_t)least, (int16_t)most);
}

static const struct {
    const char *name;
    command_fn *run;
    size_t least; // words, the command among them
} commands[] = {
    {"topic", run_topic, 3},       {"topic-error", run_topic_error, 3},
    {"error", run_error, 3},       {"broker-error", run_broker_error, 5},
    {"clear", run_clear, 2},       {"broker", run_broker, 3},
    {"rtt", run_rtt, 2},           {"leader", run_leader, 4},
    {"follower", run_follower, 4}, {"coordinator", run_coordinator, 4},
    {"version", run_version, 4},
};

// What to answer.
static const char *run(rd_kafka_mock_cluster_t *cluster, const struct words *w)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (str_eq(w->v[0], str_of(commands[i].name))) {
            rd_kafka_resp_err_t r =
                w->n < commands[i].least ? INVALID : commands[i].run(cluster, w);
            return r == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(r);
        }
    }
    return "no such command";
}

static void obey(rd_kafka_mock_cluster_t *cluster)
{
    AUTO_FREE char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct words w = split((struct str){line, (size_t)n});
        if (str_eq(w.v[0], STR("quit"))) {
            return;
        }
        const char *why = w.n > 0 ? run(cluster, &w) : "nothing was said";
        printf("%s%s\n", why ? "error " : "ok", why ? why : "");
        fflush(stdout);
    }
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "mock_kafka: %s\n", what);
    exit(1);
}

static int parse_options(int argc, char **argv)
{
    int64_t brokers = 3;
    bool good = argc == 1 || (argc == 3 && strcmp(argv[1], "--brokers") == 0 &&
                              decimal_parse(str_of(argv[2]), 0, &brokers) == 0);
    if (!good || brokers < 1 || brokers > 100) {
        give_up("usage: mock_kafka [--brokers N]");
    }
    return (int)brokers;
}

int main(int argc, char **argv)
{
    char why[512];
    int brokers = parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "log_level", "3", why, sizeof(why)) != RD_KAFKA_CONF_OK) {
        give_up(why); // the mock's owner connects to nothing, which is nothing to warn of
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    rd_kafka_mock_cluster_t *cluster = rk ? rd_kafka_mock_cluster_new(rk, brokers) : NULL;
    if (!cluster) {
        give_up(rk ? "no mock cluster" : why);
    }
    printf("bootstrap %s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    obey(cluster);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
    return 0;
}
