#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time.h"
#include "base/uri.h"
#include "output/ledger.h"
#include "output/store_impl.h"

static const struct store_ops *const drivers[] = {
    &store_memory_ops,
    &store_sqlite_ops,
    &store_mongodb_ops,
    &store_mongodb_srv_ops,
};

static const struct store_ops *driver_of(struct str scheme)
{
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
        if (str_eq(scheme, str_of(drivers[i]->scheme))) {
            return drivers[i];
        }
    }
    return NULL;
}

// "scheme://user:***@host": a password stands between the authority's first ':' and its last '@'.
// The options of a URI that only its driver can read may hold others: they are left away.
char *store_plain_name(const struct store_ops *ops, const char *text)
{
    char *plain AUTO_FREE = x_strdup(text);
    char *authority = strstr(plain, "//");
    char *at = authority ? strrchr(authority, '@') : NULL;
    char *options = strchr(at ? at : plain, '?');
    if (options && ops->whole_uri) {
        *options = '\0';
    }
    const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (colon == NULL) {
        return TAKE_PTR(plain);
    }
    return x_asprintf("%.*s:***%s", (int)(colon - plain), plain, at);
}

static int unknown_driver(struct str scheme, struct error *err)
{
    char known[128];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(drivers) && n < sizeof(known); i++) {
        n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s:", i ? ", " : "",
                              drivers[i]->scheme);
    }
    return error_set(err, -EINVAL, STR_FMT ": is not a store; known: %s", STR_ARG(scheme), known);
}

// The driver of a URI that only it can read.
static const struct store_ops *whole_uri_driver(const char *text)
{
    const char *colon = strchr(text, ':');
    const struct store_ops *ops =
        colon ? driver_of((struct str){text, (size_t)(colon - text)}) : NULL;
    return ops && ops->whole_uri ? ops : NULL;
}

static int open_uri(struct arena *a, const char *text, enum store_access access, struct store **ret,
                    struct error *err)
{
    static const char *const no_options[] = {NULL};
    struct uri uri;
    const struct store_ops *ops = whole_uri_driver(text);
    if (ops) {
        return ops->open(str_of(text), access, ret, err);
    }
    int r = uri_parse(a, str_of(text), &uri, err);
    if (r < 0) {
        return r;
    }
    ops = driver_of(uri.scheme);
    if (ops == NULL) {
        return unknown_driver(uri.scheme, err);
    }
    r = uri_options_known(&uri, no_options, err);
    return r < 0 ? r : ops->open(uri.path, access, ret, err);
}

int store_open(const char *text, enum store_access access, struct store **ret, struct error *err)
{
    struct arena a = {0};
    struct store *s = NULL;
    int r = open_uri(&a, text, access, &s, err);
    arena_done(&a);
    if (r < 0) {
        return r;
    }
    s->name = store_plain_name(s->ops, text);
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (s == NULL) {
        return;
    }
    store_release(s);
    char *name = s->name;
    s->ops->close(s);
    free(name);
}

const char *store_name(const struct store *s)
{
    return s->name;
}

static int bad(const struct store *s, struct error *err, const char *what)
{
    return error_set(err, -EINVAL, "%s: %s", s->name, what);
}

static int needs(const struct store *s, enum store_access access, struct error *err)
{
    return s->access >= access
               ? 0
               : error_set(err, -EPERM, "%s: was not opened to write this", s->name);
}

static bool names_shard(const struct store_write *w, uint32_t shard)
{
    for (size_t i = 0; i < w->n_shards; i++) {
        if (w->shards[i].shard == shard) {
            return true;
        }
    }
    return false;
}

static const char *write_fault(const struct store_write *w)
{
    for (size_t i = 0; i < w->n_records; i++) {
        if (!str_present(w->records[i].record->event_id)) {
            return "a record without event_id cannot be stored";
        }
    }
    for (size_t i = 0; i < w->n_costs; i++) {
        if (w->costs[i].seq <= 0) {
            return "a cost without its record's seq cannot be stored";
        }
    }
    for (size_t i = 0; i < w->n_dead_letters; i++) {
        if (w->dead_letters[i].payload.n > RECORD_BYTES_MAX) {
            return "a dead letter of more than 1 MiB cannot be stored";
        }
    }
    for (size_t i = 0; i < w->n_unsettled; i++) {
        const struct unsettled_range *u = &w->unsettled[i];
        if (u->from >= u->to || !names_shard(w, u->shard)) {
            return "an unsettled range is empty, or of a shard whose state is not written";
        }
    }
    return NULL;
}

int store_commit(struct store *s, struct store_write *w, struct error *err)
{
    const char *fault = write_fault(w);
    int r = needs(s, STORE_WRITE, err);
    r = r == 0 && fault ? bad(s, err, fault) : r;
    if (r < 0) {
        return r;
    }
    struct ledger ledger = {0};
    r = ledger_make(&ledger, s, w, clock_wall(&clock_system), err);
    w->corrections = ledger.v;
    w->n_corrections = ledger.n;
    r = r < 0 ? r : s->ops->commit(s, w, err);
    w->corrections = NULL;
    w->n_corrections = 0;
    ledger_done(&ledger);
    return r;
}

int store_corrections(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                      struct error *err)
{
    return s->ops->corrections(s, from, to, -1, ret, err);
}

int store_corrections_next(struct store_cursor *c, struct correction *ret, struct error *err)
{
    int r;
    do {
        r = c->ops->corrections_next(c, ret, err);
    } while (r > 0 && (ret->n == CORRECTION_OPENING || ret->orphan || correction_is_empty(ret)));
    return r;
}

int store_check_copies(struct store *s, int64_t from, int64_t to, store_copy_fn *differs, void *ctx,
                       struct error *err)
{
    return s->ops->check_copies ? s->ops->check_copies(s, from, to, differs, ctx, err) : 0;
}

int store_mend_copies(struct store *s, int64_t from, int64_t to, struct error *err)
{
    int r = needs(s, STORE_WRITE, err);
    return r == 0 && s->ops->mend_copies ? s->ops->mend_copies(s, from, to, err) : r;
}

int store_take_shard(struct store *s, uint32_t shard, enum shard_claim claim,
                     struct shard_hold *ret, struct error *err)
{
    int r = needs(s, STORE_WRITE, err);
    if (r < 0) {
        return r;
    }
    if (s->ops->take_shard) {
        return s->ops->take_shard(s, shard, claim, ret, err);
    }
    *ret = (struct shard_hold){.kept = true};
    return s->ops->shard(s, shard, &ret->state, err);
}

bool store_is_shared(const struct store *s)
{
    return s->ops->take_shard != NULL;
}

int store_alive(struct store *s, struct error *err)
{
    return s->ops->alive ? s->ops->alive(s, err) : 0;
}

int store_set_shards(struct store *s, uint32_t n, struct error *err)
{
    if (n == 0 || n > STORE_SHARDS_MAX) {
        return error_set(err, -EINVAL, "%s: the number of shards must be 1 to %d", s->name,
                         STORE_SHARDS_MAX);
    }
    int r = needs(s, STORE_WRITE, err);
    return r < 0 ? r : s->ops->set_shards(s, n, err);
}

int store_add_settings(struct store *s, const struct settings *e, int64_t added_at,
                       struct error *err)
{
    int r = needs(s, STORE_ADMIN, err);
    r = r < 0 ? r : settings_check(e, err);
    return r < 0 ? r : s->ops->add_settings(s, e, added_at, err);
}

struct shard_state store_no_state(uint32_t shard)
{
    return (struct shard_state){
        .shard = shard,
        .frontier = INT64_MIN,
        .newest = INT64_MIN,
        .oldest_pending = INT64_MAX,
    };
}

int store_check_epoch(const char *name, const struct settings *newest, const struct settings *e,
                      struct error *err)
{
    const char *fault = NULL;
    if (newest == NULL) {
        fault = e->effective_from ? "the first settings must hold from the beginning" : NULL;
    } else if (e->effective_from < newest->effective_from) {
        fault = "settings can only be added after the newest ones";
    } else if (e->effective_from % newest->window_ns != 0) {
        fault = "settings must begin where a window of the previous ones ends";
    }
    return fault ? error_set(err, -EINVAL, "%s: %s", name, fault) : 0;
}

static bool text_fits(struct str s)
{
    return s.n <= RECORD_TEXT_MAX;
}

int store_add_price(struct store *s, const struct price_entry *e, int64_t *ret_id,
                    struct error *err)
{
    if (e->name.n == 0 || !text_fits(e->name) || !text_fits(e->site) || !text_fits(e->source)) {
        return bad(s, err, "a price needs a GPU name, and no text may be longer than 512 bytes");
    }
    if (e->price_nusd_hour < 0 || e->price_nusd_hour > RECORD_PRICE_MAX) {
        return bad(s, err, "a price must be between 0 and 1,000,000 USD per hour");
    }
    if (e->effective_from < 0 || e->effective_from > TIME_MAX) {
        return bad(s, err, "a price must hold from a time between 1970 and 2200");
    }
    int r = needs(s, STORE_ADMIN, err);
    return r < 0 ? r : s->ops->add_price(s, e, ret_id, err);
}

int store_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
                 size_t *ret_removed, struct error *err)
{
    *ret_removed = 0;
    int r = needs(s, STORE_WRITE, err);
    return r < 0 || limit == 0 ? r : s->ops->expire(s, c, before, limit, ret_removed, err);
}

int store_hold(struct store *s, struct error *err)
{
    assert(!s->held);
    if (s->access != STORE_READ) {
        return 0;
    }
    int r = s->ops->hold(s, err);
    s->held = r == 0;
    return r;
}

void store_release(struct store *s)
{
    if (s->held) {
        s->ops->release(s);
        s->held = false;
    }
}

int store_info(struct store *s, struct store_info *ret, struct error *err)
{
    return s->ops->info(s, ret, err);
}

int store_settings(struct store *s, struct arena *a, struct settings_history *ret,
                   struct error *err)
{
    return s->ops->settings(s, a, ret, err);
}

int store_prices(struct store *s, struct arena *a, struct price_book *ret, struct error *err)
{
    return s->ops->prices(s, a, ret, err);
}

int store_position(struct store *s, struct str input, struct input_position *ret, struct error *err)
{
    return s->ops->position(s, input, ret, err);
}

int store_shard(struct store *s, uint32_t shard, struct shard_state *ret, struct error *err)
{
    return s->ops->shard(s, shard, ret, err);
}

int store_unsettled(struct store *s, struct arena *a, struct unsettled_range **ret, size_t *ret_n,
                    struct error *err)
{
    return s->ops->unsettled(s, a, ret, ret_n, err);
}

int store_gpus(struct store *s, struct arena *a, struct gpu_info **ret, size_t *ret_n,
               struct error *err)
{
    return s->ops->gpus(s, a, ret, ret_n, err);
}

static bool match_fits(const struct store_match *m)
{
    return m == NULL || (m->models.n <= STORE_MATCH_MAX && m->tenants.n <= STORE_MATCH_MAX);
}

static int too_many(const struct store *s, struct error *err)
{
    return bad(s, err, "more than 100 models or tenants at once cannot be asked for");
}

int store_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
                  struct error *err)
{
    if (q->kind == RECORD_SAMPLE && q->filter != RECORDS_ALL) {
        return bad(s, err, "samples cannot be filtered: they have no cost");
    }
    if (q->kind == RECORD_SAMPLE && q->match != NULL) {
        return bad(s, err, "samples are nobody's: they cannot be asked for by model or tenant");
    }
    return match_fits(q->match) ? s->ops->records(s, q, ret, err) : too_many(s, err);
}

int store_records_next(struct store_cursor *c, struct stored_record *ret, struct error *err)
{
    return c->ops->records_next(c, ret, err);
}

int store_no_record(const struct store *s, enum record_kind kind, struct str event_id,
                    struct error *err)
{
    return error_set(err, -ENOENT, "%s: there is no %s with the event_id " STR_FMT, s->name,
                     kind == RECORD_USAGE ? "request" : "sample", STR_ARG(event_id));
}

int store_find_record(struct store *s, enum record_kind kind, struct str event_id, struct arena *a,
                      struct stored_record *ret, struct error *err)
{
    return s->ops->record(s, kind, event_id, a, ret, err);
}

int store_cost(struct store *s, int64_t seq, struct usage_cost *ret, struct error *err)
{
    return s->ops->cost(s, seq, ret, err);
}

int store_windows(struct store *s, const struct window_query *q, struct store_cursor **ret,
                  struct error *err)
{
    return s->ops->windows(s, q, NULL, ret, err);
}

int store_windows_of(struct store *s, const struct window_query *q, const struct store_match *m,
                     struct store_cursor **ret, struct error *err)
{
    return match_fits(m) ? s->ops->windows(s, q, m, ret, err) : too_many(s, err);
}

int store_windows_next(struct store_cursor *c, struct window_row *ret, struct error *err)
{
    return c->ops->windows_next(c, ret, err);
}

int store_dead_letters(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                       struct error *err)
{
    return s->ops->dead_letters(s, from, to, ret, err);
}

int store_dead_letters_next(struct store_cursor *c, struct dead_letter *ret, struct error *err)
{
    return c->ops->dead_letters_next(c, ret, err);
}

void store_cursor_close(struct store_cursor *c)
{
    if (c) {
        c->ops->cursor_close(c);
    }
}
