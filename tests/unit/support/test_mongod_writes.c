// The fake mongod as a server that keeps documents: inserts, updates, deletes, by libmongoc.
#include "shell.h"

#include <string.h>

#include "base/alloc.h"

static void test_updates(void **state)
{
    (void)state;
    static const struct {
        const char *before, *query, *update;
        bool upsert;
        const char *after; // NULL: as before; "error": refused
    } cases[] = {
        {"{\"_id\": 1, \"a\": 1}", "{\"_id\": 1}", "{\"$set\": {\"a\": 2, \"b.c\": 3}}", false,
         "{ \"_id\" : 1, \"a\" : 2, \"b\" : { \"c\" : 3 } }"},
        {"{\"_id\": 1, \"a\": {\"b\": 1, \"c\": 2}}", "{\"a.b\": 1}",
         "{\"$unset\": {\"a.b\": \"\"}}", false, "{ \"_id\" : 1, \"a\" : { \"c\" : 2 } }"},
        {"{\"_id\": 1, \"a\": 5, \"b\": 5}", "{}",
         "{\"$max\": {\"a\": 4, \"b\": 6, \"c\": 1}, \"$min\": {\"d\": 2}}", false,
         "{ \"_id\" : 1, \"a\" : 5, \"b\" : 6, \"c\" : 1, \"d\" : 2 }"},
        {"{\"_id\": 1, \"a\": 5}", "{}", "{\"$min\": {\"a\": 4}}", false,
         "{ \"_id\" : 1, \"a\" : 4 }"},
        {"{\"_id\": 1, \"a\": 5}", "{}", "{\"$inc\": {\"a\": -7, \"b\": 1}}", false,
         "{ \"_id\" : 1, \"a\" : -2, \"b\" : 1 }"},
        {"{\"_id\": 1, \"a\": \"x\"}", "{}", "{\"$inc\": {\"a\": 1}}", false, "error"},
        {"{\"_id\": 1}", "{}", "{\"$set\": {\"_id\": 2}}", false, "error"},
        {"{\"_id\": 1}", "{}", "{\"$push\": {\"a\": 2}}", false, "error"},
        {"{\"_id\": 1, \"a\": 1}", "{\"_id\": 2}", "{\"$set\": {\"a\": 2}}", false, NULL},
        {"{\"_id\": 1, \"a\": 1}", "{\"_id\": 1}", "{\"$setOnInsert\": {\"a\": 2}}", true, NULL},
        {"{\"_id\": 1, \"a\": 1}", "{\"_id\": 1, \"a\": {\"$lt\": 1}}", "{\"$set\": {\"a\": 0}}",
         true, "error"}, // the upsert meets the _id that is there
        {"{\"_id\": 1, \"a\": 1, \"b\": 2}", "{\"_id\": 1}", "{\"c\": 3}", false,
         "{ \"_id\" : 1, \"c\" : 3 }"},
        {"{\"_id\": 1, \"a\": 1, \"b\": 2}", "{\"_id\": 1}", "{\"c\": 3, \"_id\": 1}", true,
         "{ \"_id\" : 1, \"c\" : 3 }"},
        {NULL, "{\"_id\": 7, \"a\": {\"$gt\": 1}, \"b\": 2}",
         "{\"$set\": {\"c\": 1}, \"$setOnInsert\": {\"d\": 4}}", true,
         "{ \"_id\" : 7, \"b\" : 2, \"c\" : 1, \"d\" : 4 }"},
        {NULL, "{\"_id\": {\"$eq\": 8}}", "{\"x\": 1}", true, "{ \"_id\" : 8, \"x\" : 1 }"},
        {NULL, "{\"_id\": 7}", "{\"$set\": {\"c\": 1}}", false, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bson_error_t err = {0};
        fake_must(&fake, "reset");
        if (cases[i].before) {
            insert_json(cases[i].before);
        }
        char *before AUTO_FREE = found("{}", "{}");
        char *statement AUTO_FREE =
            x_asprintf("{\"update\": \"c\", \"updates\": [{\"q\": %s, \"u\": %s, \"upsert\": %s}]}",
                       cases[i].query, cases[i].update, cases[i].upsert ? "true" : "false");
        char *answer = command(statement, false);
        bool refused = strstr(answer, "writeErrors") != NULL;
        char *after AUTO_FREE = found("{}", "{}");
        bool should = cases[i].after && strcmp(cases[i].after, "error") == 0;
        const char *want = cases[i].after && !should ? cases[i].after : before;
        if (refused != should || strcmp(after, want) != 0) {
            fail_at(__FILE__, __LINE__, "%s: %s: %s\n%s %s\n", statement, after, want, answer,
                    err.message);
        }
        bson_free(answer);
    }
}

static void test_what_an_update_answers(void **state)
{
    (void)state;
    static const struct {
        const char *update, *want;
    } cases[] = {
        {"{\"q\": {\"a\": 1}, \"u\": {\"$set\": {\"b\": 1}}, \"multi\": true}",
         "{ \"n\" : 2, \"nModified\" : 2, \"ok\" : 1.0 }"},
        {"{\"q\": {\"a\": 1}, \"u\": {\"$set\": {\"b\": 1}}, \"multi\": true}",
         "{ \"n\" : 2, \"nModified\" : 0, \"ok\" : 1.0 }"},
        {"{\"q\": {\"a\": 1}, \"u\": {\"$set\": {\"b\": 2}}}",
         "{ \"n\" : 1, \"nModified\" : 1, \"ok\" : 1.0 }"},
        {"{\"q\": {\"_id\": 3}, \"u\": {\"$set\": {\"b\": 2}}, \"upsert\": true}",
         "{ \"n\" : 1, \"nModified\" : 0, \"upserted\" : [ { \"index\" : 0, \"_id\" : 3 } ], "
         "\"ok\" : 1.0 }"},
    };
    insert_json("{\"_id\": 1, \"a\": 1}");
    insert_json("{\"_id\": 2, \"a\": 1}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *statement AUTO_FREE =
            x_asprintf("{\"update\": \"c\", \"updates\": [%s]}", cases[i].update);
        char *answer = command(statement, false);
        assert_string_equal(answer, cases[i].want);
        bson_free(answer);
    }
    assert_i64(fake_stat(&fake, "matched"), 5);
    assert_i64(fake_stat(&fake, "modified"), 3);
    assert_i64(fake_stat(&fake, "upserted"), 1);
    assert_i64(fake_stat(&fake, "documents"), 3);
}

static void test_ordered_stops_at_the_first_error(void **state)
{
    (void)state;
    static const char *const lists[] = {"true", "false"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        fake_must(&fake, "reset");
        char *insert AUTO_FREE =
            x_asprintf("{\"insert\": \"c\", \"ordered\": %s, \"documents\": [{\"_id\": 1}, "
                       "{\"_id\": 1}, {\"_id\": 2}, {\"no\": \"id\"}]}",
                       lists[i]);
        bson_free(command(insert, false));
        assert_i64(fake_stat(&fake, "documents"), i == 0 ? 1 : 3);
        assert_i64(fake_stat(&fake, "duplicates"), 1);
    }
}

static void test_deletes_and_drops(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        char *json AUTO_FREE = x_asprintf("{\"_id\": %d, \"a\": %d}", i, i % 2);
        insert_json(json);
    }
    bson_free(
        command("{\"delete\": \"c\", \"deletes\": [{\"q\": {\"a\": 1}, \"limit\": 1}]}", false));
    assert_i64(fake_stat(&fake, "documents"), 9);
    bson_free(
        command("{\"delete\": \"c\", \"deletes\": [{\"q\": {\"a\": 1}, \"limit\": 0}]}", false));
    assert_i64(fake_stat(&fake, "documents"), 5);
    bson_free(command("{\"delete\": \"c\", \"deletes\": [{\"q\": {}, \"limit\": 0}]}", false));
    assert_i64(fake_stat(&fake, "documents"), 0);
    assert_i64(fake_stat(&fake, "bytes"), 0);
    insert_json("{\"_id\": 1}");
    bson_free(command("{\"drop\": \"c\"}", false));
    assert_i64(fake_stat(&fake, "documents"), 0);
    char *again = command("{\"drop\": \"c\"}", true);
    assert_non_null(strstr(again, "NamespaceNotFound"));
    bson_free(again);
    insert_json("{\"_id\": 1}");
    bson_free(command("{\"dropDatabase\": 1}", false));
    assert_i64(fake_stat(&fake, "documents"), 0);
}

static void test_find_and_modify(void **state)
{
    (void)state;
    static const struct {
        const char *rest, *want; // want: in the answer
    } cases[] = {
        {"\"query\": {\"_id\": 1}, \"update\": {\"$set\": {\"a\": 1}}", "\"value\" : null"},
        {"\"query\": {\"_id\": 1}, \"update\": {\"$set\": {\"a\": 1}}, \"upsert\": true, \"new\": "
         "true",
         "\"value\" : { \"_id\" : 1, \"a\" : 1 }"},
        {"\"query\": {\"_id\": 1}, \"update\": {\"$inc\": {\"a\": 1}}",
         "\"value\" : { \"_id\" : 1, \"a\" : 1 }"},
        {"\"query\": {\"_id\": 1}, \"update\": {\"$inc\": {\"a\": 1}}, \"new\": true",
         "\"value\" : { \"_id\" : 1, \"a\" : 3 }"},
        {"\"query\": {\"_id\": 1, \"a\": 9}, \"update\": {\"$inc\": {\"a\": 1}}, \"upsert\": true",
         "DuplicateKey"},
        {"\"query\": {}, \"sort\": {\"a\": -1}, \"remove\": true",
         "\"value\" : { \"_id\" : 1, \"a\" : 3 }"},
        {"\"query\": {}, \"remove\": true", "\"value\" : null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *statement AUTO_FREE = x_asprintf("{\"findAndModify\": \"c\", %s}", cases[i].rest);
        char *answer = command(statement, true);
        if (!strstr(answer, cases[i].want)) {
            fail_at(__FILE__, __LINE__, "%s: %s\n", statement, answer);
        }
        bson_free(answer);
    }
}

static int run(CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    static const struct CMUnitTest tests[] = {
        AFRESH(test_updates),
        AFRESH(test_what_an_update_answers),
        AFRESH(test_ordered_stops_at_the_first_error),
        AFRESH(test_deletes_and_drops),
        AFRESH(test_find_and_modify),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}

int main(int argc, char **argv)
{
    return shell_run(argc, argv, run);
}
