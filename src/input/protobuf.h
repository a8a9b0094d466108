// Reads and writes the wire format of Protocol Buffers
// (https://protobuf.dev/programming-guides/encoding/): a message is a sequence of fields, each a
// number with a wire type and a value. Pure; nothing is copied or allocated in reading.
//
// A reader knows no schema: whoever asks for fields takes those whose number and wire type are
// theirs, and passes over the others, as the format wants. Refused are: fields that end behind the
// message, varints of more than ten bytes or 64 bits, field numbers 0 and over 2^29 - 1, groups
// (wire types 3 and 4, which no proto3 message has) and the wire types that do not exist.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum proto_wire {
    PROTO_VARINT = 0,
    PROTO_FIXED64 = 1,
    PROTO_BYTES = 2, // text, bytes, and messages in messages
    PROTO_FIXED32 = 5,
};

struct proto_field {
    uint32_t number;
    enum proto_wire wire;
    uint64_t value;   // PROTO_VARINT, PROTO_FIXED64, PROTO_FIXED32
    struct str bytes; // PROTO_BYTES, borrowed
};

struct proto_reader {
    struct str rest;
    bool failed;
};

void proto_begin(struct proto_reader *r, struct str message);

// The next field; false at the end, or with r->failed where the bytes are no message.
bool proto_next(struct proto_reader *r, struct proto_field *ret);

// Whether it is this field, as this wire type.
static inline bool proto_is(const struct proto_field *f, uint32_t number, enum proto_wire wire)
{
    return f->number == number && f->wire == wire;
}

// Append one field.
void proto_put_varint(struct buf *b, uint32_t number, uint64_t value);
void proto_put_bytes(struct buf *b, uint32_t number, struct str bytes);
