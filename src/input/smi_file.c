// What nvidia-smi printed to a file once: finite, read again the same.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "input/gpu_source.h"
#include "input/lines.h"
#include "input/nvidia_smi.h"
#include "input/origin.h"
#include "input/smi_csv.h"

enum { ISO_MAX = 64 };

struct smi_file {
    struct input base;
    struct arena arena;
    struct gpu_options options;
    struct lines lines;
    struct smi_layout layout; // of the header above; n 0: none yet
    bool fixed_zone;
    int64_t ahead; // ns that local time is ahead of UTC, in a fixed zone
    struct origin origin;
    int64_t position;
};

static int64_t machine_ahead(int64_t t)
{
    time_t seconds = time_floor(t, NS_PER_S) / NS_PER_S;
    struct tm tm;
    return localtime_r(&seconds, &tm) ? tm.tm_gmtoff * NS_PER_S : 0;
}

// The offset at the instant itself, found from that at its neighbour: right but in the hour that a
// clock change skips or repeats.
static int64_t instant(const struct smi_file *f, int64_t local)
{
    if (f->fixed_zone) {
        return local - f->ahead;
    }
    return local - machine_ahead(local - machine_ahead(local));
}

static int read_zone(struct smi_file *f, struct error *err)
{
    struct str tz = uri_option(f->base.uri, "tz");
    char noon[ISO_MAX];
    int64_t t;
    if (!str_present(tz)) {
        return 0;
    }
    f->fixed_zone = true;
    if (str_eq(tz, STR("UTC")) || str_eq(tz, STR("Z"))) {
        return 0;
    }
    // The ISO parser knows offsets: noon there, seen from UTC.
    bool sign = tz.n > 1 && (tz.p[0] == '+' || tz.p[0] == '-');
    snprintf(noon, sizeof(noon), "1970-01-02T12:00:00%.20s", tz.p);
    if (!sign || time_parse_iso(str_of(noon), &t) < 0) {
        return error_set(err, -EINVAL, "option tz= must be UTC or an offset such as +02:00");
    }
    f->ahead = NS_PER_DAY + NS_PER_DAY / 2 - t;
    return 0;
}

static bool line_ended(const struct lines *l, struct str line)
{
    return line.p + line.n < l->p + l->end;
}

// The next line that is not blank; READER_END at the end.
static int next_line(struct smi_file *f, struct str *ret, enum line_result *ret_what,
                     struct error *err)
{
    int r = READER_DATA;
    *ret_what = LINE_NONE;
    while (r == READER_DATA && *ret_what == LINE_NONE) {
        *ret_what = lines_take(&f->lines, ret);
        r = *ret_what == LINE_NONE ? lines_fill(&f->lines, err) : READER_DATA;
    }
    return r;
}

static void refuse(struct smi_file *f, struct batch *b, struct str line, const char *why)
{
    struct buf reason;
    struct dead_letter *d = batch_add_dead(b);
    buf_init(&reason, ERROR_MSG_MAX);
    buf_printf(&reason, "line %lld: %.400s", (long long)f->lines.number, why);
    d->at = clock_wall(f->base.env->clock);
    d->origin = str_of(f->base.info.name);
    d->position = ++f->position;
    d->reason = arena_copy(&b->arena, buf_view(&reason));
    d->payload = arena_copy(&b->arena, line);
    buf_done(&reason);
}

static int make_record(struct smi_file *f, struct batch *b, struct str line, struct error *err)
{
    struct smi_row row;
    struct record *r;
    int code = smi_parse(&f->layout, line, &b->arena, &row, err);
    if (code < 0) {
        return code;
    }
    if (!row.has_ts) {
        return error_set(err, -EINVAL, "timestamp: none");
    }
    if (!gpu_options_pick(&f->options, row.sample.gpu.index)) {
        return 0;
    }
    int64_t ts = instant(f, row.local_ts);
    if (ts < 0) {
        return error_set(err, -EINVAL, "timestamp: before 1970");
    }
    gpu_options_price_named(&f->options, &row.sample);
    code = gpu_source_add(&f->options, &row.sample, STR("nvidia-smi"), ts, b, &r, err);
    if (code == 0) {
        r->position = ++f->position;
        r->event_id = origin_id(&f->origin, f->position, &b->arena);
        b->payloads[b->n_records - 1] = STR_NONE;
    }
    return code;
}

static void take_line(struct smi_file *f, struct batch *b, struct str line, enum line_result what)
{
    struct smi_layout layout;
    struct error err;
    if (what == LINE_TOO_LONG) {
        refuse(f, b, line, "longer than 1 MiB");
    } else if (smi_recognise(line, &layout)) {
        f->layout = layout; // captures may stand one behind the other
    } else if (f->layout.n == 0) {
        refuse(f, b, line, "in front of a header");
    } else if (!line_ended(&f->lines, line)) {
        refuse(f, b, line, "cut off: the line does not end");
    } else if (make_record(f, b, line, &err) < 0) {
        refuse(f, b, line, err.msg);
    }
}

static int read_batch(struct smi_file *f, struct batch *b, int64_t most, struct error *err)
{
    struct str line;
    enum line_result what;
    int r = READER_DATA;
    int64_t end = f->position + most;
    while (f->position < end) {
        r = next_line(f, &line, &what, err);
        if (r != READER_DATA) {
            break;
        }
        take_line(f, b, line, what);
    }
    return r;
}

static int file_next(struct input *in, struct batch *b, struct error *err)
{
    struct smi_file *f = (struct smi_file *)in;
    int r = read_batch(f, b, BATCH_RECORDS, err);
    b->position = f->position;
    b->offset = -1; // the header is needed: it is read from the beginning
    bool some = b->n_records + b->n_dead > 0;
    if (some || r > 0) {
        return INPUT_MORE;
    }
    return r == READER_END ? INPUT_END : r;
}

static int file_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct smi_file *f = (struct smi_file *)in;
    struct batch b;
    int r = READER_DATA;
    (void)offset;
    batch_init(&b);
    while (r == READER_DATA && f->position < records) {
        batch_clear(&b);
        r = read_batch(f, &b, MIN(records - f->position, (int64_t)BATCH_RECORDS), err);
    }
    batch_done(&b);
    if (r >= 0 && f->position < records) {
        return error_set(err, -ESTALE, "'" STR_FMT "' has only %lld rows, not %lld",
                         STR_ARG(in->uri->path), (long long)f->position, (long long)records);
    }
    return r < 0 ? r : 0;
}

static int open_lines(struct smi_file *f, struct error *err)
{
    const char *path = f->base.uri->path.p;
    struct reader *reader;
    int r = reader_open(path, false, f->base.env, &reader, err);
    if (r < 0) {
        return r;
    }
    if (!reader_is_regular(reader)) {
        reader_close(reader);
        return error_set(err, -EINVAL, "'%s' is no regular file", path);
    }
    lines_init(&f->lines, reader, RECORD_BYTES_MAX);
    return 0;
}

// The beginning: its first header and the row behind it, since the headers of many files are alike.
static int look_at_beginning(struct smi_file *f, uint64_t *ret_hash, struct error *err)
{
    struct str line = STR_NONE;
    enum line_result what;
    struct smi_layout layout = {0};
    int r = open_lines(f, err);
    if (r < 0) {
        return r;
    }
    *ret_hash = 0;
    while (layout.n == 0 && (r = next_line(f, &line, &what, err)) == READER_DATA) {
        (void)smi_recognise(line, &layout);
        layout.n = layout.place[SMI_INDEX] > 0 ? layout.n : 0;
        *ret_hash = hash_bytes(line.p, line.n, *ret_hash);
    }
    if (r == READER_DATA && next_line(f, &line, &what, err) == READER_DATA) {
        *ret_hash = hash_bytes(line.p, line.n, *ret_hash);
    }
    lines_done(&f->lines);
    if (r < 0) {
        return r;
    }
    if (layout.n == 0 || layout.place[SMI_TIMESTAMP] == 0) {
        return error_set(
            err, -EINVAL,
            "'" STR_FMT "' is no file of nvidia-smi's CSV: no header names timestamp, "
            "index and a measurement; nvidia-smi --query-gpu=timestamp,%s --format=csv "
            "prints one",
            STR_ARG(f->base.uri->path), smi_query);
    }
    return 0;
}

static void file_close(struct input *in)
{
    struct smi_file *f = (struct smi_file *)in;
    if (f->lines.reader) {
        lines_done(&f->lines);
    }
    arena_done(&f->arena);
    free(f);
}

static const struct input_driver captured = {
    .scheme = "nvidia-smi",
    .seek = file_seek,
    .next = file_next,
    .close = file_close,
};

static void describe(struct smi_file *f, uint64_t hash)
{
    struct input_info *info = &f->base.info;
    *info = (struct input_info){
        .name = f->base.uri->text.p,
        .finite = true,
        .fingerprint = hash ? hash : 1,
        .total = -1,
    };
    snprintf(info->about, sizeof(info->about), "GPUs of %.60s as nvidia-smi wrote them to %.60s",
             f->options.placement.host.p, origin_file_name(f->base.uri->path).p);
    origin_init(&f->origin, origin_file_name(f->base.uri->path), info->fingerprint);
}

int smi_file_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                  struct error *err)
{
    struct smi_file *f = x_zalloc(sizeof(*f));
    uint64_t hash;
    f->base = (struct input){.driver = &captured, .env = env, .uri = uri};
    int r = gpu_options_read(uri, env, &f->arena, &f->options, err);
    r = r < 0 ? r : read_zone(f, err);
    r = r < 0 ? r : look_at_beginning(f, &hash, err);
    r = r < 0 ? r : open_lines(f, err);
    if (r < 0) {
        file_close(&f->base);
        return r;
    }
    describe(f, hash);
    *ret = &f->base;
    return 0;
}
