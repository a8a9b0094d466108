// URIs of inputs and outputs: "scheme:rest?key=value&key=value". The scheme is everything before
// the first ':'; the path is taken as it stands (percent escapes decoded), so `file:a b.ndjson`
// and `file:-` work; options follow the last '?'. A '?' in a path is written %3F. A path is any
// bytes but NUL; options are UTF-8, as what they name in records must be.
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

struct uri_option {
    struct str key, value; // decoded
};

struct uri {
    struct str text;   // as given
    struct str scheme; // lower case letters, digits, '+', '-', '.'
    struct str path;   // decoded; without the options
    struct uri_option *options;
    size_t n_options;
};

enum { URI_MAX = 4096, URI_OPTIONS_MAX = 32 };

// Everything in *ret lives in the arena. -EINVAL with a message otherwise: no scheme, an empty
// or repeated option name, a bad escape, a NUL, options that are not UTF-8, too long.
int uri_parse(struct arena *a, struct str text, struct uri *ret, struct error *err) GTAP_CHECK;

struct str uri_option(const struct uri *u, const char *key); // absent when not given

// Typed options: leave *ret alone when the option is absent; -EINVAL with a message naming the
// URI, the option and what is allowed.
int uri_option_i64(const struct uri *u, const char *key, int64_t min, int64_t max, int64_t *ret,
                   struct error *err) GTAP_CHECK;
int uri_option_double(const struct uri *u, const char *key, double min, double max, double *ret,
                      struct error *err) GTAP_CHECK;
int uri_option_duration(const struct uri *u, const char *key, int64_t *ret, struct error *err)
    GTAP_CHECK;
int uri_option_money(const struct uri *u, const char *key, int64_t *ret_nusd,
                     struct error *err) GTAP_CHECK; // "2.5" USD, non-negative

// -EINVAL naming the first option that is not in the NULL-terminated list, and the list. One that
// ends in '*' stands for all options that begin with the rest.
int uri_options_known(const struct uri *u, const char *const *known, struct error *err) GTAP_CHECK;
