#include "random_record.h"

#include <math.h>

#include "base/buf.h"
#include "base/time.h"

uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15U; // splitmix64 (S. Vigna)
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint64_t random_below(struct random *r, uint64_t n)
{
    return random_next(r) % n;
}

// Small, large and extreme ones alike: as likely to have 3 digits as 15.
static int64_t random_integer(struct random *r, int64_t most)
{
    switch (random_below(r, 8)) {
    case 0:
        return 0;
    case 1:
        return most;
    default:
        return (int64_t)((random_next(r) >> 1 >> random_below(r, 63)) % ((uint64_t)most + 1));
    }
}

// Any bits that make a finite double, up to `most`.
static double random_real(struct random *r, double most)
{
    uint64_t bits = random_next(r) >> 1;
    double v;
    memcpy(&v, &bits, sizeof(v));
    if (random_below(r, 2)) {
        v = (double)(bits % 100000) / 1000;
    }
    if (!isfinite(v)) {
        v = most;
    }
    return v <= most ? v : fmod(v, most);
}

static const char *const pieces[] = {
    "a",
    "Z",
    " ",
    "0",
    "-",
    "/",
    "\\",
    "\"",
    "\n",
    "\t",
    "\x01",
    "é",
    "日",
    "😀",
    "\x7f",
    "{",
    "\\u0",
    "null",
    "\r\n",
    "ß",
    "\b\f",
    "\xef\xbf\xbd",
    "\xe2\x80\xa8",
    ",",
};

static struct str random_text(struct random *r, struct arena *a, bool filled)
{
    struct buf b;
    buf_init(&b, RECORD_TEXT_MAX);
    uint64_t n = random_below(r, 20) == 0 ? RECORD_TEXT_MAX : random_below(r, 24);
    for (uint64_t i = filled ? 0 : 1; i <= n && buf_ok(&b); i++) { // past the limit, none is added
        buf_cstr(&b, pieces[random_below(r, ARRAY_LEN(pieces))]);
    }
    struct str text = arena_copy(a, buf_view(&b));
    buf_done(&b);
    return text;
}

static struct gpu_list random_gpus(struct random *r, struct arena *a)
{
    uint32_t n = (uint32_t)(2 + random_below(r, random_below(r, 10) ? 7 : RECORD_GPUS_MAX - 1));
    int32_t *v = arena_alloc(a, n * sizeof(*v));
    int32_t next = 0;
    for (uint32_t i = 0; i < n; i++) {
        v[i] = next + (int32_t)random_below(r, RECORD_GPU_INDEX_MAX / RECORD_GPUS_MAX);
        next = v[i] + 1;
    }
    return (struct gpu_list){v, n};
}

union field_value random_value(struct random *r, const struct field *f, struct arena *a)
{
    switch (f->type) {
    case FIELD_TEXT:
        return (union field_value){.s = random_text(r, a, f->filled)};
    case FIELD_REAL:
        return (union field_value){.d = random_real(r, f->most.d)};
    case FIELD_GPUS:
        return (union field_value){.gpus = random_gpus(r, a)};
    case FIELD_TIME:
        return (union field_value){.i = RECORD_LATENCY_MAX +
                                        random_integer(r, f->most.i - RECORD_LATENCY_MAX)};
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        break;
    }
    return (union field_value){.i = random_integer(r, f->most.i)};
}

static const char *const extras[] = {
    "\"zone\":\"a\"", "\"x\":[1,2.50,{\"y\":[]}]", "\"l\\u0061bel\":null",
    "\"\":0",         "\"n\":1e999,\"n\":-0",      "\"t\":{\"a\":\"\\u0000\\\"\"}",
};

static bool wanted(struct random *r, const struct field *f, const struct record *rec)
{
    if (!field_of(f, rec->kind)) {
        return false;
    }
    if (rec->kind == RECORD_USAGE && (f->type == FIELD_GPUS || f->type == FIELD_INSTANCE)) {
        bool one = rec->usage.n_gpus == 1;
        return (f->type == FIELD_GPUS ? !one : one) && random_below(r, 2);
    }
    return f->required & FIELD_OF(rec->kind) || random_below(r, 4) > 0;
}

// What is random by itself is put in order where rules tie it to another field.
static void keep_rules(struct record *rec)
{
    struct usage_record *u = &rec->usage;
    if (rec->kind == RECORD_USAGE) {
        u->cached_prompt_tokens = MIN(u->cached_prompt_tokens, u->prompt_tokens);
        u->ttft_ns = MIN(u->ttft_ns, u->latency_ns);
    }
}

// A sample needs something that only samples have.
static void tell_kind(struct record *rec)
{
    struct gpu_sample *s = &rec->sample;
    if (rec->kind == RECORD_SAMPLE && s->has == 0 && !str_present(s->name)) {
        s->name = STR("NVIDIA L4");
    }
}

void random_record(struct random *r, struct arena *a, struct record *ret)
{
    record_clear(ret, random_below(r, 2) ? RECORD_SAMPLE : RECORD_USAGE);
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        if (wanted(r, f, ret)) {
            field_store(f, ret, random_value(r, f, a), a);
        }
    }
    if (random_below(r, 3) == 0) {
        ret->extra = str_of(extras[random_below(r, ARRAY_LEN(extras))]);
    }
    keep_rules(ret);
    tell_kind(ret);
    ret->digest = record_digest(ret);
}
