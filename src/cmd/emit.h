// Rows as NDJSON or CSV, written field by field as they come, whatever their number.
//
// In CSV every row has the same fields: the first thing a caller does is to emit one row of any
// content while `titles` is set, which writes the header.
#pragma once

#include <stdio.h>

#include "report/json.h"

enum emit_format { EMIT_NDJSON, EMIT_CSV };

struct emitter {
    enum emit_format format;
    bool titles;
    FILE *out;
    struct buf b;    // rows not yet written out
    struct buf text; // scratch
    struct json json;
    bool first; // of the row's fields
};

void emitter_init(struct emitter *e, enum emit_format format, FILE *out);
// Writes out what is left. -errno when the stream took it not.
int emitter_done(struct emitter *e) GTAP_CHECK;

void emit_begin(struct emitter *e);
// Begins a row with a JSON object that is written up to its closing brace. NDJSON only.
void emit_begin_open(struct emitter *e);
int emit_end(struct emitter *e) GTAP_CHECK; // -errno as emitter_done

void emit_str(struct emitter *e, const char *name, struct str s); // absent: null, or empty
void emit_int(struct emitter *e, const char *name, int64_t v);
void emit_maybe(struct emitter *e, const char *name, bool known, int64_t v);
void emit_decimal(struct emitter *e, const char *name, bool known, int64_t v, int scale);
void emit_double(struct emitter *e, const char *name, bool known, double v);
void emit_bool(struct emitter *e, const char *name, bool v);
void emit_time(struct emitter *e, const char *name, int64_t t); // ISO 8601
