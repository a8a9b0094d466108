// A followed file, appended to in pieces, rotated and cut short at random, with restarts between:
// every line comes once, in order, and nothing else does.
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"
#include "input/random.h"

enum { RUNS = 300, STEPS = 60, TEXT_LIMIT = 1 << 24, QUIET = 3, LONG_PIECE = 300000 };

static struct harness h;
static uint64_t running; // seed; 0: all is well

// A run: what was written, and what came.
struct run {
    struct random random;
    struct input *in;
    struct buf file;      // what the file holds now
    struct buf want, got; // lines, each with a '\n'
    int64_t position;     // of the input
    int64_t offset;       // of its last batch
    bool changed;         // the file was rotated or cut short: a restart would read it again
};

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (running > 0) {
        print_error("seed %llu\n", (unsigned long long)running);
    }
    harness_done(&h);
    return 0;
}

static uint64_t below(struct run *r, uint64_t n)
{
    return random_below(&r->random, n);
}

static bool is_blank(struct str line)
{
    return strspn(line.p, " \t") >= line.n;
}

static void want_line(struct run *r, struct str line)
{
    line.n -= str_ends(line, STR("\r"));
    if (line.n > 0 && !is_blank(line)) {
        buf_str(&r->want, line);
        buf_char(&r->want, '\n');
    }
}

// The lines of the file so far that have an end; the rest of it, when no more will come.
static void want_lines(struct run *r, size_t from, bool all)
{
    struct str rest = {r->file.p + from, r->file.n - from};
    for (struct str line; str_split(&rest, '\n', &line);) {
        if (str_present(rest) || (all && line.n > 0)) {
            want_line(r, line);
        }
    }
}

// Where the last unfinished line begins.
static size_t unfinished(const struct run *r)
{
    const char *end = r->file.n ? memrchr(r->file.p, '\n', r->file.n) : NULL;
    return end ? (size_t)(end + 1 - r->file.p) : 0;
}

static void append(struct run *r)
{
    static const char alphabet[] = "ab{\" \t\r\n\n\n";
    size_t from = unfinished(r), before = r->file.n, n = 1 + below(r, 12);
    for (size_t i = 0; i < n; i++) {
        buf_char(&r->file, alphabet[below(r, sizeof(alphabet) - 1)]);
    }
    if (below(r, 200) == 0) {
        memset(buf_reserve(&r->file, LONG_PIECE), 'x', LONG_PIECE);
        r->file.n += LONG_PIECE;
    }
    harness_append(&h, "log", (struct str){r->file.p + before, r->file.n - before});
    want_lines(r, from, false);
}

static void take(struct run *r, const struct batch *b)
{
    assert_int_equal(b->n_records, 0); // no line of this alphabet is a record
    for (size_t i = 0; i < b->n_dead; i++) {
        assert_i64(b->dead[i].position, ++r->position);
        buf_str(&r->got, b->dead[i].payload);
        buf_char(&r->got, '\n');
    }
    assert_i64(b->position, r->position);
    r->offset = b->offset;
}

static void drain(struct run *r)
{
    struct batch b;
    struct error err = {0};
    batch_init(&b);
    for (int quiet = 0; quiet < QUIET; quiet++) {
        batch_clear(&b);
        assert_ok(input_next(r->in, &b, &err) == INPUT_MORE ? 0 : -1, &err);
        take(r, &b);
        quiet = b.n_dead > 0 ? 0 : quiet;
    }
    batch_done(&b);
    assert_int_equal(r->got.n, r->want.n);
    assert_true(r->got.n == 0 || memcmp(r->got.p, r->want.p, r->got.n) == 0);
}

// What the reader has not seen of the old file is read before the new one.
static void rotate(struct run *r)
{
    assert_int_equal(rename(harness_path(&h, "log"), harness_path(&h, "log.1")), 0);
    want_lines(r, unfinished(r), true);
    buf_clear(&r->file);
    harness_write(&h, "log", STR(""));
    r->changed = true;
    drain(r);
}

// Seen only when the file is shorter than what was read of it.
static void cut_short(struct run *r)
{
    drain(r);
    if (r->file.n == 0) {
        return;
    }
    want_lines(r, unfinished(r), true);
    buf_clear(&r->file);
    harness_write(&h, "log", STR(""));
    r->changed = true;
    drain(r);
}

static void restart(struct run *r)
{
    drain(r);
    if (r->changed) {
        return;
    }
    struct error err = {0};
    uint64_t fingerprint = input_info(r->in)->fingerprint;
    input_close(r->in);
    r->in = harness_open(&h, "file:%s?follow=1", harness_path(&h, "log"));
    assert_true(fingerprint == 0 || fingerprint == input_info(r->in)->fingerprint);
    int64_t offset = below(r, 2) ? r->offset : -1;
    assert_ok(input_seek(r->in, r->position, offset, &err), &err);
}

static void step(struct run *r)
{
    switch (below(r, 12)) {
    case 0:
        rotate(r);
        break;
    case 1:
        cut_short(r);
        break;
    case 2:
    case 3:
        restart(r);
        break;
    case 4:
    case 5:
        drain(r);
        break;
    default:
        append(r);
        break;
    }
}

static void run(uint64_t seed)
{
    struct run r = {.offset = -1};
    random_init(&r.random, seed);
    buf_init(&r.file, TEXT_LIMIT);
    buf_cstr(&r.file, ""); // so that there is memory to point into
    buf_init(&r.want, TEXT_LIMIT);
    buf_init(&r.got, TEXT_LIMIT);
    harness_write(&h, "log", STR(""));
    r.in = harness_open(&h, "file:%s?follow=1", harness_path(&h, "log"));
    for (int i = 0; i < STEPS; i++) {
        step(&r);
    }
    drain(&r);
    input_close(r.in);
    buf_done(&r.file);
    buf_done(&r.want);
    buf_done(&r.got);
}

static void test_every_line_comes_once(void **state)
{
    (void)state;
    for (running = 1; running <= RUNS; running++) {
        run(running);
    }
    running = 0;
}

int main(void)
{
    return TEST_RUN(TEST_WITH(test_every_line_comes_once, setup, teardown));
}
