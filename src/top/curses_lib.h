// ncurses, loaded when a screen is opened: no other command needs it. Internal to src/top. See
// base/library.h. Only functions are used; what curses.h has as macros over its global variables
// (stdscr, LINES) would need the library to be linked.
#pragma once

#define NCURSES_NOMACROS
#define NCURSES_ENABLE_STDBOOL_H 1
#include <curses.h>

#include "base/library.h"

// As in term.h, which also has a macro for every capability there is (lines, columns, bell).
struct term;
int setupterm(const char *term, int fd, int *ret_status);
struct term *set_curterm(struct term *t);
int del_curterm(struct term *t);

// clang-format off
#define CURSES_FUNCTIONS(X)                                                                        \
    X(newterm) X(endwin) X(delscreen) X(newwin) X(delwin) X(werase) X(wmove) X(waddnstr)           \
    X(wattrset) X(wnoutrefresh) X(doupdate) X(wgetch) X(keypad) X(nodelay) X(cbreak) X(noecho)     \
    X(nonl) X(curs_set) X(has_colors) X(start_color) X(use_default_colors) X(init_pair)            \
    X(set_escdelay) X(getmaxx) X(getmaxy) X(clearok) X(wresize) X(tigetstr) X(intrflush)           \
    X(leaveok) X(COLOR_PAIR) X(setupterm) X(set_curterm) X(del_curterm)
// clang-format on

struct curses_lib {
    CURSES_FUNCTIONS(LIBRARY_MEMBER)
};
extern struct curses_lib curses_lib; // written by curses_lib_load() alone

// Before any other function of ncurses. -EOPNOTSUPP: it is not installed.
int curses_lib_load(struct error *err) GTAP_CHECK;
