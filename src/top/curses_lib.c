#include "top/curses_lib.h"

struct curses_lib curses_lib;

int curses_lib_load(struct error *err)
{
    static const char *const names[] = {CURSES_FUNCTIONS(LIBRARY_NAME)};
    static struct library library =
        LIBRARY("libncursesw.so.6", "libncursesw6", names, curses_lib, NULL);
    return library_load(&library, err);
}
