// What libmongoc takes to insert documents of a request's size: 16 fields, about 360 bytes, in
// unordered bulks, not validated, and nothing else. With the fake mongod (--forget) on the other
// side it is the ceiling of whatever writes through libmongoc.
//
//     mongo_insert URI DOCUMENTS BATCH
#include <mongoc/mongoc.h> // before base/macros.h, whose MIN and MAX its inline functions would use

#include "measure.h"

static void append_text(bson_t *d, const char *key, const char *text)
{
    bson_append_utf8(d, key, (int)strlen(key), text, (int)strlen(text));
}

static void append_number(bson_t *d, const char *key, int64_t v)
{
    bson_append_int64(d, key, (int)strlen(key), v);
}

static void build(bson_t *d, int64_t i)
{
    uint8_t id[16] = {1, 0x94};
    memcpy(id + 8, &i, sizeof(i));
    bson_reinit(d);
    bson_append_binary(d, "_id", 3, BSON_SUBTYPE_UUID, id, sizeof(id));
    bson_append_date_time(d, "ts", 2, 1767225600000 + i);
    append_text(d, "host", "gpu-0001.example");
    bson_append_int32(d, "gpu_index", 9, (int32_t)(i & 7));
    append_text(d, "model", "llama-3-70b-instruct");
    append_text(d, "tenant", "search-and-ranking");
    append_number(d, "prompt_tokens", 1000 + (i & 1023));
    append_number(d, "completion_tokens", 200 + (i & 255));
    append_number(d, "cached_tokens", 0);
    append_number(d, "latency_us", 1500000 + i % 1000);
    append_number(d, "ttft_us", 200000 + i % 1000);
    append_number(d, "cost_nusd", 123456789 + i % 1000);
    append_number(d, "idle_nusd", 23456789 + i % 1000);
    append_number(d, "energy_uj", 987654321 + i % 1000);
    append_number(d, "window", 1767225600000);
    bson_append_bool(d, "final", 5, true);
}

static void insert_batch(mongoc_collection_t *c, bson_t *d, int64_t from, int64_t n,
                         const bson_t *bulk_opts, const bson_t *insert_opts)
{
    bson_error_t err;
    bson_t reply;
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(c, bulk_opts);
    for (int64_t i = from; i < from + n; i++) {
        build(d, i);
        if (!mongoc_bulk_operation_insert_with_opts(bulk, d, insert_opts, &err)) {
            give_up("mongo_insert: %s", err.message);
        }
    }
    if (mongoc_bulk_operation_execute(bulk, &reply, &err) == 0) {
        give_up("mongo_insert: %s", err.message);
    }
    bson_destroy(&reply);
    mongoc_bulk_operation_destroy(bulk);
}

static struct spent insert_all(mongoc_collection_t *c, int64_t n, int64_t batch)
{
    struct spent spent = {0};
    bson_t *d = bson_sized_new(512), bulk_opts, insert_opts;
    bson_init(&bulk_opts);
    bson_init(&insert_opts);
    bson_append_bool(&bulk_opts, "ordered", 7, false);
    bson_append_bool(&insert_opts, "validate", 8, false);
    spent_begin(&spent);
    for (int64_t i = 0; i < n; i += batch) {
        insert_batch(c, d, i, n - i < batch ? n - i : batch, &bulk_opts, &insert_opts);
    }
    spent_end(&spent);
    bson_destroy(d);
    bson_destroy(&bulk_opts);
    bson_destroy(&insert_opts);
    return spent;
}

int main(int argc, char **argv)
{
    int64_t n = argument(argc, argv, 2), batch = argument(argc, argv, 3);
    mongoc_init();
    mongoc_client_t *client = mongoc_client_new(argv[1]);
    if (!client) {
        give_up("mongo_insert: not the URI of a MongoDB: %s", argv[1]);
    }
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    mongoc_collection_t *c = mongoc_client_get_collection(client, "bench", "inserted");
    struct spent spent = insert_all(c, n, batch);
    printf("{\"documents\": %lld, \"cpu_s\": %.6f, \"wall_s\": %.6f}\n", (long long)n, spent.cpu_s,
           spent.wall_s);
    mongoc_collection_destroy(c);
    mongoc_client_destroy(client);
    mongoc_cleanup();
    return 0;
}
