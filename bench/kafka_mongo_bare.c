// What the two libraries alone take from Kafka to MongoDB: consumes two topics to their ends and
// inserts, for every message, a document that was made before. Nothing is decoded or computed.
//
//     kafka_mongo_bare BROKERS METRIC_TOPIC USAGE_TOPIC GROUP URI DATABASE SAMPLE USAGE [UPDATE]
//
// SAMPLE and USAGE are files of Extended JSON: the document that goes into gpu_metrics for each
// message of the one topic, and into token_usage for the other, each time with another _id (text,
// bytes or a 64-bit integer). With UPDATE, every document of token_usage is then updated by it, as
// gtap does with a request's final cost. Batches, settings and calls are the quickest that are
// known for these libraries: batch consuming, unordered bulks of 1000, no validation.
#include <bson/bson.h>
#include <inttypes.h>
#include <mongoc/mongoc.h>

#include "base/alloc.h"
#include "kafka.h"

enum { BATCH = 1000, IDLE_MS = 50, COMMIT_EVERY = 200000 };

struct kind {
    const char *topic;
    mongoc_collection_t *collection;
    bson_t *document;
    uint8_t *id; // where the _id's last bytes lie in the document
    bson_type_t id_type;
    int64_t taken, stored; // messages; also the next and the first unstored _id
};

struct loop {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    mongoc_client_t *client;
    struct kind kinds[2];
    bson_t *update, *options;
    int64_t wanted, committed;
};

// ---- documents -----------------------------------------------------------------------------

static bson_t *read_document(const char *path)
{
    bson_error_t why;
    bson_json_reader_t *reader = bson_json_reader_new_from_file(path, &why);
    bson_t *doc = bson_new();
    if (!reader || bson_json_reader_read(reader, doc, &why) != 1) {
        give_up("%s: no document: %s", path, why.message);
    }
    bson_json_reader_destroy(reader);
    return doc;
}

enum { ID_TEXT = 12, ID_BYTES = 8 }; // digits, bytes of a number

static void find_id(struct kind *k, const char *path)
{
    bson_iter_t it;
    uint32_t n = 0;
    const uint8_t *at = NULL;
    if (!bson_iter_init_find(&it, k->document, "_id")) {
        give_up("%s: no _id", path);
    }
    k->id_type = bson_iter_type(&it);
    if (k->id_type == BSON_TYPE_UTF8) {
        at = (const uint8_t *)bson_iter_utf8(&it, &n);
        at = n < ID_TEXT ? NULL : at + n - ID_TEXT;
    } else if (k->id_type == BSON_TYPE_BINARY) {
        bson_iter_binary(&it, NULL, &n, &at);
        at = n < ID_BYTES ? NULL : at + n - ID_BYTES;
    } else if (k->id_type == BSON_TYPE_INT64) {
        at = bson_get_data(k->document) + bson_iter_offset(&it) + sizeof("_id");
    }
    if (!at) {
        give_up("%s: its _id is too short, or of another type than text, bytes or long", path);
    }
    k->id = (uint8_t *)(uintptr_t)at;
}

static void set_id(const struct kind *k, int64_t n)
{
    if (k->id_type == BSON_TYPE_UTF8) {
        for (int i = ID_TEXT; i-- > 0; n >>= 4) {
            k->id[i] = (uint8_t) "0123456789abcdef"[n & 15];
        }
    } else {
        memcpy(k->id, &n, ID_BYTES);
    }
}

// ---- MongoDB -------------------------------------------------------------------------------

static void open_store(struct loop *l, char **argv)
{
    bson_error_t why;
    mongoc_init();
    mongoc_uri_t *uri = mongoc_uri_new_with_error(argv[5], &why);
    if (!uri) {
        give_up("%s: %s", argv[5], why.message);
    }
    l->client = mongoc_client_new_from_uri(uri);
    mongoc_uri_destroy(uri);
    static const char *const names[2] = {"gpu_metrics", "token_usage"};
    for (int i = 0; i < 2; i++) {
        struct kind *k = &l->kinds[i];
        k->topic = argv[2 + i];
        k->collection = mongoc_client_get_collection(l->client, argv[6], names[i]);
        k->document = read_document(argv[7 + i]);
        find_id(k, argv[7 + i]);
    }
    l->update = argv[9] ? read_document(argv[9]) : NULL;
    l->options = BCON_NEW("validate", BCON_BOOL(false));
}

static mongoc_bulk_operation_t *bulk_new(const struct kind *k)
{
    bson_t options = BSON_INITIALIZER;
    BSON_APPEND_BOOL(&options, "ordered", false);
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(k->collection, &options);
    bson_destroy(&options);
    return bulk;
}

static void bulk_run(mongoc_bulk_operation_t *bulk)
{
    bson_t reply;
    bson_error_t why;
    if (!mongoc_bulk_operation_execute(bulk, &reply, &why)) {
        give_up("a bulk failed: %s", why.message);
    }
    bson_destroy(&reply);
    mongoc_bulk_operation_destroy(bulk);
}

static void insert(struct loop *l, const struct kind *k)
{
    mongoc_bulk_operation_t *bulk = bulk_new(k);
    for (int64_t i = k->stored; i < k->taken; i++) {
        set_id(k, i);
        if (!mongoc_bulk_operation_insert_with_opts(bulk, k->document, l->options, NULL)) {
            give_up("a document was refused");
        }
    }
    bulk_run(bulk);
}

static void update(struct loop *l, const struct kind *k)
{
    mongoc_bulk_operation_t *bulk = bulk_new(k);
    for (int64_t i = k->stored; i < k->taken; i++) {
        bson_iter_t it;
        bson_t filter = BSON_INITIALIZER;
        set_id(k, i);
        if (!bson_iter_init_find(&it, k->document, "_id") ||
            !bson_append_iter(&filter, "_id", 3, &it) ||
            !mongoc_bulk_operation_update_one_with_opts(bulk, &filter, l->update, l->options,
                                                        NULL)) {
            give_up("an update was refused");
        }
        bson_destroy(&filter);
    }
    bulk_run(bulk);
}

static void store(struct loop *l, struct kind *k)
{
    if (k->stored == k->taken) {
        return;
    }
    insert(l, k);
    if (l->update && k == &l->kinds[1]) {
        update(l, k);
    }
    k->stored = k->taken;
}

// ---- Kafka ---------------------------------------------------------------------------------

static void open_topics(struct loop *l, const char *brokers, const char *group)
{
    const char *const properties[][2] = {
        {"group.id", group},
        {"auto.offset.reset", "earliest"},
        {"enable.auto.commit", "false"},
        {"partition.assignment.strategy", "range"},
        {"queued.min.messages", "1000000"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.message.max.bytes", "4194304"},
        {"socket.nagle.disable", "true"},
        {NULL, NULL},
    };
    l->rk = client_new(RD_KAFKA_CONSUMER, conf_new(brokers, properties));
    rd_kafka_poll_set_consumer(l->rk);
    l->queue = rd_kafka_queue_get_consumer(l->rk);
}

static int64_t messages_of(rd_kafka_t *rk, const struct rd_kafka_metadata_topic *t)
{
    enum { WAIT_MS = 30000 };
    int64_t n = 0, low = 0, high = 0;
    for (int p = 0; p < t->partition_cnt; p++) {
        rd_kafka_resp_err_t err =
            rd_kafka_query_watermark_offsets(rk, t->topic, p, &low, &high, WAIT_MS);
        if (err) {
            give_up("%s: %s", t->topic, rd_kafka_err2str(err));
        }
        n += high - low;
    }
    return n;
}

static void subscribe(struct loop *l)
{
    enum { WAIT_MS = 30000 };
    const struct rd_kafka_metadata *all = NULL;
    if (rd_kafka_metadata(l->rk, 1, NULL, &all, WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        give_up("no answer from the brokers");
    }
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(2);
    for (int i = 0; i < all->topic_cnt; i++) {
        const char *name = all->topics[i].topic;
        if (strcmp(name, l->kinds[0].topic) == 0 || strcmp(name, l->kinds[1].topic) == 0) {
            rd_kafka_topic_partition_list_add(topics, name, RD_KAFKA_PARTITION_UA);
            l->wanted += messages_of(l->rk, &all->topics[i]);
        }
    }
    if (topics->cnt != 2 || rd_kafka_subscribe(l->rk, topics) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        give_up("no topics %s and %s", l->kinds[0].topic, l->kinds[1].topic);
    }
    rd_kafka_topic_partition_list_destroy(topics);
    rd_kafka_metadata_destroy(all);
}

static void take(struct loop *l, rd_kafka_message_t *m)
{
    if (m->err) {
        give_up("consuming: %s", rd_kafka_message_errstr(m));
    }
    struct kind *k = &l->kinds[strcmp(rd_kafka_topic_name(m->rkt), l->kinds[1].topic) == 0];
    k->taken++;
    rd_kafka_message_destroy(m);
    if (k->taken - k->stored == BATCH) {
        store(l, k);
    }
}

static void commit(struct loop *l, int64_t done)
{
    if (done - l->committed >= COMMIT_EVERY) {
        store(l, &l->kinds[0]);
        store(l, &l->kinds[1]);
        rd_kafka_commit(l->rk, NULL, 1);
        l->committed = done;
    }
}

static void consume(struct loop *l)
{
    rd_kafka_message_t *messages[BATCH];
    for (int64_t done = 0; done < l->wanted;) {
        ssize_t n = rd_kafka_consume_batch_queue(l->queue, IDLE_MS, messages, BATCH);
        for (ssize_t i = 0; i < n; i++) {
            take(l, messages[i]);
        }
        done += n;
        commit(l, done);
    }
    store(l, &l->kinds[0]);
    store(l, &l->kinds[1]);
}

static void close_all(struct loop *l)
{
    rd_kafka_queue_destroy(l->queue);
    rd_kafka_consumer_close(l->rk);
    rd_kafka_destroy(l->rk);
    for (int i = 0; i < 2; i++) {
        mongoc_collection_destroy(l->kinds[i].collection);
        bson_destroy(l->kinds[i].document);
    }
    bson_destroy(l->options);
    if (l->update) {
        bson_destroy(l->update);
    }
    mongoc_client_destroy(l->client);
    mongoc_cleanup();
}

int main(int argc, char **argv)
{
    if (argc != 9 && argc != 10) {
        give_up("see the head of bench/kafka_mongo_bare.c for its arguments");
    }
    struct loop l = {0};
    open_store(&l, argv);
    open_topics(&l, argv[1], argv[4]);
    subscribe(&l);
    consume(&l);
    close_all(&l);
    printf("{\"samples\": %" PRId64 ", \"usages\": %" PRId64 "}\n", l.kinds[0].stored,
           l.kinds[1].stored);
    return 0;
}
