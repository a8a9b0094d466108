#include "cost/price.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "model/record.h"

static bool is_glob(struct str s)
{
    return memchr(s.p, '*', s.n) || memchr(s.p, '?', s.n);
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

const struct price_entry *price_at(const struct price_book *book, struct str name, struct str site,
                                   int64_t t)
{
    const struct price_entry *best = NULL;
    for (size_t i = 0; i < book->n; i++) {
        const struct price_entry *e = &book->entries[i];
        if (e->effective_from > t || !entry_matches(e, name, site)) {
            continue;
        }
        if (!best || entry_beats(e, best)) {
            best = e;
        }
    }
    return best;
}

int64_t price_next_change(const struct price_book *book, struct str name, struct str site,
                          int64_t t)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < book->n; i++) {
        const struct price_entry *e = &book->entries[i];
        if (e->effective_from > t && e->effective_from < next && entry_matches(e, name, site)) {
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
