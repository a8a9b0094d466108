// file: as a whole, on any bytes: plain, gzip or zstd. Positions are without gaps, and going on
// from the middle gives what was left.
#include "fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "input/input.h"

enum { UNPACKED_MAX = 4 << 20 }; // a packed input may be of any size

static struct input *open_file(const struct uri *uri, const struct input_env *env)
{
    struct input *in = NULL;
    struct error err = {0};
    int r = input_open(uri, env, &in, &err);
    assert(r == 0);
    return in;
}

static int64_t read_from(struct input *in, int64_t position, int64_t *ret_offset)
{
    struct batch b;
    struct error err = {0};
    int r = INPUT_MORE;
    size_t bytes = 0;
    batch_init(&b);
    while (r == INPUT_MORE && bytes < UNPACKED_MAX) {
        batch_clear(&b);
        r = input_next(in, &b, &err);
        assert(r >= 0 || err.msg[0] != '\0');
        position += (int64_t)(b.n_records + b.n_dead);
        bytes += b.arena.used;
        assert(r < 0 || b.position == position);
        *ret_offset = b.offset;
    }
    batch_done(&b);
    return r < 0 || r == INPUT_MORE ? -1 : position;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input_env env = {.clock = &clock_system, .stop_fd = -1};
    struct arena arena = {0};
    struct uri uri;
    char text[64];
    int64_t offset = -1, again = -1;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(text, sizeof(text), "file:/proc/self/fd/%d", fd);
    int r = uri_parse(&arena, str_of(text), &uri, NULL);
    assert(r == 0);
    struct input *in = open_file(&uri, &env);
    int64_t total = read_from(in, 0, &offset);
    input_close(in);
    if (total > 0) {
        int64_t half = total / 2;
        in = open_file(&uri, &env);
        r = input_seek(in, half, -1, NULL);
        assert(r == 0 && read_from(in, half, &again) == total && again == offset);
        input_close(in);
    }
    close(fd);
    arena_done(&arena);
    return 0;
}
