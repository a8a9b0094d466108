// Query parameters as data: a route's table says what it takes, and from it come the parsing, the
// refusals and their part of /openapi.json.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "report/query.h"

enum param_type { // what is stored at `offset`
    PARAM_TEXT,   // struct str, absent when not given
    PARAM_TEXTS,  // struct texts; may be given again and again
    PARAM_INT,    // int64_t in [least, most]
    PARAM_FLAG,   // bool: true, false, 1, 0
    PARAM_CHOICE, // int, index into choices
    PARAM_TIME,   // struct time_spec
    PARAM_ZONE,   // const struct zone *
    PARAM_STEP,   // int64_t: ns, STEP_WINDOW, or 0 for "none"
    PARAM_DIMS,   // struct dims, of what costs may be grouped by
    PARAM_MONEY,  // int64_t, nano-USD, >= 0
};

enum { PARAM_TEXT_MAX = 1024, PARAM_TEXTS_MAX = 100, PARAM_PAIRS_MAX = 256 };

struct texts {
    struct str *v;
    size_t n;
};
struct dims {
    enum report_dim v[DIM_COUNT];
    size_t n;
};

// A table ends with a name of NULL.
struct param {
    const char *name;
    enum param_type type;
    size_t offset;
    const char *fallback;       // as one would send it; NULL: absent, zero
    const char *const *choices; // ends with NULL
    int64_t least, most;
    const char *help; // one line
};

// What routes that answer page by page take: how much, and where to go on. `type_` is the struct
// that they are read into, with members `limit` and `cursor`.
enum { PAGE_ITEMS_MAX = 1000 };
#define PARAMS_OF_PAGES(type_)                                                                     \
    {.name = "limit",                                                                              \
     .type = PARAM_INT,                                                                            \
     .offset = offsetof(type_, limit),                                                             \
     .fallback = "50",                                                                             \
     .least = 1,                                                                                   \
     .most = PAGE_ITEMS_MAX,                                                                       \
     .help = "how many to show"},                                                                  \
    {                                                                                              \
        .name = "cursor", .type = PARAM_TEXT, .offset = offsetof(type_, cursor),                   \
        .help = "the `next` of the answer before"                                                  \
    }

// One "name=value", decoded; a value without "=" is absent.
struct param_pair {
    struct str name, value;
};

// Reads pairs into the struct at `into`, which was zeroed; what it holds borrows from the pairs and
// the arena. -EINVAL: a parameter that the table lacks, that is given twice, or whose value is
// wrong; then *ret_name says which, and err what would be right.
int params_parse(const struct param *table, const struct param_pair *pairs, size_t n, void *into,
                 struct arena *a, struct str *ret_name, struct error *err) GTAP_CHECK;
