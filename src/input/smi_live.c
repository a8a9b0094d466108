// nvidia-smi as a child that prints a row a GPU every so often, and is started again when it ends.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "input/backoff.h"
#include "input/child.h"
#include "input/gpu_source.h"
#include "input/nvidia_smi.h"
#include "input/origin.h"
#include "input/smi_csv.h"
#include "input/wait.h"

enum { LINE_MAX_BYTES = 64 << 10, READ_BYTES = 16 << 10, ROUNDS_MISSED_MAX = 3, WORDS_MAX = 64 };

#define PATIENCE_NS NS_PER_S       // from SIGTERM to SIGKILL
#define SILENCE_NS (30 * NS_PER_S) // starting up, without persistence mode, takes long

struct smi_live {
    struct input base;
    struct arena arena;
    struct gpu_options options;
    const char *program;
    struct child child;
    bool header;   // has been read; layout holds
    bool skipping; // inside of a line too long
    struct smi_layout layout;
    struct buf line;          // what has come of the line that is being read
    char odd[CHILD_SAID_MAX]; // the last line that it printed in front of a header
    struct mono heard;        // the last row, else the start
    struct mono mute;         // the last row of a GPU that measures nothing
    struct backoff backoff;
    struct uuid7 ids;
    int64_t position;
};

static void fail(struct smi_live *s, struct mono now, const struct error *err)
{
    backoff_fail(&s->backoff, now);
    input_report(&s->base, err);
}

static void start(struct smi_live *s, struct mono now)
{
    char query[512], interval[32];
    struct error err;
    snprintf(query, sizeof(query), "--query-gpu=%s", smi_query);
    snprintf(interval, sizeof(interval), "%" PRId64, s->options.every / NS_PER_MS);
    const char *const argv[] = {s->program, query, "--format=csv", "-lms", interval, NULL};
    s->header = s->skipping = false;
    s->odd[0] = '\0';
    s->heard = now;
    buf_clear(&s->line);
    if (child_start(&s->child, s->program, argv, &err) < 0) {
        fail(s, now, &err);
    }
}

// Its own words say more than its status: of stderr, else those in front of the header, since
// nvidia-smi prints "NVIDIA-SMI has failed because ..." to stdout.
static void end(struct smi_live *s, struct mono now, const char *why)
{
    struct error err;
    char words[WORDS_MAX];
    bool finished = why == NULL;
    child_words(child_end(&s->child, finished, PATIENCE_NS), words, sizeof(words));
    const char *said = s->child.said[0] ? s->child.said : s->odd;
    error_set(&err, -EIO, "%s: %s%s%s", s->program, finished ? words : why, *said ? ": " : "",
              said);
    fail(s, now, &err);
}

static void refuse(struct smi_live *s, struct batch *b, struct str line, const char *why)
{
    struct dead_letter *d = batch_add_dead(b);
    d->at = clock_wall(s->base.env->clock);
    d->origin = str_of(s->base.info.name);
    d->position = ++s->position;
    d->reason = arena_copy(&b->arena, str_of(why));
    d->payload = arena_copy(&b->arena, line);
}

static void take_row(struct smi_live *s, struct batch *b, struct str line, struct mono now)
{
    struct smi_row row;
    struct record *r;
    struct error err;
    char id[UUID_TEXT];
    int64_t wall = clock_wall(s->base.env->clock);
    int code = smi_parse(&s->layout, line, &b->arena, &row, &err);
    if (code == 0 && !gpu_options_pick(&s->options, row.sample.gpu.index)) {
        s->heard = now;
        return;
    }
    if (code == 0) {
        gpu_options_price_named(&s->options, &row.sample);
        code = gpu_source_add(&s->options, &row.sample, STR("nvidia-smi"), wall, b, &r, &err);
    }
    if (code == -ENODATA) {
        s->mute = now;
        input_report(&s->base, &err); // lost, perhaps; the other GPUs go on
        return;
    }
    if (code < 0) {
        refuse(s, b, line, err.msg);
        return;
    }
    uuid7_next(&s->ids, wall, id);
    r->event_id = arena_copy(&b->arena, (struct str){id, UUID_TEXT});
    r->position = ++s->position;
    s->heard = now;
    backoff_succeed(&s->backoff);
    if (now.ns - s->mute.ns > ROUNDS_MISSED_MAX * s->options.every) {
        input_report(&s->base, NULL);
    }
}

static void take_line(struct smi_live *s, struct batch *b, struct mono now)
{
    struct smi_layout layout;
    struct str line = str_trim(buf_view(&s->line));
    if (s->skipping) {
        refuse(s, b, line, "longer than 64 KiB");
    } else if (line.n == 0) {
        return;
    } else if (smi_recognise(line, &layout)) {
        s->layout = layout;
        s->header = true;
    } else if (s->header) {
        take_row(s, b, line, now);
    } else {
        snprintf(s->odd, sizeof(s->odd), STR_FMT, STR_ARG(line));
    }
}

static void take_text(struct smi_live *s, struct batch *b, struct str text, struct mono now)
{
    struct str rest = text, piece;
    while (str_split(&rest, '\n', &piece)) {
        bool ended = str_present(rest);
        if (s->line.n + piece.n <= LINE_MAX_BYTES) {
            buf_str(&s->line, piece);
        } else {
            s->skipping = true;
        }
        if (ended) {
            take_line(s, b, now);
            buf_clear(&s->line);
            s->skipping = false;
        }
    }
}

static int64_t silence_most(const struct smi_live *s)
{
    return MAX(SILENCE_NS, ROUNDS_MISSED_MAX * s->options.every);
}

// A row that was cut off when the program ended is not a row.
static void listen(struct smi_live *s, struct batch *b, struct mono now)
{
    char text[READ_BYTES];
    ssize_t n = child_read(&s->child, text, sizeof(text));
    if (n > 0) {
        take_text(s, b, (struct str){text, (size_t)n}, now);
    } else if (n == 0) {
        if (s->header && s->line.n > 0) {
            refuse(s, b, buf_view(&s->line), "cut off: the line does not end");
        }
        end(s, now, NULL);
    } else if (now.ns - s->heard.ns > silence_most(s)) {
        end(s, now, "no row for too long; started anew");
    }
}

static int live_next(struct input *in, struct batch *b, struct error *err)
{
    struct smi_live *s = (struct smi_live *)in;
    struct mono now = clock_mono(in->env->clock);
    (void)err;
    if (s->child.pid == 0 && backoff_left(&s->backoff, now) == 0) {
        start(s, now);
    }
    if (s->child.pid != 0) {
        listen(s, b, now);
    }
    b->position = s->position;
    b->offset = -1;
    if (b->n_records + b->n_dead == 0) {
        bool runs = s->child.pid != 0;
        (void)input_wait(in->env, runs ? s->child.out : -1,
                         runs ? INPUT_WAIT_NS : backoff_left(&s->backoff, now));
    }
    return INPUT_MORE;
}

static int live_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct smi_live *s = (struct smi_live *)in;
    (void)offset;
    (void)err;
    s->position = records; // live: only the numbers go on
    return 0;
}

static void live_close(struct input *in)
{
    struct smi_live *s = (struct smi_live *)in;
    (void)child_end(&s->child, false, PATIENCE_NS);
    buf_done(&s->line);
    arena_done(&s->arena);
    free(s);
}

static const struct input_driver live = {
    .scheme = "nvidia-smi",
    .seek = live_seek,
    .next = live_next,
    .close = live_close,
};

const char *smi_program(const struct uri *uri)
{
    struct str given = uri_option(uri, "path");
    return given.n > 0 ? given.p : "nvidia-smi";
}

int smi_live_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                  struct error *err)
{
    struct smi_live *s = x_zalloc(sizeof(*s));
    s->base = (struct input){.driver = &live, .env = env, .uri = uri};
    s->program = smi_program(uri);
    buf_init(&s->line, LINE_MAX_BYTES);
    int r = gpu_options_read(uri, env, &s->arena, &s->options, err);
    if (r < 0) {
        live_close(&s->base);
        return r;
    }
    s->base.info = (struct input_info){.name = uri->text.p, .total = -1};
    snprintf(s->base.info.about, sizeof(s->base.info.about), "GPUs of %.60s by %.60s",
             s->options.placement.host.p, s->program);
    s->mute.ns = INT64_MIN / 2;
    backoff_init(&s->backoff, origin_random());
    *ret = &s->base;
    return 0;
}
