// Options as data. One line in a command's table gives an option its parsing, its environment
// variables, its place in the configuration file, its check, its help, its documentation and its
// completion; there is no other place to name it.
//
// A value is looked for on the command line, then in the environment, then in the file, then it is
// the default. On the command line it is --name; in the file `key = value` in the section of the
// command, in the environment GTAP_COMMAND_KEY. A shared key means the same to every command that
// has it: it may stand in [gtap] too, and its variable is GTAP_KEY. Names in `env` go first.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "report/zone.h"

enum option_type {   // what is stored at `offset`
    OPTION_FLAG,     // bool; --no-name says false
    OPTION_TEXT,     // const char *, NULL when absent
    OPTION_INT,      // int64_t in [least, most]
    OPTION_DURATION, // int64_t, ns
    OPTION_MONEY,    // int64_t, nano-USD; "none" is PRICE_NONE
    OPTION_TIME,     // struct time_spec
    OPTION_CHOICE,   // int, index into choices
    OPTION_LIST,     // struct text_list; may be given again and again
};

enum option_secrecy {
    OPTION_PUBLIC,
    OPTION_URI_SECRET, // a URI: its password is masked
    OPTION_SECRET,     // never shown
};

struct text_list {
    const char **items;
    size_t n;
};

struct option {
    const char *name;
    char letter; // -x, 0: none
    enum option_type type;
    size_t offset;            // in the command's options
    const char *value, *help; // "USD_PER_HOUR"; one line, no full stop
    const char *fallback;     // the default, as one would type it; NULL: absent
    const char *key;          // in file and environment; NULL: command line only
    bool shared;
    const char *env;            // further variables, separated by spaces
    const char *const *choices; // ends with NULL
    int64_t least, most;
    enum option_secrecy secrecy; // secrets may also come from the file that NAME_FILE names
};

// Reads text into the member at base + offset. Lists are appended to. -EINVAL with what would be
// right, without the option's name: "must be ...".
int option_parse(const struct option *o, const char *text, void *base, struct arena *a,
                 struct error *err) GTAP_CHECK;

// The i-th environment variable of o in a command of this section, NULL after the last.
const char *option_env(const struct option *o, struct str section, size_t i, struct arena *a);

// `text` as it may be shown.
const char *option_mask(const struct option *o, const char *text, struct arena *a);
