// Rows of an hour or a day of one shard as bytes: what cost_pack has of them (packs.c). Nothing of
// SQLite is here.
//
// A pack begins with a hash of the rest, eight bytes, least first. Then, row by row in canonical
// order: a byte of kind, method and whether energy is known; place, consumer and revision as
// varints; the numbers as varints of zigzag (https://protobuf.dev/programming-guides/encoding);
// energy, eight bytes, if it is known. Window start and shard stand beside it, and hours and days
// are final. The same rows always make the same bytes. Whoever changes this gives the hash another
// seed, so that no gtap takes another one's packs for its own.
#pragma once

#include "base/buf.h"
#include "cost/rows.h"

// ---- writing -------------------------------------------------------------------------------

// A buffer bounded to what a pack may be: an hour of some ten million rows.
void sq_pack_init(struct buf *b);
void sq_pack_begin(struct buf *b); // of what was in b before, only the memory is kept
// The row's place and consumer as these numbers. False: it is none that can be (an unknown kind or
// method, a number that no row has). Past the bound buf_ok() is false in the end.
bool sq_pack_add(struct buf *b, int64_t place, int64_t consumer, const struct window_row *row);
bool sq_pack_any(const struct buf *b); // whether rows were added
void sq_pack_seal(struct buf *b);      // the last step: sets the hash

// ---- reading -------------------------------------------------------------------------------

// What is left of a pack. Borrows the pack's bytes.
struct sq_pack {
    const unsigned char *at, *end;
    int64_t start; // of its rows
};

// False: it is not what somebody sealed, or has no row, and *ret is left alone. p may be NULL.
bool sq_pack_open(const void *p, size_t n, int64_t start, struct sq_pack *ret);
// The next row but for what its place and consumer stand for; sets those two. Only while at < end.
// False: there is none, nor will be: it is nothing that sq_pack_add() writes.
bool sq_pack_next(struct sq_pack *p, struct window_row *ret);
