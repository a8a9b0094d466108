#include "top/top.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "report/digits.h"
#include "top/feed.h"
#include "top/screen.h"
#include "top/view.h"

enum { TICK_MS = 1000, TROUBLE_MAX = 1024, PRINTED_WIDTH = 100 };
#define LOOK_AGAIN_NS (200 * NS_PER_MS)

struct session {
    const struct top_config *c;
    struct screen *screen;
    struct feed *feed;
    struct top_state state;
    struct top_snapshot *snapshot; // the last that came; NULL: none did
    struct top_model model;        // of it
    struct error error;            // of the last attempt; code 0: it went well
    struct mono good;              // when the last snapshot came
    struct buf trouble;            // scratch
};

static struct top_ask ask_of(const struct top_config *c, const struct top_state *s)
{
    return (struct top_ask){s->window, s->group, c->zone, c->at};
}

static struct top_look look_of(const struct top_config *c, const struct top_state *s)
{
    return (struct top_look){s->basis, s->sort, str_of(s->filter), c->store};
}

// The model again, after a snapshot or a choice.
static void look_anew(struct session *s)
{
    if (s->snapshot) {
        struct top_look look = look_of(s->c, &s->state);
        top_model_done(&s->model);
        top_model_init(&s->model, s->snapshot, &look);
        top_state_follow(&s->state, &s->model);
    }
}

static void take_news(struct session *s)
{
    struct top_snapshot *news = feed_take(s->feed, &s->error);
    if (news) {
        top_model_done(&s->model);
        top_snapshot_free(s->snapshot);
        s->snapshot = news;
        s->good = clock_mono(s->c->clock);
        look_anew(s);
    }
}

// Why the numbers are not new, and how old they are; NULL: they are.
static const char *trouble_of(struct session *s)
{
    if (s->error.code == 0) {
        return NULL;
    }
    buf_clear(&s->trouble);
    if (s->snapshot) {
        buf_cstr(&s->trouble, "no news for ");
        digits_duration(&s->trouble, clock_mono(s->c->clock).ns - s->good.ns);
        buf_cstr(&s->trouble, ": ");
    }
    buf_printf(&s->trouble, "%s; trying again", s->error.msg);
    return s->trouble.p;
}

static void draw(struct session *s)
{
    struct grid grid;
    size_t width, height;
    struct top_view view = {
        .model = s->snapshot ? &s->model : NULL,
        .source = s->c->source->name,
        .now = s->c->at == INT64_MIN ? clock_wall(s->c->clock) : s->c->at,
        .zone = s->c->zone,
        .trouble = trouble_of(s),
    };
    screen_size(s->screen, &width, &height);
    grid_init(&grid, width, MIN(height, (size_t)GRID_SCREEN_MAX));
    top_view_draw(&view, &s->state, &grid);
    screen_show(s->screen, &grid);
    grid_done(&grid);
}

// Every key that waits. False: leave.
static bool take_keys(struct session *s)
{
    int key;
    while ((key = screen_key(s->screen)) != TOP_KEY_NONE) {
        const struct top_model *m = s->snapshot ? &s->model : NULL;
        enum top_effect effect = top_state_key(&s->state, m, key);
        if (effect == TOP_QUITS) {
            return false;
        }
        if (effect == TOP_ASKS) {
            struct top_ask ask = ask_of(s->c, &s->state);
            feed_ask(s->feed, &ask);
        }
        if (effect != TOP_SAME) {
            look_anew(s);
        }
    }
    return true;
}

// False: leave. A signal, as of a new size, only ends the wait.
static bool wait_for_something(struct session *s)
{
    struct pollfd p[] = {
        {.fd = 0, .events = POLLIN},
        {.fd = feed_fd(s->feed), .events = POLLIN},
        {.fd = s->c->stop_fd, .events = POLLIN},
    };
    int n = poll(p, ARRAY_LEN(p), TICK_MS);
    bool gone = n > 0 && (p[0].revents & (POLLHUP | POLLERR | POLLNVAL));
    return !gone && !(n > 0 && p[2].revents);
}

static void run_session(struct session *s)
{
    do {
        take_news(s);
        draw(s);
    } while (wait_for_something(s) && take_keys(s));
}

int top_interactive(const struct top_config *c, struct error *err)
{
    struct session s = {.c = c, .state = c->state};
    int r = screen_open(stdin, stdout, c->color, &s.screen, err);
    if (r < 0) {
        top_source_close(c->source);
        return r;
    }
    struct top_ask ask = ask_of(c, &s.state);
    s.good = clock_mono(c->clock);
    buf_init(&s.trouble, TROUBLE_MAX);
    r = feed_start(c->source, &ask, c->delay_ns, &s.feed, err);
    if (r == 0) {
        run_session(&s);
    }
    screen_close(s.screen); // before what may take a while
    feed_stop(s.feed);
    top_model_done(&s.model);
    top_snapshot_free(s.snapshot);
    buf_done(&s.trouble);
    return r;
}

// ---- once -----------------------------------------------------------------------------------

static bool stopped_within(int stop_fd, int64_t ns)
{
    struct pollfd p = {.fd = stop_fd, .events = POLLIN};
    return poll(&p, 1, (int)(ns / NS_PER_MS)) > 0;
}

// Again until there is something to show, where that may take a moment.
static int fetch_something(const struct top_config *c, int64_t wait_ns, struct top_snapshot **ret,
                           struct error *err)
{
    struct top_ask ask = ask_of(c, &c->state);
    int64_t until = clock_mono(c->clock).ns + wait_ns;
    for (;;) {
        int r = top_source_fetch(c->source, &ask, ret, err);
        bool late = clock_mono(c->clock).ns >= until;
        if (r < 0 || late || (*ret)->groups.bill.cost_nusd > 0 ||
            stopped_within(c->stop_fd, LOOK_AGAIN_NS)) {
            return r;
        }
        top_snapshot_free(*ret);
    }
}

static void print_text(const struct top_config *c, const struct top_model *m, size_t width,
                       struct buf *b)
{
    struct grid grid;
    struct top_state state = c->state;
    struct top_view view = {
        .model = m,
        .source = c->source->name,
        .now = m->snapshot->at,
        .zone = c->zone,
        .printed = true,
    };
    if (width == 0) { // notes are broken there
        width = MAX(top_view_width(&view, &state), (size_t)PRINTED_WIDTH);
    }
    grid_init(&grid, width, top_view_height(&view, &state, width));
    top_view_draw(&view, &state, &grid);
    grid_text(&grid, b);
    grid_done(&grid);
}

int top_once(const struct top_config *c, enum top_print print, size_t width, int64_t wait_ns,
             struct buf *b, struct error *err)
{
    struct top_snapshot *snapshot = NULL;
    int r = fetch_something(c, wait_ns, &snapshot, err);
    if (r == 0) {
        struct top_model m;
        struct top_look look = look_of(c, &c->state);
        top_model_init(&m, snapshot, &look);
        if (print == TOP_PRINT_JSON) {
            top_json(&m, b);
        } else {
            print_text(c, &m, width, b);
        }
        top_model_done(&m);
        top_snapshot_free(snapshot);
    }
    top_source_close(c->source);
    return r;
}
