// A pipeline on a test bench: a folder and a store of its own, a clock that runs by being looked
// at, and a stop button. run_pipeline() runs on the thread of the test; what must happen meanwhile
// does so in on_progress, which the meter calls, or on a helper thread.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/time.h"
#include "pipeline/rederive.h"
#include "pipeline/run.h"
#include "test.h"

#define EPOCH_S INT64_C(1767225600) // 2026-01-01T00:00:00Z: second 0 of every test's event time
#define EPOCH_NS (EPOCH_S * NS_PER_S)
enum { RIG_INPUTS_MAX = 8, RIG_TEXT_MAX = 64 << 20 };

struct rig_clock {
    struct clock base;
    _Atomic int64_t ns;   // monotonic; wall time is a month after EPOCH_S, plus this
    _Atomic int64_t step; // how far each look at it moves it on (10 ms)
};

struct rig {
    char dir[32];
    struct arena arena;
    struct rig_clock clock;
    char *store_text;
    struct store *keeper; // a memory store lives as long as somebody has it open
    const char *inputs[RIG_INPUTS_MAX];
    struct run_config config; // until_end, settings_given; a test changes what it likes
    struct run_progress progress;
    struct error err;
    struct buf notices; // one a line
    void (*on_progress)(struct rig *r, const struct run_progress *p);
    int64_t wanted; // for on_progress
    int n_progress;
    pthread_t helper;
    void (*help)(struct rig *r);
};

extern const char *const rig_stores[2]; // "memory", "sqlite"

void rig_init(struct rig *r, const char *store);
void rig_done(struct rig *r);
const char *rig_path(struct rig *r, const char *name);
const char *rig_file(struct rig *r, const char *name, const struct buf *text); // "file:..."
const char *rig_pipe(struct rig *r, const char *name, int *ret_fd); // a FIFO, and its open end
void rig_write(int fd, const struct buf *text);
void rig_wait_read(int fd); // until a pipe is empty
void rig_inputs(struct rig *r, const char *first, ...) __attribute__((sentinel)); // replaces them
int rig_run(struct rig *r);
void rig_must_run(struct rig *r); // and the test fails when it does not end well
void rig_stop(struct rig *r);
void rig_unstop(struct rig *r);
void rig_help(struct rig *r, void (*help)(struct rig *r)); // runs beside the next rig_run
void rig_begin_help(struct rig *r);                        // of rig_run, for runs without it
void rig_end_help(struct rig *r);
void rig_wait_stored(struct rig *r, int64_t records); // by a helper: until so many are there

struct store *rig_open(struct rig *r, enum store_access access);
struct store_info rig_info(struct rig *r);
int64_t rig_count(struct rig *r, enum window_level level, bool final); // rows that are so

// All that was computed, as text, but for `late` and `revision`.
void rig_dump(struct rig *r, struct buf *ret);
void rig_check_same(struct rig *r, const struct buf *dump);
struct rederive_result rig_verify(struct rig *r); // fails the test where it differs

// ---- records as NDJSON ---------------------------------------------------------------------

// more: further fields, each with a comma before it. Times in seconds after EPOCH_S.
void put_sample(struct buf *b, const char *id, int64_t at, int gpu, const char *more);
void put_usage(struct buf *b, const char *id, int64_t end, int64_t seconds, int gpu,
               const char *more); // 100 prompt and 40 completion tokens

// Two GPUs at $3.60 an hour, sampled every 10 s in [from, to], each with a request of 5 s that ends
// every 7 s. The number of records.
int64_t put_load(struct buf *b, int64_t from, int64_t to);

// By looking again; ends the test process when it does not come about.
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        struct mono until_ = {clock_mono(&clock_system).ns + TEST_PATIENCE_MS * NS_PER_MS};        \
        while (!(condition)) {                                                                     \
            if (clock_mono(&clock_system).ns > until_.ns) {                                        \
                print_error("%s:%d: %s did not come about\n", __FILE__, __LINE__, #condition);     \
                abort();                                                                           \
            }                                                                                      \
            (void)poll(NULL, 0, 1);                                                                \
        }                                                                                          \
    } while (0)
