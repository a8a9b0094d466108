// How far everything got: inputs, shards, what is unsettled; dead letters; GPUs; the summary.
#include <errno.h>

#include "fixture.h"

static void test_positions(void **state)
{
    struct fixture *f = *state;
    struct input_position p;
    assert_i64(store_position(f->s, STR("a"), &p, &f->err), -ENOENT);
    f->positions[0] = (struct input_position){STR("a"), 10, 1000, UINT64_MAX - 1};
    f->positions[1] = (struct input_position){STR("b"), 1, -1, 0};
    f->n_positions = 2;
    put(f);
    f->positions[0] = (struct input_position){STR("a"), 20, 2000, UINT64_MAX};
    f->n_positions = 1;
    put(f);
    fixture_reopen(f);
    assert_ok(store_position(f->s, STR("a"), &p, &f->err), &f->err);
    assert_str(p.input, "a");
    assert_i64(p.records, 20);
    assert_i64(p.offset, 2000);
    assert_true(p.fingerprint == UINT64_MAX);
    assert_ok(store_position(f->s, STR("b"), &p, &f->err), &f->err);
    assert_i64(p.records, 1);
    assert_i64(p.offset, -1);
    assert_i64(store_position(f->s, STR("ab"), &p, &f->err), -ENOENT);
}

static void test_shard_states(void **state)
{
    struct fixture *f = *state;
    struct shard_state s;
    assert_ok(store_shard(f->s, 3, &s, &f->err), &f->err);
    assert_true(s.shard == 3 && s.frontier == INT64_MIN && s.newest == INT64_MIN);
    assert_true(s.oldest_pending == INT64_MAX && s.samples_seen == 0 && s.usage_seen == 0);
    f->shards[f->n_shards++] = (struct shard_state){3, at(60), at(70), at(50), 12, 34, {{0}}};
    f->shards[f->n_shards++] =
        (struct shard_state){0, INT64_MIN, INT64_MIN, INT64_MAX, 0, 0, {{0}}};
    put(f);
    fixture_reopen(f);
    assert_ok(store_shard(f->s, 3, &s, &f->err), &f->err);
    assert_true(s.shard == 3 && s.frontier == at(60) && s.newest == at(70));
    assert_true(s.oldest_pending == at(50) && s.samples_seen == 12 && s.usage_seen == 34);
}

static void check_unsettled(struct fixture *f, const struct unsettled_range *want, size_t n)
{
    struct unsettled_range *got = NULL;
    size_t n_got = 0;
    assert_ok(store_unsettled(f->s, &f->arena, &got, &n_got, &f->err), &f->err);
    assert_i64((int64_t)n_got, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        assert_true(got[i].shard == want[i].shard && got[i].from == want[i].from &&
                    got[i].to == want[i].to);
    }
}

static void test_unsettled(void **state)
{
    struct fixture *f = *state;
    check_unsettled(f, NULL, 0);
    add_shard(f, 0, at(600));
    add_shard(f, 1, at(600));
    add_unsettled(f, 1, at(60), at(120));
    add_unsettled(f, 0, at(240), at(300));
    add_unsettled(f, 0, at(0), at(60));
    put(f);
    const struct unsettled_range both[] = {
        {0, at(0), at(60)}, {0, at(240), at(300)}, {1, at(60), at(120)}};
    check_unsettled(f, both, 3);
    add_shard(f, 0, at(600)); // replaces shard 0's ranges by none, and no one else's
    put(f);
    check_unsettled(f, &both[2], 1);
}

static void test_set_shards(void **state)
{
    struct fixture *f = *state;
    assert_i64(info_of(f, f->s).n_shards, 1);
    assert_i64(store_set_shards(f->s, 0, &f->err), -EINVAL);
    assert_i64(store_set_shards(f->s, 1000000, &f->err), -EINVAL);
    assert_ok(store_set_shards(f->s, 12, &f->err), &f->err);
    fixture_reopen(f);
    assert_i64(info_of(f, f->s).n_shards, 12);
    add_sample(f, "a", "h", 0, at(0))->shard = 11;
    put(f);
    assert_i64(store_set_shards(f->s, 4, &f->err), -EBUSY);
    assert_ok(store_set_shards(f->s, 12, &f->err), &f->err);
    assert_i64(info_of(f, f->s).n_shards, 12);
}

static void test_dead_letters(void **state)
{
    struct fixture *f = *state;
    f->letters[0] = (struct dead_letter){at(5), STR("in"), 3, STR("tokens: negative"), STR("{x")};
    f->letters[1] = (struct dead_letter){at(3), STR("in"), 4, STR("not JSON"), STR("\xff\0z")};
    f->letters[2] = (struct dead_letter){at(9), STR_NONE, 5, STR("empty"), STR("")};
    f->n_letters = 3;
    put(f);
    struct store_cursor *c = NULL;
    struct dead_letter d;
    assert_ok(store_dead_letters(f->s, at(3), at(9), &c, &f->err), &f->err);
    assert_i64(store_dead_letters_next(c, &d, &f->err), 1);
    assert_i64(d.at, at(5)); // in order of arrival
    assert_str(d.origin, "in");
    assert_i64(d.position, 3);
    assert_str(d.reason, "tokens: negative");
    assert_str(d.payload, "{x");
    assert_i64(store_dead_letters_next(c, &d, &f->err), 1);
    assert_true(str_eq(d.payload, STR("\xff\0z")));
    assert_i64(store_dead_letters_next(c, &d, &f->err), 0);
    assert_i64(store_dead_letters_next(c, &d, &f->err), 0);
    store_cursor_close(c);
    assert_ok(store_dead_letters(f->s, at(9), INT64_MAX, &c, &f->err), &f->err);
    assert_i64(store_dead_letters_next(c, &d, &f->err), 1);
    assert_str(d.origin, NULL);
    assert_str(d.payload, "");
    store_cursor_close(c);
    assert_i64(info_of(f, f->s).dead_letters, 3);
}

static void check_gpu(const struct gpu_info *g, const char *host, int32_t index, double power,
                      int64_t ts, int64_t first_seen)
{
    assert_str(g->newest.gpu.host, host);
    assert_i64(g->newest.gpu.index, index);
    assert_near(g->newest.power_w, power, 0);
    assert_i64(g->newest.ts, ts);
    assert_i64(g->first_seen, first_seen);
}

static struct record *add_power(struct fixture *f, const char *id, const char *host, int32_t gpu,
                                int64_t ts, double power)
{
    struct record *r = add_sample(f, id, host, gpu, ts);
    r->sample.power_w = power;
    set_digest(r);
    return r;
}

static void test_gpus(void **state)
{
    struct fixture *f = *state;
    struct gpu_info *gpus = NULL;
    size_t n = 0;
    add_power(f, "c", "h2", 0, at(9), 1);
    add_power(f, "b", "h1", 1, at(5), 2);
    add_power(f, "d", "h1", 0, at(5), 3);
    add_power(f, "a", "h1", 0, at(4), 4);
    add_power(f, "a2", "h1", 0, at(5), 5); // the same instant as d: the lower id counts
    put(f);
    struct record *r = add_power(f, "e", "h2", 0, at(8), 6); // older than c
    r->sample.name = STR("renamed");
    set_digest(r);
    add_power(f, "f", "h1", 1, at(6), 7);
    add_power(f, "d", "h1", 0, at(99), 8); // a conflict: not stored, not seen
    put(f);
    fixture_reopen(f);
    assert_ok(store_gpus(f->s, &f->arena, &gpus, &n, &f->err), &f->err);
    assert_i64((int64_t)n, 3);
    check_gpu(&gpus[0], "h1", 0, 5, at(5), at(4));
    check_gpu(&gpus[1], "h1", 1, 7, at(6), at(5));
    check_gpu(&gpus[2], "h2", 0, 1, at(9), at(8));
    assert_str(gpus[2].newest.name, NULL);
}

static void test_info(void **state)
{
    struct fixture *f = *state;
    struct store_info i = info_of(f, f->s);
    assert_i64(i.schema_version, strcmp(f->scheme, "sqlite") == 0 ? 4 : 1);
    assert_true(i.first == INT64_MAX && i.last == INT64_MIN && i.final_until == INT64_MIN);
    assert_true(i.samples == 0 && i.usages == 0 && i.longest_usage_ns == 0);

    assert_ok(store_set_shards(f->s, 3, &f->err), &f->err);
    add_sample(f, "a", "h", 0, at(100))->shard = 1;
    add_usage(f, "b", "h", 0, at(50), at(80))->shard = 2;
    add_usage(f, "c", "h", 0, at(60) - 1, at(60))->shard = 2; // counts as 1 ms
    add_shard(f, 0, at(60)); // has no records, so it does not hold the others back
    add_shard(f, 1, at(600));
    put(f);
    i = info_of(f, f->s);
    assert_true(i.samples == 1 && i.usages == 2 && i.n_shards == 3);
    assert_true(i.first == at(50) && i.last == at(100));
    assert_i64(i.longest_usage_ns, 30 * NS_PER_S);
    assert_i64(i.final_until, INT64_MIN); // shard 2 is nowhere
    add_shard(f, 2, at(300));
    put(f);
    assert_i64(info_of(f, f->s).final_until, at(300));
}

static void test_data_version(void **state)
{
    struct fixture *f = *state;
    struct store *admin = NULL, *reader = NULL;
    const struct price_entry price = {.name = STR("H100"), .price_nusd_hour = 1};
    int64_t id;
    assert_ok(store_open(f->uri, STORE_ADMIN, &admin, &f->err), &f->err);
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    uint64_t before = info_of(f, reader).data_version;
    assert_true(before == info_of(f, reader).data_version);
    put(f);
    uint64_t after_commit = info_of(f, reader).data_version;
    assert_true(after_commit != before);
    assert_ok(store_add_price(admin, &price, &id, &f->err), &f->err);
    uint64_t after_price = info_of(f, reader).data_version;
    assert_true(after_price != after_commit);
    assert_ok(store_add_settings(f->s, &settings_default, 0, &f->err), &f->err);
    assert_true(info_of(f, reader).data_version != after_price);
    store_close(admin);
    store_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_positions),  ON_ALL(test_shard_states), ON_ALL(test_unsettled),
        ON_ALL(test_set_shards), ON_ALL(test_dead_letters), ON_ALL(test_gpus),
        ON_ALL(test_info),       ON_ALL(test_data_version),
    };
    return fixture_run("progress", tests);
}
