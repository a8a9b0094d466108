#include "model/record.h"

#include <assert.h>

#include "base/hash.h"
#include "model/digest.h"

// Digests and shard numbers are stored: another seed, or another layout of what is hashed, makes
// another store format.
enum { DIGEST_SEED = 0, SHARD_SEED = 1, EXTRA_TAG = 255 };
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digests hash words as they lie");

int gpu_key_cmp(const struct gpu_key *a, const struct gpu_key *b)
{
    int order = str_cmp(a->host, b->host);
    if (order == 0) {
        order = (a->index > b->index) - (a->index < b->index);
    }
    return order ? order : (a->instance > b->instance) - (a->instance < b->instance);
}

struct str record_host(const struct record *r)
{
    return r->kind == RECORD_SAMPLE ? r->sample.gpu.host : r->usage.host;
}

uint32_t record_shard(struct str host, uint32_t n_shards)
{
    assert(n_shards > 0);
    return str_present(host) ? (uint32_t)(hash_str(host, SHARD_SEED) % n_shards) : 0;
}

static void add_bytes(struct digest *d, uint64_t tag, const void *p, size_t n)
{
    digest_word(d, tag, n, hash_bytes(p, n, DIGEST_SEED));
}

void digest_start(struct digest *d, enum record_kind kind)
{
    d->n = 0;
    digest_word(d, 0, 0, kind);
}

void digest_field(struct digest *d, const struct field *f, union field_value v)
{
    switch (f->type) {
    case FIELD_TIME:
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_REAL:
    case FIELD_INSTANCE:
        digest_word(d, f->tag, sizeof(v.i), (uint64_t)v.i);
        break;
    case FIELD_TEXT:
        if (f->tag) {
            add_bytes(d, f->tag, v.s.p, v.s.n);
        }
        break;
    case FIELD_GPU:
        add_bytes(d, f->tag, &(int32_t){(int32_t)v.i}, sizeof(int32_t)); // a list of one
        break;
    case FIELD_GPUS:
        add_bytes(d, f->tag, v.gpus.v, v.gpus.n * sizeof(v.gpus.v[0]));
        break;
    }
}

uint64_t digest_end(struct digest *d, struct str extra)
{
    if (extra.n > 0) {
        add_bytes(d, EXTRA_TAG, extra.p, extra.n);
    }
    return hash_bytes(d->words, d->n * sizeof(d->words[0]), DIGEST_SEED);
}

uint64_t record_digest(const struct record *r)
{
    struct digest d;
    digest_start(&d, r->kind);
    for (size_t i = 0; i < n_record_fields; i++) {
        union field_value v;
        if (field_load(&record_fields[i], r, &v)) {
            digest_field(&d, &record_fields[i], v);
        }
    }
    return digest_end(&d, r->extra);
}
