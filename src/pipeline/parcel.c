#include "pipeline/parcel.h"

#include <stdlib.h>

#include "base/alloc.h"

struct parcel *parcel_new(struct source *source)
{
    struct parcel *p = x_zalloc(sizeof(*p));
    p->source = source;
    batch_init(&p->batch);
    parcel_clear(p);
    return p;
}

void parcel_free(struct parcel *p)
{
    if (!p) {
        return;
    }
    batch_done(&p->batch);
    outbox_done(&p->outbox);
    arena_done(&p->price_arena);
    free(p->entries);
    free(p->provisional);
    free(p->lost);
    free(p);
}

void parcel_clear(struct parcel *p)
{
    batch_clear(&p->batch);
    outbox_clear(&p->outbox);
    p->stored = p->calm = p->reload_prices = p->preview = false;
    p->result = 0;
    p->n_lost = 0;
    p->preview_took = 0;
    p->newest_ts[RECORD_SAMPLE] = p->newest_ts[RECORD_USAGE] = INT64_MIN;
    p->expire_newest = INT64_MIN;
}

int parcel_push(struct queue *inbox, struct parcel *p)
{
    return p->calm ? queue_push_calmly(inbox, p) : queue_push(inbox, p);
}

void parcel_make_entries(struct parcel *p)
{
    const struct batch *b = &p->batch;
    if (p->cap_entries < b->n_records) {
        p->cap_entries = b->n_records;
        p->entries = x_realloc_array(p->entries, p->cap_entries, sizeof(p->entries[0]));
        p->provisional = x_realloc_array(p->provisional, p->cap_entries, sizeof(p->provisional[0]));
    }
    for (size_t i = 0; i < b->n_records; i++) {
        struct record *r = &b->records[i];
        p->entries[i] = (struct store_record){
            .record = r,
            .payload = b->payloads[i].p,
            .payload_n = b->payloads[i].n,
        };
        p->newest_ts[r->kind] = MAX(p->newest_ts[r->kind], record_ts(r));
    }
}
