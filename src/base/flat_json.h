// One flat JSON object, field by field: enough for price lists. No nesting.
#pragma once

#include "base/arena.h"
#include "base/error.h"

// Begin with rest and arena set, all else zero. Values live in the arena or are borrowed from rest.
struct flat_json {
    struct str rest;
    struct arena *arena;
    bool begun;
};

// A field's value is its text: of a string what it says, of anything else as it stands; null is
// absent. 1 with a field, 0 at the object's end, -EINVAL with a message.
int flat_json_next(struct flat_json *j, struct str *ret_name, struct str *ret_value,
                   struct error *err) GTAP_CHECK;
