#include "decoding.h"

#include "base/alloc.h"

void decoding_start(struct decoding *d)
{
    *d = (struct decoding){.decoder = decoder_new()};
}

void decoding_end(struct decoding *d)
{
    decoder_free(d->decoder);
    arena_done(&d->arena);
}

int decoding_read_before(struct decoding *d, struct str text, char behind)
{
    AUTO_FREE char *padded = x_alloc(text.n + DECODER_PADDING);
    if (text.n > 0) {
        memcpy(padded, text.p, text.n);
    }
    memset(padded + text.n, behind, DECODER_PADDING);
    d->err = (struct error){0};
    return decoder_record(d->decoder, (struct str){padded, text.n}, &d->arena, &d->r, &d->err);
}

int decoding_read(struct decoding *d, struct str text)
{
    return decoding_read_before(d, text, ']');
}
