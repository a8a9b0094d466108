// /api/v1/dead_letters: what was refused, newest first.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api_impl.h"
#include "base/alloc.h"

#define FIRST_SPAN (10 * 60 * NS_PER_S)
enum { PAYLOAD_SHOWN = 4096, SPAN_GROWTH = 8, CURSOR_MAX = 40, SKIP_MAX = 100000 };

struct params {
    struct time_spec since, until;
    const struct zone *zone;
    int64_t limit;
    struct str cursor;
};

#define AT(member) offsetof(struct params, member)

static const struct param params[] = {
    {.name = "since", .type = PARAM_TIME, .offset = AT(since), .help = "the oldest to show"},
    {.name = "until", .type = PARAM_TIME, .offset = AT(until), .help = "the end, not included"},
    {.name = "tz",
     .type = PARAM_ZONE,
     .offset = AT(zone),
     .fallback = "UTC",
     .help = "the time zone of dates and of today"},
    PARAMS_OF_PAGES(struct params),
    {0},
};

struct letter {
    int64_t at, position;
    uint64_t arrived; // in the order of the store
    struct str origin, reason, payload;
    bool truncated;
};

// The newest `most` of those before `to`; of those at one instant the first `skip` were shown.
struct letters {
    struct letter *v;
    size_t n, cap, most;
    uint64_t arrived;
};

static int newest_first(const void *a, const void *b)
{
    const struct letter *x = a, *y = b;
    if (x->at != y->at) {
        return x->at > y->at ? -1 : 1;
    }
    return x->arrived > y->arrived ? -1 : x->arrived < y->arrived;
}

// Cut between characters, where it is text at all.
static struct str cut(struct str s)
{
    if (s.n <= PAYLOAD_SHOWN) {
        return s;
    }
    s.n = PAYLOAD_SHOWN;
    while (s.n > PAYLOAD_SHOWN - 4 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80) {
        s.n--;
    }
    return s;
}

// Texts are copied; of twice as many as are wanted half are dropped at a time.
static void keep(struct letters *l, const struct dead_letter *d)
{
    struct str payload = cut(d->payload);
    ARRAY_RESERVE(l->v, l->n, l->cap);
    l->v[l->n++] = (struct letter){
        .at = d->at,
        .position = d->position,
        .arrived = l->arrived++,
        .origin = str_present(d->origin)
                      ? (struct str){x_strndup(d->origin.p, d->origin.n), d->origin.n}
                      : STR_NONE,
        .reason = {x_strndup(d->reason.p ? d->reason.p : "", d->reason.n), d->reason.n},
        .payload = {x_alloc(payload.n + 1), payload.n},
        .truncated = payload.n < d->payload.n,
    };
    memcpy((char *)(uintptr_t)l->v[l->n - 1].payload.p, payload.p ? payload.p : "", payload.n);
}

static void drop_beyond(struct letters *l, size_t most)
{
    if (l->n > 0) {
        qsort(l->v, l->n, sizeof(*l->v), newest_first);
    }
    while (l->n > most) {
        struct letter *last = &l->v[--l->n];
        free((char *)(uintptr_t)last->origin.p);
        free((char *)(uintptr_t)last->reason.p);
        free((char *)(uintptr_t)last->payload.p);
    }
}

static int read_span(struct letters *l, struct store *s, int64_t from, int64_t to,
                     struct error *err)
{
    struct store_cursor *c;
    struct dead_letter d;
    int r = store_dead_letters(s, from, to, &c, err);
    if (r < 0) {
        return r;
    }
    while ((r = store_dead_letters_next(c, &d, err)) > 0) {
        keep(l, &d);
        if (l->n >= 2 * l->most + 16) {
            drop_beyond(l, l->most);
        }
    }
    store_cursor_close(c);
    return r;
}

// Backward in growing spans, so that the newest of many are found without reading all.
static int read_newest(struct letters *l, struct store *s, int64_t from, int64_t to,
                       struct error *err)
{
    int64_t span = FIRST_SPAN, end = to;
    int r = 0;
    while (r == 0 && end > from && l->n < l->most) {
        int64_t begin = end - span > from && end > span ? end - span : from;
        r = read_span(l, s, begin, end, err);
        end = begin;
        span *= span < TIME_MAX / SPAN_GROWTH ? SPAN_GROWTH : 1;
    }
    drop_beyond(l, l->most);
    return r;
}

// ---- cursors -----------------------------------------------------------------------------------

// "TIME-N": N of those at TIME were shown.
static bool parse_cursor(struct str text, int64_t *ret_at, size_t *ret_skip)
{
    char z[CURSOR_MAX], *end;
    if (text.n == 0 || text.n >= sizeof(z)) {
        return false;
    }
    snprintf(z, sizeof(z), STR_FMT, STR_ARG(text));
    if (z[0] < '0' || z[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long at = strtoull(z, &end, 10);
    if (errno || *end != '-' || end[1] < '0' || end[1] > '9' || at > (unsigned long long)TIME_MAX) {
        return false;
    }
    unsigned long long skip = strtoull(end + 1, &end, 10);
    *ret_at = (int64_t)at;
    *ret_skip = (size_t)skip;
    return *end == '\0' && !errno && skip >= 1 && skip <= SKIP_MAX;
}

static void put_next(struct json *j, const struct letters *l, size_t end, bool more)
{
    char text[CURSOR_MAX];
    if (!more) {
        json_null(j, "next");
        return;
    }
    size_t same = 0; // from the beginning: what was shown before is at the front
    for (size_t i = 0; i < end; i++) {
        same += l->v[i].at == l->v[end - 1].at;
    }
    snprintf(text, sizeof(text), "%lld-%zu", (long long)l->v[end - 1].at, same);
    json_str(j, "next", str_of(text));
}

static void put_letter(struct json *j, const struct letter *d)
{
    json_open(j, NULL, '{');
    json_time(j, "at", d->at);
    json_str(j, "origin", d->origin);
    json_int(j, "position", d->position);
    json_str(j, "reason", d->reason);
    json_str(j, "payload", d->payload);
    json_bool(j, "truncated", d->truncated);
    json_close(j, '}');
}

static void put_page(struct api_task *t, const struct letters *l, size_t skip, size_t limit)
{
    struct buf b;
    size_t end = MIN(l->n, skip + limit);
    buf_init(&b, API_ANSWER_MAX);
    struct json j = {.b = &b};
    json_open(&j, NULL, '{');
    json_open(&j, "items", '[');
    for (size_t i = skip; i < end; i++) {
        put_letter(&j, &l->v[i]);
    }
    json_close(&j, ']');
    put_next(&j, l, end, l->n > end && end > skip);
    json_close(&j, '}');
    api_send(t, &b);
}

static void answer(struct api_task *t)
{
    const struct params *p = t->params;
    struct letters l = {0};
    struct error err = {0};
    int64_t from, to, at = INT64_MAX;
    size_t skip = 0;
    if (str_present(p->cursor) && !parse_cursor(p->cursor, &at, &skip)) {
        http_refuse_parameter(t->x, "cursor",
                              "this is no cursor: send the `next` of the answer "
                              "before, or none to begin at the newest");
        return;
    }
    if (!api_range(t, &p->since, &p->until, p->zone, INT64_MAX, &from, &to) ||
        api_unchanged(t, (uint64_t)from ^ (uint64_t)to << 1)) {
        return;
    }
    from = MAX(from, INT64_C(0));
    to = MIN(to, at < TIME_MAX ? at + 1 : TIME_MAX);
    l.most = skip + (size_t)p->limit + 1;
    if (read_newest(&l, t->store, from, to, &err) < 0) {
        api_fail(t, &err);
    } else {
        put_page(t, &l, MIN(skip, l.n), (size_t)p->limit);
    }
    drop_beyond(&l, 0);
    free(l.v);
}

static const char schema[] =
    "{\"type\":\"object\",\"required\":[\"items\",\"next\"],\"properties\":{"
    "\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/DeadLetter\"}},"
    "\"next\":{\"$ref\":\"#/components/schemas/Cursor\"}}}";

const struct api_route route_dead_letters = {
    .method = "GET",
    .path = "/api/v1/dead_letters",
    .name = "dead_letters",
    .summary = "Records that were refused, with the reason, newest first",
    .params = params,
    .size = sizeof(struct params),
    .schema = schema,
    .answer = answer,
};
