// Dead letters to a topic, on librdkafka's mock cluster.
#include "output/letters.h"

#include <string.h>

#include "base/macros.h"
#include "base/time.h"
#include "kafka/client.h"
#include "test.h"

#include <librdkafka/rdkafka_mock.h> // after rdkafka.h

#define TOPIC "gtap.dlq.v1"
enum { WAIT_MS = TEST_PATIENCE_MS, PRODUCE = 0 }; // the key of Kafka's request

struct brokers {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    const char *bootstrap;
};

static void brokers_start(struct brokers *b)
{
    char text[256];
    b->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text));
    assert_non_null(b->rk);
    b->cluster = rd_kafka_mock_cluster_new(b->rk, 1);
    b->bootstrap = rd_kafka_mock_cluster_bootstraps(b->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(b->cluster, TOPIC, 1, 1), 0);
}

static void brokers_stop(struct brokers *b)
{
    rd_kafka_mock_cluster_destroy(b->cluster);
    rd_kafka_destroy(b->rk);
}

static struct letters *open_letters(const struct brokers *b, const char *property)
{
    struct kafka_settings settings = {0};
    struct letters *l;
    struct error err;
    if (property) {
        assert_ok(kafka_settings_option(&settings, str_of(property), &err), &err);
    }
    assert_ok(letters_open(b->bootstrap, TOPIC, &settings, &l, &err), &err);
    kafka_settings_done(&settings);
    return l;
}

static rd_kafka_t *reader_new(const struct brokers *b)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", b->bootstrap, NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "reader", NULL, 0);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "20", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert_non_null(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, TOPIC, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

static void assert_header(const rd_kafka_message_t *m, const char *name, const char *want)
{
    rd_kafka_headers_t *headers;
    const void *value = NULL;
    size_t n = 0;
    assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
    rd_kafka_resp_err_t r = rd_kafka_header_get_last(headers, name, &value, &n);
    if (!want) {
        assert_int_equal(r, RD_KAFKA_RESP_ERR__NOENT);
        return;
    }
    assert_int_equal(r, 0);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(value, want, n);
}

static void assert_letter(rd_kafka_t *reader, const struct dead_letter *d, bool cut)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, WAIT_MS);
    assert_non_null(m);
    assert_int_equal(m->err, 0);
    assert_int_equal(m->len, cut ? 0 : d->payload.n);
    assert_memory_equal(m->payload ? m->payload : "", cut ? "" : d->payload.p, m->len);
    assert_header(m, "gtap.reason", d->reason.p);
    assert_header(m, "gtap.origin", d->origin.p);
    assert_header(m, "gtap.at", "2026-01-02T03:04:05Z");
    assert_header(m, "gtap.cut", cut ? "too large" : NULL);
    rd_kafka_message_destroy(m);
}

static struct dead_letter letter(const char *reason, const char *payload)
{
    return (struct dead_letter){.at = INT64_C(1767323045000000000),
                                .origin = STR("token.usage.v1/3/1187"),
                                .position = 1187,
                                .reason = str_of(reason),
                                .payload = str_of(payload)};
}

static void whole_with_reason_and_origin(void **state)
{
    (void)state;
    struct brokers b;
    struct error err;
    struct dead_letter v[150];
    brokers_start(&b);
    struct letters *l = open_letters(&b, NULL);
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        v[i] = letter(i % 2 ? "tokens: negative" : "not JSON", i % 3 ? "{\"a\":1" : "");
    }
    assert_ok(letters_publish(l, v, ARRAY_LEN(v), &err), &err);
    rd_kafka_t *reader = reader_new(&b);
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        assert_letter(reader, &v[i], false);
    }
    rd_kafka_destroy(reader);
    letters_close(l);
    brokers_stop(&b);
}

static void too_large_goes_without_its_record(void **state)
{
    (void)state;
    struct brokers b;
    struct error err;
    char large[5000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    brokers_start(&b);
    struct letters *l = open_letters(&b, "message.max.bytes=2000");
    struct dead_letter v[] = {letter("conflict", "{}"), letter("conflict", large)};
    assert_ok(letters_publish(l, v, ARRAY_LEN(v), &err), &err);
    rd_kafka_t *reader = reader_new(&b);
    assert_letter(reader, &v[0], false);
    assert_letter(reader, &v[1], true);
    rd_kafka_destroy(reader);
    letters_close(l);
    brokers_stop(&b);
}

static void publish_at_last(struct letters *l, const struct dead_letter *d)
{
    struct error err;
    int64_t until = clock_mono(&clock_system).ns + WAIT_MS * NS_PER_MS;
    int r = -1;
    while (r < 0 && clock_mono(&clock_system).ns < until) {
        r = letters_publish(l, d, 1, &err);
    }
    assert_ok(r, &err);
}

static void away_is_to_be_tried_again(void **state)
{
    (void)state;
    struct brokers b;
    struct error err = {0};
    brokers_start(&b);
    struct letters *l = open_letters(&b, "message.timeout.ms=300");
    struct dead_letter d = letter("not JSON", "{");
    assert_int_equal(rd_kafka_mock_broker_set_down(b.cluster, -1), 0);
    assert_true(letters_publish(l, &d, 1, &err) < 0);
    assert_true(err.retryable);
    assert_non_null(strstr(err.msg, TOPIC));
    assert_int_equal(rd_kafka_mock_broker_set_up(b.cluster, -1), 0);
    publish_at_last(l, &d);
    letters_close(l);
    brokers_stop(&b);
}

static void refused(rd_kafka_resp_err_t code, struct error *ret)
{
    struct brokers b;
    brokers_start(&b);
    struct letters *l = open_letters(&b, NULL);
    struct dead_letter d = letter("not JSON", "{");
    rd_kafka_mock_push_request_errors(b.cluster, PRODUCE, 1, code);
    assert_true(letters_publish(l, &d, 1, ret) < 0);
    publish_at_last(l, &d);
    letters_close(l);
    brokers_stop(&b);
}

static void rights_may_be_given_later(void **state)
{
    (void)state;
    struct error err = {0};
    refused(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, &err);
    assert_true(err.retryable);
    assert_non_null(strstr(err.msg, "TOPIC_AUTHORIZATION_FAILED"));
}

static void after_a_fatal_error_another_producer_sends(void **state)
{
    (void)state;
    struct error err = {0};
    refused(RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, &err);
    assert_true(err.retryable);
}

int main(void)
{
    return TEST_RUN(TEST(whole_with_reason_and_origin), TEST(too_large_goes_without_its_record),
                    TEST(away_is_to_be_tried_again), TEST(rights_may_be_given_later),
                    TEST(after_a_fatal_error_another_producer_sends));
}
