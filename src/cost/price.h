// The price book: dated prices per GPU name (and site). History is never edited: a correction is
// a new entry with the same effective_from, and the entry added last wins.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "base/wide.h"

struct price_entry {
    int64_t id;              // given by the store, grows with the order of adding
    int64_t effective_from;  // ns, event time
    int64_t price_nusd_hour; // nano-USD per hour
    int64_t added_at;        // ns, wall time
    struct str name;         // GPU name, or a glob ("NVIDIA H100*"); letter case is ignored
    struct str site;         // absent: any site
    struct str source;       // where the price is from, for people; may be absent
};

struct price_book {
    const struct price_entry *entries;
    size_t n;
};

// What a GPU of this name (of a slice as of mig_sample_name()) costs at this site at t. By the book
// that is the entry in force: of the matching entries with effective_from <= t the one with the
// newest effective_from; of these one that names the site before one that does not, a plain name
// before a glob, then the highest id. Where there is none it is `fallback`, which may be
// PRICE_NONE.
//
// A slice costs what an entry says whose own name begins with "MIG"; else its share of what its
// whole GPU costs, by the book or by `fallback`, and where its share is not known, nothing is
// known.
struct price_found {
    int64_t nusd_hour;               // PRICE_NONE: unpriced
    const struct price_entry *entry; // NULL: it is of none
};
struct price_found price_at(const struct price_book *book, int64_t fallback, struct str name,
                            struct str site, int64_t t);

// The earliest instant after t at which the answer of price_at may change, INT64_MAX when there is
// none.
int64_t price_next_change(const struct price_book *book, struct str name, struct str site,
                          int64_t t);

// Where a price is from, beside the ids of entries, which are positive.
enum { PRICE_OF_DEFAULT = 0, PRICE_OF_SAMPLE = -1 };

// What [from, to) costs at a price per hour, by telescoping floors. Since the epoch a high price
// comes to more than 64 bits hold; the difference never does.
static inline int64_t price_span_bill(int64_t price, int64_t from, int64_t to)
{
    const i128 hour = INT64_C(3600000000000);
    return (int64_t)((i128)price * to / hour - (i128)price * from / hour);
}

// -EINVAL with a message: an empty or long name, texts that are not UTF-8, a price out of range.
int price_entry_check(const struct price_entry *e, struct error *err) GTAP_CHECK;
