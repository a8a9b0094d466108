// Each fault of the fake mongod, as libmongoc sees it and as the raw connection does.
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness.h" // the driver's headers before base/macros.h

#include "base/alloc.h"

enum { N = 4, SILENCE_MS = 100 };

static const char *program;
static struct fake fake;

// ---- inserts by libmongoc ------------------------------------------------------------------

struct tried {
    bool good;        // the driver is content
    uint32_t code;    // its error's
    int64_t inserted; // as the answer says
    int64_t errors;   // writeErrors
    int64_t first;    // index of the first of them
    int64_t first_code;
    int64_t by_id;    // 1: that one was a duplicate by _id, as its keyPattern says
    int64_t by_other; // 1: by another index
    int64_t concern;  // code of the writeConcernError, 0: none
};

static int64_t reply_number(const bson_t *reply, const char *path)
{
    bson_iter_t at, found;
    return bson_iter_init(&at, reply) && bson_iter_find_descendant(&at, path, &found)
               ? bson_iter_as_int64(&found)
               : 0;
}

static int64_t reply_length(const bson_t *reply, const char *key)
{
    bson_iter_t at, inner;
    int64_t n = 0;
    if (bson_iter_init_find(&at, reply, key) && bson_iter_recurse(&at, &inner)) {
        while (bson_iter_next(&inner)) {
            n++;
        }
    }
    return n;
}

// Documents {_id: 1, kind: 1} to N, unordered, into db.COLLECTION.
static struct tried insert_into(mongoc_client_t *client, const char *collection)
{
    bson_error_t err = {0};
    bson_t reply, docs[N], *opts = from_json("{\"ordered\": false}");
    const bson_t *list[N];
    for (int i = 0; i < N; i++) {
        bson_init(&docs[i]);
        bson_append_int32(&docs[i], "_id", 3, i + 1);
        bson_append_int32(&docs[i], "kind", 4, i + 1);
        list[i] = &docs[i];
    }
    mongoc_collection_t *c = mongoc_client_get_collection(client, "db", collection);
    bool good = mongoc_collection_insert_many(c, list, N, opts, &reply, &err);
    struct tried t = {
        .good = good,
        .code = err.code,
        .inserted = reply_number(&reply, "insertedCount"),
        .errors = reply_length(&reply, "writeErrors"),
        .first = reply_number(&reply, "writeErrors.0.index"),
        .first_code = reply_number(&reply, "writeErrors.0.code"),
        .by_id = reply_number(&reply, "writeErrors.0.keyPattern._id"),
        .by_other = reply_number(&reply, "writeErrors.0.keyPattern.other"),
        .concern = reply_number(&reply, "writeConcernErrors.0.code"),
    };
    mongoc_collection_destroy(c);
    bson_destroy(&reply);
    bson_destroy(opts);
    return t;
}

static struct tried insert(const char *options)
{
    mongoc_client_t *client = fake_client(&fake, options);
    struct tried t = insert_into(client, "c");
    mongoc_client_destroy(client);
    return t;
}

static const char *once = "retryWrites=false";
static const char *hasty = "retryWrites=false&socketTimeoutMS=200"; // where no answer will come
static const char *again = "retryWrites=true";

// A client that has given up may be ahead of the server.
static int64_t stored_at_last(int64_t want)
{
    int64_t n = fake_stat(&fake, "documents");
    for (int i = 0; n != want && i < TEST_PATIENCE_MS; i++) {
        poll(NULL, 0, 1);
        n = fake_stat(&fake, "documents");
    }
    return n;
}

static void test_what_an_insert_meets(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        struct tried want;
        uint32_t domain_code; // of want.code, 0: any
        int64_t stored;
    } cases[] = {
        {"drop on ping", {.good = true, .inserted = N}, 0, N},
        {"stall", {0}, 0, 0},
        {"stall-after", {0}, 0, N},
        {"lost", {0}, 0, N},
        {"drop", {0}, 0, 0},
        {"reset", {0}, 0, N},
        {"error 50", {0}, 50, 0},
        {"unauthorized", {0}, 13, 0},
        {"quota", {0}, 8000, 0},
        {"shutdown", {0}, 11600, 0},
        {"not-primary", {0}, 10107, 0},
        {"write-concern", {.inserted = N, .concern = 64}, 64, N},
        {"rolled-back", {.inserted = N, .concern = 64}, 64, 0},
        {"validation kind 2", {.inserted = 3, .errors = 1, .first = 1, .first_code = 121}, 121, 3},
        {"validation kind 2.0",
         {.inserted = 3, .errors = 1, .first = 1, .first_code = 121},
         121,
         3},
        {"validation kind two", {.good = true, .inserted = N}, 0, N},
        {"partial 2 2", {.inserted = 2, .errors = 2, .first = 1, .first_code = 2}, 2, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fake_must(&fake, "reset");
        char *line AUTO_FREE = x_asprintf("fail %s", cases[i].fault);
        fake_must(&fake, line);
        bool stalls = strncmp(cases[i].fault, "stall", 5) == 0;
        struct tried t = insert(stalls ? hasty : once), want = cases[i].want;
        int64_t stored = stored_at_last(cases[i].stored);
        if (t.good != want.good || t.inserted != want.inserted || t.errors != want.errors ||
            t.first != want.first || t.first_code != want.first_code || t.concern != want.concern ||
            stored != cases[i].stored || (cases[i].domain_code && t.code != cases[i].domain_code)) {
            fail_at(__FILE__, __LINE__,
                    "%s: good %d, code %u, inserted %lld, %lld errors, the first at %lld: %lld, "
                    "concern %lld; stored %lld\n",
                    cases[i].fault, t.good, t.code, (long long)t.inserted, (long long)t.errors,
                    (long long)t.first, (long long)t.first_code, (long long)t.concern,
                    (long long)stored);
        }
    }
}

static void test_duplicates_say_which_index(void **state)
{
    (void)state;
    fake_must(&fake, "reset");
    assert_true(insert(once).good);
    struct tried t = insert(once);
    assert_i64(t.inserted, 0);
    assert_i64(t.errors, N);
    assert_i64(t.first_code, 11000);
    assert_i64(t.by_id, 1);
    assert_i64(fake_stat(&fake, "duplicates"), N);
    assert_i64(fake_stat(&fake, "documents"), N);

    fake_must(&fake, "reset");
    fake_must(&fake, "fail partial 4 11000");
    t = insert(once);
    assert_i64(t.first, 3);
    assert_i64(t.first_code, 11000);
    assert_i64(t.by_other, 1);
    assert_i64(t.by_id, 0);
    assert_i64(fake_stat(&fake, "duplicates"), 0);
    assert_i64(fake_stat(&fake, "refused"), 1);
}

static void test_a_retried_write_is_done_once(void **state)
{
    (void)state;
    static const char *const faults[] = {"lost", "reset", "drop", "error 91"};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        fake_must(&fake, "reset");
        char *line AUTO_FREE = x_asprintf("fail %s times 1", faults[i]);
        fake_must(&fake, line);
        struct tried t = insert(again);
        assert_true(t.good);
        assert_i64(t.inserted, N);
        assert_i64(fake_stat(&fake, "inserted"), N);
        assert_i64(fake_stat(&fake, "duplicates"), 0);
        assert_i64(fake_stat(&fake, "repeated"), i < 2);
    }
}

static void test_a_retry_tells_what_a_rolled_back_write_lost(void **state)
{
    (void)state;
    fake_must(&fake, "reset");
    fake_must(&fake, "fail rolled-back times 1");
    assert_i64(insert(again).concern, 64);
    assert_i64(fake_stat(&fake, "documents"), 0);
    assert_true(insert(again).good);
    assert_i64(fake_stat(&fake, "documents"), N);
}

static void test_it_is_a_secondary_until_told_otherwise(void **state)
{
    (void)state;
    fake_must(&fake, "reset");
    fake_must(&fake, "fail not-primary times 1");
    const char *options = "retryWrites=false&replicaSet=fake";
    assert_i64(insert(options).code, 10107);
    struct tried t = insert(options); // no primary to be found
    assert_false(t.good);
    assert_i64(t.code, MONGOC_ERROR_SERVER_SELECTION_FAILURE);
    assert_i64(insert(once).code, 10107); // connected to it alone, it is asked, and refuses
    fake_must(&fake, "primary");
    assert_true(insert(options).good);
}

static void test_slow_is_as_slow_as_it_says(void **state)
{
    (void)state;
    struct timespec before, after;
    fake_must(&fake, "reset");
    fake_must(&fake, "fail slow 120");
    mongoc_client_t *client = fake_client(&fake, "retryWrites=false");
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_true(insert_into(client, "c").good);
    clock_gettime(CLOCK_MONOTONIC, &after);
    mongoc_client_destroy(client);
    int64_t ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(ms >= 119);
    assert_true(ms < TEST_PATIENCE_MS);
}

static void test_which_requests_a_fault_is_about(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        const char *outcomes; // of four inserts: into c, d, c, d; '-' fails
    } cases[] = {
        {"quota times 1", "-+++"},         {"quota after 2", "++--"},
        {"quota after 1 times 2", "+--+"}, {"quota collection d", "+-+-"},
        {"quota collection db.c", "-+-+"}, {"quota collection other.c", "++++"},
        {"quota on update", "++++"},       {"quota on update,insert collection d times 1", "+-++"},
        {"quota on any after 5", "++++"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fake_must(&fake, "reset");
        mongoc_client_t *client = fake_client(&fake, once);
        fake_must(&fake, "clear");
        char *line AUTO_FREE = x_asprintf("fail %s", cases[i].fault);
        fake_must(&fake, line);
        char got[N + 1] = "";
        for (int j = 0; j < N; j++) {
            struct tried t = insert_into(client, j % 2 ? "d" : "c");
            got[j] = t.errors == 0 && !t.good ? '-' : '+';
        }
        mongoc_client_destroy(client);
        if (strcmp(got, cases[i].outcomes) != 0) {
            fail_at(__FILE__, __LINE__, "%s: %s, want %s\n", cases[i].fault, got,
                    cases[i].outcomes);
        }
    }
}

static void test_faults_it_does_not_know(void **state)
{
    (void)state;
    static const char *const lines[] = {"fail",         "fail nothing",      "fail slow",
                                        "fail error x", "fail partial 0 2",  "fail validation kind",
                                        "fail lost on", "fail lost times x", "fail lost upon x"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_int_equal(strncmp(fake_tell(&fake, "%s", lines[i]), "error ", 6), 0);
    }
}

static void test_down_and_up(void **state)
{
    (void)state;
    fake_must(&fake, "reset");
    assert_true(insert(once).good);
    int held = loopback_connect(fake.port);
    char byte;
    fake_must(&fake, "down");
    assert_i64(hear(held, &byte, 1, TEST_PATIENCE_MS), 0);
    close(held);
    assert_i64(loopback_connect(fake.port), -1);
    fake_must(&fake, "up");
    assert_i64(insert(once).errors, N); // what it had, it has
}

// ---- the raw connection --------------------------------------------------------------------

// An insert of one document, as OP_MSG.
static void send_insert(int fd)
{
    bson_t *b = from_json("{\"insert\": \"raw\", \"documents\": [{\"_id\": 1}], \"$db\": \"db\"}");
    uint32_t head[5] = {21 + b->len, 7, 0, 2013, 0};
    assert_i64(send(fd, head, sizeof(head), 0), sizeof(head));
    assert_i64(send(fd, "", 1, 0), 1);
    assert_i64(send(fd, bson_get_data(b), b->len, 0), b->len);
    bson_destroy(b);
}

// All that comes: ret_n bytes, and then what hear() says.
static ssize_t hear_all(int fd, bool wants_bytes, bool wants_silence, size_t *ret_n)
{
    char bytes[4096];
    int rest = wants_silence ? SILENCE_MS : TEST_PATIENCE_MS;
    ssize_t n = hear(fd, bytes, sizeof(bytes), wants_bytes ? TEST_PATIENCE_MS : rest);
    for (*ret_n = 0; n > 0; n = hear(fd, bytes, sizeof(bytes), rest)) {
        *ret_n += (size_t)n;
    }
    return n;
}

static void test_what_the_connection_sees(void **state)
{
    (void)state;
    enum { NOTHING, HALF, ALL };
    static const struct {
        const char *fault;
        int bytes;
        ssize_t end; // 0 closed, -1 reset, -2 silent
        int64_t stored;
    } cases[] = {
        {"stall on ping", ALL, -2, 1},
        {"stall", NOTHING, -2, 0},
        {"stall-after", NOTHING, -2, 1},
        {"lost", NOTHING, 0, 1},
        {"drop", NOTHING, 0, 0},
        {"reset", HALF, -1, 1},
        {"stall on connect", NOTHING, -2, 0},
    };
    size_t whole = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n;
        fake_must(&fake, "reset");
        char *line AUTO_FREE = x_asprintf("fail %s", cases[i].fault);
        fake_must(&fake, line);
        int fd = loopback_connect(fake.port);
        send_insert(fd);
        ssize_t end = hear_all(fd, cases[i].bytes != NOTHING, cases[i].end == -2, &n);
        whole = i == 0 ? n : whole;
        size_t want = cases[i].bytes == ALL ? whole : cases[i].bytes == HALF ? whole / 2 : 0;
        if (end != cases[i].end || n != want || (i == 0 && n == 0) ||
            stored_at_last(cases[i].stored) != cases[i].stored) {
            fail_at(__FILE__, __LINE__, "%s: %zu of %zu bytes, then %zd\n", cases[i].fault, n,
                    whole, end);
        }
        close(fd);
    }
}

static void test_connections_refused(void **state)
{
    (void)state;
    char byte;
    fake_must(&fake, "reset");
    fake_must(&fake, "fail drop times 1 on connect");
    fake_must(&fake, "fail reset times 1 after 0 on connect");
    int fd = loopback_connect(fake.port);
    assert_i64(hear(fd, &byte, 1, TEST_PATIENCE_MS), 0);
    close(fd);
    fd = loopback_connect(fake.port);
    assert_i64(hear(fd, &byte, 1, TEST_PATIENCE_MS), -1);
    close(fd);
    assert_true(insert(once).good);
}

static void test_nonsense_is_shown_the_door(void **state)
{
    (void)state;
    static const uint32_t messages[][6] = {
        {3, 1, 0, 2013, 0, 0},           // shorter than its head
        {50000000, 1, 0, 2013, 0, 0},    // too long
        {24, 1, 0, 2013, 0, 0x00000500}, // a section that ends too early
        {24, 1, 0, 2012, 0, 0},          // compressed
        {24, 1, 0, 2004, 0, 0x41414141}, // a name without an end
    };
    char byte;
    fake_must(&fake, "reset");
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        int fd = loopback_connect(fake.port);
        assert_i64(send(fd, messages[i], sizeof(messages[i]), 0), sizeof(messages[i]));
        ssize_t n = hear(fd, &byte, 1, TEST_PATIENCE_MS);
        assert_true(n == 0 || n == -1); // a reset where it did not read all
        close(fd);
    }
    assert_true(insert(once).good);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const options[] = {"--leash", NULL};
    fake_start(&fake, program, options);
    fake_dial(&fake);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_stop(&fake);
    return 0;
}

static void ignore_log(mongoc_log_level_t level, const char *domain, const char *text, void *ctx)
{
    (void)level;
    (void)domain;
    (void)text;
    (void)ctx;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FAKE_MONGOD\n", argv[0]);
        return 2;
    }
    program = argv[1];
    mongoc_init();
    mongoc_log_set_handler(ignore_log, NULL);
    static const struct CMUnitTest tests[] = {
        TEST(test_what_an_insert_meets),
        TEST(test_duplicates_say_which_index),
        TEST(test_a_retried_write_is_done_once),
        TEST(test_a_retry_tells_what_a_rolled_back_write_lost),
        TEST(test_it_is_a_secondary_until_told_otherwise),
        TEST(test_slow_is_as_slow_as_it_says),
        TEST(test_which_requests_a_fault_is_about),
        TEST(test_faults_it_does_not_know),
        TEST(test_down_and_up),
        TEST(test_what_the_connection_sees),
        TEST(test_connections_refused),
        TEST(test_nonsense_is_shown_the_door),
    };
    int failed = cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
    mongoc_cleanup();
    return failed;
}
