#include "cmd/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/decimal.h"

enum { WIDTH_LEAST = 20, WIDTH_MOST = 1000 };

static size_t width_within(int64_t v)
{
    return v < 1 ? 0 : (size_t)MIN(MAX(v, (int64_t)WIDTH_LEAST), (int64_t)WIDTH_MOST);
}

size_t terminal_columns(const char *(*getenv)(const char *name))
{
    int64_t v;
    const char *columns = getenv("COLUMNS");
    return columns && decimal_parse(str_of(columns), 0, &v) == 0 ? width_within(v) : 0;
}

static size_t width_of(int fd, const char *(*getenv)(const char *name))
{
    struct winsize size;
    size_t wanted = terminal_columns(getenv);
    return wanted > 0 ? wanted : ioctl(fd, TIOCGWINSZ, &size) == 0 ? width_within(size.ws_col) : 0;
}

static bool set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

struct terminal terminal_of(FILE *f, int color, const char *(*getenv)(const char *name))
{
    struct terminal t = {.color = color == COLOR_ALWAYS};
    int fd = fileno(f);
    t.is_terminal = fd >= 0 && isatty(fd) == 1;
    if (t.is_terminal) {
        const char *term = getenv("TERM");
        bool dumb = term == NULL || strcmp(term, "dumb") == 0;
        t.width = width_of(fd, getenv);
        t.color |= color == COLOR_AUTO && !dumb && !set(getenv("NO_COLOR"));
    }
    return t;
}
