#include "cost/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void ranges_done(struct ranges *r)
{
    free(r->v);
    *r = (struct ranges){0};
}

// Replaces r->v[at..at+gone) by one range, or by nothing when from >= to.
static void splice(struct ranges *r, size_t at, size_t gone, int64_t from, int64_t to)
{
    size_t come = from < to;
    ARRAY_RESERVE(r->v, r->n + 1, r->cap);
    memmove(&r->v[at + come], &r->v[at + gone], (r->n - at - gone) * sizeof(r->v[0]));
    if (come) {
        r->v[at] = (struct time_range){from, to};
    }
    r->n = r->n - gone + come;
}

void ranges_add(struct ranges *r, int64_t from, int64_t to)
{
    if (from >= to) {
        return;
    }
    size_t at = r->n; // most additions are at the end
    while (at > 0 && r->v[at - 1].to >= from) {
        at--;
    }
    size_t end = at;
    for (; end < r->n && r->v[end].from <= to; end++) {
        from = MIN(from, r->v[end].from);
        to = MAX(to, r->v[end].to);
    }
    splice(r, at, end - at, from, to);
}

void ranges_remove(struct ranges *r, int64_t from, int64_t to)
{
    if (from >= to) {
        return;
    }
    for (size_t i = 0; i < r->n;) {
        struct time_range old = r->v[i];
        if (old.to <= from || old.from >= to) {
            i++;
            continue;
        }
        splice(r, i, 1, MAX(old.from, to), old.to);
        splice(r, i, 0, old.from, MIN(old.to, from));
        i += (size_t)(old.from < from) + (size_t)(old.to > to);
    }
}
