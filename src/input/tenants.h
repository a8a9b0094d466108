// Who sends made-up requests, how many of them, and what they look like.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { TENANTS_MAX = 1000, TENANT_NAME_MAX = 32 };

struct tenant_class {
    char name[TENANT_NAME_MAX];
    uint32_t weight;                              // share of the requests, against the others
    int32_t prompt_permille, completion_permille; // lengths, against the model's typical ones
    int32_t burst;                                // requests that come at once, in the mean
};

// The i-th tenant, i < TENANTS_MAX: first the named ones, search, chat, batch, ..., then tenant-009
// and so on.
struct tenant_class tenant_class_at(size_t i);

// One of n tenants by weight, `u` uniform over all numbers.
uint32_t tenant_pick(size_t n, uint64_t u);
