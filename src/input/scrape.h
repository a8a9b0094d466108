// A page fetched in a steady rhythm: what the sources that are scraped have in common. Embedded in
// their input; on the input's thread only.
//
// Scrapes fall on a grid of `every` from the first one on. A fetch that takes longer than that
// makes the next one wait for the next beat; what it measured is then so much longer. After a
// failure the next attempt comes after 1 s, 2 s, 4 s ... 24 s, each up to a quarter longer by
// chance, so that a hundred agents do not come back at once.
#pragma once

#include "input/fetch.h"
#include "input/input_impl.h"
#include "input/random.h"

#define SCRAPE_EVERY_MIN (100 * NS_PER_MS)
#define SCRAPE_EVERY_MAX (60 * NS_PER_S)

struct scrape {
    const struct input_env *env;
    const struct fetch_ops *ops;
    void *fetch; // of ops; NULL: not open
    struct fetch_config config;
    struct buf page;
    int64_t every;     // ns
    bool started;      // the first scrape has begun
    bool going;        // a fetch is going on
    struct mono due;   // when the next fetch begins
    struct mono beat;  // an instant of the grid
    uint32_t failures; // in a row
    struct random random;
};

// Reads every=, timeout=, auth= and cacert=; `url` and the URI are borrowed. -EINVAL with a
// message. scrape_done() also after a failure.
int scrape_open(struct scrape *s, const struct input *in, const char *url, struct error *err)
    GTAP_CHECK;
void scrape_done(struct scrape *s); // a zeroed one, too

enum scrape_result { SCRAPE_NONE = 0, SCRAPE_PAGE = 1 };

// Waits for at most INPUT_WAIT_NS. SCRAPE_PAGE: s->page is a page that was complete at *ret_at and
// wall time *ret_wall; say by scrape_took() what came of it. SCRAPE_NONE: nothing yet, or a
// failure, which has been reported to the input's health already.
int scrape_next(struct scrape *s, struct input *in, struct mono *ret_at, int64_t *ret_wall)
    GTAP_CHECK;

// Says how reading the page went, and when the next one is due. `failed`: nothing could be made of
// it (NULL: something could); `complaint`: what was wrong with it all the same (NULL: nothing).
void scrape_took(struct scrape *s, struct input *in, const struct error *failed,
                 const struct error *complaint);

// Completes a record that was added to the batch last: placed where `position` says, with an id of
// its own and a digest; one that does not hold becomes a dead letter.
struct uuid7;
void scrape_deliver(struct input *in, struct batch *b, struct uuid7 *ids, int64_t wall,
                    int64_t *position);

// The help texts of these options, the same for all sources.
#define SCRAPE_OPTIONS                                                                             \
    {"every", "TIME", "between two scrapes, 100ms to 60s (default 1s)"},                           \
        {"timeout", "TIME", "for one scrape, 100ms to 5m (default 10s)"},                          \
        {"auth", "FILE", "holds a bearer token, or the whole value of Authorization"},             \
    {                                                                                              \
        "cacert", "FILE", "PEM of the authorities to trust (default: the system's)"                \
    }
