// A commit: a sequence of writes, each durable before the next one is sent. A crash may cut it
// short anywhere; what is there then is right, and the same commit repeated comes to the same.
//
//   longest_usage_ns, if it grows   a bound that readers search by: it must hold at any time
//   raw records, dead letters, GPUs, positions
//   entries of the ledger of corrections (unsure)
//   windows, costs, hours and days; then those entries are sure
//   states of shards, with everything else that is said of a shard
#include <errno.h>

#include "output/mongo/driver.h"

struct mg_bounds mg_no_bounds(void)
{
    return (struct mg_bounds){
        .first = {INT64_MAX, INT64_MAX},
        .last = {INT64_MIN, INT64_MIN},
        .raw_from = INT64_MIN,
        .windows_from = INT64_MIN,
    };
}

static int check_shard(struct mg_store *s, uint32_t shard, struct error *err)
{
    return shard < STORE_SHARDS_MAX
               ? 0
               : error_set(err, -EINVAL, "%s: there is no shard %u", s->conn.name, (unsigned)shard);
}

// Before anything is written.
static int check(struct mg_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < w->n_records; i++) {
        if (w->records[i].record->shard >= s->n_shards) {
            return error_set(err, -EINVAL, "%s: a record is of shard %u, but there are only %u",
                             s->conn.name, w->records[i].record->shard, (unsigned)s->n_shards);
        }
    }
    for (size_t i = 0; r == 0 && i < w->n_windows; i++) {
        r = check_shard(s, w->windows[i].shard, err);
    }
    for (size_t i = 0; r == 0 && i < w->n_shards; i++) {
        r = check_shard(s, w->shards[i].shard, err);
    }
    return r;
}

static int touch(struct mg_store *s, uint32_t shard, struct error *err)
{
    struct mg_shard *own = mg_shard(s->writer, shard);
    if (own->touched) {
        return 0;
    }
    own->touched = true;
    own->news = mg_no_bounds();
    return mg_claim(s, shard, err);
}

static int touch_all(struct mg_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (uint32_t i = 0; i < s->writer->shards_end; i++) {
        if (s->writer->shards[i]) {
            s->writer->shards[i]->touched = false;
        }
    }
    for (size_t i = 0; r == 0 && i < w->n_records; i++) {
        r = touch(s, w->records[i].record->shard, err);
    }
    for (size_t i = 0; r == 0 && i < w->n_windows; i++) {
        r = touch(s, w->windows[i].shard, err);
    }
    for (size_t i = 0; r == 0 && i < w->n_costs; i++) {
        r = touch(s, mg_seq_shard(w->costs[i].seq), err);
    }
    for (size_t i = 0; r == 0 && i < w->n_shards; i++) {
        r = touch(s, w->shards[i].shard, err);
    }
    return r;
}

// Windows and costs are written without a look at the epoch, which another process may have taken
// long ago if this one stood still. What still slips through is found by that process's audit.
static int check_owned(struct mg_store *s, const struct store_write *w, struct error *err)
{
    enum { FRESH_S = 2 };
    int64_t age = clock_mono(&clock_system).ns - s->writer->checked.ns;
    bool computed = w->n_windows + w->n_costs + w->n_shards > 0;
    return computed && age > FRESH_S * NS_PER_S ? mg_find_lost(s, err) : 0;
}

static int put_letters(struct mg_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_dead_letters; i++) {
        r = mg_put_letter(s, &w->dead_letters[i], err);
    }
    return r < 0 ? r : mg_flush_letters(s, err);
}

static int put_all(struct mg_store *s, struct store_write *w, struct error *err)
{
    int r = mg_put_longest(s, w, err);
    r = r < 0 ? r : mg_put_records(s, w, err);
    r = r < 0 ? r : put_letters(s, w, err);
    r = r < 0 ? r : mg_put_gpus(s, w, err);
    r = r < 0 ? r : mg_put_positions(s, w, err);
    r = r < 0 ? r : check_owned(s, w, err);
    r = r < 0 ? r : mg_put_corrections(s, w, err);
    r = r < 0 ? r : mg_put_windows(s, w, err);
    r = r < 0 ? r : mg_put_costs(s, w, err);
    r = r < 0 ? r : mg_roll_up(s, w, err);
    r = r < 0 ? r : mg_confirm_corrections(s, w, err);
    return r < 0 ? r : mg_put_states(s, w, err);
}

// After a failure nobody knows what was written.
static void forget(struct mg_store *s)
{
    struct mg_writer *w = s->writer;
    for (uint32_t i = 0; i < s->writer->shards_end; i++) {
        if (w->shards[i] && w->shards[i]->touched) {
            mg_windows_forget(w->shards[i]);
        }
    }
    mg_batch_clear(&w->inserts);
    mg_batch_clear(&w->updates);
    mg_batch_clear(&w->deletes);
    mg_batch_clear(&w->letters);
}

int mg_commit(struct store *base, struct store_write *w, struct error *err)
{
    struct mg_store *s = mg_of(base);
    int r = check(s, w, err);
    r = r < 0 ? r : touch_all(s, w, err);
    r = r < 0 ? r : put_all(s, w, err);
    if (r < 0) {
        forget(s);
        mg_unjudge(w);
    }
    return r;
}
