// A server that fails in the middle of a commit: what the error says, and that the same write tried
// again comes to the same.
#include <errno.h>

#include "fixture.h"
#include "mongodb.h"

enum { TRIES = 100 };

static int commit_again(struct fixture *f, size_t n)
{
    struct store_write w = {
        .records = f->records,
        .n_records = n,
        .dead_letters = f->letters,
        .n_dead_letters = f->n_letters,
        .shards = f->shards,
        .n_shards = f->n_shards,
        .windows = f->windows,
        .n_windows = f->n_windows,
    };
    return store_commit(f->s, &w, &f->err);
}

struct fault {
    const char *command, *data;
    int r;
    const char *text;
};

static const struct fault faults[] = {
    {"insert", "\"errorCode\": 10107", -EAGAIN, "is changing its primary"},
    {"insert", "\"errorCode\": 91", -EAGAIN, "is changing its primary"},
    {"insert", "\"errorCode\": 13435", -EAGAIN, "is changing its primary"},
    {"insert", "\"errorCode\": 11600", -EAGAIN, "is changing its primary"},
    {"insert", "\"errorCode\": 189", -EAGAIN, "is changing its primary"},
    {"insert", "\"errorCode\": 262", -ETIMEDOUT, "took too long"},
    {"insert", "\"errorCode\": 13", -EACCES, "give this user the role readWrite"},
    {"insert", "\"errorCode\": 8000", -EDQUOT, "quota"},
    {"insert", "\"errorCode\": 14031", -ENOSPC, "make room"},
    {"insert", "\"errorCode\": 4242", -EIO, "answers with error 4242"},
    {"insert", "\"writeConcernError\": {\"code\": 64, \"errmsg\": \"waiting\"}", -ETIMEDOUT,
     "not acknowledged by a majority"},
    {"insert", "\"writeConcernError\": {\"code\": 100, \"errmsg\": \"too few\"}", -EAGAIN,
     "not enough servers"},
    {"update", "\"errorCode\": 10107", -EAGAIN, "is changing its primary"},
    {"update", "\"writeConcernError\": {\"code\": 64, \"errmsg\": \"waiting\"}", -ETIMEDOUT,
     "not acknowledged by a majority"},
    {"find", "\"errorCode\": 50", -ETIMEDOUT, "took too long"},
};

static void add_everything(struct fixture *f, int i)
{
    char *id AUTO_FREE = x_asprintf("new-%d", i);
    add_sample(f, id, "h", 0, at(i));
    add_usage(f, "old", "h", 0, at(0), at(1)); // a duplicate
    add_usage(f, "old", "h", 0, at(0), at(9)); // a conflict
    add_usage(f, id, "h", 0, at(0), at(1));
    add_idle(f, 0, at(60 * i), "h", 0, 5)->final = false;
    add_shard(f, 0, at(i));
}

static void check_fault(struct fixture *f, const struct fault *fault, int i)
{
    static const enum store_verdict verdicts[] = {STORE_NEW, STORE_DUPLICATE, STORE_CONFLICT,
                                                  STORE_NEW};
    add_everything(f, i);
    mongodb_fail_next(f->uri, fault->command, fault->data);
    int r = commit_again(f, ARRAY_LEN(verdicts));
    if (r != fault->r || !f->err.retryable || !strstr(f->err.msg, fault->text)) {
        fail_at(__FILE__, __LINE__, "%s, %s: got %d, %s\n", fault->command, fault->data, r,
                f->err.msg);
    }
    assert_ok(commit_again(f, ARRAY_LEN(verdicts)), &f->err);
    for (size_t k = 0; k < ARRAY_LEN(verdicts); k++) {
        assert_i64(f->records[k].verdict, verdicts[k]);
    }
    assert_i64(info_of(f, f->s).samples, i);
    assert_i64(info_of(f, f->s).usages, 1 + i);
    assert_i64(info_of(f, f->s).dead_letters, 1); // the same conflict each time
    drop_write(f);
}

static void test_errors_that_pass(void **state)
{
    struct fixture *f = *state;
    add_usage(f, "old", "h", 0, at(0), at(1));
    put(f);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        check_fault(f, &faults[i], (int)i + 1);
    }
    struct store_cursor *c = NULL;
    struct window_row row;
    const struct window_query q = {LEVEL_WINDOW, INT64_MIN, INT64_MAX, -1};
    size_t n = 0;
    assert_ok(store_windows(f->s, &q, &c, &f->err), &f->err);
    while (store_windows_next(c, &row, &f->err) > 0) {
        n++;
    }
    store_cursor_close(c);
    assert_i64((int64_t)n, ARRAY_LEN(faults));
}

// libmongoc repeats a write whose connection broke, once.
static void test_a_connection_breaks(void **state)
{
    struct fixture *f = *state;
    add_sample(f, "first", "h", 0, at(0));
    put(f);
    add_sample(f, "a", "h", 0, at(0));
    mongodb_fail_next(f->uri, "insert", "\"closeConnection\": true");
    int r = commit_again(f, 1);
    if (r < 0) {
        assert_true(f->err.retryable);
        assert_ok(commit_again(f, 1), &f->err);
    }
    mongodb_fail_no_more(f->uri);
    assert_i64(f->records[0].verdict, STORE_NEW);
    assert_i64(info_of(f, f->s).samples, 2);
    drop_write(f);
}

// A store that waits for answers for half a second, as often as a busy server makes it ask again.
static struct store *open_hasty(struct fixture *f)
{
    struct store *s = NULL;
    char *uri AUTO_FREE =
        x_asprintf("%s%csocketTimeoutMS=500", f->uri, strchr(f->uri, '?') ? '&' : '?');
    int r = store_open(uri, STORE_WRITE, &s, &f->err);
    for (int i = 0; r < 0 && i < TRIES; i++) {
        r = store_open(uri, STORE_WRITE, &s, &f->err);
    }
    assert_ok(r, &f->err);
    return s;
}

static void commit_at_last(struct fixture *f)
{
    int r = commit_again(f, 1);
    for (int i = 0; r < 0 && i < TRIES; i++) {
        assert_true(f->err.retryable);
        r = commit_again(f, 1);
    }
    assert_ok(r, &f->err);
    assert_i64(f->records[0].verdict, STORE_NEW);
}

static void test_a_silent_server(void **state)
{
    struct fixture *f = *state;
    struct store *own = f->s, *hasty = open_hasty(f), *reader = NULL;
    f->s = hasty;
    add_sample(f, "first", "h", 0, at(0));
    commit_at_last(f);
    drop_write(f);
    add_sample(f, "a", "h", 0, at(0));
    mongodb_fail_next(f->uri, "insert", "\"blockConnection\": true, \"blockTimeMS\": 1500");
    commit_at_last(f);
    drop_write(f);
    f->s = own;
    store_close(hasty);
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    assert_i64(info_of(f, reader).samples, 2);
    store_close(reader);
}

// A rule that somebody gave the collection: what breaks it goes to the dead letters, the rest in.
static void test_a_validator(void **state)
{
    struct fixture *f = *state;
    mongodb_do(f->uri, "{\"collMod\": \"token_usage\","
                       " \"validator\": {\"model\": {\"$ne\": \"bad\"}}}");
    add_usage(f, "a", "h", 0, at(0), at(1));
    struct record *r = add_usage(f, "b", "h", 0, at(0), at(1));
    r->usage.model = STR("bad");
    set_digest(r);
    add_usage(f, "c", "h", 0, at(0), at(1));
    put(f);
    assert_i64(f->records[0].verdict, STORE_NEW);
    assert_i64(f->records[1].verdict, STORE_REFUSED);
    assert_i64(f->records[2].verdict, STORE_NEW);
    assert_i64(f->records[1].record->seq, 0);
    assert_true(f->records[1].reason.n > 0);
    assert_true(str_eq(only_letter(f).reason, f->records[1].reason));
    assert_i64(info_of(f, f->s).usages, 2);
}

#define ON_MONGODB(t) ON(t, "mongodb")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MONGODB(test_errors_that_pass),
        ON_MONGODB(test_a_connection_breaks),
        ON_MONGODB(test_a_silent_server),
        ON_MONGODB(test_a_validator),
    };
    return fixture_run("mongodb_faults", tests);
}
