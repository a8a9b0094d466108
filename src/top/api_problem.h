// Problem details (RFC 9457), as the API refuses with. Internal to src/top.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

// The "detail" of a problem, cut to n bytes with its NUL. False: json is none.
bool top_api_problem(struct str json, char *ret, size_t n);
