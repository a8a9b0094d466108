// MongoDB's wire protocol: messages in, messages out. OP_MSG, and OP_QUERY for the first hello.
// Source: the MongoDB manual, "MongoDB Wire Protocol".
#pragma once

#include "doc.h"

enum { SECTIONS_MAX = 4, HEADER_SIZE = 16 };

struct section { // of documents, one after the other (kind 1)
    struct str name;
    const uint8_t *at, *end;
};

// Borrows from the message.
struct request {
    int32_t id;
    bool legacy;  // OP_QUERY: answered by OP_REPLY
    bool unheard; // the client wants no answer (moreToCome)
    struct doc body;
    struct section sections[SECTIONS_MAX];
    size_t n_sections;
    struct str name, db, coll; // the command; coll is absent where it names none
};

// The length of the message that begins with these 4 bytes or more; 0: no such message is taken.
uint32_t message_length(const uint8_t *p);

bool request_parse(struct request *ret, const uint8_t *p, uint32_t n) GTAP_CHECK;

// Documents of a command, from a section or an array of that name.
struct batch {
    struct walk array;
    const uint8_t *at, *end;
    bool broken;
};
struct batch request_batch(const struct request *r, const char *name);
bool batch_next(struct batch *b, struct doc *ret);

// An answer is what stands between answer_begin and answer_end: one document.
size_t answer_begin(struct buf *to, const struct request *r);
void answer_end(struct buf *to, size_t mark);
