// file: NDJSON from a file, a FIFO or stdin; see docs/inputs/file.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "input/input_impl.h"
#include "input/lines.h"
#include "input/origin.h"
#include "model/decode.h"
#include "model/validate.h"

_Static_assert((int)LINES_PADDING >= (int)DECODER_PADDING, "lines are handed to the decoder");

enum { FINGERPRINT_BYTES = 64 * 1024, BATCH_BYTES = 1 << 20 };

struct file_input {
    struct input base;
    bool is_stdin, follow;
    struct lines lines;
    struct decoder *decoder;
    struct arena arena;   // the name
    int64_t position;     // records and dead letters delivered
    int64_t number;       // of them, from the file that is being followed now
    struct origin origin; // of that file; set once number > 0
};

static uint64_t fingerprint_of(struct str line)
{
    uint64_t h = hash_bytes(line.p, MIN(line.n, (size_t)FINGERPRINT_BYTES), 0);
    return h ? h : 1; // 0 means none
}

static void set_about(struct file_input *f)
{
    struct input_info *info = &f->base.info;
    struct str path = f->is_stdin ? STR("standard input") : f->base.uri->path;
    enum packing packing = reader_packing(f->lines.reader);
    int64_t size = reader_size(f->lines.reader);
    const char *kind = f->follow               ? ", followed"
                       : packing != PACKED_NOT ? packing_name(packing)
                                               : "";
    if (f->follow || size < 0) {
        snprintf(info->about, sizeof(info->about), "records of %.100s%s", path.p, kind);
    } else {
        snprintf(info->about, sizeof(info->about), "records of %.100s: %lld bytes%s%s", path.p,
                 (long long)size, *kind ? ", " : "", kind);
    }
}

// Reads as far as the first line of a regular file, for the fingerprint. What is wrong with the
// file is said when the records before it were delivered.
static void look_at_beginning(struct file_input *f)
{
    struct input_info *info = &f->base.info;
    struct reader *reader = f->lines.reader;
    if (f->is_stdin || !reader_is_regular(reader)) {
        return;
    }
    reader_set_quiet(reader, true);
    struct str first = lines_peek(&f->lines);
    reader_set_quiet(reader, false);
    info->fingerprint = str_present(first) ? fingerprint_of(first) : 0;
    if (info->finite && reader_can_seek(reader)) {
        info->total = reader_size(reader);
        info->total_is_bytes = true;
    }
}

static void file_close(struct input *in)
{
    struct file_input *f = (struct file_input *)in;
    lines_done(&f->lines);
    decoder_free(f->decoder);
    arena_done(&f->arena);
    free(f);
}

static int file_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                     struct error *err)
{
    int64_t follow = 0;
    int r = uri_option_i64(uri, "follow", 0, 1, &follow, err);
    if (r < 0) {
        return r;
    }
    if (uri->path.n == 0) {
        return error_set(err, -EINVAL, "file: needs a path, or - for standard input");
    }
    struct reader *reader;
    r = reader_open(uri->path.p, follow, env, &reader, err);
    if (r < 0) {
        return r;
    }
    struct file_input *f = x_zalloc(sizeof(*f));
    f->base = (struct input){.driver = &input_file, .env = env, .uri = uri};
    f->is_stdin = str_eq(uri->path, STR("-"));
    f->follow = follow;
    f->decoder = decoder_new();
    lines_init(&f->lines, reader, RECORD_BYTES_MAX);
    size_t n_name = uri->path.n + sizeof("file:");
    char *name = arena_alloc(&f->arena, n_name);
    snprintf(name, n_name, "file:%s", uri->path.p);
    f->base.info = (struct input_info){.name = name, .finite = !follow, .total = -1};
    look_at_beginning(f);
    set_about(f);
    *ret = &f->base;
    return 0;
}

static void name_origin(struct file_input *f, struct str first_line)
{
    struct str name = f->is_stdin ? STR("stdin") : origin_file_name(f->base.uri->path);
    bool repeatable = reader_is_regular(f->lines.reader) && !f->is_stdin;
    origin_init(&f->origin, name, repeatable ? fingerprint_of(first_line) : origin_random());
}

static int skip_lines(struct file_input *f, int64_t lines, struct error *err)
{
    for (int64_t skipped = 0; skipped < lines;) {
        struct str line;
        if (lines_take(&f->lines, &line) != LINE_NONE) {
            skipped++;
            continue;
        }
        int r = lines_fill(&f->lines, err);
        if (r != READER_DATA) {
            return r < 0 ? r
                         : error_set(err, -ESTALE, "it has only %lld records, not %lld",
                                     (long long)skipped, (long long)lines);
        }
    }
    return 0;
}

static int file_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct file_input *f = (struct file_input *)in;
    if (records == 0) {
        return 0;
    }
    if (f->is_stdin || !reader_is_regular(f->lines.reader)) {
        return error_set(err, -ESTALE, "'" STR_FMT "' cannot be read again from the beginning",
                         STR_ARG(in->uri->path));
    }
    struct str first = lines_peek(&f->lines);
    bool direct = offset >= 0 && reader_can_seek(f->lines.reader);
    if (str_present(first)) {
        name_origin(f, first);
    }
    int r = direct ? lines_seek(&f->lines, offset, err) : skip_lines(f, records, err);
    if (r < 0) {
        return error_prefix(err, "'" STR_FMT "'", STR_ARG(in->uri->path));
    }
    f->position = f->number = records;
    return 0;
}

static void refuse(struct file_input *f, struct batch *b, struct str line, const char *reason)
{
    struct dead_letter *d = batch_add_dead(b);
    d->at = clock_wall(f->base.env->clock);
    d->origin = str_of(f->base.info.name);
    d->position = f->position;
    d->reason = arena_copy(&b->arena, str_of(reason));
    d->payload = line;
}

static void accept(struct file_input *f, struct batch *b, struct str line, int64_t now)
{
    struct error why;
    struct record *r = batch_add(b);
    if (decoder_record(f->decoder, line, &b->arena, r, &why) < 0 ||
        record_check_now(r, now, &why) < 0) {
        b->n_records--;
        refuse(f, b, line, why.msg);
        return;
    }
    r->position = f->position;
    if (!str_present(r->event_id)) {
        r->event_id = origin_id(&f->origin, f->number, &b->arena);
    }
    b->payloads[b->n_records - 1] = line;
}

static void add_line(struct file_input *f, struct batch *b, enum line_result what, struct str line,
                     int64_t now)
{
    if (f->number == 0) {
        name_origin(f, line);
    }
    f->position++;
    f->number++;
    if (what == LINE_TOO_LONG) {
        refuse(f, b, line, "record: longer than 1 MiB");
    } else {
        accept(f, b, line, now);
    }
}

// The lines of a batch stand in one piece of the reader's memory: one copy moves them all.
static void keep_payloads(struct batch *b, struct str text)
{
    const char *copy = arena_copy(&b->arena, text).p;
    for (size_t i = 0; i < b->n_records; i++) {
        b->payloads[i].p = copy + (b->payloads[i].p - text.p);
    }
    for (size_t i = 0; i < b->n_dead; i++) {
        b->dead[i].payload.p = copy + (b->dead[i].payload.p - text.p);
    }
}

static void take_batch(struct file_input *f, struct batch *b)
{
    struct lines *l = &f->lines;
    const char *begin = l->p + l->at;
    int64_t now = clock_wall(f->base.env->clock);
    struct str line = {begin, 0};
    enum line_result what = LINE_TAKEN;
    while (b->n_records + b->n_dead < BATCH_RECORDS && line.p - begin < BATCH_BYTES) {
        what = lines_take(l, &line);
        if (what == LINE_NONE) {
            break;
        }
        add_line(f, b, what, line, now);
    }
    if (b->n_records + b->n_dead > 0) {
        keep_payloads(b, (struct str){begin, (size_t)(line.p + line.n - begin)});
    }
}

static int file_next(struct input *in, struct batch *b, struct error *err)
{
    struct file_input *f = (struct file_input *)in;
    int r = READER_DATA;
    take_batch(f, b);
    if (b->n_records + b->n_dead == 0) {
        r = lines_fill(&f->lines, err);
        if (r == READER_DATA) {
            take_batch(f, b);
        }
    }
    if (r < 0) {
        return r;
    }
    if (r == READER_NEW) {
        f->number = 0;
    }
    b->position = f->position;
    // In the middle of a line too long there is nowhere to go on: count lines instead.
    bool direct = reader_can_seek(f->lines.reader) && !f->is_stdin && !f->lines.skipping;
    b->offset = direct ? f->lines.offset : -1;
    return r == READER_END ? INPUT_END : INPUT_MORE;
}

static const struct input_option options[] = {
    {"follow", "1", "keep reading as the file grows or is replaced, like tail -F (default 0)"},
    {NULL, NULL, NULL},
};

const struct input_driver input_file = {
    .scheme = "file",
    .synopsis = "file:PATH | file:-",
    .help = "records as NDJSON from a file, a FIFO or standard input; gzip and zstd are unpacked",
    .options = options,
    .open = file_open,
    .seek = file_seek,
    .next = file_next,
    .close = file_close,
};
