// Stands in for the network: pages handed to the inputs that are scraped, one after the other.
#pragma once

#include "harness.h"
#include "input/fetch.h"

// What comes of the next fetch. The last answer is given again and again.
struct page_answer {
    const char *page;  // NULL: it fails
    const char *fails; // its message
    int going;         // so many times "not yet" before
    int64_t takes;     // ns that pass until it is there
};

struct pages {
    struct harness *h;
    const struct page_answer *answers;
    size_t n, at;
    int went;         // "not yet"s of this answer
    int asked;        // fetches begun
    int64_t asked_at; // when the last one was, by the monotonic clock
    bool open, going;
    // Instead of the answers, when set: makes the page of this instant; NULL: there is none.
    const char *(*make)(void *ctx);
    void *ctx;
    struct fetch_config config; // as the input gave it
};

// Lets the harness's inputs be given these; one at a time.
void pages_install(struct pages *p, struct harness *h);
void pages_answer(struct pages *p, const struct page_answer *answers, size_t n);

// Calls input_next() until a fetch has been answered, moving the clocks on by `step` where nothing
// came of a call; the records are noted as harness_note() does.
void pages_run(struct pages *p, struct input *in, int64_t step, struct buf *out);
