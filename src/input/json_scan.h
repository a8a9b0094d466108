// Takes JSON text apart where a record decoder has no business: the lines of a JSON trace and the
// elements of a seed file. Checks the structure (strings, nesting, commas), not every literal.
// Allocates nothing: what comes out is borrowed from the text.
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum { JSON_DEPTH_MAX = 64 };

// Takes one value with the white space around it off *s; *ret is its text. False: there is none.
bool json_take_value(struct str *s, struct str *ret);

// An iterator over the members of an object or the elements of an array.
struct json_walk {
    struct str rest;
    char close; // '}' or ']'
    bool began, failed;
};

// False when `text` is no object ('{') or array ('[').
bool json_walk_begin(struct json_walk *w, struct str text, char open);

// The next one; false at the end, or with w->failed where the text is broken or goes on behind.
bool json_walk_member(struct json_walk *w, struct str *ret_key, struct str *ret_value);
bool json_walk_element(struct json_walk *w, struct str *ret_value);
