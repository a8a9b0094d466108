#include "cmd/emit.h"

#include <errno.h>
#include <math.h>

#include "base/decimal.h"
#include "base/time.h"
#include "report/csv.h"

enum { FLUSH_BYTES = 64 * 1024, PENDING_MAX = 16 << 20, FIELD_MAX = 2 << 20 };

void emitter_init(struct emitter *e, enum emit_format format, FILE *out)
{
    *e = (struct emitter){.format = format, .out = out};
    buf_init(&e->b, PENDING_MAX);
    buf_init(&e->text, FIELD_MAX);
    e->json.b = &e->b;
}

static int flush(struct emitter *e)
{
    size_t n = e->b.n, written = n ? fwrite(e->b.p, 1, n, e->out) : 0;
    int r = !buf_ok(&e->b) ? -EFBIG : written < n ? (errno ? -errno : -EIO) : 0;
    buf_clear(&e->b);
    return r;
}

int emitter_done(struct emitter *e)
{
    int r = flush(e);
    buf_done(&e->b);
    buf_done(&e->text);
    return r;
}

void emit_begin(struct emitter *e)
{
    e->first = true;
    if (e->format == EMIT_NDJSON) {
        e->json.comma = false;
        json_open(&e->json, NULL, '{');
    }
}

void emit_begin_open(struct emitter *e)
{
    e->json.comma = true;
}

int emit_end(struct emitter *e)
{
    if (e->format == EMIT_NDJSON) {
        json_close(&e->json, '}');
        buf_char(&e->b, '\n');
    } else {
        csv_end(&e->b);
    }
    return e->b.n >= FLUSH_BYTES || !buf_ok(&e->b) ? flush(e) : 0;
}

// The CSV field in e->text, or its title.
static void csv_text(struct emitter *e, const char *name)
{
    csv_field(&e->b, e->first, e->titles ? str_of(name) : buf_view(&e->text));
    e->first = false;
    buf_clear(&e->text);
}

void emit_str(struct emitter *e, const char *name, struct str s)
{
    if (e->format == EMIT_NDJSON) {
        json_str(&e->json, name, s);
        return;
    }
    buf_str(&e->text, s);
    csv_text(e, name);
}

void emit_decimal(struct emitter *e, const char *name, bool known, int64_t v, int scale)
{
    struct buf *b = e->format == EMIT_CSV ? &e->text : &e->b;
    if (e->format == EMIT_NDJSON && !known) {
        json_null(&e->json, name);
        return;
    }
    if (e->format == EMIT_NDJSON) {
        json_name(&e->json, name);
    }
    if (known) {
        decimal_format_short(b, v, scale);
    }
    if (e->format == EMIT_CSV) {
        csv_text(e, name);
    }
}

void emit_maybe(struct emitter *e, const char *name, bool known, int64_t v)
{
    emit_decimal(e, name, known, v, 0);
}

void emit_int(struct emitter *e, const char *name, int64_t v)
{
    emit_decimal(e, name, true, v, 0);
}

void emit_double(struct emitter *e, const char *name, bool known, double v)
{
    if (e->format == EMIT_NDJSON) {
        json_double(&e->json, name, known ? v : (double)NAN);
        return;
    }
    if (known && isfinite(v)) {
        buf_double(&e->text, v);
    }
    csv_text(e, name);
}

void emit_bool(struct emitter *e, const char *name, bool v)
{
    if (e->format == EMIT_NDJSON) {
        json_bool(&e->json, name, v);
        return;
    }
    buf_cstr(&e->text, v ? "true" : "false");
    csv_text(e, name);
}

void emit_time(struct emitter *e, const char *name, int64_t t)
{
    if (e->format == EMIT_NDJSON) {
        json_time(&e->json, name, t);
        return;
    }
    time_format_iso(&e->text, t);
    csv_text(e, name);
}
