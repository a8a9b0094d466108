#include "input/tenants.h"

#include <stdio.h>

#include "base/wide.h"

static const struct tenant_class named[] = {
    {"search", 30, 1400, 450, 1}, // retrieval: long prompts, short answers
    {"chat", 26, 700, 1300, 1},     {"batch", 16, 1300, 600, 12}, // nightly jobs, in bursts
    {"code", 12, 1800, 800, 1},     {"agents", 8, 1600, 1000, 4}, {"support", 5, 900, 900, 1},
    {"translate", 2, 400, 1600, 3}, {"eval", 1, 800, 300, 20},
};

enum { NAMED = sizeof(named) / sizeof(named[0]) };

struct tenant_class tenant_class_at(size_t i)
{
    if (i < NAMED) {
        return named[i];
    }
    struct tenant_class other = {
        .weight = 1, .prompt_permille = 1000, .completion_permille = 1000, .burst = 1};
    snprintf(other.name, sizeof(other.name), "tenant-%03zu", i + 1);
    return other;
}

uint32_t tenant_pick(size_t n, uint64_t u)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n && i < NAMED; i++) {
        total += named[i].weight;
    }
    uint64_t all = total + (n > NAMED ? n - NAMED : 0);
    uint64_t at = (uint64_t)((u128)u * all >> 64);
    if (at >= total) {
        return (uint32_t)(NAMED + (at - total));
    }
    uint32_t i = 0;
    while (at >= named[i].weight) {
        at -= named[i++].weight;
    }
    return i;
}
