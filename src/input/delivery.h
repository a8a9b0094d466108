// Bodies that were sent in over HTTP, from their arrival until what is in them is durable and the
// sender is told so. What inputs that are sent to have in common; each takes the bodies apart in
// its own way.
//
//     server's thread    deliveries_arrive()    defers the exchange; 503 when too many wait
//     input's thread     deliveries_next(), delivery_accept() or delivery_reject() for each record,
//                        deliveries_read() behind the last
//     pipeline's thread  deliveries_settle()    answers
#pragma once

#include "http/server.h"
#include "input/input.h"

enum { DELIVERY_REASONS_MAX = 100, DELIVERY_REASON_BYTES = 256, DELIVERY_KEY_MAX = 128 };

struct delivery {
    struct http_exchange *exchange;
    int format;                         // what the route says the body is: the input's own number
    struct str body;                    // with HTTP_BODY_PADDING behind it; until the answer
    char key[DELIVERY_KEY_MAX + 1];     // of the header Idempotency-Key; "": none
    int64_t accepted, rejected;         // records, so far
    int64_t passed_over;                // what was no record and needed not be one
    struct buf reasons;                 // JSON objects, the first DELIVERY_REASONS_MAX
    char reason[DELIVERY_REASON_BYTES]; // the first as text, cut to fit; "": none
    int64_t last;                       // position of its last record
    enum input_fate fate;               // the worst that any of its records met, when answered
    struct delivery *next;
};

// How the sender is told: answers d->exchange. Called once, from any thread; not for what was
// refused for want of room: that is 429.
typedef void delivery_answer(struct delivery *d);

struct deliveries;
// -EMFILE and the like.
int deliveries_new(size_t most_waiting, delivery_answer *answer, struct deliveries **ret,
                   struct error *err) GTAP_CHECK;
void deliveries_free(struct deliveries *d); // refuses what is left by 503; accepts NULL

void deliveries_arrive(struct deliveries *d, struct http_exchange *x, int format);

// The next one that came, the caller's until deliveries_read(). Waits for one as an input may;
// NULL: none came.
struct delivery *deliveries_next(struct deliveries *d, const struct input_env *env);
void delivery_accept(struct delivery *d);
void delivery_pass_over(struct delivery *d);
void delivery_reject(struct delivery *d, int64_t number, const char *reason); // number: from 1
// All of it is in batches up to `position`; it is answered when that is stored. One in which there
// was nothing is answered at once.
void deliveries_read(struct deliveries *d, struct delivery *one, int64_t position);

void deliveries_settle(struct deliveries *d, int64_t position, enum input_fate fate);

// "kafka" or "spool"; NULL: here, or nothing was taken.
const char *delivery_place(const struct delivery *d);

// {"accepted":n,"rejected":m,"errors":[{"record":k,"reason":"..."}]}, with "passed_over" where
// there was such, and "stored":"kafka" or "spool" where it went there; 200, or 400 when all of what
// was sent was rejected.
void delivery_answer_json(struct delivery *d);
