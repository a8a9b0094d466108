// URIs and what their options mean. Those of inputs that need no file are opened, too, and give
// their first records.
#include "fuzz.h"

#include <assert.h>

#include "input/input.h"
#include "model/record.h"

enum { BATCHES = 2 };

static int64_t wall(const struct clock *c)
{
    (void)c;
    return INT64_C(1795442400) * NS_PER_S; // 2026-11-23T14:00:00Z
}

static struct mono mono(const struct clock *c)
{
    (void)c;
    return (struct mono){NS_PER_HOUR};
}

static void options(const struct uri *u)
{
    struct error err = {0};
    int64_t i = 0, money = 0, ns = 0;
    double d = 0;
    for (size_t n = 0; n < u->n_options; n++) {
        const char *key = u->options[n].key.p;
        assert(str_eq(uri_option(u, key), u->options[n].value));
        int r = uri_option_i64(u, key, -5, 5, &i, &err);
        r |= uri_option_double(u, key, 0, 1, &d, &err);
        r |= uri_option_duration(u, key, &ns, &err);
        r |= uri_option_money(u, key, &money, &err);
        assert(r <= 0 && i >= -5 && i <= 5 && d >= 0 && d <= 1 && ns >= 0 && money >= 0);
    }
}

// What was decoded holds no NUL and is terminated, so that it may be used as a C string.
static void terminated(struct str s)
{
    assert(strlen(s.p) == s.n);
}

static void check_record(const struct record *r, int64_t position)
{
    assert(r->position == position && r->digest == record_digest(r));
    assert(record_ts(r) >= 0 && record_ts(r) < TIME_MAX && r->event_id.n > 0);
}

static void generate(const struct uri *u)
{
    const struct clock clock = {.wall = wall, .mono = mono};
    struct input_env env = {.clock = &clock, .now_start = wall(NULL), .stop_fd = -1};
    struct input *in = NULL;
    struct error err = {0};
    if (input_open(u, &env, &in, &err) < 0) {
        assert(err.code < 0 && err.msg[0] != '\0');
        return;
    }
    struct batch b;
    int64_t position = 0;
    batch_init(&b);
    bool paced = str_present(uri_option(u, "speed")) || !input_info(in)->finite;
    for (int i = 0; i < BATCHES && !paced; i++) {
        batch_clear(&b);
        int r = input_next(in, &b, &err);
        assert(r >= 0 || err.msg[0] != '\0');
        assert(b.n_dead == 0 && b.position == position + (int64_t)b.n_records);
        for (size_t n = 0; n < b.n_records; n++) {
            check_record(&b.records[n], ++position);
        }
    }
    batch_done(&b);
    input_close(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena arena = {0};
    struct uri u;
    struct error err = {0};
    if (uri_parse(&arena, text, &u, &err) < 0) {
        assert(err.code < 0 && err.msg[0] != '\0');
    } else {
        terminated(u.scheme);
        terminated(u.path);
        options(&u);
        bool made_up = str_eq(u.scheme, STR("synthetic")) || str_eq(u.scheme, STR("seed"));
        if (made_up && u.path.n == 0) {
            generate(&u);
        }
    }
    arena_done(&arena);
    return 0;
}
