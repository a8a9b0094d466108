// The two lines above everything, and the keys below.
#include <math.h>

#include "report/digits.h"
#include "report/text.h"
#include "top/view_impl.h"

enum { PART_MAX = 1024 };

void view_money_hour(struct buf *b, bool known, i128 cents)
{
    if (known) {
        digits_grouped(b, cents, 2);
    } else {
        buf_char(b, '-');
    }
}

void view_rate(struct buf *b, struct rate rate)
{
    if (rate.known) {
        digits_rate(b, rate.usd_per_mtok);
    } else {
        buf_char(b, '-');
    }
}

void view_percent(struct buf *b, double share)
{
    if (isfinite(share)) {
        buf_printf(b, "%.0f %%", 100 * share);
    } else {
        buf_char(b, '-');
    }
}

void line_put(struct line *l, enum cell_look look, struct buf *text)
{
    struct str s = buf_view(text);
    if (l->x < l->end && s.n > 0) {
        l->x += grid_put(l->grid, l->y, l->x, l->end - l->x, look, s);
    }
    buf_clear(text);
}

// As line_put, two columns further on, and only where the whole of it has room.
static void put_part(struct line *l, enum cell_look look, struct buf *text)
{
    size_t gap = l->x > 0 ? 2 : 0;
    if (buf_view(text).n > 0 && l->x + gap + text_width(buf_view(text)) <= l->end) {
        l->x += gap;
        line_put(l, look, text);
    }
    buf_clear(text);
}

// At the right end; the line has so much less room then.
static void put_right(struct line *l, enum cell_look look, struct buf *text)
{
    size_t width = text_width(buf_view(text));
    if (width + 2 <= l->end - l->x) {
        grid_put(l->grid, l->y, l->end - width, width, look, buf_view(text));
        l->end -= width + 2;
    }
    buf_clear(text);
}

static void put_clock(struct buf *b, const struct top_view *v, int64_t t)
{
    struct civil c = time_civil(t + zone_offset(v->zone, t));
    buf_printf(b, "%02d:%02d:%02d", c.hour, c.minute, c.second);
}

static void put_final(const struct top_view *v, struct buf *b)
{
    int64_t t = v->model->snapshot->final_until;
    if (t == INT64_MIN) {
        buf_cstr(b, "nothing final");
        return;
    }
    buf_cstr(b, "final ");
    zone_format_near(b, v->zone, t, v->model->snapshot->at, v->model->snapshot->at);
}

static void put_numbers(const struct top_view *v, struct line *l, struct buf *b)
{
    const struct top_model *m = v->model;
    const struct sums *idle = &m->snapshot->groups.kinds[ROW_IDLE];
    enum cell_look strong = v->trouble ? LOOK_FAINT : LOOK_STRONG;
    buf_cstr(b, m->known ? "$" : "");
    view_money_hour(b, m->known, m->bill.hour);
    buf_cstr(b, "/h");
    put_part(l, strong, b);
    view_rate(b, m->loaded);
    buf_cstr(b, " $/Mtok");
    put_part(l, strong, b);
    buf_cstr(b, "busy ");
    view_percent(b, m->busy);
    put_part(l, strong, b);
    if (m->known && cost_known(ROW_IDLE, idle)) {
        i128 cents = m->span_ns > 0
                         ? digits_round(idle->cost_nusd * NS_PER_HOUR, (i128)m->span_ns * 10000000)
                         : 0;
        buf_cstr(b, "idle $");
        view_money_hour(b, true, cents);
        buf_cstr(b, "/h");
    } else {
        buf_cstr(b, "idle -");
    }
    put_part(l, strong, b);
    put_final(v, b);
    put_part(l, LOOK_PLAIN, b);
}

static void put_size(const struct top_model *m, struct buf *b)
{
    digits_count(b, (int64_t)m->n_hosts, "host");
    buf_char(b, ' ');
    digits_count(b, (int64_t)m->n_billed, "GPU");
}

// The window with its money, and what else was chosen.
static void put_choices(const struct top_view *v, const struct top_state *s, struct line *l,
                        struct buf *b)
{
    const struct top_model *m = v->model;
    buf_printf(b, "%s: ", top_window_text(m->snapshot->ask.window));
    buf_cstr(b, m->known ? "$" : "");
    view_money_hour(b, m->known, m->bill.window);
    buf_cstr(b, m->snapshot->groups.bill.open ? ", provisional" : "");
    put_part(l, LOOK_PLAIN, b);
    put_size(m, b);
    put_part(l, LOOK_PLAIN, b);
    buf_printf(b, "rows %s, by %s", top_basis_name(s->basis), top_sort_name(s->sort));
    put_part(l, LOOK_FAINT, b);
}

static void put_filter(const struct top_state *s, struct line *l, struct buf *b)
{
    buf_printf(b, "filter: %s%s", s->filter, s->typing ? "_" : "");
    put_part(l, LOOK_ALERT, b);
}

size_t view_header(const struct top_view *v, const struct top_state *s, struct grid *g)
{
    struct buf b;
    struct line first = {g, 0, 0, g->width}, second = {g, 1, 0, g->width};
    buf_init(&b, PART_MAX);
    buf_cstr(&b, "gtap");
    line_put(&first, LOOK_TITLE, &b);
    put_clock(&b, v, v->now);
    put_right(&first, LOOK_PLAIN, &b);
    if (s->typing || s->filter[0]) {
        put_filter(s, &second, &b);
    }
    if (v->trouble) {
        buf_cstr(&b, v->trouble);
        second.x += second.x > 0 ? 2 : 0;
        line_put(&second, LOOK_ALERT, &b);
    }
    if (v->model) {
        put_numbers(v, &first, &b);
    }
    if (v->model && !v->trouble) {
        put_choices(v, s, &second, &b);
    }
    if (!v->trouble) {
        buf_cstr(&b, v->source);
        put_part(&second, LOOK_FAINT, &b);
    }
    buf_done(&b);
    return MAX(first.x + g->width - first.end, second.x);
}

void view_keys(const struct top_state *s, struct grid *g, size_t y)
{
    const struct {
        const char *key, *what;
    } keys[] = {
        {"F1", "help"},
        {"F2", top_group_name(s->group)},
        {"F3", top_window_name(s->window)},
        {"F4", top_basis_name(s->basis)},
        {"F6", top_sort_name(s->sort)},
        {"F9", "explain"},
        {"F10", "quit"},
        {"/", "filter"},
    };
    struct buf b;
    struct line l = {g, y, 0, g->width};
    buf_init(&b, PART_MAX);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (l.x + strlen(keys[i].key) + 3 + strlen(keys[i].what) > l.end) {
            continue;
        }
        l.x += l.x > 0 ? 2 : 0;
        buf_cstr(&b, keys[i].key);
        line_put(&l, LOOK_KEY, &b);
        buf_printf(&b, " %s", keys[i].what);
        line_put(&l, LOOK_PLAIN, &b);
    }
    buf_done(&b);
}
