// Costs of requests: provisional, then computed.
#include <errno.h>

#include "fixture.h"

static struct usage_cost cost_by_query(struct fixture *f, int64_t n)
{
    int64_t seq = nth_seq(f, RECORD_USAGE, n);
    struct record_query q = query(RECORD_USAGE, RECORDS_BY_SEQ, RECORDS_ALL);
    struct store_cursor *c = NULL;
    struct stored_record r;
    q.from = seq;
    q.to = seq + 1;
    assert_ok(store_records(f->s, &q, &c, &f->err), &f->err);
    assert_i64(store_records_next(c, &r, &f->err), 1);
    store_cursor_close(c);
    r.cost.event_id = STR_NONE; // went with the cursor
    return r.cost;
}

static int cost_of(struct fixture *f, int64_t n, struct usage_cost *ret)
{
    return store_cost(f->s, nth_seq(f, RECORD_USAGE, n), ret, &f->err);
}

static void test_provisional_then_final(void **state)
{
    struct fixture *f = *state;
    const struct usage_cost estimate = {
        .priced = true,
        .cost_nusd = 30,
        .cost_in_nusd = 10,
        .cost_out_nusd = 20,
        .method = METHOD_EQUAL,
    };
    struct usage_cost cost;
    add_usage(f, "a", "h", 0, at(0), at(1));
    f->records[0].provisional = &estimate;
    put(f);
    assert_i64(cost_of(f, 1, &cost), -ENOENT);
    cost = cost_by_query(f, 1);
    assert_i64(cost.seq, nth_seq(f, RECORD_USAGE, 1));
    assert_i64(cost.cost_nusd, 30);
    assert_i64(cost.cost_in_nusd, 10);
    assert_i64(cost.revision, 0);
    assert_i64(cost.method, METHOD_EQUAL);
    assert_true(cost.priced && !cost.final && !cost.late);
    assert_i64(cost.ts, at(1));

    struct usage_cost *final = add_cost(f, 1, 7, 8);
    final->energy_j = 0.1 + 0.2;
    final->has_energy = true;
    final->unpriced_ns = 5;
    put(f);
    assert_ok(cost_of(f, 1, &cost), &f->err);
    assert_str(cost.event_id, "a");
    assert_i64(cost.ts, at(1));
    assert_i64(cost.cost_nusd, 15);
    assert_i64(cost.unpriced_ns, 5);
    assert_true(cost.has_energy && cost.energy_j == 0.1 + 0.2);
    assert_true(cost.final && cost.revision == 1 && cost.method == METHOD_WEIGHTED);
    assert_i64(cost_by_query(f, 1).cost_nusd, 15);
    assert_i64(cost_of(f, 2, &cost), -ENOENT);
}

static void test_unpriced_provisional(void **state)
{
    struct fixture *f = *state;
    const struct usage_cost estimate = {.priced = false};
    add_usage(f, "a", "h", 0, at(0), at(1));
    f->records[0].provisional = &estimate;
    add_usage(f, "b", "h", 0, at(0), at(1));
    put(f);
    struct usage_cost cost = cost_by_query(f, 1);
    assert_i64(cost.seq, nth_seq(f, RECORD_USAGE, 1));
    assert_false(cost.priced);
    assert_i64(cost.cost_nusd, 0);
    assert_i64(cost_by_query(f, 2).seq, 0);
}

static void test_late_stays(void **state)
{
    struct fixture *f = *state;
    struct usage_cost cost;
    add_usage(f, "a", "h", 0, at(0), at(1));
    put(f);
    add_cost(f, 1, 1, 1)->late = true;
    put(f);
    struct usage_cost *again = add_cost(f, 1, 5, 5);
    again->late = false;
    again->revision = 2;
    put(f);
    assert_ok(cost_of(f, 1, &cost), &f->err);
    assert_true(cost.late);
    assert_i64(cost.revision, 2);
    assert_i64(cost.cost_nusd, 10);
    add_cost(f, 1, 1, 1);
    add_cost(f, 1, 2, 2); // of several in one write the last holds
    put(f);
    assert_ok(cost_of(f, 1, &cost), &f->err);
    assert_i64(cost.cost_nusd, 4);
    assert_true(cost.late);
}

static void test_cost_of_nothing(void **state)
{
    struct fixture *f = *state;
    struct usage_cost cost;
    add_cost(f, 1, 1, 1); // there is no such record, and there will be another
    put(f);
    assert_i64(cost_of(f, 1, &cost), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_provisional_then_final),
        ON_ALL(test_unpriced_provisional),
        ON_ALL(test_late_stays),
        ON_ALL(test_cost_of_nothing),
    };
    return fixture_run("costs", tests);
}
