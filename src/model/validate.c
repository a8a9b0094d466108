#include "model/validate.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "base/decimal.h"
#include "base/time.h"
#include "model/fields.h"

enum { NUMBER_TEXT_MAX = 64 };

// "field: <problem> (<v>)", the number as it stands on the wire.
static int refuse_integer(const struct field *f, const char *problem, int64_t v, struct error *err)
{
    struct buf text;
    buf_init(&text, NUMBER_TEXT_MAX);
    decimal_format_short(&text, v, f->scale);
    int r =
        error_set(err, -EINVAL, "%s: %s (" STR_FMT ")", f->name, problem, STR_ARG(buf_view(&text)));
    buf_done(&text);
    return r;
}

static int refuse_over(const struct field *f, int64_t v, struct error *err)
{
    struct buf problem;
    buf_init(&problem, NUMBER_TEXT_MAX);
    buf_cstr(&problem, "is over ");
    decimal_format_short(&problem, f->most.i, f->scale);
    int r = refuse_integer(f, problem.p, v, err);
    buf_done(&problem);
    return r;
}

static int check_integer(const struct field *f, int64_t v, struct error *err)
{
    if (v < 0) {
        return refuse_integer(f, "is negative", v, err);
    }
    return v > f->most.i ? refuse_over(f, v, err) : 0;
}

static int check_time(const struct field *f, int64_t t, struct error *err)
{
    if (t < 0) {
        return error_set(err, -EINVAL, "%s: is before 1970", f->name);
    }
    return t <= f->most.i ? 0 : error_set(err, -EINVAL, "%s: is after 2199", f->name);
}

static int check_real(const struct field *f, double v, struct error *err)
{
    if (!isfinite(v)) {
        return error_set(err, -EINVAL, "%s: is not finite", f->name);
    }
    if (v < 0) {
        return error_set(err, -EINVAL, "%s: is negative (%.17g)", f->name, v);
    }
    if (v > f->most.d) {
        return error_set(err, -EINVAL, "%s: is over %g (%.17g)", f->name, f->most.d, v);
    }
    return 0;
}

static int check_text(const struct field *f, struct str s, struct error *err)
{
    if (s.n == 0) {
        return f->filled ? error_set(err, -EINVAL, "%s: is empty", f->name) : 0;
    }
    if (s.n > RECORD_TEXT_MAX) {
        return error_set(err, -EINVAL, "%s: is longer than %d bytes (%zu)", f->name,
                         RECORD_TEXT_MAX, s.n);
    }
    if (memchr(s.p, '\0', s.n)) {
        return error_set(err, -EINVAL, "%s: has a NUL character", f->name);
    }
    return 0;
}

static int check_gpus(const struct field *f, struct gpu_list gpus, struct error *err)
{
    if (gpus.n == 0) {
        return error_set(err, -EINVAL, "%s: is empty", f->name);
    }
    if (gpus.n > RECORD_GPUS_MAX) {
        return error_set(err, -EINVAL, "%s: names more than %d GPUs (%" PRIu32 ")", f->name,
                         RECORD_GPUS_MAX, gpus.n);
    }
    for (uint32_t i = 0; i < gpus.n; i++) {
        int r = check_integer(f, gpus.v[i], err);
        if (r < 0) {
            return r;
        }
        if (i > 0 && gpus.v[i] <= gpus.v[i - 1]) {
            return error_set(err, -EINVAL, "%s: %s (%" PRId32 ")", f->name,
                             gpus.v[i] == gpus.v[i - 1] ? "names a GPU twice" : "is not in order",
                             gpus.v[i]);
        }
    }
    return 0;
}

int field_check(const struct field *f, union field_value v, struct error *err)
{
    switch (f->type) {
    case FIELD_TIME:
        return check_time(f, v.i, err);
    case FIELD_TEXT:
        return check_text(f, v.s, err);
    case FIELD_REAL:
        return check_real(f, v.d, err);
    case FIELD_GPUS:
        return check_gpus(f, v.gpus, err);
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        break;
    }
    return check_integer(f, v.i, err);
}

static int check_usage_rules(const struct usage_record *u, struct error *err)
{
    if (u->cached_prompt_tokens > u->prompt_tokens) {
        return error_set(err, -EINVAL,
                         "cached_prompt_tokens: is over prompt_tokens (%" PRId64 " > %" PRId64 ")",
                         u->cached_prompt_tokens, u->prompt_tokens);
    }
    if ((u->has & USAGE_TTFT) && u->ttft_ns > u->latency_ns) {
        return error_set(err, -EINVAL, "ttft_ms: is over latency_ms (%.9g > %.9g)",
                         (double)u->ttft_ns / 1e6, (double)u->latency_ns / 1e6);
    }
    if (usage_start(u) < 0) {
        return error_set(err, -EINVAL, "latency_ms: puts the start before 1970");
    }
    if (u->gpu_instance != GPU_INSTANCE_NONE && u->n_gpus != 1) {
        return error_set(err, -EINVAL, "gpu_instance: is a slice of one GPU, but %s named",
                         u->n_gpus == 0 ? "none is" : "several are");
    }
    return 0;
}

int record_check_rules(const struct record *r, struct error *err)
{
    if (r->extra.n > RECORD_BYTES_MAX) {
        return error_set(err, -EINVAL, "unknown fields: are longer than %d bytes (%zu)",
                         RECORD_BYTES_MAX, r->extra.n);
    }
    return r->kind == RECORD_USAGE ? check_usage_rules(&r->usage, err) : 0;
}

static int check_field(const struct field *f, const struct record *r, struct error *err)
{
    union field_value v;
    if (field_load(f, r, &v)) {
        return field_check(f, v, err);
    }
    bool required = f->required & FIELD_OF(r->kind);
    return required ? error_set(err, -EINVAL, "%s: missing", f->name) : 0;
}

int record_check(const struct record *r, struct error *err)
{
    for (size_t i = 0; i < n_record_fields; i++) {
        int result = check_field(&record_fields[i], r, err);
        if (result < 0) {
            return result;
        }
    }
    return record_check_rules(r, err);
}

int record_check_now(const struct record *r, int64_t now, struct error *err)
{
    int64_t ahead = record_ts(r) - now;
    if (ahead <= RECORD_AHEAD_MAX) {
        return 0;
    }
    struct buf text;
    buf_init(&text, NUMBER_TEXT_MAX);
    duration_format(&text, ahead / NS_PER_S * NS_PER_S);
    int result = error_set(err, -EINVAL, "ts: is more than 1h ahead of the clock (" STR_FMT ")",
                           STR_ARG(buf_view(&text)));
    buf_done(&text);
    return result;
}
