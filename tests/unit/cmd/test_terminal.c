#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/terminal.h"
#include "test.h"

static const char *term, *no_color, *columns;

static const char *fake_getenv(const char *name)
{
    return strcmp(name, "TERM") == 0       ? term
           : strcmp(name, "NO_COLOR") == 0 ? no_color
           : strcmp(name, "COLUMNS") == 0  ? columns
                                           : NULL;
}

static void test_pipe(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    term = "xterm";
    columns = "100";
    struct terminal t = terminal_of(f, COLOR_AUTO, fake_getenv);
    assert_false(t.is_terminal);
    assert_false(t.color);
    assert_i64((int64_t)t.width, 0);
    assert_true(terminal_of(f, COLOR_ALWAYS, fake_getenv).color);
    fclose(f);
}

// A terminal of 70 columns.
static FILE *open_terminal(int *ret_master)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char name[128];
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, name, sizeof(name)) != 0) {
        return NULL;
    }
    struct winsize size = {.ws_row = 24, .ws_col = 70};
    assert_i64(ioctl(master, TIOCSWINSZ, &size), 0);
    *ret_master = master;
    return fopen(name, "w");
}

static void test_terminal(void **state)
{
    (void)state;
    static const struct {
        int color;
        const char *term, *no_color, *columns;
        bool want;
        size_t width;
    } rows[] = {
        {COLOR_AUTO, "xterm", NULL, NULL, true, 70},
        {COLOR_AUTO, "xterm", "", NULL, true, 70}, // an empty NO_COLOR says nothing
        {COLOR_AUTO, "xterm", "1", NULL, false, 70},
        {COLOR_AUTO, "dumb", NULL, NULL, false, 70},
        {COLOR_AUTO, NULL, NULL, NULL, false, 70},
        {COLOR_NEVER, "xterm", NULL, NULL, false, 70},
        {COLOR_ALWAYS, "dumb", "1", NULL, true, 70},
        {COLOR_AUTO, "xterm", NULL, "120", true, 120},
        {COLOR_AUTO, "xterm", NULL, "5", true, 20},
        {COLOR_AUTO, "xterm", NULL, "99999", true, 1000},
        {COLOR_AUTO, "xterm", NULL, "wide", true, 70},
    };
    int master = -1;
    FILE *f = open_terminal(&master);
    if (f == NULL) {
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        term = rows[i].term;
        no_color = rows[i].no_color;
        columns = rows[i].columns;
        struct terminal t = terminal_of(f, rows[i].color, fake_getenv);
        assert_true(t.is_terminal);
        assert_i64(t.color, rows[i].want);
        assert_i64((int64_t)t.width, (int64_t)rows[i].width);
    }
    fclose(f);
    close(master);
}

int main(void)
{
    return TEST_RUN(TEST(test_pipe), TEST(test_terminal));
}
