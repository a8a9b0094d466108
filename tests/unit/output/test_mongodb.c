// What the MongoDB store alone does: owners of shards, documents as others read them, and databases
// that are not ours.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "mongodb.h"

enum { HOUR = 3600 };

static struct store *open_second(struct fixture *f)
{
    struct store *s = NULL;
    assert_ok(store_open(f->uri, STORE_WRITE, &s, &f->err), &f->err);
    return s;
}

static struct shard_hold take(struct fixture *f, struct store *s, enum shard_claim claim)
{
    struct shard_hold hold;
    assert_ok(store_take_shard(s, 0, claim, &hold, &f->err), &f->err);
    return hold;
}

static bool is_in(struct fixture *f, const char *command, const char *text)
{
    char *answer AUTO_FREE = mongodb_command(f->uri, command);
    assert_non_null(answer);
    return strstr(answer, text) != NULL;
}

// ---- owners --------------------------------------------------------------------------------

static void test_exclusive(void **state)
{
    struct fixture *f = *state;
    struct store *second = open_second(f);
    struct shard_hold hold = take(f, f->s, SHARD_EXCLUSIVE);
    assert_false(hold.kept);
    assert_true(take(f, f->s, SHARD_EXCLUSIVE).kept);
    assert_i64(store_take_shard(second, 0, SHARD_EXCLUSIVE, &hold, &f->err), -EBUSY);
    assert_true(f->err.retryable);
    char *pid AUTO_FREE = x_asprintf("is being written by process %d on ", (int)getpid());
    assert_non_null(strstr(f->err.msg, pid));
    fixture_reopen(f); // gives it back
    assert_false(take(f, second, SHARD_EXCLUSIVE).kept);
    store_close(second);
}

// Whoever commits without having taken the shard takes it, if nobody has it.
static void test_a_commit_takes(void **state)
{
    struct fixture *f = *state;
    struct store *second = open_second(f), *own = f->s;
    add_sample(f, "a", "h", 0, at(0));
    put(f);
    f->s = second;
    add_sample(f, "b", "h", 0, at(0));
    assert_i64(try_put(f), -EBUSY);
    f->s = own;
    store_close(second);
}

static void test_an_old_lease(void **state)
{
    struct fixture *f = *state;
    struct store *second = open_second(f);
    (void)take(f, f->s, SHARD_EXCLUSIVE);
    mongodb_do(f->uri, "{\"update\": \"owners\", \"updates\": [{\"q\": {}, \"u\": {\"$set\":"
                       " {\"seen\": {\"$date\": \"2026-01-01T00:00:00Z\"}}}, \"multi\": true}]}");
    assert_false(take(f, second, SHARD_EXCLUSIVE).kept);
    store_close(second);
}

static void test_a_dead_process(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    if (child == 0) {
        struct store *s = NULL;
        struct shard_hold hold;
        int r = store_open(f->uri, STORE_WRITE, &s, &f->err);
        r = r < 0 ? r : store_take_shard(s, 0, SHARD_EXCLUSIVE, &hold, &f->err);
        _exit(r == 0 ? 0 : 1); // as if it had been killed
    }
    int status = 1;
    assert_i64(waitpid(child, &status, 0), child);
    assert_i64(status, 0);
    assert_false(take(f, f->s, SHARD_EXCLUSIVE).kept);
}

static int put_by(struct fixture *f, struct store *s, int64_t frontier, bool *ret_lost)
{
    struct shard_state state = {0, frontier, frontier, INT64_MAX, 0, 0, {{0}}};
    struct store_write w = {
        .windows = f->windows,
        .n_windows = f->n_windows,
        .records = f->records,
        .n_records = f->n_records,
        .shards = &state,
        .n_shards = 1,
        .lost = ret_lost,
    };
    int r = store_commit(s, &w, &f->err);
    drop_write(f);
    return r;
}

static void test_takeover(void **state)
{
    struct fixture *f = *state;
    struct store *second = open_second(f);
    struct shard_state stored;
    bool lost = true;
    struct shard_hold first = take(f, f->s, SHARD_TAKEOVER);
    add_sample(f, "a", "h", 0, at(0));
    assert_ok(put_by(f, f->s, at(60), &lost), &f->err);
    assert_false(lost);
    int64_t seq = f->records[0].record->seq;
    assert_true(seq > first.own_seq[RECORD_SAMPLE]);
    assert_true(first.own_seq[RECORD_SAMPLE] > first.first_seq && first.first_seq >= 0);

    struct shard_hold hold = take(f, second, SHARD_TAKEOVER);
    assert_false(hold.kept);
    assert_i64(hold.state.frontier, at(60));
    assert_true(hold.own_seq[RECORD_SAMPLE] > seq && hold.own_seq[RECORD_USAGE] > seq);
    assert_ok(put_by(f, second, at(120), &lost), &f->err);
    assert_false(lost);

    // The former owner: its state is not written, nor its windows from then on, but its records
    // are.
    assert_ok(put_by(f, f->s, at(600), &lost), &f->err);
    assert_true(lost);
    add_idle(f, 0, at(0), "h", 0, 5);
    add_sample(f, "b", "h", 0, at(0));
    assert_ok(put_by(f, f->s, at(600), &lost), &f->err);
    assert_true(lost);
    assert_i64(f->records[0].verdict, STORE_NEW);
    assert_true(f->records[0].record->seq < hold.own_seq[RECORD_SAMPLE]);
    assert_string_equal(all_rows(f, LEVEL_WINDOW), "");
    assert_ok(store_shard(f->s, 0, &stored, &f->err), &f->err);
    assert_i64(stored.frontier, at(120));

    hold = take(f, f->s, SHARD_TAKEOVER); // and back
    assert_false(hold.kept);
    assert_i64(hold.state.frontier, at(120));
    store_close(second);
}

// ---- GPUs ----------------------------------------------------------------------------------

static int64_t newest_sample(struct fixture *f, struct store *s)
{
    struct gpu_info *gpus = NULL;
    size_t n = 0;
    assert_ok(store_gpus(s, &f->arena, &gpus, &n, &f->err), &f->err);
    assert_i64((int64_t)n, 1);
    return gpus[0].newest.ts;
}

static void put_sample(struct fixture *f, int64_t second)
{
    bool lost = true;
    char id[24];
    snprintf(id, sizeof(id), "s%lld", (long long)second);
    add_sample(f, id, "h", 0, at(second));
    assert_ok(put_by(f, f->s, at(60), &lost), &f->err);
    assert_false(lost);
}

// Commits samples, one a second from *second on, until one is not written to `gpus` at once, as
// another has just been; on a machine that is slow it takes some.
static void put_until_held_back(struct fixture *f, struct store *reader, int64_t *second)
{
    int64_t most = *second + 100;
    do {
        put_sample(f, ++*second);
    } while (newest_sample(f, reader) == at(*second) && *second < most);
    assert_true(*second < most);
}

static struct store *open_reader(struct fixture *f)
{
    struct store *reader;
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    return reader;
}

static void test_gpus_are_written_now_and_then(void **state)
{
    struct fixture *f = *state;
    int64_t second = 0;
    put_sample(f, second);
    struct store *reader = open_reader(f);
    assert_i64(newest_sample(f, reader), at(second)); // the first one at once
    put_until_held_back(f, reader, &second);
    assert_i64(newest_sample(f, f->s), at(second)); // who writes knows its own
    assert_i64(newest_sample(f, reader), at(second));

    put_until_held_back(f, reader, &second);
    for (int i = 0; newest_sample(f, reader) != at(second); i++) { // also without a commit
        assert_true(i < 3000);
        assert_ok(store_alive(f->s, &f->err), &f->err);
        poll(NULL, 0, 10);
    }
    put_until_held_back(f, reader, &second);
    fixture_reopen(f);
    assert_i64(newest_sample(f, reader), at(second)); // and at the end
    store_close(reader);
}

static void test_a_take_finds_gpus_of_one_that_was_killed(void **state)
{
    struct fixture *f = *state;
    int64_t second = 0;
    put_sample(f, second);
    struct store *reader = open_reader(f), *next = open_second(f);
    put_until_held_back(f, reader, &second);
    (void)take(f, next, SHARD_TAKEOVER);
    assert_i64(newest_sample(f, reader), at(second));
    store_close(next);
    store_close(reader);
}

static void test_gaps(void **state)
{
    struct fixture *f = *state;
    struct store *second = open_second(f);
    struct shard_state s = {
        .newest = at(1), .oldest_pending = INT64_MAX, .samples_seen = 9, .usage_seen = 8};
    s.gaps[RECORD_SAMPLE] = (struct shard_gaps){2, {{3, 5}, {INT64_C(1) << 40, INT64_MAX}}};
    s.gaps[RECORD_USAGE] = (struct shard_gaps){1, {{6, 7}}};
    (void)take(f, f->s, SHARD_TAKEOVER);
    struct store_write w = {.shards = &s, .n_shards = 1};
    assert_ok(store_commit(f->s, &w, &f->err), &f->err);
    struct shard_hold hold = take(f, second, SHARD_TAKEOVER);
    for (size_t kind = 0; kind < ARRAY_LEN(s.gaps); kind++) {
        const struct shard_gaps *a = &s.gaps[kind], *b = &hold.state.gaps[kind];
        assert_i64((int64_t)a->n, (int64_t)b->n);
        for (size_t i = 0; i < a->n; i++) {
            assert_true(a->v[i].from == b->v[i].from && a->v[i].to == b->v[i].to);
        }
    }
    store_close(second);
}

// What a crash between the windows and the state left undone.
static void test_a_take_rolls_up_again(void **state)
{
    struct fixture *f = *state;
    add_idle(f, 0, at(0), "a", 0, 7);
    add_shard(f, 0, at(2 * HOUR));
    add_unsettled(f, 0, at(60), at(120));
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $7");
    mongodb_do(f->uri, "{\"update\": \"cost_hours\", \"updates\": [{\"q\": {}, \"u\": {\"$set\":"
                       " {\"cost_nusd\": 1}}}]}");
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $1");
    fixture_reopen(f);
    (void)take(f, f->s, SHARD_TAKEOVER);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $7");
}

// ---- windows -------------------------------------------------------------------------------

static void preview(struct fixture *f, int64_t a, int64_t b)
{
    add_idle(f, 0, at(0), "a", 0, a)->final = false;
    if (b > 0) {
        add_idle(f, 0, at(0), "b", 0, b)->final = false;
    }
    put(f);
}

static void mark_rows(struct fixture *f)
{
    mongodb_do(f->uri, "{\"update\": \"cost_windows\", \"updates\": [{\"q\": {}, \"u\": {\"$set\":"
                       " {\"mark\": 1}}, \"multi\": true}]}");
}

static int64_t marked_rows(struct fixture *f)
{
    char *answer AUTO_FREE =
        mongodb_command(f->uri, "{\"count\": \"cost_windows\", \"query\": {\"mark\": 1}}");
    assert_non_null(answer);
    return strstr(answer, "\"n\" : 0") ? 0 : strstr(answer, "\"n\" : 1") ? 1 : 2;
}

static void test_only_what_changed_is_sent(void **state)
{
    struct fixture *f = *state;
    preview(f, 1, 2);
    mark_rows(f);
    preview(f, 1, 3);
    assert_string_equal(all_rows(f, LEVEL_WINDOW), "0 a0 $1, 0 b0 $3");
    assert_i64(marked_rows(f), 1); // of "a", which was not written again
    preview(f, 1, 0);
    assert_string_equal(all_rows(f, LEVEL_WINDOW), "0 a0 $1");
    assert_i64(marked_rows(f), 1);
    fixture_reopen(f); // who knows nothing of a window replaces it whole
    preview(f, 1, 0);
    assert_i64(marked_rows(f), 0);
    add_idle(f, 0, at(0), "a", 0, 9); // final
    put(f);
    assert_string_equal(all_rows(f, LEVEL_WINDOW), "0 a0 $9");
}

// ---- documents -----------------------------------------------------------------------------

static bool costs_per_token(struct fixture *f, double usd)
{
    char *count AUTO_FREE =
        x_asprintf("{\"count\": \"token_usage\", \"query\": {\"cost_per_token\":"
                   " {\"$gt\": %.17g, \"$lt\": %.17g}}}",
                   usd * 0.999999, usd * 1.000001);
    return is_in(f, count, "\"n\" : 1");
}

static void test_cost_fields(void **state)
{
    static const char find[] = "{\"find\": \"token_usage\"}";
    struct fixture *f = *state;
    const struct usage_cost estimate = {.priced = true, .cost_in_nusd = 100, .cost_out_nusd = 20};
    add_usage(f, "a", "h", 0, at(0), at(1));
    f->records[0].provisional = &estimate;
    put(f);
    assert_true(is_in(f, find, "\"cost_nusd\" : 120,"));
    assert_true(costs_per_token(f, 1e-9));
    assert_true(is_in(f, find, "\"final\" : false"));
    struct usage_cost *cost = add_cost(f, 1, 7, 5);
    cost->priced = false;
    put(f);
    assert_false(is_in(f, find, "\"cost_nusd\""));
    assert_false(is_in(f, find, "\"cost_per_token\""));
    cost = add_cost(f, 1, 120, 120);
    cost->tokens = 120;
    put(f);
    assert_true(is_in(f, find, "\"cost_nusd\" : 240,"));
    assert_true(costs_per_token(f, 2e-9));
    assert_false(is_in(f, find, "priced_part"));
}

// A letter that an input's place names comes once, however often that is read.
static void test_letters_come_once(void **state)
{
    struct fixture *f = *state;
    for (int pass = 0; pass < 2; pass++) {
        f->letters[0] = (struct dead_letter){
            .at = at(pass), .origin = STR("kafka:t/0/7"), .reason = STR("r"), .payload = STR("x")};
        f->letters[1] = (struct dead_letter){.at = at(pass), .reason = STR("r")};
        f->n_letters = 2;
        put(f);
    }
    assert_i64(info_of(f, f->s).dead_letters, 3);
}

// A conflict of a record whose place nobody keeps is known by its id: read again, by this process
// or the next one, from wherever it then stands, it is no new letter. Another text of that id is.
static void test_conflicts_come_once(void **state)
{
    struct fixture *f = *state;
    add_usage(f, "a", "h", 0, at(0), at(1));
    put(f);
    for (int pass = 0; pass < 2; pass++) {
        add_usage(f, "a", "h", 0, at(0), at(2))->position = 7 + pass;
        f->records[0].payload = "{\"ts\":2}";
        f->records[0].payload_n = strlen("{\"ts\":2}");
        put(f);
        assert_i64(f->records[0].verdict, STORE_CONFLICT);
        assert_i64(info_of(f, f->s).dead_letters, 1);
        fixture_reopen(f);
    }
    add_usage(f, "a", "h", 0, at(0), at(3));
    put(f);
    assert_i64(info_of(f, f->s).dead_letters, 2);
    add_usage(f, "b", "h", 0, at(0), at(1));
    add_usage(f, "b", "h", 0, at(0), at(3));
    put(f);
    assert_i64(info_of(f, f->s).dead_letters, 3);
}

// ---- databases that are not ours -----------------------------------------------------------

static void test_a_newer_schema(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    mongodb_do(f->uri, "{\"update\": \"meta\", \"updates\": [{\"q\": {}, \"u\": {\"$set\":"
                       " {\"schema\": 99}}}]}");
    assert_i64(store_open(f->uri, STORE_READ, &s, &f->err), -EPROTONOSUPPORT);
    assert_non_null(strstr(f->err.msg, "is of a newer gtap (schema 99"));
}

static void test_a_foreign_database(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    const char *uri = other_uri(f);
    mongodb_do(uri, "{\"insert\": \"gpus\", \"documents\": [{\"_id\": 1}]}");
    assert_i64(store_open(uri, STORE_WRITE, &s, &f->err), -EMEDIUMTYPE);
    assert_non_null(strstr(f->err.msg, "has a collection gpus that is not gtap's"));
    mongodb_drop(uri);
}

static void test_a_changed_record(void **state)
{
    struct fixture *f = *state;
    struct store_cursor *c = NULL;
    struct stored_record r;
    const struct record_query q = query(RECORD_SAMPLE, RECORDS_BY_TIME, RECORDS_ALL);
    add_sample(f, "a", "h", 0, at(0));
    put(f);
    mongodb_do(f->uri, "{\"update\": \"gpu_metrics\", \"updates\": [{\"q\": {}, \"u\": {\"$set\":"
                       " {\"power_w\": 1.0}}}]}");
    assert_ok(store_records(f->s, &q, &c, &f->err), &f->err);
    assert_i64(store_records_next(c, &r, &f->err), -EBADMSG);
    store_cursor_close(c);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    assert_i64(store_open("mongodb://bob:secret@127.0.0.1:1/x?serverSelectionTimeoutMS=100",
                          STORE_READ, &s, &f->err),
               -EHOSTUNREACH);
    assert_true(f->err.retryable);
    assert_non_null(strstr(f->err.msg, "mongodb://bob:***@127.0.0.1:1/x: cannot be reached"));
    assert_null(strstr(f->err.msg, "secret"));
    assert_i64(store_open("mongodb://127.0.0.1/x?w=0", STORE_WRITE, &s, &f->err), -EINVAL);
    assert_i64(store_open("mongodb://", STORE_WRITE, &s, &f->err), -EINVAL);
}

#define ON_MONGODB(t) ON(t, "mongodb")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MONGODB(test_exclusive),
        ON_MONGODB(test_a_commit_takes),
        ON_MONGODB(test_an_old_lease),
        ON_MONGODB(test_a_dead_process),
        ON_MONGODB(test_takeover),
        ON_MONGODB(test_gpus_are_written_now_and_then),
        ON_MONGODB(test_a_take_finds_gpus_of_one_that_was_killed),
        ON_MONGODB(test_gaps),
        ON_MONGODB(test_a_take_rolls_up_again),
        ON_MONGODB(test_only_what_changed_is_sent),
        ON_MONGODB(test_cost_fields),
        ON_MONGODB(test_letters_come_once),
        ON_MONGODB(test_conflicts_come_once),
        ON_MONGODB(test_a_newer_schema),
        ON_MONGODB(test_a_foreign_database),
        ON_MONGODB(test_a_changed_record),
        ON_MONGODB(test_names),
    };
    return fixture_run("mongodb", tests);
}
