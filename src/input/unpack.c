#include "input/unpack.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"

struct unpacker {
    enum packing packing;
    bool complete; // nothing of a member or frame is pending
    bool padding;  // gzip: behind a member, where zeros are let pass as gzip(1) does
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static const char gzip_magic[] = {'\x1f', '\x8b'};
static const char zstd_magic[] = {'\x28', '\xb5', '\x2f', '\xfd'};
// A skippable frame, 0x184D2A50 to 5F little endian: what pzstd puts first.
static const char zstd_skippable_tail[] = {'\x2a', '\x4d', '\x18'};

enum packing packing_of(struct str head)
{
    if (head.n >= sizeof(gzip_magic) && memcmp(head.p, gzip_magic, sizeof(gzip_magic)) == 0) {
        return PACKED_GZIP;
    }
    if (head.n < sizeof(zstd_magic)) {
        return PACKED_NOT;
    }
    bool skippable = ((unsigned char)head.p[0] & 0xf0) == 0x50 &&
                     memcmp(head.p + 1, zstd_skippable_tail, sizeof(zstd_skippable_tail)) == 0;
    bool frame = memcmp(head.p, zstd_magic, sizeof(zstd_magic)) == 0;
    return skippable || frame ? PACKED_ZSTD : PACKED_NOT;
}

const char *packing_name(enum packing packing)
{
    static const char *const names[] = {"plain", "gzip", "zstd"};
    return names[packing];
}

struct unpacker *unpacker_new(enum packing packing)
{
    struct unpacker *u = x_zalloc(sizeof(*u));
    *u = (struct unpacker){.packing = packing, .complete = true};
    bool ok;
    if (packing == PACKED_GZIP) {
        ok = inflateInit2(&u->gzip, 16 + MAX_WBITS) == Z_OK; // 16: gzip framing only
    } else {
        u->zstd = ZSTD_createDStream();
        ok = u->zstd != NULL;
    }
    if (!ok) {
        abort(); // out of memory, as everywhere in base/alloc.h
    }
    return u;
}

void unpacker_free(struct unpacker *u)
{
    if (u == NULL) {
        return;
    }
    if (u->packing == PACKED_GZIP) {
        inflateEnd(&u->gzip);
    }
    ZSTD_freeDStream(u->zstd);
    free(u);
}

bool unpacker_complete(const struct unpacker *u)
{
    return u->complete;
}

static void skip_padding(struct unpacker *u, struct str *in)
{
    while (u->padding && in->n > 0 && in->p[0] == '\0') {
        in->p++;
        in->n--;
    }
    u->padding = u->padding && in->n == 0;
}

static int run_gzip(struct unpacker *u, struct str *in, char *out, size_t room, size_t *ret_n,
                    struct error *err)
{
    z_stream *z = &u->gzip;
    skip_padding(u, in);
    if (in->n == 0 && u->complete) {
        return 0;
    }
    z->next_in = (Bytef *)(uintptr_t)in->p; // zlib reads only, whatever its type says
    z->avail_in = (uInt)MIN(in->n, (size_t)INT_MAX);
    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)MIN(room, (size_t)INT_MAX);
    u->complete = false;
    int r = inflate(z, Z_NO_FLUSH);
    size_t taken = (size_t)((const char *)z->next_in - in->p);
    *in = (struct str){in->p + taken, in->n - taken};
    *ret_n = (size_t)((char *)z->next_out - out);
    if (r == Z_STREAM_END) {
        u->complete = u->padding = true;
        r = inflateReset(z);
    }
    bool fine = r == Z_OK || r == Z_BUF_ERROR;
    return fine ? 0 : error_set(err, -EBADMSG, "%s", z->msg ? z->msg : zError(r));
}

static int run_zstd(struct unpacker *u, struct str *in, char *out, size_t room, size_t *ret_n,
                    struct error *err)
{
    ZSTD_inBuffer from = {.src = in->p, .size = in->n};
    ZSTD_outBuffer to = {.dst = out, .size = room};
    size_t left = ZSTD_decompressStream(u->zstd, &to, &from);
    if (from.pos > 0) {
        *in = (struct str){in->p + from.pos, in->n - from.pos};
    }
    *ret_n = to.pos;
    if (ZSTD_isError(left)) {
        return error_set(err, -EBADMSG, "%s", ZSTD_getErrorName(left));
    }
    if (from.pos > 0 || to.pos > 0) {
        u->complete = left == 0;
    }
    return 0;
}

int unpacker_run(struct unpacker *u, struct str *in, char *out, size_t room, size_t *ret_n,
                 struct error *err)
{
    *ret_n = 0;
    return u->packing == PACKED_GZIP ? run_gzip(u, in, out, room, ret_n, err)
                                     : run_zstd(u, in, out, room, ret_n, err);
}
