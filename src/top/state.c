#include "top/state.h"

#include <string.h>

const struct top_key_help top_key_helps[] = {
    {"F1 1 h ?", "this help"},
    {"F2 2 b", "group by model/tenant, model, tenant or gpu/model"},
    {"F3 3 w", "window: the last 1m, 5m, 1h, 24h, or today"},
    {"F4 4 l", "basis: busy (what requests cost), loaded (with idle and unattributed time)"},
    {"F6 6 s >", "sort by cost, tokens, requests, rate or name"},
    {"P T R M N", "sort by cost, tokens, requests, rate ($/Mtok), name"},
    {"F9 9 e Enter", "explain the chosen row: where its cost comes from"},
    {"/ \\", "filter: only rows with this text; Enter keeps it, Escape removes it"},
    {"Up Down j k", "choose a row"},
    {"PgUp PgDn Home End", "... further away"},
    {"Tab", "to the other table"},
    {"F10 0 q", "quit"},
    {NULL, NULL},
};

static size_t count_of(const struct top_model *m)
{
    return m ? m->n_gpus + m->n_lines : 0;
}

static void copy_label(struct top_state *s, struct str label)
{
    size_t n = MIN(label.n, sizeof(s->label) - 1);
    memcpy(s->label, label.p, n);
    s->label[n] = '\0';
}

static void note_chosen(struct top_state *s, const struct top_model *m)
{
    s->label[0] = '\0';
    s->in_lines = m && s->chosen >= m->n_gpus;
    if (s->chosen >= count_of(m)) {
        return;
    }
    struct buf b;
    buf_init(&b, 8192);
    if (s->in_lines) {
        top_line_label(&m->lines[s->chosen - m->n_gpus], &b);
    } else {
        buf_str(&b, m->gpus[s->chosen].gpu->label);
    }
    copy_label(s, buf_view(&b));
    buf_done(&b);
}

static void choose(struct top_state *s, const struct top_model *m, size_t at)
{
    size_t n = count_of(m);
    s->chosen = n == 0 ? 0 : MIN(at, n - 1);
    note_chosen(s, m);
}

void top_state_follow(struct top_state *s, const struct top_model *m)
{
    char wanted[TOP_LABEL_MAX];
    bool in_lines = s->in_lines;
    memcpy(wanted, s->label, sizeof(wanted));
    size_t first = in_lines ? m->n_gpus : 0, end = in_lines ? count_of(m) : m->n_gpus;
    for (size_t i = first; wanted[0] && i < end; i++) {
        choose(s, m, i);
        if (strcmp(s->label, wanted) == 0) {
            return;
        }
    }
    choose(s, m, s->chosen);
}

static enum top_effect move(struct top_state *s, const struct top_model *m, int key)
{
    size_t page = MAX(s->page_lines, (size_t)1), n = count_of(m), at = s->chosen;
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        at -= at > 0;
        break;
    case TOP_KEY_DOWN:
    case 'j':
        at++;
        break;
    case TOP_KEY_PAGE_UP:
        at -= MIN(at, page);
        break;
    case TOP_KEY_PAGE_DOWN:
        at += page;
        break;
    case TOP_KEY_HOME:
        at = 0;
        break;
    case TOP_KEY_END:
        at = n;
        break;
    case TOP_KEY_TAB:
        at = m && at < m->n_gpus ? m->n_gpus : 0;
        break;
    default:
        return TOP_SAME;
    }
    choose(s, m, at);
    return TOP_CHANGED;
}

// Help and explanations scroll.
static enum top_effect scroll(struct top_state *s, int key)
{
    size_t page = MAX(s->page_lines, (size_t)1);
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        s->scroll -= s->scroll > 0;
        break;
    case TOP_KEY_DOWN:
    case 'j':
        s->scroll++;
        break;
    case TOP_KEY_PAGE_UP:
        s->scroll -= MIN(s->scroll, page);
        break;
    case TOP_KEY_PAGE_DOWN:
        s->scroll += page;
        break;
    case TOP_KEY_HOME:
        s->scroll = 0;
        break;
    default:
        return TOP_SAME;
    }
    return TOP_CHANGED;
}

static void append(struct top_state *s, int key)
{
    size_t n = strlen(s->filter);
    if (n < TOP_FILTER_MAX) {
        s->filter[n] = (char)key;
        s->filter[n + 1] = '\0';
    }
}

static void cut_last(struct top_state *s)
{
    size_t n = strlen(s->filter);
    while (n > 0 && ((unsigned char)s->filter[n - 1] & 0xc0) == 0x80) {
        n--;
    }
    s->filter[n > 0 ? n - 1 : 0] = '\0';
}

static enum top_effect type(struct top_state *s, int key)
{
    if (key == TOP_KEY_ENTER) {
        s->typing = false;
    } else if (key == TOP_KEY_ESCAPE) {
        s->typing = false;
        s->filter[0] = '\0';
    } else if (key == TOP_KEY_BACKSPACE || key == '\b') {
        cut_last(s);
    } else if (key >= ' ' && key <= UINT8_MAX) {
        append(s, key);
    } else {
        return TOP_SAME;
    }
    return TOP_CHANGED;
}

static enum top_effect open_page(struct top_state *s, enum top_page page)
{
    s->page = s->page == page ? TOP_MAIN : page;
    s->scroll = 0;
    return TOP_CHANGED;
}

static enum top_effect sort_by(struct top_state *s, enum top_sort sort)
{
    s->sort = sort;
    return TOP_CHANGED;
}

static enum top_effect escape(struct top_state *s)
{
    if (s->page == TOP_MAIN) {
        s->filter[0] = '\0';
    }
    s->page = TOP_MAIN;
    return TOP_CHANGED;
}

static enum top_effect command(struct top_state *s, int key)
{
    switch (key) {
    case TOP_KEY_F + 1:
    case '1':
    case 'h':
    case '?':
        return open_page(s, TOP_HELP);
    case TOP_KEY_F + 2:
    case '2':
    case 'b':
        s->group = (s->group + 1) % TOP_GROUPS;
        return TOP_ASKS;
    case TOP_KEY_F + 3:
    case '3':
    case 'w':
        s->window = (s->window + 1) % TOP_WINDOWS;
        return TOP_ASKS;
    case TOP_KEY_F + 4:
    case '4':
    case 'l':
        s->basis = s->basis == BASIS_BUSY ? BASIS_LOADED : BASIS_BUSY;
        return TOP_CHANGED;
    case TOP_KEY_F + 6:
    case '6':
    case 's':
    case '>':
        return sort_by(s, (s->sort + 1) % TOP_SORTS);
    case TOP_KEY_F + 9:
    case '9':
    case 'e':
    case TOP_KEY_ENTER:
        return open_page(s, TOP_EXPLAIN);
    case TOP_KEY_F + 10:
    case '0':
    case 'q':
        return TOP_QUITS;
    case '/':
    case '\\':
        s->page = TOP_MAIN;
        s->typing = true;
        return TOP_CHANGED;
    case TOP_KEY_ESCAPE:
        return escape(s);
    case TOP_KEY_REDRAW:
        return TOP_CHANGED;
    default:
        return TOP_SAME;
    }
}

static enum top_effect sort_letter(struct top_state *s, int key)
{
    static const char letters[TOP_SORTS + 1] = "PTRMN"; // in the order of enum top_sort
    const char *at = key > 0 && key < 128 ? strchr(letters, key) : NULL;
    return at ? sort_by(s, (enum top_sort)(at - letters)) : TOP_SAME;
}

enum top_effect top_state_key(struct top_state *s, const struct top_model *m, int key)
{
    if (s->typing) {
        return type(s, key);
    }
    enum top_effect e = command(s, key);
    if (e == TOP_SAME) {
        e = sort_letter(s, key);
    }
    if (e == TOP_SAME) {
        e = s->page == TOP_MAIN ? move(s, m, key) : scroll(s, key);
    }
    return e;
}
