#include "model/encode.h"

#include "base/decimal.h"
#include "base/time.h"
#include "model/fields.h"

static void add_time(struct buf *b, int64_t t)
{
    buf_char(b, '"');
    time_format_iso(b, t);
    buf_char(b, '"');
}

static void add_gpus(struct buf *b, struct gpu_list gpus)
{
    for (uint32_t i = 0; i < gpus.n; i++) {
        buf_char(b, i == 0 ? '[' : ',');
        buf_i64(b, gpus.v[i]);
    }
    buf_char(b, ']');
}

static void add_value(struct buf *b, const struct field *f, union field_value v)
{
    switch (f->type) {
    case FIELD_TIME:
        add_time(b, v.i);
        break;
    case FIELD_TEXT:
        buf_json_str(b, v.s);
        break;
    case FIELD_REAL:
        buf_double(b, v.d);
        break;
    case FIELD_GPUS:
        add_gpus(b, v.gpus);
        break;
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        decimal_format_short(b, v.i, f->scale);
        break;
    }
}

void record_encode_open(struct buf *b, const struct record *r, bool skip_extra)
{
    char before = '{';
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        union field_value v;
        if (field_load(f, r, &v)) {
            buf_char(b, before);
            buf_char(b, '"');
            buf_cstr(b, f->name);
            buf_cstr(b, "\":");
            add_value(b, f, v);
            before = ',';
        }
    }
    if (r->extra.n > 0 && !skip_extra) {
        buf_char(b, ',');
        buf_str(b, r->extra);
    }
}

void record_encode(struct buf *b, const struct record *r)
{
    record_encode_open(b, r, false);
    buf_char(b, '}');
}
