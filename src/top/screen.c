#include "top/screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "top/curses_lib.h"
#include "top/state.h"

enum { ESCAPE_MS = 25, FUNCTION_KEYS = 12, CTRL_L = 12 };

struct screen {
    SCREEN *terminal;
    WINDOW *window;
    bool color, utf8;
};

// What each look is, without colours and with them: attributes, and a colour of the terminal's own.
static const struct {
    attr_t plain;
    attr_t attributes;
    short color; // -1: the terminal's
} looks[LOOK_COUNT] = {
    [LOOK_PLAIN] = {A_NORMAL, A_NORMAL, -1},          [LOOK_STRONG] = {A_BOLD, A_BOLD, -1},
    [LOOK_TITLE] = {A_UNDERLINE, A_BOLD, COLOR_CYAN}, [LOOK_FAINT] = {A_DIM, A_DIM, -1},
    [LOOK_BUSY] = {A_NORMAL, A_NORMAL, COLOR_GREEN},  [LOOK_IDLE] = {A_DIM, A_NORMAL, COLOR_YELLOW},
    [LOOK_LOST] = {A_BOLD, A_BOLD, COLOR_RED},        [LOOK_ALERT] = {A_BOLD, A_BOLD, COLOR_YELLOW},
    [LOOK_KEY] = {A_REVERSE, A_BOLD, COLOR_CYAN},
};

static const struct {
    int code, key;
} codes[] = {
    {KEY_UP, TOP_KEY_UP},
    {KEY_DOWN, TOP_KEY_DOWN},
    {KEY_PPAGE, TOP_KEY_PAGE_UP},
    {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
    {KEY_HOME, TOP_KEY_HOME},
    {KEY_END, TOP_KEY_END},
    {KEY_ENTER, TOP_KEY_ENTER},
    {'\n', TOP_KEY_ENTER},
    {KEY_BACKSPACE, TOP_KEY_BACKSPACE},
    {'\t', TOP_KEY_TAB},
    {KEY_BTAB, TOP_KEY_TAB},
};

static void set_colors(struct screen *s, bool wanted)
{
    s->color = wanted && curses_lib.has_colors() && curses_lib.start_color() == OK;
    if (!s->color) {
        return;
    }
    short back = curses_lib.use_default_colors() == OK ? -1 : COLOR_BLACK;
    for (short i = 0; i < LOOK_COUNT; i++) {
        short front = looks[i].color >= 0 || back == -1 ? looks[i].color : COLOR_WHITE;
        curses_lib.init_pair((short)(i + 1), front, back);
    }
}

// Moving about is all that it takes; a terminal that cannot scrolls frame after frame.
static bool can_move(void)
{
    char name[] = "cup";
    const char *text = curses_lib.tigetstr(name);
    return text != NULL && text != (const char *)(intptr_t)-1;
}

static int no_terminal(struct error *err, const char *what)
{
    const char *term = getenv("TERM");
    return error_set(err, -EOPNOTSUPP, "the terminal '%s' %s", term ? term : "", what);
}

// Before newterm(), which leaves memory behind where it fails.
static int check_terminal(FILE *out, struct error *err)
{
    int status;
    if (curses_lib.setupterm(NULL, fileno(out), &status) == ERR) {
        return no_terminal(err, "is not known here");
    }
    bool moves = can_move();
    curses_lib.del_curterm(curses_lib.set_curterm(NULL));
    return moves ? 0 : no_terminal(err, "cannot place its cursor");
}

static void set_up(struct screen *s, bool color)
{
    s->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    set_colors(s, color);
    curses_lib.cbreak();
    curses_lib.noecho();
    curses_lib.nonl();
    curses_lib.curs_set(0);
    curses_lib.set_escdelay(ESCAPE_MS);
    curses_lib.intrflush(s->window, false);
    curses_lib.keypad(s->window, true);
    curses_lib.nodelay(s->window, true);
    curses_lib.leaveok(s->window, true);
}

int screen_open(FILE *in, FILE *out, bool color, struct screen **ret, struct error *err)
{
    int r = curses_lib_load(err);
    r = r < 0 ? r : check_terminal(out, err);
    if (r < 0) {
        return r;
    }
    setlocale(LC_CTYPE, ""); // what bytes are characters; numbers stay as they are
    SCREEN *terminal = curses_lib.newterm(NULL, out, in);
    if (terminal == NULL) {
        return no_terminal(err, "cannot be set up");
    }
    WINDOW *window = curses_lib.newwin(0, 0, 0, 0);
    if (window == NULL) {
        curses_lib.endwin();
        curses_lib.delscreen(terminal);
        return no_terminal(err, "has no room for a window");
    }
    struct screen *s = x_zalloc(sizeof(*s));
    *s = (struct screen){.terminal = terminal, .window = window};
    set_up(s, color);
    *ret = s;
    return 0;
}

void screen_close(struct screen *s)
{
    if (s) {
        curses_lib.endwin();
        curses_lib.delwin(s->window);
        curses_lib.delscreen(s->terminal);
        free(s);
    }
}

void screen_size(struct screen *s, size_t *ret_width, size_t *ret_height)
{
    *ret_width = (size_t)MAX(curses_lib.getmaxx(s->window), 1);
    *ret_height = (size_t)MAX(curses_lib.getmaxy(s->window), 1);
}

static void set_look(struct screen *s, unsigned look, bool chosen)
{
    attr_t a = s->color ? looks[look].attributes | (attr_t)curses_lib.COLOR_PAIR((int)look + 1)
                        : looks[look].plain;
    curses_lib.wattrset(s->window, (int)(chosen ? a | A_REVERSE : a));
}

// Without UTF-8 a terminal shows ASCII alone.
static void put_cell(struct screen *s, const struct cell *c)
{
    bool ascii = c->n == 1 && (unsigned char)c->text[0] < 0x80;
    if (s->utf8 || ascii) {
        curses_lib.waddnstr(s->window, c->text, c->n);
    } else {
        curses_lib.waddnstr(s->window, "?", 1);
    }
}

// Every character at its own place: what a terminal takes for wider or narrower than we do shifts
// nothing else.
static void show_line(struct screen *s, const struct grid *g, size_t y)
{
    for (size_t x = 0; x < g->width; x++) {
        const struct cell *c = &g->cells[y * g->width + x];
        bool blank = c->n == 0;
        if (blank && !g->chosen[y]) {
            continue;
        }
        curses_lib.wmove(s->window, (int)y, (int)x);
        set_look(s, c->look, g->chosen[y]);
        if (!blank) {
            put_cell(s, c);
        } else if (x == 0 || g->cells[y * g->width + x - 1].n < 2) {
            curses_lib.waddnstr(s->window, " ", 1);
        }
    }
}

void screen_show(struct screen *s, const struct grid *g)
{
    curses_lib.wattrset(s->window, A_NORMAL);
    curses_lib.werase(s->window);
    for (size_t y = 0; y < g->height; y++) {
        show_line(s, g, y);
    }
    curses_lib.wnoutrefresh(s->window);
    curses_lib.doupdate();
}

void screen_spoilt(struct screen *s)
{
    curses_lib.clearok(s->window, true);
}

int screen_key(struct screen *s)
{
    int code = curses_lib.wgetch(s->window);
    if (code == ERR) {
        return TOP_KEY_NONE;
    }
    if (code == KEY_RESIZE || code == CTRL_L) {
        screen_spoilt(s);
        return TOP_KEY_REDRAW;
    }
    if (code >= KEY_F(1) && code <= KEY_F(FUNCTION_KEYS)) {
        return TOP_KEY_F + code - KEY_F(0);
    }
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].code == code) {
            return codes[i].key;
        }
    }
    return code <= UINT8_MAX ? code : TOP_KEY_REDRAW;
}
