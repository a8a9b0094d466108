// Storing records: every field, duplicates, conflicts, all or nothing.
#include <errno.h>

#include "fixture.h"

enum { HOUR = 3600, DAY = 24 * HOUR };

static struct record *add_full_sample(struct fixture *f, const char *id)
{
    struct record *r = add_sample(f, id, "gpu-01", 3, at(60) + 123456789);
    struct gpu_sample *g = &r->sample;
    g->gpu.instance = 5;
    g->has = 0xff;
    g->utilization = 1.0 / 3;
    g->mem_used_mb = 79999.5;
    g->mem_total_mb = 81559;
    g->power_w = 0;
    g->temperature_c = 71.25;
    g->sm_clock_mhz = 1980;
    g->energy_mj = INT64_C(9007199254740993); // not a double
    g->price_nusd_hour = 2950000001;
    g->name = STR("NVIDIA H100 \"80GB\"");
    g->uuid = STR("GPU-5f0c21aa");
    g->mig_profile = STR("1g.10gb");
    g->source = STR("nvml");
    g->site = STR("");
    r->extra = STR("\"rack\":\"b7\",\"x\":[1,{}]");
    r->position = 41204;
    set_digest(r);
    return r;
}

static struct record *add_full_usage(struct fixture *f, const char *id)
{
    static const int32_t gpus[] = {0, 1, 17, 65535};
    struct record *r = add_usage(f, id, "gpu-01", 0, at(1), at(2) + 1);
    struct usage_record *u = &r->usage;
    u->ttft_ns = 250000001;
    u->has = USAGE_TTFT | USAGE_CACHED | USAGE_REQUESTS;
    u->cached_prompt_tokens = 64;
    u->requests = 12;
    u->tenant = STR("search");
    u->request_id = STR("req-1");
    u->site = STR("fra1");
    u->gpus = gpus;
    u->n_gpus = ARRAY_LEN(gpus);
    r->extra = STR("\"note\":\"Gr\u00fc\u00dfe\"");
    set_digest(r);
    return r;
}

static void check_same(const struct record *got, const struct record *want)
{
    assert_i64(got->kind, want->kind);
    assert_i64(got->seq, want->seq);
    assert_i64(got->shard, want->shard);
    assert_i64(got->position, want->position);
    assert_true(str_eq(got->event_id, want->event_id));
    assert_true(str_eq(got->extra, want->extra));
    assert_i64((int64_t)got->digest, (int64_t)want->digest);
    assert_i64((int64_t)record_digest(got), (int64_t)want->digest); // so every field is the same
}

static void check_stored(struct fixture *f, const struct record *want)
{
    struct record_query q = query(want->kind, RECORDS_BY_SEQ, RECORDS_ALL);
    struct store_cursor *c = NULL;
    struct stored_record got;
    q.from = want->seq;
    q.to = want->seq + 1;
    assert_ok(store_records(f->s, &q, &c, &f->err), &f->err);
    assert_i64(store_records_next(c, &got, &f->err), 1);
    check_same(&got.record, want);
    assert_i64(got.cost.seq, 0);
    assert_i64(store_records_next(c, &got, &f->err), 0);
    store_cursor_close(c);
}

static void test_every_field_survives(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_set_shards(f->s, 8, &f->err), &f->err);
    struct record *records[] = {
        add_full_sample(f, "s-full"),
        add_sample(f, "s-bare", "h", 0, 1),
        add_full_usage(f, "u-full"),
        add_usage(f, "u-bare", NULL, 0, at(0), at(1)),
        add_usage(f, "u-short", "h", 0, at(0) + 1, at(0) + 2),
    };
    records[0]->shard = 7;
    records[1]->sample.has = 0;
    records[3]->usage.site = STR("fra1");
    records[4]->usage.gpu_instance = 2;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        set_digest(records[i]);
    }
    put(f);
    for (int pass = 0; pass < 2; pass++) { // from memory, then from what was written
        for (size_t i = 0; i < ARRAY_LEN(records); i++) {
            check_stored(f, records[i]);
        }
        fixture_reopen(f);
    }
}

static void check_verdict(const struct fixture *f, size_t i, enum store_verdict verdict, int64_t n)
{
    const struct record *r = f->records[i].record;
    assert_i64(f->records[i].verdict, verdict);
    assert_i64(r->seq, nth_seq(f, r->kind, n));
}

static void test_duplicates(void **state)
{
    struct fixture *f = *state;
    add_usage(f, "a", "h", 0, at(0), at(1));
    add_usage(f, "a", "h", 0, at(0), at(1));
    add_sample(f, "a", "h", 0, at(0)); // another kind: another record
    add_usage(f, "b", "h", 0, at(0), at(1));
    put(f);
    check_verdict(f, 0, STORE_NEW, 1);
    check_verdict(f, 1, STORE_DUPLICATE, 1);
    check_verdict(f, 2, STORE_NEW, 1);
    assert_i64(f->records[3].verdict, STORE_NEW);
    assert_true(f->records[3].record->seq > nth_seq(f, RECORD_USAGE, 1));

    fixture_reopen(f);
    add_usage(f, "b", "h", 0, at(0), at(1));
    add_usage(f, "c", "h", 0, at(0), at(1));
    put(f);
    assert_i64(f->records[0].verdict, STORE_DUPLICATE);
    assert_i64(f->records[1].verdict, STORE_NEW);
    assert_string_equal(ids_of(f, f->s, query(RECORD_USAGE, RECORDS_BY_SEQ, RECORDS_ALL)), "a b c");
    assert_i64(info_of(f, f->s).usages, 3);
    assert_i64(info_of(f, f->s).dead_letters, 0);
}

static void test_conflict(void **state)
{
    struct fixture *f = *state;
    add_usage(f, "a", "h", 0, at(0), at(1));
    put(f);
    add_usage(f, "a", "h", 0, at(0), at(2))->position = 7;
    f->records[0].payload = "{\"ts\":2}  ";
    f->records[0].payload_n = strlen("{\"ts\":2}");
    f->records[0].origin = STR("day.ndjson");
    put(f);
    check_verdict(f, 0, STORE_CONFLICT, 1);
    struct dead_letter d = only_letter(f);
    assert_str(d.origin, "day.ndjson");
    assert_i64(d.position, 7);
    assert_str(d.payload, "{\"ts\":2}");
    assert_true(str_starts(d.reason, STR("conflict: ")));
    assert_true(d.at > T0 - 3650 * NS_PER_DAY);
    assert_i64(info_of(f, f->s).dead_letters, 1);
    int64_t longest = info_of(f, f->s).longest_usage_ns; // the first one stays
    assert_true(has_transactions(f) ? longest == NS_PER_S : longest >= NS_PER_S);
}

static void test_conflict_within_a_write(void **state)
{
    struct fixture *f = *state;
    add_sample(f, "a", "h", 0, at(0));
    add_sample(f, "a", "h", 0, at(1));
    put(f);
    check_verdict(f, 0, STORE_NEW, 1);
    check_verdict(f, 1, STORE_CONFLICT, 1);
    struct dead_letter d = only_letter(f);
    assert_str(d.origin, "event_id:a"); // its position counts in no input
    assert_i64(d.position, 0);
    // Nobody kept what was received: the record is written out again.
    assert_str(d.payload, "{\"ts\":\"2026-01-01T00:00:01Z\",\"host\":\"h\",\"gpu_index\":0,"
                          "\"power_w\":431.25,\"event_id\":\"a\"}");
}

static void test_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    add_usage(f, "kept", "h", 0, at(0), at(1));
    put(f);
    char *before = dump_store(f, f->s);

    add_usage(f, "lost", "new-host", 0, at(0), at(1));
    add_sample(f, "lost", "new-host", 1, at(1));
    add_cost(f, 1, 3, 4);
    add_idle(f, 0, at(0), "new-host", 0, 5);
    add_shard(f, 0, at(60));
    add_unsettled(f, 0, at(0), at(60));
    f->letters[f->n_letters++] = (struct dead_letter){.reason = STR("r"), .payload = STR("p")};
    f->positions[f->n_positions++] = (struct input_position){.input = STR("i"), .records = 9};
    add_usage(f, "bad", "h", 0, at(0), at(1))->shard = 1; // there is only shard 0
    assert_i64(try_put(f), -EINVAL);
    assert_text(dump_store(f, f->s), before);
    fixture_reopen(f);
    assert_text(dump_store(f, f->s), before);

    // And what the failed write had made known is not taken for stored.
    add_usage(f, "again", "new-host", 0, at(0), at(1));
    put(f);
    assert_string_equal(ids_of(f, f->s, query(RECORD_USAGE, RECORDS_BY_SEQ, RECORDS_ALL)),
                        "kept again");
}

static void test_bad_writes(void **state)
{
    struct fixture *f = *state;
    add_usage(f, "x", "h", 0, at(0), at(1))->event_id = STR_NONE;
    assert_i64(try_put(f), -EINVAL);
    add_cost(f, 0, 1, 1);
    assert_i64(try_put(f), -EINVAL);
    add_unsettled(f, 0, at(0), at(60));
    assert_i64(try_put(f), -EINVAL);
    add_shard(f, 0, at(60));
    add_unsettled(f, 0, at(60), at(60));
    assert_i64(try_put(f), -EINVAL);
    static const char byte;
    struct str payload = {&byte, (size_t)RECORD_BYTES_MAX + 1};
    f->letters[f->n_letters++] = (struct dead_letter){.reason = STR("r"), .payload = payload};
    assert_i64(try_put(f), -EINVAL);
    put(f); // nothing at all is fine
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_every_field_survives),    ON_ALL(test_duplicates),     ON_ALL(test_conflict),
        ON_ALL(test_conflict_within_a_write), ON_ALL(test_all_or_nothing), ON_ALL(test_bad_writes),
    };
    return fixture_run("records", tests);
}
