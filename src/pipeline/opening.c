// How a meter comes to be what the store says, and goes.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time.h"
#include "cost/provisional.h"
#include "pipeline/meter.h"

enum { INBOX_SPARE = 16 }; // parcels without a source are few: one for computed rows at a time
#define DEFAULT_COMMIT_NS (200 * NS_PER_MS)

void meter_tell(const struct meter *m, const char *text)
{
    if (m->config->notice) {
        m->config->notice(m->config->ctx, text);
    }
}

// New settings hold from the end of what is stored, on bounds that suit both window lengths.
static int64_t settings_due(const struct store_info *info, const struct settings *old,
                            const struct settings *new)
{
    if (info->last == INT64_MIN) {
        return 0;
    }
    int64_t step = old->window_ns == new->window_ns ? new->window_ns : NS_PER_HOUR;
    return time_ceil(info->last + 1, step);
}

static int add_settings(struct meter *m, const struct store_info *info, struct error *err)
{
    const struct settings *old = m->settings.n ? &m->settings.epochs[m->settings.n - 1] : NULL;
    struct settings new = old ? *old : settings_default;
    settings_take(&new, &m->config->settings, m->config->settings_given);
    if (settings_check(&new, err) < 0) {
        return error_prefix(err, "the settings given and those of the store do not go together");
    }
    if (old && settings_same(old, &new)) {
        return 0;
    }
    new.effective_from = old ? settings_due(info, old, &new) : 0;
    if (old && new.effective_from < old->effective_from) {
        new.effective_from = old->effective_from;
    }
    int r = store_add_settings(m->store, &new, clock_wall(m->config->env.clock), err);
    if (r < 0) {
        return r;
    }
    if (old && new.effective_from > 0) {
        struct buf b;
        buf_init(&b, 512);
        buf_cstr(&b, "the settings differ from the store's: the new ones hold from ");
        time_format_iso(&b, new.effective_from);
        buf_cstr(&b, " on, earlier time keeps the old ones");
        meter_tell(m, b.p);
        buf_done(&b);
    }
    return store_settings(m->store, &m->told, &m->settings, err);
}

static void tell_migration(const struct meter *m, const struct store_info *info)
{
    char text[96];
    if (info->migrated_from < 0) {
        return;
    }
    snprintf(text, sizeof(text), "the store was brought from schema %d to schema %d",
             info->migrated_from, info->schema_version);
    meter_tell(m, text);
}

static int load_settings(struct meter *m, struct error *err)
{
    struct store_info info;
    int r = store_info(m->store, &info, err);
    if (r == 0) {
        tell_migration(m, &info);
        r = store_settings(m->store, &m->told, &m->settings, err);
    }
    if (r == 0) {
        r = add_settings(m, &info, err);
    }
    if (r == 0) {
        r = store_prices(m->store, &m->told, &m->prices, err);
    }
    return r;
}

// Each keeps its place under its name, and answers for it.
static int refuse_twice(const struct meter *m, const struct source *s, struct error *err)
{
    const char *name = input_info(s->input)->name;
    for (size_t i = 0; i < m->n_sources; i++) {
        if (strcmp(input_info(m->sources[i].input)->name, name) == 0) {
            return error_set(err, -EINVAL,
                             "%s: is given twice, and what was read of it is kept under that name: "
                             "give it once",
                             name);
        }
    }
    return 0;
}

static int open_sources(struct meter *m, struct error *err)
{
    const struct run_config *c = m->config;
    m->sources = x_array(c->n_inputs, sizeof(m->sources[0]));
    m->states = x_array(c->n_inputs, sizeof(m->states[0]));
    for (; m->n_sources < c->n_inputs; m->n_sources++) {
        struct source *s = &m->sources[m->n_sources];
        int r = source_open(s, c->inputs[m->n_sources], &c->env, m->inbox, err);
        if (r == 0) {
            r = refuse_twice(m, s, err);
        }
        if (r < 0) {
            source_close(s);
            return r;
        }
    }
    return 0;
}

// Takes an input up where an earlier run left it.
static int resume_source(struct meter *m, struct source *s, struct error *err)
{
    const struct input_info *info = input_info(s->input);
    struct input_position at;
    if (info->keeps_position) {
        return 0;
    }
    int r;
    do {
        r = store_position(m->store, str_of(info->name), &at, err);
    } while (r < 0 && r != -ENOENT && meter_again(m));
    if (r == -ENOENT) {
        return 0;
    }
    if (r < 0) {
        return r;
    }
    if (at.fingerprint == 0 && info->fingerprint == 0) {
        return 0; // a pipe, say: what it gives now is not what it gave then
    }
    if (at.fingerprint != info->fingerprint) {
        AUTO_FREE char *text =
            x_asprintf("%s begins differently than it did: read from the start", info->name);
        meter_tell(m, text);
        return 0;
    }
    r = input_seek(s->input, at.records, at.offset, err);
    if (r == 0 && at.records > 0) {
        s->done = info->total_is_bytes ? MAX(at.offset, 0) : at.records;
    }
    if (r == 0 && at.records > 0 && info->fingerprint) { // a live one begins where it is now
        AUTO_FREE char *text =
            x_asprintf("%s: going on behind record %" PRId64, info->name, at.records);
        meter_tell(m, text);
    }
    return r;
}

int meter_open(struct meter *m, const struct run_config *c, struct store *store, struct error *err)
{
    *m = (struct meter){.config = c, .store = store, .advanced_to = INT64_MIN};
    m->progress.newest = m->progress.frontier = INT64_MIN;
    m->inbox = queue_new(c->n_inputs * SOURCE_PARCELS + INBOX_SPARE);
    m->provisional = provisional_new();
    m->preview_due = true;
    patience_init(&m->patience, c);
    gauges_init(&m->gauges);
    m->since = gauges_now();
    attempts_init(&m->attempts, (uint64_t)m->since.ns + 1);
    m->now = m->listened = clock_mono(c->env.clock);
    m->last_states = m->last_alive = m->last_look = m->now;
    m->last_progress = m->last_preview = m->last_settled = m->last_wish = m->now;
    m->last_sent.ns = m->now.ns - meter_commit_interval(m); // the first record is stored at once
    int r;
    do {
        r = load_settings(m, &m->err);
    } while (r < 0 && meter_again(m));
    if (r == 0) {
        r = open_sources(m, &m->err);
    }
    if (r == 0) {
        r = shards_open(m);
    }
    for (size_t i = 0; i < m->n_sources && r == 0; i++) {
        r = resume_source(m, &m->sources[i], &m->err);
    }
    m->open = r == 0;
    if (r < 0) {
        *err = m->err;
        err->code = r;
    }
    return r;
}

void meter_close(struct meter *m)
{
    writer_stop(m->writer);
    queue_close(m->inbox);
    struct parcel *p;
    while ((p = queue_pop(m->inbox, 0))) {
        parcel_free(p->source ? NULL : p); // a source's parcels are the source's
    }
    for (size_t i = 0; i < m->n_sources; i++) {
        source_close(&m->sources[i]);
    }
    queue_free(m->inbox);
    shards_close(m);
    free(m->sources);
    free(m->states);
    provisional_free(m->provisional);
    outbox_done(&m->outbox);
    arena_done(&m->told);
    arena_done(&m->price_arena);
    metric_list_done(&m->metrics);
    patience_done(&m->patience);
}

int64_t meter_commit_interval(const struct meter *m)
{
    int64_t told = m->config->commit_interval_ns;
    return told > 0 ? told : DEFAULT_COMMIT_NS;
}
