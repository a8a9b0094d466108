#include "reading.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "model/validate.h"

int memory_file(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    return fd;
}

static int64_t wall(const struct clock *c)
{
    (void)c;
    return INT64_C(1795442400) * NS_PER_S; // 2026-11-23T14:00:00Z
}

static struct mono mono(const struct clock *c)
{
    (void)c;
    return (struct mono){NS_PER_HOUR};
}

static const struct clock still = {.wall = wall, .mono = mono};

static void add(struct reading *r, uint64_t what, struct str payload)
{
    ARRAY_RESERVE(r->seen, r->n + 1, r->cap);
    const uint64_t parts[] = {r->seen[r->n], what, hash_str(payload, 0)};
    r->seen[++r->n] = hash_bytes(parts, sizeof(parts), 0);
}

static void add_record(struct reading *r, const struct batch *b, size_t i)
{
    struct error why;
    const struct record *record = &b->records[i];
    assert(record_check(record, &why) == 0 && record_check_now(record, wall(NULL), &why) == 0);
    assert(record->digest == record_digest(record) && record->event_id.n > 0);
    add(r, record->digest, b->payloads[i]);
}

static void add_dead(struct reading *r, const struct dead_letter *d)
{
    assert(d->reason.n > 0 && str_present(d->payload) && d->payload.n <= RECORD_BYTES_MAX);
    add(r, hash_str(d->reason, 1), d->payload);
    r->n_dead++;
}

// In the order of their positions, which leave none out.
static void add_batch(struct reading *r, const struct batch *b, int64_t position)
{
    size_t i = 0, dead = 0, room = READING_MAX - r->n;
    while (i + dead < b->n_records + b->n_dead && i + dead < room) {
        position++;
        if (i < b->n_records && b->records[i].position == position) {
            add_record(r, b, i++);
        } else {
            assert(dead < b->n_dead && b->dead[dead].position == position);
            add_dead(r, &b->dead[dead++]);
        }
    }
}

static void read_all(struct reading *r, struct input *in)
{
    struct batch b;
    batch_init(&b);
    r->result = INPUT_MORE;
    while (r->result == INPUT_MORE && r->n < READING_MAX) {
        struct error err = {0};
        batch_clear(&b);
        r->result = input_next(in, &b, &err);
        assert(r->result >= 0 || (err.code == r->result && err.msg[0] != '\0'));
        add_batch(r, &b, r->position);
        r->position += (int64_t)(b.n_records + b.n_dead);
        assert(r->result < 0 || b.position == r->position);
        r->offset = r->result < 0 ? r->offset : b.offset;
    }
    batch_done(&b);
}

void reading_from(struct reading *r, const char *scheme, int fd, const char *options,
                  int64_t position)
{
    struct input_env env = {.clock = &still, .now_start = wall(NULL), .stop_fd = -1};
    struct arena arena = {0};
    struct uri uri;
    struct error err = {0};
    struct input *in = NULL;
    AUTO_FREE char *text = x_asprintf("%s:/proc/self/fd/%d%s", scheme, fd, options);
    *r = (struct reading){.position = position, .offset = -1};
    ARRAY_RESERVE(r->seen, 1U, r->cap);
    r->seen[0] = 0;
    r->result = uri_parse(&arena, str_of(text), &uri, &err);
    assert(r->result == 0);
    r->result = input_open(&uri, &env, &in, &err);
    if (r->result == 0 && position > 0) {
        r->result = input_seek(in, position, -1, &err);
    }
    assert(r->result == 0 || (err.code == r->result && err.msg[0] != '\0'));
    if (r->result == 0) {
        read_all(r, in);
    }
    input_close(in);
    arena_done(&arena);
}

void reading_done(struct reading *r)
{
    free(r->seen);
}
