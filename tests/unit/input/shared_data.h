// Real captures that tests read where they are there (GTAP_SHARED), and skip, saying so, elsewhere.
#pragma once

#include "base/alloc.h"
#include "test.h"

// A whole file below GTAP_SHARED/data, in a block of just its size.
static inline struct str shared_data_or_skip(const char *name)
{
    const char *shared = getenv("GTAP_SHARED");
    AUTO_FREE char *path = x_asprintf("%s/data/%s", shared ? shared : ".", name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        print_message("# SKIP %s is not there\n", name);
        skip();
    }
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = x_alloc(n + 1);
    assert_int_equal(fread(p, 1, n, f), n);
    fclose(f);
    return (struct str){p, n};
}

static inline void shared_data_free(struct str data)
{
    free((void *)(uintptr_t)data.p);
}
