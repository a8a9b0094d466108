// The fake mongod as a server that keeps documents: queries, cursors, aggregates, indexes, by
// libmongoc.
#include "shell.h"

#include <string.h>

#include "base/alloc.h"

// ---- queries -------------------------------------------------------------------------------

static const char *const documents[] = {
    "{\"_id\": 1, \"n\": 10, \"s\": \"a\", \"in\": {\"x\": 1}, \"t\": {\"$date\": "
    "\"2026-01-01T00:00:00Z\"}}",
    "{\"_id\": 2, \"n\": 20.0, \"s\": \"b\", \"in\": {\"x\": 2}, \"l\": [1, 5]}",
    "{\"_id\": 3, \"n\": {\"$numberLong\": \"30\"}, \"s\": \"c\", \"in\": {\"x\": [2, 3]}, \"z\": "
    "null}",
    "{\"_id\": \"4\", \"n\": \"20\", \"l\": [{\"k\": 1}, {\"k\": 2}]}",
    "{\"_id\": {\"a\": 1, \"b\": 2}, \"n\": true}",
};

static void test_queries(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        int64_t n;
    } cases[] = {
        {"{}", 5},
        {"{\"_id\": 1}", 1},
        {"{\"_id\": 1.0}", 1},
        {"{\"_id\": \"1\"}", 0},
        {"{\"_id\": \"4\"}", 1},
        {"{\"_id\": {\"a\": 1, \"b\": 2}}", 1},
        {"{\"_id\": {\"b\": 2, \"a\": 1}}", 0},
        {"{\"_id\": {\"$in\": [1, 2, 2, \"4\", 99]}}", 3},
        {"{\"_id\": {\"$in\": [\"4\", \"4\", \"5\"]}}", 1},
        {"{\"_id\": {\"$in\": [\"4\", \"5\"]}, \"n\": 20}", 0},
        {"{\"n\": 20}", 1},
        {"{\"n\": {\"$in\": [10, 30]}}", 2},
        {"{\"n\": {\"$nin\": [10, 30]}}", 3},
        {"{\"n\": {\"$gt\": 10}}", 2},
        {"{\"n\": {\"$gte\": 10, \"$lt\": 30}}", 2},
        {"{\"n\": {\"$lte\": 20}}", 2},
        {"{\"n\": {\"$ne\": 20}}", 4},
        {"{\"n\": {\"$not\": {\"$gt\": 10}}}", 3},
        {"{\"s\": {\"$gte\": \"b\"}}", 2},
        {"{\"z\": null}", 5},
        {"{\"z\": {\"$exists\": true}}", 1},
        {"{\"z\": {\"$exists\": false}}", 4},
        {"{\"s\": {\"$ne\": null}}", 3},
        {"{\"in.x\": 2}", 2},
        {"{\"in.x\": {\"$gt\": 2}}", 1},
        {"{\"in\": {\"x\": 1}}", 1},
        {"{\"in.x.y\": {\"$exists\": true}}", 0},
        {"{\"l\": 5}", 1},
        {"{\"l\": [1, 5]}", 1},
        {"{\"l.k\": 2}", 1},
        {"{\"t\": {\"$lt\": {\"$date\": \"2026-01-02T00:00:00Z\"}}}", 1},
        {"{\"t\": {\"$gt\": 0}}", 0},
        {"{\"$or\": [{\"n\": 10}, {\"s\": \"b\"}]}", 2},
        {"{\"$and\": [{\"n\": {\"$gt\": 5}}, {\"s\": \"b\"}]}", 1},
        {"{\"$nor\": [{\"n\": 10}, {\"s\": \"b\"}]}", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        insert_json(documents[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bson_error_t err = {0};
        bson_t *f = from_json(cases[i].filter);
        int64_t n = mongoc_collection_count_documents(coll, f, NULL, NULL, NULL, &err);
        bson_destroy(f);
        if (n != cases[i].n) {
            fail_at(__FILE__, __LINE__, "%s: %lld, want %lld %s\n", cases[i].filter, (long long)n,
                    (long long)cases[i].n, err.message);
        }
    }
    assert_i64(mongoc_collection_estimated_document_count(coll, NULL, NULL, NULL, NULL), 5);
}

static void test_what_it_does_not_know_is_refused(void **state)
{
    (void)state;
    insert_json("{\"_id\": 1}");
    static const char *const filters[] = {
        "{\"a\": {\"$regex\": \"x\"}}",
        "{\"a\": {\"$not\": {\"$regex\": \"x\"}}}",
        "{\"a\": {\"$size\": 1}}",
        "{\"$where\": \"1\"}",
        "{\"$or\": [{\"a\": {\"$mod\": [2, 1]}}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        char *text AUTO_FREE = found(filters[i], "{}");
        assert_string_equal(text, "error 2");
    }
    char *stage =
        command("{\"aggregate\": \"c\", \"pipeline\": [{\"$lookup\": {}}], \"cursor\": {}}", true);
    assert_non_null(strstr(stage, "40324"));
    bson_free(stage);
    char *none = command("{\"nonsense\": 1}", true);
    assert_non_null(strstr(none, "CommandNotFound"));
    bson_free(none);
}

static void test_sort_skip_limit(void **state)
{
    (void)state;
    insert_json("{\"_id\": 1, \"a\": 2, \"b\": {\"c\": 1}}");
    insert_json("{\"_id\": 2, \"a\": 1, \"b\": {\"c\": 1}}");
    insert_json("{\"_id\": 3, \"a\": 1, \"b\": {\"c\": 2}}");
    insert_json("{\"_id\": 4}");
    char *text AUTO_FREE =
        found("{\"a\": {\"$exists\": true}}", "{\"sort\": {\"b.c\": -1, \"a\": 1}, \"limit\": 2}");
    assert_string_equal(text, "{ \"_id\" : 3, \"a\" : 1, \"b\" : { \"c\" : 2 } }"
                              "{ \"_id\" : 2, \"a\" : 1, \"b\" : { \"c\" : 1 } }");
    char *rest AUTO_FREE = found("{}", "{\"sort\": {\"a\": 1}, \"skip\": 3}");
    assert_string_equal(rest, "{ \"_id\" : 1, \"a\" : 2, \"b\" : { \"c\" : 1 } }");
    char *first AUTO_FREE = found("{}", "{\"sort\": {\"a\": 1}, \"limit\": 1}");
    assert_string_equal(first, "{ \"_id\" : 4 }");
}

// How many ids below 200 that are there lie in [from, to), in the order they come in.
static int64_t count_range(int from, int to, const bool *there)
{
    char *filter AUTO_FREE =
        x_asprintf("{\"_id\": {\"$gte\": \"%03d\", \"$lt\": \"%03d\"}}", from, to);
    char *text AUTO_FREE = found(filter, "{}");
    int64_t n = 0;
    const char *at = text;
    for (int i = from; i < to; i++) {
        if (there[i]) {
            char *one AUTO_FREE = x_asprintf("{ \"_id\" : \"%03d\" }", i);
            assert_int_equal(strncmp(at, one, strlen(one)), 0);
            at += strlen(one);
            n++;
        }
    }
    assert_string_equal(at, "");
    return n;
}

static void test_ranges_of_ids(void **state)
{
    (void)state;
    enum { MANY = 200, STEP = 77 }; // which have no common divisor
    bool there[MANY] = {false};
    assert_i64(count_range(0, MANY, there), 0);
    for (int i = 0; i < MANY; i++) {
        char *json AUTO_FREE = x_asprintf("{\"_id\": \"%03d\"}", i * STEP % MANY);
        insert_json(json);
        there[i * STEP % MANY] = true;
    }
    insert_json("{\"_id\": 7}");
    assert_i64(count_range(0, MANY, there), MANY);
    assert_i64(count_range(50, 60, there), 10);
    for (int i = 0; i < MANY; i += 3) {
        char *json AUTO_FREE = x_asprintf(
            "{\"delete\": \"c\", \"deletes\": [{\"q\": {\"_id\": \"%03d\"}, \"limit\": 1}]}", i);
        bson_free(command(json, false));
        there[i] = false;
    }
    assert_i64(count_range(0, MANY, there), MANY - 67);
    assert_i64(count_range(50, 60, there), 7);
    char *above AUTO_FREE = found("{\"_id\": {\"$gt\": \"197\", \"$lte\": \"199\"}}", "{}");
    assert_string_equal(above, "{ \"_id\" : \"199\" }");
    char *number AUTO_FREE = found("{\"_id\": {\"$gt\": 6.5}}", "{}");
    assert_string_equal(number, "{ \"_id\" : 7 }");
}

enum { PLACES = 120, STEP_OF_PLACES = 77 }; // without a common divisor
enum { FAR = 1000, NOWHERE = -1 };          // partitions

// Which of the documents from 050 on are in a partition: those that are said to be, and no other.
static void check_partition(const int *partitions, int wanted)
{
    char *filter AUTO_FREE =
        x_asprintf("{\"partition\": %d, \"_id\": {\"$gte\": \"050\"}}", wanted);
    char *text AUTO_FREE = found(filter, "{}");
    const char *at = text;
    for (int i = 50; i < PLACES; i++) {
        char *one AUTO_FREE = x_asprintf("{ \"_id\" : \"%03d\", ", i);
        bool next = strncmp(at, one, strlen(one)) == 0;
        assert_int_equal(next, partitions[i] == wanted);
        at += next ? strcspn(at, "}") + 1 : 0;
    }
    assert_string_equal(at, "");
}

static void check_partitions(const int *partitions)
{
    for (int i = 0; i < 4; i++) {
        check_partition(partitions, i);
    }
}

static void update_place(int *partitions, int id, int partition)
{
    char *json AUTO_FREE =
        x_asprintf("{\"update\": \"c\", \"updates\": [{\"q\": {\"_id\": \"%03d\"}, "
                   "\"u\": {\"$set\": {\"partition\": %d}}}]}",
                   id, partition);
    bson_free(command(json, false));
    partitions[id] = partition;
}

static void delete_place(int *partitions, int id)
{
    char *json AUTO_FREE = x_asprintf(
        "{\"delete\": \"c\", \"deletes\": [{\"q\": {\"_id\": \"%03d\"}, \"limit\": 1}]}", id);
    bson_free(command(json, false));
    partitions[id] = NOWHERE;
}

// Documents that come, move from one partition to another and go; then one of a partition that is
// not among those with an order of their own.
static void test_ranges_in_a_partition(void **state)
{
    (void)state;
    int partitions[PLACES];
    for (int i = 0; i < PLACES; i++) {
        int id = i * STEP_OF_PLACES % PLACES;
        char *json AUTO_FREE =
            x_asprintf("{\"_id\": \"%03d\", \"partition\": %d%s}", id, i % 3, i % 2 ? ".0" : "");
        insert_json(json);
        partitions[id] = i % 3;
    }
    check_partitions(partitions);
    for (int id = 0; id < PLACES; id += 4) {
        update_place(partitions, id, (id + 1) % 4);
    }
    check_partitions(partitions);
    for (int id = 0; id < PLACES; id += 5) {
        delete_place(partitions, id);
    }
    check_partitions(partitions);
    update_place(partitions, 61, FAR);
    check_partitions(partitions);
    check_partition(partitions, FAR);
    update_place(partitions, 61, 2);
    check_partitions(partitions);
}

static void test_cursors_give_all_of_it(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    bson_t docs[MANY];
    const bson_t *list[MANY], *d;
    bson_error_t err;
    for (int i = 0; i < MANY; i++) {
        bson_init(&docs[i]);
        bson_append_int32(&docs[i], "_id", 3, i);
        list[i] = &docs[i];
    }
    assert_true(mongoc_collection_insert_many(coll, list, MANY, NULL, NULL, &err));
    bson_t *none = from_json("{}"), *opts = from_json("{\"batchSize\": 7}");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(coll, none, opts, NULL);
    int n = 0;
    for (; mongoc_cursor_next(cursor, &d); n++) {
        bson_iter_t id;
        assert_true(bson_iter_init_find(&id, d, "_id") && bson_iter_int32(&id) == n);
    }
    assert_false(mongoc_cursor_error(cursor, &err));
    mongoc_cursor_destroy(cursor);
    assert_i64(n, MANY);
    assert_i64(fake_stat(&fake, "commands.getMore"), MANY / 7);
    assert_i64(fake_stat(&fake, "largest_batch"), 7);

    cursor = mongoc_collection_find_with_opts(coll, none, opts, NULL);
    assert_true(mongoc_cursor_next(cursor, &d));
    mongoc_cursor_destroy(cursor); // kills it on the server
    assert_i64(fake_stat(&fake, "commands.killCursors"), 1);
    bson_destroy(none);
    bson_destroy(opts);
}

// ---- the rest ------------------------------------------------------------------------------

static void test_aggregates(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        char *json AUTO_FREE =
            x_asprintf("{\"_id\": %d, \"k\": \"%c\", \"v\": %d}", i, 'a' + i % 2, i);
        insert_json(json);
    }
    char *answer = command(
        "{\"aggregate\": \"c\", \"cursor\": {}, \"pipeline\": ["
        "{\"$match\": {\"v\": {\"$gt\": 0}}}, {\"$sort\": {\"v\": -1}},"
        "{\"$group\": {\"_id\": {\"k\": \"$k\"}, \"n\": {\"$sum\": 1}, \"sum\": {\"$sum\": \"$v\"},"
        "\"least\": {\"$min\": \"$v\"}, \"most\": {\"$max\": \"$v\"}, \"first\": {\"$first\": "
        "\"$v\"}}},"
        "{\"$skip\": 0}, {\"$limit\": 5}]}",
        false);
    assert_non_null(strstr(
        answer,
        "[ { \"_id\" : { \"k\" : \"a\" }, \"n\" : 2, \"sum\" : 6, \"least\" : 2, \"most\" : 4, "
        "\"first\" : 4 }, { \"_id\" : { \"k\" : \"b\" }, \"n\" : 3, \"sum\" : 9, \"least\" : 1, "
        "\"most\" : 5, \"first\" : 5 } ]"));
    bson_free(answer);
    answer = command("{\"aggregate\": \"c\", \"cursor\": {}, \"pipeline\": [{\"$count\": \"n\"}]}",
                     false);
    assert_non_null(strstr(answer, "{ \"n\" : 6 }"));
    bson_free(answer);
}

static void test_indexes(void **state)
{
    (void)state;
    const char *create =
        "{\"createIndexes\": \"c\", \"indexes\": [{\"key\": {\"ts\": 1}, \"name\": "
        "\"ts_1\", \"expireAfterSeconds\": 60}]}";
    char *answer = command("{\"listIndexes\": \"c\"}", true);
    assert_non_null(strstr(answer, "NamespaceNotFound"));
    bson_free(answer);
    for (int i = 0; i < 2; i++) {
        answer = command(create, false);
        assert_non_null(strstr(answer, "\"numIndexesAfter\" : 2"));
        bson_free(answer);
    }
    answer = command("{\"listIndexes\": \"c\"}", false);
    assert_non_null(strstr(answer, "\"_id_\""));
    assert_non_null(strstr(answer, "\"expireAfterSeconds\" : 60"));
    bson_free(answer);
    answer = command("{\"listCollections\": 1}", false);
    assert_non_null(strstr(answer, "\"name\" : \"c\""));
    bson_free(answer);
    answer = command("{\"listDatabases\": 1}", false);
    assert_non_null(strstr(answer, "[ { \"name\" : \"db\" } ]"));
    bson_free(answer);
}

static void test_the_control_channel_reads(void **state)
{
    (void)state;
    char line[512];
    insert_json("{\"_id\": 1, \"a\": 1}");
    insert_json("{\"_id\": \"one\", \"a\": 2}");
    insert_json("{\"_id\": {\"$oid\": \"0123456789abcdef01234567\"}, \"a\": 2}");
    assert_string_equal(fake_tell(&fake, "ids c"), "ok 3");
    assert_string_equal(fake_tell(&fake, "ids db.c"), "ok 3");
    assert_string_equal(fake_tell(&fake, "ids other.c"), "ok 0");
    assert_string_equal(fake_tell(&fake, "has c 1"), "ok 1");
    assert_string_equal(fake_tell(&fake, "has c 2"), "ok 0");
    assert_string_equal(fake_tell(&fake, "has c one"), "ok 1");
    assert_string_equal(fake_tell(&fake, "has c \"1\""), "ok 0");
    assert_string_equal(fake_tell(&fake, "has c {\"$oid\": \"0123456789abcdef01234567\"}"), "ok 1");
    assert_string_equal(fake_tell(&fake, "find c {\"a\": 1}"), "ok 1");
    assert_non_null(fgets(line, sizeof(line), fake.answers));
    assert_string_equal(line, "{ \"_id\" : 1, \"a\" : 1 }\n");
    assert_string_equal(fake_tell(&fake, "find c {nonsense"), "error no JSON object");
    assert_string_equal(fake_tell(&fake, "nonsense"), "error no such command");
}

static int run(CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    static const struct CMUnitTest tests[] = {
        AFRESH(test_queries),
        AFRESH(test_what_it_does_not_know_is_refused),
        AFRESH(test_sort_skip_limit),
        AFRESH(test_ranges_of_ids),
        AFRESH(test_ranges_in_a_partition),
        AFRESH(test_cursors_give_all_of_it),
        AFRESH(test_aggregates),
        AFRESH(test_indexes),
        AFRESH(test_the_control_channel_reads),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}

int main(int argc, char **argv)
{
    return shell_run(argc, argv, run);
}
