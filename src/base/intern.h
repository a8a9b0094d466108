// Strings to small numbers and back: each distinct string gets the next id, from 0. Models,
// tenants and GPU names come by the million and differ by the dozen.
// The table owns copies, NUL-terminated; pointers from intern_str live as long as the table.
// Absent and empty are different strings. Not thread-safe.
#pragma once

#include <stdint.h>

#include "base/str.h"

struct intern;

struct intern *intern_new(void);
void intern_free(struct intern *t);
uint32_t intern_id(struct intern *t, struct str s);         // adds when new
int64_t intern_find(const struct intern *t, struct str s);  // -1 when unknown
struct str intern_str(const struct intern *t, uint32_t id); // id < intern_count
uint32_t intern_count(const struct intern *t);
size_t intern_bytes(const struct intern *t); // memory held
