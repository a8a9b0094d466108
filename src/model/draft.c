#include "model/draft.h"

#include <assert.h>
#include <errno.h>

#include "model/decode.h"
#include "model/digest.h"

static const struct field *first_of(uint64_t set)
{
    return &record_fields[__builtin_ctzll(set)];
}

struct field_sets record_field_sets(void)
{
    struct field_sets sets = {0};
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        uint64_t bit = UINT64_C(1) << i;
        for (enum record_kind kind = RECORD_SAMPLE; kind <= RECORD_USAGE; kind++) {
            sets.of[kind] |= field_of(f, kind) ? bit : 0;
            sets.required[kind] |= f->required & FIELD_OF(kind) ? bit : 0;
        }
        sets.telling |= f->tells ? bit : 0;
    }
    return sets;
}

bool draft_may_be_unknown(const struct field_sets *sets, const struct field *f)
{
    return !(field_bit(f) & sets->of[RECORD_SAMPLE] & sets->of[RECORD_USAGE]) && !f->tells;
}

struct str draft_text(struct str text, struct buf *copy)
{
    if (text.p[text.n] != '}') {
        return text;
    }
    buf_clear(copy);
    buf_str(copy, text);
    char *behind = buf_reserve(copy, DECODER_PADDING);
    assert(behind != NULL);
    memset(behind, '\n', DECODER_PADDING);
    return buf_view(copy);
}

int draft_kind(const struct field_sets *sets, uint64_t given, enum record_kind *ret,
               struct error *err)
{
    uint64_t sample = given & sets->of[RECORD_SAMPLE] & ~sets->of[RECORD_USAGE];
    uint64_t usage = given & sets->of[RECORD_USAGE] & ~sets->of[RECORD_SAMPLE];
    uint64_t tells_sample = sample & sets->telling, tells_usage = usage & sets->telling;
    if (tells_sample && tells_usage) {
        return error_set(err, -EINVAL, "%s: tells of a GPU sample, but %s of token usage",
                         first_of(tells_sample)->name, first_of(tells_usage)->name);
    }
    if (!sample && !usage) {
        return error_set(err, -EINVAL,
                         "neither a GPU sample (utilization, power_w, name, ...) nor token usage "
                         "(prompt_tokens, completion_tokens, latency_ms)");
    }
    *ret = tells_usage || !sample ? RECORD_USAGE : RECORD_SAMPLE;
    return 0;
}

static int store_other(const struct field *f, union field_value v, struct digest *digest,
                       struct arena *a, struct record *r, struct error *err)
{
    if (f->type == FIELD_TEXT) {
        v.s = arena_copy(a, v.s);
    } else if (f->type == FIELD_GPUS) {
        if (r->usage.n_gpus > 0) {
            return error_set(err, -EINVAL, "%s: given beside gpu_index", f->name);
        }
        size_t size = v.gpus.n * sizeof(v.gpus.v[0]);
        v.gpus.v = memcpy(arena_alloc(a, size), v.gpus.v, size);
    }
    digest_field(digest, f, v);
    field_store(f, r, v, a);
    return 0;
}

static int store_given(const struct draft *d, struct arena *a, struct record *r, struct error *err)
{
    uint32_t *has = r->kind == RECORD_SAMPLE ? &r->sample.has : &r->usage.has;
    struct digest digest;
    digest_start(&digest, r->kind);
    for (uint64_t left = d->given; left; left &= left - 1) {
        const struct field *f = first_of(left);
        union field_value v = d->value[f - record_fields];
        if (field_is_word(f)) { // most are: what field_store() and digest_field() do, inline
            memcpy((char *)r + f->at[r->kind], &v, sizeof(v.i));
            digest_word(&digest, f->tag, sizeof(v.i), (uint64_t)v.i);
            *has |= f->has;
            continue;
        }
        int result = store_other(f, v, &digest, a, r, err);
        if (result < 0) {
            return result;
        }
    }
    r->extra = arena_copy(a, d->extra);
    r->digest = digest_end(&digest, r->extra);
    return 0;
}

int draft_finish(const struct draft *d, const struct field_sets *sets, enum record_kind kind,
                 struct arena *a, struct record *ret, struct error *err)
{
    uint64_t missing = sets->required[kind] & ~d->given;
    if (missing) {
        return error_set(err, -EINVAL, "%s: missing", first_of(missing)->name);
    }
    record_clear(ret, kind);
    int r = store_given(d, a, ret, err);
    return r < 0 ? r : record_check_rules(ret, err);
}
