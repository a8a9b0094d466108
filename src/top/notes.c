// What is missing from the numbers, and why: each a sentence that says what to do.
#include "report/digits.h"
#include "report/text.h"
#include "top/model.h"

enum { NOTE_MAX = 4096, NAMED_MAX = 3 };

void top_note(struct top_model *m, struct buf *text)
{
    if (text->n > 0 && m->n_notes < TOP_NOTES_MAX) {
        m->notes[m->n_notes++] = arena_copy(&m->arena, buf_view(text));
    }
    buf_clear(text);
}

static void note_nothing(struct top_model *m, struct buf *b)
{
    const struct top_snapshot *s = m->snapshot;
    if (s->empty) {
        buf_cstr(b, "no GPU has reported and no request has come yet; on a GPU host: gtap run --in "
                    "nvml: --in vllm+http://localhost:8000/metrics");
    } else if (s->groups.n_rows == 0) {
        buf_printf(b, "nothing in the window (%s)", top_window_text(s->ask.window));
        if (s->newest != INT64_MIN) {
            buf_cstr(b, ": the newest record is of ");
            zone_format(b, s->ask.zone, s->newest, s->at);
            buf_cstr(b, ", ");
            digits_duration(b, MAX(s->at - s->newest, INT64_C(0)));
            buf_cstr(b, " ago");
        }
    }
    top_note(m, b);
}

static bool lacks_price(const struct top_gpu_line *g)
{
    return g->billed && g->bill.unpriced_ns > 0;
}

static void note_unpriced(struct top_model *m, struct buf *b)
{
    size_t n = 0;
    const struct top_gpu *one = NULL;
    for (size_t i = 0; i < m->n_gpus; i++) {
        if (lacks_price(&m->gpus[i])) {
            n++;
            one = one && one->name.n > 0 ? one : m->gpus[i].gpu;
        }
    }
    if (n > 0) {
        digits_count(b, (int64_t)n, "GPU");
        buf_printf(b,
                   " without a price for some time of the window, whose cost is unknown: "
                   "gtap price add '" STR_FMT "' USD_PER_HOUR%s",
                   STR_ARG(text_quotable(one->name) ? one->name : STR("NAME")),
                   m->look.advice ? m->look.advice : "");
    }
    top_note(m, b);
}

// "no telemetry: gpu-02/3, 18 min; gpu-02/4, 3 s; 2 more".
static void note_unattributed(struct top_model *m, struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_gpus; i++) {
        const struct top_gpu_line *g = &m->gpus[i];
        i128 lost = g->parts[ROW_UNATTRIBUTED].busy_ns;
        if (lost > 0 && n++ < NAMED_MAX) {
            buf_cstr(b, n == 1 ? "no telemetry: " : "; ");
            buf_str(b, g->gpu->label);
            buf_cstr(b, ", ");
            digits_duration(b, (int64_t)lost);
        }
    }
    if (n > NAMED_MAX) {
        buf_printf(b, "; %zu more", n - NAMED_MAX);
    }
    top_note(m, b);
}

static void note_unplaced(struct top_model *m, struct buf *b)
{
    const struct sums *s = &m->snapshot->groups.kinds[ROW_UNPLACED];
    if (s->requests > 0) {
        digits_count(b, s->requests, "request");
        buf_cstr(b, " could not be placed on a GPU, so no cost: gtap export token_usage --where "
                    "unplaced");
    }
    top_note(m, b);
}

static void note_gone(struct top_model *m, struct buf *b)
{
    if (m->gone_gpus > 0) {
        digits_count(b, (int64_t)m->gone_gpus, "GPU");
        buf_printf(b, " without a sample for more than a day %s not shown",
                   m->gone_gpus == 1 ? "is" : "are");
    }
    top_note(m, b);
}

void top_notes(struct top_model *m)
{
    struct buf b;
    buf_init(&b, NOTE_MAX);
    note_nothing(m, &b);
    note_unpriced(m, &b);
    note_unattributed(m, &b);
    note_unplaced(m, &b);
    note_gone(m, &b);
    buf_done(&b);
}
