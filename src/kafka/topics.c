#include <errno.h>

#include "kafka/client.h"

static int partitions_in(const struct rd_kafka_metadata *meta, const char *topic, int32_t *ret,
                         struct error *err)
{
    const struct rd_kafka_metadata_topic *t = NULL;
    for (int i = 0; i < meta->topic_cnt && !t; i++) {
        t = strcmp(meta->topics[i].topic, topic) == 0 ? &meta->topics[i] : NULL;
    }
    rd_kafka_resp_err_t code = t ? t->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        return error_set(err, -ENOENT,
                         "kafka: there is no topic '%s' (or this user may not see it)", topic);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && t->partition_cnt == 0) {
        code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return kafka_error(err, code, "kafka: cannot look at topic '%s'", topic);
    }
    *ret = t->partition_cnt;
    return 0;
}

// Asks for all topics: where a broker speaks only old versions of the request, asking for one that
// there is not creates it, whatever allow.auto.create.topics says.
int kafka_topic_partitions(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t *ret,
                           struct error *err)
{
    const struct rd_kafka_metadata *meta = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &meta, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return kafka_error(err, code, "kafka: no broker tells of topic '%s'", topic);
    }
    int r = partitions_in(meta, topic, ret, err);
    rd_kafka_metadata_destroy(meta);
    return r;
}

// What became of each topic.
static int created_in(rd_kafka_event_t *event, size_t *ret_created, struct error *err)
{
    size_t n = 0;
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_topic_result_t **topics =
        result ? rd_kafka_CreateTopics_result_topics(result, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(topics[i]);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            (*ret_created)++;
        } else if (code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            const char *why = rd_kafka_topic_result_error_string(topics[i]);
            return kafka_error(err, code, "kafka: cannot create topic '%s' (%s)",
                               rd_kafka_topic_result_name(topics[i]),
                               why ? why : "no reason given");
        }
    }
    return 0;
}

static int create(rd_kafka_t *rk, rd_kafka_NewTopic_t **new_topics, size_t n, int timeout_ms,
                  size_t *ret_created, struct error *err)
{
    char text[ERROR_MSG_MAX];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text));
    rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, text, sizeof(text));
    rd_kafka_CreateTopics(rk, new_topics, n, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    int r = code == RD_KAFKA_RESP_ERR_NO_ERROR
                ? created_in(event, ret_created, err)
                : kafka_error(err, code, "kafka: no broker creates topics");
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return r;
}

int kafka_topics_create(rd_kafka_t *rk, const char *const *topics, size_t n, int partitions,
                        int replication, int timeout_ms, size_t *ret_created, struct error *err)
{
    rd_kafka_NewTopic_t *new_topics[KAFKA_TOPICS_MAX];
    char text[ERROR_MSG_MAX];
    size_t made = 0;
    int r = 0;
    *ret_created = 0;
    for (; r == 0 && made < n && made < KAFKA_TOPICS_MAX; made += r == 0) {
        new_topics[made] = rd_kafka_NewTopic_new(
            topics[made], partitions, replication < 1 ? -1 : replication, text, sizeof(text));
        if (!new_topics[made]) {
            r = error_set(err, -EINVAL, "kafka: topic '%s': %s", topics[made], text);
        }
    }
    if (r == 0 && made > 0) {
        r = create(rk, new_topics, made, timeout_ms, ret_created, err);
    }
    rd_kafka_NewTopic_destroy_array(new_topics, made);
    return r;
}
