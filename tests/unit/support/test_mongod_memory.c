// The fake mongod as a server that remembers little: --ids, --forget, and when memory ends.
#include "harness.h" // the driver's headers before base/macros.h

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

static const char *program;

struct outcome {
    bool good;
    int64_t inserted, errors;
};

// Documents {_id: from} to {_id: from + n - 1}, each with so many bytes of filling.
static struct outcome insert(mongoc_client_t *client, int from, int n, int filling)
{
    bson_error_t err;
    bson_t reply, insert_opts, bulk_opts, *d = bson_new();
    AUTO_FREE uint8_t *bytes = x_zalloc((size_t)filling + 1);
    bson_init(&insert_opts);
    bson_append_bool(&insert_opts, "validate", 8, false);
    bson_init(&bulk_opts);
    bson_append_bool(&bulk_opts, "ordered", 7, false);
    mongoc_collection_t *c = mongoc_client_get_collection(client, "db", "c");
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(c, &bulk_opts);
    for (int i = from; i < from + n; i++) {
        bson_reinit(d);
        bson_append_int32(d, "_id", 3, i);
        bson_append_binary(d, "filling", 7, BSON_SUBTYPE_BINARY, bytes, (uint32_t)filling);
        assert_true(mongoc_bulk_operation_insert_with_opts(bulk, d, &insert_opts, &err));
    }
    struct outcome o = {.good = mongoc_bulk_operation_execute(bulk, &reply, &err) != 0};
    bson_iter_t at, inner;
    o.inserted = bson_iter_init_find(&at, &reply, "nInserted") ? bson_iter_as_int64(&at) : -1;
    if (bson_iter_init_find(&at, &reply, "writeErrors") && bson_iter_recurse(&at, &inner)) {
        while (bson_iter_next(&inner)) {
            o.errors++;
        }
    }
    mongoc_bulk_operation_destroy(bulk);
    mongoc_collection_destroy(c);
    bson_destroy(&reply);
    bson_destroy(d);
    return o;
}

static void run(mongoc_client_t *client, const char *json, const char *want)
{
    bson_error_t err;
    bson_t reply, *cmd = from_json(json);
    assert_true(mongoc_client_command_simple(client, "db", cmd, NULL, &reply, &err));
    char *text = bson_as_relaxed_extended_json(&reply, NULL);
    if (!strstr(text, want)) {
        fail_at(__FILE__, __LINE__, "%s: %s, want %s\n", json, text, want);
    }
    bson_free(text);
    bson_destroy(&reply);
    bson_destroy(cmd);
}

static mongoc_client_t *start(struct fake *f, const char *memory)
{
    const char *const options[] = {"--leash", memory, "--memory", "1", NULL};
    fake_start(f, program, options);
    fake_dial(f);
    return fake_client(f, "");
}

static void stop(struct fake *f, mongoc_client_t *client)
{
    mongoc_client_destroy(client);
    fake_stop(f);
}

static void test_ids(void **state)
{
    (void)state;
    enum { MANY = 50000, GONE = 25001 };
    struct fake f;
    mongoc_client_t *client = start(&f, "--ids");
    struct outcome o = insert(client, 0, MANY, 300); // 15 MB, of which nothing is kept
    assert_true(o.good);
    assert_i64(o.inserted, MANY);
    o = insert(client, MANY - 10, 20, 1);
    assert_i64(o.inserted, 10);
    assert_i64(o.errors, 10);
    assert_i64(fake_stat(&f, "duplicates"), 10);
    assert_string_equal(fake_tell(&f, "ids c"), "ok 50010");
    assert_string_equal(fake_tell(&f, "has c 50009"), "ok 1");
    assert_string_equal(fake_tell(&f, "has c 50010"), "ok 0");
    assert_string_equal(fake_tell(&f, "has c \"1\""), "ok 0");
    for (int i = 0; i < GONE; i += 1000) {
        char *json AUTO_FREE = x_asprintf(
            "{\"delete\": \"c\", \"deletes\": [{\"q\": {\"_id\": %d}, \"limit\": 1}]}", i);
        run(client, json, "\"n\" : 1");
        run(client, json, "\"n\" : 0");
    }
    for (int i = 0; i < MANY; i += 500) { // those behind the gaps are still found
        assert_string_equal(fake_tell(&f, "has c %d", i),
                            i < GONE && i % 1000 == 0 ? "ok 0" : "ok 1");
    }
    run(client,
        "{\"update\": \"c\", \"updates\": [{\"q\": {\"_id\": 7}, \"u\": {\"$set\": {\"a\": 1}}}]}",
        "\"n\" : 1");
    run(client,
        "{\"update\": \"c\", \"updates\": [{\"q\": {\"_id\": -7}, \"u\": {\"$set\": {\"a\": 1}}}]}",
        "\"n\" : 0");
    run(client,
        "{\"update\": \"c\", \"updates\": [{\"q\": {\"_id\": -7}, \"u\": {\"a\": 1}, \"upsert\": "
        "true}]}",
        "\"upserted\" : [ { \"index\" : 0, \"_id\" : -7 } ]");
    assert_string_equal(fake_tell(&f, "has c -7"), "ok 1");
    run(client, "{\"count\": \"c\"}", "\"n\" : 49985");
    stop(&f, client);
}

static int64_t resident_bytes(pid_t pid)
{
    char path[40];
    long long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d %lld", &pages), 1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

// Room for a million hashes is there with the first, in memory that has been touched.
static void test_expected_ids(void **state)
{
    (void)state;
    static const char *const options[] = {"--leash", "--ids", "--expect", "1000000", NULL};
    struct fake f;
    fake_start(&f, program, options);
    fake_dial(&f);
    mongoc_client_t *client = fake_client(&f, "");
    int64_t before = resident_bytes(f.pid);
    assert_i64(insert(client, 0, 1, 1).inserted, 1);
    assert_true(resident_bytes(f.pid) - before >= 1000000 * (int64_t)sizeof(uint64_t));
    struct outcome o = insert(client, 0, 1000, 1);
    assert_i64(o.inserted, 999);
    assert_i64(o.errors, 1);
    assert_string_equal(fake_tell(&f, "reset"), "ok");
    assert_i64(insert(client, 0, 1000, 1).inserted, 1000);
    assert_string_equal(fake_tell(&f, "ids c"), "ok 1000");
    stop(&f, client);
}

static void test_forget(void **state)
{
    (void)state;
    struct fake f;
    mongoc_client_t *client = start(&f, "--forget");
    for (int i = 0; i < 2; i++) {
        struct outcome o = insert(client, 0, 1000, 2000);
        assert_true(o.good);
        assert_i64(o.inserted, 1000);
    }
    run(client,
        "{\"update\": \"c\", \"updates\": [{\"q\": {\"_id\": 7}, \"u\": {\"a\": 1}, \"upsert\": "
        "true}]}",
        "\"n\" : 1, \"nModified\" : 1");
    assert_i64(fake_stat(&f, "documents"), 2000);
    assert_i64(fake_stat(&f, "duplicates"), 0);
    stop(&f, client);
}

static void test_some_collections(void **state)
{
    (void)state;
    static const char *const options[] = {"--leash", "--ids", "--of", "a,c", NULL};
    struct fake f;
    fake_start(&f, program, options);
    fake_dial(&f);
    mongoc_client_t *client = fake_client(&f, "");
    assert_i64(insert(client, 0, 10, 1).inserted, 10);
    run(client, "{\"insert\": \"b\", \"documents\": [{\"_id\": 1, \"x\": 2}]}", "\"n\" : 1");
    assert_string_equal(fake_tell(&f, "has c 9"), "ok 1");
    run(client, "{\"find\": \"c\"}", "\"firstBatch\" : [  ]");
    run(client, "{\"find\": \"b\", \"filter\": {\"x\": 2}}", "\"_id\" : 1");
    stop(&f, client);
}

static void test_memory_ends(void **state)
{
    (void)state;
    struct fake f;
    mongoc_client_t *client = start(&f, "--keep"); // 1 MB
    struct outcome o = insert(client, 0, 20, 100000);
    assert_false(o.good);
    assert_i64(o.inserted, 10);
    assert_i64(o.errors, 10);
    assert_i64(fake_stat(&f, "documents"), 10);
    stop(&f, client);
}

static void test_large_messages(void **state)
{
    (void)state;
    struct fake f;
    mongoc_client_t *client = start(&f, "--ids");
    struct outcome o = insert(client, 0, 10, 15 << 20); // split into messages of at most 48 MB
    assert_true(o.good);
    assert_i64(o.inserted, 10);
    assert_i64(fake_stat(&f, "commands.insert"), 4);
    stop(&f, client);
}

static void test_standalone(void **state)
{
    (void)state;
    static const char *const options[] = {"--leash", "--standalone", NULL};
    struct fake f;
    fake_start(&f, program, options);
    fake_dial(&f);
    mongoc_client_t *client = fake_client(&f, "retryWrites=false");
    assert_true(insert(client, 0, 10, 1).good);
    bson_error_t err;
    mongoc_server_description_t *s = mongoc_client_select_server(client, true, NULL, &err);
    assert_string_equal(mongoc_server_description_type(s), "Standalone");
    mongoc_server_description_destroy(s);
    stop(&f, client);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FAKE_MONGOD\n", argv[0]);
        return 2;
    }
    program = argv[1];
    mongoc_init();
    int failed = TEST_RUN(TEST(test_ids), TEST(test_expected_ids), TEST(test_forget),
                          TEST(test_some_collections), TEST(test_memory_ends),
                          TEST(test_large_messages), TEST(test_standalone));
    mongoc_cleanup();
    return failed;
}
