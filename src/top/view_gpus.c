// The table of GPUs.
#include "report/digits.h"
#include "report/text.h"
#include "top/view_impl.h"

enum { GPU, NAME, UTIL, MEM, POWER, HOUR, RATE, MODEL, N_COLUMNS };

static void put_name(struct columns *c, const struct top_gpu *g, struct buf *b)
{
    static const struct str maker = {"NVIDIA ", 7};
    struct str name = g->name;
    if (str_starts(name, maker)) {
        name = (struct str){name.p + maker.n, name.n - maker.n};
    }
    if (name.n == 0) {
        columns_dash(c, NAME);
        return;
    }
    buf_str(b, name);
    columns_set(c, NAME, LOOK_PLAIN, b);
}

static void put_percent(struct columns *c, size_t column, bool known, double share, struct buf *b)
{
    if (!known) {
        columns_dash(c, column);
        return;
    }
    view_percent(b, share);
    columns_set(c, column, LOOK_PLAIN, b);
}

// What its newest sample says, when that is of now.
static void put_sample(struct columns *c, const struct top_gpu_line *l, struct buf *b)
{
    const struct top_gpu *g = l->gpu;
    bool now = !l->silent && !l->ahead;
    bool mem = (g->has & SAMPLE_MEM_USED) && (g->has & SAMPLE_MEM_TOTAL) && g->mem_total_mb > 0;
    put_percent(c, UTIL, now && (g->has & SAMPLE_UTILIZATION), g->utilization, b);
    put_percent(c, MEM, now && mem, mem ? g->mem_used_mb / g->mem_total_mb : 0, b);
    if (now && (g->has & SAMPLE_POWER)) {
        buf_printf(b, "%.0f W", g->power_w);
        columns_set(c, POWER, LOOK_PLAIN, b);
    } else {
        columns_dash(c, POWER);
    }
}

static void put_money(struct columns *c, const struct top_gpu_line *l, struct buf *b)
{
    view_money_hour(b, l->known, l->cents.hour);
    columns_set(c, HOUR, LOOK_PLAIN, b);
    view_rate(b, l->rate);
    columns_set(c, RATE, LOOK_PLAIN, b);
}

// What stands where its models would: nothing is known of now.
static struct str excuse(const struct top_gpu_line *l, struct arena *a, struct buf *b)
{
    if (l->ahead) {
        return STR("(its newest sample is of later)");
    }
    if (!l->silent) {
        return STR_NONE;
    }
    if (l->age_ns == INT64_MAX) {
        return STR("(no samples)");
    }
    buf_cstr(b, "(silent for ");
    digits_duration(b, l->age_ns);
    buf_char(b, ')');
    struct str text = arena_copy(a, buf_view(b));
    buf_clear(b);
    return text;
}

static void fill_bar(struct columns_row *r, const struct top_gpu_line *l)
{
    double time = (double)l->bill.busy_ns;
    r->has_bar = time > 0;
    if (r->has_bar) {
        r->bar[0] = (struct bar_part){(double)l->parts[ROW_USAGE].busy_ns / time, '#', LOOK_BUSY};
        r->bar[1] = (struct bar_part){(double)l->parts[ROW_IDLE].busy_ns / time, '-', LOOK_IDLE};
        r->bar[2] =
            (struct bar_part){(double)l->parts[ROW_UNATTRIBUTED].busy_ns / time, '!', LOOK_LOST};
    }
}

static void put_gpu(struct columns *c, const struct top_gpu_line *l, struct buf *b)
{
    struct columns_row *r = columns_row(c);
    r->over = excuse(l, c->arena, b);
    r->over_from = MODEL;
    fill_bar(r, l);
    buf_str(b, l->gpu->label);
    columns_set(c, GPU, LOOK_PLAIN, b);
    put_name(c, l->gpu, b);
    put_sample(c, l, b);
    put_money(c, l, b);
    if (l->models.n > 0) {
        buf_str(b, l->models);
        columns_set(c, MODEL, LOOK_PLAIN, b);
    } else {
        columns_dash(c, MODEL);
    }
}

void view_gpu_table(const struct top_model *m, struct columns *c)
{
    static const struct {
        const char *title;
        enum columns_align align;
        unsigned drop;
        bool elastic;
    } list[N_COLUMNS] = {
        [GPU] = {"GPU", COLUMN_LEFT, 0, true},       [NAME] = {"name", COLUMN_LEFT, 5, true},
        [UTIL] = {"util", COLUMN_RIGHT, 2, false},   [MEM] = {"mem", COLUMN_RIGHT, 3, false},
        [POWER] = {"power", COLUMN_RIGHT, 4, false}, [HOUR] = {"$/h", COLUMN_RIGHT, 0, false},
        [RATE] = {"$/Mtok", COLUMN_RIGHT, 1, false}, [MODEL] = {"model", COLUMN_LEFT, 6, true},
    };
    struct buf b;
    buf_init(&b, 8192);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        columns_add(c, list[i].title, list[i].align, list[i].drop);
        c->columns[i].elastic = list[i].elastic;
    }
    c->bar_title = "time";
    for (size_t i = 0; i < m->n_gpus; i++) {
        put_gpu(c, &m->gpus[i], &b);
    }
    buf_done(&b);
}
