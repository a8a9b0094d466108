// A decoder for tests, with the text in a block that ends where its padding ends: a sanitizer
// sees a byte read too far.
#pragma once

#include "base/arena.h"
#include "model/decode.h"

struct decoding {
    struct decoder *decoder;
    struct arena arena;
    struct record r;
    struct error err;
};

void decoding_start(struct decoding *d);
void decoding_end(struct decoding *d);

// As decoder_record(), to d->r; d->err is clear when it succeeds. What earlier calls decoded stays.
int decoding_read(struct decoding *d, struct str text);

// The same with this byte in all of the padding behind the text.
int decoding_read_before(struct decoding *d, struct str text, char behind);
