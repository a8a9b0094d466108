// `verify` and `recompute`: the whole of a store, or a range, derived once more.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/time.h"
#include "pipeline/audit_sums.h"
#include "pipeline/claim.h"
#include "pipeline/rederive.h"
#include "pipeline/reroll.h"
#include "pipeline/settle.h"

struct audit {
    const struct rederive_config *c;
    struct rederive_result *result;
    struct store *store;
    struct store_info info;
    struct arena told;
    struct settings_history settings;
    struct price_book prices;
    struct outbox *outbox;  // NULL: nothing is written
    bool ledger;            // to be looked at
    struct rerolls rerolls; // of who writes
    size_t reported;
    struct gpu_key *gpus; // seen so far, canonical order
    size_t n_gpus, cap_gpus;
    struct arena gpu_texts;
    int64_t from, to; // of the shard at hand
    int64_t first;    // the first window of it that holds anything, derived or stored
    int64_t settled;  // what ends by then is settled there; INT64_MAX when rows are replaced anyway
    uint64_t records;
};

// ---- reporting differences -----------------------------------------------------------------

static void report(struct audit *a, const struct difference *d)
{
    a->result->rows_different++;
    if (a->c->difference && a->reported++ < a->c->max_differences) {
        a->c->difference(a->c->ctx, d);
    }
}

static void compare_rows(struct audit *a, const struct derive_window *w)
{
    size_t i = 0, j = 0;
    while (i < w->n_derived || j < w->n_stored) {
        const struct window_row *derived = i < w->n_derived ? &w->derived[i] : NULL;
        const struct window_row *stored = j < w->n_stored ? &w->stored[j] : NULL;
        int c = !derived ? 1 : !stored ? -1 : window_row_cmp(derived, stored);
        i += c <= 0;
        j += c >= 0;
        if (c == 0 && stored->final && window_row_same(derived, stored)) {
            a->result->rows_equal++;
            continue;
        }
        report(a, &(struct difference){.stored = c >= 0 ? stored : NULL,
                                       .derived = c <= 0 ? derived : NULL,
                                       .level = "window"});
    }
}

// ---- adding up -----------------------------------------------------------------------------

static void note_gpu(struct audit *a, const struct gpu_key *key)
{
    size_t at = 0, end = a->n_gpus;
    while (at < end) {
        size_t middle = at + (end - at) / 2;
        int c = gpu_key_cmp(key, &a->gpus[middle]);
        if (c == 0) {
            return;
        }
        if (c < 0) {
            end = middle;
        } else {
            at = middle + 1;
        }
    }
    ARRAY_RESERVE(a->gpus, a->n_gpus, a->cap_gpus);
    memmove(&a->gpus[at + 1], &a->gpus[at], (a->n_gpus - at) * sizeof(a->gpus[0]));
    a->gpus[at] = *key;
    a->gpus[at].host = arena_copy(&a->gpu_texts, key->host);
    a->n_gpus++;
}

static void add_up(struct audit *a, const struct window_row *row)
{
    struct rederive_result *r = a->result;
    switch (row->kind) {
    case ROW_USAGE:
        r->requests_nusd += row->cost_nusd;
        break;
    case ROW_IDLE:
        r->idle_nusd += row->cost_nusd;
        break;
    case ROW_UNATTRIBUTED:
        r->unattributed_nusd += row->cost_nusd;
        break;
    case ROW_UNPLACED:
        r->unplaced_requests += (uint64_t)row->requests;
        break;
    }
    r->requests += (uint64_t)row->requests;
    r->unpriced_requests += (uint64_t)row->unpriced_requests;
    r->unpriced_ns += row->unpriced_ns;
    if (row->kind != ROW_UNPLACED) {
        note_gpu(a, &row->gpu);
    }
}

// ---- the visitor ---------------------------------------------------------------------------

static void on_window(void *ctx, const struct derive_window *w)
{
    struct audit *a = ctx;
    a->result->windows += w->n_derived > 0;
    if (w->n_derived + w->n_stored > 0) {
        a->first = MIN(a->first, w->start);
    }
    a->result->bill_nusd += w->bill_nusd;
    for (size_t i = 0; i < w->n_derived; i++) {
        add_up(a, &w->derived[i]);
    }
    compare_rows(a, w);
    if (a->outbox) {
        settle_window(a->outbox, w);
    }
}

static void on_cost(void *ctx, const struct usage_cost *derived, const struct usage_cost *stored)
{
    struct audit *a = ctx;
    a->records++;
    if (derived->ts > a->settled) {
        return;
    }
    if (stored->final && usage_cost_same(derived, stored)) {
        a->result->rows_equal++;
        return;
    }
    report(a, &(struct difference){.stored_cost = stored->final ? stored : NULL,
                                   .derived_cost = derived,
                                   .level = "request"});
    if (a->outbox) {
        settle_cost(a->outbox, derived, stored);
    }
}

static void on_progress(void *ctx, int64_t done)
{
    struct audit *a = ctx;
    struct rederive_progress p = {MIN(done, a->to), a->from, a->to, a->records};
    if (a->c->progress) {
        a->c->progress(a->c->ctx, &p);
    }
}

// ---- hours and days ------------------------------------------------------------------------

static int each_row(struct audit *a, const struct window_query *q,
                    int (*f)(struct audit *a, const struct window_row *row, void *ctx), void *ctx,
                    struct error *err)
{
    struct store_cursor *cursor = NULL;
    struct window_row row;
    int r = store_windows(a->store, q, &cursor, err);
    while (r >= 0 && (r = store_windows_next(cursor, &row, err)) > 0) {
        int failed = f(a, &row, ctx);
        if (failed < 0) {
            r = failed;
            break;
        }
    }
    store_cursor_close(cursor);
    return r;
}

static int add_to_sums(struct audit *a, const struct window_row *row, void *ctx)
{
    (void)a;
    if (row->final) {
        audit_sum(ctx, row);
    }
    return 0;
}

struct rollup_check {
    struct audit_sums *sums;
    const char *level;
};

static int check_row(struct audit *a, const struct window_row *row, void *ctx)
{
    struct rollup_check *check = ctx;
    bool found;
    size_t i = audit_find_sum(check->sums, row, &found);
    if (!found) {
        report(a, &(struct difference){.stored = row, .level = check->level});
        return 0;
    }
    struct window_row *sum = &check->sums->rows[i];
    sum->window_start = row->window_start;     // found: what is left without is missing
    if (row->final && ledger_same(sum, row)) { // of all that is summed
        a->result->rows_equal++;
    } else {
        sum->final = true;
        sum->site = row->site; // this and the rest is not compared
        sum->method = row->method;
        sum->has_energy = row->has_energy;
        sum->energy_j = row->energy_j;
        report(a, &(struct difference){.stored = row, .derived = sum, .level = check->level});
    }
    return 0;
}

static void report_missing(struct audit *a, struct rollup_check *check, int64_t start)
{
    for (size_t i = 0; i < check->sums->n; i++) {
        struct window_row *sum = &check->sums->rows[i];
        if (sum->window_start == start) {
            continue;
        }
        sum->window_start = start;
        report(a, &(struct difference){.derived = sum, .level = check->level});
    }
}

// One hour or day of a shard against the windows it is the sum of; who writes has it summed up
// again.
static int audit_rollup(struct audit *a, enum window_level level, uint32_t shard, int64_t start,
                        int64_t length, struct error *err)
{
    struct audit_sums sums = {0};
    struct rollup_check check = {&sums, level == LEVEL_HOUR ? "hour" : "day"};
    struct window_query windows = {LEVEL_WINDOW, start, start + length, shard};
    struct window_query rolled = {level, start, start + 1, shard};
    uint64_t before = a->result->rows_different;
    int r = each_row(a, &windows, add_to_sums, &sums, err);
    for (size_t i = 0; i < sums.n; i++) {
        sums.rows[i].window_start = INT64_MIN;
    }
    if (r == 0) {
        r = each_row(a, &rolled, check_row, &check, err);
    }
    if (r == 0) {
        report_missing(a, &check, start);
    }
    audit_sums_done(&sums);
    bool mend = r == 0 && a->outbox && a->result->rows_different > before;
    return mend ? roll_up_again(a->store, shard, start, start + length, err) : r;
}

// The hour or day to begin with: the one that the range begins in, where that is cut short by
// nothing but the store's own beginning.
static int64_t first_rollup(const struct audit *a, int64_t length)
{
    int64_t at = time_floor(a->from, length);
    bool whole = at == a->from || (at >= a->c->from && at >= a->info.windows_from);
    return whole ? at : at + length;
}

static int audit_rollups(struct audit *a, uint32_t shard, struct error *err)
{
    static const struct {
        enum window_level level;
        int64_t length;
    } levels[] = {{LEVEL_HOUR, NS_PER_HOUR}, {LEVEL_DAY, NS_PER_DAY}};
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        int64_t length = levels[i].length;
        int64_t at = first_rollup(a, length);
        for (; at + length <= a->to && r == 0; at += length) {
            r = audit_rollup(a, levels[i].level, shard, at, length, err);
        }
    }
    return r;
}

// ---- rows of hours and days that are kept twice ------------------------------------------------

static void check_copy(void *ctx, const struct store_copy *copy)
{
    struct audit *a = ctx;
    a->result->packs_different++;
    if (a->outbox) {
        rerolls_add(&a->rerolls, copy);
    }
    if (a->c->difference && a->reported++ < a->c->max_differences) {
        const char *level = copy->level == LEVEL_HOUR ? "packed hour" : "packed day";
        a->c->difference(a->c->ctx, &(struct difference){.copy = copy, .level = level});
    }
}

// By who writes before he does: rows that are replaced take their copies with them.
static int audit_copies(struct audit *a, struct error *err)
{
    bool asked = a->c->n_also == 0; // else it is about prices
    return asked ? store_check_copies(a->store, a->c->from, a->c->to, check_copy, a, err) : 0;
}

// ---- the ledger of corrections -------------------------------------------------------------

static void check_corrected(void *ctx, const struct ledger_row *row)
{
    struct audit *a = ctx;
    if (row->told && ledger_same(row->told, row->stored)) {
        a->result->ledger_equal++;
        return;
    }
    a->result->ledger_different++;
    if (a->c->difference && a->reported++ < a->c->max_differences) {
        a->c->difference(a->c->ctx, &(struct difference){.ledger = row, .level = "ledger"});
    }
}

// Wherever windows are there and settled, whether or not raw records are: what it says of rows is
// compared with these alone. Hours that lack windows are left out: see output/corrections.h.
static int audit_ledger(struct audit *a, const struct shard_state *state, struct error *err)
{
    int64_t from = a->info.windows_from;
    from = from == INT64_MIN ? from : time_ceil(from, NS_PER_HOUR);
    from = MAX(from, a->c->from);
    int64_t to = MIN(a->c->to, state->frontier);
    to = MIN(to, a->settled);
    if (!a->ledger || from >= to) {
        return 0;
    }
    return store_each_corrected(a->store, from, to, state->shard, check_corrected, a, err);
}

// ---- shards and slices ---------------------------------------------------------------------

static int write_slice(struct audit *a, struct error *err)
{
    AUTO_FREE struct window_rows *windows = x_array(a->outbox->n_windows + 1, sizeof(*windows));
    struct store_write write = {0};
    outbox_fill(a->outbox, windows, &write);
    int r = write.n_windows + write.n_costs > 0 ? store_commit(a->store, &write, err) : 0;
    outbox_clear(a->outbox);
    return r < 0 ? r : store_alive(a->store, err);
}

static int audit_slice(struct audit *a, const struct derive_config *range, struct error *err)
{
    struct derivation *keep = NULL;
    if (a->outbox) {
        a->outbox->shard = range->shard;
    }
    int r = derive(range, &keep, err);
    if (r == 0 && a->outbox) {
        r = write_slice(a, err);
    }
    derivation_free(keep);
    return r;
}

// How far evidence reaches, and the whole window that it reaches into.
static int64_t longest_reach(const struct settings_history *h)
{
    int64_t reach = 0;
    for (size_t i = 0; i < h->n; i++) {
        reach = MAX(reach, h->epochs[i].gpu_timeout_ns + h->epochs[i].window_ns);
    }
    return reach;
}

// The part of the range asked for that is final and settled in this shard, whose windows are all
// there, and the raw records that they follow from: those a reach before the requests that run at
// its beginning.
static void cut_range(struct audit *a, const struct shard_state *state)
{
    int64_t first = MAX(a->info.first - a->info.longest_usage_ns, 0);
    if (a->info.raw_from != INT64_MIN) {
        int64_t before = a->info.longest_usage_ns + longest_reach(&a->settings);
        first = MAX(first, a->info.raw_from + before);
    }
    first = MAX(first, a->info.windows_from);
    a->from = MAX(a->c->from, first);
    a->to = MIN(a->c->to, state->frontier);
    if (a->from >= a->to) {
        return;
    }
    int64_t length = settings_at(&a->settings, a->from)->window_ns;
    bool expired = a->info.raw_from != INT64_MIN || a->info.windows_from != INT64_MIN;
    a->from = expired ? time_ceil(a->from, length) : time_floor(a->from, length);
    a->to = time_ceil(a->to, settings_at(&a->settings, a->to - 1)->window_ns);
    a->to = MIN(a->to, state->frontier);
    if (a->settled < a->to) {
        a->to = time_floor(a->settled, settings_at(&a->settings, a->settled)->window_ns);
    }
}

// What is stored and not taken in by the engine yet may be late: it changes what is a reach before
// it and later.
static int find_unseen(struct audit *a, const struct shard_state *state, enum record_kind kind,
                       int64_t seen, struct error *err)
{
    struct record_query q = {.kind = kind,
                             .order = RECORDS_BY_SEQ,
                             .from = seen + 1,
                             .to = INT64_MAX,
                             .shard = state->shard};
    struct store_cursor *cursor = NULL;
    struct stored_record row;
    int r = store_records(a->store, &q, &cursor, err);
    while (r >= 0 && (r = store_records_next(cursor, &row, err)) > 0) {
        const struct record *record = &row.record;
        int64_t begin = kind == RECORD_USAGE ? usage_start(&record->usage) : record->sample.ts;
        if (begin < state->frontier) {
            a->settled = MIN(a->settled, begin - longest_reach(&a->settings));
        }
    }
    store_cursor_close(cursor);
    return r;
}

// A writer beside us, or one that was killed, settles late records some time after it stored them:
// until then rows from there on follow from other records than are stored.
static int find_settled(struct audit *a, const struct shard_state *state, struct error *err)
{
    struct unsettled_range *ranges = NULL;
    size_t n = 0;
    a->settled = INT64_MAX;
    if (a->outbox) {
        return 0;
    }
    int r = store_unsettled(a->store, &a->told, &ranges, &n, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        if (ranges[i].shard == state->shard) {
            a->settled = MIN(a->settled, ranges[i].from);
        }
    }
    if (r == 0) {
        r = find_unseen(a, state, RECORD_SAMPLE, state->samples_seen, err);
    }
    return r < 0 ? r : find_unseen(a, state, RECORD_USAGE, state->usage_seen, err);
}

// Whoever writes owns what he writes.
static int find_state(struct audit *a, uint32_t shard, struct shard_state *ret, struct error *err)
{
    if (!a->outbox) {
        return store_shard(a->store, shard, ret, err);
    }
    const struct run_config config = {.env = {.clock = &clock_system, .stop_fd = -1}};
    struct patience patience;
    patience_init(&patience, &config);
    struct claimant c = {.store = a->store, .patience = &patience};
    struct shard_hold hold;
    int r = claim_shard(&c, shard, &hold, err);
    patience_done(&patience);
    if (r == 0) {
        *ret = hold.state;
    }
    return r;
}

// A range that begins before all that is stored shows where its windows begin.
static void note_range(struct audit *a)
{
    bool open = a->c->from < a->from && a->first != INT64_MAX;
    a->result->from = MIN(a->result->from, open ? a->first : a->from);
    a->result->to = MAX(a->result->to, a->to);
}

static int audit_shard(struct audit *a, uint32_t shard, struct error *err)
{
    struct shard_state state;
    int r = find_state(a, shard, &state, err);
    if (r == 0) {
        r = find_settled(a, &state, err);
    }
    r = r < 0 ? r : audit_ledger(a, &state, err);
    if (r < 0) {
        return r;
    }
    cut_range(a, &state);
    if (state.frontier == INT64_MIN || a->from >= a->to) {
        return 0;
    }
    a->first = INT64_MAX;
    struct derive_config range = {
        .store = a->store,
        .settings = &a->settings,
        .prices = &a->prices,
        .shard = shard,
        .frontier = state.frontier,
        .visitor = {.window = on_window, .cost = on_cost, .progress = on_progress, .ctx = a},
    };
    int64_t slice =
        a->outbox ? settle_slice(&a->info, settings_at(&a->settings, a->from)) : INT64_MAX / 4;
    slice = MAX(slice, NS_PER_HOUR);
    for (int64_t at = a->from; at < a->to && r == 0; at = range.to) {
        range.from = at;
        range.to = MIN(a->to, time_floor(at, NS_PER_HOUR) + slice);
        r = audit_slice(a, &range, err);
    }
    note_range(a);
    return r < 0 ? r : audit_rollups(a, shard, err);
}

static void add_prices(struct audit *a)
{
    const struct price_book *book = &a->prices;
    size_t n = book->n + a->c->n_also;
    struct price_entry *all = arena_alloc(&a->told, n * sizeof(*all));
    int64_t last = 0;
    for (size_t i = 0; i < book->n; i++) {
        all[i] = book->entries[i];
        last = MAX(last, all[i].id);
    }
    for (size_t i = 0; i < a->c->n_also; i++) {
        all[book->n + i] = a->c->also[i];
        all[book->n + i].id = ++last;
    }
    a->prices = (struct price_book){all, n};
}

static int audit_all(struct audit *a, struct error *err)
{
    int r = store_hold(a->store, err); // what is compared belongs together while others write
    if (r == 0) {
        r = store_info(a->store, &a->info, err);
    }
    if (r == 0) {
        r = store_settings(a->store, &a->told, &a->settings, err);
    }
    if (r == 0) {
        r = store_prices(a->store, &a->told, &a->prices, err);
    }
    if (r == 0 && a->c->n_also > 0) {
        add_prices(a);
    }
    r = r < 0 || !a->outbox ? r : audit_copies(a, err);
    bool any = a->settings.n > 0 && a->info.last != INT64_MIN; // raw records, to derive from
    for (uint32_t i = 0; any && i < a->info.n_shards && r == 0; i++) {
        r = audit_shard(a, i, err);
    }
    if (r < 0 || !a->outbox) {
        return r < 0 ? r : audit_copies(a, err);
    }
    r = rerolls_run(&a->rerolls, a->store, err);
    return r < 0 ? r : store_mend_copies(a->store, a->c->from, a->c->to, err);
}

static int audit(struct audit *a, enum store_access access, struct error *err)
{
    struct rederive_result *ret = a->result;
    *ret = (struct rederive_result){.from = INT64_MAX, .to = INT64_MIN};
    int r = store_open(a->c->store, access, &a->store, err);
    if (r == 0) {
        r = audit_all(a, err);
    }
    ret->gpus = a->n_gpus;
    if (ret->from > ret->to) {
        ret->from = ret->to = 0;
    }
    store_close(a->store);
    rerolls_done(&a->rerolls);
    free(a->gpus);
    arena_done(&a->gpu_texts);
    arena_done(&a->told);
    return r;
}

int verify_store(const struct rederive_config *c, struct rederive_result *ret, struct error *err)
{
    struct audit a = {.c = c, .result = ret, .ledger = true};
    return audit(&a, STORE_READ, err);
}

int recompute_store(const struct rederive_config *c, bool dry_run, struct rederive_result *ret,
                    struct error *err)
{
    struct outbox outbox = {0};
    if (!dry_run && c->n_also > 0) {
        return error_set(err, -EINVAL, "prices must be in the book before costs follow from them");
    }
    struct audit a = {.c = c, .result = ret, .outbox = dry_run ? NULL : &outbox};
    int r = audit(&a, dry_run ? STORE_READ : STORE_WRITE, err);
    outbox_done(&outbox);
    return r;
}
