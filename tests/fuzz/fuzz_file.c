// file: as a whole, on any bytes: plain, gzip or zstd. Going on from the middle gives what was
// left; plain bytes read the same from a pipe, packed in several pieces, and, cut short, as far as
// they go.
#include "fuzz.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "input/unpack.h"
#include "reading.h"

enum { PACKED_MAX = 1 << 17, PIPE_MAX = 1 << 14, PIECES = 3 };

static void pack(struct buf *b, enum packing packing, struct str piece)
{
    char *room = buf_reserve(b, PACKED_MAX);
    assert(room);
    if (packing == PACKED_ZSTD) {
        size_t n = ZSTD_compress(room, PACKED_MAX, piece.p, piece.n, 1);
        assert(!ZSTD_isError(n));
        b->n += n;
        return;
    }
    z_stream z = {.next_in = (Bytef *)(uintptr_t)piece.p, .avail_in = (uInt)piece.n};
    z.next_out = (Bytef *)room;
    z.avail_out = PACKED_MAX;
    int r = deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    assert(r == Z_OK && deflate(&z, Z_FINISH) == Z_STREAM_END);
    b->n += z.total_out;
    deflateEnd(&z);
}

static void read_bytes(struct reading *r, struct str bytes)
{
    int fd = memory_file(bytes.p, bytes.n);
    reading_from(r, "file", fd, "", 0);
    close(fd);
}

static void check_same(const struct reading *r, const struct reading *want)
{
    assert(r->result == want->result && r->n == want->n && r->n_dead == want->n_dead);
    assert(r->seen[r->n] == want->seen[want->n]);
}

// Of a beginning, all but the last may be no line of the whole.
static void check_beginning(const struct reading *r, const struct reading *want)
{
    assert(r->result == INPUT_END || r->result == -EBADMSG);
    size_t whole = r->result == INPUT_END && r->n > 0 ? r->n - 1 : r->n;
    assert(r->n <= want->n + 1 && whole <= want->n && r->seen[whole] == want->seen[whole]);
}

static void check_packed(struct str text, const struct reading *plain, enum packing packing)
{
    struct reading r;
    struct buf b;
    uint64_t chance = hash_str(text, packing);
    buf_init(&b, PIECES * PACKED_MAX);
    struct str rest = text;
    for (unsigned i = 1; i <= PIECES; i++) {
        size_t n = i < PIECES ? (chance >> (16 * i)) % (rest.n + 1) : rest.n;
        pack(&b, packing, (struct str){rest.p, n});
        rest = (struct str){rest.p + n, rest.n - n};
    }
    read_bytes(&r, buf_view(&b));
    check_same(&r, plain);
    reading_done(&r);
    size_t cut = PACKING_MAGIC_MAX + (chance & 0xffff) % (b.n - PACKING_MAGIC_MAX);
    read_bytes(&r, (struct str){b.p, cut});
    check_beginning(&r, plain);
    reading_done(&r);
    buf_done(&b);
}

static void check_pipe(struct str text, const struct reading *plain)
{
    struct reading r;
    int ends[2];
    int made = pipe(ends);
    assert(made == 0 && write(ends[1], text.p, text.n) == (ssize_t)text.n);
    close(ends[1]);
    reading_from(&r, "file", ends[0], "", 0);
    close(ends[0]);
    check_same(&r, plain);
    reading_done(&r);
}

static void check_resume(int fd, const struct reading *whole)
{
    struct reading r;
    int64_t half = (int64_t)(whole->n / 2);
    reading_from(&r, "file", fd, "", half);
    assert(r.result == INPUT_END && r.position == whole->position && r.offset == whole->offset);
    assert(r.n == whole->n - (size_t)half);
    reading_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct reading whole;
    int fd = memory_file(data, size);
    reading_from(&whole, "file", fd, "", 0);
    if (whole.result == INPUT_END) {
        check_resume(fd, &whole);
    }
    if (packing_of(text) == PACKED_NOT && size <= PIPE_MAX) {
        assert(whole.result == INPUT_END);
        check_packed(text, &whole, size % 2 ? PACKED_GZIP : PACKED_ZSTD);
        check_pipe(text, &whole);
    }
    reading_done(&whole);
    close(fd);
    return 0;
}
