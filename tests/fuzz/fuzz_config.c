// Configuration files: as INI, and as what every command makes of one.
#include "fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cmd/resolve.h"

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static struct str nth_line(struct str text, int number)
{
    struct str line = STR_NONE;
    for (int i = 0; i < number; i++) {
        bool there = str_split(&text, '\n', &line);
        assert(there);
    }
    return line;
}

// Every value stands on the line that it is said to be from.
static void parse(struct str text)
{
    struct arena arena = {0};
    struct config_file file;
    struct error err = {0};
    if (config_parse(text, "PATH", &arena, &file, &err) < 0) {
        assert(err.code < 0 && str_starts(str_of(err.msg), STR("PATH:")));
    } else {
        int before = 0;
        for (size_t i = 0; i < file.n; i++) {
            const struct config_entry *e = &file.entries[i];
            struct str line = nth_line(text, e->line);
            assert(e->line > 0 && e->line >= before);
            assert(memmem(line.p, line.n, e->value, strlen(e->value)) || line.n == 0);
            before = e->line;
        }
    }
    arena_done(&arena);
}

static void resolve_for(const struct command *c, const char *path, const void *words)
{
    struct cli cli = {.getenv = no_env};
    struct error err = {0};
    AUTO_FREE void *values = x_zalloc(c->size);
    int r = resolve(&cli, c, words, 2, values, &err);
    bool lacks_arguments = r < 0 && strstr(err.msg, "expected ") != NULL;
    assert(r == 0 || lacks_arguments || strstr(err.msg, path) != NULL);
    arena_done(&cli.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    parse((struct str){(const char *)data, size});
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const char *const words[] = {"--config", path};
    for (size_t i = 0; commands[i]; i++) {
        resolve_for(commands[i], path, words);
    }
    close(fd);
    return 0;
}
