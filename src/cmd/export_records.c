// Raw records. As NDJSON they are written by the encoder that the decoder reads back, and the
// computed fields follow; in CSV every field of the kind is a column.
#include <errno.h>

#include "cmd/export_rows.h"
#include "model/encode.h"
#include "model/fields.h"

static void put_field(struct emitter *e, const struct field *f, bool present, union field_value v)
{
    struct buf list;
    switch (f->type) {
    case FIELD_TIME:
        emit_time(e, f->name, v.i);
        return;
    case FIELD_TEXT:
        emit_str(e, f->name, present ? v.s : STR_NONE);
        return;
    case FIELD_REAL:
        emit_double(e, f->name, present, v.d);
        return;
    case FIELD_GPUS:
        buf_init(&list, RECORD_BYTES_MAX);
        for (uint32_t i = 0; present && i < v.gpus.n; i++) {
            buf_printf(&list, "%s%d", i ? " " : "", (int)v.gpus.v[i]);
        }
        emit_str(e, f->name, buf_view(&list));
        buf_done(&list);
        return;
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        emit_decimal(e, f->name, present, v.i, f->scale);
        return;
    }
}

static void begin_record(struct emitter *e, const struct record *r)
{
    if (e->format == EMIT_NDJSON) {
        record_encode_open(&e->b, r, false);
        emit_begin_open(e);
        return;
    }
    emit_begin(e);
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        union field_value v = {0};
        if (field_of(f, r->kind)) {
            bool present = field_load(f, r, &v);
            put_field(e, f, present, v);
        }
    }
}

static void put_cost_per_token(struct emitter *e, const struct usage_record *u,
                               const struct usage_cost *c)
{
    double tokens = (double)u->prompt_tokens + (double)u->completion_tokens;
    bool known = c->seq != 0 && c->priced && tokens > 0;
    emit_double(e, "cost_per_token", known, known ? (double)c->cost_nusd / 1e9 / tokens : 0);
}

static int put_usage(struct emitter *e, const struct stored_record *s)
{
    const struct usage_cost *c = &s->cost;
    bool costed = c->seq != 0, known = costed && c->priced;
    begin_record(e, &s->record);
    emit_time(e, "start", MAX(usage_start(&s->record.usage), (int64_t)0));
    put_cost_per_token(e, &s->record.usage, c);
    emit_maybe(e, "cost_nusd", known, c->cost_nusd);
    emit_maybe(e, "cost_in_nusd", known, c->cost_in_nusd);
    emit_maybe(e, "cost_out_nusd", known, c->cost_out_nusd);
    emit_double(e, "energy_j", costed && c->has_energy, c->energy_j);
    emit_maybe(e, "unpriced_ns", costed, c->unpriced_ns);
    emit_bool(e, "final", c->final);
    emit_bool(e, "late", c->late);
    emit_int(e, "revision", c->revision);
    emit_str(e, "method", costed ? str_of(method_name(c->method)) : STR_NONE);
    emit_int(e, "partition", s->record.shard);
    return emit_end(e);
}

static int put_sample(struct emitter *e, const struct stored_record *s)
{
    begin_record(e, &s->record);
    emit_int(e, "partition", s->record.shard);
    return emit_end(e);
}

static int export_records(struct export *x, enum record_kind kind,
                          int (*put)(struct emitter *e, const struct stored_record *s),
                          struct error *err)
{
    struct stored_record row = {0};
    struct store_cursor *cursor;
    struct record_query q = {kind, RECORDS_BY_TIME, x->filter, x->from, x->to, .shard = -1};
    record_clear(&row.record, kind);
    if (export_titles_begin(x)) {
        int r = put(&x->emitter, &row);
        export_titles_end(x);
        if (r < 0) {
            return export_failed(r, err);
        }
    }
    int r = store_records(x->store, &q, &cursor, err);
    if (r < 0) {
        return r;
    }
    int written = 0;
    while (written == 0 && (r = store_records_next(cursor, &row, err)) > 0) {
        written = put(&x->emitter, &row);
        export_wrote(x, row.record.kind == RECORD_USAGE ? usage_start(&row.record.usage)
                                                        : row.record.sample.ts);
    }
    store_cursor_close(cursor);
    return written < 0 ? export_failed(written, err) : r;
}

int export_token_usage(struct export *x, struct error *err)
{
    return export_records(x, RECORD_USAGE, put_usage, err);
}

int export_gpu_metrics(struct export *x, struct error *err)
{
    return export_records(x, RECORD_SAMPLE, put_sample, err);
}
