#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "model/encode.h"

enum { NOTE_LIMIT = 1 << 30 };

// The environment has no context argument; tests are single-threaded.
static struct harness *current;

static const char *fake_getenv(const char *name)
{
    for (const char *const *v = current->vars; v && *v; v += 2) {
        if (strcmp(v[0], name) == 0) {
            return v[1];
        }
    }
    return NULL;
}

static int64_t fake_wall(const struct clock *c)
{
    return ((const struct fake_clock *)c)->wall;
}

static struct mono fake_mono(const struct clock *c)
{
    return (struct mono){((const struct fake_clock *)c)->mono};
}

void harness_init(struct harness *h)
{
    *h = (struct harness){.dir = "/tmp/gtap-test-XXXXXX"};
    assert_non_null(mkdtemp(h->dir));
    h->clock = (struct fake_clock){
        .base = {.wall = fake_wall, .mono = fake_mono},
        .wall = INT64_C(1795442400) * NS_PER_S, // 2026-11-23T14:00:00Z
        .mono = 1000 * NS_PER_S,
    };
    h->env = (struct input_env){
        .clock = &h->clock.base,
        .now_start = h->clock.wall,
        .stop_fd = eventfd(1, EFD_CLOEXEC),
        .getenv = fake_getenv,
    };
    assert_true(h->env.stop_fd >= 0);
    current = h;
}

static void remove_files(const char *dir)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
        }
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

void harness_done(struct harness *h)
{
    close(h->env.stop_fd);
    remove_files(h->dir);
    arena_done(&h->arena);
    current = NULL;
}

void harness_set_vars(struct harness *h, const char *const *vars)
{
    h->vars = vars;
}

void harness_advance(struct harness *h, int64_t ns)
{
    h->clock.wall += ns;
    h->clock.mono += ns;
}

const char *harness_path(struct harness *h, const char *name)
{
    AUTO_FREE char *path = x_asprintf("%s/%s", h->dir, name);
    return arena_copy(&h->arena, str_of(path)).p;
}

const char *harness_uri(struct harness *h, const char *scheme, const char *name,
                        const char *options)
{
    AUTO_FREE char *uri = x_asprintf("%s:%s/%s%s", scheme, h->dir, name, options);
    return arena_copy(&h->arena, str_of(uri)).p;
}

static void write_file(struct harness *h, const char *name, int flags, struct str content)
{
    int fd = open(harness_path(h, name), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    for (size_t at = 0; at < content.n;) {
        ssize_t n = write(fd, content.p + at, content.n - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    close(fd);
}

void harness_write(struct harness *h, const char *name, struct str content)
{
    write_file(h, name, O_TRUNC, content);
}

void harness_append(struct harness *h, const char *name, struct str content)
{
    write_file(h, name, O_APPEND, content);
}

static void pack_gzip(struct buf *b, struct str content)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)content.p, .avail_in = (uInt)content.n};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, content.n);
    z.next_out = (Bytef *)buf_reserve(b, room);
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b->n += z.total_out;
    deflateEnd(&z);
}

static void pack_zstd(struct buf *b, struct str content)
{
    size_t room = ZSTD_compressBound(content.n);
    char *at = buf_reserve(b, room);
    size_t n = ZSTD_compress(at, room, content.p, content.n, 3);
    assert_false(ZSTD_isError(n));
    b->n += n;
}

void harness_pack(struct buf *b, enum harness_pack how, struct str content)
{
    switch (how) {
    case AS_IS:
        buf_str(b, content);
        break;
    case AS_GZIP:
        pack_gzip(b, content);
        break;
    case AS_ZSTD:
        pack_zstd(b, content);
        break;
    }
    assert_true(buf_ok(b));
}

int harness_try(struct harness *h, const char *text, struct input **ret, struct error *err)
{
    struct uri *uri = arena_alloc(&h->arena, sizeof(*uri));
    int r = uri_parse(&h->arena, str_of(text), uri, err);
    return r < 0 ? r : input_open(uri, &h->env, ret, err);
}

struct input *harness_open(struct harness *h, const char *fmt, ...)
{
    struct buf text;
    buf_init(&text, URI_MAX);
    va_list args;
    va_start(args, fmt);
    char *at = buf_reserve(&text, URI_MAX);
    text.n = (size_t)vsnprintf(at, URI_MAX, fmt, args);
    va_end(args);
    struct input *in = NULL;
    struct error err = {0};
    assert_ok(harness_try(h, text.p, &in, &err), &err);
    buf_done(&text);
    return in;
}

static void note_dead(struct buf *out, const struct dead_letter *d)
{
    buf_printf(out, "%lld ! " STR_FMT "\n", (long long)d->position, STR_ARG(d->reason));
}

void harness_note(struct buf *out, const struct batch *b)
{
    size_t dead = 0;
    for (size_t i = 0; i < b->n_records; i++) {
        const struct record *r = &b->records[i];
        while (dead < b->n_dead && b->dead[dead].position < r->position) {
            note_dead(out, &b->dead[dead++]);
        }
        buf_printf(out, "%lld " STR_FMT " ", (long long)r->position, STR_ARG(r->event_id));
        record_encode(out, r);
        buf_char(out, '\n');
    }
    while (dead < b->n_dead) {
        note_dead(out, &b->dead[dead++]);
    }
}

int harness_drain(struct input *in, struct buf *out, struct error *err)
{
    struct batch b;
    batch_init(&b);
    int r;
    do {
        batch_clear(&b);
        r = input_next(in, &b, err);
        harness_note(out, &b);
    } while (r == INPUT_MORE && b.n_records + b.n_dead > 0);
    batch_done(&b);
    return r;
}

int harness_drain_to_end(struct input *in, struct buf *out, struct error *err)
{
    int r = INPUT_MORE;
    for (int i = 0; r == INPUT_MORE && i < HARNESS_BATCHES_MAX; i++) {
        r = harness_drain(in, out, err);
    }
    return r;
}

void harness_read_all(struct harness *h, struct buf *out, const char *uri)
{
    struct error err = {0};
    buf_init(out, NOTE_LIMIT);
    struct input *in = harness_open(h, "%s", uri);
    assert_int_equal(harness_drain_to_end(in, out, &err), INPUT_END);
    assert_true(buf_ok(out));
    input_close(in);
}

int harness_count(const struct buf *notes, const char *text)
{
    int n = 0;
    struct str rest = buf_view(notes);
    for (struct str line; str_split(&rest, '\n', &line);) {
        n += line.n > 0 && memmem(line.p, line.n, text, strlen(text)) != NULL;
    }
    return n;
}

static void resume_at(struct harness *h, const char *uri, int64_t records, struct str rest)
{
    struct error err = {0};
    struct buf got;
    buf_init(&got, NOTE_LIMIT);
    struct input *in = harness_open(h, "%s", uri);
    assert_ok(input_seek(in, records, -1, &err), &err);
    assert_int_equal(harness_drain_to_end(in, &got, &err), INPUT_END);
    assert_int_equal(got.n, rest.n);
    assert_true(got.n == 0 || memcmp(got.p, rest.p, rest.n) == 0);
    input_close(in);
    buf_done(&got);
}

void harness_check_resume(struct harness *h, const char *uri, int64_t step)
{
    struct buf whole;
    struct str line;
    harness_read_all(h, &whole, uri);
    struct str rest = buf_view(&whole);
    int64_t records = 0;
    for (; rest.n > 0; records++) {
        if (records % step == 0) {
            resume_at(h, uri, records, rest);
        }
        assert_true(str_split(&rest, '\n', &line));
    }
    resume_at(h, uri, records, STR(""));
    struct error err = {0};
    struct input *in = harness_open(h, "%s", uri);
    assert_int_equal(input_seek(in, records + 1, -1, &err), -ESTALE);
    input_close(in);
    buf_done(&whole);
}
