#include "spool_rig.h"

#include <dirent.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/alloc.h"

int rig_setup(void **state)
{
    struct spool_rig *r = x_zalloc(sizeof(*r));
    snprintf(r->dir, sizeof(r->dir), "/tmp/gtap-spool-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->config = (struct spool_config){.dir = r->dir, .limit = 64 << 20, .clock = &clock_system};
    *state = r;
    return 0;
}

int rig_teardown(void **state)
{
    struct spool_rig *r = *state;
    spool_close(r->spool);
    spool_batch_done(&r->batch);
    DIR *d = opendir(r->dir);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) {
        closedir(d);
    }
    rmdir(r->dir);
    free(r);
    return 0;
}

void rig_open(struct spool_rig *r)
{
    assert_ok(spool_open(&r->config, &r->spool, &r->err), &r->err);
}

void rig_reopen(struct spool_rig *r)
{
    spool_close(r->spool);
    rig_open(r);
}

// From a few bytes to a few kilobytes.
static size_t message_length(uint64_t number)
{
    return 24 + (size_t)(number * 2654435761U % 997) * (number % 13 == 0 ? 4 : 1);
}

struct str message(uint64_t number, char text[MESSAGE_MAX])
{
    size_t n = message_length(number);
    snprintf(text, MESSAGE_MAX, "%020" PRIu64 ":", number);
    for (size_t i = 21; i < n; i++) {
        text[i] = (char)(number * 31 + i * 7);
    }
    return (struct str){text, n};
}

uint64_t message_number(struct str text)
{
    char again[MESSAGE_MAX];
    uint64_t number = text.n >= 20 ? strtoull(text.p, NULL, 10) : 0;
    assert_true(str_eq(text, message(number, again)));
    return number;
}

int append_numbers(struct spool *s, uint64_t from, size_t n, struct error *err)
{
    char *texts = x_alloc(n * MESSAGE_MAX);
    struct str *payloads = x_array(n, sizeof(payloads[0]));
    for (size_t i = 0; i < n; i++) {
        payloads[i] = message(from + i, texts + i * MESSAGE_MAX);
    }
    int r = spool_append(s, payloads, n, err);
    free(payloads);
    free(texts);
    return r;
}

uint64_t drain_numbers(struct spool_rig *r, uint64_t from)
{
    uint64_t n = 0;
    for (;;) {
        spool_read(r->spool, &r->batch, 32 << 10);
        if (r->batch.n == 0) {
            assert_true(spool_is_empty(r->spool));
            return n;
        }
        for (size_t i = 0; i < r->batch.n; i++) {
            same(message_number(r->batch.payloads[i]), from + n++);
        }
        spool_drop(r->spool, &r->batch);
    }
}

bool segment_path(const struct spool_rig *r, size_t at, char ret[256])
{
    char names[256][32];
    size_t n = 0, smaller;
    DIR *d = opendir(r->dir);
    const struct dirent *e;
    assert_non_null(d);
    while ((e = readdir(d)) && n < 256) {
        if (str_ends(str_of(e->d_name), STR(".spool"))) {
            snprintf(names[n++], 32, "%.31s", e->d_name);
        }
    }
    closedir(d);
    for (size_t i = 0; i < n; i++) {
        smaller = 0;
        for (size_t k = 0; k < n; k++) {
            smaller += strcmp(names[k], names[i]) < 0;
        }
        if (smaller == at) {
            snprintf(ret, 256, "%s/%.31s", r->dir, names[i]);
            return true;
        }
    }
    return false;
}
