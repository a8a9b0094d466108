// What tests of inputs that are sent to share: an input behind a server on the loopback interface,
// with the test in the place of the pipeline.
#pragma once

#include "harness.h"
#include "http/server.h"
#include "http_client.h"

#define SENT_NOW INT64_C(1795694410000000000) // 2026-11-26T12:00:10Z

struct sent {
    struct harness h;
    struct http_server *server;
    struct input *in;
    struct buf notes, dead; // as harness_note() has it; the dead letters' payloads, one a line
    int64_t position;
};

// scheme: "http". options: "?gpus=0", or "".
static inline void sent_open(struct sent *f, const char *scheme, const char *options)
{
    struct error err;
    struct http_config c = {.address = "127.0.0.1:0"};
    *f = (struct sent){0};
    harness_init(&f->h);
    f->h.clock.wall = SENT_NOW;
    assert_ok(http_server_new(&c, &f->server, &err), &err);
    f->h.env.http = f->server;
    f->in = harness_open(&f->h, "%s:%s", scheme, options);
    assert_ok(http_server_start(f->server, &err), &err);
    buf_init(&f->notes, 1 << 22);
    buf_init(&f->dead, 1 << 22);
}

static inline void sent_close(struct sent *f)
{
    http_server_stop(f->server, 0);
    input_close(f->in);
    http_server_free(f->server);
    buf_done(&f->notes);
    buf_done(&f->dead);
    harness_done(&f->h);
}

static inline uint16_t sent_port(const struct sent *f)
{
    return http_server_port(f->server, 0);
}

// One call of input_next().
static inline void sent_read_batch(struct sent *f)
{
    struct batch b;
    struct error err;
    batch_init(&b);
    assert_i64(input_next(f->in, &b, &err), INPUT_MORE);
    assert_true(b.n_records + b.n_dead <= BATCH_RECORDS);
    harness_note(&f->notes, &b);
    for (size_t i = 0; i < b.n_dead; i++) {
        buf_str(&f->dead, b.dead[i].payload);
        buf_char(&f->dead, '\n');
    }
    f->position = b.position;
    if (b.n_records + b.n_dead == 0) {
        (void)poll(NULL, 0, 1); // who calls this in a loop counts milliseconds to a deadline
    }
    batch_done(&b);
}
