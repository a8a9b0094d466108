#include "input/protobuf.h"

enum {
    WIRE_BITS = 3,
    WIRE_MASK = (1 << WIRE_BITS) - 1,
    NUMBER_MAX = (1 << 29) - 1,
    VARINT_BITS = 7,
    VARINT_MORE = 1 << VARINT_BITS,
    VARINT_BYTES_MAX = 10,
};

void proto_begin(struct proto_reader *r, struct str message)
{
    *r = (struct proto_reader){.rest = message};
}

static struct str take(struct str *s, size_t n)
{
    struct str taken = {s->p, n};
    s->p += n;
    s->n -= n;
    return taken;
}

static bool take_varint(struct str *s, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < s->n && i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = (uint8_t)s->p[i];
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) {
            return false; // more than 64 bits
        }
        value |= (uint64_t)(byte & (VARINT_MORE - 1)) << (VARINT_BITS * i);
        if (byte < VARINT_MORE) {
            (void)take(s, i + 1);
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool take_fixed(struct str *s, size_t n, uint64_t *ret)
{
    if (s->n < n) {
        return false;
    }
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        *ret |= (uint64_t)(uint8_t)s->p[i] << (8 * i);
    }
    (void)take(s, n);
    return true;
}

static bool take_bytes(struct str *s, struct str *ret)
{
    uint64_t n;
    if (!take_varint(s, &n) || n > s->n) {
        return false;
    }
    *ret = take(s, (size_t)n);
    return true;
}

static bool take_value(struct str *s, struct proto_field *f)
{
    switch (f->wire) {
    case PROTO_VARINT:
        return take_varint(s, &f->value);
    case PROTO_FIXED64:
        return take_fixed(s, sizeof(uint64_t), &f->value);
    case PROTO_BYTES:
        return take_bytes(s, &f->bytes);
    case PROTO_FIXED32:
        return take_fixed(s, sizeof(uint32_t), &f->value);
    }
    return false;
}

bool proto_next(struct proto_reader *r, struct proto_field *ret)
{
    uint64_t tag;
    if (r->failed || r->rest.n == 0) {
        return false;
    }
    *ret = (struct proto_field){0};
    r->failed = true;
    if (!take_varint(&r->rest, &tag) || tag >> WIRE_BITS == 0 || tag >> WIRE_BITS > NUMBER_MAX) {
        return false;
    }
    ret->number = (uint32_t)(tag >> WIRE_BITS);
    ret->wire = (enum proto_wire)(tag & WIRE_MASK);
    r->failed = !take_value(&r->rest, ret);
    return !r->failed;
}

static void put_varint(struct buf *b, uint64_t value)
{
    for (; value >= VARINT_MORE; value >>= VARINT_BITS) {
        buf_char(b, (char)(uint8_t)(value | VARINT_MORE));
    }
    buf_char(b, (char)(uint8_t)value);
}

void proto_put_varint(struct buf *b, uint32_t number, uint64_t value)
{
    put_varint(b, (uint64_t)number << WIRE_BITS | PROTO_VARINT);
    put_varint(b, value);
}

void proto_put_bytes(struct buf *b, uint32_t number, struct str bytes)
{
    put_varint(b, (uint64_t)number << WIRE_BITS | PROTO_BYTES);
    put_varint(b, bytes.n);
    buf_str(b, bytes);
}
