// Pages of a server, divided by NUL bytes, the first byte choosing the server; the last one comes
// again and again, and then nothing has moved.
#include "fuzz.h"

#include <assert.h>

#include "input/counters.h"

#define SERVER_LIST(id, ...) &server_##id,

static const struct server *const servers[] = {SERVER_TABLE(SERVER_LIST)};

static void check(const struct counters *c)
{
    size_t n;
    const struct counted *v = counters_counted(c, &n);
    assert(n <= COUNTERS_SERIES_MAX);
    for (size_t i = 0; i < n; i++) {
        assert(str_present(v[i].model));
        assert(v[i].prompt >= 0 && v[i].prompt <= COUNTERS_TOKENS_MAX);
        assert(v[i].completion >= 0 && v[i].completion <= COUNTERS_TOKENS_MAX);
        assert(v[i].requests >= 0 && v[i].cached >= 0 && v[i].cached <= v[i].prompt);
    }
}

static void check_nothing_moved(const struct counters *c)
{
    size_t n;
    const struct counted *v = counters_counted(c, &n);
    for (size_t i = 0; i < n; i++) {
        assert(v[i].prompt == 0 && v[i].completion == 0 && v[i].requests == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct counters_config config = {.server = servers[data[0] % ARRAY_LEN(servers)]};
    struct counters *c = counters_new(&config);
    struct str rest = {(const char *)data + 1, size - 1}, page, last = STR_NONE;
    struct error err;
    int r = -1;
    while (str_split(&rest, '\0', &page)) {
        last = page;
        r = counters_take(c, page, 0, &err);
        assert(r >= 0 || err.msg[0] != '\0');
        check(c);
    }
    // A name that takes over brings what it had when the other one vanished, but only once.
    for (int i = 0; r >= 0 && i < COUNTERS_SWITCH_PAGES; i++) {
        r = counters_take(c, last, 0, &err);
        assert(r >= 0);
        check(c);
    }
    if (r >= 0) {
        assert(counters_take(c, last, 0, &err) >= 0);
        check_nothing_moved(c);
    }
    counters_free(c);
    return 0;
}
