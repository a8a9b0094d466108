// What goes wrong, when told to. A fault is one line of words:
//
//     WHAT [times N] [after N] [on COMMAND,...] [collection NAME]
//
//     stall             takes the request and answers neither it nor anything else on the
//     connection stall-after       likewise, but does what was asked slow MS           does it, and
//     answers so many milliseconds later reset             does it, sends half of the answer, and
//     resets the connection lost              does it, and closes the connection without an answer
//     drop              closes the connection without doing it
//     not-primary       error 10107, and from then on a secondary: all writes are answered so,
//     until
//                       the control channel says `primary`
//     error CODE        answers with this error, not doing it
//     unauthorized      error 13
//     quota             error 8000
//     shutdown          error 11600
//     write-concern     does it, and adds a writeConcernError with code 64
//     rolled-back       says as write-concern does, but nothing was written, or no longer is
//     validation FIELD VALUE   refuses documents whose field (dotted) has this value (JSON, or bare
//                       text) with writeErrors of code 121
//     partial EVERY CODE       refuses every so manyth document of a batch with this code; 11000
//                       is said to be of another index than _id's
//
// COMMAND: names as in the protocol (hello for isMaster, too), or `writes` (insert, update, delete,
// findAndModify: the default), `any` (hello, too), `connect` (when a connection is accepted: stall,
// reset and drop). NAME: a collection with or without its database. after N: not the first so many
// requests that it applies to; times N: then so many, else until cleared. For validation and
// partial, these count requests. Of several faults the one told first is taken, where it is not
// spent; validation and partial come on top. Not thread-safe.
#pragma once

#include "doc.h"

enum fault_kind {
    FAULT_STALL,
    FAULT_STALL_AFTER,
    FAULT_SLOW,
    FAULT_RESET,
    FAULT_LOST,
    FAULT_DROP,
    FAULT_NOT_PRIMARY,
    FAULT_ERROR,
    FAULT_WRITE_CONCERN,
    FAULT_ROLLED_BACK,
    FAULT_VALIDATION, // from here on: about documents, not requests
    FAULT_PARTIAL,
};

struct fault {
    enum fault_kind kind;
    int id;
    int64_t number; // milliseconds, a code, or every how manyth
    int64_t code;
    char *field;           // validation
    uint8_t *value;        // {v: ...}
    char *on, *collection; // NULL: writes; all of them
    uint64_t after, times, seen, hits;
    bool active; // about documents: in the request that is being served
    struct fault *next;
};

struct faults {
    struct fault *first;
    int last_id;
};

// The new fault, or NULL with *ret_why (static text).
const struct fault *faults_add(struct faults *f, struct str words, const char **ret_why);
void faults_clear(struct faults *f);

// The fault of a request, NULL where all goes well; makes those about documents active or not, and
// says in *ret_documents whether any is.
const struct fault *faults_pick(struct faults *f, struct str command, struct str ns,
                                bool *ret_documents);

// The code with which the i-th document (from 0) of this request is refused, 0 where it is not.
int faults_refuse(const struct faults *f, struct doc d, size_t i);

const char *fault_name(enum fault_kind kind);

// Whether a name with or without its database means this "database.collection".
bool ns_is(struct str ns, struct str name);
