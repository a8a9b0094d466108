#include "cost/price.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "cost/settings.h"
#include "model/mig.h"

static bool is_glob(struct str s)
{
    return memchr(s.p, '*', s.n) || memchr(s.p, '?', s.n);
}

// An entry is of slices when its name begins as theirs do: "*" is every whole GPU's.
static bool of_slices(const struct price_entry *e)
{
    return str_glob(STR("MIG*"), e->name);
}

static bool entry_matches(const struct price_entry *e, struct str name, struct str site)
{
    return str_present(name) && str_present(e->name) && str_glob(e->name, name) &&
           (!str_present(e->site) || str_eq(e->site, site));
}

// Whether a goes before b, both matching and both in force.
static bool entry_beats(const struct price_entry *a, const struct price_entry *b)
{
    if (a->effective_from != b->effective_from) {
        return a->effective_from > b->effective_from;
    }
    if (str_present(a->site) != str_present(b->site)) {
        return str_present(a->site);
    }
    if (is_glob(a->name) != is_glob(b->name)) {
        return is_glob(b->name);
    }
    return a->id > b->id;
}

// Of entries for slices, or of those for whole GPUs.
static const struct price_entry *entry_at(const struct price_book *book, bool slices,
                                          struct str name, struct str site, int64_t t)
{
    const struct price_entry *best = NULL;
    for (size_t i = 0; i < book->n; i++) {
        const struct price_entry *e = &book->entries[i];
        if (e->effective_from > t || !entry_matches(e, name, site) || (slices && !of_slices(e))) {
            continue;
        }
        if (!best || entry_beats(e, best)) {
            best = e;
        }
    }
    return best;
}

struct price_found price_at(const struct price_book *book, int64_t fallback, struct str name,
                            struct str site, int64_t t)
{
    struct mig_slice slice;
    bool cut = mig_slice_of(name, &slice);
    const struct price_entry *own = entry_at(book, cut, name, site, t);
    if (own || !cut) {
        return (struct price_found){own ? own->price_nusd_hour : fallback, own};
    }
    if (slice.of == 0) {
        return (struct price_found){PRICE_NONE, NULL};
    }
    const struct price_entry *whole = entry_at(book, false, slice.gpu, site, t);
    int64_t all = whole ? whole->price_nusd_hour : fallback;
    return (struct price_found){all == PRICE_NONE ? all : mig_share(all, slice.slices, slice.of),
                                whole};
}

int64_t price_next_change(const struct price_book *book, struct str name, struct str site,
                          int64_t t)
{
    int64_t next = INT64_MAX;
    struct mig_slice slice = {.gpu = STR_NONE};
    (void)mig_slice_of(name, &slice);
    for (size_t i = 0; i < book->n; i++) {
        const struct price_entry *e = &book->entries[i];
        if (e->effective_from > t && e->effective_from < next &&
            (entry_matches(e, name, site) || entry_matches(e, slice.gpu, site))) {
            next = e->effective_from;
        }
    }
    return next;
}

// What records can say: nothing else would ever be equal to it.
static bool is_text(struct str s)
{
    return utf8_valid(s) && (s.n == 0 || memchr(s.p, '\0', s.n) == NULL);
}

int price_entry_check(const struct price_entry *e, struct error *err)
{
    if (e->name.n == 0 || e->name.n > RECORD_TEXT_MAX) {
        return error_set(err, -EINVAL, "name: must have from 1 to %d bytes", RECORD_TEXT_MAX);
    }
    if (e->site.n > RECORD_TEXT_MAX || e->source.n > RECORD_TEXT_MAX) {
        return error_set(err, -EINVAL, "site, source: at most %d bytes", RECORD_TEXT_MAX);
    }
    if (!is_text(e->name) || !is_text(e->site) || !is_text(e->source)) {
        return error_set(err, -EINVAL, "name, site, source: must be UTF-8 without NUL characters");
    }
    if (e->price_nusd_hour < 0 || e->price_nusd_hour > RECORD_PRICE_MAX) {
        return error_set(err, -EINVAL, "price: must be from 0 to 1,000,000 USD per hour");
    }
    return 0;
}
